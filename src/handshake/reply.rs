//! The HTTP response a server sends when it does not open a WebSocket connection.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::Bytes;

use super::body::Body;
use super::error::{BuildError, RequestError};
use super::extra_headers::{ExtraHeaders, write_line};

/// A complete HTTP response, after which the connection is to be closed: a refusal, or the answer to a request that
/// does not ask for a WebSocket.
///
/// It always says `Connection: close` and has a `Content-Length`, so that no proxy in between takes what follows for a
/// tunnel or for another response. It says what its body is if it was told, by one of the methods that set it or by a
/// header, and adds nothing else of its own accord: not that a browser is to believe it (`X-Content-Type-Options`), nor
/// how long it may be kept (`Cache-Control`).
///
/// ```
/// use sansocket::handshake::Reply;
///
/// let page = Reply::ok().html("<!doctype html><title>Chat</title>");
/// let refusal = Reply::new(401)?.header("WWW-Authenticate", "Bearer")?.text("Please log in.\n");
/// let mut out = Vec::new();
/// refusal.encode(&mut out);
/// assert!(out.starts_with(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n"));
/// # Ok::<(), sansocket::handshake::BuildError>(())
/// ```
///
/// Clones share the body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// From 200 to 599.
    status: u16,
    headers: ExtraHeaders,
    /// What the body is, if no header says so.
    content_type: Option<&'static str>,
    body: Bytes,
}

impl Reply {
    /// A response with the status 200, no further headers and an empty body.
    pub fn ok() -> Self {
        Self::empty(200)
    }

    /// A response with this status, no further headers and an empty body.
    pub fn new(status: u16) -> Result<Self, BuildError> {
        if (200..600).contains(&status) {
            Ok(Self::empty(status))
        } else {
            Err(BuildError::InvalidStatus(status))
        }
    }

    /// The refusal of a client that did not send its request in time, 408.
    pub fn request_timeout() -> Self {
        Self::empty(408).text("Not a WebSocket connection: the opening handshake took too long.\n")
    }

