//! Writes a manager's changes in one transaction. Every statement has the effect of once, however
//! often it is repeated.

use chrono::TimeDelta;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, named_params, params};

use super::connection::translate;
use super::link::Shared;
use super::{deliveries, fleet_alerts};
use crate::model::{
    Alert, AlertEnd, AlertEvent, AlertId, AlertKind, AlertTurn, AppId, AppUpdate, Baseline, Change, Closing,
    CommandId, Ending, Exit, Planned, Refusal, Report, RunId, RunOpening, Skip, Timestamp, Unopened, Usage,
    Verdict, format_timestamp, known_pid, parse_timestamp_in,
};
use crate::store::definition::SEQUENCE_MAX;
use crate::store::row_reader::RowReader as _;
use crate::store::{ALERT_APP, Committed, StoreError};

/// Writes all changes, or none.
///
/// # Errors
/// [`StoreError::Replaced`] when the database is not the one that this process serves.
pub(super) fn commit(
    connection: &mut Connection,
    changes: &[Change],
    shared: &Shared,
) -> Result<Committed, StoreError> {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = begun.map_err(|error| translate(&error))?;
    shared.check_seat(&transaction)?;
    let committed =
        write(&transaction, changes, shared).and_then(|committed| transaction.commit().map(|()| committed));
    let committed = committed.map_err(|error| translate(&error))?;
    // What is written must not be written again: the next commit looks whether it is still there.
    let _ = shared.moved(connection);
    Ok(committed)
}

fn write(transaction: &Transaction<'_>, changes: &[Change], shared: &Shared) -> rusqlite::Result<Committed> {
    let routes = shared.routes();
    let manager = shared.seat().map(|seat| seat.mark.manager);
    let mut committed = Committed::default();
    let mut unopened = Unopened::default();
    for change in changes {
        if unopened.excludes(change) {
            continue;
        }
        match change {
            Change::RunOpened(opening) => {
                if let Some(refusal) = open_run(transaction, opening)? {
                    unopened.note(opening.app, opening.run);
                    committed.refused.push((opening.run, refusal));
                }
            }
            Change::RunStarted { run, pid, at, .. } => start_run(transaction, *run, *pid, *at)?,
            Change::RunClosed { run, app, closing } => {
                committed.pings |= close_run(transaction, *run, *app, closing)?;
            }
            Change::RunNotFound { run, app, owners, at } => {
                if is_owned(transaction, *run, owners)? {
                    committed.pings |=
                        close_run(transaction, *run, *app, &Closing::unseen(Ending::Unknown, *at))?;
                }
            }
            Change::App(update) => update_app(transaction, update)?,
            Change::Progress { app, run, report } => note_progress(transaction, *app, *run, report)?,
            Change::Used { app, run, usage } => note_usage(transaction, *app, *run, *usage)?,
            Change::CommandSettled { id, verdict, at, .. } => settle_command(transaction, *id, verdict, *at)?,
            Change::AlertOpened(alert) => {
                if let Some(event) = open_alert(transaction, alert)? {
                    deliveries::note_opened(transaction, &routes, &event, (alert.at, manager.as_deref()))?;
                    committed.alerts.push(event);
                }
            }
            Change::AlertRepeated(alert) => repeat_alert(transaction, alert)?,
            Change::AlertsClosed { app, kinds, at, end } => {
                for kind in *kinds {
                    for event in close_alerts(transaction, *app, *kind, (*at, *end))? {
                        deliveries::note_closed(transaction, &event, (*at, *end))?;
                        committed.alerts.push(event);
                    }
                }
            }
            Change::FleetAlert(change) => {
                committed.alerts.extend(fleet_alerts::write(
                    transaction,
                    change,
                    (&routes, manager.as_deref()),
                )?);
            }
            Change::Skipped(skip) => note_skip(transaction, skip)?,
            Change::AppNamed { row, id } => name_app(transaction, *row, *id)?,
            Change::AppFault { row, fault, .. } => {
                run_cached(transaction, "UPDATE apps SET fault = ?2 WHERE id = ?1", params![row, fault])?;
            }
            Change::TimesIgnored { row, revision, columns, .. } => {
                let nothing = columns.join(" = NULL, ");
                let sql = format!("UPDATE apps SET {nothing} = NULL WHERE id = ?1 AND revision = ?2");
                run_cached(transaction, &sql, params![row, revision.0])?;
            }
        }
    }
    Ok(committed)
}

