//! A WebSocket protocol core: RFC 6455 without I/O, and thin blocking and tokio adapters over it.
//!
//! - **Strict.** What the RFC forbids is refused, with the close code or HTTP status that says why.
//! - **Bounded.** Every limit and every timeout has a finite default: no peer makes memory or time grow
//!   beyond it.
//! - **One logic.** Frames, messages, limits, keepalive, deadlines and the closing handshake are handled
//!   in the core. An adapter moves bytes, waits, and wakes.
//!
//! Most programs use an adapter: the modules `blocking` and `tokio`, which have the same names with the
//! same meaning, and [`Client`], [`Server`], [`Config`] and [`Message`]. The core is for those who bring
//! their own I/O, or none.
//!
//! # The core
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
//! **Call [`receive`](Connection::receive) until it returns `None`; before reading more, write `out`; append
//! to the input, never change it; drop [`consumed()`](Received::consumed) bytes when done with the event.**
//!
//! The loop that obeys it:
//!
#![cfg_attr(feature = "std", doc = "```")]
#![cfg_attr(not(feature = "std"), doc = "```ignore")]
//! use std::io::{Read, Write};
//! use std::time::Instant;
//!
//! use sansocket::{Config, Connection, Event};
//!
//! /// Sends every message back, until the client closes the connection or vanishes.
//! fn echo(mut reader: impl Read, mut writer: impl Write) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut connection = Connection::server(&Config::default(), Instant::now());
//!     let (mut input, mut out) = (Vec::new(), Vec::new());
//!     while !connection.should_close_transport() {
//!         // Append to the input.
//!         let mut bytes = [0; 4096];
//!         match reader.read(&mut bytes)? {
//!             0 => break,
//!             len => input.extend_from_slice(&bytes[..len]),
//!         }
//!         // Call `receive` until it returns `None`. After an error too, `out` has something to say.
//!         let now = Instant::now();
//!         while let Ok(Some(received)) = connection.receive(&mut input, now, &mut out) {
//!             if let Some(Event::Data(part)) = received.event(&input) {
//!                 connection.sender().fragment(part.kind, part.payload, part.last, &mut out)?;
//!             }
//!             // Drop what was consumed.
//!             input.drain(..received.consumed());
//!         }
//!         // Before reading more, write.
//!         while !out.is_empty() {
//!             writer.write_all(&out)?;
//!             out.clear();
//!             connection.answer_held(&mut out);
//!         }
//!     }
//!     println!("{:?}", connection.receive_eof());
//!     Ok(())
//! }
//!
//! // "Hello" and a Close frame with the code 1000, masked with the key 0.
//! let client = b"\x81\x85\0\0\0\0Hello\x88\x82\0\0\0\0\x03\xe8";
//! let mut replies = Vec::new();
//! echo(&client[..], &mut replies)?;
//! assert_eq!(replies, b"\x81\x05Hello\x88\x02\x03\xe8");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it leaves out, and an adapter does: it reads no longer than until
//! [`poll_timeout`](Connection::poll_timeout), and then calls
//! [`handle_timeout`](Connection::handle_timeout), so that a client that vanished is noticed.
//!
//! # Limits and timeouts
//!
//! | of | default | set by | beyond it |
//! | --- | --- | --- | --- |
//! | a message | 64 MiB | [`Config::max_message_size`] | failed with 1009 |
//! | a frame | 64 MiB | [`Config::max_frame_size`] | failed with 1009 |
//! | the fragments of a message | 131,072 | [`Config::max_fragments`] | failed with 1008 |
//! | what waits to be written | 64 KiB | [`Config::write_buffer_size`] | only the latest Ping is answered; senders wait |
//! | the peer's silence | 20 s + 20 s | [`Config::keepalive`] | a Ping; without an answer, given up |
//! | the closing handshake | 10 s | [`Config::close_timeout`] | the transport is closed |
//! | a peer that reads nothing | 30 s | [`Config::write_timeout`] | given up |
//! | an HTTP head | 16 KiB, 100 lines | [`handshake::Limits`] | 431, or an error |
//! | a client's opening handshake | 30 s | [`Client::connect_timeout`] | an error |
//! | a server's opening handshake | 10 s | [`Server::handshake_timeout`] | 408 |
//! | connections of `serve` | 10,000 | [`Server::max_connections`] | the next wait to be accepted |
//! | opening handshakes of `serve` | 1,000 | [`Server::max_handshakes`] | the next wait to be accepted |
//! | the end of `serve` | 10 s | [`Server::shutdown_grace`] | what is left is dropped |
//!
//! A length that a peer announces is checked against the limits at the frame's header, and no memory is
//! reserved for it before its bytes arrive.
//!
//! # Errors
//!
//! The type says whose fault it is. [`ProtocolError`]: the peer broke the RFC, or went beyond a limit; it was
//! told, with [`ProtocolError::close_code`]. [`SendError`]: the caller asked for what must not be sent;
//! nothing was, and the connection goes on. [`TimedOut`]: a deadline passed.
//! [`HandshakeError`](handshake::HandshakeError): the opening handshake failed;
//! a refusal holds the server's response. The adapters' [`Error`] is one of these, or of the transport. That
//! a connection is closed is never an error: `recv` returns `None`, and [`Closed`] tells how.
//!
//! # Features
//!
//! A feature adds API and buys a dependency; it never changes behaviour.
//!
//! | feature | default | dependencies | gives |
//! | --- | --- | --- | --- |
//! | `std` | yes | none | [`Connection`] with its deadlines; without it: `no_std` and `alloc` |
//! | `handshake` | yes | httparse, sha1, base64 | [`handshake`], [`Uri`] |
//! | `blocking` | yes | rand | [`blocking`]: WebSockets over `std::io` streams |
//! | `tokio` | no | tokio, rand, futures-core, futures-sink | [`tokio`](mod@tokio): WebSockets over tokio streams |
//! | `deflate` | no | flate2 with zlib-rs | [`Deflate`]: permessage-deflate (RFC 7692), if [`Config::deflate`] asks for it |
//! | `http` | no | http | [`http`](mod@http): upgrades inside hyper, axum and others |
//! | `rustls` | no | rustls with ring, tokio-rustls, webpki-roots | `wss://` in `connect`; `accept_tls` |
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

