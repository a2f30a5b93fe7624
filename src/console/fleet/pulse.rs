//! How the counters of an app move: rate, silence, flapping. Nothing here comes from the database;
//! it is what the console saw since it was opened.

use chrono::TimeDelta;

use super::row::{Row, Usual};
use crate::model::{FLAPPING_ENDS, FLAPPING_WITHIN, Timestamp, flaps};

/// The rate is an average that forgets with this time constant.
const MEMORY_SECONDS: f64 = 60.0;

/// The shortest silence that counts as standing still.
const STILL_MIN: TimeDelta = TimeDelta::seconds(60);

/// Standing still: so many times the usual pause between two changes.
const STILL_STEPS: i32 = 5;

/// Pauses between changes that are remembered.
const STEPS: usize = 5;

/// Minutes of work that are remembered.
pub(in crate::console) const BARS: usize = 10;

/// What was seen of one app.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::console) struct Pulse {
    /// Items a second.
    rate: Option<f64>,
    /// When the counters changed last, and when before.
    changed: Option<Timestamp>,
    /// The last pauses between changes, in seconds.
    steps: [u16; STEPS],
    seen_steps: usize,
    /// The last bad ends of runs.
    ends: [Option<Timestamp>; FLAPPING_ENDS],
    /// Items of the last minutes; the newest is last.
    bars: [u32; BARS],
    minute: i64,
}

impl Pulse {
    /// An app that is seen for the first time: the average of its run stands for the rate.
    pub(super) fn first(row: &Row, now: Timestamp) -> Self {
        let mut pulse = Self::default();
        if row.is_running() {
            pulse.rate = run_rate(row, now).filter(|_| row.done() > 0);
            pulse.changed = (row.done() > 0).then_some(now);
            pulse.minute = now.timestamp() / 60;
            // Its usual pause is not known yet; the average of its run stands for that as well.
            if let Some(rate) = pulse.rate.filter(|rate| *rate > 0.0) {
                pulse.learn(1.0 / rate);
            }
        }
        pulse
    }

    /// Takes over from the row before.
    pub(super) fn next(before: &Row, row: &Row, now: Timestamp) -> Self {
        let mut pulse = before.pulse.clone();
        // A job that runs each minute and ends well does not flap.
        let is_bad = row.failures > before.failures;
        if is_bad && before.is_running() && (!row.is_running() || before.run != row.run) {
            pulse.ends.rotate_left(1);
            pulse.ends[FLAPPING_ENDS - 1] = Some(now);
        }
        if row.is_running() && (!before.is_running() || before.run != row.run) {
            let fresh = Self::default();
            pulse = Self { ends: pulse.ends, bars: pulse.bars, minute: pulse.minute, ..fresh };
            pulse.changed = Some(now).filter(|_| row.done() > 0 || row.percent.is_some_and(|p| p > 0));
            return pulse;
        }
        let gained = row.done().saturating_sub(before.done());
        let has_moved = gained > 0 || row.percent != before.percent;
        if row.is_running() && has_moved {
            pulse.moved(gained, row, now);
        }
        pulse
    }

