//! Nodes that meet at NATS. A binary of its own: it takes a feature, and a broker, Debian's package `nats-server`, which each test
//! starts anew, on loopback.
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

#[path = "../brokers/nats.rs"]
mod broker;
mod cuts;
mod node;
mod paths;
