//! What the end of a run means for the app: back-off, failures in a row, the flag and its alert, recovery.

use std::time::Duration;

use chrono::TimeDelta;

use super::desk::Desk;
use super::entry::{Entry, Phase, Rest};
use super::event::Step;
use super::plan::{Over, Went};
use crate::model::{
    Alert, AlertCause, AlertEnd, AlertKind, Anomaly, Blame, Change, Closing, Ending, Exit, Fatal, FatalFlag,
    Obstacle, OnSuspect, Policy, RunId, SkipReason, StopCause, describe, format_duration,
};

/// The pause after the second crash; it doubles with each further one. After the first there is none.
const BACK_OFF_FIRST: Duration = Duration::from_secs(1);

/// The longest pause after a crash.
pub(super) const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// The longest pause where the cause lies outside the app: it may be over at any moment.
const OUTSIDE_MAX: Duration = Duration::from_secs(60);

/// A run that lived for this time has shown that it works: its crash counts as the first.
pub(super) const LIVED_LONG: TimeDelta = TimeDelta::minutes(10);

/// The alerts that a good run closes. What could not be started is for a person to enable.
const RECOVERED: &[AlertKind] =
    &[AlertKind::UnexpectedBehavior, AlertKind::HostExhausted, AlertKind::Suspect, AlertKind::OverLimit];

/// The same while a limit is broken.
const RECOVERED_BESIDE_LIMITS: &[AlertKind] =
    &[AlertKind::UnexpectedBehavior, AlertKind::HostExhausted, AlertKind::Suspect];

/// A run that is over.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) run: RunId,
    pub(super) ending: Ending,
    /// From the start of its process to its end; `None` where there was none.
    pub(super) lifetime: Option<TimeDelta>,
    /// What the app said last, else its last error line.
    message: Option<String>,
    /// The last lines of its standard error.
    pub(super) stderr: Option<String>,
}

/// What the end of a run counts as.
pub(super) enum Judgement {
    Good,
    /// Its exit code is that of a good run, and what it did is not.
    Suspect,
    /// It ended by itself with a failure, or was ended because it took too much.
    Failed,
    /// It was ended because it took too long.
    TimedOut,
    /// It is of an app that runs always, and ended well before it had started.
    TooShort,
    /// It was killed by a signal, or vanished.
    Crashed,
    /// Not its fault: the host went down, or somebody ended it without a command.
    Interrupted,
    /// Ended by `dcm stop-apps`, or never begun: the schedule goes on.
    Excused,
    /// There was no process, and the next try would fail as well.
    CannotStart(String),
    /// There was no process for want of room on the host.
    HostExhausted(String),
}

impl Entry {
    /// Plans what comes after a run that ended without a command.
    pub(super) fn judge(&mut self, finished: &Finished, over: Over, desk: &mut Desk, step: &mut Step) {
        let mut judgement = Judgement::of(&finished.ending);
        if self.is_always() {
            judgement = self.judge_always(judgement, finished.lifetime);
        }
        let was_barred = self.awaits_enable();
        let blame = judgement.blame();
        self.crashes = if self.is_always() {
            let has_started = self.has_started(finished.lifetime);
            if has_started { 0 } else { self.crashes.saturating_add(u32::from(blame == Blame::Bad)) }
        } else {
            let is_crash = matches!(judgement, Judgement::Crashed | Judgement::HostExhausted(_));
            crashes_after(self.crashes, blame, is_crash, finished.lifetime)
        };
        self.count(blame, desk, step);
        self.note_end(blame, over.ended, desk);
        let back_off = back_off(self.crashes);
        let outside = back_off.clamp(BACK_OFF_FIRST, OUTSIDE_MAX);
        let (rest, went) = match &judgement {
            Judgement::Good | Judgement::Excused => (Rest::Ready, Went::Well),
            Judgement::Suspect if self.app.policy.on_suspect == OnSuspect::Retry => {
                (Rest::Ready, Went::Badly)
            }
            Judgement::Suspect => (Rest::Ready, Went::Well),
            Judgement::Failed | Judgement::TimedOut | Judgement::TooShort | Judgement::CannotStart(_) => {
                (Rest::Ready, Went::Badly)
            }
            Judgement::Crashed => (Rest::Crashed, Went::Crashed(back_off)),
            // The cause lies outside and may last: never at once.
            Judgement::Interrupted => (Rest::Crashed, Went::Crashed(outside)),
            Judgement::HostExhausted(_) => (Rest::Ready, Went::Crashed(outside)),
        };
        // A crashed app is started again after its back-off, whatever time it asked for.
        let asked = over.asked.filter(|_| !matches!(went, Went::Crashed(_)));
        let over = Over { asked, ..over };
        let went = match (went, &judgement) {
            (went, _) if !self.is_always() => went,
            (went @ Went::Crashed(pause), _) if pause > Duration::ZERO => went,
            (_, Judgement::Excused) => Went::Crashed(outside),
            _ => Went::Crashed(self.least_pause(back_off, finished.lifetime)),
        };
        self.plan(desk, step, |plan, account| plan.follow_run(over, went, account));
        self.phase = Phase::Resting(rest);
        self.note_suspicion(finished, desk, step);
        self.consider_fatal(finished, &judgement, desk, step);
        if self.awaits_enable() && !was_barred {
            self.plan(desk, step, |plan, account| plan.end(account, SkipReason::GivenUp));
        }
    }

