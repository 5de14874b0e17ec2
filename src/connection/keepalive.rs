//! Keepalive: a Ping after silence, the peer's or our own, and giving up on a peer that does not answer it.
//!
//! "A Ping frame may serve either as a keepalive or as a means to verify that the remote endpoint is still
//! responsive." (RFC 6455 section 5.5.2)

use core::time::Duration;

use super::clock::Instant;

/// Watches the peer's silence. Every frame from the peer, not only a Pong, shows that it is alive.
#[derive(Debug)]
pub(super) struct Keepalive<I> {
    /// When there was last a sign of life, or its time was up.
    since: I,
    /// How much of the input had arrived when it was last found to be incomplete; beyond what this holds, all counts
    /// as new.
    seen: u32,
    /// A Ping was sent after it, for whichever reason.
    asked: bool,
    /// The peer was silent for too long: the time for its answer to a Ping runs.
    pinged: bool,
}

/// What is to be done about silence that was too long.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Due {
    Ping,
    GiveUp,
}

impl<I: Instant> Keepalive<I> {
    pub(super) fn new(now: I) -> Self {
        Self { since: now, seen: 0, asked: false, pinged: false }
    }

    /// A frame has arrived.
    #[inline]
    pub(super) fn on_frame(&mut self, now: I) {
        *self = Self::new(now);
    }

    /// So much of the input was looked at, which holds no whole frame, and is `left` there, or not. How much of it
    /// arrived since the last look.
    pub(super) fn on_look(&mut self, len: usize, left: bool) -> usize {
        let arrived = len.saturating_sub(self.seen as usize);
        self.seen = if left { u32::try_from(len).unwrap_or(u32::MAX) } else { 0 };
        arrived
    }

    /// Some of a frame has arrived: it counts for `time`, or altogether.
    pub(super) fn on_part(&mut self, time: Option<Duration>, now: I) {
        if let Some(time) = time {
            self.since = self.since.checked_add(time).map_or(now, |since| since.min(now));
            // One that has made up for its silence need not answer before the frame ends.
            self.pinged &= self.since < now;
        } else {
            (self.since, self.asked, self.pinged) = (now, false, false);
        }
    }

    /// The peer has read, or could not yet: the time for its answer begins anew.
    pub(super) fn on_life(&mut self, then: I) {
        self.since = self.since.max(then);
    }

    /// Whether the time is counted from later than `sent`.
    #[cfg(all(feature = "std", feature = "handshake"))]
    #[inline]
    pub(super) fn is_after(&self, sent: I) -> bool {
        sent < self.since
    }

    /// The peer was silent for too long, and is to answer a Ping.
    pub(super) fn is_pinged(&self) -> bool {
        self.pinged
    }

    /// `interval` is how long the peer may be silent before a Ping, `timeout` how long after it. `None` when
    /// the deadline is beyond what `I` can tell.
    pub(super) fn poll_timeout(&self, (interval, timeout): (Duration, Duration)) -> Option<I> {
        self.since.checked_add(if self.pinged { timeout } else { interval })
    }

    /// What is due. We have been `silent` for the interval ourselves, or not. A Ping for that says nothing of the peer, which
    /// may not be able to answer, in the middle of a frame of its own; but it need not be asked twice.
    pub(super) fn handle_timeout(
        &mut self,
        times: (Duration, Duration),
        silent: bool,
        now: I,
    ) -> Option<Due> {
        if self.poll_timeout(times).is_none_or(|deadline| now < deadline) {
            self.asked |= silent;
            return silent.then_some(Due::Ping);
        }
        if self.pinged {
            return Some(Due::GiveUp);
        }
        let asks = silent || !self.asked;
        (self.since, self.asked, self.pinged) = (now, true, true);
        asks.then_some(Due::Ping)
    }
}
