//! Rows about documents as plain data, from both databases.

use super::row_reader::RowReader;
use crate::model::{
    DeliveryId, DocumentPath, DocumentRoute, DueDocument, EventId, FileEvent, KnownVersion, PipelineTask,
    RootState, RouteId, StageCount, Target, TaskId, TaskStatus, Timestamp, WatchRoot,
};

/// A row of the `watch_roots` table. What is no number of seconds counts as the default.
pub(super) fn watch_root<R: RowReader>(row: &R) -> Result<WatchRoot, R::Error> {
    let is_time = |seconds: &f64| (0.0..=WatchRoot::STABLE_SECONDS_MAX).contains(seconds);
    Ok(WatchRoot {
        name: row.sure_owned("name")?,
        path: row.sure_owned("path")?,
        pattern: row.sure_owned("pattern")?,
        recursive: row.is_set("recursive")?,
        app_group: row.sure_owned("app_group")?,
        topic: row.sure_owned("topic")?,
        stable_seconds: row.number("stable_seconds")?.filter(is_time).unwrap_or(WatchRoot::STABLE_SECONDS),
        enabled: row.is_set("enabled")?,
        manager: row.owned("manager")?,
        state: RootState {
            scanned: row.time("scanned")?,
            files: row.count("files")?,
            fault: row.owned("fault")?,
        },
    })
}

/// A row of the routes table.
pub(super) fn route<R: RowReader>(row: &R) -> Result<DocumentRoute, R::Error> {
    Ok(DocumentRoute {
        id: RouteId(row.whole("id")?.unwrap_or(0)),
        pattern: row.sure_owned("pattern")?,
        target: Target { queue: row.sure_owned("queue")?, actor: row.sure_owned("actor")? },
        priority: row.whole("priority")?.unwrap_or(0),
    })
}

fn path<R: RowReader>(row: &R) -> Result<DocumentPath, R::Error> {
    let bytes = row.bytes("path_bytes")?;
    Ok(DocumentPath::of_row(row.sure_owned("path")?, Some(bytes).filter(|bytes| !bytes.is_empty())))
}

/// A row of the events table.
pub(super) fn event<R: RowReader>(row: &R) -> Result<FileEvent, R::Error> {
    Ok(FileEvent {
        id: EventId(row.whole("id")?.unwrap_or(0)),
        root: row.sure_owned("root")?,
        path: path(row)?,
        size: row.count("size")?,
        sha3: row.owned("sha3")?,
        modified: row.time("modified")?,
        seen: row.sure_time("seen")?,
        topic: row.sure_owned("topic")?,
        app_group: row.sure_owned("app_group")?,
        gone: row.time("gone")?,
    })
}

/// The same, as a manager that begins has to know it.
pub(super) fn known_version<R: RowReader>(row: &R) -> Result<KnownVersion, R::Error> {
    Ok(KnownVersion {
        event: EventId(row.whole("id")?.unwrap_or(0)),
        path: path(row)?,
        stamp: row.owned("stamp")?,
    })
}

/// A row of the `pipeline_task` table.
pub(super) fn task<R: RowReader>(row: &R) -> Result<PipelineTask, R::Error> {
    Ok(PipelineTask {
        id: TaskId(row.whole("id")?.unwrap_or(0)),
        event: EventId(row.whole("event_id")?.unwrap_or(0)),
        parent: row.whole("parent")?.map(TaskId),
        document: row.sure_owned("document")?,
        topic: row.sure_owned("topic")?,
        stage: row.owned("stage")?,
        actor: row.owned("actor")?,
        queue: row.owned("queue")?,
        message_id: row.sure_owned("message_id")?,
        status: row.whole("status")?.and_then(|code| TaskStatus::from_code(code).ok()),
        attempts: row.count("attempts")?.unwrap_or(0),
        created: row.sure_time("created")?,
        sent: row.time("sent")?,
        started: row.time("started")?,
        finished: row.time("finished")?,
        error: row.owned("error")?,
        manager: row.owned("manager")?,
    })
}