    fn count(&mut self, blame: Blame, desk: &Desk, step: &mut Step) {
        match blame {
            Blame::Good => {
                self.recover(desk, step);
                self.failures = 0;
            }
            Blame::Bad => self.failures = self.failures.saturating_add(1),
            Blame::Doubtful | Blame::Excused => {}
        }
    }

    /// A person was informed that it cannot be started: flag 1 becomes 2.
    pub(super) fn alert_delivered(&mut self) {
        if let Some(fatal) = self.fatal.as_mut().filter(|fatal| fatal.flag == FatalFlag::FailedToStart) {
            fatal.flag = FatalFlag::AlertSent;
        }
    }

    /// A good run ends the episodes of failures and of suspect runs before it.
    pub(super) fn recover(&mut self, desk: &Desk, step: &mut Step) {
        let is_flagged = self.fatal.as_ref().is_some_and(|fatal| fatal.flag == FatalFlag::UnexpectedBehavior);
        // A limit that the run under way breaks is a trouble of its own.
        let is_over_limit = self.broken_limit().is_some();
        let was_over_limit = !is_over_limit && self.forget_limit_alert();
        if self.forgive() || was_over_limit || is_flagged || self.failures >= self.host_alert_after() {
            let (app, at) = (self.app.id, desk.now.wall);
            let kinds = if is_over_limit { RECOVERED_BESIDE_LIMITS } else { RECOVERED };
            step.changes.push(Change::AlertsClosed { app, kinds, at, end: AlertEnd::Recovered });
        }
        self.fatal = self.fatal.take().filter(|_| !is_flagged);
    }

    /// Failures in a row after which a host without room raises an alert. That is not the fault of the app, so one without
    /// a limit of its own has the default.
    fn host_alert_after(&self) -> u32 {
        match self.app.policy.max_failures {
            0 => Policy::default().max_failures,
            limit => limit,
        }
    }

    /// How a run ended, for people.
    fn describe(&self, finished: &Finished, judgement: &Judgement) -> String {
        let how = describe(&finished.ending);
        match (judgement, finished.lifetime) {
            (Judgement::TooShort, Some(lifetime)) => {
                let least = TimeDelta::from_std(self.app.policy.min_uptime).unwrap_or(TimeDelta::MAX);
                let [took, least] = [lifetime, least].map(format_duration);
                format!("{how} after {took}, before its min_uptime of {least}")
            }
            _ => how,
        }
    }

    fn consider_fatal(&mut self, finished: &Finished, judgement: &Judgement, desk: &Desk, step: &mut Step) {
        let limit = self.app.policy.max_failures;
        let too_many = limit > 0 && self.failures >= limit;
        let in_a_row = |what: &str| format!("{} failures in a row, the last: {what}", self.failures);
        let (kind, message) = match judgement {
            Judgement::CannotStart(why) => (AlertKind::FailedToStart, why.clone()),
            Judgement::HostExhausted(why) if self.failures >= self.host_alert_after() => {
                (AlertKind::HostExhausted, format!("{}; it is tried again", in_a_row(why)))
            }
            Judgement::Crashed if too_many && !self.has_started(finished.lifetime) => {
                let what = format!("{} while starting", describe(&finished.ending));
                (AlertKind::FailedToStart, in_a_row(&finished.with_last_words(what)))
            }
            Judgement::Crashed | Judgement::Failed | Judgement::TimedOut | Judgement::TooShort
                if too_many =>
            {
                let what = self.describe(finished, judgement);
                (AlertKind::UnexpectedBehavior, in_a_row(&finished.with_last_words(what)))
            }
            Judgement::Good
            | Judgement::Suspect
            | Judgement::Failed
            | Judgement::TimedOut
            | Judgement::TooShort
            | Judgement::Crashed
            | Judgement::Interrupted
            | Judgement::Excused
            | Judgement::HostExhausted(_) => return,
        };
        let time = desk.now.wall;
        let flag = kind.flag();
        let alert = Alert {
            app: self.app.id,
            kind,
            cause: AlertCause::of_run(&finished.ending, finished.message.as_deref()),
            run: Some(finished.run),
            message: message.clone(),
            detail: finished.stderr.clone(),
            count: self.failures,
            at: time,
        };
        if let Some(fatal) = &mut self.fatal
            && flag == Some(fatal.flag)
        {
            // The episode goes on, and its alert is open: both rows show how far it has come.
            fatal.message = message;
            step.changes.push(Change::AlertRepeated(alert));
            return;
        }
        let Some(flag) = flag else {
            let is_first = self.failures == self.host_alert_after();
            let change = if is_first { Change::AlertOpened } else { Change::AlertRepeated };
            step.changes.push(change(alert));
            return;
        };
        step.changes.push(Change::AlertOpened(alert));
        if flag == FatalFlag::FailedToStart {
            self.app.disabled = true;
        }
        let cause = Anomaly::Failures.into();
        self.fatal = Some(Box::new(Fatal { flag, cause, message, time }));
    }
}