    /// Adds a header. `Connection`, `Content-Length` and `Transfer-Encoding` are not to be set.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        self.headers
            .add(name, value, |name| matches!(name, "connection" | "content-length" | "transfer-encoding"))?;
        Ok(self)
    }

    /// Sets the body; its type is for [`header`](Self::header) to say.
    pub fn body(self, body: impl Into<Body>) -> Self {
        Self { body: body.into().into(), content_type: None, ..self }
    }

    /// Sets the body to plain text in UTF-8, and the `Content-Type` to match unless a header says another.
    pub fn text(self, text: impl Into<Body>) -> Self {
        self.typed("text/plain; charset=utf-8", text)
    }

    /// Sets the body to a page of HTML in UTF-8, and the `Content-Type` to match unless a header says another.
    pub fn html(self, html: impl Into<Body>) -> Self {
        self.typed("text/html; charset=utf-8", html)
    }

    /// Sets the body to JSON that was serialised already, and the `Content-Type` to match unless a header says another.
    pub fn json(self, json: impl Into<Body>) -> Self {
        self.typed("application/json", json)
    }

    /// Sets the body to a file of this name, and the `Content-Type` to what the name's extension stands for, in whatever
    /// case, unless a header says another: css, gif, html, ico, jpeg, jpg, js, json, map, mjs, pdf, png, svg, txt, wasm,
    /// webmanifest, webp and woff2; a file with any other is `application/octet-stream`, which browsers save. Text is in
    /// UTF-8. Nothing is read: the file is what is given.
    ///
    /// ```
    /// # use sansocket::handshake::Reply;
    /// let script = Reply::ok().file("chat.js", "console.log('hi')"); // Or `include_bytes!("chat.js")`.
    /// ```
    pub fn file(self, name: &str, content: impl Into<Body>) -> Self {
        self.typed(media_type(name), content)
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body, or nothing if a response with this status has none.
    pub fn content(&self) -> &[u8] {
        if self.may_have_content() { &self.body } else { &[] }
    }

    /// Appends the response to `out`. To answer a request that was parsed,
    /// [`HttpRequest::reply`](super::HttpRequest::reply) knows more.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_head(out);
        out.extend_from_slice(self.content());
    }

    /// The same without the body, as it answers a `HEAD` request.
    pub(crate) fn encode_head(&self, out: &mut Vec<u8>) {
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
        // RFC 9110 section 8.6 has none with a 204; with a 304 it would be that of another response.
        if !matches!(self.status, 204 | 304) {
            header("Content-Length", self.content().len().to_string().as_bytes());
        }
        if let Some(content_type) = self.content_type.filter(|_| !self.headers.contains("Content-Type")) {
            header("Content-Type", content_type.as_bytes());
        }
        self.headers.iter().for_each(|(name, value)| header(name, value));
    }

    /// Fails if this accepts a WebSocket.
    ///
    /// "Any 2xx (Successful) response indicates that the sender (and all inbound proxies) will switch to tunnel mode"
    /// (RFC 9110 section 9.3.6): over HTTP/2 it opens the WebSocket (RFC 8441 section 5), and what came as HTTP/1.1 a proxy in
    /// between may have been asked for by HTTP/2.
    pub(crate) fn check_refuses(&self) -> Result<(), BuildError> {
        if (200..300).contains(&self.status) { Err(BuildError::AcceptingStatus(self.status)) } else { Ok(()) }
    }

    /// The refusal of a request with which nothing is wrong, 5xx.
    #[cfg(feature = "std")]
    pub(crate) fn server_error(status: u16, why: &str) -> Self {
        Self::empty(status).text(format!("Not a WebSocket connection: {why}.\n"))
    }

    /// Tells the client when to come again: "The server MAY send a Retry-After header field" (RFC 9110 section 15.6.4).
    #[cfg(feature = "std")]
    pub(crate) fn for_now(mut self) -> Self {
        self.headers.push("Retry-After", RETRY_AFTER);
        self
    }

    /// The refusal of a request for a page whose method is another than these, 405.
    #[cfg(feature = "std")]
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let mut reply = Self::empty(405);
        // "The origin server MUST generate an Allow header field in a 405 response" (RFC 9110 section 15.5.6).
        reply.headers.push("Allow", allow);
        reply.text(format!("Method Not Allowed: what is at this path is asked for with {allow}.\n"))
    }

    /// The refusal of a client that did not send its request's body in time, 408.
    #[cfg(feature = "std")]
    pub(crate) fn body_timeout() -> Self {
        Self::empty(408).text("Request Timeout: the body took too long.\n")
    }

    /// The body without a copy, or nothing if a response with this status has none.
    pub(crate) fn shared_content(&self) -> Bytes {
        if self.may_have_content() { self.body.clone() } else { Bytes::new() }
    }

    fn empty(status: u16) -> Self {
        Self { status, headers: ExtraHeaders::default(), content_type: None, body: Bytes::new() }
    }

    fn typed(self, content_type: &'static str, body: impl Into<Body>) -> Self {
        Self { content_type: Some(content_type), ..self.body(body) }
    }

    /// RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
    fn may_have_content(&self) -> bool {
        !matches!(self.status, 204 | 205 | 304)
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
        // Who sends a body, or asks for a page, has meant to open none.
        let what = match error {
            RequestError::NoPage
            | RequestError::InvalidBodyLength
            | RequestError::UnsupportedTransferCoding
            | RequestError::InvalidChunk
            | RequestError::BodyTooLarge
            | RequestError::IncompleteBody => reason_phrase(error.status()),
            _ => "Not a WebSocket connection",
        };
        Self { headers, ..Self::empty(error.status()) }.text(format!("{what}: {error}.\n"))
    }
}

/// What a file is, by the extension of its name.
fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let known = MEDIA_TYPES.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        205 => "Reset Content",
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
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
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

/// In seconds: by then somebody may have left, or another server have begun.
#[cfg(feature = "std")]
const RETRY_AFTER: &str = "5";

/// Those of a page's parts. Of what is played, none is here: browsers ask for ranges of it.
const MEDIA_TYPES: [(&str, &str); 18] = [
    ("css", "text/css; charset=utf-8"),
    ("gif", "image/gif"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    // RFC 9239.
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
];