#[cfg(any(feature = "blocking", feature = "tokio"))]
mod adapter;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod client;
mod config;
#[cfg(feature = "std")]
pub mod connection;
mod error;
#[cfg(feature = "deflate")]
mod extension;
pub mod frame;
#[cfg(feature = "handshake")]
pub mod handshake;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "std")]
mod keepalive;
mod message;
mod receiver;
mod role;
mod sender;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod serve;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod server;
mod text;
#[cfg(all(feature = "rustls", any(feature = "blocking", feature = "tokio")))]
mod tls;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "handshake")]
mod uri;
pub mod utf8;

#[cfg(any(feature = "blocking", feature = "tokio"))]
pub use client::Client;
pub use config::Config;
#[cfg(feature = "std")]
pub use connection::{Closed, Connection, Initiator, ReadyState};
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub use error::Error;
#[cfg(feature = "std")]
pub use error::TimedOut;
pub use error::{ProtocolError, SendError};
#[cfg(feature = "deflate")]
pub use extension::{AgreedDeflate, Deflate};
pub use frame::{CloseCode, CloseFrame};
pub use message::{Assembler, Event, Fragment, Message, MessageKind};
pub use receiver::{ReceiveState, Received, Receiver};
pub use role::Role;
pub use sender::{SendState, Sender};
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub use server::{PendingRequest, Server};
pub use text::Utf8Bytes;
#[cfg(feature = "handshake")]
pub use uri::{Uri, UriError};

/// The examples of the README, compiled and run.
#[cfg(all(doctest, feature = "blocking", feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
