//! Rows that are set aside, texts that are not UTF-8 and reports that cannot be read: nobody else minds, and each
//! row can be shown, stopped, set right and removed.

use crate::fleet::{Fleet, is_alive, until_gone};

/// What a Latin-1 program writes as a name.
const LATIN_1: &str = "CAST(X'c669e6' AS TEXT)";

fn value(fleet: &Fleet, sql: &str) -> String {
    let found = format!("{:?}", fleet.query(sql));
    found.trim_start_matches("[[").trim_end_matches("]]").to_owned()
}

#[test]
fn a_text_that_is_not_utf_8_stops_neither_commands_nor_a_new_manager() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/bad", &[], &["true"]);
    fleet.add("a/b/good", &[], &["true"]);
    for table in ["apps", "managers"] {
        let column = if table == "apps" { "message" } else { "version" };
        fleet.sql(&format!("UPDATE {table} SET {column} = {LATIN_1}"));
    }
    fleet.sql(&format!(
        "UPDATE apps SET cmd_name = 2, cmd_flag = 0, cmd_by = {LATIN_1} WHERE app_name = 'bad'; \
         INSERT INTO commands (app_id, cmd_name, cmd_by, cmd_args) SELECT app, 1, 'x', {LATIN_1} FROM apps WHERE app_name = 'bad'"
    ));
    fleet.dcm(&["start", "a/b/good", "--wait"]).ok();
    fleet.dcm(&["status"]).ok();
    fleet.kill_manager();
    fleet.start_manager();
    fleet.dcm(&["start", "a/b/good", "--wait"]).ok();
    let reasons = format!("{:?}", fleet.query("SELECT reason FROM commands ORDER BY id"));
    assert!(reasons.contains("cmd_args are not a text in UTF-8"), "{reasons}");
    // A definition that cannot be read is set aside with the column.
    fleet.sql(&format!("UPDATE apps SET time_zone = {LATIN_1} WHERE app_name = 'bad'"));
    let why = fleet.dcm(&["why", "a/b/bad"]).ok();
    assert!(why.out.contains("time_zone is not a text in UTF-8"), "{}", why.out);
    fleet.dcm(&["app", "set", "a/b/bad", "--time-zone", "Europe/Zagreb"]).ok();
    fleet.dcm(&["start", "a/b/bad", "--wait"]).ok();
}

#[test]
fn what_is_set_aside_while_it_runs_is_supervised_shown_and_stopped() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/bad", &[], &["sleep", "600"]);
    fleet.add("a/b/good", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a", "--wait"]).ok();
    let pid = fleet.until("a/b/bad", "runs", |row| row.state.pid.is_some()).state.pid;
    fleet.sql("UPDATE apps SET interval = -5 WHERE app_name = 'bad'");
    fleet.until_query(
        "SELECT count(*) FROM alerts WHERE kind = 'set_aside' AND closed IS NULL",
        "[[Integer(1)]]",
    );
    let rows: serde_json::Value = serde_json::from_str(&fleet.dcm(&["status", "--json"]).ok().out).unwrap();
    let [bad, good] = [&rows[0], &rows[1]];
    assert_eq!(
        (&bad["path"], &bad["state"], &bad["status"]),
        (&"a/b/bad".into(), &"set_aside".into(), &"RUNNING".into())
    );
    assert_eq!(bad["app_pids"], pid.unwrap());
    assert_eq!(good["state"], "running");
    let keys = |row: &serde_json::Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(bad), keys(good));
    let of_fleet = "SELECT message, manager IS NULL FROM alerts WHERE app_id IS NULL AND closed IS NULL";
    let aside = "[[Text(\"1 row of an app is set aside and not scheduled; dcm status shows which and why\"), Integer(0)]]";
    fleet.until_query(of_fleet, aside);
    // Also by a manager that never saw it when it was valid.
    fleet.kill_manager();
    fleet.start_manager();
    fleet.dcm(&["restart", "a/b/bad", "--wait"]).refused(1, &["set aside"]);
    fleet.dcm(&["stop", "a", "--wait"]).ok();
    let runs = fleet.until_runs("a/b/bad", "is over", |runs| runs[0].end.is_some());
    assert_eq!(runs[0].outcome_word(), Some("stopped"));
    assert_eq!(value(&fleet, "SELECT run_status FROM apps WHERE app_name = 'bad'"), "Integer(2)");
    for command in [["history", "a/b/bad"], ["logs", "a/b/bad"], ["why", "a/b/bad"]] {
        fleet.dcm(&command).ok();
    }
    let shown = fleet.dcm(&["app", "show", "a/b/bad"]).ok().out;
    assert!(shown.contains("set_aside") && shown.contains("minutes"), "{shown}");
    fleet.dcm(&["app", "set", "a/b/bad", "--max-failures", "5"]).refused(1, &["set interval as well"]);
    fleet.dcm(&["app", "set", "a/b/bad", "--interval", "30"]).ok();
    fleet.until_query(
        "SELECT count(*) FROM alerts WHERE kind IN ('set_aside', 'rows_set_aside') AND closed IS NULL",
        "[[Integer(0)]]",
    );
    let episodes = "SELECT count(*) FROM alerts WHERE kind = 'rows_set_aside'";
    assert_eq!(value(&fleet, episodes), "Integer(1)", "the second manager went on with it");
    fleet.dcm(&["start", "a/b/bad", "--wait"]).ok();
}

