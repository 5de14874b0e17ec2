//! Topics over one WebSocket, pushed from anywhere in a server to browsers. See the README.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod ask;
mod base64;
mod builder;
mod channel;
mod close;
mod conn;
mod conn_id;
mod connection;
mod cx;
mod drain;
mod drive;
mod events;
mod fault;
mod handshake;
mod hub;
mod identity;
mod inbox;
mod limits;
mod link;
mod opening;
mod origins;
mod pace;
mod page;
mod payload;
mod publish;
mod queue;
mod refusal;
mod registry;
mod reply;
mod reserved;
mod route;
mod runner;
mod seat;
mod serve;
mod sync;
#[cfg(feature = "test")]
pub mod test;
mod topic;
#[cfg(feature = "tower")]
mod tower;
mod wire;

pub use ask::AskError;
pub use builder::{BuildError, HubBuilder};
pub use channel::{Channel, Joined, Open, Relay, Relaying, Session};
pub use close::{Close, Leave};
pub use conn::{Conn, User};
pub use conn_id::{ConnId, InvalidConnId};
pub use cx::{Cx, ReplyTo};
pub use drain::{Drain, Drained};
pub use events::{Events, Handlers};
pub use handshake::Handshake;
pub use hub::{ConnInfo, Hub, Member, TopicInfo};
pub use identity::{Denied, Identity};
pub use limits::Limits;
pub use origins::Origins;
pub use payload::{Payload, PayloadError};
pub use publish::{Publish, PublishError, Sent};
pub use refusal::Refusal;
pub use reply::Reply;
#[cfg(feature = "tower")]
pub use tower::HubService;
