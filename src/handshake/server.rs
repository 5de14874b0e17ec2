//! The server's side of the opening handshake (RFC 6455 section 4.2).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, Range};
use core::str;

use super::error::{BuildError, HandshakeError};
use super::head::{Head, HeadReader, Headers, StartLine, minor_version};
use super::header::{
    Extension, ExtraHeaders, elements, is_token, is_token_byte, tokens, write_line, write_list,
};
use super::name::Name;
use super::reply::Reply;
use super::{Limits, accept_key};
use crate::uri::split_authority;

/// Reads a client's request.
///
/// ```
/// use sansocket::handshake::{Accept, Limits, Received, Reply, ServerHandshake};
///
/// # let mut network = vec![b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec()];
/// # let mut read = || network.pop().unwrap();
/// let mut handshake = ServerHandshake::new(Limits::default());
/// let (mut input, mut out) = (Vec::new(), Vec::new());
/// let received = loop {
///     match handshake.receive(&input) {
///         Ok(Some(received)) => break Some(received),
///         Ok(None) => input.extend(read()), // At the end of the connection: `HandshakeError::Incomplete`.
///         Err(error) => {
///             Reply::from(&error).encode(&mut out);
///             break None;
///         }
///     }
/// };
/// match received {
///     Some(Received::WebSocket(request)) => {
///         request.accept(&Accept::new(), &mut out)?;
///         input.drain(..request.consumed()); // What is left are frames.
///     }
///     Some(Received::Http(request)) => request.reply(&Reply::new(200)?.text("Nothing to see.\n"), &mut out),
///     None => {} // Write `out`, then close.
/// }
/// # assert!(out.starts_with(b"HTTP/1.1 200 OK\r\n"));
/// # Ok::<(), sansocket::handshake::BuildError>(())
/// ```
#[derive(Debug)]
pub struct ServerHandshake {
    limits: Limits,
    head: HeadReader<RequestLine>,
}

impl ServerHandshake {
    /// A handshake that waits for its request.
    pub fn new(limits: Limits) -> Self {
        Self { limits, head: HeadReader::default() }
    }

    /// Takes all bytes received so far; the caller only appends to them between calls.
    ///
    /// `None`: the request is not complete. The work is linear in the input, however it is cut. What cannot become an
    /// HTTP request fails early: at its first byte, at a control character or a wrong line end, at the end of the
    /// request line. An error should be answered with `Reply::from(&error)`, and then the connection closed.
    pub fn receive(&mut self, input: &[u8]) -> Result<Option<Received>, HandshakeError> {
        let Some(head) = self.head.read(input, &self.limits)? else {
            return Ok(None);
        };
        let request = HttpRequest::new(head)?;
        // A client that sends these means to open a WebSocket connection, be it in a wrong way.
        let upgrades = request.upgrades_to_websocket()?;
        if upgrades
            || request.headers().has(Name::SecWebSocketKey)
            || request.headers().has(Name::SecWebSocketVersion)
        {
            Request::new(request, upgrades).map(Received::WebSocket).map(Some)
        } else {
            Ok(Some(Received::Http(request)))
        }
    }
}

/// What a client asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Received {
    /// A WebSocket connection. Everything RFC 6455 section 4.2.1 requires of the request holds.
    WebSocket(Request),
    /// Something else: the request is well-formed HTTP, and for the caller to answer.
    Http(HttpRequest),
}

/// A valid WebSocket request. It is an [`HttpRequest`] too: see there for path, headers and so on.
///
/// Before it accepts, a server that browsers talk to checks where the request comes from, since any page may open a
/// WebSocket connection to any server, with the user's cookies (RFC 6455 section 10.2):
///
/// ```
/// use sansocket::handshake::{Accept, BuildError, Reply, Request};
///
/// fn answer(request: &Request, out: &mut Vec<u8>) -> Result<bool, BuildError> {
///     // Without `Origin` the client is not a browser.
///     let is_allowed = request.origin().is_none_or(|origin| origin == "https://example.com");
///     if is_allowed {
///         request.accept(&Accept::new(), out)?;
///     } else {
///         request.reply(&Reply::new(403)?, out);
///     }
///     Ok(is_allowed)
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    http: HttpRequest,
    key: Key,
}

