//! Which times of a calendar are accounted for, as ranges of their numbers.

use std::collections::BTreeMap;

/// Ranges that neither overlap nor touch.
#[derive(Debug, Default)]
pub(crate) struct Slots(BTreeMap<i64, i64>);

impl Slots {
    /// Adds a range; `false` when a part of it was there already.
    pub(crate) fn add(&mut self, first: i64, last: i64) -> bool {
        let before = self.0.range(..=last).next_back().map(|(start, end)| (*start, *end));
        if before.is_some_and(|(_, end)| end >= first) {
            return false;
        }
        let (mut start, mut end) = (first, last);
        if let Some((other, _)) = before.filter(|(_, end)| end + 1 == first) {
            self.0.remove(&other);
            start = other;
        }
        if let Some(other) = self.0.remove(&(last + 1)) {
            end = other;
        }
        self.0.insert(start, end);
        true
    }

    pub(crate) fn ranges(&self) -> Vec<(i64, i64)> {
        self.0.iter().map(|(first, last)| (*first, *last)).collect()
    }
}
