//! An app: its definition and state, and in the longer form its policies.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::{Text, Time, row};
use crate::model::explain::State;
use crate::model::{AppRow, Outcome, Word};

/// What stands for a value that is not shown.
const HIDDEN: &str = "***";

row! {
/// An app with its definition and state. It borrows all it can, since a fleet may have 10,000.
#[expect(clippy::struct_field_names, reason = "they are the names of the columns")]
pub struct App<'a> {
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
    last_outcome: Option<Text<&'a Word<Outcome>>>,
    last_exit_code: Option<i64>,
    last_end: Option<Time>,
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
}

/// With the policies, which only `app list` and `app show` tell.
#[derive(Serialize)]
pub struct AppInFull<'a> {
    #[serde(flatten)]
    app: App<'a>,
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

impl<'a> App<'a> {
    /// That of a row.
    #[must_use]
    pub fn of(row: &'a AppRow, doing: State) -> Self {
        let (app, state, progress) = (&row.app, &row.state, &row.progress);
        let (schedule, command) = (&app.schedule, row.command.as_ref());
        let (path, last_end) = (&app.path, row.last_end.as_deref());
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
            last_outcome: last_end.map(|last| Text(&last.outcome)),
            last_exit_code: last_end.and_then(|last| last.exit_code),
            last_end: last_end.map(|last| Time(last.at)),
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

impl<'a> AppInFull<'a> {
    /// That of a row.
    #[must_use]
    pub fn of(row: &'a AppRow, doing: State) -> Self {
        let policy = &row.app.policy;
        Self {
            app: App::of(row, doing),
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
