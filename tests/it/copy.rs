//! `dcm db copy`: a fleet from a file to a server and back, row by row.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::fleet::Fleet;
use crate::postgres::Schema;

/// Something of everything, also what is odd.
const FLEET: &str = "
INSERT INTO apps (app_group, app_parent, app_name, interval, jitter, command, env, next_run, max_runtime)
    VALUES ('a', 'b', 'c', 0.1, 1e-7, '[\"echo\", \"\u{10d}aj \\\\ \\\" ''\"]', '{\"X\": \"\u{1f600}\"}', '2026-11-23T14:02:11.123Z', 123456789.123456),
           ('a', 'b', 'd', NULL, 0, NULL, NULL, NULL, NULL), ('x', 'y', 'z', 5, 0, NULL, NULL, NULL, NULL);
UPDATE apps SET app = lower(hex(randomblob(32)));
UPDATE app_groups SET max_running = 3, description = 'banks' WHERE app_group = 'a';
UPDATE app_parents SET max_running = 1 WHERE app_parent = 'b';
UPDATE apps SET cmd_name = 1, cmd_flag = 0, cmd_by = 'ana', cmd_args = '{\"a\": 1}' WHERE app_name = 'c';
UPDATE apps SET cmd_name = 3, cmd_flag = 0, cmd_by = 'ivo' WHERE app_name = 'c';
INSERT INTO commands (app_id, cmd_name, cmd_by, cmd_source, batch, note) VALUES ('no/such/app', 2, 'ana', 'cli', 'b1', 'why');
UPDATE commands SET cmd_flag = 1, cmd_exec = '2026-11-23T14:03:00.001Z' WHERE id = 1;
UPDATE commands SET cmd_flag = 2, cmd_exec = '2026-11-23T14:03:00.000Z', reason = 'disabled' WHERE id = 2;
WITH RECURSIVE numbers (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM numbers WHERE value < 2500)
INSERT INTO runtime (runtime, app_id, start_time, end_time, outcome, exit_code, trigger, totals, except_cnt, pid)
    SELECT printf('%032x', value), (SELECT app FROM apps WHERE app_name = 'c'), '2026-11-23T14:00:00.000Z',
        '2026-11-23T14:00:00.500Z', 'failed', 3, 'schedule', 0, value, 4000000000 FROM numbers;
