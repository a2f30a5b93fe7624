//! The pulse of the whole fleet: items and starts, over the last minutes.

use super::row::Row;
use crate::model::Timestamp;

/// A bar of the sparklines stands for so many seconds.
const BAR_SECONDS: i64 = 5;

/// So many bars are kept.
const BARS: usize = 24;

/// Over so many whole bars a rate is told.
const RATE_BARS: usize = 6;

/// What was seen of all apps together.
#[derive(Debug, Clone, Default)]
pub(in crate::console) struct Meter {
    pub(in crate::console) solved: Series,
    pub(in crate::console) failed: Series,
    pub(in crate::console) started: Series,
    bar: i64,
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

    /// Time has passed.
    pub(super) fn turn(&mut self, now: Timestamp) {
        let bar = now.timestamp() / BAR_SECONDS;
        let passed = usize::try_from(bar - self.bar).unwrap_or(0).min(BARS);
        for series in [&mut self.solved, &mut self.failed, &mut self.started] {
            series.0.rotate_left(passed);
            series.0[BARS - passed..].fill(0);
        }
        self.bar = self.bar.max(bar);
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
