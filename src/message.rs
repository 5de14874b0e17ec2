//! Messages, and what is received of them: events that borrow the caller's buffer, and whole
//! messages that own, or share, their bytes.

#[cfg(feature = "deflate")]
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

#[cfg(all(feature = "deflate", any(feature = "blocking", feature = "tokio")))]
use bytes::Buf;
use bytes::{Bytes, BytesMut};

#[cfg(feature = "deflate")]
use crate::config::Config;
use crate::error::ProtocolError;
#[cfg(feature = "deflate")]
use crate::extension::{AgreedDeflate, Inflater};
use crate::frame::{CloseFrame, Opcode};
#[cfg(feature = "deflate")]
use crate::role::Role;
use crate::utf8::{InvalidUtf8, TextInProgress, Utf8Bytes, Utf8Validator};

/// Whether a message is text or binary: its first frame's opcode says so (RFC 6455 section 5.6).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
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

/// What was received, as a view of the caller's buffer.
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fragment<'b> {
    /// Whether the message is text or binary.
    pub kind: MessageKind,
    /// The payload is compressed: an [`Assembler`] inflates it. Never, unless permessage-deflate was
    /// negotiated.
    pub compressed: bool,
    /// The message begins with this fragment.
    pub first: bool,
    /// The message ends with this fragment.
    pub last: bool,
    /// Unmasked. A fragment of a text message may begin or end inside a code point, but the text up
    /// to here has been validated, unless it is compressed.
    pub payload: &'b [u8],
}

/// A whole message. Cheap to clone: it shares its bytes.
///
/// A received message is a slice of the buffer it was read into, and keeps that buffer alive: copy
/// what you keep for long.
#[derive(Clone, Eq, PartialEq)]
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
    #[inline]
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(payload) => payload,
        }
    }

    /// The text of a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
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

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(payload: Bytes) -> Self {
        Self::Binary(payload)
    }
}

