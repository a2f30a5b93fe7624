//! What all apps together counted in the last minutes: the sum of the samples of their rows.

use std::collections::BTreeMap;

use crate::model::{Counted, Samples, Timestamp, slot_of};

/// Slots that are kept: those of ten minutes.
const SLOTS: i64 = 30;

/// The sum of the samples of all rows, by the number of the slot.
#[derive(Debug, Clone, Default)]
pub(in crate::console) struct Meter {
    slots: BTreeMap<i64, Counted>,
    /// What lies before it is forgotten. It never goes back.
    oldest: i64,
}

impl Meter {
    /// Puts the samples of a row on.
    pub(super) fn add(&mut self, samples: Option<&Samples>) {
        let slots = samples.into_iter().flat_map(Samples::slots);
        for (slot, counted) in slots.filter(|(slot, counted)| *slot >= self.oldest && counted.done() > 0) {
            let sum = self.slots.entry(slot).or_default();
            *sum = sum.and(counted);
        }
    }

    /// Takes them off again. What was forgotten meanwhile stays so.
    pub(super) fn take_off(&mut self, samples: Option<&Samples>) {
        for (slot, counted) in samples.into_iter().flat_map(Samples::slots) {
            if let Some(sum) = self.slots.get_mut(&slot) {
                *sum = sum.without(counted);
            }
        }
    }

    /// Time has passed.
    pub(super) fn turn(&mut self, now: Timestamp) {
        self.oldest = self.oldest.max(slot_of(now) - SLOTS);
        self.slots = self.slots.split_off(&self.oldest);
    }

    /// The last slots that are over, the newest last.
    pub(in crate::console) fn bars(&self, count: usize, now: Timestamp) -> Vec<Counted> {
        let end = slot_of(now);
        let begin = end - i64::try_from(count).unwrap_or(SLOTS).min(SLOTS);
        (begin..end).map(|slot| self.slots.get(&slot).copied().unwrap_or_default()).collect()
    }

    /// Whether anything was counted.
    pub(in crate::console) fn is_empty(&self) -> bool {
        self.slots.values().all(|counted| counted.done() == 0)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn what_rows_counted_is_added_and_taken_off_slot_by_slot() {
        let at = |seconds| Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let sample = |solved, seconds| {
            let mut samples = Samples::none(at(seconds));
            samples.add(Counted { solved, failed: 1 }, at(seconds));
            samples
        };
        let (mut meter, a, b) = (Meter::default(), sample(5, 6000), sample(7, 6020));
        meter.turn(at(6030));
        meter.add(Some(&a));
        meter.add(Some(&b));
        meter.add(None);
        let solved = |meter: &Meter, now| -> Vec<_> {
            meter.bars(3, at(now)).into_iter().map(|counted| counted.solved).collect()
        };
        assert_eq!((solved(&meter, 6039), solved(&meter, 6040)), (vec![0, 0, 5], vec![0, 5, 7]));
        meter.take_off(Some(&a));
        assert_eq!(solved(&meter, 6040), [0, 0, 7]);
        // Ten minutes later it is forgotten, and taking it off takes nothing from others.
        meter.turn(at(7000));
        assert!(meter.is_empty());
        meter.take_off(Some(&b));
        meter.add(Some(&b));
        assert!(meter.is_empty());
    }
}
