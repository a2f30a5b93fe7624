//! What is on record: runs, commands of the ledger, alerts.

use super::{Text, Time, row};
use crate::model::{AlertRow, AppId, CommandId, CommandRow, Reason, RunId};

row! {
/// A run. `path` is null where the app is not registered any more.
pub struct Run<'a> {
    runtime: Text<RunId>,
    app_id: Text<AppId>,
    path: Option<String>,
    start_time: Time,
    end_time: Option<Time>,
    totals: Option<i64>,
    totalm: Option<i64>,
    totalh: Option<i64>,
    outcome: Option<&'a str>,
    exit_code: Option<i64>,
    signal: Option<i32>,
    except_cnt: u64,
    task_size: Option<u64>,
    solved: u64,
    failed: u64,
    trigger: &'a str,
    due_time: Option<Time>,
    attempt: u32,
    manager: &'a str,
    pid: Option<u32>,
    message: Option<&'a str>,
    leftovers: u32,
    command_id: Option<i64>,
    /// In bytes, of all its processes together.
    memory_peak: Option<u64>,
}
}

impl<'a> Run<'a> {
    /// That of a row; `path` as [`Self`] says.
    #[must_use]
    pub fn of(row: &'a crate::model::Run, path: Option<String>) -> Self {
        let took = row.end.map(|end| end - row.start);
        Self {
            runtime: Text(row.run),
            app_id: Text(row.app),
            path,
            start_time: Time(row.start),
            end_time: row.end.map(Time),
            totals: took.map(|took| took.num_seconds()),
            totalm: took.map(|took| took.num_minutes()),
            totalh: took.map(|took| took.num_hours()),
            outcome: row.outcome_word(),
            exit_code: row.exit_code,
            signal: row.signal,
            except_cnt: row.except_cnt,
            task_size: row.progress.task_size,
            solved: row.progress.solved,
            failed: row.progress.failed,
            trigger: row.trigger.word(),
            due_time: row.due.map(Time),
            attempt: row.attempt,
            manager: &row.manager,
            pid: row.pid,
            message: row.message.as_deref(),
            leftovers: row.leftovers,
            command_id: row.command.map(|CommandId(id)| id),
            memory_peak: row.memory_peak,
        }
    }
}

row! {
/// A row of the ledger. `path` is null where the app is not registered.
#[expect(clippy::struct_field_names, reason = "they are the names of the columns")]
pub struct Command<'a> {
    id: i64,
    app_id: String,
    path: Option<String>,
    cmd_name: i64,
    command: &'static str,
    cmd_flag: i64,
    verdict: &'static str,
    cmd_by: &'a str,
    cmd_source: &'a str,
    cmd_time: Time,
    cmd_exec: Option<Time>,
    reason: Option<String>,
    /// The kind of reason: it stays the same when the text is worded differently.
    reason_code: Option<&'static str>,
    batch: Option<&'a str>,
    note: Option<&'a str>,
}
}

impl<'a> Command<'a> {
    /// That of a row; `path` as [`Self`] says.
    #[must_use]
    pub fn of(row: &'a CommandRow, path: Option<String>) -> Self {
        Self {
            id: row.id.0,
            app_id: row.app.to_string(),
            path,
            cmd_name: row.name.code(),
            command: row.name.word(),
            cmd_flag: row.flag.code(),
            verdict: row.flag.word(),
            cmd_by: &row.by,
            cmd_source: row.source.word(),
            cmd_time: Time(row.time),
            cmd_exec: row.executed.map(Time),
            reason: row.reason.as_ref().map(ToString::to_string),
            reason_code: row.reason.as_ref().map(Reason::code),
            batch: row.batch.as_deref(),
            note: row.note.as_deref(),
        }
    }
}

row! {
/// An alert. `path` is null where the app is not registered any more, and for an alert about the fleet, which has no
/// `app_id` either.
pub struct Alert<'a> {
    id: i64,
    app_id: Option<String>,
    path: Option<String>,
    manager: Option<&'a str>,
    kind: &'a str,
    cause: &'a str,
    severity: &'a str,
    opened: Time,
    last_seen: Time,
    count: u32,
    message: &'a str,
    detail: Option<&'a str>,
    acknowledged_by: Option<&'a str>,
    acknowledged: Option<Time>,
    muted_until: Option<Time>,
    closed: Option<Time>,
    delivered: Option<Time>,
    runtime: Option<Text<RunId>>,
    owner: Option<&'a str>,
}
}

impl<'a> Alert<'a> {
    /// That of a row; `path` as [`Self`] says.
    #[must_use]
    pub fn of(row: &'a AlertRow, path: Option<String>) -> Self {
        Self {
            id: row.id.0,
            app_id: row.subject.app().map(ToString::to_string),
            path,
            manager: row.manager.as_deref(),
            kind: row.kind.word(),
            cause: row.cause.text(),
            severity: row.severity.word(),
            opened: Time(row.opened),
            last_seen: Time(row.last_seen),
            count: row.count,
            message: &row.message,
            detail: row.detail.as_deref(),
            acknowledged_by: row.acknowledged.as_ref().map(|(by, _)| by.as_str()),
            acknowledged: row.acknowledged.as_ref().map(|(_, at)| Time(*at)),
            muted_until: row.muted_until.map(Time),
            closed: row.closed.map(Time),
            delivered: row.delivered.map(Time),
            runtime: row.run.map(Text),
            owner: row.owner.as_deref(),
        }
    }
}
