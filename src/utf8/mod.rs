//! Incremental UTF-8 validation (RFC 3629 section 4) for text that arrives in pieces.
//!
//! "When an endpoint is to interpret a byte stream as UTF-8 but finds that the byte stream is not, in fact, a
//! valid UTF-8 stream, that endpoint MUST _Fail the WebSocket Connection_" (6455-8.1-01). The validator fails
//! at the first byte that no continuation could put right, also inside a frame that is still incomplete.

mod text;

use core::fmt;
use core::str;

pub use self::text::Utf8Bytes;
pub(crate) use self::text::{TextInProgress, append};

/// Validates text piece by piece; a piece may end inside a code point.
///
/// ```
/// use sansocket::utf8::Utf8Validator;
///
/// let mut validator = Utf8Validator::default();
/// assert!(validator.feed(b"\xe2\x82").is_ok()); // two thirds of the euro sign
/// assert!(validator.clone().finish().is_err());
/// assert!(validator.feed(b"\xac").is_ok());
/// assert!(validator.finish().is_ok());
/// assert!(validator.feed(b"\xf4\x90").is_err()); // above U+10FFFF, whatever follows
/// ```
#[derive(Clone, Debug, Default)]
pub struct Utf8Validator {
    /// The bytes so far of a code point that the last piece ended in: a fourth would complete it.
    partial: [u8; 3],
    /// How many bytes of `partial` count.
    len: u8,
}

impl Utf8Validator {
    /// Validates the next piece. After a failure the validator must not be used further.
    #[inline]
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        if self.len > 0 {
            piece = self.complete_partial(piece)?;
        }
        let (whole, prefix) = piece.split_at(piece.len() - prefix_len(piece));
        if simdutf8::basic::from_utf8(whole).is_err() {
            return Err(InvalidUtf8);
        }
        if str::from_utf8(prefix).is_err_and(|error| error.error_len().is_some()) {
            return Err(InvalidUtf8);
        }
        for byte in prefix {
            self.push(*byte);
        }
        Ok(())
    }

    /// Whether the text so far ends behind a code point.
    pub(crate) fn is_whole(&self) -> bool {
        self.len == 0
    }

    /// Ends the text: fails inside a code point. The validator is then ready for another text.
    #[inline]
    pub fn finish(&mut self) -> Result<(), InvalidUtf8> {
        match core::mem::take(&mut self.len) {
            0 => Ok(()),
            _ => Err(InvalidUtf8),
        }
    }

    /// Adds bytes to the split code point until it is whole; returns the rest of the piece.
    fn complete_partial<'a>(&mut self, mut piece: &'a [u8]) -> Result<&'a [u8], InvalidUtf8> {
        let [first, second, third] = self.partial;
        let mut code_point = [first, second, third, 0];
        while let ([byte, rest @ ..], len @ 1..=3) = (piece, usize::from(self.len)) {
            code_point[len] = *byte;
            piece = rest;
            match str::from_utf8(&code_point[..=len]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
                Err(_) => self.push(*byte),
            }
        }
        Ok(piece)
    }

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.partial.get_mut(usize::from(self.len)) {
            *slot = byte;
            self.len += 1;
        }
    }
}

/// How many bytes at the end of `piece` begin a code point that more bytes would complete, if it is one: at most three.
#[inline]
fn prefix_len(piece: &[u8]) -> usize {
    for (byte, len) in piece.iter().rev().zip(1..=3) {
        match byte {
            0x80..0xc0 => {}
            0xc0..0xe0 => return if len < 2 { len } else { 0 },
            0xe0..0xf0 => return if len < 3 { len } else { 0 },
            0xf0.. => return len,
            _ => return 0,
        }
    }
    0
}

/// The text is not UTF-8, and no continuation could make it so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "there is no more to say")]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is not valid UTF-8")
    }
}

impl core::error::Error for InvalidUtf8 {}
