//! What the server says of itself and of this connection.

use sqlx::{PgConnection, Row as _};

use super::connection::{Fault, statement};
use crate::store::DatabaseFacts;
use crate::store::migrations::VERSION;

/// Views of statistics show of others only that they are there, and that is what counts. A pooler in between is what the
/// last two tell of.
pub(super) async fn read(connection: &mut PgConnection) -> Result<DatabaseFacts, Fault> {
    let row = statement(
        "SELECT current_setting('server_version') AS version, pg_database_size(current_database()) AS size, \
         (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used, \
         current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint AS most, \
         inet_client_addr() IS NOT NULL AND NOT inet_client_addr() <<= '127.0.0.0/8' AND inet_client_addr() <> '::1' \
         AS is_remote, \
         coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS ssl",
    )
    .fetch_one(connection)
    .await?;
    let count = |name: &str| row.try_get::<i64, _>(name).map(|count| u32::try_from(count).unwrap_or(0));
    let version: &str = row.try_get("version")?;
    let is_remote: bool = row.try_get("is_remote")?;
    let is_encrypted: bool = row.try_get("ssl")?;
    Ok(DatabaseFacts {
        product: format!("PostgreSQL {}", version.split(' ').next().unwrap_or(version)),
        schema: VERSION,
        size: row.try_get::<i64, _>("size")?.unsigned_abs(),
        log: None,
        connections: Some((count("used")?, count("most")?)),
        is_encrypted: is_remote.then_some(is_encrypted),
    })
}
