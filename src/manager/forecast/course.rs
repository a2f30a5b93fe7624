//! When an app is expected to run in the time ahead.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use chrono::TimeDelta;

use super::curve::{STEP, STEPS, WHOLE};
use super::{AHEAD, Expected};
use crate::manager::{coming, schedule};
use crate::model::{RunStatus, Schedule, Timestamp};

/// An app that begins more often than this is a constant load: when each of its runs begins follows from the ends of all
/// those before, which no one knows to the minute, and there would be millions of them.
const STEADY_BELOW: TimeDelta = TimeDelta::minutes(5);

/// A calendar that fires more often in the time ahead is a constant load too; once a minute is 1,440 a day.
const TIMES_MAX: usize = 3_000;

/// A time in which an app runs, in steps from now on.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) steps: Range<usize>,
    /// One app is [`WHOLE`].
    pub(super) load: i64,
    /// Whether it is one run that begins with it: neither one that is under way now, nor a share for many.
    pub(super) begins: bool,
}

/// The times of an expression.
#[derive(Debug)]
enum Times {
    Each(Vec<Timestamp>),
    /// So far apart on the average.
    Often(TimeDelta),
}

/// Finds the runs of apps; what apps have in common is worked out once.
#[derive(Debug)]
pub(super) struct Courses {
    /// The beginning of the first step.
    from: Timestamp,
    now: Timestamp,
    end: Timestamp,
    calendars: BTreeMap<(String, &'static str, Duration), Times>,
}

impl Courses {
    pub(super) fn new(from: Timestamp, now: Timestamp) -> Self {
        Self { from, now, end: from + AHEAD, calendars: BTreeMap::new() }
    }

    /// The stretches of an app in their order. No two of them overlap, as no two runs of an app do.
    pub(super) fn each(&mut self, expected: &Expected<'_>, each: &mut dyn FnMut(Stretch)) {
        let row = &*expected.row;
        let mut course = Course { from: self.from, end: self.end, free: self.now, last_step: 0, each };
        let schedule = &row.app.schedule;
        let is_running = row.state.status == RunStatus::Running;
        if schedule.always && !row.is_suspended() {
            // It runs now, and at any time.
            course.put(self.now, self.end, WHOLE, false);
            return;
        }
        if is_running {
            course.go_on(self.now, rest(expected, self.now));
        }
        let (Some(took), false) = (expected.took, row.is_suspended()) else { return };
        // Also a run of no time at all is a run.
        let took = took.max(TimeDelta::milliseconds(1));
        let planned = coming::coming_of(row, self.now).map(|time| time.max(self.now));
        if schedule.cron.is_some() {
            self.calendar(schedule, schedule::jitter(schedule, row.app.id), planned, took, &mut course);
        } else if let Some(pause) = pause(schedule, schedule::jitter(schedule, row.app.id)) {
            let after_run = if is_running { course.free + pause } else { self.now };
            let first = planned.filter(|time| *time >= course.free).unwrap_or(after_run);
            // Where no manager has given it a first time, it is not known at which moments of its cycle the app runs.
            let is_unplanned = planned.is_none() && !is_running;
            if is_unplanned || took + pause < STEADY_BELOW {
                course.share(first, took, took + pause);
                return;
            }
            let mut begin = first;
            while begin < self.end {
                course.add(begin, took);
                begin += took + pause;
            }
        } else if let Some(first) = planned {
            // It runs on command, and a time was asked for.
            course.add(first, took);
        }
    }

    fn calendar(
        &mut self,
        schedule: &Schedule,
        jitter: TimeDelta,
        planned: Option<Timestamp>,
        took: TimeDelta,
        course: &mut Course<'_>,
    ) {
        let now = self.now;
        match self.times(schedule) {
            None => {}
            Some(Times::Often(gap)) => {
                let begin = planned.unwrap_or(course.free);
                // What comes during a run is passed over: the next one begins with the first time after its end.
                let gap = gap.num_milliseconds().max(1);
                let cycle = TimeDelta::milliseconds((took.num_milliseconds() + gap - 1) / gap * gap);
                course.share(begin, took, cycle);
            }
            Some(Times::Each(times)) => {
                if let Some(first) = planned {
                    course.add(first, took);
                }
                let after = planned.unwrap_or(now);
                for slot in times {
                    let begin = *slot + jitter;
                    if begin > after {
                        course.add(begin, took);
                    }
                }
            }
        }
    }

