//! What others changed, as far as it concerns one manager.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::connection::{Fault, composed, statement};
use super::managers::{self, Seat};
use super::operator::{delta, revision};
use super::{first_column, rows, valid};
use crate::model::{AppId, Foreign, Revision, Timestamp};
use crate::store::PAGE;

/// What concerns a manager in the apps table after `since`: its rows, apps that it has no longer,
/// and whether there are new ones among its rows.
pub(super) async fn changes(
    connection: &mut PgConnection,
    since: Revision,
    seat: Option<&Seat>,
) -> Result<Foreign, Fault> {
    let Some(seat) = seat else {
        return Ok(delta(connection, since, rows::APP_COLUMNS).await?.into());
    };
    let manager = &seat.name;
    if revision(connection).await? == since {
        // Nobody wrote. Still a manager may have ceased to live, and left something to claim.
        let claimable = managers::has_claimable(connection, seat).await?;
        return Ok(Foreign { claimable, revision: since, ..Foreign::default() });
    }
    let found = composed(format!(
        "SELECT {}, owned_since > $1 AS is_gained FROM apps WHERE revision > $1 AND manager = $2 ORDER BY revision LIMIT {PAGE}",
        rows::APP_COLUMNS
    ))
    .bind(since.0)
    .bind(manager)
    .fetch_all(&mut *connection)
    .await?;
    let rows = found.iter().map(rows::registered).collect::<sqlx::Result<Vec<_>>>()?;
    let gained = found.iter().map(|row| row.try_get("is_gained")).collect::<sqlx::Result<Vec<bool>>>()?;
    let more = rows.len() == PAGE;
    let seen = match rows.last().filter(|_| more) {
        Some(last) => last.revision(),
        None => revision(connection).await?,
    };
    let gone = "SELECT app FROM removed_apps WHERE revision > $1 ORDER BY revision";
    let removed = statement(gone).bind(since.0).fetch_all(&mut *connection).await?;
    let lost =
        "SELECT app FROM apps WHERE revision > $1 AND owned_since > $1 AND manager IS DISTINCT FROM $2";
    let lost = statement(lost).bind(since.0).bind(manager).fetch_all(&mut *connection).await?;
    let ids = |rows: &[PgRow]| -> sqlx::Result<Vec<AppId>> {
        let keys: Vec<Option<&str>> = first_column(rows)?;
        Ok(keys.into_iter().flatten().filter_map(|app| app.parse().ok()).collect())
    };
    Ok(Foreign {
        rows,
        removed: ids(&removed)?,
        lost: ids(&lost)?,
        gained: gained.contains(&true),
        accounted: if gained.contains(&true) {
            accounted(connection, Some(manager), since).await?
        } else {
            BTreeMap::new()
        },
        claimable: managers::has_claimable(connection, seat).await?,
        revision: seen,
        more,
    })
}

/// Up to when the calendars are accounted for, of apps that wait for their next time and have their
/// manager since this revision. Of the runs the last two are enough: one may be open. Nobody took
/// note of the times that passed during one that was lost with its owner.
pub(super) async fn accounted(
    connection: &mut PgConnection,
    manager: Option<&str>,
    since: Revision,
) -> Result<BTreeMap<AppId, Timestamp>, Fault> {
    let rows = statement(
        "SELECT app, greatest( \
           (SELECT max(CASE WHEN outcome = 'lost_owner' THEN due_time ELSE greatest(end_time, due_time) END) FROM \
             (SELECT end_time, due_time, outcome FROM runtime WHERE app_id = app \
              ORDER BY start_time DESC, id DESC LIMIT 2) AS runs), \
           (SELECT max(last_due) FROM skips WHERE app_id = app)) AS until \
         FROM apps WHERE app IS NOT NULL AND cron_expression IS NOT NULL AND next_run IS NOT NULL \
           AND ($1 IS NULL OR apps.manager = $1) AND owned_since >= $2",
    )
    .bind(manager)
    .bind(since.0)
    .fetch_all(connection)
    .await?;
    Ok(valid(&rows, rows::accounted)?.into_iter().flatten().collect())
}
