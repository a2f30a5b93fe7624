//! What a PostgreSQL server can do to the store, and what the store says to it.

use std::time::Duration;

use dcm::model::{AppId, Change, ManagerRow, Revision};
use dcm::store::{Cluster as _, OpenMode, OperatorStore as _, PostgresStore, Store as _, StoreError};

use crate::postgres::{self, Schema, block_on, command};

fn refused(url: &str, mode: OpenMode) -> StoreError {
    let error = PostgresStore::connect(url, mode).map(|_| ()).unwrap_err();
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

#[test]
fn a_schema_without_tables_is_missing_and_one_of_another_version_is_refused() {
    let schema = Schema::new();
    let missing = refused(schema.url(), OpenMode::Existing);
    assert!(matches!(missing, StoreError::Missing(_)), "{missing}");
    assert!(missing.to_string().contains("dcm db migrate"), "{missing}");
    drop(PostgresStore::connect(schema.url(), OpenMode::Create).unwrap());
    drop(PostgresStore::connect(schema.url(), OpenMode::Create).unwrap());
    drop(PostgresStore::connect(schema.url(), OpenMode::Existing).unwrap());
    schema.sql("UPDATE dcm_schema SET version = 99");
    for mode in [OpenMode::Create, OpenMode::Existing] {
        let error = refused(schema.url(), mode);
        assert!(matches!(error, StoreError::Schema { found: 99, .. }), "{error}");
    }
}

#[test]
fn a_database_of_the_first_version_is_brought_up_to_date() {
    let schema = Schema::new();
    schema.sql(include_str!("../../migrations/postgres/0001_fleet.sql"));
    schema.sql("INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'c')");
    schema.sql(
        "INSERT INTO alerts (app_id, kind, runtime, message, raised, cleared) VALUES \
         ('x', 'unexpected_behavior', '1', '12 failures in a row, the last: killed by signal 6, core dumped', now(), NULL), \
         ('x', 'host_exhausted', '2', '3 failures in a row, the last: no memory; it is tried again', now(), now()), \
         ('x', 'failed_to_start', '3', 'no python3', now(), NULL)",
    );
    let error = refused(schema.url(), OpenMode::Existing);
    assert!(matches!(error, StoreError::Schema { found: 1, .. }), "{error}");
    drop(PostgresStore::connect(schema.url(), OpenMode::Create).unwrap());
    drop(PostgresStore::connect(schema.url(), OpenMode::Existing).unwrap());
    // Whoever changes the owner, the epoch grows.
    schema
        .sql("UPDATE apps SET manager = 'x'; UPDATE apps SET manager = 'x'; UPDATE apps SET manager = NULL");
    schema.sql(
        "DO $$ BEGIN ASSERT (SELECT epoch = 2 AND owned_since > 0 AND failover = 'never' FROM apps); END $$",
    );
    schema.sql(
        "DO $$ BEGIN ASSERT (SELECT array_agg(concat_ws('|', cause, severity, count, last_seen = opened, closed IS NULL) \
         ORDER BY id) FROM alerts) = ARRAY['killed by signal 6|critical|12|t|t', 'no memory|warning|3|t|f', \
         'no python3|critical|1|t|t']; END $$",
    );
}

#[test]
fn tables_of_others_are_left_alone() {
    let schema = Schema::new();
    schema.sql("CREATE TABLE apps (mine bigint)");
    for mode in [OpenMode::Create, OpenMode::Existing] {
        let error = refused(schema.url(), mode);
        assert!(matches!(&error, StoreError::Corrupt(_)), "{error}");
        assert!(error.to_string().contains("another program"), "{error}");
    }
}

#[test]
fn many_create_it_at_once() {
    let schema = Schema::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| PostgresStore::connect(schema.url(), OpenMode::Create).unwrap());
        }
    });
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let error = refused("postgres://ana:hunter2@127.0.0.1:1/dcm", OpenMode::Existing);
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("start the server"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn a_database_that_is_not_there_is_told() {
    let url = postgres::with(postgres::server_url(), "dbname=no_such_database");
    let error = refused(&url, OpenMode::Create);
    assert!(matches!(error, StoreError::Denied(_)), "{error}");
    assert!(error.to_string().contains("no_such_database"), "{error}");
}

#[test]
fn a_missing_right_is_named() {
    let schema = Schema::new();
    drop(PostgresStore::connect(schema.url(), OpenMode::Create).unwrap());
    let role = format!("role_{}", schema.name());
    schema.sql(&format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {} TO {role}; GRANT SELECT ON dcm_schema TO {role}",
        schema.name()
    ));
    let store = PostgresStore::connect(&schema.url_of(&role, "hunter2"), OpenMode::Existing).unwrap();
    let error = block_on(store.changes_since(Revision::default())).unwrap_err();
    drop(store);
    schema.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert!(matches!(error, StoreError::Denied(_)), "{error}");
    assert!(error.to_string().contains("table apps"), "{error}");
}

