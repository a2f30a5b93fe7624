//! Rows of the embedded database as plain data, and back.

use chrono_tz::Tz;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use std::time::Duration;

use crate::model::{
    AlertId, AlertRow, App, AppId, AppRef, AppRow, AppState, CmdFlag, CmdName, Command, CommandId,
    CommandRow, Fatal, FatalFlag, KeptLog, LEASE, LastCommand, LastEnd, Load, ManagerRow, OpenRun, Planned,
    Progress, Reason, Registered, Revision, Run, RunStatus, Skip, SkipReason, Timestamp, Trigger, Word,
    parse_timestamp_in,
};
use crate::store::definition::{Definition, Faults, Parsed, Remarks, known_sequence};

use super::values::{self, Exact, count, is_set, small, sure_text, sure_time, text, time, whole};

/// Declares the columns that a query reads, by name in the text of the query and by position when
/// a row is taken apart: looking up 50 names in each of 10,000 rows costs more than the query.
macro_rules! columns {
    ($(#[$meta:meta])* $list:ident $name:ident { $first:ident $(, $rest:ident)* $(,)? }) => {
        $(#[$meta])*
        pub(super) const $list: &str = concat!(stringify!($first) $(, ", ", stringify!($rest))*);

        #[derive(Debug, Clone, Copy)]
        #[expect(non_camel_case_types, reason = "they are the names of the columns")]
        enum $name { $first $(, $rest)* }

        impl $name {
            const NAMES: &[&str] = &[stringify!($first) $(, stringify!($rest))*];

            /// A value that defines the app.
            fn defining<T: Exact>(self, row: &Row<'_>, faults: &mut Faults) -> rusqlite::Result<Option<T>> {
                values::defining(row, self as usize, Self::NAMES[self as usize], faults)
            }

            fn text(self, row: &Row<'_>) -> rusqlite::Result<Option<String>> {
                values::text(row, self as usize)
            }

            fn whole(self, row: &Row<'_>) -> rusqlite::Result<i64> {
                Ok(values::whole(row, self as usize)?.unwrap_or(0))
            }
        }
    };
}

columns! {
    /// The columns that [`registered`] reads, in its order.
    APP_COLUMNS AppColumn {
        id, app, app_group, app_parent, app_name, command, cwd, env, pass_database, interval, retry_interval,
        cron_expression, time_zone, jitter, catch_up, catch_up_limit, max_failures, on_failures, stop_grace, max_runtime, log_limit,
        log_keep, pool, failover, protected, next_run, disable, origin, task_size, progress, solved, failed, eta, message, run_status, app_pids, runtime,
        last_run, last_outcome, last_exit_code, last_end, stopped_by, failures, fatal_flag, fatal_msg, fatal_time, waiting_for, manager, fault, cmd_name,
        cmd_flag, cmd_by, cmd_time, cmd_exec, cmd_id, asked_next_run, slot, next_run_kind, pause, sequence, epoch, revision,
    }
}

/// A row of the apps table. Whatever it holds, something comes out of it.
pub(super) fn registered(row: &Row<'_>) -> rusqlite::Result<Registered> {
    let mut faults = Faults::default();
    let definition = definition(row, &mut faults)?;
    let key = AppColumn::app.text(row)?;
    let of_names = key_of_names(row)?;
    let id = key.as_deref().and_then(|key| key.parse().ok()).unwrap_or(of_names);
    let mut parsed = definition.parse(faults, id);
    if key.is_some_and(|key| key.parse() != Ok(of_names)) {
        parsed
            .faults
            .add("app", format!("app must be the SHA3-256 of GROUP|PARENT|APP, which is {of_names}"));
    }
    let name = |column: AppColumn| column.text(row).map(Option::unwrap_or_default);
    let names = [name(AppColumn::app_group)?, name(AppColumn::app_parent)?, name(AppColumn::app_name)?];
    app_row(row, id, parsed, names).map(Registered::of)
}

/// The key that belongs to the names of a row, whatever they are.
pub(super) fn key_of_names(row: &Row<'_>) -> rusqlite::Result<AppId> {
    let bytes = |column: AppColumn| {
        Ok::<_, rusqlite::Error>(match row.get_ref(column as usize)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => &[],
        })
    };
    Ok(AppId::of_names([
        bytes(AppColumn::app_group)?,
        bytes(AppColumn::app_parent)?,
        bytes(AppColumn::app_name)?,
    ]))
}

fn app_row(row: &Row<'_>, id: AppId, parsed: Parsed, names: [String; 3]) -> rusqlite::Result<AppRow> {
    let Parsed { path, program, schedule, policy, faults } = parsed;
    let (mut remarks, zone) = (Remarks::default(), schedule.time_zone);
    let time = |column: AppColumn| values::time(row, column as usize);
    let state = AppState {
        status: RunStatus::from_code(AppColumn::run_status.whole(row)?).unwrap_or(RunStatus::NotRunning),
        run: AppColumn::runtime.text(row)?.and_then(|run| run.parse().ok()),
        pid: AppColumn::app_pids.text(row)?.and_then(|pids| pids.parse().ok()),
        last_run: time(AppColumn::last_run)?,
        stopped_by: AppColumn::stopped_by.text(row)?,
        failures: u32::try_from(AppColumn::failures.whole(row)?).unwrap_or(0),
        fatal: fatal(row)?,
        waiting_for: AppColumn::waiting_for.text(row)?,
        manager: AppColumn::manager.text(row)?,
    };
    let mut counter = |column: AppColumn| -> rusqlite::Result<Option<u64>> {
        let number = values::whole(row, column as usize)?;
        Ok(number.map(|number| remarks.count(AppColumn::NAMES[column as usize], number)))
    };
    let progress = Progress {
        task_size: counter(AppColumn::task_size)?,
        percent: counter(AppColumn::progress)?.and_then(|value| u8::try_from(value.min(100)).ok()),
        solved: counter(AppColumn::solved)?.unwrap_or(0),
        failed: counter(AppColumn::failed)?.unwrap_or(0),
        eta: AppColumn::eta.text(row)?.and_then(|text| parse_timestamp_in(&text, &zone).ok()),
        message: AppColumn::message.text(row)?,
    };
    let next_run = asked_time(row, AppColumn::next_run, zone, &mut remarks)?;
    let asked_next_run = asked_time(row, AppColumn::asked_next_run, zone, &mut remarks)?;
    Ok(AppRow {
        app: App {
            id,
            path,
            program,
            schedule,
            policy,
            disabled: AppColumn::disable.whole(row)? != 0,
            origin: AppColumn::origin.text(row)?,
        },
        next_run,
        planned: planned(row)?,
        state,
        last_end: last_end(row)?,
        progress,
        command: last_command(row)?,
        asked_next_run,
        slot: time(AppColumn::slot)?,
        is_named: AppColumn::app.text(row)?.is_some(),
        sequence: known_sequence(AppColumn::sequence.whole(row)?),
        epoch: u64::try_from(AppColumn::epoch.whole(row)?).unwrap_or(0),
        fault: faults.of_row(names),
        bad_report: remarks.of_row(),
        shown_fault: AppColumn::fault.text(row)?,
        row: AppColumn::id.whole(row)?,
        revision: Revision(AppColumn::revision.whole(row)?),
    })
}

fn definition(row: &Row<'_>, faults: &mut Faults) -> rusqlite::Result<Definition> {
    let mut text = |column: AppColumn| column.defining::<String>(row, faults);
    let default = Definition::of_new_row();
    let (app_group, app_parent, app_name) =
        (text(AppColumn::app_group)?, text(AppColumn::app_parent)?, text(AppColumn::app_name)?);
    let (command, cwd, env) = (text(AppColumn::command)?, text(AppColumn::cwd)?, text(AppColumn::env)?);
    let (cron_expression, time_zone) = (text(AppColumn::cron_expression)?, text(AppColumn::time_zone)?);
    let (catch_up, pool, failover) =
        (text(AppColumn::catch_up)?, text(AppColumn::pool)?, text(AppColumn::failover)?);
    let on_failures = text(AppColumn::on_failures)?;
    let mut number = |column: AppColumn| column.defining::<f64>(row, faults);
    let (interval, retry_interval) = (number(AppColumn::interval)?, number(AppColumn::retry_interval)?);
    let (jitter, stop_grace) = (number(AppColumn::jitter)?, number(AppColumn::stop_grace)?);
    let max_runtime = number(AppColumn::max_runtime)?;
    let mut whole = |column: AppColumn| column.defining::<i64>(row, faults);
    Ok(Definition {
        app_group: app_group.unwrap_or_default(),
        app_parent: app_parent.unwrap_or_default(),
        app_name: app_name.unwrap_or_default(),
        command,
        cwd,
        env,
        interval,
        retry_interval,
        cron_expression,
        time_zone: time_zone.unwrap_or(default.time_zone),
        jitter: jitter.unwrap_or(default.jitter),
        catch_up: catch_up.unwrap_or(default.catch_up),
        catch_up_limit: whole(AppColumn::catch_up_limit)?.unwrap_or(default.catch_up_limit),
        max_failures: whole(AppColumn::max_failures)?.unwrap_or(default.max_failures),
        on_failures: on_failures.unwrap_or(default.on_failures),
        stop_grace: stop_grace.unwrap_or(default.stop_grace),
        max_runtime,
        log_limit: whole(AppColumn::log_limit)?.unwrap_or(default.log_limit),
        log_keep: whole(AppColumn::log_keep)?.unwrap_or(default.log_keep),
        pool,
        failover: failover.unwrap_or(default.failover),
        pass_database: AppColumn::pass_database.defining(row, faults)?.unwrap_or_default(),
        protected: AppColumn::protected.defining(row, faults)?.unwrap_or_default(),
    })
}

/// A time that an app or a person asked for; without an offset it is one of the app's zone.
fn asked_time(
    row: &Row<'_>,
    column: AppColumn,
    zone: Tz,
    remarks: &mut Remarks,
) -> rusqlite::Result<Option<Timestamp>> {
    let Some(text) = column.text(row)? else { return Ok(None) };
    let time = parse_timestamp_in(&text, &zone).ok();
    if time.is_none() {
        remarks.not_a_time(AppColumn::NAMES[column as usize], &text);
    }
    Ok(time)
}

/// What `next_run` is.
fn planned(row: &Row<'_>) -> rusqlite::Result<Option<Planned>> {
    let kind = AppColumn::next_run_kind.text(row)?;
    let pause = f64::of(row.get_ref(AppColumn::pause as usize)?);
    Ok(kind.and_then(|kind| Planned::from_stored(&kind, pause)))
}

fn fatal(row: &Row<'_>) -> rusqlite::Result<Option<Box<Fatal>>> {
    let message = AppColumn::fatal_msg.text(row)?.unwrap_or_default();
    let time = values::sure_time(row, AppColumn::fatal_time as usize)?;
    Ok(FatalFlag::from_code(AppColumn::fatal_flag.whole(row)?)
        .ok()
        .map(|flag| Box::new(Fatal { flag, message, time })))
}

fn last_end(row: &Row<'_>) -> rusqlite::Result<Option<Box<LastEnd>>> {
    let outcome = AppColumn::last_outcome.text(row)?;
    let at = values::time(row, AppColumn::last_end as usize)?;
    let exit_code = values::whole(row, AppColumn::last_exit_code as usize)?;
    Ok(outcome
        .zip(at)
        .map(|(outcome, at)| Box::new(LastEnd { outcome: outcome.as_str().into(), exit_code, at })))
}

fn last_command(row: &Row<'_>) -> rusqlite::Result<Option<LastCommand>> {
    let whole = |column: AppColumn| values::whole(row, column as usize);
    let codes = whole(AppColumn::cmd_name)?.zip(whole(AppColumn::cmd_flag)?);
    let codes = codes.map(|(name, flag)| (CmdName::from_code(name), CmdFlag::from_code(flag)));
    let Some((Ok(name), Ok(flag))) = codes else { return Ok(None) };
    Ok(Some(LastCommand {
        id: whole(AppColumn::cmd_id)?.map(CommandId),
        name,
        flag,
        by: AppColumn::cmd_by.text(row)?,
        time: values::time(row, AppColumn::cmd_time as usize)?,
        executed: values::time(row, AppColumn::cmd_exec as usize)?,
    }))
}

/// A command without a verdict.
pub(super) fn command(row: &Row<'_>) -> rusqlite::Result<Command> {
    let args = row.get_ref("cmd_args")?;
    let readable: Option<String> = Exact::of(args);
    Ok(Command {
        id: CommandId(whole(row, "id")?.unwrap_or(0)),
        app: app_named(&sure_text(row, "app_id")?),
        name: cmd_name(row)?,
        fault: (args != ValueRef::Null && readable.is_none()).then_some("cmd_args are not a text in UTF-8"),
        args: readable,
        by: sure_text(row, "cmd_by")?,
        time: sure_time(row, "cmd_time")?,
        expires: time(row, "expires")?,
    })
}

fn cmd_name(row: &Row<'_>) -> rusqlite::Result<CmdName> {
    let code = whole(row, "cmd_name")?.unwrap_or(0);
    CmdName::from_code(code).map_err(|error| invalid(row, "cmd_name", error))
}

/// An app as the ledger names it: by hash, or by path where the hash was not filled in yet.
pub(super) fn app_named(text: &str) -> Option<AppId> {
    AppRef::from(text).id()
}

/// A row of the ledger.
pub(super) fn command_row(row: &Row<'_>) -> rusqlite::Result<CommandRow> {
    let flag = CmdFlag::from_code(whole(row, "cmd_flag")?.unwrap_or(0));
    Ok(CommandRow {
        id: CommandId(whole(row, "id")?.unwrap_or(0)),
        app: sure_text(row, "app_id")?.as_str().into(),
        name: cmd_name(row)?,
        flag: flag.map_err(|error| invalid(row, "cmd_flag", error))?,
        by: sure_text(row, "cmd_by")?,
        source: sure_text(row, "cmd_source")?.as_str().into(),
        time: sure_time(row, "cmd_time")?,
        executed: time(row, "cmd_exec")?,
        reason: text(row, "reason")?.as_deref().map(Reason::from),
        batch: text(row, "batch")?,
        note: text(row, "note")?,
    })
}

/// The columns that [`run`] reads.
pub(super) const RUN_COLUMNS: &str = "runtime, app_id, start_time, end_time, outcome, exit_code, signal, except_cnt, \
    task_size, solved, failed, message, trigger, due_time, attempt, manager, pid, leftovers, command_id";

/// A row of the runtime table.
pub(super) fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        run: parsed(row, "runtime")?,
        app: parsed(row, "app_id")?,
        start: sure_time(row, "start_time")?,
        end: time(row, "end_time")?,
        outcome: text(row, "outcome")?.as_deref().map(Word::from),
        exit_code: small(row, "exit_code")?,
        signal: small(row, "signal")?,
        except_cnt: count(row, "except_cnt")?.unwrap_or(0),
        progress: Progress {
            task_size: count(row, "task_size")?,
            solved: count(row, "solved")?.unwrap_or(0),
            failed: count(row, "failed")?.unwrap_or(0),
            ..Progress::default()
        },
        trigger: sure_text(row, "trigger")?.as_str().into(),
        due: time(row, "due_time")?,
        attempt: small(row, "attempt")?.unwrap_or(1),
        manager: sure_text(row, "manager")?,
        pid: small(row, "pid")?,
        message: text(row, "message")?,
        leftovers: small(row, "leftovers")?.unwrap_or(0),
        command: whole(row, "command_id")?.map(CommandId),
    })
}

