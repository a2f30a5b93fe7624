//! Rows of the embedded database as plain data, and back.

use chrono::Utc;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use std::time::Duration;

use crate::model::{
    AlertId, AlertRow, App, AppId, AppPath, AppRow, AppState, CmdFlag, CmdName, Command, CommandId,
    CommandRow, Fatal, FatalFlag, FaultyRow, KeptLog, LEASE, LastCommand, Load, ManagerRow, OpenRun,
    Progress, Registered, Revision, Run, RunId, RunStatus, Skip, SkipReason, Timestamp, Trigger,
    parse_timestamp,
};
use crate::store::definition::{Definition, Parsed};

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
            fn get<T: rusqlite::types::FromSql>(self, row: &Row<'_>) -> rusqlite::Result<T> {
                row.get(self as usize)
            }
        }
    };
}

columns! {
    /// The columns that [`registered`] reads, in its order.
    APP_COLUMNS AppColumn {
        id, app, app_group, app_parent, app_name, command, cwd, env, pass_database, interval, retry_interval,
        cron_expression, time_zone, jitter, catch_up, catch_up_limit, max_failures, stop_grace, max_runtime, log_limit,
        log_keep, pool, failover, protected, next_run, disable, origin, task_size, progress, solved, failed, eta, message, run_status, app_pids, runtime,
        last_run, stopped_by, failures, fatal_flag, fatal_msg, fatal_time, waiting_for, manager, fault, cmd_name,
        cmd_flag, cmd_by, cmd_time, cmd_exec, cmd_id, asked_next_run, slot, sequence, epoch, revision,
    }
}

/// A row of the apps table. Whatever it holds, something comes out of it.
pub(super) fn registered(row: &Row<'_>) -> rusqlite::Result<Registered> {
    let definition = definition(row)?;
    let id: i64 = AppColumn::id.get(row)?;
    let key: Option<String> = AppColumn::app.get(row)?;
    let revision = Revision(AppColumn::revision.get(row)?);
    let times = Times::read(row)?;
    let parsed = match (definition.parse(), &times.faults) {
        (Ok(parsed), None) => Ok(parsed),
        (Ok(_), Some(fault)) => Err(fault.clone()),
        (Err(fault), None) => Err(fault),
        (Err(fault), Some(more)) => Err(format!("{fault}; {more}")),
    };
    let faulty = |fault: String| {
        Ok(Registered::Faulty(FaultyRow {
            row: id,
            id: key.as_deref().and_then(|key| key.parse().ok()),
            names: format!("{}/{}/{}", definition.app_group, definition.app_parent, definition.app_name),
            fault,
            shown_fault: AppColumn::fault.get(row)?,
            revision,
        }))
    };
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(fault) => return faulty(fault),
    };
    let app_id = AppId::of(&parsed.path);
    match &key {
        Some(key) if key.parse() != Ok(app_id) => {
            faulty(format!("app must be the SHA3-256 of GROUP|PARENT|APP, which is {app_id}"))
        }
        Some(_) | None => Ok(Registered::App(Box::new(app_row(row, app_id, parsed, &times)?))),
    }
}

fn app_row(row: &Row<'_>, id: AppId, parsed: Parsed, times: &Times) -> rusqlite::Result<AppRow> {
    let Parsed { path, program, schedule, policy } = parsed;
    let run: Option<String> = AppColumn::runtime.get(row)?;
    let pids: Option<String> = AppColumn::app_pids.get(row)?;
    let state = AppState {
        status: RunStatus::from_code(AppColumn::run_status.get(row)?).unwrap_or(RunStatus::NotRunning),
        run: run.and_then(|run| run.parse().ok()),
        pid: pids.and_then(|pids| pids.parse().ok()),
        last_run: times.last_run,
        stopped_by: AppColumn::stopped_by.get(row)?,
        failures: AppColumn::failures.get(row).unwrap_or(0),
        fatal: fatal(row, times)?,
        waiting_for: AppColumn::waiting_for.get(row)?,
        manager: AppColumn::manager.get(row)?,
    };
    let progress = Progress {
        task_size: app_count(row, AppColumn::task_size)?,
        percent: AppColumn::progress
            .get::<Option<i64>>(row)?
            .and_then(|value| u8::try_from(value.clamp(0, 100)).ok()),
        solved: app_count(row, AppColumn::solved)?.unwrap_or(0),
        failed: app_count(row, AppColumn::failed)?.unwrap_or(0),
        eta: times.eta,
        message: AppColumn::message.get(row)?,
    };
    Ok(AppRow {
        app: App {
            id,
            path,
            program,
            schedule,
            policy,
            disabled: AppColumn::disable.get(row)?,
            origin: AppColumn::origin.get(row)?,
        },
        next_run: times.next_run,
        state,
        progress,
        command: last_command(row, times)?,
        asked_next_run: times.asked_next_run,
        slot: times.slot,
        is_named: AppColumn::app.get::<Option<String>>(row)?.is_some(),
        sequence: u64::try_from(AppColumn::sequence.get::<i64>(row)?).unwrap_or(0),
        epoch: u64::try_from(AppColumn::epoch.get::<i64>(row)?).unwrap_or(0),
        shown_fault: AppColumn::fault.get(row)?,
        row: AppColumn::id.get(row)?,
        revision: Revision(AppColumn::revision.get(row)?),
    })
}

