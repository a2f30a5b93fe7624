//! What an app is doing: one answer for all who show it, from its row, the lease of its manager and the time.

use std::time::Duration;

use chrono::TimeDelta;

use super::vocabulary::words;
use super::{AppRow, Concern, FatalFlag, ManagerRow, RunStatus, Timestamp};

/// The shortest grace before an app is called late.
const GRACE_MIN: Duration = Duration::from_secs(30);

/// The share of the interval that an app may be late: a twentieth.
const GRACE_SHARE: u32 = 20;

words! {
    /// What an app is doing: exactly one for each app. What needs a person comes first.
    State, "state" {
        /// Its definition cannot be obeyed.
        SetAside = "set_aside",
        /// It could not be started, and nothing starts until ENABLE.
        Fatal = "fatal",
        /// It failed too often, and nothing starts until ENABLE.
        GivenUp = "given_up",
        /// It runs as far as the row says, but the lease of its manager is over.
        Unknown = "unknown",
        /// It runs, and its counters stand still.
        Stalled = "stalled",
        /// It was due a while ago and does not run.
        Late = "late",
        /// Its last run ended badly; it goes on.
        Failed = "failed",
        /// A person stopped it, or its run was ended from outside.
        Stopped = "stopped",
        /// It is due, and a limit leaves no room.
        Waiting = "waiting",
        /// It runs.
        Running = "running",
        /// It waits for its time, or for a command.
        Idle = "idle",
        /// Nothing starts until ENABLE.
        Disabled = "disabled",
    }
}

impl State {
    /// What the row says by itself. Of an app that runs nothing may be known any more ([`Self::unheard`]), and an idle one
    /// may be [late](Self::lateness).
    #[must_use]
    pub fn of_row(row: &AppRow) -> Self {
        let state = &row.state;
        let is_stopped = state.status == RunStatus::Stopped;
        match &state.fatal {
            _ if row.fault.is_some() => Self::SetAside,
            _ if state.status == RunStatus::Running && state.is(Concern::Stalled) => Self::Stalled,
            _ if state.status == RunStatus::Running => Self::Running,
            Some(fatal) if fatal.bars(&row.app.policy) => {
                if fatal.flag == FatalFlag::UnexpectedBehavior {
                    Self::GivenUp
                } else {
                    Self::Fatal
                }
            }
            _ if row.app.disabled => Self::Disabled,
            _ if state.stopped_by.is_some() => Self::Stopped,
            _ if state.waiting_for.is_some() && state.is(Concern::Late) => Self::Late,
            _ if state.waiting_for.is_some() => Self::Waiting,
            fatal if state.failures > 0 || fatal.is_some() => Self::Failed,
            _ if is_stopped => Self::Stopped,
            _ => Self::Idle,
        }
    }

    /// What is known of an app that runs as far as its row says, if the lease of its manager is over.
    #[must_use]
    pub const fn unheard(self) -> Self {
        if self.is_running() { Self::Unknown } else { self }
    }

    /// By how much an app is late that its row says is in this state, once that is more than its grace.
    #[must_use]
    pub fn lateness(
        self,
        next_run: Option<Timestamp>,
        interval: Option<Duration>,
        now: Timestamp,
    ) -> Option<TimeDelta> {
        // Asked of every app each second: what rules most of them out comes first.
        let due = next_run.filter(|due| *due < now)?;
        let late = now - due;
        let may_be_late = matches!(self, Self::Idle | Self::Failed | Self::Late);
        (may_be_late && late.to_std().is_ok_and(|late| late > grace(interval))).then_some(late)
    }

    /// The state of an app at this moment of the database's clock. Without `managers` nothing is known of them, and
    /// the row is believed.
    #[must_use]
    pub fn of(row: &AppRow, managers: &[ManagerRow], now: Timestamp) -> Self {
        let interval = row.app.schedule.interval.map(super::Minutes::duration);
        let is_heard = || is_heard(row.state.manager.as_deref(), managers, now);
        Self::of_row(row).at(row.missable(), interval, is_heard, now)
    }

