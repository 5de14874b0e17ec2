//! What nodes promise that are joined by a Redis: a real one, which each test starts for itself, through the traits of backplanes.
//!
//! A binary of its own, since no other test needs a broker, and these sleep: a broker has no clock that they could stop.
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

#[path = "../brokers/redis.rs"]
mod broker;
mod exchange;
mod node;
mod order;
mod outages;
mod since;
