//! What a request and a response must say to open a WebSocket connection (RFC 6455 sections 4.1 and 4.2.1), wherever
//! they come from: HTTP/1.1 as text is one way to get them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{HeadError, RequestError, ResponseError};
use super::extension::Extension;
use super::grammar::{as_token, elements, is_token, tokens};
use super::headers::{Headers, KnownName};
use super::http_request::HttpRequest;
use super::key::is_key;
use super::response::Response;

/// "If the server, while reading the handshake, finds that the client did not send a handshake that matches the
/// description below [..] the server MUST stop processing the client's handshake and return an HTTP response with an
/// appropriate error code" (6455-4.2.1-01).
///
/// `false`: the request does not ask for a WebSocket.
#[inline]
pub(super) fn check_request(request: &HttpRequest) -> Result<bool, RequestError> {
    let headers = request.headers();
    // RFC 9110 section 7.8: `protocol = protocol-name [ "/" protocol-version ]`.
    let is_protocol = |protocol: &[u8]| protocol.splitn(2, |&byte| byte == b'/').all(is_token);
    let upgrades = lists(headers, KnownName::Upgrade, b"websocket", is_protocol);
    let upgrades = upgrades.ok_or(RequestError::InvalidUpgrade)?;
    // A client that sends these means to open a WebSocket connection, be it in a wrong way.
    if !upgrades && !headers.has(KnownName::SecWebSocketKey) && !headers.has(KnownName::SecWebSocketVersion) {
        return Ok(false);
    }

    // What a proxy leaves of a request whose upgrade it does not pass on: the commonest mistake there is.
    let old = request.minor_version() == 0;
    if headers.has(KnownName::SecWebSocketKey) && (old || !headers.has(KnownName::Upgrade)) {
        return Err(RequestError::LostUpgrade);
    }

    // "1. An HTTP/1.1 or higher GET request, including a "Request-URI" [..] that should be interpreted as a /resource
    // name/ defined in Section 3 (or an absolute HTTP/HTTPS URI containing the /resource name/)." (6455-4.2.1-02)
    if old {
        return Err(HeadError::UnsupportedHttpVersion.into());
    }
    if request.method() != "GET" {
        return Err(RequestError::MethodNotGet);
    }
    if !request.names_resource() {
        return Err(RequestError::InvalidTarget);
    }

    // "2. A |Host| header field" (6455-4.2.1-03): checked for every HTTP/1.1 request.

    // "3. An |Upgrade| header field containing the value "websocket", treated as an ASCII case-insensitive value."
    // (6455-4.2.1-04)
    if !upgrades {
        return Err(RequestError::MissingUpgrade);
    }

    // "4. A |Connection| header field that includes the token "Upgrade", treated as an ASCII case-insensitive value."
    // (6455-4.2.1-05)
    let upgrades = lists(headers, KnownName::Connection, b"upgrade", is_token);
    if !upgrades.ok_or(RequestError::InvalidConnection)? {
        let lost = headers.has(KnownName::SecWebSocketKey);
        return Err(if lost { RequestError::LostUpgrade } else { RequestError::MissingConnectionUpgrade });
    }

    // "5. A |Sec-WebSocket-Key| header field with a base64-encoded [..] value that, when decoded, is 16 bytes in
    // length." (6455-4.2.1-06) It "MUST NOT appear more than once in an HTTP request." (6455-11.3.1-01)
    let key = headers.only(KnownName::SecWebSocketKey, RequestError::RepeatedKey)?;
    if !is_key(key.ok_or(RequestError::MissingKey)?) {
        return Err(RequestError::InvalidKey);
    }

    check_offers(headers)?;
    Ok(true)
}

