//! Every number in the console's header, compared with what SQL says of a fleet that lives.

use rusqlite::types::Value;

use crate::fleet::Fleet;
use crate::terminal::Terminal;

/// The first number that a query gives.
fn number(fleet: &Fleet, sql: &str) -> f64 {
    match fleet.query(sql)[0][0] {
        Value::Integer(number) => f64::from(i32::try_from(number).unwrap()),
        Value::Real(number) => number,
        ref other @ (Value::Null | Value::Text(_) | Value::Blob(_)) => panic!("{sql}: {other:?}"),
    }
}

/// The number on the screen behind a word, or before it where the word ends it.
fn shown(screen: &str, before: &str, after: &str) -> Option<f64> {
    let mut places = screen.match_indices(before).map(|(at, _)| &screen[at + before.len()..]);
    places.find_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(rest.len());
        let number = rest[..end].replace(',', "").parse().ok()?;
        rest[end..].starts_with(after).then_some(number)
    })
}

/// Apps that run, one that failed, two that are disabled and one that waits for its time.
fn fleet() -> Fleet {
    let fleet = Fleet::with_manager();
    for name in ["one", "two", "three"] {
        fleet.add(&format!("g/run/{name}"), &[], &["sleep", "600"]);
    }
    fleet.add("g/bad/fails", &[], &["sh", "-c", "exit 3"]);
    fleet.add("g/calm/idle", &["--interval", "60"], &["true"]);
    for name in ["a", "b"] {
        fleet.dcm(&["app", "add", &format!("g/off/{name}"), "--", "true"]).ok();
    }
    fleet.dcm(&["start", "g/run", "g/bad", "--wait"]).ok();
    fleet.until("g/bad/fails", "has failed", |row| row.state.failures == 1);
    // One that keeps failing has an alert.
    fleet.add("g/bad/worse", &["--max-failures", "1"], &["sh", "-c", "exit 4"]);
    fleet.dcm(&["start", "g/bad/worse", "--wait"]).ok();
    fleet.until_query("SELECT count(*) FROM alerts WHERE closed IS NULL", "[[Integer(1)]]");
    // A refused command is one that the header counts.
    fleet.dcm(&["start", "g/run/two", "--wait"]).refused(75, &[]);
    // They have run for a while, and count now.
    fleet.sql(
        "UPDATE apps SET last_run = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1000 seconds') WHERE run_status = 1; \
         UPDATE runtime SET start_time = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1000 seconds') WHERE end_time IS NULL; \
         UPDATE apps SET task_size = 200, solved = 60, failed = 1 WHERE app_name = 'one'; \
         UPDATE apps SET task_size = 3000, solved = 250 WHERE app_name = 'two'; \
         UPDATE apps SET task_size = 48, solved = 48, failed = 2 WHERE app_name = 'three';",
    );
    fleet
}

