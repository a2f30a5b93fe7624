//! Writes a manager's changes in one transaction. Every statement has the effect of once, however
//! often it is repeated.

use chrono::SubsecRound as _;
use sqlx::{PgConnection, Row as _};

use super::connection::{Fault, composed, statement};
use super::deliveries;
use super::fleet_alerts;
use super::held;
use super::managers::{self, Seat};
use crate::model::{
    Alert, AlertEnd, AlertEvent, AlertId, AlertKind, AlertTurn, AppId, AppUpdate, Baseline, Change, Closing,
    CommandId, Ending, Exit, Planned, Refusal, Report, Route, RunId, RunOpening, Skip, Timestamp, Unopened,
    Usage, Verdict, Word, known_pid,
};
use crate::store::definition::SEQUENCE_MAX;
use crate::store::{ALERT_APP, Committed};

type Written<T> = Result<T, Fault>;

/// Writes all changes but those of apps whose rows another transaction holds.
pub(super) async fn commit(
    connection: &mut PgConnection,
    changes: &[Change],
    seat: Option<&Seat>,
    routes: &[Route],
) -> Written<Committed> {
    let mut committed = Committed::default();
    if let Some(seat) = seat {
        managers::share_seat(connection, &seat.name).await?;
        if !managers::holds(connection, seat).await? {
            // Others may be about to take over: of what they may have, nothing new begins before that.
            committed.held = held::without_lease(connection, changes, &seat.name).await?;
        }
    }
    let manager = seat.map(|seat| seat.name.as_str());
    committed.held.extend(held::take(connection, changes).await?);
    let mut unopened = Unopened::default();
    for change in changes {
        let is_held = committed.held.iter().any(|held| held.subject == change.subject());
        if is_held || unopened.excludes(change) {
            continue;
        }
        match change {
            Change::RunOpened(opening) => {
                if let Some(refusal) = open_run(connection, opening, manager).await? {
                    unopened.note(opening.app, opening.run);
                    committed.refused.push((opening.run, refusal));
                }
            }
            Change::RunStarted { run, pid, at, .. } => start_run(connection, *run, *pid, *at).await?,
            Change::RunClosed { run, app, closing } => {
                committed.pings |= close_run(connection, *run, *app, closing).await?;
            }
            Change::RunNotFound { run, app, owners, at } => {
                if is_owned(connection, *run, owners).await? {
                    committed.pings |=
                        close_run(connection, *run, *app, &Closing::unseen(Ending::Unknown, *at)).await?;
                }
            }
            Change::App(update) => update_app(connection, update, manager).await?,
            Change::Progress { app, run, report } => note_progress(connection, *app, *run, report).await?,
            Change::Used { app, run, usage } => note_usage(connection, *app, *run, *usage).await?,
            Change::CommandSettled { id, verdict, at, .. } => {
                settle_command(connection, *id, verdict, *at).await?;
            }
            Change::AlertOpened(alert) => {
                if let Some(event) = open_alert(connection, alert).await? {
                    deliveries::note_opened(connection, routes, &event, (alert.at, manager)).await?;
                    committed.alerts.push(event);
                }
            }
            Change::AlertRepeated(alert) => repeat_alert(connection, alert).await?,
            Change::AlertsClosed { app, kinds, at, end } => {
                for event in close_alerts(connection, *app, kinds, (*at, *end)).await? {
                    deliveries::note_closed(connection, &event, (*at, *end)).await?;
                    committed.alerts.push(event);
                }
            }
            Change::FleetAlert(change) => {
                committed.alerts.extend(fleet_alerts::write(connection, change, (routes, manager)).await?);
            }
            Change::Skipped(skip) => note_skip(connection, skip).await?,
            Change::AppNamed { row, id } => name_app(connection, *row, *id).await?,
            Change::AppFault { row, fault, .. } => note_fault(connection, *row, fault.as_deref()).await?,
            Change::TimesIgnored { row, revision, columns, .. } => {
                let nothing = columns.join(" = NULL, ");
                let sql = format!("UPDATE apps SET {nothing} = NULL WHERE id = $1 AND revision = $2");
                composed(sql).bind(row).bind(revision.0).execute(&mut *connection).await?;
            }
        }
    }
    Ok(committed)
}

