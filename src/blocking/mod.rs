//! WebSockets over blocking streams.
//!
//! ```no_run
//! # fn run() -> Result<(), sansocket::Error> {
//! let mut ws = sansocket::blocking::connect("ws://127.0.0.1:9001/")?;
//! ws.send("hello")?;
//! while let Some(message) = ws.recv()? {
//!     println!("{message:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A server looks at the request first, and then accepts or rejects it:
//!
//! ```no_run
//! # fn run(tcp: std::net::TcpStream) -> Result<(), sansocket::Error> {
//! let pending = sansocket::blocking::accept(tcp)?;
//! if pending.request().path() != "/chat" {
//!     return pending.reject(404, "no such resource");
//! }
//! let mut ws = pending.accept()?;
//! while let Some(message) = ws.recv()? {
//!     ws.send(message)?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`serve`] does that for every client of a listener, in a thread each, within limits, and can be stopped in
//! good order.
//!
//! # When a message is written
//!
//! What [`WebSocket::send`] is given has been handed to the transport when it returns: a system call for each
//! message. (On tokio, answers to messages that came together are written together, and a task sees to it
//! that none waits while its sender does something else. Here that would take a thread.) Whoever sends many
//! at once calls [`WebSocket::feed`], which queues: [`WebSocket::recv`] writes what is queued before it waits,
//! and [`WebSocket::flush`] at once. In a loop that only receives and answers, `feed` in place of `send` makes
//! one system call of the answers to messages that came together.
//!
//! # Deadlines
//!
//! No thread runs behind the caller's back. Keepalive Pings are sent, and deadlines noticed, while one
//! of the calls that wait is running: a stream wakes it by a read or write timeout, which is what
//! [`Transport`] asks of it. A deadline may be noticed late by an eighth of its time, so that a timeout
//! need not be set anew for every read. Streams without timeouts work through [`NoDeadlines`].

mod accept;
mod connect;
mod drive;
mod later;
mod serve;
mod shared;
mod split;
#[cfg(feature = "rustls")]
mod tls;
mod transport;
mod web_socket;
mod writer;

#[cfg(feature = "rustls")]
pub use accept::accept_tls;
pub use accept::{Pending, accept, accept_with};
pub use connect::{ClientStream, connect, connect_over};
pub use serve::{ServerStream, Stop, serve};
pub use split::{WebSocketReceiver, WebSocketSender};
pub use transport::{NoDeadlines, Transport, TryClone};
pub use web_socket::WebSocket;
pub use writer::MessageWriter;

pub use crate::adapter::{Incoming, Part};
