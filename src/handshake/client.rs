//! The client's side of the opening handshake (RFC 6455 section 4.1).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;
use core::str;

use super::error::{BuildError, HandshakeError};
use super::head::{Head, HeadReader, Headers, StartLine, minor_version};
use super::header::{Extension, ExtraHeaders, as_token, elements, is_token, write_line, write_list};
use super::name::Name;
use super::{Limits, accept_key, base64};
use crate::uri::Uri;

/// The request that asks a server for a WebSocket connection.
///
/// ```
/// use sansocket::Uri;
/// use sansocket::handshake::ClientRequest;
///
/// let request = ClientRequest::new(&Uri::parse("wss://example.com/chat")?)
///     .header("Authorization", "Bearer 6455")?
///     .subprotocols(["v2.chat", "v1.chat"])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientRequest {
    uri: Uri,
    headers: ExtraHeaders,
    /// Tokens, none twice.
    subprotocols: Vec<String>,
    require_subprotocol: bool,
    extensions: Vec<Extension>,
}

impl ClientRequest {
    /// A request for the resource the URI names, without options.
    pub fn new(uri: &Uri) -> Self {
        Self {
            uri: uri.clone(),
            headers: ExtraHeaders::default(),
            subprotocols: Vec::new(),
            require_subprotocol: false,
            extensions: Vec::new(),
        }
    }

