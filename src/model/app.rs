//! An app: what its row defines, and what the manager writes into it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::vocabulary::words;
use super::{
    AppId, AppPath, Baseline, CmdFlag, CmdName, CommandId, Concern, Conclusion, FatalFlag, HttpUrl, Labels,
    LastEnd, Movement, Part, Planned, Program, Progress, Ratio, Revision, RunId, RunStatus, Samples,
    Schedule, StopSignal, Timestamp, Usage, UsageLimits, Word,
};

/// What the row of an app defines: people and programs write it, the manager obeys.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// The key, made of the path.
    pub id: AppId,
    /// The three names.
    pub path: AppPath,
    /// What is to be run.
    pub program: Program,
    /// When.
    pub schedule: Schedule,
    /// Under which rules.
    pub policy: Policy,
    /// Whether the schedule and START must leave it alone.
    pub disabled: bool,
    /// The file that it was imported from, if it was.
    pub origin: Option<String>,
    /// What it is for, in the words of the people who look after it.
    pub description: Option<String>,
    /// Who looks after it.
    pub owner: Option<String>,
    /// Words by which it is found.
    pub tags: BTreeSet<Part>,
    /// Called after its runs; `/fail` is appended after a bad one.
    pub ping_url: Option<HttpUrl>,
}

impl App {
    /// An app of this path with the defaults of all else.
    #[must_use]
    pub fn new(path: AppPath) -> Self {
        Self::of_row(AppId::of(&path), path)
    }

    /// What people have written on it, by which it can be selected.
    #[must_use]
    pub fn labels(&self) -> Labels<'_> {
        Labels { owner: self.owner.as_deref(), tags: &self.tags }
    }

    /// The same for a row whose key may not be that of its path.
    #[must_use]
    pub fn of_row(id: AppId, path: AppPath) -> Self {
        Self {
            id,
            path,
            program: Program::default(),
            schedule: Schedule::default(),
            policy: Policy::default(),
            disabled: false,
            origin: None,
            description: None,
            owner: None,
            tags: BTreeSet::new(),
            ping_url: None,
        }
    }
}

/// The rules of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of times that passed while no manager could start the app.
    pub catch_up: CatchUp,
    /// At most so many runs are caught up with [`CatchUp::All`]; the oldest are skipped.
    pub catch_up_limit: u32,
    /// Failures in a row after which the flag is set and an alert is opened; 0: never.
    pub max_failures: u32,
    /// What follows then.
    pub on_failures: OnFailures,
    /// A run that lived for this time has started: one that a signal kills before could not be started, and one of an app
    /// that runs always is followed by the next at once.
    pub min_uptime: Duration,
    /// What asks a run to end.
    pub stop_signal: StopSignal,
    /// Time between that and KILL.
    pub stop_grace: Duration,
    /// A run that takes longer is ended and counts as failed.
    pub max_runtime: Option<Duration>,
    /// The most resident memory that all processes of a run may take together, in MiB.
    pub max_memory: Option<u32>,
    /// The most time of the CPU that they may take, in percent of one core.
    pub max_cpu: Option<u32>,
    /// A run stalls when its counters have stood still for this time; `None`: by its own rhythm.
    pub stall_after: Option<Duration>,
    /// A run with exit code 0 that solved fewer items is suspect.
    pub min_solved: u64,
    /// A run with exit code 0 that gave up more than this share of its items is suspect.
    pub max_failed_ratio: Option<Ratio>,
    /// A run with exit code 0 that took less time is suspect.
    pub min_duration: Option<Duration>,
    /// Whether a run that differs much from the good ones before it is suspect.
    pub compare_history: bool,
    /// What follows a suspect run.
    pub on_suspect: OnSuspect,
    /// The output of one run takes at most so many bytes on disk.
    pub log_limit: u64,
    /// The output of so many runs is kept.
    pub log_keep: u32,
    /// Only managers that serve this pool may run it; `None`: all may.
    pub pool: Option<Part>,
    /// What happens when its manager is lost.
    pub failover: Failover,
    /// Whether commands to it are never sent without a question.
    pub protected: bool,
}

impl Policy {
    /// The most that the processes of a run may use.
    #[must_use]
    pub const fn usage_limits(&self) -> UsageLimits {
        UsageLimits { memory: self.max_memory, cpu: self.max_cpu }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            catch_up: CatchUp::Latest,
            catch_up_limit: 10,
            max_failures: 3,
            on_failures: OnFailures::Continue,
            min_uptime: Duration::from_secs(1),
            stop_signal: StopSignal::Term,
            stop_grace: Duration::from_secs(10),
            max_runtime: None,
            max_memory: None,
            max_cpu: None,
            stall_after: None,
            min_solved: 0,
            max_failed_ratio: None,
            min_duration: None,
            compare_history: true,
            on_suspect: OnSuspect::Continue,
            log_limit: 10 * 1024 * 1024,
            log_keep: 20,
            pool: None,
            failover: Failover::Never,
            protected: false,
        }
    }
}

