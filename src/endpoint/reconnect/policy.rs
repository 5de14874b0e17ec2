//! When a client connects again.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::ended::Ended;

/// When a client connects again, how often, and what ends it.
///
/// ```
/// use core::time::Duration;
/// use sansocket::CloseCode;
/// use sansocket::reconnect::Policy;
///
/// let policy = Policy::default()
///     .delays(Duration::from_millis(500), Duration::from_secs(30))
///     .max_attempts(10)
///     // This server closes with 4004 when the account was deleted.
///     .ends_if(|ended, by_default| by_default || ended.close_code() == Some(CloseCode::new(4004)));
/// ```
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) first_delay: Duration,
    pub(super) max_delay: Duration,
    pub(super) reset_after: Duration,
    pub(super) max_attempts: Option<u32>,
    pub(super) max_retry_after: Duration,
    pub(super) ends_if: EndsIf,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            reset_after: Duration::from_secs(60),
            max_attempts: None,
            max_retry_after: Duration::from_secs(60 * 60),
            ends_if: EndsIf(None),
        }
    }
}

impl Policy {
    /// How long it waits: by chance from a tenth of `first` to all of it, then to twice as much with each attempt that
    /// fails, and at most to `max`. A second, and a minute, by default. At least 10 milliseconds each;
    /// no pause is longer than 30 days.
    ///
    /// The whole range is left to chance, "full jitter", so that the clients of a server that has failed do not come back
    /// together: that is when it can bear that least (RFC 6455 section 7.2.3, which finds up to 5 seconds reasonable).
    pub fn delays(self, first: Duration, max: Duration) -> Self {
        let first = first.max(LEAST_DELAY);
        Self { first_delay: first, max_delay: max.max(first), ..self }
    }

    /// How long a connection has to last for the delays to begin anew, and attempts to be counted anew. One that ends
    /// sooner counts as an attempt that failed, so that a server that accepts connections only to close them is let alone.
    /// A minute by default.
    pub fn reset_after(self, reset_after: Duration) -> Self {
        Self { reset_after, ..self }
    }

    /// After how many attempts that failed one after the other it gives up, with what the last one came to. The first of
    /// all counts too. By default it never does.
    pub fn max_attempts(self, max_attempts: u32) -> Self {
        Self { max_attempts: Some(max_attempts), ..self }
    }

    /// How long a server can have it wait by [`Retry-After`](crate::handshake::Response::retry_after), to which the
    /// delay is added that it would have waited without. An hour by default; zero: it does not heed that.
    /// Both together are 30 days at most.
    pub fn max_retry_after(self, max_retry_after: Duration) -> Self {
        Self { max_retry_after, ..self }
    }

    /// What ends it: called with how a connection, or an attempt, has ended, and whether that [is the end by
    /// default](super#what-ends-it).
    pub fn ends_if(self, ends_if: impl Fn(&Ended, bool) -> bool + Send + Sync + 'static) -> Self {
        Self { ends_if: EndsIf(Some(Arc::new(ends_if))), ..self }
    }
}

/// Whether the program decides what ends it.
#[derive(Clone)]
#[expect(clippy::type_complexity, reason = "a function that all clones share")]
pub(super) struct EndsIf(Option<Arc<dyn Fn(&Ended, bool) -> bool + Send + Sync>>);

impl EndsIf {
    pub(super) fn ends(&self, ended: &Ended, by_default: bool) -> bool {
        self.0.as_ref().map_or(by_default, |ends| ends(ended, by_default))
    }
}

impl fmt::Debug for EndsIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some" } else { "None" })
    }
}

/// Less is no pause, for a server that refuses.
const LEAST_DELAY: Duration = Duration::from_millis(10);
