//! Sends many random messages, compressed, to an echo server of another make, and checks what comes back.
//! `tests/interop/run` runs it.

use std::error::Error;
use std::process::ExitCode;

use programs::Arguments;
use sansocket::tokio::{Transport, WebSocket};
use sansocket::{Client, CloseCode, Config, Deflate, Message};

const USAGE: &str = "\
Sends random messages to an echo server with permessage-deflate, and checks what comes back.

usage: interop_client URL [options]
  --messages COUNT               how many (default 5000)
  --blocking                     use the blocking adapter, not tokio
  --http2                        open four WebSockets by HTTP/2: with prior knowledge, or with wss:// by ALPN
  --cert FILE                    trust this certificate (with the feature `tokio-rustls`)
  --server-no-context-takeover   what to offer; see RFC 7692 section 7.1
  --client-no-context-takeover
  --server-max-window-bits BITS
  --client-max-window-bits BITS";

/// How many messages are on their way at once.
const OUTSTANDING: usize = 16;

fn main() -> ExitCode {
    let (mut url, mut count, mut way) = (None, 5000, Way::Tokio);
    let mut cert = None;
    let mut deflate = Deflate::default().min_size(16);
    let mut arguments = Arguments::new(USAGE);
    while let Some(argument) = arguments.next() {
        deflate = match argument.as_str() {
            "--server-no-context-takeover" => deflate.server_no_context_takeover(),
            "--client-no-context-takeover" => deflate.client_no_context_takeover(),
            "--server-max-window-bits" => deflate.server_max_window_bits(arguments.value()),
            "--client-max-window-bits" => deflate.client_max_window_bits(arguments.value()),
            other => {
                match other {
                    "--messages" => count = arguments.value(),
                    "--blocking" => way = Way::Blocking,
                    "--cert" => cert = Some(arguments.value::<String>()),
                    #[cfg(feature = "http2")]
                    "--http2" => way = Way::Http2,
                    _ if url.is_none() && !other.starts_with('-') => url = Some(argument),
                    _ => arguments.unknown(),
                }
                deflate
            }
        };
    }
    let url = url.unwrap_or_else(|| programs::fail("the URL to connect to is missing"));
    programs::exit_code(client(&url, cert.as_deref(), deflate).and_then(|client| run(client, count, way)))
}

fn client(url: &str, cert: Option<&str>, deflate: Deflate) -> Result<Client, Box<dyn Error + Send + Sync>> {
    let client = Client::new(url)?.config(Config::default().deflate(deflate));
    match cert {
        None => Ok(client),
        #[cfg(feature = "tokio-rustls")]
        Some(cert) => Ok(client.trust_pem(cert)?),
        #[cfg(not(feature = "tokio-rustls"))]
        Some(_) => Err("--cert needs the feature `tokio-rustls`".into()),
    }
}

/// What the messages are sent with.
#[derive(Clone, Copy)]
enum Way {
    Blocking,
    Tokio,
    #[cfg(feature = "http2")]
    Http2,
}

fn run(client: Client, count: usize, way: Way) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut messages: Vec<Message> = Vec::new();
    for _ in 0..count {
        let message = random.message(&messages);
        messages.push(message);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match way {
        Way::Blocking => converse_blocking(client, &messages),
        Way::Tokio => runtime.block_on(async {
            let ws = sansocket::tokio::connect(client).await?;
            converse(ws, &messages).await
        }),
        #[cfg(feature = "http2")]
        Way::Http2 => runtime.block_on(async {
            let http2 = sansocket::http::Http2::connect(client.clone()).await?;
            let conversation = async || {
                let ws = http2.open(client.clone()).await?;
                converse(ws, &messages).await
            };
            tokio::try_join!(conversation(), conversation(), conversation(), conversation()).map(drop)
        }),
    }
}

fn converse_blocking(client: Client, messages: &[Message]) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut ws = sansocket::blocking::connect(client)?;
    if ws.deflate().is_none() {
        return Err("the server did not accept permessage-deflate".into());
    }
    for turn in messages.chunks(OUTSTANDING) {
        for message in turn {
            ws.feed(message.clone())?;
        }
        for message in turn {
            check(ws.recv()?, message)?;
        }
    }
    ws.close(CloseCode::NORMAL, "")?;
    Ok(())
}

async fn converse<S: Transport>(
    mut ws: WebSocket<S>,
    messages: &[Message],
) -> Result<(), Box<dyn Error + Send + Sync>> {
    if ws.deflate().is_none() {
        return Err("the server did not accept permessage-deflate".into());
    }
    for turn in messages.chunks(OUTSTANDING) {
        for message in turn {
            // Some of them in fragments.
            let payload = message.clone().into_payload();
            if payload.len() % 5 == 0 {
                ws.feed_part(message.kind(), payload.slice(..payload.len() / 2), false).await?;
                ws.feed_part(message.kind(), payload.slice(payload.len() / 2..), true).await?;
            } else {
                ws.feed(message.clone()).await?;
            }
        }
        for message in turn {
            check(ws.recv().await?, message)?;
        }
    }
    ws.close(CloseCode::NORMAL, "").await?;
    Ok(())
}

fn check(received: Option<Message>, sent: &Message) -> Result<(), Box<dyn Error + Send + Sync>> {
    if received.as_ref() == Some(sent) {
        return Ok(());
    }
    let what =
        received.map_or("nothing".into(), |message| format!("another message of {} bytes", message.len()));
    Err(format!("{what} came back for a message of {} bytes", sent.len()).into())
}

/// Marsaglia's xorshift: the same messages in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }

    /// A message of random size and compressibility; at times one that was sent before.
    fn message(&mut self, sent: &[Message]) -> Message {
        if !sent.is_empty() && self.below(4) == 0 {
            return sent[self.below(sent.len())].clone();
        }
        let most = [8, 200, 2_000, 40_000][self.below(4)];
        let size = self.below(most);
        let alphabet = [1, 4, 60, 250][self.below(4)];
        if self.below(2) == 0 {
            let letters: Vec<char> = "abcdefghij klmnopqrstuvwxyz{}[]\":,0123456789éü€漢🦀".chars().collect();
            let text: String = (0..size).map(|_| letters[self.below(alphabet.min(letters.len()))]).collect();
            return Message::text(text);
        }
        Message::binary(
            (0..size).map(|_| u8::try_from(self.below(alphabet)).unwrap_or(0)).collect::<Vec<_>>(),
        )
    }
}
