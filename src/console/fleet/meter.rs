//! The pulse of the whole fleet: items and starts, over the last minutes.

use std::collections::VecDeque;

use super::row::Row;
use crate::model::Timestamp;

/// A bar of the sparklines stands for so many seconds.
const BAR_SECONDS: i64 = 5;

/// So many bars are kept.
const BARS: usize = 24;

/// Over so many whole bars a rate is told.
const RATE_BARS: usize = 6;

/// How many run is noted so often, and for so long: six hours.
const LEVEL_SECONDS: i64 = 10;
const LEVELS_MAX: usize = 2160;

/// What was seen of all apps together.
#[derive(Debug, Clone, Default)]
pub(in crate::console) struct Meter {
    pub(in crate::console) solved: Series,
    pub(in crate::console) failed: Series,
    pub(in crate::console) started: Series,
    bar: i64,
    /// How many ran at once, at most, in each step of time; the newest is last.
    levels: VecDeque<u32>,
    step: i64,
}

/// Counts of the last bars; the newest, not yet whole, is last.
#[derive(Debug, Clone, Default)]
pub(in crate::console) struct Series([u64; BARS]);

impl Meter {
    /// A row changed from one to the other.
    pub(super) fn saw(&mut self, before: &Row, after: &Row) {
        let is_new_run = before.run != after.run;
        let gained = |before: u64, after: u64| {
            if is_new_run { after } else { after.saturating_sub(before) }
        };
        self.solved.add(gained(before.solved, after.solved));
        self.failed.add(gained(before.failed, after.failed));
        let has_started = after.is_running() && (is_new_run || !before.is_running());
        self.started.add(u64::from(has_started));
    }

    /// Time has passed; so many run.
    pub(super) fn turn(&mut self, now: Timestamp, running: usize) {
        self.note_level(now, u32::try_from(running).unwrap_or(u32::MAX));
        let bar = now.timestamp() / BAR_SECONDS;
        let passed = usize::try_from(bar - self.bar).unwrap_or(0).min(BARS);
        for series in [&mut self.solved, &mut self.failed, &mut self.started] {
            series.0.rotate_left(passed);
            series.0[BARS - passed..].fill(0);
        }
        self.bar = self.bar.max(bar);
    }

    fn note_level(&mut self, now: Timestamp, running: u32) {
        let step = now.timestamp().div_euclid(LEVEL_SECONDS);
        let passed = if self.levels.is_empty() { 1 } else { usize::try_from(step - self.step).unwrap_or(0) };
        for _ in 0..passed.min(LEVELS_MAX) {
            if self.levels.len() == LEVELS_MAX {
                self.levels.pop_front();
            }
            self.levels.push_back(running);
        }
        if let Some(newest) = self.levels.back_mut() {
            *newest = running.max(*newest);
        }
        self.step = self.step.max(step);
    }

    /// How many ran at once, at most, between two moments; `None` where nobody looked.
    pub(in crate::console) fn level(&self, from: Timestamp, to: Timestamp) -> Option<u32> {
        let place = |time: Timestamp| {
            let back = self.step - time.timestamp().div_euclid(LEVEL_SECONDS);
            i64::try_from(self.levels.len()).unwrap_or(i64::MAX) - 1 - back
        };
        let begin = usize::try_from(place(from).max(0)).ok()?;
        let end = usize::try_from(place(to).max(0)).ok()?.max(begin + 1).min(self.levels.len());
        let is_seen = place(to) >= 0 && begin < end;
        is_seen.then(|| self.levels.range(begin..end).copied().max()).flatten()
    }
}

impl Series {
    fn add(&mut self, count: u64) {
        self.0[BARS - 1] = self.0[BARS - 1].saturating_add(count);
    }

    /// The last whole bars, the newest last.
    pub(in crate::console) fn bars(&self, count: usize) -> &[u64] {
        &self.0[(BARS - 1).saturating_sub(count)..BARS - 1]
    }

    /// A second, over the last half minute.
    pub(in crate::console) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
        let sum = self.bars(RATE_BARS).iter().sum::<u64>() as f64;
        sum / 30.0
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn the_most_that_ran_at_once_is_kept_for_each_step() {
        let at = |seconds| Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let mut meter = Meter::default();
        for (seconds, running) in [(100, 2), (105, 5), (109, 3), (112, 1), (150, 4)] {
            meter.turn(at(seconds), running);
        }
        let level = |from, to| meter.level(at(from), at(to));
        assert_eq!(level(100, 110), Some(5));
        assert_eq!(level(110, 120), Some(1));
        assert_eq!(level(100, 160), Some(5));
        assert_eq!(level(150, 160), Some(4));
        assert_eq!((level(80, 90), level(160, 170)), (None, None), "nobody looked");
        meter.turn(at(1_000_000), 7);
        assert_eq!(meter.levels.len(), LEVELS_MAX);
    }
}
