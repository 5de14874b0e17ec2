//! An HTTP request: what is right of every one, be it for a WebSocket or not.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use core::str;

use super::error::RequestError;
use super::headers::Headers;
use super::known_name::KnownName;
use super::reply::Reply;
use super::uri::split_authority;

/// The head of an HTTP request: well-formed, and with one valid `Host` if it is HTTP/1.1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpRequest(Box<Parts>);

/// The parts of a head; boxed, since it is handed from one to the next until somebody answers it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Parts {
    line: RequestLine,
    target: Target,
    headers: Headers,
    /// How many bytes of the input it took.
    consumed: usize,
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
        let path = self.headers().text(&self.0.target.path);
        if path.is_empty() { "/" } else { path }
    }

    /// What follows the `?`, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.0.target.query.as_ref().map(|query| self.headers().text(query))
    }

    /// The minor HTTP version: 1 for HTTP/1.1.
    pub fn minor_version(&self) -> u8 {
        self.0.line.minor_version
    }

    /// The host, with the port if the client named one: from an absolute target, else from the `Host` header. Only an
    /// HTTP/1.0 request has none.
    ///
    /// It is what the client says: compare it with the server's names before relying on it.
    pub fn host(&self) -> Option<&str> {
        match &self.0.target.authority {
            // "When an origin server receives a request with an absolute-form of request-target, the origin server MUST
            // ignore the received Host header field" (RFC 9112 section 3.2.2).
            Some(authority) => Some(self.headers().text(authority)),
            None => self.headers().get("Host"),
        }
    }

    /// Where the page that sent the request comes from. Browsers always send it; other clients may, with any value.
    pub fn origin(&self) -> Option<&str> {
        self.headers().get("Origin")
    }

    /// All headers.
    pub fn headers(&self) -> &Headers {
        &self.0.headers
    }

    /// How many bytes of the input the head took, none if it was parsed elsewhere. What follows are the client's first
    /// frames, or the body of a plain HTTP request, which is not read here.
    pub fn consumed(&self) -> usize {
        self.0.consumed
    }

    /// Appends a response that does not open a WebSocket connection; close the connection when it is written.
    pub fn reply(&self, reply: &Reply, out: &mut Vec<u8>) {
        // "the server MUST NOT send content in the response" (RFC 9110 section 9.3.2) to a HEAD request.
        if self.has_method(b"HEAD") { reply.encode_head(out) } else { reply.encode(out) }
    }

    /// Checks what holds for every HTTP request.
    #[inline]
    pub(super) fn new(line: RequestLine, headers: Headers, consumed: usize) -> Result<Self, RequestError> {
        let target = Target::parse(&headers, line.target.clone())?;

        // "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host
        // header field and to any request message that contains more than one Host header field line or a Host header
        // field with an invalid field value." (RFC 9112 section 3.2)
        match headers.only(KnownName::Host, RequestError::RepeatedHost)? {
            Some(host) => {
                let host = str::from_utf8(host).map_err(|_| RequestError::InvalidHost)?;
                split_authority(host).map_err(|_| RequestError::InvalidHost)?;
            }
            None if line.minor_version == 0 => {}
            None => return Err(RequestError::MissingHost),
        }

        // What is compared with an allow-list has one meaning: RFC 6454 section 7.3 has one origin, in ASCII.
        if let Some(origin) = headers.only(KnownName::Origin, RequestError::InvalidOrigin)?
            && (origin.is_empty() || !origin.iter().all(|byte| matches!(byte, b' '..=b'~')))
        {
            return Err(RequestError::InvalidOrigin);
        }

        Ok(Self(Box::new(Parts { line, target, headers, consumed })))
    }

    /// Whether the target is a resource name, or an absolute URI that contains one.
    pub(super) fn names_resource(&self) -> bool {
        self.0.target.authority.is_some() || self.headers().bytes(&self.0.line.target).starts_with(b"/")
    }

    #[inline]
    pub(super) fn has_method(&self, method: &[u8]) -> bool {
        self.headers().bytes(&self.0.line.method) == method
    }
}

/// `method SP request-target SP HTTP-version` (RFC 9112 section 3); ranges of the head.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct RequestLine {
    pub(super) method: Range<usize>,
    pub(super) target: Range<usize>,
    pub(super) minor_version: u8,
}

/// The parts of a request target; ranges of the head.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Target {
    /// Of an absolute URI.
    authority: Option<Range<usize>>,
    path: Range<usize>,
    query: Option<Range<usize>>,
}

impl Target {
    /// The characters were checked with the request line. Those that a URI excludes (`|`, `{`, ..) are let through,
    /// since browsers send some of them; only a fragment is refused.
    fn parse(headers: &Headers, target: Range<usize>) -> Result<Self, RequestError> {
        let bytes = headers.bytes(&target);
        if bytes.contains(&b'#') {
            return Err(RequestError::InvalidTarget);
        }

        // Nearly always a path, in which there is nothing to search for.
        let absolute = if bytes.starts_with(b"/") { None } else { headers.text(&target).split_once("://") };
        let mut rest = target;
        let authority = match absolute {
            Some((scheme, text)) if is_web_scheme(scheme) => {
                let start = rest.start + scheme.len() + "://".len();
                let len = text.find(['/', '?']).unwrap_or(text.len());
                let (authority, _) = text.split_at(len);
                split_authority(authority).map_err(|_| RequestError::InvalidTarget)?;
                rest.start = start + len;
                Some(start..rest.start)
            }
            _ => None,
        };

        let path_len = headers.bytes(&rest).iter().position(|&byte| byte == b'?');
        let path_end = path_len.map_or(rest.end, |len| rest.start + len);
        let query = path_len.map(|_| path_end + 1..rest.end);
        Ok(Self { authority, path: rest.start..path_end, query })
    }
}

fn is_web_scheme(scheme: &str) -> bool {
    ["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}
