//! When one app is due next, and which of its times were passed over.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::TimeDelta;

use super::judgement::BACK_OFF_MAX;
use super::schedule::{self, Slots};
use crate::model::{App, CatchUp, Cron, Skip, SkipReason, Timestamp, Trigger};

/// A time that is seen later than this was missed: no manager was there, or the clock was set.
/// A restart of the manager takes less, so that it delays runs and skips none.
const MISSED_AFTER: TimeDelta = TimeDelta::seconds(60);

/// A clock that was set back by more than this was wrong: the calendar begins anew, as cron does it
/// (`man 8 cron`), instead of waiting until the times come that it has seen.
const ANEW_AFTER: TimeDelta = TimeDelta::hours(3);

/// The times of one app. What the schedule asks for is accounted for exactly once: it becomes a
/// run or part of a [`Skip`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// When the app is due; `None` while nothing is planned.
    next_run: Option<Timestamp>,
    /// Whether `next_run` is the end of a pause: it then follows the steps of the wall clock.
    is_pause: bool,
    /// The first calendar time that is not accounted for, before jitter; cron only.
    slot: Option<Timestamp>,
    /// Missed times that are still to be run, oldest first.
    backlog: VecDeque<Timestamp>,
    /// When the first of the backlog may run.
    backlog_from: Option<Timestamp>,
}

/// What the row of an app says of its times.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) next_run: Option<Timestamp>,
    pub(super) slot: Option<Timestamp>,
    pub(super) last_run: Option<Timestamp>,
}

/// What a due app is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Run for this time.
    Run { due: Timestamp, trigger: Trigger },
    /// Nothing: the time was missed and is left out.
    Nothing,
}

/// How the run before went, as far as planning is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    Well,
    Badly,
    /// It crashed and is started again after this back-off.
    Crashed(Duration),
}

impl Plan {
    /// Takes up what the row of the app says.
    pub(super) fn restored(app: &App, row: Row, now: Timestamp) -> Self {
        let Row { next_run, slot, last_run } = row;
        // The clock was set back while no manager was there: what the row plans is as wrong.
        let is_ahead = |time: Timestamp| time - now > ANEW_AFTER;
        if last_run.is_some_and(is_ahead) && next_run.is_some_and(is_ahead) {
            let mut plan = Self::default();
            plan.begin(app, now);
            return plan;
        }
        let jitter = schedule::jitter(&app.schedule, app.id);
        let mut plan = Self { next_run, ..Self::default() };
        if let Some(cron) = &app.schedule.cron {
            // Others may have changed the calendar meanwhile.
            let is_slot = |time: &Timestamp| is_slot(cron, app, *time);
            plan.slot = slot.filter(is_slot);
            plan.leave_far_future(app, now);
            if let (None, Some(next_run)) = (plan.slot, next_run) {
                let first = schedule::next_slot(cron, app.schedule.time_zone, now);
                let awaited = Some(next_run - jitter).filter(is_slot);
                plan.slot = awaited.filter(|awaited| first.is_none_or(|first| *awaited < first)).or(first);
            }
            if plan.expects_slot(app) {
                return plan;
            }
        }
        // The row does not tell a pause from a time that somebody gave. One that is no longer than the
        // app's own pauses is taken for one.
        let schedule = &app.schedule;
        let pauses = [schedule.interval, schedule.retry_interval].into_iter().flatten();
        let longest = pauses.map(crate::model::Minutes::duration).max().unwrap_or_default().max(BACK_OFF_MAX);
        let latest = schedule::after_pause(now, longest) + jitter;
        plan.is_pause = next_run.is_some_and(|time| time <= latest);
        plan
    }