impl Request {
    /// The subprotocols the client offers, most preferred first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        tokens(self.headers().all(Name::SecWebSocketProtocol)).filter_map(Result::ok)
    }

    /// The first subprotocol the client offers that is among those the server supports: the client's order decides.
    pub fn choose_subprotocol(&self, supported: &[&str]) -> Option<&str> {
        self.subprotocols().find(|offered| supported.contains(offered))
    }

    /// The extensions the client offers, most preferred first.
    pub fn extensions(&self) -> Vec<Extension> {
        Extension::parse_list(self.headers().all(Name::SecWebSocketExtensions)).unwrap_or_default()
    }

    /// Appends the response that opens the connection: frames may follow it at once.
    ///
    /// Fails, and appends nothing, if `accept` names a subprotocol or an extension that the client did not offer.
    pub fn accept(&self, accept: &Accept, out: &mut Vec<u8>) -> Result<Accepted, BuildError> {
        // 4.2.2: "The value chosen MUST be derived from the client's handshake, specifically by selecting one of the
        // values from the |Sec-WebSocket-Protocol| field".
        if let Some(chosen) = &accept.subprotocol
            && !self.subprotocols().any(|offered| offered == chosen)
        {
            return Err(BuildError::UnofferedSubprotocol(chosen.clone()));
        }
        // 4.2.2: "Extensions not listed by the client MUST NOT be listed."
        let offers = if accept.extensions.is_empty() { Vec::new() } else { self.extensions() };
        for (i, extension) in accept.extensions.iter().enumerate() {
            let has_same_name = |other: &Extension| other.name() == extension.name();
            if !offers.iter().any(has_same_name) {
                return Err(BuildError::UnofferedExtension(extension.name().to_owned()));
            }
            if accept.extensions.iter().take(i).any(has_same_name) {
                return Err(BuildError::RepeatedExtension(extension.name().to_owned()));
            }
        }

        out.reserve(USUAL_RESPONSE_BYTES);
        // 4.2.2: "A Status-Line with a 101 response code", "An |Upgrade| header field with value "websocket"", "A
        // |Connection| header field with value "Upgrade"", "A |Sec-WebSocket-Accept| header field."
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        out.extend_from_slice(&accept_key(self.key.0));
        out.extend_from_slice(b"\r\n");
        // 4.2.2: "if the server does not wish to agree to one of the suggested subprotocols, it MUST NOT send back a
        // |Sec-WebSocket-Protocol| header field in its response".
        if let Some(subprotocol) = &accept.subprotocol {
            write_line(out, "Sec-WebSocket-Protocol", subprotocol);
        }
        write_list(out, "Sec-WebSocket-Extensions", accept.extensions.iter());
        accept.headers.write(out);
        out.extend_from_slice(b"\r\n");

        Ok(Accepted { subprotocol: accept.subprotocol.clone(), extensions: accept.extensions.clone() })
    }

    /// Checks RFC 6455 section 4.2.1: "If the server, while reading the handshake, finds that the client did not send a
    /// handshake that matches the description below [..] the server MUST stop processing the client's handshake and
    /// return an HTTP response with an appropriate error code".
    fn new(http: HttpRequest, upgrades: bool) -> Result<Self, HandshakeError> {
        let Parts { line, target, headers } = &*http.0;

        // "1. An HTTP/1.1 or higher GET request, including a "Request-URI" [..] that should be interpreted as a
        // /resource name/ defined in Section 3 (or an absolute HTTP/HTTPS URI containing the /resource name/)."
        if line.minor_version == 0 {
            return Err(HandshakeError::UnsupportedHttpVersion);
        }
        if headers.bytes(&line.method) != b"GET" {
            return Err(HandshakeError::MethodNotGet);
        }
        if !headers.bytes(&line.target).starts_with(b"/") && target.authority.is_none() {
            return Err(HandshakeError::InvalidTarget);
        }

        // "2. A |Host| header field": checked for every HTTP/1.1 request.

        // "3. An |Upgrade| header field containing the value "websocket", treated as an ASCII case-insensitive value."
        if !upgrades {
            return Err(HandshakeError::MissingUpgrade);
        }

        // "4. A |Connection| header field that includes the token "Upgrade", treated as an ASCII case-insensitive
        // value."
        if !headers.connection_upgrades()? {
            return Err(HandshakeError::MissingConnectionUpgrade);
        }

        // "5. A |Sec-WebSocket-Key| header field with a base64-encoded [..] value that, when decoded, is 16 bytes in
        // length." 11.3.1: it "MUST NOT appear more than once in an HTTP request."
        let key = headers.only(Name::SecWebSocketKey).map_err(|_| HandshakeError::RepeatedKey)?;
        let key = key.ok_or(HandshakeError::MissingKey)?;
        let key = Key::new(key).ok_or(HandshakeError::InvalidKey)?;

        // "6. A |Sec-WebSocket-Version| header field, with a value of 13." 11.3.5: it "MUST NOT appear more than once in
        // an HTTP request."
        let version = headers.only(Name::SecWebSocketVersion).map_err(|_| HandshakeError::RepeatedVersion)?;
        let version = version.ok_or(HandshakeError::MissingVersion)?;
        if version != b"13" {
            return Err(HandshakeError::UnsupportedVersion);
        }

        // "8. Optionally, a |Sec-WebSocket-Protocol| header field, with a list of values". 4.1: "The elements that
        // comprise this value MUST be non-empty strings [..] and MUST all be unique strings."
        if headers.has(Name::SecWebSocketProtocol) {
            let subprotocols: Result<Vec<_>, _> = tokens(headers.all(Name::SecWebSocketProtocol)).collect();
            let mut subprotocols = subprotocols.map_err(|_| HandshakeError::InvalidSubprotocols)?;
            if subprotocols.is_empty() {
                return Err(HandshakeError::InvalidSubprotocols);
            }
            subprotocols.sort_unstable();
            if subprotocols.windows(2).any(|pair| pair.first() == pair.last()) {
                return Err(HandshakeError::RepeatedSubprotocol);
            }
        }

        // "9. Optionally, a |Sec-WebSocket-Extensions| header field [..] discussed in Section 9.1."
        Extension::check_list(headers.all(Name::SecWebSocketExtensions))
            .map_err(|_| HandshakeError::InvalidExtensions)?;

        // A body would be read as frames here, or as another request by a proxy in front.
        let is_bodyless = !headers.has(Name::TransferEncoding)
            && headers.all(Name::ContentLength).all(|length| length == b"0");
        if !is_bodyless {
            return Err(HandshakeError::UnexpectedBody);
        }

        Ok(Self { http, key })
    }
}

