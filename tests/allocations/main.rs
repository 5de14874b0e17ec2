//! What is allocated. Each test counts what its own thread allocates, and so may run beside the others.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in helpers, as in tests")]

#[cfg(feature = "std")]
#[path = "../common/mod.rs"]
mod common;

mod adapters;
mod core;
mod endpoint;
mod held;