    /// When the app is to be looked at.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        self.backlog_from.or(self.next_run)
    }

    /// What the row shows: when the app is due, and the first calendar time that is not accounted for. A
    /// run that waits for room, and a backlog, are still due, so that a manager that comes after this
    /// one knows of them.
    pub(super) fn shown(
        &self,
        app: &App,
        waits: Option<Timestamp>,
    ) -> (Option<Timestamp>, Option<Timestamp>) {
        let Some(open) = waits.or_else(|| self.backlog.front().copied()) else {
            return (self.next_run, self.slot);
        };
        let slot = open - schedule::jitter(&app.schedule, app.id);
        let is_open = app.schedule.cron.as_ref().is_some_and(|cron| is_slot(cron, app, slot));
        (Some(open), Some(slot).filter(|_| is_open).or(self.slot))
    }

    /// Nothing is planned any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Somebody else decided when the app runs next.
    pub(super) fn give(&mut self, time: Option<Timestamp>) {
        self.next_run = time;
        self.is_pause = false;
        self.backlog.clear();
        self.backlog_from = None;
    }

    /// Plans from now on, as for an app that is new or was enabled.
    pub(super) fn begin(&mut self, app: &App, now: Timestamp) {
        self.clear();
        self.follow(app, now, Went::Well);
    }

    /// Decides what a due app does, and moves on to the time after it.
    pub(super) fn take(&mut self, app: &App, now: Timestamp, skips: &mut Vec<Skip>) -> Due {
        if let Some(due) = self.backlog.pop_front() {
            self.backlog_from = None;
            return Due::Run { due, trigger: Trigger::CatchUp };
        }
        let Some(due) = self.next_run else { return Due::Nothing };
        let missed = now - due > MISSED_AFTER;
        let jitter = schedule::jitter(&app.schedule, app.id);
        match (&app.schedule.cron, self.slot) {
            (Some(cron), Some(slot)) if slot + jitter == due => {
                if missed {
                    return self.take_missed_slots(app, cron, slot, now, skips);
                }
                self.slot = schedule::next_slot(cron, app.schedule.time_zone, slot);
                self.expect_slot(app);
                Due::Run { due, trigger: Trigger::Schedule }
            }
            // The end of a pause, or a time that was asked for, may be one of the calendar.
            (Some(cron), Some(slot)) if slot + jitter < due && is_slot(cron, app, due - jitter) => {
                let before = skips.len();
                self.pass_over(app, due - TimeDelta::milliseconds(1), SkipReason::Superseded, skips);
                skips[before..].iter_mut().for_each(|skip| skip.at = now);
                self.take(app, now, skips)
            }
            _ => {
                self.pass_over(app, now, SkipReason::Superseded, skips);
                if missed && app.policy.catch_up == CatchUp::None {
                    skips.push(Skip {
                        app: app.id,
                        first: due,
                        last: due,
                        slots: Some(1),
                        reason: SkipReason::Missed,
                        at: now,
                    });
                    self.follow(app, now, Went::Well);
                    return Due::Nothing;
                }
                self.expect_slot(app);
                Due::Run { due, trigger: if missed { Trigger::CatchUp } else { Trigger::Schedule } }
            }
        }
    }

    fn take_missed_slots(
        &mut self,
        app: &App,
        cron: &Cron,
        slot: Timestamp,
        now: Timestamp,
        skips: &mut Vec<Skip>,
    ) -> Due {
        let jitter = schedule::jitter(&app.schedule, app.id);
        let zone = app.schedule.time_zone;
        let slots = schedule::slots_until(cron, zone, slot, now - jitter);
        let mut skip = |last: Timestamp, count: Option<u32>, reason| {
            skips.push(Skip {
                app: app.id,
                first: slot + jitter,
                last: last + jitter,
                slots: count,
                reason,
                at: now,
            });
        };
        self.slot = slots.following;
        match app.policy.catch_up {
            CatchUp::Latest => {
                if let Some(before) = slots.before_last {
                    skip(before, slots.count.map(|count| count - 1), SkipReason::Missed);
                }
                self.expect_slot(app);
                Due::Run { due: slots.last + jitter, trigger: Trigger::CatchUp }
            }
            CatchUp::None => {
                skip(slots.last, slots.count, SkipReason::Missed);
                self.expect_slot(app);
                Due::Nothing
            }
            CatchUp::All => {
                let kept =
                    schedule::latest_slots(cron, zone, slot, slots.last, app.policy.catch_up_limit.max(1));
                if let Some(first) = kept.first().filter(|first| **first > slot) {
                    let left_out =
                        schedule::slots_until(cron, zone, slot, *first - TimeDelta::milliseconds(1));
                    skip(left_out.last, left_out.count, SkipReason::CatchUpLimit);
                }
                self.expect_slot(app);
                self.backlog = kept.into_iter().map(|slot| slot + jitter).collect();
                let due = self.backlog.pop_front().unwrap_or(slot + jitter);
                Due::Run { due, trigger: Trigger::CatchUp }
            }
        }
    }

    /// A run ended: accounts for what came while it went on, and plans the next one. A time that
    /// the app asked for wins if it is still to come.
    pub(super) fn follow_run(
        &mut self,
        app: &App,
        now: Timestamp,
        went: Went,
        asked: Option<Timestamp>,
        skips: &mut Vec<Skip>,
    ) {
        self.pass_over(app, now, SkipReason::Overlap, skips);
        if let Some(time) = asked.filter(|time| *time > now) {
            if let (Some(first), Some(last)) = (self.backlog.front(), self.backlog.back()) {
                let slots = u32::try_from(self.backlog.len()).ok();
                skips.push(Skip {
                    app: app.id,
                    first: *first,
                    last: *last,
                    slots,
                    reason: SkipReason::Superseded,
                    at: now,
                });
            }
            self.give(Some(time));
        } else {
            self.follow(app, now, went);
        }
    }

    /// A foreground run ended; the schedule goes on as if it had not been.
    pub(super) fn follow_foreign_run(&mut self, now: Timestamp, asked: Option<Timestamp>) {
        if let Some(time) = asked.filter(|time| *time > now) {
            self.give(Some(time));
        }
    }

    /// The wall clock was set: what counts elapsed time moves along. A calendar stays where it is, so
    /// that no time of it comes twice, unless it would wait for too long.
    pub(super) fn shift(&mut self, app: &App, by: TimeDelta, now: Timestamp) {
        let shifted = |time: Timestamp| time.checked_add_signed(by).unwrap_or(time);
        if self.is_pause {
            self.next_run = self.next_run.map(shifted);
        }
        self.backlog_from = self.backlog_from.map(shifted);
        self.leave_far_future(app, now);
    }

    /// A calendar that would wait for too long, since the clock was ahead when it was looked at, begins anew.
    fn leave_far_future(&mut self, app: &App, now: Timestamp) {
        let (Some(cron), Some(slot)) = (&app.schedule.cron, self.slot) else { return };
        if slot - now <= ANEW_AFTER {
            return;
        }
        let first = schedule::next_slot(cron, app.schedule.time_zone, now);
        if first.is_some_and(|first| slot - first > ANEW_AFTER) {
            let is_awaited = self.expects_slot(app);
            self.slot = first;
            if is_awaited && !self.is_pause {
                self.expect_slot(app);
            }
        }
    }

    /// Whether the next run is for the next time of the calendar.
    fn expects_slot(&self, app: &App) -> bool {
        let awaited = self.slot.map(|slot| slot + schedule::jitter(&app.schedule, app.id));
        awaited.is_some() && awaited == self.next_run
    }

    fn follow(&mut self, app: &App, now: Timestamp, went: Went) {
        let schedule = &app.schedule;
        if let (Some(cron), None) = (&schedule.cron, self.slot) {
            self.slot = schedule::next_slot(cron, schedule.time_zone, now);
        }
        let pause = match went {
            Went::Well if schedule.cron.is_some() => None,
            Went::Well => schedule.interval.map(crate::model::Minutes::duration),
            Went::Badly => schedule.retry_interval.or(schedule.interval).map(crate::model::Minutes::duration),
            Went::Crashed(back_off) => Some(back_off),
        };
        let jitter = match went {
            Went::Well => schedule::jitter(schedule, app.id),
            Went::Badly | Went::Crashed(_) => TimeDelta::zero(),
        };
        match pause {
            Some(pause) => {
                self.next_run = Some(schedule::after_pause(now, pause) + jitter);
                self.is_pause = true;
            }
            None => self.expect_slot(app),
        }
        if !self.backlog.is_empty() {
            self.backlog_from = Some(pause.map_or(now, |pause| schedule::after_pause(now, pause)));
        }
    }

    fn expect_slot(&mut self, app: &App) {
        self.next_run = self.slot.map(|slot| slot + schedule::jitter(&app.schedule, app.id));
        self.is_pause = false;
    }

    /// Records the calendar times up to now that will not become runs.
    pub(super) fn pass_over(&mut self, app: &App, now: Timestamp, reason: SkipReason, skips: &mut Vec<Skip>) {
        let (Some(cron), Some(slot)) = (&app.schedule.cron, self.slot) else { return };
        let jitter = schedule::jitter(&app.schedule, app.id);
        if slot + jitter > now {
            return;
        }
        let Slots { last, count, following, .. } =
            schedule::slots_until(cron, app.schedule.time_zone, slot, now - jitter);
        skips.push(Skip {
            app: app.id,
            first: slot + jitter,
            last: last + jitter,
            slots: count,
            reason,
            at: now,
        });
        self.slot = following;
    }
}

