//! How fast an app gets on, and when it will be done: from its row and the time alone, so that every console and
//! every program shows the same.

use chrono::TimeDelta;

use super::row::{Row, Usual};
use crate::model::{Counted, Timestamp, minutes};

/// A run that is younger tells no rate: what it has done says more of how it began than of how it goes on.
const YOUNG: TimeDelta = TimeDelta::seconds(15);

/// How long ago the last minute of whole slots may begin: in a younger run the average stands for the rate.
const SHORT: TimeDelta = TimeDelta::seconds(80);

/// Whether a run is old enough to tell how fast it is.
pub(super) fn is_settled(row: &Row, now: Timestamp) -> bool {
    row.is_running() && row.last_run.is_some_and(|begun| now - begun >= YOUNG)
}

/// Items in each thousand seconds, by the last minute; `None` while that cannot be known: in the first 15 seconds of a run,
/// and for an app that has counted nothing and knows no size.
pub(super) fn speed(row: &Row, now: Timestamp) -> Option<Counted> {
    let begun = row.last_run.filter(|_| is_settled(row, now))?;
    if row.done() == 0 && row.task_size.is_none() {
        return None;
    }
    let age = now - begun;
    let (counted, seconds) = if age < SHORT {
        (Counted { solved: row.solved, failed: row.failed }, seconds(age))
    } else {
        (row.samples.as_ref().map_or_else(Counted::default, |samples| samples.last_minute(now)), 60.0)
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "clamped; a rate is shown with three digits"
    )]
    let speed = |count: u64| (count as f64 * 1e3 / seconds).clamp(0.0, 1e15).round() as u64;
    Some(Counted { solved: speed(counted.solved), failed: speed(counted.failed) })
}

/// Items a second, of those in a thousand.
#[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
pub(in crate::console) fn per_second(speed: u64) -> f64 {
    speed as f64 / 1e3
}

/// Items a second, now.
pub(in crate::console) fn rate(row: &Row, now: Timestamp) -> Option<f64> {
    speed(row, now).map(|speed| per_second(speed.done()))
}

/// Items a second over all of the run.
pub(in crate::console) fn run_rate(row: &Row, now: Timestamp) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
    let done = row.done() as f64;
    row.last_run.filter(|_| is_settled(row, now)).map(|begun| done / seconds(now - begun))
}

/// Items of each of the last minutes, the newest last; none where nothing was counted in them.
pub(in crate::console) fn bars(
    row: &Row,
    now: Timestamp,
) -> Option<impl Iterator<Item = u64> + Clone + use<>> {
    let samples = row.samples.as_ref()?;
    let bars = minutes(samples.slots().map(|(slot, counted)| (slot, counted.done())), now);
    bars.iter().any(|bar| *bar > 0).then(|| bars.into_iter())
}

fn seconds(span: TimeDelta) -> f64 {
    span.as_seconds_f64()
}

/// When a run will be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Eta {
    /// The app or the database said so a moment ago.
    Reported(TimeDelta),
    /// It follows from the rate.
    Guessed(TimeDelta),
    /// Between these: it goes faster or slower now than over all of the run.
    Between(TimeDelta, TimeDelta),
    /// It has just begun, and this is what its runs take as a rule.
    Usual(TimeDelta),
    /// Not as things are.
    Never,
}

/// An ETA of the row is shown as it is for two polls after the counters moved.
const REPORT_HOLDS: TimeDelta = TimeDelta::milliseconds(2500);

/// Rates that differ by more are shown as a band.
const BAND: f64 = 0.25;

/// When the run of this app will be done; `None` if it does not run or that cannot be known.
pub(in crate::console) fn eta(row: &Row, now: Timestamp) -> Option<Eta> {
    if !row.is_running() {
        return None;
    }
    if let (true, Usual::Takes(usual), Some(begun)) = (row.has_just_begun(), row.usual, row.last_run) {
        return Some(Eta::Usual((begun + usual - now).max(TimeDelta::zero())));
    }
    let reported = row.eta.filter(|_| is_settled(row, now));
    let reported = reported.map(|eta| Eta::Reported((eta - now).max(TimeDelta::zero())));
    let is_fresh = row.moved().is_some_and(|moved| now - moved < REPORT_HOLDS);
    let Some(size) = row.task_size else { return reported };
    let (rate, run) = (rate(row, now)?, run_rate(row, now)?);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let left = size.saturating_sub(row.done()) as f64;
    if is_fresh && reported.is_some() {
        return reported;
    }
    if rate <= 0.0 || run <= 0.0 {
        return Some(Eta::Never);
    }
    let span = |rate: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "clamped to a century")]
        TimeDelta::seconds((left / rate).clamp(0.0, 3.2e9) as i64)
    };
    let (fast, slow) = (span(rate.max(run)), span(rate.min(run)));
    Some(if (rate - run).abs() / rate.max(run) > BAND {
        Eta::Between(fast, slow)
    } else {
        Eta::Guessed(span(rate))
    })
}
