//! Keepalive: a Ping after silence, and giving up on a peer that does not answer it.
//!
//! RFC 6455 section 5.5.2: "A Ping frame may serve either as a keepalive or as a means to verify that
//! the remote endpoint is still responsive."

use core::time::Duration;
use std::time::Instant;

/// Watches the peer's silence. Every byte from the peer, not only a Pong, shows that it is alive.
#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: Duration,
    timeout: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Bytes arrived at `since`, and no Ping was sent after them.
    Quiet { since: Instant },
    /// A Ping was sent at `pinged`, and nothing arrived after it.
    AwaitingAnswer { pinged: Instant },
}

/// What is due.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Due {
    Ping,
    GiveUp,
}

impl Keepalive {
    pub(crate) fn new((interval, timeout): (Duration, Duration), now: Instant) -> Self {
        Self { interval, timeout, state: State::Quiet { since: now } }
    }

    #[inline]
    pub(crate) fn on_bytes(&mut self, now: Instant) {
        self.state = State::Quiet { since: now };
    }

    /// `None` when the deadline is beyond what an `Instant` can tell.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Quiet { since } => since.checked_add(self.interval),
            State::AwaitingAnswer { pinged } => pinged.checked_add(self.timeout),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return None;
        }
        Some(match self.state {
            State::Quiet { .. } => {
                self.state = State::AwaitingAnswer { pinged: now };
                Due::Ping
            }
            State::AwaitingAnswer { .. } => Due::GiveUp,
        })
    }
}
