//! What the halves of a WebSocket share: the transport, both halves' state, and the wakers of the tasks that
//! poll them.
//!
//! There are three locks, held only inside a call:
//!
//! ```text
//! reading    by the receiving half, or whoever stands in    messages are received
//! locked     by either half, or the flusher                 frames are queued; the transport reads and writes
//! wakers     by who is about to wait                        its waker is put in
//!            by who wakes                                   wakers are taken out, to be woken afterwards
//! ```
//!
//! Each may be held when one further down is taken, since a transport may wake while it is polled; not the other
//! way round. We wake nobody while one of the latter two is held.
//!
//! # Who receives
//!
//! Whoever polls as the receiving half does, in a call of the program. Nobody else takes `reading` while it does so, or
//! waits: a data frame locks what nobody contends for. But when the program does not receive for a while, a task does in
//! its place all that the connection owes its peer: see [`watch`](super::watch).
//!
//! # When `send` leaves a message queued
//!
//! A system call for each message is most of what a small message costs. So while more of what was read
//! waits to be received, `send` leaves its message in the queue: the answers to what came together go
//! together. What is queued is written by the receiving half before it waits for input. But its task may
//! wait for something else next, or receive nothing more; so [`Flusher`](super::flusher), a task of its own that is woken
//! when a message is left queued, and so runs as soon as that task waits, writes what it finds then.

use alloc::sync::Arc;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use std::io;
use std::time::Instant;

use super::program::Program;
use super::timer::{Timer, now};
use super::tracker::Token;
use super::transport::Transport;
use super::wakers::{Half, WakerId, Wakers};
use crate::endpoint::sendable::ToSend;
use crate::endpoint::sync::atomic::Ordering;
use crate::endpoint::sync::{Mutex, MutexGuard, Turn, lock};
use crate::endpoint::{Error, HowClosed, Inbound, Negotiated, Outbound, SendSide};
use crate::error::SendError;
use crate::frame::CloseFrame;
use crate::sender::SendState;

/// What the halves share, and how they reach it.
#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) reading: Turn<Reading>,
    locked: Mutex<Locked<S>>,
    pub(super) wakers: Arc<Wakers>,
    /// Wakes all whose wakers these are.
    waker: Waker,
    /// How the connection closed, once it has.
    pub(super) closed: HowClosed,
    /// What the opening handshake came to.
    pub(super) negotiated: Negotiated,
}

impl<S> Shared<S> {
    pub(super) fn new(io: S, negotiated: Negotiated, inbound: Inbound, outbound: Outbound) -> Self {
        let reading = Reading {
            inbound,
            timer: Timer::default(),
            waker: WakerId::default(),
            calm: false,
            fresh: false,
            token: None,
            program: Program::Receives,
            watched: false,
        };
        let locked = Locked {
            io,
            outbound,
            unflushed: false,
            refused: false,
            sooner: false,
            halves: 2,
            flusher: FlusherState::None,
        };
        let wakers = Arc::<Wakers>::default();
        let waker = Waker::from(wakers.clone());
        Self {
            reading: Turn::new(reading),
            locked: Mutex::new(locked),
            wakers,
            waker,
            closed: HowClosed::default(),
            negotiated,
        }
    }

    /// Wakes all who poll the transport.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Locked<S>> {
        lock(&self.locked)
    }

    /// The stream.
    pub(super) fn stream(&self) -> impl Deref<Target = S> {
        Stream(self.lock())
    }

    /// Polls for a half that sends, whose polls are nearly always ready at once: its waker is made known only
    /// to wait, and then once more polled for, since the transport may have become ready meanwhile.
    ///
    /// The deadlines that come of it are for all to keep: a receiving half that waits is woken to see a
    /// new one.
    pub(super) fn poll_sending<T>(
        &self,
        half: Half,
        cx: &Context<'_>,
        mut f: impl FnMut(&mut Locked<S>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut all = Context::from_waker(&self.waker);
        let poll = f(&mut self.lock(), &mut all);
        if poll.is_ready() {
            return poll;
        }
        self.wakers.register(half, cx.waker());
        let mut locked = self.lock();
        let poll = f(&mut locked, &mut all);
        let sooner = core::mem::take(&mut locked.sooner);
        drop(locked);
        if sooner {
            self.wakers.wake_half(Half::Receiving);
        }
        poll
    }

    /// Starts the closing handshake; nothing if it was started before.
    pub(super) fn start_close(&self, close: Option<CloseFrame<'_>>) -> Result<(), Error> {
        let mut locked = self.lock();
        let open = locked.outbound.sending.state() == SendState::Open;
        locked.outbound.queue(|outbound| outbound.close(close, now()))?;
        drop(locked);
        if open {
            // It has a deadline.
            self.wakers.wake_half(Half::Receiving);
        }
        Ok(())
    }

    /// Tells whether some of what was read is still to be received.
    pub(super) fn set_unread(&self, unread: bool) {
        self.wakers.unread.store(unread, Ordering::Relaxed);
    }

    /// See [`set_unread`](Self::set_unread).
    pub(super) fn is_unread(&self) -> bool {
        self.wakers.unread.load(Ordering::Relaxed)
    }

    /// Whether a call of `recv` waits.
    pub(super) fn waits(&self) -> bool {
        self.wakers.waits.load(Ordering::Relaxed)
    }

    /// See [`waits`](Self::waits).
    pub(super) fn set_waits(&self, waits: bool) {
        self.wakers.waits.store(waits, Ordering::Relaxed);
    }

    /// Has the flusher end, since nothing was received for long. It is spawned anew when it is needed.
    pub(super) fn retire_flusher(&self) {
        direct_flusher(self.lock(), FlusherState::Retired);
    }
}

