//! How the receiving half goes on: it moves bytes, sleeps until a deadline, ends.
//!
//! Everything is a `poll` function that keeps its progress in `Reading` and `Shared`, so that a
//! dropped future loses nothing.

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use std::time::Instant;

use alloc::boxed::Box;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::Sleep;

use super::group::Member;
use super::shared::{Both, Half, Shared};
use crate::adapter::{End, Inbound, Phase, Step, Want, unexpected_eof};
use crate::connection::Closed;
use crate::error::{Error, TimedOut};
use crate::message::Message;

/// The receiving half's state: whoever receives has it alone.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) inbound: Inbound,
    /// The time of the last read: one look at the clock for all the messages it brought.
    now: Instant,
    timer: Timer,
    /// Set once nothing more will be received; boxed, since most of a connection's life it is not.
    end: Option<Box<End>>,
    /// Of a connection that `serve` accepted.
    member: Option<Member>,
}

impl Reading {
    #[inline]
    pub(super) fn new(inbound: Inbound, now: Instant) -> Self {
        Self { inbound, now, timer: Timer::default(), end: None, member: None }
    }

    /// The opening handshake of a connection of `serve` is over.
    pub(super) fn join<S>(&mut self, member: Member, both: &Both<S>) {
        member.open(both.waker());
        self.member = Some(member);
    }

    /// How the connection closed, once it has.
    pub(super) fn closed(&self) -> Option<&Closed> {
        self.end.as_ref()?.closed.as_ref()
    }

    /// See [`Inbound::whole_message`].
    #[inline]
    pub(super) fn whole_message<S>(&mut self, both: &Both<S>) -> Option<Message> {
        if self.end.is_some() {
            return None;
        }
        match self.inbound.whole_message(self.now)? {
            Ok(message) => {
                both.set_unread(!self.inbound.input.is_empty());
                Some(message)
            }
            Err(error) => {
                self.inbound.fail(error, self.now, &mut &*both);
                self.end = Some(Box::new(End::new(Some(Error::Protocol(error)), Phase::Flush)));
                None
            }
        }
    }

    /// The next thing that `want` asks for. `None`: the connection has ended, and its error, if it had
    /// one, was returned before.
    pub(super) fn poll_next<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &Context<'_>,
        both: &Both<S>,
        half: Half,
        want: Want,
    ) -> Poll<Option<Result<Step, Error>>> {
        while self.end.is_none() {
            match self.inbound.advance(want, self.now, &mut &*both) {
                Step::NeedInput => {
                    if let Err(error) = ready!(both.poll(half, cx, |cx| self.poll_input(cx, both))) {
                        self.end = Some(Box::new(End::new(Some(error), Phase::Over)));
                    }
                }
                Step::End(error) => {
                    self.end = Some(Box::new(End::new(error.map(Error::Protocol), Phase::Flush)));
                }
                step => {
                    if core::mem::take(&mut self.inbound.answered) {
                        // Whether it could be written or not, the message comes first.
                        let _ = both.poll(half, cx, |cx| both.with(|shared| shared.poll_flush(cx)));
                    }
                    both.set_unread(!self.inbound.input.is_empty());
                    return Poll::Ready(Some(Ok(step)));
                }
            }
        }
        ready!(both.poll(half, cx, |cx| self.poll_end(cx, both)));
        Poll::Ready(self.end.as_mut().and_then(|end| end.error.take()).map(Err))
    }

    /// Writes what is queued, as far as it goes, and waits until bytes were read. Fails when the
    /// transport or the peer's patience has ended.
    fn poll_input<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        both: &Both<S>,
    ) -> Poll<Result<(), Error>> {
        loop {
            let (read, deadline) = both.with(|shared| {
                // Before each read, since a peer that never pauses would keep the timer from being polled.
                self.inbound.handle_timeout(self.now, &mut shared.outbound)?;
                // A transport that takes no more may still have something to read.
                let _ = shared.poll_flush(cx);
                let read = pin!(shared.io.read_buf(self.inbound.room())).poll(cx);
                shared.sooner = false;
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
                Poll::Pending => self.inbound.release(),
            }
            if self.member.as_ref().is_some_and(Member::is_to_stop) {
                self.now = now();
                if both.with(|shared| self.inbound.stop(self.now, &mut shared.outbound)) {
                    continue;
                }
            }
            let deadline = [deadline, self.inbound.receiving.poll_timeout()].into_iter().flatten().min();
            ready!(self.timer.poll(cx, deadline));
            self.now = now();
            both.retire_later();
        }
    }

    /// Ends the connection: what is queued is written, a server closes the transport at once, and a
    /// client when the server has; a server waits for the client to do so. "An endpoint SHOULD use a
    /// method that cleanly closes the TCP connection, [...] discarding any trailing bytes that may have
    /// been received" (section 7.1.1).
    fn poll_end<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        both: &Both<S>,
    ) -> Poll<()> {
        let Some(end) = &mut self.end else {
            return Poll::Ready(());
        };
        while end.phase != Phase::Done {
            let (progress, deadline) = both.with(|shared| {
                let close_first = self.inbound.receiving.should_close_transport(&shared.outbound.sending);
                (end.phase.poll(cx, shared, close_first), shared.outbound.sending.poll_timeout())
            });
            match progress {
                Poll::Ready(Phase::Over) => {
                    let closed = both.with(|shared| {
                        shared.outbound.end();
                        self.inbound.end(&shared.outbound)
                    });
                    end.closed = Some(closed);
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

/// The time, which a test may have stopped.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

pub(super) fn timed_out() -> Error {
    Error::TimedOut(TimedOut::OpeningHandshake)
}