pub(super) fn run_cached(
    transaction: &Transaction<'_>,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<usize> {
    transaction.prepare_cached(sql)?.execute(params)
}

/// Looks first and writes then, in two statements of one transaction that holds the write lock.
fn open_run(transaction: &Transaction<'_>, opening: &RunOpening) -> rusqlite::Result<Option<Refusal>> {
    let (app, run) = (opening.app.to_string(), opening.run.to_string());
    let is_known = transaction.prepare_cached("SELECT 1 FROM runtime WHERE runtime = ?1")?.exists([&run])?;
    if is_known {
        // The answer to the first try was lost.
        return Ok(None);
    }
    // The row of the run under way may have been deleted; the row of the app knows of it as well.
    let found: Option<(bool, Option<String>)> = transaction
        .prepare_cached(
            "SELECT disable, coalesce((SELECT runtime FROM runtime WHERE app_id = ?1 AND end_time IS NULL), \
             CASE WHEN run_status = 1 AND runtime <> ?2 \
               AND NOT EXISTS (SELECT 1 FROM runtime AS known WHERE known.runtime = apps.runtime) THEN runtime END) \
             FROM apps WHERE app = ?1",
        )?
        .query_row([&app, &run], |row| Ok((row.is_set(0)?, row.owned(1)?)))
        .optional()?;
    let open = match found {
        None => return Ok(Some(Refusal::NoSuchApp)),
        Some((true, _)) if !opening.is_forced => return Ok(Some(Refusal::Disabled)),
        Some((_, open)) => open,
    };
    match open.map(|other| other.parse()) {
        Some(Ok(other)) => return Ok(Some(Refusal::AlreadyOpen(other))),
        Some(Err(_)) => {
            // No manager begins a run with such an id: another program left the row.
            run_cached(
                transaction,
                "UPDATE runtime SET end_time = ?2, outcome = 'unknown', message = 'runtime is not the id of a run' \
                 WHERE app_id = ?1 AND end_time IS NULL",
                params![app, format_timestamp(opening.at)],
            )?;
        }
        None => {}
    }
    run_cached(
        transaction,
        "INSERT INTO runtime (runtime, app_id, start_time, trigger, due_time, attempt, command_id, manager) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            run,
            app,
            format_timestamp(opening.at),
            opening.trigger.word(),
            opening.due.map(format_timestamp),
            opening.attempt,
            opening.command.map(|id| id.0),
            opening.manager,
        ],
    )?;
    run_cached(
        transaction,
        "UPDATE apps SET run_status = 1, runtime = ?2, last_run = ?3, app_pids = NULL, manager = ?4, task_size = NULL, \
         progress = 0, solved = 0, failed = 0, eta = NULL, message = NULL, memory = NULL, cpu = NULL, \
         memory_peak = NULL WHERE app = ?1",
        params![app, run, format_timestamp(opening.at), opening.manager],
    )?;
    Ok(None)
}

fn start_run(transaction: &Transaction<'_>, run: RunId, pid: u32, at: Timestamp) -> rusqlite::Result<()> {
    run_cached(
        transaction,
        "UPDATE runtime SET pid = ?2, start_time = ?3 WHERE runtime = ?1 AND end_time IS NULL",
        params![run.to_string(), known_pid(pid), format_timestamp(at)],
    )?;
    run_cached(
        transaction,
        "UPDATE apps SET app_pids = ?2, last_run = ?3 \
         WHERE app = (SELECT app_id FROM runtime WHERE runtime = ?1) AND runtime = ?1 AND run_status = 1",
        params![run.to_string(), known_pid(pid).map(|pid| pid.to_string()), format_timestamp(at)],
    )?;
    Ok(())
}