words! {
    /// What becomes of times that passed while no manager could start the app.
    CatchUp {
        /// One run, for the latest of them.
        Latest = "latest",
        /// They are skipped.
        None = "none",
        /// One run for each, up to a limit.
        All = "all",
    }
}

words! {
    /// What follows when an app has failed `max_failures` times in a row.
    OnFailures {
        /// It goes on: by its schedule, after a crash with a back-off.
        Continue = "continue",
        /// Nothing starts until ENABLE.
        GiveUp = "give_up",
    }
}

words! {
    /// What follows a suspect run.
    OnSuspect {
        /// The app goes on by its schedule.
        Continue = "continue",
        /// It is tried again after `retry_interval`, as after a failure.
        Retry = "retry",
    }
}

words! {
    /// What happens to an app when its manager is lost.
    Failover {
        /// It belongs to that manager, and runs on whatever happens to the database.
        Never = "never",
        /// A person gives it to others, once it is sure that the host is dead.
        Manual = "manual",
        /// Others take it over. There is never more than one run: its shim ends the run when the
        /// manager cannot renew its lease.
        Exclusive = "exclusive",
        /// Others take it over. The old run may still live: nothing ends it.
        AtLeastOnce = "at_least_once",
    }
}

/// The columns of an app's row that only the manager writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppState {
    /// What it is doing.
    pub status: RunStatus,
    /// The current or last run.
    pub run: Option<RunId>,
    /// The main process of the current run.
    pub pid: Option<u32>,
    /// When the last run began.
    pub last_run: Option<Timestamp>,
    /// Who stopped it; it stays stopped until START, RESTART or ENABLE.
    pub stopped_by: Option<String>,
    /// Failures in a row.
    pub failures: u32,
    /// Suspect runs since the last good one.
    pub suspects: u32,
    /// What its last good runs did; `None` until there is one.
    pub baseline: Option<Baseline>,
    /// What is wrong with it; whether that keeps it from being started, [`Fatal::bars`] says.
    pub fatal: Option<Box<Fatal>>,
    /// Which limit keeps a due run waiting.
    pub waiting_for: Option<String>,
    /// What the manager concludes beyond the status.
    pub concern: Option<Box<Conclusion>>,
    /// Whose app it is: the manager that runs it.
    pub manager: Option<String>,
}

impl Default for AppState {
    fn default() -> Self {
        Self {
            status: RunStatus::NotRunning,
            run: None,
            pid: None,
            last_run: None,
            stopped_by: None,
            failures: 0,
            suspects: 0,
            baseline: None,
            fatal: None,
            waiting_for: None,
            concern: None,
            manager: None,
        }
    }
}

/// What is wrong with an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// The code.
    pub flag: FatalFlag,
    /// What it is about, for [`FatalFlag::UnexpectedBehavior`].
    pub cause: Word<Anomaly>,
    /// What happened.
    pub message: String,
    /// When.
    pub time: Timestamp,
}

words! {
    /// What is unexpected about an app that goes on.
    Anomaly {
        /// Its runs fail, `max_failures` times in a row.
        Failures = "failures",
        /// Its last run has exit code 0 and breaks a rule.
        Suspect = "suspect",
        /// It runs, and its counters stand still.
        Stalled = "stalled",
        /// Its run uses, or used, more memory or time of the CPU than it may.
        OverLimit = "over_limit",
    }
}

impl Fatal {
    /// Whether it is unexpected without being a failure, and passes by itself.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.flag == FatalFlag::UnexpectedBehavior && self.cause.known() != Some(Anomaly::Failures)
    }

    /// Whether nothing starts until ENABLE. Repeated failures alone do that only where the app is to be given up, and what
    /// else is unexpected never does.
    #[must_use]
    pub fn bars(&self, policy: &Policy) -> bool {
        match self.flag {
            FatalFlag::FailedToStart | FatalFlag::AlertSent => true,
            FatalFlag::UnexpectedBehavior => policy.on_failures == OnFailures::GiveUp && !self.is_passing(),
        }
    }
}

/// The latest command of an app, as its row shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCommand {
    /// Its number in the ledger.
    pub id: Option<CommandId>,
    /// What was asked.
    pub name: CmdName,
    /// What became of it.
    pub flag: CmdFlag,
    /// Who asked.
    pub by: Option<String>,
    /// When.
    pub time: Option<Timestamp>,
    /// When the verdict fell.
    pub executed: Option<Timestamp>,
}

