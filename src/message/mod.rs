//! Messages, and what is received of them: events that borrow the caller's buffer, and whole
//! messages that own, or share, their bytes.

mod assembler;
mod event;
mod fragmented;
mod prepared;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::{Bytes, BytesMut};

pub use self::assembler::Assembler;
pub use self::event::{Event, Fragment};
pub(crate) use self::fragmented::Fragmented;
pub use self::prepared::PreparedMessage;
use crate::frame::Opcode;
use crate::utf8::{InvalidUtf8, Utf8Bytes};

/// Whether a message is text or binary: its first frame's opcode says so (RFC 6455 section 5.6).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "what the RFC defines")]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Arbitrary bytes.
    Binary,
}

impl MessageKind {
    /// The opcode of the message's first frame.
    pub const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

/// A whole message. Cheap to clone: it shares its bytes.
///
/// A received message is a slice of the buffer it was read into, and keeps that buffer alive: copy
/// what you keep for long. (The adapters copy what is a small part of a buffer that is larger than 128 KiB.)
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "what the RFC defines")]
pub enum Message {
    /// UTF-8 text.
    Text(Utf8Bytes),
    /// Arbitrary bytes.
    Binary(Bytes),
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    pub fn binary(payload: impl Into<Bytes>) -> Self {
        Self::Binary(payload.into())
    }

    /// Whether the message is text or binary.
    #[inline]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Binary(_) => MessageKind::Binary,
        }
    }

    /// The payload, text or not.
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(payload) => payload,
        }
    }

    /// The payload, text or not, without a copy.
    #[doc(alias = "into_data")]
    #[inline]
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(payload) => payload,
        }
    }

    /// The text of a text message.
    #[doc(alias = "to_text")]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The text of a text message, without a copy. Gives a binary one back.
    ///
    /// ```
    /// # use sansocket::Message;
    /// let greeting = Message::text("hello").into_text().map_err(|_| "text is expected")?;
    /// assert_eq!(greeting, "hello");
    /// assert_eq!(Message::from([1, 2]).into_text(), Err(Message::from([1, 2])));
    /// # Ok::<(), &str>(())
    /// ```
    pub fn into_text(self) -> Result<Utf8Bytes, Self> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(_) => Err(self),
        }
    }

    /// The length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.payload().len()
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.payload().is_empty()
    }

    #[inline]
    pub(crate) fn new(kind: MessageKind, payload: Bytes) -> Result<Self, InvalidUtf8> {
        Ok(match kind {
            MessageKind::Text => Self::Text(payload.try_into()?),
            MessageKind::Binary => Self::Binary(payload),
        })
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Self::Binary(payload) => f.debug_tuple("Binary").field(payload).finish(),
        }
    }
}

/// What is text becomes a text message, what is bytes a binary one.
macro_rules! from {
    ($make:ident: $($from:ty),+) => {$(
        impl From<$from> for Message {
            fn from(payload: $from) -> Self {
                Self::$make(payload)
            }
        }
    )+};
}

from!(text: &str, String, &String, Cow<'_, str>, Box<str>, Arc<str>, Utf8Bytes);
from!(binary: Bytes, BytesMut, Vec<u8>, Box<[u8]>);

/// The payload, text or not, without a copy.
impl From<Message> for Bytes {
    fn from(message: Message) -> Self {
        message.into_payload()
    }
}

impl From<&[u8]> for Message {
    fn from(payload: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(payload))
    }
}

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(payload: &[u8; N]) -> Self {
        Self::from(payload.as_slice())
    }
}

impl<const N: usize> From<[u8; N]> for Message {
    fn from(payload: [u8; N]) -> Self {
        Self::from(payload.as_slice())
    }
}
