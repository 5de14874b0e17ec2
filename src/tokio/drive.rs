//! What both the whole `WebSocket` and its halves do: move bytes, sleep until a deadline, end.
//!
//! Everything is a `poll` function that keeps its progress in `Reading` and `Shared`, so that a
//! dropped future loses nothing.

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use alloc::boxed::Box;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::Sleep;

use super::group::Member;
use crate::adapter::{End, Inbound, Link, MAX_SLICES, Outbound, Phase, Step, Want, unexpected_eof};
use crate::connection::Closed;
use crate::error::{Error, TimedOut};
use crate::sender::SendState;
use crate::serve::STOPPING;

/// The receiving half's state: whoever receives has it alone.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) inbound: Inbound,
    /// The time of the last read: one look at the clock for all the messages it brought.
    now: Instant,
    timer: Timer,
    /// Set once nothing more will be received.
    end: Option<End>,
    pub(super) closed: Option<Closed>,
    /// Of a connection that `serve` accepted.
    member: Option<Box<Member>>,
    /// The Close frame was sent for the application: messages that still arrive are discarded.
    stopped: bool,
}

/// What the halves share: the transport, and the sending half's state.
#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) io: S,
    pub(super) outbound: Outbound,
    /// Bytes were written and not yet flushed through `io`.
    unflushed: bool,
    /// The receiving half's state, once that half was dropped: `close` completes the handshake with it.
    pub(super) orphan: Option<Box<Reading>>,
}

/// How to reach what the halves share: it is ours alone, or behind a lock.
pub(super) trait Access<S> {
    fn with<T>(&mut self, f: impl FnOnce(&mut Shared<S>) -> T) -> T;
}

impl<S> Access<S> for &mut Shared<S> {
    fn with<T>(&mut self, f: impl FnOnce(&mut Shared<S>) -> T) -> T {
        f(self)
    }
}

impl<S> Access<S> for &Mutex<Shared<S>> {
    fn with<T>(&mut self, f: impl FnOnce(&mut Shared<S>) -> T) -> T {
        f(&mut lock(self))
    }
}

