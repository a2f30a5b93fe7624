//! What the journal of a run, and the messages to its shim, are made of. Versions of the program may differ between the shim that writes
//! and the manager that reads: fields may be added and must then have a default.

mod process;
mod times;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::process::ProcessRecord;
use self::times::{optional_timestamp, timestamp};
use crate::model::{
    AppId, Closing, CommandId, Ending, Exit, Leftovers, Now, Obstacle, OutOfMemory, Report, StartFailure,
    StopCause, StopSignal, Timestamp, UsageLimits,
};

/// What a shim is to run.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Spec {
    pub(super) run: String,
    pub(super) app: String,
    pub(super) argv: Vec<String>,
    pub(super) cwd: String,
    /// On top of the environment of the manager. It may hold secrets, as the directory's mode says.
    pub(super) env: BTreeMap<String, String>,
    /// Files of variables that are read when the app is started; those of `env` count before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) env_files: Vec<String>,
    /// Variables that the app has unless a file or `env` has them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) defaults: BTreeMap<String, String>,
    /// What the app's process has of its own.
    #[serde(default)]
    pub(super) process: ProcessRecord,
    /// What asks the app to end; TERM where it is missing.
    #[serde(default)]
    pub(super) stop_signal: String,
    pub(super) grace_ms: u64,
    pub(super) log: PathBuf,
    pub(super) log_limit: u64,
    /// The zone of times without an offset that the app reports; UTC where it is missing.
    #[serde(default)]
    pub(super) time_zone: Option<String>,
    pub(super) doorbell: PathBuf,
    /// The limit of open files that the manager was started with; it raises its own.
    #[serde(default)]
    pub(super) open_files: Option<u64>,
    /// The file that says until when the run may live, if it must end with the manager's lease.
    #[serde(default)]
    pub(super) lease: Option<PathBuf>,
    /// The run directory that the run was started in, which tells it from a copy.
    #[serde(default)]
    pub(super) place: Option<Place>,
    /// Variables that the app does not inherit, unless its own environment has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) withheld: Vec<String>,
    /// Whether the command may be a batch file of Windows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) batch_files: bool,
    /// After which time the shim ends the run by itself; otherwise the manager does.
    #[serde(default)]
    pub(super) ends_after_ms: Option<u64>,
    /// The limits that the kernel is to hold, where it can.
    #[serde(default)]
    pub(super) limits: HeldLimits,
}

/// Limits of a run, as far as they are to be held by the kernel, or are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct HeldLimits {
    /// In MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory: Option<u32>,
    /// In percent of one core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu: Option<u32>,
}

impl From<HeldLimits> for UsageLimits {
    fn from(HeldLimits { memory, cpu }: HeldLimits) -> Self {
        Self { memory, cpu }
    }
}

impl From<UsageLimits> for HeldLimits {
    fn from(UsageLimits { memory, cpu }: UsageLimits) -> Self {
        Self { memory, cpu }
    }
}

/// A directory as the file system numbers it. A copy has another number, a renamed directory the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Spec {
    /// The zone of times without an offset.
    pub(super) fn zone(&self) -> chrono_tz::Tz {
        self.time_zone.as_ref().and_then(|zone| zone.parse().ok()).unwrap_or(chrono_tz::Tz::UTC)
    }

    /// What asks the app to end.
    pub(super) fn stop_signal(&self) -> StopSignal {
        self.stop_signal.parse().unwrap_or(StopSignal::Term)
    }

    /// When the shim has to end the run by itself, in time since boot.
    pub(super) fn ends_at(&self, started: Timestamp, now: Now) -> Option<Duration> {
        let gone = (now.wall - started).to_std().unwrap_or(Duration::ZERO);
        let left = Duration::from_millis(self.ends_after_ms?).saturating_sub(gone);
        Some(now.mono.saturating_add(left))
    }

    /// Asks for the end of a run that took too long.
    pub(super) fn timeout(&self) -> StopRequest {
        StopRequest { cause: Cause::Timeout, grace_ms: self.grace_ms }
    }

    pub(super) fn app_id(&self) -> Option<AppId> {
        self.app.parse().ok()
    }
}

/// One line of a journal.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fact {
    /// What is to be run; the first line.
    Spec(Box<Spec>),
    /// The shim was told to go, or took over from one that was killed.
    Begun {
        boot: String,
        shim: Identity,
        #[serde(with = "timestamp")]
        at: Timestamp,
        /// The cgroup that holds the run and nothing else.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cgroup: Option<PathBuf>,
        /// The limits that the kernel holds in it.
        #[serde(default)]
        held: HeldLimits,
    },
    /// The app's process exists.
    App {
        process: Identity,
        #[serde(with = "timestamp")]
        started: Timestamp,
    },
    /// The run is being ended.
    Stop(StopRequest),
    /// The run is over.
    Exit(ExitRecord),
}

/// A process: its number may be used again, together with its start it may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: u32,
    /// In clock ticks since boot (Linux), or the creation time (Windows).
    pub(super) start: u64,
}

