//! Upgrades inside HTTP servers that speak in the types of the `http` crate: hyper, axum and others.
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

use alloc::string::ToString;
use alloc::vec::Vec;
use core::mem;

use http::response::Builder;
use http::{Request, Response, Version};

use crate::handshake::{Accepted, HeadError, HttpRequest, ReceivedRequest, Reply, RequestError};

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
