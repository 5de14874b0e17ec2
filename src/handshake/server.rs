//! The server's side of the opening handshake (RFC 6455 section 4.2).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Deref;

use super::error::{BuildError, RequestError};
use super::extension::Extension;
use super::extra_headers::{ExtraHeaders, list_of, write_line};
use super::forwarded::ForwardedHost;
use super::grammar::tokens;
use super::headers::KnownName;
use super::http_request::{HttpRequest, RequestLine};
use super::http1::head::HeadReader;
use super::key::accept_key;
use super::limits::Limits;
use super::reply::Reply;
use super::rules;

/// Reads a client's request.
///
/// ```
/// use sansocket::handshake::{Accept, Limits, ReceivedRequest, Reply, ServerHandshake};
///
/// # let mut network = vec![b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec()];
/// # let mut read = || network.pop().unwrap();
/// let mut handshake = ServerHandshake::new(Limits::default().head_bytes(64 * 1024));
/// let (mut input, mut out) = (Vec::new(), Vec::new());
/// let received = loop {
///     match handshake.receive(&input) {
///         Ok(Some(received)) => break Some(received),
///         Ok(None) => input.extend(read()), // At the end of the connection: `HeadError::Incomplete`.
///         Err(error) => {
///             handshake.reply(&Reply::from(&error), &mut out)?;
///             break None;
///         }
///     }
/// };
/// // Without an origin, the client is not a browser.
/// let is_foreign = |origin: &str| origin != "https://example.com";
/// match received {
///     Some(ReceivedRequest::WebSocket(request)) if request.origin().is_some_and(is_foreign) => {
///         request.reply(&Reply::new(403)?, &mut out)?;
///     }
///     Some(ReceivedRequest::WebSocket(request)) => {
///         let mut accept = Accept::new().header("Server", "example")?;
///         if let Some(subprotocol) = request.choose_subprotocol(&["superchat", "chat"]) {
///             accept = accept.subprotocol(subprotocol);
///         }
///         request.accept(accept)?.encode(&mut out);
///         input.drain(..request.consumed()); // What is left are frames.
///     }
///     Some(ReceivedRequest::Http(request)) => {
///         request.reply(&Reply::new(200)?.text("Nothing to see.\n"), &mut out)?; // To a CONNECT that fails.
///     }
///     None => {} // Write `out`, then close.
/// }
/// # assert!(out.starts_with(b"HTTP/1.1 200 OK\r\n"));
/// # Ok::<(), sansocket::handshake::BuildError>(())
/// ```
#[derive(Debug)]
pub struct ServerHandshake {
    limits: Limits,
    head: HeadReader<RequestLine>,
    /// Where the request line starts, behind the empty lines that may stand before it.
    start: usize,
    is_head: bool,
}

impl ServerHandshake {
    /// A handshake that waits for its request.
    pub fn new(limits: Limits) -> Self {
        Self { limits, head: HeadReader::default(), start: 0, is_head: false }
    }

    /// Takes all bytes received so far; the caller only appends to them between calls.
    ///
    /// `None`: the request is not complete. The work is linear in the input, however it is cut. What cannot become an
    /// HTTP request fails early: at its first byte, at a control character or a wrong line end, at the end of the
    /// request line. An error should be answered with `Reply::from(&error)`, by [`reply`](Self::reply), and then the
    /// connection closed.
    pub fn receive(&mut self, input: &[u8]) -> Result<Option<ReceivedRequest>, RequestError> {
        self.find_method(input);
        let Some((line, headers)) = self.head.read(input, &self.limits)? else {
            return Ok(None);
        };
        let len = headers.text_len();
        ReceivedRequest::new(HttpRequest::new(line, headers, len)?).map(Some)
    }

    /// Appends a response to a request that could not be read, or did not come in time; close the connection when it is
    /// written.
    ///
    /// Fails, and appends nothing, if its status is 2xx: over HTTP/2, which a proxy in between may speak, that accepts, and
    /// the request may have been for a WebSocket (RFC 8441 section 5).
    pub fn reply(&self, reply: &Reply, out: &mut Vec<u8>) -> Result<(), BuildError> {
        reply.check_refuses()?;
        self.refuse(reply, out);
        Ok(())
    }

    /// The same, with one of our own.
    pub(crate) fn refuse(&self, reply: &Reply, out: &mut Vec<u8>) {
        // "the server MUST NOT send content in the response" (RFC 9110 section 9.3.2) to a HEAD request.
        if self.is_head { reply.encode_head(out) } else { reply.encode(out) }
    }

