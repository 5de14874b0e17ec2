//! What can be wrong in an opening handshake: with a request, with a response, and with what is to be sent.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use super::forwarded::ForwardedHost;
use super::response::Response;

/// The head of a request or a response is not one of HTTP/1.1, or goes beyond a limit.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HeadError {
    /// The first line is not an HTTP/1 request line, or not a status line.
    InvalidStartLine,
    /// A line does not end in CR LF.
    InvalidLineEnd,
    /// A header line begins with whitespace: in a request, or as the first of a response. Where it is another of a
    /// response, the value before it goes on, with spaces for the line's end (RFC 9112 section 5.2).
    FoldedHeader,
    /// A header line has no name, no colon, or a character in the name that no name may have.
    InvalidHeaderName,
    /// A header value contains a control character.
    InvalidHeaderValue,
    /// The request line or status line is longer than [`Limits::start_line_bytes`](super::Limits::start_line_bytes).
    StartLineTooLong,
    /// The head is longer than [`Limits::head_bytes`](super::Limits::head_bytes).
    HeadTooLarge,
    /// There are more header lines than [`Limits::headers`](super::Limits::headers).
    TooManyHeaders,
    /// The HTTP version is not HTTP/1.1 or a later HTTP/1.
    UnsupportedHttpVersion,
    /// The other end speaks TLS: where a head was to begin there is a record of TLS.
    Tls,
    /// The connection ended before the head did.
    Incomplete,
}

impl HeadError {
    /// The HTTP status with which a server answers such a request, and what is wrong with it.
    fn answer(&self) -> (u16, &'static str) {
        match self {
            Self::InvalidStartLine => (400, "the first line is not an HTTP/1.1 request line or status line"),
            Self::InvalidLineEnd => (400, "a line of the HTTP head does not end in CR LF"),
            Self::FoldedHeader => (400, "a header value continues on a second line"),
            Self::InvalidHeaderName => (400, "a header line does not start with a header name and a colon"),
            Self::InvalidHeaderValue => (400, "a header value contains a control character"),
            Self::StartLineTooLong => (414, "the request line or status line is too long"),
            Self::HeadTooLarge => (431, "the HTTP head is too large"),
            Self::TooManyHeaders => (431, "the HTTP head has too many header lines"),
            Self::UnsupportedHttpVersion => (505, "the HTTP version is not 1.1"),
            Self::Tls => {
                (400, "the other end speaks TLS, which wss:// and https:// stand for, and this end does not")
            }
            Self::Incomplete => (400, "the connection ended during the opening handshake"),
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.answer().1)
    }
}

impl core::error::Error for HeadError {}

