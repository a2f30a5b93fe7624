//! `dcm documents list`

use std::collections::BTreeMap;

use super::choose::Choice;
use super::{changed, stage_of, word};
use crate::cli::args::DocumentListArgs;
use crate::cli::error::{Error, Kind};
use crate::cli::session::Session;
use crate::cli::{format, output};
use crate::model::{PipelineTask, TaskStatus, Timestamp};
use crate::store::OperatorStore;
use crate::wire;

pub(super) async fn list(
    session: &Session,
    store: &dyn OperatorStore,
    args: &DocumentListArgs,
) -> Result<(), Error> {
    let choice = Choice::of(store, &args.which, args.limit).await?;
    let mut found = BTreeMap::new();
    for (name, query) in choice.queries {
        let rows = store.pipeline_tasks(query).await?;
        // What is named has to be there; that nothing is in a state, a stage or of a topic is good to know.
        if rows.is_empty() && args.which.status.is_empty() && name != "all" {
            return Err(none_for(&name));
        }
        found.extend(rows.into_iter().map(|task| (task.id, task)));
    }
    let since = args.since.map(|since| since.0);
    let is_meant = |task: &PipelineTask| since.is_none_or(|since| changed(task) >= since);
    let tasks: Vec<_> = found.into_values().rev().filter(is_meant).take(args.limit as usize).collect();
    if session.json {
        output::json_rows(tasks.iter().map(wire::PipelineTask::of));
        return Ok(());
    }
    if tasks.is_empty() {
        output::message(if args.which.is_empty() {
            "no document has been seen yet; dcm watch list shows the watched directories"
        } else {
            "there is no such document"
        });
        return Ok(());
    }
    table(&tasks, store.time().await?);
    output::line(sums(&tasks));
    if tasks.len() == args.limit as usize {
        output::message(format_args!("these are the newest {}; -n shows more", args.limit));
    }
    Ok(())
}

pub(super) fn none_for(name: &str) -> Error {
    Error::new(Kind::NoSuchApp, format!("no such document: {name}"))
        .hint("dcm documents lists them, dcm watch list the watched directories")
}

fn table(tasks: &[PipelineTask], now: Timestamp) {
    let cells = |task: &PipelineTask| {
        vec![
            task.id.0.to_string(),
            word(task.status).to_owned(),
            stage_of(task),
            task.attempts.to_string(),
            format::relative(changed(task), now),
            task.topic.clone(),
            task.document.clone(),
            task.error.as_deref().map(last_line).unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = tasks.iter().map(cells).collect();
    let inks: Vec<_> = tasks
        .iter()
        .map(|task| match task.status {
            Some(TaskStatus::Dead) => output::Ink::Alarm,
            Some(TaskStatus::Failed) => output::Ink::Warning,
            Some(TaskStatus::Done) => output::Ink::Faint,
            Some(TaskStatus::Pending | TaskStatus::Sent | TaskStatus::Running) | None => output::Ink::Plain,
        })
        .collect();
    let head = ["ID", "STATUS", "STAGE", "TRIES", "CHANGED", "TOPIC", "DOCUMENT", "ERROR"];
    output::table_of(&head, &rows, &["TOPIC", "TRIES", "CHANGED"], &inks);
}

/// The end of a traceback says what it was.
fn last_line(error: &str) -> String {
    format::brief(error.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default())
}

/// `20 documents: 2 dead, 18 done`.
fn sums(tasks: &[PipelineTask]) -> String {
    let mut counts: BTreeMap<std::cmp::Reverse<i64>, (&str, usize)> = BTreeMap::new();
    for task in tasks {
        let code = task.status.map_or(i64::MAX, TaskStatus::code);
        counts.entry(std::cmp::Reverse(code)).or_insert((word(task.status), 0)).1 += 1;
    }
    let parts: Vec<_> =
        counts.values().map(|(word, count)| format!("{count} {}", word.to_lowercase())).collect();
    let noun = if tasks.len() == 1 { "document" } else { "documents" };
    format!("{} {noun}: {}", tasks.len(), parts.join(", "))
}
