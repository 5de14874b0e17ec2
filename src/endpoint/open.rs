//! An endpoint's open connection: what is handed out, read for and written.

use std::io::{self, ErrorKind, Write};
use std::time::Instant;

use super::closing::{Act, Outcome};
use super::error::Error;
use super::events::{EndpointEvent, Incoming};
use super::inbound::{Inbound, Next};
use super::negotiated::Negotiated;
use super::outbound::Outbound;
use crate::config::Config;
use crate::error::SendError;
use crate::message::Message;

/// An open connection.
pub(super) struct Open {
    pub(super) negotiated: Negotiated,
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
    /// All that was read was looked at: more may be read.
    pub(super) looked: bool,
    /// How reading ended, which is told when all before it was looked at.
    ended: Option<Outcome>,
    /// A message was handed out in this round: what is sent is an answer.
    handed_out: bool,
    /// An answer was queued since the queue was last not full.
    answered: bool,
    /// Held back until it is not: an answer to it is not to wait in memory for a peer that does not read.
    held: Option<Message>,
}

impl Open {
    pub(super) fn new(
        negotiated: Negotiated,
        config: &Config,
        random: fn(&mut [u8]),
        read_ahead: &[u8],
        now: Instant,
    ) -> Self {
        Self {
            inbound: Inbound::new(&negotiated, config, read_ahead, now),
            outbound: Outbound::new(&negotiated, config, random, now),
            negotiated,
            looked: false,
            ended: None,
            handed_out: false,
            answered: false,
            held: None,
        }
    }

    /// What happened next, if anything. The stream may have `more` to read.
    pub(super) fn next_event(&mut self, now: Instant, more: bool) -> Result<Option<EndpointEvent>, Error> {
        self.did(Outcome::Again, now);
        self.answered &= self.outbound.is_full();
        loop {
            if self.waits() {
                match self.outbound.sending.handle_timeout(now) {
                    Ok(()) => return Ok(None),
                    Err(late) => self.did(Outcome::Failed(late.into()), now),
                }
            }
            if let Some(message) = self.held.take() {
                self.handed_out = true;
                return Ok(Some(EndpointEvent::Message(message)));
            }
            let outcome = match self.inbound.next::<Incoming>(&mut self.outbound) {
                Next::Item(Incoming::Message(message)) => {
                    self.held = Some(message);
                    continue;
                }
                Next::Item(Incoming::Ping(payload)) => return Ok(Some(EndpointEvent::Ping(payload))),
                Next::Item(Incoming::Pong(payload)) => return Ok(Some(EndpointEvent::Pong(payload))),
                // More is due at once.
                Next::Yield => return Ok(None),
                Next::Do(Act::Shutdown) => {
                    self.did(Outcome::Done, now);
                    return Ok(Some(EndpointEvent::ShutDown));
                }
                Next::Do(act) => match (act, self.ended.take()) {
                    (_, Some(ended)) => ended,
                    (Act::Fill, None) => match self.judge(more) {
                        Ok(()) => return Ok(None),
                        Err(late) => Outcome::Failed(late),
                    },
                    (_, None) => return Ok(None),
                },
                Next::Over(error) => return error.map_or(Ok(Some(EndpointEvent::Over)), Err),
            };
            self.did(outcome, now);
        }
    }

    /// All that was read was looked at: what is late now is late, but for a peer that has `more` to be read.
    fn judge(&mut self, more: bool) -> Result<(), Error> {
        self.looked = true;
        if more {
            self.inbound.spare();
        }
        self.inbound.handle_timeout(&mut self.outbound)?;
        if !more {
            self.inbound.release();
        }
        Ok(())
    }

    /// What is to be done with the stream.
    pub(super) fn act(&self) -> Option<Act> {
        match self.inbound.ending() {
            None => (self.looked && self.ended.is_none()).then_some(Act::Fill),
            Some(ending) => ending.act(),
        }
    }

    /// What came of reading for `act`.
    pub(super) fn was_read(&mut self, act: Act, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Eof | Outcome::ReadFailed(_) if act == Act::Fill => {
                (self.looked, self.ended) = (false, Some(outcome));
            }
            outcome => self.did(outcome, now),
        }
    }

    /// Queues something to be sent.
    pub(super) fn queue(
        &mut self,
        f: impl FnOnce(&mut Outbound) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        self.answered |= self.handed_out;
        self.outbound.queue(f)
    }

    /// Writes what is queued, which ends the round. Whether there was something.
    pub(super) fn write(&mut self, io: &mut impl Write, now: Instant) -> io::Result<bool> {
        self.handed_out = false;
        if self.outbound.has_lost() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let written = !self.outbound.queue.is_empty();
        while !self.outbound.queue.is_empty() {
            let queue = &mut self.outbound.queue;
            let len = insist(|| io.write(queue.front()))?;
            queue.advance(len);
            self.outbound.on_written(len, || now);
            self.outbound.on_look(now);
        }
        Ok(written)
    }

    /// What is unread may be received all the same; the end of it tells what became of the connection.
    pub(super) fn fail_writes(&mut self, error: io::Error, now: Instant) {
        self.outbound.fail_writes(false);
        if self.inbound.ending().is_some() {
            self.did(Outcome::Failed(Error::ConnectionLost(error)), now);
        }
    }

    /// Whether there is something to do at once, beside reading.
    pub(super) fn goes_on(&self, blocked: bool) -> bool {
        let unwritten = !blocked && !self.outbound.queue.is_empty();
        unwritten
            || match self.inbound.ending() {
                None => !self.looked && !self.waits(),
                Some(ending) => ending.goes_on(blocked),
            }
    }

    /// The next deadline. A peer that is not read from is not judged.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let receiving = self.inbound.poll_timeout().filter(|_| !self.waits());
        [receiving, self.inbound.poll_sending(&self.outbound)].into_iter().flatten().min()
    }

    pub(super) fn did(&mut self, outcome: Outcome, now: Instant) {
        if matches!(outcome, Outcome::Written) {
            // The write deadline is met by a flush, too.
            self.outbound.on_written(0, || now);
        }
        self.inbound.did(outcome, now, &mut self.outbound);
    }

    /// Whether a message is held back.
    fn waits(&self) -> bool {
        self.held.is_some() && self.answered && self.outbound.is_full() && self.inbound.ending().is_none()
    }
}

/// Until it is not interrupted. To take nothing is an error.
pub(super) fn insist(mut write: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match write() {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
