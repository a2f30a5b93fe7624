//! Documents for workers: what operators ask and set, and what a manager needs that watches directories and publishes.

use async_trait::async_trait;

use super::StoreError;
use crate::model::{
    DeliveryId, DocumentPath, DocumentRoute, DueDocument, Entered, EventId, FileEvent, KnownVersion,
    NewEvent, PipelineTask, Published, RootState, RouteId, StageCount, Target, TaskId, TaskStatus, Timestamp,
    WatchRoot,
};

/// The most documents that are taken, entered or settled in one transaction.
pub const DOCUMENTS_MAX: u32 = 1000;

/// The most tasks that a selection names or a screen shows.
pub const TASKS_MAX: u32 = 100_000;

/// Which versions of files are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// These; empty: all.
    pub ids: Vec<EventId>,
    /// Below this root only.
    pub root: Option<String>,
    /// Of a path that holds this text.
    pub path: Option<String>,
    /// Of this topic only.
    pub topic: Option<String>,
    /// Older than this one: the next page.
    pub before: Option<EventId>,
    /// At most so many.
    pub limit: u32,
}

/// Which documents in which stages are asked for, or are to be published again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskQuery {
    /// These; empty: all.
    pub ids: Vec<TaskId>,
    /// Of these versions of files: the way of each of them; empty: of all.
    pub events: Vec<EventId>,
    /// In one of these; empty: in any.
    pub statuses: Vec<TaskStatus>,
    /// Of this stage only.
    pub stage: Option<String>,
    /// Of this topic only.
    pub topic: Option<String>,
    /// Of a path that holds this text.
    pub path: Option<String>,
    /// Of a path that one of these matches as a whole, in which `*` is any characters and `?` is one; empty: of any.
    pub globs: Vec<String>,
    /// Of files below this root only.
    pub root: Option<String>,
    /// Of files of this group only.
    pub app_group: Option<String>,
    /// Ended at or before this moment.
    pub until: Option<Timestamp>,
    /// Older than this one: the next page.
    pub before: Option<TaskId>,
    /// At most so many.
    pub limit: u32,
}

/// What operators do with documents.
#[async_trait]
pub trait Documents: Send + Sync {
    /// The watched directories, by name.
    async fn watch_roots(&self) -> Result<Vec<WatchRoot>, StoreError>;

    /// Adds one. What its manager says of it is not written.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when there is one of this name.
    async fn add_watch_root(&self, root: WatchRoot) -> Result<(), StoreError>;

    /// Removes one. The documents that came from it stay.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when there is none of this name.
    async fn remove_watch_root(&self, name: &str) -> Result<(), StoreError>;

    /// Watches one again, or does not any more.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when there is none of this name.
    async fn enable_watch_root(&self, name: &str, is_enabled: bool) -> Result<(), StoreError>;

    /// The routes of topics, those that count first at the beginning.
    async fn document_routes(&self) -> Result<Vec<DocumentRoute>, StoreError>;

    /// Adds a route. What has found none before looks for one again.
    async fn add_document_route(
        &self,
        pattern: String,
        target: Target,
        priority: i64,
    ) -> Result<RouteId, StoreError>;

    /// Removes a route. What has gone its way stays.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when there is none of this number.
    async fn remove_document_route(&self, route: RouteId) -> Result<(), StoreError>;

    /// Versions of files, newest first.
    async fn file_events(&self, query: EventQuery) -> Result<Vec<FileEvent>, StoreError>;

    /// Documents in their stages, newest first.
    async fn pipeline_tasks(&self, query: TaskQuery) -> Result<Vec<PipelineTask>, StoreError>;

    /// What each stage has to do and has done, by name, what has no stage yet first. `minutes` holds the minutes that
    /// began at or after `since`: who has asked for a day once need only ask for the last minutes from then on.
    async fn stages(&self, since: Timestamp) -> Result<Vec<StageCount>, StoreError>;