/// Looks first and writes then: no other writer comes between. The row of the run under way may have been deleted;
/// the row of the app knows of it as well.
async fn open_run(
    connection: &mut PgConnection,
    opening: &RunOpening,
    manager: Option<&str>,
) -> Written<Option<Refusal>> {
    let (app, run) = (opening.app.to_string(), opening.run.to_string());
    let found = statement(
        "SELECT EXISTS (SELECT FROM runtime WHERE runtime = $1) AS is_known, \
         (SELECT disable FROM apps WHERE app = $2) AS disabled, \
         $3 IS NOT NULL AND EXISTS (SELECT FROM apps WHERE app = $2 AND manager IS DISTINCT FROM $3) AS is_foreign, \
         coalesce((SELECT runtime FROM runtime WHERE app_id = $2 AND end_time IS NULL), \
           (SELECT runtime FROM apps WHERE app = $2 AND run_status = 1 AND runtime <> $1 \
             AND NOT EXISTS (SELECT FROM runtime AS known WHERE known.runtime = apps.runtime))) AS open",
    )
    .bind(&run)
    .bind(&app)
    .bind(manager)
    .fetch_one(&mut *connection)
    .await?;
    if found.try_get("is_known")? {
        // The answer to the first try was lost.
        return Ok(None);
    }
    match found.try_get("disabled")? {
        None => return Ok(Some(Refusal::NoSuchApp)),
        Some(true) if !opening.is_forced => return Ok(Some(Refusal::Disabled)),
        Some(_) if found.try_get("is_foreign")? => return Ok(Some(Refusal::OwnedByOther)),
        Some(_) => {}
    }
    let open: Option<String> = found.try_get("open")?;
    match open.map(|other| other.parse()) {
        Some(Ok(other)) => return Ok(Some(Refusal::AlreadyOpen(other))),
        Some(Err(_)) => {
            // No manager begins a run with such an id: another program left the row.
            statement(
                "UPDATE runtime SET end_time = $2, outcome = 'unknown', message = 'runtime is not the id of a run' \
                 WHERE app_id = $1 AND end_time IS NULL",
            )
            .bind(&app)
            .bind(milliseconds(opening.at))
            .execute(&mut *connection)
            .await?;
        }
        None => {}
    }
    statement(
        "WITH opened AS (INSERT INTO runtime \
           (runtime, app_id, start_time, trigger, due_time, attempt, command_id, manager) \
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)) \
         UPDATE apps SET run_status = 1, runtime = $1, last_run = $3, app_pids = NULL, task_size = NULL, \
         progress = 0, solved = 0, failed = 0, eta = NULL, message = NULL, memory = NULL, cpu = NULL, \
         memory_peak = NULL WHERE app = $2",
    )
    .bind(run)
    .bind(app)
    .bind(milliseconds(opening.at))
    .bind(opening.trigger.word())
    .bind(opening.due.map(milliseconds))
    .bind(i64::from(opening.attempt))
    .bind(opening.command.map(|id| id.0))
    .bind(text(&opening.manager))
    .execute(connection)
    .await?;
    Ok(None)
}

