//! Counts of durations by size.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Observed durations. What is observed and what is read at the same time may differ by that one observation.
#[derive(Debug)]
pub(super) struct Histogram {
    /// The upper bounds of the buckets in seconds, rising.
    bounds: &'static [f64],
    /// One for each bound, and one for what is longer than all.
    counts: Box<[AtomicU64]>,
    /// In microseconds: the sum of nanoseconds would overflow within months of a thousand runs at once.
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    pub(super) fn observe(&self, value: Duration) {
        let seconds = value.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }

    /// For each bound how many were at most as long, then how many there were, and their sum in seconds.
    pub(super) fn read(&self) -> (Vec<(f64, u64)>, u64, f64) {
        let sum = Duration::from_micros(self.sum.load(Ordering::Relaxed)).as_secs_f64();
        let mut count = 0;
        let mut counts = self.counts.iter().map(|bucket| {
            count += bucket.load(Ordering::Relaxed);
            count
        });
        let buckets = self.bounds.iter().copied().zip(&mut counts).collect();
        let all = counts.next().unwrap_or_default();
        (buckets, all, sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_is_at_most_as_long() {
        let histogram = Histogram::new(&[0.5, 1.0]);
        for millis in [0, 500, 501, 1000, 70_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        assert_eq!(histogram.read(), (vec![(0.5, 2), (1.0, 4)], 5, 72.001));
    }
}
