//! A run with exit code 0 that did not do what is expected of it is suspect, and nobody who looks can miss that.

use dcm::model::{Concern, RunStatus};

use crate::fleet::Fleet;
use crate::postgres::{Schema, block_on, until};

const SHORT_OF_100: &str = "solved 0, at least 100 expected (min_solved)";

/// It reports what stands in the file `solved`.
fn counting(fleet: &Fleet) -> String {
    format!("echo \"::dcm {{\\\"solved\\\": $(cat {})}}\"", fleet.dir.path().join("solved").display())
}

fn set_solved(fleet: &Fleet, solved: u64) {
    std::fs::write(fleet.dir.path().join("solved"), solved.to_string()).unwrap();
}

/// Starts the app, and waits for the end of that run; how it ended.
fn run(fleet: &Fleet, path: &str) -> String {
    let before = fleet.runs(path).len();
    fleet.dcm(&["start", path, "--wait"]).ok();
    let is_over = |row: &dcm::model::AppRow| row.state.status != RunStatus::Running;
    let runs = fleet.until_runs(path, "another run is over", |runs| {
        runs.len() > before && runs.iter().all(|run| run.end.is_some())
    });
    fleet.until(path, "the run is over", is_over);
    runs[0].outcome_word().unwrap().to_owned()
}

#[test]
fn a_run_that_succeeds_with_nothing_is_seen_everywhere() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--interval", "60", "--min-solved", "100"], &["sh", "-c", &counting(&fleet)]);
    fleet.add("a/b/other", &[], &["true"]);
    set_solved(&fleet, 0);
    assert_eq!(run(&fleet, "a/b/c"), "suspect");
    let row = fleet.until("a/b/c", "is suspect", |row| row.state.is(Concern::Suspect));
    assert_eq!((row.state.failures, row.state.suspects), (0, 1));

    let status = fleet.dcm(&["status", "a/b/c"]).ok().out;
    assert!(status.contains("FAILED") && status.contains("suspect") && status.contains("F3"), "{status}");
    assert!(fleet.dcm(&["status"]).ok().out.contains("2 apps: 1 failed"));
    fleet.dcm(&["status", "--failed"]).refused(3, &["1 app has failed"]);
    assert_eq!(run(&fleet, "a/b/c"), "suspect");
    let row = fleet.until("a/b/c", "is suspect again", |row| row.state.suspects == 2);
    assert!(row.next_run.is_some(), "it goes on by its schedule");

    let json = fleet.dcm(&["status", "a/b/c", "--json"]).ok().json();
    let field = |name: &str| json[0][name].as_str().unwrap_or_default().to_owned();
    assert_eq!((field("state"), field("concern")), ("failed".to_owned(), "suspect".to_owned()));
    assert_eq!((field("last_outcome"), field("fatal_cause")), ("suspect".to_owned(), "suspect".to_owned()));
    assert_eq!((json[0]["fatal_flag"].as_i64(), field("fatal_msg")), (Some(3), SHORT_OF_100.to_owned()));
    assert_eq!((json[0]["last_exit_code"].as_i64(), json[0]["suspects"].as_i64()), (Some(0), Some(2)));
    let history = fleet.dcm(&["history", "a/b/c"]).ok().out;
    assert!(history.contains("suspect") && history.contains(SHORT_OF_100), "{history}");
    let why = fleet.dcm(&["why", "a/b/c"]).ok().out;
    assert!(why.contains("it is suspect (UNEXPECTED_BEHAVIOR)") && why.contains(SHORT_OF_100), "{why}");

    let alerts = "SELECT kind, cause, severity, count, closed IS NULL FROM alerts";
    let alert = |is_open| {
        format!(
            r#"[[Text("suspect"), Text("solved fewer than min_solved"), Text("warning"), Integer(2), Integer({is_open})]]"#
        )
    };
    assert_eq!(format!("{:?}", fleet.query(alerts)), alert(1));
    let line = format!("alert opened: a/b/c: suspect: {SHORT_OF_100}");
    let logged = async || fleet.manager_log().contains(&line).then_some(());
    block_on(until("the line of the alert", logged));

    set_solved(&fleet, 100);
    assert_eq!(run(&fleet, "a/b/c"), "ok");
    let row = fleet.until("a/b/c", "has recovered", |row| row.state.suspects == 0);
    assert_eq!((row.state.fatal, row.state.concern), (None, None));
    assert_eq!(format!("{:?}", fleet.query(alerts)), alert(0));
    fleet.dcm(&["status", "--failed"]).ok();
}

