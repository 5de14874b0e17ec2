//! Keepalive: a Ping after silence, and giving up on a peer that does not answer it.
//!
//! RFC 6455 section 5.5.2: "A Ping frame may serve either as a keepalive or as a means to verify that
//! the remote endpoint is still responsive."

use core::time::Duration;
use std::time::Instant;

/// Watches the peer's silence. Every byte from the peer, not only a Pong, shows that it is alive.
#[derive(Debug)]
pub(crate) struct Keepalive {
    /// When bytes last arrived, or the Ping was sent after them.
    since: Instant,
    /// A Ping was sent, and nothing arrived after it.
    pinged: bool,
}

/// How long a peer may be silent before a Ping, and after it.
pub(crate) type Times = (Duration, Duration);

/// What is due.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Due {
    Ping,
    GiveUp,
}

impl Keepalive {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, pinged: false }
    }

    #[inline]
    pub(crate) fn on_bytes(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// `None` when the deadline is beyond what an `Instant` can tell.
    pub(crate) fn poll_timeout(&self, (interval, timeout): Times) -> Option<Instant> {
        self.since.checked_add(if self.pinged { timeout } else { interval })
    }

    pub(crate) fn handle_timeout(&mut self, times: Times, now: Instant) -> Option<Due> {
        if self.poll_timeout(times).is_none_or(|deadline| now < deadline) {
            return None;
        }
        if self.pinged {
            return Some(Due::GiveUp);
        }
        *self = Self { since: now, pinged: true };
        Some(Due::Ping)
    }
}
