//! An HTTP request: what is right of every one, be it for a WebSocket or not.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use core::str;

use bytes::Bytes;

use super::error::{BuildError, RequestError};
use super::forwarded::ForwardedHost;
use super::grammar::InvalidList;
use super::headers::{Headers, KnownName};
use super::reply::Reply;
use super::uri::split_authority;

/// The head of an HTTP request: well-formed, and with one valid `Host` if it is HTTP/1.1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpRequest(Box<Parts>);

/// The parts of a head; boxed, since it is handed from one to the next until somebody answers it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Parts {
    line: RequestLine,
    /// In an absolute target; a range of the head.
    authority: Option<Range<usize>>,
    headers: Headers,
    /// How many bytes of the input it took.
    consumed: usize,
    /// Where a trusted proxy names the host, if it came by one.
    forwarded_host: Option<ForwardedHost>,
    /// It asks for a WebSocket, as it should.
    is_websocket: bool,
}

impl HttpRequest {
    /// The method, such as `GET`.
    pub fn method(&self) -> &str {
        self.headers().text(&self.0.line.method)
    }

    /// The request target as it was sent: a path with query, or an absolute URI.
    pub fn target(&self) -> &str {
        self.headers().text(&self.0.line.target)
    }

    /// The path, starting with `/` except in the forms of a target that only `OPTIONS` and `CONNECT` have.
    /// Percent-encoding is left as it is.
    pub fn path(&self) -> &str {
        let path = self.resource().split('?').next().unwrap_or_default();
        if path.is_empty() { "/" } else { path }
    }

