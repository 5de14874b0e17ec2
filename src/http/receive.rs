//! Requests that an HTTP library has parsed.

use alloc::string::ToString;

use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

use crate::handshake::{HeadError, HttpRequest, ReceivedRequest, RequestError};

/// Judges a request that an HTTP library has parsed, as
/// [`ServerHandshake::receive`](crate::handshake::ServerHandshake::receive) does. The library has set its own limits on
/// the request's size.
///
/// Over HTTP/2 and HTTP/3 a WebSocket is asked for by an extended CONNECT (RFC 8441, RFC 9220). With the feature `http2`
/// one that hyper received is known; [`receive_connect`] is for those of other libraries. An upgrade, as it is in HTTP/1.1 and
/// as some proxies pass it on, fails with [`RequestError::MissingConnect`].
pub fn receive<B>(request: &Request<B>) -> Result<ReceivedRequest, RequestError> {
    Head::of(request).receive()
}

/// Judges an extended CONNECT (RFC 8441 section 4) over HTTP/2 or HTTP/3, whose `:protocol` is this. With any other than
/// `websocket` it is an [`Http`](ReceivedRequest::Http) request.
///
/// `Sec-WebSocket-Key` is not looked at, and there is no `Sec-WebSocket-Accept` in the response, whose status is 200.
///
/// ```
/// use http::{Request, Response, Version};
/// use sansocket::handshake::{Accept, ReceivedRequest};
///
/// let request = Request::connect("https://example.com/chat")
///     .version(Version::HTTP_3)
///     .header("Sec-WebSocket-Version", "13")
///     .body(())?;
/// let ReceivedRequest::WebSocket(request) = sansocket::http::receive_connect(&request, "websocket")? else {
///     panic!("it asks for something else");
/// };
/// let response = Response::try_from(&request.accept(Accept::new())?)?;
/// assert_eq!((response.status().as_u16(), response.headers().len()), (200, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn receive_connect<B>(request: &Request<B>, protocol: &str) -> Result<ReceivedRequest, RequestError> {
    Head::of(request).receive_connect(protocol)
}

/// The parts of a request's head.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    #[cfg_attr(
        not(feature = "http2"),
        expect(dead_code, reason = "what hyper has in it is only for HTTP/2")
    )]
    extensions: &'a Extensions,
}

impl<'a> Head<'a> {
    pub(super) fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    #[cfg(feature = "axum")]
    pub(super) fn of_parts(parts: &'a http::request::Parts) -> Self {
        let http::request::Parts { method, uri, version, headers, extensions, .. } = parts;
        Self { method, uri, version: *version, headers, extensions }
    }

    pub(super) fn receive(self) -> Result<ReceivedRequest, RequestError> {
        #[cfg(feature = "http2")]
        if let Some(protocol) = self.extensions.get::<hyper::ext::Protocol>() {
            return self.receive_connect(protocol.as_str());
        }
        if !is_http1(self.version) && UPGRADE.iter().any(|name| self.headers.contains_key(*name)) {
            return Err(RequestError::MissingConnect);
        }
        let request = self.parse()?;
        if is_http1(self.version) {
            ReceivedRequest::new(request)
        } else {
            Ok(ReceivedRequest::Http(request))
        }
    }

    fn receive_connect(self, protocol: &str) -> Result<ReceivedRequest, RequestError> {
        let is_websocket = self.method == Method::CONNECT && protocol == "websocket";
        if is_http1(self.version) {
            return Err(HeadError::UnsupportedHttpVersion.into());
        }
        let request = self.parse()?;
        if is_websocket { ReceivedRequest::connect(request) } else { Ok(ReceivedRequest::Http(request)) }
    }

    fn parse(self) -> Result<HttpRequest, RequestError> {
        let version = match self.version {
            Version::HTTP_10 => (1, 0),
            Version::HTTP_11 => (1, 1),
            Version::HTTP_2 => (2, 0),
            Version::HTTP_3 => (3, 0),
            _ => return Err(HeadError::UnsupportedHttpVersion.into()),
        };
        let lines = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        HttpRequest::from_parts(self.method.as_str(), &self.uri.to_string(), version, lines)
    }
}

/// Whether there are upgrades, and headers that are about the connection.
pub(super) fn is_http1(version: Version) -> bool {
    version <= Version::HTTP_11
}

/// What only an upgrade has: an extended CONNECT has one of them, too.
const UPGRADE: [&str; 3] = ["upgrade", "sec-websocket-key", "sec-websocket-version"];
