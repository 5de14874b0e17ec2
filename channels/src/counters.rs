//! What counts: numbers that only grow, and times in a histogram.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::metrics::Counters;

/// A number that only grows. It has a cache line of its own: threads that count different things do not wait for each other.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Counter(AtomicU64);

/// How long something took, how many times: see [`Histogram`].
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// By the bucket: those that took no longer than its bound, and longer than the one before; the last of them, longer than all.
    counts: [AtomicU64; BOUNDS + 1],
    nanos: Counter,
}

/// How long something took, how many times.
///
/// The bounds of its buckets are powers of two of a microsecond, from 1 µs to 2²³ µs, which is about 8.4 s.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Histogram {
    counts: [u64; BOUNDS + 1],
    sum: Duration,
}

/// Frames that the transport takes together: they are counted once, when this is dropped.
pub(crate) struct Batch<'a> {
    counters: &'a Counters,
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

impl Counter {
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts time, in nanoseconds.
    pub(crate) fn add_time(&self, time: Duration) {
        self.0.fetch_add(nanos(time), Ordering::Relaxed);
    }
}

impl Times {
    /// It took so long, once more.
    pub(crate) fn add(&self, time: Duration) {
        let micros = nanos(time).div_ceil(1_000);
        // The power of two that is no less.
        let bucket = micros.max(1).next_power_of_two().trailing_zeros() as usize;
        self.counts[bucket.min(BOUNDS)].fetch_add(1, Ordering::Relaxed);
        self.nanos.add_time(time);
    }

    pub(crate) fn read(&self) -> Histogram {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        Histogram { counts, sum: Duration::from_nanos(self.nanos.get()) }
    }
}

impl Histogram {
    /// How many times.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long all of them took together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// By each bound, the least first: how many times it took so long, or less. What took longer than the last is in
    /// [`count`](Self::count).
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let bounds = (0..BOUNDS).map(|power| Duration::from_micros(1 << power));
        let counts = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        bounds.zip(counts)
    }
}

impl<'a> Batch<'a> {
    pub(crate) fn new(counters: &'a Counters) -> Self {
        Self { counters, frames: 0, bytes: 0 }
    }

    /// The transport has taken a frame of so many bytes.
    pub(crate) fn add(&mut self, len: usize) {
        self.frames += 1;
        self.bytes += len;
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.counters.frames_out.add(self.frames);
        self.counters.bytes_out.add(self.bytes);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How many bounds a histogram has.
const BOUNDS: usize = 24;
