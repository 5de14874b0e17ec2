//! What both adapters are to do alike: each row is a script of what the peer does and what the program calls,
//! and is run by both, over a whole WebSocket and over its halves, through pipes of several sizes. What came
//! of it, the transcript, is compared with what the row expects, and one adapter's with the other's.
//!
//! ```text
//! Script::new(role)
//!     .peer([says("hello"), until("close"), closes(1000, "bye"), goes()])
//!     .calls([recv().gives("text \"hello\""), close(1000, "").ok()])
//!     .sees(["close 1000 \"\"", "end"])
//!     .closed("1000 \"bye\", Local, clean")
//!     .run();
//! ```
//!
//! To add a row, write a test like this. [`peer`] lists what a peer can do, [`calls`] what a program can call,
//! [`script`] how the two are joined. Where a deadline has to pass, make it a [`MOMENT`](script::MOMENT):
//! tokio's clock is stopped, but the blocking adapter waits that long.
//!
//! Not a script is what [`host`] has: what both do to the process around a connection.
#![cfg(all(feature = "blocking", feature = "tokio"))]
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in helpers, as in tests")]

#[path = "../common/mod.rs"]
mod common;

mod adapter;
mod calls;
mod lines;
mod peer;
mod reach;
mod script;
mod wire;

mod addresses;
mod bytes;
mod closing;
mod deadlines;
mod failing;
mod host;
mod messages;
mod neglect;
mod opening;
mod pages;
mod proxies;
mod queued;
mod reconnecting;
mod redirects;
mod reunited;
mod served;
mod serving;
mod split;
mod together;
#[cfg(feature = "tokio-rustls")]
mod trust;
mod unix;
#[cfg(all(feature = "deflate", feature = "http"))]
mod upgraded;
