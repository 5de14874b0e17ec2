//! What a receiving half does for the driver: it moves bytes, and sleeps until a deadline.
//!
//! Everything is a `poll` function that keeps its progress in `Reading` and `Locked`, so that a
//! dropped future loses nothing.

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use std::io;

use bytes::BufMut as _;
use tokio::io::AsyncReadExt;

use super::program::Program;
use super::shared::{Locked, Reading, Shared};
use super::timer::now;
use super::tracker::{Token, cut_off};
use super::transport::Transport;
use super::turns::poll_yield;
use super::wakers::{Half, WakerId};
use crate::endpoint::sync::MutexGuard;
use crate::endpoint::{Act, Error, Inbound, Item, Next, Outcome};

impl Reading {
    /// The opening handshake of a connection of `serve` is over.
    pub(super) fn join<S>(&mut self, token: Token, shared: &Shared<S>) {
        token.open(shared.waker());
        self.token = Some(token);
    }

    /// The next thing that `T` asks for. `None`: the connection has ended, and its error, if it had
    /// one, was returned before.
    pub(super) fn poll_next<S: Transport, T: Item>(
        &mut self,
        cx: &Context<'_>,
        shared: &Shared<S>,
        half: Half,
    ) -> Poll<Result<Option<T>, Error>> {
        loop {
            match self.inbound.next::<T>(&mut &*shared) {
                Next::Item(item) => {
                    if self.inbound.take_answered() {
                        self.relieve(shared);
                        // Whether it can be written or not, the message comes first.
                        self.register(half, cx, shared);
                        let _ = shared.lock().poll_flush(&mut Context::from_waker(shared.waker()));
                    }
                    shared.set_unread(self.inbound.is_unread());
                    return Poll::Ready(Ok(Some(item)));
                }
                Next::Yield => return poll_yield(cx),
                Next::Over(error) => {
                    self.close(shared);
                    return Poll::Ready(error.map_or(Ok(None), Err));
                }
                Next::Do(act) => {
                    self.relieve(shared);
                    self.register(half, cx, shared);
                    ready!(self.poll_act(&mut Context::from_waker(shared.waker()), shared, act));
                }
            }
        }
    }

    /// Whether a read is all that is to be done now.
    #[inline]
    pub(super) fn is_calm(&self) -> bool {
        self.calm && self.inbound.is_calm() && self.program != Program::Neglects
    }

    /// The way of a message that comes alone: reads, where nothing else is to be done or looked at. Ready when something
    /// was read, or there is something else.
    #[inline]
    pub(super) fn poll_calmly<S: Transport>(&mut self, cx: &Context<'_>, shared: &Shared<S>) -> Poll<()> {
        self.register(Half::Receiving, cx, shared);
        let mut locked = shared.lock();
        let mut all = Context::from_waker(shared.waker());
        if !locked.is_calm() && (locked.poll_flush(&mut all).is_pending() || !locked.is_calm()) {
            return Poll::Ready(());
        }
        let read = pin!(locked.io.read_buf(self.inbound.room_alone())).poll(&mut all);
        match read {
            Poll::Ready(Ok(len @ 1..)) => {
                let now = now();
                locked.outbound.on_look(now);
                drop(locked);
                self.inbound.on_read(len, now);
                self.fresh = self.timer.is_after(now);
                self.calm = self.fresh;
                Poll::Ready(())
            }
            Poll::Ready(ended) => {
                self.inbound.did(outcome(ended), now(), &mut locked.outbound);
                Poll::Ready(())
            }
            Poll::Pending if self.fresh && !self.token.as_ref().is_some_and(Token::is_told) => {
                drop(locked);
                self.inbound.release_alone();
                // What is sent meanwhile is not to wait for this half.
                shared.set_unread(false);
                Poll::Pending
            }
            // The timer may have fired, or there is something that was told.
            Poll::Pending => self.poll_wait(&mut all, shared, locked, Act::Fill),
        }
    }

    /// Makes known whom to wake; nothing if he is known, and was not woken since.
    #[inline]
    fn register<S>(&mut self, half: Half, cx: &Context<'_>, shared: &Shared<S>) {
        let waker = WakerId::of(cx.waker());
        if half != Half::Receiving || waker != self.waker || !shared.wakers.is_receiving() {
            shared.wakers.register(half, cx.waker());
            self.fresh = false;
            if half == Half::Receiving {
                self.waker = waker;
            }
        }
    }

    /// Has a caretaker see that the program is back, before the program's waker takes the place of its own: it would never
    /// be woken then, and keep the transport open for ever.
    fn relieve<S>(&self, shared: &Shared<S>) {
        if self.program == Program::Neglects {
            shared.wakers.wake_half(Half::Receiving);
        }
    }

    /// Does what is to be done while the program does not receive; ready when the connection has ended.
    pub(super) fn poll_ahead<S: Transport>(&mut self, cx: &Context<'_>, shared: &Shared<S>) -> Poll<()> {
        loop {
            match self.inbound.look_ahead(&mut &*shared) {
                Next::Item(never) => match never {},
                Next::Yield => return poll_yield(cx),
                Next::Over(_) => {
                    self.close(shared);
                    return Poll::Ready(());
                }
                Next::Do(act) => {
                    self.register(Half::Receiving, cx, shared);
                    ready!(self.poll_act(&mut Context::from_waker(shared.waker()), shared, act));
                }
            }
        }
    }

