//! Deletes old rows of history in small batches. What is to go is looked for by index and on the connection that
//! reads; the one that writes has only to delete it, and stops in time for whoever waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use tokio::time::Instant;

use super::connection::translate;
use super::link::{self, Shared};
use crate::model::{DAYS_MAX, Prunable, PrunedBatch, Pruning, Retention};
use crate::store::StoreError;

/// Rows that are looked at for one batch.
const LOOKED_AT: u32 = 500;

/// Rows of one app that are deleted in one batch.
const OF_APP: u32 = 200;

/// Apps that are looked at for one batch.
const APPS: usize = 200;

/// A batch, its commit included, is to hold the write lock no longer than this.
const BUDGET: Duration = Duration::from_millis(3);

/// Pages of the write-ahead log that are written into the file at once: fewer than those at which a commit of
/// another program does it, and waits for the disk meanwhile. Not many fewer: the first commit after it waits for the
/// disk to begin the log again.
const CHECKPOINT_PAGES: i64 = 500;

/// How many rows a batch deletes: as many as the batches before have shown to be possible in time.
#[derive(Debug)]
pub(super) struct BatchSize(AtomicUsize);

impl Default for BatchSize {
    fn default() -> Self {
        Self(AtomicUsize::new(16))
    }
}

impl BatchSize {
    fn rows(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// How long a batch of this many rows took.
    fn note(&self, rows: usize, took: Duration) {
        if took > BUDGET {
            self.0.store((rows / 2).max(1), Ordering::Relaxed);
        } else if took < BUDGET / 2 && rows >= self.rows() {
            self.0.store((rows * 2).min(LOOKED_AT as usize), Ordering::Relaxed);
        }
    }
}

/// The key of a row in its table.
type Key = Vec<Value>;

/// What was found for a batch.
#[derive(Debug, Default)]
pub(super) struct Found {
    keys: Vec<Key>,
    /// Where the next batch begins when all of these are deleted.
    next: Option<String>,
}

impl Found {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn next(self) -> Option<String> {
        self.next
    }
}

/// The moment before which rows are too old.
fn cutoff(connection: &Connection, days: u32) -> rusqlite::Result<String> {
    let since = format!("-{} days", days.min(DAYS_MAX));
    connection.query_row("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?1)", [since], |row| row.get(0))
}

/// Whether there may be more after these.
fn is_full<T>(rows: &[T]) -> bool {
    u32::try_from(rows.len()).is_ok_and(|count| count == LOOKED_AT)
}

/// A closed run that is not the last one of its app.
const MAY_GO: &str = "end_time IS NOT NULL \
    AND NOT EXISTS (SELECT 1 FROM apps WHERE apps.app = runtime.app_id AND apps.runtime = runtime.runtime)";

/// A version whose tasks are all over, and that is not there any more: without its row a file would be new.
const EVENT_MAY_GO: &str = "(gone IS NOT NULL OR NOT EXISTS (SELECT 1 FROM watch_roots WHERE name = events.root)) \
    AND NOT EXISTS (SELECT 1 FROM pipeline_task WHERE event_id = events.id AND status NOT IN (3, 5))";

/// Looks for rows that may go.
pub(super) fn find(
    connection: &Connection,
    pruning: Pruning,
    retention: &Retention,
    after: &str,
) -> Result<Found, StoreError> {
    let found = match pruning {
        Pruning::OldRuns => old_runs(connection, retention, after),
        Pruning::SurplusRuns => surplus_runs(connection, retention, after),
        Pruning::Skips => skips(connection, retention, after),
        Pruning::Commands => numbered(
            connection,
            "SELECT id, cmd_time < ?2, cmd_flag <> 0 AND cmd_time < ?2 FROM commands WHERE id > ?1 ORDER BY id LIMIT ?3",
            retention.commands_days,
            after,
        ),
        Pruning::Alerts => numbered(
            connection,
            "SELECT id, opened < ?2, coalesce(closed < ?2, 0) FROM alerts WHERE id > ?1 ORDER BY id LIMIT ?3",
            retention.alerts_days,
            after,
        ),
        Pruning::Deliveries => numbered(
            connection,
            "SELECT id, created < ?2, coalesce(coalesce(delivered, given_up) < ?2, 0) FROM deliveries WHERE id > ?1 \
             ORDER BY id LIMIT ?3",
            retention.events_days,
            after,
        ),
        Pruning::Events => numbered(
            connection,
            &format!(
                "SELECT id, seen < ?2, seen < ?2 AND {EVENT_MAY_GO} FROM events WHERE id > ?1 ORDER BY id LIMIT ?3"
            ),
            retention.events_days,
            after,
        ),
    };
    found.map_err(|error| translate(&error))
}

/// By the time of their beginning. `after` is that of the last one seen, and its number.
fn old_runs(connection: &Connection, retention: &Retention, after: &str) -> rusqlite::Result<Found> {
    let before = cutoff(connection, retention.runs_days)?;
    let (time, number) = after.split_once('|').unwrap_or(("", "0"));
    // The last condition has the page of the key read here, and not by the one that deletes.
    let sql = format!(
        "SELECT rowid, start_time, {MAY_GO} AND end_time < ?3 \
           AND EXISTS (SELECT 1 FROM runtime AS same WHERE same.runtime = runtime.runtime) \
         FROM runtime WHERE start_time >= ?1 AND start_time < ?3 AND (start_time > ?1 OR rowid > ?2) \
         ORDER BY start_time, rowid LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement
        .query_map(params![time, number.parse().unwrap_or(0_i64), before, LOOKED_AT], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?))
        })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let last = rows.last().filter(|_| is_full(&rows));
    Ok(Found {
        next: last.map(|(number, time, _)| format!("{time}|{number}")),
        keys: rows.iter().filter(|(.., may_go)| *may_go).map(|(number, ..)| vec![(*number).into()]).collect(),
    })
}

