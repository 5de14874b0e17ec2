//! Where a server's refusal redirects its client to (RFC 9110 section 15.4), and whether the client goes there.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::handshake::Response;
use crate::handshake::uri::{Uri, UriError, split_scheme};

/// A redirect that a client was not to follow, or could not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RedirectError(Box<Stopped>);

/// Boxed, since connections have room for an error.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Stopped {
    uri: Uri,
    response: Response,
    cause: RedirectCause,
}

/// Why a redirect was not followed.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RedirectCause {
    /// As many were followed before as [`Client::redirects`](crate::Client::redirects) allows.
    TooMany,
    /// It leads from `wss` to `ws` or `http`: what was to be secret would be sent in the clear.
    Insecure,
    /// It leads to this scheme, which is none of `ws`, `wss`, `http` and `https`.
    UnsupportedScheme(String),
    /// Its `Location` is not UTF-8.
    InvalidLocation,
    /// It has more than one `Location`.
    RepeatedLocation,
    /// Its `Location` leads to what is no WebSocket URI: it has a user name, for one.
    Uri(UriError),
}

impl RedirectError {
    pub(super) fn new(uri: Uri, response: Response, cause: RedirectCause) -> Self {
        Self(Box::new(Stopped { uri, response, cause }))
    }

    /// Why it was not followed.
    pub fn cause(&self) -> &RedirectCause {
        &self.0.cause
    }

    /// What was asked for, and answered with the redirect.
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// The response that redirects.
    pub fn response(&self) -> &Response {
        &self.0.response
    }
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} redirects with status {}, ", self.uri().authority(), self.response().status())?;
        match self.cause() {
            RedirectCause::TooMany => {
                f.write_str("and no more redirects are followed: see Client::redirects")
            }
            RedirectCause::Insecure => {
                f.write_str("from wss to what is not secure: name the ws:// URI itself, if it is to be used")
            }
            RedirectCause::UnsupportedScheme(scheme) => {
                write!(f, "to the scheme {scheme:.40}, where there is no WebSocket")
            }
            RedirectCause::InvalidLocation => f.write_str("and its Location is not UTF-8"),
            RedirectCause::RepeatedLocation => f.write_str("and has more than one Location"),
            RedirectCause::Uri(error) => write!(f, "and its Location is no place to connect to: {error}"),
        }
    }
}

/// What is wrong with a URI is not its source: it says the same.
impl core::error::Error for RedirectError {}

/// Where a response to this URI redirects to; none if it does not.
pub(super) fn target(uri: &Uri, response: &Response) -> Option<Result<Uri, RedirectCause>> {
    // "If a Location header field [..] is provided, the user agent MAY automatically redirect its request to the URI
    // referenced by the Location field value" (RFC 9110 section 15.4). The others 3xx are choices, or about caches and proxies.
    if !matches!(response.status(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let mut locations = response.headers().get_all("Location");
    let location = locations.next()?;
    if locations.next().is_some() {
        return Some(Err(RedirectCause::RepeatedLocation));
    }
    Some(follow(uri, location))
}

fn follow(uri: &Uri, location: &[u8]) -> Result<Uri, RedirectCause> {
    let location = str::from_utf8(location).map_err(|_| RedirectCause::InvalidLocation)?;
    let target = uri.resolve(location).map_err(|error| match (error, split_scheme(location)) {
        (UriError::UnsupportedScheme, Some((scheme, _))) => {
            RedirectCause::UnsupportedScheme(scheme.to_owned())
        }
        (error, _) => RedirectCause::Uri(error),
    })?;
    if uri.is_secure() && !target.is_secure() {
        return Err(RedirectCause::Insecure);
    }
    Ok(target)
}
