//! The plain data that every other module speaks: ids, apps, runs, commands, changes.
//!
//! Nothing here reads a clock, a file or a socket, and nothing here decides.

mod alert;
mod app;
mod change;
mod command;
mod cron;
pub mod explain;
mod flapping;
mod id;
mod kept_log;
mod manager_row;
mod path;
mod pattern;
mod printable;
mod progress;
mod reason;
mod retention;
mod run;
mod schedule;
mod selector;
mod snapshot;
mod status;
mod time;
mod vocabulary;

pub use alert::{Alert, AlertKind, AlertRow, InARow};
pub use app::{
    App, AppRow, AppState, BadReport, CatchUp, Failover, Fatal, Fault, LastCommand, LastEnd, OnFailures,
    Policy, Program, Registered,
};
pub use change::{AppUpdate, Change, Refusal, RunOpening, Skip, SkipReason, Unopened};
pub use command::{Command, CommandRow, CommandSource, NewCommand, Verdict};
pub use cron::{Cron, CronError};
pub use flapping::{FLAPPING_ENDS, FLAPPING_WITHIN, flaps};
pub use id::{AlertId, AppId, AppRef, CommandId, ParseIdError, Revision, RunId};
pub use kept_log::KeptLog;
pub use manager_row::{LEASE, Load, ManagerRow, Released, Seen, Sight};
pub use path::{AppPath, Part, PathError};
pub use pattern::Pattern;
pub use printable::Printable;
pub use progress::{Progress, Report, ReportError};
pub use reason::Reason;
pub use retention::{DAYS_MAX, Prunable, PrunedBatch, Pruning, Retention};
pub use run::{
    Blame, Closing, Ending, Exit, Leftovers, Obstacle, Outcome, Run, StartFailure, StopCause, Trigger,
    known_pid,
};
pub use schedule::{Minutes, MinutesError, Planned, Schedule};
pub use selector::{Selector, SelectorError};
pub use snapshot::{Delta, Foreign, Limits, News, OpenRun, Snapshot, Survivor, SurvivorState};
pub use status::{CmdFlag, CmdName, FatalFlag, RunStatus, UnknownCode};
pub use time::{Now, Timestamp, TimestampError, format_timestamp, parse_timestamp, parse_timestamp_in};
pub use vocabulary::{Vocabulary, Word};