impl Deref for Request {
    type Target = HttpRequest;

    fn deref(&self) -> &HttpRequest {
        &self.http
    }
}

/// The head of an HTTP request: well-formed, and with one valid `Host` if it is HTTP/1.1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpRequest(Box<Parts>);

/// The parts of a head; boxed, since it is handed from one to the next until somebody answers it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Parts {
    line: RequestLine,
    target: Target,
    headers: Headers,
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
            // RFC 9112 section 3.2.2: "When an origin server receives a request with an absolute-form of
            // request-target, the origin server MUST ignore the received Host header field".
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

    /// How many bytes of the input the head took. What follows are the client's first frames, or the body of a plain
    /// HTTP request, which is not read here.
    pub fn consumed(&self) -> usize {
        self.headers().consumed()
    }

    /// Appends a response that does not open a WebSocket connection; close the connection when it is written.
    pub fn reply(&self, reply: &Reply, out: &mut Vec<u8>) {
        // RFC 9110 section 9.3.2: "the server MUST NOT send content in the response" to a HEAD request.
        if self.method() == "HEAD" { reply.encode_head(out) } else { reply.encode(out) }
    }

    /// Checks what holds for every HTTP request.
    fn new(head: Head<RequestLine>) -> Result<Self, HandshakeError> {
        let Head { line, headers } = head;

        let target = Target::parse(&headers, line.target.clone())?;

        // RFC 9112 section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
        // message that lacks a Host header field and to any request message that contains more than one Host header
        // field line or a Host header field with an invalid field value."
        match headers.only(Name::Host).map_err(|_| HandshakeError::RepeatedHost)? {
            Some(host) => {
                let host = str::from_utf8(host).map_err(|_| HandshakeError::InvalidHost)?;
                split_authority(host).map_err(|_| HandshakeError::InvalidHost)?;
            }
            None if line.minor_version == 0 => {}
            None => return Err(HandshakeError::MissingHost),
        }

        // What is compared with an allow-list has one meaning: RFC 6454 section 7.3 has one origin, in ASCII.
        if let Some(origin) = headers.only(Name::Origin).map_err(|_| HandshakeError::InvalidOrigin)?
            && (origin.is_empty() || !origin.iter().all(|byte| matches!(byte, b' '..=b'~')))
        {
            return Err(HandshakeError::InvalidOrigin);
        }

        Ok(Self(Box::new(Parts { line, target, headers })))
    }

    /// Whether `Upgrade` lists `websocket`.
    fn upgrades_to_websocket(&self) -> Result<bool, HandshakeError> {
        let mut found = false;
        for protocol in self.headers().all(Name::Upgrade).flat_map(elements) {
            // RFC 9110 section 7.8: `protocol = protocol-name [ "/" protocol-version ]`.
            if protocol.eq_ignore_ascii_case(b"websocket") {
                found = true;
            } else if !protocol.splitn(2, |&byte| byte == b'/').all(is_token) {
                return Err(HandshakeError::InvalidUpgrade);
            }
        }
        Ok(found)
    }
}

