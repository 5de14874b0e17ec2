//! Medians and percentiles.

use std::time::Duration;

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

/// The median of the quotients of the same round: noise that lasts longer than a round is in both.
pub fn ratio(own: &[f64], others: &[f64]) -> f64 {
    median(own.iter().zip(others).map(|(own, other)| own / other).collect())
}

/// What 99 of 100 do not exceed, in microseconds.
pub fn p99(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let rank = (times.len() * 99).div_ceil(100);
    times.get(rank.saturating_sub(1)).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}
