//! Times: interval, retry, cron, times set by the app itself, back-off, and the limits of failure.

use chrono::TimeDelta;
use dcm::model::{FatalFlag, RunStatus};

use crate::fleet::Fleet;

#[test]
fn an_interval_counts_from_the_end_of_a_good_run_and_a_retry_from_a_failed_one() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/good", &["--interval", "0.005"], &["true"]);
    fleet.add(
        "a/b/bad",
        &["--interval", "60", "--retry-interval", "0.005", "--max-failures", "0"],
        &["false"],
    );
    let runs = fleet.until_runs("a/b/good", "runs again and again", |runs| runs.len() >= 4);
    for pair in runs.windows(2).filter(|pair| pair[0].due.is_some()) {
        let pause = pair[0].due.unwrap() - pair[1].end.unwrap();
        assert!(pause >= TimeDelta::milliseconds(295), "{pause}");
        assert!(pause < TimeDelta::seconds(2), "{pause}");
    }
    fleet.dcm(&["start", "a/b/bad", "--wait"]).ok();
    let runs = fleet.until_runs("a/b/bad", "is retried", |runs| runs.len() >= 3);
    assert!(runs.iter().skip(1).all(|run| run.exit_code == Some(1)));
    assert_eq!(runs.last().map(|run| run.attempt), Some(1));
    assert!(runs.first().unwrap().attempt >= 3);
}

#[test]
fn cron_with_seconds_fires_on_the_second() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--cron", "* * * * * *"], &["true"]);
    let runs = fleet.until_runs("a/b/c", "runs every second", |runs| runs.len() >= 3);
    assert!(runs.iter().all(|run| run.due.unwrap().timestamp_subsec_millis() == 0));
    let mut dues: Vec<_> = runs.iter().map(|run| run.due).collect();
    dues.dedup();
    assert_eq!(dues.len(), runs.len());
}

#[test]
fn slots_that_come_while_a_run_goes_on_are_skipped_and_recorded() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--cron", "* * * * * *"], &["sleep", "2.5"]);
    fleet.until_runs("a/b/c", "has run twice", |runs| {
        runs.iter().filter(|run| run.end.is_some()).count() >= 2
    });
    let skips = fleet.query("SELECT reason, slots FROM skips");
    assert!(!skips.is_empty());
    assert!(skips.iter().all(|skip| format!("{:?}", skip[0]) == "Text(\"overlap\")"), "{skips:?}");
    // Every second is accounted for once: it became a run or part of a skip.
    let lost = fleet.query(
        "WITH slots AS (SELECT due_time AS first_due, due_time AS last_due, 1 AS n FROM runtime \
         UNION ALL SELECT first_due, last_due, slots FROM skips) \
         SELECT (strftime('%s', max(last_due)) - strftime('%s', min(first_due)) + 1) - sum(n) FROM slots",
    );
    assert_eq!(format!("{lost:?}"), "[[Integer(0)]]");
    let why = fleet.dcm(&["why", "a/b/c"]).ok().out;
    assert!(why.contains("did not become runs: the run before was still going on\n"), "{why}");
}

#[test]
fn the_next_time_of_an_app_that_runs_is_not_one_that_has_passed() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/calendar", &["--cron", "0 0 1 1 *"], &["sleep", "600"]);
    fleet.add("a/b/interval", &["--interval", "5"], &["sleep", "600"]);
    fleet.dcm(&["start", "all", "--wait"]).ok();
    for path in ["a/b/calendar", "a/b/interval"] {
        fleet.until(path, "runs", |row| row.state.status == RunStatus::Running);
    }
    // As if each had run for long, past the time that was next.
    fleet.sql("UPDATE apps SET next_run = '2001-02-03T04:05:06.000Z', sequence = sequence + 1000");
    let status = fleet.dcm(&["status"]).ok().out;
    let line = |name: &str| status.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(!status.contains("2001-02-03"), "{status}");
    assert!(line("a/b/calendar").contains("-01-01 "), "{status}");
    let next = fleet.dcm(&["next"]).ok().out;
    assert!(next.contains("a/b/calendar") && !next.contains("2001-02-03"), "{next}");
}

