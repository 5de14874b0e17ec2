//! A server: it accepts connections, and gives each to a task.
//!
//! Three things it takes care of, since each of them is easily forgotten:
//!
//! - **Limits.** At [`Server::max_connections`] or [`Server::max_handshakes`] it accepts no more, rather
//!   than accepting and dropping: who is dropped comes again at once, who waits in the kernel's backlog
//!   costs nothing and is served when there is room.
//! - **Errors of `accept`.** A client that is gone already is no reason to pause. Being out of file
//!   descriptors or memory is: to try again at once would fail again, and spin. It waits 50 ms, and longer
//!   while that does not help, or until a connection ends.
//! - **Stopping.** Connections are told without a `select!` in their loop: see [`serve`].

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, ready};
use std::io;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::accept::{Pending, accept_until};
use super::deadline::deadline;
use super::timer::{Timer, now};
use super::tracker::{AbortOnDrop, TaskToken, Token, Tracker};
use super::transport::Transport;
use crate::endpoint::Server;
use crate::endpoint::admission::BackOff;

/// Serves the clients that `listener` accepts, until `stop` is ready.
///
/// Each connection has a task. It reads the client's request, and answers for itself one that is
/// malformed. Any other goes to `handler`, which accepts or rejects it, and then has the connection to
/// itself. What `handler` returns is dropped: errors of a client are the client's affair, unless the
/// handler takes note of them.
///
/// ```no_run
/// use sansocket::tokio::{Pending, serve};
/// use sansocket::{Error, Server};
/// use tokio::net::{TcpListener, TcpStream};
///
/// async fn echo(pending: Pending<TcpStream>) -> Result<(), Error> {
///     let mut ws = pending.accept().await?;
///     while let Some(message) = ws.recv().await? {
///         ws.send(message).await?;
///     }
///     Ok(())
/// }
///
/// # async fn run() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:9001").await?;
/// let stop = tokio::time::sleep(std::time::Duration::from_secs(3600));
/// serve(listener, &Server::default(), stop, echo).await
/// # }
/// ```
///
/// # Stopping
///
/// When `stop` is ready, the listener is closed, and so are connections whose request has not come.
/// Connections in `recv`, or a call like it, in whichever task, close with 1001: once what was received
/// before has been handed out, a Close frame is sent, what still arrives is discarded, and the call
/// returns `None` when the closing handshake is over, as if the handler had called
/// [`close`](super::WebSocket::close). A handler that sends meanwhile from elsewhere gets
/// [`SendError::Closing`](crate::SendError::Closing). What has not ended within
/// [`Server::shutdown_grace`] is dropped.
///
/// Fails, after the same farewell, with an error that the listener will not recover from. Needs a runtime
/// with timers.
///
/// Dropped before it returns, the listener and the tasks of all connections are dropped.
pub async fn serve<L, F, H>(listener: L, server: &Server, stop: impl Future, handler: F) -> io::Result<()>
where
    L: Listener,
    F: Fn(Pending<L::Stream>) -> H + Send + Sync + 'static,
    H: Future + Send + 'static,
{
    let service = Arc::new(Service { server: server.clone(), handler });
    let tracker = Arc::<Tracker>::default();
    let _abort_on_drop = AbortOnDrop(tracker.clone());
    let mut accepting = Accepting::new(listener, server.clone(), tracker.clone());
    let mut stop = pin!(stop);
    let result = loop {
        let accepted = poll_fn(|cx| {
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            accepting.poll_accept(cx).map(Some)
        });
        match accepted.await {
            Some(Ok(io)) => {
                tracker.spawn(|task, token| service.clone().run(io, task, token));
            }
            Some(Err(error)) => break Err(error),
            None => break Ok(()),
        }
    };
    accepting.stop().await;
    result
}

/// Where connections come from.
pub trait Listener {
    /// A connection, before anything was read from it.
    type Stream: Transport;

