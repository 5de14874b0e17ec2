//! The opening handshake: both sides of it, the headers and URIs it is made of, and the types of the `http` crate.
#![cfg(feature = "handshake")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in helpers, as in tests")]

mod client;
mod header;
mod http;
mod server;
mod uri;
