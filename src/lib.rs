//! A WebSocket crate: clients and servers over blocking streams or tokio, and the protocol alone (RFC 6455), without I/O. What
//! the RFC forbids is refused, everything has a limit and a timeout, and Pings and Close frames are answered for you.
//!
//! ```text
//! cargo add sansocket --features tokio
//! cargo add tokio --features full
//! ```
//!
//! A client:
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use sansocket::{CloseCode, Message};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), sansocket::Error> {
//!     let mut ws = sansocket::tokio::connect("ws://127.0.0.1:9001").await?;
//!     ws.send("hello").await?;
//!     if let Some(Message::Text(text)) = ws.recv().await? {
//!         println!("{text}");
//!     }
//!     ws.close(CloseCode::NORMAL, "").await
//! }
//! ```
//!
//! A server, which sends every message back:
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     sansocket::tokio::serve("127.0.0.1:9001", async |pending| {
//!         let mut ws = pending.accept().await?;
//!         while let Some(message) = ws.recv().await? {
//!             ws.send(message).await?;
//!         }
//!         Ok::<_, sansocket::Error>(())
//!     })
//!     .await
//! }
//! ```
//!
//! A page, and what the server tells it of its own accord, on one port:
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use sansocket::{Error, handshake::Reply, tokio::Pending};
//!
//! const PAGE: &str = "<!doctype html><p id=p>...<script>
//!     const ws = new WebSocket(location.href.replace('http', 'ws'));
//!     ws.onmessage = event => p.textContent = event.data;
//! </script>";
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     sansocket::tokio::serve("127.0.0.1:9001", page).await
//! }
//!
//! async fn page(pending: Pending) -> Result<(), Error> {
//!     if !pending.is_websocket() {
//!         return pending.respond(Reply::ok().html(PAGE)).await;
//!     }
//!     let mut ws = pending.accept().await?;
//!     for second in 0.. {
//!         ws.send(format!("{second} s")).await?;
//!         tokio::time::sleep(std::time::Duration::from_secs(1)).await;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! - The adapters are the modules [`tokio`](mod@tokio) and [`blocking`], which have the same names with the same meaning:
//!   without an async runtime, leave out `async` and `await`.
//! - [`Client`] and [`Server`] have the settings, [`Config`] the limits and timeouts of a connection, and a [`Message`] is text
//!   or bytes.
//! - The [`guide`] has a chapter for each thing that programs do: servers, clients, pages, TLS, proxies, one message for many;
//!   and a table for those who [come from another crate](guide::migration).
//! - A client that connects again, over as many connections as it takes, is made by `reconnect` of either: see
//!   [`reconnect`].
//! - For an event loop of your own there is [`Endpoint`], and for those who bring all else, too, or have no I/O,
//!   [the core](#the-core).
//!
//! # Limits and timeouts
//!
//! A peer may send anything, and nothing. What each limit answers is in the last column; `SECURITY.md` in the
//! repository says what else is defended, and what is left to the program.
//!
//! | limit | default | beyond it | what it is against |
//! | --- | --- | --- | --- |
//! | [`Config::max_message_size`] | 64 MiB | failed with 1009 | memory filled by a message, as it is or inflated |
//! | [`Config::max_frame_size`] | 64 MiB | failed with 1009 | a length that is announced to be waited for |
//! | [`Config::max_fragments`] | 131,072 | failed with 1008 | a message of empty fragments that never ends |
//! | [`Config::read_buffer_size`] | 64 KiB | no more is read, and the peer's silence is not counted | memory filled for a program that does not receive |
//! | [`Config::write_buffer_size`] | 64 KiB | only the latest Ping is answered; senders wait | Pings whose Pongs are not read; memory filled by a slow reader |
//! | [`Config::keepalive`] | 20 s, 20 s | a Ping; without an answer [`TimedOut::Keepalive`], 1006 | a peer that vanished, says nothing, or a byte now and then |
//! | [`Config::close_timeout`] | 10 s | [`TimedOut::ClosingHandshake`], 1006 | a peer that does not answer a Close frame, or keeps the transport open |
//! | [`Config::write_timeout`] | 30 s | [`TimedOut::Write`], 1006 | a peer that reads nothing, or a byte now and then |
//! | [`Config::min_data_rate`] | 256 bytes a second | what comes or is taken more slowly does not put off those two | a peer that is never quite silent |
//! | [`Config::deflate`] | off | sent as it is | CPU, and memory for each connection's windows; secrets told by their length |
//! | [`Deflate::server_max_window_bits`] | 15 | a larger window is not used | memory for windows |
//! | [`Deflate::client_max_window_bits`] | 15 | a larger window is not asked for | memory for windows |
//! | [`Client::connect_timeout`] | 30 s | [`TimedOut::OpeningHandshake`], or [`TimedOut::Proxy`] | a server or a proxy that accepts connections and does not answer |
//! | [`Client::redirects`] | 0 | [`Error::Redirect`]; with 0, the redirect is a refusal | redirects without end, and to where no one meant to go |
//! | [`Server::handshake_timeout`] | 10 s | 408, and [`TimedOut::OpeningHandshake`] | a request, or a body, that dribbles in, or never comes (slow loris); answers that are not read |
//! | `limit` of `Pending::read_body` | given with each call | 413, and [`BodyTooLarge`] | a body that never ends |
//! | what is around the chunks of a body | as much as is in them, and 16 KiB | 413, and [`BodyTooLarge`] | chunk extensions and trailers that never end, chunks of a byte |
//! | [`Server::max_connections`] | 10,000 | `serve` lets the next wait to be accepted; `http::upgrade` answers 503 | memory and descriptors for connections |
//! | [`Server::max_handshakes`] | 1,000 | the same | all of them taken by clients that dribble their requests |
//! | [`Server::shutdown_grace`] | 10 s | `serve` drops what is left | clients that keep it from stopping |
//! | [`Limits::head_bytes`] | 16 KiB | 431, or an error to a client | a head that never ends |
//! | [`Limits::start_line_bytes`] | 8 KiB | 414, or an error to a client | a request target that never ends |
//! | [`Limits::headers`] | 100 | 431, or an error to a client | more lines than are worth looking through |
//! | [`Limits::interim_responses`] | 8 | an error to a client | a server that never comes to its answer |
//! | [`Limits::refusal_body_bytes`] | 4 KiB | the rest is not read | a refusal that never ends |
//! | [`Policy::max_retry_after`] | 3600 s | a client [connects again](reconnect) after that | `Retry-After` in a hundred years |
//! | what a server sends ahead on a stream of `Http2` | [`Config::read_buffer_size`], at least 16 KiB | it has to wait; if it does not, the connection is given up | memory filled for a stream that is not read |
//! | what small frames of such streams take for themselves | 16 MiB of a connection | the connection is given up | frames of a byte that nobody reads |
//!
//! "Failed with 1009" means: the peer is sent a Close frame with that code, the connection is closed, and the program gets the
//! error. A connection that timed out is closed without a Close frame, and [`Closed`] has the code 1006. A length that a peer
//! announces is checked against the limits at the frame's header, and no memory is reserved for it before its bytes arrive. A
//! control frame has at most 125 bytes (RFC 6455 section 5.5): a longer one fails the connection with 1002.
//!
//! Those of [`Config`], [`Deflate`] and [`Limits`](handshake::Limits) are the limits of one connection: all
//! connections together take their number times as much.
//!
//! [`BodyTooLarge`]: handshake::RequestError::BodyTooLarge
//! [`Limits::head_bytes`]: handshake::Limits::head_bytes
//! [`Limits::start_line_bytes`]: handshake::Limits::start_line_bytes
//! [`Limits::headers`]: handshake::Limits::headers
//! [`Limits::interim_responses`]: handshake::Limits::interim_responses
//! [`Limits::refusal_body_bytes`]: handshake::Limits::refusal_body_bytes
//! [`Policy::max_retry_after`]: reconnect::Policy::max_retry_after
//!
//! # Deadlines
//!
//! A deadline belongs to an operation, whatever system calls that takes, inside TLS too. The adapters and [`Endpoint`] keep
//! all of them; the core those that have a row in [`Config`].
//!
//! | deadline | begins | ends | when it passes |
//! | --- | --- | --- | --- |
//! | [`Client::connect_timeout`] | with `connect`, before the name is looked up | when the server has answered | `connect` fails with [`TimedOut::OpeningHandshake`], or [`TimedOut::Proxy`] if there was no tunnel yet |
//! | the same, anew | with `Http2::open`, before there is a stream | when the server has answered | `Http2::open` fails with that |
//! | [`Server::handshake_timeout`] | with `accept`, before a TLS handshake | when the request has come | the client is answered 408, and `accept` fails with that; `serve` tells no handler |
//! | the same, anew | with `Pending::accept` | when the answer is written, and hyper has handed over the stream | `Pending::accept` fails with that; of `http::upgrade`, [`Server::on_error`] is told |
//! | the same, anew | with `Pending::respond`, and when 64 KiB of the response are written | when the next 64 KiB, or the rest, are | `Pending::respond` fails with that |
//! | the same, anew | with `Pending::read_body` | when the body has come | the client is answered 408, and `Pending::read_body` fails with that |
//! | 2 seconds | when a request is refused, anew when it is answered | when the client was told; when it has closed the transport | the transport is closed |
//! | [`Config::keepalive`], `interval` | at each sign of life, and when something was sent | with the next of its kind | a Ping is sent |
//! | `timeout` | when that Ping's last byte is written | with the next sign of life | whoever receives is told [`TimedOut::Keepalive`] |
//! | [`Config::write_timeout`] | when the transport takes no more; anew as it takes some | when it has taken all | whoever waits to send is told [`TimedOut::Write`], and whoever receives |
//! | [`Config::close_timeout`] | when a Close frame is queued: by `close`, as an answer, for an error, or by a server's stop | with the end of the transport | [`TimedOut::ClosingHandshake`] is told by whichever call waits for the peer's Close frame; if both have passed, nobody is told |
//! | a tenth of it, at most 1 s | when a server's Close frame is written that tells of an error | with the peer's Close frame | the server closes the transport all the same |
//! | the same | on tokio, when a WebSocket was dropped behind a Close frame, and that is written | with the end of the transport | the transport is closed all the same |
//! | [`Server::shutdown_grace`] | with the stop of `serve`, or `http::stop` | when all connections have ended | what is left of them is cut off |
//!
//! - A sign of life is a whole frame, whatever it is, and that the transport takes bytes for which it was waited: the
//!   peer has read. Bytes of a frame that is not complete put the deadline off by as long as they may take by
//!   [`Config::min_data_rate`], and so do bytes that are taken of a write: by their time, at most to the whole timeout.
//! - While as much was read ahead as [`Config::read_buffer_size`] allows, the peer's silence is not counted; and not after a
//!   Close frame was sent, where [`Config::close_timeout`] holds.
//! - The deadlines of a connection hold whether its program receives or not: the adapters say who reads. One that no longer
//!   receives is found within half a second, and what was due meanwhile is done then.
//! - On tokio a deadline is noticed as late as the runtime's timers are, which a task that does not yield holds up.
//! - The blocking adapter notices one late by an eighth of its time at most, for waits that a timeout is not set anew for, and
//!   for writes, which tell only at their end whether they took any: none waits for longer than an eighth of the
//!   shorter one of [`Config::write_timeout`] and [`Config::close_timeout`]. A server's stop it notices within a second.
//! - What has come before a deadline passed is received first, also by a program that was busy for longer.
//!
//! # Errors
//!
//! The type says whose fault it is. [`ProtocolError`]: the peer broke the RFC, or went beyond a limit; it was
//! told, with [`ProtocolError::close_code`]. [`SendError`]: the caller asked for what must not be sent;
//! nothing was, and the connection goes on. [`TimedOut`]: a deadline passed.
//! [`RequestError`](handshake::RequestError) and [`ResponseError`](handshake::ResponseError): the opening
//! handshake failed; a refusal holds the server's response, and so does a redirect that was not followed
//! ([`RedirectError`]). [`ProxyError`]: a proxy gave no tunnel to the server. The adapters' [`Error`] is one of these, or of the
//! transport. That a connection is closed is never an error: `recv` returns `None`, and [`Closed`] tells how.
//!
//! # Features
//!
//! A feature adds modules, functions and types, and the crates that they need. What is there already behaves the same with it
//! and without it.
//!
//! | feature | default | dependencies | gives |
//! | --- | --- | --- | --- |
//! | `std` | yes | none | [`std::time::Instant`] as a clock; without it: `no_std` and `alloc`, and a clock of one's own |
//! | `handshake` | yes | httparse, sha1, base64 | [`handshake`], [`Uri`] |
//! | `blocking` | yes | rand | [`blocking`]: WebSockets over `std::io` streams |
//! | `tokio` | no | tokio, rand, futures-core, futures-sink | [`tokio`](mod@tokio): WebSockets over tokio streams |
//! | `deflate` | no | zlib-rs | [`Deflate`]: permessage-deflate (RFC 7692), if [`Config::deflate`] asks for it |
//! | `http` | no | http | [`http`](mod@http): the opening handshake in its types, for servers that speak in them; clients of its requests and URIs |
//! | `hyper` | no | hyper | [`http::upgrade`]: upgrades inside hyper 1; needs `tokio` |
//! | `http2` | no | h2 | the same over HTTP/2 (RFC 8441), and [`http::Http2`], a client of it |
//! | `axum` | no | axum-core | [`http::WebSocketUpgrade`], an extractor for axum 0.8 |
//! | `rustls` | no | rustls with ring, webpki-roots | `wss://` in [`blocking::connect`] and [`blocking::connect_over`], and `https://` proxies; [`Server::tls`] |
//! | `tokio-rustls` | no | tokio-rustls | the same for [`tokio`](mod@tokio) |
//! | `rustls-native-certs` | no | rustls-native-certs | [`Client::trust_native`]: the authorities that the system trusts, and `SSL_CERT_FILE` |
//! | `tracing` | no | tracing | a span for each connection of `serve`, and an event for what fails |
//!
//! # The core
//!
//! Frames, messages, limits, keepalive, deadlines and the closing handshake are handled once, here, whichever adapter is used:
//! an adapter moves bytes, waits, and wakes.
//!
//! ```text
//!                        +------------------------ Connection -----------------------+
//!  bytes that arrived    |                                                           |
//! ---- `input` --------> |  Receiver ----> events: Data, Ping, Pong, Close ----------|--> the application
//!                        |     |                                                     |
//!                        |     |  a Pong for a Ping, Close for Close, failing        |
//!                        |     v                                                     |
//! <---- `out` ---------- |  Sender  <---- text, binary, fragment, ping, close -------|--- the application
//!  bytes to be written   |                                                           |
//!                        |  deadlines: `poll_timeout` ----> `handle_timeout`         | <-- the clock
//!                        +-----------------------------------------------------------+
//! ```
//!
//! [`Receiver`] and [`Sender`] share nothing; [`Connection`] couples them and knows the deadlines. Nothing
//! here reads a clock, draws random bytes or touches a socket: all of that is arguments. The opening
//! handshake, in [`handshake`], works in the same way.
//!
//! ## The one rule of use
//!
//! **Between two waits, go once round:**
//!
//! 1. append what arrived to `input`, and change nothing else in it;
//! 2. call [`receive`](Connection::receive) until it returns `None`, and drop
//!    [`consumed()`](Received::consumed) bytes when done with each event;
//! 3. write `out`, and call [`on_written`](Connection::on_written) after each write, and
//!    [`on_write_blocked`](Connection::on_write_blocked) when one waits;
//! 4. close the transport, if [`should_close_transport`](Connection::should_close_transport) says so;
//! 5. wait no longer than until [`poll_timeout`](Connection::poll_timeout), and call
//!    [`handle_timeout`](Connection::handle_timeout) then.
//!
//! The loop that does:
//!
#![cfg_attr(feature = "std", doc = "```")]
#![cfg_attr(not(feature = "std"), doc = "```ignore")]
//! use std::io::{self, ErrorKind, Read, Write};
//! use std::net::TcpStream;
//! use std::time::{Duration, Instant};
//!
//! use sansocket::{Closed, Config, Connection, Event};
//!
//! /// Sends every message back, until the connection ends; tells how it did.
//! fn echo(mut stream: TcpStream) -> Result<Closed, Box<dyn std::error::Error>> {
//!     let mut connection = Connection::server(&Config::default(), Instant::now());
//!     let (mut input, mut out, mut error) = (Vec::new(), Vec::new(), None);
//!     // 4. A server closes the transport first, a client last.
//!     while !connection.should_close_transport() {
//!         // 5. Wait: `None` is without end.
//!         stream.set_read_timeout(connection.poll_timeout().map(left))?;
//!         let mut bytes = [0; 4096];
//!         match in_time(stream.read(&mut bytes))? {
//!             Some(0) => break,
//!             // 1. Append.
//!             Some(len) => input.extend_from_slice(&bytes[..len]),
//!             None => connection.handle_timeout(Instant::now(), &mut out)?,
//!         }
//!         // 2. Receive. After an error, `out` has what is to be said about it.
//!         loop {
//!             match connection.receive(&mut input, Instant::now(), &mut out) {
//!                 Ok(Some(received)) => {
//!                     if let Some(Event::Data(part)) = received.event(&input) {
//!                         connection.sender().fragment(part.kind, part.payload, part.last, &mut out)?;
//!                     }
//!                     input.drain(..received.consumed());
//!                 }
//!                 Ok(None) => break,
//!                 Err(broken) => error = Some(broken),
//!             }
//!         }
//!         // 3. Write. This stream waits by itself, from the start.
//!         while !out.is_empty() {
//!             connection.on_write_blocked(Instant::now());
//!             stream.set_write_timeout(connection.poll_timeout().map(left))?;
//!             if let Some(len) = in_time(stream.write(&out))? {
//!                 out.drain(..len);
//!                 connection.on_written(len, Instant::now(), &mut out);
//!             }
//!             connection.handle_timeout(Instant::now(), &mut out)?;
//!         }
//!     }
//!     error.map_or_else(|| Ok(connection.receive_eof()), |broken| Err(broken.into()))
//! }
//!
//! /// How long until then; a stream's timeout is never zero.
//! fn left(then: Instant) -> Duration {
//!     then.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
//! }
//!
//! /// `None`: the time is over.
//! fn in_time(result: io::Result<usize>) -> io::Result<Option<usize>> {
//!     match result {
//!         Err(late) if matches!(late.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
//!         result => result.map(Some),
//!     }
//! }
//!
//! # fn reply_to(client: &[u8]) -> (Vec<u8>, Result<Closed, String>) {
//! #     let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! #     let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
//! #     let server = std::thread::spawn(move || echo(listener.accept().unwrap().0).map_err(|error| error.to_string()));
//! #     let mut replies = Vec::new();
//! #     peer.write_all(client).unwrap();
//! #     peer.read_to_end(&mut replies).unwrap();
//! #     (replies, server.join().unwrap())
//! # }
//! // "Hello" and a Close frame with the code 1000, masked with the key 0.
//! let (replies, closed) = reply_to(b"\x81\x85\0\0\0\0Hello\x88\x82\0\0\0\0\x03\xe8");
//! assert_eq!(replies, b"\x81\x05Hello\x88\x02\x03\xe8");
//! assert!(closed?.clean);
//! // A reserved opcode: failed with 1002, and reported.
//! let (replies, closed) = reply_to(b"\x83\x80\0\0\0\0");
//! assert_eq!(replies[..4], [0x88, replies.len() as u8 - 2, 0x03, 0xea]);
//! assert!(closed.unwrap_err().ends_with("opcode is not defined: 0x3"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where the RFC is found
//!
//! | RFC 6455 | in |
//! | --- | --- |
//! | 3, WebSocket URIs | [`Uri`] |
//! | 4, opening handshake; 9.1, negotiating extensions | [`handshake`] |
//! | 5.2 to 5.5, frames; 5.3, masking; 7.4, status codes | [`frame`] |
//! | 5.4, fragmentation; 6.2, receiving; 8.1, UTF-8 | [`Receiver`], [`utf8`] |
//! | 6.1, sending | [`Sender`] |
//! | 5.5, control frames; 7, closing the connection | [`connection`] |
//! | RFC 7692, permessage-deflate | [`Deflate`] |
// Always, so that what needs `std` says so where it does.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "blocking")]
pub mod blocking;
mod config;
pub mod connection;
#[cfg(all(feature = "std", feature = "handshake"))]
#[cfg_attr(
    not(all(feature = "blocking", feature = "tokio")),
    expect(dead_code, reason = "an adapter that is not there calls what another one does not")
)]
mod endpoint;
mod error;
mod extension;
pub mod frame;
#[cfg(doc)]
pub mod guide;
#[cfg(feature = "handshake")]
pub mod handshake;
#[cfg(feature = "http")]
pub mod http;
mod message;
mod receiver;
mod role;
mod sender;
#[cfg(all(feature = "std", feature = "handshake"))]
mod thread_cache;
#[cfg(feature = "tokio")]
pub mod tokio;
pub mod utf8;

pub use config::Config;
pub use connection::{Closed, Connection, Initiator, ReadyState};
#[cfg(feature = "rustls")]
pub use endpoint::CertificateError;
#[cfg(all(feature = "std", feature = "handshake"))]
pub use endpoint::reconnect;
#[cfg(all(feature = "std", feature = "handshake"))]
pub use endpoint::{
    Attempt, Attempts, Cause, Client, Connections, Endpoint, EndpointEvent, Error, Failure, Handled,
    Incoming, Negotiated, Origins, Part, PendingParts, PendingRequest, Proxy, ProxyError, ProxyUriError,
    Queued, RedirectCause, RedirectError, Sendable, Server, SocksReply, Unreachable,
};
pub use error::{ProtocolError, SendError, TimedOut};
#[cfg(feature = "deflate")]
pub use extension::{AgreedDeflate, Deflate};
pub use frame::{CloseCode, CloseFrame, OwnedCloseFrame};
#[cfg(feature = "handshake")]
pub use handshake::uri::{Uri, UriError};
pub use message::{Assembler, Event, Fragment, Message, MessageKind, PreparedMessage};
pub use receiver::{ReceiveState, Received, Receiver};
pub use role::Role;
/// The crate that TLS is spoken by, to make configurations for [`Client::tls`] and [`Server::tls`] with.
#[cfg(feature = "rustls")]
pub use rustls;
pub use sender::{SendState, Sender};
pub use utf8::Utf8Bytes;

/// A second name for [`http`](mod@http), which can be imported together with the crate of that name.
#[cfg(feature = "http")]
pub use self::http as upgrade;
/// A second name for [`tokio`](mod@tokio), which can be imported together with the crate of that name.
#[cfg(feature = "tokio")]
pub use self::tokio as aio;

/// What most programs need, to be imported at once. In place of the modules `tokio` and `http` it has them by their second
/// names, [`aio`] and `upgrade`: `use sansocket::*` would have `tokio` mean the module, also in `#[tokio::main]`.
///
/// ```no_run
/// use sansocket::prelude::*;
///
/// # #[cfg(not(feature = "tokio"))]
/// # fn main() {}
/// # #[cfg(feature = "tokio")]
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Error> {
///     let mut ws = aio::connect("ws://127.0.0.1:9001").await?;
///     ws.send("hello").await?;
///     ws.close(CloseCode::NORMAL, "").await
/// }
/// ```
#[cfg(all(feature = "std", feature = "handshake"))]
pub mod prelude {
    #[cfg(feature = "tokio")]
    pub use crate::aio;
    #[cfg(feature = "blocking")]
    pub use crate::blocking;
    pub use crate::config::Config;
    pub use crate::endpoint::{Client, Error, Failure, Incoming, Origins, Server};
    pub use crate::error::{ProtocolError, SendError, TimedOut};
    #[cfg(feature = "deflate")]
    pub use crate::extension::Deflate;
    pub use crate::frame::{CloseCode, CloseFrame};
    pub use crate::handshake::Reply;
    pub use crate::message::{Message, MessageKind, PreparedMessage};
    #[cfg(feature = "http")]
    pub use crate::upgrade;
    pub use crate::utf8::Utf8Bytes;
}

/// The examples of the README, compiled and run.
#[cfg(all(doctest, feature = "tokio-rustls"))]
#[doc = include_str!("../README.md")]
struct Readme;
