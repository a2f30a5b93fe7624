//! Apps as they are: rude, loud, broken. Each harms itself at most.

use dcm::model::{FatalFlag, RunStatus};

use crate::fleet::{Fleet, PATIENCE, is_alive, until_gone};

#[test]
fn an_app_that_ignores_term_is_killed_with_its_child_after_the_grace_time() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--stop-grace", "0.5"], &["python3", &Fleet::script("ignore_term.py")]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let pid = fleet.app("a/b/c").state.pid.unwrap();
    let child = pid_in_log(&fleet, "a/b/c", "child");
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    assert!(!is_alive(pid) && !is_alive(child));
    let run = &fleet.runs("a/b/c")[0];
    assert_eq!((run.outcome_word(), run.signal), (Some("killed_after_grace"), Some(9)));
}

#[test]
fn a_daemon_that_forked_away_ends_with_its_run() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/leaves", &[], &["python3", &Fleet::script("fork_away.py"), "4"]);
    fleet.dcm(&["start", "a/b/leaves", "--wait"]).ok();
    let runs = fleet.until_runs("a/b/leaves", "is over", |runs| runs[0].end.is_some());
    assert_eq!(runs[0].exit_code, Some(4));
    assert!(!is_alive(pid_in_log(&fleet, "a/b/leaves", "daemon")));
    let leftovers = fleet.query("SELECT leftovers FROM runtime");
    assert_eq!(format!("{leftovers:?}"), "[[Integer(1)]]");

    fleet.add(
        "a/b/stays",
        &["--stop-grace", "0.5"],
        &["python3", &Fleet::script("fork_away.py"), "0", "stay"],
    );
    fleet.dcm(&["start", "a/b/stays", "--wait"]).ok();
    let daemon = pid_in_log(&fleet, "a/b/stays", "daemon");
    assert!(is_alive(daemon));
    fleet.dcm(&["stop", "a/b/stays", "--wait"]).ok();
    assert!(!is_alive(daemon));
}

#[test]
fn an_app_that_is_stopped_by_a_signal_can_be_stopped_for_good() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let pid = fleet.app("a/b/c").state.pid.unwrap();
    crate::fleet::send_signal(pid, libc::SIGSTOP);
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    until_gone(pid);
    assert_eq!(fleet.runs("a/b/c")[0].outcome_word(), Some("stopped"));
}

#[test]
fn closed_output_is_not_the_end_of_an_app() {
    let fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    fleet.add("a/b/c", &[], &["python3", &Fleet::script("close_output.py"), go.to_str().unwrap()]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let pid = fleet.app("a/b/c").state.pid.unwrap();
    wait_for_log(&fleet, "a/b/c", "before");
    assert!(is_alive(pid));
    assert_eq!(fleet.app("a/b/c").state.status, RunStatus::Running);
    std::fs::write(go, "").unwrap();
    let runs = fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    assert_eq!(runs[0].exit_code, Some(5));
}

#[test]
fn a_flood_is_kept_within_its_limit_and_harms_no_other() {
    let fleet = Fleet::with_manager();
    let limit = 256 * 1024;
    fleet.add(
        "a/b/flood",
        &["--log-limit", &limit.to_string()],
        &["python3", &Fleet::script("flood.py"), "64"],
    );
    fleet.add("a/b/other", &["--interval", "0.005"], &["true"]);
    fleet.dcm(&["start", "a/b/flood", "--wait"]).ok();
    fleet.until_runs("a/b/flood", "is over", |runs| runs[0].end.is_some());
    let folder = fleet.state().join("logs").join(crate::fleet::id("a/b/flood").to_string());
    let size: u64 =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(size <= limit + 4096, "{size}");
    let log = fleet.log("a/b/flood");
    assert!(
        log.contains("bytes in") && log.contains("are missing here: log_limit"),
        "{}",
        &log[..500.min(log.len())]
    );
    assert!(log.ends_with("the end\n"));
    fleet.until_runs("a/b/other", "goes on", |runs| runs.len() >= 3);
}

#[test]
fn binary_output_is_kept_byte_by_byte_and_shown_escaped() {
    let fleet = Fleet::with_manager();
    let script = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 4 + b'\\n\\x1b]0;owned\\x07\\n')";
    fleet.add("a/b/c", &[], &["python3", "-c", script]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    let output = fleet.command().args(["logs", "a/b/c"]).output().unwrap();
    let expected: Vec<u8> = (0..=255).cycle().take(1024).chain(*b"\n\x1b]0;owned\x07\n").collect();
    assert_eq!(output.stdout, expected);
    let json = fleet.dcm(&["logs", "a/b/c", "--json"]).ok();
    assert!(!json.out.contains('\x1b'));
}

#[test]
fn an_app_that_ends_at_once_has_its_code_and_both_times() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--max-failures", "0"], &["sh", "-c", "exit 3"]);
    for count in 1..=20 {
        fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
        fleet.until_runs("a/b/c", "is over", |runs| runs.len() == count && runs[0].end.is_some());
    }
    for run in fleet.runs("a/b/c") {
        assert_eq!((run.exit_code, run.outcome_word()), (Some(3), Some("failed")));
        assert!(run.start <= run.end.unwrap() && run.pid.is_some());
    }
}