    /// What follows the `?`, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.resource().split_once('?').map(|(_, query)| query)
    }

    /// The major HTTP version: 1, or what an HTTP library parsed.
    pub fn major_version(&self) -> u8 {
        self.0.line.major_version
    }

    /// The minor HTTP version: 1 for HTTP/1.1, 0 for HTTP/2.
    pub fn minor_version(&self) -> u8 {
        self.0.line.minor_version
    }

    /// The host, with the port if the client named one: from an absolute target, else from the `Host` header. Only a
    /// request of HTTP/1.0 has none, or one of HTTP/2 that asks for no WebSocket.
    ///
    /// It is what the client says, or a proxy in between: compare it with the server's names before relying on it.
    pub fn host(&self) -> Option<&str> {
        match &self.0.authority {
            // "When an origin server receives a request with an absolute-form of request-target, the origin server MUST
            // ignore the received Host header field" (RFC 9112 section 3.2.2).
            Some(authority) => Some(self.headers().text(authority)),
            None => self.headers().first(KnownName::Host),
        }
    }

    /// The host that the client asked for, as the proxy names it that the request [came by](Self::trust_proxy), or else
    /// [`host`](Self::host).
    ///
    /// Fails with [`RequestError::InvalidForwardedHost`] if the last line of the proxy's header is malformed: what it says is not
    /// guessed.
    pub fn requested_host(&self) -> Result<Option<&str>, RequestError> {
        self.find_requested_host().map(|(host, _)| host)
    }

    /// The same, and the proxy's header, if that names it.
    pub(crate) fn find_requested_host(&self) -> Result<(Option<&str>, Option<ForwardedHost>), RequestError> {
        if let Some(header) = self.0.forwarded_host {
            let found = header.find(self.headers());
            if let Some(host) = found.map_err(|InvalidList| RequestError::InvalidForwardedHost(header))? {
                return Ok((Some(host), Some(header)));
            }
        }
        Ok((self.host(), None))
    }

    /// The request came by a proxy that is trusted to say which host its client asked for, in this header: from then on,
    /// [`requested_host`](Self::requested_host) is what that says, and [`is_same_origin`](Self::is_same_origin) goes by it. Of
    /// several, the last one counts, which is the proxy's own.
    ///
    /// Servers that have settings are told by `Server::trust_proxies`.
    pub fn trust_proxy(&mut self, header: ForwardedHost) {
        self.set_trusted_header(Some(header));
    }

    /// Where the page that sent the request comes from. Browsers always send it; other clients may, with any value.
    pub fn origin(&self) -> Option<&str> {
        self.headers().first(KnownName::Origin)
    }

    /// Whether the request comes from a page of the server itself, or from no page: its [`origin`](Self::origin) names the
    /// [host that it asks for](Self::requested_host), with the same port, or there is none.
    ///
    /// The origin's scheme is not looked at, since behind a proxy that ends TLS a server cannot know its own.
    pub fn is_same_origin(&self) -> bool {
        let Some(origin) = self.origin() else {
            return true;
        };
        let Ok(Some(requested)) = self.requested_host() else {
            return false;
        };
        let schemes = [("http://", 80), ("https://", 443)];
        let same = |(scheme, port): (&str, u16)| {
            // "null", and the origins of extensions and the like, have another scheme.
            let (start, authority) = origin.split_at_checked(scheme.len())?;
            let (name, given) = split_authority(authority).ok()?;
            let (host, asked) = split_authority(requested).ok()?;
            let same_port = given.unwrap_or(port) == asked.unwrap_or(port);
            Some(start.eq_ignore_ascii_case(scheme) && name.eq_ignore_ascii_case(host) && same_port)
        };
        schemes.into_iter().any(|scheme| same(scheme) == Some(true))
    }

    /// All headers.
    pub fn headers(&self) -> &Headers {
        &self.0.headers
    }

    /// How many bytes of the input the head took, none if it was parsed elsewhere. What follows are the client's first
    /// frames, or the body of an ordinary request, which [`RequestBody`](super::RequestBody) reads.
    pub fn consumed(&self) -> usize {
        self.0.consumed
    }

    /// Appends a response that does not open a WebSocket connection; close the connection when it is written.
    ///
    /// Fails, and appends nothing, if the request is for a WebSocket, or a CONNECT, and the status 2xx: over HTTP/2, which a proxy
    /// in between may speak, that would accept it (RFC 8441 section 5).
    pub fn reply(&self, reply: &Reply, out: &mut Vec<u8>) -> Result<(), BuildError> {
        self.check_reply(reply)?;
        reply.encode_head(out);
        out.extend_from_slice(&self.content_of(reply));
        Ok(())
    }

    /// Fails if this response would accept what it is to answer otherwise: a WebSocket, or a tunnel.
    pub(crate) fn check_reply(&self, reply: &Reply) -> Result<(), BuildError> {
        if self.0.is_websocket || self.method() == "CONNECT" { reply.check_refuses() } else { Ok(()) }
    }

    /// What follows the head of a response to this request.
    pub(crate) fn content_of(&self, reply: &Reply) -> Bytes {
        // "the server MUST NOT send content in the response" (RFC 9110 section 9.3.2) to a HEAD request.
        if self.method() == "HEAD" { Bytes::new() } else { reply.shared_content() }
    }

    /// Checks what holds for every HTTP request.
    #[inline]
    pub(super) fn new(line: RequestLine, headers: Headers, consumed: usize) -> Result<Self, RequestError> {
        let authority = find_authority(&headers, &line.target)?;

        // "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host
        // header field and to any request message that contains more than one Host header field line or a Host header
        // field with an invalid field value." (RFC 9112 section 3.2)
        let host = headers.only(KnownName::Host, RequestError::RepeatedHost)?;
        match host.map(|host| str::from_utf8(host).map(split_authority)) {
            Some(Ok(Ok(_))) => {}
            Some(_) => return Err(RequestError::InvalidHost),
            None if line.minor_version == 0 => {}
            None => return Err(RequestError::MissingHost),
        }

        // What is compared with an allow-list has one meaning: RFC 6454 section 7.3 has one origin, in ASCII.
        if let Some(origin) = headers.only(KnownName::Origin, RequestError::InvalidOrigin)?
            && (origin.is_empty() || !origin.iter().all(|byte| matches!(byte, b' '..=b'~')))
        {
            return Err(RequestError::InvalidOrigin);
        }

        let parts = Parts { line, authority, headers, consumed, forwarded_host: None, is_websocket: false };
        Ok(Self(Box::new(parts)))
    }

    /// It was judged to ask for a WebSocket.
    pub(super) fn set_websocket(&mut self) {
        self.0.is_websocket = true;
    }

    /// Where a trusted proxy names the host, if the request came by one.
    pub(super) fn set_trusted_header(&mut self, header: Option<ForwardedHost>) {
        self.0.forwarded_host = header;
    }

    /// A request whose head an HTTP library has parsed.
    ///
    /// `method` is a token, and no value has a byte that HTTP forbids: the library takes no others. It takes some
    /// targets and names that HTTP/1.1 does not have.
    #[cfg(feature = "http")]
    pub(crate) fn from_parts<'a>(
        method: &str,
        target: &str,
        (major_version, minor_version): (u8, u8),
        lines: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, RequestError> {
        use super::error::HeadError;

        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HeadError::InvalidStartLine.into());
        }
        // The parts, one behind the other.
        let text = [method.as_bytes(), target.as_bytes()].concat();
        let (method, target) = (0..method.len(), method.len()..text.len());
        let line = RequestLine { method, target, major_version, minor_version };
        let headers = Headers::from_lines(text, lines).ok_or(HeadError::InvalidHeaderName)?;
        Self::new(line, headers, 0)
    }

    /// Whether the target is a resource name, or an absolute URI that contains one.
    pub(super) fn names_resource(&self) -> bool {
        self.0.authority.is_some() || self.headers().bytes(&self.0.line.target).starts_with(b"/")
    }

    /// Path and query: the target without the scheme and the authority of an absolute URI.
    fn resource(&self) -> &str {
        let target = &self.0.line.target;
        let start = self.0.authority.as_ref().map_or(target.start, |authority| authority.end);
        self.headers().text(&(start..target.end))
    }
}

/// `method SP request-target SP HTTP-version` (RFC 9112 section 3); ranges of the head.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct RequestLine {
    pub(super) method: Range<usize>,
    pub(super) target: Range<usize>,
    pub(super) major_version: u8,
    pub(super) minor_version: u8,
}

/// Where the authority of a target is, if that is an absolute URI.
///
/// The characters were checked with the request line. Those that a URI excludes (`|`, `{`, ..) are let through, since
/// browsers send some of them; only a fragment is refused.
fn find_authority(headers: &Headers, target: &Range<usize>) -> Result<Option<Range<usize>>, RequestError> {
    let bytes = headers.bytes(target);
    if bytes.contains(&b'#') {
        return Err(RequestError::InvalidTarget);
    }
    // Nearly always a path, in which there is nothing to search for.
    let absolute = if bytes.starts_with(b"/") { None } else { headers.text(target).split_once("://") };
    match absolute {
        Some((scheme, rest)) if WEB_SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            let (authority, _) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            split_authority(authority).map_err(|_| RequestError::InvalidTarget)?;
            let start = target.start + scheme.len() + "://".len();
            Ok(Some(start..start + authority.len()))
        }
        _ => Ok(None),
    }
}

const WEB_SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];
