//! One bad value in one column of one table harms nobody else. The columns are those of the schema, so a
//! new one is tried by itself.

use dcm::model::{
    Alert, AlertCause, AlertKind, App, AppId, Change, Closing, CmdName, CommandId, CommandSource,
    DocumentPath, Ending, EventId, Exit, KeptLog, Leftovers, Load, ManagerRow, NewCommand, NewEvent, Program,
    Published, Registered, Report, Revision, RootState, RunId, RunOpening, Skip, SkipReason, Target,
    Timestamp, Trigger, WatchRoot, parse_timestamp,
};
use dcm::store::{
    AlertQuery, EventQuery, Existing, HistoryQuery, LedgerQuery, NextRun, OpenMode, PostgresStore,
    Registration, SkipQuery, SqliteStore, Store, StoreError, TaskQuery,
};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::fleet::PATIENCE;
use crate::postgres::{Schema, block_on};

fn noon() -> Timestamp {
    parse_timestamp("2026-11-23T12:00:00Z").unwrap()
}

fn app(path: &str) -> App {
    let program = Program { command: Some(vec!["true".to_owned()]), ..Program::default() };
    App { program, ..App::new(path.parse().unwrap()) }
}

fn victim() -> AppId {
    app("a/b/bad").id
}

fn good() -> AppId {
    app("a/b/good").id
}

fn opening(app: AppId, run: u128) -> Change {
    Change::RunOpened(RunOpening {
        run: RunId::from_random_bits(run),
        app,
        at: noon(),
        due: None,
        trigger: Trigger::Schedule,
        attempt: 1,
        command: None,
        manager: "zg".to_owned(),
        is_forced: false,
    })
}

fn closed(app: AppId, run: u128) -> Change {
    let closing = Closing {
        ending: Ending::Exited(Exit::Code(0)),
        started: Some(noon()),
        ended: noon(),
        report: Report::default(),
        leftovers: Leftovers::default(),
        stderr: None,
    };
    Change::RunClosed { run: RunId::from_random_bits(run), app, closing }
}

fn command(app: AppId) -> NewCommand {
    NewCommand {
        app,
        name: CmdName::Start,
        args: Some("{}".to_owned()),
        by: "ana".to_owned(),
        source: CommandSource::Cli,
        time: noon(),
        expires: None,
        batch: Some("b".to_owned()),
        note: Some("n".to_owned()),
    }
}

fn watched() -> WatchRoot {
    WatchRoot {
        name: "in".to_owned(),
        path: "/in".to_owned(),
        pattern: "*".to_owned(),
        recursive: false,
        app_group: "a".to_owned(),
        topic: "a.b".to_owned(),
        stable_seconds: 2.0,
        enabled: true,
        manager: None,
        state: RootState::default(),
    }
}

fn target() -> Target {
    Target { queue: "q".to_owned(), actor: "work".to_owned() }
}

fn version(path: &str) -> NewEvent {
    NewEvent {
        path: DocumentPath::of_bytes(path.as_bytes()),
        size: 7,
        sha3: "ab".repeat(32),
        modified: Some(noon()),
        seen: noon(),
        stamp: "1".to_owned(),
    }
}

/// A row of the app that is to be hurt in every table, and an app that must not mind.
async fn populate(store: &dyn Store) {
    let registration = |path: &str| Registration {
        app: app(path),
        next_run: Some(NextRun::At(noon())),
        existing: Existing::Refuse,
    };
    store.register(vec![registration("a/b/bad")]).await.unwrap();
    store.register(vec![registration("a/b/good")]).await.unwrap();
    store.set_limit("a".parse().unwrap(), Some("b".parse().unwrap()), Some(5)).await.unwrap();
    store.take_seat(ManagerRow { name: "zg".to_owned(), ..ManagerRow::default() }).await.unwrap();
    store.renew(Load::default()).await.unwrap();
    if let Some(cluster) = store.cluster() {
        cluster.claim().await.unwrap();
    }
    store.want_log(victim()).await.unwrap();
    let alert = Alert {
        app: victim(),
        kind: AlertKind::UnexpectedBehavior,
        run: Some(RunId::from_random_bits(1)),
        cause: AlertCause::of_text("it failed"),
        message: "it failed".to_owned(),
        detail: None,
        count: 1,
        at: noon(),
    };
    let skip = Skip {
        app: victim(),
        first: noon(),
        last: noon(),
        slots: Some(1),
        reason: SkipReason::Missed,
        at: noon(),
    };
    store.commit(vec![opening(victim(), 1), closed(victim(), 1)]).await.unwrap();
    store
        .commit(vec![Change::AlertOpened(alert), Change::Skipped(skip), opening(victim(), 2)])
        .await
        .unwrap();
    store.submit(vec![command(victim())]).await.unwrap();
    let log = KeptLog {
        run: RunId::from_random_bits(2),
        app: victim(),
        manager: "zg".to_owned(),
        bytes: b"log".to_vec(),
        written: noon(),
    };
    store.keep_log(log).await.unwrap();
    store.add_watch_root(watched()).await.unwrap();
    check(store.claim_watch_root("in".to_owned()).await.unwrap(), "a root is not watched").unwrap();
    store.add_document_route("#".to_owned(), target(), 0).await.unwrap();
    store.enter_events("in".to_owned(), vec![version("/in/\u{10d}")]).await.unwrap();
    // A row that is gone leaves one in `removed_apps`.
    store.register(vec![registration("a/b/gone")]).await.unwrap();
    store.remove(vec![app("a/b/gone").id]).await.unwrap();
}

