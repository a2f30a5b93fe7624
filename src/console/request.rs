//! What the worker is asked, and what it answers.

use std::time::Duration;

use crate::model::{
    AlertId, AlertRow, AppId, AppPath, AppRow, CmdName, CommandRow, DocumentWay, KeptLog, ManagerRow,
    PipelineLook, PipelineTask, Released, Run, RunId, Skip, TaskId, Timestamp,
};
use crate::process::LogRecord;
use crate::store::{AlertNote, AlertQuery, HistoryQuery, LedgerQuery, SkipQuery, TaskQuery};

/// Something that takes time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Request {
    /// Enter commands into the ledger.
    /// All those of one ticket are one batch.
    Submit { ticket: Ticket, name: CmdName, apps: Vec<AppId>, note: Option<String> },
    /// Read these logs, and go on with them.
    OpenLog(LogQuery),
    /// The log is not shown any more.
    CloseLog,
    /// Look into the database now.
    Look,
    /// Look into it so often from now on.
    Pace(Duration),
    /// A screen wants to know something.
    Ask(Ticket, Question),
}

/// Tells the answer to one question from all others. An answer whose ticket no screen holds any
/// more is dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ticket(pub(super) u64);

/// At most so many open alerts are asked for: more rows than anybody reads.
const ALERTS_MAX: u32 = 1000;

/// What a screen wants to know of the database.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Question {
    Alerts(AlertQuery),
    NoteAlerts(Vec<AlertId>, AlertNote),
    App(AppId),
    /// Whole rows, for other programs.
    Apps(Vec<AppId>),
    /// The end of a log; with `is_wish` its manager is asked to keep it fresh.
    KeptLog {
        app: AppId,
        run: Option<RunId>,
        is_wish: bool,
    },
    Managers,
    /// Let a manager drain, or end that.
    Drain(String, bool),
    /// Take its apps from a manager that is gone.
    TakeFrom(String),
    Commands(LedgerQuery),
    History(HistoryQuery),
    Skips(SkipQuery),
    /// All stages of documents, and the watched directories; of the day only what happened since then.
    Pipeline(Option<Timestamp>),
    /// How many documents wait, failed and are dead.
    DocumentSums,
    Documents(TaskQuery),
    /// The way of the document of which this is a stage.
    DocumentWay(TaskId),
    /// Send these again.
    RetryDocuments(TaskQuery),
}

impl Question {
    /// All alerts that are open.
    pub(super) fn open_alerts() -> Self {
        Self::Alerts(AlertQuery { open_only: true, limit: ALERTS_MAX, ..AlertQuery::default() })
    }
}

/// Which logs are read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LogQuery {
    pub(super) ticket: Ticket,
    /// Several ones are merged.
    pub(super) apps: Vec<AppPath>,
    /// This run only; `None`: the newest, and those that follow.
    pub(super) run: Option<RunId>,
}

/// What is new in logs. Apps are numbers here, by their place in the query.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LogNews {
    pub(super) ticket: Ticket,
    /// The first news.
    pub(super) is_start: bool,
    /// By time.
    pub(super) records: Vec<(u16, LogRecord)>,
    /// Runs whose log begins here, and when.
    pub(super) begun: Vec<(u16, RunId, Option<Timestamp>)>,
    /// Logs that grew faster than they were read; from where they go on.
    pub(super) jumped: Vec<(u16, Option<Timestamp>)>,
    /// The runs of which there is a log on this host, newest first; empty if that is not new.
    pub(super) runs: Vec<RunId>,
    /// Why a log cannot be read.
    pub(super) fault: Option<String>,
}

/// Documents that are not done, of all stages together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DocumentSums {
    pub(super) waiting: u64,
    pub(super) working: u64,
    pub(super) failed: u64,
    pub(super) dead: u64,
}

/// What the database says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Alerts(Vec<AlertRow>),
    Noted,
    /// Nothing if it is not registered, or its row cannot be understood.
    App(Option<Box<AppRow>>),
    Apps(Vec<AppRow>),
    Managers(Vec<ManagerRow>),
    Released(Released),
    KeptLog(Option<KeptLog>),
    Commands(Vec<CommandRow>),
    History(Vec<Run>),
    Skips(Vec<Skip>),
    Pipeline(Box<PipelineLook>),
    DocumentSums(DocumentSums),
    Documents(Vec<PipelineTask>),
    /// Nothing if it is not on record any more.
    DocumentWay(Option<Box<DocumentWay>>),
    /// How many are sent again.
    Retried(u64),
}
