//! The files of the embedded database: removed, emptied, overwritten, put back, copied, lost, not for this user.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dcm::model::{Run, RunStatus};

use crate::fleet::{Called, Fleet, PATIENCE, is_alive, until_gone};

fn beside(fleet: &Fleet, suffix: &str) -> PathBuf {
    format!("{}{suffix}", fleet.database().display()).into()
}

/// Waits until the manager has logged these words.
fn until_log(fleet: &Fleet, words: &str) {
    until(words, || fleet.manager_log().contains(words));
}

/// There is no event for what another process does to a file.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

/// Starts an app and takes a backup while it runs.
fn backup_during_a_run(fleet: &Fleet, path: &str, argv: &[&str]) -> PathBuf {
    fleet.add(path, &[], argv);
    fleet.dcm(&["start", path, "--wait"]).ok();
    let backup = fleet.dir.path().join("backup.db");
    fleet.dcm(&["db", "backup", backup.to_str().unwrap()]).ok();
    backup
}

#[test]
fn a_log_that_is_removed_under_the_manager_is_told_and_nothing_is_lost() {
    for removed in [&["-wal", "-shm"][..], &["-wal"], &["-shm"]] {
        let mut fleet = Fleet::with_manager();
        fleet.add("a/b/c", &[], &["sleep", "600"]);
        fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
        for suffix in removed {
            fs::remove_file(beside(&fleet, suffix)).unwrap();
        }
        until_log(&fleet, "was removed while it was open");
        until("new logs", || beside(&fleet, "-wal").exists() && beside(&fleet, "-shm").exists());
        // Others see all of it, and are heard.
        assert!(fleet.dcm(&["status", "a/b/c"]).ok().out.contains("RUNNING"));
        fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
        fleet.kill_manager();
        fleet.start_manager();
        let runs = fleet.runs("a/b/c");
        assert_eq!((runs.len(), runs[0].outcome_word()), (1, Some("stopped")), "{removed:?}");
        fleet.dcm(&["db", "check"]).ok();
    }
}

#[test]
fn a_backup_put_back_under_the_manager_is_taken_up() {
    // However it is put there: made anew, moved, written into the file in place, with or without its old log.
    let ways: [fn(&Fleet, &Path); 4] = [
        |fleet, backup| {
            for suffix in ["", "-wal", "-shm"] {
                fs::remove_file(beside(fleet, suffix)).unwrap();
            }
            fs::copy(backup, fleet.database()).map(drop).unwrap();
        },
        |fleet, backup| fs::rename(backup, fleet.database()).unwrap(),
        |fleet, backup| fs::copy(backup, fleet.database()).map(drop).unwrap(),
        |fleet, backup| {
            fs::write(fleet.database(), "").unwrap();
            until_log(fleet, "was emptied");
            fs::copy(backup, fleet.database()).map(drop).unwrap();
        },
    ];
    for (number, put_back) in ways.into_iter().enumerate() {
        let fleet = Fleet::with_manager();
        let go = fleet.dir.path().join("go");
        fleet.add("a/b/often", &["--interval", "0.002"], &["true"]);
        fleet.add("a/b/lives", &[], &["sleep", "600"]);
        let wait = [Fleet::script("wait_for.py"), go.display().to_string()];
        let backup = backup_during_a_run(&fleet, "a/b/c", &["python3", &wait[0], &wait[1], "0"]);
        fs::write(&go, "").unwrap();
        let first = fleet.until_runs("a/b/c", "has ended", |runs| runs[0].end.is_some())[0].run;
        fleet.dcm(&["start", "a/b/lives", "--wait"]).ok();
        let pid = fleet.app("a/b/lives").state.pid.unwrap();
        until("the log to be written to the file", || is_in_file(&fleet, "a/b/lives"));

        put_back(&fleet, &backup);
        until_log(&fleet, "begins anew");
        // The run that is over is closed, the schedule goes on, commands get their verdicts.
        let first = |runs: &[Run]| runs.iter().find(|run| run.run == first).cloned();
        let closed = |runs: &[Run]| first(runs).is_some_and(|run| run.end.is_some());
        let run = first(&fleet.until_runs("a/b/c", "is closed", closed)).unwrap();
        assert_eq!(
            (run.exit_code, run.outcome_word()),
            (None, Some("unknown")),
            "way {number}: not invented"
        );
        let before = fleet.runs("a/b/often").len();
        fleet.until_runs("a/b/often", "goes on", |runs| runs.len() > before + 2);
        fleet.dcm(&["stop", "a/b/c", "--wait=20"]);
        fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
        // What runs is there again, and can be stopped.
        fleet.until("a/b/lives", "is shown", |row| row.state.pid == Some(pid));
        assert!(is_alive(pid));
        fleet.dcm(&["stop", "a/b/lives", "--wait"]).ok();
        until_gone(pid);
        fleet.dcm(&["db", "check"]).ok();
    }
}

