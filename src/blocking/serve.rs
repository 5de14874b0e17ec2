//! A server: it accepts connections, and gives each to a thread.
//!
//! What it takes care of is what the tokio adapter's `serve` does: limits, at which clients wait in the
//! listener's backlog; errors of `accept`, which neither end the server nor make it spin; and stopping.

use alloc::string::String;
use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};
use core::panic::AssertUnwindSafe;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::panic::catch_unwind;

use super::accept::{Pending, accept_as};
use super::shared_tcp::SharedTcp;
use super::stop::Stop;
use super::tracker::{InHandshake, Progress, Token, Tracker};
use crate::endpoint::admission::{BackOff, cannot_listen};
use crate::endpoint::span::Span;
use crate::endpoint::{Cause, Handled, Server};

/// Serves the clients that connect to `address`, as [`serve_with`] does with the defaults of [`Server`], until the process
/// ends: what is bound is an address, or what else is an [`IntoListener`].
///
/// ```no_run
/// # fn run() -> std::io::Result<()> {
/// sansocket::blocking::serve("127.0.0.1:9001", |pending| {
///     let mut ws = pending.accept()?;
///     while let Some(message) = ws.recv()? {
///         ws.send(message)?;
///     }
///     Ok::<_, sansocket::Error>(())
/// })
/// # }
/// ```
///
/// Fails if the address cannot be bound, and as `serve_with` does.
pub fn serve<F, T>(address: impl IntoListener, handler: F) -> io::Result<()>
where
    F: Fn(Pending) -> T + Send + Sync + 'static,
    T: Handled,
{
    serve_with(address, &Server::default(), &Stop::default(), handler)
}

/// Serves the clients that `listener` accepts, until it is told to [`stop`](Stop::stop).
///
/// Each connection has a thread. It completes the handshake of TLS, if the server is to speak it
/// (`Server::tls`), reads the client's request, and answers for itself one that is malformed, or for one of its
/// [pages](Server::page). Any other goes to `handler`, which accepts or rejects it, and then has the connection to itself.
/// It may return nothing, or a `Result` with any error: [`Server::on_error`] is told of those, of panics, and of handshakes
/// that failed.
///
/// ```no_run
/// use sansocket::blocking::{Pending, Stop, serve_with};
/// use sansocket::{Error, Server};
///
/// fn echo(pending: Pending) -> Result<(), Error> {
///     let mut ws = pending.accept()?;
///     while let Some(message) = ws.recv()? {
///         ws.send(message)?;
///     }
///     Ok(())
/// }
///
/// # fn run() -> std::io::Result<()> {
/// let server = Server::default().max_connections(1000).on_error(|failure| eprintln!("{failure}"));
/// serve_with("127.0.0.1:9001", &server, &Stop::default(), echo)
/// # }
/// ```
///
/// # Stopping
///
/// The listener is closed, and so are connections whose request has not come. Connections in `recv`, or a
/// call like it, in whichever thread, close with 1001, within about a second, and so do those of programs that only
/// send, by their next calls ([who reads](super#who-reads)): once what was received
/// before has been handed out, a Close frame is sent, what still arrives is discarded, and the call
/// returns `None` when the closing handshake is over, as if the handler had called
/// [`close`](super::WebSocket::close). A handler that sends meanwhile from elsewhere gets
/// [`SendError::Closing`](crate::SendError::Closing). What has not ended within
/// [`Server::shutdown_grace`] is cut off, and not waited for.
///
/// Fails if an address cannot be bound, and, after the same farewell, with an error that the listener will not recover
/// from.
pub fn serve_with<F, T>(
    listener: impl IntoListener,
    server: &Server,
    stop: &Stop,
    handler: F,
) -> io::Result<()>
where
    F: Fn(Pending) -> T + Send + Sync + 'static,
    T: Handled,
{
    let listener = listener.into_listener()?;
    let address = listener.local_addr()?;
    // One that does not wait would have the loop spin.
    listener.set_nonblocking(false)?;
    stop.watch(address);
    let tracker = Arc::new(Tracker::new(stop.clone(), server));
    let service = Arc::new(Service { server: server.clone(), handler });
    let mut back_off = BackOff::default();
    let result = loop {
        tracker.wait_for_room(server);
        if stop.is_asked() {
            break Ok(());
        }
        let accepted = listener.accept().and_then(|(tcp, peer)| {
            // It may be the one that `stop` woke us with.
            if stop.is_asked() {
                return Ok(());
            }
            // On a connection that has ended already it may fail; reading will tell.
            let _ = tcp.set_nodelay(true);
            let (service, full) = (service.clone(), tracker.is_full(server));
            tracker.spawn(Arc::new(tcp), full, move |tcp, token| service.run(tcp, peer, full, token))
        });
        match accepted.map_err(|error| back_off.after(error, &server.listener)) {
            Ok(()) => back_off.reset(),
            Err(Ok(wait)) => tracker.wait_for_end(wait),
            Err(Err(error)) => break Err(error),
        }
    };
    stop.forget(address);
    drop(listener);
    tracker.end(server.shutdown_grace);
    result
}

/// What [`serve`] can listen with: a listener, or an address, such as `"127.0.0.1:9001"` or `("localhost", 9001)`, to which
/// TCP is bound.
pub trait IntoListener {
    /// Binds the address, if it is one.
    fn into_listener(self) -> io::Result<TcpListener>;
}

impl IntoListener for TcpListener {
    fn into_listener(self) -> io::Result<Self> {
        Ok(self)
    }
}

macro_rules! address {
    ($($address:ty),+) => {$(
        impl IntoListener for $address {
            fn into_listener(self) -> io::Result<TcpListener> {
                let bound = TcpListener::bind(&self);
                bound.map_err(|error| cannot_listen(&self, &error))
            }
        }
    )+};
}

address!(&str, String, &String, SocketAddr, (&str, u16), (String, u16), (IpAddr, u16));

/// What all connections share.
struct Service<F> {
    server: Server,
    handler: F,
}

impl<F, T> Service<F>
where
    F: Fn(Pending) -> T,
    T: Handled,
{
    /// A connection's life.
    fn run(&self, tcp: Arc<TcpStream>, peer: SocketAddr, full: bool, token: Token) {
        let span = Span::new(Some(peer));
        span.within(|| {
            let listener = &self.server.listener;
            let mut pending = match accept_as(SharedTcp(tcp), &self.server) {
                Ok(pending) => pending,
                // It was cut off.
                Err(_) if token.is_to_stop() => return,
                Err(error) => return listener.tell(Some(peer), Cause::Handshake(error)),
            };
            token.advance(Progress::Pending);
            pending.set_peer(Some(peer.ip()));
            if let Some((reply, cause)) = pending.answer_of(&self.server, full) {
                // What keeps it from being answered is nothing to its answer.
                let _ = pending.respond(reply);
                return cause.map_or((), |cause| listener.tell(Some(peer), cause));
            }
            let token = Arc::new(token);
            pending.token = Some(InHandshake(token.clone()));
            span.record(pending.request());
            // What a handler shares it has to leave in order itself, as when its thread ended so.
            let handled = catch_unwind(AssertUnwindSafe(|| (self.handler)(pending)));
            listener.tell_handled(Some(peer), handled);
            // At last: `serve` may wait for it.
            drop(token);
        });
    }
}