fn definition(row: &Row<'_>) -> rusqlite::Result<Definition> {
    Ok(Definition {
        app_group: AppColumn::app_group.get(row)?,
        app_parent: AppColumn::app_parent.get(row)?,
        app_name: AppColumn::app_name.get(row)?,
        command: AppColumn::command.get(row)?,
        cwd: AppColumn::cwd.get(row)?,
        env: AppColumn::env.get(row)?,
        pass_database: AppColumn::pass_database.get(row)?,
        interval: AppColumn::interval.get(row)?,
        retry_interval: AppColumn::retry_interval.get(row)?,
        cron_expression: AppColumn::cron_expression.get(row)?,
        time_zone: AppColumn::time_zone.get(row)?,
        jitter: AppColumn::jitter.get(row)?,
        catch_up: AppColumn::catch_up.get(row)?,
        catch_up_limit: AppColumn::catch_up_limit.get(row)?,
        max_failures: AppColumn::max_failures.get(row)?,
        stop_grace: AppColumn::stop_grace.get(row)?,
        max_runtime: AppColumn::max_runtime.get(row)?,
        log_limit: AppColumn::log_limit.get(row)?,
        log_keep: AppColumn::log_keep.get(row)?,
        pool: AppColumn::pool.get(row)?,
        failover: AppColumn::failover.get(row)?,
        protected: AppColumn::protected.get(row)?,
    })
}

/// The times of a row. Those that only inform are left out when they cannot be read.
struct Times {
    next_run: Option<Timestamp>,
    asked_next_run: Option<Timestamp>,
    slot: Option<Timestamp>,
    last_run: Option<Timestamp>,
    eta: Option<Timestamp>,
    fatal_time: Option<Timestamp>,
    cmd_time: Option<Timestamp>,
    cmd_exec: Option<Timestamp>,
    faults: Option<String>,
}

impl Times {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut faults = Vec::new();
        let mut binding = |column: AppColumn| -> rusqlite::Result<Option<Timestamp>> {
            let text: Option<String> = column.get(row)?;
            Ok(text.and_then(|text| {
                parse_timestamp(&text).map_err(|error| faults.push(format!("{column:?}: {error}"))).ok()
            }))
        };
        let next_run = binding(AppColumn::next_run)?;
        let asked_next_run = binding(AppColumn::asked_next_run)?;
        Ok(Self {
            next_run,
            asked_next_run,
            slot: time_at(row, AppColumn::slot as usize)?,
            last_run: time_at(row, AppColumn::last_run as usize)?,
            eta: time_at(row, AppColumn::eta as usize)?,
            fatal_time: time_at(row, AppColumn::fatal_time as usize)?,
            cmd_time: time_at(row, AppColumn::cmd_time as usize)?,
            cmd_exec: time_at(row, AppColumn::cmd_exec as usize)?,
            faults: (!faults.is_empty()).then(|| faults.join("; ")),
        })
    }
}

fn fatal(row: &Row<'_>, times: &Times) -> rusqlite::Result<Option<Box<Fatal>>> {
    let flag: i64 = AppColumn::fatal_flag.get(row)?;
    let message: Option<String> = AppColumn::fatal_msg.get(row)?;
    Ok(FatalFlag::from_code(flag).ok().map(|flag| {
        let time = times.fatal_time.unwrap_or(Timestamp::UNIX_EPOCH);
        Box::new(Fatal { flag, message: message.unwrap_or_default(), time })
    }))
}