#[test]
fn a_failed_run_is_shown_until_the_next_good_one() {
    let fleet = Fleet::with_manager();
    let ready = fleet.state().with_file_name("ready");
    fleet.add("a/b/bad", &["--interval", "60"], &["sh", "-c", &format!("test -e {}", ready.display())]);
    fleet.add("a/b/good", &["--interval", "60"], &["true"]);
    fleet.dcm(&["status", "--failed"]).ok();
    fleet.dcm(&["start", "all", "--wait"]).ok();
    fleet.until("a/b/bad", "has failed", |row| row.state.failures == 1);
    fleet.until("a/b/good", "has run", |row| {
        row.state.last_run.is_some() && row.state.status == RunStatus::NotRunning
    });
    let called = fleet.dcm(&["status", "--failed"]);
    assert_eq!(called.code, 3, "{called:?}");
    assert!(called.out.contains("a/b/bad") && called.out.contains("FAILED"), "{called:?}");
    assert!(!called.out.contains("a/b/good") && called.err.contains("1 app has failed"), "{called:?}");
    let called = fleet.dcm(&["status", "--failed", "--json"]);
    let rows = called.json();
    assert_eq!(
        (called.code, rows.as_array().map(Vec::len), &rows[0]["state"]),
        (3, Some(1), &"failed".into())
    );
    let table = fleet.dcm(&["status"]).ok().out;
    assert!(table.ends_with("\n2 apps: 1 failed, 1 idle\n") && !table.contains('\x1b'), "{table:?}");
    let all = fleet.dcm(&["status", "--json"]).ok().json();
    assert_eq!((&all[0]["state"], &all[1]["state"]), (&"failed".into(), &"idle".into()));
    assert_eq!(fleet.dcm(&["app", "show", "a/b/bad", "--json"]).ok().json()["state"], "failed");
    assert_eq!(fleet.dcm(&["why", "a/b/bad", "--json"]).ok().json()["state"], "failed");
    std::fs::write(&ready, "").unwrap();
    fleet.dcm(&["start", "a/b/bad", "--wait"]).ok();
    fleet.until("a/b/bad", "has run well", |row| row.state.failures == 0);
    assert_eq!(fleet.dcm(&["status", "--failed", "--json"]).ok().out.trim(), "[]");
}

#[test]
fn an_app_that_sets_its_own_time_gets_it_by_every_way() {
    let fleet = Fleet::with_manager();
    let dcm = env!("CARGO_BIN_EXE_dcm");
    let by_line = "echo '::dcm {\"next_run\": \"2099-01-01T00:00:00Z\"}'; exit 1";
    let by_report = format!("{dcm} report --next-run 2099-01-01T00:00:00Z");
    let by_sql = format!(
        "python3 -c \"import sqlite3; c = sqlite3.connect('{}', timeout=20); \
         c.execute('UPDATE apps SET next_run = ? WHERE app_name = ?', ('2099-01-01 00:00:00', 'sql')); c.commit()\"",
        fleet.database().display()
    );
    fleet.add("a/b/line", &["--cron", "0 0 1 1 *"], &["sh", "-c", by_line]);
    fleet.add("a/b/report", &["--interval", "5"], &["sh", "-c", &by_report]);
    fleet.add("a/b/sql", &["--interval", "5"], &["sh", "-c", &by_sql]);
    fleet.dcm(&["start", "all", "--wait"]).ok();
    for path in ["a/b/line", "a/b/report", "a/b/sql"] {
        let row = fleet.until(path, "has the time that it asked for", |row| {
            row.state.status == RunStatus::NotRunning
                && row.next_run.is_some_and(|time| time.to_rfc3339().starts_with("2099"))
        });
        assert_eq!(row.asked_next_run, None, "{path}");
    }
}