/// An open run.
pub(super) fn open_run(row: &Row<'_>) -> rusqlite::Result<OpenRun> {
    let trigger = Word::from(sure_text(row, "trigger")?.as_str());
    Ok(OpenRun {
        run: parsed(row, "runtime")?,
        app: parsed(row, "app_id")?,
        start: sure_time(row, "start_time")?,
        due: time(row, "due_time")?,
        trigger: trigger.known().unwrap_or(Trigger::Schedule),
        attempt: small(row, "attempt")?.unwrap_or(1),
        command: whole(row, "command_id")?.map(CommandId),
        pid: small(row, "pid")?,
        // Whatever it was called: an embedded database has one host.
        manager: None,
    })
}

/// A row of the managers table.
pub(super) fn manager(row: &Row<'_>) -> rusqlite::Result<ManagerRow> {
    let lease = f64::of(row.get_ref("lease")?).and_then(|lease| Duration::try_from_secs_f64(lease).ok());
    Ok(ManagerRow {
        name: sure_text(row, "name")?,
        host: sure_text(row, "host")?,
        pid: small(row, "pid")?.unwrap_or(0),
        version: sure_text(row, "version")?,
        started: sure_time(row, "started")?,
        heartbeat: sure_time(row, "heartbeat")?,
        stopped: time(row, "stopped")?,
        incarnation: count(row, "incarnation")?.unwrap_or(0),
        renewals: count(row, "renewals")?.unwrap_or(0),
        lease: lease.unwrap_or(LEASE),
        lease_until: time(row, "lease_until")?,
        home: text(row, "home")?,
        boot: text(row, "boot")?,
        pools: serde_json::from_str(&sure_text(row, "pools")?).unwrap_or_default(),
        python: text(row, "python")?,
        draining: is_set(row, "draining")?,
        load: Load {
            running: small(row, "running")?.unwrap_or(0),
            running_max: small(row, "running_max")?,
            waiting: small(row, "waiting")?.unwrap_or(0),
        },
    })
}

