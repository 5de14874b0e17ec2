//! What the halves of a WebSocket share: the transport, the sending half's state, and the wakers of the
//! tasks that poll them.
//!
//! The receiving half has its state to itself, so that a data frame locks nothing. The lock is held only
//! inside `poll` functions.
//!
//! # When `send` leaves a message queued
//!
//! A system call for each message is most of what a small message costs. So while more of what was read
//! waits to be received, `send` leaves its message in the queue: the answers to what came together go
//! together. What is queued is written by the receiving half before it waits for input. But its task may
//! wait for something else next, or receive nothing more; so [`Later`], a task of its own that is woken
//! when a message is left queued, and so runs as soon as that task waits, writes what it finds then.

use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll, Waker, ready};
use std::io::{self, IoSlice};
use std::sync::PoisonError;

use alloc::boxed::Box;
use alloc::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::runtime::Handle;

use super::drive::{Reading, Timer, now};
use crate::adapter::{Link, MAX_SLICES, Outbound, ToSend};
use crate::error::{Error, SendError, TimedOut};
use crate::frame::CloseFrame;
use crate::sender::SendState;
use crate::sync::{AtomicBool, Mutex, MutexGuard};

/// What the halves share, and how they reach it.
#[derive(Debug)]
pub(super) struct Both<S> {
    shared: Mutex<Shared<S>>,
    wakers: Arc<Wakers>,
    /// Wakes all whose wakers these are.
    waker: Waker,
    /// Some of what was read is still to be received. A hint for the sending half.
    unread: AtomicBool,
}

impl<S> Both<S> {
    pub(super) fn new(io: S, outbound: Outbound) -> Self {
        let shared = Shared {
            io,
            outbound,
            unflushed: false,
            sooner: false,
            orphan: None,
            halves: 2,
            later: LaterState::None,
        };
        let wakers = Arc::<Wakers>::default();
        let waker = Waker::from(wakers.clone());
        Self { shared: Mutex::new(shared), wakers, waker, unread: AtomicBool::new(false) }
    }

    /// Wakes all who poll the transport.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Shared<S>) -> T) -> T {
        f(&mut self.lock())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shared<S>> {
        lock(&self.shared)
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
        mut f: impl FnMut(&mut Shared<S>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut all = Context::from_waker(&self.waker);
        let poll = f(&mut self.lock(), &mut all);
        if poll.is_ready() {
            return poll;
        }
        self.wakers.register(half, cx.waker());
        let mut shared = self.lock();
        let poll = f(&mut shared, &mut all);
        let sooner = core::mem::take(&mut shared.sooner);
        drop(shared);
        if sooner {
            self.wakers.wake_half(Half::Receiving);
        }
        poll
    }

    /// Starts the closing handshake; nothing if it was started before.
    pub(super) fn start_close(&self, close: Option<CloseFrame<'_>>) -> Result<(), Error> {
        let mut shared = self.lock();
        let open = shared.outbound.sending.state() == SendState::Open;
        shared.outbound.queue(|outbound| outbound.close(close, now()))?;
        drop(shared);
        if open {
            // It has a deadline.
            self.wakers.wake_half(Half::Receiving);
        }
        Ok(())
    }

    /// Queues data or a control frame, unless the connection has ended.
    pub(super) fn queue(&self, f: impl FnOnce(&mut Outbound) -> Result<(), SendError>) -> Result<(), Error> {
        self.lock().outbound.queue(f)
    }

    /// Tells whether some of what was read is still to be received.
    pub(super) fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::Relaxed);
    }

    /// A half is dropped, and leaves `orphan`.
    pub(super) fn leave(&self, orphan: Option<Box<Reading>>) {
        let mut shared = self.lock();
        shared.halves -= 1;
        if orphan.is_some() {
            shared.orphan = orphan;
        }
        if shared.halves == 0 {
            direct_later(shared, LaterState::Due);
        }
    }

    /// Has `Later` end, since nothing was received for long. It is spawned anew when it is needed.
    pub(super) fn retire_later(&self) {
        direct_later(self.lock(), LaterState::Retired);
    }
}

