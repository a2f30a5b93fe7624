//! An app: its definition and state, and in the longer form its policies.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{Row, Text, Time, row};
use crate::model::explain::State;
use crate::model::{Anomaly, AppRow, Concern, FatalFlag, Outcome, Setting, Value, Word, settings};

/// What stands for a value that is not shown.
const HIDDEN: &str = "***";

/// An app with its definition and state. It borrows all it can, since a fleet may have 10,000.
#[derive(Serialize)]
pub struct App<'a> {
    #[serde(flatten)]
    name: Name<'a>,
    #[serde(flatten)]
    definition: Settings<'a>,
    #[serde(flatten)]
    state: Current<'a>,
}

/// With the policies, which only `app list` and `app show` tell.
#[derive(Serialize)]
pub struct AppInFull<'a> {
    #[serde(flatten)]
    app: App<'a>,
    #[serde(flatten)]
    policies: Settings<'a>,
    #[serde(flatten)]
    launch: Settings<'a>,
    epoch: u64,
}

row! {
/// What an app is called.
#[expect(clippy::struct_field_names, reason = "they are the names of the columns")]
struct Name<'a> {
    app: Text<crate::model::AppId>,
    path: Text<Place<'a>>,
    app_group: &'a str,
    app_parent: &'a str,
    app_name: &'a str,
}
}

/// Some of the settings of an app, each under the name of its column.
struct Settings<'a> {
    app: &'a crate::model::App,
    which: &'static [Setting],
}

impl Serialize for Settings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_map(self.which.iter().map(|setting| (setting.column, Shown((setting.get)(self.app)))))
    }
}

/// The value of a setting. Variables may be secrets: their texts are not shown.
struct Shown<'a>(Value<'a>);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Value::Null | Value::Other => serializer.serialize_none(),
            Value::Flag(flag) => serializer.serialize_bool(*flag),
            Value::Whole(number) => serializer.serialize_i64(*number),
            Value::Number(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(list) => serializer.collect_seq(list.iter()),
            Value::Variables(variables) => serializer
                .collect_map(variables.iter().map(|(name, value)| (name, value.as_ref().map(|_| HIDDEN)))),
        }
    }
}

row! {
/// What an app is doing and what came of it.
struct Current<'a> {
    next_run: Option<Time>,
    last_run: Option<Time>,
    run_status: i64,
    status: &'static str,
    /// What the app is doing, by its row and the lease of its manager.
    state: &'static str,
    fault: Option<&'a str>,
    disable: bool,
    app_pids: Option<u32>,
    runtime: Option<Text<crate::model::RunId>>,
    task_size: Option<u64>,
    progress: Option<u8>,
    solved: u64,
    failed: u64,
    /// When its counters last moved in this run.
    progress_time: Option<Time>,
    eta: Option<Time>,
    /// Resident memory of all its processes, in bytes.
    memory: Option<u64>,
    /// In percent of one core.
    cpu: Option<f64>,
    memory_peak: Option<u64>,
    message: Option<&'a str>,
    failures: u32,
    /// Suspect runs since the last good one.
    suspects: u32,
    last_outcome: Option<Text<&'a Word<Outcome>>>,
    last_exit_code: Option<i64>,
    last_end: Option<Time>,
    fatal_flag: i64,
    /// What the flag 3 is about.
    fatal_cause: Option<Text<&'a Word<Anomaly>>>,
    fatal_msg: Option<&'a str>,
    fatal_time: Option<Time>,
    stopped_by: Option<&'a str>,
    waiting_for: Option<&'a str>,
    concern: Option<Text<&'a Word<Concern>>>,
    concern_since: Option<Time>,
    manager: Option<&'a str>,
    cmd_name: Option<i64>,
    cmd_flag: Option<i64>,
    cmd_by: Option<&'a str>,
    cmd_time: Option<Time>,
    cmd_exec: Option<Time>,
}
}