#[test]
fn what_cannot_be_started_is_fatal_at_once_and_says_why() {
    let fleet = Fleet::with_manager();
    let folder = fleet.dir.path();
    let plain = folder.join("plain");
    std::fs::write(&plain, "echo hello").unwrap();
    let script = folder.join("script");
    std::fs::write(&script, "#!/no/such/python\n").unwrap();
    let nonsense = folder.join("nonsense");
    std::fs::write(&nonsense, "neither script nor program").unwrap();
    for path in [&script, &nonsense] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let huge = "x".repeat(200_000);
    for (name, options, argv, why) in [
        ("missing", vec![], vec!["no-such-program"], "no such program in PATH"),
        ("path", vec![], vec!["/no/such/file"], "no such file"),
        ("mode", vec![], vec![plain.to_str().unwrap()], "not executable"),
        ("directory", vec![], vec!["/tmp"], "directory"),
        (
            "interpreter",
            vec![],
            vec![script.to_str().unwrap()],
            "its interpreter /no/such/python does not exist",
        ),
        ("format", vec![], vec![nonsense.to_str().unwrap()], "no program for this system"),
        ("cwd", vec!["--cwd", "/no/such/dir"], vec!["true"], "working directory /no/such/dir"),
    ] {
        let path = format!("a/b/{name}");
        fleet.add(&path, &options, &argv);
        fleet.dcm(&["start", &path, "--wait"]).refused(1, &["failed to start", why]);
        let row = fleet.app(&path);
        let fatal = row.state.fatal.unwrap();
        assert_eq!(fatal.flag, FatalFlag::FailedToStart);
        assert!(fatal.message.contains(why), "{}", fatal.message);
        assert!(row.app.disabled);
        let runs = fleet.runs(&path);
        assert_eq!((runs.len(), runs[0].exit_code), (1, None));
        assert_eq!(runs[0].outcome_word(), Some("failed_to_start"));
    }
    fleet.sql(&format!(
        "INSERT INTO apps (app_group, app_parent, app_name, disable, command) VALUES ('a', 'b', 'huge', 0, '[\"true\", \"{huge}\"]')"
    ));
    fleet.until("a/b/huge", "has its key", |row| row.is_named);
    fleet.dcm(&["start", "a/b/huge", "--wait"]).refused(1, &["longer than the system allows"]);
    let alerts =
        fleet.query("SELECT count(*), count(DISTINCT app_id) FROM alerts WHERE kind = 'failed_to_start'");
    assert_eq!(format!("{alerts:?}"), "[[Integer(8), Integer(8)]]");
}

