//! Upgrades inside hyper and axum: what `sansocket::http` says of them, held with the real servers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

mod axum;
#[path = "../common/mod.rs"]
mod common;
mod host;
mod http1;
mod http2;
mod http2_client;
mod http2_hostile;
#[allow(dead_code, reason = "other binaries use the rest")]
#[path = "../tokio/peer.rs"]
mod peer;
mod serving;
mod stream;
