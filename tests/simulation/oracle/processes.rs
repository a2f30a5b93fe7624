//! What must be true whenever a process begins, ends or is signalled.

use dcm::model::{AppId, Exit, Obstacle, OnSuspect, RunId, RunOpening, Timestamp, Trigger};
use dcm::store::Tables;

use super::{End, Living, Oracle, Wish};
use crate::host::Serial;
use crate::processes::Signal;

/// Two readings of a clock in one host may lie so far apart, in milliseconds.
const TOLERANCE: u64 = 10;

/// The longest back-off after a crash.
pub(super) const BACK_OFF_MAX: u64 = 300_000;

/// Within this time an edit has been read, in milliseconds. A schedule that was changed counts from then on.
const EDIT_SEEN: u64 = 3000;

/// The pause after a number of crashes: none after the first, then 1 s and twice that after each.
pub(super) fn back_off(crashes: u32) -> u64 {
    match crashes.checked_sub(2) {
        None => 0,
        Some(further) => (1000 << further.min(16)).min(BACK_OFF_MAX),
    }
}

impl Oracle {
    pub(crate) fn process_began(
        &mut self,
        time: u64,
        serial: Serial,
        run: RunId,
        app: AppId,
        pid: u32,
        tables: &Tables,
    ) {
        self.processes += 1;
        let other = self.living.values().find(|living| living.app == app).copied();
        self.must(other.is_none(), "1 one live copy", || {
            format!("{run:?} of {app:?} begins as process {pid} while {other:?} lives")
        });
        let is_open = tables.run(run).is_some_and(|row| row.end.is_none());
        self.must(is_open, "3 no process without a row", || format!("{run:?} begins and has no open row"));
        let truth = self.runs.entry(run).or_default();
        truth.app = Some(app);
        truth.began.push(time);
        let times = truth.began.len();
        // A run whose app is gone is asked again when it has begun: before, nobody may have been there to hear it.
        let lost_app = truth.lost_app;
        let requested = truth.stop_requested_at.filter(|_| !lost_app);
        let command = truth.command;
        self.must(times == 1, "12 a run begins once", || format!("{run:?} begins for the {times}. time"));
        self.must(requested.is_none(), "10 STOP sticks", || {
            format!("{run:?} begins after it was to be stopped")
        });
        let barrier = self.apps.get(&app).and_then(|subject| subject.barrier);
        let is_late = !lost_app && command.zip(barrier).is_some_and(|(command, barrier)| command < barrier);
        self.must(!is_late, "8 order of commands", || {
            format!("{run:?} by {command:?} begins after {barrier:?}")
        });
        self.pause_was_kept(time, run, app);
        self.living.insert(serial, Living { run, app, began: time });
    }

    /// What runs by a pause begins when the pause is over, and not before.
    fn pause_was_kept(&mut self, time: u64, run: RunId, app: AppId) {
        let Some(subject) = self.apps.get(&app).filter(|subject| subject.is_quiet) else { return };
        let Some(end) = subject.last_end else { return };
        let pause = self.pause_after(end, app);
        let is_begun_anew = subject.has_backlog && self.restored_at >= end.at;
        if is_begun_anew || self.may_mistake_pauses(end.at.saturating_sub(2000)) {
            return;
        }
        if let Some(pause) = pause {
            let is_kept = time + TOLERANCE >= end.at + pause;
            self.must(is_kept, "14 pauses are kept", || {
                format!("{run:?} begins {} ms after {end:?}; the pause is {pause}", time - end.at)
            });
        }
    }

    /// How long the app must rest, by its schedule; `None` when that is not known.
    pub(super) fn pause_after(&self, end: End, app: AppId) -> Option<u64> {
        let subject = self.apps.get(&app)?;
        let truth = self.runs.get(&end.run)?;
        let millis =
            |minutes: dcm::model::Minutes| u64::try_from(minutes.duration().as_millis()).unwrap_or(0);
        let schedule = &subject.schedule;
        let may_be_suspect = truth.closed.as_ref().is_none_or(|row| row.outcome_word() != Some("ok"));
        if truth.stop_requested_at.is_some() || truth.was_shim_killed || truth.was_host_lost {
            return None;
        }
        if subject.schedule.always {
            return Some(back_off(subject.crashes.0)).filter(|_| end.exit.is_some());
        }
        match end.exit? {
            Exit::Signal { .. } => Some(back_off(subject.crashes.0)),
            Exit::Code(0) if subject.on_suspect == OnSuspect::Retry && may_be_suspect => None,
            Exit::Code(0) if schedule.cron.is_some() => None,
            Exit::Code(0) => schedule.interval.map(millis),
            Exit::Code(_) => schedule.retry_interval.or(schedule.interval).map(millis),
        }
    }

