//! Transactions that others leave open: they stop the apps whose rows they hold, and no others.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::fleet::{Called, PATIENCE, send_signal, until_gone};
use crate::postgres::{Schema, until_said};

/// A manager on a server, and apps that run again and again.
struct Place {
    schema: Schema,
    dir: TempDir,
    manager: Child,
}

impl Place {
    fn new() -> Self {
        let (schema, dir) = (Schema::new(), tempfile::tempdir().unwrap());
        let called = Called::from(command(&schema, &dir, &["db", "migrate"]).output().unwrap());
        called.ok();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let config = dir.path().join("dcm.toml");
        std::fs::write(&config, "lease = 2.0\n").unwrap();
        let mut headless = command(&schema, &dir, &["--headless"]);
        headless.env("DC_CONFIG", config).stderr(log).stdout(Stdio::null());
        let manager = headless.spawn().unwrap();
        let place = Self { schema, dir, manager };
        for app in ["bad", "good"] {
            let path = format!("a/b/{app}");
            place.dcm(&["app", "add", &path, "--enable", "--interval", "0.002", "--", "true"]).ok();
        }
        place.until("both run", "SELECT (count(DISTINCT app_id) = 2)::int::bigint FROM runtime", 1);
        place
    }

    fn dcm(&self, arguments: &[&str]) -> Called {
        Called::from(command(&self.schema, &self.dir, arguments).output().unwrap())
    }

