//! The types of the `http` crate, for servers and for clients.
//!
//! # Servers
//!
//! Upgrades inside HTTP servers that speak in these types: hyper, axum and others.
//!
//! The HTTP library parses the request and writes the response; what stands in them is judged and made by the same code
//! as everywhere else. With the feature `hyper` that is all one has to know: [`upgrade`] answers a request, and runs the
//! WebSocket in a task, with limits, counts and a [`stop`] as under [`serve`](crate::tokio::serve).
//!
#![cfg_attr(feature = "hyper", doc = "```")]
#![cfg_attr(not(feature = "hyper"), doc = "```ignore")]
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use sansocket::Server;
//!
//! /// For hyper's `service_fn`. The body is made of `Bytes`: `http_body_util::Full` is one, too.
//! fn respond<B>(mut request: Request<B>, server: &Server) -> Response<Bytes> {
//!     sansocket::http::upgrade(&mut request, server, async |mut ws| ws.send("hello").await)
//! }
//! ```
//!
//! With the feature `axum`, [`WebSocketUpgrade`] is an extractor for its handlers:
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum_core::response::Response;
//! use sansocket::http::WebSocketUpgrade;
//!
//! /// For `Router::new().route("/chat", any(chat))`.
//! async fn chat(upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.on_upgrade(async |mut ws| ws.send("hello").await)
//! }
//! ```
//!
//! With `http2`, a WebSocket is opened over HTTP/2 too (RFC 8441), where a server lets its clients ask for one:
//! `enable_connect_protocol` of hyper's `http2::Builder`.
//!
//! ## Other libraries
//!
//! A service of another library answers an upgrade like this, and makes a WebSocket of the stream that the library
//! hands over then:
//!
//! ```
//! use http::Response;
//! use sansocket::handshake::Reply;
//! use sansocket::{Error, Negotiated, PendingRequest, Server};
//!
//! fn respond(request: &http::Request<()>, server: &Server) -> Result<Response<Vec<u8>>, Box<dyn std::error::Error>> {
//!     let mut pending = match sansocket::http::receive(request) {
//!         Ok(received) => PendingRequest::new(received, server),
//!         Err(error) => return Ok(Response::try_from(&Reply::from(&error))?),
//!     };
//!     // By its method: 2xx would accept a CONNECT for something else.
//!     if !pending.is_websocket() && pending.request().method() == "GET" {
//!         return Ok(Response::new(b"an ordinary page".to_vec()));
//!     }
//!     pending.choose_subprotocol(&["v2.chat", "v1.chat"]);
//!     let accepted = match pending.into_accepted() {
//!         Err(Error::Request(error)) => return Ok(Response::try_from(&Reply::from(&error))?),
//!         accepted => accepted?,
//!     };
//!     // Once the response is sent: `WebSocket::from_upgraded(stream, negotiated, &[], &config)`.
//!     let negotiated = Negotiated::from(&accepted);
//!     Ok(Response::try_from(&accepted)?.map(|()| Vec::new()))
//! }
//! # let tunnel = http::Request::connect("https://a/").version(http::Version::HTTP_2).body(()).unwrap();
//! # assert_eq!(respond(&tunnel, &Server::default()).unwrap().status(), 400);
//! ```
//!
//! # Clients
//!
//! A [`Client`](crate::Client), and so what the adapters' `connect` takes, is made of a [`Uri`](http::Uri), or of a
//! [`Request`](http::Request) with headers of the program's own:
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
//! - What is sent is HTTP/1.1, whatever version the request has, unless `Http2` sends it. A `Uri` has no fragment: one that
//!   it was parsed from is gone.
//!
//! With `http2`, `Http2` is a client of HTTP/2: one connection for many WebSockets.

mod client;
#[cfg(feature = "http2")]
mod http2;
#[cfg(feature = "http2")]
mod http2_connection;
#[cfg(feature = "http2")]
mod http2_stream;
#[cfg(feature = "http2")]
mod http2_transport;
#[cfg(feature = "hyper")]
mod pending;
mod receive;
mod response;
#[cfg(feature = "hyper")]
mod upgraded;
#[cfg(feature = "axum")]
mod web_socket_upgrade;

#[cfg(feature = "http2")]
pub use http2::Http2;
#[cfg(feature = "http2")]
pub use http2_stream::Http2Stream;
#[cfg(feature = "hyper")]
pub use pending::{Pending, pending, stop, upgrade};
pub use receive::{receive, receive_connect};
#[cfg(feature = "hyper")]
pub use upgraded::Upgraded;
#[cfg(feature = "axum")]
pub use web_socket_upgrade::WebSocketUpgrade;
