//! When one app is due next, and which of its times were passed over.

use std::time::Duration;

use chrono::TimeDelta;

use super::judgement::BACK_OFF_MAX;
use super::schedule::{self, ANEW_AFTER, Slots};
use crate::model::{App, CatchUp, Planned, Skip, SkipReason, Timestamp, Trigger};

/// A time that is seen later than this was missed: no manager was there, or the clock was set.
/// A restart of the manager takes less, so that it delays runs and skips none.
const MISSED_AFTER: TimeDelta = TimeDelta::seconds(60);

/// The times of one app. From the moment at which it is scheduled (ENABLE, START) until it is not any more
/// (STOP, DISABLE, given up) each time of its calendar is accounted for exactly once: it becomes a run or
/// part of a [`Skip`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// When the app is due; `None` while nothing is planned.
    next: Option<Next>,
    /// The first calendar time that is not accounted for, before jitter; cron only.
    slot: Option<Timestamp>,
    /// Calendar times that passed and are still to be run, oldest first. All of them lie before `slot`.
    backlog: Vec<Timestamp>,
    /// When the first of the backlog may run.
    backlog_from: Option<Timestamp>,
}

/// The next run, and what its time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Next {
    at: Timestamp,
    what: Planned,
}

/// What the row of an app says of its times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) next_run: Option<Timestamp>,
    /// What `next_run` is; `None` where an older version or another program wrote it.
    pub(super) planned: Option<Planned>,
    /// The first calendar time that is not accounted for, before jitter.
    pub(super) slot: Option<Timestamp>,
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
    /// It crashed, or runs always, and is started again after this back-off.
    Crashed(Duration),
}

/// A run that is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Over {
    /// When it ended; the manager may learn of it later.
    pub(super) ended: Timestamp,
    /// A time that the app asked for.
    pub(super) asked: Option<Timestamp>,
}

/// What a decision about times is based on, and the times that it leaves out.
#[derive(Debug)]
pub(super) struct Account<'a> {
    pub(super) app: &'a App,
    pub(super) now: Timestamp,
    pub(super) skips: Vec<Skip>,
}

impl<'a> Account<'a> {
    pub(super) fn new(app: &'a App, now: Timestamp) -> Self {
        Self { app, now, skips: Vec::new() }
    }

    fn jitter(&self) -> TimeDelta {
        schedule::jitter(&self.app.schedule, self.app.id)
    }

    fn skip(&mut self, first: Timestamp, last: Timestamp, slots: Option<u32>, reason: SkipReason) {
        self.skips.push(Skip { app: self.app.id, first, last, slots, reason, at: self.now });
    }
}

impl Plan {
    /// Takes up what the row of the app says.
    pub(super) fn restored(app: &App, row: Times, last_run: Option<Timestamp>, now: Timestamp) -> Self {
        let mut plan = Self {
            next: row.next_run.map(|at| Next { at, what: row.planned.unwrap_or(Planned::Asked) }),
            // Others may have changed the calendar meanwhile.
            slot: row.slot.filter(|slot| is_slot(app, *slot)),
            ..Self::default()
        };
        let awaited = row.next_run.map(|at| at - schedule::jitter(&app.schedule, app.id));
        if plan.slot.is_none() && row.planned.is_none() {
            // The row may be older than the column for open times.
            plan.slot = awaited.filter(|slot| is_slot(app, *slot));
        }
        if plan.slot.is_some() && plan.slot == awaited {
            plan.expect_slot(app);
        }
        match plan.next {
            // The calendar may be another one now, or a pause before times that are open goes on: it ends here.
            Some(Next { what: Planned::Calendar, .. }) => plan.follow(app, now, Went::Well),
            // It was asked for in a run that began hours later than now: the clock was wrong.
            Some(Next { at, what: Planned::Asked })
                if at - now > ANEW_AFTER && last_run.is_some_and(|last| last - now > ANEW_AFTER) =>
            {
                plan.follow(app, now, Went::Well);
            }
            Some(Next { what: Planned::Asked, .. }) => plan.count_from(app, now),
            // That is no back-off: it had a schedule before.
            Some(Next { what: Planned::Pause(length), .. })
                if app.schedule.always && length > BACK_OFF_MAX =>
            {
                plan.follow(app, now, Went::Well);
            }
            // A pause is not longer than it was when it began: if it is, the clock was set back since.
            Some(Next { at, what: what @ Planned::Pause(length) }) => {
                plan.next = Some(Next { at: at.min(after(now, length)), what });
                plan.count_from(app, now);
            }
            None => {}
        }
        plan.follow_clock(app, now);
        plan
    }

