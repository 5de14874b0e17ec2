//! The task that moves the bytes of an HTTP/2 connection, and what its users have in common.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::sync::OnceLock;

use bytes::Bytes;
use h2::FlowControl;
use h2::client::{Connection, SendRequest};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::http2_transport::{Http2Transport, Note};
use crate::endpoint::sync::{Mutex, MutexGuard, lock};
use crate::tokio::Transport;

/// What the users of a connection have in common: its handles and its streams.
pub(super) struct Shared {
    /// One for all: of each, `h2` queues a request beyond the server's limit, and keeps it also if it was given up.
    requests: Arc<Mutex<SendRequest<Bytes>>>,
    told: Arc<Told>,
    /// With the last user it is gone.
    _user: oneshot::Sender<Infallible>,
}

impl Shared {
    /// Spawns the task of a connection. When its last user is gone it ends, and has no longer than the timeout to write what
    /// is left.
    pub(super) fn drive<S: Transport>(
        connection: Connection<Http2Transport<S>, Bytes>,
        note: Note,
        requests: SendRequest<Bytes>,
        close_timeout: Duration,
    ) -> Self {
        let (user, users) = oneshot::channel();
        let told = Arc::<Told>::default();
        let requests = Arc::new(Mutex::new(requests));
        tokio::spawn(drive(connection, note, Arc::downgrade(&requests), users, told.clone(), close_timeout));
        Self { requests, told, _user: user }
    }

    /// A stream has lost its user. "Orderly TCP-level closures are represented as `END_STREAM` flags" (RFC 8441 section
    /// 5), as that of a TCP stream that is dropped is, and what was written comes before its end.
    pub(super) fn leave(&self, stream: FlowControl) {
        lock(&self.told.waiting).leaving.push(stream);
        self.wake();
    }

    /// Waits until the server allows a stream for another request. All who wait for that are woken, since one of them may not
    /// be polled any more, and nobody holds anything meanwhile.
    pub(super) fn poll_requests(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<MutexGuard<'_, SendRequest<Bytes>>, h2::Error>> {
        let mut requests = lock(&self.requests);
        if let Poll::Ready(ready) = requests.poll_ready(cx) {
            return Poll::Ready(ready.map(|()| requests));
        }
        drop(requests);
        self.told.note_asking(cx.waker());
        // `h2` wakes one alone, who is to be the task.
        self.wake();
        Poll::Pending
    }

    /// A stream is asked for: what was asked for may be given up with it.
    pub(super) fn asking(&self) -> Asking<'_> {
        Asking(self)
    }

    /// Has the connection's task look what is to be done.
    fn wake(&self) {
        let task = lock(&self.told.waiting).task.take();
        if let Some(task) = task {
            task.wake();
        }
    }

    /// What became of a stream of this connection.
    pub(super) fn lost(&self, error: h2::Error) -> io::Error {
        match self.told.ended.get() {
            Some((kind, why)) if error.is_io() => io::Error::new(*kind, why.clone()),
            _ => lost(error),
        }
    }
}

/// Dropped with what was asked for, whatever came of it, it has the connection's task look, and those who wait for room.
pub(super) struct Asking<'a>(&'a Shared);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.wake();
        self.0.told.wake_asking();
    }
}

/// What the users and the task tell each other.
#[derive(Default)]
struct Told {
    waiting: Mutex<Waiting>,
    /// Why the connection has ended, if anything says so. Its streams are told only that it has.
    ended: OnceLock<(ErrorKind, String)>,
}

/// What waits for the task.
#[derive(Default)]
struct Waiting {
    /// Streams that were ended, and are to be reset if the server does not end them. `h2` resets those that nobody holds, and
    /// forgets what they have to write: they are held until the transport has taken that.
    leaving: Vec<FlowControl>,
    /// Those who wait for the server to allow another stream.
    asking: Vec<Waker>,
    /// The task itself, if it waits.
    task: Option<Waker>,
}

impl Told {
    fn note_asking(&self, waker: &Waker) {
        let asking = &mut lock(&self.waiting).asking;
        if !asking.iter().any(|other| other.will_wake(waker)) {
            asking.push(waker.clone());
        }
    }

    fn wake_asking(&self) {
        let asking = mem::take(&mut lock(&self.waiting).asking);
        asking.into_iter().for_each(Waker::wake);
    }
}

async fn drive<S: Transport>(
    mut connection: Connection<Http2Transport<S>, Bytes>,
    note: Note,
    requests: Weak<Mutex<SendRequest<Bytes>>>,
    mut users: oneshot::Receiver<Infallible>,
    told: Arc<Told>,
    close_timeout: Duration,
) {
    let mut poll = |cx: &mut Context<'_>| {
        let mut waiting = lock(&told.waiting);
        waiting.task = Some(cx.waker().clone());
        let mut leaving = mem::take(&mut waiting.leaving);
        drop(waiting);
        // A stream that took the last place `h2` holds itself, until it is asked for room for another; and so would not reset
        // it. If the connection has ended, those who wait find that out.
        if let Some(requests) = requests.upgrade()
            && lock(&requests).poll_ready(cx).is_ready()
        {
            told.wake_asking();
        }
        let polled = Pin::new(&mut connection).poll(cx);
        if polled.is_pending() && note.is_held_up() {
            lock(&told.waiting).leaving.append(&mut leaving);
        }
        drop(leaving);
        polled
    };
    let ended = poll_fn(|cx| match poll(cx) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending => Pin::new(&mut users).poll(cx).map(|_| None),
    });
    match ended.await {
        Some(Err(error)) => {
            let error = lost(error);
            drop(told.ended.set((error.kind(), error.to_string())));
        }
        Some(Ok(())) => {}
        // A server that takes nothing does not keep it.
        None => drop(timeout(close_timeout, poll_fn(poll)).await),
    }
}

/// What became of a stream or a connection of HTTP/2, with the name that RFC 9113 section 7 has for it.
pub(super) fn lost(error: h2::Error) -> io::Error {
    let (kind, what) = match () {
        // To its streams, `h2` tells the end of the transport so.
        () if error.get_io().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) => {
            (ErrorKind::UnexpectedEof, "the HTTP/2 connection ended")
        }
        () if error.is_io() => return error.into_io().unwrap_or_else(|| ErrorKind::Other.into()),
        () if error.is_go_away() && error.is_remote() => {
            (ErrorKind::ConnectionAborted, "the other end gave the HTTP/2 connection up")
        }
        () if error.is_go_away() => (
            ErrorKind::ConnectionAborted,
            "the other end does not keep to HTTP/2, and so the connection was given up",
        ),
        () if error.is_library() => {
            (ErrorKind::ConnectionReset, "the other end does not keep to HTTP/2, and so the stream was reset")
        }
        () if error.reason().is_some() => {
            (ErrorKind::ConnectionReset, "the other end reset the HTTP/2 stream")
        }
        () => return io::Error::other(error),
    };
    match error.reason() {
        Some(reason) => io::Error::new(kind, format!("{what}: {reason:?}, {reason}")),
        None => io::Error::new(kind, what),
    }
}
