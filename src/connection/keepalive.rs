//! Keepalive: a Ping after silence, and giving up on a peer that does not answer it.
//!
//! "A Ping frame may serve either as a keepalive or as a means to verify that the remote endpoint is still
//! responsive." (RFC 6455 section 5.5.2)

use core::time::Duration;

use super::clock::Instant;

/// Watches the peer's silence. Every byte from the peer, not only a Pong, shows that it is alive.
#[derive(Debug)]
pub(super) struct Keepalive<I> {
    /// When bytes last arrived, or the Ping was sent after them.
    since: I,
    /// A Ping was sent, and nothing arrived after it.
    pinged: bool,
}

/// What is to be done about a peer that was silent for too long.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Due {
    Ping,
    GiveUp,
}

impl<I: Instant> Keepalive<I> {
    pub(super) fn new(now: I) -> Self {
        Self { since: now, pinged: false }
    }

    #[inline]
    pub(super) fn on_bytes(&mut self, now: I) {
        *self = Self::new(now);
    }

    /// `interval` is how long the peer may be silent before a Ping, `timeout` how long after it. `None` when
    /// the deadline is beyond what `I` can tell.
    pub(super) fn poll_timeout(&self, (interval, timeout): (Duration, Duration)) -> Option<I> {
        self.since.checked_add(if self.pinged { timeout } else { interval })
    }

    pub(super) fn handle_timeout(&mut self, times: (Duration, Duration), now: I) -> Option<Due> {
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