    /// When the app is to be looked at.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        match self.backlog.first() {
            Some(first) => self.backlog_from.or(Some(*first)),
            None => self.next.map(|next| next.at),
        }
    }

    /// What the row shows: when the app is due, and the first calendar time that is not accounted for. A
    /// run that waits for room, and a backlog, are still due, so that a manager that comes after this
    /// one knows of them.
    pub(super) fn shown(&self, app: &App, waits: Option<Timestamp>) -> Times {
        let next_run = self.next.map(|next| next.at);
        let planned = self.next.map(|next| next.what);
        let shown = Times { next_run, planned, slot: self.slot };
        let Some(open) = waits.or_else(|| self.backlog.first().copied()) else { return shown };
        let slot = open - schedule::jitter(&app.schedule, app.id);
        if is_slot(app, slot) {
            let from = self.backlog_from.filter(|_| waits.is_none());
            return Times {
                next_run: from.or(Some(open)),
                planned: Some(Planned::Calendar),
                slot: Some(slot),
            };
        }
        // It is overdue: no clock may put it off any more.
        Times { next_run: Some(open), planned: Some(Planned::Pause(Duration::ZERO)), ..shown }
    }

    /// The app is not scheduled any more: records what is still open.
    pub(super) fn end(&mut self, account: &mut Account<'_>, reason: SkipReason) {
        self.drop_backlog(account, reason);
        self.pass_over(account, account.now, self.reason_to_wait().unwrap_or(reason));
        *self = Self::default();
    }

    /// The app must not run until somebody says so: times of its calendar are not counted, and a time that was
    /// asked for stands.
    pub(super) fn suspend(&mut self, account: &mut Account<'_>, reason: SkipReason) {
        let asked = self.next.filter(|next| next.what == Planned::Asked);
        self.end(account, reason);
        self.next = asked;
    }

    /// The app may run: it has a plan, and times of its calendar count.
    pub(super) fn resume(&mut self, account: &mut Account<'_>) {
        if self.wake().is_none() {
            self.begin(account, SkipReason::Rescheduled);
        }
        self.count(account);
    }

    /// Times of the calendar count from now on, if they did not before.
    pub(super) fn count(&mut self, account: &mut Account<'_>) {
        self.count_from(account.app, account.now);
    }

    /// The app is another manager's, which accounts for what is open.
    pub(super) fn hand_over(&mut self) {
        *self = Self::default();
    }

    /// Somebody else decided when the app runs next.
    pub(super) fn give(&mut self, account: &mut Account<'_>, time: Option<Timestamp>) {
        self.drop_backlog(account, SkipReason::Superseded);
        self.next = time.map(|at| Next { at, what: Planned::Asked });
    }

    /// Plans from now on, as for an app that is new or was enabled. What is still open is left out for this
    /// reason.
    pub(super) fn begin(&mut self, account: &mut Account<'_>, reason: SkipReason) {
        self.end(account, reason);
        self.follow(account.app, account.now, Went::Well);
    }

    /// A run begins by command. From now on every time of the calendar counts, also where the app was
    /// stopped before; what was missed is still to be run, if `catch_up` says so.
    pub(super) fn begin_by_command(&mut self, account: &mut Account<'_>) {
        self.count(account);
        self.collect_missed(account);
        self.backlog_from = None;
    }

    /// A run that waited for room begins: records the times that came meanwhile.
    pub(super) fn begin_after_wait(&mut self, account: &mut Account<'_>) {
        self.pass_over_run(account, account.now, SkipReason::NoRoom);
    }

    /// Decides what a due app does, and moves on to the time after it.
    pub(super) fn take(&mut self, account: &mut Account<'_>) -> Due {
        if self.backlog.is_empty() {
            let due = match self.next {
                None => return Due::Nothing,
                Some(Next { what: Planned::Calendar, .. }) => self.take_slot(account),
                Some(next @ Next { what: Planned::Pause(_) | Planned::Asked, .. }) => {
                    self.take_time(next, account)
                }
            };
            if let Some(due) = due {
                return due;
            }
        }
        self.backlog_from = None;
        if self.backlog.is_empty() {
            return Due::Nothing;
        }
        Due::Run { due: self.backlog.remove(0), trigger: Trigger::CatchUp }
    }

    /// The next time of the calendar has come; `None` when it and others passed, which are in the backlog
    /// now as far as they are to be run.
    fn take_slot(&mut self, account: &mut Account<'_>) -> Option<Due> {
        let slots = self.open_slots(account, account.now)?;
        let due = slots.last + account.jitter();
        if slots.count == Some(1) && account.now - due <= MISSED_AFTER {
            self.slot = slots.following;
            self.expect_slot(account.app);
            return Some(Due::Run { due, trigger: Trigger::Schedule });
        }
        self.collect(slots, account);
        self.expect_slot(account.app);
        None
    }

    /// The end of a pause, or a time that was asked for, has come. Times of the calendar that came before
    /// it are passed over; those after it were missed together with it.
    fn take_time(&mut self, next: Next, account: &mut Account<'_>) -> Option<Due> {
        let (due, now) = (next.at, account.now);
        let reason = self.reason_to_wait().unwrap_or(SkipReason::Superseded);
        self.pass_over(account, (due - TimeDelta::milliseconds(1)).min(now), reason);
        // What runs always misses nothing: it runs as soon as it can.
        let is_missed = now - due > MISSED_AFTER && !account.app.schedule.always;
        if is_missed && self.open_slots(account, now).is_some() {
            let is_slot = self.slot.is_some_and(|slot| slot + account.jitter() == due);
            if next.what == Planned::Asked && !is_slot {
                account.skip(due, due, Some(1), SkipReason::Missed);
            }
            return self.take_slot(account);
        }
        if self.slot.is_some_and(|slot| slot + account.jitter() == due) {
            return self.take_slot(account);
        }
        if is_missed && account.app.policy.catch_up == CatchUp::None {
            account.skip(due, due, Some(1), SkipReason::Missed);
            self.follow(account.app, now, Went::Well);
            return Some(Due::Nothing);
        }
        self.expect_slot(account.app);
        Some(Due::Run { due, trigger: if is_missed { Trigger::CatchUp } else { Trigger::Schedule } })
    }

    /// What becomes of times at which the app could have run, but nothing started it: those that are to be
    /// run go to the backlog.
    fn collect(&mut self, slots: Slots, account: &mut Account<'_>) {
        let (Some(cron), Some(first)) = (&account.app.schedule.cron, self.slot) else { return };
        let (zone, jitter) = (account.app.schedule.time_zone, account.jitter());
        let is_only_late = account.now - (first + jitter) <= MISSED_AFTER;
        self.slot = slots.following;
        match account.app.policy.catch_up {
            CatchUp::None if !is_only_late => {
                account.skip(first + jitter, slots.last + jitter, slots.count, SkipReason::Missed);
            }
            CatchUp::Latest | CatchUp::None => {
                if let Some(before) = slots.before_last {
                    let count = slots.count.map(|count| count - 1);
                    account.skip(first + jitter, before + jitter, count, SkipReason::Missed);
                }
                self.backlog = vec![slots.last + jitter];
            }
            CatchUp::All => {
                let limit = account.app.policy.catch_up_limit.max(1);
                let kept = schedule::latest_slots(cron, zone, first, slots.last, limit);
                if let Some(kept) = kept.first().filter(|kept| **kept > first) {
                    let out = schedule::slots_until(cron, zone, first, *kept - TimeDelta::milliseconds(1));
                    account.skip(first + jitter, out.last + jitter, out.count, SkipReason::CatchUpLimit);
                }
                self.backlog = kept.into_iter().map(|slot| slot + jitter).collect();
            }
        }
    }

    /// Whether a time is open that is older than a restart of a manager takes.
    fn has_missed(&self, account: &Account<'_>) -> bool {
        self.slot.is_some_and(|slot| account.now - (slot + account.jitter()) > MISSED_AFTER)
    }

    /// Collects the times up to now if some were missed.
    fn collect_missed(&mut self, account: &mut Account<'_>) {
        if self.has_missed(account)
            && self.backlog.is_empty()
            && let Some(slots) = self.open_slots(account, account.now)
        {
            self.collect(slots, account);
            self.renew_expectation(account.app);
        }
    }

    /// A run ended: accounts for what came while it went on, and plans the next one. A time that
    /// the app asked for wins if it was still to come when the run ended.
    pub(super) fn follow_run(&mut self, over: Over, went: Went, account: &mut Account<'_>) {
        self.pass_over_run(account, over.ended, SkipReason::Overlap);
        if let Some(time) = over.asked.filter(|time| *time > over.ended) {
            return self.give(account, Some(time));
        }
        if pause_after(account.app, went).is_some() {
            match account.app.policy.catch_up {
                CatchUp::All => self.collect_missed(account),
                // The run at the end of the pause makes up for them.
                CatchUp::Latest | CatchUp::None if self.has_missed(account) => {
                    self.pass_over_run(account, account.now, SkipReason::Missed);
                }
                CatchUp::Latest | CatchUp::None => {}
            }
        }
        self.follow(account.app, account.now, went);
    }

    /// A foreground run ended; the schedule goes on as if it had not been, but for the times that came
    /// meanwhile.
    pub(super) fn follow_foreign_run(&mut self, over: Over, account: &mut Account<'_>) {
        self.pass_over_run(account, over.ended, SkipReason::Overlap);
        if let Some(time) = over.asked.filter(|time| *time > over.ended) {
            self.give(account, Some(time));
        }
    }

    /// A run ended because of a command that decides what follows.
    pub(super) fn follow_stopped_run(&mut self, over: Over, account: &mut Account<'_>) {
        self.pass_over_run(account, over.ended, SkipReason::Overlap);
    }

    /// The wall clock was set: what counts elapsed time moves along. A calendar stays where it is, so
    /// that no fixed time of it comes twice, unless it would wait for too long.
    pub(super) fn shift(&mut self, app: &App, by: TimeDelta, now: Timestamp) {
        let shifted = |time: Timestamp| time.checked_add_signed(by).unwrap_or(time);
        if let Some(Next { at, what: Planned::Pause(_) }) = &mut self.next {
            *at = shifted(*at);
        }
        self.backlog_from = self.backlog_from.map(shifted);
        self.follow_clock(app, now);
    }

    /// A calendar that has seen times which are still to come: the clock was ahead then.
    fn follow_clock(&mut self, app: &App, now: Timestamp) {
        let (Some(cron), Some(slot)) = (&app.schedule.cron, self.slot) else { return };
        if let Some(first) = schedule::first_by_new_time(cron, app.schedule.time_zone, slot, now) {
            self.slot = Some(first);
            self.renew_expectation(app);
        }
    }

    /// What keeps the app from its next calendar time; `None` while it awaits that.
    fn reason_to_wait(&self) -> Option<SkipReason> {
        match self.next?.what {
            Planned::Calendar => None,
            Planned::Pause(_) => Some(SkipReason::Retry),
            Planned::Asked => Some(SkipReason::Superseded),
        }
    }

    fn follow(&mut self, app: &App, now: Timestamp, went: Went) {
        self.count_from(app, now);
        let pause = pause_after(app, went);
        let jitter = match went {
            Went::Well if app.schedule.always => Duration::ZERO,
            Went::Well => schedule::jitter(&app.schedule, app.id).to_std().unwrap_or_default(),
            Went::Badly | Went::Crashed(_) => Duration::ZERO,
        };
        match pause {
            Some(pause) => {
                let length = pause.saturating_add(jitter);
                let at = if length.is_zero() && is_covered_slot(app, now) {
                    now + TimeDelta::milliseconds(1)
                } else {
                    after(now, length)
                };
                self.next = Some(Next { at, what: Planned::Pause(length) });
            }
            None => self.expect_slot(app),
        }
        self.backlog_from = Some(pause.map_or(now, |pause| after(now, pause)));
    }

    fn count_from(&mut self, app: &App, now: Timestamp) {
        if let (Some(cron), None) = (&app.schedule.cron, self.slot) {
            self.slot = schedule::next_slot(cron, app.schedule.time_zone, now);
        }
    }

    fn expect_slot(&mut self, app: &App) {
        let jitter = schedule::jitter(&app.schedule, app.id);
        self.next = self.slot.map(|slot| Next { at: slot + jitter, what: Planned::Calendar });
    }

    /// `slot` moved: the app awaits it, if it awaits one.
    fn renew_expectation(&mut self, app: &App) {
        if self.next.is_some_and(|next| next.what == Planned::Calendar) {
            self.expect_slot(app);
        }
    }

    /// The times of the calendar that are open until then; `None` when there are none.
    fn open_slots(&self, account: &Account<'_>, until: Timestamp) -> Option<Slots> {
        let schedule = &account.app.schedule;
        let (Some(cron), Some(slot)) = (&schedule.cron, self.slot) else { return None };
        let until = until - account.jitter();
        (slot <= until).then(|| schedule::slots_until(cron, schedule.time_zone, slot, until))
    }

    /// Records the times up to then that will not become runs.
    fn pass_over(&mut self, account: &mut Account<'_>, until: Timestamp, reason: SkipReason) {
        let (Some(slots), Some(first)) = (self.open_slots(account, until), self.slot) else { return };
        let jitter = account.jitter();
        account.skip(first + jitter, slots.last + jitter, slots.count, reason);
        self.slot = slots.following;
    }

    /// Records the times that came while a run went on or waited. With a backlog they stay open behind it, since
    /// the row of the app knows only the first open time.
    fn pass_over_run(&mut self, account: &mut Account<'_>, until: Timestamp, reason: SkipReason) {
        if self.backlog.is_empty() {
            self.pass_over(account, until.min(account.now), reason);
            self.renew_expectation(account.app);
        }
    }

    fn drop_backlog(&mut self, account: &mut Account<'_>, reason: SkipReason) {
        if let (Some(first), Some(last)) = (self.backlog.first(), self.backlog.last()) {
            account.skip(*first, *last, u32::try_from(self.backlog.len()).ok(), reason);
        }
        self.backlog.clear();
        self.backlog_from = None;
    }
}

