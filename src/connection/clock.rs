//! What a clock tells.

use core::fmt;
use core::time::Duration;

/// A moment, by any clock: what a [`Connection`](super::Connection) is told for `now`, and counts its
/// deadlines in.
///
/// With the feature `std`, [`std::time::Instant`] is one. A [`Duration`] always is: the time since some
/// start, which a timer counts on a microcontroller, and `performance.now()` tells in a browser, where
/// `std::time::Instant::now` panics. Time only goes forward.
///
/// ```
/// use core::time::Duration;
/// use sansocket::{Config, Connection};
///
/// let uptime = Duration::from_millis(1_500);
/// let connection = Connection::server(&Config::default(), uptime);
/// // A keepalive Ping.
/// assert_eq!(connection.poll_timeout(), Some(Duration::from_millis(21_500)));
/// ```
pub trait Instant: Copy + Ord + fmt::Debug {
    /// The moment that is `duration` later; `None` when it is beyond what the type can tell.
    fn checked_add(self, duration: Duration) -> Option<Self>;
}

impl Instant for Duration {
    #[inline]
    fn checked_add(self, duration: Duration) -> Option<Self> {
        self.checked_add(duration)
    }
}

#[cfg(feature = "std")]
impl Instant for std::time::Instant {
    #[inline]
    fn checked_add(self, duration: Duration) -> Option<Self> {
        Self::checked_add(&self, duration)
    }
}
