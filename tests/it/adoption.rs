//! A manager may be killed at any moment: no app notices, nothing is lost, nothing runs twice.

use std::collections::BTreeMap;

use dcm::model::RunStatus;

use crate::bad_apps::{pid_in_log, wait_for_log};
use crate::container::Container;
use crate::fleet::{Fleet, is_alive, send_signal, until_gone};

#[test]
fn a_hundred_apps_outlive_the_manager_with_their_pids_and_exit_codes() {
    let mut fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    let script = Fleet::script("wait_for.py");
    for number in 0..100 {
        // Half of them end while no manager is there, each with a code of its own.
        let file = if number % 2 == 0 { go.display().to_string() } else { "/nowhere/ever".to_owned() };
        fleet.add(&format!("a/b/n{number}"), &[], &["python3", &script, &file, &number.to_string()]);
    }
    fleet.dcm(&["start", "all", "--wait", "--yes"]).ok();
    let before: BTreeMap<_, _> =
        (0..100).map(|number| (number, fleet.app(&format!("a/b/n{number}")))).collect();
    let pids: BTreeMap<_, _> = before.iter().map(|(number, row)| (*number, row.state.pid.unwrap())).collect();
    fleet.kill_manager();
    assert!(pids.values().all(|pid| is_alive(*pid)));

    std::fs::write(&go, "").unwrap();
    for number in (0..100).step_by(2) {
        until_gone(pids[&number]);
    }
    fleet.start_manager();

    for (number, row) in &before {
        let path = format!("a/b/n{number}");
        let runs = fleet.until_runs(&path, "the run is where it should be", |runs| {
            runs.len() == 1 && (number % 2 == 1 || runs[0].end.is_some())
        });
        assert_eq!(Some(runs[0].run), row.state.run);
        if number % 2 == 0 {
            assert_eq!(runs[0].exit_code, Some(*number), "{path}");
        } else {
            let now = fleet.app(&path);
            assert_eq!((now.state.status, now.state.pid), (RunStatus::Running, Some(pids[number])));
            assert!(is_alive(pids[number]));
        }
    }
}

#[test]
fn killed_again_and_again_it_never_starts_a_run_twice() {
    let mut fleet = Fleet::with_manager();
    let trace = fleet.dir.path().join("trace");
    let append = format!("echo $DC_RUNTIME $DC_ATTEMPT >> {}", trace.display());
    // Due every tenth of a second; the manager is killed at arbitrary moments.
    for number in 0..10 {
        fleet.add(&format!("a/b/n{number}"), &["--interval", "0.001"], &["sh", "-c", &append]);
    }
    for round in 1..=10 {
        fleet.until_runs("a/b/n3", "goes on", |runs| runs.len() >= round * 2);
        fleet.kill_manager();
        fleet.start_manager();
    }
    fleet.dcm(&["disable", "all", "--wait", "--yes"]).ok();
    let text = std::fs::read_to_string(&trace).unwrap();
    let mut seen: Vec<_> = text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count, "a run was started twice");
    let recorded: Vec<_> = (0..10).flat_map(|number| fleet.runs(&format!("a/b/n{number}"))).collect();
    assert!(recorded.iter().all(|run| run.end.is_some()));
    for run in &seen {
        assert!(recorded.iter().any(|row| row.run.to_string() == *run), "run {run} is not on record");
    }
    for run in recorded.iter().filter(|run| run.outcome_word() == Some("ok")) {
        assert!(seen.contains(&run.run.to_string()), "run {} is on record and never ran", run.run);
    }
}

