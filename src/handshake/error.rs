//! What a peer can do wrong in an opening handshake.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use super::response::Response;

/// The peer's half of the opening handshake breaks a rule, or refuses: there is no WebSocket connection.
///
/// One variant per rule. A server answers with [`status`](Self::status); [`Reply`](super::Reply) has a conversion that
/// adds the headers which must go with it. A client just closes the connection.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HandshakeError {
    // The head of a request or a response.
    /// The first line is not an HTTP/1 request line, or not a status line.
    InvalidStartLine,
    /// A line does not end in CR LF.
    InvalidLineEnd,
    /// A header value continues on a second line.
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
    /// The connection ended before the head did.
    Incomplete,
    /// The peer did not send its half of the handshake in time. For adapters: nothing here reads a clock.
    TimedOut,

    // What requests and responses have in common.
    /// `Upgrade` is not a list of protocols.
    InvalidUpgrade,
    /// `Upgrade` is missing or does not say `websocket`; in a response it must say nothing else.
    MissingUpgrade,
    /// `Connection` is not a list of tokens.
    InvalidConnection,
    /// `Connection` is missing or does not say `Upgrade`.
    MissingConnectionUpgrade,
    /// `Sec-WebSocket-Protocol` is not a list of tokens; in a response, not a single token.
    InvalidSubprotocols,
    /// `Sec-WebSocket-Extensions` breaks the grammar of RFC 6455 section 9.1.
    InvalidExtensions,

    // The client's request.
    /// A WebSocket request whose method is not `GET`.
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
    /// A WebSocket request announces a body.
    UnexpectedBody,
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
    /// A subprotocol is offered twice.
    RepeatedSubprotocol,

    // The server's response.
    /// The server answered with a status other than 101; its response is in here, with the start of the body: as much as
    /// [`Limits::refusal_body_bytes`](super::Limits::refusal_body_bytes) allows, and as came before the connection ended
    /// or the deadline passed ([`ClientHandshake::receive_eof`](super::ClientHandshake::receive_eof)).
    Refused(Box<Response>),
    /// More responses with a status 1xx came before the final one than
    /// [`Limits::interim_responses`](super::Limits::interim_responses).
    TooManyInterimResponses,
    /// There is no `Sec-WebSocket-Accept`.
    MissingAccept,
    /// There is more than one `Sec-WebSocket-Accept`.
    RepeatedAccept,
    /// `Sec-WebSocket-Accept` does not match the key that was sent.
    WrongAccept,
    /// The server uses an extension that was not offered.
    UnofferedExtension(String),
    /// The server uses the same extension twice.
    RepeatedExtension(String),
    /// The server's answer to the offer of permessage-deflate breaks RFC 7692, or asks for what was not offered.
    #[cfg(feature = "deflate")]
    InvalidDeflateResponse,
    /// The server chose a subprotocol that was not offered.
    UnofferedSubprotocol(String),
    /// There is more than one `Sec-WebSocket-Protocol`.
    SeveralSubprotocols,
    /// The server chose no subprotocol, though
    /// [`ClientRequest::require_subprotocol`](super::ClientRequest::require_subprotocol) asked for one.
    MissingSubprotocol,
}

