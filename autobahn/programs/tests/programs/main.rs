//! The programs, run as a user runs them, and attacked.
#![cfg(unix)]
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

#[cfg(target_os = "linux")]
#[path = "../../../../tests/common/mod.rs"]
mod common;
mod process;

mod attack;
mod hostile;
mod usage;
