//! Which times of a calendar are accounted for, as ranges of their numbers.

use std::collections::BTreeMap;

/// Ranges that neither overlap nor touch.
#[derive(Debug, Default)]
pub(crate) struct Slots(BTreeMap<i64, i64>);

impl Slots {
    /// Adds a range; `false` when a part of it was there already.
    pub(crate) fn add(&mut self, first: i64, last: i64) -> bool {
        let (mut start, mut end, mut is_new) = (first, last, true);
        // Those that overlap it or touch it become one with it.
        while let Some((other, until)) = self.0.range(..=last + 1).next_back().map(|(a, b)| (*a, *b))
            && until + 1 >= first
        {
            self.0.remove(&other);
            is_new &= until < first || other > last;
            (start, end) = (start.min(other), end.max(until));
        }
        self.0.insert(start, end);
        is_new
    }

    pub(crate) fn ranges(&self) -> Vec<(i64, i64)> {
        self.0.iter().map(|(first, last)| (*first, *last)).collect()
    }
}