impl Finished {
    /// What it is about a run that judging it takes. The lines of its standard error are for its alert alone: ends of runs
    /// wait for the database in great number.
    /// `clock_set`: by how much the wall clock was set meanwhile.
    pub(super) fn of(run: RunId, closing: &mut Closing, clock_set: TimeDelta) -> Self {
        Self {
            run,
            ending: closing.ending.clone(),
            lifetime: closing.started.map(|started| closing.ended - started - clock_set),
            message: closing.report.message.as_deref().or(closing.error_line()).map(str::to_owned),
            stderr: closing.stderr.as_mut().map(|stderr| stderr.take_text()),
        }
    }

    /// Adds what the app said last.
    fn with_last_words(&self, what: String) -> String {
        match &self.message {
            Some(message) => format!("{what}: {message}"),
            None => what,
        }
    }
}

impl Judgement {
    fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Exited(Exit::Code(0)) => Self::Good,
            Ending::Suspect(_) => Self::Suspect,
            Ending::Exited(Exit::Code(_)) | Ending::Stopped { cause: StopCause::Memory(_), .. } => {
                Self::Failed
            }
            Ending::Stopped { cause: StopCause::Timeout, .. } => Self::TimedOut,
            Ending::Exited(Exit::Signal { .. }) | Ending::OutOfMemory(_) | Ending::Unknown => Self::Crashed,
            Ending::HostRebooted
            | Ending::Stopped {
                cause: StopCause::Signal(_) | StopCause::Command(_) | StopCause::Fence | StopCause::Removed,
                ..
            } => Self::Interrupted,
            Ending::NeverStarted | Ending::Stopped { cause: StopCause::StopApps(_), .. } => Self::Excused,
            Ending::StartFailed(failure) if failure.obstacle == Obstacle::HostExhausted => {
                Self::HostExhausted(failure.message.clone())
            }
            Ending::StartFailed(failure) => Self::CannotStart(failure.message.clone()),
        }
    }

    /// What it says about the app.
    const fn blame(&self) -> Blame {
        match self {
            Self::Good => Blame::Good,
            Self::Suspect => Blame::Doubtful,
            Self::Failed
            | Self::TimedOut
            | Self::TooShort
            | Self::Crashed
            | Self::CannotStart(_)
            | Self::HostExhausted(_) => Blame::Bad,
            Self::Interrupted | Self::Excused => Blame::Excused,
        }
    }
}

/// Crashes in a row once another run is over: a good run, and a long life, begin the count again.
fn crashes_after(before: u32, blame: Blame, is_crash: bool, lifetime: Option<TimeDelta>) -> u32 {
    let before = if lifetime.is_some_and(|time| time >= LIVED_LONG) { 0 } else { before };
    match blame {
        Blame::Good => 0,
        Blame::Bad => before.saturating_add(u32::from(is_crash)),
        Blame::Doubtful | Blame::Excused => before,
    }
}

/// The pause after this number of crashes: none, then 1, 2, 4 ... 300 seconds.
fn back_off(crashes: u32) -> Duration {
    match crashes.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => BACK_OFF_FIRST.saturating_mul(1 << doublings.min(16)).min(BACK_OFF_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_run_or_a_long_life_begins_the_count_of_crashes_again() {
        let short = Some(LIVED_LONG - TimeDelta::seconds(1));
        for (blame, is_crash, lifetime, expected) in [
            (Blame::Good, false, short, 0),
            (Blame::Bad, true, short, 6),
            (Blame::Bad, true, None, 6),
            (Blame::Bad, false, short, 5),
            (Blame::Excused, false, short, 5),
            (Blame::Doubtful, false, short, 5),
            (Blame::Bad, true, Some(LIVED_LONG), 1),
            (Blame::Excused, false, Some(LIVED_LONG), 0),
        ] {
            assert_eq!(
                crashes_after(5, blame, is_crash, lifetime),
                expected,
                "{blame:?} {is_crash} {lifetime:?}"
            );
        }
    }

    #[test]
    fn back_off_begins_at_once_and_doubles_up_to_five_minutes() {
        let seconds: Vec<_> = (0..12).map(|crashes| back_off(crashes).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(back_off(u32::MAX).as_secs(), 300);
    }
}
