//! What a program calls, one call after the other, and what each is to come to.

use std::time::Duration;

use bytes::Bytes;
use sansocket::handshake::Reply;
use sansocket::{
    Client, CloseCode, CloseFrame, Config, Error, Message, MessageKind, PreparedMessage, Server,
};

use crate::adapter::{Receives, Sends};
use crate::lines;

/// A call of a program.
#[derive(Clone, Debug)]
pub enum Call {
    Recv,
    RecvIncoming,
    RecvPart,
    /// Receives all parts of a message.
    RecvParts,
    Send(Message),
    SendFramed(Message),
    Feed(Message),
    TryFeed(Message),
    TryFeedPrepared(Message),
    /// How much is queued.
    Queued,
    FeedPart(MessageKind, Bytes, bool),
    /// By a `MessageWriter`, a write for each.
    Write(MessageKind, Vec<String>),
    Flush,
    Ping(String),
    Pong(String),
    StartClose(Option<(u16, String)>),
    Close(u16, String),
    /// Sends a message now and then, and receives nothing.
    SendOn(Until),
    /// Does something else.
    Pause(Duration),
    /// Joins the halves, or those that a whole WebSocket is split into before.
    Reunite,
    /// Splits a whole WebSocket.
    Split,
    /// What the opening handshake came to.
    Agreed,
    /// Makes a stream of bytes of a whole WebSocket, which takes text or not.
    ByteStream(bool),
    /// Makes a WebSocket of that again: what was not read.
    IntoParts,
    /// Reads so many bytes, until the end if there are less.
    Read(usize),
    /// Writes once: how much.
    WriteBytes(Vec<u8>),
    ShutDown,
    DropSender,
    DropReceiver,
    DropAll,
    /// Looks at what the peer has seen up to now; nothing else runs meanwhile.
    Seen,
    /// How many writes there were.
    Writes,
    /// Tells the peer something.
    Tell(&'static str),
    /// Waits until the peer has told something.
    Hear(&'static str),
    Connect(Client),
    Accept(Server),
    /// Sets the configuration of the connection that is to be accepted.
    Configure(Config),
    Open,
    Respond(Reply),
    Reject(u16, String),
    /// Reads the request's body, with so many bytes at most: comes to what is in it.
    ReadBody(usize),
    /// Comes to what was read, and drops the stream.
    HandOver,
}

/// How long a program sends on.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// Until it fails.
    Fails,
    /// Until the peer has told this.
    Told(&'static str),
    /// Whether it fails or not, until the connection has closed.
    Closed,
}

/// A call, and the line that it is to come to.
#[derive(Clone, Debug)]
pub struct Expected {
    pub call: Call,
    pub line: String,
}

impl Call {
    /// What it is called in reports.
    pub fn name(&self) -> String {
        match self {
            Self::Send(message) => format!("send {}", lines::message(message)),
            Self::SendFramed(message) => format!("send_prepared {}", lines::message(message)),
            Self::Feed(message) => format!("feed {}", lines::message(message)),
            Self::TryFeed(message) => format!("try_feed {}", lines::message(message)),
            Self::TryFeedPrepared(message) => format!("try_feed prepared {}", lines::message(message)),
            Self::FeedPart(_, payload, _) => format!("feed_part {}", lines::payload(payload)),
            Self::Accept(_) => "accept".into(),
            Self::Connect(_) => "connect".into(),
            Self::Configure(_) => "set_config".into(),
            Self::Respond(_) => "respond".into(),
            other => format!("{other:?}"),
        }
    }

    /// It is to come to this.
    pub fn gives(self, line: impl Into<String>) -> Expected {
        Expected { call: self, line: line.into() }
    }

    /// It is to succeed, and has nothing to return.
    pub fn ok(self) -> Expected {
        self.gives("ok")
    }

    /// It is to return `None`.
    pub fn none(self) -> Expected {
        self.gives("none")
    }

    /// What it comes to is a matter of how the program has its WebSocket; the adapters are compared.
    pub fn gives_any(self) -> Expected {
        self.gives(ANY)
    }

    pub fn text(self, text: &str) -> Expected {
        self.gives(format!("text {text:?}"))
    }
}

pub fn recv() -> Call {
    Call::Recv
}

pub fn recv_incoming() -> Call {
    Call::RecvIncoming
}

pub fn recv_part() -> Call {
    Call::RecvPart
}

pub fn recv_parts() -> Call {
    Call::RecvParts
}

pub fn send(message: impl Into<Message>) -> Call {
    Call::Send(message.into())
}

pub fn send_prepared(message: impl Into<Message>) -> Call {
    Call::SendFramed(message.into())
}

pub fn feed(message: impl Into<Message>) -> Call {
    Call::Feed(message.into())
}

pub fn try_feed(message: impl Into<Message>) -> Call {
    Call::TryFeed(message.into())
}

pub fn try_feed_prepared(message: impl Into<Message>) -> Call {
    Call::TryFeedPrepared(message.into())
}

/// So many messages, in so many bytes of frames.
pub fn queued(messages: usize, bytes: usize) -> Expected {
    Call::Queued.gives(format!("{messages} messages, {bytes} bytes"))
}

pub fn feed_part(kind: MessageKind, payload: impl Into<Bytes>, last: bool) -> Call {
    Call::FeedPart(kind, payload.into(), last)
}

/// Of a whole WebSocket: writes a message, chunk by chunk, and finishes it.
pub fn write<T: Into<String>>(kind: MessageKind, chunks: impl IntoIterator<Item = T>) -> Call {
    Call::Write(kind, chunks.into_iter().map(Into::into).collect())
}

pub fn flush() -> Call {
    Call::Flush
}

pub fn ping(payload: impl Into<String>) -> Call {
    Call::Ping(payload.into())
}

pub fn pong(payload: impl Into<String>) -> Call {
    Call::Pong(payload.into())
}

pub fn start_close(code: u16, reason: &str) -> Call {
    Call::StartClose(Some((code, reason.into())))
}

/// Starts the closing handshake without a code.
pub fn start_close_without_code() -> Call {
    Call::StartClose(None)
}

/// Of halves in one hand: the sending half's `close`, and then what the receiving half has to do.
pub fn close(code: u16, reason: &str) -> Call {
    Call::Close(code, reason.into())
}

/// Sends `TICK` now and then until that fails: comes to the error.
pub fn send_until_it_fails() -> Call {
    Call::SendOn(Until::Fails)
}

/// Sends `TICK` now and then until the peer has told something.
pub fn send_until_told(what: &'static str) -> Expected {
    Call::SendOn(Until::Told(what)).ok()
}

/// Sends `TICK` now and then, though it fails, until the connection has closed.
pub fn send_until_closed() -> Expected {
    Call::SendOn(Until::Closed).ok()
}

/// The program does something else for so long.
pub fn pause(time: Duration) -> Expected {
    Call::Pause(time).ok()
}

/// Has a whole WebSocket from now on: of halves, those that were joined.
pub fn reunite() -> Expected {
    Call::Reunite.ok()
}

/// Has halves from now on, of a whole WebSocket.
pub fn split() -> Expected {
    Call::Split.ok()
}

/// The subprotocol, and the status of the response, for all who have a part of the connection.
pub fn agreed(subprotocol: Option<&str>, status: Option<u16>) -> Expected {
    Call::Agreed.gives(lines::agreed((subprotocol, status)))
}

/// Has a stream of bytes from now on, of a whole WebSocket.
pub fn byte_stream() -> Expected {
    Call::ByteStream(false).ok()
}

/// The same, and text is bytes too.
pub fn byte_stream_with_text() -> Expected {
    Call::ByteStream(true).ok()
}

/// Has a WebSocket again: comes to what was not read.
pub fn into_parts(unread: &str) -> Expected {
    Call::IntoParts.gives(format!("{unread:?}"))
}

/// Reads so many bytes, or all that is left; or comes to an error.
pub fn read(len: usize) -> Call {
    Call::Read(len)
}

/// Writes once, and flushes: comes to how much was written.
pub fn write_bytes(bytes: impl Into<Vec<u8>>) -> Call {
    Call::WriteBytes(bytes.into())
}

/// Ends what is written.
pub fn shut_down() -> Call {
    Call::ShutDown
}

pub fn drop_sender() -> Expected {
    Call::DropSender.ok()
}

pub fn drop_receiver() -> Expected {
    Call::DropReceiver.ok()
}

pub fn drop_all() -> Expected {
    Call::DropAll.ok()
}

pub fn seen<const N: usize>(lines: [&str; N]) -> Expected {
    Call::Seen.gives(lines.join(", "))
}

pub fn writes(count: usize) -> Expected {
    Call::Writes.gives(count.to_string())
}

pub fn tell(what: &'static str) -> Expected {
    Call::Tell(what).ok()
}

pub fn hear(what: &'static str) -> Expected {
    Call::Hear(what).ok()
}

pub fn connect(client: &Client) -> Call {
    Call::Connect(client.clone())
}

pub fn accept(server: &Server) -> Call {
    Call::Accept(server.clone())
}

pub fn configure(config: &Config) -> Call {
    Call::Configure(config.clone())
}

pub fn open() -> Call {
    Call::Open
}

pub fn respond(reply: Reply) -> Call {
    Call::Respond(reply)
}

pub fn reject(status: u16, text: &str) -> Call {
    Call::Reject(status, text.into())
}

pub fn read_body(limit: usize) -> Call {
    Call::ReadBody(limit)
}

pub fn hand_over() -> Call {
    Call::HandOver
}

/// Makes a call of something that receives; `None` if it is no such call.
pub async fn receive(half: &mut impl Receives, call: &Call) -> Option<String> {
    Some(match call {
        Call::Recv => lines::received(half.recv().await, lines::message),
        Call::RecvIncoming => lines::received(half.recv_incoming().await, lines::incoming),
        Call::RecvPart => lines::received(half.recv_part().await, lines::part),
        Call::RecvParts => lines::received(all_parts(half).await, String::clone),
        _ => return None,
    })
}

/// The parts of a message together, as a message is told; of a large one, only how long it is.
async fn all_parts(half: &mut impl Receives) -> Result<Option<String>, Error> {
    let (mut joined, mut len) = (Vec::new(), 0);
    while let Some(part) = half.recv_part().await? {
        assert_eq!(part.first, len == 0, "the first part is told to be, and no other");
        assert!(part.payload.len() <= LARGE_PART, "a part of {} bytes", part.payload.len());
        len += part.payload.len();
        if len <= 8 * LARGE_PART {
            joined.extend_from_slice(&part.payload);
        }
        if part.last {
            let payload = if len == joined.len() { lines::payload(&joined) } else { format!("{len} bytes") };
            return Ok(Some(format!("{} {payload}", lines::kind(part.kind))));
        }
    }
    Ok(None)
}

/// No part is larger, whatever the frame is.
const LARGE_PART: usize = 128 << 10;

/// Makes a call of something that sends; `None` if it is no such call.
pub async fn transmit(half: &mut impl Sends, call: &Call) -> Option<String> {
    let result = match call {
        Call::Send(message) => half.send(message.clone()).await,
        Call::SendFramed(message) => half.send_prepared(&PreparedMessage::new(message.clone())).await,
        Call::Feed(message) => half.feed(message.clone()).await,
        Call::TryFeed(message) => return Some(lines::room(half.try_feed(message.clone()))),
        Call::TryFeedPrepared(message) => {
            return Some(lines::room(half.try_feed_prepared(&PreparedMessage::new(message.clone()))));
        }
        Call::Queued => {
            let queued = half.queued();
            return Some(format!("{} messages, {} bytes", queued.messages, queued.bytes));
        }
        Call::FeedPart(kind, payload, last) => half.feed_part(*kind, payload.clone(), *last).await,
        Call::Flush => half.flush().await,
        Call::Ping(payload) => half.ping(payload.as_bytes()).await,
        Call::Pong(payload) => half.pong(payload.as_bytes()).await,
        Call::StartClose(close) => half.start_close(
            close.as_ref().map(|(code, reason)| CloseFrame { code: CloseCode::new(*code), reason }),
        ),
        Call::Close(code, reason) => half.close(CloseCode::new(*code), reason).await,
        _ => return None,
    };
    Some(lines::done(result))
}

/// What is sent now and then.
pub const TICK: &str = "tick";

/// Any line.
pub const ANY: &str = "anything";
