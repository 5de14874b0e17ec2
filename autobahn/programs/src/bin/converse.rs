//! Holds a conversation with a server, as stdin says. `tests/interop/servers` runs it.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use programs::Arguments;
use sansocket::{Client, CloseCode, Closed, Config, Deflate, Message};
use tokio::runtime::{Builder, Runtime};

const USAGE: &str = "\
Holds a conversation with a WebSocket server.

usage: converse URL ADDRESS [options]
  ADDRESS                 the IP address and the port to connect to, whatever the URL has
  --subprotocol NAME      a subprotocol to offer; may be repeated
  --deflate               offer permessage-deflate
  --blocking              use the blocking adapter, not tokio

Prints `opened SUBPROTOCOL`, or `opened -` without one. Then does what the lines of stdin say, one after another:
  text HEX, binary HEX    send such a message, whose payload is given in hexadecimal digits
  parts text HEX          send it in two fragments; the same with binary
  ping                    send a Ping
  recv                    print the next message: text HEX, or binary HEX
  close                   close the connection with 1000
In place of a message, and behind `close`, stands how the connection ended: `closed CODE BY clean REASON`, or `unclean`;
BY is `local` or `remote`. The program then ends. After a failure its exit code is 1, with a sentence on stderr.";

fn main() -> ExitCode {
    programs::exit_code(run())
}

fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (mut url, mut address, mut subprotocols) = (None, None, Vec::<String>::new());
    let (mut config, mut blocking) = (Config::default(), false);
    let mut arguments = Arguments::new(USAGE);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--subprotocol" => subprotocols.push(arguments.value()),
            "--deflate" => config = config.deflate(Deflate::default()),
            "--blocking" => blocking = true,
            _ if argument.starts_with('-') => arguments.unknown(),
            _ if url.is_none() => url = Some(argument),
            _ if address.is_none() => address = Some(argument),
            _ => arguments.unknown(),
        }
    }
    let (Some(url), Some(address)) = (url, address) else {
        programs::fail("the URL or the address is missing");
    };
    let client = Client::new(&url)?.subprotocols(subprotocols)?.config(config);
    if blocking {
        let tcp = std::net::TcpStream::connect(address)?;
        return converse(sansocket::blocking::connect_over(client, tcp)?);
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let ws = runtime.block_on(async {
        let tcp = tokio::net::TcpStream::connect(address).await?;
        Ok::<_, Box<dyn Error + Send + Sync>>(sansocket::tokio::connect_over(client, tcp).await?)
    })?;
    converse(Blocked { runtime, ws })
}

fn converse(mut ws: impl Conversation) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut stdout = io::stdout();
    writeln!(stdout, "opened {}", ws.subprotocol().unwrap_or("-"))?;
    for line in io::stdin().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("parts", message) => ws.send_parts(parse(message)?)?,
            ("ping", _) => ws.ping()?,
            ("recv", _) => match ws.recv()? {
                Some(Message::Text(text)) => writeln!(stdout, "text {}", digits(text.as_bytes()))?,
                Some(Message::Binary(payload)) => writeln!(stdout, "binary {}", digits(&payload))?,
                None => break,
            },
            ("close", _) => {
                ws.close()?;
                break;
            }
            _ => ws.send(parse(&line)?)?,
        }
    }
    if let Some(closed) = ws.closed() {
        let by = format!("{:?}", closed.initiator).to_lowercase();
        let clean = if closed.clean { "clean" } else { "unclean" };
        writeln!(stdout, "closed {} {by} {clean} {}", closed.code.get(), closed.reason)?;
    }
    Ok(())
}

/// What both adapters can do.
trait Conversation {
    fn subprotocol(&self) -> Option<&str>;
    fn send(&mut self, message: Message) -> Result<(), sansocket::Error>;
    fn send_parts(&mut self, message: Message) -> Result<(), sansocket::Error>;
    fn ping(&mut self) -> Result<(), sansocket::Error>;
    fn recv(&mut self) -> Result<Option<Message>, sansocket::Error>;
    fn close(&mut self) -> Result<(), sansocket::Error>;
    fn closed(&self) -> Option<&Closed>;
}

impl Conversation for sansocket::blocking::WebSocket<sansocket::blocking::ClientStream> {
    fn subprotocol(&self) -> Option<&str> {
        self.subprotocol()
    }

    fn send(&mut self, message: Message) -> Result<(), sansocket::Error> {
        self.send(message)
    }

    fn send_parts(&mut self, message: Message) -> Result<(), sansocket::Error> {
        let (kind, mut first) = (message.kind(), message.into_payload());
        let second = first.split_off(first.len() / 2);
        self.feed_part(kind, first, false)?;
        self.feed_part(kind, second, true)?;
        self.flush()
    }

    fn ping(&mut self) -> Result<(), sansocket::Error> {
        self.ping(b"")
    }

    fn recv(&mut self) -> Result<Option<Message>, sansocket::Error> {
        self.recv()
    }

    fn close(&mut self) -> Result<(), sansocket::Error> {
        self.close(CloseCode::NORMAL, "")
    }

    fn closed(&self) -> Option<&Closed> {
        self.closed()
    }
}

/// The tokio adapter, with a runtime that runs while something is asked of it.
struct Blocked {
    runtime: Runtime,
    ws: sansocket::tokio::WebSocket<sansocket::tokio::ClientStream>,
}

impl Conversation for Blocked {
    fn subprotocol(&self) -> Option<&str> {
        self.ws.subprotocol()
    }

    fn send(&mut self, message: Message) -> Result<(), sansocket::Error> {
        self.runtime.block_on(self.ws.send(message))
    }

    fn send_parts(&mut self, message: Message) -> Result<(), sansocket::Error> {
        let (kind, mut first) = (message.kind(), message.into_payload());
        let second = first.split_off(first.len() / 2);
        self.runtime.block_on(async {
            self.ws.feed_part(kind, first, false).await?;
            self.ws.feed_part(kind, second, true).await?;
            self.ws.flush().await
        })
    }

    fn ping(&mut self) -> Result<(), sansocket::Error> {
        self.runtime.block_on(self.ws.ping(b""))
    }

    fn recv(&mut self) -> Result<Option<Message>, sansocket::Error> {
        self.runtime.block_on(self.ws.recv())
    }

    fn close(&mut self) -> Result<(), sansocket::Error> {
        self.runtime.block_on(self.ws.close(CloseCode::NORMAL, ""))
    }

    fn closed(&self) -> Option<&Closed> {
        self.ws.closed()
    }
}

fn parse(message: &str) -> Result<Message, Box<dyn Error + Send + Sync>> {
    match message.split_once(' ') {
        Some(("text", payload)) => Ok(Message::text(String::from_utf8(bytes(payload)?)?)),
        Some(("binary", payload)) => Ok(Message::binary(bytes(payload)?)),
        _ => Err(format!("{message:?} is not understood").into()),
    }
}

fn bytes(digits: &str) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let pairs = (0..digits.len()).step_by(2).map(|at| digits.get(at..at + 2).ok_or("half a byte"));
    pairs.map(|pair| Ok(u8::from_str_radix(pair?, 16)?)).collect()
}

fn digits(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
