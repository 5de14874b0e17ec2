//! What a receiving half does for the driver: it moves bytes, and waits no longer than a deadline.

use core::time::Duration;
use std::io::{self, Read};
use std::time::Instant;

use super::ports::Port;
use super::retry::Wrote;
use super::shared::Reading;
use super::tracker::LOOK;
use super::transport::{Transport, is_passing};
use crate::endpoint::sync::sleep;
use crate::endpoint::{Act, Error, Inbound, Item, Next, Outbound, Outcome};
use crate::error::TimedOut;
use crate::sender::SendState;

impl Reading {
    /// The next thing that `T` asks for. `None`: the connection has ended, and its error, if it had
    /// one, was returned before.
    #[inline]
    pub(super) fn next<T: Item>(&mut self, mut port: impl Port) -> Result<Option<T>, Error> {
        if let Some(item) = self.inbound.whole::<T>(&mut port) {
            return Ok(Some(item));
        }
        self.next_after::<T>(port)
    }

    fn next_after<T: Item>(&mut self, mut port: impl Port) -> Result<Option<T>, Error> {
        loop {
            match self.inbound.next::<T>(&mut port) {
                Next::Item(item) => {
                    if self.inbound.take_answered() {
                        // Whether it can be written or not, the message comes first.
                        let _ = port.flush();
                    }
                    return Ok(Some(item));
                }
                // A thread is not shared.
                Next::Yield => {}
                Next::Over(error) => return error.map_or(Ok(None), Err),
                Next::Do(act) => {
                    let outcome = self.perform(act, &mut port);
                    port.outbound(|outbound| self.inbound.did(outcome, Instant::now(), outbound));
                }
            }
        }
    }

    fn perform(&mut self, act: Act, port: &mut impl Port) -> Outcome {
        match act {
            Act::Fill => self.fill(port),
            Act::Hold => Outcome::Again,
            Act::Flush { discard } => match self.flush(port) {
                Ok(true) => Outcome::Written,
                // No longer than that: another thread may have written all by now.
                Ok(false) if discard => self.discard(port, Some(self.retry.after())),
                Ok(false) => self.pause(port),
                Err(error) => Outcome::Failed(error),
            },
            Act::Shutdown => match port.stream().shutdown_write() {
                Ok(()) => Outcome::Done,
                Err(error) if is_passing(&error) => self.pause(port),
                Err(error) => Outcome::Failed(Error::ConnectionLost(error)),
            },
            Act::Discard => self.discard(port, None),
        }
    }

    fn fill<P: Port>(&mut self, port: &mut P) -> Outcome {
        // A transport that takes no more may still have something to read.
        let written = matches!(self.flush(port), Ok(true));
        let due = |outbound: &mut Outbound| {
            self.inbound.handle_timeout(outbound)?;
            Ok::<_, TimedOut>(!outbound.queue.is_empty())
        };
        match port.outbound(due) {
            // A Ping was due.
            Ok(true) if written => drop(self.flush(port)),
            Ok(_) => {}
            Err(timed_out) => return Outcome::Failed(timed_out.into()),
        }
        // What has come is handed out before the server's stop: a look that hardly waits.
        let stopping = self.token.as_ref().is_some_and(|token| token.is_to_stop())
            && port.outbound(|outbound| outbound.sending.state() == SendState::Open);
        let outcome = self.read(port, stopping.then_some(Duration::ZERO), Inbound::fill);
        if stopping && matches!(outcome, Outcome::Again | Outcome::Late) {
            port.outbound(|outbound| self.inbound.stop(Instant::now(), outbound));
        }
        outcome
    }

    /// Writes what is queued. False if not all of it was.
    fn flush(&mut self, port: &mut impl Port) -> Result<bool, Error> {
        let wrote = port.flush()?;
        self.retry.note(wrote);
        Ok(wrote == Wrote::All)
    }

    fn discard<P: Port>(&mut self, port: &mut P, most: Option<Duration>) -> Outcome {
        self.read(port, most, |_, io| io.read(&mut [0; 1024]))
    }

    /// Reads once, and waits no longer than until the next deadline, or `most`. What has come before a deadline that has
    /// passed is read: the caller may have been busy.
    fn read<P: Port>(
        &mut self,
        port: &mut P,
        most: Option<Duration>,
        read: impl FnOnce(&mut Inbound, &mut P::Stream) -> io::Result<usize>,
    ) -> Outcome {
        let left = self.left(port);
        let look = self.token.as_ref().map(|_| LOOK);
        let wait = [left, port.longest_wait(self.retry.after()), look, most].into_iter().flatten().min();
        let stream = port.stream();
        match self.timeout.set(stream, wait).and_then(|()| read(&mut self.inbound, stream)) {
            Err(error) if is_passing(&error) && left == Some(Duration::ZERO) => Outcome::Late,
            Err(error) if is_passing(&error) => Outcome::Again,
            read => read.map_err(Error::ConnectionLost).into(),
        }
    }

    /// Waits a little, since another thread is writing, and there is nothing to read any more.
    fn pause(&self, port: &mut impl Port) -> Outcome {
        match self.left(port) {
            Some(Duration::ZERO) => Outcome::Late,
            left => {
                let retry = self.retry.after();
                sleep(left.map_or(retry, |left| left.min(retry)));
                Outcome::Again
            }
        }
    }

    /// How long it is to the next deadline, if there is one.
    fn left(&self, port: &mut impl Port) -> Option<Duration> {
        let sending = port.outbound(|outbound| outbound.sending.poll_timeout());
        let deadline = [self.inbound.poll_timeout(), sending].into_iter().flatten().min()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }
}