/// The path of an app, or what is written in its place.
struct Place<'a>(&'a AppRow);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.fault {
            Some(fault) => f.write_str(&fault.written_path()),
            None => self.0.app.path.fmt(f),
        }
    }
}

impl Row for App<'_> {
    fn columns() -> Vec<&'static str> {
        let definition = settings::DEFINITION.iter().map(|setting| setting.column);
        Name::columns().into_iter().chain(definition).chain(Current::columns()).collect()
    }
}

impl<'a> App<'a> {
    /// That of a row.
    #[must_use]
    pub fn of(row: &'a AppRow, doing: State) -> Self {
        Self {
            name: Name::of(row),
            definition: Settings { app: &row.app, which: settings::DEFINITION },
            state: Current::of(row, doing),
        }
    }
}

impl<'a> AppInFull<'a> {
    /// That of a row.
    #[must_use]
    pub fn of(row: &'a AppRow, doing: State) -> Self {
        Self {
            app: App::of(row, doing),
            policies: Settings { app: &row.app, which: settings::POLICIES },
            launch: Settings { app: &row.app, which: settings::LAUNCH },
            epoch: row.epoch,
        }
    }
}

impl<'a> Name<'a> {
    fn of(row: &'a AppRow) -> Self {
        let path = &row.app.path;
        let [app_group, app_parent, app_name] = match &row.fault {
            Some(fault) => fault.names.each_ref().map(String::as_str),
            None => [path.group.as_str(), path.parent.as_str(), path.name.as_str()],
        };
        Self { app: Text(row.app.id), path: Text(Place(row)), app_group, app_parent, app_name }
    }
}

impl<'a> Current<'a> {
    fn of(row: &'a AppRow, doing: State) -> Self {
        let (state, progress) = (&row.state, &row.progress);
        let usage = row.usage.as_deref().copied().unwrap_or_default();
        let unexpected = state.fatal.as_ref().filter(|fatal| fatal.flag == FatalFlag::UnexpectedBehavior);
        let (command, last_end) = (row.command.as_ref(), row.last_end.as_deref());
        Self {
            next_run: row.next_run.map(Time),
            last_run: state.last_run.map(Time),
            run_status: state.status.code(),
            status: state.status.word(),
            state: doing.word(),
            fault: row.fault.as_ref().map(|fault| fault.message.as_str()),
            disable: row.app.disabled,
            app_pids: state.pid,
            runtime: state.run.map(Text),
            task_size: progress.task_size,
            progress: progress.percent,
            solved: progress.solved,
            failed: progress.failed,
            progress_time: row.movement.as_ref().map(|movement| Time(movement.last)),
            eta: progress.eta.map(Time),
            memory: usage.memory,
            cpu: usage.cpu,
            memory_peak: usage.memory_peak,
            message: progress.message.as_deref(),
            failures: state.failures,
            suspects: state.suspects,
            last_outcome: last_end.map(|last| Text(&last.outcome)),
            last_exit_code: last_end.and_then(|last| last.exit_code),
            last_end: last_end.map(|last| Time(last.at)),
            fatal_flag: state.fatal.as_ref().map_or(0, |fatal| fatal.flag.code()),
            fatal_cause: unexpected.map(|fatal| Text(&fatal.cause)),
            fatal_msg: state.fatal.as_ref().map(|fatal| fatal.message.as_str()),
            fatal_time: state.fatal.as_ref().map(|fatal| Time(fatal.time)),
            stopped_by: state.stopped_by.as_deref(),
            waiting_for: state.waiting_for.as_deref(),
            concern: state.concern.as_ref().map(|conclusion| Text(&conclusion.concern)),
            concern_since: state.concern.as_ref().map(|conclusion| Time(conclusion.since)),
            manager: state.manager.as_deref(),
            cmd_name: command.map(|command| command.name.code()),
            cmd_flag: command.map(|command| command.flag.code()),
            cmd_by: command.and_then(|command| command.by.as_deref()),
            cmd_time: command.and_then(|command| command.time).map(Time),
            cmd_exec: command.and_then(|command| command.executed).map(Time),
        }
    }
}
