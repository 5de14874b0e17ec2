//! Which addresses of a host are tried, and when: "Happy Eyeballs" (RFC 8305). No I/O.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::time::Instant;

/// The attempts to connect to the addresses of a host, so that one that is silent costs a quarter of a second (RFC 8305):
/// the families take turns, beginning with that of the first address, and an attempt begins 250 ms after the one before it,
/// or at once when one has failed. The first that succeeds is the connection, and the others are dropped.
///
/// `connect` of both adapters uses it; it is public for those who have an event loop of their own.
///
/// ```
/// use std::net::SocketAddr;
/// use std::time::{Duration, Instant};
/// use sansocket::{Attempt, Attempts};
///
/// let addresses: [SocketAddr; 3] = ["[2001:db8::1]:80".parse()?, "[2001:db8::2]:80".parse()?, "192.0.2.1:80".parse()?];
/// let now = Instant::now();
/// let mut attempts = Attempts::new(addresses, Some(now + Duration::from_secs(30)));
/// assert!(matches!(attempts.next(now), Attempt::Start(address) if address == addresses[0]));
/// // It neither succeeds nor fails.
/// let Attempt::Wait(Some(then)) = attempts.next(now) else { panic!() };
/// assert_eq!(then, now + Duration::from_millis(250));
/// assert!(matches!(attempts.next(then), Attempt::Start(address) if address == addresses[2]));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct Attempts {
    /// In the order in which they are tried.
    waiting: VecDeque<SocketAddr>,
    under_way: Vec<SocketAddr>,
    failed: Vec<(SocketAddr, io::Error)>,
    /// When the next one begins; `None`: at once.
    begins: Option<Instant>,
    deadline: Option<Instant>,
}

/// What is to be done next.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a caller has to do whichever it is")]
pub enum Attempt {
    /// Begin to connect to this address, and ask again.
    Start(SocketAddr),
    /// Wait for an attempt that is under way, at most until then, and ask again.
    Wait(Option<Instant>),
    /// All have failed, or the deadline has passed: it is over. In the error is an [`Unreachable`], if there were several.
    Over(io::Error),
}

impl Attempts {
    /// Attempts to connect to these addresses, which are in the order of the system's look-up, until the deadline.
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>, deadline: Option<Instant>) -> Self {
        let (waiting, under_way) = (in_turn(addresses), Vec::new());
        Self { waiting, under_way, failed: Vec::new(), begins: None, deadline }
    }

    /// What is to be done next.
    pub fn next(&mut self, now: Instant) -> Attempt {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            let late = self.under_way.drain(..).map(|address| (address, io::ErrorKind::TimedOut.into()));
            self.failed.extend(late);
            return Attempt::Over(self.error());
        }
        if self.begins.is_none_or(|begins| now >= begins)
            && let Some(address) = self.waiting.pop_front()
        {
            self.under_way.push(address);
            self.begins = now.checked_add(DELAY);
            return Attempt::Start(address);
        }
        if self.under_way.is_empty() {
            return Attempt::Over(self.error());
        }
        let begins = self.begins.filter(|_| !self.waiting.is_empty());
        Attempt::Wait([begins, self.deadline].into_iter().flatten().min())
    }

    /// The attempt to connect to this address has failed.
    pub fn failed(&mut self, address: SocketAddr, error: io::Error) {
        self.under_way.retain(|other| *other != address);
        self.failed.push((address, error));
        self.begins = None;
    }

    /// What was wrong with each: with one alone, just that.
    fn error(&mut self) -> io::Error {
        let mut failed = core::mem::take(&mut self.failed);
        match (failed.pop(), failed.is_empty()) {
            (None, _) if self.waiting.is_empty() => no_address(),
            (None, _) => io::ErrorKind::TimedOut.into(),
            (Some((_, error)), true) => error,
            (Some(last), false) => {
                let kind = last.1.kind();
                failed.push(last);
                io::Error::new(kind, Unreachable { attempts: failed })
            }
        }
    }
}

/// The first of a host's addresses, for a proxy that is told one.
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) fn first_address(addresses: &[SocketAddr]) -> io::Result<SocketAddr> {
    addresses.first().copied().ok_or_else(no_address)
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the host has no address")
}

/// None of a host's addresses could be connected to. It is inside the [`io::Error`] of
/// [`Error::Connect`](crate::Error::Connect), which has the kind of the last one, where several addresses were tried.
#[derive(Debug)]
pub struct Unreachable {
    attempts: Vec<(SocketAddr, io::Error)>,
}

impl Unreachable {
    /// Each address that was tried, with what was wrong with it, in the order in which that was known.
    pub fn attempts(&self) -> &[(SocketAddr, io::Error)] {
        &self.attempts
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no address of the host can be reached")?;
        for (position, (address, error)) in self.attempts.iter().enumerate() {
            let before = if position == 0 { ": " } else { "; " };
            write!(f, "{before}{address}: {error}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Unreachable {}

/// The families take turns (RFC 8305 section 4): a family that is not reached at all then costs one attempt. An address that
/// is there twice is tried once.
fn in_turn(addresses: impl IntoIterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut families = [VecDeque::new(), VecDeque::new()];
    let mut first = None;
    for address in addresses {
        let is_first = *first.get_or_insert(address.is_ipv6()) == address.is_ipv6();
        let [own, other] = &mut families;
        let family = if is_first { own } else { other };
        if !family.contains(&address) {
            family.push_back(address);
        }
    }
    let [mut own, mut other] = families;
    let mut all = VecDeque::with_capacity(own.len() + other.len());
    while !(own.is_empty() && other.is_empty()) {
        all.extend(own.pop_front());
        all.extend(other.pop_front());
    }
    all
}

/// "One recommended value for a default delay is 250 milliseconds." (RFC 8305 section 5)
const DELAY: Duration = Duration::from_millis(250);
