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
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use core::future::{Future, pending, poll_fn};
use core::net::{IpAddr, SocketAddr};
use core::panic::AssertUnwindSafe;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use std::io;
use std::panic::catch_unwind;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::accept::{Pending, accept_as};
use super::server_stream::ServerStream;
use super::timer::{Timer, now};
use super::tracker::{AbortOnDrop, TaskToken, Token, Tracker};
use super::transport::Transport;
use super::turns::poll_yield;
use crate::endpoint::admission::{BackOff, cannot_listen};
use crate::endpoint::span::Span;
use crate::endpoint::{Cause, Handled, Server};

/// Serves the clients that connect to `address`, as [`serve_with`] does with the defaults of [`Server`], until the process
/// ends: what is bound is an address, or what else is an [`IntoListener`].
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// sansocket::tokio::serve("127.0.0.1:9001", async |pending| {
///     let mut ws = pending.accept().await?;
///     while let Some(message) = ws.recv().await? {
///         ws.send(message).await?;
///     }
///     Ok::<_, sansocket::Error>(())
/// })
/// .await
/// # }
/// ```
///
/// Fails if the address cannot be bound, and as `serve_with` does.
pub async fn serve<L, F, H>(address: L, handler: F) -> io::Result<()>
where
    L: IntoListener,
    F: Fn(Pending<ServerStream<<L::Listener as Listener>::Stream>>) -> H + Send + Sync + 'static,
    H: Future<Output: Handled> + Send + 'static,
{
    serve_with(address, &Server::default(), pending::<()>(), handler).await
}

/// Serves the clients that `listener` accepts, until `stop` is ready.
///
/// Each connection has a task. It completes the handshake of TLS, if the server is to speak it
/// (`Server::tls`), reads the client's request, and answers for itself one that is malformed, or for one of its
/// [pages](Server::page). Any other goes to `handler`, which accepts or rejects it, and then has the connection to itself.
/// It may return nothing, or a `Result` with any error: [`Server::on_error`] is told of those, of panics, and of handshakes
/// that failed.
///
/// ```no_run
/// use sansocket::tokio::{Pending, serve_with};
/// use sansocket::{Error, Server};
///
/// async fn echo(pending: Pending) -> Result<(), Error> {
///     let mut ws = pending.accept().await?;
///     while let Some(message) = ws.recv().await? {
///         ws.send(message).await?;
///     }
///     Ok(())
/// }
///
/// # async fn run() -> std::io::Result<()> {
/// let server = Server::default().max_connections(1000).on_error(|failure| eprintln!("{failure}"));
/// let stop = tokio::time::sleep(std::time::Duration::from_secs(3600));
/// serve_with("127.0.0.1:9001", &server, stop, echo).await
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
/// Fails if an address cannot be bound, and, after the same farewell, with an error that the listener will not recover
/// from. Needs a runtime with timers.
///
/// Dropped before it returns, the listener and the tasks of all connections are dropped.
pub async fn serve_with<L, F, H>(
    listener: L,
    server: &Server,
    stop: impl Future,
    handler: F,
) -> io::Result<()>
where
    L: IntoListener,
    F: Fn(Pending<ServerStream<<L::Listener as Listener>::Stream>>) -> H + Send + Sync + 'static,
    H: Future<Output: Handled> + Send + 'static,
{
    #[cfg(all(feature = "rustls", not(feature = "tokio-rustls")))]
    if server.has_tls() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "TLS needs the feature `tokio-rustls`"));
    }
    let listener = listener.into_listener().await?;
    let tracker = Arc::new(Tracker::new(server));
    let service = Arc::new(Service { server: server.clone(), handler });
    let _abort_on_drop = AbortOnDrop(tracker.clone());
    let mut accepting = Accepting::new(listener, server.clone(), tracker.clone());
    let mut stop = pin!(stop);
    let spawn = |(io, peer): (_, Option<SocketAddr>)| {
        let peer = peer.filter(|_| service.server.wants_peers());
        let (service, peer) = (service.clone(), peer.map(Box::new));
        tracker.spawn(server, |full, task, token| service.run(io, peer, full, task, token));
    };
    let result = poll_fn(|cx| {
        if stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..AT_ONCE {
            spawn(ready!(accepting.poll_accept(cx))?);
        }
        poll_yield(cx)
    })
    .await;
    accepting.stop().await;
    result
}

/// What [`serve`] can listen with: a [`Listener`], or an address, such as `"127.0.0.1:9001"` or `("localhost", 9001)`, to
/// which TCP is bound.
pub trait IntoListener {
    /// The listener.
    type Listener: Listener;

    /// Binds the address, if it is one.
    fn into_listener(self) -> impl Future<Output = io::Result<Self::Listener>> + Send;
}

impl<L: Listener + Send> IntoListener for L {
    type Listener = L;

    async fn into_listener(self) -> io::Result<L> {
        Ok(self)
    }
}

macro_rules! address {
    ($($address:ty),+) => {$(
        impl IntoListener for $address {
            type Listener = TcpListener;

            async fn into_listener(self) -> io::Result<TcpListener> {
                let bound = TcpListener::bind(&self).await;
                bound.map_err(|error| cannot_listen(&self, &error))
            }
        }
    )+};
}

address!(&str, String, &String, SocketAddr, (&str, u16), (String, u16), (IpAddr, u16));

/// Where connections come from.
pub trait Listener {
    /// A connection, before anything was read from it.
    type Stream: Transport;

