//! A WebSocket protocol core.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "handshake")]
pub mod handshake;
#[cfg(feature = "handshake")]
mod uri;
#[cfg(feature = "handshake")]
pub use uri::{Uri, UriError};

/// Which end of the connection this endpoint is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// The endpoint that opened the connection: it masks every frame it sends.
    Client,
    /// The endpoint that accepted the connection: it never masks.
    Server,
}
