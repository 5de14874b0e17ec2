//! Topics over one WebSocket, pushed from anywhere in a server to the browsers that exist.
//!
//! A [`Hub`] is made of [channels](Channel), each of which answers for the topics of a pattern. It is [served](Hub::serve) by itself,
//! [within a server](Hub::handle) of sansocket's, or [inside axum and hyper](guide::serving). Then it is sent to:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use sansocket::Server;
//! use sansocket_channels::{Hub, Open};
//! use serde_json::json;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let hub = Hub::builder().channel("news", Open).page("/", "text/html", "<p>…").build()?;
//!     let news = hub.clone();
//!     tokio::spawn(async move {
//!         for n in 0.. {
//!             tokio::time::sleep(Duration::from_secs(1)).await;
//!             news.broadcast("news", "tick", &json!({ "n": n })).ok();
//!         }
//!     });
//!     Ok(hub.serve("127.0.0.1:8000", &Server::default(), tokio::signal::ctrl_c()).await?)
//! }
//! ```
//!
//! The [guide] answers what one asks who has a server and a page: [who may join](guide::joining), [who is
//! there](guide::presence), [what if a client is slow](guide::slow), [what did I miss](guide::history), [how do I
//! test](guide::testing), [how do I run it behind a proxy](guide::proxy), [how do I stop](guide::stopping), [how do I
//! scale](guide::scaling), [what is logged](guide::logs), [what is limited](guide::limits).
//!
//! | what | where |
//! | --- | --- |
//! | who may connect, and who it is | [`HubBuilder::authenticate`], [`HubBuilder::origins`] |
//! | who may join, and what is done about pushes | [`Channel`], [`Session`]; [`Events`], [`Relay`], [`Open`] |
//! | to whom things are sent | [`Hub::broadcast`], [`Hub::to`] and [`Publish`], [`Hub::conn`], [`Hub::user`] |
//! | what is kept for clients that come back | [`TopicOptions::history`], [`TopicOptions::latest`], [`Position`] |
//! | what becomes of what is not taken | [`OnFull`], [`Publish::volatile`], [`Publish::keyed`] |
//! | what a member is sent of that | [`TopicOptions::intercept`], [`Session::outgoing`] |
//! | what a handler knows and can do | [`Cx`] |
//! | questions to a page | [`Cx::ask`], [`Conn::ask`] |
//! | who is there, with a list at each page | [`TopicOptions::presence`], [`Joined::track`], [`Cx::track`], [`Hub::presence`] |
//! | changes to a page, as data; scripts and styles | [`dom`], [`Publish::dom`]; [`Conn::load`] |
//! | how much there may be of everything | [`Limits`] |
//! | hubs on several machines, or in several processes | [`HubBuilder::backplane`], [`backplane`] |
//! | how it ends | [`Leave`], [`Close`], [`Hub::drain`] |
//! | what it does, seen from outside | [`Hub::metrics`], [`Hub::on_slow`]; spans and events, with the feature `tracing` |
//! | clients that cannot open a WebSocket | [long polling](guide::long_polling) |
//! | pages for tests | `test::Page`, with the feature `test` |
//! | the hub inside axum and hyper | `Hub::service`, with the feature `tower` |
//!
//! # What is promised
//!
//! - What is queued for a connection leaves in that order, but for the answers to heartbeats, which go first, and [keyed](Publish::keyed)
//!   messages, which are replaced where they stand.
//! - All members on a node see a topic's broadcasts in one order; those of one task are in the order of its calls. What holds for
//!   [several nodes](guide::scaling) is told there.
//! - Of one topic and connection, handlers run one at a time, in the order of the messages; those of different topics at the same time.
//! - Nothing of a topic precedes the answer to the join, or follows the end of the session.
//! - A broadcast that a handler makes precedes its reply.
//! - Answers to questions, and heartbeats, pass handlers by, and what waits for them, up to [`Limits::unhandled`] and 64 more
//!   messages: a handler may ask the page whose message it handles.
//! - What a session [has its say in](Session::outgoing) waits for its handlers, and so does what follows on the topic, but for
//!   questions.
//! - Each session ends once, by [`Session::leave`] or a crash, and is no member any more by then.
//!
//! What is sent reaches a client at most once, and one that is away has missed it, unless the topic has a
//! [history](guide::history). A push that was on its way when a connection was cut may have been handled or not: it is not repeated.
//!
//! # Faults
//!
//! A handler that panics, or takes longer than [`Limits::handler`], ends its session and no other: the client is told, and joins
//! anew. That takes a program whose panics unwind. What a client is told of a refusal is a word of the application's own, or one of
//! these, never the text of an error:
//!
//! | reason | of what | tried again |
//! | --- | --- | --- |
//! | `timeout`, `join crashed` | a join that takes longer than [`Limits::join`], or panics | yes |
//! | `busy` | a join while the hub [drains](Hub::drain), has no room for one more, or [loses its route](Hub::unroute) | yes |
//! | `unmatched topic`, `too many channels joined` | a join that no route is for, or beyond [`Limits::topics_per_connection`] | no |
//! | `bad payload`, `too big`, `no presence` | a join whose parameters, response, or presence cannot be | no |
//! | `unauthorized` | a join that is under way when the server [ends it](User::leave) | no |
//! | `unmatched topic` | a push to a topic that is not joined | |
//! | `reserved event` | a push whose event begins with `phx_` or `$`, or is `presence_state` or `presence_diff` | |
//! | `unknown event`, `no reply` | a push that nothing handles, or whose [`ReplyTo`] is dropped | |
//! | `bad payload`, `too big` | a push whose answer cannot be; `bad payload`, too, an answer to a question that is none | |
//!
//! What `?` makes of an error of this crate, in a join or in a handler:
//!
//! | error | reason | a join is tried again |
//! | --- | --- | --- |
//! | [`PayloadError`] | `bad payload` | no |
//! | of [`Cx::param`] | `unmatched topic` | no |
//! | [`TrackError`] | `bad payload`, `no presence`, `not joined` | no |
//! | [`PublishError`] | `bad payload`, `too big`, `unmatched topic`, `reserved event`, `bad key` | no |
//! | [`PublishError`] | `busy`, `backplane` | yes |
//! | [`AskError`] | `bad answer`, `gone`, `timeout`, `refused`, `busy`, `backplane` | yes |
//!
//! # The wire
//!
//! Phoenix Channels V2: `GET /socket/websocket?vsn=2.0.0`, frames of text `[join_ref, ref, topic, event, payload]`, and binary ones.
//! What clients are told of [presence](TopicOptions::presence), `presence_state` and `presence_diff`, belongs to no join.
//! Clients that ask for it by `ext=1` are told the [`ConnId`] of their connection, as `$conn` in the answer to each join. Where a topic
//! has a [history](guide::history), the answer says how far it was before the first message behind it, as `$pos`; messages have their
//! number as a sixth element, or, if they are bytes, are of kind 3; `$pos` is the event of a number without a message; and who joins
//! with `$since`, a position and the connection it was then, is told by `$recovered` whether what follows is all that it has missed. A
//! client's message that is no frame closes the connection with 1008 and a word, `frame`, `topic`, `event` or `ref`; one that is too
//! large, with 1009.
//!
//! The client's token comes among the subprotocols, `base64url.bearer.phx.` and its base64, with `phoenix` before it, which is the
//! answer.
//!
//! | close code | when | what clients do |
//! | --- | --- | --- |
//! | 1001 | the server has stopped without a [drain](Hub::drain) | come back |
//! | 1008, 1009 | see above | come back |
//! | 1013 | there was [no memory](Limits::memory) left, and nobody had waited longer | come back |
//! | 1012 | [`Hub::drain`] | come back |
//! | 4001 | the [identity](Identity::expires) has expired | come back, with a fresh token |
//! | 4008 | the client did not take what it was sent | come back |
//! | 4500 | [`Close::kicked`] | stay away, if they are ours |
//! | 4000 to 4499 | [`Close::retry`] | come back |
//! | 3500 to 3999, 4500 to 4999 | [`Close::last`] | stay away, if they are ours |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod announcer;
mod archive;
mod ask;
mod audience;
mod backlog;
pub mod backplane;
mod base64;
mod builder;
mod channel;
mod close;
mod cluster;
mod conn;
mod conn_id;
mod connection;
mod counters;
mod cx;
pub mod dom;
mod drain;
mod drive;
mod entries;
mod events;
mod fault;
mod flush;
mod frame;
#[cfg(doc)]
pub mod guide;
mod handshake;
mod history;
mod hub;
mod identity;
mod inbox;
mod kept;
mod limits;
mod link;
mod longpoll;
mod metrics;
mod names;
mod notes;
mod opening;
mod options;
mod outgoing;
mod pace;
mod page;
mod parcel;
mod payload;
mod presence;
mod presences;
mod publish;
mod pushed;
mod queue;
mod refusal;
mod registry;
mod reply;
mod reserved;
mod route;
mod runner;
mod running;
mod seat;
mod serve;
mod slow;
mod span;
#[cfg_attr(sansocket_loom, path = "../tests/loom/sync.rs")]
mod sync;
#[cfg(feature = "test")]
pub mod test;
mod topic;
#[cfg(feature = "tower")]
mod tower;
mod waiter;
mod welcome;
mod wire;

pub use ask::AskError;
pub use builder::{BuildError, HubBuilder};
pub use channel::{Channel, Joined, Open, Relay, Relaying, Session};
pub use close::{Close, Leave};
pub use conn::{Conn, User};
pub use conn_id::{ConnId, InvalidConnId};
pub use counters::Histogram;
pub use cx::{Cx, ReplyTo};
pub use drain::{Drain, Drained};
pub use events::{Events, Handlers};
pub use handshake::Handshake;
pub use history::Position;
pub use hub::{ConnInfo, Hub, Member, TopicInfo};
pub use identity::{Denied, Identity};
pub use limits::Limits;
pub use metrics::{Metrics, Sample};
pub use options::{OnFull, TopicOptions};
pub use outgoing::Outgoing;
pub use payload::{Payload, PayloadError};
pub use presences::{Presences, TrackError};
pub use publish::{Publish, PublishError, Sent};
pub use refusal::Refusal;
pub use reply::Reply;
pub use sansocket::Origins;
pub use slow::Slow;
#[cfg(feature = "tower")]
pub use tower::HubService;

/// The examples of the README, compiled and run.
#[cfg(all(doctest, feature = "test", feature = "tower"))]
#[doc = include_str!("../README.md")]
struct Readme;