/// A panic in the other half's task leaves the state as whole as it was between two calls.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reading {
    pub(super) fn new(inbound: Inbound) -> Self {
        let timer = Timer::default();
        Self { inbound, now: now(), timer, end: None, closed: None, member: None, stopped: false }
    }

    /// The opening handshake of a connection of `serve` is over.
    pub(super) fn join(&mut self, mut member: Member) {
        member.open();
        self.member = Some(Box::new(member));
    }

    /// The next thing that `want` asks for. `None`: the connection has ended, and its error, if it had
    /// one, was returned before.
    pub(super) fn poll_next<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        mut access: impl Access<S>,
        want: Want,
    ) -> Poll<Option<Result<Step, Error>>> {
        while self.end.is_none() {
            match self.inbound.advance(want, self.now, &mut Linked(&mut access, core::marker::PhantomData)) {
                Step::NeedInput => {
                    if let Err(error) = ready!(self.poll_input(cx, &mut access)) {
                        self.end = Some(End { error: Some(error), phase: Phase::Over });
                    }
                }
                Step::End(error) => {
                    self.end = Some(End { error: error.map(Error::Protocol), phase: Phase::Flush });
                }
                _ if self.stopped => {}
                step => {
                    if core::mem::take(&mut self.inbound.answered) {
                        // Whether it could be written or not, the message comes first.
                        let _ = access.with(|shared| shared.poll_flush(cx));
                    }
                    return Poll::Ready(Some(Ok(step)));
                }
            }
        }
        ready!(self.poll_end(cx, &mut access));
        Poll::Ready(self.end.as_mut().and_then(|end| end.error.take()).map(Err))
    }

    /// Writes what is queued, as far as it goes, and waits until bytes were read. Fails when the
    /// transport or the peer's patience has ended.
    fn poll_input<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        access: &mut impl Access<S>,
    ) -> Poll<Result<(), Error>> {
        loop {
            let (read, deadline) = access.with(|shared| {
                // Before each read, since a peer that never pauses would keep the timer from being polled.
                self.inbound.handle_timeout(self.now, &mut shared.outbound)?;
                // A transport that takes no more may still have something to read.
                let _ = shared.poll_flush(cx);
                let missing = self.inbound.receiving.missing();
                let room = self.inbound.input.room(missing);
                let read = pin!(shared.io.read_buf(room)).poll(cx);
                Ok::<_, Error>((read, shared.outbound.sending.poll_timeout()))
            })?;
            self.inbound.answered = false;
            match read {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Error::ConnectionLost(unexpected_eof()))),
                Poll::Ready(Ok(len)) => {
                    self.inbound.input.on_read(len);
                    self.now = now();
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Error::ConnectionLost(error))),
                Poll::Pending => self.inbound.input.release(),
            }
            let stopping = self.member.as_mut().is_some_and(|member| member.poll_stop(cx));
            if stopping && access.with(|shared| self.stop(shared)) {
                continue;
            }
            let deadline = [deadline, self.inbound.receiving.poll_timeout()].into_iter().flatten().min();
            ready!(self.timer.poll(cx, deadline));
            self.now = now();
        }
    }

    /// Starts the closing handshake for the application. False if it was started before.
    fn stop<S>(&mut self, shared: &mut Shared<S>) -> bool {
        if shared.outbound.sending.state() != SendState::Open {
            return false;
        }
        self.stopped = true;
        self.now = now();
        shared.outbound.queue(|outbound| outbound.close(Some(STOPPING), self.now)).is_ok()
    }

    /// Ends the connection: what is queued is written, a server closes the transport at once, and a
    /// client when the server has; a server waits for the client to do so. "An endpoint SHOULD use a
    /// method that cleanly closes the TCP connection, [...] discarding any trailing bytes that may have
    /// been received" (section 7.1.1).
    fn poll_end<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        access: &mut impl Access<S>,
    ) -> Poll<()> {
        let Some(end) = &mut self.end else {
            return Poll::Ready(());
        };
        while end.phase != Phase::Done {
            let (progress, deadline) = access.with(|shared| {
                let close_first = self.inbound.receiving.should_close_transport(&shared.outbound.sending);
                (end.phase.poll(cx, shared, close_first), shared.outbound.sending.poll_timeout())
            });
            match progress {
                Poll::Ready(Phase::Over) => {
                    let closed = access.with(|shared| {
                        shared.outbound.end();
                        self.inbound.end(&shared.outbound)
                    });
                    self.closed = Some(closed);
                    end.phase = Phase::Done;
                }
                // The peer had time enough: both Close frames have passed, or none will be read.
                Poll::Ready(Phase::Flush | Phase::Drain)
                    if deadline.is_some_and(|deadline| deadline <= now()) =>
                {
                    end.phase = Phase::Over;
                }
                Poll::Ready(phase) => end.phase = phase,
                Poll::Pending => {
                    ready!(self.timer.poll(cx, deadline));
                    end.phase = Phase::Over;
                }
            }
        }
        Poll::Ready(())
    }
}

impl Phase {
    /// Completes this phase, and tells the next one.
    fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        cx: &mut Context<'_>,
        shared: &mut Shared<S>,
        close_first: bool,
    ) -> Poll<Self> {
        Poll::Ready(match self {
            Self::Flush => match shared.poll_flush(cx) {
                Poll::Ready(Ok(())) if close_first => Self::Shutdown,
                Poll::Ready(Ok(())) => Self::Drain,
                Poll::Ready(Err(_)) => Self::Over,
                // The peer may be writing, too, and read only when that is done.
                Poll::Pending => match ready!(shared.poll_discard(cx)) {
                    Ok(1..) => Self::Flush,
                    Ok(0) | Err(_) => return Poll::Pending,
                },
            },
            Self::Shutdown => match ready!(Pin::new(&mut shared.io).poll_shutdown(cx)) {
                Ok(()) if close_first => Self::Drain,
                Ok(()) | Err(_) => Self::Over,
            },
            Self::Drain => match ready!(shared.poll_discard(cx)) {
                Ok(1..) => Self::Drain,
                Ok(0) if !close_first => Self::Shutdown,
                Ok(0) | Err(_) => Self::Over,
            },
            Self::Over | Self::Done => self,
        })
    }
}

impl<S> Shared<S> {
    pub(super) fn new(io: S, outbound: Outbound) -> Self {
        Self { io, outbound, unflushed: false, orphan: None }
    }
}

