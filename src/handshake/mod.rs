//! The opening handshake (RFC 6455 section 4): one HTTP request, one response, and the connection is a WebSocket.
//!
//! Both roles read bytes the caller has received and append bytes to send to the caller's `Vec`. Call `receive` with
//! *all* bytes received so far, each time more have arrived, until it returns something; then drop the `consumed` bytes
//! from the front: whatever follows them are frames already.
//!
//! ```
//! use sansocket::Uri;
//! use sansocket::handshake::{Accept, ClientHandshake, ClientRequest, Limits, ReceivedRequest, ServerHandshake};
//!
//! // The client: append a request, send it.
//! let request = ClientRequest::new(&Uri::parse("ws://example.com/chat")?).subprotocol("superchat")?;
//! let nonce = *b"sixteen random b"; // From a CSPRNG: this crate's core draws no randomness.
//! let mut to_server = Vec::new();
//! let mut client = ClientHandshake::start(&request, Limits::default(), nonce, &mut to_server);
//!
//! // The server: receive it, look at it, accept it.
//! let mut server = ServerHandshake::new(Limits::default());
//! let mut to_client = Vec::new();
//! match server.receive(&to_server)? {
//!     Some(ReceivedRequest::WebSocket(request)) => {
//!         assert_eq!(request.path(), "/chat");
//!         let mut accept = Accept::new();
//!         if let Some(subprotocol) = request.choose_subprotocol(&["superchat", "chat"]) {
//!             accept = accept.subprotocol(subprotocol);
//!         }
//!         request.accept(accept)?.encode(&mut to_client);
//!     }
//!     Some(ReceivedRequest::Http(request)) => { /* not a WebSocket request: answer it with a `Reply` */ }
//!     None => { /* read more */ }
//! }
//!
//! // The client again.
//! let opened = client.receive(&to_client)?.expect("the response is complete");
//! assert_eq!(opened.subprotocol(), Some("superchat"));
//! assert_eq!(opened.consumed(), to_client.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What others have been attacked through is closed by construction: heads are bounded in bytes and in lines
//! ([`Limits`]), reading them takes linear time however they are cut, a line ends in CR LF and in nothing else, and no
//! name or value that is written can end its line.

mod build_error;
mod client;
mod error;
mod extension;
mod extra_headers;
mod grammar;
mod headers;
mod http1;
mod http_request;
mod key;
mod known_name;
mod limits;
#[cfg(feature = "http")]
mod parsed_request;
mod reply;
mod response;
mod rules;
mod server;
pub(crate) mod uri;

pub use build_error::BuildError;
pub use client::{ClientHandshake, ClientRequest, Opened};
pub use error::{HandshakeError, HeadError, RequestError, ResponseError};
pub use extension::Extension;
pub use grammar::InvalidList;
pub use headers::Headers;
pub use http_request::HttpRequest;
pub use key::accept_key;
pub use limits::Limits;
pub use reply::Reply;
pub use response::Response;
pub use server::{Accept, Accepted, ReceivedRequest, Request, ServerHandshake};
