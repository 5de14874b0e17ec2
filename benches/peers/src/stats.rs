//! Clocks, medians and percentiles.

use std::time::Duration;

/// The CPU time of this process so far, the kernel's work for it included.
pub fn cpu_time() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// The CPU time of this thread so far.
pub fn thread_cpu_time() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// The CPU time of another process so far, that of threads that have ended included.
pub fn cpu_time_of(pid: u32) -> Duration {
    let mut id = 0;
    // SAFETY: the pointer is to a clock's id of ours.
    let failed = unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &raw mut id) };
    if failed == 0 { clock(id) } else { Duration::ZERO }
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Counts of nanoseconds in buckets that are at most 1/64 wide.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; 64 * 64], total: 0 }
    }
}

impl Histogram {
    pub fn add(&mut self, nanos: u64) {
        let shift = (64 - nanos.leading_zeros()).saturating_sub(7);
        self.counts[(shift * 64) as usize + (nanos >> shift) as usize] += 1;
        self.total += 1;
    }

    /// The value that `share` of all do not exceed.
    pub fn percentile(&self, share: f64) -> u64 {
        let rank = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                // Buckets of the second half of each 128 only, but for the first 128.
                let shift = if bucket < 128 { 0 } else { bucket / 64 - 1 };
                return ((bucket - shift * 64) as u64) << shift;
            }
        }
        0
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

pub fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

#[test]
fn percentiles() {
    let mut histogram = Histogram::default();
    for nanos in 1..=100_000 {
        histogram.add(nanos);
    }
    for share in [0.0005, 0.01, 0.5, 0.99] {
        let (got, expected) = (histogram.percentile(share) as f64, share * 100_000.0);
        assert!((got / expected - 1.0).abs() < 1.0 / 32.0, "{share}: {got}, not {expected}");
    }
}