#[test]
fn a_row_whose_names_are_not_valid_is_addressed_by_its_key() {
    let fleet = Fleet::with_manager();
    fleet.sql(&format!(
        "INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'čćž'), ('a', 'b', {LATIN_1}); \
         INSERT INTO apps (app, app_group, app_parent, app_name) VALUES ('beef', 'a', 'b', 'hash')"
    ));
    fleet.until_query(
        "SELECT count(*) FROM apps WHERE fault IS NOT NULL AND app IS NOT NULL",
        "[[Integer(3)]]",
    );
    let rows: serde_json::Value =
        serde_json::from_str(&fleet.dcm(&["status", "a", "--json"]).ok().out).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["state"] == "set_aside"));
    for row in rows {
        let key = row["app"].as_str().unwrap();
        fleet.dcm(&["app", "show", key]).ok();
        fleet.dcm(&["why", key]).ok();
        fleet.dcm(&["history", key]).ok();
        fleet.dcm(&["stop", key, "--wait"]).ok();
        fleet.dcm(&["app", "remove", key, "--yes"]).ok();
    }
    assert_eq!(value(&fleet, "SELECT count(*) FROM apps"), "Integer(0)");
}

#[test]
fn a_report_that_cannot_be_read_is_ignored_with_an_alert() {
    let fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    fleet.add(
        "a/b/c",
        &["--interval", "600"],
        &["python3", &Fleet::script("wait_for.py"), go.to_str().unwrap()],
    );
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.sql("UPDATE apps SET next_run = 'None', solved = -5");
    fleet.until_query(
        "SELECT kind, count(*) FROM alerts WHERE closed IS NULL",
        "[[Text(\"bad_report\"), Integer(1)]]",
    );
    let message = value(&fleet, "SELECT message FROM alerts");
    assert!(
        message.contains("next_run \\\"None\\\" is not a time") && message.contains("solved -5"),
        "{message}"
    );
    assert!(!message.contains("asked_next_run"), "{message}");
    fleet.until_query(
        "SELECT count(*) FROM apps WHERE next_run = 'None' OR asked_next_run = 'None'",
        "[[Integer(0)]]",
    );
    // It runs, is planned and stopped like any other.
    std::fs::write(go, "").unwrap();
    fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    fleet.until("a/b/c", "is planned by its schedule", |row| row.next_run.is_some() && row.fault.is_none());
    assert_eq!(value(&fleet, "SELECT count(*) FROM alerts WHERE closed IS NULL"), "Integer(1)");
    // The next run reports nothing of the kind.
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.until_query("SELECT count(*) FROM alerts WHERE closed IS NULL", "[[Integer(0)]]");
}

#[test]
fn a_row_that_is_deleted_while_its_app_runs_ends_the_run() {
    let mut fleet = Fleet::with_manager();
    for name in ["live", "down", "back", "other"] {
        fleet.add(&format!("a/b/{name}"), &[], &["sleep", "600"]);
    }
    fleet.dcm(&["start", "a", "--wait"]).ok();
    let pid = |name: &str| {
        let row = fleet.until(&format!("a/b/{name}"), "runs", |row| row.state.pid.is_some());
        row.state.pid.unwrap()
    };
    let (live, down, back, other) = (pid("live"), pid("down"), pid("back"), pid("other"));
    // One that is deleted and written again goes on.
    fleet.sql(
        "BEGIN; DELETE FROM apps WHERE app_name IN ('live', 'back'); \
         INSERT INTO apps (app_group, app_parent, app_name, command, disable) VALUES ('a', 'b', 'back', '[\"true\"]', 0); COMMIT",
    );
    until_gone(live);
    fleet.until_query(
        "SELECT outcome FROM runtime WHERE end_time IS NOT NULL AND app_id NOT IN (SELECT app FROM apps WHERE app IS NOT NULL)",
        "[[Text(\"stopped\")]]",
    );
    let row = fleet.until("a/b/back", "is shown as running", |row| row.state.pid == Some(back));
    assert_eq!(row.state.status, dcm::model::RunStatus::Running);
    let log = fleet.manager_log();
    assert!(log.contains("the row of an app was deleted while it ran"), "{log}");
    assert!(log.contains(r#""outcome":"stopped""#) && !log.contains(r#""app":"""#), "{log}");
    fleet.dcm(&["history", "a/b/live"]).ok();
    // The same while no manager is there.
    fleet.kill_manager();
    fleet.sql("DELETE FROM apps WHERE app_name = 'down'");
    fleet.start_manager();
    until_gone(down);
    fleet.until_query("SELECT count(*) FROM runtime WHERE end_time IS NULL", "[[Integer(2)]]");
    assert!(is_alive(other) && is_alive(back));
    fleet.dcm(&["stop", "a/b/back", "--wait"]).ok();
    until_gone(back);
}