/// Whether a plain copy of the file shows that the app is running.
fn is_in_file(fleet: &Fleet, path: &str) -> bool {
    let copy = fleet.dir.path().join("copy.db");
    fs::copy(fleet.database(), &copy).unwrap();
    let shown = fleet.dcm(&["status", path, "--database", &format!("sqlite:{}", copy.display())]);
    fs::remove_file(copy).unwrap();
    shown.code == 0 && shown.out.contains("RUNNING") && !shown.out.contains("NOT_RUNNING")
}

#[test]
fn an_older_backup_loses_no_process() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/disabled", &[], &["sleep", "600"]);
    fleet.add("a/b/other", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/other", "--wait"]).ok();
    let first = fleet.app("a/b/other").state.run;
    fleet.dcm(&["disable", "a/b/disabled", "--wait"]).ok();
    let backup = fleet.dir.path().join("backup.db");
    fleet.dcm(&["db", "backup", backup.to_str().unwrap()]).ok();
    fleet.dcm(&["restart", "a/b/other", "--wait"]).ok();
    fleet.dcm(&["enable", "a/b/disabled", "--wait"]).ok();
    fleet.add("a/b/missing", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/disabled", "a/b/missing", "--wait"]).ok();
    let pids =
        ["disabled", "other", "missing"].map(|name| fleet.app(&format!("a/b/{name}")).state.pid.unwrap());
    fs::rename(&backup, fleet.database()).unwrap();
    until_log(&fleet, "begins anew");
    for (name, pid) in [("disabled", pids[0]), ("other", pids[1])] {
        let row = fleet.until(&format!("a/b/{name}"), "is shown", |row| row.state.pid == Some(pid));
        assert_eq!(row.state.status, RunStatus::Running, "{name}");
    }
    // The run of the backup is over, and another one lives now.
    let runs = fleet.until_runs("a/b/other", "two", |runs| runs.len() == 2 && runs[1].end.is_some());
    assert_eq!((Some(runs[1].run), runs[0].end), (first, None));
    // An app that is registered again gets its process back.
    assert!(is_alive(pids[2]));
    fleet.add("a/b/missing", &[], &["sleep", "600"]);
    fleet.until("a/b/missing", "has its process", |row| row.state.pid == Some(pids[2]));
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    fleet.dcm(&["stop", "all", "--yes", "--wait"]).ok();
    pids.into_iter().for_each(until_gone);
}

#[test]
fn a_plain_copy_of_a_quiet_database_is_complete() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &["--interval", "5"], &["true"]);
    let copy = fleet.dir.path().join("copy.db");
    fs::copy(fleet.database(), &copy).unwrap();
    let database = format!("sqlite:{}", copy.display());
    assert!(fleet.dcm(&["app", "list", "--database", &database]).ok().out.contains("a/b/c"));
    assert_eq!(mode(&fleet.database()), 0o600);
    drop(fleet);
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    until("a complete copy", || is_in_file(&fleet, "a/b/c"));
}

#[test]
fn backups_and_copies_are_for_their_owner_alone() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &["--env", "TOKEN=secret"], &["true"]);
    let at = |name: &str| fleet.dir.path().join(name);
    fleet.dcm(&["db", "backup", at("backup.db").to_str().unwrap()]).ok();
    let to = format!("sqlite:{}", at("copy.db").display());
    fleet.dcm(&["db", "copy", &format!("sqlite:{}", fleet.database().display()), &to]).ok();
    assert_eq!((mode(&at("backup.db")), mode(&at("copy.db"))), (0o600, 0o600));
    fleet.dcm(&["db", "backup", "/no/such/folder/backup.db"]).refused(1, &["cannot create"]);
}

