//! What a caller is handed: messages, parts of messages, and the control frames that carry data.

use bytes::Bytes;

use crate::message::{Message, MessageKind};

/// A message, or a control frame that carries application data.
#[derive(Clone, Debug, Eq, PartialEq)]
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

/// What a call asks for.
pub(crate) trait Want {
    type Item;
    /// Whether messages are handed out part by part.
    const PARTS: bool;

    /// `None`: it was not asked for, and is passed over.
    fn pick(found: Found) -> Option<Self::Item>;
}

/// What there may be in what was read.
pub(crate) enum Found {
    Message(Message),
    Part(Part),
    Ping(Bytes),
    Pong(Bytes),
}

/// Asks for messages.
pub(crate) enum Messages {}

impl Want for Messages {
    type Item = Message;
    const PARTS: bool = false;

    #[inline]
    fn pick(found: Found) -> Option<Message> {
        match found {
            Found::Message(message) => Some(message),
            Found::Part(_) | Found::Ping(_) | Found::Pong(_) => None,
        }
    }
}

/// Asks for messages, and for Pings and Pongs.
pub(crate) enum MessagesAndPings {}

impl Want for MessagesAndPings {
    type Item = Incoming;
    const PARTS: bool = false;

    #[inline]
    fn pick(found: Found) -> Option<Incoming> {
        match found {
            Found::Message(message) => Some(Incoming::Message(message)),
            Found::Ping(payload) => Some(Incoming::Ping(payload)),
            Found::Pong(payload) => Some(Incoming::Pong(payload)),
            Found::Part(_) => None,
        }
    }
}

/// Asks for messages in parts.
pub(crate) enum Parts {}

impl Want for Parts {
    type Item = Part;
    const PARTS: bool = true;

    #[inline]
    fn pick(found: Found) -> Option<Part> {
        match found {
            Found::Part(part) => Some(part),
            Found::Message(_) | Found::Ping(_) | Found::Pong(_) => None,
        }
    }
}
