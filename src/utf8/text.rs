//! Text that is cheap to clone: bytes that are shared, and known to be UTF-8.
//!
//! This module has `unsafe`, as one other has, `frame::mask::avx2`. In safe code, text inside [`Bytes`] is
//! validated again whenever it is looked at, or once by a crate that has its own `unsafe`, with the standard
//! library, which takes several times as long beyond ASCII: `cargo bench text` shows both. The safe twin of
//! [`Utf8Bytes::as_str`] is [`core::str::from_utf8`]; `tests/core/text.rs` and the fuzz target `text` compare
//! the two.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use bytes::{Bytes, BytesMut};

use super::{InvalidUtf8, Utf8Validator};

/// Text that is cheap to clone: [`Bytes`] known to be UTF-8. It dereferences to [`str`].
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Utf8Bytes {
    /// Valid UTF-8: made from a `str`, or validated. `Bytes` never change.
    bytes: Bytes,
}

/// Text that arrives in pieces: each is validated when it comes, and none again.
///
/// The pieces of one frame lie behind each other in the buffer that they were read into, and are joined
/// without a copy. Others are joined in memory of the text's own.
#[derive(Default)]
pub(crate) struct TextInProgress {
    /// What `utf8` was fed with, and nothing else, is `joined` and then `bytes`: nobody else has these bytes, so that they
    /// do not change. One of the two is empty.
    joined: Vec<u8>,
    bytes: BytesMut,
    utf8: Utf8Validator,
}

impl TextInProgress {
    pub(crate) fn len(&self) -> usize {
        self.joined.len() + self.bytes.len()
    }

    /// Adds a piece. Fails when no continuation could make it text, and drops the text then: a validator that
    /// has failed tells nothing more.
    pub(crate) fn push(mut self, piece: BytesMut) -> Result<Self, InvalidUtf8> {
        self.utf8.feed(&piece)?;
        if self.joined.is_empty()
            && (self.bytes.is_empty() || self.bytes.as_ptr_range().end == piece.as_ptr())
        {
            self.bytes.unsplit(piece);
        } else {
            append(&mut self.joined, &core::mem::take(&mut self.bytes));
            append(&mut self.joined, &piece);
        }
        Ok(self)
    }

    /// Ends the text; fails inside a code point.
    pub(crate) fn finish(mut self) -> Result<Utf8Bytes, InvalidUtf8> {
        self.utf8.finish()?;
        Ok(Utf8Bytes { bytes: self.into_parts().0 })
    }

    /// What there is of the text, and the validator for what follows.
    pub(crate) fn into_parts(self) -> (Bytes, Utf8Validator) {
        let bytes = if self.joined.is_empty() { self.bytes.freeze() } else { self.joined.into() };
        (bytes, self.utf8)
    }

    /// Whether the next piece can be joined without a copy, if it is read into [room](Self::room) behind the text.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn is_in_place(&self) -> bool {
        self.joined.is_empty()
    }

    /// Room for `room` bytes right behind the text, for the next piece to be read into.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn room(&mut self, room: usize) -> BytesMut {
        self.bytes.reserve(room);
        self.bytes.split_off(self.bytes.len())
    }

    /// Moves the text to memory of its own, and no more than it needs.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn detach(&mut self) {
        self.bytes = BytesMut::from(&*self.bytes);
    }
}

/// Adds a fragment to what there is of a message. Memory that is large grows by an eighth: it is moved more often than if
/// it doubled, still a bounded number of times for each byte, and a message holds little more than its bytes.
pub(crate) fn append(message: &mut Vec<u8>, fragment: &[u8]) {
    let len = message.len();
    if len > LARGE && message.capacity() - len < fragment.len() {
        message.reserve_exact(fragment.len().max(len / 8));
    }
    message.extend_from_slice(fragment);
}

/// What is smaller may double.
const LARGE: usize = 64 << 10;

impl Utf8Bytes {
    /// The text.
    #[inline]
    #[expect(unsafe_code, reason = "validating again takes longer than all else; see the module")]
    pub fn as_str(&self) -> &str {
        // SAFETY: `bytes` is valid UTF-8. The field is private; every function below that makes a `Utf8Bytes`
        // takes its bytes from a `str`, or validates them, and none changes them. `TextInProgress` has fed
        // all of its bytes to a `Utf8Validator`, in order, which failed neither then nor at their end.
        unsafe { core::str::from_utf8_unchecked(&self.bytes) }
    }

    /// Text that lives as long as the program.
    pub const fn from_static(text: &'static str) -> Self {
        Self { bytes: Bytes::from_static(text.as_bytes()) }
    }
}

impl Deref for Utf8Bytes {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Utf8Bytes {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Debug for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

/// Text is compared with text, on either side.
macro_rules! equals {
    ($($text:ty),+) => {$(
        impl PartialEq<$text> for Utf8Bytes {
            fn eq(&self, other: &$text) -> bool {
                self.as_str() == AsRef::<str>::as_ref(other)
            }
        }

        impl PartialEq<Utf8Bytes> for $text {
            fn eq(&self, other: &Utf8Bytes) -> bool {
                other == self
            }
        }
    )+};
}

equals!(str, &str, String, Cow<'_, str>);

impl From<&str> for Utf8Bytes {
    fn from(text: &str) -> Self {
        Self { bytes: Bytes::copy_from_slice(text.as_bytes()) }
    }
}

impl From<String> for Utf8Bytes {
    fn from(text: String) -> Self {
        Self { bytes: text.into() }
    }
}

impl From<Cow<'_, str>> for Utf8Bytes {
    fn from(text: Cow<'_, str>) -> Self {
        text.into_owned().into()
    }
}

impl From<Box<str>> for Utf8Bytes {
    fn from(text: Box<str>) -> Self {
        String::from(text).into()
    }
}

/// Text that is copied, once.
macro_rules! from_shared {
    ($($text:ty),+) => {$(
        impl From<$text> for Utf8Bytes {
            fn from(text: $text) -> Self {
                Self::from(AsRef::<str>::as_ref(&text))
            }
        }
    )+};
}

from_shared!(&String, Arc<str>);

impl TryFrom<Bytes> for Utf8Bytes {
    type Error = InvalidUtf8;

    /// Without a copy; fails when the bytes are not UTF-8.
    #[inline]
    fn try_from(bytes: Bytes) -> Result<Self, InvalidUtf8> {
        match simdutf8::basic::from_utf8(&bytes) {
            Ok(_) => Ok(Self { bytes }),
            Err(_) => Err(InvalidUtf8),
        }
    }
}

impl From<Utf8Bytes> for Bytes {
    fn from(text: Utf8Bytes) -> Self {
        text.bytes
    }
}

/// A copy.
impl From<Utf8Bytes> for String {
    fn from(text: Utf8Bytes) -> Self {
        text.as_str().into()
    }
}