    /// Waits until a query gives at least this number.
    fn until(&self, what: &str, sql: &str, least: i64) {
        let begun = Instant::now();
        while self.schema.number(sql) < least {
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap();
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}; {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn runs(&self, app: &str) -> i64 {
        self.schema.number(&runs_of(app))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        send_signal(self.manager.id(), 18);
        let _ = self.manager.kill();
        let _ = self.manager.wait();
        let _ = command(&self.schema, &self.dir, &["stop-apps", "--grace", "0"]).output();
    }
}

fn command(schema: &Schema, dir: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
    command.env("DC_STATE_DIR", dir.path().join("state")).env("DC_CONFIG", "/dev/null").args(arguments);
    command.env("DC_DATABASE_URL", schema.url()).stdin(Stdio::null());
    command
}

fn runs_of(app: &str) -> String {
    format!("SELECT count(*) FROM runtime JOIN apps ON app = app_id WHERE app_name = '{app}'")
}

/// A transaction of another program that stays open.
struct Holder {
    runtime: Runtime,
    connection: PgConnection,
    pid: i32,
}

impl Holder {
    fn begin(schema: &Schema, sql: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (connection, pid) = runtime.block_on(async {
            let mut connection = PgConnection::connect(schema.url()).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {sql}"))).execute(&mut connection).await.unwrap();
            let row = sqlx::query("SELECT pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
            (connection, row.get(0))
        });
        Self { runtime, connection, pid }
    }

    fn end(mut self, how: &'static str) {
        self.runtime.block_on(async {
            sqlx::raw_sql(how).execute(&mut self.connection).await.unwrap();
            self.connection.close().await.unwrap();
        });
    }
}

const OPEN: &str = "SELECT count(*) FROM alerts WHERE kind = 'row_locked' AND closed IS NULL";

#[test]
fn a_row_that_is_held_stops_its_app_alone_with_an_alert() {
    let place = Place::new();
    for sql in [
        "SELECT FROM apps WHERE app_name = 'bad' FOR UPDATE",
        "UPDATE apps SET cwd = '/' WHERE app_name = 'bad'",
        "UPDATE apps SET cmd_name = 1, cmd_flag = 0, cmd_by = 'ana' WHERE app_name = 'bad'",
    ] {
        let holder = Holder::begin(&place.schema, sql);
        let pid = holder.pid;
        place.until("there is an alert", OPEN, 1);
        let named = format!(
            "SELECT count(*) FROM alerts WHERE message LIKE '%pid {pid} %' AND message LIKE '%table apps%'"
        );
        assert_eq!(place.schema.number(&named), 1, "{sql}");
        let before = place.runs("bad");
        let more = place.runs("good") + 5;
        place.until("the other app runs on", &runs_of("good"), more);
        place.dcm(&["restart", "a/b/good", "--wait"]).ok();
        assert_eq!(place.runs("bad"), before, "{sql}");
        holder.end("ROLLBACK");
        place.until("the alert is over", &format!("SELECT (0 = ({OPEN}))::int::bigint"), 1);
        place.until("it runs again", &runs_of("bad"), before + 2);
    }
    // A stop is carried out at once; its verdict is written when that can be.
    place.dcm(&["app", "set", "a/b/bad", "--interval", "none", "--", "sleep", "600"]).ok();
    place.dcm(&["restart", "a/b/bad", "--wait"]).ok();
    // That of the run under way, not of one before.
    let row = "FROM apps a JOIN runtime r ON r.runtime = a.runtime \
        WHERE a.app_name = 'bad' AND r.end_time IS NULL AND r.pid::text = a.app_pids";
    place.until("its process is on record", &format!("SELECT count(*) {row}"), 1);
    let pid = place.schema.number(&format!("SELECT a.app_pids::bigint {row}"));
    let holder = Holder::begin(&place.schema, "SELECT FROM apps WHERE app_name = 'bad' FOR UPDATE");
    let called = place.dcm(&["stop", "a", "--wait=3"]);
    assert!(called.out.contains("a/b/bad  pending"), "{called:?}");
    until_gone(u32::try_from(pid).unwrap());
    holder.end("ROLLBACK");
    place.until("it is stopped", "SELECT count(*) FROM apps WHERE app_name = 'bad' AND run_status = 2 AND cmd_name = 2 AND cmd_flag = 1", 1);
}

#[test]
fn rows_of_runs_commands_and_alerts_that_are_held_stop_their_app_alone() {
    let place = Place::new();
    place.dcm(&["app", "add", "a/b/long", "--enable", "--", "sleep", "600"]).ok();
    place.dcm(&["start", "a/b/long", "--wait"]).ok();
    for (sql, table) in [
        (
            "SELECT FROM runtime WHERE end_time IS NULL AND app_id = (SELECT app FROM apps WHERE app_name = 'long') FOR UPDATE",
            "runtime",
        ),
        (
            "INSERT INTO commands (app_id, cmd_name, cmd_by) SELECT app, 3, 'ana' FROM apps WHERE app_name = 'long'; COMMIT; BEGIN; SELECT FROM commands WHERE cmd_flag = 0 FOR UPDATE",
            "",
        ),
    ] {
        let holder = Holder::begin(&place.schema, sql);
        // Its end cannot be written.
        let called = place.dcm(&["restart", "a/b/long", "--wait=2"]);
        assert!(matches!(called.code, 0 | 124), "{called:?}");
        let more = place.runs("good") + 5;
        place.until("the other app runs on", &runs_of("good"), more);
        place.dcm(&["restart", "a/b/good", "--wait"]).ok();
        if !table.is_empty() {
            place.until("there is an alert", OPEN, 1);
            let named = format!("SELECT count(*) FROM alerts WHERE message LIKE '%table {table}%'");
            assert_eq!(place.schema.number(&named), 1);
        }
        holder.end("ROLLBACK");
        place.until(
            "each command has a verdict",
            "SELECT (0 = (SELECT count(*) FROM commands WHERE cmd_flag = 0))::int::bigint",
            1,
        );
        place.until("the alert is over", &format!("SELECT (0 = ({OPEN}))::int::bigint"), 1);
    }
}

#[test]
fn a_command_that_names_no_app_and_is_held_is_an_alert_about_the_fleet() {
    let place = Place::new();
    send_signal(place.manager.id(), 19);
    place.schema.sql("INSERT INTO commands (app_id, cmd_name, cmd_by) VALUES ('no app', 1, 'ana')");
    let holder = Holder::begin(&place.schema, "SELECT FROM commands WHERE app_id = 'no app' FOR UPDATE");
    send_signal(place.manager.id(), 18);
    let open =
        "SELECT count(*) FROM alerts WHERE kind = 'database_locked' AND app_id IS NULL AND closed IS NULL";
    place.until("there is an alert", open, 1);
    let pid = holder.pid;
    let named = format!(
        "SELECT count(*) FROM alerts WHERE message LIKE '%of no app in the table commands%pid {pid} %'"
    );
    assert_eq!(place.schema.number(&named), 1);
    let more = place.runs("good") + 5;
    place.until("the apps run on", &runs_of("good"), more);
    holder.end("ROLLBACK");
    place.until("the alert is over", &format!("SELECT (0 = ({open}))::int::bigint"), 1);
    place.until(
        "it has a verdict",
        "SELECT count(*) FROM commands WHERE app_id = 'no app' AND cmd_flag = 2",
        1,
    );
    // The line comes after the row.
    until_said(
        &place.dir.path().join("log"),
        "alert closed: fleet: database_locked: a row of no app in the table commands",
    );
}

#[test]
fn what_is_written_before_an_open_transaction_ends_and_after_it_is_read_once_each() {
    let place = Place::new();
    place.dcm(&["disable", "a", "--wait"]).ok();
    // The first one to begin is the last one to be seen.
    let holder = Holder::begin(
        &place.schema,
        "INSERT INTO apps (app_group, app_parent, app_name, command, disable, cmd_name, cmd_flag) \
         VALUES ('a', 'b', 'early', '[\"true\"]', false, 1, 0)",
    );
    place.dcm(&["app", "add", "a/b/late", "--enable", "--", "true"]).ok();
    place.dcm(&["start", "a/b/late", "--wait"]).ok();
    assert_eq!(place.schema.number("SELECT count(*) FROM apps"), 3);
    holder.end("COMMIT");
    place.until("the command is carried out", &runs_of("early"), 1);
    assert_eq!((place.runs("early"), place.runs("late")), (1, 1));
}

#[test]
fn a_manager_that_stands_still_holds_up_no_other() {
    let place = Place::new();
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("dcm.toml"), "name = \"other\"\n").unwrap();
    let mut second = command(&place.schema, &other, &["--headless"]);
    second.env("DC_CONFIG", other.path().join("dcm.toml")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut second = second.spawn().unwrap();
    place.until("the second one serves", "SELECT count(*) FROM managers WHERE name = 'other'", 1);
    place.schema.sql("UPDATE apps SET manager = 'other' WHERE app_name = 'good'");
    let began = "SELECT count(*) FROM runtime JOIN apps ON app = app_id WHERE app_name = 'good' AND runtime.manager = 'other'";
    place.until("it runs there", began, 3);
    for _ in 0..5 {
        // Often enough it is within a transaction.
        send_signal(place.manager.id(), 19);
        let more = place.schema.number(began) + 3;
        let begun = Instant::now();
        place.until("the other goes on", began, more);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        send_signal(place.manager.id(), 18);
    }
    second.kill().unwrap();
    second.wait().unwrap();
    command(&place.schema, &other, &["stop-apps", "--grace", "0"]).output().unwrap();
}

#[test]
fn a_row_that_is_deleted_while_its_app_runs_ends_the_run() {
    let place = Place::new();
    place.dcm(&["app", "add", "a/b/long", "--enable", "--", "sleep", "600"]).ok();
    place.dcm(&["start", "a/b/long", "--wait"]).ok();
    let row = "SELECT app_pids::bigint FROM apps WHERE app_name = 'long'";
    let pid = u32::try_from(place.schema.number(row)).unwrap();
    place.schema.sql("DELETE FROM apps WHERE app_name = 'long'");
    until_gone(pid);
    place.until("the run is closed", "SELECT count(*) FROM runtime WHERE outcome = 'stopped'", 1);
    let more = place.runs("good") + 3;
    place.until("the others run on", &runs_of("good"), more);
}

#[test]
fn a_lock_on_the_row_of_a_manager_stops_only_what_others_may_take_over() {
    let place = Place::new();
    place.dcm(&["app", "set", "a/b/bad", "--failover", "at_least_once"]).ok();
    let holder = Holder::begin(&place.schema, "SELECT FROM managers FOR UPDATE");
    let over = "SELECT count(*) FROM managers WHERE lease_until < clock_timestamp()";
    place.until("its lease is over", over, 1);
    place.until("there is an alert", OPEN, 1);
    // Alert and log say who holds it.
    let pid = holder.pid;
    let named = format!("SELECT count(*) FROM alerts WHERE message LIKE '%table managers%pid {pid} %'");
    assert_eq!(place.schema.number(&named), 1);
    let log = std::fs::read_to_string(place.dir.path().join("log")).unwrap();
    let line = log.lines().find(|line| line.contains("cannot renew the lease")).unwrap_or_default();
    assert!(line.contains(&format!("pid {pid} ")) && line.contains("pg_terminate_backend"), "{log}");
    let before = place.runs("bad");
    let more = place.runs("good") + 5;
    place.until("the other app runs on", &runs_of("good"), more);
    place.dcm(&["restart", "a/b/good", "--wait"]).ok();
    assert_eq!(place.runs("bad"), before);
    holder.end("ROLLBACK");
    place.until("it runs again", &runs_of("bad"), before + 2);
    place.until("the alert is over", &format!("SELECT (0 = ({OPEN}))::int::bigint"), 1);
}
