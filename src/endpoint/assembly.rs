//! The message in progress: what was joined of it, and what is still to be inflated.

use core::fmt;

use bytes::{Bytes, BytesMut};

use crate::config::Config;
use crate::error::ProtocolError;
use crate::extension::AgreedDeflate;
use crate::message::{Assembler, Message, MessageKind};
use crate::role::Role;
use crate::utf8::{TextInProgress, Utf8Validator};

/// A message of which there is only a part.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    assembler: Assembler,
    /// The kind of the message that `assembler` holds fragments of.
    kind: Option<MessageKind>,
    /// What is still to be inflated of a fragment.
    inflating: Option<Inflating>,
}

/// What some of a fragment inflated to.
pub(super) enum Inflation {
    /// It was joined to the message in progress.
    Nothing,
    Message(Message),
    /// Of a message that is handed out in parts: its kind, the payload, and whether it is the last.
    Part(MessageKind, Bytes, bool),
}

impl Assembly {
    pub(super) fn use_deflate(&mut self, role: Role, config: &Config, agreed: AgreedDeflate) {
        self.assembler.use_deflate(role, config, agreed);
    }

    /// Whether no message is in progress.
    #[cfg(feature = "tokio")]
    pub(super) fn is_idle(&self) -> bool {
        self.kind.is_none() && self.inflating.is_none()
    }

    /// Adds a fragment that is not compressed, or a part of one; returns the message that it completes.
    pub(super) fn push(
        &mut self,
        kind: MessageKind,
        last: bool,
        payload: BytesMut,
    ) -> Result<Option<Message>, ProtocolError> {
        let message = self.assembler.push_shared(kind, false, last, payload)?;
        self.kind = message.is_none().then_some(kind);
        Ok(message)
    }

    /// Takes a fragment that is compressed, or a part of one, to [inflate](Self::inflate) it.
    pub(super) fn begin_inflating(&mut self, kind: MessageKind, payload: Bytes, last: bool) {
        self.inflating = Some(Inflating { kind, payload, last });
    }

    /// Inflates some of the fragment that was taken, if anything is left of it, since a small payload can inflate to more
    /// than is to be held, or done, at once. Tells how much work that was, in bytes.
    pub(super) fn inflate(&mut self, parts: bool) -> Result<Option<(Inflation, usize)>, ProtocolError> {
        let Some(Inflating { kind, mut payload, last }) = self.inflating.take() else {
            return Ok(None);
        };
        let (inflation, progress) = if parts {
            let (bytes, progress) = self.assembler.inflate_part(kind, &mut payload, last, MAX_PART)?;
            (Inflation::Part(kind, bytes, last && progress.done), progress)
        } else {
            let (message, progress) = self.assembler.push_inflated(kind, &mut payload, last, MAX_STEP)?;
            self.kind = message.is_none().then_some(kind);
            (message.map_or(Inflation::Nothing, Inflation::Message), progress)
        };
        if !progress.done {
            self.inflating = Some(Inflating { kind, payload, last });
        }
        Ok(Some((inflation, progress.worked)))
    }

    /// Takes the fragments that were joined, with their kind, and the validator for what follows.
    pub(super) fn take_unfinished(&mut self) -> Option<(MessageKind, Bytes, Utf8Validator)> {
        let kind = self.kind.take()?;
        let (joined, utf8) = self.assembler.take_unfinished();
        Some((kind, joined, utf8))
    }

    /// The text that has been joined of an incomplete message.
    pub(super) fn text(&mut self) -> Option<&mut TextInProgress> {
        self.assembler.text()
    }
}

/// A fragment, or a part of one, as far as it is not inflated.
struct Inflating {
    kind: MessageKind,
    payload: Bytes,
    last: bool,
}

impl fmt::Debug for Inflating {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflating").field("len", &self.payload.len()).finish_non_exhaustive()
    }
}

/// The largest part to inflate at once.
const MAX_PART: usize = 64 << 10;

/// How much to inflate at once of a message that is handed out whole.
const MAX_STEP: usize = 128 << 10;