    /// Adds a header, such as `Authorization` or `Cookie`. Those of the handshake itself are refused, as is `Origin`,
    /// for which there is [`origin`](Self::origin).
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        self.headers.add(name, value, |name| {
            matches!(
                name,
                "host" | "upgrade" | "connection" | "origin" | "content-length" | "transfer-encoding"
            ) || name.starts_with("sec-websocket-")
        })?;
        Ok(self)
    }

    /// Sets `Origin`, which only browsers have to send; it is for clients that act for one, or whose server asks for it.
    pub fn origin(mut self, origin: &str) -> Result<Self, BuildError> {
        self.headers.remove("Origin");
        self.headers.add("Origin", origin, |_| false)?;
        Ok(self)
    }

    /// Offers one more subprotocol, less preferred than those before it.
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Result<Self, BuildError> {
        let subprotocol = subprotocol.into();
        // 4.1: "The elements that comprise this value MUST be non-empty strings with characters in the range U+0021 to
        // U+007E not including separator characters [..] and MUST all be unique strings."
        if !is_token(subprotocol.as_bytes()) {
            return Err(BuildError::InvalidSubprotocol(subprotocol));
        }
        if self.subprotocols.contains(&subprotocol) {
            return Err(BuildError::RepeatedSubprotocol(subprotocol));
        }
        self.subprotocols.push(subprotocol);
        Ok(self)
    }

    /// Offers several subprotocols, most preferred first.
    pub fn subprotocols<S: Into<String>>(
        self,
        subprotocols: impl IntoIterator<Item = S>,
    ) -> Result<Self, BuildError> {
        subprotocols.into_iter().try_fold(self, Self::subprotocol)
    }

    /// Whether to fail if the server chooses none of the subprotocols. RFC 6455 lets it, so this is off by default.
    pub fn require_subprotocol(mut self, require: bool) -> Self {
        self.require_subprotocol = require;
        self
    }

    /// Offers an extension, less preferred than those before it. The same name may be offered several times, with
    /// different parameters.
    pub fn extension(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Where to connect to.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    fn encode(&self, key: &[u8], out: &mut Vec<u8>) {
        // 4.1: "The method of the request MUST be GET, and the HTTP version MUST be at least 1.1. [..] The "Request-URI"
        // part of the request MUST match the /resource name/".
        for part in ["GET ", self.uri.resource_name(), " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        // 4.1: "a |Host| header field whose value contains /host/ plus optionally ":" followed by /port/ (when not using
        // the default port)", "an |Upgrade| header field whose value MUST include the "websocket" keyword", "a
        // |Connection| header field whose value MUST include the "Upgrade" token."
        write_line(out, "Host", self.uri.authority());
        out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
        out.extend_from_slice(key);
        // 4.1: "a header field with the name |Sec-WebSocket-Version|. The value of this header field MUST be 13."
        out.extend_from_slice(b"\r\nSec-WebSocket-Version: 13\r\n");
        write_list(out, "Sec-WebSocket-Protocol", self.subprotocols.iter());
        write_list(out, "Sec-WebSocket-Extensions", self.extensions.iter());
        self.headers.write(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Sends the request and reads the server's response.
///
/// ```
/// use sansocket::Uri;
/// use sansocket::handshake::{ClientHandshake, ClientRequest, HandshakeError, Limits};
///
/// # let nonce = *b"the sample nonce";
/// # let mut network = vec![
/// #     b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n".to_vec(),
/// #     b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi".to_vec(),
/// # ].into_iter();
/// let request = ClientRequest::new(&Uri::parse("ws://example.com/chat")?);
/// let mut out = Vec::new();
/// let mut handshake = ClientHandshake::start(&request, Limits::default(), nonce, &mut out);
/// // Write `out`, then read until there is a result.
/// let mut input = Vec::new();
/// let opened = loop {
///     match handshake.receive(&input) {
///         Ok(Some(opened)) => break opened,
///         Ok(None) => match network.next() {
///             Some(bytes) => input.extend(bytes),
///             None => return Err(handshake.receive_eof(&input).into()),
///         },
///         Err(HandshakeError::Refused(response)) => panic!("{}", response.status()),
///         Err(error) => return Err(error.into()),
///     }
/// };
/// input.drain(..opened.consumed());
/// assert_eq!(input, b"\x81\x02hi"); // What is left are frames.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientHandshake {
    limits: Limits,
    /// What `Sec-WebSocket-Accept` must say.
    accept: [u8; 28],
    subprotocols: Vec<String>,
    require_subprotocol: bool,
    /// The names of the extensions offered.
    extensions: Vec<String>,
    /// Where in the input the response in progress starts: after the responses that were skipped.
    start: usize,
    interim_responses: usize,
    progress: Progress,
}

impl ClientHandshake {
    /// Appends the request to `out`.
    ///
    /// The nonce must be random, and used for this connection only. Send nothing else before
    /// [`receive`](Self::receive) says that the connection is open.
    pub fn start(request: &ClientRequest, limits: Limits, nonce: [u8; 16], out: &mut Vec<u8>) -> Self {
        // 4.1: "The value of this header field MUST be a nonce consisting of a randomly selected 16-byte value that has
        // been base64-encoded".
        let key: [u8; 24] = base64(nonce);
        request.encode(&key, out);
        Self {
            limits,
            accept: accept_key(key),
            subprotocols: request.subprotocols.clone(),
            require_subprotocol: request.require_subprotocol,
            extensions: request.extensions.iter().map(|extension| extension.name().to_owned()).collect(),
            start: 0,
            interim_responses: 0,
            progress: Progress::default(),
        }
    }

    /// Takes all bytes received so far; the caller only appends to them between calls.
    ///
    /// `None`: the response is not complete. The work is linear in the input, however it is cut. After an error the
    /// connection is to be closed.
    pub fn receive(&mut self, input: &[u8]) -> Result<Option<Opened>, HandshakeError> {
        loop {
            let response = input.get(self.start..).unwrap_or_default();
            match &mut self.progress {
                Progress::Head(head) => {
                    // What was skipped counts too.
                    let limits = Limits {
                        head_bytes: self.limits.head_bytes.saturating_sub(self.start),
                        ..self.limits
                    };
                    let Some(head) = head.read(response, &limits)? else {
                        return Ok(None);
                    };
                    match head.line.status {
                        101 => return self.open(head).map(Some),
                        // RFC 9110 section 15.2: "A client MUST be able to parse one or more 1xx responses received
                        // prior to a final response, even if the client does not expect one."
                        100..200 => {
                            if self.interim_responses >= self.limits.interim_responses {
                                return Err(HandshakeError::TooManyInterimResponses);
                            }
                            self.interim_responses += 1;
                            self.start += head.headers.consumed();
                        }
                        // 4.1: "If the status code received from the server is not 101, the client handles the response
                        // per HTTP [RFC2616] procedures."
                        _ => {
                            self.start += head.headers.consumed();
                            self.progress = Progress::Body(Box::new(Response::new(head)), Body::default());
                        }
                    }
                }
                Progress::Body(refusal, body) => {
                    let is_complete = body.read(response, refusal, self.limits.refusal_body_bytes);
                    return if is_complete {
                        Err(HandshakeError::Refused(refusal.clone()))
                    } else {
                        Ok(None)
                    };
                }
            }
        }
    }

    /// Nothing more comes, and [`receive`](Self::receive) had no result: the server closed the connection, or the caller
    /// waits no longer. A refusal with as much of its body as came, or [`HandshakeError::Incomplete`].
    ///
    /// Call it when a deadline passes, too. A refusal whose head came in time but whose body did not is better reported
    /// as what it is, a refusal; report [`HandshakeError::TimedOut`] where this gives `Incomplete`.
    pub fn receive_eof(&mut self, input: &[u8]) -> HandshakeError {
        match self.receive(input) {
            Err(error) => error,
            Ok(_) => match mem::take(&mut self.progress) {
                Progress::Body(refusal, _) => HandshakeError::Refused(refusal),
                Progress::Head(_) => HandshakeError::Incomplete,
            },
        }
    }

    /// Checks a response with status 101 (RFC 6455 section 4.1): "If the server's response does not conform to the
    /// requirements for the server's handshake as defined in this section and in Section 4.2.2, the client MUST _Fail
    /// the WebSocket Connection_."
    ///
    /// `Content-Length` and `Transfer-Encoding` are ignored, since RFC 9112 section 6.3 says of any 1xx response that it
    /// ends with its head.
    fn open(&self, head: Head<StatusLine>) -> Result<Opened, HandshakeError> {
        let consumed = self.start + head.headers.consumed();
        let response = Response::new(head);
        let headers = &response.headers;

        if response.line.minor_version == 0 {
            return Err(HandshakeError::UnsupportedHttpVersion);
        }

        // "2. If the response lacks an |Upgrade| header field or the |Upgrade| header field contains a value that is not
        // an ASCII case-insensitive match for the value "websocket"".
        if !upgrades_to_websocket_only(headers) {
            return Err(HandshakeError::MissingUpgrade);
        }

        // "3. If the response lacks a |Connection| header field or the |Connection| header field doesn't contain a token
        // that is an ASCII case-insensitive match for the value "Upgrade"".
        if !headers.connection_upgrades()? {
            return Err(HandshakeError::MissingConnectionUpgrade);
        }

        // "4. If the response lacks a |Sec-WebSocket-Accept| header field or the |Sec-WebSocket-Accept| contains a value
        // other than the base64-encoded SHA-1 of [..]". 11.3.3: it "MUST NOT appear more than once in an HTTP response."
        let accept = headers.only(Name::SecWebSocketAccept).map_err(|_| HandshakeError::RepeatedAccept)?;
        if accept.ok_or(HandshakeError::MissingAccept)? != self.accept {
            return Err(HandshakeError::WrongAccept);
        }

        // "5. If the response includes a |Sec-WebSocket-Extensions| header field and this header field indicates the use
        // of an extension that was not present in the client's handshake".
        let extensions = Extension::parse_list(headers.all(Name::SecWebSocketExtensions))
            .map_err(|_| HandshakeError::InvalidExtensions)?;
        for (i, extension) in extensions.iter().enumerate() {
            let name = extension.name();
            if !self.extensions.iter().any(|offered| offered == name) {
                return Err(HandshakeError::UnofferedExtension(name.to_owned()));
            }
            // Fails at the latest when `i` is the number of offers: the search is never long.
            if extensions.iter().take(i).any(|other| other.name() == name) {
                return Err(HandshakeError::RepeatedExtension(name.to_owned()));
            }
        }

        // "6. If the response includes a |Sec-WebSocket-Protocol| header field and this header field indicates the use of
        // a subprotocol that was not present in the client's handshake". 11.3.4: it "MUST NOT appear more than once in an
        // HTTP response."
        let subprotocol =
            headers.only(Name::SecWebSocketProtocol).map_err(|_| HandshakeError::SeveralSubprotocols)?;
        let subprotocol = match subprotocol {
            Some(value) => {
                let name = as_token(value).ok_or(HandshakeError::InvalidSubprotocols)?;
                if !self.subprotocols.iter().any(|offered| offered == name) {
                    return Err(HandshakeError::UnofferedSubprotocol(name.to_owned()));
                }
                Some(name.to_owned())
            }
            None if self.require_subprotocol => return Err(HandshakeError::MissingSubprotocol),
            None => None,
        };

        Ok(Opened { consumed, subprotocol, extensions, response })
    }
}

/// The server accepted: the connection is open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opened {
    consumed: usize,
    subprotocol: Option<String>,
    extensions: Vec<Extension>,
    response: Response,
}

impl Opened {
    /// How many bytes of the input the handshake took. What follows are the server's first frames.
    pub fn consumed(&self) -> usize {
        self.consumed
    }

    /// The subprotocol in use: one of those offered.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The extensions in use, in the order the server lists them: their names were offered. Whether the parameters are
    /// right is the extension's business.
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// The response, with its headers.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// The subprotocol and the response.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn into_parts(self) -> (Option<String>, Response) {
        (self.subprotocol, self.response)
    }
}

/// A server's HTTP response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    line: StatusLine,
    headers: Headers,
    body: Vec<u8>,
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

    /// The start of a refusal's body, as far as [`Limits::refusal_body_bytes`] goes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The versions of the WebSocket protocol that the server says it speaks (RFC 6455 section 4.4).
    pub fn websocket_versions(&self) -> impl Iterator<Item = u8> {
        self.headers.all(Name::SecWebSocketVersion).flat_map(elements).filter_map(parse_version)
    }

    fn new(head: Head<StatusLine>) -> Self {
        Self { line: head.line, headers: head.headers, body: Vec::new() }
    }
}

/// What is being read.
#[derive(Debug)]
enum Progress {
    Head(HeadReader<StatusLine>),
    /// The body of a refusal.
    Body(Box<Response>, Body),
}

impl Default for Progress {
    fn default() -> Self {
        Self::Head(HeadReader::default())
    }
}

/// `HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112 section 4).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct StatusLine {
    minor_version: u8,
    status: u16,
    /// A range of the head.
    reason: Range<usize>,
}

