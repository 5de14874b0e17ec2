//! WebSockets over tokio streams.
//!
//! ```no_run
//! # async fn run() -> Result<(), sansocket::Error> {
//! let mut ws = sansocket::tokio::connect("ws://127.0.0.1:9001/").await?;
//! ws.send("hello").await?;
//! while let Some(message) = ws.recv().await? {
//!     println!("{message:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A server looks at the request first, and then accepts or rejects it:
//!
//! ```no_run
//! # async fn run(tcp: tokio::net::TcpStream) -> Result<(), sansocket::Error> {
//! let pending = sansocket::tokio::accept(tcp).await?;
//! if pending.request().path() != "/chat" {
//!     return pending.reject(404, "no such resource").await;
//! }
//! let mut ws = pending.accept().await?;
//! while let Some(message) = ws.recv().await? {
//!     ws.send(message).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`serve`] does that for every client of a listener, in a task each, within limits, and can be stopped in
//! good order.
//!
//! # Who reads
//!
//! Whoever awaits `recv`, or a call like it: it answers control frames, keeps the deadlines and heeds the server's stop. A
//! program that does not, since it only sends, or does something else, need not care: a connection that has not been
//! received from for a quarter to half a second is given a task, its caretaker, which does all that, and ends when the
//! program receives again. (A task that all connections of a thread have in common finds those, as long as any is busy. A
//! program that waits in `recv` has no task more.) What the caretaker reads is read ahead, up to
//! [`Config::read_buffer_size`](crate::Config::read_buffer_size), to be received later; then no more is read, and the peer is
//! not judged by its silence. What nobody will receive, since the receiving half was dropped, is discarded. Once the peer has
//! closed, or the server stops, `send` fails with [`SendError::Closing`](crate::SendError::Closing); `closed` tells how that
//! went. It takes a runtime that runs, and a connection that was made in one, or used by `recv` in one.
//!
//! # Deadlines
//!
//! The crate's documentation has [a table of them](crate#deadlines), and says how late they may be noticed. The runtime's
//! timers must be enabled.
//!
//! # When a message is written
//!
//! A system call for each message is most of what a small message costs, so the answers to messages that
//! came together are written together. What [`WebSocket::send`] is given has been handed to the transport
//! when it returns, unless more of what was read waits to be received. Then it is written with what is
//! sent next: by `recv` before it waits, by [`WebSocket::flush`], when [`Config::write_buffer_size`] bytes
//! are queued, and at the latest when the task waits, for whatever that is, or has ended, or the WebSocket
//! was dropped. (A small task that is spawned for the connection sees to that, and ends when the connection has
//! been silent for long.)
//! [`WebSocket::feed`] queues and leaves the rest to you.
//!
//! # Large messages
//!
//! No call keeps its thread for long. What takes long to inflate is inflated in many polls, between which other tasks have
//! their turn; so is a message compressed that is large, by `send`, `feed` and the rest that is awaited: before it is
//! queued, so that the other half's answers go before it, and a Close frame too, after which `send` fails. A call that is
//! dropped before that has sent nothing. It has used up the compressor's window, which the next message begins anew:
//! that one is compressed as if it were the first.
//!
//! # Broadcasts
//!
//! What goes to many clients is framed once, as a [`PreparedMessage`](crate::PreparedMessage), and waits for none of them: each
//! has a queue with an end, which the client's own task empties. Who does not keep up is closed.
//!
//! ```
//! use sansocket::tokio::Pending;
//! use sansocket::{CloseCode, Error, PreparedMessage};
//! use tokio::sync::mpsc::{Receiver, Sender};
//!
//! /// A queue that is full, or whose client has left, is dropped. Each was made by `mpsc::channel(64)`.
//! fn broadcast(queues: &mut Vec<Sender<PreparedMessage>>, news: &str) {
//!     let news = PreparedMessage::new(news);
//!     queues.retain(|queue| queue.try_send(news.clone()).is_ok());
//! }
//!
//! async fn client(pending: Pending, mut queue: Receiver<PreparedMessage>) -> Result<(), Error> {
//!     let mut ws = pending.accept().await?;
//!     loop {
//!         tokio::select! {
//!             news = queue.recv() => match news {
//!                 Some(news) => ws.send(&news).await?,
//!                 None => return ws.close(CloseCode::TRY_AGAIN_LATER, "too slow").await,
//!             },
//!             message = ws.recv() => if message?.is_none() {
//!                 return Ok(());
//!             },
//!         }
//!     }
//! }
//! ```
//!
//! A loop that awaits `send` for one client after the other waits for each of them, up to [`Config::write_timeout`]. [The
//! guide](crate::guide::broadcast) has more: `tokio::sync::broadcast`, and what a `select!` makes of its `Lagged`.
//!
//! [`Config::write_timeout`]: crate::Config::write_timeout
//!
//! [`Config::write_buffer_size`]: crate::Config::write_buffer_size
//!
//! # Signals and forks
//!
//! - A peer that is gone is an error, whatever the process does at `SIGPIPE`: nothing is written with `writev`, which
//!   raises it on a socket; nor is it by TLS that this crate makes. A stream of your own has to write as tokio's do, and
//!   TLS of your own belongs over `PlainWrites`.
//! - After a fork, parent and child draw nonces and masking keys of their own. A runtime does not outlive a fork: the
//!   child needs another one, and connections that it opens there. (Processes are told apart by their numbers: the first
//!   process of a PID namespace may have that of its parent.)
//!
//! # Streams of the standard library
//!
//! Tokio wants a socket or listener of `std` in non-blocking mode, and does not see to that itself: call
//! `set_nonblocking(true)` before `from_std`. One that blocks would hold up all tasks of its thread.
//!
//! # Cancel safety
//!
//! Every call can be dropped at any point, in `select!` for one: all progress is kept in the
//! `WebSocket`, not in the future. What a dropped call has and has not done is told by its documentation.

mod accept;
mod byte_stream;
mod caretaker;
mod client_stream;
mod compressing;
pub(crate) mod connect;
pub(crate) mod deadline;
mod dial;
mod drive;
mod flusher;
mod futures;
mod halves;
#[cfg(feature = "hyper")]
pub(crate) mod handover;
#[cfg(feature = "tokio-rustls")]
mod plain_writes;
mod program;
mod reconnecting;
mod reunite;
mod serve;
mod server_stream;
mod shared;
mod streams;
mod timer;
pub(crate) mod tracker;
mod transport;
mod turns;
mod wakers;
mod watch;
mod web_socket;
mod writer;

#[cfg(feature = "tokio-rustls")]
pub use accept::accept_tls;
pub use accept::{Pending, accept, accept_with};
pub use byte_stream::ByteStream;
pub use client_stream::ClientStream;
pub use connect::{connect, connect_as_is, connect_over};
pub use halves::{WebSocketReceiver, WebSocketSender};
#[cfg(feature = "tokio-rustls")]
pub use plain_writes::PlainWrites;
pub use reconnecting::{Reconnecting, reconnect, reconnect_with};
pub use serve::{IntoListener, Listener, serve, serve_with};
pub use server_stream::ServerStream;
pub use transport::Transport;
pub use web_socket::WebSocket;
pub use writer::MessageWriter;

pub use crate::endpoint::{Incoming, Part, ReuniteError};
