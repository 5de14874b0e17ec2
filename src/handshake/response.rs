//! A server's response, as a client reads it.

use alloc::vec::Vec;
use core::ops::Range;
use core::str;

use super::grammar::{elements, parse_version};
use super::headers::Headers;
use super::known_name::KnownName;

/// A server's HTTP response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    pub(super) line: StatusLine,
    headers: Headers,
    /// Of a refusal, as far as it was read.
    pub(super) body: Vec<u8>,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.line.status
    }

    /// The text after the status code. It may be empty, and means nothing to a program.
    pub fn reason(&self) -> &str {
        str::from_utf8(self.headers.bytes(&self.line.reason)).unwrap_or_default()
    }

    /// All headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The start of a refusal's body, as far as [`Limits::refusal_body_bytes`](super::Limits::refusal_body_bytes) goes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The versions of the WebSocket protocol that the server says it speaks (RFC 6455 section 4.4).
    pub fn websocket_versions(&self) -> impl Iterator<Item = u8> {
        self.headers.all(KnownName::SecWebSocketVersion).flat_map(elements).filter_map(parse_version)
    }

    pub(super) fn new(line: StatusLine, headers: Headers) -> Self {
        Self { line, headers, body: Vec::new() }
    }
}

/// `HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112 section 4).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct StatusLine {
    pub(super) minor_version: u8,
    pub(super) status: u16,
    /// A range of the head.
    pub(super) reason: Range<usize>,
}