impl<S: Transport> Shared<S> {
    /// Waits until there is room for a message.
    pub(super) fn poll_room(&self, cx: &Context<'_>, timer: &mut Timer) -> Poll<Result<(), Error>> {
        self.poll_sending(Half::Sending, cx, |locked, cx| {
            let poll = locked.poll_room(cx, timer);
            locked.unless_refused(poll)
        })
    }

    /// Queues `message`, once there is room.
    pub(super) fn poll_feed(
        &self,
        cx: &Context<'_>,
        timer: &mut Timer,
        message: &mut Option<impl ToSend>,
    ) -> Poll<Result<(), Error>> {
        self.poll_sending(Half::Sending, cx, |locked, cx| {
            let poll = locked.poll_queue(cx, timer, message);
            locked.unless_refused(poll)
        })
    }

    /// The way of a message that is sent when nothing is queued: it is written, and need not be waited for. `None`: what
    /// there is left of it has to.
    #[inline]
    pub(super) fn send_alone(&self, message: &mut Option<impl ToSend>) -> Option<Result<(), Error>> {
        let mut locked = self.lock();
        if !locked.is_calm() {
            return None;
        }
        if let Err(error) = message.take()?.queue(&mut locked.outbound) {
            return Some(Err(error.into()));
        }
        match locked.poll_flush(&mut Context::from_waker(self.waker())) {
            Poll::Ready(written) => Some(written),
            Poll::Pending => None,
        }
    }

    /// Queues `message`, once there is room, and then writes it.
    #[inline]
    pub(super) fn poll_write(
        &self,
        cx: &Context<'_>,
        timer: &mut Timer,
        message: &mut Option<impl ToSend>,
    ) -> Poll<Result<(), Error>> {
        self.poll_sending(Half::Sending, cx, |locked, cx| {
            let poll = match locked.poll_queue(cx, timer, message) {
                Poll::Ready(Ok(())) => locked.poll_flush_in_time(cx, timer),
                poll => poll,
            };
            locked.unless_refused(poll)
        })
    }
}

impl<S> SendSide for &Shared<S> {
    fn now(&self, _then: Instant) -> Instant {
        now()
    }

    #[inline]
    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T {
        f(&mut self.lock().outbound)
    }
}

/// The stream in what is locked.
struct Stream<'a, S>(MutexGuard<'a, Locked<S>>);

impl<S> Deref for Stream<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0.io
    }
}

/// What is behind the lock.
#[derive(Debug)]
pub(super) struct Locked<S> {
    pub(super) io: S,
    pub(super) outbound: Outbound,
    /// Bytes were written and not yet flushed through `io`.
    unflushed: bool,
    /// The peer has closed, and has not yet taken all that is to be written.
    refused: bool,
    /// There is a deadline that the receiving half does not know of.
    pub(super) sooner: bool,
    /// How many halves there are.
    pub(super) halves: u8,
    pub(super) flusher: FlusherState,
}

impl<S> Locked<S> {
    /// Whether there is nothing to write, and nothing that was written is waited for.
    #[inline]
    pub(super) fn is_calm(&self) -> bool {
        !self.unflushed && self.outbound.is_calm()
    }
}