/// Whether the row of a run says one of these owners, or none.
fn is_owned(transaction: &Transaction<'_>, run: RunId, owners: &[String; 2]) -> rusqlite::Result<bool> {
    transaction
        .prepare_cached(
            "SELECT 1 FROM runtime WHERE runtime = ?1 AND (manager IS NULL OR manager IN (?2, ?3))",
        )?
        .exists(params![run.to_string(), owners[0], owners[1]])
}

/// Says whether the app's `ping_url` is to be called.
fn close_run(
    transaction: &Transaction<'_>,
    run: RunId,
    app: AppId,
    closing: &Closing,
) -> rusqlite::Result<bool> {
    let (run, app) = (run.to_string(), app.to_string());
    let Report { task_size, solved, failed, except_cnt, message, .. } = &closing.report;
    let exit = closing.ending.exit();
    let signal = exit.and_then(|exit| match exit {
        Exit::Signal { signal, .. } => Some(signal),
        Exit::Code(_) => None,
    });
    // The clock may have been set back meanwhile: a run does not end before it began.
    // What the app wrote into its own row counts where it did not report otherwise.
    // A run whose row is missing (it was deleted, or the database is an older backup) is entered whole, whatever
    // other rows there are of its app.
    let closed = transaction
        .prepare_cached(
            "WITH known AS (SELECT start_time, except_cnt FROM runtime WHERE runtime = :run), \
             own AS (SELECT task_size, solved, failed, message, memory_peak FROM apps WHERE app = :app AND runtime = :run), \
             start (at) AS (SELECT coalesce(:start, (SELECT start_time FROM known), :end)), \
             times (began, ended) AS (SELECT at, max(:end, at) FROM start), \
             took (days) AS (SELECT julianday(ended) - julianday(began) FROM times) \
             INSERT INTO runtime (runtime, app_id, start_time, end_time, outcome, exit_code, signal, leftovers, \
                 except_cnt, task_size, solved, failed, message, memory_peak, totals, totalm, totalh, trigger) \
             SELECT :run, :app, began, ended, :outcome, :exit_code, :signal, :leftovers, \
                 coalesce(:except_cnt, (SELECT except_cnt FROM known), 0), coalesce(:task_size, own.task_size), \
                 coalesce(:solved, own.solved), coalesce(:failed, own.failed), \
                 coalesce(:failure, :message, own.message, :error_line), own.memory_peak, CAST(days * 86400.0 + 0.0005 AS INTEGER), \
                 CAST(days * 1440.0 + 0.00001 AS INTEGER), CAST(days * 24.0 + 0.0000002 AS INTEGER), 'schedule' \
             FROM times, took LEFT JOIN own ON true WHERE true \
             ON CONFLICT (runtime) DO UPDATE SET start_time = excluded.start_time, end_time = excluded.end_time, \
                 outcome = excluded.outcome, exit_code = excluded.exit_code, signal = excluded.signal, \
                 leftovers = excluded.leftovers, except_cnt = excluded.except_cnt, task_size = excluded.task_size, \
                 solved = excluded.solved, failed = excluded.failed, message = excluded.message, \
                 memory_peak = excluded.memory_peak, \
                 totals = excluded.totals, totalm = excluded.totalm, totalh = excluded.totalh \
             WHERE runtime.end_time IS NULL",
        )?
        .execute(named_params! {
            ":run": run,
            ":app": app,
            ":start": closing.started.map(format_timestamp),
            ":end": format_timestamp(closing.ended),
            ":outcome": closing.ending.outcome().word(),
            ":exit_code": exit.map(Exit::code),
            ":signal": signal,
            ":leftovers": closing.leftovers.count,
            ":except_cnt": except_cnt.map(to_stored),
            ":task_size": task_size.map(to_stored),
            ":solved": solved.map(to_stored),
            ":failed": failed.map(to_stored),
            ":failure": closing.ending.message(),
            ":message": message,
            ":error_line": closing.error_line(),
        })?;
    let is_pinged = closed > 0 && deliveries::note_ping(transaction, (&app, &run), closing)?;
    note_counters(transaction, &app, &run, &closing.report)?;
    // The row of the app follows; its `next_run` and the rest come with the update of the app.
    run_cached(
        transaction,
        "UPDATE apps SET eta = NULL, app_pids = NULL, memory = NULL, cpu = NULL, run_status = 0, last_outcome = run.outcome, \
         last_exit_code = run.exit_code, last_end = run.end_time FROM runtime AS run \
         WHERE apps.app = ?1 AND apps.runtime = ?2 AND apps.run_status = 1 AND run.runtime = ?2",
        params![app, run],
    )?;
    Ok(is_pinged)
}