impl HandshakeError {
    /// The HTTP status a server answers with.
    ///
    /// It has no meaning for the variants that speak of a response: those are 400 too, so that this is a total function.
    pub fn status(&self) -> u16 {
        match self {
            Self::MethodNotGet => 405,
            Self::TimedOut => 408,
            Self::StartLineTooLong => 414,
            // 4.2.2: "If this version does not match a version understood by the server, the server MUST abort the
            // WebSocket handshake [..] and instead send an appropriate HTTP error code (such as 426 Upgrade Required)".
            Self::MissingUpgrade | Self::MissingConnectionUpgrade | Self::UnsupportedVersion => 426,
            Self::HeadTooLarge | Self::TooManyHeaders => 431,
            Self::UnsupportedHttpVersion => 505,
            // 4.2.1: "the server MUST stop processing the client's handshake and return an HTTP response with an
            // appropriate error code (such as 400 Bad Request)".
            _ => 400,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidStartLine => "the first line is not an HTTP/1.1 request line or status line",
            Self::InvalidLineEnd => "a line of the HTTP head does not end in CR LF",
            Self::FoldedHeader => "a header value continues on a second line",
            Self::InvalidHeaderName => "a header line does not start with a header name and a colon",
            Self::InvalidHeaderValue => "a header value contains a control character",
            Self::StartLineTooLong => "the request line or status line is too long",
            Self::HeadTooLarge => "the HTTP head is too large",
            Self::TooManyHeaders => "the HTTP head has too many header lines",
            Self::UnsupportedHttpVersion => "the HTTP version is not 1.1",
            Self::Incomplete => "the connection ended during the opening handshake",
            Self::TimedOut => "the opening handshake took too long",
            Self::InvalidUpgrade => "the Upgrade header is not a list of protocols",
            Self::MissingUpgrade => "the Upgrade header does not say websocket",
            Self::InvalidConnection => "the Connection header is not a list of tokens",
            Self::MissingConnectionUpgrade => "the Connection header does not say Upgrade",
            Self::InvalidSubprotocols => "the Sec-WebSocket-Protocol header is malformed",
            Self::InvalidExtensions => "the Sec-WebSocket-Extensions header is malformed",
            Self::MethodNotGet => "the method of a WebSocket request must be GET",
            Self::InvalidTarget => "the request target is neither a path nor an absolute URI",
            Self::MissingHost => "the Host header is missing",
            Self::RepeatedHost => "the Host header is repeated",
            Self::InvalidHost => "the Host header is not a host with an optional port",
            Self::InvalidOrigin => "the Origin header is repeated or malformed",
            Self::UnexpectedBody => "a WebSocket request must not have a body",
            Self::MissingKey => "the Sec-WebSocket-Key header is missing",
            Self::RepeatedKey => "the Sec-WebSocket-Key header is repeated",
            Self::InvalidKey => "the Sec-WebSocket-Key header is not 16 bytes in base64",
            Self::MissingVersion => "the Sec-WebSocket-Version header is missing",
            Self::RepeatedVersion => "the Sec-WebSocket-Version header is repeated",
            Self::UnsupportedVersion => "the only supported Sec-WebSocket-Version is 13",
            Self::RepeatedSubprotocol => "the Sec-WebSocket-Protocol header lists a subprotocol twice",
            Self::Refused(response) => {
                return write!(
                    f,
                    "the server refused the WebSocket connection with status {}",
                    response.status()
                );
            }
            Self::TooManyInterimResponses => "the server sent too many 1xx responses",
            Self::MissingAccept => "the Sec-WebSocket-Accept header is missing",
            Self::RepeatedAccept => "the Sec-WebSocket-Accept header is repeated",
            Self::WrongAccept => "the Sec-WebSocket-Accept header does not match the key that was sent",
            Self::UnofferedExtension(name) => {
                return write!(f, "the server uses the extension {name:?}, which was not offered");
            }
            Self::RepeatedExtension(name) => {
                return write!(f, "the server uses the extension {name:?} twice");
            }
            #[cfg(feature = "deflate")]
            Self::InvalidDeflateResponse => {
                "the server's permessage-deflate parameters are invalid, or not what was offered"
            }
            Self::UnofferedSubprotocol(name) => {
                return write!(f, "the server chose the subprotocol {name:?}, which was not offered");
            }
            Self::SeveralSubprotocols => "the server sent more than one Sec-WebSocket-Protocol header",
            Self::MissingSubprotocol => "the server chose none of the offered subprotocols",
        })
    }
}

impl core::error::Error for HandshakeError {}
