//! A server: it accepts connections, and gives each to a thread.
//!
//! What it takes care of is what the tokio adapter's `serve` does: limits, at which clients wait in the
//! listener's backlog; errors of `accept`, which neither end the server nor make it spin; and stopping.

use alloc::sync::Arc;
use std::io;
use std::net::TcpListener;

use super::accept::{Pending, accept_with};
use super::server_stream::ServerStream;
use super::stop::Stop;
use super::tracker::{Progress, Token, Tracker};
use crate::endpoint::Server;
use crate::endpoint::admission::BackOff;

/// Serves the clients that `listener` accepts, until it is told to [`stop`](Stop::stop).
///
/// Each connection has a thread. It reads the client's request, and answers for itself one that is
/// malformed. Any other goes to `handler`, which accepts or rejects it, and then has the connection to
/// itself. What `handler` returns is dropped: errors of a client are the client's affair, unless the
/// handler takes note of them.
///
/// ```no_run
/// use sansocket::blocking::{Pending, ServerStream, Stop, serve};
/// use sansocket::{Error, Server};
///
/// fn echo(pending: Pending<ServerStream>) -> Result<(), Error> {
///     let mut ws = pending.accept()?;
///     while let Some(message) = ws.recv()? {
///         ws.send(message)?;
///     }
///     Ok(())
/// }
///
/// # fn run() -> std::io::Result<()> {
/// let listener = std::net::TcpListener::bind("127.0.0.1:9001")?;
/// serve(listener, &Server::default(), &Stop::default(), echo)
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
/// Fails, after the same farewell, with an error that the listener will not recover from.
pub fn serve<F, T>(listener: TcpListener, server: &Server, stop: &Stop, handler: F) -> io::Result<()>
where
    F: Fn(Pending<ServerStream>) -> T + Send + Sync + 'static,
{
    let address = listener.local_addr()?;
    // One that does not wait would have the loop spin.
    listener.set_nonblocking(false)?;
    stop.watch(address);
    let tracker = Arc::new(Tracker::new(stop.clone()));
    let service = Arc::new(Service { server: server.clone(), handler });
    let mut back_off = BackOff::default();
    let result = loop {
        tracker.wait_for_room(server);
        if stop.is_asked() {
            break Ok(());
        }
        let accepted = listener.accept().and_then(|(tcp, _)| {
            // It may be the one that `stop` woke us with.
            if stop.is_asked() {
                return Ok(());
            }
            // On a connection that has ended already it may fail; reading will tell.
            let _ = tcp.set_nodelay(true);
            let service = service.clone();
            tracker.spawn(Arc::new(tcp), move |tcp, token| service.run(ServerStream(tcp), token))
        });
        match accepted.map_err(|error| back_off.after(error)) {
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

/// What all connections share.
struct Service<F> {
    server: Server,
    handler: F,
}

impl<F, T> Service<F>
where
    F: Fn(Pending<ServerStream>) -> T,
{
    /// A connection's life.
    fn run(&self, io: ServerStream, token: Token) {
        if let Ok(mut pending) = accept_with(io, &self.server) {
            token.advance(Progress::Pending);
            let token = Arc::new(token);
            pending.token = Some(token.clone());
            (self.handler)(pending);
        }
    }
}