    fn moved(&mut self, gained: u64, row: &Row, now: Timestamp) {
        let since = self.changed.or(row.last_run).unwrap_or(now);
        let pause = seconds(now - since).max(0.001);
        if self.changed.is_some() {
            self.learn(pause);
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
        let sample = gained as f64 / pause;
        let kept = (-pause / MEMORY_SECONDS).exp();
        self.rate = Some(self.rate.map_or(sample, |rate| rate * kept + sample * (1.0 - kept)));
        self.changed = Some(now);
        self.turn(now);
        self.bars[BARS - 1] = self.bars[BARS - 1].saturating_add(u32::try_from(gained).unwrap_or(u32::MAX));
    }

    /// A pause between two changes, in seconds.
    fn learn(&mut self, pause: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let step = pause.ceil().clamp(0.0, f64::from(u16::MAX)) as u16;
        self.steps.rotate_left(1);
        self.steps[STEPS - 1] = step;
        self.seen_steps = (self.seen_steps + 1).min(STEPS);
    }

    /// Moves the minutes on.
    fn turn(&mut self, now: Timestamp) {
        let minute = now.timestamp() / 60;
        let passed = usize::try_from(minute - self.minute).unwrap_or(0).min(BARS);
        if passed > 0 {
            self.bars.rotate_left(passed);
            self.bars[BARS - passed..].fill(0);
            self.minute = minute;
        }
    }

    /// Items of the last minutes, the newest last.
    pub(in crate::console) fn bars(&self, now: Timestamp) -> [u32; BARS] {
        let mut pulse = self.clone();
        pulse.turn(now);
        pulse.bars
    }

    /// The usual pause between two changes.
    pub(in crate::console) fn step(&self) -> TimeDelta {
        let mut steps = self.steps;
        let seen = &mut steps[STEPS - self.seen_steps..];
        seen.sort_unstable();
        TimeDelta::seconds(seen.get(seen.len() / 2).copied().map_or(0, i64::from))
    }

    /// Items a second, now. It holds for two usual pauses, then it fades.
    pub(in crate::console) fn rate(&self, now: Timestamp) -> Option<f64> {
        let silent = seconds(now - self.changed? - self.step() * 2).max(0.0);
        let rate = self.rate? * (-silent / MEMORY_SECONDS).exp();
        Some(if rate < 0.001 { 0.0 } else { rate })
    }

    /// Items a thousand seconds, when the counters changed last.
    pub(super) fn speed(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let speed = (self.rate.unwrap_or(0.0) * 1e3).clamp(0.0, 1e15) as u64;
        speed
    }

    /// For how long the counters have stood still, once that is longer than usual. An app that never
    /// counted is never called so.
    pub(in crate::console) fn stalled(&self, now: Timestamp) -> Option<TimeDelta> {
        let still = now - self.changed?;
        (still > (self.step() * STILL_STEPS).max(STILL_MIN)).then_some(still)
    }

    /// When the counters changed last, as far as this console saw.
    pub(in crate::console) fn changed(&self) -> Option<Timestamp> {
        self.changed
    }

    /// The first of the last bad ends that are remembered.
    pub(in crate::console) fn flaps_since(&self) -> Option<Timestamp> {
        self.ends[0]
    }

    /// Whether it flaps at this moment.
    pub(super) fn is_flapping(&self, now: Timestamp) -> bool {
        // Asked of every app each second: most have no bad ends.
        self.ends[0].is_some_and(|first| now - first <= FLAPPING_WITHIN)
            && flaps(self.ends.into_iter().flatten()).is_some()
    }
}

/// Items a second over all of the run.
pub(in crate::console) fn run_rate(row: &Row, now: Timestamp) -> Option<f64> {
    let elapsed = seconds(now - row.last_run?);
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
    let done = row.done() as f64;
    (elapsed > 0.5).then(|| done / elapsed)
}

fn seconds(span: TimeDelta) -> f64 {
    span.as_seconds_f64()
}

/// When a run will be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Eta {
    /// The app or the database said so a moment ago.
    Told(TimeDelta),
    /// We think so.
    Guessed(TimeDelta),
    /// Between these: it goes faster or slower now than over all of the run.
    Between(TimeDelta, TimeDelta),
    /// It has just begun, and its runs take so long as a rule.
    Usual(TimeDelta),
    /// Not as things are.
    Never,
}

/// A word of the app is believed for two polls.
const TOLD_HOLDS: TimeDelta = TimeDelta::milliseconds(2500);

/// Rates that differ by more are shown as a band.
const BAND: f64 = 0.25;

/// When the run of this app will be done; `None` if it does not run or nobody can know.
pub(in crate::console) fn eta(row: &Row, now: Timestamp) -> Option<Eta> {
    if !row.is_running() {
        return None;
    }
    if let (true, Usual::Takes(usual), Some(begun)) = (row.has_just_begun(), row.usual, row.last_run) {
        return Some(Eta::Usual((begun + usual - now).max(TimeDelta::zero())));
    }
    let told = row.eta.map(|eta| Eta::Told((eta - now).max(TimeDelta::zero())));
    let is_fresh = row.pulse.changed().is_some_and(|changed| now - changed < TOLD_HOLDS);
    let Some(size) = row.task_size else { return told };
    let (rate, run) = (row.pulse.rate(now)?, run_rate(row, now)?);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let left = size.saturating_sub(row.done()) as f64;
    if is_fresh && told.is_some() {
        return told;
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