/// A client's request breaks a rule: the server answers with [`status`](Self::status). [`Reply`](super::Reply) has a
/// conversion that adds the headers which must go with it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RequestError {
    /// Its head is not one of HTTP/1.1, or too large.
    Head(HeadError),
    /// A WebSocket request whose method is not `GET`, or another one where a WebSocket is all there is.
    MethodNotGet,
    /// The request target is neither a path nor an absolute `http`, `https`, `ws` or `wss` URI.
    InvalidTarget,
    /// There is no `Host` header.
    MissingHost,
    /// There is more than one `Host` header.
    RepeatedHost,
    /// `Host` is not a host with an optional port.
    InvalidHost,
    /// `Origin` is repeated, empty, or not visible ASCII.
    InvalidOrigin,
    /// The header in which a trusted proxy names the host, which is needed to judge a page's origin, is malformed.
    InvalidForwardedHost(ForwardedHost),
    /// `Upgrade` is not a list of protocols.
    InvalidUpgrade,
    /// `Upgrade` is missing or does not say `websocket`.
    MissingUpgrade,
    /// A request of HTTP/2 or a later version that is not an extended CONNECT with the protocol `websocket` (RFC 8441).
    MissingConnect,
    /// There is a `Sec-WebSocket-Key`, and no `Upgrade`, a `Connection` that does not say so, or HTTP/1.0: mostly, a proxy that was
    /// not told to pass upgrades on took it away.
    LostUpgrade,
    /// `Connection` is not a list of tokens.
    InvalidConnection,
    /// `Connection` is missing or does not say `Upgrade`.
    MissingConnectionUpgrade,
    /// There is no `Sec-WebSocket-Key`.
    MissingKey,
    /// There is more than one `Sec-WebSocket-Key`.
    RepeatedKey,
    /// `Sec-WebSocket-Key` is not 16 bytes in base64.
    InvalidKey,
    /// There is no `Sec-WebSocket-Version`.
    MissingVersion,
    /// There is more than one `Sec-WebSocket-Version`.
    RepeatedVersion,
    /// `Sec-WebSocket-Version` is not 13.
    UnsupportedVersion,
    /// `Sec-WebSocket-Protocol` is not a list of tokens.
    InvalidSubprotocols,
    /// A subprotocol is offered twice.
    RepeatedSubprotocol,
    /// `Sec-WebSocket-Extensions` breaks the grammar of RFC 6455 section 9.1.
    InvalidExtensions,
    /// A WebSocket request announces a body.
    UnexpectedBody,
    /// A request that does not ask for a WebSocket asks for a page that there is not, of a server that has pages.
    NoPage,
    /// How long the body is cannot be told, or is told in two ways: a `Content-Length` that is repeated, no number, or
    /// beside a `Transfer-Encoding`, or a `Transfer-Encoding` that does not end in `chunked`, or is HTTP/1.0.
    InvalidBodyLength,
    /// The body is in a transfer coding beside `chunked`.
    UnsupportedTransferCoding,
    /// The body is not in the chunked coding of RFC 9112 section 7.1.
    InvalidChunk,
    /// The body is longer than it may be.
    BodyTooLarge,
    /// The connection ended before the body did.
    IncompleteBody,
    /// The client speaks HTTP without TLS, to a server that speaks TLS.
    MissingTls,
    /// A page may not connect that comes from elsewhere than the server: see `Origins`.
    ForeignOrigin(Box<ForeignOrigin>),
}

/// Where a page comes from that may not connect, and what it asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ForeignOrigin {
    /// The request's `Origin`.
    pub origin: String,
    /// The host that the client asked for, as the request says, or a trusted proxy. It is what the origin was compared with, unless
    /// the server has a list of origins, or a function that judges them.
    pub host: Option<String>,
    /// The header of the trusted proxy that named the host; `None`: the request itself did.
    pub header: Option<ForwardedHost>,
}

impl RequestError {
    /// The HTTP status that the server answers with.
    pub fn status(&self) -> u16 {
        self.answer().0
    }

