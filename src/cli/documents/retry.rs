//! `dcm documents retry`: sends documents again to the stage in which they are.

use serde_json::json;

use super::choose::Choice;
use super::list::none_for;
use super::word;
use crate::cli::args::RetryArgs;
use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::session::Session;
use crate::model::{PipelineTask, TaskId, TaskStatus};
use crate::store::{OperatorStore, TASKS_MAX, TaskQuery};
use crate::wire;

/// A person is asked before more documents than this are sent again.
const UNASKED_MAX: usize = 10;

/// What can be sent again by its number: what a worker is at, or has done, is left alone unless `--status` asks for it.
const RETRIED: [TaskStatus; 4] =
    [TaskStatus::Pending, TaskStatus::Sent, TaskStatus::Failed, TaskStatus::Dead];

pub(super) async fn retry(
    session: &Session,
    store: &dyn OperatorStore,
    args: &RetryArgs,
) -> Result<(), Error> {
    if args.which.is_empty() {
        return Err(Error::usage("which documents are meant?")
            .hint("dcm documents retry ID|SELECTOR..., or --status dead; all means all that are dead"));
    }
    let choice = Choice::of(store, &args.which, TASKS_MAX).await?;
    let mut meant: Vec<PipelineTask> = Vec::new();
    let mut left: Option<PipelineTask> = None;
    let mut failed = 0_usize;
    for (name, query) in choice.queries {
        let is_by_id = !query.ids.is_empty();
        let asked = query.ids.len();
        let found = store.pipeline_tasks(query).await?;
        if is_by_id && found.len() < asked
            || found.is_empty() && args.which.status.is_empty() && name != "all"
        {
            return Err(none_for(&name));
        }
        for task in found {
            let may = match task.status {
                Some(status) if !args.which.status.is_empty() => args.which.status.contains(&status),
                Some(status) if is_by_id => RETRIED.contains(&status),
                Some(status) => status == TaskStatus::Dead,
                None => false,
            };
            if may {
                meant.push(task);
            } else if is_by_id {
                left = Some(task);
            } else {
                failed += usize::from(task.status == Some(TaskStatus::Failed));
            }
        }
    }
    meant.sort_by_key(|task| task.id);
    meant.dedup_by_key(|task| task.id);
    let count = meant.len();
    let is_asked = count > UNASKED_MAX && !args.yes && output::is_interactive();
    if is_asked && !output::confirm(format!("send {count} documents again?")) {
        return Err(Error::failed("nothing was done"));
    }
    let ids: Vec<TaskId> = meant.iter().map(|task| task.id).collect();
    let sent = send(store, &ids).await?;
    show(session, store, &ids, sent).await?;
    if failed > 0 {
        let others = if failed == 1 { "1 other has" } else { &format!("{failed} others have") };
        output::message(format_args!(
            "{others} failed, to be tried again by the worker; --status failed sends such ones at once"
        ));
    }
    match left {
        None => Ok(()),
        Some(task) => {
            let status = word(task.status);
            Err(Error::failed(format!("{} is {status} and was left alone", task.id.0))
                .hint(format!("--status {} sends it again all the same", status.to_lowercase())))
        }
    }
}

async fn send(store: &dyn OperatorStore, ids: &[TaskId]) -> Result<u64, Error> {
    if ids.is_empty() {
        return Ok(0);
    }
    let query = TaskQuery { ids: ids.to_vec(), limit: TASKS_MAX, ..TaskQuery::default() };
    Ok(store.retry_documents(query).await?)
}

async fn show(session: &Session, store: &dyn OperatorStore, ids: &[TaskId], sent: u64) -> Result<(), Error> {
    if session.json {
        let rows = if ids.is_empty() {
            Vec::new()
        } else {
            let query = TaskQuery { ids: ids.to_vec(), limit: TASKS_MAX, ..TaskQuery::default() };
            store.pipeline_tasks(query).await?
        };
        let stages: Vec<_> = rows.iter().map(wire::PipelineTask::of).collect();
        output::json(&json!({ "retried": sent, "documents": stages }));
        return Ok(());
    }
    output::line(match sent {
        0 => "nothing was there to send again".to_owned(),
        1 => "1 document is sent again".to_owned(),
        sent => format!("{sent} documents are sent again"),
    });
    Ok(())
}
