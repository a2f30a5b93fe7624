//! `dcm watch`, `dcm route`, `dcm documents`: documents for Dramatiq workers.

mod choose;
mod list;
mod retry;
mod route;
mod show;
mod stages;
mod watch;

use super::args::{DocumentsArgs, DocumentsCommand, RouteCommand, WatchCommand};
use super::error::Error;
use super::session::{Session, block_on};
use crate::model::{PipelineTask, TaskStatus, Timestamp};
use crate::store::OpenMode;

pub(super) fn watch(session: &Session, command: WatchCommand) -> Result<(), Error> {
    // A new fleet may begin with its directories.
    let mode = if let WatchCommand::Add(_) = command { OpenMode::Create } else { OpenMode::Existing };
    let store = session.store(mode)?;
    block_on(async {
        let store = store.as_ref();
        match command {
            WatchCommand::Add(args) => watch::add(session, store, args).await,
            WatchCommand::List => watch::list(session, store).await,
            WatchCommand::Remove(names) => watch::remove(session, store, &names.names).await,
            WatchCommand::Enable(names) => watch::enable(session, store, &names.names, true).await,
            WatchCommand::Disable(names) => watch::enable(session, store, &names.names, false).await,
        }
    })
}

pub(super) fn route(session: &Session, command: RouteCommand) -> Result<(), Error> {
    let mode = if let RouteCommand::Add(_) = command { OpenMode::Create } else { OpenMode::Existing };
    let store = session.store(mode)?;
    block_on(async {
        let store = store.as_ref();
        match command {
            RouteCommand::Add(args) => route::add(session, store, args).await,
            RouteCommand::List => route::list(session, store).await,
            RouteCommand::Remove { routes } => route::remove(session, store, &routes).await,
        }
    })
}

pub(super) fn documents(session: &Session, args: DocumentsArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    let DocumentsArgs { command, list: given } = args;
    block_on(async {
        let store = store.as_ref();
        match command.unwrap_or(DocumentsCommand::List(given)) {
            DocumentsCommand::List(args) => list::list(session, store, &args).await,
            DocumentsCommand::Stages => stages::stages(session, store).await,
            DocumentsCommand::Show { target } => show::show(session, store, &target).await,
            DocumentsCommand::Retry(args) => retry::retry(session, store, &args).await,
        }
    })
}

/// When the status of a document was last heard of.
fn changed(task: &PipelineTask) -> Timestamp {
    [task.finished, task.started, task.sent].into_iter().flatten().max().unwrap_or(task.created)
}

fn word(status: Option<TaskStatus>) -> &'static str {
    status.map_or("UNKNOWN", TaskStatus::word)
}

/// What waits for a route is in no stage yet.
fn stage_of(task: &PipelineTask) -> String {
    task.stage.clone().unwrap_or_else(|| "(no route)".to_owned())
}
