//! How long to wait before the next attempt.

use core::time::Duration;
use std::time::{Instant, SystemTime};

use super::ended::Ended;
use super::policy::Policy;

/// How long to wait before the next attempt, or whether there is none: what a [`Policy`] comes to. The adapters'
/// `reconnect` has one; this is for programs that connect by other means, such as an [`Endpoint`](crate::Endpoint). It
/// reads no clock, and draws no randomness.
///
/// ```
/// use std::time::{Instant, SystemTime};
/// use sansocket::reconnect::{Backoff, Ended, Policy};
/// use sansocket::{Closed, CloseCode, Initiator};
///
/// let mut backoff = Backoff::new(&Policy::default());
/// backoff.opened(Instant::now());
/// let ended = Ended::Closed(Closed::new(CloseCode::GOING_AWAY, "", Initiator::Remote, true));
/// let random = 1 << 63; // Of 64 bits, which a program draws.
/// let delay = backoff.ended(&ended, Instant::now(), SystemTime::now(), random);
/// assert_eq!(delay.unwrap().as_millis(), 550);
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: Policy,
    /// So many attempts failed one after the other.
    failed: u32,
    /// When the connection that there is was opened.
    opened: Option<Instant>,
    /// The last attempt was refused with 401.
    unauthorized: bool,
}

impl Backoff {
    /// Nothing has been attempted yet.
    pub fn new(policy: &Policy) -> Self {
        Self { policy: policy.clone(), failed: 0, opened: None, unauthorized: false }
    }

    /// How many attempts failed one after the other.
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// A connection was opened.
    pub fn opened(&mut self, now: Instant) {
        self.opened = Some(now);
    }

    /// A connection has ended, or an attempt failed: how long to wait before the next. `None`: there is to be none.
    ///
    /// `date` is what dates in [`Retry-After`](crate::handshake::Response::retry_after) are compared with, if the response
    /// has none itself; `random` are random bits.
    pub fn ended(&mut self, ended: &Ended, now: Instant, date: SystemTime, random: u64) -> Option<Duration> {
        let lasted = self.opened.take().map(|opened| now.saturating_duration_since(opened));
        self.failed = match lasted {
            Some(lasted) if lasted >= self.policy.reset_after => 0,
            _ => self.failed.saturating_add(1),
        };
        let refused_before = core::mem::replace(&mut self.unauthorized, ended.is_unauthorized());
        let is_final = ended.is_final() || refused_before && self.unauthorized;
        let is_last = self.policy.max_attempts.is_some_and(|max| self.failed >= max);
        if self.policy.ends_if.ends(ended, is_final) || is_last {
            return None;
        }
        let asked = ended.retry_after(date).unwrap_or_default().min(self.policy.max_retry_after);
        // All who were told the same do not come back at the same time.
        Some(asked.saturating_add(self.delay(random)).min(LONGEST))
    }

    /// "The first reconnect attempt SHOULD be delayed by a random amount of time." (6455-7.2.3-02) "Should the first reconnect
    /// attempt fail, subsequent reconnect attempts SHOULD be delayed by increasingly longer amounts of time, using a method
    /// such as truncated binary exponential backoff." (6455-7.2.3-04) From a tenth of the first delay to what it has grown to.
    fn delay(&self, random: u64) -> Duration {
        let least = self.policy.first_delay / 10;
        let doublings = self.failed.saturating_sub(1).min(31);
        let most = self.policy.first_delay.saturating_mul(1 << doublings).min(self.policy.max_delay);
        let range = most.saturating_sub(least).min(LONGEST).as_nanos();
        // Less than the range, which is less than 2^52.
        let chance = (range * u128::from(random)) >> 64;
        least.saturating_add(Duration::from_nanos(u64::try_from(chance).unwrap_or_default()))
    }
}

/// A time can be told that is so far from now.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