impl StartLine for StatusLine {
    const AFTER_EMPTY_LINES: bool = false;

    fn may_start_with(byte: u8) -> bool {
        byte == b'H'
    }

    fn parse(input: &[u8], line: Range<usize>) -> Result<Self, HandshakeError> {
        let text = input.get(line.clone()).unwrap_or_default();
        // Stricter than `httparse`, which knows neither HTTP/1.2 nor that the second space must be there.
        let (version, rest) = text.split_at_checked(8).ok_or(HandshakeError::InvalidStartLine)?;
        let minor_version = minor_version(version)?;
        let [b' ', hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b' ', reason @ ..] = rest
        else {
            return Err(HandshakeError::InvalidStartLine);
        };
        let status = 100 * u16::from(hundreds - b'0') + 10 * u16::from(tens - b'0') + u16::from(ones - b'0');
        Ok(Self { minor_version, status, reason: line.end - reason.len()..line.end })
    }
}

/// Collects the start of a refusal's body.
#[derive(Debug, Default)]
struct Body {
    /// The bytes of the body on the wire that were looked at.
    position: usize,
    chunk: Chunk,
}

impl Body {
    /// Reads on in `input`, the body on the wire so far, of which no more than `limit` bytes are of interest. `true`:
    /// nothing more is to come, or to be read.
    fn read(&mut self, input: &[u8], response: &mut Response, limit: usize) -> bool {
        if matches!(response.status(), 204 | 304) {
            return true;
        }
        let is_chunked = response.headers.has(Name::TransferEncoding);
        // RFC 9112 section 6.3: "If a message is received with both a Transfer-Encoding and a Content-Length header
        // field, the Transfer-Encoding overrides the Content-Length." A malformed length is no length.
        let length = if is_chunked { None } else { response.headers.get("Content-Length") };
        // RFC 9110 section 8.6: `Content-Length = 1*DIGIT`; `parse` alone would take a sign.
        let length = length.filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()));
        let end =
            length.and_then(|length| length.parse().ok()).map_or(limit, |length: usize| length.min(limit));

        let visible = input.get(..end).unwrap_or(input);
        let new = visible.get(self.position..).unwrap_or_default();
        self.position = visible.len();
        let is_last_chunk = if is_chunked {
            new.iter().any(|&byte| self.chunk.read(byte, &mut response.body))
        } else {
            response.body.extend_from_slice(new);
            false
        };
        is_last_chunk || self.position == end
    }
}