/// A row of the apps table. Columns with a fault have their defaults here.
#[derive(Debug, Clone, PartialEq)]
pub struct AppRow {
    /// What it defines.
    pub app: App,
    /// When it is due next; written by the manager, by the app itself and by others.
    pub next_run: Option<Timestamp>,
    /// What that time is; `None` where the manager has not written it.
    pub planned: Option<Planned>,
    /// What the manager wrote.
    pub state: AppState,
    /// How its latest finished run ended; written with the end of the run.
    pub last_end: Option<Box<LastEnd>>,
    /// What the app reported.
    pub progress: Progress,
    /// What it counted in the last minutes; `None` until it counts.
    pub samples: Option<Box<Samples>>,
    /// How its counters move in the current or last run; `None` until they do.
    pub movement: Option<Box<Movement>>,
    /// What its processes use, and used at most in the current or last run; `None` until they were looked at.
    pub usage: Option<Box<Usage>>,
    /// The latest command.
    pub command: Option<LastCommand>,
    /// A `next_run` that the app itself or another program wrote, until the manager has dealt
    /// with it.
    pub asked_next_run: Option<Timestamp>,
    /// The first time of its calendar that became neither a run nor a part of a skip, before jitter;
    /// `None` where there is no calendar in force.
    pub slot: Option<Timestamp>,
    /// How many times the manager has written the row.
    pub sequence: u64,
    /// Grows with every change of its manager: what an earlier owner does can be told by it.
    pub epoch: u64,
    /// Whether the row has its key; the manager fills it in where it is missing.
    pub is_named: bool,
    /// Why the row is set aside; `None` when its definition can be obeyed.
    pub fault: Option<Box<Fault>>,
    /// Reports in the row that are ignored.
    pub bad_report: Option<Box<BadReport>>,
    /// The fault that the row itself shows; the manager keeps it true.
    pub shown_fault: Option<String>,
    /// The number of the row in its table.
    pub row: i64,
    /// When the row changed.
    pub revision: Revision,
}

impl AppState {
    /// Whether the manager concludes this of the app.
    #[must_use]
    pub fn is(&self, concern: Concern) -> bool {
        self.concern.as_ref().is_some_and(|conclusion| conclusion.is(concern))
    }
}

impl AppRow {
    /// The row of an app that was only registered.
    #[must_use]
    pub fn new(app: App, row: i64) -> Self {
        Self {
            app,
            next_run: None,
            planned: None,
            state: AppState::default(),
            last_end: None,
            progress: Progress::default(),
            samples: None,
            movement: None,
            usage: None,
            command: None,
            asked_next_run: None,
            slot: None,
            sequence: 0,
            epoch: 0,
            is_named: true,
            fault: None,
            bad_report: None,
            shown_fault: None,
            row,
            revision: Revision::default(),
        }
    }

    /// Whether it could not be started or was given up, so that nothing starts until ENABLE.
    #[must_use]
    pub fn awaits_enable(&self) -> bool {
        self.state.fatal.as_ref().is_some_and(|fatal| fatal.bars(&self.app.policy))
    }

    /// The time of its next run, where that can be missed. What runs always is started as soon as can be, and is never late.
    #[must_use]
    pub fn missable(&self) -> Option<Timestamp> {
        self.next_run.filter(|_| !self.app.schedule.always)
    }

    /// Whether neither its schedule nor a crash starts it until a person mends, enables or starts it.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.fault.is_some() || self.app.disabled || self.awaits_enable() || self.state.stopped_by.is_some()
    }
}

/// What an app or a person wrote into a row and cannot be read. It is ignored, and no reason to set the
/// app aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadReport {
    /// What is ignored and why, in one line.
    pub message: String,
    /// The columns among `next_run` and `asked_next_run` that are to be emptied.
    pub times: Vec<&'static str>,
}

/// What is wrong with the definition in a row. It is set aside and stops nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Group, parent and name as they are written, however odd.
    pub names: [String; 3],
    /// The faulty columns.
    pub columns: Vec<&'static str>,
    /// All faults in one line, each with its column.
    pub message: String,
}

impl Fault {
    /// The path as it is written.
    #[must_use]
    pub fn written_path(&self) -> String {
        self.names.join("/")
    }
}

/// A row of the apps table, valid or not.
#[derive(Debug, Clone, PartialEq)]
pub enum Registered {
    /// It can be obeyed.
    App(Box<AppRow>),
    /// It is set aside: its process may be supervised to its end, nothing new begins.
    SetAside(Box<AppRow>),
}

impl Registered {
    /// Sorts a row by whether it has a fault.
    #[must_use]
    pub fn of(row: AppRow) -> Self {
        if row.fault.is_none() { Self::App(Box::new(row)) } else { Self::SetAside(Box::new(row)) }
    }

    /// What can be read of the row.
    #[must_use]
    pub fn row(&self) -> &AppRow {
        match self {
            Self::App(row) | Self::SetAside(row) => row,
        }
    }

    /// The same, taken out.
    #[must_use]
    pub fn into_row(self) -> AppRow {
        match self {
            Self::App(row) | Self::SetAside(row) => *row,
        }
    }

    /// When the row changed.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.row().revision
    }
}
