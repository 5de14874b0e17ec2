//! Connections whose opening handshake somebody else carries out, who hands over the stream then: an HTTP library. Each has
//! a task, as those of `serve` have; those of a server and its clones count together, and stop together.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::pin::pin;

use tokio::time::timeout;

use super::serve::{begin, catch, within};
use super::tracker::{NotSpawned, Token, Tracker};
use super::transport::Transport;
use super::web_socket::WebSocket;
use crate::endpoint::span::Span;
use crate::endpoint::{Cause, Handled, Negotiated, Server, timed_out};

/// Spawns the task of a connection that was accepted: it waits for the stream, and then calls `handler`.
/// [`Server::on_error`] is told what became of both, within `span`.
pub(crate) fn spawn<S, F, H>(
    server: &Server,
    peer: Option<SocketAddr>,
    span: Span,
    negotiated: Negotiated,
    stream: impl Future<Output = Result<S, Cause>> + Send + 'static,
    handler: F,
) -> Result<(), NotSpawned>
where
    S: Transport,
    F: FnOnce(WebSocket<S>) -> H + Send + 'static,
    H: Future<Output: Handled> + Send + 'static,
{
    tracker(server).try_spawn(server, |task, token| {
        let listener = server.listener.clone();
        // Boxed, so that the task of a connection that is open need not have room for it.
        let opening = Box::pin(open(server.clone(), negotiated, stream, token));
        async move {
            // Statement by statement, as in `serve`.
            let ws = match within(&span, opening).await {
                Ok(ws) => ws,
                Err(cause) => {
                    span.within(|| listener.tell(peer, cause));
                    return drop((listener, task));
                }
            };
            let handler = match begin(&span, || handler(ws)) {
                Ok(handler) => handler,
                Err(panic) => {
                    span.within(|| listener.tell_handled::<H::Output>(peer, Err(panic)));
                    return drop((listener, task));
                }
            };
            let handled = catch(&span, pin!(handler)).await;
            span.within(|| listener.tell_handled(peer, handled));
            // At last: `stop` may wait for it.
            drop((listener, task));
        }
    })
}

/// Whether one more would be spawned for the server now.
pub(crate) fn check_room(server: &Server) -> Result<(), NotSpawned> {
    tracker(server).check_room(server)
}

/// Closes all connections that were spawned for the server, and has no more spawned. Ready when they have ended, or were
/// cut off.
pub(crate) async fn stop(server: &Server) {
    let tracker = tracker(server);
    tracker.stop();
    let _ = timeout(server.shutdown_grace, poll_fn(|cx| tracker.poll_fewer(cx, 1))).await;
    tracker.abort();
}

/// The WebSocket over a stream that is waited for no longer than [`Server::handshake_timeout`].
async fn open<S: Transport>(
    server: Server,
    negotiated: Negotiated,
    stream: impl Future<Output = Result<S, Cause>>,
    token: Token,
) -> Result<WebSocket<S>, Cause> {
    let late = |_| Err(Cause::Handshake(timed_out()));
    let stream = timeout(server.handshake_timeout, stream).await.unwrap_or_else(late)?;
    let mut ws = WebSocket::new(stream, negotiated, &[], &server.config);
    ws.receiver.join(token);
    Ok(ws)
}

/// The connections of the server and its clones.
fn tracker(server: &Server) -> Arc<Tracker> {
    server.kept.get(|| Tracker::new(server))
}