    /// Also of what cannot become a request: a refusal is an answer to it.
    fn find_method(&mut self, input: &[u8]) {
        let mut line = input.get(self.start..).unwrap_or_default();
        while let Some(rest) = line.strip_prefix(b"\r\n") {
            (self.start, line) = (self.start + 2, rest);
        }
        self.is_head = line.starts_with(b"HEAD ");
    }
}

/// What a client asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a request asks for a WebSocket, or it does not")]
pub enum ReceivedRequest {
    /// A WebSocket connection. Everything RFC 6455 section 4.2.1 requires of the request holds.
    WebSocket(Request),
    /// Something else: the request is well-formed HTTP, and for the caller to answer.
    Http(HttpRequest),
}

impl ReceivedRequest {
    /// The request's head, whatever it asks for.
    pub fn head(&self) -> &HttpRequest {
        match self {
            Self::WebSocket(request) => request,
            Self::Http(request) => request,
        }
    }

    /// Where a trusted proxy names the host, if the request came by one.
    #[cfg(feature = "std")]
    pub(crate) fn set_trusted_header(&mut self, header: Option<ForwardedHost>) {
        match self {
            Self::WebSocket(Request(request)) | Self::Http(request) => request.set_trusted_header(header),
        }
    }

    /// Judges an extended CONNECT whose protocol is "websocket" (RFC 8441).
    #[cfg(feature = "http")]
    pub(crate) fn connect(http: HttpRequest) -> Result<Self, RequestError> {
        rules::check_connect(&http)?;
        Ok(Self::WebSocket(Request::new(http)))
    }

    /// Judges a request, wherever it comes from.
    #[inline]
    pub(crate) fn new(http: HttpRequest) -> Result<Self, RequestError> {
        let is_websocket = rules::check_request(&http)?;
        Ok(if is_websocket { Self::WebSocket(Request::new(http)) } else { Self::Http(http) })
    }
}

/// A valid WebSocket request. It is an [`HttpRequest`] too: see there for path, headers and so on.
///
/// Before it accepts, a server that browsers talk to checks the [`origin`](HttpRequest::origin), as in the example of
/// [`ServerHandshake`], since any page may open a WebSocket connection to any server, with the user's cookies (RFC 6455
/// section 10.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request(HttpRequest);

impl Request {
    /// The subprotocols the client offers, most preferred first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        tokens(self.headers().all(KnownName::SecWebSocketProtocol)).filter_map(Result::ok)
    }

    /// The first subprotocol the client offers that is among those the server supports: the client's order decides.
    pub fn choose_subprotocol(&self, supported: &[&str]) -> Option<&str> {
        self.subprotocols().find(|offered| supported.contains(offered))
    }

    /// The request came by a proxy that is trusted: see [`HttpRequest::trust_proxy`].
    pub fn trust_proxy(&mut self, header: ForwardedHost) {
        self.0.trust_proxy(header);
    }

    /// The extensions the client offers, most preferred first.
    pub fn extensions(&self) -> Vec<Extension> {
        Extension::parse_list(self.headers().all(KnownName::SecWebSocketExtensions)).unwrap_or_default()
    }

    /// The response that opens the connection.
    ///
    /// Fails if `accept` names a subprotocol or an extension that the client did not offer.
    pub fn accept(&self, accept: Accept) -> Result<Accepted, BuildError> {
        // "The value chosen MUST be derived from the client's handshake, specifically by selecting one of the values
        // from the |Sec-WebSocket-Protocol| field" (6455-4.2.2-12).
        if let Some(chosen) = &accept.subprotocol
            && !self.subprotocols().any(|offered| offered == chosen)
        {
            return Err(BuildError::UnofferedSubprotocol(chosen.clone()));
        }
        // "Extensions not listed by the client MUST NOT be listed." (6455-4.2.2-15)
        let offers = || self.headers().all(KnownName::SecWebSocketExtensions);
        for (i, name) in accept.extensions.iter().map(Extension::name).enumerate() {
            if !Extension::names(offers()).any(|offered| offered == name) {
                return Err(BuildError::UnofferedExtension(name.to_owned()));
            }
            if accept.extensions.iter().take(i).any(|other| other.name() == name) {
                return Err(BuildError::RepeatedExtension(name.to_owned()));
            }
        }
        let key = || self.headers().all(KnownName::SecWebSocketKey).next().unwrap_or_default();
        let accept_key = (self.method() != "CONNECT").then(|| accept_key(key()));
        Ok(Accepted { accept, accept_key })
    }

    /// A request that was judged.
    fn new(mut http: HttpRequest) -> Self {
        http.set_websocket();
        Self(http)
    }
}

