//! `dcm logs` of several apps, or of chosen lines: the logs of this host, over all the runs that are asked for, merged by time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::args::LogsArgs;
use super::error::{Error, Kind};
use super::log_filter::LineFilter;
use super::log_printer::{Printer, Said};
use super::logs::{Asked, MAY_BE_DELETED};
use super::session::{Fleet, Session, block_on};
use super::{logs_afar, output};
use crate::model::{AppId, AppPath, RunId, Selector, Timestamp};
use crate::process::{LineJoiner, LogRecord, LogTail, StateDir, logs_of, written_last};
use crate::store::OpenMode;

/// How long a follower sleeps before it looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The looks after which a follower looks for new runs: that takes a list of a folder for each app.
const LOOKS_FOR_RUNS: u32 = 5;

/// Apps whose logs are merged at once: each has files open, and some of its lines in memory.
const APPS_MAX: usize = 1000;

/// Apps that are followed at once: each costs a look, five times a second.
const FOLLOWED_MAX: usize = 100;

/// The most new lines of one app that are printed before the others have their turn.
const TURN: usize = 10_000;

pub(super) fn logs(session: &Session, args: &LogsArgs, filter: &LineFilter<'_>) -> Result<(), Error> {
    let apps = apps(session, args)?;
    if let [App { id, path, is_elsewhere: true, .. }] = apps.as_slice()
        && !args.path
    {
        let store = session.store(OpenMode::Existing)?;
        return block_on(logs_afar::logs(session, &Asked::of(args, filter, path), *id, store.as_ref()));
    }
    let most = if args.follow { FOLLOWED_MAX } else { APPS_MAX };
    if apps.len() > most {
        let text = format!("these are {} apps; {most} can be read at once", apps.len());
        return Err(Error::usage(text).hint("name fewer"));
    }
    if args.path {
        return show_paths(session, args, &apps);
    }
    let state = &session.settings.state;
    let mut sources: Vec<_> = apps.iter().map(|app| Source::open(state, args, filter, app)).collect();
    if let Some(run) = args.run
        && sources.iter().all(|source| source.runs.is_empty())
    {
        return Err(no_such_run(run));
    }
    let width = apps.iter().map(|app| app.path.to_string().len()).max().unwrap_or(0);
    let labels: Vec<_> = apps.iter().map(|app| app.path.to_string()).collect();
    let mut printer = Printer::merged(session, args, labels, (apps.len() > 1).then_some(width));
    let limit = args.lines_of(filter);
    let mut merged = Merged { sources: &mut sources, filter };
    let count = match limit {
        Some(limit) => {
            let mut last = VecDeque::new();
            merged.each(&mut |said| {
                last.push_back(said);
                if last.len() > limit {
                    last.pop_front();
                }
                true
            })?;
            printer.print_said(last.make_contiguous());
            last.len()
        }
        None => {
            let mut count = 0;
            merged.each(&mut |said| {
                count += 1;
                printer.print_said(&[said])
            })?;
            count
        }
    };
    if args.follow {
        return follow(session, args, &apps, sources, filter, &mut printer);
    }
    if count == 0 && !session.json {
        say_nothing_is_there(&sources, filter);
    }
    say_what_is_elsewhere(&apps);
    Ok(())
}

/// An app whose log is asked for.
struct App {
    id: AppId,
    path: AppPath,
    /// Its latest run, as its row says.
    latest: Option<RunId>,
    /// That run is on another host.
    is_elsewhere: bool,
}

fn apps(session: &Session, args: &LogsArgs) -> Result<Vec<App>, Error> {
    let state = &session.settings.state;
    match block_on(ask(session, args)) {
        Ok(apps) => Ok(apps),
        Err(error) => {
            // What is on this host can be read while the database is away, and of an app that was removed.
            let exact = args.selectors.iter().map(Selector::exact).collect::<Option<Vec<_>>>();
            let left: Vec<_> = exact
                .unwrap_or_default()
                .into_iter()
                .map(|path| App { id: AppId::of(&path), path, latest: None, is_elsewhere: false })
                .collect();
            if left.is_empty() || left.iter().any(|app| logs_of(state, app.id).is_empty()) {
                return Err(error);
            }
            output::message(format_args!("{error}; what is on this host:"));
            Ok(left)
        }
    }
}