    /// The status, and what is wrong.
    fn answer(&self) -> (u16, &'static str) {
        match self {
            Self::Head(error) => error.answer(),
            Self::MethodNotGet => (405, "the method of a WebSocket request must be GET"),
            Self::InvalidTarget => (400, "the request target is neither a path nor an absolute URI"),
            Self::MissingHost => (400, "the Host header is missing"),
            Self::RepeatedHost => (400, "the Host header is repeated"),
            Self::InvalidHost => (400, "the Host header is not a host with an optional port"),
            Self::InvalidOrigin => (400, "the Origin header is repeated or malformed"),
            Self::InvalidForwardedHost(ForwardedHost::XForwardedHost) => (
                400,
                "the X-Forwarded-Host header of the proxy in front does not end with a host, such as example.com:8080",
            ),
            Self::InvalidForwardedHost(ForwardedHost::Forwarded) => (
                400,
                "the Forwarded header of the proxy in front is malformed, or its last host is (a host with a port has to \
                 be in quotes: host=\"example.com:8080\")",
            ),
            Self::InvalidUpgrade => (400, "the Upgrade header is not a list of protocols"),
            Self::MissingUpgrade => (426, "the Upgrade header does not say websocket"),
            // 426 would have to say `Upgrade`, which HTTP/2 does not have.
            Self::MissingConnect => (
                400,
                "a WebSocket is asked for over HTTP/2 by CONNECT with the protocol websocket (RFC 8441)",
            ),
            Self::LostUpgrade => (
                426,
                "the upgrade is missing: the client did not send it, or a proxy has taken it away: have that speak HTTP/1.1 \
                 to this server, and pass on the headers Upgrade and Connection (for nginx: proxy_http_version 1.1; \
                 proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; for Apache: \
                 upgrade=websocket at the end of ProxyPass)",
            ),
            Self::InvalidConnection => (400, "the Connection header is not a list of tokens"),
            Self::MissingConnectionUpgrade => (426, "the Connection header does not say Upgrade"),
            Self::MissingKey => (400, "the Sec-WebSocket-Key header is missing"),
            Self::RepeatedKey => (400, "the Sec-WebSocket-Key header is repeated"),
            Self::InvalidKey => (400, "the Sec-WebSocket-Key header is not 16 bytes in base64"),
            Self::MissingVersion => (400, "the Sec-WebSocket-Version header is missing"),
            Self::RepeatedVersion => (400, "the Sec-WebSocket-Version header is repeated"),
            // "If this version does not match a version understood by the server, the server MUST abort the WebSocket
            // handshake [..] and instead send an appropriate HTTP error code (such as 426 Upgrade Required)"
            // (6455-4.2.2-09).
            Self::UnsupportedVersion => (426, "the only supported Sec-WebSocket-Version is 13"),
            Self::InvalidSubprotocols => (400, "the Sec-WebSocket-Protocol header is malformed"),
            Self::RepeatedSubprotocol => (400, "the Sec-WebSocket-Protocol header lists a subprotocol twice"),
            Self::InvalidExtensions => (400, "the Sec-WebSocket-Extensions header is malformed"),
            Self::UnexpectedBody => (400, "a WebSocket request must not have a body"),
            Self::NoPage => (404, "there is no page at this path"),
            Self::InvalidBodyLength => (400, "the length of the body is not told in one valid way"),
            Self::UnsupportedTransferCoding => (501, "the only supported Transfer-Encoding is chunked"),
            Self::InvalidChunk => (400, "the body is not in the chunked coding that it should be in"),
            Self::BodyTooLarge => (413, "the body is longer than it may be"),
            Self::IncompleteBody => (400, "the connection ended before the body did"),
            Self::MissingTls => (400, "this server speaks TLS: connect to it with wss://, or with https://"),
            Self::ForeignOrigin(_) => (403, "pages of this origin may not connect"),
        }
    }
}

impl From<HeadError> for RequestError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.answer().1)?;
        // Behind a proxy that does not say what was asked for, every origin is a foreign one.
        if let Self::ForeignOrigin(foreign) = self {
            let ForeignOrigin { origin, host, header } = &**foreign;
            let host = host.as_deref().unwrap_or("no host");
            write!(f, ": the page comes from {origin}, and asks for {host}")?;
            match header.map(ForwardedHost::name) {
                Some(name) => write!(
                    f,
                    ", as the header {name} of a trusted proxy says (have that write the host there that its client \
                     asked for"
                )?,
                None => f.write_str(
                    " (behind a proxy, have that pass on the header Host as it came, for nginx: proxy_set_header Host \
                     $http_host, for Apache: ProxyPreserveHost On",
                )?,
            }
            f.write_str("; or have the server allow the origin)")?;
        }
        Ok(())
    }
}

/// A head's error is not its source: it says the same.
impl core::error::Error for RequestError {}

