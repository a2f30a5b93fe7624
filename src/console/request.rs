//! What the worker is asked, and what it answers.

use crate::model::{AlertRow, AppId, AppPath, CmdName, CommandRow, ManagerRow, Run};
use crate::store::{AlertQuery, HistoryQuery, LedgerQuery};

/// Something that takes time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Request {
    /// Enter commands into the ledger.
    /// All those of one ticket are one batch.
    Submit { ticket: Ticket, name: CmdName, apps: Vec<AppId>, note: Option<String> },
    /// Read the log of an app, and go on with it.
    OpenLog(AppPath),
    /// The log is not shown any more.
    CloseLog,
    /// Look into the database now.
    Look,
    /// A screen wants to know something.
    Ask(Ticket, Question),
}

/// Tells the answer to one question from all others. An answer whose ticket no screen holds any
/// more is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(pub(super) u64);

/// What a screen wants to know of the database.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Question {
    Alerts(AlertQuery),
    Managers,
    Commands(LedgerQuery),
    History(HistoryQuery),
}

/// What the database says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Alerts(Vec<AlertRow>),
    Managers(Vec<ManagerRow>),
    Commands(Vec<CommandRow>),
    History(Vec<Run>),
}
