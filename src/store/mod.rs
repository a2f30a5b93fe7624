//! The only meeting place of manager, console and command line: the database.
//!
//! [`OperatorStore`] is all that a console or the command line can do, [`Store`] is what a manager
//! needs besides. Every implementation passes the same contract tests (`tests/it/store_contract.rs`).

mod backlog;
mod cluster;
mod copy;
mod definition;
mod deliveries;
mod document_look;
mod document_rows;
mod documents;
mod error;
mod facts;
mod memory;
mod migrations;
mod pipeline_look;
mod postgres;
mod prune;
mod query;
mod requests;
mod rights;
mod row_reader;
mod rows;
mod sqlite;
mod submit;

use async_trait::async_trait;
use tokio::sync::watch;

pub use backlog::{Backlog, Backlogs};
pub use cluster::{Capabilities, Cluster, take_from};
pub use copy::{CopyEnd, copy};
pub use deliveries::Deliveries;
pub use document_look::DocumentLook;
pub use documents::{DOCUMENTS_MAX, Documents, EventQuery, Pipeline, TASKS_MAX, TaskQuery};
pub use error::StoreError;
pub use facts::DatabaseFacts;
pub use memory::{MemoryStore, Tables};
pub use pipeline_look::{document_way, look_at_pipeline};
pub use postgres::{PostgresStore, ROLES};
pub use prune::{Pace, prune_history};
pub use query::{AlertNote, AlertQuery, AlertsOf, HistoryQuery, LedgerQuery, RunLength, SkipQuery};
pub use requests::Requests;
pub use rights::{LOG_END, LOG_WISH, Rights};
pub use sqlite::{OpenMode, SqliteStore};
pub use submit::submit;

use crate::model::{
    AlertEvent, AlertId, AlertRow, App, AppId, AppPath, Change, Command, CommandId, CommandRow, Delta,
    Foreign, KeptLog, Limits, Load, ManagerRow, NewCommand, News, Part, Prunable, PrunedBatch, Pruning,
    Refusal, Registered, Released, Retention, Revision, Run, RunId, Sight, Skip, Snapshot, Subject,
    Timestamp,
};

/// At most so many rows of the apps table come in one answer of [`OperatorStore::changes_since`].
pub const PAGE: usize = 2000;

/// What a console or the command line can do.
#[async_trait]
pub trait OperatorStore: Documents + DocumentLook {
    /// What this database can.
    fn capabilities(&self) -> Capabilities;

    /// How managers share it, where several may serve it.
    fn cluster(&self) -> Option<&dyn Cluster> {
        None
    }

    /// Rows of the apps table that are newer than `revision`, at most [`PAGE`] at a time.
    async fn changes_since(&self, revision: Revision) -> Result<Delta, StoreError>;

    /// The rows of these apps; unknown ones are left out.
    async fn apps(&self, apps: Vec<AppId>) -> Result<Vec<Registered>, StoreError>;

    /// Grows when anything in the database changed, by whomever. A hint: it may be late or lost,
    /// so callers look by themselves now and then.
    fn changed(&self) -> watch::Receiver<u64>;

    /// Enters commands into the ledger, all or none, in this order. A batch that is there already is
    /// not entered again: its commands are given back. So a sender whose answer was lost may ask once
    /// more, and [`submit`] does.
    async fn submit(&self, commands: Vec<NewCommand>) -> Result<Vec<CommandId>, StoreError>;

    /// These commands of the ledger; unknown ids are left out.
    async fn commands(&self, ids: Vec<CommandId>) -> Result<Vec<CommandRow>, StoreError>;

    /// Commands of the ledger, newest first.
    async fn ledger(&self, query: LedgerQuery) -> Result<Vec<CommandRow>, StoreError>;

    /// Runs, newest first.
    async fn history(&self, query: HistoryQuery) -> Result<Vec<Run>, StoreError>;

    /// How many runs began after a moment.
    async fn begun_since(&self, moment: Timestamp) -> Result<u64, StoreError>;

    /// How long the good runs among the latest `of_each` runs of each of these apps took, in no order. An app without a
    /// good run among them is left out.
    async fn good_runs(&self, apps: Vec<AppId>, of_each: u32) -> Result<Vec<RunLength>, StoreError>;

    /// Times that were due and did not become runs, newest first.
    async fn skips(&self, query: SkipQuery) -> Result<Vec<Skip>, StoreError>;

    /// Alerts, newest first.
    async fn alerts(&self, query: AlertQuery) -> Result<Vec<AlertRow>, StoreError>;

