//! What others changed, as far as it concerns one manager.

use std::collections::BTreeSet;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::connection::{Fault, composed, statement};
use super::first_column;
use super::managers::{self, Seat};
use super::operator::{delta, is_news};
use super::positions::{self, Seen, is_new};
use crate::model::{AppId, Foreign};
use crate::store::PAGE;
use crate::store::rows;

/// What concerns a manager in the apps table and is new: its rows, apps that it has no longer, and whether there
/// are new ones among its rows. With what is seen by that, unless nothing is new.
pub(super) async fn changes(
    connection: &mut PgConnection,
    since: &Seen,
    seat: Option<&Seat>,
) -> Result<(Foreign, Option<Seen>), Fault> {
    let Some(seat) = seat else {
        let (delta, seen) = delta(connection, since, &rows::app_columns()).await?;
        return Ok((delta.into(), seen));
    };
    let claimable = managers::has_claimable(connection, seat).await?;
    if !is_news(connection, since).await? {
        // Nobody wrote. Still a manager may have ceased to live, and left something to claim.
        return Ok((Foreign { claimable, ..Foreign::default() }, None));
    }
    let mut foreign = Foreign { claimable, ..Foreign::default() };
    let sql = format!(
        "SELECT {}, {} AS is_gained FROM apps WHERE {} AND manager = $3 AND revision > $4 ORDER BY revision LIMIT {PAGE}",
        rows::app_columns(),
        is_new!("owned_in"),
        is_new!("written_in"),
    );
    let mut last = i64::MIN;
    loop {
        let page = composed(sql.clone())
            .bind(since.upto)
            .bind(&since.open)
            .bind(&seat.name)
            .bind(last)
            .fetch_all(&mut *connection)
            .await?;
        for row in &page {
            foreign.rows.push(rows::registered(row)?);
            foreign.gained |= row.try_get::<bool, _>("is_gained")?;
        }
        match foreign.rows.last().filter(|_| page.len() == PAGE) {
            Some(row) => last = row.revision().0,
            None => break,
        }
    }
    let gone = concat!("SELECT app FROM removed_apps WHERE ", is_new!("written_in"), " ORDER BY revision");
    foreign.removed = ids(&keys(connection, gone, since).await?)?;
    let replaced = concat!(
        "SELECT app FROM removed_apps JOIN apps USING (app) WHERE ",
        is_new!("removed_apps.written_in")
    );
    foreign.replaced = ids(&keys(connection, replaced, since).await?)?;
    let lost = concat!("SELECT app FROM apps WHERE ", is_new!("written_in"), " AND ", is_new!("owned_in"));
    foreign.lost = ids(&keys(connection, lost, since).await?)?;
    Ok((foreign, Some(positions::now(connection).await?)))
}

/// Whether somebody else than the managers of their apps wrote something that is new.
pub(super) async fn is_touched(connection: &mut PgConnection, since: &Seen) -> Result<bool, Fault> {
    let row = statement(concat!(
        "SELECT EXISTS (SELECT FROM apps WHERE ",
        is_new!("touched_in"),
        ") OR EXISTS (SELECT FROM removed_apps WHERE ",
        is_new!("written_in"),
        ")"
    ));
    Ok(row.bind(since.upto).bind(&since.open).fetch_one(connection).await?.try_get(0)?)
}

/// The apps that were deleted and are not there again.
pub(super) async fn removed(connection: &mut PgConnection) -> Result<BTreeSet<AppId>, Fault> {
    let sql =
        "SELECT app FROM removed_apps WHERE NOT EXISTS (SELECT FROM apps WHERE apps.app = removed_apps.app)";
    Ok(ids(&statement(sql).fetch_all(connection).await?)?.into_iter().collect())
}

async fn keys(connection: &mut PgConnection, sql: &'static str, since: &Seen) -> Result<Vec<PgRow>, Fault> {
    Ok(statement(sql).bind(since.upto).bind(&since.open).fetch_all(connection).await?)
}

fn ids(rows: &[PgRow]) -> sqlx::Result<Vec<AppId>> {
    let keys: Vec<Option<&str>> = first_column(rows)?;
    Ok(keys.into_iter().flatten().filter_map(|app| app.parse().ok()).collect())
}