fn note_progress(
    transaction: &Transaction<'_>,
    app: AppId,
    run: RunId,
    report: &Report,
) -> rusqlite::Result<()> {
    let (app, run) = (app.to_string(), run.to_string());
    if let Some(count) = report.except_cnt {
        run_cached(
            transaction,
            "UPDATE runtime SET except_cnt = ?2 WHERE runtime = ?1 AND end_time IS NULL",
            params![run, to_stored(count)],
        )?;
    }
    note_counters(transaction, &app, &run, report)
}

fn note_counters(
    transaction: &Transaction<'_>,
    app: &str,
    run: &str,
    report: &Report,
) -> rusqlite::Result<()> {
    let Report { task_size, percent, solved, failed, eta, next_run, except_cnt: _, message } = report;
    if task_size.is_some() || solved.is_some() || failed.is_some() || message.is_some() {
        run_cached(
            transaction,
            "UPDATE apps SET task_size = coalesce(?3, task_size), solved = coalesce(?4, solved), \
             failed = coalesce(?5, failed), message = coalesce(?6, message) \
             WHERE app = ?1 AND runtime = ?2 AND run_status = 1",
            params![
                app,
                run,
                task_size.map(to_stored),
                solved.map(to_stored),
                failed.map(to_stored),
                message
            ],
        )?;
    }
    // A wish that survives the manager and the shim.
    if let Some(time) = next_run {
        run_cached(
            transaction,
            "UPDATE apps SET asked_next_run = ?3 WHERE app = ?1 AND runtime = ?2 AND run_status = 1",
            params![app, run, format_timestamp(*time)],
        )?;
    }
    // After the counters, from which a trigger works out both where the app does not give them.
    if percent.is_some() || eta.is_some() {
        run_cached(
            transaction,
            "UPDATE apps SET progress = coalesce(?3, progress), eta = coalesce(?4, eta) \
             WHERE app = ?1 AND runtime = ?2 AND run_status = 1",
            params![app, run, percent, eta.map(format_timestamp)],
        )?;
    }
    Ok(())
}

fn note_usage(transaction: &Transaction<'_>, app: AppId, run: RunId, usage: Usage) -> rusqlite::Result<()> {
    run_cached(
        transaction,
        "UPDATE apps SET memory = ?3, cpu = ?4, memory_peak = ?5 \
         WHERE app = ?1 AND runtime = ?2 AND run_status = 1",
        params![
            app.to_string(),
            run.to_string(),
            usage.memory.map(to_stored),
            usage.cpu,
            usage.memory_peak.map(to_stored)
        ],
    )?;
    Ok(())
}