impl From<Vec<u8>> for Message {
    fn from(payload: Vec<u8>) -> Self {
        Self::binary(payload)
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

/// Joins the fragments of a message, and inflates it if it is compressed.
///
/// Fragments are appended to one buffer, so that many small ones cost no more than their bytes. The
/// [`Receiver`](crate::Receiver) has checked the size of a message that is not compressed before it comes
/// here; that of a compressed one is checked while it is inflated.
#[derive(Default)]
pub struct Assembler {
    /// The message in progress, without the fragment now arriving.
    joined: Joined,
    #[cfg(feature = "deflate")]
    inflater: Option<Box<Inflater>>,
}

impl Assembler {
    /// Inflates compressed messages with the `agreed` parameters, to no more than
    /// [`Config::max_message_size`](crate::Config::max_message_size).
    #[cfg(feature = "deflate")]
    pub fn use_deflate(&mut self, role: Role, config: &Config, agreed: AgreedDeflate) {
        self.inflater = Some(Box::new(Inflater::new(agreed, role, config.settings.max_message_size)));
    }

    /// Adds a fragment; returns the message that it completes.
    ///
    /// An error is the peer's fault: fail the connection with it. ([`Connection::fail`] does.)
    ///
    /// [`Connection::fail`]: crate::connection::Connection::fail
    pub fn push(&mut self, fragment: &Fragment<'_>) -> Result<Option<Message>, ProtocolError> {
        let Fragment { kind, compressed, last, payload, .. } = *fragment;
        self.push_shared(kind, compressed, last, BytesMut::from(payload))
    }

    /// Adds a fragment, or a part of one, whose payload is kept without a copy when it is the whole message, or
    /// lies right behind the text pushed before.
    pub(crate) fn push_shared(
        &mut self,
        kind: MessageKind,
        compressed: bool,
        last: bool,
        payload: BytesMut,
    ) -> Result<Option<Message>, ProtocolError> {
        if kind == MessageKind::Text && !compressed {
            let text = self.joined.take_text().push(payload)?;
            if last {
                return Ok(Some(Message::Text(text.finish()?)));
            }
            self.joined = Joined::Text(text);
            return Ok(None);
        }
        let mut bytes = self.joined.take_bytes();
        if compressed {
            self.inflate(kind, &payload, last, &mut bytes)?;
        } else if last && bytes.is_empty() {
            return Ok(Some(Message::Binary(payload.freeze())));
        } else {
            bytes.extend_from_slice(&payload);
        }
        if last {
            return Ok(Some(Message::new(kind, bytes.into())?));
        }
        self.joined = Joined::Bytes(bytes);
        Ok(None)
    }

    /// Takes what has been joined of an incomplete message.
    pub fn take(&mut self) -> Bytes {
        self.take_unfinished().0
    }

    /// Takes what has been joined of an incomplete message; and, if it is text that was validated here, the
    /// validator for what follows.
    pub(crate) fn take_unfinished(&mut self) -> (Bytes, Utf8Validator) {
        match core::mem::take(&mut self.joined) {
            Joined::Bytes(bytes) => (bytes.into(), Utf8Validator::default()),
            Joined::Text(text) => text.into_parts(),
        }
    }

    /// The text that has been joined of an incomplete message.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn text(&mut self) -> Option<&mut TextInProgress> {
        match &mut self.joined {
            Joined::Text(text) => Some(text),
            Joined::Bytes(_) => None,
        }
    }

    /// Inflates all of a fragment's payload to the end of `out`.
    #[cfg(feature = "deflate")]
    fn inflate(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let inflater = self.inflater.as_mut().ok_or(ProtocolError::InvalidCompressedData)?;
        inflater.inflate(kind, payload, last, usize::MAX, out)?;
        Ok(())
    }

    #[cfg(not(feature = "deflate"))]
    #[expect(clippy::unused_self, reason = "the feature `deflate` has a buffer to inflate to")]
    fn inflate(&mut self, _: MessageKind, _: &[u8], _: bool, _: &mut Vec<u8>) -> Result<(), ProtocolError> {
        Err(ProtocolError::InvalidCompressedData)
    }

    /// Inflates some of a fragment's payload: at most `room` bytes, which are returned. Drops from
    /// `payload` what was inflated; tells whether all of it was.
    #[cfg(all(feature = "deflate", any(feature = "blocking", feature = "tokio")))]
    pub(crate) fn inflate_part(
        &mut self,
        kind: MessageKind,
        payload: &mut Bytes,
        last: bool,
        room: usize,
    ) -> Result<(Bytes, bool), ProtocolError> {
        let inflater = self.inflater.as_mut().ok_or(ProtocolError::InvalidCompressedData)?;
        let mut part = Vec::new();
        let progress = inflater.inflate(kind, payload, last, room, &mut part)?;
        payload.advance(progress.consumed);
        Ok((part.into(), progress.done))
    }
}

impl fmt::Debug for Assembler {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Assembler");
        debug.field("len", &self.joined.len());
        #[cfg(feature = "deflate")]
        debug.field("inflater", &self.inflater);
        debug.finish()
    }
}

/// What has been joined of a message.
enum Joined {
    /// Of a binary message, or inflated.
    Bytes(Vec<u8>),
    Text(TextInProgress),
}

impl Default for Joined {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl Joined {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
        }
    }

    /// Takes the text in progress: an empty one, when there is none.
    fn take_text(&mut self) -> TextInProgress {
        match core::mem::take(self) {
            Self::Bytes(_) => TextInProgress::default(),
            Self::Text(text) => text,
        }
    }

    /// Takes what there is of a message that is no text, or compressed.
    fn take_bytes(&mut self) -> Vec<u8> {
        match core::mem::take(self) {
            Self::Bytes(bytes) => bytes,
            Self::Text(_) => Vec::new(),
        }
    }
}
