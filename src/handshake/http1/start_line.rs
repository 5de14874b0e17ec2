//! The first line of an HTTP/1.1 head: request line and status line.

use core::ops::Range;

use crate::handshake::error::HeadError;
use crate::handshake::grammar::is_token_byte;
use crate::handshake::http_request::RequestLine;
use crate::handshake::response::StatusLine;

/// The first line of a head.
pub(crate) trait StartLine: Default {
    /// Whether empty lines before it are skipped.
    const AFTER_EMPTY_LINES: bool;

    fn may_start_with(byte: u8) -> bool;

    /// Parses `input[line]`, the line without its CR LF: it contains no control characters but tabs.
    fn parse(input: &[u8], line: Range<usize>) -> Result<Self, HeadError>;
}

impl StartLine for RequestLine {
    const AFTER_EMPTY_LINES: bool = true;

    fn may_start_with(byte: u8) -> bool {
        is_token_byte(byte)
    }

    fn parse(input: &[u8], line: Range<usize>) -> Result<Self, HeadError> {
        let text = input.get(line.clone()).unwrap_or_default();
        let mut parsed = httparse::Request::new(&mut []);
        // Its result says that there are no headers yet, or that the version is wrong: `minor_version` knows better.
        let _ = parsed.parse(text);
        let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
            return Err(HeadError::InvalidStartLine);
        };
        // `httparse` takes a target in UTF-8.
        if !target.is_ascii() {
            return Err(HeadError::InvalidStartLine);
        }
        // One space after each, or `httparse` would not take them.
        let method_end = line.start + method.len();
        let target_start = method_end + 1;
        let target_end = target_start + target.len();
        let version = input.get(target_end + 1..line.end).unwrap_or_default();
        Ok(Self {
            method: line.start..method_end,
            target: target_start..target_end,
            minor_version: minor_version(version)?,
        })
    }
}

impl StartLine for StatusLine {
    const AFTER_EMPTY_LINES: bool = false;

    fn may_start_with(byte: u8) -> bool {
        byte == b'H'
    }

    fn parse(input: &[u8], line: Range<usize>) -> Result<Self, HeadError> {
        let text = input.get(line.clone()).unwrap_or_default();
        // Stricter than `httparse`, which knows neither HTTP/1.2 nor that the second space must be there.
        let (version, rest) = text.split_at_checked(8).ok_or(HeadError::InvalidStartLine)?;
        let minor_version = minor_version(version)?;
        let [b' ', hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b' ', reason @ ..] = rest
        else {
            return Err(HeadError::InvalidStartLine);
        };
        let status = 100 * u16::from(hundreds - b'0') + 10 * u16::from(tens - b'0') + u16::from(ones - b'0');
        Ok(Self { minor_version, status, reason: line.end - reason.len()..line.end })
    }
}

/// The minor version of `HTTP-version` (RFC 9112 section 2.3), which is that of HTTP/1.
///
/// Not left to `httparse`, to which HTTP/1.2 is an error: "An HTTP/1.1 or higher GET request" (6455-4.2.1-02) may be
/// one.
fn minor_version(version: &[u8]) -> Result<u8, HeadError> {
    match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => Ok(minor - b'0'),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(HeadError::UnsupportedHttpVersion)
        }
        _ => Err(HeadError::InvalidStartLine),
    }
}