    /// `exit` is `None` when nobody can have seen it.
    pub(crate) fn process_ended(&mut self, time: u64, serial: Serial, exit: Option<Exit>) {
        let Some(living) = self.living.remove(&serial) else { return };
        let truth = self.runs.entry(living.run).or_default();
        truth.ended_at = Some(time);
        truth.exit = exit;
        truth.is_unseen = exit.is_none();
        if let Some(subject) = self.apps.get_mut(&living.app) {
            subject.last_end = Some(End { at: time, exit, run: living.run });
        }
    }

    pub(crate) fn signalled(&mut self, time: u64, run: RunId, serial: Serial, signal: Signal) {
        let Some(living) = self.living.get(&serial).copied() else { return };
        self.must(living.run == run, "19 the right target", || {
            format!("{signal:?} for {run:?} hits a process of {:?}", living.run)
        });
        let reason = self.is_end_justified(time, living);
        self.must(reason, "20 no signal without a reason", || format!("{signal:?} hits {run:?}"));
        let Some(subject) = self.apps.get(&living.app) else { return };
        let grace = u64::try_from(subject.grace.as_millis()).unwrap_or(0);
        let requested = self.runs.get(&run).and_then(|truth| truth.stop_requested_at);
        if signal == Signal::Kill {
            let is_over = requested.is_some_and(|at| time + TOLERANCE >= at + grace);
            self.must(is_over, "P1 the grace time", || {
                format!("{run:?} is killed before {grace} ms: {requested:?}")
            });
        }
    }

    /// An app told during its run when it wants to run next.
    pub(crate) fn asked_time(&mut self, now: u64, run: RunId, app: AppId, time: Timestamp, in_ms: i64) {
        let comes_at = now.saturating_add_signed(in_ms);
        self.wishes.insert(app, Wish { run, time, asked_at: now, comes_at });
    }

    /// If the run ended by itself and nobody asked for anything since, the next one is for that time.
    /// What was missed by a minute is caught up with or not, by policy.
    pub(super) fn wish_is_granted(&mut self, time: u64, opening: &RunOpening) {
        let (Some(wish), Trigger::Schedule | Trigger::CatchUp) =
            (self.wishes.remove(&opening.app), opening.trigger)
        else {
            return;
        };
        let (Some(subject), Some(truth)) = (self.apps.get(&opening.app), self.runs.get(&wish.run)) else {
            return;
        };
        let is_plain = matches!(truth.exit, Some(Exit::Code(_)))
            && truth.stop_requested_at.is_none()
            && !truth.was_shim_killed
            && !truth.was_host_lost
            && time < wish.comes_at + 50_000
            && subject.last_end.is_some_and(|end| end.run == wish.run)
            && subject.last_closed_at.is_some_and(|at| at < wish.comes_at)
            && subject.touched_at + EDIT_SEEN < wish.asked_at
            && !self.is_anything_settled(opening.app, wish.asked_at)
            && !self.was_clock_set_since(wish.asked_at);
        let is_granted = opening.due == Some(wish.time);
        self.must(!is_plain || is_granted, "13 the app's own next_run wins", || {
            format!("{opening:?}: {wish:?}")
        });
    }

    fn is_anything_settled(&self, app: AppId, since: u64) -> bool {
        let is_since = |at: u64| at >= since;
        self.commands.values().any(|issued| {
            issued.command.app == Some(app) && issued.settled.as_ref().is_none_or(|(_, at)| is_since(*at))
        })
    }

    fn is_end_justified(&self, time: u64, living: Living) -> bool {
        let truth = self.runs.get(&living.run);
        let is_overdue =
            self.apps.get(&living.app).and_then(|subject| subject.max_runtime).is_some_and(|limit| {
                let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                // The row knows the beginning by the wall clock only: a manager that begins, or learns of it, after
                // that was set cannot know better.
                let is_misled = self.was_clock_set_since(living.began)
                    && (self.restored_at >= living.began
                        || self.blind_until >= living.began
                        || self.clock_set_at.is_some_and(|at| at < living.began + 3000));
                is_misled || time + TOLERANCE >= living.began + limit
            });
        is_overdue
            || truth.is_some_and(|truth| truth.is_stopped_by_hand || truth.lost_app)
            || self.is_asked_to_end(living.app, living.began, None)
    }

    pub(crate) fn stop_requested(&mut self, time: u64, run: RunId) {
        self.runs.entry(run).or_default().stop_requested_at.get_or_insert(time);
    }

    pub(crate) fn stop_apps_asked(&mut self, run: RunId) {
        self.runs.entry(run).or_default().is_stopped_by_hand = true;
    }

    pub(crate) fn start_failed(&mut self, run: RunId, obstacle: Obstacle) {
        self.runs.entry(run).or_default().start_failed = Some(obstacle);
    }

    pub(crate) fn shim_was_killed(&mut self, run: RunId) {
        self.runs.entry(run).or_default().was_shim_killed = true;
    }

    pub(crate) fn host_was_lost(&mut self, run: RunId) {
        self.runs.entry(run).or_default().was_host_lost = true;
    }
}
