//! `dcm logs`: the output of an app, from the files of this host or else from the database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::LogsArgs;
use super::error::Error;
use super::log_filter::LineFilter;
use super::log_printer::Printer;
use super::session::{Fleet, Session, block_on};
use super::{format, logs_afar, logs_merged, output};
use crate::model::{AppId, AppPath, Run, RunId};
use crate::process::{LogTail, clock, join_lines, logs_of};
use crate::store::{HistoryQuery, OpenMode};

/// How long a follower sleeps before it looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why output may be missing.
pub(super) const MAY_BE_DELETED: &str =
    "its log was deleted (log_keep of the app; [logs] keep_days, max_total and min_free)";

pub(super) fn logs(session: &Session, args: &LogsArgs) -> Result<(), Error> {
    let filter = LineFilter::of(args);
    let one = if let [selector] = args.selectors.as_slice() { selector.exact() } else { None };
    match one.filter(|_| filter.is_open() && !args.path) {
        Some(path) => logs_of_one(session, &Asked::of(args, &filter, &path)),
        None => logs_merged::logs(session, args, &filter),
    }
}

/// The log of one app that is asked for.
pub(super) struct Asked<'a> {
    pub(super) args: &'a LogsArgs,
    pub(super) filter: &'a LineFilter<'a>,
    pub(super) path: &'a AppPath,
    /// A run instead of the latest.
    pub(super) run: Option<RunId>,
    /// The last so many lines.
    pub(super) lines: usize,
    pub(super) follow: bool,
}

impl<'a> Asked<'a> {
    pub(super) fn of(args: &'a LogsArgs, filter: &'a LineFilter<'a>, path: &'a AppPath) -> Self {
        let lines = args.lines_of(filter).unwrap_or(usize::MAX);
        Self { args, filter, path, run: args.run, lines, follow: args.follow }
    }
}

fn logs_of_one(session: &Session, args: &Asked<'_>) -> Result<(), Error> {
    let app = AppId::of(args.path);
    let here = logs_of(&session.settings.state, app);
    let known = match block_on(Known::ask(session, args)) {
        Ok(known) => known,
        // The files of this host tell something also while the database is away.
        Err(error) if here.is_empty() => return Err(error),
        Err(error) => {
            output::message(format_args!("{error}; what is on this host:"));
            Known::default()
        }
    };
    let is_here = |run: RunId| here.iter().any(|(found, _)| *found == run);
    if known.keeps_logs && known.wanted.is_some_and(|run| !is_here(run)) {
        let store = session.store(OpenMode::Existing)?;
        return block_on(logs_afar::logs(session, args, app, store.as_ref()));
    }
    match found(session, args, app, known.wanted)? {
        Some((run, path)) => {
            known.announce(session, args, run);
            show(session, args, app, run, &path)
        }
        None => {
            known.say_nothing_is_written(args, here.first().map(|(run, _)| *run));
            if args.follow { wait(session, args, app, known.wanted) } else { Ok(()) }
        }
    }
}

/// What the database knows of the run whose output is asked for.
#[derive(Default)]
struct Known {
    /// The run that is asked for, or the latest; `None` when the app never ran or nothing is known.
    wanted: Option<RunId>,
    row: Option<Run>,
    /// Whether the database keeps the ends of logs of other hosts.
    keeps_logs: bool,
}

impl Known {
    async fn ask(session: &Session, args: &Asked<'_>) -> Result<Self, Error> {
        let store = session.store(OpenMode::Existing)?;
        let row = Fleet::find(store.as_ref(), args.path).await?;
        let wanted = args.run.or(row.state.run);
        let query = HistoryQuery { apps: vec![row.app.id], run: wanted, limit: 1, ..HistoryQuery::default() };
        let row = store.history(query).await?.into_iter().find(|run| Some(run.run) == wanted);
        Ok(Self { wanted, row, keeps_logs: store.capabilities().keeps_logs })
    }

