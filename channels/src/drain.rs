//! Stopping in good order.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::close::{Close, Cut, Leave};
use crate::hub::Hub;

/// How a hub is drained.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by those who drain")]
pub struct Drain {
    /// Over which time the connections are told, if they are many: clients come back at once, and not all at once then. 10
    /// seconds by default.
    pub within: Duration,
    /// How long what is queued for one may take to be written. 1 second by default.
    pub flush: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { within: Duration::from_secs(10), flush: Duration::from_secs(1) }
    }
}

/// What became of the connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Drained {
    /// How many were told.
    pub told: usize,
    /// How many had not ended some time after.
    pub cut: usize,
}

impl Hub {
    /// Lets nobody in any more, and closes all connections with 1012, in random order and spread evenly over
    /// [`Drain::within`], a few of them faster, one each tenth of a second: each session ends with [`Leave::Drained`], and what
    /// is queued is written before. Requests are answered with 503 from then on, and joins refused with `busy`. It returns when
    /// the sessions have done what they do at their end, for which each has [`Limits::handler`](crate::Limits::handler): a handler that waits for it
    /// waits for itself.
    ///
    /// [`serve`](Self::serve) does so when it stops; elsewhere, call it before the server is stopped.
    ///
    /// What is sent meanwhile reaches those who are still there; from then on that fails with
    /// [`PublishError::Draining`](crate::PublishError::Draining).
    ///
    /// Dropped before it returns, the rest of the connections go on, and nobody is let in.
    pub async fn drain(&self, drain: Drain) -> Drained {
        self.inner().draining.store(true, Ordering::Relaxed);
        let mut connections = self.inner().registry.connections();
        let order = RandomState::new();
        connections.sort_by_cached_key(|connection| order.hash_one(connection.id));
        let told = connections.len();
        let step = drain.within / u32::try_from(told.max(1)).unwrap_or(u32::MAX);
        let mut at = Instant::now();
        for connection in connections {
            sleep_until(at).await;
            at += step.min(LONGEST_STEP);
            let close = Close::of(1012, "service restart");
            connection.queue.cut(Cut { flush: Some(drain.flush), ..Cut::gently(close, Leave::Drained) });
        }
        let inner = self.inner();
        let _ = timeout(drain.flush.saturating_add(Cut::GRACE), inner.open.none()).await;
        let cut = inner.open.count();
        // A handler that runs, and what the session does at its end.
        let _ = timeout(inner.limits.handler.saturating_mul(2), inner.work.none()).await;
        inner.drained.store(true, Ordering::Relaxed);
        Drained { told, cut }
    }
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} connections were told, of which {} had to be cut off", self.told, self.cut)
    }
}

/// Few connections are no storm.
const LONGEST_STEP: Duration = Duration::from_millis(100);
