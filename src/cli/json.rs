//! The JSON forms of rows: the names of the columns, times in RFC 3339.

use serde_json::{Map, Value, json};

use crate::model::{AppRow, CommandRow, FaultyRow, Run, Timestamp, format_timestamp};

/// An app with its definition and state.
pub(super) fn app(row: &AppRow) -> Value {
    let (app, state, progress) = (&row.app, &row.state, &row.progress);
    let schedule = &app.schedule;
    json!({
        "app": app.id.to_string(),
        "path": app.path.to_string(),
        "app_group": app.path.group.as_str(),
        "app_parent": app.path.parent.as_str(),
        "app_name": app.path.name.as_str(),
        "command": app.program.command,
        "cwd": app.program.cwd,
        // Values may be secrets.
        "env": app.program.env.keys().collect::<Vec<_>>(),
        "interval": schedule.interval.map(crate::model::Minutes::as_f64),
        "retry_interval": schedule.retry_interval.map(crate::model::Minutes::as_f64),
        "cron_expression": schedule.cron.as_ref().map(ToString::to_string),
        "time_zone": schedule.time_zone.name(),
        "next_run": time(row.next_run),
        "last_run": time(state.last_run),
        "run_status": state.status.code(),
        "status": state.status.word(),
        "disable": app.disabled,
        "app_pids": state.pid,
        "runtime": state.run.map(|run| run.to_string()),
        "task_size": progress.task_size,
        "progress": progress.percent,
        "solved": progress.solved,
        "failed": progress.failed,
        "eta": time(progress.eta),
        "message": progress.message,
        "failures": state.failures,
        "fatal_flag": state.fatal.as_ref().map_or(0, |fatal| fatal.flag.code()),
        "fatal_msg": state.fatal.as_ref().map(|fatal| &fatal.message),
        "fatal_time": time(state.fatal.as_ref().map(|fatal| fatal.time)),
        "stopped_by": state.stopped_by,
        "waiting_for": state.waiting_for,
        "manager": state.manager,
        "cmd_name": row.command.as_ref().map(|command| command.name.code()),
        "cmd_flag": row.command.as_ref().map(|command| command.flag.code()),
        "cmd_by": row.command.as_ref().and_then(|command| command.by.as_ref()),
        "cmd_time": time(row.command.as_ref().and_then(|command| command.time)),
        "cmd_exec": time(row.command.as_ref().and_then(|command| command.executed)),
    })
}

/// The policies of an app, which only `app show` tells.
pub(super) fn with_policies(row: &AppRow) -> Value {
    let policy = &row.app.policy;
    let mut value = app(row);
    if let Value::Object(fields) = &mut value {
        let policies = json!({
            "pass_database": row.app.program.pass_database,
            "jitter": row.app.schedule.jitter.as_secs_f64(),
            "catch_up": policy.catch_up.word(),
            "catch_up_limit": policy.catch_up_limit,
            "max_failures": policy.max_failures,
            "stop_grace": policy.stop_grace.as_secs_f64(),
            "max_runtime": policy.max_runtime.map(|limit| limit.as_secs_f64() / 60.0),
            "log_limit": policy.log_limit,
            "log_keep": policy.log_keep,
        });
        if let Value::Object(policies) = policies {
            fields.extend(policies);
        }
    }
    value
}

/// A row that is set aside.
pub(super) fn faulty(row: &FaultyRow) -> Value {
    json!({ "path": row.names, "app": row.id.map(|id| id.to_string()), "fault": row.fault })
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
        "outcome": run.outcome,
        "exit_code": run.exit_code,
        "signal": run.signal,
        "except_cnt": run.except_cnt,
        "task_size": run.progress.task_size,
        "solved": run.progress.solved,
        "failed": run.progress.failed,
        "trigger": run.trigger,
        "due_time": time(run.due),
        "attempt": run.attempt,
        "manager": run.manager,
        "pid": run.pid,
        "message": run.message,
    })
}

/// A row of the ledger.
pub(super) fn command(row: &CommandRow, path: Option<&str>) -> Value {
    json!({
        "id": row.id.0,
        "app_id": row.app,
        "path": path,
        "cmd_name": row.name.code(),
        "command": row.name.word(),
        "cmd_flag": row.flag.code(),
        "verdict": row.flag.word(),
        "cmd_by": row.by,
        "cmd_source": row.source,
        "cmd_time": format_timestamp(row.time),
        "cmd_exec": time(row.executed),
        "reason": row.reason,
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