    /// The next connection.
    ///
    /// [`serve`] calls this again at once after [`ConnectionAborted`](io::ErrorKind::ConnectionAborted),
    /// [`ConnectionReset`](io::ErrorKind::ConnectionReset) and [`Interrupted`](io::ErrorKind::Interrupted),
    /// and after a while for other errors. It ends with [`InvalidInput`](io::ErrorKind::InvalidInput) and
    /// [`Unsupported`](io::ErrorKind::Unsupported), and with the system's errors EBADF and ENOTSOCK.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Stream>>;
}

/// Sets `TCP_NODELAY`: what is sent is written whole, and waiting would only delay it.
impl Listener for TcpListener {
    type Stream = TcpStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        let (tcp, _) = ready!(Self::poll_accept(self, cx))?;
        // On a connection that has ended already it may fail; reading will tell.
        let _ = tcp.set_nodelay(true);
        Poll::Ready(Ok(tcp))
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Stream = tokio::net::UnixStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<tokio::net::UnixStream>> {
        Self::poll_accept(self, cx).map_ok(|(stream, _)| stream)
    }
}

/// What all connections share.
struct Service<F> {
    server: Server,
    handler: F,
}

impl<F> Service<F> {
    /// A connection's life.
    fn run<S, H>(self: Arc<Self>, io: S, task: TaskToken, token: Token) -> impl Future<Output = ()>
    where
        S: Transport,
        F: Fn(Pending<S>) -> H,
        H: Future,
    {
        // Boxed, so that the task of a connection that is open need not have room for it.
        let request = Box::pin(self.clone().request(io, token));
        async move {
            if let Some(pending) = request.await {
                let _ = (self.handler)(pending).await;
            }
            // At last: `serve` may wait for it.
            drop((self, task));
        }
    }

    /// Reads the request, unless the server stops before it has come.
    async fn request<S>(self: Arc<Self>, io: S, token: Token) -> Option<Pending<S>>
    where
        S: Transport,
    {
        let accepting = accept_until(|| deadline(self.server.handshake_timeout), io, &self.server);
        let mut accepting = pin!(accepting);
        let accepted = poll_fn(|cx| {
            if token.poll_stop(cx) {
                return Poll::Ready(None);
            }
            accepting.as_mut().poll(cx).map(Result::ok)
        });
        let mut pending = accepted.await?;
        pending.join(token);
        Some(pending)
    }
}

/// The listener, and what became of those it accepted.
struct Accepting<L> {
    listener: L,
    server: Server,
    tracker: Arc<Tracker>,
    back_off: BackOff,
    /// When to try again, after an error, and how many connections there were at the error.
    again: Option<(std::time::Instant, usize)>,
    timer: Timer,
}

impl<L: Listener> Accepting<L> {
    fn new(listener: L, server: Server, tracker: Arc<Tracker>) -> Self {
        Self { listener, server, tracker, back_off: BackOff::default(), again: None, timer: Timer::default() }
    }

    /// The next connection, when there is room for it.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<L::Stream>> {
        loop {
            ready!(self.tracker.poll_room(cx, &self.server));
            if let Some((again, connections)) = self.again {
                // One that ends leaves behind what there may have been too little of.
                if self.tracker.poll_fewer(cx, connections).is_pending() {
                    ready!(self.timer.poll(cx, Some(again)));
                }
                self.again = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok(io) => {
                    self.back_off.reset();
                    return Poll::Ready(Ok(io));
                }
                Err(error) => {
                    let wait = self.back_off.after(error)?;
                    self.again = (!wait.is_zero()).then(|| (now() + wait, self.tracker.connections()));
                }
            }
        }
    }

    /// Closes the listener, and then the connections, which may take some time for it.
    async fn stop(self) {
        let Self { listener, server, tracker, .. } = self;
        drop(listener);
        tracker.stop();
        let _ = timeout(server.shutdown_grace, poll_fn(|cx| tracker.poll_fewer(cx, 1))).await;
    }
}
