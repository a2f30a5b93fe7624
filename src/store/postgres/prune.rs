//! Deletes old rows of history in small batches, by a function of the tables' owner: a manager may delete nothing else.

use sqlx::{PgConnection, Row as _};

use super::connection::{Fault, statement};
use crate::model::{DAYS_MAX, Prunable, PrunedBatch, Pruning, Retention};

/// Rows that are looked at for one batch, which is one short transaction.
const LOOKED_AT: i64 = 200;

fn days(pruning: Pruning, retention: &Retention) -> u32 {
    match pruning {
        Pruning::OldRuns | Pruning::SurplusRuns | Pruning::Skips => retention.runs_days,
        Pruning::Commands => retention.commands_days,
        Pruning::Alerts => retention.alerts_days,
        Pruning::Deliveries | Pruning::Events => retention.events_days,
    }
}

/// One batch, unless another manager is at it.
pub(super) async fn prune(
    connection: &mut PgConnection,
    pruning: Pruning,
    retention: &Retention,
    after: &str,
) -> Result<PrunedBatch, Fault> {
    let kind = match pruning {
        Pruning::OldRuns => "old runs",
        Pruning::SurplusRuns => "surplus runs",
        Pruning::Skips => "skips",
        Pruning::Commands => "commands",
        Pruning::Alerts => "alerts",
        Pruning::Deliveries => "deliveries",
        Pruning::Events => "events",
    };
    let row = statement("SELECT deleted, next FROM dcm_prune($1, $2, $3, $4, $5)")
        .bind(kind)
        .bind(i64::from(days(pruning, retention).min(DAYS_MAX)))
        .bind(i64::from(retention.runs_per_app_max))
        .bind(after)
        .bind(LOOKED_AT)
        .fetch_one(connection)
        .await?;
    let deleted: i64 = row.try_get("deleted")?;
    Ok(PrunedBatch { rows: deleted.unsigned_abs(), next: row.try_get("next")? })
}

/// Counts what would go. Reads whole tables.
pub(super) async fn count(connection: &mut PgConnection, retention: &Retention) -> Result<Prunable, Fault> {
    let row = statement(
        "SELECT (SELECT count(*) FROM (SELECT *, row_number() OVER (PARTITION BY app_id ORDER BY start_time DESC) AS place \
             FROM runtime) AS run WHERE end_time IS NOT NULL \
             AND (end_time < now() - make_interval(days => $1::int) OR place > $2) \
             AND NOT EXISTS (SELECT FROM apps WHERE apps.app = run.app_id AND apps.runtime = run.runtime)) AS runtime, \
         (SELECT count(*) FROM skips WHERE greatest(first_due, last_due) < now() - make_interval(days => $1::int)) AS skips, \
         (SELECT count(*) FROM commands WHERE cmd_flag <> 0 AND cmd_time < now() - make_interval(days => $3::int)) AS commands, \
         (SELECT count(*) FROM alerts WHERE closed < now() - make_interval(days => $4::int)) AS alerts, \
         (SELECT count(*) FROM deliveries WHERE coalesce(delivered, given_up) < now() - make_interval(days => $5::int)) AS deliveries, \
         (SELECT count(*) FROM events AS event WHERE seen < now() - make_interval(days => $5::int) \
             AND (gone IS NOT NULL OR NOT EXISTS (SELECT FROM watch_roots WHERE name = event.root)) \
             AND NOT EXISTS (SELECT FROM pipeline_task WHERE event_id = event.id AND status NOT IN (3, 5))) AS events",
    )
    .bind(i64::from(retention.runs_days.min(DAYS_MAX)))
    .bind(i64::from(retention.runs_per_app_max))
    .bind(i64::from(retention.commands_days.min(DAYS_MAX)))
    .bind(i64::from(retention.alerts_days.min(DAYS_MAX)))
    .bind(i64::from(retention.events_days.min(DAYS_MAX)))
    .fetch_one(connection)
    .await?;
    let number = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    Ok(Prunable {
        runtime: number("runtime")?,
        skips: number("skips")?,
        commands: number("commands")?,
        alerts: number("alerts")?,
        deliveries: number("deliveries")?,
        events: number("events")?,
    })
}
