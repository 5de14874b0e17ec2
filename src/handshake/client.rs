//! The client's side of the opening handshake (RFC 6455 section 4.1).

#[cfg(feature = "http2")]
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::credentials;
#[cfg(feature = "http2")]
use super::error::HeadError;
use super::error::{BuildError, ResponseError};
use super::extension::Extension;
use super::extra_headers::{ExtraHeaders, list_of, write_line};
use super::grammar::is_token;
#[cfg(feature = "http2")]
use super::headers::Headers;
use super::http1::response_reader::ResponseReader;
use super::key::{accept_key, base64};
use super::limits::Limits;
use super::response::Response;
#[cfg(feature = "http2")]
use super::response::StatusLine;
use super::rules::{self, Offer};
use super::uri::Uri;

/// The request that asks a server for a WebSocket connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientRequest {
    uri: Uri,
    headers: ExtraHeaders,
    /// Whether the crate names itself.
    names_crate: bool,
    offer: Offer,
}

impl ClientRequest {
    /// A request for the resource the URI names, without options but for a `User-Agent`: this crate's name and version.
    pub fn new(uri: &Uri) -> Self {
        let (headers, offer) = (ExtraHeaders::default(), Offer::default());
        Self { uri: uri.clone(), headers, names_crate: true, offer }
    }

