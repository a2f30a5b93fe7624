//! Text of apps, other programs, arguments and files on its way to a terminal: nothing of it may command the
//! terminal, whatever command shows it.

use dcm::model::Printable;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::fleet::{Fleet, id, send_signal};
use crate::postgres::{Schema, block_on};
use crate::terminal::Terminal;

/// A title, an erased screen, C1 forms of the same, characters that reorder or hide, a line of its own.
const HOSTILE: &str =
    "x\x1b]0;pwn\x07\x1b[2J\u{9b}31m\u{90}q\u{202e}\u{2066}\r\nfalse line\u{2028}\x7f\x08\u{200b}y";

/// What the program wrote to the terminal, less its own colours and line feeds, holds nothing but characters that
/// can be printed.
#[track_caller]
fn check(what: &str, written: &str) {
    let mut text = written.replace("\r\n", "\n");
    while let Some(at) = text.find("\x1b[") {
        let rest = &text[at + 2..];
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(rest.len());
        assert!(rest[length..].starts_with('m'), "{what}: {written:?}");
        text.replace_range(at..at + 3 + length, "");
    }
    assert!(text.chars().all(|c| c == '\n' || Printable::is_printable(c)), "{what}: {written:?}");
    // A file of TOML has texts of several lines, in quotes.
    let is_quoted = text.contains("= \"\"\"");
    assert!(is_quoted || !text.lines().any(|line| line.starts_with("false line")), "{what}: {written:?}");
}

/// Calls the program on a terminal and checks what it writes there.
#[track_caller]
fn call(fleet: &Fleet, arguments: &[&str]) -> String {
    let written = Terminal::open(fleet, arguments, (200, 50)).until_end();
    check(&format!("{arguments:?}"), &written);
    written
}