/// Everything that a manager, a console and the command line read.
async fn read(store: &dyn Store) -> Result<(), StoreError> {
    let delta = store.changes_since(Revision::default()).await?;
    let is_well = |row: &Registered| matches!(row, Registered::App(row) if row.app.id == good());
    check(delta.rows.iter().any(is_well), "the other app is not as it was")?;
    store.apps(vec![victim(), good()]).await?;
    let snapshot = store.snapshot().await?;
    check(snapshot.apps.iter().any(is_well), "a manager does not take the other app up")?;
    store.pending_commands(Vec::new()).await?;
    store.foreign_changes(Revision::default(), true).await?;
    store.news(Revision::default(), Vec::new(), true).await?;
    store.commands((1..5).map(CommandId).collect()).await?;
    store.ledger(LedgerQuery { limit: 100, ..LedgerQuery::default() }).await?;
    for apps in [vec![], vec![victim()], vec![good()]] {
        store.history(HistoryQuery { apps: apps.clone(), limit: 100, ..HistoryQuery::default() }).await?;
        let since = Some(noon());
        store
            .history(HistoryQuery { apps: apps.clone(), since, limit: 100, ..HistoryQuery::default() })
            .await?;
        store.skips(SkipQuery { apps, limit: 100, ..SkipQuery::default() }).await?;
    }
    store.alerts(AlertQuery { limit: 100, ..AlertQuery::default() }).await?;
    store.managers().await?;
    store.limits().await?;
    store.rights().await?;
    store.wanted_logs("zg".to_owned()).await?;
    store.kept_log(victim(), None).await?;
    store.watch_roots().await?;
    store.document_routes().await?;
    store.file_events(EventQuery { limit: 100, ..EventQuery::default() }).await?;
    store.pipeline_tasks(TaskQuery { limit: 100, ..TaskQuery::default() }).await?;
    store.stages(noon()).await?;
    store.known_versions("in".to_owned(), EventId(0)).await?;
    store.next_document().await?;
    if let Some(cluster) = store.cluster() {
        cluster.elsewhere(vec![victim(), good()]).await.or_else(not_deposed)?;
    }
    Ok(())
}

fn check(is_so: bool, what: &str) -> Result<(), StoreError> {
    if is_so { Ok(()) } else { Err(StoreError::Refused(what.to_owned())) }
}

/// What was tried, and what of it failed.
#[derive(Default)]
struct Tried {
    count: usize,
    failed: Vec<String>,
}

impl Tried {
    fn note(&mut self, (table, column, value): (&str, &str, &str), result: Result<(), StoreError>) {
        self.count += 1;
        if let Err(error) = result {
            self.failed.push(format!("{table}.{column} = {value}: {error}"));
        }
    }

    fn end(&self, at_least: usize) {
        assert!(self.count >= at_least, "{} values were tried", self.count);
        assert!(self.failed.is_empty(), "{}", self.failed.join("\n"));
    }
}

/// A manager whose own row was changed by a hand is deposed, and begins anew.
fn not_deposed<T: Default>(error: StoreError) -> Result<T, StoreError> {
    if error == StoreError::Deposed { Ok(T::default()) } else { Err(error) }
}

/// The same, once a store has found out that the file is not another one: the manager's row tells it.
async fn read_settled(store: &dyn Store) -> Result<(), StoreError> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match read(store).await {
            Err(StoreError::Unavailable(why))
                if why.contains("being replaced") && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            read => return read,
        }
    }
}