async fn ask(session: &Session, args: &LogsArgs) -> Result<Vec<App>, Error> {
    let store = session.store(OpenMode::Existing)?;
    let rows = Fleet::meant(store.as_ref(), &args.selectors).await?;
    let keeps_logs = store.capabilities().keeps_logs;
    let state = &session.settings.state;
    let mut apps: Vec<_> = rows
        .into_iter()
        .map(|row| App {
            id: row.app.id,
            latest: row.state.run,
            is_elsewhere: keeps_logs
                && row
                    .state
                    .run
                    .is_some_and(|run| logs_of(state, row.app.id).iter().all(|(here, _)| *here != run)),
            path: row.app.path,
        })
        .collect();
    apps.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(apps)
}

fn no_such_run(run: RunId) -> Error {
    Error::failed(format!("there is no output of run {run} on this host: {MAY_BE_DELETED}"))
}

/// The log of one app: of a run, or of several, one after the other.
struct Source {
    /// Those that are still to be read, oldest first.
    runs: VecDeque<(RunId, PathBuf)>,
    /// The run that is read.
    run: Option<RunId>,
    /// The newest run that is known.
    newest: Option<RunId>,
    tail: Option<LogTail>,
    joiner: LineJoiner,
    lines: VecDeque<(RunId, LogRecord)>,
    /// That of the next line; one that has none stands beside the line before it.
    time: Timestamp,
    /// Of the first run no more than its last lines.
    last_lines: Option<usize>,
}

impl Source {
    fn open(state: &StateDir, args: &LogsArgs, filter: &LineFilter<'_>, app: &App) -> Self {
        let all = logs_of(state, app.id);
        let first = all.first().map(|(run, _)| *run);
        let has_time = filter.since.is_some() || filter.until.is_some();
        let mut runs: VecDeque<_> = match (args.run, has_time) {
            (Some(run), _) => all.into_iter().filter(|(found, _)| *found == run).collect(),
            (None, true) => all.into_iter().filter(|(_, path)| is_since(path, filter)).collect(),
            // The output of a run before the latest is not taken for it.
            (None, false) => match app.latest {
                Some(run) => all.into_iter().filter(|(found, _)| *found == run).collect(),
                None => all.into_iter().take(1).collect(),
            },
        };
        // What began since the database was asked is found by the follower.
        let newest = runs.front().map(|(run, _)| *run).or(first);
        runs.make_contiguous().reverse();
        Self {
            runs,
            run: None,
            newest,
            tail: None,
            joiner: LineJoiner::default(),
            lines: VecDeque::new(),
            time: Timestamp::UNIX_EPOCH,
            // Where all lines are asked for, those before need not be read.
            last_lines: args.lines_of(filter).filter(|_| filter.is_open()),
        }
    }

    /// The time of the next line; `None` when there is none, for now.
    fn next_time(&mut self, filter: &LineFilter<'_>) -> io::Result<Option<Timestamp>> {
        loop {
            if let Some((_, line)) = self.lines.front() {
                self.time = line.time.unwrap_or(self.time);
                return Ok(Some(self.time));
            }
            if !self.read(filter)? {
                return Ok(None);
            }
        }
    }

    /// Reads a piece; `false` when there is nothing more.
    fn read(&mut self, filter: &LineFilter<'_>) -> io::Result<bool> {
        if let (Some(tail), Some(run)) = (&mut self.tail, self.run) {
            let records = tail.more()?;
            if !records.is_empty() {
                let joined = records.into_iter().filter_map(|record| self.joiner.push(record));
                let kept = joined.filter(|line| filter.keeps(line));
                self.lines.extend(kept.map(|line| (run, line)));
                return Ok(true);
            }
        }
        let rest = self.finish_lines(filter);
        let Some((run, path)) = self.runs.pop_front() else { return Ok(rest) };
        self.run = Some(run);
        match self.last_lines.take() {
            Some(count) => {
                let (tail, records) = LogTail::open(&path, count)?;
                self.tail = Some(tail);
                let joined: Vec<_> =
                    records.into_iter().filter_map(|record| self.joiner.push(record)).collect();
                self.lines.extend(joined.into_iter().map(|line| (run, line)));
            }
            None => self.tail = Some(LogTail::from_start(&path)),
        }
        Ok(true)
    }

    /// What is there of lines without an end; whether there was any.
    fn finish_lines(&mut self, filter: &LineFilter<'_>) -> bool {
        let Some(run) = self.run else { return false };
        let before = self.lines.len();
        let rest = self.joiner.finish().into_iter().filter(|line| filter.keeps(line));
        self.lines.extend(rest.map(|line| (run, line)));
        self.lines.len() > before
    }

