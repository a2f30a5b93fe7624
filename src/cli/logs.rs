//! `dcm logs`: the output of an app, from the files of this host or else from the database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::LogsArgs;
use super::error::Error;
use super::log_printer::Printer;
use super::session::{Fleet, Session, block_on};
use super::{logs_afar, output};
use crate::config::Database;
use crate::model::{AppId, RunId};
use crate::process::{LogTail, join_lines, logs_of};
use crate::store::OpenMode;

/// How long a follower sleeps before it looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) fn logs(session: &Session, args: &LogsArgs) -> Result<(), Error> {
    let app = AppId::of(&args.path);
    if is_afar(session, args, app)? {
        let store = session.store(OpenMode::Existing)?;
        return block_on(logs_afar::logs(session, args, app, store.as_ref()));
    }
    loop {
        match newest(session, args, app)? {
            Some((run, path)) => return show(session, args, app, run, &path),
            None if args.follow => pause(),
            None => {
                output::message("no run of it has left any output on this host");
                return Ok(());
            }
        }
    }
}

/// Whether what is asked for was written on another host.
fn is_afar(session: &Session, args: &LogsArgs, app: AppId) -> Result<bool, Error> {
    let here = logs_of(&session.settings.state, app);
    let is_here = |run: RunId| here.iter().any(|(found, _)| *found == run);
    let is_shared = matches!(session.settings.database, Database::Postgres(_));
    if !here.is_empty() && (!is_shared || args.run.is_some_and(is_here)) {
        return Ok(false);
    }
    let found = session
        .store(OpenMode::Existing)
        .and_then(|store| block_on(async { Fleet::find(store.as_ref(), &args.path).await }));
    match found {
        Ok(row) => {
            let wanted = args.run.or(row.state.run);
            Ok(is_shared && wanted.is_some_and(|run| !is_here(run)))
        }
        // The files of this host tell something also while the database is away.
        Err(error) if here.is_empty() => Err(error),
        Err(error) => {
            output::message(format_args!("{error}; what is on this host:"));
            Ok(false)
        }
    }
}

/// A moment between two looks at files that others write.
fn pause() {
    std::thread::park_timeout(LOOK_EVERY);
}

fn newest(session: &Session, args: &LogsArgs, app: AppId) -> Result<Option<(RunId, PathBuf)>, Error> {
    let logs = logs_of(&session.settings.state, app);
    match args.run {
        None => Ok(logs.into_iter().next()),
        Some(run) => logs.into_iter().find(|(other, _)| *other == run).map(Some).ok_or_else(|| {
            Error::failed(format!("there is no output of run {run} of {} on this host", args.path))
        }),
    }
}

fn show(session: &Session, args: &LogsArgs, app: AppId, run: RunId, path: &Path) -> Result<(), Error> {
    let (mut tail, mut records) = LogTail::open(path, args.lines)?;
    let mut printer = Printer::new(session, args, run);
    if !args.follow {
        records = join_lines(records);
    }
    if !printer.print(&records) || !args.follow {
        printer.finish();
        return Ok(());
    }
    loop {
        let records = tail.more()?;
        if !printer.print(&records) {
            return Ok(());
        }
        if !records.is_empty() {
            continue;
        }
        // A new run goes on in a file of its own.
        let newest = if args.run.is_none() { newest(session, args, app)? } else { None };
        match newest.filter(|(newer, _)| *newer != printer.run) {
            Some((newer, path)) => {
                printer.finish();
                output::message(format_args!("run {newer}"));
                printer.run = newer;
                tail = LogTail::from_start(&path);
            }
            None => pause(),
        }
    }
}
