//! The JSON forms of rows: the names of the columns, times in RFC 3339.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::model::explain::State;
use crate::model::{AppRow, CommandRow, Run, Timestamp, format_timestamp};

/// What stands for a value that is not shown.
const HIDDEN: &str = "***";

/// An app with its definition and state. It borrows all it can, since a fleet may have 10,000.
#[derive(Serialize)]
pub(super) struct Brief<'a> {
    app: Text<crate::model::AppId>,
    path: Text<Place<'a>>,
    app_group: &'a str,
    app_parent: &'a str,
    app_name: &'a str,
    command: Option<&'a [String]>,
    cwd: Option<&'a str>,
    /// An object as in the column, but its values may be secrets and are not shown. Null: not inherited.
    env: BTreeMap<&'a str, Option<&'static str>>,
    interval: Option<f64>,
    retry_interval: Option<f64>,
    cron_expression: Option<Text<&'a crate::model::Cron>>,
    time_zone: &'static str,
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
    eta: Option<Time>,
    message: Option<&'a str>,
    failures: u32,
    fatal_flag: i64,
    fatal_msg: Option<&'a str>,
    fatal_time: Option<Time>,
    stopped_by: Option<&'a str>,
    waiting_for: Option<&'a str>,
    manager: Option<&'a str>,
    cmd_name: Option<i64>,
    cmd_flag: Option<i64>,
    cmd_by: Option<&'a str>,
    cmd_time: Option<Time>,
    cmd_exec: Option<Time>,
}

/// With the policies, which only `app list` and `app show` tell.
#[derive(Serialize)]
pub(super) struct Full<'a> {
    #[serde(flatten)]
    brief: Brief<'a>,
    pass_database: bool,
    jitter: f64,
    catch_up: &'static str,
    catch_up_limit: u32,
    max_failures: u32,
    on_failures: &'static str,
    stop_grace: f64,
    max_runtime: Option<f64>,
    log_limit: u64,
    log_keep: u32,
    pool: Option<&'a str>,
    failover: &'static str,
    protected: bool,
    epoch: u64,
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

impl<'a> Brief<'a> {
    pub(super) fn of(row: &'a AppRow, doing: State) -> Self {
        let (app, state, progress) = (&row.app, &row.state, &row.progress);
        let (schedule, command) = (&app.schedule, row.command.as_ref());
        let path = &app.path;
        let [app_group, app_parent, app_name] = match &row.fault {
            Some(fault) => fault.names.each_ref().map(String::as_str),
            None => [path.group.as_str(), path.parent.as_str(), path.name.as_str()],
        };
        Self {
            app: Text(app.id),
            path: Text(Place(row)),
            app_group,
            app_parent,
            app_name,
            command: app.program.command.as_deref(),
            cwd: app.program.cwd.as_deref(),
            env: {
                let set = app.program.env.keys().map(|name| (name.as_str(), Some(HIDDEN)));
                set.chain(app.program.unset.iter().map(|name| (name.as_str(), None))).collect()
            },
            interval: schedule.interval.map(crate::model::Minutes::as_f64),
            retry_interval: schedule.retry_interval.map(crate::model::Minutes::as_f64),
            cron_expression: schedule.cron.as_ref().map(Text),
            time_zone: schedule.time_zone.name(),
            next_run: row.next_run.map(Time),
            last_run: state.last_run.map(Time),
            run_status: state.status.code(),
            status: state.status.word(),
            state: doing.word(),
            fault: row.fault.as_ref().map(|fault| fault.message.as_str()),
            disable: app.disabled,
            app_pids: state.pid,
            runtime: state.run.map(Text),
            task_size: progress.task_size,
            progress: progress.percent,
            solved: progress.solved,
            failed: progress.failed,
            eta: progress.eta.map(Time),
            message: progress.message.as_deref(),
            failures: state.failures,
            fatal_flag: state.fatal.as_ref().map_or(0, |fatal| fatal.flag.code()),
            fatal_msg: state.fatal.as_ref().map(|fatal| fatal.message.as_str()),
            fatal_time: state.fatal.as_ref().map(|fatal| Time(fatal.time)),
            stopped_by: state.stopped_by.as_deref(),
            waiting_for: state.waiting_for.as_deref(),
            manager: state.manager.as_deref(),
            cmd_name: command.map(|command| command.name.code()),
            cmd_flag: command.map(|command| command.flag.code()),
            cmd_by: command.and_then(|command| command.by.as_deref()),
            cmd_time: command.and_then(|command| command.time).map(Time),
            cmd_exec: command.and_then(|command| command.executed).map(Time),
        }
    }
}

impl<'a> Full<'a> {
    pub(super) fn of(row: &'a AppRow, doing: State) -> Self {
        let policy = &row.app.policy;
        Self {
            brief: Brief::of(row, doing),
            pass_database: row.app.program.pass_database,
            jitter: row.app.schedule.jitter.as_secs_f64(),
            catch_up: policy.catch_up.word(),
            catch_up_limit: policy.catch_up_limit,
            max_failures: policy.max_failures,
            on_failures: policy.on_failures.word(),
            stop_grace: policy.stop_grace.as_secs_f64(),
            max_runtime: policy.max_runtime.map(|limit| limit.as_secs_f64() / 60.0),
            log_limit: policy.log_limit,
            log_keep: policy.log_keep,
            pool: policy.pool.as_ref().map(crate::model::Part::as_str),
            failover: policy.failover.word(),
            protected: policy.protected,
            epoch: row.epoch,
        }
    }
}

/// A value by its text form.
struct Text<T>(T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A time in RFC 3339.
struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_timestamp(self.0))
    }
}

/// A run; `path` where the app is still registered.
pub(super) fn run(run: &Run, path: Option<&str>) -> Value {
    json!({
        "runtime": run.run.to_string(),
        "app_id": run.app.to_string(),
        "path": path,
        "start_time": format_timestamp(run.start),
        "end_time": time(run.end),
        "totals": run.end.map(|end| (end - run.start).num_seconds()),
        "totalm": run.end.map(|end| (end - run.start).num_minutes()),
        "totalh": run.end.map(|end| (end - run.start).num_hours()),
        "outcome": run.outcome_word(),
        "exit_code": run.exit_code,
        "signal": run.signal,
        "except_cnt": run.except_cnt,
        "task_size": run.progress.task_size,
        "solved": run.progress.solved,
        "failed": run.progress.failed,
        "trigger": run.trigger.word(),
        "due_time": time(run.due),
        "attempt": run.attempt,
        "manager": run.manager,
        "pid": run.pid,
        "message": run.message,
        "leftovers": run.leftovers,
        "command_id": run.command.map(|command| command.0),
    })
}

/// A row of the ledger.
pub(super) fn command(row: &CommandRow, path: Option<&str>) -> Value {
    json!({
        "id": row.id.0,
        "app_id": row.app.to_string(),
        "path": path,
        "cmd_name": row.name.code(),
        "command": row.name.word(),
        "cmd_flag": row.flag.code(),
        "verdict": row.flag.word(),
        "cmd_by": row.by,
        "cmd_source": row.source.word(),
        "cmd_time": format_timestamp(row.time),
        "cmd_exec": time(row.executed),
        "reason": row.reason.as_ref().map(ToString::to_string),
        "batch": row.batch,
        "note": row.note,
    })
}

/// A time, or null.
pub(super) fn time(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::String(format_timestamp(time)))
}

/// An object without its nulls.
pub(super) fn compact(fields: Vec<(&str, Value)>) -> Map<String, Value> {
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
