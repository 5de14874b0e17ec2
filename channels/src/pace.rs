//! How fast a client may send.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::Limits;

/// How fast a client may send: who has sent too much is not read for a while, and only waits himself.
pub(crate) struct Pace {
    messages: Bucket,
    bytes: Bucket,
}

impl Pace {
    pub(crate) fn new() -> Self {
        let full = Instant::now();
        Self { messages: Bucket { full }, bytes: Bucket { full } }
    }

    /// A message of so many bytes was read.
    pub(crate) fn spend(&mut self, bytes: usize, limits: &Limits) {
        let now = Instant::now();
        self.messages.spend(1, limits.messages_per_second, now);
        self.bytes.spend(bytes, limits.bytes_per_second, now);
    }

    /// When the next one may be read, if not yet.
    pub(crate) fn waits_until(&self, limits: &Limits) -> Option<Instant> {
        let messages = self.messages.waits_until(limits.messages_per_second, limits.messages_at_once);
        let bytes = self.bytes.waits_until(limits.bytes_per_second, limits.bytes_per_second);
        messages.max(bytes).filter(|until| *until > Instant::now())
    }
}

/// What fills at a rate, and is taken from.
struct Bucket {
    /// When it will be full.
    full: Instant,
}

impl Bucket {
    fn spend(&mut self, count: usize, per_second: u32, now: Instant) {
        let nanos = (count as u64).saturating_mul(1_000_000_000) / u64::from(per_second);
        self.full = self.full.max(now) + Duration::from_nanos(nanos);
    }

    /// When there is something in it, where `at_once` is what it holds.
    fn waits_until(&self, per_second: u32, at_once: u32) -> Option<Instant> {
        self.full.checked_sub(Duration::from_secs(1) * at_once / per_second)
    }
}