/// App by app; `after` is the last one that has no more than it may.
fn surplus_runs(connection: &Connection, retention: &Retention, after: &str) -> rusqlite::Result<Found> {
    let most = retention.runs_per_app_max;
    let span: Option<i64> = connection.query_row(
        "SELECT (SELECT max(rowid) FROM runtime) - (SELECT min(rowid) FROM runtime)",
        [],
        |row| row.get(0),
    )?;
    if span.is_none_or(|span| span < i64::from(most)) {
        return Ok(Found::default());
    }
    let next_app = "SELECT min(app_id) FROM runtime WHERE app_id > ?1";
    let app: Option<String> = connection.prepare_cached(next_app)?.query_row([after], |row| row.get(0))?;
    let Some(app) = app else { return Ok(Found::default()) };
    let first_surplus: Option<String> = connection
        .prepare_cached(
            "SELECT start_time FROM runtime WHERE app_id = ?1 ORDER BY start_time DESC LIMIT 1 OFFSET ?2",
        )?
        .query_row(params![app, most], |row| row.get(0))
        .optional()?;
    let Some(first_surplus) = first_surplus else { return Ok(Found { keys: Vec::new(), next: Some(app) }) };
    let sql = format!(
        "SELECT rowid FROM runtime WHERE app_id = ?1 AND start_time <= ?2 AND {MAY_GO} ORDER BY start_time LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![app, first_surplus, OF_APP], |row| Ok(vec![row.get(0)?]))?;
    let keys = rows.collect::<rusqlite::Result<Vec<Key>>>()?;
    // The same app again, until nothing of it is left to go.
    let next = if keys.is_empty() { app } else { after.to_owned() };
    Ok(Found { keys, next: Some(next) })
}

/// App by app; `after` is the last one that has none too old.
fn skips(connection: &Connection, retention: &Retention, after: &str) -> rusqlite::Result<Found> {
    let before = cutoff(connection, retention.runs_days)?;
    let mut next_app = connection.prepare_cached("SELECT min(app_id) FROM skips WHERE app_id > ?1")?;
    let mut of_app = connection.prepare_cached(
        "SELECT app_id, first_due, reason FROM skips WHERE app_id = ?1 AND first_due < ?2 AND last_due < ?2 LIMIT ?3",
    )?;
    let mut done = after.to_owned();
    for _ in 0..APPS {
        let app: Option<String> = next_app.query_row([&done], |row| row.get(0))?;
        let Some(app) = app else { return Ok(Found::default()) };
        let rows = of_app
            .query_map(params![app, before, OF_APP], |row| Ok(vec![row.get(0)?, row.get(1)?, row.get(2)?]))?;
        let keys = rows.collect::<rusqlite::Result<Vec<Key>>>()?;
        if !keys.is_empty() {
            return Ok(Found { keys, next: Some(done) });
        }
        done = app;
    }
    Ok(Found { keys: Vec::new(), next: Some(done) })
}

/// By their numbers, which grow with time: the pass ends where nothing is too old any more.
fn numbered(connection: &Connection, sql: &str, days: u32, after: &str) -> rusqlite::Result<Found> {
    let before = cutoff(connection, days)?;
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![after.parse().unwrap_or(0_i64), before, LOOKED_AT], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?, row.get::<_, bool>(2)?))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let has_old = rows.iter().any(|(_, is_old, _)| *is_old);
    Ok(Found {
        next: rows.last().filter(|_| has_old && is_full(&rows)).map(|(id, ..)| id.to_string()),
        keys: rows.iter().filter(|(.., may_go)| *may_go).map(|(id, ..)| vec![(*id).into()]).collect(),
    })
}

