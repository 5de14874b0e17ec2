//! A request whose head an HTTP library has parsed.

use alloc::vec::Vec;

use super::error::{HeadError, RequestError};
use super::grammar::{is_token, trim};
use super::headers::{Field, Headers};
use super::http_request::{HttpRequest, RequestLine};

impl HttpRequest {
    /// `method` is a token, and no value has a byte that HTTP forbids: the library takes no others. It takes some
    /// targets and names that HTTP/1.1 does not have.
    pub(crate) fn from_parts<'a>(
        method: &str,
        target: &str,
        minor_version: u8,
        lines: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, RequestError> {
        // The parts, one behind the other.
        let mut text = Vec::new();
        let mut add = |part: &[u8]| {
            let start = text.len();
            text.extend_from_slice(part);
            start..text.len()
        };
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HeadError::InvalidStartLine.into());
        }
        let line =
            RequestLine { method: add(method.as_bytes()), target: add(target.as_bytes()), minor_version };
        let mut fields = Vec::new();
        for (name, value) in lines {
            let name = name.as_bytes();
            if !is_token(name) {
                return Err(HeadError::InvalidHeaderName.into());
            }
            fields.push(Field::new(name, add(name), add(trim(value))));
        }
        Self::new(line, Headers::new(text.into_boxed_slice(), fields), 0)
    }
}
