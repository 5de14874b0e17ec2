//! What a client says of itself when it connects.

use std::fmt;
use std::sync::Arc;

use sansocket::handshake::{HttpRequest, Request};

use crate::base64;

/// What a client says of itself when it connects: its token, the parameters of its address, the headers of its request.
///
/// All of it is what the client says. Header names and values, the cookie among them, are yours to read; the `Origin` has been
/// judged before. What opens the WebSocket (`Upgrade`, `Connection`, `Sec-WebSocket-…`) is left out, and what is no text. Clones are
/// cheap.
#[derive(Clone)]
pub struct Handshake {
    bearer: Option<Arc<str>>,
    /// The path with its query, and then the headers, `name:value`, in lines: one text, since each connection keeps it. None of a
    /// page of the test kit.
    head: Option<Arc<str>>,
}

impl Handshake {
    /// Fails if there is a token that is no base64, or whose bytes are no UTF-8.
    pub(crate) fn new(request: &Request) -> Option<Self> {
        let bearer = match request.subprotocols().find_map(|protocol| protocol.strip_prefix(BEARER)) {
            Some(token) => Some(String::from_utf8(base64::decode(token)?).ok()?.into()),
            None => None,
        };
        Some(Self { bearer, head: Some(head(request)) })
    }

    /// Fails if there is a token that is no UTF-8. A client that polls has no subprotocols: it is in a header.
    pub(crate) fn of_polling(request: &HttpRequest) -> Option<Self> {
        let bearer = match request.headers().get_bytes(TOKEN) {
            Some(token) => Some(str::from_utf8(token).ok()?.into()),
            None => None,
        };
        Some(Self { bearer, head: Some(head(request)) })
    }

    /// What a page of the test kit says: nothing.
    #[cfg(feature = "test")]
    pub(crate) fn none() -> Self {
        Self { bearer: None, head: None }
    }

    /// The token that the client was given as `authToken`, or `token`: it comes among the subprotocols, or, of a client that polls,
    /// in the header `X-Phoenix-AuthToken`, where proxies do not log it.
    pub fn bearer(&self) -> Option<&str> {
        self.bearer.as_deref()
    }

    /// The first parameter of this name in the address, decoded. Proxies log addresses: a token does not belong there.
    pub fn param(&self, name: &str) -> Option<String> {
        let (_, query) = self.head.as_ref()?.lines().next()?.split_once('?')?;
        params(query, name).next()
    }

    /// The first header of this name, in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.as_ref()?.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The origin of the page that connects. Who is no browser may say any, or none.
    pub fn origin(&self) -> Option<&str> {
        self.header("Origin")
    }
}

impl fmt::Debug for Handshake {
    /// Keeps credentials out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("path", &self.head.as_ref().and_then(|head| head.split(['?', '\n']).next()))
            .field("origin", &self.origin())
            .finish_non_exhaustive()
    }
}

/// The first parameter of this name in the query of a request, decoded.
pub(crate) fn param(request: &HttpRequest, name: &str) -> Option<String> {
    params(request.query()?, name).next()
}

/// The last parameter of this name in the query of a request, decoded.
pub(crate) fn last_param(request: &HttpRequest, name: &str) -> Option<String> {
    params(request.query()?, name).last()
}

fn params(query: &str, name: &str) -> impl Iterator<Item = String> {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key)? == name).then(|| decode(value))?
    })
}

/// What is kept of a request.
fn head(request: &HttpRequest) -> Arc<str> {
    let mut head = request.path().to_owned();
    if let Some(query) = request.query() {
        head.extend(["?", query]);
    }
    for (name, value) in request.headers().iter() {
        if let (false, Ok(value)) = (is_of_opening(name), str::from_utf8(value)) {
            head.extend(["\n", name, ":", value]);
        }
    }
    head.into()
}

/// Whether it is a header that has done its work when the WebSocket is open.
fn is_of_opening(header: &str) -> bool {
    let is = |name: &str| header.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    is("Sec-WebSocket-") || ["Upgrade", "Connection"].iter().any(|name| header.eq_ignore_ascii_case(name))
}

/// Text of a query, as forms encode it. `None`: it is no UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        bytes.push(match (byte, behind) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = behind;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// What the token follows, in a subprotocol.
pub(crate) const BEARER: &str = "base64url.bearer.phx.";

/// The header of a token, of a client that polls.
const TOKEN: &str = "X-Phoenix-AuthToken";