impl<S: AsyncWrite + Unpin> Both<S> {
    /// Queues `message`, once there is room.
    pub(super) fn poll_feed(
        &self,
        cx: &Context<'_>,
        timer: &mut Timer,
        message: &mut Option<impl ToSend>,
    ) -> Poll<Result<(), Error>> {
        self.poll_sending(Half::Sending, cx, |shared, cx| shared.poll_queue(cx, timer, message))
    }

    /// Queues `message`, once there is room, and then writes it.
    #[inline]
    pub(super) fn poll_write(
        &self,
        cx: &Context<'_>,
        timer: &mut Timer,
        message: &mut Option<impl ToSend>,
    ) -> Poll<Result<(), Error>> {
        self.poll_sending(Half::Sending, cx, |shared, cx| {
            ready!(shared.poll_queue(cx, timer, message))?;
            shared.poll_flush_in_time(cx, timer)
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Both<S> {
    /// Queues `message`, once there is room, and then writes it; or has it written later, if that is worth
    /// while.
    #[inline]
    pub(super) fn poll_send(
        self: &Arc<Self>,
        cx: &Context<'_>,
        timer: &mut Timer,
        message: &mut Option<impl ToSend>,
    ) -> Poll<Result<(), Error>> {
        if self.unread.load(Ordering::Relaxed) {
            if let Some(queued) = self.leave_queued(message) {
                return Poll::Ready(queued);
            }
            if let Some(queued) = ready!(self.poll_room_and_leave_queued(cx, timer, message)) {
                return Poll::Ready(queued);
            }
        }
        self.poll_write(cx, timer, message)
    }

    /// Waits for room for `message`, and then leaves it queued. `None` if it is queued already, or there is nobody to
    /// write it.
    #[cold]
    fn poll_room_and_leave_queued(
        self: &Arc<Self>,
        cx: &Context<'_>,
        timer: &mut Timer,
        message: &mut Option<impl ToSend>,
    ) -> Poll<Option<Result<(), Error>>> {
        while message.is_some() {
            if let Err(error) =
                ready!(self.poll_sending(Half::Sending, cx, |shared, cx| shared.poll_room(cx, timer)))
            {
                return Poll::Ready(Some(Err(error)));
            }
            if let Some(queued) = self.leave_queued(message) {
                return Poll::Ready(Some(queued));
            }
        }
        Poll::Ready(None)
    }

    /// Queues `message` for `Later` to write. `None` if there is no room for it, or nobody to write it.
    fn leave_queued(self: &Arc<Self>, message: &mut Option<impl ToSend>) -> Option<Result<(), Error>> {
        let mut shared = self.lock();
        if shared.outbound.is_full() {
            return None;
        }
        let message = message.take()?;
        if let Err(error) = shared.outbound.queue(|outbound| message.queue(outbound)) {
            return Some(Err(error));
        }
        if matches!(shared.later, LaterState::Due) {
            return Some(Ok(()));
        }
        let later = core::mem::replace(&mut shared.later, LaterState::Due);
        drop(shared);
        self.wake_later(later).then_some(Ok(()))
    }

    /// Has `Later` do what is due. False if there is no runtime to spawn it on.
    fn wake_later(self: &Arc<Self>, later: LaterState) -> bool {
        match later {
            LaterState::Due | LaterState::Retired => true,
            LaterState::Waiting(waker) => {
                waker.wake();
                true
            }
            LaterState::None => {
                let later = Later { both: self.clone(), timer: Timer::default(), retired: false };
                // Where it cannot be spawned it is dropped, and says so.
                Handle::try_current().map(|runtime| runtime.spawn(later)).is_ok()
            }
        }
    }
}

impl<S> Link for &Both<S> {
    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T {
        f(&mut self.lock().outbound)
    }
}

/// The stream in what is locked.
struct Stream<'a, S>(MutexGuard<'a, Shared<S>>);

impl<S> Deref for Stream<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0.io
    }
}

/// What is behind the lock.
#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) io: S,
    pub(super) outbound: Outbound,
    /// Bytes were written and not yet flushed through `io`.
    unflushed: bool,
    /// There is a deadline that the receiving half does not know of.
    pub(super) sooner: bool,
    /// The receiving half's state, once that half was dropped: `close` completes the handshake with it.
    pub(super) orphan: Option<Box<Reading>>,
    /// How many halves there are.
    halves: u8,
    later: LaterState,
}

