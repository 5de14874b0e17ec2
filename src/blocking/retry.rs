//! When what the transport did not take is tried again. Nothing can wake a thread that waits in a read when there is room
//! to write: it has to look.

use core::time::Duration;
use std::time::Instant;

/// What a write came to that may wait no longer than a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wrote {
    /// All that was queued was written.
    All,
    /// The transport took some of it.
    Some(usize),
    /// The transport took nothing, or another thread is writing.
    Nothing,
}

/// How long the transport has taken nothing. The longer that is, the rarer are the looks: many peers that read nothing
/// would else keep a processor busy.
#[derive(Debug, Default)]
pub(super) struct Retry {
    /// When it last took something, as far as is known. `None`: nothing waits to be written.
    since: Option<Instant>,
}

impl Retry {
    pub(super) fn note(&mut self, wrote: Wrote) {
        self.since = match wrote {
            Wrote::All => None,
            Wrote::Some(_) => Some(Instant::now()),
            Wrote::Nothing => Some(self.since.unwrap_or_else(Instant::now)),
        };
    }

    /// How long to wait before the next look: an eighth of the time so far, so that a transport with room again is late
    /// by no more.
    pub(super) fn after(&self) -> Duration {
        if cfg!(sansocket_loom) {
            // Loom has no time.
            return Duration::ZERO;
        }
        self.since.map_or(SOON, |since| (since.elapsed() / 8).max(SOON))
    }
}

/// How long to wait at least.
const SOON: Duration = Duration::from_millis(10);