    /// The connection has ended: tells how, and that there is one less.
    fn close<S>(&mut self, shared: &Shared<S>) {
        shared.closed.note(self.inbound.closed());
        self.token = None;
    }

    /// Does what the driver asks for, and tells it what came of it.
    fn poll_act<S: Transport>(&mut self, cx: &mut Context<'_>, shared: &Shared<S>, act: Act) -> Poll<()> {
        // What is done now may bring an earlier deadline.
        self.calm = false;
        let mut locked = shared.lock();
        if let Poll::Ready(outcome) = locked.poll_act(cx, act, &mut self.inbound) {
            self.inbound.did(outcome, now(), &mut locked.outbound);
            return Poll::Ready(());
        }
        self.poll_wait(cx, shared, locked, act)
    }

    /// Nothing came of it for now: what is to be done then, but to wait. Ready when something was.
    fn poll_wait<S: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Shared<S>,
        mut locked: MutexGuard<'_, Locked<S>>,
        act: Act,
    ) -> Poll<()> {
        locked.sooner = false;
        if locked.halves == 0 && locked.outbound.queue.is_empty() {
            // Nobody waits for it.
            locked.outbound.hasten(now());
        }
        let calm = act == Act::Fill && locked.is_calm();
        let sending = self.inbound.poll_sending(&locked.outbound);
        let refuses = matches!(act, Act::Flush { .. }) && locked.refuse();
        drop(locked);
        if refuses {
            shared.wakers.wake_half(Half::Sending);
        }
        if self.token.as_ref().is_some_and(Token::is_cut_off) {
            let mut locked = shared.lock();
            // The stream itself may be kept by a half that the program has.
            let _ = Pin::new(&mut locked.io).poll_shutdown(cx);
            let outcome = Outcome::Failed(Error::ConnectionLost(cut_off()));
            self.inbound.did(outcome, now(), &mut locked.outbound);
            return Poll::Ready(());
        }
        if matches!(act, Act::Fill | Act::Hold) {
            self.inbound.release();
            // What is sent meanwhile is not to wait for this half.
            shared.set_unread(false);
            let stopping = self.token.as_ref().is_some_and(Token::is_to_stop);
            if stopping && self.inbound.stop(now(), &mut shared.lock().outbound) {
                // What is to be done may be another thing now.
                self.inbound.did(Outcome::Again, now(), &mut shared.lock().outbound);
                return Poll::Ready(());
            }
        }
        let deadline = [sending, self.inbound.poll_timeout()].into_iter().flatten().min();
        if self.timer.poll(cx, deadline).is_pending() {
            self.calm = calm && self.inbound.is_calm() && !self.inbound.is_pinged();
            self.fresh = true;
            return Poll::Pending;
        }
        self.inbound.did(Outcome::Late, now(), &mut shared.lock().outbound);
        if act == Act::Fill {
            shared.retire_flusher();
        }
        Poll::Ready(())
    }
}

impl<S: Transport> Locked<S> {
    fn poll_act(&mut self, cx: &mut Context<'_>, act: Act, inbound: &mut Inbound) -> Poll<Outcome> {
        match act {
            Act::Fill | Act::Hold => {
                // Before each read, since a peer that never pauses would keep the timer from being polled.
                if let Err(timed_out) = inbound.handle_timeout(&mut self.outbound) {
                    return Poll::Ready(Outcome::Failed(timed_out.into()));
                }
                // A transport that takes no more may still have something to read.
                let _ = self.poll_flush(cx);
                if act == Act::Hold {
                    return Poll::Pending;
                }
                let most = inbound.most();
                let room = inbound.room();
                match most {
                    None => pin!(self.io.read_buf(room)).poll(cx).map(outcome),
                    Some(most) => pin!(self.io.read_buf(&mut room.limit(most))).poll(cx).map(outcome),
                }
            }
            Act::Flush { discard } => match self.poll_flush(cx) {
                Poll::Ready(Ok(())) => Poll::Ready(Outcome::Written),
                Poll::Ready(Err(error)) => Poll::Ready(Outcome::Failed(error)),
                Poll::Pending if discard => self.poll_discard(cx, inbound),
                Poll::Pending => Poll::Pending,
            },
            Act::Shutdown => Pin::new(&mut self.io).poll_shutdown(cx).map(|shut| match shut {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Failed(Error::ConnectionLost(error)),
            }),
            Act::Discard => self.poll_discard(cx, inbound),
        }
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>, inbound: &mut Inbound) -> Poll<Outcome> {
        let mut discarded = [0; 1024];
        let read = ready!(pin!(self.io.read(&mut discarded)).poll(cx));
        inbound.on_discarded(&discarded[..*read.as_ref().unwrap_or(&0)]);
        Poll::Ready(outcome(read))
    }
}

/// What a read came to.
fn outcome(result: io::Result<usize>) -> Outcome {
    result.map_err(Error::ConnectionLost).into()
}
