//! The blocking adapter, through its public API: over streams that follow a script, over socket pairs
//! with a thread at each end, and over loopback. Nothing is measured by the clock: where a deadline
//! has to pass, it is milliseconds long.
#![cfg(all(feature = "blocking", unix))]
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in helpers, as in tests")]
#![allow(clippy::cast_possible_truncation, reason = "payloads that count up, and wrap")]

#[path = "../common/mod.rs"]
mod common;
mod peer;
mod script;
mod slow;

mod bytes;
mod closing;
mod deadlines;
mod failing;
mod messages;
mod modes;
mod opening;
mod reconnecting;
mod serving;
mod split;
mod together;

#[cfg(feature = "rustls")]
mod tls;
