//! What the halves of a WebSocket share: the transport, the sending half's state, and the wakers of the
//! tasks that poll them.
//!
//! The receiving half has its state to itself, so that a data frame locks nothing. There are two locks, held only
//! inside a call:
//!
//! ```text
//! locked   by either half, or the flusher     frames are queued; the transport reads and writes
//! wakers   by who is about to wait            its waker is put in
//!          by who wakes                       wakers are taken out, to be woken afterwards
//! ```
//!
//! The first may be held when the second is taken, since a transport may wake while it is polled; not the other
//! way round. We wake nobody while either is held.
//!
//! # When `send` leaves a message queued
//!
//! A system call for each message is most of what a small message costs. So while more of what was read
//! waits to be received, `send` leaves its message in the queue: the answers to what came together go
//! together. What is queued is written by the receiving half before it waits for input. But its task may
//! wait for something else next, or receive nothing more; so [`Flusher`](super::flusher), a task of its own that is woken
//! when a message is left queued, and so runs as soon as that task waits, writes what it finds then.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use std::io;

use tokio::io::AsyncWrite;

use super::timer::{Timer, now};
use super::tracker::Token;
use super::wakers::{Half, Wakers};
use crate::endpoint::outbound::ToSend;
use crate::endpoint::sync::atomic::{AtomicBool, Ordering};
use crate::endpoint::sync::{Mutex, MutexGuard, lock};
use crate::endpoint::{Error, Inbound, Outbound, SendSide};
use crate::frame::CloseFrame;
use crate::sender::SendState;

/// What the halves share, and how they reach it.
#[derive(Debug)]
pub(super) struct Shared<S> {
    locked: Mutex<Locked<S>>,
    wakers: Arc<Wakers>,
    /// Wakes all whose wakers these are.
    waker: Waker,
    /// Some of what was read is still to be received. A hint for the sending half.
    unread: AtomicBool,
}

impl<S> Shared<S> {
    pub(super) fn new(io: S, outbound: Outbound) -> Self {
        let locked = Locked {
            io,
            outbound,
            unflushed: false,
            sooner: false,
            orphan: None,
            halves: 2,
            flusher: FlusherState::None,
        };
        let wakers = Arc::<Wakers>::default();
        let waker = Waker::from(wakers.clone());
        Self { locked: Mutex::new(locked), wakers, waker, unread: AtomicBool::new(false) }
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

    /// Polls for `half`, with a waker that wakes all who poll the transport.
    pub(super) fn poll<T>(&self, half: Half, cx: &Context<'_>, f: impl FnOnce(&mut Context<'_>) -> T) -> T {
        self.wakers.register(half, cx.waker());
        f(&mut Context::from_waker(&self.waker))
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
        self.unread.store(unread, Ordering::Relaxed);
    }

    /// See [`set_unread`](Self::set_unread).
    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// A half is dropped, and leaves `orphan`.
    pub(super) fn leave(&self, orphan: Option<Box<Reading>>) {
        let mut locked = self.lock();
        locked.halves -= 1;
        if orphan.is_some() {
            // Nothing more will be received that an answer could wait for.
            self.set_unread(false);
            locked.orphan = orphan;
        }
        if locked.halves == 0 {
            direct_flusher(locked, FlusherState::Due);
        }
    }

    /// Has the flusher end, since nothing was received for long. It is spawned anew when it is needed.
    pub(super) fn retire_flusher(&self) {
        direct_flusher(self.lock(), FlusherState::Retired);
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    /// Queues `message`, once there is room.
    pub(super) fn poll_feed(
        &self,
        cx: &Context<'_>,
        timer: &mut Timer,
        message: &mut Option<impl ToSend>,
    ) -> Poll<Result<(), Error>> {
        self.poll_sending(Half::Sending, cx, |locked, cx| locked.poll_queue(cx, timer, message))
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
            ready!(locked.poll_queue(cx, timer, message))?;
            locked.poll_flush_in_time(cx, timer)
        })
    }
}

impl<S> SendSide for &Shared<S> {
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
    /// There is a deadline that the receiving half does not know of.
    pub(super) sooner: bool,
    /// The receiving half's state, once that half was dropped: `close` completes the handshake with it.
    pub(super) orphan: Option<Box<Reading>>,
    /// How many halves there are.
    pub(super) halves: u8,
    pub(super) flusher: FlusherState,
}

impl<S: AsyncWrite + Unpin> Locked<S> {
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
                    self.outbound.on_written();
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    let before = self.outbound.sending.poll_timeout();
                    self.outbound.sending.on_write_blocked(now());
                    self.sooner |= self.outbound.sending.poll_timeout() != before;
                    return Poll::Pending;
                }
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
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

/// The receiving half's state: whoever receives has it alone.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) inbound: Inbound,
    pub(super) timer: Timer,
    /// Of a connection that `serve` accepted.
    pub(super) token: Option<Token>,
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
fn direct_flusher<S>(mut locked: MutexGuard<'_, Locked<S>>, state: FlusherState) {
    if matches!(locked.flusher, FlusherState::Waiting(_))
        && let FlusherState::Waiting(waker) = core::mem::replace(&mut locked.flusher, state)
    {
        // A task may be dropped with its last waker.
        drop(locked);
        waker.wake();
    }
}