fn update_app(transaction: &Transaction<'_>, update: &AppUpdate) -> rusqlite::Result<()> {
    let AppUpdate { app, sequence, state, next_run, planned, slot, asked_taken, disabled } = update;
    let run = state.run.map(|run| run.to_string());
    let is_asked_taken = match asked_taken {
        Some(time) => asks_for(transaction, &app.to_string(), *time)?,
        None => false,
    };
    transaction
        .prepare_cached(
            "UPDATE apps SET sequence = :sequence, next_run = :next_run, next_run_kind = :kind, pause = :pause, run_status = :status, app_pids = :pid, \
             runtime = :run, last_run = :last_run, stopped_by = :stopped_by, failures = :failures, suspects = :suspects, \
             fatal_flag = :fatal_flag, fatal_msg = :fatal_msg, fatal_time = :fatal_time, fatal_cause = :fatal_cause, baseline = :baseline, waiting_for = :waiting_for, \
             concern = :concern, concern_since = :concern_since, \
             manager = :manager, disable = coalesce(:disabled, disable), slot = :slot, \
             asked_next_run = CASE WHEN :is_asked_taken THEN NULL ELSE asked_next_run END \
             WHERE app = :app AND (sequence < :sequence OR sequence >= :sequence_max)",
        )?
        .execute(named_params! {
            ":app": app.to_string(),
            ":sequence": i64::try_from(*sequence).unwrap_or(i64::MAX),
            ":next_run": next_run.map(format_timestamp),
            ":kind": planned.map(Planned::word),
            ":pause": planned.and_then(Planned::seconds),
            ":status": state.status.code(),
            ":pid": state.pid.map(|pid| pid.to_string()),
            ":sequence_max": SEQUENCE_MAX,
            ":run": run,
            ":last_run": state.last_run.map(format_timestamp),
            ":stopped_by": state.stopped_by,
            ":failures": state.failures,
            ":suspects": state.suspects,
            ":baseline": state.baseline.as_ref().map(Baseline::text),
            ":fatal_cause": state.fatal.as_ref().map(|fatal| fatal.cause.word()),
            ":fatal_flag": state.fatal.as_ref().map_or(0, |fatal| fatal.flag.code()),
            ":fatal_msg": state.fatal.as_ref().map(|fatal| &fatal.message),
            ":fatal_time": state.fatal.as_ref().map(|fatal| format_timestamp(fatal.time)),
            ":waiting_for": state.waiting_for,
            ":concern": state.concern.as_ref().map(|conclusion| conclusion.concern.word()),
            ":concern_since": state.concern.as_ref().map(|conclusion| format_timestamp(conclusion.since)),
            ":manager": state.manager,
            ":disabled": disabled,
            ":is_asked_taken": is_asked_taken,
            ":slot": slot.map(format_timestamp),
        })?;
    Ok(())
}

/// Whether the row still asks for this time, in whatever form that was written.
fn asks_for(transaction: &Transaction<'_>, app: &str, time: Timestamp) -> rusqlite::Result<bool> {
    let mut statement =
        transaction.prepare_cached("SELECT asked_next_run, time_zone FROM apps WHERE app = ?1")?;
    let asked = statement.query_row([app], |row| Ok((row.owned(0)?, row.owned(1)?))).optional()?;
    let Some((Some(asked), zone)) = asked else { return Ok(false) };
    let zone = zone.and_then(|zone| zone.parse().ok()).unwrap_or(chrono_tz::Tz::UTC);
    Ok(parse_timestamp_in(&asked, &zone) == Ok(time))
}

fn settle_command(
    transaction: &Transaction<'_>,
    id: CommandId,
    verdict: &Verdict,
    at: Timestamp,
) -> rusqlite::Result<()> {
    run_cached(
        transaction,
        "UPDATE commands SET cmd_flag = ?2, cmd_exec = ?3, reason = ?4 WHERE id = ?1 AND cmd_flag = 0",
        params![id.0, verdict.flag().code(), format_timestamp(at), verdict.reason().map(ToString::to_string)],
    )?;
    Ok(())
}

