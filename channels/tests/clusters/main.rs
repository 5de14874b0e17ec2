//! Three nodes, each a hub with connections of its own to a real broker, which is killed, stopped, or out of reach, and clients that hold
//! what they are sent against what was promised: the order of each node kept, nothing twice, and all that is lost told.
//!
//! A binary of its own: it takes both features, and both brokers, Debian's packages `nats-server` and `redis-server`. A broker has no
//! clock that could be stopped, so that these wait for what they want to see, and never for longer than it may take.
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

mod account;
mod client;
mod link;
#[path = "../brokers/nats.rs"]
#[expect(dead_code, reason = "it has more than these tests do to it")]
mod nats;
#[path = "../channels/random.rs"]
mod random;
mod recovery;
#[path = "../brokers/redis.rs"]
#[expect(dead_code, reason = "it has more than these tests do to it")]
mod redis;
mod scene;
mod scenes;
mod site;
mod stops;
mod strangers;
mod traffic;