#[test]
fn a_lost_database_is_not_taken_for_an_empty_fleet() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["true"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let backup = fleet.dir.path().join("backup.db");
    fleet.dcm(&["db", "backup", backup.to_str().unwrap()]).ok();
    fleet.stop_manager();
    let losses: [fn(&Path); 2] = [|path| fs::remove_file(path).unwrap(), |path| fs::write(path, "").unwrap()];
    for lose in losses {
        lose(&fleet.database());
        for arguments in [&["--headless"][..], &["db", "migrate"], &["app", "add", "x/y/z", "--", "true"]] {
            fleet.dcm(arguments).refused(2, &["missing or empty", "backup", "--empty"]);
        }
        fleet.dcm(&["status"]).refused(2, &[]);
    }
    fs::remove_file(fleet.database()).unwrap();
    fs::copy(&backup, fleet.database()).unwrap();
    fleet.start_manager();
    assert!(fleet.dcm(&["app", "list"]).ok().out.contains("a/b/c"));
    fleet.stop_manager();
    fs::remove_file(fleet.database()).unwrap();
    fleet.dcm(&["db", "migrate", "--empty"]).ok();
    fleet.start_manager();
    assert!(!fleet.dcm(&["app", "list"]).ok().out.contains("a/b/c"));
}

/// Calls the program as a user who owns nothing; the tests may be run by root.
fn as_stranger(fleet: &Fleet, arguments: &[&str]) -> Called {
    let mut command = fleet.command();
    command.args(arguments).env("HOME", "/").current_dir("/").stdin(std::process::Stdio::null());
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    Called::from(command.output().unwrap())
}

#[test]
fn no_permission_is_told_as_no_permission() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["true"]);
    fs::set_permissions(fleet.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // A user who is not root is locked out of its own folder.
    let locked = if nix::unistd::geteuid().is_root() { 0o700 } else { 0o000 };
    for (path, open) in [(fleet.state(), 0o755), (fleet.database(), 0o600)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(locked)).unwrap();
        let commands: [&[&str]; 12] = [
            &["status"],
            &["history", "all"],
            &["why", "a/b/c"],
            &["next"],
            &["app", "list"],
            &["app", "show", "a/b/c"],
            &["app", "add", "x/y/z", "--", "true"],
            &["start", "a/b/c"],
            &["run-app", "a/b/c"],
            &["db", "check"],
            &["db", "migrate"],
            &["managers", "list"],
        ];
        for arguments in commands {
            as_stranger(&fleet, arguments).refused(2, &["belongs to"]);
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
    }
    let folder = format!("sqlite:{}", fleet.dir.path().display());
    for arguments in [["status", "--database", &folder], ["--headless", "--database", &folder]] {
        fleet.dcm(&arguments).refused(2, &["is a directory"]);
    }
}

#[test]
fn a_path_of_any_characters_is_a_path() {
    let fleet = Fleet::new();
    for name in ["a b.db", "a?b.db", "a#b.db", "a%20b.db", "a'b\".db", "a\nb.db", "file:x.db", ":memory:"] {
        let path = fleet.dir.path().join(name);
        let database = format!("sqlite:{}", path.display());
        fleet.dcm(&["app", "add", "a/b/c", "--database", &database, "--", "true"]).ok();
        assert!(path.metadata().unwrap().len() > 0, "{name:?}");
        let copy = format!("{}.backup", path.display());
        fleet.dcm(&["db", "backup", &copy, "--database", &database]).ok();
        let listed = fleet.dcm(&["app", "list", "--database", &format!("sqlite:{copy}")]).ok();
        assert!(listed.out.contains("a/b/c"), "{name:?}: {listed:?}");
        // A relative path is the same.
        let relative = format!("sqlite:{name}");
        assert!(fleet.dcm(&["app", "list", "--database", &relative]).ok().out.contains("a/b/c"), "{name:?}");
    }
}

#[test]
fn a_path_that_is_no_text_is_refused_by_name() {
    use std::os::unix::ffi::OsStrExt as _;
    let fleet = Fleet::new();
    let path = fleet.dir.path().join(std::ffi::OsStr::from_bytes(b"st\xe9te"));
    for name in ["DC_STATE_DIR", "DC_DATABASE_URL", "DC_CONFIG"] {
        let output = fleet.command().arg("status").env(name, &path).output().unwrap();
        Called::from(output).refused(2, &[name, "UTF-8"]);
    }
    // A backup may have any name.
    let taken = fleet.command().args(["db", "backup"]).arg(&path).output().unwrap();
    assert!(taken.status.success() && path.exists(), "{taken:?}");
    let parameters = format!("sqlite:{}?mode=memory", fleet.database().display());
    fleet.dcm(&["status", "--database", &parameters]).refused(2, &["without parameters"]);
}