    /// Says which run is shown.
    fn announce(&self, session: &Session, args: &Asked<'_>, run: RunId) {
        if !session.json {
            let state = self.row.as_ref().filter(|row| row.run == run).map(state_of);
            output::message(format_args!("run {run} of {}{}", args.path, state.unwrap_or_default()));
        }
    }

    /// Says that there is nothing to be shown. The output of another run is named, never shown instead.
    fn say_nothing_is_written(&self, args: &Asked<'_>, newest: Option<RunId>) {
        let path = args.path;
        match (self.wanted, newest) {
            (None, _) => output::message(format_args!("no run of {path} has left any output on this host")),
            (Some(run), newest) => {
                let state = self.row.as_ref().map(state_of).unwrap_or_default();
                let verb = match &self.row {
                    // The oldest logs go first.
                    Some(Run { end: Some(_), .. }) if newest.is_none() => {
                        &*format!("wrote nothing, or {MAY_BE_DELETED}")
                    }
                    Some(Run { end: Some(_), .. }) => "wrote nothing",
                    Some(Run { end: None, .. }) | None => "has written nothing yet",
                };
                let before = newest
                    .map(|run| format!("; the last run with output here: --run {run}"))
                    .unwrap_or_default();
                output::message(format_args!("run {run} of {path} {verb}{state}{before}"));
            }
        }
    }
}

/// What became of a run so far.
fn state_of(run: &Run) -> String {
    let now = clock::wall();
    let began = format::time(Some(run.start), now);
    match (&run.outcome, run.end) {
        (Some(outcome), Some(end)) => {
            let exit = run.exit_code.map(|code| format!(", exit {code}")).unwrap_or_default();
            let took = format::duration(end - run.start);
            format!(", began {began}, took {took}: {}{exit}", outcome.word().replace('_', " "))
        }
        (_, _) => format!(", began {began}: running"),
    }
}

/// A moment between two looks at files that others write.
fn pause() {
    std::thread::park_timeout(LOOK_EVERY);
}

/// The log of a run, or of the newest.
fn found(
    session: &Session,
    args: &Asked<'_>,
    app: AppId,
    run: Option<RunId>,
) -> Result<Option<(RunId, PathBuf)>, Error> {
    let mut logs = logs_of(&session.settings.state, app).into_iter();
    let found = match run {
        None => logs.next(),
        Some(run) => logs.find(|(other, _)| *other == run),
    };
    match (found, args.run) {
        (None, Some(run)) => Err(Error::failed(format!(
            "there is no output of run {run} of {} on this host: it wrote nothing, or {MAY_BE_DELETED}",
            args.path
        ))),
        (found, _) => Ok(found),
    }
}

/// Waits for the first output of a run that has written nothing, or of one after it.
fn wait(session: &Session, args: &Asked<'_>, app: AppId, run: Option<RunId>) -> Result<(), Error> {
    let before = found(session, args, app, None)?.map(|(run, _)| run);
    loop {
        let awaited = match run {
            Some(_) => found(session, args, app, run)?,
            None => None,
        };
        let newer = found(session, args, app, None)?.filter(|(newest, _)| Some(*newest) != before);
        if let Some((run, path)) = awaited.or(newer) {
            Known::default().announce(session, args, run);
            return show(session, args, app, run, &path);
        }
        pause();
    }
}

fn show(session: &Session, args: &Asked<'_>, app: AppId, run: RunId, path: &Path) -> Result<(), Error> {
    let (mut tail, mut records) = LogTail::open(path, args.lines)?;
    let mut printer = Printer::new(session, args.args, args.path, run);
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
        let newest = if args.run.is_none() { found(session, args, app, None)? } else { None };
        match newest.filter(|(newer, _)| *newer != printer.run) {
            Some((newer, path)) => {
                printer.finish();
                Known::default().announce(session, args, newer);
                printer.run = newer;
                tail = LogTail::from_start(&path);
            }
            None => pause(),
        }
    }
}
