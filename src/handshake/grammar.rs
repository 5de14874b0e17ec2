//! The grammar of header values: tokens and lists (`1#token`).
//!
//! Every parser here looks at each byte once; none goes back.

use core::fmt;
use core::str;

/// A header value is not a list of what it should be a list of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "who asked for the list knows which it was")]
pub struct InvalidList;

impl fmt::Display for InvalidList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the header value breaks the grammar of a list")
    }
}

impl core::error::Error for InvalidList {}

/// The elements of a line that is a list. Empty elements are skipped, as RFC 9110 section 5.6.1.2 asks.
///
/// The elements themselves contain no comma, not even quoted: tokens, protocols, versions.
pub(super) fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// The elements of `#token` over all its lines.
pub(super) fn tokens<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = Result<&'a str, InvalidList>> {
    lines.flat_map(elements).map(|element| as_token(element).ok_or(InvalidList))
}

/// The element as text if it is a token.
pub(super) fn as_token(element: &[u8]) -> Option<&str> {
    if is_token(element) { str::from_utf8(element).ok() } else { None }
}

/// RFC 9110 section 5.6.2: one or more visible ASCII characters that are not separators.
#[inline]
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

#[inline]
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// RFC 9110 section 5.5: visible characters, space, tab, and the bytes from 0x80 on (`obs-text`).
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "without branches, many bytes are looked at at once")]
pub(super) fn is_value_byte(byte: u8) -> bool {
    (byte >= b' ') & (byte != 0x7f) | (byte == b'\t')
}

/// Without the optional whitespace (`OWS`) around it.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
