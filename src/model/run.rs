//! One execution of an app: why it began and how it ended.

use std::fmt;

use super::vocabulary::words;
use super::{AppId, CommandId, Progress, Report, RunId, StderrTail, Suspicion, Timestamp, Word};

/// By which a program ends itself, after a message, when it has met a fault of its own.
const SIGABRT: i32 = 6;

/// The number of a process, unless it is the 0 that stands for one that nobody noted.
#[must_use]
pub fn known_pid(pid: u32) -> Option<u32> {
    Some(pid).filter(|pid| *pid != 0)
}

words! {
    /// Why a run was begun.
    Trigger {
        /// Its `next_run` came, be it by cron, interval, retry, back-off or set by the app itself.
        Schedule = "schedule",
        /// START or RESTART.
        Command = "command",
        /// `dcm run-app`, in the foreground of some terminal or program.
        RunApp = "run-app",
        /// Its time passed while no manager could start it.
        CatchUp = "catch-up",
    }
}

words! {
    /// How a run ended, in one word.
    Outcome {
        /// By itself, with exit code 0.
        Ok = "ok",
        /// By itself, with exit code 0, but not with what a good run of the app does.
        Suspect = "suspect",
        /// By itself, with another exit code.
        Failed = "failed",
        /// Killed by a signal that dcm did not send.
        Crashed = "crashed",
        /// Ended for taking longer than `max_runtime`.
        TimedOut = "timed_out",
        /// Ended for taking more memory than `max_memory`.
        OverLimit = "over_limit",
        /// Ended because the manager could not renew its lease, or had lost the app to another one.
        Fenced = "fenced",
        /// Ended on request, and killed because it outlived the grace time.
        KilledAfterGrace = "killed_after_grace",
        /// Ended on request.
        Stopped = "stopped",
        /// There was never a process, because it could not be started.
        FailedToStart = "failed_to_start",
        /// There was never a process, because the manager was gone before it started one.
        NeverStarted = "never_started",
        /// The process vanished, and its exit status was not seen.
        Unknown = "unknown",
        /// The host went down with the run under way.
        HostRebooted = "host_rebooted",
        /// The app was taken over from a manager that is lost, together with whatever it ran.
        LostOwner = "lost_owner",
    }
}

impl Outcome {
    /// What it says about the app.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::Ok => Blame::Good,
            Self::Suspect => Blame::Doubtful,
            Self::Failed
            | Self::Crashed
            | Self::TimedOut
            | Self::OverLimit
            | Self::FailedToStart
            | Self::Unknown => Blame::Bad,
            Self::Fenced
            | Self::KilledAfterGrace
            | Self::Stopped
            | Self::NeverStarted
            | Self::HostRebooted
            | Self::LostOwner => Blame::Excused,
        }
    }
}

impl Word<Outcome> {
    /// What it says about the app; a word that this version does not know says nothing.
    #[must_use]
    pub fn blame(&self) -> Blame {
        self.known().map_or(Blame::Excused, Outcome::blame)
    }
}

/// What the end of a run says about its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The run did what it should: failures in a row are counted from zero.
    Good,
    /// It ended well by its exit code, but broke a rule: it counts neither as good nor as a failure.
    Doubtful,
    /// Ended by a person, a manager or the host: it counts neither as good nor as a failure.
    Excused,
    /// The app failed: the run counts as a failure.
    Bad,
}

/// How the main process of a run ended, as the kernel told its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It called exit with this code, 0 to 255 (Windows: any 32-bit value).
    Code(i64),
    /// It was killed by this signal.
    Signal {
        /// The number of the signal.
        signal: i32,
        /// Whether a core was dumped.
        core: bool,
    },
}

impl Exit {
    /// Killed by KILL.
    pub const KILLED: Self = Self::Signal { signal: 9, core: false };

    /// The code that a shell would show: that of the process, or 128 + signal.
    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::Code(code) => code,
            Self::Signal { signal, .. } => 128 + i64::from(signal),
        }
    }

    /// Whether it ended by itself with exit code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal { signal, core: false } => write!(f, "killed by signal {signal}"),
            Self::Signal { signal, core: true } => write!(f, "killed by signal {signal}, core dumped"),
        }
    }
}

/// Who ended a run before it ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopCause {
    /// A command of the ledger: STOP, RESTART or DISABLE.
    Command(CommandId),
    /// The run took longer than the app's `max_runtime`.
    Timeout,
    /// The run took more memory than the app's `max_memory`; how much, for people.
    Memory(String),
    /// `dcm stop-apps`, by this person.
    StopApps(String),
    /// The shim was told by this signal: the host is going down, or `run-app` was interrupted.
    Signal(i32),
    /// The manager could not renew its lease in time, or the app is another manager's by now: a
    /// second copy might run.
    Fence,
    /// The row of its app was deleted.
    Removed,
}

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(id) => write!(f, "command {id}"),
            Self::Timeout => f.write_str("max_runtime"),
            Self::Memory(_) => f.write_str("max_memory"),
            Self::StopApps(by) => write!(f, "stop-apps by {by}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Fence => f.write_str("fence"),
            Self::Removed => f.write_str("the deletion of its app"),
        }
    }
}