impl<S: AsyncRead + Unpin> Shared<S> {
    /// Reads once, and tells how much.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        core::pin::pin!(self.io.read(&mut [0; 1024])).poll(cx)
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    /// Writes all that is queued.
    #[inline]
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
        while !self.outbound.queue.is_empty() {
            let io = Pin::new(&mut self.io);
            let written = if let Some(slice) = self.outbound.queue.one_slice() {
                io.poll_write(cx, slice)
            } else {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                io.poll_write_vectored(cx, self.outbound.queue.slices(&mut slices))
            };
            match written {
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
            Poll::Ready(result) => Poll::Ready(result.map_err(Error::ConnectionLost)),
            Poll::Pending => self.poll_deadline(cx, timer),
        }
    }

    /// Fails when a deadline passes.
    #[cold]
    fn poll_deadline(&mut self, cx: &mut Context<'_>, timer: &mut Timer) -> Poll<Result<(), Error>> {
        loop {
            ready!(timer.poll(cx, self.outbound.sending.poll_timeout()));
            if let Err(timed_out) = self.outbound.sending.handle_timeout(now()) {
                self.outbound.fail_writes(timed_out == TimedOut::Write);
                return Poll::Ready(Err(timed_out.into()));
            }
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

/// Writes what was left queued, as soon as the task that queued it waits: until then this one is not
/// polled. Once it was needed it lives until the connection has been silent for long; or until that ends, and
/// all is written.
struct Later<S> {
    both: Arc<Both<S>>,
    /// The deadline of what is being written.
    timer: Timer,
    /// It is over, and another one may have taken its place.
    retired: bool,
}

/// Whether there is such a task, and what it does.
#[derive(Debug)]
enum LaterState {
    None,
    /// It has nothing to do until it is woken.
    Waiting(Waker),
    /// It is to write what it finds.
    Due,
    /// It is to end.
    Retired,
}

/// Wakes `Later`, if it waits, to do what `state` says.
fn direct_later<S>(mut shared: MutexGuard<'_, Shared<S>>, state: LaterState) {
    if matches!(shared.later, LaterState::Waiting(_))
        && let LaterState::Waiting(waker) = core::mem::replace(&mut shared.later, state)
    {
        // A task may be dropped with its last waker.
        drop(shared);
        waker.wake();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Later<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { both, timer, retired } = &mut *self;
        let ended = ready!(both.poll_sending(Half::Later, cx, |shared, all| {
            if matches!(shared.later, LaterState::Retired) {
                shared.later = LaterState::None;
                *retired = true;
                return Poll::Ready(true);
            }
            // An error is for the next call of a half to return.
            let _ = ready!(shared.poll_flush_in_time(all, timer));
            shared.later = LaterState::Waiting(cx.waker().clone());
            Poll::Ready(shared.halves == 0)
        }));
        if ended { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<S> Drop for Later<S> {
    fn drop(&mut self) {
        if !self.retired {
            // Its waker is not to be dropped under the lock.
            let _was = core::mem::replace(&mut self.both.lock().later, LaterState::None);
        }
    }
}

/// A panic in another task leaves the state as whole as it was between two calls.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The wakers of the tasks that poll one transport. A transport remembers one waker a direction: this one
/// stands for all, so that no task's wake-up is lost when another polls, or is cancelled.
#[derive(Debug, Default)]
struct Wakers(Mutex<[Option<Waker>; 3]>);

/// Who polls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Half {
    Receiving,
    Sending,
    /// Neither: the task that writes what was left queued.
    Later,
}

impl Wakers {
    /// Remembers the waker of the task that polls as `half`.
    fn register(&self, half: Half, waker: &Waker) {
        let mut wakers = lock(&self.0);
        let slot = &mut wakers[half as usize];
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            let replaced = slot.replace(waker.clone());
            // Not under the lock: a task may be dropped with its last waker.
            drop(wakers);
            drop(replaced);
        }
    }

    /// Has `half` polled again.
    fn wake_half(&self, half: Half) {
        let waker = lock(&self.0)[half as usize].take();
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
        let wakers = core::mem::take(&mut *lock(&self.0));
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}
