//! What a receiving half does for the driver: it moves bytes, and sleeps until a deadline.
//!
//! Everything is a `poll` function that keeps its progress in `Reading` and `Locked`, so that a
//! dropped future loses nothing.

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::shared::{Locked, Reading, Shared};
use super::timer::now;
use super::tracker::Token;
use super::turns::poll_yield;
use super::wakers::Half;
use crate::endpoint::{Act, Error, Inbound, Item, Next, Outcome};

impl Reading {
    /// The opening handshake of a connection of `serve` is over.
    pub(super) fn join<S>(&mut self, token: Token, shared: &Shared<S>) {
        token.open(shared.waker());
        self.token = Some(token);
    }

    /// The next thing that `T` asks for. `None`: the connection has ended, and its error, if it had
    /// one, was returned before.
    #[inline]
    pub(super) fn poll_next<S, T>(
        &mut self,
        cx: &Context<'_>,
        shared: &Shared<S>,
        half: Half,
    ) -> Poll<Result<Option<T>, Error>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: Item,
    {
        if let Some(item) = self.inbound.whole::<T>(&mut &*shared) {
            shared.set_unread(self.inbound.is_unread());
            return Poll::Ready(Ok(Some(item)));
        }
        self.poll_next_after::<S, T>(cx, shared, half)
    }

    fn poll_next_after<S, T>(
        &mut self,
        cx: &Context<'_>,
        shared: &Shared<S>,
        half: Half,
    ) -> Poll<Result<Option<T>, Error>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: Item,
    {
        loop {
            match self.inbound.next::<T>(&mut &*shared) {
                Next::Item(item) => {
                    if self.inbound.take_answered() {
                        // Whether it can be written or not, the message comes first.
                        let _ = shared.poll(half, cx, |cx| shared.lock().poll_flush(cx));
                    }
                    shared.set_unread(self.inbound.is_unread());
                    return Poll::Ready(Ok(Some(item)));
                }
                Next::Yield => return poll_yield(cx),
                Next::Over(error) => return Poll::Ready(error.map_or(Ok(None), Err)),
                Next::Do(act) => ready!(shared.poll(half, cx, |cx| self.poll_act(cx, shared, act))),
            }
        }
    }

    /// Does what the driver asks for, and tells it what came of it.
    fn poll_act<S>(&mut self, cx: &mut Context<'_>, shared: &Shared<S>, act: Act) -> Poll<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let mut locked = shared.lock();
            if let Poll::Ready(outcome) = locked.poll_act(cx, act, &mut self.inbound) {
                self.inbound.did(outcome, now(), &mut locked.outbound);
                return Poll::Ready(());
            }
            locked.sooner = false;
            let sending = locked.outbound.sending.poll_timeout();
            drop(locked);
            if act == Act::Fill {
                self.inbound.release();
                // What is sent meanwhile is not to wait for this half.
                shared.set_unread(false);
                let stopping = self.token.as_ref().is_some_and(Token::is_to_stop);
                if stopping && self.inbound.stop(now(), &mut shared.lock().outbound) {
                    continue;
                }
            }
            let deadline = [sending, self.inbound.poll_timeout()].into_iter().flatten().min();
            ready!(self.timer.poll(cx, deadline));
            self.inbound.did(Outcome::Late, now(), &mut shared.lock().outbound);
            if act == Act::Fill {
                shared.retire_flusher();
            }
            return Poll::Ready(());
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Locked<S> {
    fn poll_act(&mut self, cx: &mut Context<'_>, act: Act, inbound: &mut Inbound) -> Poll<Outcome> {
        match act {
            Act::Fill => {
                // Before each read, since a peer that never pauses would keep the timer from being polled.
                if let Err(timed_out) = inbound.handle_timeout(&mut self.outbound) {
                    return Poll::Ready(Outcome::Failed(timed_out.into()));
                }
                // A transport that takes no more may still have something to read.
                let _ = self.poll_flush(cx);
                pin!(self.io.read_buf(inbound.room())).poll(cx).map(read)
            }
            Act::Flush { discard } => match self.poll_flush(cx) {
                Poll::Ready(Ok(())) => Poll::Ready(Outcome::Written),
                Poll::Ready(Err(error)) => Poll::Ready(Outcome::Failed(error)),
                Poll::Pending if discard => self.poll_discard(cx),
                Poll::Pending => Poll::Pending,
            },
            Act::Shutdown => Pin::new(&mut self.io).poll_shutdown(cx).map(|shut| match shut {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Failed(Error::ConnectionLost(error)),
            }),
            Act::Discard => self.poll_discard(cx),
        }
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        pin!(self.io.read(&mut [0; 1024])).poll(cx).map(read)
    }
}

/// What a read came to.
fn read(result: io::Result<usize>) -> Outcome {
    result.map_err(Error::ConnectionLost).into()
}
