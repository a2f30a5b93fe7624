//! `dcm documents show`: the whole way of a document.

use std::path::Path;

use serde_json::json;

use super::list::none_for;
use super::{stage_of, word};
use crate::cli::args::task_id;
use crate::cli::error::Error;
use crate::cli::session::Session;
use crate::cli::{format, output};
use crate::model::{DocumentWay, EventId, PipelineTask, TaskStatus, Timestamp, format_timestamp};
use crate::store::{EventQuery, OperatorStore, TaskQuery, document_way};
use crate::wire;

/// Versions of files that are looked through for a path.
const VERSIONS_MAX: u32 = 1000;

/// The most paths that are named where one is asked for.
const NAMED_MAX: usize = 5;

pub(super) async fn show(session: &Session, store: &dyn OperatorStore, target: &str) -> Result<(), Error> {
    let event = match task_id(target) {
        Some(id) => {
            let query = TaskQuery { ids: vec![id], limit: 1, ..TaskQuery::default() };
            let found = store.pipeline_tasks(query).await?.pop();
            found.map(|task| task.event).ok_or_else(|| none_for(target))?
        }
        None => latest_at(store, target).await?,
    };
    let way = document_way(store, event).await?.ok_or_else(|| none_for(target))?;
    if session.json {
        output::json(&json!({
            "event": wire::FileEvent::of(&way.event),
            "version": way.version,
            "versions": way.versions,
            "stages": way.tasks.iter().map(wire::PipelineTask::of).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    print(&way, store.time().await?);
    Ok(())
}

/// The latest version at a path: that one, or the only one that holds the text.
async fn latest_at(store: &dyn OperatorStore, target: &str) -> Result<EventId, Error> {
    let absolute = std::path::absolute(Path::new(target)).ok();
    let absolute = absolute.and_then(|path| path.into_os_string().into_string().ok());
    if let Some(path) = &absolute {
        let query = EventQuery { path: Some(path.clone()), limit: VERSIONS_MAX, ..EventQuery::default() };
        let found = store.file_events(query).await?;
        if let Some(event) = found.iter().find(|event| event.path.text() == path.as_str()) {
            return Ok(event.id);
        }
    }
    let query = EventQuery { path: Some(target.to_owned()), limit: VERSIONS_MAX, ..EventQuery::default() };
    let found = store.file_events(query).await?;
    let mut paths: Vec<_> = found.iter().map(|event| event.path.text()).collect();
    paths.sort_unstable();
    paths.dedup();
    match (paths.as_slice(), found.first()) {
        ([_], Some(latest)) => Ok(latest.id),
        ([], _) | (_, None) => Err(none_for(target)),
        (paths, _) => {
            let more = if paths.len() > NAMED_MAX { ", ..." } else { "" };
            let named: Vec<_> = paths.iter().take(NAMED_MAX).copied().collect();
            let error = format!("{} documents have {target} in their path", paths.len());
            Err(Error::usage(error).hint(format!("name one of {}{more}", named.join(", "))))
        }
    }
}

fn print(way: &DocumentWay, now: Timestamp) {
    let time = |time: Timestamp| format!("{} ({})", format_timestamp(time), format::relative(time, now));
    let event = &way.event;
    let version = if way.versions > 1 {
        format!(", version {} of {}", way.version, way.versions)
    } else {
        String::new()
    };
    let facts = [
        ("document", Some(event.path.text().to_owned())),
        ("watched as", Some(format!("{} (group {}, topic {})", event.root, event.app_group, event.topic))),
        ("seen", Some(time(event.seen) + &version)),
        ("modified", event.modified.map(time)),
        ("size", event.size.map(|size| format!("{size} bytes"))),
        ("sha3", event.sha3.clone()),
        ("gone", event.gone.map(time)),
    ];
    output::lines(facts.into_iter().filter_map(|(name, fact)| fact.map(|fact| format!("{name:<11} {fact}"))));
    output::line("");
    let clock = |time: Option<Timestamp>| format::time(time, now);
    let cells = |task: &PipelineTask| {
        vec![
            task.id.0.to_string(),
            stage_of(task),
            word(task.status).to_owned(),
            task.attempts.to_string(),
            clock(Some(task.created)),
            clock(task.sent),
            clock(task.started),
            clock(task.finished),
            task.queue.clone().unwrap_or_default(),
            task.message_id.clone(),
        ]
    };
    let rows: Vec<_> = way.tasks.iter().map(cells).collect();
    let head =
        ["ID", "STAGE", "STATUS", "TRIES", "CREATED", "SENT", "STARTED", "FINISHED", "QUEUE", "MESSAGE"];
    output::table_of(&head, &rows, &["QUEUE", "SENT", "CREATED", "MESSAGE"], &[]);
    for task in &way.tasks {
        if let Some(error) = &task.error {
            output::line("");
            output::line(format_args!("error of {} ({}):", task.id.0, stage_of(task)));
            output::lines(error.lines().map(|line| format!("  {line}")));
        }
    }
    if let Some(next) = next(way) {
        output::line("");
        output::line(format_args!("next        {next}"));
    }
}

/// What can be done about it.
fn next(way: &DocumentWay) -> Option<String> {
    let last = way.tasks.iter().rev().find(|task| task.status != Some(TaskStatus::Done))?;
    match last.status? {
        TaskStatus::Dead => Some(format!("dcm documents retry {}", last.id.0)),
        TaskStatus::Failed => {
            Some(format!("its worker tries it again; at once: dcm documents retry {}", last.id.0))
        }
        TaskStatus::Pending if last.stage.is_none() => {
            Some(format!("dcm route add {} --queue QUEUE --actor ACTOR", last.topic))
        }
        TaskStatus::Pending | TaskStatus::Sent | TaskStatus::Running | TaskStatus::Done => None,
    }
}