/// A server's response breaks a rule, or is a refusal: the client closes the connection.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ResponseError {
    /// Its head is not one of HTTP/1.1, or too large.
    Head(HeadError),
    /// The server answered with a status other than 101, or over HTTP/2 with none of 2xx; its response is in here, with the start of the body: as much
    /// as [`Limits::refusal_body_bytes`](super::Limits::refusal_body_bytes) allows, and as came before the connection
    /// ended or the deadline passed ([`ClientHandshake::receive_eof`](super::ClientHandshake::receive_eof)).
    Refused(Box<Response>),
    /// More responses with a status 1xx came before the final one than
    /// [`Limits::interim_responses`](super::Limits::interim_responses).
    TooManyInterimResponses,
    /// The server speaks HTTP/2, and takes no WebSockets by it: its settings do not have `SETTINGS_ENABLE_CONNECT_PROTOCOL`
    /// with the value 1 (RFC 8441 section 3). It may take them by HTTP/1.1.
    ConnectNotEnabled,
    /// `Upgrade` is missing, or does not say `websocket` and nothing else.
    MissingUpgrade,
    /// `Connection` is not a list of tokens.
    InvalidConnection,
    /// `Connection` is missing or does not say `Upgrade`.
    MissingConnectionUpgrade,
    /// There is no `Sec-WebSocket-Accept`.
    MissingAccept,
    /// There is more than one `Sec-WebSocket-Accept`.
    RepeatedAccept,
    /// `Sec-WebSocket-Accept` does not match the key that was sent.
    WrongAccept,
    /// `Sec-WebSocket-Extensions` breaks the grammar of RFC 6455 section 9.1.
    InvalidExtensions,
    /// The server uses an extension that was not offered.
    UnofferedExtension(String),
    /// The server uses the same extension twice.
    RepeatedExtension(String),
    /// The server's answer to the offer of permessage-deflate breaks RFC 7692, or asks for what was not offered.
    InvalidDeflateResponse,
    /// The server would compress with a larger window than the client's `Deflate::server_max_window_bits` asked for.
    DeflateWindowTooLarge,
    /// `Sec-WebSocket-Protocol` is not a token.
    InvalidSubprotocols,
    /// The server chose a subprotocol that was not offered.
    UnofferedSubprotocol(String),
    /// There is more than one `Sec-WebSocket-Protocol`.
    SeveralSubprotocols,
    /// The server chose no subprotocol, though
    /// [`ClientRequest::require_subprotocol`](super::ClientRequest::require_subprotocol) asked for one.
    MissingSubprotocol,
}

impl From<HeadError> for ResponseError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head(error) => return error.fmt(f),
            Self::Refused(response) => {
                let (status, line) = (response.status(), response.first_line());
                write!(f, "the server refused the WebSocket connection with status {status}")?;
                if response.ignores_upgrade() {
                    f.write_str(
                        ", as if it had not been asked for one (there is none at this path, or a proxy in between does \
                         not pass on the headers Upgrade and Connection)",
                    )?;
                }
                return line.map_or(Ok(()), |line| write!(f, ", and says: {line}"));
            }
            Self::TooManyInterimResponses => "too many 1xx responses came before the final one",
            Self::ConnectNotEnabled => {
                "the server takes no WebSockets over HTTP/2: it did not enable extended CONNECT; try HTTP/1.1"
            }
            Self::MissingUpgrade => "the Upgrade header does not say websocket",
            Self::InvalidConnection => "the Connection header is not a list of tokens",
            Self::MissingConnectionUpgrade => "the Connection header does not say Upgrade",
            Self::MissingAccept => "the Sec-WebSocket-Accept header is missing",
            Self::RepeatedAccept => "the Sec-WebSocket-Accept header is repeated",
            Self::WrongAccept => "the Sec-WebSocket-Accept header does not match the key that was sent",
            Self::InvalidExtensions => "the Sec-WebSocket-Extensions header is malformed",
            Self::UnofferedExtension(name) => {
                return write!(f, "the server uses the extension {name:?}, which was not offered");
            }
            Self::RepeatedExtension(name) => return write!(f, "the server lists extension {name:?} twice"),
            Self::InvalidDeflateResponse => "the answer to permessage-deflate is invalid, or was not offered",
            Self::DeflateWindowTooLarge => {
                "the server compresses with a larger window than Deflate::server_max_window_bits allows it \
                 (Deflate::prefer_server_max_window_bits takes what it has)"
            }
            Self::InvalidSubprotocols => "the Sec-WebSocket-Protocol header is malformed",
            Self::UnofferedSubprotocol(name) => {
                return write!(f, "the server chose the subprotocol {name:?}, which was not offered");
            }
            Self::SeveralSubprotocols => "the server sent more than one Sec-WebSocket-Protocol header",
            Self::MissingSubprotocol => "the server chose none of the offered subprotocols",
        })
    }
}