/// What stands in the header, and the query that says the same.
const COUNTS: &[(&str, &str, &str)] = &[
    ("] ", " apps", "SELECT count(*) FROM apps"),
    ("►", " running", "SELECT count(*) FROM apps WHERE run_status = 1"),
    ("·", " idle", "SELECT count(*) FROM apps WHERE run_status = 0 AND NOT disable AND failures = 0"),
    ("⊘", " disabled", "SELECT count(*) FROM apps WHERE disable"),
    ("▼", " FAILED", "SELECT count(*) FROM apps WHERE failures > 0"),
    ("started ", "/min", "SELECT count(*) FROM runtime WHERE start_time > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-60 seconds')"),
    ("refused ", "", "SELECT count(*) FROM apps WHERE cmd_flag = 2"),
    ("work ", " of ", "SELECT sum(solved) FROM apps WHERE run_status = 1 AND task_size > 0"),
    (" of ", " ", "SELECT sum(task_size) FROM apps WHERE run_status = 1 AND task_size > 0"),
    ("mgr ", "/", "SELECT count(*) FROM managers WHERE stopped IS NULL"),
    ("2 Alerts ", "─", "SELECT (SELECT count(*) FROM alerts WHERE closed IS NULL AND acknowledged IS NULL)
        + (SELECT count(*) FROM apps WHERE failures > 0 AND fatal_flag = 0)"),
    ("at most ", " ran", "WITH turns AS (SELECT start_time AS at, 1 AS step FROM runtime
            UNION ALL SELECT end_time, -1 FROM runtime WHERE end_time IS NOT NULL),
        levels AS (SELECT sum(step) OVER (ORDER BY at, step) AS level FROM turns) SELECT max(level) FROM levels"),
];

/// Items in a second by the samples of apps that run, over the last three slots that have ended.
fn rate_of(column: &str) -> String {
    format!(
        "WITH RECURSIVE slot(number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM slot WHERE number < 29) \
         SELECT coalesce(sum(substr({column}, 1 + 8 * number, 8)), 0) / 60.0 FROM apps, slot WHERE run_status = 1 \
         AND sampled - 29 + number BETWEEN unixepoch() / 20 - 3 AND unixepoch() / 20 - 1"
    )
}

#[test]
fn every_number_of_the_header_is_what_sql_says() {
    let fleet = fleet();
    let terminal = Terminal::open(&fleet, &[], (200, 60));
    for (before, after, sql) in COUNTS {
        terminal.until(&format!("{before}N{after}"), |screen| {
            shown(screen, before, after).is_some_and(|shown| (shown - number(&fleet, sql)).abs() < 0.5)
        });
    }
    // What was counted a moment ago is in the rates once its slot has ended.
    fleet.sql("UPDATE apps SET sampled = sampled - 1 WHERE sampled IS NOT NULL");
    for (word, column) in [("solved ", "solved_samples"), ("failed ", "failed_samples")] {
        terminal.until(&format!("{word}N/s"), |screen| {
            let known = number(&fleet, &rate_of(column));
            // Three digits are shown.
            shown(screen, word, "/s").is_some_and(|told| known > 0.0 && (told - known).abs() <= known * 0.05)
        });
    }
    // The last of those that run, by minutes; one may end between the frame and the query.
    let eta = "SELECT 'ETA all ' || printf('%dh%02dm', left / 60, left % 60) FROM (SELECT CAST((julianday(max(eta)) \
        - julianday('now', ago)) * 1440 AS INTEGER) AS left FROM apps, (SELECT '-2 seconds' AS ago UNION SELECT '0 seconds') \
        WHERE run_status = 1 GROUP BY ago)";
    terminal.until("ETA all", |screen| {
        let told = fleet.query(eta).into_iter().flatten();
        told.into_iter().any(|told| matches!(told, Value::Text(text) if screen.contains(&text)))
    });
}

#[test]
fn numbers_below_the_header_are_those_of_the_rows() {
    let fleet = fleet();
    let terminal = Terminal::open(&fleet, &[], (200, 60));
    terminal.until_text("►3 running");
    // All that there was to do is done, and two items failed besides: the task did not grow.
    terminal.press("/three\rG");
    terminal.until_text("48/48 +2 failed");
    terminal.until("100 %", |screen| screen.contains("100%") && !screen.contains("the task grew"));
    // A run that goes on has what it counted so far.
    terminal.until("48 in the run", |screen| {
        screen.lines().any(|line| line.contains("running") && line.contains(" 48 ") && line.contains(" 2"))
    });
    // All apps are those of the only manager, whether it has run them yet or not.
    terminal.press("6");
    let apps = number(&fleet, "SELECT count(*) FROM apps");
    terminal.until("its apps", |screen| {
        let row = screen.lines().find(|line| line.contains(" live ")).unwrap_or_default();
        let cells: Vec<_> = row.split_whitespace().collect();
        cells.iter().any(|cell| cell.parse() == Ok(apps)) && cells.contains(&"3")
    });
    // One number of alerts everywhere.
    terminal.press("2");
    terminal.until("one number", |screen| {
        shown(screen, "[2 Alerts ", "]")
            .is_some_and(|open| shown(screen, "grouped by cause: ", " open") == Some(open))
    });
}
