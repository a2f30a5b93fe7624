//! The plain data that every other module speaks: ids, apps, runs, commands, changes.
//!
//! Nothing here reads a clock, a file or a socket, and nothing here decides.

mod alert;
mod app;
mod broker_state;
mod cause;
mod change;
mod command;
mod concern;
mod cron;
mod delivery;
mod document;
mod expectation;
pub mod explain;
mod flapping;
mod fleet_alert;
mod http_url;
mod id;
mod kept_log;
mod last_end;
mod manager_row;
mod path;
mod pattern;
mod printable;
mod program;
mod progress;
mod reason;
pub mod reasons;
mod request;
mod retention;
mod route;
mod run;
mod samples;
mod schedule;
mod selector;
pub mod settings;
mod signal;
mod snapshot;
mod stage;
mod status;
mod stderr_tail;
mod time;
mod topic;
mod usage;
mod value;
mod vocabulary;

pub use alert::{Alert, AlertEnd, AlertEvent, AlertKind, AlertRow, AlertSubject, AlertTurn, Severity};
pub use app::{
    Anomaly, App, AppRow, AppState, BadReport, CatchUp, Failover, Fatal, Fault, LastCommand, OnFailures,
    OnSuspect, Policy, Registered,
};
pub use broker_state::{BrokerState, BrokerStateError};
pub use cause::{AlertCause, describe};
pub use change::{AppUpdate, Change, Refusal, RunOpening, Skip, SkipReason, Subject, Unopened};
pub use command::{Command, CommandRow, CommandSource, NewCommand, Verdict};
pub use concern::{Concern, Conclusion, Movement};
pub use cron::{Cron, CronError};
pub use delivery::{
    DOCUMENT_CHANNEL, Delivered, Delivery, DeliveryKind, GATHER, NoticeEvent, PING_CHANNEL, SentMessage,
};
pub use document::{
    DocumentPath, DocumentRoute, DueDocument, Entered, EventId, FileEvent, KnownVersion, NewEvent,
    PipelineTask, Published, RootState, RouteId, StageCount, Target, TaskId, WatchRoot, route_of,
};
pub use expectation::{Baseline, Compared, Performance, Ratio, Rule, Suspicion};
pub use flapping::{FLAPPING_ENDS, FLAPPING_WITHIN, flaps};
pub use fleet_alert::{FleetAlert, FleetAlertChange, FleetAlertEnd, FleetKind, FleetTrouble, OpenFleetAlert};
pub use http_url::{HttpUrl, HttpUrlError, is_loopback};
pub use id::{AlertId, AppId, AppRef, CommandId, DeliveryId, ParseIdError, Revision, RunId};
pub use kept_log::KeptLog;
pub use last_end::{LastEnd, LastResult};
pub use manager_row::{LEASE, Load, ManagerRow, Released, Seen, Sight, owner_of};
pub use path::{AppPath, NameError, Part, PathError, together};
pub use pattern::Pattern;
pub use printable::Printable;
pub use program::{InvalidUmask, ProcessSettings, Program, StopSignal, Umask, UnknownSignal};
pub use progress::{Progress, Report, ReportError};
pub use reason::Reason;
pub use request::{REPLY_CHANNEL, Received, Request};
pub use retention::{DAYS_MAX, Prunable, PrunedBatch, Pruning, Retention};
pub use route::Route;
pub use run::{
    Blame, Closing, Ending, Exit, Leftovers, Obstacle, OutOfMemory, Outcome, Run, StartFailure, StopCause,
    Trigger, known_pid,
};
pub use samples::{Counted, Samples, minutes, slot_of};
pub use schedule::{Minutes, MinutesError, Planned, Schedule, Timing};
pub use selector::{Labels, Selector, SelectorError};
pub use settings::Setting;
pub use snapshot::{Delta, Foreign, Limits, News, OpenRun, Snapshot, Survivor, SurvivorState};
pub use stage::{DocumentWay, FlowSlot, PipelineLook, Stage, StageFlow, StageLink};
pub use status::{CmdFlag, CmdName, FatalFlag, RunStatus, TaskStatus, UnknownCode};
pub use stderr_tail::StderrTail;
pub use time::{
    Now, Timestamp, TimestampError, format_duration, format_timestamp, parse_timestamp, parse_timestamp_in,
};
pub use topic::{
    RoutingError, check_actor, check_queue, check_root_name, check_topic, check_topic_pattern, topic_matches,
};
pub use usage::{MIB, Usage, UsageLimits, format_memory};
pub use value::{InvalidSetting, Kind, Value};
pub(crate) use vocabulary::words;
pub use vocabulary::{Vocabulary, Word};