/// A head's error is not its source: it says the same.
impl core::error::Error for ResponseError {}

/// This endpoint asked for something that must not be sent. Nothing the peer does causes it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// Not a header name: a name is a non-empty token.
    InvalidHeaderName(String),
    /// The value given for this header has a character other than visible ASCII, space and tab.
    InvalidHeaderValue(String),
    /// A header that the handshake itself writes, that has a method of its own, or that is for a proxy.
    ReservedHeader(String),
    /// A bearer token that is empty, or has a character other than visible ASCII: a line end, for one.
    InvalidToken,
    /// A user name with a colon, or a user name or password with a control character, for basic authentication.
    InvalidUser,
    /// Not a subprotocol: a subprotocol is a non-empty token.
    InvalidSubprotocol(String),
    /// A subprotocol offered twice.
    RepeatedSubprotocol(String),
    /// A subprotocol that the client did not offer.
    UnofferedSubprotocol(String),
    /// An extension whose name, parameter name or parameter value is not a token.
    InvalidExtension(String),
    /// An extension accepted twice.
    RepeatedExtension(String),
    /// An extension that the client did not offer.
    UnofferedExtension(String),
    /// A method other than GET, which alone opens a WebSocket.
    InvalidMethod(String),
    /// Not a status that ends a handshake: it is below 200 or above 599.
    InvalidStatus(u16),
    /// A status from 200 to 299, which accepts a WebSocket over HTTP/2 (RFC 8441 section 5), and a CONNECT, where neither is to be
    /// opened.
    AcceptingStatus(u16),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidHeaderName(name) => write!(f, "{name:?} is not a header name"),
            Self::InvalidHeaderValue(name) => write!(f, "the value of header {name:?} is not visible ASCII"),
            Self::ReservedHeader(name) if name.eq_ignore_ascii_case("Proxy-Authorization") => f.write_str(
                "a user name and a password for a proxy are not for the server: they belong into the proxy's URI, see \
                 Client::proxy",
            ),
            Self::ReservedHeader(name) => write!(f, "the header {name:?} is written by the handshake itself"),
            Self::InvalidToken => f.write_str(
                "a bearer token is visible ASCII without spaces, and not empty: was it read together with the end of its line?",
            ),
            Self::InvalidUser => f.write_str(
                "basic authentication cannot send a user name with a colon, nor control characters (RFC 7617)",
            ),
            Self::InvalidSubprotocol(name) => write!(f, "{name:?} is not a subprotocol: it must be a token"),
            Self::RepeatedSubprotocol(name) => write!(f, "the subprotocol {name:?} is offered twice"),
            Self::UnofferedSubprotocol(name) => write!(f, "the client offers no subprotocol {name:?}"),
            Self::InvalidExtension(name) => write!(f, "extensions are made of tokens: {name:?} is not one"),
            Self::RepeatedExtension(name) => write!(f, "the extension {name:?} is accepted twice"),
            Self::UnofferedExtension(name) => write!(f, "the client offers no extension {name:?}"),
            Self::InvalidMethod(method) => write!(f, "a WebSocket is opened by GET, not by {method}"),
            Self::InvalidStatus(status) => write!(f, "{status} is not a status from 200 to 599"),
            Self::AcceptingStatus(status) => {
                write!(
                    f,
                    "{status} accepts a WebSocket over HTTP/2, or a CONNECT: a status that opens none is 300 to 599"
                )
            }
        }
    }
}

impl core::error::Error for BuildError {}
