//! What a caller is handed: messages, parts of messages, and the control frames that carry data.

use bytes::Bytes;

use crate::message::{Message, MessageKind};

/// A message, or a control frame that carries application data.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Incoming {
    /// A whole message.
    Message(Message),
    /// A Ping's application data; the Pong is sent without the caller's help.
    Ping(Bytes),
    /// A Pong's application data.
    Pong(Bytes),
}

/// What happened to an [`Endpoint`](crate::Endpoint).
#[derive(Debug)]
#[non_exhaustive]
pub enum EndpointEvent {
    /// A client's request has come: [`accept`](crate::Endpoint::accept) it, or [`respond`](crate::Endpoint::respond).
    Request,
    /// The opening handshake is over: messages may be sent.
    Open,
    /// A message.
    Message(Message),
    /// A Ping's application data. It has been answered.
    Ping(Bytes),
    /// A Pong's application data.
    Pong(Bytes),
    /// All was written: close the stream for writing.
    ShutDown,
    /// Nothing is left to do, and nothing more will be told: drop the stream.
    Over,
}

/// Part of a message: a fragment's payload, as far as it has arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Part {
    /// Whether the message is text or binary.
    pub kind: MessageKind,
    /// The message begins with this part.
    pub first: bool,
    /// The message ends with this part, which may be empty.
    pub last: bool,
    /// The payload. A part of a text message may begin or end inside a code point, but the text up to
    /// here has been validated.
    pub payload: Bytes,
}

impl Part {
    /// A part such as `recv_part` returns, for those who make their own.
    pub fn new(kind: MessageKind, first: bool, last: bool, payload: impl Into<Bytes>) -> Self {
        Self { kind, first, last, payload: payload.into() }
    }
}

/// What a call asks for: messages, messages with Pings and Pongs, or parts of messages.
pub(crate) trait Item: Sized {
    /// Whether messages are handed out part by part.
    const PARTS: bool;

    /// Whether all that comes is discarded, whatever it is.
    const DISCARDS: bool = false;

    /// `None`: it was not asked for, and is passed over.
    fn pick(found: Found) -> Option<Self>;
}

/// What there may be in what was read.
pub(crate) enum Found {
    Message(Message),
    Part(Part),
    Ping(Bytes),
    Pong(Bytes),
}

impl Item for Message {
    const PARTS: bool = false;

    #[inline]
    fn pick(found: Found) -> Option<Self> {
        match found {
            Found::Message(message) => Some(message),
            Found::Part(_) | Found::Ping(_) | Found::Pong(_) => None,
        }
    }
}

impl Item for Incoming {
    const PARTS: bool = false;

    fn pick(found: Found) -> Option<Self> {
        match found {
            Found::Message(message) => Some(Self::Message(message)),
            Found::Ping(payload) => Some(Self::Ping(payload)),
            Found::Pong(payload) => Some(Self::Pong(payload)),
            Found::Part(_) => None,
        }
    }
}

impl Item for Part {
    const PARTS: bool = true;

    fn pick(found: Found) -> Option<Self> {
        match found {
            Found::Part(part) => Some(part),
            Found::Message(_) | Found::Ping(_) | Found::Pong(_) => None,
        }
    }
}

/// What a caller asks for that has no use for anything.
pub(crate) enum Nothing {}

impl Item for Nothing {
    const PARTS: bool = true;
    const DISCARDS: bool = true;

    fn pick(_: Found) -> Option<Self> {
        None
    }
}