    /// Notes something on alerts. What is over already stays as it is.
    async fn note_alerts(&self, alerts: Vec<AlertId>, note: AlertNote) -> Result<(), StoreError>;

    /// The managers that serve or served this database.
    async fn managers(&self) -> Result<Vec<ManagerRow>, StoreError>;

    /// Lets a manager start nothing new and give away what others may have, or ends that.
    async fn drain(&self, name: &str, is_draining: bool) -> Result<Released, StoreError>;

    /// How many apps may run at once.
    async fn limits(&self) -> Result<Limits, StoreError>;

    /// Registers apps or replaces their definitions, all or none.
    async fn register(&self, apps: Vec<Registration>) -> Result<(), StoreError>;

    /// Deletes apps, all or none. Their history stays.
    ///
    /// # Errors
    /// [`StoreError::Refused`] while one of them runs.
    async fn remove(&self, apps: Vec<AppId>) -> Result<(), StoreError>;

    /// Gives an app another path, and with it another key. Its state and everything that is on record of it
    /// go along: runs, commands, skipped times, alerts, kept ends of logs.
    ///
    /// # Errors
    /// [`StoreError::Refused`] while it runs, where there is no such app, and where the new path is taken.
    async fn rename(&self, from: AppPath, to: AppPath) -> Result<(), StoreError>;

    /// Sets or lifts the limit of a group, or of a parent in it.
    async fn set_limit(
        &self,
        group: Part,
        parent: Option<Part>,
        limit: Option<u32>,
    ) -> Result<(), StoreError>;

    /// The database's own clock: ages are told by it.
    async fn time(&self) -> Result<Timestamp, StoreError>;

    /// What this user may do here. Who shows no button for the rest is not told of a denial.
    async fn rights(&self) -> Result<Rights, StoreError>;

    /// What the database is, and what it has left.
    async fn facts(&self) -> Result<DatabaseFacts, StoreError>;

    /// Asks the manager of an app, which may be on another host, to keep the end of its log in the
    /// database from now on, for [`LOG_WISH`].
    async fn want_log(&self, app: AppId) -> Result<(), StoreError>;

    /// The end of the log of a run, or of the latest run of the app of which it is kept.
    async fn kept_log(&self, app: AppId, run: Option<RunId>) -> Result<Option<KeptLog>, StoreError>;
}

/// What a manager needs besides.
#[async_trait]
pub trait Store: OperatorStore + Backlogs + Deliveries + Pipeline + Requests {
    /// Everything that a manager needs to begin.
    async fn snapshot(&self) -> Result<Snapshot, StoreError>;

    /// Writes changes, all or none. To write the same changes again has no further effect.
    async fn commit(&self, changes: Vec<Change>) -> Result<Committed, StoreError>;

    /// What others may have changed in the apps table after `revision`, as far as it concerns this
    /// manager. Answers quickly, and with nothing, if only this store object wrote since the last
    /// call; `thorough` looks anyway.
    async fn foreign_changes(&self, revision: Revision, thorough: bool) -> Result<Foreign, StoreError>;

    /// Commands without a verdict that are not among those `handed` out before, oldest first. One with a smaller
    /// number may become visible after one with a greater.
    async fn pending_commands(&self, handed: Vec<CommandId>) -> Result<Vec<Command>, StoreError>;

    /// What others wrote: new commands, changes after `revision`, and in a `thorough` look the limits.
    /// Asked each second, so a server answers in one transaction. An embedded database has no readers
    /// on other hosts, who want logs.
    async fn news(
        &self,
        revision: Revision,
        handed: Vec<CommandId>,
        thorough: bool,
    ) -> Result<News, StoreError> {
        // Read first: a command may be for an app that was registered just before it.
        let mut news = if thorough {
            News::of_all_pending(self.pending_commands(Vec::new()).await?, &handed)
        } else {
            News { commands: self.pending_commands(handed).await?, ..News::default() }
        };
        news.foreign = self.foreign_changes(revision, thorough || !news.commands.is_empty()).await?;
        news.limits = if thorough { Some(self.limits().await?) } else { None };
        Ok(news)
    }

    /// Makes this manager serve the database: an embedded one by itself, a server's beside others.
    /// From now on this object reads and writes for it, and only what concerns its apps.
    ///
    /// # Errors
    /// [`StoreError::Served`] while another one does (on a server: one of the same name).
    async fn take_seat(&self, manager: ManagerRow) -> Result<(), StoreError>;