    /// The next connection, and the address of its client, if the transport has one, for
    /// [`Failure::peer`](crate::Failure::peer) and [`Server::trust_proxies`].
    ///
    /// [`serve`] calls this again at once after [`ConnectionAborted`](io::ErrorKind::ConnectionAborted),
    /// [`ConnectionReset`](io::ErrorKind::ConnectionReset) and [`Interrupted`](io::ErrorKind::Interrupted),
    /// and after a while for other errors. It ends with [`InvalidInput`](io::ErrorKind::InvalidInput) and
    /// [`Unsupported`](io::ErrorKind::Unsupported), and with the system's errors EBADF and ENOTSOCK.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, Option<SocketAddr>)>>;
}

/// Sets `TCP_NODELAY`: what is sent is written whole, and waiting would only delay it.
impl Listener for TcpListener {
    type Stream = TcpStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, Option<SocketAddr>)>> {
        // Of a client that has reset it since, the connection does not tell the address any more.
        let (tcp, peer) = ready!(Self::poll_accept(self, cx))?;
        // On a connection that has ended already it may fail; reading will tell.
        let _ = tcp.set_nodelay(true);
        Poll::Ready(Ok((tcp, Some(peer))))
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Stream = tokio::net::UnixStream;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(tokio::net::UnixStream, Option<SocketAddr>)>> {
        Self::poll_accept(self, cx).map_ok(|(stream, _)| (stream, None))
    }
}

/// What all connections share.
struct Service<F> {
    server: Server,
    handler: F,
}

impl<F> Service<F> {
    /// A connection's life. The client's address is known only if somebody wants to know it.
    fn run<S, H>(
        self: Arc<Self>,
        io: S,
        peer: Option<Box<SocketAddr>>,
        full: bool,
        task: TaskToken,
        token: Token,
    ) -> impl Future<Output = ()>
    where
        S: Transport,
        F: Fn(Pending<ServerStream<S>>) -> H,
        H: Future<Output: Handled>,
    {
        let span = Span::new(peer.as_deref().copied());
        // Boxed, so that the task of a connection that is open need not have room for it.
        let address = peer.as_deref().map(SocketAddr::ip);
        let request = Box::pin(self.clone().request(io, address, full, token));
        async move {
            // Statement by statement: the task has no room for what is over at the end of one.
            let opened = within(&span, request).await;
            let Some(pending) = self.to_handle(opened, &span, peer.as_deref()) else {
                return drop((self, task));
            };
            let handler = match begin(&span, || (self.handler)(pending)) {
                Ok(handler) => handler,
                Err(panic) => {
                    let panicked = Err::<H::Output, _>(panic);
                    span.within(|| self.server.listener.tell_handled(peer.as_deref().copied(), panicked));
                    return drop((self, task));
                }
            };
            let handled = catch(&span, pin!(handler)).await;
            span.within(|| self.server.listener.tell_handled(peer.as_deref().copied(), handled));
            // At last: `serve` may wait for it.
            drop((self, task));
        }
    }

    /// The request that was read, if there is one for the handler; if there is none, what there is to tell is told.
    fn to_handle<P: Transport>(
        &self,
        opened: Option<Result<Pending<P>, Cause>>,
        span: &Span,
        peer: Option<&SocketAddr>,
    ) -> Option<Pending<P>> {
        match opened? {
            Ok(pending) => {
                span.record(pending.request());
                Some(pending)
            }
            Err(cause) => {
                span.within(|| self.server.listener.tell(peer.copied(), cause));
                None
            }
        }
    }

    /// Reads the request, unless the server stops before it has come; `None`: there is nothing to be done about it.
    async fn request<S>(
        self: Arc<Self>,
        io: S,
        peer: Option<IpAddr>,
        full: bool,
        token: Token,
    ) -> Option<Result<Pending<ServerStream<S>>, Cause>>
    where
        S: Transport,
    {
        let mut accepting = pin!(accept_as(io, &self.server));
        let accepted = poll_fn(|cx| {
            if token.poll_stop(cx) {
                return Poll::Ready(None);
            }
            accepting.as_mut().poll(cx).map(Some)
        });
        let mut pending = match accepted.await? {
            Ok(pending) => pending,
            Err(error) => return Some(Err(Cause::Handshake(error))),
        };
        pending.set_peer(peer);
        if let Some((reply, cause)) = pending.answer_of(&self.server, full) {
            // What keeps it from being answered is nothing to its answer.
            let _ = pending.respond(reply).await;
            return cause.map(Err);
        }
        pending.join(token);
        Some(Ok(pending))
    }
}

/// Polls within the span.
pub(super) async fn within<T>(span: &Span, mut future: Pin<Box<impl Future<Output = T>>>) -> T {
    poll_fn(|cx| span.within(|| future.as_mut().poll(cx))).await
}

/// What a handler returns, or panics with. It is [begun](begin), and pinned, by the caller, whose future then holds it once.
pub(super) fn catch<H: Future>(
    span: &Span,
    mut handler: Pin<&mut H>,
) -> impl Future<Output = Result<H::Output, Box<dyn Any + Send>>> {
    poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| span.within(|| handler.as_mut().poll(cx)))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
}

/// Calls a handler. What it shares it has to leave in order itself when it panics, as when its task ended so.
pub(super) fn begin<H>(span: &Span, handler: impl FnOnce() -> H) -> Result<H, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| span.within(handler)))
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
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(L::Stream, Option<SocketAddr>)>> {
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
                Ok(accepted) => {
                    self.back_off.reset();
                    return Poll::Ready(Ok(accepted));
                }
                Err(error) => {
                    let wait = self.back_off.after(error, &self.server.listener)?;
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

/// How many connections to accept before `stop` is asked again, and others have their turn.
const AT_ONCE: usize = 64;
