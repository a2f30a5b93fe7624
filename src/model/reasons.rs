//! Why an app does what it does: values, and the one place that puts them into words.

use std::time::Duration;

use chrono::TimeDelta;

use super::explain::State;
use super::{
    Anomaly, AppPath, AppRow, Concern, FLAPPING_ENDS, FLAPPING_WITHIN, Failover, FatalFlag, ManagerRow, Part,
    Planned, RunStatus, Timestamp, Timing, format_duration,
};

/// What is known of an app when its reasons are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What it is doing at this moment.
    pub state: State,
    /// What its row says of its run.
    pub status: RunStatus,
    /// Why its row is set aside.
    pub fault: Option<&'a str>,
    /// What is wrong with it, in words, and since when.
    pub fatal: Option<(FatalFlag, &'a str, Timestamp)>,
    /// What that is about, where the flag says that it is unexpected.
    pub anomaly: Option<Anomaly>,
    /// Whether it could not be started or was given up, so that nothing starts until ENABLE.
    pub awaits_enable: bool,
    /// Whether a person disabled it.
    pub disabled: bool,
    /// Who stopped it.
    pub stopped_by: Option<&'a str>,
    /// Which limit keeps a due run waiting.
    pub waiting_for: Option<&'a str>,
    /// Failures in a row.
    pub failures: u32,
    /// When the current or last run began.
    pub last_run: Option<Timestamp>,
    /// The main process of the current run.
    pub pid: Option<u32>,
    /// When its counters moved last.
    pub moved: Option<Timestamp>,
    /// Since when it flaps.
    pub flaps_since: Option<Timestamp>,
    /// When it is to run next.
    pub next: Option<Timestamp>,
    /// What starts it.
    pub timing: Timing,
    /// The length of the pause that its next time ends.
    pub pause: Option<Duration>,
    /// What is known of its manager.
    pub keeper: Keeper<'a>,
}

impl<'a> Facts<'a> {
    /// What a row says; its state and its next time depend on the moment.
    #[must_use]
    pub fn of(row: &'a AppRow, state: State, next: Option<Timestamp>, keeper: Keeper<'a>) -> Self {
        let fatal = row.state.fatal.as_deref();
        let flapping = row.state.concern.as_ref().filter(|conclusion| conclusion.is(Concern::Flapping));
        Self {
            state,
            status: row.state.status,
            fault: row.fault.as_ref().map(|fault| fault.message.as_str()),
            fatal: fatal.map(|fatal| (fatal.flag, fatal.message.as_str(), fatal.time)),
            anomaly: fatal.and_then(|fatal| fatal.cause.known()),
            awaits_enable: row.awaits_enable(),
            disabled: row.app.disabled,
            stopped_by: row.state.stopped_by.as_deref(),
            waiting_for: row.state.waiting_for.as_deref(),
            failures: row.state.failures,
            last_run: row.state.last_run,
            pid: row.state.pid,
            moved: row.movement.as_ref().map(|movement| movement.last),
            flaps_since: flapping.map(|conclusion| conclusion.since),
            next,
            timing: row.app.schedule.timing(),
            pause: row.planned.and_then(Planned::pause),
            keeper,
        }
    }

    /// Whether nothing starts it until a person does something.
    const fn is_suspended(&self) -> bool {
        self.fault.is_some() || self.disabled || self.awaits_enable || self.stopped_by.is_some()
    }
}

/// What is known of the manager of an app.
#[derive(Debug, Clone, Copy)]
pub enum Keeper<'a> {
    /// It lives, or it is believed to.
    Live,
    /// The app has none: no manager of its pool lives.
    Missing(Option<&'a Part>),
    /// Its lease is over, or its process is gone.
    Lost(Lost<'a>),
}

/// A manager that does not answer.
#[derive(Debug, Clone, Copy)]
pub struct Lost<'a> {
    /// Its name; `None` where the row of the app does not say.
    pub name: Option<&'a str>,
    /// Its row, if there is one.
    pub row: Option<&'a ManagerRow>,
    /// What happens to the app.
    pub failover: Failover,
}