#[test]
fn apps_inherit_nothing_that_is_not_theirs() {
    let mut fleet = Fleet::new();
    fleet.set("DC_DB_MAIN_PASSWORD", "hunter2");
    fleet.set("DC_RABBITMQ_URL", "amqp://u:hunter2@h");
    fleet.set("NOTIFY_SOCKET", "/run/x");
    fleet.set("HARMLESS", "yes");
    fleet.start_manager();
    let script = "import os; print(sorted(os.listdir('/proc/self/fd'))); print(open('/proc/self/status').read()); \
                  print(sorted(os.environ.items())); print('stdin', repr(open(0).read()))";
    fleet.add("a/b/c", &["--env", "MINE=1"], &["python3", "-c", script]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    let log = fleet.log("a/b/c");
    assert!(!log.contains("hunter2") && !log.contains("NOTIFY_SOCKET"), "{log}");
    for expected in [
        "('MINE', '1')",
        "('HARMLESS', 'yes')",
        "DC_RUNTIME",
        "DC_APP_ID",
        "DC_DUE_TIME",
        "DC_FENCE",
        "stdin ''",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    assert!(!log.contains("DC_DATABASE_URL"));
    // Three streams, the lock of the run, and the directory that is being listed.
    let descriptors = log.lines().next().unwrap();
    assert_eq!(descriptors.matches('\'').count() / 2, 5, "{descriptors}");
    for signals in ["SigBlk:", "SigIgn:"] {
        let line = log.lines().find(|line| line.starts_with(signals)).unwrap();
        let bits = u64::from_str_radix(line.split_ascii_whitespace().nth(1).unwrap(), 16).unwrap();
        // Python itself ignores SIGPIPE and SIGXFSZ; those from 32 on are the C library's.
        assert_eq!(bits & 0x7fff_ffff & !(1 << 12) & !(1 << 24), 0, "{line}");
    }
}

#[test]
fn malformed_reports_are_remarked_upon_and_good_ones_count() {
    let fleet = Fleet::with_manager();
    let script = "echo '::dcm {bad'; echo '::dcm {\"solved\": -1}'; echo '::dcm {\"solved\": 5, \"task_size\": 10}'; \
                  echo ' ::dcm {\"solved\": 6}'; echo plain";
    fleet.add("a/b/c", &[], &["sh", "-c", script]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let runs = fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    assert_eq!((runs[0].progress.solved, runs[0].progress.task_size), (5, Some(10)));
    let log = fleet.log("a/b/c");
    assert!(log.contains("[dcm] the next line is not understood as a report"), "{log}");
    assert!(log.contains("::dcm {bad") && log.contains(" ::dcm {\"solved\": 6}") && log.contains("plain"));
    assert!(!log.contains("::dcm {\"solved\": 5"));
}

#[test]
fn report_works_inside_a_run_and_says_so_outside() {
    let fleet = Fleet::with_manager();
    let dcm = env!("CARGO_BIN_EXE_dcm");
    // What is wrong with the configuration of the host is nothing that a report depends on.
    let broken = fleet.dir.path().join("broken.toml");
    std::fs::write(&broken, "no settings [").unwrap();
    let script = format!(
        "export DC_CONFIG={broken}; \
         {dcm} report --task-size 8 --solved 2 --failed 1 --except-cnt 3 --message 'half way' && \
         {dcm} report --progress 200; echo code $?",
        broken = broken.display()
    );
    fleet.add("a/b/c", &[], &["sh", "-c", &script]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let runs = fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    let run = &runs[0];
    assert_eq!((run.progress.solved, run.progress.failed, run.except_cnt), (2, 1, 3));
    assert_eq!(run.message.as_deref(), Some("half way"));
    assert!(fleet.log("a/b/c").contains("code 2"));
    fleet.dcm(&["report", "--solved", "1"]).refused(2, &["DC_RUN_DIR"]);
    fleet.dcm(&["report"]).refused(2, &["nothing to report"]);
}

pub(crate) fn pid_in_log(fleet: &Fleet, path: &str, word: &str) -> u32 {
    let log = wait_for_log(fleet, path, word);
    let line = log.lines().find(|line| line.starts_with(word)).unwrap();
    line.split(' ').nth(1).unwrap().trim().parse().unwrap()
}

/// Follows the log until the word is there.
pub(crate) fn wait_for_log(fleet: &Fleet, path: &str, word: &str) -> String {
    use std::io::BufRead as _;
    let mut child =
        fleet.command().args(["logs", path, "-f"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut log = String::new();
    while !log.lines().last().is_some_and(|line| line.starts_with(word)) {
        match receiver.recv_timeout(PATIENCE) {
            Ok(line) => log = log + &line + "\n",
            Err(error) => panic!("{path}: no line begins with {word:?} ({error}):\n{log}"),
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    log
}
