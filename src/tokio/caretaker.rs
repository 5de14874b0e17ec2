//! A task that does what a receiving half does, but for the messages: it begins when the program [is
//! seen](super::watch) not to receive, and ends when the program comes back to it.

use alloc::sync::{Arc, Weak};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use tokio::runtime::Handle;

use super::program::Program;
use super::shared::{FlusherState, Reading, Shared, direct_flusher};
use super::timer::Timer;
use super::tracker::Token;
use super::transport::Transport;
use super::wakers::Half;
use super::watch::{Watched, watch};
use crate::endpoint::{Error, Nothing};
use crate::sender::SendState;

impl<S: Transport> Shared<S> {
    /// Has the program watched, which has received something, or may not come back to it.
    #[cold]
    pub(super) fn watch(self: &Arc<Self>, reading: &mut Reading, program: Program) {
        if reading.program == Program::Neglects {
            // The caretaker ends.
            self.wakers.wake_half(Half::Receiving);
        }
        reading.program = program;
        if !reading.watched {
            let weak: Weak<Self> = Arc::downgrade(self);
            reading.watched = watch(weak);
            if !reading.watched {
                // The next call that receives tries again.
                reading.program = Program::Rests;
            }
        }
    }

    /// Takes note of what the program does.
    #[inline]
    pub(super) fn note(self: &Arc<Self>, reading: &mut Reading, program: Program) {
        self.set_waits(program == Program::Waits);
        if program == Program::Waits && reading.program != Program::Neglects {
            reading.program = program;
        } else {
            self.watch(reading, program);
        }
    }

    /// Has the connection taken care of. Not with a lock of ours: where there is no runtime for it, or one that ends, the
    /// task is dropped at once, and says so.
    pub(super) fn take_care(self: &Arc<Self>) {
        let caretaker = Caretaker(self.clone());
        let _ = Handle::try_current().map(|runtime| runtime.spawn(caretaker));
    }
}

/// What becomes of a connection when halves of it are dropped.
impl<S: Transport> Shared<S> {
    /// Whether nobody is left but tasks of ours, and the server that accepted the connection has ended.
    pub(super) fn is_cut_off(&self) -> bool {
        // One lock after the other: held together, they would be taken in the wrong order.
        let dropped = self.lock().halves == 0;
        dropped && self.reading.take().token.as_ref().is_some_and(Token::is_cut_off)
    }

    /// A half is dropped.
    pub(super) fn leave(self: &Arc<Self>) {
        let mut locked = self.lock();
        locked.halves -= 1;
        if locked.halves > 0 {
            return;
        }
        // What `send` left is offered to the transport at once: the runtime may end next.
        let left = matches!(locked.flusher, FlusherState::Due | FlusherState::Waiting(_));
        if left && !std::thread::panicking() {
            let _ = locked.poll_flush(&mut Context::from_waker(self.waker()));
        }
        direct_flusher(locked, FlusherState::Due);
        let mut reading = self.reading.take();
        if self.is_abandoned(&reading) || reading.program == Program::Left {
            // There is nothing to take care of any more, or a caretaker to see what there is.
            drop(reading);
            self.wakers.wake_half(Half::Receiving);
        } else {
            reading.program = Program::Left;
            drop(reading);
            self.take_care();
        }
    }

    /// Whether the program has dropped all it had, and nothing is left to do but to write what was accepted. A Close frame
    /// that was written, or answers the peer's, or is to be written by a server that stops, is to be seen, and answered,
    /// before the transport ends; for which the peer has a moment.
    pub(super) fn is_abandoned(&self, reading: &Reading) -> bool {
        let stopping = reading.token.as_ref().is_some_and(Token::is_to_stop);
        let locked = self.lock();
        let sending = &locked.outbound.sending;
        let closing = self.closed.get().is_none()
            && sending.state() == SendState::CloseSent
            && (stopping || sending.is_refused() || locked.outbound.queue.is_empty());
        locked.halves == 0 && !closing
    }

    /// Once the receiving half was dropped, completes the closing handshake; else writes what is queued.
    pub(super) fn poll_close(&self, cx: &Context<'_>, timer: &mut Timer) -> Poll<Result<(), Error>> {
        let mut reading = self.reading.take();
        match reading.program {
            // Its caretaker does it, and wakes us.
            Program::Left if self.closed.get().is_none() => {
                self.wakers.register(Half::Sending, cx.waker());
                Poll::Pending
            }
            Program::Left | Program::Alone => {
                reading.poll_next::<S, Nothing>(cx, self, Half::Sending).map_ok(drop)
            }
            _ => {
                drop(reading);
                self.poll_sending(Half::Sending, cx, |locked, cx| locked.poll_flush_in_time(cx, timer))
            }
        }
    }
}

/// Whether there is to be a caretaker.
impl<S: Transport> Watched for Shared<S> {
    fn look(self: Arc<Self>) -> bool {
        let Some(mut reading) = self.reading.try_take() else {
            return true;
        };
        if self.closed.get().is_none() && self.lock().halves > 0 {
            match reading.program {
                Program::Receives => {
                    reading.program = Program::Pauses;
                    return true;
                }
                Program::Waits => {
                    reading.program = Program::Rests;
                    return true;
                }
                // One that only sends waits as the sending half, too.
                Program::Polled if self.wakers.has(Half::Receiving) => return true,
                Program::Closing if self.wakers.has(Half::Sending) => return true,
                Program::Pauses | Program::Polled | Program::Closing => {
                    (reading.program, reading.watched) = (Program::Neglects, false);
                    drop(reading);
                    self.take_care();
                    return false;
                }
                Program::Rests | Program::Neglects | Program::Left | Program::Alone => {}
            }
        }
        reading.watched = false;
        false
    }
}

struct Caretaker<S: Transport>(Arc<Shared<S>>);

impl<S: Transport> Future for Caretaker<S> {
    type Output = ();

    /// It polls in the receiving half's place, which wakes this when it takes that back.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &self.0;
        let mut reading = shared.reading.take();
        match reading.program {
            _ if shared.is_abandoned(&reading) => Poll::Ready(()),
            Program::Neglects => reading.poll_ahead(cx, shared),
            // Nobody will receive it.
            Program::Left => reading.poll_next::<S, Nothing>(cx, shared, Half::Receiving).map(|over| {
                if let Err(error) = over {
                    reading.inbound.put_back(error);
                }
                shared.wakers.wake_half(Half::Sending);
            }),
            _ => Poll::Ready(()),
        }
    }
}

impl<S: Transport> Drop for Caretaker<S> {
    /// Its runtime may end before the connection.
    fn drop(&mut self) {
        let mut reading = self.0.reading.take();
        if reading.program == Program::Left {
            reading.program = Program::Alone;
            self.0.wakers.wake_half(Half::Sending);
        }
    }
}
