//! Rows of the server as plain data.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, SubsecRound as _, Utc};
use sqlx::postgres::{PgRow, PgTypeInfo, PgValueRef};
use sqlx::{Postgres, Row as _};

use crate::model::{
    AlertId, AlertRow, App, AppId, AppRef, AppRow, AppState, CmdFlag, CmdName, Command, CommandId,
    CommandRow, Fatal, FatalFlag, KeptLog, LEASE, LastCommand, LastEnd, Load, ManagerRow, OpenRun, Planned,
    Progress, Reason, Registered, Revision, Run, RunId, RunStatus, Skip, SkipReason, Timestamp, Trigger,
    Word,
};
use crate::store::definition::{Definition, Faults, Parsed, Remarks, known_sequence};

/// The columns of [`APP_COLUMNS`] for a user who may not see the environment of apps.
pub(super) fn app_columns(sees_env: bool) -> String {
    if sees_env { APP_COLUMNS.to_owned() } else { APP_COLUMNS.replace("\"env\"", "NULL::text AS env") }
}

/// What reading a row may end with: a row that a hand edited into nonsense is [`Unreadable::Row`]
/// and is left out by those who can do without it.
pub(super) enum Unreadable {
    Row,
    Sql(sqlx::Error),
}

impl From<sqlx::Error> for Unreadable {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

type Read<T> = Result<T, Unreadable>;

/// Declares the columns that a query reads, by name in the text of the query and by position when
/// a row is taken apart: looking up 50 names in each of 10,000 rows costs more than the query.
macro_rules! columns {
    ($(#[$meta:meta])* $list:ident $name:ident { $first:ident $(, $rest:ident)* $(,)? }) => {
        $(#[$meta])*
        pub(super) const $list: &str =
            concat!("\"", stringify!($first), "\"" $(, ", \"", stringify!($rest), "\"")*);

        #[derive(Debug, Clone, Copy)]
        #[expect(non_camel_case_types, reason = "they are the names of the columns")]
        enum $name { $first $(, $rest)* }

        impl $name {
            const NAMES: &[&str] = &[stringify!($first) $(, stringify!($rest))*];

            fn get<'r, T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>>(self, row: &'r PgRow) -> sqlx::Result<T> {
                row.try_get(self as usize)
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

/// A `timestamptz` as it is sent. The server knows infinity and years that calendars of programs do
/// not have; to take those for a moment would end in a panic.
struct Micros(i64);

impl sqlx::Type<Postgres> for Micros {
    fn type_info() -> PgTypeInfo {
        <DateTime<Utc> as sqlx::Type<Postgres>>::type_info()
    }
}

impl<'r> sqlx::Decode<'r, Postgres> for Micros {
    fn decode(value: PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
        <i64 as sqlx::Decode<Postgres>>::decode(value).map(Self)
    }
}

impl Micros {
    /// From 1970-01-01 to 2000-01-01, where the server's count begins.
    const EPOCH: i64 = 946_684_800_000_000;

    fn moment(self) -> Option<Timestamp> {
        let micros = self.0.checked_add(Self::EPOCH)?;
        DateTime::from_timestamp_micros(micros)
            .map(|time| time.trunc_subsecs(3))
            .filter(|time| (1970..=9999).contains(&time.year()))
    }
}

/// A row of the apps table. Whatever it holds, something comes out of it.
pub(super) fn registered(row: &PgRow) -> sqlx::Result<Registered> {
    let definition = definition(row)?;
    let key: Option<String> = AppColumn::app.get(row)?;
    let names = [&definition.app_group, &definition.app_parent, &definition.app_name];
    let of_names = AppId::of_names(names.map(String::as_bytes));
    let names = names.map(Clone::clone);
    let id = key.as_deref().and_then(|key| key.parse().ok()).unwrap_or(of_names);
    let mut parsed = definition.parse(Faults::default(), id);
    if key.is_some_and(|key| key.parse() != Ok(of_names)) {
        parsed
            .faults
            .add("app", format!("app must be the SHA3-256 of GROUP|PARENT|APP, which is {of_names}"));
    }
    app_row(row, id, parsed, names).map(Registered::of)
}

fn app_row(row: &PgRow, id: AppId, parsed: Parsed, names: [String; 3]) -> sqlx::Result<AppRow> {
    let Parsed { path, program, schedule, policy, faults } = parsed;
    let mut remarks = Remarks::default();
    let times = &Times::read(row, &mut remarks)?;
    let run: Option<String> = AppColumn::runtime.get(row)?;
    let pids: Option<String> = AppColumn::app_pids.get(row)?;
    let state = AppState {
        status: RunStatus::from_code(AppColumn::run_status.get(row)?).unwrap_or(RunStatus::NotRunning),
        run: run.and_then(|run| run.parse().ok()),
        pid: pids.and_then(|pids| pids.parse().ok()),
        last_run: times.last_run,
        stopped_by: AppColumn::stopped_by.get(row)?,
        failures: u32::try_from(AppColumn::failures.get::<i64>(row)?).unwrap_or(0),
        fatal: fatal(row, times)?,
        waiting_for: AppColumn::waiting_for.get(row)?,
        manager: AppColumn::manager.get(row)?,
    };
    let mut app_count = |column: AppColumn| -> sqlx::Result<Option<u64>> {
        let number: Option<i64> = column.get(row)?;
        Ok(number.map(|number| remarks.count(AppColumn::NAMES[column as usize], number)))
    };
    let progress = Progress {
        task_size: app_count(AppColumn::task_size)?,
        percent: app_count(AppColumn::progress)?.and_then(|value| u8::try_from(value.min(100)).ok()),
        solved: app_count(AppColumn::solved)?.unwrap_or(0),
        failed: app_count(AppColumn::failed)?.unwrap_or(0),
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
        planned: planned(row)?,
        state,
        last_end: last_end(row, times)?,
        progress,
        command: last_command(row, times)?,
        asked_next_run: times.asked_next_run,
        slot: times.slot,
        is_named: AppColumn::app.get::<Option<&str>>(row)?.is_some(),
        sequence: known_sequence(AppColumn::sequence.get(row)?),
        epoch: u64::try_from(AppColumn::epoch.get::<i64>(row)?).unwrap_or(0),
        fault: faults.of_row(names),
        bad_report: remarks.of_row(),
        shown_fault: AppColumn::fault.get(row)?,
        row: AppColumn::id.get(row)?,
        revision: Revision(AppColumn::revision.get(row)?),
    })
}

fn definition(row: &PgRow) -> sqlx::Result<Definition> {
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
        on_failures: AppColumn::on_failures.get(row)?,
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
    last_end: Option<Timestamp>,
    eta: Option<Timestamp>,
    fatal_time: Option<Timestamp>,
    cmd_time: Option<Timestamp>,
    cmd_exec: Option<Timestamp>,
}

impl Times {
    fn read(row: &PgRow, remarks: &mut Remarks) -> sqlx::Result<Self> {
        let mut binding = |column: AppColumn| -> sqlx::Result<Option<Timestamp>> {
            let Some(micros) = column.get::<Option<Micros>>(row)? else { return Ok(None) };
            let count = micros.0;
            let time = micros.moment();
            if time.is_none() {
                remarks.not_a_time(AppColumn::NAMES[column as usize], &format!("{count} microseconds"));
            }
            Ok(time)
        };
        let next_run = binding(AppColumn::next_run)?;
        let asked_next_run = binding(AppColumn::asked_next_run)?;
        let informing = |column: AppColumn| -> sqlx::Result<Option<Timestamp>> {
            Ok(column.get::<Option<Micros>>(row)?.and_then(Micros::moment))
        };
        Ok(Self {
            next_run,
            asked_next_run,
            slot: informing(AppColumn::slot)?,
            last_run: informing(AppColumn::last_run)?,
            last_end: informing(AppColumn::last_end)?,
            eta: informing(AppColumn::eta)?,
            fatal_time: informing(AppColumn::fatal_time)?,
            cmd_time: informing(AppColumn::cmd_time)?,
            cmd_exec: informing(AppColumn::cmd_exec)?,
        })
    }
}

/// What `next_run` is.
fn planned(row: &PgRow) -> sqlx::Result<Option<Planned>> {
    let kind: Option<String> = AppColumn::next_run_kind.get(row)?;
    let pause: Option<f64> = AppColumn::pause.get(row)?;
    Ok(kind.and_then(|kind| Planned::from_stored(&kind, pause)))
}

fn last_end(row: &PgRow, times: &Times) -> sqlx::Result<Option<Box<LastEnd>>> {
    let outcome: Option<&str> = AppColumn::last_outcome.get(row)?;
    let exit_code = AppColumn::last_exit_code.get(row)?;
    let found = outcome.zip(times.last_end);
    Ok(found.map(|(outcome, at)| Box::new(LastEnd { outcome: outcome.into(), exit_code, at })))
}

fn fatal(row: &PgRow, times: &Times) -> sqlx::Result<Option<Box<Fatal>>> {
    let flag: i64 = AppColumn::fatal_flag.get(row)?;
    let message: Option<String> = AppColumn::fatal_msg.get(row)?;
    Ok(FatalFlag::from_code(flag).ok().map(|flag| {
        let time = times.fatal_time.unwrap_or(Timestamp::UNIX_EPOCH);
        Box::new(Fatal { flag, message: message.unwrap_or_default(), time })
    }))
}

fn last_command(row: &PgRow, times: &Times) -> sqlx::Result<Option<LastCommand>> {
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

fn count(row: &PgRow, name: &str) -> sqlx::Result<Option<u64>> {
    Ok(row.try_get::<Option<i64>, _>(name)?.map(|value| u64::try_from(value).unwrap_or(0)))
}

/// A number that is small by nature; one that is not was written by a hand.
fn small<T: TryFrom<i64>>(row: &PgRow, name: &str) -> Read<Option<T>> {
    let value: Option<i64> = row.try_get(name)?;
    value.map(|value| T::try_from(value).map_err(|_| Unreadable::Row)).transpose()
}

/// A time that only informs: what cannot be read is left out.
pub(super) fn time(row: &PgRow, name: &str) -> sqlx::Result<Option<Timestamp>> {
    Ok(row.try_get::<Option<Micros>, _>(name)?.and_then(Micros::moment))
}

fn sure_time(row: &PgRow, name: &str) -> sqlx::Result<Timestamp> {
    Ok(time(row, name)?.unwrap_or(Timestamp::UNIX_EPOCH))
}

/// The only column of a row, a time.
pub(super) fn moment(row: &PgRow) -> sqlx::Result<Option<Timestamp>> {
    Ok(row.try_get::<Option<Micros>, _>(0)?.and_then(Micros::moment))
}

fn parsed<T: std::str::FromStr>(row: &PgRow, name: &str) -> Read<T> {
    row.try_get::<&str, _>(name)?.parse().map_err(|_| Unreadable::Row)
}

fn cmd_name(row: &PgRow) -> Read<CmdName> {
    CmdName::from_code(row.try_get("cmd_name")?).map_err(|_| Unreadable::Row)
}

/// A command without a verdict.
pub(super) fn command(row: &PgRow) -> Read<Command> {
    Ok(Command {
        id: CommandId(row.try_get("id")?),
        app: app_named(row.try_get("app_id")?),
        name: cmd_name(row)?,
        args: row.try_get("cmd_args")?,
        by: row.try_get("cmd_by")?,
        time: sure_time(row, "cmd_time")?,
        expires: time(row, "expires")?,
        fault: None,
    })
}

/// An app as the ledger names it: by hash, or by path where the app was not known then.
fn app_named(text: &str) -> Option<AppId> {
    AppRef::from(text).id()
}

/// The columns that [`command_row`] reads.
pub(super) const COMMAND_COLUMNS: &str =
    "id, app_id, cmd_name, cmd_flag, cmd_by, cmd_source, cmd_time, cmd_exec, reason, batch, note";

/// A row of the ledger.
pub(super) fn command_row(row: &PgRow) -> Read<CommandRow> {
    Ok(CommandRow {
        id: CommandId(row.try_get("id")?),
        app: row.try_get::<&str, _>("app_id")?.into(),
        name: cmd_name(row)?,
        flag: CmdFlag::from_code(row.try_get("cmd_flag")?).map_err(|_| Unreadable::Row)?,
        by: row.try_get("cmd_by")?,
        source: row.try_get::<&str, _>("cmd_source")?.into(),
        time: sure_time(row, "cmd_time")?,
        executed: time(row, "cmd_exec")?,
        reason: row.try_get::<Option<&str>, _>("reason")?.map(Reason::from),
        batch: row.try_get("batch")?,
        note: row.try_get("note")?,
    })
}

/// The columns that [`run`] reads.
pub(super) const RUN_COLUMNS: &str = "runtime, app_id, start_time, end_time, outcome, exit_code, signal, except_cnt, \
    task_size, solved, failed, message, trigger, due_time, attempt, manager, pid, leftovers, command_id";

/// A row of the runtime table.
pub(super) fn run(row: &PgRow) -> Read<Run> {
    Ok(Run {
        run: parsed(row, "runtime")?,
        app: parsed(row, "app_id")?,
        start: sure_time(row, "start_time")?,
        end: time(row, "end_time")?,
        outcome: row.try_get::<Option<&str>, _>("outcome")?.map(Word::from),
        exit_code: row.try_get("exit_code")?,
        signal: small(row, "signal")?,
        except_cnt: count(row, "except_cnt")?.unwrap_or(0),
        progress: Progress {
            task_size: count(row, "task_size")?,
            solved: count(row, "solved")?.unwrap_or(0),
            failed: count(row, "failed")?.unwrap_or(0),
            ..Progress::default()
        },
        trigger: row.try_get::<&str, _>("trigger")?.into(),
        due: time(row, "due_time")?,
        attempt: small(row, "attempt")?.unwrap_or(1),
        manager: row.try_get::<Option<String>, _>("manager")?.unwrap_or_default(),
        pid: small(row, "pid")?,
        message: row.try_get("message")?,
        leftovers: small(row, "leftovers")?.unwrap_or(0),
        command: row.try_get::<Option<i64>, _>("command_id")?.map(CommandId),
    })
}

/// An open run.
pub(super) fn open_run(row: &PgRow) -> Read<OpenRun> {
    let trigger = Word::from(row.try_get::<&str, _>("trigger")?);
    Ok(OpenRun {
        run: parsed::<RunId>(row, "runtime")?,
        app: parsed(row, "app_id")?,
        start: sure_time(row, "start_time")?,
        due: time(row, "due_time")?,
        trigger: trigger.known().unwrap_or(Trigger::Schedule),
        attempt: small(row, "attempt")?.unwrap_or(1),
        command: row.try_get::<Option<i64>, _>("command_id")?.map(CommandId),
        pid: small(row, "pid")?,
        manager: row.try_get("manager")?,
    })
}

/// A row of the managers table.
pub(super) fn manager(row: &PgRow) -> Read<ManagerRow> {
    Ok(ManagerRow {
        name: row.try_get("name")?,
        host: row.try_get("host")?,
        pid: small(row, "pid")?.unwrap_or(0),
        version: row.try_get("version")?,
        started: sure_time(row, "started")?,
        heartbeat: sure_time(row, "heartbeat")?,
        stopped: time(row, "stopped")?,
        incarnation: count(row, "incarnation")?.unwrap_or(0),
        renewals: count(row, "renewals")?.unwrap_or(0),
        lease: Duration::try_from_secs_f64(row.try_get("lease")?).unwrap_or(LEASE),
        lease_until: time(row, "lease_until")?,
        home: row.try_get("home")?,
        boot: row.try_get("boot")?,
        pools: row.try_get::<Vec<Option<String>>, _>("pools")?.into_iter().flatten().collect(),
        python: row.try_get("python")?,
        draining: row.try_get("draining")?,
        load: Load {
            running: small(row, "running")?.unwrap_or(0),
            running_max: small(row, "running_max")?,
            waiting: small(row, "waiting")?.unwrap_or(0),
        },
    })
}

/// A row of the alerts table.
pub(super) fn alert(row: &PgRow) -> Read<AlertRow> {
    let by: Option<String> = row.try_get("acked_by")?;
    Ok(AlertRow {
        id: AlertId(row.try_get("id")?),
        app: row.try_get::<&str, _>("app_id")?.into(),
        kind: row.try_get::<&str, _>("kind")?.into(),
        message: row.try_get("message")?,
        raised: sure_time(row, "raised")?,
        delivered: time(row, "delivered")?,
        cleared: time(row, "cleared")?,
        run: parsed(row, "runtime").ok(),
        acknowledged: time(row, "acked")?.map(|at| (by.unwrap_or_default(), at)),
        muted_until: time(row, "muted_until")?,
    })
}

/// A row of the skips table.
pub(super) fn skip(row: &PgRow) -> Read<Skip> {
    let reason = Word::from(row.try_get::<&str, _>("reason")?);
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
pub(super) fn kept_log(row: &PgRow) -> Read<KeptLog> {
    Ok(KeptLog {
        run: parsed(row, "runtime")?,
        app: parsed(row, "app_id")?,
        manager: row.try_get("manager")?,
        bytes: row.try_get("bytes")?,
        written: sure_time(row, "written")?,
    })
}