    fn times(&mut self, schedule: &Schedule) -> Option<&Times> {
        let cron = schedule.cron.as_ref()?;
        let key = (cron.to_string(), schedule.time_zone.name(), schedule.jitter);
        let (now, end) = (self.now, self.end);
        Some(self.calendars.entry(key).or_insert_with(|| {
            let from = now - TimeDelta::from_std(schedule.jitter).unwrap_or_default();
            let times = schedule::slots_between(cron, schedule.time_zone, from, end, TIMES_MAX);
            match times.as_slice() {
                [first, .., last] if times.len() == TIMES_MAX => {
                    Times::Often((*last - *first) / i32::try_from(TIMES_MAX - 1).unwrap_or(i32::MAX))
                }
                _ => Times::Each(times),
            }
        }))
    }
}

/// How much longer a run goes on that is under way.
fn rest(expected: &Expected<'_>, now: Timestamp) -> TimeDelta {
    let row = &*expected.row;
    let by_runs =
        row.state.last_run.zip(expected.took).and_then(|(began, took)| began.checked_add_signed(took));
    let end = row.progress.eta.filter(|eta| *eta > now).or(by_runs);
    // Longer than usual, or of unknown length: it runs now, and that is all.
    end.map_or(TimeDelta::zero(), |end| end - now).max(TimeDelta::milliseconds(1))
}

/// How long an app without a calendar rests after a good run; `None` where it runs on command.
pub(super) fn pause(schedule: &Schedule, jitter: TimeDelta) -> Option<TimeDelta> {
    let pause = schedule.interval?.duration().max(schedule::PAUSE_MIN);
    Some(TimeDelta::from_std(pause).unwrap_or_default() + jitter)
}

/// The stretches of one app as they are found.
struct Course<'a> {
    from: Timestamp,
    end: Timestamp,
    /// When the run before is over.
    free: Timestamp,
    /// The step from which on the app is counted again, so that two short runs in one step are one app.
    last_step: usize,
    each: &'a mut dyn FnMut(Stretch),
}

impl Course<'_> {
    fn add(&mut self, begin: Timestamp, took: TimeDelta) {
        if begin < self.free || begin >= self.end {
            return;
        }
        let end = begin.checked_add_signed(took).unwrap_or(Timestamp::MAX_UTC);
        self.free = end;
        self.put(begin, end, WHOLE, true);
    }

    /// The run that is under way.
    fn go_on(&mut self, now: Timestamp, rest: TimeDelta) {
        let end = now.checked_add_signed(rest).unwrap_or(Timestamp::MAX_UTC);
        self.free = end;
        self.put(now, end, WHOLE, false);
    }

    /// Many runs of this length, one in each `cycle`.
    fn share(&mut self, begin: Timestamp, took: TimeDelta, cycle: TimeDelta) {
        let begin = begin.max(self.free);
        if begin < self.end {
            let load = took.num_milliseconds() * WHOLE / cycle.num_milliseconds().max(1);
            self.put(begin, self.end, load.clamp(1, WHOLE), false);
        }
    }

    fn put(&mut self, begin: Timestamp, end: Timestamp, load: i64, begins: bool) {
        let offset = |time: Timestamp| (time.min(self.end) - self.from).num_milliseconds();
        let step = |at: i64| usize::try_from(at).unwrap_or(0).min(STEPS);
        let first = step(offset(begin) / STEP).max(self.last_step);
        let last = step((offset(end) + STEP - 1) / STEP);
        if first < last {
            self.last_step = last;
            (self.each)(Stretch { steps: first..last, load, begins });
        }
    }
}