#[test]
fn a_killed_shim_is_replaced_and_the_app_does_not_notice() {
    let fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    let script = Fleet::script("wait_for.py");
    fleet.add("a/b/c", &["--max-failures", "0"], &["python3", &script, go.to_str().unwrap(), "7"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    wait_for_log(&fleet, "a/b/c", "waiting");
    let pid = fleet.app("a/b/c").state.pid.unwrap();
    let shim = parent_of(pid);
    let run = fleet.app("a/b/c").state.run.unwrap().to_string();
    let title = std::fs::read_to_string(format!("/proc/{shim}/cmdline")).unwrap();
    assert_eq!(title.trim_end_matches('\0'), format!("dcm shim a/b/c {run}"));
    send_signal(shim, libc::SIGKILL);
    until_gone(shim);
    assert!(is_alive(pid));
    while shims(&run) == 0 {
        fleet.app("a/b/c");
    }
    // A call takes longer than it would take to start a second one.
    fleet.dcm(&["status"]).ok();
    assert_eq!(shims(&run), 1);
    // The successor is there when the run can be stopped through it.
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    until_gone(pid);
    let run = &fleet.runs("a/b/c")[0];
    assert_eq!(run.outcome_word(), Some("stopped"), "{run:?}");
    assert!(fleet.log("a/b/c").contains("waiting"));
}

/// How many shims a run has.
fn shims(run: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok())
        .filter(|title| title.starts_with("dcm shim ") && title.contains(run))
        .count()
}

#[test]
fn with_the_manager_and_the_shim_killed_the_end_is_unknown_and_not_invented() {
    let mut fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    let script = Fleet::script("wait_for.py");
    fleet.add("a/b/c", &["--max-failures", "0"], &["python3", &script, go.to_str().unwrap(), "7"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let pid = fleet.app("a/b/c").state.pid.unwrap();
    let shim = parent_of(pid);
    fleet.kill_manager();
    send_signal(shim, libc::SIGKILL);
    until_gone(shim);
    std::fs::write(&go, "").unwrap();
    until_gone(pid);
    fleet.start_manager();
    let runs = fleet.until_runs("a/b/c", "the first run is closed", |runs| {
        runs.last().is_some_and(|run| run.end.is_some())
    });
    let run = runs.last().unwrap();
    assert_eq!((run.outcome_word(), run.exit_code), (Some("unknown"), None));
}

#[test]
fn a_stop_that_was_under_way_is_finished_by_the_next_manager() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--stop-grace", "3"], &["python3", &Fleet::script("ignore_term.py")]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let pid = fleet.app("a/b/c").state.pid.unwrap();
    pid_in_log(&fleet, "a/b/c", "child");
    let issued = fleet.dcm(&["stop", "a/b/c", "--json"]).ok().json();
    let id = issued[0]["id"].as_i64().unwrap();
    // The shim has the request once it has noted it.
    let run = fleet.app("a/b/c").state.run.unwrap();
    let journal = fleet.state().join("runs").join(run.to_string()).join("journal");
    while !std::fs::read_to_string(&journal).unwrap().contains("\"stop\"") {
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
    fleet.kill_manager();
    until_gone(pid);
    fleet.start_manager();
    let row = fleet.until("a/b/c", "is stopped", |row| row.state.status == RunStatus::Stopped);
    assert!(row.state.stopped_by.is_some());
    let verdicts = fleet.query(&format!("SELECT cmd_flag, reason FROM commands WHERE id = {id}"));
    assert_eq!(format!("{verdicts:?}"), "[[Integer(1), Null]]");
    let run = &fleet.runs("a/b/c")[0];
    assert_eq!((run.outcome_word(), run.exit_code), (Some("killed_after_grace"), Some(137)));
}

#[test]
fn a_manager_that_ends_in_order_leaves_its_apps_and_its_place() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let pid = fleet.app("a/b/c").state.pid.unwrap();
    fleet.stop_manager();
    assert!(is_alive(pid));
    let stopped = fleet.query("SELECT stopped IS NOT NULL FROM managers");
    assert_eq!(format!("{stopped:?}"), "[[Integer(1)]]");
    fleet.start_manager();
    assert_eq!(fleet.app("a/b/c").state.pid, Some(pid));
    assert!(is_alive(pid));
}

#[test]
fn a_second_manager_is_refused() {
    let fleet = Fleet::with_manager();
    fleet.dcm(&["--headless"]).refused(75, &["already", &fleet.manager_pid().to_string()]);
    // Another state directory does not help: it is the same database.
    let other = fleet.dir.path().join("other");
    let database = format!("sqlite:{}", fleet.database().display());
    let arguments = ["--headless", "--state-dir", other.to_str().unwrap(), "--database", &database];
    fleet.dcm(&arguments).refused(75, &["already serving"]);
}

#[test]
fn stop_apps_needs_no_manager_and_the_next_one_enters_what_happened() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/polite", &[], &["sleep", "600"]);
    fleet.add("a/b/rude", &["--stop-grace", "0.2"], &["python3", &Fleet::script("ignore_term.py")]);
    fleet.dcm(&["start", "all", "--wait"]).ok();
    pid_in_log(&fleet, "a/b/rude", "child");
    let pids = ["a/b/polite", "a/b/rude"].map(|path| fleet.app(path).state.pid.unwrap());
    fleet.kill_manager();
    let stopped = fleet.dcm(&["stop-apps", "--grace", "0.5", "--json"]).ok().json();
    assert_eq!(stopped["stopped"].as_array().unwrap().len(), 2);
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    fleet.start_manager();
    for (path, outcome) in [("a/b/polite", "stopped"), ("a/b/rude", "killed_after_grace")] {
        let runs = fleet.until_runs(path, "is closed", |runs| runs[0].end.is_some());
        assert_eq!(runs[0].outcome_word(), Some(outcome));
    }
    let row = fleet.until("a/b/polite", "rests", |row| row.state.status == RunStatus::NotRunning);
    assert_eq!(row.state.stopped_by, None);
}

#[test]
fn the_pid_of_a_run_that_no_manager_entered_comes_from_its_journal() {
    let mut fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    fleet.add("a/b/c", &[], &["python3", &Fleet::script("wait_for.py"), go.to_str().unwrap(), "0"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let pid = fleet.app("a/b/c").state.pid.unwrap();
    fleet.kill_manager();
    // As if it had been killed before it could enter that.
    fleet.sql("UPDATE runtime SET pid = NULL");
    std::fs::write(&go, "").unwrap();
    until_gone(pid);
    fleet.start_manager();
    let runs = fleet.until_runs("a/b/c", "is closed", |runs| runs[0].end.is_some());
    assert_eq!((runs[0].pid, runs[0].exit_code), (Some(pid), Some(0)));
}

pub(crate) fn parent_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn as_process_1_a_manager_knows_how_an_app_ended_whose_shim_was_killed() {
    let fleet = Fleet::new();
    let at = |name: &str| fleet.dir.path().join(name);
    let script = "while [ ! -e $0/kill ]; do sleep 0.05; done; kill -KILL $PPID; \
                  while [ ! -e $0/go ]; do sleep 0.05; done; exit 7";
    let folder = fleet.dir.path().to_str().unwrap();
    fleet.add("a/b/c", &["--max-failures", "0"], &["sh", "-c", script, folder]);
    let Some(_container) = Container::start(&fleet, &[]) else { return };
    fleet.dcm(&["start", "a/b/c"]).ok();
    fleet.until("a/b/c", "is running", |row| row.state.pid.is_some());
    std::fs::write(at("kill"), "").unwrap();
    std::fs::write(at("go"), "").unwrap();
    let runs = fleet.until_runs("a/b/c", "has ended", |runs| runs[0].end.is_some());
    assert_eq!((runs[0].exit_code, runs[0].outcome_word()), (Some(7), Some("failed")), "{runs:?}");
}