    /// The same for who has kept of the row what it says by itself, the time that it may miss, and its interval.
    #[must_use]
    pub fn at(
        self,
        missable: Option<Timestamp>,
        interval: Option<Duration>,
        is_heard: impl FnOnce() -> bool,
        now: Timestamp,
    ) -> Self {
        if self.is_running() && !is_heard() {
            return self.unheard();
        }
        self.lateness(missable, interval, now).map_or(self, |_| Self::Late)
    }

    /// Whether a process of the app runs, as far as is known.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Stalled | Self::Unknown)
    }

    /// Whether it ended badly, and goes on or not.
    #[must_use]
    pub const fn is_failed(self) -> bool {
        matches!(self, Self::Failed | Self::GivenUp | Self::Fatal)
    }
}

/// How long after it was due an app is called late.
#[must_use]
pub fn grace(interval: Option<Duration>) -> Duration {
    interval.map_or(GRACE_MIN, |interval| (interval / GRACE_SHARE).max(GRACE_MIN))
}

/// Whether the lease of an app's manager holds. An app without one is believed, and so are all while no manager is
/// known.
#[must_use]
pub fn is_heard(manager: Option<&str>, managers: &[ManagerRow], now: Timestamp) -> bool {
    let Some(name) = manager.filter(|_| !managers.is_empty()) else { return true };
    managers.iter().any(|manager| manager.name == name && manager.is_live(now))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{Anomaly, App, AppState, Conclusion, Fatal, Fault, Minutes, OnFailures};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn row(state: AppState) -> AppRow {
        AppRow { state, ..AppRow::new(App::new("a/b/c".parse().unwrap()), 1) }
    }

    fn idle() -> AppRow {
        row(AppState::default())
    }

    fn running() -> AppRow {
        row(AppState {
            status: RunStatus::Running,
            manager: Some("zg".to_owned()),
            failures: 2,
            ..AppState::default()
        })
    }

    fn flagged(mut row: AppRow, flag: FatalFlag) -> AppRow {
        let (cause, message) = (Anomaly::Failures.into(), "exit 1".to_owned());
        row.state.fatal = Some(Box::new(Fatal { flag, cause, message, time: at(0) }));
        row
    }

    fn stalled(row: AppRow) -> AppRow {
        concerned(row, Concern::Stalled)
    }

    fn concerned(row: AppRow, concern: Concern) -> AppRow {
        let conclusion = Conclusion { concern: concern.into(), since: at(0) };
        with(row, |row| row.state.concern = Some(Box::new(conclusion)))
    }

    fn with(mut row: AppRow, change: impl FnOnce(&mut AppRow)) -> AppRow {
        change(&mut row);
        row
    }

    #[test]
    fn a_row_is_in_exactly_one_state_by_what_weighs_most() {
        let crashed = || with(idle(), |row| row.state.status = RunStatus::Stopped);
        let failed = |count| with(idle(), |row| row.state.failures = count);
        let disabled = |row| with(row, |row: &mut AppRow| row.app.disabled = true);
        let stopped = |row| with(row, |row: &mut AppRow| row.state.stopped_by = Some("ana".to_owned()));
        let waiting = |row| with(row, |row: &mut AppRow| row.state.waiting_for = Some("all 1".to_owned()));
        let gives_up = |row| with(row, |row: &mut AppRow| row.app.policy.on_failures = OnFailures::GiveUp);
        let aside = |row| {
            let fault = Fault { names: Default::default(), columns: Vec::new(), message: String::new() };
            with(row, |row: &mut AppRow| row.fault = Some(Box::new(fault)))
        };
        for (row, expected) in vec![
            (idle(), State::Idle),
            (failed(1), State::Failed),
            (failed(9), State::Failed),
            (crashed(), State::Stopped),
            (with(crashed(), |row| row.state.failures = 1), State::Failed),
            (waiting(failed(1)), State::Waiting),
            (stopped(waiting(failed(1))), State::Stopped),
            (disabled(stopped(failed(1))), State::Disabled),
            (flagged(disabled(failed(3)), FatalFlag::FailedToStart), State::Fatal),
            (flagged(failed(3), FatalFlag::AlertSent), State::Fatal),
            (flagged(failed(3), FatalFlag::UnexpectedBehavior), State::Failed),
            (gives_up(flagged(failed(3), FatalFlag::UnexpectedBehavior)), State::GivenUp),
            (running(), State::Running),
            (disabled(running()), State::Running),
            (disabled(stalled(running())), State::Stalled),
            // The manager could not take it back.
            (stalled(idle()), State::Idle),
            (flagged(running(), FatalFlag::UnexpectedBehavior), State::Running),
            (aside(idle()), State::SetAside),
            (aside(running()), State::SetAside),
        ] {
            assert_eq!(State::of_row(&row), expected, "{row:?}");
            assert_eq!(State::of(&row, &[], at(0)), expected, "{row:?}");
        }
    }

    #[test]
    fn what_runs_is_unknown_once_the_lease_of_its_manager_is_over() {
        let lease = Duration::from_secs(60);
        let manager = ManagerRow { name: "zg".to_owned(), heartbeat: at(0), lease, ..ManagerRow::default() };
        let other = ManagerRow { name: "st".to_owned(), ..manager.clone() };
        let ended = ManagerRow { stopped: Some(at(1)), ..manager.clone() };
        for (managers, now, expected) in [
            (&[manager.clone(), other.clone()][..], at(59), State::Running),
            (std::slice::from_ref(&manager), at(60), State::Unknown),
            (std::slice::from_ref(&ended), at(2), State::Unknown),
            (std::slice::from_ref(&other), at(2), State::Unknown),
            // Nothing is known of managers.
            (&[], at(999), State::Running),
        ] {
            assert_eq!(State::of(&running(), managers, now), expected, "{now}");
        }
        assert_eq!(State::of(&idle(), std::slice::from_ref(&manager), at(999)), State::Idle);
        assert_eq!(State::of(&stalled(running()), std::slice::from_ref(&manager), at(59)), State::Stalled);
        assert_eq!(State::of(&stalled(running()), &[manager], at(60)), State::Unknown);
    }

    #[test]
    fn what_is_due_is_late_after_a_grace() {
        let due = |row| with(row, |row: &mut AppRow| row.next_run = Some(at(0)));
        let hourly = with(due(idle()), |row| row.app.schedule.interval = Some(Minutes::new(60.0).unwrap()));
        let waiting = with(due(idle()), |row| row.state.waiting_for = Some("all 1".to_owned()));
        let failed = with(due(idle()), |row| row.state.failures = 1);
        for (row, now, expected) in [
            (due(idle()), at(30), State::Idle),
            (due(idle()), at(31), State::Late),
            (hourly.clone(), at(180), State::Idle),
            (hourly, at(181), State::Late),
            (failed, at(31), State::Late),
            // The manager says when what waits for room is late.
            (waiting.clone(), at(999), State::Waiting),
            (concerned(waiting, Concern::Late), at(999), State::Late),
            (concerned(due(idle()), Concern::Late), at(30), State::Idle),
            (with(due(idle()), |row| row.app.disabled = true), at(999), State::Disabled),
            (due(running()), at(999), State::Running),
        ] {
            assert_eq!(State::of(&row, &[], now), expected, "{row:?}");
        }
    }

    #[test]
    fn each_state_has_a_word_of_its_own() {
        let words: BTreeSet<_> = State::ALL.iter().map(|state| state.word()).collect();
        assert_eq!(words.len(), State::ALL.len());
        for (number, state) in State::ALL.iter().copied().enumerate() {
            assert_eq!((state.word().parse(), state as usize), (Ok(state), number));
        }
        assert!("asleep".parse::<State>().is_err());
    }
}
