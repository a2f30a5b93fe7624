//! Stalls: a run whose counters have stood still for longer than they usually do.
//!
//! Reports come often, so they only move the moment at which the run will have stalled. The lists know an earlier one,
//! and when that comes it is put off to the other.

use std::time::Duration;

use chrono::TimeDelta;

use super::desk::Desk;
use super::entry::{Entry, Phase};
use super::event::Step;
use crate::model::{
    Alert, AlertCause, AlertEnd, AlertKind, Anomaly, AppRow, Change, Concern, Fatal, FatalFlag, Movement,
    Now, Progress, Report, RunStatus, Timestamp, format_duration,
};

/// How the counters of the run under way move, as far as the manager knows.
#[derive(Debug, Default)]
pub(super) struct Counting {
    counters: Counters,
    /// When they moved last, as the row says.
    moved: Option<Timestamp>,
    usual_pause: Option<Duration>,
    /// When they will have stood still for too long; `None` while the run has not counted, and once it has stalled.
    stalls_at: Option<Duration>,
    stall: Option<Stall>,
    /// When that is looked at, never after `stalls_at`.
    look_at: Option<Duration>,
}

/// The run has stalled.
#[derive(Debug)]
struct Stall {
    since: Timestamp,
    message: String,
}

/// The columns that a run moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counters {
    task_size: Option<u64>,
    percent: Option<u8>,
    solved: u64,
    failed: u64,
}

impl Counters {
    fn of(progress: &Progress) -> Self {
        let Progress { task_size, percent, solved, failed, .. } = *progress;
        Self { task_size, percent, solved, failed }
    }

    fn after(self, report: &Report) -> Self {
        Self {
            task_size: report.task_size.or(self.task_size),
            percent: report.percent.or(self.percent),
            solved: report.solved.unwrap_or(self.solved),
            failed: report.failed.unwrap_or(self.failed),
        }
    }

    /// A run that knows its size only has not counted: the first item may take long.
    fn has_counted(self) -> bool {
        self.solved > 0 || self.failed > 0 || self.percent.is_some_and(|percent| percent > 0)
    }
}

impl Counting {
    /// What the row says of a run that goes on. The silence so far counts.
    pub(super) fn restored(row: &AppRow, now: Now) -> Option<Box<Self>> {
        let AppRow { movement, state, .. } = row;
        let limit = row.app.policy.stall_after;
        let moved = movement.as_ref().map(|movement| movement.last);
        let usual_pause = movement.as_ref().and_then(|movement| movement.usual_pause);
        let silent_since = moved.or(state.last_run.filter(|_| limit.is_some()));
        let silent_since = silent_since.filter(|_| state.status == RunStatus::Running)?;
        let counters = Counters::of(&row.progress);
        let silence = (now.wall - silent_since).to_std().unwrap_or_default();
        let left = patience(usual_pause, limit).saturating_sub(silence);
        let may_idle = row.app.schedule.always && limit.is_none();
        let concern =
            state.concern.as_ref().filter(|conclusion| conclusion.is(Concern::Stalled) && !may_idle);
        let is_watched = (counters.has_counted() || limit.is_some()) && concern.is_none();
        let stall = concern.map(|conclusion| {
            let shown = state.fatal.as_ref().filter(|fatal| fatal.cause.known() == Some(Anomaly::Stalled));
            let message = shown.map(|fatal| fatal.message.clone());
            let message = message.unwrap_or_else(|| stall_message(usual_pause, limit));
            Stall { since: conclusion.since, message }
        });
        let stalls_at = Some(now.mono + left).filter(|_| is_watched);
        Some(Box::new(Self { counters, moved, usual_pause, stalls_at, stall, look_at: stalls_at }))
    }

    /// Since when the run has stalled.
    pub(super) fn stalled_since(&self) -> Option<Timestamp> {
        self.stall.as_ref().map(|stall| stall.since)
    }

    /// The flag while it has.
    pub(super) fn fatal(&self) -> Option<Fatal> {
        let Stall { since, message } = self.stall.as_ref()?;
        let (flag, cause) = (FatalFlag::UnexpectedBehavior, Anomaly::Stalled.into());
        Some(Fatal { flag, cause, message: message.clone(), time: *since })
    }

    /// The items that it solved and gave up so far.
    pub(super) fn items(&self) -> (u64, u64) {
        (self.counters.solved, self.counters.failed)
    }

    /// When the lists are to bring it up.
    pub(super) fn look_at(&self) -> Option<Duration> {
        self.look_at
    }

    /// The counters moved just now.
    fn move_on(&mut self, limit: Option<Duration>, now: Now) {
        let is_watched = self.counters.has_counted() || limit.is_some();
        self.stalls_at = is_watched.then(|| now.mono + patience(self.usual_pause, limit));
    }
}