fn is_slot(cron: &Cron, app: &App, time: Timestamp) -> bool {
    schedule::next_slot(cron, app.schedule.time_zone, time - TimeDelta::milliseconds(1)) == Some(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppId, AppPath, Policy, Program, Schedule, parse_timestamp};

    fn at(text: &str) -> Timestamp {
        parse_timestamp(text).unwrap()
    }

    fn app(schedule: Schedule) -> App {
        let path: AppPath = "a/b/c".parse().unwrap();
        App {
            id: AppId::of(&path),
            path,
            program: Program::default(),
            schedule,
            policy: Policy::default(),
            disabled: false,
            origin: None,
        }
    }

    fn hourly() -> App {
        app(Schedule { cron: Some("0 * * * *".parse().unwrap()), ..Schedule::default() })
    }

    #[test]
    fn a_small_step_back_repeats_no_time_and_a_large_one_begins_anew() {
        let app = hourly();
        let mut plan = Plan::default();
        plan.begin(&app, at("2026-11-23T11:30:00Z"));
        assert_eq!(plan.wake(), Some(at("2026-11-23T12:00:00Z")));
        let mut skips = Vec::new();
        let due = plan.take(&app, at("2026-11-23T12:00:00Z"), &mut skips);
        assert!(matches!(due, Due::Run { .. }), "{due:?}");
        plan.shift(&app, TimeDelta::hours(-2), at("2026-11-23T10:00:01Z"));
        assert_eq!(plan.wake(), Some(at("2026-11-23T13:00:00Z")));
        plan.shift(&app, TimeDelta::days(-3650), at("2016-11-25T10:00:01Z"));
        assert_eq!(plan.wake(), Some(at("2016-11-25T11:00:00Z")));
        assert_eq!(skips, []);
    }

    #[test]
    fn a_calendar_of_rare_times_keeps_them_over_a_step_back() {
        let app = app(Schedule { cron: Some("0 0 1 1 *".parse().unwrap()), ..Schedule::default() });
        let mut plan = Plan::default();
        plan.begin(&app, at("2026-11-23T12:00:00Z"));
        plan.shift(&app, TimeDelta::days(-30), at("2026-10-24T12:00:00Z"));
        assert_eq!(plan.wake(), Some(at("2027-01-01T00:00:00Z")));
    }

    /// What a manager makes of a row in which times of a calendar passed: when it wakes first, what runs then,
    /// and what is skipped.
    #[track_caller]
    fn restored(next_run: Option<&str>, slot: &str, now: &str, skipped: &[(&str, &str)]) -> Option<Due> {
        let (app, now) = (hourly(), at(now));
        let mut plan = Plan::restored(
            &app,
            Row { next_run: next_run.map(at), slot: Some(at(slot)), last_run: None },
            now,
        );
        let mut skips = Vec::new();
        let due = plan.wake().map(|wake| plan.take(&app, wake.max(now), &mut skips));
        let seen: Vec<_> = skips.iter().map(|skip| (skip.first, skip.last)).collect();
        assert_eq!(seen, skipped.iter().map(|(first, last)| (at(first), at(last))).collect::<Vec<_>>());
        due
    }

    #[test]
    fn a_manager_that_takes_an_app_up_knows_which_times_of_its_calendar_are_open() {
        let run = |due, trigger| Some(Due::Run { due: at(due), trigger });
        let nine = "2026-11-23T09:00:00Z";
        let (ten, eleven) = ("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z");
        // A pause goes on over 10:00; it may end at a time of the calendar by chance.
        let pause = "2026-11-23T10:00:30Z";
        assert_eq!(
            restored(Some(pause), ten, "2026-11-23T09:50:00Z", &[(ten, ten)]),
            run(pause, Trigger::Schedule)
        );
        assert_eq!(
            restored(Some(eleven), nine, "2026-11-23T08:50:00Z", &[(nine, ten)]),
            run(eleven, Trigger::Schedule)
        );
        // A time that is accounted for may be asked for again.
        assert_eq!(restored(Some(nine), ten, "2026-11-23T09:00:20Z", &[]), run(nine, Trigger::Schedule));
        // Times passed while nobody was there.
        assert_eq!(
            restored(Some(nine), nine, "2026-11-23T11:30:00Z", &[(nine, ten)]),
            run(eleven, Trigger::CatchUp)
        );
        // A command decides what is next.
        assert_eq!(restored(None, nine, "2026-11-23T11:30:00Z", &[]), None);
    }

    #[test]
    fn a_calendar_that_somebody_changed_meanwhile_begins_with_what_is_to_come() {
        let now = at("2026-11-23T11:30:00Z");
        let row = Row {
            next_run: Some(at("2026-11-23T12:15:00Z")),
            slot: Some(at("2026-11-23T09:15:00Z")),
            last_run: None,
        };
        let plan = Plan::restored(&hourly(), row, now);
        assert_eq!(plan.shown(&hourly(), None).1, Some(at("2026-11-23T12:00:00Z")));
    }

    #[test]
    fn a_time_that_the_app_asked_for_stands_whatever_becomes_of_the_clock() {
        let app = hourly();
        let mut plan = Plan::default();
        plan.begin(&app, at("2026-11-23T11:30:00Z"));
        plan.give(Some(at("2026-12-24T18:00:00Z")));
        plan.shift(&app, TimeDelta::days(-1), at("2026-11-22T11:30:00Z"));
        assert_eq!(plan.wake(), Some(at("2026-12-24T18:00:00Z")));
    }

    #[test]
    fn a_clock_that_was_years_ahead_before_the_manager_began_stalls_nothing() {
        let now = at("2026-11-23T11:30:00Z");
        let (last, next) = (at("2036-01-01T00:00:00Z"), at("2036-01-01T01:00:00Z"));
        let row = Row { next_run: Some(next), ..Row::default() };
        let plan = Plan::restored(&hourly(), Row { last_run: Some(last), ..row }, now);
        assert_eq!(plan.wake(), Some(at("2026-11-23T12:00:00Z")));
        let interval = Schedule { interval: Some("30".parse().unwrap()), ..Schedule::default() };
        let plan = Plan::restored(&app(interval), Row { last_run: Some(last), ..row }, now);
        assert_eq!(plan.wake(), Some(at("2026-11-23T12:00:00Z")));
        // A time far ahead that a person gave is none of this.
        let last_run = Some(at("2026-11-23T11:00:00Z"));
        let plan = Plan::restored(&hourly(), Row { last_run, ..row }, now);
        assert_eq!(plan.wake(), Some(next));
    }
}