/// A row of the alerts table.
pub(super) fn alert(row: &Row<'_>) -> rusqlite::Result<AlertRow> {
    let by = sure_text(row, "acked_by")?;
    Ok(AlertRow {
        id: AlertId(whole(row, "id")?.unwrap_or(0)),
        app: sure_text(row, "app_id")?.as_str().into(),
        kind: sure_text(row, "kind")?.as_str().into(),
        message: sure_text(row, "message")?,
        raised: sure_time(row, "raised")?,
        delivered: time(row, "delivered")?,
        cleared: time(row, "cleared")?,
        run: sure_text(row, "runtime")?.parse().ok(),
        acknowledged: time(row, "acked")?.map(|at| (by, at)),
        muted_until: time(row, "muted_until")?,
    })
}

/// A row of the skips table.
pub(super) fn skip(row: &Row<'_>) -> rusqlite::Result<Skip> {
    let reason = Word::from(sure_text(row, "reason")?.as_str());
    Ok(Skip {
        app: parsed(row, "app_id")?,
        first: sure_time(row, "first_due")?,
        last: sure_time(row, "last_due")?,
        slots: small(row, "slots")?,
        reason: reason.known().unwrap_or(SkipReason::Missed),
        at: sure_time(row, "recorded")?,
    })
}

/// A row of the `log_tails` table.
pub(super) fn kept_log(row: &Row<'_>) -> rusqlite::Result<KeptLog> {
    let bytes = match row.get_ref("bytes")? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => Vec::new(),
    };
    Ok(KeptLog {
        run: parsed(row, "runtime")?,
        app: parsed(row, "app_id")?,
        manager: sure_text(row, "manager")?,
        bytes,
        written: sure_time(row, "written")?,
    })
}

/// An id without which the row means nothing.
fn parsed<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    row: &Row<'_>,
    name: &str,
) -> rusqlite::Result<T> {
    sure_text(row, name)?.parse().map_err(|error| invalid(row, name, error))
}

fn invalid(
    row: &Row<'_>,
    name: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    let column = row.as_ref().column_index(name).unwrap_or(0);
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}