    /// Publishes documents again: what was sent, failed or is dead, or even done, and what waits at once. The message
    /// keeps its id. How many; `limit` holds, at most [`TASKS_MAX`].
    async fn retry_documents(&self, query: TaskQuery) -> Result<u64, StoreError>;
}

/// What a manager needs besides, which watches directories and publishes documents.
#[async_trait]
pub trait Pipeline: Send + Sync {
    /// Takes a root that is no manager's for this one, where several may serve; whether it is this one's now. An
    /// embedded database has one manager, whose are all that name no other.
    async fn claim_watch_root(&self, name: String) -> Result<bool, StoreError>;

    /// Writes what is to be said of a root.
    async fn note_watch_root(&self, name: String, state: RootState) -> Result<(), StoreError>;

    /// The versions below a root that are still there, in the order of their numbers, after that one; at most
    /// [`DOCUMENTS_MAX`].
    async fn known_versions(&self, root: String, after: EventId) -> Result<Vec<KnownVersion>, StoreError>;

    /// Enters versions, each with the first stage of its document, in one transaction: those whose content is not that
    /// of the latest version at their path. Such a one is only noted to be there, with its stamp. To enter them again
    /// has no further effect. No path may come twice.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where the root is not watched by this manager any more: then nothing was entered.
    async fn enter_events(&self, root: String, events: Vec<NewEvent>) -> Result<Vec<Entered>, StoreError>;

    /// Notes that files are not there any more.
    async fn note_gone(&self, root: String, events: Vec<EventId>, at: Timestamp) -> Result<(), StoreError>;

    /// Takes documents that are due, those that wait longest first, at most [`DOCUMENTS_MAX`]. They are due again at
    /// `again`, should nothing be heard of them.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when others have taken this manager for lost.
    async fn take_documents(&self, now: Timestamp, again: Timestamp) -> Result<Vec<DueDocument>, StoreError>;

    /// When the first document is due.
    async fn next_document(&self) -> Result<Option<Timestamp>, StoreError>;

    /// What this manager had taken before it was ended is due at once.
    async fn release_documents(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Writes where documents go that had no route. One that has one by now keeps it: those that come back may be
    /// published as asked.
    async fn route_documents(&self, routed: Vec<(TaskId, Target)>) -> Result<Vec<TaskId>, StoreError>;

    /// Writes what became of tries, in one transaction. A worker may have been faster.
    async fn settle_documents(
        &self,
        published: Vec<(DeliveryId, TaskId, Published)>,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Marks documents DEAD whose messages the workers gave up, by the ids of the messages, with the error unless a worker
    /// has noted one; what is done stays so. Says which of the messages are known.
    async fn bury_documents(
        &self,
        messages: Vec<(String, String)>,
        at: Timestamp,
    ) -> Result<Vec<String>, StoreError>;
}

/// Where a query has no limit of its own.
pub(super) fn limited(limit: u32) -> i64 {
    i64::from(limit.min(TASKS_MAX))
}

/// The codes of statuses.
pub(super) fn codes(statuses: &[TaskStatus]) -> Vec<i64> {
    statuses.iter().map(|status| status.code()).collect()
}

/// Whether all of these are among what the index of open tasks holds.
pub(super) fn are_open(statuses: &[TaskStatus]) -> bool {
    !statuses.is_empty() && !statuses.contains(&TaskStatus::Done)
}

/// The text and the bytes of a path as columns.
pub(super) fn columns(path: &DocumentPath) -> (&str, Option<&[u8]>) {
    (path.text(), path.odd_bytes())
}

pub(super) fn no_such_root(name: &str) -> StoreError {
    StoreError::Refused(format!("no such watch root: {name}; dcm watch list names them"))
}

pub(super) fn no_such_route(route: RouteId) -> StoreError {
    StoreError::Refused(format!("no such route: {}; dcm route list names them", route.0))
}

pub(super) fn root_exists(name: &str) -> StoreError {
    StoreError::Refused(format!("there is a watch root {name} already; remove it first"))
}

pub(super) fn not_watched(name: &str) -> StoreError {
    StoreError::Refused(format!("the watch root {name} is not this manager's to watch any more"))
}
