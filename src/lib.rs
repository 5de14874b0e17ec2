//! A WebSocket protocol core.
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
mod server;
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
pub use message::{Assembler, Event, Fragment, Message, MessageKind, Utf8Bytes};
pub use receiver::{ReceiveState, Received, Receiver};
pub use role::Role;
pub use sender::{SendState, Sender};
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub use server::{PendingRequest, Server};
#[cfg(feature = "handshake")]
pub use uri::{Uri, UriError};