impl Deref for Request {
    type Target = HttpRequest;

    fn deref(&self) -> &HttpRequest {
        &self.0
    }
}

/// What a server agrees to when it accepts a WebSocket request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Accept {
    subprotocol: Option<String>,
    /// In the order of their answers.
    extensions: Vec<Extension>,
    headers: ExtraHeaders,
}

impl Accept {
    /// No subprotocol, no extensions, no further headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses a subprotocol. It must be one that the client offers, which [`Request::accept`] checks.
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.subprotocol = Some(subprotocol.into());
        self
    }

    /// Adds an extension with the agreed parameters. It must be one that the client offers, which [`Request::accept`]
    /// checks; whether the parameters are right is the extension's business.
    pub fn extension(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Adds a header, such as `Set-Cookie`. Those of the handshake itself are refused.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        self.add_header(name, value)?;
        Ok(self)
    }

    /// The same, for an answer that is kept when the header is refused.
    pub(crate) fn add_header(&mut self, name: &str, value: &str) -> Result<(), BuildError> {
        self.headers.add(name, value, |name| {
            matches!(name, "upgrade" | "connection" | "content-length" | "transfer-encoding")
                || name.starts_with("sec-websocket-")
        })
    }
}

/// The response that opens the connection, and what server and client agree on by it. It becomes HTTP/1.1, or with the
/// feature `http` a response of that crate: to an extended CONNECT always the latter.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "the client waits for the response"]
pub struct Accepted {
    /// Checked against the client's offers.
    accept: Accept,
    /// The value of `Sec-WebSocket-Accept`; an extended CONNECT gets none.
    accept_key: Option<[u8; 28]>,
}

impl Accepted {
    /// The subprotocol in use.
    pub fn subprotocol(&self) -> Option<&str> {
        self.accept.subprotocol.as_deref()
    }

    /// The extensions in use.
    pub fn extensions(&self) -> &[Extension] {
        &self.accept.extensions
    }

    /// The status: 101, or 200 to an extended CONNECT.
    #[cfg(feature = "http")]
    pub(crate) fn status(&self) -> u16 {
        if self.accept_key.is_some() { 101 } else { 200 }
    }

    /// Appends the response as HTTP/1.1: frames may follow it at once.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // Room for the response without further headers.
        out.reserve(192);
        // "A Status-Line with a 101 response code" (6455-4.2.2-17).
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        if let Some(accept_key) = &self.accept_key {
            // The headers of every response, as one piece.
            out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
            out.extend_from_slice(accept_key);
            out.extend_from_slice(b"\r\n");
        }
        self.for_each_choice(|name, value| write_line(out, name, value));
        out.extend_from_slice(b"\r\n");
    }

    /// The headers in their order, name and value.
    #[cfg(feature = "http")]
    pub(crate) fn for_each_header(&self, mut header: impl FnMut(&str, &[u8])) {
        // "An |Upgrade| header field with value "websocket"" (6455-4.2.2-18), "A |Connection| header field with value
        // "Upgrade"" (6455-4.2.2-19), "A |Sec-WebSocket-Accept| header field." (6455-4.2.2-20)
        if let Some(accept_key) = &self.accept_key {
            header("Upgrade", b"websocket");
            header("Connection", b"Upgrade");
            header("Sec-WebSocket-Accept", accept_key);
        }
        self.for_each_choice(header);
    }

    /// Those that not every response has.
    fn for_each_choice(&self, mut header: impl FnMut(&str, &[u8])) {
        // "if the server does not wish to agree to one of the suggested subprotocols, it MUST NOT send back a
        // |Sec-WebSocket-Protocol| header field in its response" (6455-4.2.2-13).
        if let Some(subprotocol) = self.subprotocol() {
            header("Sec-WebSocket-Protocol", subprotocol.as_bytes());
        }
        if let Some(list) = list_of(self.extensions()) {
            header("Sec-WebSocket-Extensions", list.as_bytes());
        }
        self.accept.headers.iter().for_each(|(name, value)| header(name, value));
    }
}
