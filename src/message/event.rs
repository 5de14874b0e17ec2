//! What is received, before messages are made of it.

use super::MessageKind;
use crate::frame::CloseFrame;

/// What was received, as a view of the caller's buffer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'b> {
    /// A fragment of a message; an unfragmented message is one fragment, first and last.
    Data(Fragment<'b>),
    /// A Ping's application data. The Pong is sent by [`Connection`](crate::Connection), or by
    /// [`Sender::answer`](crate::Sender::answer).
    Ping(&'b [u8]),
    /// A Pong's application data.
    Pong(&'b [u8]),
    /// A Close frame. Nothing is received after it.
    Close(Option<CloseFrame<'b>>),
}

/// A data frame's payload, or, from [`Receiver::receive_part`](crate::Receiver::receive_part), part of it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fragment<'b> {
    /// Whether the message is text or binary.
    pub kind: MessageKind,
    /// The payload is compressed: an [`Assembler`](super::Assembler) inflates it. Never, unless
    /// permessage-deflate was negotiated.
    pub compressed: bool,
    /// The message begins with this fragment.
    pub first: bool,
    /// The message ends with this fragment.
    pub last: bool,
    /// Unmasked. A fragment of a text message may begin or end inside a code point, but the text up
    /// to here has been validated, unless it is compressed.
    pub payload: &'b [u8],
}

impl<'b> Fragment<'b> {
    /// A fragment that is not compressed, for an [`Assembler`](super::Assembler).
    pub const fn new(kind: MessageKind, first: bool, last: bool, payload: &'b [u8]) -> Self {
        Self { kind, compressed: false, first, last, payload }
    }
}
