//! `dcm run-app`: one run in the foreground.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use dcm::model::{Change, RunId, RunOpening, RunStatus, Timestamp, Trigger};
use dcm::process::host_name;
use dcm::store::Store as _;

use crate::fleet::{Fleet, PATIENCE, id, send_signal, until_gone};

#[test]
fn output_and_exit_code_go_through_and_the_run_is_on_record() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["sh", "-c", "echo out; echo err >&2; echo '::dcm {\"solved\": 4}'; exit 3"]);
    let called = fleet.dcm(&["run-app", "a/b/c"]);
    assert_eq!((called.code, called.out.as_str(), called.err.as_str()), (3, "out\n", "err\n"));
    let run = &fleet.runs("a/b/c")[0];
    assert_eq!((run.exit_code, run.trigger.word(), run.progress.solved), (Some(3), "run-app", 4));
    assert_eq!(fleet.app("a/b/c").state.status, RunStatus::NotRunning);
    assert_eq!(fleet.log("a/b/c"), "out\nerr\n");
}

#[test]
fn arguments_are_handed_on() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["sh", "-c", "echo \"$0 $1 $2\"", "x"]);
    let called = fleet.dcm(&["run-app", "a/b/c", "--args", "{\"y\": [1, 2]}"]).ok();
    assert_eq!(called.out, "x --args {\"y\": [1, 2]}\n");
}

#[test]
fn what_cannot_be_started_has_the_codes_of_a_shell() {
    let fleet = Fleet::new();
    fleet.add("a/b/missing", &[], &["/no/such/program"]);
    fleet.add("a/b/unusable", &[], &["/etc/passwd"]);
    fleet.add("a/b/signal", &[], &["sh", "-c", "kill -TERM $$"]);
    fleet.dcm(&["run-app", "a/b/missing"]).refused(127, &["failed to start", "no such file"]);
    fleet.dcm(&["run-app", "a/b/unusable"]).refused(126, &["failed to start", "not executable"]);
    assert_eq!(fleet.dcm(&["run-app", "a/b/signal"]).code, 143);
    fleet.dcm(&["run-app", "a/b/nobody"]).refused(4, &["no such app"]);
}

#[test]
fn disabled_running_and_fatal_apps_are_refused_for_now() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.dcm(&["run-app", "a/b/c"]).refused(75, &["already running"]);
    fleet.dcm(&["disable", "a/b/c", "--wait"]).ok();
    fleet.dcm(&["run-app", "a/b/c"]).refused(75, &["disabled"]);
    fleet.add("a/b/fatal", &[], &["/no/such/program"]);
    fleet.dcm(&["start", "a/b/fatal", "--wait"]).refused(1, &["failed to start"]);
    fleet.dcm(&["run-app", "a/b/fatal"]).refused(75, &["fatal"]);
}

#[test]
fn the_run_is_written_to_a_file_unless_it_was_refused() {
    let fleet = Fleet::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.json");
    let file = file.to_str().unwrap();
    fleet.add("a/b/c", &[], &["sh", "-c", "echo '::dcm {\"solved\": 4}'; exit 75"]);
    assert_eq!(fleet.dcm(&["run-app", "a/b/c", "--result", file]).code, 75);
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let shown = fleet.dcm(&["history", "a/b/c", "--json"]).ok().json();
    assert_eq!(told, shown[0]);
    assert_eq!((told["exit_code"].as_i64(), told["solved"].as_i64()), (Some(75), Some(4)));
    std::fs::remove_file(file).unwrap();
    fleet.add("a/b/off", &[], &["true"]);
    fleet.sql("UPDATE apps SET disable = 1 WHERE app_name = 'off'");
    fleet.dcm(&["run-app", "a/b/off", "--result", file]).refused(75, &["disabled"]);
    assert!(!std::path::Path::new(file).exists());
    let called = fleet.dcm(&["run-app", "a/b/c", "--force", "--result", "/no/such/folder/run.json"]);
    assert_eq!(called.code, 75);
    assert!(called.err.contains("does not say how the run ended"), "{}", called.err);
}

