//! An app: what its row defines, and what the manager writes into it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{
    AppId, AppPath, CmdFlag, CmdName, CommandId, FatalFlag, Outcome, Part, Planned, Progress, Revision,
    RunId, RunStatus, Schedule, Timestamp, UnknownCode, Word,
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
}

/// What is to be run.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// The argument vector; `None` for the default module command `PYTHON -m apps.GROUP.PARENT.APP.main`.
    pub command: Option<Vec<String>>,
    /// The working directory; `None` for that of the manager.
    pub cwd: Option<String>,
    /// Variables on top of the environment of the manager.
    pub env: BTreeMap<String, String>,
    /// Variables of the manager that it does not inherit.
    pub unset: BTreeSet<String>,
    /// Whether the app may see `DC_DATABASE_URL`.
    pub pass_database: bool,
}

/// Environments hold secrets: only the names are shown.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("command", &self.command)
            .field("cwd", &self.cwd)
            .field("env", &self.env.keys())
            .field("unset", &self.unset)
            .field("pass_database", &self.pass_database)
            .finish()
    }
}

/// The rules of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of times that passed while no manager could start the app.
    pub catch_up: CatchUp,
    /// At most so many runs are caught up with [`CatchUp::All`]; the oldest are skipped.
    pub catch_up_limit: u32,
    /// After so many failures in a row the flag is set and an alert is opened; 0: never.
    pub max_failures: u32,
    /// What follows then.
    pub on_failures: OnFailures,
    /// Time between TERM and KILL.
    pub stop_grace: Duration,
    /// A run that takes longer is ended and counts as failed.
    pub max_runtime: Option<Duration>,
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

impl Default for Policy {
    fn default() -> Self {
        Self {
            catch_up: CatchUp::Latest,
            catch_up_limit: 10,
            max_failures: 3,
            on_failures: OnFailures::Continue,
            stop_grace: Duration::from_secs(10),
            max_runtime: None,
            log_limit: 10 * 1024 * 1024,
            log_keep: 20,
            pool: None,
            failover: Failover::Never,
            protected: false,
        }
    }
}

/// What becomes of times that passed while no manager could start the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CatchUp {
    /// One run, for the latest of them.
    Latest,
    /// They are skipped.
    None,
    /// One run for each, up to a limit.
    All,
}

impl CatchUp {
    /// The word that the database stores.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::None => "none",
            Self::All => "all",
        }
    }
}

impl FromStr for CatchUp {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        [Self::Latest, Self::None, Self::All]
            .into_iter()
            .find(|value| value.word() == text)
            .ok_or_else(|| UnknownCode::new("catch_up", text))
    }
}

/// What follows when an app has failed `max_failures` times in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnFailures {
    /// It goes on: by its schedule, after a crash with a back-off.
    Continue,
    /// Nothing starts until ENABLE.
    GiveUp,
}

impl OnFailures {
    /// All values.
    pub const ALL: [Self; 2] = [Self::Continue, Self::GiveUp];

    /// The word that the database stores.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::GiveUp => "give_up",
        }
    }
}

impl FromStr for OnFailures {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL
            .into_iter()
            .find(|value| value.word() == text)
            .ok_or_else(|| UnknownCode::new("on_failures", text))
    }
}

/// What happens to an app when its manager is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failover {
    /// It belongs to that manager, and runs on whatever happens to the database.
    Never,
    /// A person gives it to others, once it is sure that the host is dead.
    Manual,
    /// Others take it over. There is never more than one run: its shim ends the run when the
    /// manager cannot renew its lease.
    Exclusive,
    /// Others take it over. The old run may still live: nothing ends it.
    AtLeastOnce,
}

impl Failover {
    /// All values.
    pub const ALL: [Self; 4] = [Self::Never, Self::Manual, Self::Exclusive, Self::AtLeastOnce];

    /// The word that the database stores.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Manual => "manual",
            Self::Exclusive => "exclusive",
            Self::AtLeastOnce => "at_least_once",
        }
    }
}

impl FromStr for Failover {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL
            .into_iter()
            .find(|value| value.word() == text)
            .ok_or_else(|| UnknownCode::new("failover", text))
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
    /// What is wrong with it; whether that keeps it from being started, [`Fatal::bars`] says.
    pub fatal: Option<Box<Fatal>>,
    /// Which limit keeps a due run waiting.
    pub waiting_for: Option<String>,
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
            fatal: None,
            waiting_for: None,
            manager: None,
        }
    }
}

/// What is wrong with an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// The code.
    pub flag: FatalFlag,
    /// What happened.
    pub message: String,
    /// When.
    pub time: Timestamp,
}

impl Fatal {
    /// Whether nothing starts until ENABLE. Repeated failures alone do that only where the app is to be given up.
    #[must_use]
    pub fn bars(&self, policy: &Policy) -> bool {
        match self.flag {
            FatalFlag::FailedToStart | FatalFlag::AlertSent => true,
            FatalFlag::UnexpectedBehavior => policy.on_failures == OnFailures::GiveUp,
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

/// How the latest run of an app that is over ended, as its row shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastEnd {
    /// What came of it.
    pub outcome: Word<Outcome>,
    /// The exit code where it is known.
    pub exit_code: Option<i64>,
    /// When it ended.
    pub at: Timestamp,
}

impl LastEnd {
    /// How it ended, in a word or two: `ok`, `exit 3`, `SIGABRT`, `timed out`.
    #[must_use]
    pub fn result(&self) -> String {
        match (self.outcome.known(), self.exit_code) {
            (Some(Outcome::Failed), Some(code)) => format!("exit {code}"),
            (Some(Outcome::Crashed), Some(code)) => signal_name(code - SIGNAL_BASE),
            _ => self.outcome.word().replace('_', " "),
        }
    }
}

/// What shells add to the number of a signal to make an exit code of it.
const SIGNAL_BASE: i64 = 128;

/// The name of a signal whose number is the same on every Linux; `signal 42` for any other.
fn signal_name(signal: i64) -> String {
    const NAMES: &[(i64, &str)] = &[
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (5, "SIGTRAP"),
        (6, "SIGABRT"),
        (8, "SIGFPE"),
        (9, "SIGKILL"),
        (11, "SIGSEGV"),
        (13, "SIGPIPE"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
    ];
    let named = NAMES.iter().find(|(number, _)| *number == signal);
    named.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
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
    /// How its latest run that is over ended; written by whoever closes the run.
    pub last_end: Option<Box<LastEnd>>,
    /// What the app reported.
    pub progress: Progress,
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

impl AppRow {
    /// Whether it could not be started or was given up, so that nothing starts until ENABLE.
    #[must_use]
    pub fn awaits_enable(&self) -> bool {
        self.state.fatal.as_ref().is_some_and(|fatal| fatal.bars(&self.app.policy))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_says_what_a_shell_would() {
        let at = crate::model::parse_timestamp("2026-11-23T14:02:11Z").unwrap();
        for (outcome, exit_code, result) in [
            ("ok", Some(0), "ok"),
            ("failed", Some(3), "exit 3"),
            ("crashed", Some(134), "SIGABRT"),
            ("crashed", Some(170), "signal 42"),
            ("failed", None, "failed"),
            ("timed_out", Some(143), "timed out"),
            ("a_newer_word", None, "a newer word"),
        ] {
            assert_eq!(LastEnd { outcome: outcome.into(), exit_code, at }.result(), result);
        }
    }
}