fn last_command(row: &Row<'_>, times: &Times) -> rusqlite::Result<Option<LastCommand>> {
    let name: Option<i64> = AppColumn::cmd_name.get(row)?;
    let flag: Option<i64> = AppColumn::cmd_flag.get(row)?;
    let id: Option<i64> = AppColumn::cmd_id.get(row)?;
    let by = AppColumn::cmd_by.get(row)?;
    let codes = name.zip(flag).map(|(name, flag)| (CmdName::from_code(name), CmdFlag::from_code(flag)));
    Ok(match codes {
        Some((Ok(name), Ok(flag))) => Some(LastCommand {
            id: id.map(CommandId),
            name,
            flag,
            by,
            time: times.cmd_time,
            executed: times.cmd_exec,
        }),
        Some((Err(_), _) | (_, Err(_))) | None => None,
    })
}

fn app_count(row: &Row<'_>, column: AppColumn) -> rusqlite::Result<Option<u64>> {
    Ok(column.get::<Option<i64>>(row)?.map(|value| u64::try_from(value).unwrap_or(0)))
}

fn count(row: &Row<'_>, name: &str) -> rusqlite::Result<Option<u64>> {
    let value: Option<i64> = row.get(name)?;
    Ok(value.map(|value| u64::try_from(value).unwrap_or(0)))
}

/// A time that only informs: what cannot be read is left out.
fn time(row: &Row<'_>, name: &str) -> rusqlite::Result<Option<Timestamp>> {
    time_at(row, row.as_ref().column_index(name)?)
}

fn time_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get_ref(column)? {
        ValueRef::Text(text) => {
            Ok(std::str::from_utf8(text).ok().and_then(|text| parse_timestamp(text).ok()))
        }
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => Ok(None),
    }
}

fn sure_time(row: &Row<'_>, name: &str) -> rusqlite::Result<Timestamp> {
    Ok(time(row, name)?.unwrap_or(chrono::DateTime::<Utc>::UNIX_EPOCH))
}

/// A command without a verdict.
pub(super) fn command(row: &Row<'_>) -> rusqlite::Result<Command> {
    let app: String = row.get("app_id")?;
    Ok(Command {
        id: CommandId(row.get("id")?),
        app: app_named(&app),
        name: CmdName::from_code(row.get("cmd_name")?).map_err(|error| invalid(row, "cmd_name", error))?,
        args: row.get("cmd_args")?,
        by: row.get("cmd_by")?,
        time: sure_time(row, "cmd_time")?,
        expires: time(row, "expires")?,
    })
}

/// An app as the ledger names it: by hash, or by path where the hash was not filled in yet.
pub(super) fn app_named(text: &str) -> Option<AppId> {
    text.parse().ok().or_else(|| text.parse::<AppPath>().ok().map(|path| AppId::of(&path)))
}

/// A row of the ledger.
pub(super) fn command_row(row: &Row<'_>) -> rusqlite::Result<CommandRow> {
    Ok(CommandRow {
        id: CommandId(row.get("id")?),
        app: row.get("app_id")?,
        name: CmdName::from_code(row.get("cmd_name")?).map_err(|error| invalid(row, "cmd_name", error))?,
        flag: CmdFlag::from_code(row.get("cmd_flag")?).map_err(|error| invalid(row, "cmd_flag", error))?,
        by: row.get("cmd_by")?,
        source: row.get("cmd_source")?,
        time: sure_time(row, "cmd_time")?,
        executed: time(row, "cmd_exec")?,
        reason: row.get("reason")?,
        batch: row.get("batch")?,
        note: row.get("note")?,
    })
}

/// The columns that [`run`] reads.
pub(super) const RUN_COLUMNS: &str = "runtime, app_id, start_time, end_time, outcome, exit_code, signal, except_cnt, \
    task_size, solved, failed, message, trigger, due_time, attempt, manager, pid, leftovers";

/// A row of the runtime table.
pub(super) fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let (id, app): (String, String) = (row.get("runtime")?, row.get("app_id")?);
    Ok(Run {
        run: id.parse().map_err(|error| invalid(row, "runtime", error))?,
        app: app.parse().map_err(|error| invalid(row, "app_id", error))?,
        start: sure_time(row, "start_time")?,
        end: time(row, "end_time")?,
        outcome: row.get("outcome")?,
        exit_code: row.get("exit_code")?,
        signal: row.get("signal")?,
        except_cnt: count(row, "except_cnt")?.unwrap_or(0),
        progress: Progress {
            task_size: count(row, "task_size")?,
            solved: count(row, "solved")?.unwrap_or(0),
            failed: count(row, "failed")?.unwrap_or(0),
            ..Progress::default()
        },
        trigger: row.get("trigger")?,
        due: time(row, "due_time")?,
        attempt: row.get("attempt")?,
        manager: row.get::<_, Option<String>>("manager")?.unwrap_or_default(),
        pid: row.get("pid")?,
        message: row.get("message")?,
        leftovers: row.get("leftovers")?,
    })
}