    /// Says that the manager lives, and renews its lease.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when others have taken it for lost.
    async fn renew(&self, load: Load) -> Result<Sight, StoreError>;

    /// Gives up the seat in order. Apps that others may have by themselves and that do not run
    /// belong to nobody from now on.
    async fn leave(&self) -> Result<(), StoreError>;

    /// Deletes a small batch of old rows of history, those after a place: that of the batch before, or an empty text.
    /// Nothing that is open goes, nor the last run of an app. Where several managers share a database one of them is at it
    /// at a time, and for the others there is nothing to do.
    async fn prune(
        &self,
        pruning: Pruning,
        retention: Retention,
        after: String,
    ) -> Result<PrunedBatch, StoreError>;

    /// How many rows are too old or too many.
    async fn prunable(&self, retention: Retention) -> Result<Prunable, StoreError>;

    /// Whether the manager before did not end in order. A server looks after its files itself.
    fn was_left_in_disorder(&self) -> bool {
        false
    }

    /// Looks through the whole database for damage, while others go on; may take minutes.
    async fn inspect(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    /// The apps of this manager at whose log somebody looks.
    async fn wanted_logs(&self, manager: String) -> Result<Vec<AppId>, StoreError>;

    /// Keeps the end of a log, and forgets those that are too many or too old. When it was written
    /// is for the database to say.
    async fn keep_log(&self, log: KeptLog) -> Result<(), StoreError>;
}

/// What became of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Runs that were not opened, and why. Everything else was written but what concerns `held` apps.
    pub refused: Vec<(RunId, Refusal)>,
    /// Apps, and what else, of which another program holds a row: nothing was written about them.
    pub held: Vec<Held>,
    /// Alerts whose rows were added or closed. An episode that is on record already, as in a commit that is repeated,
    /// is none of them.
    pub alerts: Vec<AlertEvent>,
    /// Whether calls of apps' `ping_url` are to leave.
    pub pings: bool,
}

/// That of which another program holds a row in a transaction of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What it is.
    pub subject: Subject,
    /// Which row, and who holds it.
    pub why: String,
}

/// When an app is to run next, by the word of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextRun {
    /// At this time.
    At(Timestamp),
    /// When its schedule says so: a time that was asked for is withdrawn.
    BySchedule,
}

impl NextRun {
    /// The time, if there is one.
    #[must_use]
    pub fn time(self) -> Option<Timestamp> {
        match self {
            Self::At(time) => Some(time),
            Self::BySchedule => None,
        }
    }
}

/// An app that is to be registered, or a new definition of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// The definition.
    pub app: App,
    /// When it is to run next; `None`: as its schedule says.
    pub next_run: Option<NextRun>,
    /// Whether the app may exist already.
    pub existing: Existing,
}

/// Whether an app may be registered already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It must not.
    Refuse,
    /// Its definition is replaced.
    Replace,
}

/// Reads the whole apps table.
pub async fn read_fleet(store: &dyn OperatorStore) -> Result<(Vec<Registered>, Revision), StoreError> {
    let mut rows = Vec::new();
    let mut revision = Revision::default();
    loop {
        let delta = store.changes_since(revision).await?;
        rows.extend(delta.rows);
        revision = delta.revision;
        if !delta.more {
            return Ok((rows, revision));
        }
    }
}

/// In SQL, for a row of `alerts`: the path of its app, the key where the row of the app was deleted, or what
/// [`AlertSubject::FLEET`](crate::model::AlertSubject::FLEET) says.
const ALERT_APP: &str = "coalesce((SELECT app_group || '/' || app_parent || '/' || app_name FROM apps \
     WHERE app = app_id), app_id, 'fleet') AS path";

/// In SQL, for a row of `alerts`: who looks after its app.
const ALERT_OWNER: &str = "(SELECT owner FROM apps WHERE app = app_id) AS owner";

/// The message for an app that exists already.
fn exists(path: &AppPath) -> StoreError {
    StoreError::Refused(format!("{path} is registered already; change it with dcm app set"))
}

/// The message for an app that must not run.
fn running(path: impl std::fmt::Display) -> StoreError {
    StoreError::Refused(format!("a run of {path} is under way; stop it first"))
}

fn no_such_app(path: &AppPath) -> StoreError {
    StoreError::Refused(format!("no such app: {path}"))
}

fn no_such_manager(name: &str) -> StoreError {
    StoreError::Refused(format!("no such manager: {name}; dcm managers lists them"))
}
