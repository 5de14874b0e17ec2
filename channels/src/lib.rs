//! Topics over one WebSocket, pushed from anywhere in a server to the browsers that exist.
//!
//! A [`Hub`] is made of [channels](Channel), each of which answers for the topics of a pattern. It is [served](Hub::serve) by itself,
//! [within a server](Hub::handle) of sansocket's, or [inside axum and hyper](#inside-axum-and-hyper). Then it is sent to:
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
//! | what | where |
//! | --- | --- |
//! | clients that cannot open a WebSocket | [long polling](#long-polling) |
//! | who may connect, and who it is | [`HubBuilder::authenticate`], [`HubBuilder::origins`] |
//! | who may join, and what is done about pushes | [`Channel`], [`Session`]; [`Events`], [`Relay`], [`Open`] |
//! | to whom things are sent | [`Hub::broadcast`], [`Hub::to`] and [`Publish`], [`Hub::conn`], [`Hub::user`] |
//! | what is kept for clients that come back | [history](#history), [`TopicOptions::history`], [`Position`] |
//! | what becomes of what is not taken | [slow clients](#slow-clients), [`OnFull`], [`Publish::volatile`], [`Publish::keyed`] |
//! | what a member is sent of that | [`TopicOptions::intercept`], [`Session::outgoing`] |
//! | what a handler knows and can do | [`Cx`] |
//! | questions to a page | [`Cx::ask`], [`Conn::ask`] |
//! | who is there, with a list at each page | [`TopicOptions::presence`], [`Joined::track`], [`Cx::track`], [`Hub::presence`] |
//! | changes to a page, as data; scripts and styles | [`dom`], [`Publish::dom`]; [`Conn::load`] |
//! | how much there may be of everything | [`Limits`] |
//! | how it ends | [`Leave`], [`Close`], [`Hub::drain`] |
//! | what it does, seen from outside | [`Hub::metrics`], [`Hub::on_slow`]; spans and events, with the feature `tracing` |
//! | pages for tests | `test::Page`, with the feature `test` |
//!
//! # What is promised
//!
//! - What is queued for a connection leaves in that order, but for the answers to heartbeats, which go first, and [keyed](Publish::keyed)
//!   messages, which are replaced where they stand.
//! - All members see a topic's broadcasts in one order; those of one task are in the order of its calls.
//! - Of one topic and connection, handlers run one at a time, in the order of the messages; those of different topics at the same time.
//! - Nothing of a topic precedes the answer to the join, or follows the end of the session.
//! - A broadcast that a handler makes precedes its reply.
//! - Answers to questions, and heartbeats, pass handlers by, and what waits for them, up to [`Limits::unhandled`] and 64 more
//!   messages: a handler may ask the page whose message it handles.
//! - What a session [has its say in](Session::outgoing) waits for its handlers, and so does what follows on the topic, but for
//!   questions.
//! - Each session ends once, by [`Session::leave`] or a crash, and is no member any more by then.
//!
//! What is sent reaches a client at most once, and one that is away has missed it, unless the topic has a [history](#history). A push that was on its way when a connection was cut
//! may have been handled or not: neither is it repeated, nor is the client told.
//!
//! # Slow clients
//!
//! Each connection has one queue, which is [bounded](Limits::queue). What becomes of a message that finds no room in it is for its
//! class to say:
//!
//! | message | when there is no room |
//! | --- | --- |
//! | any | the connection is closed with 4008, or messages are dropped, and the client is told by a `$gap`: [`OnFull`] |
//! | [volatile](Publish::volatile) | it is dropped, as it is when more than [little](Limits::volatile) waits |
//! | [keyed](Publish::keyed) | it takes the place of the one of its topic and key that waits; else as any |
//! | answers, questions, and how sessions end | there is a [reserve](Limits::reserve); then 4008 |
//!
//! What waits is in memory once, in however many queues it is. If all of it is more than [`Limits::memory`], those are closed with
//! 1013 for whom something has waited longest.
//!
//! # History
//!
//! With [`TopicOptions::history`], messages to the members of a topic are numbered 1, 2, 3 and so on in each of its lives, and the
//! newest are kept. A client that speaks the extended dialect, as ours does, is told each number once, in order, with the message, or
//! without, if that is not for it: so it sees for itself that nothing is missing. When it comes back, it says how far it was, and is
//! sent what it has missed, before all else; or, if that is not kept any more, or is more than fits into its queue, it is told that,
//! and sent no more than [the latest](TopicOptions::latest). Ours tells the page by `$gap`, which is when to load anew what is shown.
//!
//! | message | numbered and kept |
//! | --- | --- |
//! | to all members, or all [but some](Publish::except) | yes |
//! | [volatile](Publish::volatile), [keyed](Publish::keyed), or to [no others than some](Publish::only) | no |
//! | to one: pushes, answers, questions | no |
//!
//! It is in the memory of one process: a topic has another life after a restart, and when it has had no members for as long as it keeps
//! messages, or there is [no room](Limits::histories) for it.
//!
//! # Faults
//!
//! A handler that panics, or takes longer than [`Limits::handler`], ends its session and no other: the client is told, and joins
//! anew. That takes a program whose panics unwind. What a client is told of a refusal is a word of the application's own, or one of
//! these, never the text of an error:
//!
//! | reason | of what | tried again |
//! | --- | --- | --- |
//! | `timeout`, `busy`, `join crashed` | a join | yes |
//! | `unmatched topic`, `too many channels joined`, `bad payload`, `too big`, `no presence` | a join | no |
//! | `unmatched topic` | a push to a topic that is not joined | |
//! | `reserved event` | a push whose event begins with `phx_` or `$` | |
//! | `unknown event`, `bad payload`, `too big`, `bad key`, `no reply`, `no presence`, `not joined` | a push, by its handler | |
//!
//! # The wire
//!
//! Phoenix Channels V2: `GET /socket/websocket?vsn=2.0.0`, frames of text `[join_ref, ref, topic, event, payload]`, and binary ones.
//! What clients are told of [presence](TopicOptions::presence), `presence_state` and `presence_diff`, belongs to no join.
//! Clients that ask for it by `ext=1` are told the [`ConnId`] of their connection, as `$conn` in the answer to each join. Where a topic
//! has a [history](#history), the answer says how far it was before the first message behind it, as `$pos`; messages have their number
//! as a sixth element, or, if they are bytes, are of kind 3; `$pos` is the event of a number without a message; and who joins with
//! `$since`, a position and the connection it was then, is told by `$recovered` whether what follows is all that it has missed. A
//! client's message that is no frame closes the connection with 1008 and a word, `frame`, `topic`, `event` or `ref`; one that is too large, with
//! 1009.
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
//!
//! # Long polling
//!
//! Phoenix's client polls where it cannot open a WebSocket: with its option `longPollFallbackMs`, one that fails the first time has a
//! page poll for its life. It finds the same hub at `/socket/longpoll`, with the same channels, order and [`Limits`], whichever way the
//! hub is served. Our own client does not poll, and who polls is spoken to as Phoenix does, without `ext=1`.
//!
//! A `GET` opens a connection, as the handshake of a WebSocket does, and is answered with a token. From then on each `GET` that has it
//! waits for messages, for [`Limits::poll`] at most, and each `POST` brings some. What is said of WebSockets is true of that, but for
//! this:
//!
//! - A page that goes says so to nobody. Its sessions end with [`Leave::Lost`]: two seconds after it has left a poll, and, if none was
//!   waiting, when there was none for half as long again as one waits; five seconds after it has opened the connection, if it has
//!   never polled.
//! - A response that is lost loses what was in it. Phoenix's client takes each that fails for the end of the connection, opens another
//!   and joins anew. So does the hub where it sees it: after a response with messages that could not be written, and after a `POST`
//!   that was not taken whole, nothing more is sent on the connection.
//! - No close code reaches the client, be it that of [`Hub::drain`] or [`Close::kicked`]: what is queued can be polled as long as it
//!   could be read from a WebSocket, then the connection is gone, and the client dials at once. In Phoenix's it ends with 1011.
//! - Bytes come from a client as bytes. It understands none: what it is sent of them is a string, their base64.
//! - No heartbeats are sent, and none are missed. Those of `ping` are answered.
//! - The token is a secret: who has it reads and sends as the client. It is in the address of each request, which proxies log; it is of
//!   no use when the connection is over, nor to a page of another origin than the first that was named by a request which had it.
//! - Each poll that waits is an HTTP connection, one for each request where [`Hub::serve`] and [`Hub::handle`] answer them: clients that
//!   poll cost more than those that do not.
//!
//! A token for [`authenticate`](HubBuilder::authenticate) comes in the header `X-Phoenix-AuthToken`. Pages of other
//! [origins](HubBuilder::origins) that may connect are told so, as browsers ask; their cookies are not sent. Where a cookie says who
//! somebody is, see [`authenticate`](HubBuilder::authenticate). Refusals are those of a
//! handshake, in a body that Phoenix's client understands.
//!
//! # Seen from outside
//!
//! [`Hub::metrics`] is what a hub is doing, and has done, in numbers, for whichever exporter a program has. [`Hub::on_slow`] tells of
//! clients that do not take what they are sent.
//!
//! With the feature `tracing`, each connection has a span, `channels`, with `conn` and `user`, for what becomes of it, and for what
//! its handlers tell. Payloads and tokens are never told, by no event; topics and reasons are:
//!
//! | level | what |
//! | --- | --- |
//! | error | a session or a join has crashed |
//! | warn | a client does not take what it is sent, told as by [`Hub::on_slow`]; it is closed for that, with 4008 or 1013 |
//! | debug | joins, and those that are refused; how sessions end; how connections end, be they closed or lost |
//! | trace | joins that were over before they had an answer |
//!
//! # Inside axum and hyper
//!
//! With the feature `tower`, `Hub::service` is a service for both, and for whatever else speaks in the types of the `http` crate:
//!
#![cfg_attr(feature = "tower", doc = "```")]
#![cfg_attr(not(feature = "tower"), doc = "```ignore")]
//! use axum::{Router, response::Html, routing::get};
//! use sansocket_channels::{Drain, Hub, Open};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::builder().channel("news", Open).build()?;
//! let app = Router::new()
//!     .route("/", get(async || Html("<p>…")))
//!     .route_service("/channels.js", hub.service())
//!     .route_service("/channels-dom.js", hub.service())
//!     .route_service("/socket/longpoll", hub.service())
//!     .route_service("/socket/websocket", hub.service());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
//! let stop = async move {
//!     tokio::signal::ctrl_c().await.ok();
//!     // What has become a WebSocket is not axum's to stop.
//!     hub.drain(Drain::default()).await;
//! };
//! axum::serve(listener, app).with_graceful_shutdown(stop).await?;
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod announcer;
mod archive;
mod ask;
mod audience;
mod backlog;
mod base64;
mod builder;
mod channel;
mod close;
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

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