/// An open run.
pub(super) fn open_run(row: &Row<'_>) -> rusqlite::Result<OpenRun> {
    let trigger: String = row.get("trigger")?;
    let (run, app): (String, String) = (row.get("runtime")?, row.get("app_id")?);
    Ok(OpenRun {
        run: run.parse::<RunId>().map_err(|error| invalid(row, "runtime", error))?,
        app: app.parse().map_err(|error| invalid(row, "app_id", error))?,
        start: sure_time(row, "start_time")?,
        due: time(row, "due_time")?,
        trigger: Trigger::ALL.into_iter().find(|known| known.word() == trigger).unwrap_or(Trigger::Schedule),
        attempt: row.get("attempt")?,
        command: row.get::<_, Option<i64>>("command_id")?.map(CommandId),
        pid: row.get("pid")?,
        // Whatever it was called: an embedded database has one host.
        manager: None,
    })
}

/// A row of the managers table.
pub(super) fn manager(row: &Row<'_>) -> rusqlite::Result<ManagerRow> {
    Ok(ManagerRow {
        name: row.get("name")?,
        host: row.get("host")?,
        pid: row.get("pid")?,
        version: row.get("version")?,
        started: sure_time(row, "started")?,
        heartbeat: sure_time(row, "heartbeat")?,
        stopped: time(row, "stopped")?,
        incarnation: row.get::<_, i64>("incarnation")?.unsigned_abs(),
        renewals: row.get::<_, i64>("renewals")?.unsigned_abs(),
        lease: Duration::try_from_secs_f64(row.get("lease")?).unwrap_or(LEASE),
        lease_until: time(row, "lease_until")?,
        home: row.get("home")?,
        boot: row.get("boot")?,
        pools: serde_json::from_str(&row.get::<_, String>("pools")?).unwrap_or_default(),
        python: row.get("python")?,
        draining: row.get("draining")?,
        load: Load {
            running: row.get::<_, Option<u32>>("running")?.unwrap_or(0),
            running_max: row.get("running_max")?,
            waiting: row.get::<_, Option<u32>>("waiting")?.unwrap_or(0),
        },
    })
}

/// A row of the alerts table.
pub(super) fn alert(row: &Row<'_>) -> rusqlite::Result<AlertRow> {
    let by: Option<String> = row.get("acked_by")?;
    Ok(AlertRow {
        id: AlertId(row.get("id")?),
        app: row.get("app_id")?,
        kind: row.get("kind")?,
        message: row.get("message")?,
        raised: sure_time(row, "raised")?,
        delivered: time(row, "delivered")?,
        cleared: time(row, "cleared")?,
        run: row.get::<_, String>("runtime")?.parse().ok(),
        acknowledged: time(row, "acked")?.map(|at| (by.unwrap_or_default(), at)),
        muted_until: time(row, "muted_until")?,
    })
}

/// A row of the skips table.
pub(super) fn skip(row: &Row<'_>) -> rusqlite::Result<Skip> {
    const REASONS: [SkipReason; 4] =
        [SkipReason::Overlap, SkipReason::Superseded, SkipReason::Missed, SkipReason::CatchUpLimit];
    let (app, reason): (String, String) = (row.get("app_id")?, row.get("reason")?);
    Ok(Skip {
        app: app.parse().map_err(|error| invalid(row, "app_id", error))?,
        first: sure_time(row, "first_due")?,
        last: sure_time(row, "last_due")?,
        slots: row.get("slots")?,
        reason: REASONS.into_iter().find(|known| known.word() == reason).unwrap_or(SkipReason::Missed),
        at: sure_time(row, "recorded")?,
    })
}

/// A row of the `log_tails` table.
pub(super) fn kept_log(row: &Row<'_>) -> rusqlite::Result<KeptLog> {
    let (run, app): (String, String) = (row.get("runtime")?, row.get("app_id")?);
    Ok(KeptLog {
        run: run.parse().map_err(|error| invalid(row, "runtime", error))?,
        app: app.parse().map_err(|error| invalid(row, "app_id", error))?,
        manager: row.get("manager")?,
        bytes: row.get("bytes")?,
        written: sure_time(row, "written")?,
    })
}

fn invalid(
    row: &Row<'_>,
    name: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    let column = row.as_ref().column_index(name).unwrap_or(0);
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}