/// What a server agrees to when it accepts a WebSocket request.
///
/// ```
/// use sansocket::handshake::Accept;
///
/// let accept = Accept::new().subprotocol("chat").header("Server", "sansocket")?;
/// # Ok::<(), sansocket::handshake::BuildError>(())
/// ```
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
        self.headers.add(name, value, |name| {
            matches!(name, "upgrade" | "connection" | "content-length" | "transfer-encoding")
                || name.starts_with("sec-websocket-")
        })?;
        Ok(self)
    }
}

/// What server and client agreed on: the connection is open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    subprotocol: Option<String>,
    extensions: Vec<Extension>,
}

impl Accepted {
    /// The subprotocol in use.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The extensions in use.
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }
}

/// `method SP request-target SP HTTP-version` (RFC 9112 section 3); ranges of the head.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct RequestLine {
    method: Range<usize>,
    target: Range<usize>,
    minor_version: u8,
}

impl StartLine for RequestLine {
    const AFTER_EMPTY_LINES: bool = true;

    fn may_start_with(byte: u8) -> bool {
        is_token_byte(byte)
    }

    fn parse(input: &[u8], line: Range<usize>) -> Result<Self, HandshakeError> {
        let text = input.get(line.clone()).unwrap_or_default();
        let mut parsed = httparse::Request::new(&mut []);
        // Its result says that there are no headers yet, or that the version is wrong: `minor_version` knows better.
        let _ = parsed.parse(text);
        let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
            return Err(HandshakeError::InvalidStartLine);
        };
        // `httparse` takes a target in UTF-8.
        if !target.is_ascii() {
            return Err(HandshakeError::InvalidStartLine);
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
    fn parse(headers: &Headers, target: Range<usize>) -> Result<Self, HandshakeError> {
        let bytes = headers.bytes(&target);
        if bytes.contains(&b'#') {
            return Err(HandshakeError::InvalidTarget);
        }

        // Nearly always a path, in which there is nothing to search for.
        let absolute = if bytes.starts_with(b"/") { None } else { headers.text(&target).split_once("://") };
        let mut rest = target;
        let authority = match absolute {
            Some((scheme, text)) if is_web_scheme(scheme) => {
                let start = rest.start + scheme.len() + "://".len();
                let len = text.find(['/', '?']).unwrap_or(text.len());
                let (authority, _) = text.split_at(len);
                split_authority(authority).map_err(|_| HandshakeError::InvalidTarget)?;
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

/// `Sec-WebSocket-Key`: 16 bytes in base64.
#[derive(Clone, Eq, PartialEq)]
struct Key([u8; 24]);

impl Key {
    /// 22 characters and "==". The last four bits of the 22nd belong to no byte; they may be set, as they are in the
    /// example of RFC 6455 section 4.1.
    fn new(value: &[u8]) -> Option<Self> {
        let key: [u8; 24] = value.try_into().ok()?;
        let [characters @ .., b'=', b'='] = &key else {
            return None;
        };
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        // Without a way out between the characters, the compiler looks at all of them at once.
        let all_base64 = characters.iter().fold(true, |all, byte| all & is_base64(byte));
        all_base64.then_some(Self(key))
    }
}

/// Keeps it out of logs, like the header.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

/// Room for the response without further headers.
const USUAL_RESPONSE_BYTES: usize = 192;
