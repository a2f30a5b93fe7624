//! The migration of a server's database, and the check that it is one of ours.

use sqlx::{PgConnection, Row as _};

use super::connection::Fault;
use crate::store::StoreError;
use crate::store::migrations::{POSTGRES, VERSION};

/// What a superuser runs by `psql` to make the roles of a fleet.
pub const ROLES: &str = include_str!("../../../migrations/postgres/roles.sql");

/// The oldest server that the migration works on.
const SERVER_MIN: i64 = 150_000;

/// What is in the schema that the connection writes to.
pub(super) enum State {
    Empty,
    Ours { version: i64 },
    Foreign,
}

/// Brings the tables to the version of this program, inside a transaction. Two programs may do that at the same
/// moment: the second one waits and finds it done.
pub(super) async fn migrate(connection: &mut PgConnection) -> Result<(), Fault> {
    // "dcm" and 1, and no table's number.
    sqlx::raw_sql("SELECT pg_advisory_xact_lock(1684237569::bigint << 32)").execute(&mut *connection).await?;
    let version = match read(connection).await? {
        State::Ours { version } if version > VERSION => {
            return Err(StoreError::Schema { found: version, expected: VERSION }.into());
        }
        State::Ours { version } => version,
        State::Foreign => return Err(foreign().into()),
        State::Empty => 0,
    };
    if version < VERSION {
        become_owner(connection, version).await?;
    }
    for step in POSTGRES.iter().skip(usize::try_from(version).unwrap_or(usize::MAX)) {
        sqlx::raw_sql(*step).execute(&mut *connection).await?;
    }
    if version < VERSION {
        sqlx::raw_sql("SELECT dcm_grant_roles()").execute(connection).await?;
    }
    Ok(())
}

/// What is made belongs to the role that owns the schema, not to the member of it who is at work.
async fn become_owner(connection: &mut PgConnection, version: i64) -> Result<(), Fault> {
    let row = sqlx::raw_sql(
        "SELECT coalesce(nspowner = to_regrole('dcm_owner') AND pg_has_role(to_regrole('dcm_owner')::oid, 'MEMBER'), false) AS is_member, \
         has_schema_privilege(oid, 'CREATE') AND coalesce((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class \
             WHERE oid = to_regclass('dcm_schema')), true) AS may_change \
         FROM pg_namespace WHERE nspname = current_schema()",
    )
    .fetch_one(&mut *connection)
    .await?;
    if row.try_get("is_member")? {
        sqlx::raw_sql("SET LOCAL ROLE dcm_owner").execute(connection).await?;
    } else if version > 0 && !row.try_get::<bool, _>("may_change")? {
        return Err(StoreError::Denied(format!(
            "the database has schema {version}, older than the {VERSION} of this program, and only the owner of its \
             tables may change that; run dcm db migrate as a member of dcm_owner"
        ))
        .into());
    }
    Ok(())
}

/// Checks that a database is of this program's version. Each question is one message, which even a
/// pooler answers by one connection.
pub(super) async fn check(connection: &mut PgConnection) -> Result<(), Fault> {
    match read(connection).await? {
        State::Ours { version: VERSION } => Ok(()),
        State::Ours { version } => Err(StoreError::Schema { found: version, expected: VERSION }.into()),
        State::Foreign => Err(foreign().into()),
        State::Empty => Err(StoreError::Schema { found: 0, expected: VERSION }.into()),
    }
}

/// Looks what is there.
pub(super) async fn read(connection: &mut PgConnection) -> Result<State, Fault> {
    let found = sqlx::raw_sql(
        "SELECT current_setting('server_version_num')::bigint AS server, current_schema() IS NOT NULL AS has_schema, \
         to_regclass('dcm_schema') IS NOT NULL AS is_ours, to_regclass('apps') IS NOT NULL AS has_apps",
    )
    .fetch_one(&mut *connection)
    .await?;
    let server: i64 = found.try_get("server")?;
    if server < SERVER_MIN {
        let why = format!("the server is PostgreSQL {}; dcm needs 15 or newer", server / 10_000);
        return Err(StoreError::Denied(why).into());
    }
    if !found.try_get::<bool, _>("has_schema")? {
        let why = "the search_path of the user names no schema that exists; create one";
        return Err(StoreError::Denied(why.to_owned()).into());
    }
    if !found.try_get::<bool, _>("is_ours")? {
        return Ok(if found.try_get("has_apps")? { State::Foreign } else { State::Empty });
    }
    let row = sqlx::raw_sql("SELECT coalesce(max(version), 0) AS version FROM dcm_schema")
        .fetch_one(connection)
        .await?;
    Ok(State::Ours { version: row.try_get("version")? })
}

fn foreign() -> StoreError {
    StoreError::Corrupt(
        "the schema holds tables of another program; name another database with --database".to_owned(),
    )
}
