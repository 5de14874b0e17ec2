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
//! A system call for each message is most of what a small message costs, so the answers to messages that
//! came together are written together. What [`WebSocket::send`] is given has been handed to the transport
//! when it returns, unless more of what was read waits to be received. Then it is left queued, and written
//! with what is sent next: by `recv` before it waits, by a `send` when nothing more waits to be received, by
//! [`WebSocket::flush`], when [`Config::write_buffer_size`] bytes are queued, and when the WebSocket, or its
//! sending half, is dropped. If nothing of that happens, since the thread does something else, it is written
//! some two milliseconds later by another thread. That is one for the whole process: it is started when a
//! message is first left queued, sleeps while none is, and ends when none was for some seconds. Where it cannot
//! be started, `send` leaves nothing queued.
//!
//! - The two milliseconds are what it takes while the transport has room. A transport that has none is tried
//!   again after ten milliseconds or so, and then less and less often, until [`Config::write_timeout`]: when it has room
//!   again, the rest is late by an eighth of the time that it had none. Others do not wait for it, but each that is tried
//!   may delay the rest by some milliseconds.
//! - If that thread's write fails, the connection has ended, and the next call that sends or receives fails.
//! - A process that ends without dropping the WebSocket, by [`std::process::exit`] or because `main` returns
//!   while other threads run, may lose what was left queued. Whoever must know that a message was handed over
//!   calls [`WebSocket::flush`].
//! - Streams whose writes may take longer than their timeout leave nothing queued, since that thread must not
//!   wait for one of them: those in [`NoDeadlines`]. See [`Transport::times_out`].
//!
//! The halves of a connection promise the same. A sending half may take what another thread is just about to
//! receive for still waiting; then that thread writes, before it waits, or the one that writes what was left.
//! [`WebSocket::feed`] queues and leaves the rest to you.
//!
//! [`Config::close_timeout`]: crate::Config::close_timeout
//! [`Config::write_buffer_size`]: crate::Config::write_buffer_size
//! [`Config::write_timeout`]: crate::Config::write_timeout
//!
//! # Who reads
//!
//! Whoever is in `recv`, or a call like it: it answers control frames, keeps the deadlines and heeds the server's stop. A
//! program that only sends need not call it: when two calls that send follow each other, and for a fifth of a second nobody
//! has read, `send`, `feed` and the others of them (not `try_feed`, nor [`WebSocket::start_close`]) first look at what has
//! come, and go on with that while they wait for the transport. A look takes a millisecond, if nothing has come, and a
//! program that receives makes none. What it finds is read ahead, up to [`Config::read_buffer_size`], to be received later;
//! then no more is read, and the peer is not judged by its silence. What nobody will receive, since the receiving half was
//! dropped, is discarded. Once the peer has closed, or the server stops, `send` fails with
//! [`SendError::Closing`](crate::SendError::Closing), and further calls complete the closing handshake; `closed` tells how
//! that went. A server closes the transport of a client that broke the protocol a moment after it has told it so, in such
//! a call; and a WebSocket that is dropped closes it at once, be its Close frame answered or not, since a drop waits for
//! nothing: `close` does. A thread that calls nothing does nothing: only tokio's adapter has tasks for that. Streams in [`NoDeadlines`]
//! are not looked at, since a look could last for ever.
//!
//! [`Config::read_buffer_size`]: crate::Config::read_buffer_size
//!
//! # Signals and forks
//!
//! - A peer that is gone is an error, whatever the process does at `SIGPIPE`: nothing is written with `writev`, which
//!   raises it on a socket. A stream of your own has to write as the standard library's sockets do.
//! - After a fork, parent and child draw nonces and masking keys of their own, and the child starts its own thread for
//!   what is left queued. A connection that was open before is for one of the two, since both have the masking keys that
//!   it had drawn ahead, up to 64, and what is queued, which both would write: [`flush`](WebSocket::flush) it before; and
//!   fork while no other thread uses a connection, since a lock that one holds
//!   stays locked in the child. (Processes are told apart by their numbers: the first process of a PID namespace may
//!   have that of its parent.)
//!
//! # Sockets in non-blocking mode
//!
//! A socket or listener that is handed over is set to blocking mode, by [`Transport::set_blocking`]. Left to you is not
//! to set it back, through a clone for example: both are handles of one thing.
//!
//! # Deadlines
//!
//! The crate's documentation has [a table of them](crate#deadlines), and says how late they may be noticed. What wakes a
//! call at one is a read or write timeout of the stream, which is what [`Transport`] asks of it; over streams without
//! timeouts, in [`NoDeadlines`], there are none.
//!
//! A deadline belongs to the operation, whatever system calls that takes, and however little the peer sends or takes at a
//! time, inside TLS too. It may be noticed late:
//!
//! - By an eighth of its time, where a call waits for input, so that a timeout need not be set anew for every read.
//! - By an eighth, or a fifth of a second if that is less, where a call waits to write. [`Config::write_timeout`] runs from
//!   the last byte that the transport took, and a write tells only at its end whether it took any: so no write waits for
//!   longer than an eighth of it, or of [`Config::close_timeout`].
//! - Not before what has come was looked at: a program that was busy for longer than a deadline receives what its
//!   next read brings, and only then is told.
//!
//! A receiving half that has an answer to write, and whose peer reads nothing, looks for room like the thread that writes
//! what was left: after ten milliseconds, and then an eighth of the time that there was none.

mod accept;
mod byte_stream;
mod client_stream;
mod connect;
mod deadline;
mod dial;
mod drive;
mod flusher;
mod halves;
mod ports;
mod reconnecting;
mod retry;
mod reunite;
mod sending;
mod serve;
mod server_stream;
mod shared;
mod shared_tcp;
mod stop;
mod streams;
#[cfg(feature = "rustls")]
mod tls;
mod tracker;
mod transport;
mod web_socket;
mod writer;
mod writing;

#[cfg(feature = "rustls")]
pub use accept::accept_tls;
pub use accept::{Pending, accept, accept_with};
pub use byte_stream::ByteStream;
pub use client_stream::ClientStream;
pub use connect::{connect, connect_as_is, connect_over};
#[cfg(sansocket_loom)]
pub use flusher::flusher_runs;
pub use halves::{WebSocketReceiver, WebSocketSender};
pub use reconnecting::{Reconnecting, reconnect, reconnect_with};
pub use serve::{IntoListener, serve, serve_with};
pub use server_stream::ServerStream;
pub use stop::Stop;
#[cfg(feature = "rustls")]
pub use tls::TlsStream;
pub use transport::{NoDeadlines, Transport, TryClone};
pub use web_socket::WebSocket;
pub use writer::MessageWriter;

pub use crate::endpoint::{Incoming, Part, ReuniteError};