/// A document that was taken, with `delivery`, `id`, its own path as `document`, and that of its event.
pub(super) fn due<R: RowReader>(row: &R) -> Result<DueDocument, R::Error> {
    let of_event = path(row)?;
    let document = row.sure_owned("document")?;
    Ok(DueDocument {
        delivery: DeliveryId(row.whole("delivery")?.unwrap_or(0)),
        task: TaskId(row.whole("id")?.unwrap_or(0)),
        message_id: row.sure_owned("message_id")?,
        topic: row.sure_owned("topic")?,
        target: match (row.owned("queue")?, row.owned("actor")?) {
            (Some(queue), Some(actor)) => Some(Target { queue, actor }),
            _ => None,
        },
        path: if of_event.text() == document { of_event } else { DocumentPath::of_row(document, None) },
        sha3: row.owned("sha3")?,
        app_group: row.sure_owned("app_group")?,
        created: row.sure_time("due_since")?,
        tries: row.small("tries")?.unwrap_or(0),
    })
}

/// Rows of open tasks: `stage`, `status`, `tasks`, `oldest`, `retries`.
pub(super) fn count_open<R: RowReader>(row: &R, stages: &mut Vec<StageCount>) -> Result<(), R::Error> {
    let stage = stage_of(stages, row.owned("stage")?);
    let tasks = row.count("tasks")?.unwrap_or(0);
    stage.retries += row.count("retries")?.unwrap_or(0);
    let status = row.whole("status")?.and_then(|code| TaskStatus::from_code(code).ok());
    match status {
        Some(TaskStatus::Pending | TaskStatus::Sent) => {
            stage.waiting += tasks;
            let oldest = row.time("oldest")?;
            stage.oldest = match (stage.oldest, oldest) {
                (Some(known), Some(oldest)) => Some(known.min(oldest)),
                (known, oldest) => known.or(oldest),
            };
        }
        Some(TaskStatus::Running) => stage.working += tasks,
        Some(TaskStatus::Failed) => stage.failed += tasks,
        Some(TaskStatus::Dead) => stage.dead += tasks,
        Some(TaskStatus::Done) | None => {}
    }
    Ok(())
}

/// Rows of what was done within the last hour: `stage`, `tasks`, `seconds`.
pub(super) fn count_done<R: RowReader>(row: &R, stages: &mut Vec<StageCount>) -> Result<(), R::Error> {
    let stage = stage_of(stages, row.owned("stage")?);
    stage.done = row.count("tasks")?.unwrap_or(0);
    stage.mean_seconds = row.number("seconds")?.map(|seconds| seconds.max(0.0));
    Ok(())
}

/// Rows of what was done by the minute: `stage`, `minute`, `tasks`.
pub(super) fn count_minute<R: RowReader>(row: &R, stages: &mut Vec<StageCount>) -> Result<(), R::Error> {
    let Some(minute) = row.time("minute")? else { return Ok(()) };
    let tasks = row.count("tasks")?.unwrap_or(0);
    stage_of(stages, row.owned("stage")?).minutes.push((minute, tasks));
    Ok(())
}

/// The count of a stage, which is kept in the order of the names.
pub(super) fn stage_of(stages: &mut Vec<StageCount>, stage: Option<String>) -> &mut StageCount {
    let at = match stages.binary_search_by(|known| known.stage.cmp(&stage)) {
        Ok(at) => at,
        Err(at) => {
            stages.insert(at, StageCount::of(stage));
            at
        }
    };
    &mut stages[at]
}

/// The beginning of the minute of a moment.
pub(super) fn minute_of(moment: Timestamp) -> Timestamp {
    Timestamp::from_timestamp_millis(moment.timestamp_millis().div_euclid(60_000) * 60_000).unwrap_or(moment)
}
