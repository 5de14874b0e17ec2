//! permessage-deflate (RFC 7692): negotiation, compressed messages, and what a hostile peer can make of them.
#![cfg(feature = "deflate")]
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "in helpers, as in tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod endpoint;
mod naive;

#[cfg(all(feature = "blocking", feature = "tokio"))]
mod adapters;
mod context;
mod framing;
mod fuzz;
mod hostile;
mod memory;
mod negotiation;
mod pool;
mod sending;
#[cfg(all(feature = "blocking", feature = "tokio"))]
mod turns;
mod vectors;
mod window;