/// Columns of a row and what is entered into them.
type Row = Vec<(&'static str, String)>;

/// A row with one hostile text column and good values elsewhere.
fn hostile(column: &str, mut good: Row) -> Row {
    match good.iter_mut().find(|(name, _)| *name == column) {
        Some((_, value)) => HOSTILE.clone_into(value),
        None => good.push((column.to_owned().leak(), HOSTILE.to_owned())),
    }
    good
}

/// Enters rows into a table, one for each of its text columns; how many the table took.
fn fill(fleet: &Fleet, table: &str, good: &dyn Fn(&str) -> Row) -> usize {
    let columns = fleet.query(&format!("SELECT name FROM pragma_table_info('{table}') WHERE type = 'TEXT'"));
    let connection = rusqlite::Connection::open(fleet.database()).unwrap();
    let mut taken = 0;
    for column in columns.concat() {
        let rusqlite::types::Value::Text(column) = column else { panic!("a name is a text") };
        let (names, values): (Vec<_>, Vec<_>) = hostile(&column, good(&column)).into_iter().unzip();
        let places = vec!["?"; names.len()].join(", ");
        let sql = format!("INSERT OR IGNORE INTO {table} ({}) VALUES ({places})", names.join(", "));
        taken += connection.execute(&sql, rusqlite::params_from_iter(values)).unwrap_or(0);
    }
    taken
}

/// The same on a server.
fn fill_server(schema: &Schema, table: &str, good: &dyn Fn(&str) -> Row) -> usize {
    block_on(async {
        let mut connection = PgConnection::connect(schema.url()).await.unwrap();
        let columns = "SELECT column_name::text FROM information_schema.columns \
                       WHERE table_schema = current_schema() AND table_name = $1 AND data_type = 'text'";
        let columns: Vec<String> =
            sqlx::query_scalar(columns).bind(table).fetch_all(&mut connection).await.unwrap();
        let mut taken = 0;
        for column in columns {
            let (names, values): (Vec<_>, Vec<_>) = hostile(&column, good(&column)).into_iter().unzip();
            let values: Vec<_> = values.iter().map(|value| format!("$hostile${value}$hostile$")).collect();
            let sql = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
            taken += usize::from(done.is_ok());
        }
        taken
    })
}

fn hostile_fleet() -> Fleet {
    let fleet = Fleet::new();
    fleet.add("f/f/good", &["--interval", "60"], &["true"]);
    fill_all(|table, good| fill(&fleet, table, good));
    fleet
}

/// A fleet on a server, called from a host of its own.
fn hostile_fleet_on_a_server() -> (Fleet, Schema) {
    let (mut fleet, schema) = (Fleet::bare(), Schema::new());
    fleet.set("DC_DATABASE_URL", schema.url());
    fleet.dcm(&["db", "migrate"]).ok();
    fleet.add("f/f/good", &["--interval", "60"], &["true"]);
    fill_all(|table, good| fill_server(&schema, table, good));
    (fleet, schema)
}

fn fill_all(fill: impl Fn(&str, &dyn Fn(&str) -> Row) -> usize) {
    let app = id("f/f/good").to_string();
    let text = str::to_owned;
    let apps = fill("apps", &|column| {
        vec![("app_group", text("a")), ("app_parent", text("b")), ("app_name", text(column))]
    });
    let runs = fill("runtime", &|column| {
        vec![
            ("runtime", format!("{:0>32x}", column.len() * 1000 + usize::from(column.as_bytes()[2]))),
            ("app_id", app.clone()),
            ("start_time", text("2026-11-01T00:00:00.000Z")),
            ("end_time", text("2026-11-01T00:00:01.000Z")),
            ("outcome", text("failed")),
            ("trigger", text("schedule")),
        ]
    });
    let commands = fill("commands", &|_| {
        vec![
            ("app_id", app.clone()),
            ("cmd_name", text("1")),
            ("cmd_flag", text("2")),
            ("cmd_by", text("ana")),
            ("cmd_exec", text("2026-11-01T00:00:01.000Z")),
            ("reason", text("disabled")),
        ]
    });
    let managers = fill("managers", &|column| {
        vec![
            ("name", format!("m-{column}")),
            ("host", text("h")),
            ("pid", text("1")),
            ("version", text("0")),
            ("started", text("2026-11-01T00:00:00.000Z")),
            ("heartbeat", text("2026-11-01T00:00:01.000Z")),
        ]
    });
    let alerts = fill("alerts", &|column| {
        vec![
            ("app_id", app.clone()),
            ("kind", text("crashed")),
            ("runtime", column.to_owned()),
            ("message", text("m")),
            ("opened", text("2026-11-01T00:00:00.000Z")),
        ]
    });
    for (taken, least) in [(apps, 20), (runs, 5), (commands, 5), (managers, 4), (alerts, 3)] {
        assert!(taken >= least, "{taken} of at least {least}");
    }
}

#[test]
fn no_text_of_others_commands_the_terminal_of_any_command() {
    call_all(&hostile_fleet());
}

#[test]
fn no_text_of_others_on_a_server_commands_the_terminal_of_any_command() {
    let (fleet, _schema) = hostile_fleet_on_a_server();
    call_all(&fleet);
}

/// Calls all commands that show what others wrote.
fn call_all(fleet: &Fleet) {
    let status = call(fleet, &["status"]);
    assert!(status.contains("\\x1b]0;pwn\\x07"), "{status}");
    for command in [
        &["app", "list"][..],
        &["app", "export"],
        &["history", "all", "-n", "1000"],
        &["next"],
        &["managers"],
        &["alerts", "--all", "--each"],
        &["alerts", "1"],
        &["db", "check"],
        &["start", "a", "--wait=0"],
        &["logs", "f/f/good"],
    ] {
        call(fleet, command);
        call(fleet, &[command, &["--json"]].concat());
    }
    for column in
        ["message", "fatal_msg", "stopped_by", "waiting_for", "manager", "cmd_by", "cwd", "env", "fault"]
    {
        let path = format!("a/b/{column}");
        call(fleet, &["why", &path]);
        call(fleet, &["app", "show", &path]);
        call(fleet, &["app", "show", &path, "--json"]);
    }
    let mut console = Terminal::open(fleet, &["console", "--plain"], (200, 50));
    console.press("list\nalerts\nshow a/b/message\nshow a/b/stopped_by\nquit\n");
    check("console --plain", &console.until_end());
}

#[test]
fn arguments_files_and_settings_are_repeated_without_their_commands() {
    let fleet = Fleet::new();
    let path = |name: &str| fleet.dir.path().join(format!("{name}{}", HOSTILE.replace(['\n', '/'], "")));
    let (file, config) = (path("apps"), path("settings"));
    std::fs::write(&file, format!("[[app]]\npath = 'a/b/c'\n'{}' = 1\n", "k\u{9b}2J\u{202e}")).unwrap();
    std::fs::write(&config, "'\u{9b}2J' = 1\n").unwrap();
    let (file, config) = (file.to_str().unwrap(), config.to_str().unwrap());
    for command in [
        &["app", "import", file][..],
        &["status", "--config", config],
        &["status", "--config", HOSTILE],
        &["status", "--state-dir", HOSTILE],
        &["status", "--database", HOSTILE],
        &["status", HOSTILE],
        &["why", HOSTILE],
        &[HOSTILE],
        &["app", "add", "a/b/d", "--time-zone", HOSTILE],
        &["app", "limit", HOSTILE, HOSTILE],
        &["managers", "drain", HOSTILE],
        &["db", "copy", HOSTILE, HOSTILE],
        &["db", "backup", file],
        &["completions", HOSTILE],
        &["run-app", "a/b/c", "--args", HOSTILE],
    ] {
        call(&fleet, command);
    }
}

#[test]
fn verdicts_and_the_log_of_a_manager_on_a_terminal_hold_no_commands() {
    let fleet = hostile_fleet();
    fleet.add("f/f/gone", &[], &[HOSTILE]);
    let mut manager = Terminal::open(&fleet, &["--headless"], (200, 50));
    manager.until("the manager to run", |screen| screen.contains("the manager is running"));
    let verdict = call(&fleet, &["start", "f/f/gone", "--wait"]);
    assert!(verdict.contains("not executed"), "{verdict}");
    call(&fleet, &["why", "f/f/gone"]);
    call(&fleet, &["status"]);
    call(&fleet, &["history", "f/f/gone"]);
    call(&fleet, &["run-app", "f/f/gone"]);
    send_signal(manager.pid(), libc::SIGTERM);
    check("--headless", &manager.until_end());
}
