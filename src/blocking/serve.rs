//! A server: it accepts connections, and gives each to a thread.
//!
//! What it takes care of is what the tokio adapter's `serve` does: limits, at which clients wait in the
//! listener's backlog; errors of `accept`, which neither end the server nor make it spin; and stopping.
//!
//! Nothing can wake a thread that waits in a read but the stream itself. So a connection of this server
//! wakes once in a while ([`LOOK`]) to see whether it is to stop. Its stream is shared by reference, not by
//! descriptor: the server can cut it off at the end, and halves of a connection need no second one.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::accept::{Pending, accept_with};
use super::transport::{Transport, TryClone};
use crate::serve::BackOff;
use crate::server::Server;

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
/// call like it, in whichever thread, close with 1001, within about a second: once what was received
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
    stop.watch(address);
    let group = Arc::new(Group { stop: stop.clone(), state: Mutex::default(), changed: Condvar::new() });
    let service = Arc::new(Service { server: server.clone(), handler });
    let mut back_off = BackOff::default();
    let result = loop {
        group.wait_for_room(server);
        if stop.is_asked() {
            break Ok(());
        }
        let accepted = listener.accept().and_then(|(tcp, _)| {
            // It may be the one that `stop` woke us with.
            if stop.is_asked() { Ok(()) } else { group.start(tcp, &service) }
        });
        match accepted.map_err(|error| back_off.after(error)) {
            Ok(()) => back_off.reset(),
            Err(Ok(wait)) => group.wait_for_end(wait),
            Err(Err(error)) => break Err(error),
        }
    };
    stop.forget(address);
    drop(listener);
    group.end(server.shutdown_grace);
    result
}

/// Stops [`serve`], from another thread. A clone stops the same servers.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: AtomicBool,
    /// Where the servers listen.
    addresses: Mutex<Vec<SocketAddr>>,
}

impl Stop {
    /// Stops the servers that were given this, or a clone of it, and those that still will be.
    pub fn stop(&self) {
        self.0.asked.store(true, Ordering::Release);
        for address in lock(&self.0.addresses).drain(..) {
            // Wakes it from `accept`. It fails only where no connection can be made, or none is awaited.
            let _ = TcpStream::connect_timeout(&reachable(address), LOOK);
        }
    }

    fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// Has `stop` wake the server that listens here.
    fn watch(&self, address: SocketAddr) {
        lock(&self.0.addresses).push(address);
    }

    /// No server listens here any more.
    fn forget(&self, address: SocketAddr) {
        lock(&self.0.addresses).retain(|watched| *watched != address);
    }
}

/// The stream of a connection that [`serve`] accepted, with `TCP_NODELAY`. Clones are handles of one
/// descriptor.
#[derive(Clone, Debug)]
pub struct ServerStream(Arc<TcpStream>);

impl ServerStream {
    /// The TCP stream.
    pub fn tcp(&self) -> &TcpStream {
        &self.0
    }
}

impl Read for ServerStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self.0).read_vectored(bufs)
    }
}

impl Write for ServerStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self.0).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self.0).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

impl Transport for ServerStream {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_write_timeout(timeout)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

impl TryClone for ServerStream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
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
    fn run(&self, io: ServerStream, member: Member) {
        if let Ok(mut pending) = accept_with(io, &self.server) {
            member.advance(Phase::Pending);
            let member = Arc::new(member);
            pending.member = Some(member.clone());
            (self.handler)(pending);
        }
    }
}

/// The connections that one `serve` has accepted.
#[derive(Debug)]
struct Group {
    stop: Stop,
    state: Mutex<State>,
    /// Told when `state` has changed.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    members: HashMap<u64, (Phase, Weak<TcpStream>)>,
    /// The members whose opening handshake is not over.
    handshakes: usize,
    next_id: u64,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// The request is being read.
    Request,
    /// The handler has not yet accepted it.
    Pending,
    Open,
}

impl Group {
    /// Gives a connection to a thread.
    fn start<F, T>(self: &Arc<Self>, tcp: TcpStream, service: &Arc<Service<F>>) -> io::Result<()>
    where
        F: Fn(Pending<ServerStream>) -> T + Send + Sync + 'static,
    {
        // On a connection that has ended already it may fail; reading will tell.
        let _ = tcp.set_nodelay(true);
        let io = ServerStream(Arc::new(tcp));
        let (member, service) = (self.join(&io), service.clone());
        thread::Builder::new().spawn(move || service.run(io, member))?;
        Ok(())
    }

    fn join(self: &Arc<Self>, io: &ServerStream) -> Member {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        state.handshakes += 1;
        state.members.insert(id, (Phase::Request, Arc::downgrade(&io.0)));
        Member { id, group: self.clone() }
    }

    /// Waits until there may be one more connection, or none any more.
    fn wait_for_room(&self, server: &Server) {
        let mut state = self.state();
        while !self.stop.is_asked()
            && (state.members.len() >= server.max_connections || state.handshakes >= server.max_handshakes)
        {
            state = wait(&self.changed, state, LOOK);
        }
    }

    /// Waits so long, or until a connection ends, which leaves behind what there may have been too little of.
    fn wait_for_end(&self, time: Duration) {
        if !time.is_zero() {
            let state = self.state();
            let members = state.members.len();
            let waited = self.changed.wait_timeout_while(state, time, |state| state.members.len() >= members);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Lets the connections close; those that take too long are cut off.
    fn end(&self, grace: Duration) {
        let state = self.state();
        state.cut(|phase| phase == Phase::Request);
        let waited = self.changed.wait_timeout_while(state, grace, |state| !state.members.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.cut(|_| true);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Makes the reads and writes of some connections end.
    fn cut(&self, which: impl Fn(Phase) -> bool) {
        for (_, tcp) in self.members.values().filter(|(phase, _)| which(*phase)) {
            if let Some(tcp) = tcp.upgrade() {
                // It fails only on one that has ended.
                let _ = tcp.shutdown(Shutdown::Both);
            }
        }
    }
}

/// A connection's place in a group, from being accepted to the end of its WebSocket and of its thread.
#[derive(Debug)]
pub(super) struct Member {
    id: u64,
    group: Arc<Group>,
}

impl Member {
    /// The opening handshake is over.
    pub(super) fn open(&self) {
        self.advance(Phase::Open);
    }

    /// Whether the connection is to close.
    pub(super) fn is_to_stop(&self) -> bool {
        self.group.stop.is_asked()
    }

    fn advance(&self, phase: Phase) {
        let mut state = self.group.state();
        if let Some((before, _)) = state.members.get_mut(&self.id) {
            *before = phase;
        }
        if phase == Phase::Open {
            state.handshakes -= 1;
            self.group.changed.notify_all();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.group.state();
        if let Some((phase, _)) = state.members.remove(&self.id)
            && phase != Phase::Open
        {
            state.handshakes -= 1;
        }
        self.group.changed.notify_all();
    }
}

/// How long it may take until a thread that waits sees that it is to stop.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// An address that leads to a listener of this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn wait<'a>(changed: &Condvar, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
    changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
}

/// A panic in a connection's thread leaves the state as whole as it was between two calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
