//! What comes after a connection that was lost, with `--reconnect`.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use sansocket::reconnect::{Backoff, Ended, Policy};

/// When to connect again. `Reconnecting` of the library does that by itself, with one task or thread that sends and receives:
/// this client does both at once, over halves.
pub struct Redial(Option<Backoff>);

impl Redial {
    pub fn new(policy: Option<&Policy>) -> Self {
        Self(policy.map(Backoff::new))
    }

    /// Whether it ever connects again.
    pub fn is_asked_for(&self) -> bool {
        self.0.is_some()
    }

    pub fn opened(&mut self) {
        if let Some(backoff) = &mut self.0 {
            backoff.opened(Instant::now());
        }
    }

    /// A connection has ended, or an attempt has failed. Gives that back, if nothing follows.
    pub fn after(&mut self, ended: Ended) -> Result<Loss, Ended> {
        let Self(Some(backoff)) = self else { return Err(ended) };
        let now = Instant::now();
        match backoff.ended(&ended, now, SystemTime::now(), rand::random()) {
            Some(retry_in) => Ok(Loss { ended, retry_in, due: now + retry_in }),
            None => Err(ended),
        }
    }
}

/// What happened, and when the next attempt follows.
pub struct Loss {
    pub ended: Ended,
    retry_in: Duration,
    pub due: Instant,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; the next attempt follows in {:.1} s", self.ended, self.retry_in.as_secs_f64())
    }
}
