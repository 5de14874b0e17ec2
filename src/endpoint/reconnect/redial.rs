//! What a client that connects again knows beside its connection, whatever moves its bytes.

use core::time::Duration;
use std::time::{Instant, SystemTime};

use super::super::error::Error;
use super::super::queued::Queued;
use super::backoff::Backoff;
use super::ended::Ended;
use super::event::{Attempt, Event, Lost, sum};
use super::policy::Policy;
use crate::connection::Closed;
use crate::error::SendError;
use crate::message::Message;

/// What is to be told, and what comes next.
#[derive(Debug)]
pub(crate) struct Redial {
    backoff: Backoff,
    /// What the next attempt is told.
    last: Option<Lost>,
    /// What the program is to be told, in this order: how the last connection or attempt ended, of all that did so while it
    /// waited to send, and whether one is open.
    untold: (Option<Lost>, bool),
    /// What came then over a connection that it could not send over any more, behind that.
    kept: Option<Message>,
    /// Messages that the connection did not take, since it had ended.
    untaken: usize,
    /// The program has closed it: what ends now is the end of all.
    closing: bool,
    closed: Option<Closed>,
    /// Of all connections together.
    unwritten: Queued,
}

impl Redial {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            backoff: Backoff::new(policy),
            last: None,
            untold: (None, false),
            kept: None,
            untaken: 0,
            closing: false,
            closed: None,
            unwritten: Queued::default(),
        }
    }

    /// The next attempt begins.
    pub(crate) fn attempt(&mut self) -> Attempt {
        Attempt::new(self.backoff.failed().saturating_add(1), self.last.take())
    }

    /// It has come to a connection.
    pub(crate) fn opened(&mut self, now: Instant) {
        self.backoff.opened(now);
        self.untold.1 = true;
    }

    /// A connection has ended, of which so much was `unwritten`, or an attempt has failed: how long to wait before the next.
    /// `None`, or an error: it has ended for good.
    pub(crate) fn ended(
        &mut self,
        ended: Ended,
        mut unwritten: Queued,
        now: Instant,
        random: fn(&mut [u8]),
    ) -> Result<Option<Duration>, Error> {
        unwritten.messages += core::mem::take(&mut self.untaken);
        self.unwritten = sum(self.unwritten, unwritten);
        if let Ended::Closed(closed) = &ended {
            self.closed = Some(closed.clone());
        }
        let mut bits = [0; 8];
        random(&mut bits);
        let delay = self.backoff.ended(&ended, now, SystemTime::now(), u64::from_ne_bytes(bits));
        match (delay.filter(|_| !self.closing), ended) {
            (Some(delay), ended) => {
                let lost = Lost::new(ended, delay, unwritten);
                self.last = Some(lost.clone());
                self.untold = (Some(lost.with(self.untold.0.as_ref())), false);
                Ok(Some(delay))
            }
            (None, Ended::Closed(_)) => Ok(None),
            (None, Ended::Failed(error)) => Err(error),
        }
    }

    /// What the program is to be told next.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        let (lost, open) = &mut self.untold;
        let event = lost.take().map(Event::Lost);
        let event = event.or_else(|| core::mem::take(open).then_some(Event::Open));
        event.or_else(|| self.kept.take().map(Event::Message))
    }

    /// Whether a program that sends, and whose connection has ended, may go on to the next: not beyond what it has not
    /// received.
    pub(crate) fn goes_on(&self) -> bool {
        self.kept.is_none() && !self.closing
    }

    /// A message came while it goes on.
    pub(crate) fn keep(&mut self, message: Message) {
        self.kept = Some(message);
    }

    /// The connection did not take a message, which is no error if that is because it has ended: then it is counted.
    pub(crate) fn not_taken(&mut self, error: &Error) -> Result<(), Error> {
        match error {
            Error::Send(error) if self.closing || *error != SendError::Closing => Err((*error).into()),
            _ => {
                self.untaken = self.untaken.saturating_add(1);
                Ok(())
            }
        }
    }

    /// The program closes it: there is no other attempt.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    /// How the last connection that was closed was closed.
    pub(crate) fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// What was sent and not written, on all connections together.
    pub(crate) fn unwritten(&self) -> Queued {
        self.unwritten
    }
}
