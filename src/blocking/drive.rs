//! What a receiving half does for the driver: it moves bytes, and waits no longer than a deadline.

use core::task::Poll;
use core::time::Duration;
use std::io;
use std::time::Instant;

use super::ports::Port;
use super::retry::Wrote;
use super::shared::{LOOK_AFTER, Reading};
use super::tracker::LOOK;
use super::transport::{Transport, is_passing};
use crate::endpoint::sync::sleep;
use crate::endpoint::{Act, Error, Inbound, Item, Next, Nothing, Outbound, Outcome};
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
            if let Poll::Ready(item) = self.next_until::<T>(&mut port, None)? {
                return Ok(item);
            }
        }
    }

    /// The same, but pending if it has not come at the time `until`. What has come is looked at in any case, once.
    pub(super) fn next_until<T: Item>(
        &mut self,
        port: &mut impl Port,
        until: Option<Instant>,
    ) -> Result<Poll<Option<T>>, Error> {
        let (mut left, mut over) = (until.map(left_until), false);
        loop {
            match self.inbound.next::<T>(port) {
                Next::Item(item) => {
                    if self.inbound.take_answered() {
                        // Whether it can be written or not, the message comes first.
                        let _ = port.flush();
                    }
                    return Ok(Poll::Ready(Some(item)));
                }
                // A thread is not shared.
                Next::Yield => {}
                Next::Over(error) => {
                    self.token = None;
                    return error.map_or(Ok(Poll::Ready(None)), Err);
                }
                Next::Do(_) if over => return Ok(Poll::Pending),
                Next::Do(act) => {
                    let outcome = self.perform(act, port, left);
                    port.outbound(|outbound| self.inbound.did(outcome, Instant::now(), outbound));
                    left = until.map(left_until);
                    over = left == Some(Duration::ZERO);
                }
            }
        }
    }

    /// Whether it is time to look at what has come, while the program sends and does not receive.
    pub(super) fn is_look_due(&self) -> bool {
        self.inbound.closed().is_none()
            && Instant::now().saturating_duration_since(self.inbound.looked()) >= LOOK_AFTER
    }

    /// Does what the connection owes its peer while the program does not receive, without waiting for anything. What has
    /// come stays to be received, or is to be discarded, if nobody will receive it.
    pub(super) fn look(&mut self, port: &mut impl Port, discard: bool) {
        for _ in 0..AT_ONCE {
            let next =
                if discard { self.inbound.next::<Nothing>(port) } else { self.inbound.look_ahead(port) };
            match next {
                Next::Item(never) => match never {},
                Next::Yield => {}
                Next::Over(error) => {
                    self.token = None;
                    return error.map_or((), |error| self.inbound.put_back(error));
                }
                Next::Do(act) => {
                    let outcome = self.perform(act, port, Some(Duration::ZERO));
                    let is_all = matches!(outcome, Outcome::Again);
                    port.outbound(|outbound| self.inbound.did(outcome, Instant::now(), outbound));
                    if is_all {
                        break;
                    }
                }
            }
        }
        // The server's stop may have queued something last.
        let written = self.flush(port);
        port.set_owes(matches!(written, Ok(false)));
    }

    /// Does what the driver asks for, and waits no longer than `most` for it.
    fn perform(&mut self, act: Act, port: &mut impl Port, most: Option<Duration>) -> Outcome {
        match act {
            Act::Fill => self.fill(port, most),
            Act::Hold => self.hold(port),
            Act::Flush { discard } => match self.flush(port) {
                Ok(true) => Outcome::Written,
                // No longer than that: another thread may have written all by now.
                Ok(false) if discard => {
                    let retry = self.retry.after();
                    self.discard(port, Some(most.map_or(retry, |most| most.min(retry))))
                }
                Ok(false) => self.pause(port, most),
                Err(error) => Outcome::Failed(error),
            },
            Act::Shutdown => match port.stream().shutdown_write() {
                Ok(()) => Outcome::Done,
                Err(error) if is_passing(&error) => self.pause(port, most),
                Err(error) => Outcome::Failed(Error::ConnectionLost(error)),
            },
            Act::Discard => self.discard(port, most),
        }
    }

    fn fill<P: Port>(&mut self, port: &mut P, most: Option<Duration>) -> Outcome {
        if let Err(timed_out) = self.prepare(port) {
            return Outcome::Failed(timed_out.into());
        }
        // What has come is handed out before the server's stop: a look that hardly waits.
        let stopping = self.is_stopping(port);
        let most = if stopping { Some(Duration::ZERO) } else { most };
        let outcome = self.read(port, most, Inbound::fill);
        if stopping && matches!(outcome, Outcome::Again | Outcome::Late) {
            port.outbound(|outbound| self.inbound.stop(Instant::now(), outbound));
        }
        outcome
    }

    /// The same, but for reading: as much was read as may be.
    fn hold(&mut self, port: &mut impl Port) -> Outcome {
        if let Err(timed_out) = self.prepare(port) {
            return Outcome::Failed(timed_out.into());
        }
        if self.is_stopping(port) {
            port.outbound(|outbound| self.inbound.stop(Instant::now(), outbound));
        }
        if self.left(port) == Some(Duration::ZERO) { Outcome::Late } else { Outcome::Again }
    }

    /// Writes what is queued, and does what is due.
    fn prepare(&mut self, port: &mut impl Port) -> Result<(), TimedOut> {
        // A transport that takes no more may still have something to read.
        let written = matches!(self.flush(port), Ok(true));
        let due = |outbound: &mut Outbound| {
            self.inbound.handle_timeout(outbound)?;
            Ok::<_, TimedOut>(!outbound.queue.is_empty())
        };
        // A Ping may have been due.
        if port.outbound(due)? && written {
            let _ = self.flush(port);
        }
        Ok(())
    }

    /// Whether the server stops, and the closing handshake is to be started because of it.
    fn is_stopping(&self, port: &mut impl Port) -> bool {
        self.token.as_ref().is_some_and(|token| token.is_to_stop())
            && port.outbound(|outbound| outbound.sending.state() == SendState::Open)
    }

    /// Writes what is queued. False if not all of it was.
    fn flush(&mut self, port: &mut impl Port) -> Result<bool, Error> {
        let wrote = port.flush()?;
        self.retry.note(wrote);
        Ok(wrote == Wrote::All)
    }

    fn discard<P: Port>(&mut self, port: &mut P, most: Option<Duration>) -> Outcome {
        self.read(port, most, Inbound::discard)
    }

    /// Reads once, and waits no longer than until the next deadline, or `most`. What has come before a deadline that has
    /// passed is read: the caller may have been busy.
    fn read<P: Port>(
        &mut self,
        port: &mut P,
        most: Option<Duration>,
        mut read: impl FnMut(&mut Inbound, &mut P::Stream) -> io::Result<usize>,
    ) -> Outcome {
        let left = self.left(port);
        let look = self.token.as_ref().map(|_| LOOK);
        let wait = [left, port.longest_wait(self.retry.after()), look, most].into_iter().flatten().min();
        let stream = port.stream();
        let mut result = self.timeout.set(stream, wait).and_then(|()| read(&mut self.inbound, stream));
        for _ in 0..AT_ONCE {
            // Nothing was waited for: it may have more that is not yet a whole record.
            let goes_on = most == Some(Duration::ZERO)
                && result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted);
            if !goes_on {
                break;
            }
            result = read(&mut self.inbound, stream);
        }
        match result {
            Err(error) if is_passing(&error) && left == Some(Duration::ZERO) => Outcome::Late,
            Err(error) if is_passing(&error) => Outcome::Again,
            read => read.map_err(Error::ConnectionLost).into(),
        }
    }

    /// Waits a little, since another thread is writing, and there is nothing to read any more.
    fn pause(&self, port: &mut impl Port, most: Option<Duration>) -> Outcome {
        match self.left(port) {
            Some(Duration::ZERO) => Outcome::Late,
            left => {
                let waits = [left, most].into_iter().flatten();
                sleep(waits.fold(self.retry.after(), Duration::min));
                Outcome::Again
            }
        }
    }

    /// How long it is to the next deadline, if there is one.
    fn left(&self, port: &mut impl Port) -> Option<Duration> {
        let sending = port.outbound(|outbound| self.inbound.poll_sending(outbound));
        let deadline = [self.inbound.poll_timeout(), sending].into_iter().flatten().min()?;
        Some(left_until(deadline))
    }
}

/// How long it is until then.
fn left_until(then: Instant) -> Duration {
    then.saturating_duration_since(Instant::now())
}

/// How much is done in one look, in steps that each may read once: a peer that never pauses is not to hold up a program
/// that sends.
const AT_ONCE: usize = 32;