/// Why a process could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailure {
    /// What is to be done about it.
    pub obstacle: Obstacle,
    /// What failed and why, for people.
    pub message: String,
}

/// What stands in the way of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// There is no such program; a shell would say 127.
    NotFound,
    /// The program is there and cannot be executed, or not in that directory or with these
    /// arguments; a shell would say 126.
    NotExecutable,
    /// The host is out of processes, memory, file handles or disk: the same start may work a
    /// little later. Everything else needs a person.
    HostExhausted,
}

/// What speaks for the kernel having killed a process for want of memory, which its exit status does not tell from a kill
/// by a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfMemory {
    /// The kernel has counted such a kill in the run's own cgroup.
    InRun,
    /// It has counted one on the host while the run was under way: that may have been another's process.
    OnHost,
}

impl OutOfMemory {
    /// What happened, no surer than it is known.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::InRun => "killed by the kernel: out of memory",
            Self::OnHost => "killed by SIGKILL, perhaps out of memory",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// By itself.
    Exited(Exit),
    /// By itself with exit code 0, but it broke a rule.
    Suspect(Suspicion),
    /// Somebody ended it.
    Stopped {
        /// Who.
        cause: StopCause,
        /// How the main process ended; `None` when nobody saw it.
        exit: Option<Exit>,
        /// Whether it outlived the grace time and had to be killed.
        killed: bool,
    },
    /// The main process was killed by KILL, which dcm did not send, for want of memory.
    OutOfMemory(OutOfMemory),
    /// There was never a process.
    StartFailed(StartFailure),
    /// The row was written, but the manager was gone before it started the process.
    NeverStarted,
    /// The process vanished, and its exit status was not seen.
    Unknown,
    /// The host went down with the run under way.
    HostRebooted,
}

impl Ending {
    /// The word for it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Exited(Exit::Code(0)) => Outcome::Ok,
            Self::Suspect(_) => Outcome::Suspect,
            Self::Exited(Exit::Code(_)) => Outcome::Failed,
            Self::Exited(Exit::Signal { .. }) | Self::OutOfMemory(_) => Outcome::Crashed,
            Self::Stopped { cause: StopCause::Timeout, .. } => Outcome::TimedOut,
            Self::Stopped { cause: StopCause::Memory(_), .. } => Outcome::OverLimit,
            Self::Stopped { cause: StopCause::Fence, .. } => Outcome::Fenced,
            Self::Stopped { killed: true, .. } => Outcome::KilledAfterGrace,
            Self::Stopped { killed: false, .. } => Outcome::Stopped,
            Self::StartFailed(_) => Outcome::FailedToStart,
            Self::NeverStarted => Outcome::NeverStarted,
            Self::Unknown => Outcome::Unknown,
            Self::HostRebooted => Outcome::HostRebooted,
        }
    }

    /// Fills in how the main process ended where the record does not know it.
    pub fn complete(&mut self, seen: impl FnOnce() -> Option<Exit>) {
        match self {
            Self::Unknown => {
                if let Some(exit) = seen() {
                    *self = Self::Exited(exit);
                }
            }
            Self::Stopped { exit: exit @ None, .. } => *exit = seen(),
            Self::Stopped { exit: Some(_), .. }
            | Self::Exited(_)
            | Self::Suspect(_)
            | Self::OutOfMemory(_)
            | Self::StartFailed(_)
            | Self::NeverStarted
            | Self::HostRebooted => {}
        }
    }

    /// What is to stand in the message of the run rather than what the app said last.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::StartFailed(failure) => Some(&failure.message),
            Self::Suspect(suspicion) => Some(&suspicion.message),
            Self::OutOfMemory(evidence) => Some(evidence.text()),
            Self::Stopped { cause: StopCause::Memory(used), .. } => Some(used),
            Self::Exited(_)
            | Self::Stopped { .. }
            | Self::NeverStarted
            | Self::Unknown
            | Self::HostRebooted => None,
        }
    }

    /// How the main process ended, where that is known.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        match self {
            Self::Exited(exit) => Some(*exit),
            Self::Suspect(_) => Some(Exit::Code(0)),
            Self::OutOfMemory(_) => Some(Exit::KILLED),
            Self::Stopped { exit, .. } => *exit,
            Self::StartFailed(_) | Self::NeverStarted | Self::Unknown | Self::HostRebooted => None,
        }
    }
}

