//! Responses in the types of the `http` crate.

use alloc::vec::Vec;
use core::mem;

#[cfg(feature = "hyper")]
use bytes::Bytes;
use http::Response;
use http::response::Builder;

use crate::handshake::{Accepted, Reply};

/// The response that opens the connection. Fails if it has more headers than, or a name longer than, the `http` crate
/// takes.
impl TryFrom<&Accepted> for Response<()> {
    type Error = http::Error;

    fn try_from(accepted: &Accepted) -> http::Result<Self> {
        let mut response = Builder::new().status(accepted.status());
        accepted.for_each_header(|name, value| response = mem::take(&mut response).header(name, value));
        response.body(())
    }
}

/// The response that refuses a request, or answers one that does not ask for a WebSocket: to one that does, 2xx would open it
/// over HTTP/2, which is not checked here. Fails if it has more headers than, or a name longer than, the `http` crate takes.
impl TryFrom<&Reply> for Response<Vec<u8>> {
    type Error = http::Error;

    fn try_from(reply: &Reply) -> http::Result<Self> {
        let mut response = Builder::new().status(reply.status());
        reply.for_each_header(|name, value| response = mem::take(&mut response).header(name, value));
        response.body(reply.content().to_vec())
    }
}

/// The response that answers a request of HTTP/1.1, or of a later version, which has no connection to say anything of.
#[cfg(feature = "hyper")]
pub(super) fn answer<T: From<Bytes>>(reply: &Reply, is_http1: bool) -> http::Result<Response<T>> {
    // "The server MUST send an Upgrade header field in a 426 response" (RFC 9110 section 15.5.22).
    let status = if reply.status() == 426 && !is_http1 { 400 } else { reply.status() };
    let mut response = Builder::new().status(status);
    reply.for_each_header(|name, value| {
        if is_http1 || !is_of_connection(name) {
            response = mem::take(&mut response).header(name, value);
        }
    });
    response.body(T::from(reply.shared_content()))
}

/// "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields." (RFC 9113 section 8.2.2)
#[cfg(feature = "hyper")]
pub(super) fn is_of_connection(name: &str) -> bool {
    OF_CONNECTIONS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(feature = "hyper")]
const OF_CONNECTIONS: [&str; 6] =
    ["Connection", "Keep-Alive", "Proxy-Connection", "TE", "Transfer-Encoding", "Upgrade"];
