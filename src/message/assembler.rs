//! Messages out of fragments (RFC 6455 section 5.4), inflated if they are compressed.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

#[cfg(all(feature = "std", feature = "handshake"))]
use bytes::Buf;
use bytes::{Bytes, BytesMut};

use super::{Fragment, Message, MessageKind};
use crate::config::Config;
use crate::error::ProtocolError;
#[cfg(all(feature = "std", feature = "handshake"))]
use crate::extension::Inflated;
use crate::extension::{AgreedDeflate, Inflater};
use crate::role::Role;
use crate::utf8::{TextInProgress, Utf8Validator, append};

/// Joins the fragments of a message, and inflates it if it is compressed.
///
/// Fragments are appended to one buffer, so that many small ones cost no more than their bytes. The
/// [`Receiver`](crate::Receiver) has checked the size of a message that is not compressed before it comes
/// here; that of a compressed one is checked while it is inflated.
#[derive(Default)]
pub struct Assembler {
    /// The message in progress, without the fragment now arriving.
    unfinished: Unfinished,
    inflater: Option<Box<Inflater>>,
}

impl Assembler {
    /// Inflates compressed messages with the `agreed` parameters, to no more than
    /// [`Config::max_message_size`](crate::Config::max_message_size).
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

    /// Adds a fragment, or a part of one, whose payload is kept without a copy when it is the whole message,
    /// or lies right behind the text pushed before.
    pub(crate) fn push_shared(
        &mut self,
        kind: MessageKind,
        compressed: bool,
        last: bool,
        payload: BytesMut,
    ) -> Result<Option<Message>, ProtocolError> {
        if kind == MessageKind::Text && !compressed {
            let text = self.unfinished.take_text().push(payload)?;
            if last {
                return Ok(Some(Message::Text(text.finish()?)));
            }
            self.unfinished = Unfinished::Text(text);
            return Ok(None);
        }
        let mut bytes = self.unfinished.take_bytes();
        if compressed {
            self.inflate(kind, &payload, last, &mut bytes)?;
        } else if last && bytes.is_empty() {
            return Ok(Some(Message::Binary(payload.freeze())));
        } else {
            append(&mut bytes, &payload);
        }
        if last {
            return Ok(Some(Message::new(kind, bytes.into())?));
        }
        self.unfinished = Unfinished::Bytes(bytes);
        Ok(None)
    }

    /// Takes what has been joined of an incomplete message.
    pub fn take(&mut self) -> Bytes {
        self.take_unfinished().0
    }

    /// Takes what has been joined of an incomplete message; and, if it is text that was validated here, the
    /// validator for what follows.
    pub(crate) fn take_unfinished(&mut self) -> (Bytes, Utf8Validator) {
        match core::mem::take(&mut self.unfinished) {
            Unfinished::Bytes(bytes) => (bytes.into(), Utf8Validator::default()),
            Unfinished::Text(text) => text.into_parts(),
        }
    }

    /// The text of an incomplete message, if more of it is to be read right behind it.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn text(&mut self) -> Option<&mut TextInProgress> {
        match &mut self.unfinished {
            Unfinished::Text(text) if text.is_in_place() => Some(text),
            Unfinished::Text(_) | Unfinished::Bytes(_) => None,
        }
    }

    /// Inflates all of a fragment's payload to the end of `out`.
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

    /// Inflates some of a fragment's payload, at most `room` bytes, behind what there is of the message; returns the
    /// message if that completes it. Drops from `payload` what was inflated; tells whether all of it was.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn push_inflated(
        &mut self,
        kind: MessageKind,
        payload: &mut Bytes,
        last: bool,
        room: usize,
    ) -> Result<(Option<Message>, Progress), ProtocolError> {
        let mut bytes = self.unfinished.take_bytes();
        let progress = self.inflate_some(kind, payload, last, room, &mut bytes)?;
        if last && progress.done {
            return Ok((Some(Message::new(kind, bytes.into())?), progress));
        }
        self.unfinished = Unfinished::Bytes(bytes);
        Ok((None, progress))
    }

    /// Inflates some of a fragment's payload: at most `room` bytes, which are returned. Drops from
    /// `payload` what was inflated; tells whether all of it was.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn inflate_part(
        &mut self,
        kind: MessageKind,
        payload: &mut Bytes,
        last: bool,
        room: usize,
    ) -> Result<(Bytes, Progress), ProtocolError> {
        let mut part = Vec::new();
        let progress = self.inflate_some(kind, payload, last, room, &mut part)?;
        Ok((part.into(), progress))
    }

    #[cfg(all(feature = "std", feature = "handshake"))]
    fn inflate_some(
        &mut self,
        kind: MessageKind,
        payload: &mut Bytes,
        last: bool,
        room: usize,
        out: &mut Vec<u8>,
    ) -> Result<Progress, ProtocolError> {
        let inflater = self.inflater.as_mut().ok_or(ProtocolError::InvalidCompressedData)?;
        let before = out.len();
        // No more of it at once than of what comes of it: what inflates to nothing is work, too.
        let taken = payload.get(..room).unwrap_or(payload);
        let whole = taken.len() == payload.len();
        let Inflated { consumed, done } = inflater.inflate(kind, taken, last && whole, room, out)?;
        payload.advance(consumed);
        let worked = out.len() - before + consumed + inflater.take_final_blocks();
        Ok(Progress { done: done && whole, worked })
    }
}

/// How far a fragment's payload was inflated.
#[cfg(all(feature = "std", feature = "handshake"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// All of it was.
    pub(crate) done: bool,
    /// How much work that was, in bytes.
    pub(crate) worked: usize,
}

impl fmt::Debug for Assembler {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembler")
            .field("len", &self.unfinished.len())
            .field("inflater", &self.inflater)
            .finish()
    }
}

/// What has been joined of a message that is not complete.
enum Unfinished {
    /// Of a binary message, or inflated.
    Bytes(Vec<u8>),
    Text(TextInProgress),
}

impl Default for Unfinished {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl Unfinished {
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
