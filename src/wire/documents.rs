//! What documents leave as: watched directories, routes, versions of files, stages.

use super::{Time, row};
use crate::model::{Target, TaskStatus};

row! {
/// A watched directory.
pub struct WatchRoot<'a> {
    name: &'a str,
    path: &'a str,
    pattern: &'a str,
    recursive: bool,
    app_group: &'a str,
    topic: &'a str,
    stable_seconds: f64,
    enabled: bool,
    manager: Option<&'a str>,
    scanned: Option<Time>,
    files: Option<u64>,
    fault: Option<&'a str>,
}
}

impl<'a> WatchRoot<'a> {
    /// That of a row.
    #[must_use]
    pub fn of(row: &'a crate::model::WatchRoot) -> Self {
        Self {
            name: &row.name,
            path: &row.path,
            pattern: &row.pattern,
            recursive: row.recursive,
            app_group: &row.app_group,
            topic: &row.topic,
            stable_seconds: row.stable_seconds,
            enabled: row.enabled,
            manager: row.manager.as_deref(),
            scanned: row.state.scanned.map(Time),
            files: row.state.files,
            fault: row.state.fault.as_deref(),
        }
    }
}

row! {
/// Where the documents of some topics go.
pub struct DocumentRoute<'a> {
    id: i64,
    pattern: &'a str,
    queue: &'a str,
    actor: &'a str,
    priority: i64,
}
}

impl<'a> DocumentRoute<'a> {
    /// That of a row.
    #[must_use]
    pub fn of(row: &'a crate::model::DocumentRoute) -> Self {
        let Target { queue, actor } = &row.target;
        Self { id: row.id.0, pattern: &row.pattern, queue, actor, priority: row.priority }
    }
}

row! {
/// A version of a file.
pub struct FileEvent<'a> {
    id: i64,
    root: &'a str,
    path: &'a str,
    size: Option<u64>,
    sha3: Option<&'a str>,
    modified: Option<Time>,
    seen: Time,
    topic: &'a str,
    app_group: &'a str,
    gone: Option<Time>,
}
}

impl<'a> FileEvent<'a> {
    /// That of a row.
    #[must_use]
    pub fn of(row: &'a crate::model::FileEvent) -> Self {
        Self {
            id: row.id.0,
            root: &row.root,
            path: row.path.text(),
            size: row.size,
            sha3: row.sha3.as_deref(),
            modified: row.modified.map(Time),
            seen: Time(row.seen),
            topic: &row.topic,
            app_group: &row.app_group,
            gone: row.gone.map(Time),
        }
    }
}

row! {
/// A document in a stage. `state` is the word of its `status`; both are null for a status of a newer version.
pub struct PipelineTask<'a> {
    id: i64,
    event_id: i64,
    parent: Option<i64>,
    document: &'a str,
    topic: &'a str,
    stage: Option<&'a str>,
    actor: Option<&'a str>,
    queue: Option<&'a str>,
    message_id: &'a str,
    status: Option<i64>,
    state: Option<String>,
    attempts: u64,
    created: Time,
    sent: Option<Time>,
    started: Option<Time>,
    finished: Option<Time>,
    error: Option<&'a str>,
    manager: Option<&'a str>,
}
}

impl<'a> PipelineTask<'a> {
    /// That of a row.
    #[must_use]
    pub fn of(row: &'a crate::model::PipelineTask) -> Self {
        Self {
            id: row.id.0,
            event_id: row.event.0,
            parent: row.parent.map(|parent| parent.0),
            document: &row.document,
            topic: &row.topic,
            stage: row.stage.as_deref(),
            actor: row.actor.as_deref(),
            queue: row.queue.as_deref(),
            message_id: &row.message_id,
            status: row.status.map(TaskStatus::code),
            state: row.status.map(|status| status.word().to_lowercase()),
            attempts: row.attempts,
            created: Time(row.created),
            sent: row.sent.map(Time),
            started: row.started.map(Time),
            finished: row.finished.map(Time),
            error: row.error.as_deref(),
            manager: row.manager.as_deref(),
        }
    }
}

row! {
/// What is in a stage. Its name is null for what waits for a route. Rates are per second, of the last five minutes.
#[expect(clippy::struct_field_names, reason = "it is the name of the column")]
pub struct Stage<'a> {
    stage: Option<&'a str>,
    queue: Option<&'a str>,
    new: u64,
    working: u64,
    /// Of the last 24 hours.
    done: u64,
    failed: u64,
    dead: u64,
    retry: u64,
    /// When the row of the one that waits longest was written.
    oldest: Option<Time>,
    rate_in: f64,
    rate_out: f64,
    /// How long those done within the last hour took, on average.
    mean_seconds: Option<f64>,
    bottleneck: bool,
}
}

impl<'a> Stage<'a> {
    /// That of a stage.
    #[must_use]
    pub fn of(stage: &'a crate::model::Stage, is_bottleneck: bool) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a rate is no exact number")]
        let rate = |count: u64| count as f64 / crate::model::Stage::WINDOW.as_seconds_f64();
        Self {
            stage: stage.name(),
            queue: stage.queue.as_deref(),
            new: stage.count.waiting,
            working: stage.count.working,
            done: stage.done(),
            failed: stage.count.failed,
            dead: stage.count.dead,
            retry: stage.count.retries,
            oldest: stage.count.oldest.map(Time),
            rate_in: rate(stage.window.came),
            rate_out: rate(stage.window.done),
            mean_seconds: stage.count.mean_seconds,
            bottleneck: is_bottleneck,
        }
    }
}
