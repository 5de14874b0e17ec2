//! Upgrades inside HTTP servers that speak in the types of the `http` crate: hyper, axum and others.
//!
//! The HTTP library parses the request and writes the response; what stands in them is judged and made
//! by the same code as everywhere else. A service answers an upgrade like this, and makes a WebSocket of
//! the stream that the library hands over then:
//!
//! ```
//! use sansocket::handshake::{Accept, ReceivedRequest, Reply};
//! use sansocket::http::{accept, receive, refuse};
//!
//! fn respond(request: &http::Request<()>) -> Result<http::Response<Vec<u8>>, Box<dyn std::error::Error>> {
//!     match receive(request) {
//!         Ok(ReceivedRequest::WebSocket(request)) => {
//!             let (response, _accepted) = accept(&request, &Accept::new())?;
//!             // Once the response is sent: `WebSocket::from_upgraded(stream, Role::Server, &[], &config)`.
//!             Ok(response.map(|()| Vec::new()))
//!         }
//!         Ok(ReceivedRequest::Http(_)) => Ok(http::Response::new(b"an ordinary page".to_vec())),
//!         Err(error) => Ok(refuse(&Reply::from(&error))),
//!     }
//! }
//!
//! let request = http::Request::get("/chat")
//!     .header("Host", "example.com")
//!     .header("Connection", "Upgrade")
//!     .header("Upgrade", "websocket")
//!     .header("Sec-WebSocket-Version", "13")
//!     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
//!     .body(())?;
//! let response = respond(&request)?;
//! assert_eq!(response.status(), 101);
//! assert_eq!(response.headers()["Sec-WebSocket-Accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::string::ToString;
use alloc::vec::Vec;

use http::header::{HeaderName, HeaderValue};
use http::{Request as HttpRequest, Response, StatusCode, Version};

use crate::handshake::{
    Accept, Accepted, BuildError, HeadError, Limits, ReceivedRequest, Reply, Request, RequestError,
    ServerHandshake,
};

/// Judges a request that an HTTP library has parsed: see [`ServerHandshake::receive`]. The library has set
/// its own limits on the request's size.
pub fn receive<B>(request: &HttpRequest<B>) -> Result<ReceivedRequest, RequestError> {
    let head = head_of(request)?;
    let limits = Limits::default()
        .head_bytes(head.len())
        .start_line_bytes(head.len())
        .headers(request.headers().len());
    // The head is whole: there is no "more is needed".
    ServerHandshake::new(limits).receive(&head)?.ok_or(HeadError::Incomplete.into())
}

/// The response that opens the connection, and what was agreed on: see [`Request::accept`].
pub fn accept(request: &Request, accept: &Accept) -> Result<(Response<()>, Accepted), BuildError> {
    let mut head = Vec::new();
    let accepted = request.accept(accept, &mut head)?;
    Ok((response_of(&head, ()), accepted))
}

/// The response that refuses a request, or answers one that does not ask for a WebSocket.
pub fn refuse(reply: &Reply) -> Response<Vec<u8>> {
    let mut head = Vec::new();
    reply.encode(&mut head);
    response_of(&head, reply.content().to_vec())
}

/// The request's head as it may have been on the wire.
fn head_of<B>(request: &HttpRequest<B>) -> Result<Vec<u8>, RequestError> {
    let version: &[u8] = match request.version() {
        Version::HTTP_11 => b" HTTP/1.1\r\n",
        Version::HTTP_10 => b" HTTP/1.0\r\n",
        _ => return Err(HeadError::UnsupportedHttpVersion.into()),
    };
    let mut head = Vec::new();
    head.extend_from_slice(request.method().as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(request.uri().to_string().as_bytes());
    head.extend_from_slice(version);
    for (name, value) in request.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

/// The response whose head this crate has written.
fn response_of<B>(head: &[u8], body: B) -> Response<B> {
    let lines = head.split(|byte| *byte == b'\n').count();
    let mut headers = alloc::vec![httparse::EMPTY_HEADER; lines];
    let mut parsed = httparse::Response::new(&mut headers);
    let mut response = Response::new(body);
    // What was written is well-formed, and every header that was added was checked when it was: each of
    // these conversions succeeds.
    if parsed.parse(head).is_ok() {
        if let Some(Ok(status)) = parsed.code.map(StatusCode::from_u16) {
            *response.status_mut() = status;
        }
        for header in parsed.headers.iter() {
            if let (Ok(name), Ok(value)) =
                (header.name.parse::<HeaderName>(), HeaderValue::from_bytes(header.value))
            {
                response.headers_mut().append(name, value);
            }
        }
    }
    response
}
