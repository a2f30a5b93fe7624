//! Several managers on one database: seats and leases, claims, and taking over.
//!
//! A manager holds its apps by their column `manager`, and its seat by the incarnation in its row.
//! Who takes a seat away counts the incarnation up under a lock of the seat, which each commit of its
//! manager shares: so a manager that was deposed writes nothing more,
//! however long it slept. Clocks decide only when that may be done (`manager::peers`).

use std::time::Duration;

use sqlx::{PgConnection, Row as _};

use super::commit::{milliseconds, text};
use super::connection::{Fault, statement};
use super::valid;
use crate::model::{Load, ManagerRow, Outcome, Released, Seen, Sight};
use crate::store::row_reader::RowReader as _;
use crate::store::rows;
use crate::store::{StoreError, no_such_manager};

/// The manager for which a store reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) name: String,
    pub(super) incarnation: i64,
}

/// Policies by which others take an app over by themselves, and those by which a person may give
/// it to them.
pub(super) const AUTOMATIC: [&str; 2] = ["exclusive", "at_least_once"];
const MOVABLE: [&str; 3] = ["manual", "exclusive", "at_least_once"];
const ALL: [&str; 4] = ["never", "manual", "exclusive", "at_least_once"];

/// A third of a lease more than the lease itself must be over: the clocks of hosts and server may
/// run apart, and what a fence ends needs a moment to be gone.
const GRACE: &str = "make_interval(secs => lease / 3)";

/// Excludes commits of the manager of this name until the transaction ends, and the other way round.
async fn lock_seat(connection: &mut PgConnection, name: &str) -> Result<(), Fault> {
    statement(
        "SELECT pg_advisory_xact_lock(hashtextextended('dcm seat ' || current_schema() || ' ' || $1, 0))",
    )
    .bind(name)
    .execute(connection)
    .await?;
    Ok(())
}