/// A message to the shim, one line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    Stop(StopRequest),
    /// From `dcm report`: the object that a `::dcm` line would hold.
    Report(serde_json::Value),
    /// A manager has come: tell it what the app reported so far.
    Tell,
}

/// Asks the shim to end the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StopRequest {
    pub(super) cause: Cause,
    pub(super) grace_ms: u64,
}

/// [`StopCause`] on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cause {
    Command(i64),
    Timeout,
    Memory(String),
    StopApps(String),
    Signal(i32),
    Fence,
    Removed,
}

impl From<&StopCause> for Cause {
    fn from(cause: &StopCause) -> Self {
        match cause {
            StopCause::Command(id) => Self::Command(id.0),
            StopCause::Timeout => Self::Timeout,
            StopCause::Memory(used) => Self::Memory(used.clone()),
            StopCause::StopApps(by) => Self::StopApps(by.clone()),
            StopCause::Signal(signal) => Self::Signal(*signal),
            StopCause::Fence => Self::Fence,
            StopCause::Removed => Self::Removed,
        }
    }
}

impl From<&Cause> for StopCause {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Command(id) => Self::Command(CommandId(*id)),
            Cause::Timeout => Self::Timeout,
            Cause::Memory(used) => Self::Memory(used.clone()),
            Cause::StopApps(by) => Self::StopApps(by.clone()),
            Cause::Signal(signal) => Self::Signal(*signal),
            Cause::Fence => Self::Fence,
            Cause::Removed => Self::Removed,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ExitRecord {
    pub(super) ending: EndingRecord,
    #[serde(default, with = "optional_timestamp")]
    pub(super) started: Option<Timestamp>,
    #[serde(with = "timestamp")]
    pub(super) ended: Timestamp,
    #[serde(default)]
    pub(super) report: ReportRecord,
    #[serde(default)]
    pub(super) leftovers: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) leftover_names: Vec<String>,
    /// What speaks for a KILL having come from the kernel, for want of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) out_of_memory: Option<OutOfMemoryRecord>,
}

impl ExitRecord {
    /// The end of a run of which a process was started.
    pub(super) fn new(
        ending: EndingRecord,
        started: Timestamp,
        ended: Timestamp,
        report: ReportRecord,
        Leftovers { count, names }: Leftovers,
    ) -> Self {
        Self {
            ending,
            started: Some(started),
            ended,
            report,
            leftovers: count,
            leftover_names: names,
            out_of_memory: None,
        }
    }

    /// The end of a run that could not be started.
    pub(super) fn of_failed_start(ending: EndingRecord, ended: Timestamp) -> Self {
        Self {
            ending,
            started: None,
            ended,
            report: ReportRecord::default(),
            leftovers: 0,
            leftover_names: Vec::new(),
            out_of_memory: None,
        }
    }
}

/// [`Ending`] on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EndingRecord {
    Exited(ExitStatus),
    Stopped { cause: Cause, exit: Option<ExitStatus>, killed: bool },
    StartFailed { obstacle: ObstacleRecord, message: String },
    Unknown,
}

/// [`Obstacle`] on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ObstacleRecord {
    NotFound,
    NotExecutable,
    HostExhausted,
}

impl From<Obstacle> for ObstacleRecord {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::NotFound => Self::NotFound,
            Obstacle::NotExecutable => Self::NotExecutable,
            Obstacle::HostExhausted => Self::HostExhausted,
        }
    }
}

impl From<ObstacleRecord> for Obstacle {
    fn from(record: ObstacleRecord) -> Self {
        match record {
            ObstacleRecord::NotFound => Self::NotFound,
            ObstacleRecord::NotExecutable => Self::NotExecutable,
            ObstacleRecord::HostExhausted => Self::HostExhausted,
        }
    }
}

/// [`OutOfMemory`] on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutOfMemoryRecord {
    InRun,
    OnHost,
}

impl From<OutOfMemoryRecord> for OutOfMemory {
    fn from(record: OutOfMemoryRecord) -> Self {
        match record {
            OutOfMemoryRecord::InRun => Self::InRun,
            OutOfMemoryRecord::OnHost => Self::OnHost,
        }
    }
}

/// [`Exit`] on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ExitStatus {
    Code(i64),
    Signal { signal: i32, core: bool },
}

impl From<Exit> for ExitStatus {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Code(code) => Self::Code(code),
            Exit::Signal { signal, core } => Self::Signal { signal, core },
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(exit: ExitStatus) -> Self {
        match exit {
            ExitStatus::Code(code) => Self::Code(code),
            ExitStatus::Signal { signal, core } => Self::Signal { signal, core },
        }
    }
}

impl From<StartFailure> for EndingRecord {
    fn from(failure: StartFailure) -> Self {
        Self::StartFailed { obstacle: failure.obstacle.into(), message: failure.message }
    }
}

