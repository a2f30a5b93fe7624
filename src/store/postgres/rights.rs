//! What the user of the URL may do, asked of the server itself.

use std::sync::OnceLock;

use sqlx::{PgConnection, Row as _};

use super::connection::{Fault, statement};
use crate::store::Rights;
use crate::store::rows;

/// A standby lets nobody write, whatever was granted.
pub(super) async fn read(connection: &mut PgConnection) -> Result<Rights, Fault> {
    let row = statement(
        "SELECT NOT pg_is_in_recovery() AS is_primary, has_function_privilege('dcm_submit(jsonb)', 'EXECUTE') AS submit, \
         has_table_privilege('apps', 'INSERT') AND has_table_privilege('apps', 'DELETE') AS register, \
         has_table_privilege('managers', 'INSERT') AND has_table_privilege('runtime', 'INSERT') AS manage, \
         has_column_privilege('apps', 'env', 'SELECT') AS see_env",
    )
    .fetch_one(connection)
    .await?;
    let is_primary: bool = row.try_get("is_primary")?;
    let may = |what: &str| row.try_get::<bool, _>(what).map(|granted| granted && is_primary);
    Ok(Rights {
        submit: may("submit")?,
        register: may("register")?,
        manage: may("manage")?,
        see_env: row.try_get("see_env")?,
    })
}

/// The columns of an app that this user may read; asked for once.
pub(super) async fn app_columns<'a>(
    connection: &mut PgConnection,
    known: &'a OnceLock<String>,
) -> Result<&'a str, Fault> {
    if let Some(columns) = known.get() {
        return Ok(columns);
    }
    let row = statement("SELECT has_column_privilege('apps', 'env', 'SELECT')").fetch_one(connection).await?;
    let sees_env = row.try_get(0)?;
    Ok(known.get_or_init(if sees_env { rows::app_columns } else { rows::app_columns_without_env }))
}
