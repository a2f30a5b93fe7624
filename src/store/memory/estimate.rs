//! What the triggers of the real databases work out from the counters.

use chrono::{SubsecRound as _, TimeDelta};

use crate::model::{Progress, Timestamp};

/// Percentage and ETA follow from the counters.
pub(super) fn estimate(before: &Progress, progress: &mut Progress, started: Timestamp, now: Timestamp) {
    let counters = |progress: &Progress| (progress.task_size, progress.solved, progress.failed);
    let Some(size) = progress.task_size.filter(|size| *size > 0 && counters(before) != counters(progress))
    else {
        return;
    };
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more")]
    let (size, done) = (size as f64, progress.solved as f64 + progress.failed as f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100")]
    let percent = (done * 100.0 / size).clamp(0.0, 100.0) as u8;
    progress.percent = Some(percent);
    if done > 0.0 {
        let left = (size - done).max(0.0) / done;
        let elapsed = (now - started).to_std().unwrap_or_default();
        let left = TimeDelta::from_std(elapsed.mul_f64(left.min(1e6))).unwrap_or(TimeDelta::MAX);
        progress.eta = now.checked_add_signed(left).map(|eta| eta.trunc_subsecs(3));
    }
}