impl<S: AsyncRead + Unpin> Shared<S> {
    /// Reads once, and tells how much.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        pin!(self.io.read(&mut [0; 1024])).poll(cx)
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    /// Writes all that is queued.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(ended) = self.outbound.ended() {
            return Poll::Ready(ended);
        }
        let result = ready!(self.poll_write_queue(cx));
        if result.is_err() {
            self.outbound.fail_writes(false);
        }
        Poll::Ready(result)
    }

    fn poll_write_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.outbound.queue.is_empty() {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let slices = self.outbound.queue.slices(&mut slices);
                let written = match slices {
                    [single] => Pin::new(&mut self.io).poll_write(cx, single),
                    slices => Pin::new(&mut self.io).poll_write_vectored(cx, slices),
                };
                match written {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(len)) => {
                        self.outbound.queue.advance(len);
                        self.outbound.sending.on_written();
                        self.unflushed = true;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        self.outbound.sending.on_write_blocked(now());
                        return Poll::Pending;
                    }
                }
            }
            if !self.outbound.answer_held() {
                break;
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Like [`poll_flush`](Self::poll_flush), but fails when a deadline passes.
    pub(super) fn poll_flush_in_time(
        &mut self,
        cx: &mut Context<'_>,
        timer: &mut Timer,
    ) -> Poll<Result<(), Error>> {
        if let Poll::Ready(result) = self.poll_flush(cx) {
            return Poll::Ready(result.map_err(Error::ConnectionLost));
        }
        loop {
            ready!(timer.poll(cx, self.outbound.sending.poll_timeout()));
            if let Err(timed_out) = self.outbound.sending.handle_timeout(now()) {
                self.outbound.fail_writes(timed_out == TimedOut::Write);
                return Poll::Ready(Err(timed_out.into()));
            }
        }
    }

    /// Waits until there is room in the queue.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>, timer: &mut Timer) -> Poll<Result<(), Error>> {
        if !self.outbound.is_full() {
            return Poll::Ready(Ok(()));
        }
        match self.poll_flush_in_time(cx, timer) {
            Poll::Pending if !self.outbound.is_full() => Poll::Ready(Ok(())),
            poll => poll,
        }
    }
}

/// Wakes at a deadline that may move. Moving it further costs nothing: the timer then fires early
/// once, and is set anew.
#[derive(Debug, Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready once `deadline` has passed; never, without one.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline.map(tokio::time::Instant::from_std) else {
            return Poll::Pending;
        };
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.deadline() < deadline {
            ready!(sleep.as_mut().poll(cx));
            sleep.as_mut().reset(deadline);
        }
        ready!(sleep.as_mut().poll(cx));
        // Spent: the next deadline gets a new one.
        self.0 = None;
        Poll::Ready(())
    }
}

/// The core's way to the sending half, through whatever access there is.
struct Linked<'a, S, A>(&'a mut A, core::marker::PhantomData<S>);

impl<S, A: Access<S>> Link for Linked<'_, S, A> {
    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T {
        self.0.with(|shared| f(&mut shared.outbound))
    }
}

/// The time, which a test may have stopped.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

pub(super) fn timed_out() -> Error {
    Error::TimedOut(TimedOut::OpeningHandshake)
}

/// The wakers of two tasks that poll one transport. A transport remembers one waker a direction: this
/// one stands for both, so that neither task's wake-up is lost when the other polls, or is cancelled.
#[derive(Debug, Default)]
pub(super) struct Wakers([Mutex<Option<core::task::Waker>>; 2]);

/// Which of the two tasks polls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Half {
    Receiving,
    Sending,
}

impl Wakers {
    /// Polls as `half`, with a waker that wakes both.
    pub(super) fn poll<T>(
        self: &Arc<Self>,
        half: Half,
        cx: &Context<'_>,
        f: impl FnOnce(&mut Context<'_>) -> T,
    ) -> T {
        lock(&self.0[half as usize]).get_or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
        let both = core::task::Waker::from(self.clone());
        f(&mut Context::from_waker(&both))
    }

    /// Has `half` polled again.
    pub(super) fn wake_half(&self, half: Half) {
        let waker = lock(&self.0[half as usize]).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl alloc::task::Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_half(Half::Receiving);
        self.wake_half(Half::Sending);
    }
}