impl Entry {
    /// The run reported. Gives whether the row and the lists are to follow: the counters move for the first time, or again.
    #[must_use]
    pub(super) fn note_report(&mut self, report: &Report, now: Now) -> bool {
        let counting = self.counting.get_or_insert_default();
        let counters = counting.counters.after(report);
        let has_moved = std::mem::replace(&mut counting.counters, counters) != counters;
        if has_moved {
            counting.move_on(self.app.policy.stall_after, now);
        }
        has_moved && counting.stalls_at.is_some() && counting.look_at.is_none()
    }

    /// What the row says of the counters, whichever program wrote them.
    pub(super) fn note_row_counters(&mut self, row: &AppRow, now: Now) {
        let Some(movement) = &row.movement else { return };
        if self.run().is_none() || row.state.run != self.run() {
            return;
        }
        let counting = self.counting.get_or_insert_default();
        counting.counters = Counters::of(&row.progress);
        counting.usual_pause = movement.usual_pause;
        if counting.moved.replace(movement.last) != Some(movement.last) {
            counting.move_on(self.app.policy.stall_after, now);
            self.watch_counters();
        }
    }

    /// The counters move: the run has not stalled, and will not before its time.
    pub(super) fn watch_counters(&mut self) {
        let Some(counting) = self.counting.as_mut().filter(|counting| counting.stalls_at.is_some()) else {
            return;
        };
        counting.look_at = counting.look_at.into_iter().chain(counting.stalls_at).min();
        counting.stall = None;
    }

    /// A run began at this time. With `stall_after` it has to count within that, else it is watched once it counts.
    pub(super) fn watch_from(&mut self, start: Timestamp, now: Now) {
        let Some(limit) = self.app.policy.stall_after.filter(|_| self.counting.is_none()) else { return };
        let silence = (now.wall - start).to_std().unwrap_or_default();
        let stalls_at = Some(now.mono + limit.saturating_sub(silence));
        self.counting = Some(Box::new(Counting { stalls_at, look_at: stalls_at, ..Counting::default() }));
    }

    /// `stall_after` was changed while the run goes on: the silence so far counts.
    pub(super) fn restart_counting(&mut self, row: &AppRow, now: Now) {
        self.counting = Counting::restored(row, now);
    }

    /// The run may have stalled.
    pub(super) fn look_at_counters(&mut self, desk: &Desk) {
        let Some(counting) = &mut self.counting else { return };
        // What runs always may have nothing to do for long: its own rhythm tells nothing.
        let may_idle = self.app.schedule.always && self.app.policy.stall_after.is_none();
        if counting.stalls_at.is_some_and(|at| at <= desk.now.mono) {
            counting.stalls_at = None;
            if may_idle {
                counting.look_at = None;
                return;
            }
            let message = stall_message(counting.usual_pause, self.app.policy.stall_after);
            counting.stall = Some(Stall { since: desk.now.wall, message });
        }
        counting.look_at = counting.stalls_at;
    }

    /// Nothing is known of counters, and so of a stall, when a run begins or none is under way.
    pub(super) fn forget_counters(&mut self) {
        self.counting = None;
    }

    /// Opens an alert as a stall begins, and closes it as it ends: when the counters move, or the run is over.
    pub(super) fn note_stall(&self, desk: &Desk, step: &mut Step) {
        let stall = self.counting.as_ref().and_then(|counting| counting.stall.as_ref());
        let (app, at) = (self.app.id, desk.now.wall);
        let change = match (self.shows(Concern::Stalled), stall) {
            (false, Some(stall)) => {
                let message = stall.message.clone();
                // A run may stall more than once: the moment makes the episode.
                let (kind, cause) = (AlertKind::Stalled, AlertCause::of_text("no progress"));
                Change::AlertOpened(Alert {
                    app,
                    kind,
                    cause,
                    run: None,
                    message,
                    detail: None,
                    count: 1,
                    at,
                })
            }
            (true, None) => {
                Change::AlertsClosed { app, kinds: &[AlertKind::Stalled], at, end: AlertEnd::Recovered }
            }
            (true, Some(_)) | (false, None) => return,
        };
        step.changes.push(change);
    }

    /// Forgets them once no run is under way.
    pub(super) fn settle_counters(&mut self) {
        if matches!(self.phase, Phase::Resting(_) | Phase::Waiting(_)) {
            self.forget_counters();
        }
    }
}

/// For how long the counters may stand still.
fn patience(usual_pause: Option<Duration>, limit: Option<Duration>) -> Duration {
    limit.unwrap_or_else(|| Movement::patience(usual_pause))
}

fn stall_message(usual_pause: Option<Duration>, limit: Option<Duration>) -> String {
    let text = |pause| format_duration(TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX));
    let by_setting = if limit.is_some() { " (stall_after)" } else { "" };
    let usually = usual_pause.map(|pause| format!(", usually every {}", text(pause))).unwrap_or_default();
    format!("no progress for more than {}{by_setting}{usually}", text(patience(usual_pause, limit)))
}

#[cfg(test)]
#[path = "stall_tests.rs"]
mod tests;
