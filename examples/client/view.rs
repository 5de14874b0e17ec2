//! How a client shows things: as bare messages in a pipe, with directions and without harm on a terminal.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::iter;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use sansocket::handshake::{Response, ResponseError};
use sansocket::reconnect::Ended;
use sansocket::rustls::{ClientConnection, ProtocolVersion};
use sansocket::{CloseCode, Closed, Initiator, Message, Proxy, Uri};

use crate::options::Options;

/// Where things are shown.
pub struct View {
    /// Whether stdout is a terminal.
    pub is_terminal: bool,
    /// Whether that can move its cursor.
    pub is_smart: bool,
    colors: bool,
    since: Option<Instant>,
}

impl View {
    pub fn new(options: &Options) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let is_smart = is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        // As https://no-color.org has it.
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colors = is_smart && options.color && !no_color;
        Self { is_terminal, is_smart, colors, since: options.time.then(Instant::now) }
    }

    /// What stands before what is typed.
    pub fn prompt(&self) -> String {
        self.colored(SENT, "> ")
    }

    pub fn sent(&self, message: &Message) -> String {
        self.directed(SENT, '>', &body(message))
    }

    pub fn received(&self, message: &Message) -> String {
        if self.is_terminal { self.directed(RECEIVED, '<', &body(message)) } else { line(message) }
    }

    /// A control frame that was sent, or is about to be.
    pub fn sent_control(&self, what: &str) -> String {
        self.directed(SENT, '>', &self.colored(NOTICE, what))
    }

    pub fn received_control(&self, what: &str) -> String {
        self.directed(RECEIVED, '<', &self.colored(NOTICE, what))
    }

    /// What the client itself has to say.
    pub fn notice(&self, text: &str) -> String {
        text.lines().map(|line| self.colored(NOTICE, line) + "\n").collect()
    }

    /// The lines of it, of which only the first has a sign: nothing that comes can pass for something else.
    fn directed(&self, color: &str, sign: char, body: &str) -> String {
        let time =
            self.since.map_or_else(String::new, |since| format!("{:>9.3} ", since.elapsed().as_secs_f64()));
        let first = self.colored(NOTICE, &time) + &self.colored(color, &format!("{sign} "));
        let others = " ".repeat(time.len() + 2);
        let signs = iter::once(first.as_str()).chain(iter::repeat(others.as_str()));
        signs.zip(body.split('\n')).flat_map(|(sign, line)| [sign, line, "\n"]).collect()
    }

    fn colored(&self, color: &str, text: &str) -> String {
        if self.colors && !text.is_empty() { format!("{color}{text}{PLAIN}") } else { text.into() }
    }
}

/// What a connection begins with.
pub struct Opening {
    pub uri: Uri,
    /// What was to be connected to, if the server had it elsewhere.
    pub redirected_from: Option<Uri>,
    pub proxy: Option<Proxy>,
    /// Of the server, or of the proxy.
    pub address: Option<SocketAddr>,
    pub tls: Option<String>,
    pub http2: bool,
    pub subprotocol: Option<String>,
    pub deflate: bool,
}

impl Opening {
    pub fn new(options: &Options, redirected_to: Option<&Uri>) -> Result<Self, sansocket::Error> {
        let asked = options.client.uri();
        let uri = redirected_to.unwrap_or(asked).clone();
        Ok(Self {
            proxy: options.proxy(&uri)?,
            redirected_from: redirected_to.map(|_| asked.clone()),
            uri,
            address: None,
            tls: None,
            http2: options.http2,
            subprotocol: None,
            deflate: false,
        })
    }
}

/// The version, and the cipher suite.
pub fn tls(tls: &ClientConnection) -> String {
    let version = match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS",
    };
    tls.negotiated_cipher_suite()
        .map_or_else(|| version.into(), |suite| format!("{version} ({:?})", suite.suite()))
}

/// In one line.
pub fn opened(opening: &Opening, is_typed: bool) -> String {
    let Opening { uri, redirected_from, proxy, address, tls, http2, subprotocol, deflate } = opening;
    let mut told = format!("connected to {uri}");
    if let Some(proxy) = proxy {
        told = format!("{told} through {proxy}");
    }
    if let Some(address) = address {
        told = format!("{told} at {address}");
    }
    if let Some(asked) = redirected_from {
        told = format!("{told}, redirected from {asked}");
    }
    if let Some(tls) = tls {
        told = format!("{told}, {tls}");
    }
    told += if *http2 { ", HTTP/2" } else { "" };
    if let Some(subprotocol) = subprotocol {
        told = format!("{told}, subprotocol {subprotocol}");
    }
    told += if *deflate { ", permessage-deflate" } else { "" };
    told + if is_typed { "; /help tells what can be typed" } else { "" }
}

/// A message as a line of a pipe.
fn line(message: &Message) -> String {
    const SHOWN: usize = 32;
    match message {
        Message::Text(text) => format!("{text}\n"),
        Message::Binary(payload) => {
            let shown: Vec<_> = payload.iter().take(SHOWN).map(|byte| format!(" {byte:02x}")).collect();
            let colon = if payload.is_empty() { "" } else { ":" };
            let rest = if payload.len() > SHOWN { " ..." } else { "" };
            format!("binary, {}{colon}{}{rest}\n", count(payload.len(), "byte"), shown.concat())
        }
    }
}