impl From<ExitRecord> for Closing {
    fn from(record: ExitRecord) -> Self {
        let ending = match record.ending {
            EndingRecord::Exited(exit) => match (Exit::from(exit), record.out_of_memory) {
                (Exit::KILLED, Some(evidence)) => Ending::OutOfMemory(evidence.into()),
                (exit, _) => Ending::Exited(exit),
            },
            EndingRecord::Stopped { cause, exit, killed } => {
                Ending::Stopped { cause: (&cause).into(), exit: exit.map(Into::into), killed }
            }
            EndingRecord::StartFailed { obstacle, message } => {
                Ending::StartFailed(StartFailure { obstacle: obstacle.into(), message })
            }
            EndingRecord::Unknown => Ending::Unknown,
        };
        Self {
            ending,
            started: record.started,
            ended: record.ended,
            report: record.report.into(),
            leftovers: Leftovers { count: record.leftovers, names: record.leftover_names },
            stderr: None,
        }
    }
}

/// [`Report`] on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ReportRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    task_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    solved: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", with = "optional_timestamp")]
    eta: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", with = "optional_timestamp")]
    next_run: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    except_cnt: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl From<Report> for ReportRecord {
    fn from(report: Report) -> Self {
        let Report { task_size, percent, solved, failed, eta, next_run, except_cnt, message } = report;
        Self { task_size, progress: percent, solved, failed, eta, next_run, except_cnt, message }
    }
}

impl From<ReportRecord> for Report {
    fn from(record: ReportRecord) -> Self {
        let ReportRecord { task_size, progress, solved, failed, eta, next_run, except_cnt, message } = record;
        Self { task_size, percent: progress, solved, failed, eta, next_run, except_cnt, message }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{RunId, parse_timestamp};

    pub(in crate::process) fn spec() -> Spec {
        Spec {
            run: RunId::from_random_bits(7).to_string(),
            app: AppId::of(&"a/b/c".parse().unwrap()).to_string(),
            argv: vec!["true".to_owned()],
            cwd: "/".to_owned(),
            env: BTreeMap::new(),
            env_files: Vec::new(),
            defaults: BTreeMap::new(),
            process: ProcessRecord::default(),
            stop_signal: String::new(),
            grace_ms: 1000,
            log: PathBuf::from("/nowhere/log"),
            log_limit: 4096,
            time_zone: None,
            doorbell: PathBuf::from("/nowhere/doorbell"),
            open_files: None,
            lease: None,
            withheld: Vec::new(),
            batch_files: false,
            ends_after_ms: None,
            limits: HeldLimits::default(),
            place: None,
        }
    }

    #[test]
    fn records_come_back_as_they_were() {
        let ended = parse_timestamp("2026-11-23T14:02:11.123Z").unwrap();
        let report =
            Report { solved: Some(3), eta: Some(ended), message: Some("m".into()), ..Report::default() };
        for ending in [
            EndingRecord::Exited(ExitStatus::Code(3)),
            EndingRecord::Exited(ExitStatus::Signal { signal: 11, core: true }),
            EndingRecord::Stopped { cause: Cause::Command(7), exit: Some(ExitStatus::Code(0)), killed: true },
            EndingRecord::Stopped { cause: Cause::StopApps("ana".into()), exit: None, killed: false },
            EndingRecord::StartFailed { obstacle: ObstacleRecord::NotFound, message: "no such file".into() },
            EndingRecord::Unknown,
        ] {
            let leftovers = Leftovers { count: 2, names: vec!["sleep".to_owned()] };
            let record = ExitRecord::new(ending, ended, ended, report.clone().into(), leftovers.clone());
            assert_eq!(Closing::from(record.clone()).leftovers, leftovers);
            let text = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<ExitRecord>(&text).unwrap(), record, "{text}");
        }
        let killed = ExitStatus::Signal { signal: 9, core: false };
        for (ending, evidence, expected) in [
            (killed, Some(OutOfMemoryRecord::InRun), Ending::OutOfMemory(OutOfMemory::InRun)),
            (killed, Some(OutOfMemoryRecord::OnHost), Ending::OutOfMemory(OutOfMemory::OnHost)),
            (killed, None, Ending::Exited(Exit::KILLED)),
            (ExitStatus::Code(137), Some(OutOfMemoryRecord::InRun), Ending::Exited(Exit::Code(137))),
        ] {
            let none = (ReportRecord::default(), Leftovers::default());
            let record = ExitRecord::new(EndingRecord::Exited(ending), ended, ended, none.0, none.1);
            let text = serde_json::to_string(&ExitRecord { out_of_memory: evidence, ..record }).unwrap();
            let read: ExitRecord = serde_json::from_str(&text).unwrap();
            assert_eq!(Closing::from(read).ending, expected, "{text}");
        }
        let of_an_older_shim =
            r#"{"ending":{"exited":{"code":3}},"ended":"2026-11-23T14:02:11.123Z","new":1}"#;
        let closing = Closing::from(serde_json::from_str::<ExitRecord>(of_an_older_shim).unwrap());
        assert_eq!(closing.ending, Ending::Exited(Exit::Code(3)));
    }
}
