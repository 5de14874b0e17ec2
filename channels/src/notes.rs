//! What becomes of a connection, and of a hub, as those are told who look at the hub from outside.

use std::collections::BTreeMap;

use crate::ask::AskError;
use crate::close::{Close, Leave};
use crate::connection::Connection;
use crate::hub::Inner;
use crate::metrics::Counters;
use crate::refusal::Refusal;
use crate::slow::Slow;
use crate::span;
use crate::sync::{Mutex, lock};

/// What has become of a connection: it is counted, and an event in its [span](crate::span). No payload is ever part of it, nor
/// what a client says who it is.
#[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "what is told is more than what is counted"))]
pub(crate) enum Note<'a> {
    Joined {
        topic: &'a str,
    },
    Refused {
        topic: &'a str,
        refusal: &'a Refusal,
    },
    /// A join is over, and nobody is told.
    Cancelled {
        topic: &'a str,
    },
    Left {
        topic: &'a str,
        why: Leave,
    },
    Crashed {
        topic: &'a str,
    },
    /// It does not take what it is sent.
    Slow(&'a Slow),
    /// The server ends it.
    Closed(&'a Close),
    /// It has ended.
    Ended(Leave),
}

/// What has become of a hub beside its connections: it is counted, and an event.
#[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "what is told is more than what is counted"))]
pub(crate) enum HubNote<'a> {
    /// Somebody was not let in.
    Refused {
        status: u16,
        /// What he was told, in a sentence of ours.
        why: &'a [u8],
    },
    /// There is a connection to the broker, for the first time or again.
    BrokerUp,
    BrokerDown,
}

impl Inner {
    /// Takes a note. Called with nothing locked, as is that of a connection.
    pub(crate) fn note(&self, note: &HubNote<'_>) {
        match note {
            HubNote::Refused { status, .. } => Counters::count_number(&self.counters.refusals, *status),
            HubNote::BrokerUp => {}
            HubNote::BrokerDown => self.counters.backplane_downs.add(1),
        }
        span::tell_of_hub(note);
    }
}

impl Connection {
    /// Takes a note. Called with nothing locked: who is told does what he likes.
    pub(crate) fn note(&self, note: &Note<'_>) {
        self.hub.inner().counters.count(note);
        self.span.tell(note);
    }
}

impl Counters {
    fn count(&self, note: &Note<'_>) {
        let counter = match note {
            Note::Joined { .. } => &self.joins_ok,
            Note::Refused { refusal, .. } if refusal.is_final() => &self.joins_refused,
            Note::Refused { refusal, .. } => match refusal.reason() {
                "busy" => &self.joins_busy,
                "timeout" => &self.joins_timed_out,
                "join crashed" => &self.joins_crashed,
                _ => &self.joins_retried,
            },
            Note::Cancelled { .. } => &self.joins_cancelled,
            Note::Crashed { .. } => &self.crashes,
            Note::Closed(close) => return Self::count_number(&self.closes, close.code()),
            // The core has closed it, since its server stops.
            Note::Ended(Leave::Drained) => return Self::count_number(&self.closes, 1001),
            Note::Ended(Leave::Lost) => &self.lost,
            Note::Ended(_) => &self.left,
            Note::Left { .. } | Note::Slow(_) => return,
        };
        counter.add(1);
    }

    /// A question has been put, be it answered or not.
    pub(crate) fn count_ask(&self, error: Option<&AskError>) {
        let counter = match error {
            None => &self.asks_ok,
            Some(AskError::Payload(_)) => &self.asks_bad,
            Some(AskError::Gone) => &self.asks_gone,
            Some(AskError::TimedOut) => &self.asks_timed_out,
            Some(AskError::Refused(_)) => &self.asks_refused,
            Some(AskError::TooMany) => &self.asks_too_many,
            Some(AskError::Backplane(_)) => &self.asks_unsent,
        };
        counter.add(1);
    }

    /// Somebody has joined, who has got all that he has missed, or not, or does not come back.
    pub(crate) fn count_recovery(&self, is_recovered: Option<bool>) {
        match is_recovered {
            Some(true) => self.recoveries_won.add(1),
            Some(false) => self.recoveries_lost.add(1),
            None => {}
        }
    }

    fn count_number(of: &Mutex<BTreeMap<u16, u64>>, number: u16) {
        *lock(of).entry(number).or_default() += 1;
    }
}