/// A message for the eye: lines without one at the end.
fn body(message: &Message) -> String {
    match message {
        Message::Text(text) => escaped(text),
        Message::Binary(payload) => {
            let mut body = format!("binary, {}", count(payload.len(), "byte"));
            for (number, row) in payload.chunks(ROW).take(ROWS).enumerate() {
                body += &dump(number * ROW, row);
            }
            if payload.len() > ROW * ROWS {
                body += "\n...";
            }
            body
        }
    }
}

/// Sixteen bytes of a message, and where they stand in it.
fn dump(offset: usize, row: &[u8]) -> String {
    let hex: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
    let is_visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    let text: String =
        row.iter().map(|&byte| if is_visible(byte) { char::from(byte) } else { '.' }).collect();
    format!("\n{offset:08x}  {:<48} |{text}|", hex.join(" "))
}

/// Text that cannot control a terminal, be it by control characters or by those that turn the direction of writing.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | '\t' => shown.push(char),
            '\r' => shown += "\\r",
            '\0'..='\x1f' | '\x7f'..='\u{9f}' => {
                // Writing to a string does not fail.
                let _ = write!(shown, "\\x{:02x}", u32::from(char));
            }
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(char.escape_unicode());
            }
            _ => shown.push(char),
        }
    }
    shown
}

/// The sentence for a connection that was closed.
pub fn closed(closed: Option<&Closed>) -> String {
    let Some(Closed { code, reason, initiator, .. }) = closed else {
        return "the connection has ended".into();
    };
    let who = if *initiator == Initiator::Local { "this client" } else { "the server" };
    match (*code, reason.as_str()) {
        (CloseCode::NO_STATUS_RECEIVED, _) => format!("{who} closed the connection without a code"),
        (code, "") => format!("{who} closed the connection with {code}"),
        (code, reason) => format!("{who} closed the connection with {code} and the reason {reason:?}"),
    }
}

/// So many of them.
pub fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A latency.
pub fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1e3;
    if milliseconds < 10.0 { format!("{milliseconds:.2} ms") } else { format!("{milliseconds:.0} ms") }
}

/// A sentence for the user, on one line of stderr, whatever a peer may have put into it.
pub fn tell(sentence: &str) {
    let line = escaped(&sentence.replace(char::is_control, " "));
    // If nobody listens, there is nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Why a program fails.
#[derive(Debug)]
pub struct Failure(Box<dyn Error + Send + Sync>);

impl Failure {
    /// Where that is the end of it.
    pub fn of(ended: Ended) -> Self {
        match ended {
            Ended::Closed(how) => closed(Some(&how)).into(),
            Ended::Failed(error) => error.into(),
        }
    }

    /// How the connection ended, if that is why.
    pub fn into_ended(self) -> Result<Ended, Self> {
        self.0.downcast().map(|error| Ended::Failed(*error)).map_err(Self)
    }

    /// Ends the program: with a sentence, but on a terminal a server's refusal with the beginning of what it says.
    pub fn tell(&self) -> ExitCode {
        match self.0.downcast_ref().and_then(sansocket::Error::refusal) {
            Some(response) if io::stderr().is_terminal() => {
                for line in refusal(response) {
                    tell(&line);
                }
            }
            _ => tell(&self.sentence()),
        }
        ExitCode::FAILURE
    }

    /// A server's refusal is told with what it says about it.
    pub fn sentence(&self) -> String {
        let error = &self.0;
        let response = match error.downcast_ref() {
            Some(sansocket::Error::Response(ResponseError::Refused(response))) => response,
            Some(sansocket::Error::Request(_) | sansocket::Error::Response(_)) => {
                return format!("the opening handshake failed: {error}");
            }
            _ => return error.to_string(),
        };
        match response.headers().get("Location") {
            Some(location) => format!("{error}, and points to {location}"),
            None => error.to_string(),
        }
    }
}

/// It is no error itself, so that it can be made of each that is.
impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// The status and the reason, and the first lines of the body.
fn refusal(response: &Response) -> Vec<String> {
    let mut first =
        format!("the server refused the WebSocket connection: {} {}", response.status(), response.reason());
    if let Some(location) = response.headers().get("Location") {
        first = format!("{}, and points to {location}", first.trim_end());
    }
    let body = String::from_utf8_lossy(response.body());
    let lines = body.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let shown =
        |line: &str| format!("  {}", escaped(&line.chars().take(REFUSAL_COLUMNS).collect::<String>()));
    iter::once(first).chain(lines.take(REFUSAL_LINES).map(shown)).collect()
}

const SENT: &str = "\x1b[32m";
const RECEIVED: &str = "\x1b[36m";
const NOTICE: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Of a binary message, as much is dumped.
const ROWS: usize = 16;
const ROW: usize = 16;

const REFUSAL_LINES: usize = 5;
const REFUSAL_COLUMNS: usize = 200;
