//! The sans-IO core, without the handshake: a file for each topic of RFC 6455, and pairs of connections.
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in helpers, as in tests")]

#[cfg(feature = "std")]
#[path = "../common/mod.rs"]
mod common;

mod clock;
mod close_codes;
mod closing;
mod control_frames;
mod data_frames;
mod errors;
mod fragmentation;
mod frame;
mod invalid_data;
mod limits;
mod masking;
mod messages;
mod naive_twin;
mod pair;
mod roles;
mod text;
mod utf8;
