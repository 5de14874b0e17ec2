//! The example programs, run as a user runs them, and attacked; and what the process around a connection does.
//!
//! `cargo test` builds them before it runs this; `cargo test --test programs` does not, and tests what was built last.
//! That is why this is a binary of its own: the others need no program that is built beside them, and what the programs
//! do is not in this process, where `.ci/coverage` could measure it.
#![cfg(all(unix, feature = "blocking", feature = "tokio"))]
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

#[cfg(target_os = "linux")]
#[path = "../common/mod.rs"]
mod common;
mod process;

mod attack;
mod examples;
mod host;
mod hostile;
