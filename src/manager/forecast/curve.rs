//! How many apps run at once, over the time that a forecast looks ahead.

use super::course::Stretch;
use super::{AHEAD, SLOT};

/// Runs are counted in steps of so many milliseconds: two that take a second each and begin half a minute apart are not
/// at once, and a day is still a short list.
pub(super) const STEP: i64 = 10_000;

pub(super) const STEPS: usize = 8_640;
#[expect(clippy::cast_possible_wrap, reason = "it is a small constant")]
const _: () = assert!(STEPS as i64 * STEP == AHEAD.num_milliseconds());

/// Steps of a slot.
pub(super) const STEPS_OF_SLOT: usize = 6;
#[expect(clippy::cast_possible_wrap, reason = "it is a small constant")]
const _: () = assert!(STEPS_OF_SLOT as i64 * STEP == SLOT.num_milliseconds());

/// A whole app, in the unit in which loads are counted: those that start very often count as a share.
pub(super) const WHOLE: i64 = 1_000;

/// By how much the load changes at the beginning of each step.
#[derive(Debug, Clone)]
pub(super) struct Curve(Vec<i64>);

impl Curve {
    pub(super) fn new() -> Self {
        Self(vec![0; STEPS + 1])
    }

    pub(super) fn add(&mut self, stretch: &Stretch) {
        self.0[stretch.steps.start] += stretch.load;
        self.0[stretch.steps.end] -= stretch.load;
    }

    pub(super) fn remove(&mut self, stretch: &Stretch) {
        self.0[stretch.steps.start] -= stretch.load;
        self.0[stretch.steps.end] += stretch.load;
    }

    /// The load of each step.
    pub(super) fn levels(&self) -> Vec<i64> {
        let sum = |total: &mut i64, change: &i64| {
            *total += change;
            Some(*total)
        };
        self.0[..STEPS].iter().scan(0, sum).collect()
    }
}

/// The highest load of each slot.
pub(super) fn slots(levels: &[i64]) -> Vec<i64> {
    levels.chunks(STEPS_OF_SLOT).map(|slot| slot.iter().copied().max().unwrap_or(0)).collect()
}

/// A load as a number of apps.
pub(super) fn whole(load: i64) -> u32 {
    u32::try_from((load + WHOLE / 2) / WHOLE).unwrap_or(0)
}