/// Everything that is known when a run is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// How it ended.
    pub ending: Ending,
    /// When the process began, where it did.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Timestamp,
    /// The last values that the app reported, over all of its run.
    pub report: Report,
    /// The processes of the run that outlived its main process until they were ended.
    pub leftovers: Leftovers,
    /// The end of its standard error, where it ended badly and wrote any.
    pub stderr: Option<Box<StderrTail>>,
}

/// Processes that outlived the main process of their run and were ended: daemons, helpers in the
/// background, workers that did not heed a stop in time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// How many.
    pub count: u32,
    /// What some of them were called, each name once.
    pub names: Vec<String>,
}

impl Leftovers {
    /// At most so many names are kept.
    const NAMES_MAX: usize = 5;

    /// So many, of unknown names.
    #[must_use]
    pub fn counted(count: u32) -> Self {
        Self { count, names: Vec::new() }
    }

    /// One for each name; an empty one stands for a process whose name is not known.
    #[must_use]
    pub fn named(all: impl IntoIterator<Item = String>) -> Self {
        let mut leftovers = Self::default();
        for name in all {
            leftovers.count = leftovers.count.saturating_add(1);
            if !name.is_empty() && leftovers.names.len() < Self::NAMES_MAX && !leftovers.names.contains(&name)
            {
                leftovers.names.push(name);
            }
        }
        leftovers
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => f.write_str("1 leftover process was ended")?,
            count => write!(f, "{count} leftover processes were ended")?,
        }
        if self.names.is_empty() { Ok(()) } else { write!(f, ": {}", self.names.join(", ")) }
    }
}

impl Closing {
    /// Makes the end with exit code 0 a suspect one. What the app said last is added to the message.
    pub fn doubt(&mut self, mut suspicion: Suspicion) {
        if let Some(said) = self.report.message.as_deref().filter(|said| !said.is_empty()) {
            suspicion.message = format!("{}: {said}", suspicion.message);
        }
        self.ending = Ending::Suspect(suspicion);
    }

    /// The end of a run that nobody saw: all that is known is what it must have been.
    #[must_use]
    pub fn unseen(ending: Ending, ended: Timestamp) -> Self {
        Self {
            ending,
            started: None,
            ended,
            report: Report::default(),
            leftovers: Leftovers::default(),
            stderr: None,
        }
    }

    /// The last error line of its standard error, where the run ended by it: who is killed from outside, or ended for
    /// taking too long, wrote something else last.
    #[must_use]
    pub fn error_line(&self) -> Option<&str> {
        let ended_by_it = match &self.ending {
            Ending::Exited(Exit::Code(code)) => *code != 0,
            Ending::Exited(Exit::Signal { signal, .. }) => *signal == SIGABRT,
            Ending::Suspect(_)
            | Ending::Stopped { .. }
            | Ending::OutOfMemory(_)
            | Ending::StartFailed(_)
            | Ending::NeverStarted
            | Ending::Unknown
            | Ending::HostRebooted => false,
        };
        self.stderr.as_ref().filter(|_| ended_by_it).map(|stderr| stderr.error())
    }
}

/// A row of the `runtime` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub run: RunId,
    /// Whose run.
    pub app: AppId,
    /// When it began.
    pub start: Timestamp,
    /// When it ended; `None` while it goes on.
    pub end: Option<Timestamp>,
    /// How it ended; `None` while it goes on.
    pub outcome: Option<Word<Outcome>>,
    /// The exit code where it is known.
    pub exit_code: Option<i64>,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// Exceptions that the app counted.
    pub except_cnt: u64,
    /// The counters at its end.
    pub progress: Progress,
    /// Why it was begun.
    pub trigger: Word<Trigger>,
    /// When it was due; `None` for runs by command.
    pub due: Option<Timestamp>,
    /// 1 for the first try, then counted up for each try after a failure.
    pub attempt: u32,
    /// Which manager ran it.
    pub manager: String,
    /// The id of its main process on that manager's host.
    pub pid: Option<u32>,
    /// What went wrong, or the app's last message.
    pub message: Option<String>,
    /// How many of its processes outlived the main one and were ended.
    pub leftovers: u32,
    /// The command of the ledger that began it.
    pub command: Option<CommandId>,
    /// The largest sample of the memory of its processes, in bytes; `None` until there was one.
    pub memory_peak: Option<u64>,
}

impl Run {
    /// The word for how it ended; `None` while it goes on.
    #[must_use]
    pub fn outcome_word(&self) -> Option<&str> {
        self.outcome.as_ref().map(Word::word)
    }

    /// What its end says about the app; `None` while it goes on.
    #[must_use]
    pub fn blame(&self) -> Option<Blame> {
        self.outcome.as_ref().map(Word::blame)
    }
}