/// Gives the alert back if its row is new.
fn open_alert(transaction: &Transaction<'_>, alert: &Alert) -> rusqlite::Result<Option<AlertEvent>> {
    let added = transaction
        .prepare_cached(&format!(
            "INSERT OR IGNORE INTO alerts \
             (app_id, kind, runtime, message, opened, last_seen, cause, count, severity, detail) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9) RETURNING id, {ALERT_APP}"
        ))?
        .query_row(
            params![
                alert.app.to_string(),
                alert.kind.word(),
                alert.episode(),
                alert.message,
                format_timestamp(alert.at),
                alert.cause.text(),
                alert.count,
                alert.kind.severity().word(),
                alert.detail,
            ],
            |row| Ok((row.get("id").map(AlertId)?, row.sure_owned("path")?)),
        )
        .optional()?;
    let message = alert.message.clone();
    Ok(added.map(|(id, app)| AlertEvent { id, app, kind: alert.kind, message, turn: AlertTurn::Opened }))
}

fn repeat_alert(transaction: &Transaction<'_>, alert: &Alert) -> rusqlite::Result<()> {
    run_cached(
        transaction,
        "UPDATE alerts SET last_seen = ?3, count = ?4, cause = ?5, message = ?6, detail = ?7 \
         WHERE app_id = ?1 AND kind = ?2 AND closed IS NULL",
        params![
            alert.app.to_string(),
            alert.kind.word(),
            format_timestamp(alert.at),
            alert.count,
            alert.cause.text(),
            alert.message,
            alert.detail
        ],
    )?;
    Ok(())
}

/// Gives the alerts back that were open.
fn close_alerts(
    transaction: &Transaction<'_>,
    app: AppId,
    kind: AlertKind,
    (at, end): (Timestamp, AlertEnd),
) -> rusqlite::Result<Vec<AlertEvent>> {
    transaction
        .prepare_cached(&format!(
            "UPDATE alerts SET closed = ?3 WHERE app_id = ?1 AND kind = ?2 AND closed IS NULL \
             RETURNING id, message, opened, {ALERT_APP}"
        ))?
        .query_map(params![app.to_string(), kind.word(), format_timestamp(at)], |row| {
            let after = row.time("opened")?.map_or(TimeDelta::zero(), |opened| at - opened);
            Ok(AlertEvent {
                id: row.get("id").map(AlertId)?,
                app: row.sure_owned("path")?,
                kind,
                message: row.sure_owned("message")?,
                turn: AlertTurn::Closed { after, end },
            })
        })?
        .collect()
}

fn note_skip(transaction: &Transaction<'_>, skip: &Skip) -> rusqlite::Result<()> {
    run_cached(
        transaction,
        "INSERT INTO skips (app_id, first_due, last_due, slots, reason, recorded) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (app_id, first_due, reason) DO UPDATE \
         SET last_due = excluded.last_due, slots = excluded.slots, recorded = excluded.recorded \
         WHERE skips.last_due < excluded.last_due",
        params![
            skip.app.to_string(),
            format_timestamp(skip.first),
            format_timestamp(skip.last),
            skip.slots,
            skip.reason.word(),
            format_timestamp(skip.at)
        ],
    )?;
    Ok(())
}

fn name_app(transaction: &Transaction<'_>, row: i64, id: AppId) -> rusqlite::Result<()> {
    run_cached(
        transaction,
        "UPDATE apps SET app = ?2 WHERE id = ?1 AND app IS NULL",
        params![row, id.to_string()],
    )?;
    // Commands that were issued before name the app by its path.
    run_cached(
        transaction,
        "UPDATE commands SET app_id = ?2 WHERE app_id = \
         (SELECT app_group || '/' || app_parent || '/' || app_name FROM apps WHERE id = ?1)",
        params![row, id.to_string()],
    )?;
    Ok(())
}

/// SQLite has no unsigned numbers; a count beyond its range is as good as its largest.
fn to_stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