impl<S: Transport> Locked<S> {
    /// Writes all that is queued.
    #[inline]
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(ended) = self.outbound.ended() {
            return Poll::Ready(ended);
        }
        let result = ready!(self.poll_write_queue(cx));
        if result.is_err() {
            self.outbound.fail_writes(false);
        }
        Poll::Ready(result.map_err(Error::ConnectionLost))
    }

    fn poll_write_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbound.queue.is_empty() {
            match Pin::new(&mut self.io).poll_write(cx, self.outbound.queue.front()) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(len)) => {
                    self.outbound.queue.advance(len);
                    self.outbound.on_written(len, now);
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.wait_to_write(),
            }
        }
        if self.unflushed {
            // What the transport took it may not have passed on, as TLS may not.
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Ready(flushed) => flushed?,
                Poll::Pending => return self.wait_to_write(),
            }
            self.unflushed = false;
            self.outbound.on_flushed(now);
        }
        Poll::Ready(Ok(()))
    }

    /// The transport takes no more for now.
    #[cold]
    fn wait_to_write(&mut self) -> Poll<io::Result<()>> {
        let before = self.outbound.sending.poll_timeout();
        self.outbound.sending.on_write_blocked(now());
        self.sooner |= self.outbound.sending.poll_timeout() != before;
        Poll::Pending
    }

    /// Like [`poll_flush`](Self::poll_flush), but fails when a deadline passes.
    #[inline]
    pub(super) fn poll_flush_in_time(
        &mut self,
        cx: &mut Context<'_>,
        timer: &mut Timer,
    ) -> Poll<Result<(), Error>> {
        match self.poll_flush(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.poll_deadline(cx, timer),
        }
    }

    /// The answer to the peer's Close frame has to wait. Whether that is new: a sending half does not wait any more.
    pub(super) fn refuse(&mut self) -> bool {
        let refused = self.outbound.sending.is_refused();
        core::mem::replace(&mut self.refused, refused) != refused
    }

    /// What is sent is not waited for once the peer has closed.
    #[inline]
    pub(super) fn unless_refused(&self, poll: Poll<Result<(), Error>>) -> Poll<Result<(), Error>> {
        if poll.is_pending() && self.refused {
            return Poll::Ready(Err(SendError::Closing.into()));
        }
        poll
    }

    /// Fails when a deadline passes.
    #[cold]
    fn poll_deadline(&mut self, cx: &mut Context<'_>, timer: &mut Timer) -> Poll<Result<(), Error>> {
        loop {
            ready!(timer.poll(cx, self.outbound.sending.poll_timeout()));
            self.outbound.handle_timeout(now())?;
        }
    }

    /// Queues `message`, once there is room; nothing if it was queued before.
    #[inline]
    fn poll_queue(
        &mut self,
        cx: &mut Context<'_>,
        timer: &mut Timer,
        message: &mut Option<impl ToSend>,
    ) -> Poll<Result<(), Error>> {
        if message.is_some() {
            ready!(self.poll_room(cx, timer))?;
        }
        if let Some(message) = message.take() {
            self.outbound.queue(|outbound| message.queue(outbound))?;
        }
        Poll::Ready(Ok(()))
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

/// The receiving half's state.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) inbound: Inbound,
    pub(super) timer: Timer,
    /// The waker that was last made known for it.
    pub(super) waker: WakerId,
    /// The timer was polled, and fires before anything is due, as long as there is nothing but frames that come and go.
    pub(super) calm: bool,
    /// It had not fired when something was last read, or it was polled, and nobody was woken since.
    pub(super) fresh: bool,
    /// Of a connection that `serve` accepted, until it has ended.
    pub(super) token: Option<Token>,
    pub(super) program: Program,
    /// It is [watched](super::watch); always, while it `Receives` or `Pauses`, if there is a runtime.
    pub(super) watched: bool,
}

/// Whether there is a flusher, and what it does.
#[derive(Debug)]
pub(super) enum FlusherState {
    None,
    /// It has nothing to do until it is woken.
    Waiting(Waker),
    /// It is to write what it finds.
    Due,
    /// It is to end.
    Retired,
}

/// Wakes the flusher, if it waits, to do what `state` says.
pub(super) fn direct_flusher<S>(mut locked: MutexGuard<'_, Locked<S>>, state: FlusherState) {
    if matches!(locked.flusher, FlusherState::Waiting(_))
        && let FlusherState::Waiting(waker) = core::mem::replace(&mut locked.flusher, state)
    {
        // A task may be dropped with its last waker.
        drop(locked);
        waker.wake();
    }
}
