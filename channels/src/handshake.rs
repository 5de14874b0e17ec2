//! What a client says of itself when it connects.

use std::fmt;
use std::sync::Arc;

use sansocket::handshake::{HttpRequest, Request};

use crate::base64;

/// What a client says of itself when it connects: its token, the parameters of its address, the headers of its request.
///
/// All of it is what the client says. Header names and values, the cookie among them, are yours to read; the `Origin` has been
/// judged before. Clones are cheap.
#[derive(Clone)]
pub struct Handshake(Arc<Parts>);

#[derive(Default)]
struct Parts {
    /// None of a page of the test kit.
    request: Option<HttpRequest>,
    bearer: Option<String>,
}

impl Handshake {
    /// Fails if there is a token that is no base64, or whose bytes are no UTF-8.
    pub(crate) fn new(request: &Request) -> Option<Self> {
        let bearer = match request.subprotocols().find_map(|protocol| protocol.strip_prefix(BEARER)) {
            Some(token) => Some(String::from_utf8(base64::decode(token)?).ok()?),
            None => None,
        };
        Some(Self(Arc::new(Parts { request: Some((**request).clone()), bearer })))
    }

    /// Fails if there is a token that is no UTF-8. A client that polls has no subprotocols: it is in a header.
    pub(crate) fn of_polling(request: &HttpRequest) -> Option<Self> {
        let bearer = match request.headers().get_bytes(TOKEN) {
            Some(token) => Some(str::from_utf8(token).ok()?.to_owned()),
            None => None,
        };
        Some(Self(Arc::new(Parts { request: Some(request.clone()), bearer })))
    }

    /// What a page of the test kit says: nothing.
    #[cfg(feature = "test")]
    pub(crate) fn none() -> Self {
        Self(Arc::default())
    }

    /// The token that the client was given as `authToken`, or `token`: it comes among the subprotocols, or, of a client that polls,
    /// in the header `X-Phoenix-AuthToken`, where proxies do not log it.
    pub fn bearer(&self) -> Option<&str> {
        self.0.bearer.as_deref()
    }

    /// The first parameter of this name in the address, decoded. Proxies log addresses: a token does not belong there.
    pub fn param(&self, name: &str) -> Option<String> {
        self.0.request.as_ref().and_then(|request| param(request, name))
    }

    /// The first header of this name, in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.request.as_ref()?.headers().get(name)
    }

    /// The origin of the page that connects. Who is no browser may say any, or none.
    pub fn origin(&self) -> Option<&str> {
        self.0.request.as_ref()?.origin()
    }
}

impl fmt::Debug for Handshake {
    /// Keeps credentials out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("path", &self.0.request.as_ref().map(HttpRequest::path))
            .field("origin", &self.origin())
            .finish_non_exhaustive()
    }
}

/// The first parameter of this name in the query, decoded.
pub(crate) fn param(request: &HttpRequest, name: &str) -> Option<String> {
    params(request, name).next()
}

/// The last parameter of this name in the query, decoded.
pub(crate) fn last_param(request: &HttpRequest, name: &str) -> Option<String> {
    params(request, name).last()
}

fn params(request: &HttpRequest, name: &str) -> impl Iterator<Item = String> {
    request.query().unwrap_or_default().split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key)? == name).then(|| decode(value))?
    })
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