#[test]
fn a_crash_is_restarted_at_once_then_with_a_back_off_and_a_good_run_is_a_recovery() {
    let fleet = Fleet::with_manager();
    let mended = fleet.dir.path().join("mended");
    let script = format!("if [ -e {} ]; then exit 0; fi; sleep 1.2; kill -SEGV $$", mended.display());
    fleet.add("a/b/c", &["--interval", "60"], &["sh", "-c", &script]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let row = fleet.until("a/b/c", "is flagged", |row| row.state.fatal.is_some());
    let fatal = row.state.fatal.unwrap();
    assert_eq!(fatal.flag, FatalFlag::UnexpectedBehavior);
    assert!(
        fatal.message.contains("3 failures in a row") && fatal.message.contains("signal 11"),
        "{}",
        fatal.message
    );
    let runs = fleet.until_runs("a/b/c", "goes on", |runs| runs.len() >= 4);
    let pauses: Vec<_> = runs
        .windows(2)
        .map(|pair| (pair[0].due.unwrap() - pair[1].end.unwrap()).num_milliseconds())
        .collect();
    // Newest first: two seconds after the third crash, one after the second, none after the first.
    assert!((1950..2400).contains(&pauses[0]) && (950..1400).contains(&pauses[1]), "{pauses:?}");
    assert!(pauses[2] < 400, "{pauses:?}");
    assert!(runs[1..].iter().all(|run| run.outcome_word() == Some("crashed") && run.exit_code == Some(139)));
    let why = fleet.dcm(&["why", "a/b/c"]).ok().out;
    assert!(!why.contains("dcm enable"), "{why}");
    let row = fleet.until("a/b/c", "has failed four times", |row| row.state.failures == 4);
    assert!(row.next_run.is_some() && row.state.fatal.unwrap().message.contains("4 failures in a row"));
    let alerts = fleet.query("SELECT kind, closed FROM alerts");
    assert_eq!(format!("{alerts:?}"), "[[Text(\"unexpected_behavior\"), Null]]");
    std::fs::write(&mended, "").unwrap();
    let row = fleet.until("a/b/c", "has recovered", |row| row.state.fatal.is_none());
    assert_eq!((row.state.failures, row.state.status), (0, RunStatus::NotRunning));
    let open = fleet.query("SELECT count(*), count(closed) FROM alerts");
    assert_eq!(format!("{open:?}"), "[[Integer(1), Integer(1)]]");
}

#[test]
fn an_app_that_is_to_be_given_up_starts_no_more_until_it_is_enabled() {
    let mut fleet = Fleet::with_manager();
    let options =
        ["--interval", "60", "--retry-interval", "0.002", "--max-failures", "2", "--on-failures", "give_up"];
    fleet.add("a/b/c", &options, &["false"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let row = fleet.until("a/b/c", "is given up", |row| row.state.fatal.is_some());
    assert_eq!(row.state.fatal.unwrap().flag, FatalFlag::UnexpectedBehavior);
    assert_eq!((row.state.status, row.next_run, row.app.disabled), (RunStatus::NotRunning, None, false));
    fleet.kill_manager();
    fleet.start_manager();
    fleet.dcm(&["start", "a/b/c", "--wait"]).refused(75, &["given up"]);
    fleet.dcm(&["restart", "a/b/c", "--wait"]).refused(75, &["given up"]);
    fleet.dcm(&["run-app", "a/b/c"]).refused(75, &["given up: 2 failures in a row"]);
    assert_eq!(fleet.dcm(&["status", "--json"]).ok().json()[0]["state"], "given_up");
    assert!(fleet.dcm(&["why", "a/b/c"]).ok().out.contains("it is given up"));
    assert_eq!(fleet.runs("a/b/c").len(), 2);
    fleet.dcm(&["enable", "a/b/c", "--wait"]).ok();
    let row = fleet.app("a/b/c");
    assert_eq!((row.state.fatal, row.state.failures), (None, 0));
    assert!(row.next_run.is_some());
    let open = fleet.query("SELECT count(*) FROM alerts WHERE closed IS NULL");
    assert_eq!(format!("{open:?}"), "[[Integer(0)]]");
    // Once it is to go on, it does.
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.until("a/b/c", "is given up again", |row| row.state.fatal.is_some() && row.next_run.is_none());
    fleet.dcm(&["app", "set", "a/b/c", "--on-failures", "continue"]).ok();
    fleet.until("a/b/c", "is planned", |row| row.next_run.is_some());
}

#[test]
fn dying_while_starting_is_a_failure_to_start() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--max-failures", "2"], &["sh", "-c", "kill -KILL $$"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let row = fleet.until("a/b/c", "is fatal", |row| row.state.fatal.is_some());
    assert_eq!(row.state.fatal.unwrap().flag, FatalFlag::FailedToStart);
    assert!(row.app.disabled);
}

#[test]
fn a_run_that_takes_too_long_is_ended_and_counts_as_failed() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--max-runtime", "0.01", "--retry-interval", "60"], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let runs = fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    assert_eq!(runs[0].outcome_word(), Some("timed_out"));
    let row = fleet.until("a/b/c", "is retried later", |row| row.next_run.is_some());
    assert_eq!((row.state.failures, row.state.status), (1, RunStatus::NotRunning));
}

#[test]
fn missed_times_are_caught_up_with_as_the_policy_says() {
    let mut fleet = Fleet::with_manager();
    for policy in ["latest", "none", "all"] {
        let options = ["--cron", "* * * * *", "--catch-up", policy, "--catch-up-limit", "3"];
        fleet.add(&format!("a/b/{policy}"), &options, &["true"]);
        fleet.until(&format!("a/b/{policy}"), "is planned", |row| row.next_run.is_some());
    }
    fleet.add("a/b/interval", &["--interval", "60"], &["true"]);
    fleet.until("a/b/interval", "is planned", |row| row.next_run.is_some());
    fleet.kill_manager();
    // As if the manager had been away since half an hour ago.
    fleet.sql(
        "UPDATE apps SET next_run = strftime('%Y-%m-%dT%H:%M:00.000Z', 'now', '-30 minutes'), sequence = sequence + 1; \
         UPDATE apps SET slot = next_run WHERE slot IS NOT NULL",
    );
    fleet.start_manager();
    let runs =
        fleet.until_runs("a/b/latest", "has caught up", |runs| runs.iter().any(|run| run.end.is_some()));
    assert_eq!(runs.iter().filter(|run| run.trigger.word() == "catch-up").count(), 1);
    let runs = fleet.until_runs("a/b/all", "has caught up", |runs| runs.len() >= 3);
    let caught_up: Vec<_> = runs.iter().filter(|run| run.trigger.word() == "catch-up").collect();
    assert_eq!(caught_up.len(), 3);
    assert_eq!(caught_up[0].due.unwrap() - caught_up[2].due.unwrap(), TimeDelta::minutes(2));
    let runs = fleet.until_runs("a/b/interval", "has caught up", |runs| !runs.is_empty());
    assert_eq!((runs.len(), runs[0].trigger.word()), (1, "catch-up"));
    let row = fleet.until("a/b/none", "waits for the next time", |row| row.next_run > Some(runs[0].start));
    assert_eq!(row.state.run, None);
    let skips = format!(
        "{:?}",
        fleet.query("SELECT app_name, reason FROM skips JOIN apps ON app = app_id ORDER BY app_name")
    );
    for expected in [
        "[Text(\"all\"), Text(\"catch_up_limit\")]",
        "[Text(\"latest\"), Text(\"missed\")]",
        "[Text(\"none\"), Text(\"missed\")]",
    ] {
        assert!(skips.contains(expected), "{expected}: {skips}");
    }
    let why = fleet.dcm(&["why", "a/b/none"]).ok().out;
    assert!(why.contains("did not become runs: missed: no manager was running"), "{why}");
}

#[test]
fn a_changed_schedule_counts_from_now() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--cron", "0 0 1 1 *"], &["true"]);
    let before = fleet.until("a/b/c", "is planned", |row| row.next_run.is_some()).next_run;
    fleet.dcm(&["app", "set", "a/b/c", "--cron", "*/5 * * * *"]).ok();
    let row = fleet.until("a/b/c", "is planned anew", |row| row.next_run != before);
    assert!(row.next_run < before);
    fleet.dcm(&["app", "set", "a/b/c", "--cron", "none"]).ok();
    fleet.until("a/b/c", "has no schedule", |row| row.next_run.is_none());
}
