//! What the crate promises, through its public API: pages of the test kit, and real sockets.
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

mod allocations;
mod asks;
mod compression;
mod diary;
mod dom;
mod history;
mod history_model;
mod intercept;
mod intercept_history;
mod kit;
mod limits;
mod lives;
mod longpoll;
mod longpoll_limits;
mod members;
mod memory;
mod metrics;
mod model;
mod nodes;
mod nodes_history;
mod nodes_model;
mod nodes_presence;
mod order;
mod order_model;
mod patience;
mod poller;
mod presence;
mod queue_model;
mod queues;
mod random;
mod routes;
mod server;
mod services;
mod sessions;
mod sockets;
#[cfg(feature = "tracing")]
mod spans;
mod targets;
mod twin;
mod wire;
