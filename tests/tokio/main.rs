//! The tokio adapter, through its public API: over pipes that cut what passes, over streams that follow
//! a script, and over loopback. Time is virtual: a lost wake-up shows as time that passes.
#![cfg(feature = "tokio")]
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in helpers, as in tests")]
#![allow(clippy::large_futures, reason = "those of both ends together")]
#![allow(clippy::cast_possible_truncation, reason = "payloads that count up, and wrap")]

#[path = "../common/mod.rs"]
mod common;
mod peer;
mod script;

mod ahead;
mod bytes;
mod cancelled;
mod failing;
#[cfg(feature = "blocking")]
mod last_words;
mod messages;
mod neglect;
mod opening;
mod parts;
mod reconnecting;
mod serving;
mod sinks;
mod split;
mod timeouts;
#[cfg(feature = "tokio-rustls")]
mod tls;
mod together;