    /// Finds runs that began meanwhile.
    fn look_for_runs(&mut self, state: &StateDir, app: AppId) {
        let all = logs_of(state, app);
        let new: Vec<_> = all.into_iter().take_while(|(run, _)| Some(*run) != self.newest).collect();
        if let Some((run, _)) = new.first() {
            self.newest = Some(*run);
        }
        self.runs.extend(new.into_iter().rev());
    }
}

/// Whether a log was written to in the time that is asked for.
fn is_since(path: &std::path::Path, filter: &LineFilter<'_>) -> bool {
    filter.since.is_none_or(|since| written_last(path).is_none_or(|written| written >= since))
}

/// The lines of several logs by their times.
struct Merged<'a> {
    sources: &'a mut [Source],
    filter: &'a LineFilter<'a>,
}

impl Merged<'_> {
    /// Hands out each line, until no more are wanted.
    fn each(&mut self, take: &mut dyn FnMut(Said) -> bool) -> Result<(), Error> {
        let mut order = BinaryHeap::new();
        for (origin, source) in self.sources.iter_mut().enumerate() {
            order.extend(source.next_time(self.filter)?.map(|time| Reverse((time, origin))));
        }
        while let Some(Reverse((_, origin))) = order.pop() {
            let Some(source) = self.sources.get_mut(origin) else { break };
            let Some((run, line)) = source.lines.pop_front() else { continue };
            if !take(Said { origin, run, line }) {
                return Ok(());
            }
            order.extend(source.next_time(self.filter)?.map(|time| Reverse((time, origin))));
        }
        Ok(())
    }
}

/// Goes on with what is written, as long as there is a reader.
fn follow(
    session: &Session,
    args: &LogsArgs,
    apps: &[App],
    mut sources: Vec<Source>,
    filter: &LineFilter<'_>,
    printer: &mut Printer,
) -> Result<(), Error> {
    let mut looks = 0_u32;
    loop {
        looks = looks.wrapping_add(1);
        let mut said = Vec::new();
        for (origin, (source, app)) in sources.iter_mut().zip(apps).enumerate() {
            if args.run.is_none() && looks.is_multiple_of(LOOKS_FOR_RUNS) {
                source.look_for_runs(&session.settings.state, app.id);
            }
            let mut count = 0;
            while count < TURN && source.next_time(filter)?.is_some() {
                said.extend(source.lines.drain(..).map(|(run, line)| Said { origin, run, line }));
                count = said.len();
            }
        }
        let is_quiet = said.is_empty();
        said.sort_by_key(|said| said.line.time);
        if !printer.print_said(&said) {
            return Ok(());
        }
        if is_quiet {
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
}

fn show_paths(session: &Session, args: &LogsArgs, apps: &[App]) -> Result<(), Error> {
    let mut found = Vec::new();
    for app in apps {
        let logs = logs_of(&session.settings.state, app.id);
        let wanted = args.run.or(app.latest);
        let log = logs.into_iter().find(|(run, _)| wanted.is_none_or(|wanted| wanted == *run));
        found.extend(log.map(|(run, path)| (app, run, crate::process::log_files(&path))));
    }
    if found.is_empty() {
        let text = format!("there is no log on this host: nothing was written yet, or {MAY_BE_DELETED}");
        return Err(Error::new(Kind::Failed, text));
    }
    if session.json {
        output::json_rows(found.iter().map(|(app, run, files)| {
            serde_json::json!({"path": app.path.to_string(), "runtime": run.to_string(), "files": files})
        }));
    } else {
        output::lines(found.iter().flat_map(|(_, _, files)| files).map(|file| file.display()));
    }
    Ok(())
}

fn say_nothing_is_there(sources: &[Source], filter: &LineFilter<'_>) {
    if sources.iter().all(|source| source.run.is_none()) {
        output::message(format_args!("nothing was written on this host, or {MAY_BE_DELETED}"));
    } else if !filter.is_open() {
        output::message("no line matches");
    }
}

fn say_what_is_elsewhere(apps: &[App]) {
    let elsewhere: Vec<_> =
        apps.iter().filter(|app| app.is_elsewhere).map(|app| app.path.to_string()).collect();
    if let Some(first) = elsewhere.first() {
        output::message(format_args!(
            "the latest runs of {} of these apps are not on this host; dcm logs {first} shows the end of one",
            elsewhere.len()
        ));
    }
}
