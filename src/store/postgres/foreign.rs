//! What others changed, as far as it concerns one manager.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::connection::{Fault, composed, statement};
use super::managers::{self, Seat};
use super::operator::{delta, revision};
use super::{first_column, rows};
use crate::model::{AppId, Foreign, Revision};
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
    let lost = "SELECT app FROM apps WHERE revision > $1 AND owned_since > $1";
    let lost = statement(lost).bind(since.0).fetch_all(&mut *connection).await?;
    let ids = |rows: &[PgRow]| -> sqlx::Result<Vec<AppId>> {
        let keys: Vec<Option<&str>> = first_column(rows)?;
        Ok(keys.into_iter().flatten().filter_map(|app| app.parse().ok()).collect())
    };
    Ok(Foreign {
        rows,
        removed: ids(&removed)?,
        lost: ids(&lost)?,
        gained: gained.contains(&true),
        claimable: managers::has_claimable(connection, seat).await?,
        revision: seen,
        more,
    })
}
