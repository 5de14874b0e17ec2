//! The types of the `http` crate, for servers and for clients.
//!
//! # Servers
//!
//! Upgrades inside HTTP servers that speak in these types: hyper, axum and others.
//!
//! The HTTP library parses the request and writes the response; what stands in them is judged and made by the same code
//! as everywhere else. A service answers an upgrade like this, and makes a WebSocket of the stream that the library
//! hands over then:
//!
//! ```
//! use http::Response;
//! use sansocket::handshake::Reply;
//! use sansocket::{Negotiated, PendingRequest, Server};
//!
//! fn respond(request: &http::Request<()>, server: &Server) -> Result<Response<Vec<u8>>, Box<dyn std::error::Error>> {
//!     let mut pending = match sansocket::http::receive(request) {
//!         Ok(received) => PendingRequest::new(received, server),
//!         Err(error) => return Ok(Response::try_from(&Reply::from(&error))?),
//!     };
//!     if !pending.is_websocket() {
//!         return Ok(Response::new(b"an ordinary page".to_vec()));
//!     }
//!     pending.choose_subprotocol(&["v2.chat", "v1.chat"]);
//!     let accepted = pending.into_accepted()?;
//!     // Once the response is sent: `WebSocket::from_upgraded(stream, negotiated, &[], &config)`.
//!     let negotiated = Negotiated::from(&accepted);
//!     Ok(Response::try_from(&accepted)?.map(|()| Vec::new()))
//! }
//! ```
//!
//! # Clients
//!
//! A [`Client`], and so what the adapters' `connect` takes, is made of a [`Uri`](http::Uri), or of a [`Request`] with
//! headers of the program's own:
//!
//! ```
//! let request = http::Request::get("wss://example.com/chat").header("Authorization", "Bearer 1234").body(())?;
//! let client = sansocket::Client::try_from(request)?;
//! # assert_eq!(client.uri().to_string(), "wss://example.com/chat");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - `Sec-WebSocket-Protocol` lists the subprotocols to offer, and `Origin` is sent.
//! - `Upgrade`, `Connection`, `Sec-WebSocket-Key` and `Sec-WebSocket-Version` may be there, as tungstenite's
//!   `IntoClientRequest` and others put them there: the handshake writes its own in their place. So it does with `Host`,
//!   which must be the URI's: another one is refused, not passed over.
//! - `Sec-WebSocket-Extensions` is refused: [`Config::deflate`](crate::Config) is what offers permessage-deflate. So is
//!   what tells of a body, and a method other than GET.
//! - What is sent is HTTP/1.1, whatever version the request has. A `Uri` has no fragment: one that it was parsed from is
//!   gone.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::mem;

use http::response::Builder;
use http::{HeaderName, HeaderValue, Method, Request, Response, Version};

use crate::endpoint::{Client, Error};
use crate::handshake::uri::Uri;
use crate::handshake::{Accepted, BuildError, HeadError, HttpRequest, ReceivedRequest, Reply, RequestError};

/// Judges a request that an HTTP library has parsed, as
/// [`ServerHandshake::receive`](crate::handshake::ServerHandshake::receive) does. The library has set its own limits on
/// the request's size.
pub fn receive<B>(request: &Request<B>) -> Result<ReceivedRequest, RequestError> {
    let minor_version = match request.version() {
        Version::HTTP_11 => 1,
        Version::HTTP_10 => 0,
        _ => return Err(HeadError::UnsupportedHttpVersion.into()),
    };
    let (method, target) = (request.method().as_str(), request.uri().to_string());
    let lines = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    ReceivedRequest::new(HttpRequest::from_parts(method, &target, minor_version, lines)?)
}

/// The response that opens the connection. Fails if it has more headers than, or a name longer than, the `http` crate
/// takes.
impl TryFrom<&Accepted> for Response<()> {
    type Error = http::Error;

    fn try_from(accepted: &Accepted) -> http::Result<Self> {
        let mut response = Builder::new().status(101);
        accepted.for_each_header(|name, value| response = mem::take(&mut response).header(name, value));
        response.body(())
    }
}

/// The response that refuses a request, or answers one that does not ask for a WebSocket. Fails if it has more headers
/// than, or a name longer than, the `http` crate takes.
impl TryFrom<&Reply> for Response<Vec<u8>> {
    type Error = http::Error;

    fn try_from(reply: &Reply) -> http::Result<Self> {
        let mut response = Builder::new().status(reply.status());
        reply.for_each_header(|name, value| response = mem::take(&mut response).header(name, value));
        response.body(reply.content().to_vec())
    }
}

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
fn with_header(mut client: Client, name: &HeaderName, value: &HeaderValue) -> Result<Client, Error> {
    let name = name.as_str();
    let value = value.to_str().map_err(|_| BuildError::InvalidHeaderValue(name.to_string()))?;
    match name {
        "upgrade" | "connection" | "sec-websocket-key" | "sec-websocket-version" => Ok(client),
        "host" if is_host_of(client.uri(), value) => Ok(client),
        "sec-websocket-protocol" => {
            let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
            client.subprotocols(names)
        }
        "origin" => {
            client.request = client.request.origin(value)?;
            Ok(client)
        }
        _ => client.header(name, value),
    }
}

/// Whether a `Host` header names the host and the port of the URI.
fn is_host_of(uri: &Uri, host: &str) -> bool {
    let scheme = if uri.is_secure() { "wss" } else { "ws" };
    !host.contains(['/', '?'])
        && Uri::parse(&format!("{scheme}://{host}")).is_ok_and(|other| other.authority() == uri.authority())
}