    /// Adds a header, such as `Cookie`. Those of the handshake itself are refused, as is `Origin`, for which there is
    /// [`origin`](Self::origin), and `Proxy-Authorization`, which is for a proxy, and would go to the server. A `User-Agent`, or an `Authorization`, replaces the one that there is:
    ///
    /// ```
    /// # use sansocket::{Uri, handshake::ClientRequest};
    /// let request = ClientRequest::new(&Uri::parse("wss://example.com/")?).header("User-Agent", "feed-reader/2.1")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        if name.eq_ignore_ascii_case(USER_AGENT) {
            self = self.without_user_agent();
        }
        if name.eq_ignore_ascii_case(AUTHORIZATION) {
            self.headers.remove(AUTHORIZATION);
        }
        self.headers.add(name, value, |name| {
            matches!(
                name,
                "host"
                    | "upgrade"
                    | "connection"
                    | "origin"
                    | "content-length"
                    | "transfer-encoding"
                    | "proxy-authorization"
            ) || name.starts_with("sec-websocket-")
        })?;
        Ok(self)
    }

    /// Sets `User-Agent`, in place of this crate's name.
    pub fn user_agent(self, user_agent: &str) -> Result<Self, BuildError> {
        self.header(USER_AGENT, user_agent)
    }

    /// Sets `Authorization` to this bearer token (RFC 6750), in place of what was there. Fails if it is empty, or has a
    /// character other than visible ASCII.
    pub fn bearer(self, token: &str) -> Result<Self, BuildError> {
        let value = credentials::bearer(token)?;
        self.header(AUTHORIZATION, &value)
    }

    /// Sets `Authorization` to a user's name and password in UTF-8 (RFC 7617), in place of what was there. Fails if the name
    /// has a colon, or one of them a control character.
    pub fn basic(self, user: &str, password: &str) -> Result<Self, BuildError> {
        let value = credentials::basic(user, password)?;
        self.header(AUTHORIZATION, &value)
    }

    /// Sends no `User-Agent`. Some servers refuse requests without one: "A user agent SHOULD send a User-Agent header
    /// field in each request unless specifically configured not to do so." (RFC 9110 section 10.1.5)
    pub fn without_user_agent(mut self) -> Self {
        self.headers.remove(USER_AGENT);
        self.names_crate = false;
        self
    }

    /// Sets `Origin`, which only browsers have to send; it is for clients that act for one, or whose server asks for
    /// it.
    pub fn origin(mut self, origin: &str) -> Result<Self, BuildError> {
        self.headers.remove("Origin");
        self.headers.add("Origin", origin, |_| false)?;
        Ok(self)
    }

    /// Offers one more subprotocol, less preferred than those before it.
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Result<Self, BuildError> {
        let subprotocol = subprotocol.into();
        // "The elements that comprise this value MUST be non-empty strings with characters in the range U+0021 to
        // U+007E not including separator characters [..] and MUST all be unique strings." (6455-4.1-34, 6455-4.1-35)
        if !is_token(subprotocol.as_bytes()) {
            return Err(BuildError::InvalidSubprotocol(subprotocol));
        }
        if self.offer.subprotocols.contains(&subprotocol) {
            return Err(BuildError::RepeatedSubprotocol(subprotocol));
        }
        self.offer.subprotocols.push(subprotocol);
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
        self.offer.require_subprotocol = require;
        self
    }

    /// Offers an extension, less preferred than those before it. The same name may be offered several times, with
    /// different parameters.
    pub fn extension(mut self, extension: Extension) -> Self {
        self.offer.extensions.push(extension);
        self
    }

    /// Where to connect to.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The same request to another place: without credentials, if that is of another scheme, host or port.
    #[cfg(feature = "std")]
    pub(crate) fn redirected(mut self, uri: Uri) -> Self {
        // With the scheme, an authority tells the port, too.
        if (self.uri.is_secure(), self.uri.authority()) != (uri.is_secure(), uri.authority()) {
            for name in CREDENTIALS {
                self.headers.remove(name);
            }
        }
        Self { uri, ..self }
    }

    /// The `User-Agent` that is sent.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(super) fn sent_user_agent(&self) -> Option<&[u8]> {
        let given = || self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(USER_AGENT));
        if self.names_crate { Some(CRATE.as_bytes()) } else { given().map(|(_, agent)| agent) }
    }

    fn encode(&self, key: &[u8], out: &mut Vec<u8>) {
        // Room for a request without further headers.
        out.reserve(256);
        // "The method of the request MUST be GET, and the HTTP version MUST be at least 1.1. [..] The "Request-URI"
        // part of the request MUST match the /resource name/" (6455-4.1-20, 6455-4.1-21, 6455-4.1-22).
        for part in ["GET ", self.uri.resource_name(), " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        // "a |Host| header field whose value contains /host/ plus optionally ":" followed by /port/ (when not using the
        // default port)" (6455-4.1-23), "an |Upgrade| header field whose value MUST include the "websocket" keyword"
        // (6455-4.1-24), "a |Connection| header field whose value MUST include the "Upgrade" token." (6455-4.1-25)
        write_line(out, "Host", self.uri.authority().as_bytes());
        out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
        out.extend_from_slice(key);
        out.extend_from_slice(b"\r\n");
        self.for_each_header(|name, value| write_line(out, name, value));
        out.extend_from_slice(b"\r\n");
    }

    /// Calls `f` with the headers that a request has by whichever version of HTTP it goes.
    pub(crate) fn for_each_header(&self, mut f: impl FnMut(&str, &[u8])) {
        // "a header field with the name |Sec-WebSocket-Version|. The value of this header field MUST be 13."
        // (6455-4.1-31, 6455-4.1-32)
        f("Sec-WebSocket-Version", b"13");
        if let Some(list) = list_of(&self.offer.subprotocols) {
            f("Sec-WebSocket-Protocol", list.as_bytes());
        }
        if let Some(list) = list_of(&self.offer.extensions) {
            f("Sec-WebSocket-Extensions", list.as_bytes());
        }
        if self.names_crate {
            f(USER_AGENT, CRATE.as_bytes());
        }
        self.headers.iter().for_each(|(name, value)| f(name, value));
    }

    /// Judges the final response to this request, which went as an extended CONNECT, and whose head an HTTP library has
    /// parsed: any 2xx opens the connection. The body is the start of what a refusal says.
    ///
    /// "Implementations using this extended CONNECT to bootstrap WebSockets do not do the processing of the
    /// Sec-WebSocket-Key and Sec-WebSocket-Accept header fields of [RFC6455]" (RFC 8441 section 5).
    #[cfg(feature = "http2")]
    pub(crate) fn judge_connect<'a>(
        &self,
        status: u16,
        lines: impl Iterator<Item = (&'a str, &'a [u8])>,
        body: Vec<u8>,
        limits: &Limits,
    ) -> Result<Opened, ResponseError> {
        let headers = Headers::from_lines(Vec::new(), lines).ok_or(HeadError::InvalidHeaderName)?;
        if headers.len() > limits.headers {
            return Err(HeadError::TooManyHeaders.into());
        }
        if headers.text_len() > limits.head_bytes {
            return Err(HeadError::HeadTooLarge.into());
        }
        let response = Response { line: StatusLine { status, ..StatusLine::default() }, headers, body };
        if !(200..300).contains(&status) {
            return Err(ResponseError::Refused(Box::new(response)));
        }
        let (subprotocol, extensions) = rules::check_choices(&self.offer, response.headers())?;
        Ok(Opened { consumed: 0, subprotocol, extensions, response })
    }
}