/// For the commits of a manager itself: as many as there are, and what they write is not news to it.
pub(super) async fn share_seat(connection: &mut PgConnection, name: &str) -> Result<(), Fault> {
    statement(
        "SELECT pg_advisory_xact_lock_shared(hashtextextended('dcm seat ' || current_schema() || ' ' || $1, 0)), \
         set_config('dcm.manager', $1, true)",
    )
    .bind(name)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the seat of a name.
pub(super) async fn take_seat(connection: &mut PgConnection, manager: &ManagerRow) -> Result<Seat, Fault> {
    lock_seat(connection, &text(&manager.name)).await?;
    statement("SELECT dcm_forget_another_server()").execute(&mut *connection).await?;
    let found = statement(
        "SELECT *, coalesce(stopped IS NULL AND lease_until > clock_timestamp(), false) AS is_held, home IS NOT DISTINCT FROM $2 AS is_home, \
         boot IS NOT DISTINCT FROM $3 AS is_boot, \
         coalesce(greatest(0, extract(epoch FROM CASE WHEN isfinite(lease_until) THEN lease_until END - clock_timestamp())), 0)::double precision AS left_over, \
         (SELECT count(*) FROM runtime WHERE end_time IS NULL AND manager = $1) AS open \
         FROM managers WHERE name = $1",
    )
    .bind(text(&manager.name))
    .bind(&manager.home)
    .bind(&manager.boot)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = &found {
        may_sit(row, manager)?;
    }
    let row = statement(
        "INSERT INTO managers AS old (name, host, pid, version, started, heartbeat, lease, lease_until, home, boot, pools, \
           python, incarnation, seated) \
         VALUES ($1, $2, $3, $4, $5, clock_timestamp(), $6, clock_timestamp() + make_interval(secs => $6), $7, $8, $9, $10, 1, \
           clock_timestamp()) \
         ON CONFLICT (name) DO UPDATE SET host = excluded.host, pid = excluded.pid, version = excluded.version, \
         started = excluded.started, heartbeat = excluded.heartbeat, stopped = NULL, lease = excluded.lease, \
         lease_until = excluded.lease_until, home = excluded.home, boot = excluded.boot, pools = excluded.pools, \
         python = excluded.python, seated = excluded.seated, renewals = least(old.renewals, 9223372036854775806) + 1, incarnation = least(old.incarnation, 9223372036854775806) + 1 RETURNING incarnation",
    )
    .bind(text(&manager.name))
    .bind(text(&manager.host))
    .bind(i64::from(manager.pid))
    .bind(text(&manager.version))
    .bind(milliseconds(manager.started))
    .bind(manager.lease.as_secs_f64())
    .bind(&manager.home)
    .bind(&manager.boot)
    .bind(&manager.pools)
    .bind(&manager.python)
    .fetch_one(connection)
    .await?;
    Ok(Seat { name: manager.name.clone(), incarnation: row.try_get("incarnation")? })
}

/// Whether the seat is free for this manager. Who works with the same state directory on the same
/// boot is its successor: the lock of the directory says that the one before has ended.
fn may_sit(row: &sqlx::postgres::PgRow, manager: &ManagerRow) -> Result<(), Fault> {
    let (is_home, is_boot, is_held): (bool, bool, bool) =
        (row.try_get("is_home")?, row.try_get("is_boot")?, row.try_get("is_held")?);
    let host: &str = row.try_get("host")?;
    let name = &manager.name;
    if is_home && is_boot {
        return Ok(());
    }
    if is_held && is_home {
        // The host was started again, or its disk was copied while the first one lives.
        let left: f64 = row.try_get("left_over")?;
        let why = format!("the lease of {name} from before the last boot lasts {left:.0} s more");
        return Err(StoreError::Unavailable(why).into());
    }
    if is_held {
        let pid: i64 = row.try_get("pid")?;
        return Err(StoreError::Served(format!(
            "{name} on {host}, pid {pid}; give this one another name (name = ... in its configuration)"
        ))
        .into());
    }
    let open: i64 = row.try_get("open")?;
    if open > 0 && !is_home {
        return Err(StoreError::Denied(format!(
            "the manager {name} is that of {host}, where {open} of its runs may be under way; start it there, \
             give this one another name, or give its apps to others: dcm managers takeover {name}"
        ))
        .into());
    }
    Ok(())
}

/// Whether the seat is still held, and the lease as well. For transactions that hold or share its lock.
pub(super) async fn holds(connection: &mut PgConnection, seat: &Seat) -> Result<bool, Fault> {
    let row = statement(
        "SELECT incarnation = $2 AS holds, coalesce(lease_until > clock_timestamp(), false) AS is_valid \
         FROM managers WHERE name = $1",
    )
    .bind(&seat.name)
    .bind(seat.incarnation)
    .fetch_optional(connection)
    .await?;
    match row {
        Some(row) if row.try_get("holds")? => Ok(row.try_get("is_valid")?),
        Some(_) | None => Err(StoreError::Deposed.into()),
    }
}

/// Renews the lease. One whose time is over is renewed as well, as long as nobody took it away: who
/// does that waits for this row.
pub(super) async fn renew(connection: &mut PgConnection, seat: &Seat, load: Load) -> Result<Sight, Fault> {
    let renewed = statement(
        "UPDATE managers SET renewals = least(renewals, 9223372036854775806) + 1, heartbeat = clock_timestamp(), \
         lease_until = clock_timestamp() + make_interval(secs => lease), running = $3, running_max = $4, waiting = $5 \
         WHERE name = $1 AND incarnation = $2",
    )
    .bind(&seat.name)
    .bind(seat.incarnation)
    .bind(i64::from(load.running))
    .bind(load.running_max.map(i64::from))
    .bind(i64::from(load.waiting))
    .execute(&mut *connection)
    .await?;
    if renewed.rows_affected() == 0 {
        return Err(StoreError::Deposed.into());
    }
    sight(connection).await
}

async fn sight(connection: &mut PgConnection) -> Result<Sight, Fault> {
    let found = statement(
        "SELECT *, coalesce(lease_until < clock_timestamp(), true) AND EXISTS (SELECT FROM apps WHERE manager = name AND failover = ANY($1)) \
           AS leaves_apps, clock_timestamp() AS now, \
         extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::double precision AS up, \
         (SELECT timeline_id FROM pg_control_checkpoint())::bigint AS timeline FROM managers ORDER BY name",
    )
    .bind(&AUTOMATIC[..])
    .fetch_all(connection)
    .await?;
    let Some(first) = found.first() else { return Ok(Sight::default()) };
    let seen = |row: &sqlx::postgres::PgRow| {
        let leaves_apps = row.try_get::<Option<bool>, _>("leaves_apps")?.unwrap_or(false);
        Ok(Seen { row: rows::manager(row)?, leaves_apps })
    };
    Ok(Sight {
        now: first.time("now")?.unwrap_or_default(),
        up: Duration::try_from_secs_f64(first.try_get("up")?).unwrap_or_default(),
        timeline: u32::try_from(first.try_get::<i64, _>("timeline")?).unwrap_or(0),
        managers: valid(&found, seen)?,
    })
}

/// The apps that a manager is to claim. Of the managers that live and serve the pool of an app the one
/// with the highest hash of both has it (<https://en.wikipedia.org/wiki/Rendezvous_hashing>): they
/// share the apps evenly and agree on it without a word.
const CLAIMABLE: &str = "manager IS NULL AND $1 = ( \
    SELECT name FROM managers WHERE stopped IS NULL AND NOT draining AND lease_until > clock_timestamp() \
      AND (apps.pool IS NULL OR apps.pool = ANY(pools)) ORDER BY md5(name || apps.id), name LIMIT 1)";

/// Whether there is anything to claim; asked each second, and cheap while every app has an owner.
pub(super) async fn has_claimable(connection: &mut PgConnection, seat: &Seat) -> Result<bool, Fault> {
    let row = super::composed(format!("SELECT EXISTS (SELECT FROM apps WHERE {CLAIMABLE})"))
        .bind(&seat.name)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

/// Claims apps.
pub(super) async fn claim(connection: &mut PgConnection, seat: &Seat) -> Result<u64, Fault> {
    // What another program holds is claimed later.
    let sql = format!(
        "UPDATE apps SET manager = $1, sequence = least(sequence, 9223372036854775806) + 1 WHERE id IN \
         (SELECT id FROM apps WHERE {CLAIMABLE} FOR NO KEY UPDATE SKIP LOCKED)"
    );
    let claimed = super::composed(sql).bind(&seat.name).execute(connection).await?;
    Ok(claimed.rows_affected())
}

/// Takes a manager's seat away, if it has not been renewed since it was seen. Once more, where it has left apps whose
/// rows another program held.
pub(super) async fn depose(connection: &mut PgConnection, lost: &ManagerRow) -> Result<Released, Fault> {
    lock_seat(connection, &lost.name).await?;
    let sql = format!(
        "UPDATE managers SET incarnation = least(incarnation, 9223372036854775806) + 1, lease_until = NULL \
         WHERE name = $1 AND incarnation = $2 AND renewals = $3 \
           AND (lease_until IS NULL OR lease_until + {GRACE} < clock_timestamp())"
    );
    let deposed = super::composed(sql)
        .bind(&lost.name)
        .bind(i64::try_from(lost.incarnation).unwrap_or(i64::MAX))
        .bind(i64::try_from(lost.renewals).unwrap_or(i64::MAX))
        .execute(&mut *connection)
        .await?;
    if deposed.rows_affected() == 0 {
        return Ok(Released::default());
    }
    release(connection, &lost.name, &AUTOMATIC, true).await
}

/// The same, since a person says so.
pub(super) async fn take_from(
    connection: &mut PgConnection,
    name: &str,
    pinned: bool,
) -> Result<Released, Fault> {
    if !may_move(connection).await? {
        return Err(StoreError::Denied(
            "taking a manager's apps away needs UPDATE on managers, runtime and apps.manager: use a login of dcm_manager \
             or dcm_owner"
                .to_owned(),
        )
        .into());
    }
    lock_seat(connection, name).await?;
    let row = statement(
        "SELECT stopped IS NULL AND coalesce(lease_until > clock_timestamp(), false) AS is_live FROM managers WHERE name = $1",
    )
    .bind(name)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Err(no_such_manager(name).into()) };
    if row.try_get("is_live")? {
        let why = format!("{name} lives; dcm managers drain {name} lets it give its apps away");
        return Err(StoreError::Refused(why).into());
    }
    statement("UPDATE managers SET incarnation = least(incarnation, 9223372036854775806) + 1, lease_until = NULL WHERE name = $1")
        .bind(name)
        .execute(&mut *connection)
        .await?;
    release(connection, name, if pinned { &ALL } else { &MOVABLE }, true).await
}

/// Lets a manager give its apps away, or have some again.
pub(super) async fn drain(
    connection: &mut PgConnection,
    name: &str,
    is_draining: bool,
) -> Result<Released, Fault> {
    lock_seat(connection, name).await?;
    let row = statement("SELECT dcm_drain($1, $2) AS is_known").bind(name).bind(is_draining);
    if !row.fetch_one(&mut *connection).await?.try_get::<bool, _>("is_known")? {
        return Err(no_such_manager(name).into());
    }
    // What an operator may not move, the manager gives away itself.
    if is_draining && may_move(connection).await? {
        give_away(connection, name).await
    } else {
        Ok(Released::default())
    }
}

/// Whether this login may take apps from a manager.
async fn may_move(connection: &mut PgConnection) -> Result<bool, Fault> {
    let row = statement(
        "SELECT has_table_privilege('managers', 'UPDATE') AND has_table_privilege('runtime', 'UPDATE') \
           AND has_column_privilege('apps', 'manager', 'UPDATE')",
    );
    Ok(row.fetch_one(connection).await?.try_get(0)?)
}

/// What a draining manager gives away: all that may run elsewhere and does not run now.
pub(super) async fn give_away(connection: &mut PgConnection, name: &str) -> Result<Released, Fault> {
    release(connection, name, &MOVABLE, false).await
}

/// Apps that a manager is to let go: they rest, nobody waits for them, and another manager would claim
/// them. That one must have been there for four leases, so that a host that comes and goes does not
/// carry apps to and fro.
const SHARED: &str = "manager = $1 AND failover = ANY($2) AND run_status <> 1 \
    AND (next_run IS NULL OR next_run > clock_timestamp() + interval '2 s') \
    AND NOT EXISTS (SELECT FROM runtime WHERE app_id = app AND end_time IS NULL) \
    AND NOT EXISTS (SELECT FROM commands WHERE app_id = app AND cmd_flag = 0) \
    AND $1 <> (SELECT name FROM managers WHERE stopped IS NULL AND NOT draining AND lease_until > clock_timestamp() \
      AND (name = $1 OR seated < clock_timestamp() - make_interval(secs => 4 * lease)) \
      AND (apps.pool IS NULL OR apps.pool = ANY(pools)) ORDER BY md5(name || apps.id), name LIMIT 1)";

pub(super) async fn has_to_share(connection: &mut PgConnection, seat: &Seat) -> Result<bool, Fault> {
    let row = super::composed(format!("SELECT EXISTS (SELECT FROM apps WHERE {SHARED})"))
        .bind(&seat.name)
        .bind(&AUTOMATIC[..])
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

/// Lets go of the apps that are the share of others.
pub(super) async fn share(connection: &mut PgConnection, seat: &Seat) -> Result<Released, Fault> {
    lock_seat(connection, &seat.name).await?;
    holds(connection, seat).await?;
    let sql = format!(
        "UPDATE apps SET manager = NULL, sequence = least(sequence, 9223372036854775806) + 1, waiting_for = NULL WHERE id IN \
         (SELECT id FROM apps WHERE {SHARED} FOR NO KEY UPDATE SKIP LOCKED)"
    );
    let released = super::composed(sql).bind(&seat.name).bind(&AUTOMATIC[..]).execute(connection).await?;
    Ok(Released { apps: released.rows_affected(), ..Released::default() })
}

/// The orderly end of a manager.
pub(super) async fn leave(connection: &mut PgConnection, seat: &Seat) -> Result<(), Fault> {
    lock_seat(connection, &seat.name).await?;
    statement("UPDATE managers SET stopped = clock_timestamp() WHERE name = $1 AND incarnation = $2")
        .bind(&seat.name)
        .bind(seat.incarnation)
        .execute(&mut *connection)
        .await?;
    release(connection, &seat.name, &AUTOMATIC, false).await?;
    Ok(())
}

/// Makes apps nobody's for which another manager is there. With `lost`, those too that ran: their
/// runs are closed as lost with their owner, and begin anew wherever they are claimed, like after a
/// crash; where a command waits, that decides.
async fn release(
    connection: &mut PgConnection,
    name: &str,
    policies: &[&str],
    lost: bool,
) -> Result<Released, Fault> {
    let row = statement(
        "WITH free AS ( \
           SELECT runtime FROM runtime WHERE manager = $1 AND end_time IS NULL FOR NO KEY UPDATE SKIP LOCKED), \
         given AS ( \
           SELECT app, failover FROM apps WHERE manager = $1 AND failover = ANY($2) \
             AND NOT EXISTS (SELECT FROM runtime AS held WHERE held.app_id = app AND held.end_time IS NULL \
               AND held.manager = $1 AND held.runtime NOT IN (SELECT runtime FROM free)) \
             AND ($3 OR (run_status <> 1 AND NOT EXISTS (SELECT FROM runtime WHERE app_id = app AND end_time IS NULL))) \
             AND EXISTS (SELECT FROM managers AS other WHERE other.name <> $1 AND other.stopped IS NULL \
               AND NOT other.draining AND other.lease_until > clock_timestamp() \
               AND (apps.pool IS NULL OR apps.pool = ANY(other.pools))) \
           FOR NO KEY UPDATE SKIP LOCKED), \
         closed AS ( \
           UPDATE runtime SET end_time = ended, outcome = $4, totals = trunc(took)::bigint, \
             totalm = trunc(took / 60)::bigint, totalh = trunc(took / 3600)::bigint, task_size = own.task_size, \
             solved = own.solved, failed = own.failed, message = own.message \
           FROM (SELECT runtime AS run, greatest(clock_timestamp(), start_time) AS ended, \
               extract(epoch FROM greatest(clock_timestamp(), start_time) - start_time) AS took \
             FROM runtime WHERE end_time IS NULL AND manager = $1 AND app_id IN (SELECT app FROM given)) AS open \
           LEFT JOIN apps AS own ON own.runtime = open.run \
           WHERE runtime.runtime = open.run RETURNING app_id), \
         moved AS ( \
           UPDATE apps SET manager = NULL, sequence = least(sequence, 9223372036854775806) + 1, waiting_for = NULL, \
             run_status = CASE WHEN ran THEN 2 ELSE run_status END, app_pids = CASE WHEN ran THEN NULL ELSE app_pids END, \
             eta = CASE WHEN ran THEN NULL ELSE eta END, \
             next_run = CASE WHEN NOT ran THEN next_run WHEN awaits THEN NULL ELSE clock_timestamp() END \
           FROM (SELECT app AS given_app, app IN (SELECT app_id FROM closed) AS ran, \
               EXISTS (SELECT FROM commands WHERE app_id = given.app AND cmd_flag = 0) AS awaits FROM given) AS new \
           WHERE app = given_app RETURNING 1) \
         SELECT (SELECT count(*) FROM moved) AS apps, (SELECT count(*) FROM closed) AS runs, \
           (SELECT count(*) FROM apps WHERE manager = $1) AS before",
    )
    .bind(name)
    .bind(policies)
    .bind(lost)
    .bind(Outcome::LostOwner.word())
    .fetch_one(connection)
    .await?;
    let count = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let apps = count("apps")?;
    // The statement sees the table as it was before it.
    Ok(Released { apps, runs: count("runs")?, kept: count("before")?.saturating_sub(apps) })
}
