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
    pub(crate) fn new(limits: &Limits) -> Self {
        let at_once = limits.messages_at_once;
        Self {
            messages: Bucket::new(limits.messages_per_second, at_once),
            bytes: Bucket::new(limits.bytes_per_second, limits.bytes_per_second),
        }
    }

    /// A message of so many bytes was read.
    pub(crate) fn spend(&mut self, bytes: usize) {
        let now = Instant::now();
        self.messages.spend(1, now);
        self.bytes.spend(bytes, now);
    }

    /// When the next one may be read, if not yet.
    pub(crate) fn waits_until(&mut self) -> Option<Instant> {
        self.messages.waits_until().max(self.bytes.waits_until())
    }
}

/// What fills at a rate, and is taken from.
struct Bucket {
    per_second: u32,
    /// How long it takes to fill.
    burst: Duration,
    /// When it will be full.
    full: Instant,
    /// Known to be far enough in the past, most of the time.
    waits: Option<Instant>,
}

impl Bucket {
    fn new(per_second: u32, at_once: u32) -> Self {
        let burst = Duration::from_secs(1) * at_once / per_second;
        Self { per_second, burst, full: Instant::now(), waits: None }
    }

    fn spend(&mut self, count: usize, now: Instant) {
        let nanos = (count as u64).saturating_mul(1_000_000_000) / u64::from(self.per_second);
        self.full = self.full.max(now) + Duration::from_nanos(nanos);
        let waits = self.full.checked_sub(self.burst);
        self.waits = waits.filter(|until| *until >= now);
    }

    fn waits_until(&mut self) -> Option<Instant> {
        self.waits = self.waits.filter(|until| *until > Instant::now());
        self.waits
    }
}
