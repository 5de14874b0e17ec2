//! Two connections in one thread, under virtual time, over pipes that cut and delay what passes.
#![cfg(feature = "std")]
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, reason = "in helpers, as in tests")]

#[path = "../common/mod.rs"]
mod common;
mod link;

mod closing;
mod conversations;
mod timeouts;