#[test]
fn lost_connections_are_replaced_unnoticed() {
    let schema = Schema::new();
    let url = postgres::with(schema.url(), &format!("application_name={}", schema.name()));
    let store = PostgresStore::connect(&url, OpenMode::Create).unwrap();
    block_on(async {
        store.limits().await.unwrap();
        let end = format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = '{}'",
            schema.name()
        );
        std::thread::scope(|scope| scope.spawn(|| postgres::admin(&end)).join().unwrap());
        store.limits().await.unwrap();
    });
}

#[test]
fn a_lock_of_another_program_ends_the_call_and_not_the_store() {
    let schema = Schema::new();
    let store = PostgresStore::connect(schema.url(), OpenMode::Create).unwrap();
    schema.sql("INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'c')");
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            schema.sql("BEGIN; LOCK TABLE apps IN SHARE ROW EXCLUSIVE MODE; SELECT pg_sleep(6); COMMIT");
        });
        std::thread::scope(|_| {
            block_on(async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                let fault =
                    Change::AppFault { row: 1, app: AppId::of(&"a/b/c".parse().unwrap()), fault: None };
                let error = store.commit(vec![fault]).await.unwrap_err();
                assert!(matches!(error, StoreError::Locked(_)), "{error}");
                let error = store.submit(vec![command()]).await.unwrap_err();
                assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                // Those who only look are not held up.
                store.changes_since(Revision::default()).await.unwrap();
            });
        });
        holder.join().unwrap();
    });
    block_on(store.commit(Vec::new())).unwrap();
}

#[test]
fn changes_of_others_are_told_and_own_ones_are_not() {
    let schema = Schema::new();
    let store = PostgresStore::connect(schema.url(), OpenMode::Create).unwrap();
    block_on(async {
        run_sql(&schema, "INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'c')");
        store.take_seat(ManagerRow { name: "zg".to_owned(), ..ManagerRow::default() }).await.unwrap();
        store.claim().await.unwrap();
        let mut changed = store.changed();
        let delta = store.foreign_changes(Revision::default(), true).await.unwrap();
        assert_eq!(delta.rows.len(), 1);
        let dcm::model::Registered::App(row) = &delta.rows[0] else { panic!("{:?}", delta.rows) };
        assert!(row.is_named);
        let fault = dcm::model::Change::AppFault {
            row: row.row,
            app: row.app.id,
            fault: Some("odd \0 text".to_owned()),
        };
        store.commit(vec![fault]).await.unwrap();
        assert_eq!(store.foreign_changes(delta.revision, false).await.unwrap().rows, []);
        assert_eq!(store.foreign_changes(delta.revision, true).await.unwrap().rows.len(), 1);
        // The first hint says that the listening has begun, at the latest after a second.
        tokio::time::timeout(Duration::from_secs(5), changed.changed()).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        changed.mark_unchanged();
        run_sql(&schema, "UPDATE apps SET cwd = '/tmp'");
        tokio::time::timeout(Duration::from_millis(1500), changed.changed()).await.unwrap().unwrap();
        assert_eq!(store.foreign_changes(delta.revision, false).await.unwrap().rows.len(), 1);
    });
}

/// From within a test's own event loop.
fn run_sql(schema: &Schema, sql: &str) {
    std::thread::scope(|scope| scope.spawn(|| schema.sql(sql)).join().unwrap());
}

#[test]
fn a_server_that_crashes_and_comes_back_is_used_again() {
    let cluster = postgres::Cluster::new();
    let store = PostgresStore::connect(&cluster.url(), OpenMode::Create).unwrap();
    block_on(async {
        let mut changed = store.changed();
        store.limits().await.unwrap();
        cluster.stop();
        for _ in 0..3 {
            let error = store.limits().await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        }
        cluster.start();
        postgres::until("the store to reach the server again", async || store.limits().await.ok()).await;
        changed.mark_unchanged();
        // Hints come again, too.
        tokio::time::timeout(Duration::from_secs(20), changed.changed()).await.unwrap().unwrap();
    });
}
