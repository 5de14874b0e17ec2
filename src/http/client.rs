//! Clients made of the types of the `http` crate.

use alloc::format;
use alloc::string::ToString;

use http::{HeaderName, HeaderValue, Method, Request};

use crate::endpoint::{Client, Error};
use crate::handshake::BuildError;
use crate::handshake::uri::Uri;

/// A client of the server and resource that the URI names.
impl TryFrom<&http::Uri> for Client {
    type Error = Error;

    fn try_from(uri: &http::Uri) -> Result<Self, Error> {
        Self::new(&uri.to_string())
    }
}

/// A client of the server and resource that the URI names.
impl TryFrom<http::Uri> for Client {
    type Error = Error;

    fn try_from(uri: http::Uri) -> Result<Self, Error> {
        Self::try_from(&uri)
    }
}

/// A client that sends this request: see [the module](crate::http#clients) for what becomes of its headers.
impl TryFrom<&Request<()>> for Client {
    type Error = Error;

    fn try_from(request: &Request<()>) -> Result<Self, Error> {
        if request.method() != Method::GET {
            return Err(BuildError::InvalidMethod(request.method().to_string()).into());
        }
        let client = Self::try_from(request.uri())?;
        request.headers().iter().try_fold(client, |client, (name, value)| with_header(client, name, value))
    }
}

/// A client that sends this request: see [the module](crate::http#clients) for what becomes of its headers.
impl TryFrom<Request<()>> for Client {
    type Error = Error;

    fn try_from(request: Request<()>) -> Result<Self, Error> {
        Self::try_from(&request)
    }
}

/// Adds a header of a request that was made elsewhere.
fn with_header(client: Client, name: &HeaderName, value: &HeaderValue) -> Result<Client, Error> {
    let name = name.as_str();
    let value = value.to_str().map_err(|_| BuildError::InvalidHeaderValue(name.to_string()))?;
    match name {
        "upgrade" | "connection" | "sec-websocket-key" | "sec-websocket-version" => Ok(client),
        "host" if is_host_of(client.uri(), value) => Ok(client),
        "sec-websocket-protocol" => {
            let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
            client.subprotocols(names)
        }
        "origin" => client.origin(value),
        _ => client.header(name, value),
    }
}

/// Whether a `Host` header names the host and the port of the URI.
fn is_host_of(uri: &Uri, host: &str) -> bool {
    let scheme = if uri.is_secure() { "wss" } else { "ws" };
    !host.contains(['/', '?'])
        && Uri::parse(&format!("{scheme}://{host}")).is_ok_and(|other| other.authority() == uri.authority())
}