/// Sends the request and reads the server's response.
///
/// ```
/// use sansocket::Uri;
/// use sansocket::handshake::{ClientHandshake, ClientRequest, Limits, ResponseError};
///
/// # let nonce = *b"the sample nonce";
/// # let mut network = vec![
/// #     b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n".to_vec(),
/// #     b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi".to_vec(),
/// # ].into_iter();
/// let request = ClientRequest::new(&Uri::parse("ws://example.com/chat")?)
///     .header("Authorization", "Bearer 6455")?
///     .subprotocols(["v2.chat", "v1.chat"])?;
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
///         Err(ResponseError::Refused(response)) => panic!("{}", response.status()),
///         Err(error) => return Err(error.into()),
///     }
/// };
/// input.drain(..opened.consumed());
/// assert_eq!(input, b"\x81\x02hi"); // What is left are frames.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientHandshake {
    offer: Offer,
    /// What `Sec-WebSocket-Accept` must say.
    accept: [u8; 28],
    response: ResponseReader,
}

impl ClientHandshake {
    /// Appends the request to `out`.
    ///
    /// The nonce must be random, and used for this connection only. Send nothing else before [`receive`](Self::receive)
    /// says that the connection is open.
    pub fn start(request: &ClientRequest, limits: Limits, nonce: [u8; 16], out: &mut Vec<u8>) -> Self {
        // "The value of this header field MUST be a nonce consisting of a randomly selected 16-byte value that has been
        // base64-encoded" (6455-4.1-27).
        let key: [u8; 24] = base64(nonce);
        request.encode(&key, out);
        let (offer, accept) = (request.offer.clone(), accept_key(key));
        // "If the status code received from the server is not 101, the client handles the response per HTTP [RFC2616]
        // procedures." (6455-4.1-40)
        Self { offer, accept, response: ResponseReader::new(limits, |status| status == 101) }
    }

    /// Takes all bytes received so far; the caller only appends to them between calls.
    ///
    /// `None`: the response is not complete. The work is linear in the input, however it is cut. After an error the
    /// connection is to be closed.
    pub fn receive(&mut self, input: &[u8]) -> Result<Option<Opened>, ResponseError> {
        let Some((response, consumed)) = self.response.read(input)? else {
            return Ok(None);
        };
        let (subprotocol, extensions) = rules::check_response(&self.offer, self.accept, &response)?;
        Ok(Some(Opened { consumed, subprotocol, extensions, response }))
    }

    /// The refusal whose head is there, and whose body is not, or not all of it.
    #[cfg(feature = "std")]
    pub(crate) fn refusal(&self) -> Option<&Response> {
        self.response.refusal()
    }

    /// Nothing more comes, and [`receive`](Self::receive) had no result: the server closed the connection, or the
    /// caller waits no longer. A refusal with as much of its body as came, or
    /// [`HeadError::Incomplete`](super::HeadError::Incomplete).
    ///
    /// Call it when a deadline passes, too. A refusal whose head came in time but whose body did not is better reported
    /// as what it is, a refusal; report the deadline where this gives `Incomplete`.
    pub fn receive_eof(&mut self, input: &[u8]) -> ResponseError {
        match self.receive(input) {
            Err(error) => error,
            Ok(_) => self.response.read_eof(input),
        }
    }
}

/// The server accepted: the connection is open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opened {
    consumed: usize,
    pub(crate) subprotocol: Option<String>,
    extensions: Vec<Extension>,
    pub(crate) response: Response,
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
}

const USER_AGENT: &str = "User-Agent";
const AUTHORIZATION: &str = "Authorization";

/// What tells one server who the client is, and is no other's to know.
#[cfg(feature = "std")]
const CREDENTIALS: [&str; 2] = [AUTHORIZATION, "Cookie"];
const CRATE: &str = concat!("sansocket/", env!("CARGO_PKG_VERSION"));