/// "Implementations using this extended CONNECT to bootstrap WebSockets do not do the processing of the
/// Sec-WebSocket-Key and Sec-WebSocket-Accept header fields of [RFC6455]" (RFC 8441 section 5): what else there is to check
/// of a request with the method CONNECT and the `:protocol` "websocket".
#[cfg(feature = "http")]
pub(super) fn check_connect(request: &HttpRequest) -> Result<(), RequestError> {
    // "On requests that contain the :protocol pseudo-header field, the :scheme and :path pseudo-header fields of the
    // target URI (see Section 5) MUST also be included." (RFC 8441 section 4)
    if !request.names_resource() {
        return Err(RequestError::InvalidTarget);
    }
    // It may be in the target, as `:authority` is, and so no header is required of every HTTP/2 request.
    if request.host().is_none() {
        return Err(RequestError::MissingHost);
    }
    check_offers(request.headers())
}

/// What has to hold of every request for a WebSocket, whichever version of HTTP it came by.
#[inline]
fn check_offers(headers: &Headers) -> Result<(), RequestError> {
    // "6. A |Sec-WebSocket-Version| header field, with a value of 13." (6455-4.2.1-07) It "MUST NOT appear more than
    // once in an HTTP request." (6455-11.3.5-02)
    let version = headers.only(KnownName::SecWebSocketVersion, RequestError::RepeatedVersion)?;
    if version.ok_or(RequestError::MissingVersion)? != b"13" {
        return Err(RequestError::UnsupportedVersion);
    }

    // "8. Optionally, a |Sec-WebSocket-Protocol| header field, with a list of values" (6455-4.2.1-09). "The elements
    // that comprise this value MUST be non-empty strings [..] and MUST all be unique strings." (6455-4.1-34,
    // 6455-4.1-35)
    if headers.has(KnownName::SecWebSocketProtocol) {
        let subprotocols: Result<Vec<_>, _> = tokens(headers.all(KnownName::SecWebSocketProtocol)).collect();
        let mut subprotocols = subprotocols.map_err(|_| RequestError::InvalidSubprotocols)?;
        if subprotocols.is_empty() {
            return Err(RequestError::InvalidSubprotocols);
        }
        subprotocols.sort_unstable();
        if subprotocols.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(RequestError::RepeatedSubprotocol);
        }
    }

    // "9. Optionally, a |Sec-WebSocket-Extensions| header field [..] discussed in Section 9.1." (6455-4.2.1-10)
    Extension::check_list(headers.all(KnownName::SecWebSocketExtensions))
        .map_err(|_| RequestError::InvalidExtensions)?;

    // A body would be read as frames here, or as another request by a proxy in front.
    let is_bodyless = !headers.has(KnownName::TransferEncoding)
        && headers.all(KnownName::ContentLength).all(|length| length == b"0");
    if is_bodyless { Ok(()) } else { Err(RequestError::UnexpectedBody) }
}

/// What a client offers, and the response is held to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Offer {
    /// Tokens, none twice.
    pub(super) subprotocols: Vec<String>,
    pub(super) require_subprotocol: bool,
    pub(super) extensions: Vec<Extension>,
}

