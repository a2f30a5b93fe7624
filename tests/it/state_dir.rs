//! The state directory: whose it is, what becomes of it while a manager lives, and its copies.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::fleet::{Fleet, PATIENCE, is_alive, send_signal, until_gone};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Waits for what has no event.
fn until(is_so: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

/// All files and folders below a folder.
fn all_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_below(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn a_directory_with_wider_rights_is_tightened_and_that_is_said() {
    let mut fleet = Fleet::bare();
    let state = fleet.state();
    fs::create_dir(&state).unwrap();
    set_mode(&state, 0o755);
    fs::write(state.join("manager.lock"), "").unwrap();
    set_mode(&state.join("manager.lock"), 0o644);
    let called = fleet.dcm(&["db", "migrate"]).ok();
    for line in [
        "state could be used by other users (mode 755)",
        "manager.lock could be used by other users (mode 644)",
    ] {
        assert!(called.err.contains(line), "{called:?}");
    }
    set_mode(&state, 0o711);
    fleet.start_manager();
    assert!(
        fleet.manager_log().contains("could be used by other users (mode 711)"),
        "{}",
        fleet.manager_log()
    );
    fleet.add("a/b/c", &[], &["echo", "x"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.until_runs("a/b/c", "has ended", |runs| runs[0].end.is_some());
    assert_eq!(mode(&state), 0o700);
    for path in ["dcm.db", "dcm.db-wal", "dcm.db-shm", "manager.lock", "home", "lease", "doorbell"] {
        assert_eq!(mode(&state.join(path)), 0o600, "{path}");
    }
    for folder in ["runs", "logs", "log"] {
        assert_eq!(mode(&state.join(folder)), 0o700, "{folder}");
    }
}

#[test]
fn a_directory_that_another_user_could_replace_or_owns_is_refused() {
    let fleet = Fleet::bare();
    let parent = fleet.dir.path().join("parent");
    fs::create_dir(&parent).unwrap();
    set_mode(&parent, 0o777);
    let state = parent.join("state").display().to_string();
    for arguments in [vec!["db", "migrate"], vec!["--headless"]] {
        let arguments: Vec<_> = ["--state-dir", &state].into_iter().chain(arguments).collect();
        let called = fleet.dcm(&arguments);
        assert_ne!(called.code, 0);
        assert!(called.err.contains("any user can replace it"), "{called:?}");
    }
    if nix::unistd::geteuid().is_root() {
        set_mode(&parent, 0o755);
        std::os::unix::fs::chown(Path::new(&state), Some(65534), None).unwrap();
        let called = fleet.dcm(&["--state-dir", &state, "db", "migrate"]);
        assert_ne!(called.code, 0);
        assert!(called.err.contains("this process runs as root"), "{called:?}");
    }
}

#[test]
fn what_is_removed_under_a_living_manager_is_made_again_and_exit_codes_are_kept() {
    let mut fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    let script = Fleet::script("wait_for.py");
    for (name, code) in [("first", "7"), ("second", "8")] {
        fleet.add(&format!("a/b/{name}"), &[], &["python3", &script, go.to_str().unwrap(), code]);
    }
    fleet.add("a/b/stopped", &["--stop-grace", "60"], &["sleep", "600"]);
    fleet.add("a/b/later", &[], &["true"]);
    fleet.dcm(&["start", "a/b/first", "a/b/second", "a/b/stopped", "--wait", "--yes"]).ok();
    let state = fleet.state();
    for folder in ["runs", "logs", "log"] {
        fs::remove_dir_all(state.join(folder)).unwrap();
    }
    for file in ["doorbell", "manager.lock", "lease"] {
        fs::remove_file(state.join(file)).unwrap();
    }
    // Who looks before they are made again does not take the manager for killed.
    send_signal(fleet.manager_pid(), libc::SIGSTOP);
    let _ = fs::remove_file(state.join("manager.lock"));
    let called = fleet.dcm(&["status"]).ok();
    assert_eq!(called.err, "");
    send_signal(fleet.manager_pid(), libc::SIGCONT);
    // A start needs no restart of the manager, and finds the folder that it needs.
    fleet.dcm(&["start", "a/b/later", "--wait"]).ok();
    // A stop arrives, although there is no run directory to send it by.
    fleet.dcm(&["stop", "a/b/stopped", "--wait"]).ok();
    until(
        || ["runs", "logs", "log", "doorbell", "manager.lock"].iter().all(|name| state.join(name).exists()),
        "all is made again",
    );
    until(|| fleet.manager_log().contains("manager.lock"), "it is said");
    fleet.dcm(&["--headless"]).refused(75, &["already"]);
    fs::write(&go, "").unwrap();
    for (path, code) in [("a/b/first", 7), ("a/b/second", 8)] {
        let runs = fleet.until_runs(path, "has ended", |runs| runs[0].end.is_some());
        assert_eq!((runs.len(), runs[0].exit_code), (1, Some(code)), "{path}");
    }
    // The next manager finds nothing left.
    until(|| fs::read_dir(state.join("runs")).unwrap().next().is_none(), "the run directories are removed");
    fleet.kill_manager();
    fleet.start_manager();
}

#[test]
fn exit_codes_are_kept_when_no_manager_is_there_either() {
    let mut fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    fleet.add("a/b/c", &[], &["python3", &Fleet::script("wait_for.py"), go.to_str().unwrap(), "7"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let pid = fleet.app("a/b/c").state.pid.unwrap();
    fleet.kill_manager();
    fs::remove_dir_all(fleet.state().join("runs")).unwrap();
    fs::write(&go, "").unwrap();
    until_gone(pid);
    until(
        || fs::read_dir(fleet.state().join("runs")).is_ok_and(|mut runs| runs.next().is_some()),
        "it is on record",
    );
    fleet.start_manager();
    let runs = fleet.until_runs("a/b/c", "has ended", |runs| runs[0].end.is_some());
    assert_eq!((runs.len(), runs[0].exit_code), (1, Some(7)));
}

#[test]
fn a_manager_on_a_copy_leaves_the_processes_of_the_original_alone() {
    let mut fleet = Fleet::with_manager();
    // One whose processes hold the lock of the run, and one that closed everything.
    fleet.add("a/b/plain", &[], &["sleep", "600"]);
    fleet.add(
        "a/b/closed",
        &[],
        &["python3", "-c", "import os, time; os.closerange(0, 100); time.sleep(600)"],
    );
    fleet.add("a/b/orphan", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "all", "--wait", "--yes"]).ok();
    let paths = ["a/b/plain", "a/b/closed", "a/b/orphan"];
    let pids = paths.map(|path| fleet.app(path).state.pid.unwrap());
    fleet.kill_manager();
    send_signal(crate::adoption::parent_of(pids[2]), libc::SIGKILL);

    let mut copy = Fleet::bare();
    let copied = Command::new("cp").arg("-a").args([fleet.state(), copy.state()]).status().unwrap();
    assert!(copied.success());
    copy.start_manager();
    assert!(copy.manager_log().contains("is a copy of another"), "{}", copy.manager_log());
    for path in paths {
        // It knows nothing of how they end: they are the other's.
        copy.until_runs(path, "is closed", |runs| runs.last().is_some_and(|run| run.end.is_some()));
        copy.dcm(&["stop", path, "--wait"]);
    }
    copy.dcm(&["stop-apps", "--grace", "0"]).ok();
    copy.stop_manager();
    assert!(pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");

    // The original finds all of them.
    fleet.start_manager();
    for (path, pid) in paths.into_iter().zip(pids) {
        assert_eq!(fleet.app(path).state.pid, Some(pid), "{path}");
    }
    let [first, second] =
        [&fleet, &copy].map(|fleet| fs::read_to_string(fleet.state().join("home")).unwrap());
    assert_ne!(first, second);
}

#[test]
fn its_path_may_hold_any_character() {
    let mut fleet = Fleet::bare();
    let state = fleet.dir.path().join("a b'c\"d%20#e?f&g=h\nš\\$x*[y]{z};~");
    fleet.set("DC_STATE_DIR", state.to_str().unwrap());
    fleet.at_database(state.join("dcm.db"));
    fleet.dcm(&["db", "migrate"]).ok();
    fleet.start_manager();
    let mut app = vec!["--", "sh", "-c", "echo \"$DC_RUN_DIR\"; \"$DC_PROGRAM\" report --solved 3"];
    let mut arguments = vec!["app", "add", "a/b/c", "--enable"];
    arguments.append(&mut app);
    fleet.dcm(&arguments).ok();
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let runs = fleet.until_runs("a/b/c", "has ended", |runs| runs[0].end.is_some());
    assert_eq!((runs[0].exit_code, runs[0].progress.solved), (Some(0), 3), "{runs:?}");
    fleet.kill_manager();
    fleet.start_manager();
    fleet.dcm(&["stop-apps"]).ok();
    // Nothing was made beside it.
    assert_eq!(all_below(fleet.dir.path()).iter().filter(|path| path.ends_with("dcm.db")).count(), 1);
}

#[test]
fn a_run_whose_directory_was_removed_is_taken_up_and_not_started_again() {
    let mut fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    let trace = fleet.dir.path().join("trace");
    let script = format!(
        "echo $DC_RUNTIME >> {}; while [ ! -e {} ]; do sleep 0.05; done; exit 9",
        trace.display(),
        go.display()
    );
    fleet.add("a/b/c", &["--interval", "0.001"], &["sh", "-c", &script]);
    fleet.add("a/b/stopped", &["--stop-grace", "60"], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/stopped", "--wait"]).ok();
    let pids = ["a/b/c", "a/b/stopped"]
        .map(|path| fleet.until(path, "is running", |row| row.state.pid.is_some()).state.pid.unwrap());
    fleet.kill_manager();
    fs::remove_dir_all(fleet.state().join("runs")).unwrap();
    fleet.start_manager();
    for (path, pid) in ["a/b/c", "a/b/stopped"].into_iter().zip(pids) {
        let row = fleet.until(path, "is taken up", |row| row.state.pid.is_some());
        assert!(row.state.pid == Some(pid) && is_alive(pid), "{row:?}");
    }
    fleet.dcm(&["stop", "a/b/stopped", "--wait"]).ok();
    fs::write(&go, "").unwrap();
    let runs = fleet.until_runs("a/b/c", "has ended", |runs| runs.last().unwrap().end.is_some());
    assert_eq!(runs.last().unwrap().exit_code, Some(9));
    let text = fs::read_to_string(trace).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    let count = lines.len();
    lines.dedup();
    assert_eq!(lines.len(), count, "a run was started twice");
}