/// The chunked coding of RFC 9112 section 7.1: `1*HEXDIG [ chunk-ext ] CRLF chunk-data CRLF`, the last one of size 0.
///
/// It only serves to show what a server said, so it does not insist: what is no chunk is taken as it is.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    /// In the size; what it is so far.
    Size(usize),
    /// Between the size and the end of its line.
    Extension(usize),
    /// In the data; how much is left.
    Data(usize),
    /// In the line end after the data.
    End,
}

impl Default for Chunk {
    fn default() -> Self {
        Self::Size(0)
    }
}

impl Chunk {
    /// Reads one byte. `true`: the last chunk was read.
    fn read(&mut self, byte: u8, body: &mut Vec<u8>) -> bool {
        *self = match (*self, byte) {
            (Self::Size(0) | Self::Extension(0), b'\n') => return true,
            (Self::Size(size) | Self::Extension(size), b'\n') => Self::Data(size),
            (Self::Size(size), _) => match char::from(byte).to_digit(16) {
                Some(digit) => Self::Size(size.saturating_mul(16).saturating_add(digit as usize)),
                None => Self::Extension(size),
            },
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::Data(left), _) => {
                body.push(byte);
                if left > 1 { Self::Data(left - 1) } else { Self::End }
            }
            (Self::End, b'\n') => Self::Size(0),
            (Self::End, _) => Self::End,
        };
        false
    }
}

/// Whether `Upgrade` lists `websocket` and nothing else.
fn upgrades_to_websocket_only(headers: &Headers) -> bool {
    let mut protocols = headers.all(Name::Upgrade).flat_map(elements);
    protocols.next().is_some_and(|name| name.eq_ignore_ascii_case(b"websocket")) && protocols.next().is_none()
}

/// 4.3: `version = DIGIT | (NZDIGIT DIGIT) | ("1" DIGIT DIGIT) | ("2" DIGIT DIGIT)`, "Limited to 0-255 range, with no
/// leading zeros".
fn parse_version(version: &[u8]) -> Option<u8> {
    match version {
        [b'0', _, ..] => None,
        _ if version.iter().all(u8::is_ascii_digit) => str::from_utf8(version).ok()?.parse().ok(),
        _ => None,
    }
}