/// Its own row says that the manager is that of another host or boot, whose lease goes on.
fn is_of_another_host(error: &StoreError) -> bool {
    let why = error.to_string();
    ["start it there", "is already serving", "the lease of zg"].iter().any(|text| why.contains(text))
}

/// The other app goes through a run, gets a command and a new definition.
async fn go_on(store: &dyn Store) -> Result<(), StoreError> {
    match store.take_seat(ManagerRow { name: "zg".to_owned(), ..ManagerRow::default() }).await {
        Err(error) if is_of_another_host(&error) => return read(store).await,
        seated => seated?,
    }
    store.renew(Load::default()).await?;
    if let Some(cluster) = store.cluster() {
        cluster.claim().await?;
        cluster.share().await?;
    }
    let committed = store.commit(vec![opening(good(), 3)]).await?;
    check(committed.refused.is_empty(), "a run is refused")?;
    store.commit(vec![closed(good(), 3)]).await?;
    let ids = store.submit(vec![NewCommand { batch: Some("go on".to_owned()), ..command(good()) }]).await?;
    let pending = store.pending_commands(Vec::new()).await?;
    check(pending.iter().any(|command| command.id == ids[0]), "a command does not arrive")?;
    // Another document is entered and published, unless the root was taken away by its row.
    match store.enter_events("in".to_owned(), vec![version("/in/good")]).await {
        Err(StoreError::Refused(_)) => {}
        entered => drop(entered?),
    }
    let later = noon() + chrono::TimeDelta::days(20_000);
    let due = store.take_documents(later, later).await.or_else(not_deposed)?;
    let sent = due.iter().map(|due| (due.delivery, due.task, Published::Sent)).collect();
    store.settle_documents(sent, noon()).await?;
    store.retry_documents(TaskQuery { limit: 10, ..TaskQuery::default() }).await?;
    let registration = Registration { app: app("a/b/good"), next_run: None, existing: Existing::Replace };
    store.register(vec![registration]).await?;
    read(store).await
}

/// What `SQLite` lets a program write, whatever the column is called.
const SQLITE_VALUES: [&str; 12] = [
    "CAST(X'c669e6' AS TEXT)",
    "CAST(X'41004200' AS TEXT)",
    "X'00ff'",
    "''",
    "'garbage'",
    "'2026-13-45T99:99:99Z'",
    "CAST(zeroblob(1000000) AS TEXT)",
    "9223372036854775807",
    "-9223372036854775808",
    "-1",
    "1e999",
    "NULL",
];

/// Tables and columns of the schema.
fn sqlite_columns(connection: &Connection) -> Vec<(String, String)> {
    let sql = "SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns \
         WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%'";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection
}

/// The statement that puts a value into the rows of the app that is to be hurt.
fn hurt(table: &str, column: &str, value: &str) -> String {
    let rows = if table == "apps" { "WHERE app_name = 'bad'" } else { "" };
    format!("UPDATE {table} SET {column} = {value} {rows}")
}

#[test]
fn no_value_in_any_column_fails_a_query_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let (path, pristine) = (folder.path().join("dcm.db"), folder.path().join("pristine.db"));
    let store = SqliteStore::open(&path, OpenMode::Create).unwrap();
    block_on(async {
        populate(&store).await;
        store.backup(&pristine).await.unwrap();
    });
    let connection = open(&path);
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection.execute_batch(&format!("ATTACH '{}' AS pristine", pristine.display())).unwrap();
    drop_triggers(&connection);
    let mut tried = Tried::default();
    for (table, column) in sqlite_columns(&connection) {
        for value in SQLITE_VALUES {
            if connection.execute_batch(&hurt(&table, &column, value)).is_err() {
                continue;
            }
            tried.note((&table, &column, value), block_on(read_settled(&store)));
            let restore = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM pristine.{table}");
            connection.execute_batch(&format!("BEGIN; {restore}; COMMIT")).unwrap();
        }
    }
    tried.end(500);
}

/// Without them a value stands as it was written, also in rows that are closed.
fn drop_triggers(connection: &Connection) {
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").unwrap();
    let triggers: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for trigger in triggers {
        connection.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
}

#[test]
fn other_apps_go_on_beside_any_value_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let pristine = folder.path().join("pristine.db");
    let store = SqliteStore::open(&folder.path().join("dcm.db"), OpenMode::Create).unwrap();
    block_on(async {
        populate(&store).await;
        store.backup(&pristine).await.unwrap();
    });
    let path = folder.path().join("copy.db");
    let mut tried = Tried::default();
    for (table, column) in sqlite_columns(&open(&pristine)) {
        for value in ["CAST(X'c669e6' AS TEXT)", "9223372036854775807", "NULL"] {
            for suffix in ["", "-wal", "-shm", "-manager"] {
                let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
            }
            std::fs::copy(&pristine, &path).unwrap();
            let connection = open(&path);
            connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
            if connection.execute_batch(&hurt(&table, &column, value)).is_err() {
                continue;
            }
            drop(connection);
            let store = SqliteStore::open(&path, OpenMode::Existing).unwrap();
            tried.note((&table, &column, value), block_on(go_on(&store)));
        }
    }
    tried.end(100);
}