/// Checks a response with status 101, and gives the subprotocol and the extensions in use. "If the server's response
/// does not conform to the requirements for the server's handshake as defined in this section and in Section 4.2.2, the
/// client MUST _Fail the WebSocket Connection_." (6455-4.1-46)
///
/// `Content-Length` and `Transfer-Encoding` are ignored, since RFC 9112 section 6.3 says of any 1xx response that it
/// ends with its head.
#[inline]
pub(super) fn check_response(
    offer: &Offer,
    accept: [u8; 28],
    response: &Response,
) -> Result<(Option<String>, Vec<Extension>), ResponseError> {
    let headers = response.headers();
    if response.line.minor_version == 0 {
        return Err(HeadError::UnsupportedHttpVersion.into());
    }

    // "2. If the response lacks an |Upgrade| header field or the |Upgrade| header field contains a value that is not an
    // ASCII case-insensitive match for the value "websocket"" (6455-4.1-41).
    let mut protocols = headers.all(KnownName::Upgrade).flat_map(elements);
    let first = protocols.next().ok_or(ResponseError::MissingUpgrade)?;
    if !first.eq_ignore_ascii_case(b"websocket") || protocols.next().is_some() {
        return Err(ResponseError::MissingUpgrade);
    }

    // "3. If the response lacks a |Connection| header field or the |Connection| header field doesn't contain a token
    // that is an ASCII case-insensitive match for the value "Upgrade"" (6455-4.1-42).
    let upgrades = lists(headers, KnownName::Connection, b"upgrade", is_token);
    if !upgrades.ok_or(ResponseError::InvalidConnection)? {
        return Err(ResponseError::MissingConnectionUpgrade);
    }

    // "4. If the response lacks a |Sec-WebSocket-Accept| header field or the |Sec-WebSocket-Accept| contains a value
    // other than the base64-encoded SHA-1 of [..]" (6455-4.1-43). It "MUST NOT appear more than once in an HTTP
    // response." (6455-11.3.3-01)
    let answer = headers.only(KnownName::SecWebSocketAccept, ResponseError::RepeatedAccept)?;
    if answer.ok_or(ResponseError::MissingAccept)? != accept {
        return Err(ResponseError::WrongAccept);
    }

    check_choices(offer, headers)
}

/// What has to hold of every response that opens a WebSocket, whichever version of HTTP it came by; gives the subprotocol
/// and the extensions in use.
#[inline]
pub(super) fn check_choices(
    offer: &Offer,
    headers: &Headers,
) -> Result<(Option<String>, Vec<Extension>), ResponseError> {
    // "5. If the response includes a |Sec-WebSocket-Extensions| header field and this header field indicates the use of
    // an extension that was not present in the client's handshake" (6455-4.1-44).
    let extensions = Extension::parse_list(headers.all(KnownName::SecWebSocketExtensions))
        .map_err(|_| ResponseError::InvalidExtensions)?;
    for (i, name) in extensions.iter().map(Extension::name).enumerate() {
        if !offer.extensions.iter().any(|offered| offered.name() == name) {
            return Err(ResponseError::UnofferedExtension(name.to_owned()));
        }
        // Fails at the latest when `i` is the number of offers: the search is never long.
        if extensions.iter().take(i).any(|other| other.name() == name) {
            return Err(ResponseError::RepeatedExtension(name.to_owned()));
        }
    }

    // "6. If the response includes a |Sec-WebSocket-Protocol| header field and this header field indicates the use of a
    // subprotocol that was not present in the client's handshake" (6455-4.1-45). It "MUST NOT appear more than once in
    // an HTTP response." (6455-11.3.4-02)
    let subprotocol =
        match headers.only(KnownName::SecWebSocketProtocol, ResponseError::SeveralSubprotocols)? {
            Some(value) => {
                let name = as_token(value).ok_or(ResponseError::InvalidSubprotocols)?;
                if !offer.subprotocols.iter().any(|offered| offered == name) {
                    return Err(ResponseError::UnofferedSubprotocol(name.to_owned()));
                }
                Some(name.to_owned())
            }
            None if offer.require_subprotocol => return Err(ResponseError::MissingSubprotocol),
            None => None,
        };

    Ok((subprotocol, extensions))
}

/// Whether `wanted` is in a list, in whatever case. `None`: another element is not valid.
fn lists(
    headers: &Headers,
    name: KnownName,
    wanted: &[u8],
    is_valid: impl Fn(&[u8]) -> bool,
) -> Option<bool> {
    let mut found = false;
    for line in headers.all(name) {
        // Nearly always it is the only one.
        if line.eq_ignore_ascii_case(wanted) {
            found = true;
            continue;
        }
        for element in elements(line) {
            if element.eq_ignore_ascii_case(wanted) {
                found = true;
            } else if !is_valid(element) {
                return None;
            }
        }
    }
    Some(found)
}