#[test]
fn what_an_app_writes_by_sql_just_before_it_ends_counts() {
    let fleet = Fleet::with_manager();
    let script = format!(
        "import sqlite3\n\
         c = sqlite3.connect({:?}, timeout=30)\n\
         c.execute(\"UPDATE apps SET solved = 150, failed = 3 WHERE app_name = 'sql'\")\n\
         c.commit()",
        fleet.database().display().to_string()
    );
    let options = ["--min-solved", "100", "--max-failed-ratio", "0.1"];
    fleet.add("a/b/sql", &options, &["python3", "-c", &script]);
    for _ in 0..5 {
        assert_eq!(run(&fleet, "a/b/sql"), "ok");
    }
    fleet.dcm(&["app", "set", "a/b/sql", "--max-failed-ratio", "0.01"]).ok();
    fleet.until("a/b/sql", "has its ratio", |row| row.app.policy.max_failed_ratio.is_some());
    assert_eq!(run(&fleet, "a/b/sql"), "suspect");
    let message = fleet.runs("a/b/sql")[0].message.clone();
    assert_eq!(message.as_deref(), Some("failed 3 of 153, at most 1% expected (max_failed_ratio)"));
}

#[test]
fn history_is_kept_over_a_kill_of_the_manager() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sh", "-c", &counting(&fleet)]);
    set_solved(&fleet, 512);
    for _ in 0..10 {
        assert_eq!(run(&fleet, "a/b/c"), "ok");
    }
    fleet.kill_manager();
    fleet.start_manager();
    set_solved(&fleet, 3);
    assert_eq!(run(&fleet, "a/b/c"), "suspect");
    let message = fleet.runs("a/b/c")[0].message.clone();
    assert_eq!(message.as_deref(), Some("solved 3, usually 512 (median of 10 good runs)"));
    fleet.dcm(&["app", "set", "a/b/c", "--compare-history", "false"]).ok();
    fleet.until("a/b/c", "is not compared", |row| !row.app.policy.compare_history);
    assert_eq!(run(&fleet, "a/b/c"), "ok");
}

#[test]
fn a_foreground_run_is_judged_by_the_rules_and_gives_back_its_exit_code() {
    let mut fleet = Fleet::new();
    fleet.add("a/b/c", &["--min-solved", "100"], &["sh", "-c", &counting(&fleet)]);
    set_solved(&fleet, 0);
    for _ in 0..2 {
        let called = fleet.dcm(&["run-app", "a/b/c"]).ok();
        assert!(called.err.contains(&format!("suspect: {SHORT_OF_100}")), "{called:?}");
        let runs = fleet.until_runs("a/b/c", "is over", |runs| runs.iter().all(|run| run.end.is_some()));
        assert_eq!(runs[0].outcome_word(), Some("suspect"));
        assert_eq!(runs[0].message.as_deref(), Some(SHORT_OF_100));
        // The same beside a manager that watches it, whoever enters the end first.
        if fleet.runs("a/b/c").len() == 1 {
            fleet.start_manager();
        }
    }
}

#[test]
fn a_silent_app_stalls_after_its_own_limit_and_takes_no_longer_than_it_may() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--stall-after", "0.02"], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let row = fleet.until("a/b/c", "has stalled", |row| row.state.is(Concern::Stalled));
    let fatal = row.state.fatal.expect("a stall sets the flag");
    assert_eq!(fatal.message, "no progress for more than 1.2s (stall_after)");
    fleet.dcm(&["status", "--failed"]).ok();
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    fleet.until("a/b/c", "has no flag", |row| row.state.fatal.is_none() && row.state.concern.is_none());

    fleet.dcm(&["app", "set", "a/b/c", "--max-runtime", "0.02"]).ok();
    fleet.until("a/b/c", "has its limit", |row| row.app.policy.max_runtime.is_some());
    assert_eq!(run(&fleet, "a/b/c"), "timed_out");
    fleet.until("a/b/c", "has failed", |row| row.state.failures == 1);
}

#[test]
fn what_an_app_writes_by_sql_just_before_it_ends_counts_on_postgres() {
    let schema = Schema::new();
    let mut fleet = Fleet::bare();
    fleet.set("DC_DATABASE_URL", schema.url());
    fleet.dcm(&["db", "migrate"]).ok();
    let end = fleet.dir.path().join("end");
    let script = format!("while [ ! -e {} ]; do sleep 0.01; done", end.display());
    fleet.add("a/b/sql", &["--min-solved", "100"], &["sh", "-c", &script]);
    let log = std::fs::File::create(fleet.dir.path().join("manager.log")).unwrap();
    let mut manager = fleet.command().arg("--headless").stderr(log).spawn().unwrap();
    for (solved, expected) in [(150, "ok"), (99, "suspect"), (100, "ok")] {
        let _ = std::fs::remove_file(&end);
        fleet.dcm(&["start", "a/b/sql", "--wait"]).ok();
        schema.sql(&format!("UPDATE apps SET solved = {solved}"));
        std::fs::write(&end, "").unwrap();
        let last = || {
            let json = fleet.dcm(&["status", "a/b/sql", "--json"]).ok().json();
            let is_over = json[0]["run_status"] == 0;
            is_over.then(|| json[0]["last_outcome"].as_str().unwrap_or_default().to_owned())
        };
        let outcome = block_on(until("the end of the run", async || last()));
        assert_eq!(outcome, expected, "{solved}");
    }
    manager.kill().unwrap();
    manager.wait().unwrap();
}
