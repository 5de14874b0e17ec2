//! The opening handshake: both sides of it, the headers and URIs it is made of, the types of the `http` crate; and
//! endpoints, which go on from there.
#![cfg(feature = "handshake")]
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in helpers, as in tests")]

#[cfg(feature = "std")]
#[path = "../common/mod.rs"]
mod common;

mod body;
mod client;
mod cuts;
#[cfg(feature = "std")]
mod endpoint;
mod header;
mod http;
#[cfg(feature = "std")]
mod pending;
#[cfg(feature = "std")]
mod reconnect;
mod server;
mod uri;