/// One reason why an app does what it does.
#[derive(Debug, Clone, Copy)]
pub enum Because<'a> {
    /// Its definition cannot be obeyed.
    SetAside(&'a str),
    /// Its row says that it runs, and its manager does not answer.
    Unknown(Lost<'a>),
    /// It does not run, and its manager does not answer.
    ManagerLost(Lost<'a>),
    /// There is no manager that may run it.
    NoManager(Option<&'a Part>),
    /// It runs, and its counters have stood still since this time.
    Stalled(Option<Timestamp>),
    /// It runs.
    Running {
        /// Since when.
        since: Option<Timestamp>,
        /// Its main process.
        pid: Option<u32>,
    },
    /// It could not be started.
    CannotStart(Flagged<'a>),
    /// It failed too often and waits for ENABLE.
    GivenUp(Flagged<'a>),
    /// A person disabled it.
    Disabled,
    /// A person stopped it.
    StoppedBy(&'a str),
    /// It was due at this time and has not started.
    Late(Option<Timestamp>),
    /// It is due, and this limit leaves no room.
    WaitsForRoom(&'a str),
    /// Its runs have ended badly again and again, since this time.
    Flapping(Timestamp),
    /// It failed too often, and goes on.
    KeepsFailing(Flagged<'a>),
    /// A run of it ended with exit code 0 and broke a rule; it goes on.
    Suspect(Flagged<'a>),
    /// A run of it broke a limit of memory or CPU.
    OverLimit(Flagged<'a>),
    /// Its last runs ended badly, one after the other.
    Failed(u32),
    /// Its last run crashed.
    Crashed,
    /// Its last run was ended from outside.
    Ended,
    /// It waits for this time.
    DueAt(Timestamp),
    /// It runs always, and is to be started again.
    StartsAgain {
        /// When; `None` where no manager has looked at it.
        at: Option<Timestamp>,
        /// After a back-off of this length.
        pause: Option<Duration>,
    },
    /// It runs now, and is started again whenever it ends.
    Always,
    /// It has a schedule, and no manager has looked at it.
    Unplanned,
    /// It has no schedule.
    OnCommand,
}

/// A flag in words.
#[derive(Debug, Clone, Copy)]
pub struct Flagged<'a> {
    /// The code.
    pub flag: FatalFlag,
    /// What happened.
    pub message: &'a str,
    /// When.
    pub since: Timestamp,
}

/// The reasons, the strongest first. The first that has a state has that of the app.
#[must_use]
pub fn reasons<'a>(facts: &Facts<'a>) -> Vec<Because<'a>> {
    let mut reasons = Vec::new();
    reasons.extend(facts.fault.map(Because::SetAside));
    reasons.extend(of_keeper(facts));
    if facts.status == RunStatus::Running {
        reasons.extend((facts.state == State::Stalled).then_some(Because::Stalled(facts.moved)));
        reasons.push(Because::Running { since: facts.last_run, pid: facts.pid });
        let goes_on = facts.timing == Timing::Always && !facts.is_suspended();
        reasons.extend(goes_on.then_some(Because::Always));
    }
    let flagged = facts.fatal.map(|(flag, message, since)| Flagged { flag, message, since });
    reasons.extend(flagged.filter(|_| facts.awaits_enable).map(|flagged| match flagged.flag {
        FatalFlag::UnexpectedBehavior => Because::GivenUp(flagged),
        FatalFlag::FailedToStart | FatalFlag::AlertSent => Because::CannotStart(flagged),
    }));
    reasons.extend(facts.disabled.then_some(Because::Disabled));
    reasons.extend(facts.stopped_by.map(Because::StoppedBy));
    reasons.extend((facts.state == State::Late).then_some(Because::Late(facts.next)));
    reasons.extend(facts.waiting_for.map(Because::WaitsForRoom));
    reasons.extend(facts.flaps_since.map(Because::Flapping));
    let failed = (facts.failures > 0).then_some(Because::Failed(facts.failures));
    match (flagged, facts.anomaly) {
        (Some(_), _) if facts.awaits_enable => {}
        // That is what it does now.
        (Some(_), Some(Anomaly::Stalled)) if facts.status == RunStatus::Running => reasons.extend(failed),
        (Some(flagged), Some(Anomaly::Suspect)) => {
            reasons.push(Because::Suspect(flagged));
            reasons.extend(failed);
        }
        (Some(flagged), Some(Anomaly::OverLimit)) => {
            reasons.push(Because::OverLimit(flagged));
            reasons.extend(failed);
        }
        (Some(flagged), _) => reasons.push(Because::KeepsFailing(flagged)),
        (None, _) => reasons.extend(failed),
    }
    if !facts.is_suspended() {
        let end = if facts.failures > 0 { Because::Crashed } else { Because::Ended };
        reasons.extend((facts.status == RunStatus::Stopped).then_some(end));
        reasons.extend(of_schedule(facts));
    }
    reasons
}

fn of_keeper<'a>(facts: &Facts<'a>) -> Option<Because<'a>> {
    let nameless = Lost { name: None, row: None, failover: Failover::Never };
    match facts.keeper {
        Keeper::Lost(lost) if facts.state == State::Unknown => Some(Because::Unknown(lost)),
        Keeper::Live | Keeper::Missing(_) if facts.state == State::Unknown => {
            Some(Because::Unknown(nameless))
        }
        Keeper::Lost(lost) => Some(Because::ManagerLost(lost)),
        Keeper::Missing(pool) => Some(Because::NoManager(pool)),
        Keeper::Live => None,
    }
}

/// When what rests runs next.
fn of_schedule<'a>(facts: &Facts<'a>) -> Option<Because<'a>> {
    if facts.status == RunStatus::Running || facts.state == State::Late || facts.waiting_for.is_some() {
        return None;
    }
    Some(match (facts.timing, facts.next) {
        (Timing::Always, at) => {
            Because::StartsAgain { at, pause: facts.pause.filter(|pause| !pause.is_zero()) }
        }
        (Timing::Scheduled | Timing::OnCommand, Some(next)) => Because::DueAt(next),
        (Timing::Scheduled, None) => Because::Unplanned,
        (Timing::OnCommand, None) => Because::OnCommand,
    })
}

/// The reasons that are not ordinary in one line, without what would change them; `None` if there are none.
#[must_use]
pub fn summary(reasons: &[Because<'_>], phrasing: &Phrasing<'_>) -> Option<String> {
    let extraordinary = reasons.iter().filter(|because| !because.is_ordinary());
    let texts: Vec<_> = extraordinary.map(|because| because.text(phrasing)).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// For whom reasons are put into words.
#[derive(Debug, Clone, Copy)]
pub struct Phrasing<'a> {
    /// The moment, by the database's clock.
    pub now: Timestamp,
    /// A time as it is shown at this moment.
    pub clock: fn(Timestamp, Timestamp) -> String,
    /// The app, where commands are typed in a shell; `None` in the console, where they are keys and words.
    pub shell: Option<&'a AppPath>,
}

impl Phrasing<'_> {
    /// Commands that the console has as well.
    fn command(&self, verbs: &str) -> String {
        self.shell.map_or_else(|| verbs.to_owned(), |path| format!("dcm {verbs} {path}"))
    }

    /// A command of the shell alone.
    fn line(&self, verb: &str) -> String {
        self.shell.map_or_else(|| format!("dcm {verb}"), |path| format!("dcm {verb} {path}"))
    }

    fn at(&self, time: Timestamp) -> String {
        (self.clock)(time, self.now)
    }

    /// How long ago.
    fn ago(&self, time: Timestamp) -> String {
        format_duration(self.now - time)
    }
}

impl Because<'_> {
    /// The state that an app is in for this reason; `None` for what holds in any state.
    #[must_use]
    pub const fn state(&self) -> Option<State> {
        Some(match self {
            Self::SetAside(_) => State::SetAside,
            Self::Unknown(_) => State::Unknown,
            Self::ManagerLost(_)
            | Self::NoManager(_)
            | Self::Flapping(_)
            | Self::OverLimit(_)
            | Self::Always => return None,
            Self::Stalled(_) => State::Stalled,
            Self::Running { .. } => State::Running,
            Self::CannotStart(_) => State::Fatal,
            Self::GivenUp(_) => State::GivenUp,
            Self::Disabled => State::Disabled,
            Self::StoppedBy(_) | Self::Ended => State::Stopped,
            Self::Late(_) => State::Late,
            Self::WaitsForRoom(_) => State::Waiting,
            Self::KeepsFailing(_) | Self::Suspect(_) | Self::Failed(_) | Self::Crashed => State::Failed,
            Self::DueAt(_) | Self::StartsAgain { .. } | Self::Unplanned | Self::OnCommand => State::Idle,
        })
    }

    /// What is the case, and what would change that.
    #[must_use]
    pub fn sentence(&self, phrasing: &Phrasing<'_>) -> String {
        let mut text = self.text(phrasing);
        if let Some(message) = self.message() {
            text = format!("{text}: {message}");
        }
        match self.outlook(phrasing) {
            Some(outlook) => format!("{text}; {outlook}"),
            None => text,
        }
    }

    /// What the manager said of it when it happened.
    #[must_use]
    pub const fn message(&self) -> Option<&str> {
        match self {
            Self::SetAside(message) => Some(message),
            Self::CannotStart(flagged)
            | Self::GivenUp(flagged)
            | Self::KeepsFailing(flagged)
            | Self::Suspect(flagged)
            | Self::OverLimit(flagged) => Some(flagged.message),
            Self::Unknown(_)
            | Self::ManagerLost(_)
            | Self::NoManager(_)
            | Self::Stalled(_)
            | Self::Running { .. }
            | Self::Disabled
            | Self::StoppedBy(_)
            | Self::Late(_)
            | Self::WaitsForRoom(_)
            | Self::Flapping(_)
            | Self::Failed(_)
            | Self::Crashed
            | Self::Ended
            | Self::DueAt(_)
            | Self::StartsAgain { .. }
            | Self::Always
            | Self::Unplanned
            | Self::OnCommand => None,
        }
    }

    /// What is the case, without [`Self::message`].
    #[must_use]
    pub fn text(&self, phrasing: &Phrasing<'_>) -> String {
        match self {
            Self::SetAside(_) => "its row is set aside, so it is not started".to_owned(),
            Self::Unknown(lost) => format!("it is not known whether it runs: {}", lost.text(phrasing)),
            Self::ManagerLost(lost) => lost.text(phrasing),
            Self::NoManager(pool) => {
                let pool = pool.map_or_else(|| "apps".to_owned(), |pool| format!("the pool {pool}"));
                format!("it has no manager: none that lives serves {pool}")
            }
            Self::Stalled(moved) => {
                let ago = moved.map(|moved| format!(" for {}", phrasing.ago(moved))).unwrap_or_default();
                format!("no progress{ago}")
            }
            Self::Running { since, pid } => {
                let pid = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
                match since {
                    Some(since) => format!("it has been running for {}{pid}", phrasing.ago(*since)),
                    None => format!("it is running{pid}"),
                }
            }
            Self::CannotStart(flagged) => flagged.text("it is fatal", phrasing),
            Self::GivenUp(flagged) => flagged.text("it is given up", phrasing),
            Self::KeepsFailing(flagged) => flagged.text("it keeps failing", phrasing),
            Self::Suspect(flagged) => flagged.text("it is suspect", phrasing),
            Self::OverLimit(flagged) => flagged.text("it is over its limit", phrasing),
            Self::Disabled => "it is disabled".to_owned(),
            Self::StoppedBy(by) => format!("{by} stopped it"),
            Self::Late(Some(due)) => {
                format!("it was due {} ago ({}) and has not started", phrasing.ago(*due), phrasing.at(*due))
            }
            Self::Late(None) => "it is due and has not started".to_owned(),
            Self::WaitsForRoom(limit) => format!("it is due and waits for room ({limit})"),
            Self::Flapping(since) => format!(
                "its runs end badly again and again ({FLAPPING_ENDS} within {}) since {}",
                format_duration(FLAPPING_WITHIN),
                phrasing.at(*since)
            ),
            Self::Failed(1) => "its last finished run failed".to_owned(),
            Self::Failed(count) => format!("{count} failures in a row"),
            Self::Crashed => "its last run crashed".to_owned(),
            Self::Ended => "its last run was ended from outside".to_owned(),
            Self::DueAt(due) if *due < phrasing.now => {
                format!("it was due {} ago ({})", phrasing.ago(*due), phrasing.at(*due))
            }
            Self::DueAt(due) => {
                format!("it is due in {} ({})", format_duration(*due - phrasing.now), phrasing.at(*due))
            }
            Self::StartsAgain { at, pause } => {
                let start = match at {
                    Some(at) if *at > phrasing.now => format!(
                        "the next start is in {} ({})",
                        format_duration(*at - phrasing.now),
                        phrasing.at(*at)
                    ),
                    Some(_) | None => "it is to be started now".to_owned(),
                };
                let pause = pause.and_then(|pause| TimeDelta::from_std(pause).ok());
                let after = pause.map(|pause| format!(", after a back-off of {}", format_duration(pause)));
                format!("it is started again whenever it ends; {start}{}", after.unwrap_or_default())
            }
            Self::Always => "it is started again whenever it ends".to_owned(),
            Self::Unplanned => "its schedule has no next time yet".to_owned(),
            Self::OnCommand => "it has no schedule and runs on command only".to_owned(),
        }
    }

    /// The same in a line of its own, without times: it stays as it is while the app does.
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::SetAside(fault) => format!("set aside: {fault}"),
            Self::Unknown(_) | Self::ManagerLost(_) => "its manager gives no sign of life".to_owned(),
            Self::NoManager(_) => "no manager that lives may run it".to_owned(),
            Self::Stalled(_) => "no progress".to_owned(),
            Self::Running { .. } => "running".to_owned(),
            Self::CannotStart(flagged) | Self::GivenUp(flagged) | Self::KeepsFailing(flagged) => {
                format!("{}: {}", flagged.flag, flagged.message)
            }
            Self::Suspect(flagged) => format!("suspect: {}", flagged.message),
            Self::OverLimit(flagged) => format!("over its limit: {}", flagged.message),
            Self::Disabled => "disabled".to_owned(),
            Self::StoppedBy(by) => format!("stopped by {by}"),
            Self::Late(_) => "due and not started".to_owned(),
            Self::WaitsForRoom(limit) => format!("due, waits for room ({limit})"),
            Self::Flapping(_) => "its runs end badly again and again".to_owned(),
            Self::Failed(1) => "its last finished run failed".to_owned(),
            Self::Failed(count) => format!("{count} failures in a row"),
            Self::Crashed => "its last run crashed".to_owned(),
            Self::Ended => "its last run was ended from outside".to_owned(),
            Self::DueAt(_) => "idle".to_owned(),
            Self::StartsAgain { .. } => "idle, is started again".to_owned(),
            Self::Always => "started again whenever it ends".to_owned(),
            Self::Unplanned => "no next time yet".to_owned(),
            Self::OnCommand => "on command only".to_owned(),
        }
    }

    /// Whether it tells of a flag, and of the failure that set it.
    #[must_use]
    pub const fn is_flag(&self) -> bool {
        matches!(
            self,
            Self::CannotStart(_)
                | Self::GivenUp(_)
                | Self::KeepsFailing(_)
                | Self::Suspect(_)
                | Self::OverLimit(_)
        )
    }

    /// Whether it only says that the app runs, or when it will.
    #[must_use]
    pub const fn is_ordinary(&self) -> bool {
        matches!(
            self,
            Self::Running { .. }
                | Self::Always
                | Self::StartsAgain { .. }
                | Self::DueAt(_)
                | Self::Unplanned
                | Self::OnCommand
        )
    }

    /// What follows from it, or what a person can do.
    #[must_use]
    pub fn outlook(&self, phrasing: &Phrasing<'_>) -> Option<String> {
        Some(match self {
            Self::SetAside(_) => {
                let [set, remove] = ["app set", "app remove"].map(|verb| phrasing.line(verb));
                format!("{set} sets it right, {remove} deletes it")
            }
            Self::Unknown(lost) | Self::ManagerLost(lost) => lost.outlook(),
            Self::CannotStart(_) | Self::GivenUp(_) => {
                format!("mend the cause, then {}", phrasing.command("enable"))
            }
            Self::KeepsFailing(_) | Self::Suspect(_) => {
                "it goes on, and the first good run clears that".to_owned()
            }
            Self::OverLimit(_) => "the first good run clears that, and so does one that uses less".to_owned(),
            Self::Disabled => format!("{} lets it run", phrasing.command("enable")),
            Self::StoppedBy(_) => {
                format!("it stays stopped until {}", phrasing.command("start, restart or enable"))
            }
            Self::Failed(_) => "it goes on".to_owned(),
            Self::Crashed | Self::Ended => "it is started again after a pause".to_owned(),
            Self::Unplanned => "a manager sets it".to_owned(),
            Self::OnCommand => format!("{} runs it", phrasing.command("start")),
            Self::NoManager(_)
            | Self::Stalled(_)
            | Self::Running { .. }
            | Self::Late(_)
            | Self::Flapping(_)
            | Self::WaitsForRoom(_)
            | Self::Always
            | Self::StartsAgain { .. }
            | Self::DueAt(_) => return None,
        })
    }
}

impl Flagged<'_> {
    fn text(&self, what: &str, phrasing: &Phrasing<'_>) -> String {
        format!("{what} ({}) since {}", self.flag, phrasing.at(self.since))
    }
}

impl Lost<'_> {
    fn text(&self, phrasing: &Phrasing<'_>) -> String {
        let name = self.name.map(|name| format!(" {name}")).unwrap_or_default();
        match self.row {
            Some(row) if row.stopped.is_some() => format!("its manager{name} on {} has ended", row.host),
            Some(row) => format!(
                "its manager{name} on {} gave its last sign of life {} ago",
                row.host,
                phrasing.ago(row.heartbeat)
            ),
            None => format!("its manager{name} gives no sign of life"),
        }
    }

    fn outlook(&self) -> String {
        let others = match self.failover {
            Failover::Never => String::new(),
            failover @ (Failover::Manual | Failover::Exclusive | Failover::AtLeastOnce) => {
                format!(", or others take the app over (failover: {}),", failover.word())
            }
        };
        format!("until it is back{others} nothing is started or stopped")
    }
}

#[cfg(test)]
#[path = "reasons_tests.rs"]
mod tests;