INSERT INTO runtime (runtime, app_id, start_time, trigger) VALUES ('ff', (SELECT app FROM apps WHERE app_name = 'c'), '2026-11-23T15:00:00.000Z', 'command');
DELETE FROM runtime WHERE runtime LIKE '%7';
INSERT INTO skips VALUES ('x', '2026-11-23T14:00:00.000Z', '2026-11-23T15:00:00.000Z', 3, 'overlap', '2026-11-23T15:00:00.000Z');
INSERT INTO alerts (app_id, kind, runtime, message, opened, acknowledged_by) VALUES ('x', 'failed', 'ff', 'line one
line two', '2026-11-23T15:00:00.000Z', 'ana'), ('x', 'gone', 'fe', 'm', '2026-11-23T15:00:00.000Z', NULL);
DELETE FROM alerts WHERE kind = 'gone';
INSERT INTO deliveries (kind, channel, event, alert_id, body, created, due, last_error) VALUES ('notification', 'ops', 'opened', 1, '{}', '2026-11-23T14:00:00.000Z', '2026-11-23T15:00:00.000Z', 'HTTP 500');
INSERT INTO watch_roots (name, path, app_group, topic, stable_seconds, files) VALUES ('in', '/in', 'banks', 'a.b', 0.5, 7);
INSERT INTO routes (pattern, queue, actor) VALUES ('#', 'q', 'gone'), ('a.#', 'q', 'extract');
DELETE FROM routes WHERE actor = 'gone';
INSERT INTO events (root, path, path_bytes, size, sha3, modified, seen, topic, app_group, stamp)
    VALUES ('in', '/in/\\xff', x'2f696e2fff', 7, 'ab', '2026-11-23T14:00:00.000Z', '2026-11-23T14:00:05.000Z', 'a.b', 'banks', '1-2');
INSERT INTO pipeline_task (event_id, document, topic, status, error) VALUES (1, '/in/\\xff', 'a.b', 5, 'no text');
INSERT INTO pipeline_task (event_id, parent, document, topic, created) VALUES (1, 1, '/in/\\xff', 'a.c', '2026-11-23T14:00:05.000Z');
INSERT INTO managers (name, host, pid, version, started, heartbeat, pools) VALUES ('zg', 'h', 7, '0.1', '2026-11-23T14:00:00.000Z', '2026-11-23T14:00:05.000Z', '[\"fast\"]');
INSERT INTO log_tails VALUES ('ff', 'x', 'zg', x'00ff0a5c', '2026-11-23T15:00:00.123Z');
DELETE FROM apps WHERE app_name = 'z';
";

const TABLES: [&str; 17] = [
    "app_groups",
    "app_parents",
    "apps",
    "runtime",
    "skips",
    "commands",
    "managers",
    "alerts",
    "watch_roots",
    "routes",
    "events",
    "pipeline_task",
    "deliveries",
    "removed_apps",
    "log_tails",
    "revision",
    "sqlite_sequence",
];

fn rows(fleet: &Fleet, table: &str) -> Vec<Vec<Value>> {
    let connection = Connection::open(fleet.database()).unwrap();
    let row_number = if table == "runtime" { ", rowid" } else { "" };
    let mut statement =
        connection.prepare(&format!("SELECT *{row_number} FROM {table} ORDER BY 1, 2")).unwrap();
    let count = statement.column_count();
    let read = |row: &rusqlite::Row<'_>| (0..count).map(|column| row.get(column)).collect();
    statement.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap()
}

fn url(fleet: &Fleet) -> String {
    format!("sqlite:{}", fleet.database().display())
}

#[test]
fn a_fleet_moves_to_a_server_and_back_without_loss() {
    let (from, back, schema) = (Fleet::new(), Fleet::new(), Schema::new());
    from.sql(FLEET);
    let called = from.dcm(&["db", "copy", &url(&from), schema.url(), "--json"]);
    assert_eq!(called.code, 0, "{called:?}");
    assert!(called.out.contains("\"apps\":2") && called.out.contains("\"runtime\":2345"), "{called:?}");
    assert_eq!(schema.number("SELECT count(*) FROM runtime"), 2345);
    from.dcm(&["db", "copy", schema.url(), &url(&back)]).ok();
    for table in TABLES {
        assert_eq!(rows(&from, table), rows(&back, table), "{table}");
    }
    // The numbers go on, and the triggers are at work again.
    let command = "UPDATE apps SET cmd_name = 2, cmd_flag = 0, cmd_by = 'eva' WHERE app_name = 'd'";
    from.sql(command);
    back.sql(command);
    schema.sql(command);
    assert_eq!(rows(&from, "commands").len(), 4);
    assert_eq!(rows(&back, "commands").len(), 4);
    assert_eq!(schema.number("SELECT max(id) FROM commands WHERE cmd_by = 'eva'"), 4);
    let alert = "INSERT INTO alerts (app_id, kind, runtime, message, opened) VALUES ('x', 'k', 'r', 'm', '2026-11-23T15:00:00.000Z')";
    schema.sql(alert);
    assert_eq!(schema.number("SELECT max(id) FROM alerts"), 3, "2 was given away before");
    assert_eq!(
        schema.number("SELECT count(*) FROM apps WHERE revision > (SELECT max(revision) FROM removed_apps)"),
        1
    );
}

#[test]
fn a_copy_is_refused_whole() {
    let (from, to, schema) = (Fleet::new(), Fleet::new(), Schema::new());
    from.sql(FLEET);
    to.sql("INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'c')");
    let refused = |source: &str, destination: &str, word: &str, code: i32| {
        let called = from.dcm(&["db", "copy", source, destination]);
        assert_eq!(called.code, code, "{called:?}");
        assert!(called.err.contains(word) && called.out.is_empty(), "{called:?}");
    };
    refused(&url(&from), &url(&to), "not empty", 1);
    refused(&url(&from), &url(&from), "the same", 2);
    refused("/no/url", &url(&to), "postgres://", 2);
    refused("sqlite:/no/such.db", &url(&to), "no database", 2);
    // What a server cannot hold is named, and it stays empty.
    from.sql("UPDATE apps SET next_run = 'tomorrow' WHERE app_name = 'd'");
    refused(&url(&from), schema.url(), "table apps", 1);
    assert_eq!(schema.number("SELECT count(*) FROM app_groups"), 0);
    // A manager that lives.
    from.sql("UPDATE apps SET next_run = NULL; UPDATE managers SET heartbeat = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')");
    refused(&url(&from), schema.url(), "manager zg serves", 75);
}