async fn start_run(connection: &mut PgConnection, run: RunId, pid: u32, at: Timestamp) -> Written<()> {
    statement(
        "WITH started AS (UPDATE runtime SET pid = $2, start_time = $3 WHERE runtime = $1 AND end_time IS NULL) \
         UPDATE apps SET app_pids = $4, last_run = $3 \
         WHERE app = (SELECT app_id FROM runtime WHERE runtime = $1) AND runtime = $1 AND run_status = 1",
    )
    .bind(run.to_string())
    .bind(known_pid(pid).map(i64::from))
    .bind(milliseconds(at))
    .bind(known_pid(pid).map(|pid| pid.to_string()))
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the row of a run says one of these owners, or none.
async fn is_owned(connection: &mut PgConnection, run: RunId, owners: &[String; 2]) -> Written<bool> {
    let found =
        statement("SELECT FROM runtime WHERE runtime = $1 AND (manager IS NULL OR manager = ANY($2))")
            .bind(run.to_string())
            .bind(owners.each_ref().map(|owner| text(owner)).to_vec())
            .fetch_optional(connection)
            .await?;
    Ok(found.is_some())
}

/// Says whether the app's `ping_url` is to be called.
async fn close_run(
    connection: &mut PgConnection,
    run: RunId,
    app: AppId,
    closing: &Closing,
) -> Written<bool> {
    let (run, app) = (run.to_string(), app.to_string());
    let Report { task_size, solved, failed, except_cnt, message, .. } = &closing.report;
    let failure = closing.ending.message();
    let exit = closing.ending.exit();
    let signal = exit.and_then(|exit| match exit {
        Exit::Signal { signal, .. } => Some(i64::from(signal)),
        Exit::Code(_) => None,
    });
    // The clock may have been set back meanwhile: a run does not end before it began.
    // What the app wrote into its own row counts where it did not report otherwise.
    // A run whose row is missing (it was deleted, or the database is an older backup) is entered whole, whatever
    // other rows there are of its app.
    let closed = statement(
        "WITH start AS (SELECT coalesce($3, (SELECT start_time FROM runtime WHERE runtime = $1), $4) AS at), \
         times AS (SELECT at AS began, greatest($4, at) AS ended, \
             extract(epoch FROM greatest($4, at) - at) AS took FROM start) \
         INSERT INTO runtime (runtime, app_id, start_time, end_time, outcome, exit_code, signal, leftovers, \
             except_cnt, task_size, solved, failed, message, memory_peak, totals, totalm, totalh, trigger) \
         SELECT $1, $2, began, ended, $5, $6, $7, $8, \
             coalesce($9, (SELECT except_cnt FROM runtime WHERE runtime = $1), 0), coalesce($10, own.task_size), \
             coalesce($11, own.solved), coalesce($12, own.failed), coalesce($13, own.message, $14), own.memory_peak, \
             trunc(took)::bigint, trunc(took / 60)::bigint, trunc(took / 3600)::bigint, 'schedule' \
         FROM times LEFT JOIN apps AS own ON own.app = $2 AND own.runtime = $1 \
         ON CONFLICT (runtime) DO UPDATE SET start_time = excluded.start_time, end_time = excluded.end_time, \
             outcome = excluded.outcome, exit_code = excluded.exit_code, signal = excluded.signal, \
             leftovers = excluded.leftovers, except_cnt = excluded.except_cnt, task_size = excluded.task_size, \
             solved = excluded.solved, failed = excluded.failed, message = excluded.message, \
             memory_peak = excluded.memory_peak, \
             totals = excluded.totals, totalm = excluded.totalm, totalh = excluded.totalh \
         WHERE runtime.end_time IS NULL",
    )
    .bind(&run)
    .bind(&app)
    .bind(closing.started.map(milliseconds))
    .bind(milliseconds(closing.ended))
    .bind(closing.ending.outcome().word())
    .bind(exit.map(Exit::code))
    .bind(signal)
    .bind(i64::from(closing.leftovers.count))
    .bind(except_cnt.map(to_stored))
    .bind(task_size.map(to_stored))
    .bind(solved.map(to_stored))
    .bind(failed.map(to_stored))
    .bind(failure.or(message.as_deref()).map(text))
    .bind(closing.error_line().map(text))
    .execute(&mut *connection)
    .await?;
    let is_pinged =
        closed.rows_affected() > 0 && deliveries::note_ping(connection, (&app, &run), closing).await?;
    note_counters(connection, &app, &run, &closing.report).await?;
    // The row of the app follows; its `next_run` and the rest come with the update of the app.
    statement(
        "UPDATE apps SET eta = NULL, app_pids = NULL, memory = NULL, cpu = NULL, run_status = 0, last_outcome = run.outcome, \
         last_exit_code = run.exit_code, last_end = run.end_time FROM runtime AS run \
         WHERE apps.app = $1 AND apps.runtime = $2 AND apps.run_status = 1 AND run.runtime = $2",
    )
    .bind(app)
    .bind(run)
    .execute(connection)
    .await?;
    Ok(is_pinged)
}

async fn note_progress(
    connection: &mut PgConnection,
    app: AppId,
    run: RunId,
    report: &Report,
) -> Written<()> {
    let (app, run) = (app.to_string(), run.to_string());
    if let Some(count) = report.except_cnt {
        statement("UPDATE runtime SET except_cnt = $2 WHERE runtime = $1 AND end_time IS NULL")
            .bind(&run)
            .bind(to_stored(count))
            .execute(&mut *connection)
            .await?;
    }
    note_counters(connection, &app, &run, report).await
}

async fn note_counters(connection: &mut PgConnection, app: &str, run: &str, report: &Report) -> Written<()> {
    let Report { task_size, percent, solved, failed, eta, next_run, except_cnt: _, message } = report;
    if task_size.is_some() || solved.is_some() || failed.is_some() || message.is_some() || next_run.is_some()
    {
        // `asked_next_run` is a wish that survives the manager and the shim.
        statement(
            "UPDATE apps SET task_size = coalesce($3, task_size), solved = coalesce($4, solved), \
             failed = coalesce($5, failed), message = coalesce($6, message), \
             asked_next_run = coalesce($7, asked_next_run) \
             WHERE app = $1 AND runtime = $2 AND run_status = 1",
        )
        .bind(app)
        .bind(run)
        .bind(task_size.map(to_stored))
        .bind(solved.map(to_stored))
        .bind(failed.map(to_stored))
        .bind(message.as_deref().map(text))
        .bind(next_run.map(milliseconds))
        .execute(&mut *connection)
        .await?;
    }
    // After the counters, from which a trigger works out both where the app does not give them.
    if percent.is_some() || eta.is_some() {
        statement(
            "UPDATE apps SET progress = coalesce($3, progress), eta = coalesce($4, eta) \
             WHERE app = $1 AND runtime = $2 AND run_status = 1",
        )
        .bind(app)
        .bind(run)
        .bind(percent.map(i64::from))
        .bind(eta.map(milliseconds))
        .execute(connection)
        .await?;
    }
    Ok(())
}

async fn note_usage(connection: &mut PgConnection, app: AppId, run: RunId, usage: Usage) -> Written<()> {
    statement(
        "UPDATE apps SET memory = $3, cpu = $4, memory_peak = $5 WHERE app = $1 AND runtime = $2 AND run_status = 1",
    )
    .bind(app.to_string())
    .bind(run.to_string())
    .bind(usage.memory.map(to_stored))
    .bind(usage.cpu)
    .bind(usage.memory_peak.map(to_stored))
    .execute(connection)
    .await?;
    Ok(())
}

async fn update_app(connection: &mut PgConnection, update: &AppUpdate, manager: Option<&str>) -> Written<()> {
    let AppUpdate { app, sequence, state, next_run, planned, slot, asked_taken, disabled } = update;
    statement(
        "UPDATE apps SET sequence = $2, next_run = $3, run_status = $4, app_pids = $5, runtime = $6, last_run = $7, \
         stopped_by = $8, failures = $9, fatal_flag = $10, fatal_msg = $11, fatal_time = $12, waiting_for = $13, \
         disable = coalesce($15, disable), slot = $17, next_run_kind = $19, pause = $20, concern = $21, concern_since = $22, \
         suspects = $23, baseline = $24, fatal_cause = $25, \
         asked_next_run = CASE WHEN date_trunc('milliseconds', asked_next_run) = $16 THEN NULL ELSE asked_next_run END \
         WHERE app = $1 AND (sequence < $2 OR sequence >= $18) AND ($14 IS NULL OR manager = $14)",
    )
    .bind(app.to_string())
    .bind(to_stored(*sequence))
    .bind(next_run.map(milliseconds))
    .bind(state.status.code())
    .bind(state.pid.map(|pid| pid.to_string()))
    .bind(state.run.map(|run| run.to_string()))
    .bind(state.last_run.map(milliseconds))
    .bind(state.stopped_by.as_deref().map(text))
    .bind(i64::from(state.failures))
    .bind(state.fatal.as_ref().map_or(0, |fatal| fatal.flag.code()))
    .bind(state.fatal.as_ref().map(|fatal| text(&fatal.message)))
    .bind(state.fatal.as_ref().map(|fatal| milliseconds(fatal.time)))
    .bind(state.waiting_for.as_deref().map(text))
    .bind(manager)
    .bind(disabled)
    .bind(asked_taken.map(milliseconds))
    .bind(slot.map(milliseconds))
    .bind(SEQUENCE_MAX)
    .bind(planned.map(Planned::word))
    .bind(planned.and_then(Planned::seconds))
    .bind(state.concern.as_ref().map(|conclusion| text(conclusion.concern.word())))
    .bind(state.concern.as_ref().map(|conclusion| milliseconds(conclusion.since)))
    .bind(i64::from(state.suspects))
    .bind(state.baseline.as_ref().map(Baseline::text))
    .bind(state.fatal.as_ref().map(|fatal| text(fatal.cause.word())))
    .execute(connection)
    .await?;
    Ok(())
}

async fn settle_command(
    connection: &mut PgConnection,
    id: CommandId,
    verdict: &Verdict,
    at: Timestamp,
) -> Written<()> {
    statement("UPDATE commands SET cmd_flag = $2, cmd_exec = $3, reason = $4 WHERE id = $1 AND cmd_flag = 0")
        .bind(id.0)
        .bind(verdict.flag().code())
        .bind(milliseconds(at))
        .bind(verdict.reason().map(|reason| text(&reason.to_string())))
        .execute(connection)
        .await?;
    Ok(())
}

/// Gives the alert back if its row is new.
async fn open_alert(connection: &mut PgConnection, alert: &Alert) -> Written<Option<AlertEvent>> {
    let added = composed(format!(
        "INSERT INTO alerts (app_id, kind, runtime, message, opened, last_seen, cause, count, severity, detail) \
         VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id, {ALERT_APP}"
    ))
    .bind(alert.app.to_string())
    .bind(alert.kind.word())
    .bind(alert.episode())
    .bind(text(&alert.message))
    .bind(milliseconds(alert.at))
    .bind(text(alert.cause.text()))
    .bind(i64::from(alert.count))
    .bind(alert.kind.severity().word())
    .bind(alert.detail.as_deref().map(text))
    .fetch_optional(connection)
    .await?;
    let Some(row) = added else { return Ok(None) };
    let (id, app, message) = (AlertId(row.try_get("id")?), row.try_get("path")?, alert.message.clone());
    Ok(Some(AlertEvent { id, app, kind: alert.kind, message, turn: AlertTurn::Opened }))
}

async fn repeat_alert(connection: &mut PgConnection, alert: &Alert) -> Written<()> {
    statement(
        "UPDATE alerts SET last_seen = $3, count = $4, cause = $5, message = $6, detail = $7 \
         WHERE app_id = $1 AND kind = $2 AND closed IS NULL",
    )
    .bind(alert.app.to_string())
    .bind(alert.kind.word())
    .bind(milliseconds(alert.at))
    .bind(i64::from(alert.count))
    .bind(text(alert.cause.text()))
    .bind(text(&alert.message))
    .bind(alert.detail.as_deref().map(text))
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives the alerts back that were open.
async fn close_alerts(
    connection: &mut PgConnection,
    app: AppId,
    kinds: &[AlertKind],
    (at, end): (Timestamp, AlertEnd),
) -> Written<Vec<AlertEvent>> {
    let words: Vec<_> = kinds.iter().map(|kind| kind.word()).collect();
    let closed = composed(format!(
        "UPDATE alerts SET closed = $3 WHERE app_id = $1 AND kind = ANY($2) AND closed IS NULL \
         RETURNING id, kind, message, opened, {ALERT_APP}"
    ))
    .bind(app.to_string())
    .bind(words)
    .bind(milliseconds(at))
    .fetch_all(connection)
    .await?;
    let mut events = Vec::with_capacity(closed.len());
    for row in &closed {
        let kind: String = row.try_get("kind")?;
        if let Some(kind) = Word::from(kind.as_str()).known() {
            let turn = AlertTurn::Closed { after: at - row.try_get::<Timestamp, _>("opened")?, end };
            let (id, app, message) =
                (AlertId(row.try_get("id")?), row.try_get("path")?, row.try_get("message")?);
            events.push(AlertEvent { id, app, kind, message, turn });
        }
    }
    Ok(events)
}

async fn note_fault(connection: &mut PgConnection, row: i64, fault: Option<&str>) -> Written<()> {
    statement("UPDATE apps SET fault = $2 WHERE id = $1")
        .bind(row)
        .bind(fault.map(text))
        .execute(connection)
        .await?;
    Ok(())
}

async fn note_skip(connection: &mut PgConnection, skip: &Skip) -> Written<()> {
    statement(
        "INSERT INTO skips (app_id, first_due, last_due, slots, reason, recorded) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (app_id, first_due, reason) DO UPDATE \
         SET last_due = excluded.last_due, slots = excluded.slots, recorded = excluded.recorded \
         WHERE skips.last_due < excluded.last_due",
    )
    .bind(skip.app.to_string())
    .bind(milliseconds(skip.first))
    .bind(milliseconds(skip.last))
    .bind(skip.slots.map(i64::from))
    .bind(skip.reason.word())
    .bind(milliseconds(skip.at))
    .execute(connection)
    .await?;
    Ok(())
}

async fn name_app(connection: &mut PgConnection, row: i64, id: AppId) -> Written<()> {
    statement("UPDATE apps SET app = $2 WHERE id = $1 AND app IS NULL")
        .bind(row)
        .bind(id.to_string())
        .execute(&mut *connection)
        .await?;
    // Commands that were issued before name the app by its path.
    statement(
        "UPDATE commands SET app_id = $2 WHERE app_id = \
         (SELECT app_group || '/' || app_parent || '/' || app_name FROM apps WHERE id = $1)",
    )
    .bind(row)
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// The server has no unsigned numbers; a count beyond its range is as good as its largest.
fn to_stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The server would round to milliseconds; everywhere else the rest is cut off.
pub(super) fn milliseconds(time: Timestamp) -> Timestamp {
    time.trunc_subsecs(3)
}

/// The server has no text with NUL characters. One in an app's message must not stop all writing.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
