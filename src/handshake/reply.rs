//! The HTTP response a server sends when it does not open a WebSocket connection.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::error::{BuildError, RequestError};
use super::extra_headers::{ExtraHeaders, write_line};

/// A complete HTTP response, after which the connection is to be closed: a refusal, or the answer to a request that
/// does not ask for a WebSocket.
///
/// It always says `Connection: close` and has a `Content-Length`, so that no proxy in between takes what follows for a
/// tunnel or for another response.
///
/// ```
/// use sansocket::handshake::Reply;
///
/// let mut out = Vec::new();
/// Reply::new(401)?.header("WWW-Authenticate", "Bearer")?.text("Please log in.\n").encode(&mut out);
/// assert!(out.starts_with(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n"));
/// # Ok::<(), sansocket::handshake::BuildError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// From 200 to 599.
    status: u16,
    headers: ExtraHeaders,
    body: Vec<u8>,
}

impl Reply {
    /// A response with this status, no further headers and an empty body.
    pub fn new(status: u16) -> Result<Self, BuildError> {
        if (200..600).contains(&status) {
            Ok(Self { status, headers: ExtraHeaders::default(), body: Vec::new() })
        } else {
            Err(BuildError::InvalidStatus(status))
        }
    }

    /// The refusal of a client that did not send its request in time, 408.
    pub fn request_timeout() -> Self {
        Self::refusal(408, ExtraHeaders::default(), "the opening handshake took too long")
    }

    /// Adds a header. `Connection`, `Content-Length` and `Transfer-Encoding` are not to be set.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        self.headers
            .add(name, value, |name| matches!(name, "connection" | "content-length" | "transfer-encoding"))?;
        Ok(self)
    }

    /// Sets the body; its type is for [`header`](Self::header) to say.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to plain text, and the `Content-Type` to match unless there is one.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        if !self.headers.contains("Content-Type") {
            self.headers.push("Content-Type", "text/plain; charset=utf-8");
        }
        self.body(text.into())
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body, or nothing if a response with this status has none.
    pub fn content(&self) -> &[u8] {
        if self.may_have_body() { &self.body } else { &[] }
    }

    /// Appends the response to `out`. To answer a request that was parsed,
    /// [`HttpRequest::reply`](super::HttpRequest::reply) knows more.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_head(out);
        out.extend_from_slice(self.content());
    }

    /// The same without the body, for a `HEAD` request.
    pub(super) fn encode_head(&self, out: &mut Vec<u8>) {
        let status = format!("HTTP/1.1 {} {}\r\n", self.status, reason_phrase(self.status));
        out.extend_from_slice(status.as_bytes());
        self.for_each_header(|name, value| write_line(out, name, value));
        out.extend_from_slice(b"\r\n");
    }

    /// The headers in their order, name and value.
    pub(crate) fn for_each_header(&self, mut header: impl FnMut(&str, &[u8])) {
        // "A sender of Upgrade MUST also send an "Upgrade" connection option" (RFC 9110 section 7.8).
        let connection: &[u8] = if self.headers.contains("Upgrade") { b"close, Upgrade" } else { b"close" };
        header("Connection", connection);
        if self.may_have_body() {
            header("Content-Length", self.body.len().to_string().as_bytes());
        }
        self.headers.iter().for_each(|(name, value)| header(name, value));
    }

    fn refusal(status: u16, headers: ExtraHeaders, why: impl fmt::Display) -> Self {
        Self { status, headers, body: Vec::new() }.text(format!("Not a WebSocket connection: {why}.\n"))
    }

    /// RFC 9110 sections 15.3.5 and 15.4.5.
    fn may_have_body(&self) -> bool {
        !matches!(self.status, 204 | 304)
    }
}

/// The refusal that goes with an error of the client's: status, the headers that must go with it, and a sentence.
impl From<&RequestError> for Reply {
    fn from(error: &RequestError) -> Self {
        let mut headers = ExtraHeaders::default();
        match error.status() {
            // "The origin server MUST generate an Allow header field in a 405 response" (RFC 9110 section 15.5.6).
            405 => headers.push("Allow", "GET"),
            // "The server MUST send an Upgrade header field in a 426 response" (RFC 9110 section 15.5.22).
            426 => headers.push("Upgrade", "websocket"),
            _ => {}
        }
        // "If the server doesn't support the requested version, it MUST respond with a |Sec-WebSocket-Version| header
        // field [..] containing all versions it is willing to use." (6455-4.4-01)
        let about_version = matches!(error, RequestError::MissingVersion | RequestError::RepeatedVersion);
        if error.status() == 426 || about_version {
            headers.push("Sec-WebSocket-Version", "13");
        }
        Self::refusal(error.status(), headers, error)
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        // The phrase may be empty, and "A client SHOULD ignore the reason-phrase content" (RFC 9112 section 4).
        _ => "",
    }
}
