//! The opening handshake (RFC 6455 section 4): one HTTP request, one response, and the connection is a WebSocket.
//!
//! Both roles read bytes the caller has received and append bytes to send to the caller's `Vec`. Call `receive` with
//! *all* bytes received so far, each time more have arrived, until it returns something; then drop the `consumed` bytes
//! from the front: whatever follows them are frames already.
//!
//! [`ClientHandshake`] and [`ServerHandshake`] show how.
//!
//! What others have been attacked through is closed by construction: heads are bounded in bytes and in lines
//! ([`Limits`]), reading them takes linear time however they are cut, a line ends in CR LF and in nothing else, and no
//! name or value that is written can end its line.

mod body;
mod client;
pub(crate) mod credentials;
mod error;
mod extension;
mod extra_headers;
mod forwarded;
mod grammar;
mod headers;
mod http1;
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) mod http_connect;
#[cfg(feature = "std")]
mod http_date;
mod http_request;
mod key;
mod limits;
mod reply;
mod response;
mod rules;
mod server;
pub(crate) mod uri;

pub use body::Body;
pub use client::{ClientHandshake, ClientRequest, Opened};
pub use error::{BuildError, ForeignOrigin, HeadError, RequestError, ResponseError};
pub use extension::Extension;
pub use forwarded::ForwardedHost;
pub use grammar::InvalidList;
pub use headers::Headers;
pub use http_request::HttpRequest;
pub use http1::request_body::RequestBody;
pub use key::accept_key;
pub use limits::Limits;
pub use reply::Reply;
pub use response::Response;
pub use server::{Accept, Accepted, ReceivedRequest, Request, ServerHandshake};
