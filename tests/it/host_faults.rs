//! A host that is full, short of descriptors, or tidied up by somebody.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dcm::model::{Run, RunStatus};
use tempfile::TempDir;

use crate::bad_apps::wait_for_log;
use crate::fleet::{Fleet, is_alive, until_gone};

/// Says that this process is the one in a namespace of its own.
const INSIDE: &str = "DCM_TEST_MAY_MOUNT";

/// Held by who fills the shared memory of the host.
static SHARED_MEMORY: Mutex<()> = Mutex::new(());

/// How a place is made where a small disk can be mounted without harm to the host: as anybody, or as
/// root where others may not.
const PLACES: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];

/// Runs a test of this file once more in such a place; `true` in there. Where there is none, the host
/// itself must do.
fn has_small_disk(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let is_allowed = |place: &&&[&str]| {
        let probe = ["sh", "-c", "mount -t tmpfs none /mnt"];
        Command::new("unshare").args(**place).args(probe).output().unwrap().status.success()
    };
    let Some(place) = PLACES.iter().find(is_allowed) else { return true };
    let mut command = Command::new("unshare");
    command.args(*place).arg(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

/// A directory with little room, until this is dropped.
enum SmallDisk {
    /// It goes with its namespace.
    Private,
    /// It is everybody's, and is taken away again.
    Mounted(PathBuf),
    /// It is the host's shared memory, for one test at a time.
    Shared { _guard: MutexGuard<'static, ()>, _folder: TempDir },
}

impl SmallDisk {
    fn at(dir: &Path, size: &str) -> Self {
        fs::create_dir(dir).unwrap();
        let options = format!("size={size},mode=0700");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "small-disk"]).arg(dir).output();
        match (mount.unwrap(), std::env::var_os(INSIDE)) {
            (mounted, Some(_)) => {
                assert!(mounted.status.success(), "{mounted:?}");
                Self::Private
            }
            (mounted, None) if mounted.status.success() => Self::Mounted(dir.to_owned()),
            (refused, None) => {
                let guard = SHARED_MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
                let room = nix::sys::statvfs::statvfs("/dev/shm").unwrap();
                let is_small = room.fragment_size() * room.blocks() < 1 << 28;
                assert!(is_small, "{refused:?}, and /dev/shm is not small");
                let folder = tempfile::tempdir_in("/dev/shm").unwrap();
                fs::remove_dir(dir).unwrap();
                std::os::unix::fs::symlink(folder.path(), dir).unwrap();
                Self::Shared { _guard: guard, _folder: folder }
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Self::Mounted(dir) = self {
            let _ = Command::new("umount").arg("--lazy").arg(dir).output();
        }
    }
}

/// Takes all room that is left.
fn fill(file: &Path) {
    let mut size = 1 << 20;
    let mut filler = fs::File::create(file).unwrap();
    while size > 0 {
        if std::io::Write::write_all(&mut filler, &vec![b'x'; size]).is_err() {
            size /= 2;
        }
    }
}

#[test]
fn on_a_full_disk_apps_go_on_and_all_is_entered_when_there_is_room() {
    if !has_small_disk("host_faults::on_a_full_disk_apps_go_on_and_all_is_entered_when_there_is_room") {
        return;
    }
    let mut fleet = Fleet::bare();
    let _disk = SmallDisk::at(&fleet.state(), "16m");
    fleet.dcm(&["db", "migrate"]).ok();
    fleet.start_manager();
    let at = |name: &str| fleet.dir.path().join(name).display().to_string();
    fleet.add("a/b/ends", &[], &["python3", &Fleet::script("wait_for.py"), &at("go"), "5"]);
    fleet.add("a/b/stays", &[], &["sleep", "600"]);
    let chatter = "echo begin; while [ ! -e $0 ]; do sleep 0.05; done; seq 20000; touch $0.said; \
                   while [ ! -e $0.again ]; do sleep 0.05; done; echo after; exec sleep 600";
    fleet.add("a/b/chatter", &[], &["sh", "-c", chatter, &at("go")]);
    fleet.dcm(&["start", "all", "--wait"]).ok();
    wait_for_log(&fleet, "a/b/chatter", "begin");
    let [ends, stays] = ["a/b/ends", "a/b/stays"].map(|path| fleet.app(path).state.pid.unwrap());

    let filler = fleet.state().join("filler");
    fill(&filler);
    fs::write(at("go"), "").unwrap();
    until_gone(ends);
    until(|| Path::new(&at("go.said")).exists(), "the output is taken though it cannot be kept");
    until(|| fleet.manager_log().contains("disk is full"), "the manager says why it does not write");
    // The write-ahead log may have room from before; without it the command is refused.
    let asked = fleet.dcm(&["start", "a/b/ends"]);
    if asked.code != 0 {
        asked.refused(75, &["disk is full"]);
    }
    assert!(is_alive(stays));

    fs::remove_file(&filler).unwrap();
    let is_first_over = |runs: &[Run]| runs.last().is_some_and(|run| run.end.is_some());
    let runs = fleet.until_runs("a/b/ends", "is entered", is_first_over);
    assert_eq!(runs.last().and_then(|run| run.exit_code), Some(5), "{runs:?}");
    fs::write(at("go.again"), "").unwrap();
    let log = wait_for_log(&fleet, "a/b/chatter", "after");
    assert!(log.contains("are missing here"), "{log}");
    assert!(is_alive(stays));
    fleet.dcm(&["stop", "all", "--wait", "--yes"]);
    until_gone(stays);
}

#[test]
fn before_the_disk_is_full_the_oldest_logs_go() {
    if !has_small_disk("host_faults::before_the_disk_is_full_the_oldest_logs_go") {
        return;
    }
    let mut fleet = Fleet::bare();
    let _disk = SmallDisk::at(&fleet.state(), "24m");
    let config = fleet.dir.path().join("dcm.toml");
    fs::write(&config, "[logs]\nmin_free = '8MiB'\n").unwrap();
    fleet.set("DC_CONFIG", config.to_str().unwrap());
    fleet.dcm(&["db", "migrate"]).ok();
    fleet.start_manager();
    // 1 MiB a run, more than the disk holds, and none of it can be compressed.
    let writes = "head -c 1000000 /dev/urandom; sleep 0.3; echo done";
    fleet.add("a/b/writes", &["--interval", "0.001", "--log-keep", "1000"], &["sh", "-c", writes]);
    fleet.dcm(&["start", "a/b/writes"]).ok();
    fleet.until_runs("a/b/writes", "ran often", |runs| runs.len() > 24);
    fleet.dcm(&["stop", "a/b/writes", "--wait", "--yes"]).ok();
    let is_quiet = || crate::log_limits::size_of_logs(&fleet.state()) < 15 << 20;
    until(is_quiet, "the oldest logs are deleted");
    let log = fleet.manager_log();
    assert_eq!(
        log.matches("less than 8 MiB ([logs] min_free)").count(),
        2,
        "said, and an alert that was opened: {log}"
    );
    fleet.until_query(
        "SELECT app_id, kind, severity, closed FROM alerts",
        r#"[[Null, Text("disk_low"), Text("critical"), Null]]"#,
    );
    assert!(!log.contains("disk is full"), "the database had room: {log}");
    let runs = fleet.runs("a/b/writes");
    assert!(runs.iter().skip(1).all(|run| run.exit_code == Some(0)), "{runs:?}");
    let written = fleet.dcm(&["logs", "a/b/writes", "-n", "100", "--run", &runs[1].run.to_string()]).ok();
    assert!(!written.out.contains("are missing here"), "{}", written.out.len());
    fs::remove_dir_all(fleet.state().join("logs")).unwrap();
    fleet.until_query("SELECT kind, closed IS NULL FROM alerts", r#"[[Text("disk_low"), Integer(0)]]"#);
}

#[test]
fn without_room_for_its_exit_record_nothing_is_started() {
    if !has_small_disk("host_faults::without_room_for_its_exit_record_nothing_is_started") {
        return;
    }
    let mut fleet = Fleet::bare();
    // The database is elsewhere: only the run directories and the logs have no room.
    let database = format!("sqlite:{}", fleet.dir.path().join("fleet.db").display());
    fleet.set("DC_DATABASE_URL", &database);
    let _disk = SmallDisk::at(&fleet.state(), "2m");
    fleet.dcm(&["db", "migrate"]).ok();
    fleet.at_database(fleet.dir.path().join("fleet.db"));
    fleet.start_manager();
    let trace = fleet.dir.path().join("trace");
    fleet.add("a/b/c", &["--max-failures", "0"], &["sh", "-c", "echo ran >> $0", trace.to_str().unwrap()]);
    let filler = fleet.state().join("filler");
    fill(&filler);
    fleet.dcm(&["start", "a/b/c"]).ok();
    let runs = fleet.until_runs("a/b/c", "is refused by the disk", |runs| {
        runs.last().is_some_and(|run| run.end.is_some())
    });
    let first = runs.last().unwrap();
    assert!(first.message.as_ref().unwrap().contains("No space left"), "{first:?}");
    assert_eq!(first.exit_code, None);
    assert!(!trace.exists());
    fs::remove_file(&filler).unwrap();
    // It is tried again by itself: a disk that was full is no fault of the app.
    fleet.until_runs("a/b/c", "runs when there is room", |runs| runs[0].exit_code == Some(0));
    assert_eq!(fs::read_to_string(trace).unwrap(), "ran\n");
}

#[test]
fn a_run_directory_that_was_removed_harms_nobody() {
    let fleet = Fleet::with_manager();
    let script = "import shutil, os; shutil.rmtree(os.environ['DC_RUN_DIR']); print('tidied', flush=True); \
                  input() if False else __import__('time').sleep(600)";
    fleet.add("a/b/tidy", &["--max-failures", "0"], &["python3", "-c", script]);
    fleet.add("a/b/other", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "all", "--wait"]).ok();
    let [tidy, other] = ["a/b/tidy", "a/b/other"].map(|path| fleet.app(path).state.pid.unwrap());
    until(|| fs::read_dir(fleet.state().join("runs")).unwrap().count() == 1, "the directory is gone");
    fleet.dcm(&["stop", "a/b/tidy", "--wait"]).ok();
    until_gone(tidy);
    assert!(is_alive(other));
    let row = fleet.until("a/b/tidy", "is stopped", |row| row.state.status == RunStatus::Stopped);
    assert_eq!(row.state.pid, None);
    // It can be started again.
    fleet.dcm(&["start", "a/b/tidy", "--wait"]).ok();
}

#[test]
fn a_manager_that_is_short_of_descriptors_starts_later_and_goes_on() {
    let mut fleet = Fleet::new();
    fleet.limit_descriptors(40);
    fleet.start_manager();
    for number in 0..30 {
        fleet.add(&format!("a/b/app{number}"), &["--max-failures", "0"], &["sleep", "600"]);
    }
    fleet.dcm(&["start", "all", "--yes"]).ok();
    // Those for which there is room run, the others say why they do not, and the manager answers.
    let app = fleet.until_running(10);
    fleet.dcm(&["stop", &app, "--wait"]).ok();
}

#[test]
fn a_fork_bomb_ends_with_its_run() {
    let fleet = Fleet::with_manager();
    let bomb = Fleet::script("fork_bomb.py");
    fleet.add("a/b/bomb", &["--stop-grace", "0.2", "--max-failures", "0"], &["python3", &bomb]);
    fleet.add("a/b/other", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "all", "--wait"]).ok();
    wait_for_log(&fleet, "a/b/bomb", "bombed");
    let run = fleet.app("a/b/bomb").state.run.unwrap().to_string();
    assert!(!tagged(&run).is_empty());
    fleet.dcm(&["stop", "a/b/bomb", "--wait"]).ok();
    assert_eq!(tagged(&run), Vec::<u32>::new());
    assert!(is_alive(fleet.app("a/b/other").state.pid.unwrap()));
}

/// Living processes that belong to a run by their environment.
fn tagged(run: &str) -> Vec<u32> {
    let tag = format!("DC_RUNTIME={run}");
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|part| part == tag.as_bytes()))
            && is_alive(*pid)
    })
    .collect()
}

fn until(is_so: impl Fn() -> bool, what: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "waited in vain: {what}");
        // There is no event for what others do with files.
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}
