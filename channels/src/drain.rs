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
    /// How long sessions may take to leave when all connections are told, with the handlers that still run. 10 seconds by
    /// default: with all else a drain is over before supervisors lose their patience, which many do after 30.
    pub leave: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            within: Duration::from_secs(10),
            flush: Duration::from_secs(1),
            leave: Duration::from_secs(10),
        }
    }
}

/// What became of the connections, and of their sessions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Drained {
    /// How many were told.
    pub told: usize,
    /// How many had not ended some time after.
    pub cut: usize,
    /// How many topics of connections still had a handler, or the end of a session, that had not returned. They go on for as long
    /// as the runtime does, and [`Limits::handler`](crate::Limits::handler) lets them.
    pub busy: usize,
}

impl Hub {
    /// Lets nobody in any more, and closes all connections with 1012, in random order and spread evenly over
    /// [`Drain::within`], a few of them faster, one each tenth of a second: each session ends with [`Leave::Drained`], and what
    /// is queued is written before. Who wants to connect is answered with 503 from then on, and joins are refused with `busy`. It
    /// returns when the sessions have done what they do at their end, or after [`Drain::leave`]: a handler that waits for it waits
    /// for itself.
    ///
    /// It takes no longer than [`Drain::within`], and then what is more of [`Drain::leave`], and of [`Drain::flush`] and 5
    /// seconds, in which clients answer the Close frame. With a [backplane](crate::backplane), it takes a second more at most,
    /// until the broker has what was sent, and that this node ends.
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
        let (inner, start) = (self.inner(), Instant::now());
        let _ = timeout(drain.flush.saturating_add(Cut::GRACE), inner.open.none()).await;
        let cut = inner.open.count();
        let _ = timeout(drain.leave.saturating_sub(start.elapsed()), inner.work.none()).await;
        inner.drained.store(true, Ordering::Relaxed);
        if let Some(cluster) = &inner.cluster {
            // With the runtime ends what has not left; and that this node ends finds room then.
            let _ = timeout(BROKER, cluster.flush()).await;
            cluster.end();
            let _ = timeout(BROKER, cluster.flush()).await;
        }
        Drained { told, cut, busy: inner.work.count() }
    }
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { told, cut, busy } = self;
        write!(
            f,
            "{told} connections were told, {cut} did not end in time, and {busy} handlers were not done"
        )
    }
}

/// How long a broker may take for what it has to be sent yet, and for that this node ends.
const BROKER: Duration = Duration::from_millis(500);

/// Few connections are no storm.
const LONGEST_STEP: Duration = Duration::from_millis(100);
