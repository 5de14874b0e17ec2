//! A message that is being sent in fragments (RFC 6455 section 5.4).

use super::MessageKind;
use crate::error::SendError;
use crate::utf8::Utf8Validator;

/// A message that was begun and has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Fragmented {
    pub(crate) kind: MessageKind,
    compressed: bool,
    /// Of a text message: what was sent so far.
    utf8: Utf8Validator,
}

impl Fragmented {
    /// Without a fragment.
    pub(crate) fn new(kind: MessageKind, compressed: bool) -> Self {
        Self { kind, compressed, utf8: Utf8Validator::default() }
    }

    /// Whether it can go on with such a fragment.
    pub(crate) fn is_of(&self, kind: MessageKind, compressed: bool) -> bool {
        (self.kind, self.compressed) == (kind, compressed)
    }

    #[inline]
    pub(crate) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Adds a fragment, unless its text, and that before it, cannot be valid.
    pub(crate) fn add(&mut self, payload: &[u8], last: bool) -> Result<(), SendError> {
        if self.kind == MessageKind::Text {
            self.utf8.feed(payload).map_err(|_| SendError::InvalidUtf8)?;
            if last {
                self.utf8.finish().map_err(|_| SendError::InvalidUtf8)?;
            }
        }
        Ok(())
    }
}