/// How long the app rests after a run; `None`: until the next time of its calendar, if it has one.
fn pause_after(app: &App, went: Went) -> Option<Duration> {
    let schedule = &app.schedule;
    let minutes = match went {
        Went::Well if schedule.always => return Some(Duration::ZERO),
        Went::Well if schedule.cron.is_some() => None,
        Went::Well => schedule.interval,
        Went::Badly => schedule.retry_interval.or(schedule.interval),
        // The first restart comes at once.
        Went::Crashed(back_off) => return Some(back_off),
    };
    minutes.map(|minutes| minutes.duration().max(schedule::PAUSE_MIN))
}

/// Whether this moment is a time of the calendar: the run that crashed in it has covered that, and the one that
/// follows at once is due a moment later.
fn is_covered_slot(app: &App, now: Timestamp) -> bool {
    is_slot(app, now - schedule::jitter(&app.schedule, app.id))
}

fn is_slot(app: &App, time: Timestamp) -> bool {
    let Some(cron) = &app.schedule.cron else { return false };
    schedule::next_slot(cron, app.schedule.time_zone, time - TimeDelta::milliseconds(1)) == Some(time)
}

/// A pause that leaves the calendar ends at its last day.
fn after(now: Timestamp, pause: Duration) -> Timestamp {
    let pause = TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(pause).unwrap_or(Timestamp::MAX_UTC)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
