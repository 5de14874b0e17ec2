//! Header lines that are sent: written, and checked where the application adds them.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::error::BuildError;
use super::grammar::{is_token, is_value_byte};
use super::headers::debug_lines;

/// Header lines that the application adds to a head, checked so that none can end its line or repeat what the handshake
/// writes.
#[derive(Clone, Default, Eq, PartialEq)]
pub(super) struct ExtraHeaders(Vec<(String, String)>);

impl ExtraHeaders {
    /// Adds a line unless `is_reserved` knows its name, which is given to it in lower case.
    pub(super) fn add(
        &mut self,
        name: &str,
        value: &str,
        is_reserved: impl FnOnce(&str) -> bool,
    ) -> Result<(), BuildError> {
        if !is_token(name.as_bytes()) {
            return Err(BuildError::InvalidHeaderName(name.to_owned()));
        }
        if is_reserved(&name.to_ascii_lowercase()) {
            return Err(BuildError::ReservedHeader(name.to_owned()));
        }
        // Bytes from 0x80 on are taken from a peer, but not sent to one.
        if !value.bytes().all(|byte| byte.is_ascii() && is_value_byte(byte)) {
            return Err(BuildError::InvalidHeaderValue(name.to_owned()));
        }
        self.0.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    }

    /// Adds a line that is known to be valid.
    pub(super) fn push(&mut self, name: &'static str, value: &'static str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Name and value of each line.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }
}

/// Without the values that are secrets.
impl fmt::Debug for ExtraHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_lines(self.iter(), f)
    }
}

/// Appends `name: value CR LF`. Name and value were checked by the caller.
#[inline]
pub(super) fn write_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// All values as one list, if there are any.
pub(super) fn list_of<T: ToString>(values: &[T]) -> Option<String> {
    let (first, rest) = values.split_first()?;
    Some(rest.iter().fold(first.to_string(), |list, value| list + ", " + &value.to_string()))
}