/// What a server lets a program write into a column of this type.
fn postgres_values(kind: &str) -> &'static [&'static str] {
    match kind {
        "bigint" => &["9223372036854775807", "-9223372036854775808", "-1", "NULL"],
        "double precision" => &["'NaN'", "'Infinity'", "'-Infinity'", "1e308", "-1", "NULL"],
        "timestamp with time zone" => {
            &["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'294000-01-01'", "'1969-01-01'", "NULL"]
        }
        "boolean" => &["true", "NULL"],
        "text[]" => &["'{}'", "'{NULL}'", "NULL"],
        "bytea" => &["''", "'\\x00ff'"],
        "text" => &["''", "'garbage'", "repeat('x', 1000000)", "E'\\u0001\\u202e'", "NULL"],
        other => panic!("no values for a column of the type {other}"),
    }
}

/// The first and the last of the values.
fn ends(values: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    values.iter().take(1).chain(values.iter().skip(1).last()).copied()
}

const POSTGRES_COLUMNS: &str = "SELECT relname::text, attname::text, format_type(atttypid, NULL) FROM pg_attribute \
    JOIN pg_class ON pg_class.oid = attrelid \
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped \
      AND relname NOT LIKE 'pristine%' AND relname <> 'dcm_schema' ORDER BY relname, attnum";

/// A client of the server that may do anything.
async fn connect(schema: &Schema) -> (PgConnection, Vec<(String, String, String)>) {
    let mut connection = PgConnection::connect(schema.url()).await.unwrap();
    let rows = sqlx::query(POSTGRES_COLUMNS).fetch_all(&mut connection).await.unwrap();
    let columns = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    (connection, columns)
}

async fn execute(connection: &mut PgConnection, sql: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

/// Keeps what a table holds, and puts it back.
async fn restore(connection: &mut PgConnection, table: &str) {
    let fill = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM pristine_{table}");
    let sql =
        format!("SET session_replication_role = replica; {fill}; SET session_replication_role = origin");
    execute(connection, sql).await.unwrap();
}

#[test]
fn no_value_in_any_column_fails_a_query_on_postgres() {
    let schema = Schema::new();
    let store = PostgresStore::connect(schema.url(), OpenMode::Create).unwrap();
    let tried = block_on(async {
        populate(&store).await;
        let (mut connection, columns) = connect(&schema).await;
        let mut tried = Tried::default();
        for (table, column, kind) in columns {
            execute(&mut connection, format!("CREATE TABLE IF NOT EXISTS pristine_{table} AS TABLE {table}"))
                .await
                .unwrap();
            for value in postgres_values(&kind) {
                // Without triggers, as after a restore by pg_dump.
                let sql = format!(
                    "SET session_replication_role = replica; {}; SET session_replication_role = origin",
                    hurt(&table, &column, value)
                );
                if execute(&mut connection, sql).await.is_ok() {
                    tried.note((&table, &column, value), read(&store).await);
                }
                restore(&mut connection, &table).await;
            }
        }
        tried
    });
    tried.end(300);
}

#[test]
fn other_apps_go_on_beside_any_value_on_postgres() {
    let schema = Schema::new();
    let store = PostgresStore::connect(schema.url(), OpenMode::Create).unwrap();
    let tried = block_on(async {
        populate(&store).await;
        let (mut connection, columns) = connect(&schema).await;
        let mut tables: Vec<_> = columns.iter().map(|(table, ..)| table.clone()).collect();
        tables.dedup();
        for table in &tables {
            execute(&mut connection, format!("CREATE TABLE pristine_{table} AS TABLE {table}"))
                .await
                .unwrap();
        }
        let mut tried = Tried::default();
        for (table, column, kind) in columns {
            for value in ends(postgres_values(&kind)) {
                if execute(&mut connection, hurt(&table, &column, value)).await.is_ok() {
                    tried.note((&table, &column, value), go_on(&store).await);
                }
                for table in &tables {
                    restore(&mut connection, table).await;
                }
            }
        }
        tried
    });
    tried.end(100);
}