#[test]
fn a_signal_is_passed_on() {
    let fleet = Fleet::new();
    fleet.add(
        "a/b/c",
        &[],
        &["sh", "-c", "trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 0.05; done"],
    );
    let mut child = fleet.command().args(["run-app", "a/b/c"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    send_signal(child.id(), libc::SIGTERM);
    assert_eq!(lines.next().unwrap().unwrap(), "got it");
    assert_eq!(child.wait().unwrap().code(), Some(9));
    let run = &fleet.runs("a/b/c")[0];
    assert_eq!((run.exit_code, run.outcome_word()), (Some(9), Some("stopped")));
}

#[test]
fn a_manager_sees_it_can_stop_it_and_takes_over_when_it_is_killed() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--interval", "60"], &["sh", "-c", "echo ready; exec sleep 600"]);
    let begin = || {
        let mut child = fleet.command().args(["run-app", "a/b/c"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        child
    };
    let mut child = begin();
    fleet.dcm(&["start", "a/b/c", "--wait"]).refused(75, &["already running"]);
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    fleet.dcm(&["enable", "a/b/c", "--wait"]).ok();

    let mut child = begin();
    let row = fleet.until("a/b/c", "is watched", |row| row.state.pid.is_some());
    let pid = row.state.pid.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    until_gone(pid);
    assert!(fleet.runs("a/b/c").iter().all(|run| run.end.is_some() && run.trigger.word() == "run-app"));
}

#[test]
fn what_a_killed_run_app_leaves_is_entered_by_the_next_manager() {
    let mut fleet = Fleet::new();
    let go = fleet.dir.path().join("go");
    fleet.add("a/b/c", &[], &["python3", &Fleet::script("wait_for.py"), go.to_str().unwrap(), "6"]);
    let mut child = fleet.command().args(["run-app", "a/b/c"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "waiting");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fleet.app("a/b/c").state.status, RunStatus::Running);
    fleet.start_manager();
    fleet.dcm(&["start", "a/b/c", "--wait"]).refused(75, &["already running"]);
    std::fs::write(go, "").unwrap();
    let runs = fleet.until_runs("a/b/c", "is closed", |runs| runs[0].end.is_some());
    assert_eq!(runs.len(), 1);
}

#[test]
fn max_runtime_holds_without_a_manager() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &["--max-runtime", "0.02"], &["sleep", "600"]);
    fleet.dcm(&["run-app", "a/b/c"]).refused(143, &["max_runtime"]);
    assert_eq!(fleet.runs("a/b/c")[0].outcome_word(), Some("timed_out"));
    // To take TERM well is not to succeed.
    let script = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
    fleet.add("a/b/polite", &["--max-runtime", "0.02"], &["sh", "-c", script]);
    fleet.dcm(&["run-app", "a/b/polite"]).refused(124, &["max_runtime"]);
}

#[test]
fn a_disabled_or_given_up_app_runs_by_force() {
    let fleet = Fleet::with_manager();
    fleet.dcm(&["app", "add", "a/b/new", "--", "echo", "tried"]).ok();
    fleet.dcm(&["run-app", "a/b/new"]).refused(75, &["disabled", "--force"]);
    assert_eq!(fleet.dcm(&["run-app", "a/b/new", "--force"]).ok().out, "tried\n");
    fleet.add("a/b/fatal", &[], &["/no/such/program"]);
    fleet.dcm(&["start", "a/b/fatal", "--wait"]).refused(1, &["failed to start"]);
    fleet.dcm(&["run-app", "a/b/fatal", "--force"]).refused(127, &["no such file"]);
    assert!(fleet.app("a/b/new").app.disabled);
}

#[test]
fn settings_of_dcm_reach_an_app_no_more_than_below_a_manager() {
    let mut fleet = Fleet::new();
    fleet.set("DC_DB_MAIN_PASSWORD", "secret");
    fleet.set("PGPASSWORD", "of another database");
    let url = format!("sqlite:{}", fleet.database().display());
    fleet.set("DC_DATABASE_URL", &url);
    fleet.add(
        "a/b/c",
        &[],
        &["sh", "-c", "echo \"$DC_DB_MAIN_PASSWORD,$DC_DATABASE_URL,$PGPASSWORD,$DC_APP_NAME\""],
    );
    assert_eq!(fleet.dcm(&["run-app", "a/b/c"]).ok().out, ",,of another database,c\n");
}

#[test]
fn a_terminal_that_hangs_up_stops_the_app_unless_nohup_is_asked_for() {
    let fleet = Fleet::new();
    let go = fleet.dir.path().join("go");
    let script = "echo ready; while [ ! -e $0 ]; do sleep 0.05; done; echo done";
    fleet.add("a/b/c", &[], &["sh", "-c", script, go.to_str().unwrap()]);
    let begin = |program: &str, arguments: &[&str]| {
        let mut command = fleet.command();
        let mut outer = std::process::Command::new(program);
        outer.args(arguments).arg(command.get_program()).args(["run-app", "a/b/c"]);
        for (name, value) in command.stdout(Stdio::null()).get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        let mut child = outer.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        send_signal(child.id(), libc::SIGHUP);
        child
    };
    assert_eq!(begin("env", &[]).wait().unwrap().code(), Some(129));
    let run = &fleet.runs("a/b/c")[0];
    assert_eq!((run.outcome_word(), run.signal), (Some("stopped"), Some(1)));
    let mut child = begin("nohup", &[]);
    std::fs::write(&go, "").unwrap();
    assert!(child.wait().unwrap().success());
}

/// What `run-app` enters before it makes its run directory.
fn opening(path: &str, run: RunId, host: &str) -> Change {
    Change::RunOpened(RunOpening {
        run,
        app: id(path),
        at: Timestamp::UNIX_EPOCH,
        due: None,
        trigger: Trigger::RunApp,
        attempt: 1,
        command: None,
        manager: format!("run-app@{host}"),
        is_forced: true,
    })
}

#[test]
fn a_run_that_is_nowhere_on_this_host_is_closed_by_the_manager_that_is_there() {
    let fleet = Fleet::with_manager();
    for name in ["killed", "strange", "afar", "lives"] {
        fleet.add(&format!("a/b/{name}"), &[], &["sh", "-c", "echo ready; exec sleep 600"]);
    }
    let mut living = fleet.command();
    living.env("DC_STATE_DIR", fleet.dir.path().join("other"));
    living.env("DC_DATABASE_URL", format!("sqlite:{}", fleet.database().display()));
    let mut living = living.args(["run-app", "a/b/lives"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(living.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let run = RunId::from_random_bits;
    fleet.ask(async |store| {
        let killed = opening("a/b/killed", run(1), &host_name());
        store.commit(vec![killed, opening("a/b/afar", run(2), "another host")]).await.unwrap();
    });
    // One that some program wrote; the manager meets it when it is to start the app.
    fleet.sql(&format!(
        "INSERT INTO runtime (runtime, app_id, start_time, trigger) \
         VALUES ('{}', '{}', '2026-11-23T12:00:00.000Z', 'schedule')",
        run(3),
        id("a/b/strange")
    ));
    fleet.dcm(&["start", "a/b/strange", "--wait"]).refused(75, &["already running"]);
    for path in ["a/b/killed", "a/b/strange"] {
        let begun = Instant::now();
        // They are looked for as long as other tests have patience.
        while fleet.runs(path)[0].end.is_none() && begun.elapsed() < 3 * PATIENCE {
            std::thread::park_timeout(Duration::from_millis(100));
        }
        let runs = fleet.runs(path);
        assert_eq!((runs[0].outcome_word(), runs[0].exit_code), (Some("unknown"), None), "{runs:?}");
        fleet.dcm(&["start", path, "--wait"]).ok();
    }
    // These may live, or do.
    for path in ["a/b/afar", "a/b/lives"] {
        assert_eq!(fleet.runs(path)[0].end, None, "{path}");
    }
    send_signal(living.id(), libc::SIGTERM);
    assert_eq!(living.wait().unwrap().code(), Some(143));
    fleet.dcm(&["start", "a/b/lives", "--wait"]).ok();
}
