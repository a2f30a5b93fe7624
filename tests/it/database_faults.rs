//! A database that is locked, gone, broken, newer or somebody else's.

use dcm::model::RunStatus;

use crate::fleet::{Fleet, is_alive, until_gone};

#[test]
fn apps_go_on_while_the_database_is_locked_and_all_is_entered_afterwards() {
    let fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    fleet.add("a/b/ends", &[], &["python3", &Fleet::script("wait_for.py"), go.to_str().unwrap(), "7"]);
    fleet.add("a/b/stays", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "all", "--wait"]).ok();
    let pids = ["a/b/ends", "a/b/stays"].map(|path| fleet.app(path).state.pid.unwrap());
    let lock = rusqlite::Connection::open(fleet.database()).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    std::fs::write(go, "").unwrap();
    until_gone(pids[0]);
    // Longer than the manager waits for a lock: it has noticed.
    until_log(&fleet, "cannot write");
    assert!(is_alive(pids[1]));
    lock.execute_batch("ROLLBACK").unwrap();
    let runs = fleet.until_runs("a/b/ends", "is entered", |runs| runs[0].end.is_some());
    assert_eq!(runs[0].exit_code, Some(7));
    fleet.dcm(&["stop", "a/b/stays", "--wait"]).ok();
}

#[test]
fn a_file_that_was_moved_away_is_not_written_to_and_nothing_is_lost_when_it_comes_back() {
    let fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    fleet.add("a/b/c", &[], &["python3", &Fleet::script("wait_for.py"), go.to_str().unwrap(), "8"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let pid = fleet.app("a/b/c").state.pid.unwrap();
    let away = fleet.dir.path().join("away.db");
    std::fs::rename(fleet.database(), &away).unwrap();
    std::fs::write(go, "").unwrap();
    until_gone(pid);
    until_log(&fleet, "is gone");
    assert!(!fleet.database().exists());
    std::fs::rename(&away, fleet.database()).unwrap();
    let runs =
        fleet.until_runs("a/b/c", "is entered", |runs| runs.first().is_some_and(|run| run.end.is_some()));
    assert_eq!((runs.len(), runs[0].exit_code), (1, Some(8)));
}

#[test]
fn a_damaged_newer_or_foreign_file_is_refused_with_a_word() {
    let fleet = Fleet::new();
    let at = |name: &str| fleet.dir.path().join(name).display().to_string();
    std::fs::write(at("broken.db"), "no database, but long enough to be looked at ".repeat(100)).unwrap();
    rusqlite::Connection::open(at("other.db")).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    for (name, words) in [("broken.db", "damaged"), ("other.db", "another program")] {
        let database = format!("sqlite:{}", at(name));
        for arguments in [vec!["status"], vec!["--headless"], vec!["db", "migrate"], vec!["db", "check"]] {
            let arguments: Vec<_> = arguments.into_iter().chain(["--database", &database]).collect();
            fleet.dcm(&arguments).refused(2, &[words]);
        }
    }
    rusqlite::Connection::open(fleet.database()).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    for arguments in [["status", "--json"], ["--headless", "--json"], ["db", "migrate"]] {
        fleet.dcm(&arguments).refused(2, &["schema 99", "newer"]);
    }
    fleet
        .dcm(&["status", "--database", "sqlite:/no/such/dir/dcm.db"])
        .refused(2, &["there is no database at"]);
    fleet.dcm(&["status", "--database", "mysql://u:hunter2@h/d"]).refused(2, &["mysql"]);
}

#[test]
fn a_damaged_page_keeps_the_manager_from_serving_it() {
    let mut fleet = Fleet::with_manager();
    for number in 0..200 {
        fleet.sql(&format!(
            "INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'n{number}')"
        ));
    }
    fleet.until("a/b/n199", "has its key", |row| row.is_named);
    fleet.stop_manager();
    fleet.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    let mut bytes = std::fs::read(fleet.database()).unwrap();
    // A page behind those of the schema, as a disk leaves it.
    let page = 4096 * (bytes.len() / 4096 * 3 / 4);
    bytes[page..page + 4096].fill(0xA5);
    std::fs::write(fleet.database(), bytes).unwrap();
    fleet.dcm(&["--headless"]).refused(2, &["damaged", "backup"]);
    assert_eq!(fleet.dcm(&["db", "check"]).code, 1);
}

#[test]
fn a_backup_is_a_database_like_the_first() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--interval", "5"], &["true"]);
    let copy = fleet.dir.path().join("copy.db").display().to_string();
    fleet.dcm(&["db", "backup", &copy]).ok();
    fleet.dcm(&["db", "backup", &copy]).refused(1, &["exists already"]);
    let database = format!("sqlite:{copy}");
    let listed = fleet.dcm(&["app", "list", "--database", &database]).ok();
    assert!(listed.out.contains("a/b/c"), "{listed:?}");
    fleet.dcm(&["db", "check", "--database", &database]).ok();
}

#[test]
fn rows_that_others_delete_or_change_while_an_app_runs_do_no_harm() {
    let fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    fleet.add("a/b/gone", &[], &["python3", &Fleet::script("wait_for.py"), go.to_str().unwrap(), "5"]);
    fleet.add(
        "a/b/bad",
        &["--interval", "0.005"],
        &["python3", &Fleet::script("wait_for.py"), go.to_str().unwrap(), "0"],
    );
    fleet.dcm(&["start", "all", "--wait"]).ok();
    let pid = fleet.app("a/b/gone").state.pid.unwrap();
    fleet.dcm(&["app", "remove", "a/b/gone", "--yes"]).refused(1, &["under way"]);
    fleet.sql(
        "DELETE FROM apps WHERE app_name = 'gone'; UPDATE apps SET interval = -1 WHERE app_name = 'bad'",
    );
    fleet.add("x/y/z", &[], &["true"]);
    fleet.dcm(&["start", "x/y/z", "--wait"]).ok();
    until_gone(pid);
    let runs = fleet.until_runs("a/b/gone", "is closed", |runs| runs[0].end.is_some());
    assert_eq!(runs[0].outcome_word(), Some("stopped"));
    std::fs::write(go, "").unwrap();
    fleet.until_runs("a/b/bad", "is closed", |runs| runs[0].end.is_some());
    // Set aside, it is not started again; mended, it is.
    fleet.sql("UPDATE apps SET interval = 0.005 WHERE app_name = 'bad'");
    fleet.until_runs("a/b/bad", "runs again", |runs| runs.len() >= 2);
    fleet.until("x/y/z", "rests", |row| row.state.status == RunStatus::NotRunning);
}

/// Waits until the manager has logged these words.
fn until_log(fleet: &Fleet, words: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !fleet.manager_log().contains(words) {
        assert!(std::time::Instant::now() < deadline, "{words:?} was not logged: {}", fleet.manager_log());
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}