/// Deletes what was found, as far as the time goes.
pub(super) fn delete(
    connection: &mut Connection,
    pruning: Pruning,
    found: Found,
    after: String,
    shared: &Shared,
    size: &BatchSize,
) -> Result<PrunedBatch, StoreError> {
    let sql = match pruning {
        Pruning::OldRuns | Pruning::SurplusRuns => {
            "DELETE FROM runtime WHERE rowid = ?1 AND end_time IS NOT NULL"
        }
        Pruning::Skips => "DELETE FROM skips WHERE app_id = ?1 AND first_due = ?2 AND reason = ?3",
        Pruning::Commands => "DELETE FROM commands WHERE id = ?1 AND cmd_flag <> 0",
        Pruning::Alerts => "DELETE FROM alerts WHERE id = ?1 AND closed IS NOT NULL",
        Pruning::Deliveries => {
            "DELETE FROM deliveries WHERE id = ?1 AND (delivered IS NOT NULL OR given_up IS NOT NULL)"
        }
        Pruning::Events => "DELETE FROM events WHERE id = ?1",
    };
    let keys = &found.keys[..found.keys.len().min(size.rows())];
    // What is lost with the power is pruned again: no commit need wait for the disk, and none for a checkpoint.
    let unhurried = "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0";
    connection.execute_batch(unhurried).map_err(|error| translate(&error))?;
    let deleted = delete_in_time(connection, sql, keys, shared, size);
    let as_before = "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000";
    connection.execute_batch(as_before).map_err(|error| translate(&error))?;
    let (rows, done) = deleted?;
    Ok(PrunedBatch { rows, next: if done == found.keys.len() { found.next } else { Some(after) } })
}

/// Gives the number of rows that were deleted, and how many of the keys were gone through.
fn delete_in_time(
    connection: &mut Connection,
    sql: &str,
    keys: &[Key],
    shared: &Shared,
    size: &BatchSize,
) -> Result<(u64, usize), StoreError> {
    let failed = |error: rusqlite::Error| translate(&error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let begun = Instant::now();
    shared.check_seat(&transaction)?;
    let mut rows = 0;
    let mut done = 0;
    for key in keys {
        if begun.elapsed() >= BUDGET {
            break;
        }
        let deleted = transaction
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(key)))
            .map_err(failed)?;
        rows += deleted as u64;
        done += 1;
    }
    transaction.commit().map_err(failed)?;
    size.note(done, begun.elapsed());
    Ok((rows, done))
}

/// Writes the log into the file when it has grown, on a connection for which no commit waits.
pub(super) fn checkpoint(connection: &Connection) -> Result<(), StoreError> {
    let pages: i64 = connection
        .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))
        .map_err(|error| translate(&error))?;
    if pages >= CHECKPOINT_PAGES {
        link::checkpoint(connection, "PASSIVE")?;
    }
    Ok(())
}

/// Counts what would go. Reads the indexes of the tables.
pub(super) fn count(connection: &Connection, retention: &Retention) -> Result<Prunable, StoreError> {
    let run = || {
        let number = |sql: &str, days: u32| {
            let before = cutoff(connection, days)?;
            connection.query_row(sql, [before], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
        };
        let surplus = retention.runs_per_app_max;
        Ok(Prunable {
            runtime: number(
                &format!(
                    "SELECT count(*) FROM (SELECT app_id, runtime, end_time, \
                       row_number() OVER (PARTITION BY app_id ORDER BY start_time DESC) AS place FROM runtime) AS runtime \
                     WHERE {MAY_GO} AND (end_time < ?1 OR place > {surplus})"
                ),
                retention.runs_days,
            )?,
            skips: number(
                "SELECT count(*) FROM skips WHERE first_due < ?1 AND last_due < ?1",
                retention.runs_days,
            )?,
            commands: number(
                "SELECT count(*) FROM commands WHERE cmd_flag <> 0 AND cmd_time < ?1",
                retention.commands_days,
            )?,
            alerts: number("SELECT count(*) FROM alerts WHERE closed < ?1", retention.alerts_days)?,
            deliveries: number(
                "SELECT count(*) FROM deliveries WHERE coalesce(delivered, given_up) < ?1",
                retention.events_days,
            )?,
            events: number(
                &format!("SELECT count(*) FROM events WHERE seen < ?1 AND {EVENT_MAY_GO}"),
                retention.events_days,
            )?,
        })
    };
    run().map_err(|error: rusqlite::Error| translate(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_took_too_long_is_followed_by_a_smaller_one() {
        let size = BatchSize::default();
        for _ in 0..10 {
            size.note(size.rows(), Duration::from_millis(1));
        }
        assert_eq!(size.rows(), LOOKED_AT as usize);
        // That few rows were quick says nothing of many.
        size.note(size.rows(), Duration::from_millis(40));
        size.note(3, Duration::from_millis(1));
        assert_eq!(size.rows(), LOOKED_AT as usize / 2);
        for _ in 0..10 {
            size.note(size.rows(), Duration::from_millis(40));
        }
        assert_eq!(size.rows(), 1);
    }
}
