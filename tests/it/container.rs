//! dcm as process 1 of a container: namespaces of the kernel, as an engine makes them, without an engine.

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use dcm::model::RunStatus;

use crate::adoption::parent_of;
use crate::fleet::{Fleet, PATIENCE, is_alive, send_signal};

/// Namespaces of its own, with and without being root.
const PLACES: [&[&str]; 2] = [
    &["--pid", "--fork", "--kill-child", "--mount-proc"],
    &["--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"],
];

/// A manager that is process 1 of a namespace. With it ends all that is in there.
pub(crate) struct Container {
    unshare: Child,
    /// The manager, as it is numbered out here.
    pub(crate) manager: u32,
}

impl Container {
    /// `None` where the system allows no namespaces.
    pub(crate) fn start(fleet: &Fleet, arguments: &[&str]) -> Option<Self> {
        let is_allowed = |place: &&&[&str]| {
            Command::new("unshare").args(**place).arg("true").output().unwrap().status.success()
        };
        let place = PLACES.iter().find(is_allowed)?;
        let dcm = fleet.command();
        let mut command = Command::new("unshare");
        command.args(*place).arg(dcm.get_program()).arg("--headless").args(arguments);
        command.current_dir(fleet.dir.path());
        for (name, value) in dcm.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let log = fs::File::create(fleet.dir.path().join("manager.log")).unwrap();
        let unshare = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut container = Self { unshare, manager: 0 };
        until("unshare has made a process", || !children_of(container.unshare.id()).is_empty());
        container.manager = children_of(container.unshare.id())[0];
        until("the manager works", || fleet.dcm(&["managers", "check"]).code == 0);
        Some(container)
    }

    fn ask_to_end(&self, signal: i32) {
        send_signal(self.manager, signal);
    }

    /// Waits for the end of the manager.
    fn wait(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.unshare.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the manager does not end");
            pause();
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// There is no event for what happens in another process.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        pause();
    }
}

fn pause() {
    std::thread::park_timeout(Duration::from_millis(10));
}

fn children_of(pid: u32) -> Vec<u32> {
    let numbers =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers
        .filter(|child| {
            fs::exists(format!("/proc/{child}/stat")).unwrap() && try_parent_of(*child) == Some(pid)
        })
        .collect()
}

/// `None` for one that has ended meanwhile.
fn try_parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// An app that takes two seconds to end, and leaves files that say how far it is.
fn tidy(fleet: &Fleet) {
    let script = "trap 'echo > $0/asked; sleep 2; echo > $0/tidied; exit 3' TERM; echo > $0/ready; \
                  while :; do sleep 0.05; done";
    fleet.add("a/b/tidy", &[], &["sh", "-c", script, fleet.dir.path().to_str().unwrap()]);
}

/// How the latest run of an app ended.
fn end_of(fleet: &Fleet, path: &str) -> (Option<String>, Option<i64>) {
    let runs = fleet.runs(path);
    assert!(runs[0].end.is_some(), "{runs:?}");
    (runs[0].outcome_word().map(str::to_owned), runs[0].exit_code)
}

fn stopped(code: i64) -> (Option<String>, Option<i64>) {
    (Some("stopped".to_owned()), Some(code))
}

fn killed() -> (Option<String>, Option<i64>) {
    (Some("killed_after_grace".to_owned()), Some(137))
}

#[test]
fn term_reaches_the_apps_which_have_their_grace_within_that_of_the_container() {
    let mut fleet = Fleet::new();
    fleet.set("DC_STOP_APPS_WITHIN", "6");
    tidy(&fleet);
    fleet.add("a/b/plain", &["--always"], &["sleep", "600"]);
    // By itself it would have a minute.
    fleet.add("a/b/rude", &["--stop-grace", "60"], &["python3", &Fleet::script("ignore_term.py")]);
    let Some(container) = Container::start(&fleet, &[]) else { return };
    fleet.dcm(&["start", "a/b/tidy", "a/b/rude"]).ok();
    fleet.until_running(3);
    let is_there = |name: &str| fleet.dir.path().join(name).exists();
    until("the trap is set", || is_there("ready"));
    until("TERM is ignored", || fleet.log("a/b/rude").contains("child"));
    let begun = Instant::now();
    container.ask_to_end(libc::SIGTERM);
    assert!(container.wait().success());
    let took = begun.elapsed();
    assert!(is_there("tidied"), "{}", fleet.manager_log());
    assert!((Duration::from_secs(6)..Duration::from_secs(20)).contains(&took), "{took:?}");
    assert_eq!(end_of(&fleet, "a/b/tidy"), stopped(3));
    assert_eq!(end_of(&fleet, "a/b/plain"), stopped(143));
    assert_eq!(end_of(&fleet, "a/b/rude"), killed());
    let log = fleet.manager_log();
    assert!(log.contains("the apps of this host are stopped within 6s"), "{log}");
    assert!(log.contains("so have the apps of this host") && !log.contains("apps run on"), "{log}");
    // Nobody has stopped them: what runs always runs again.
    let row = fleet.app("a/b/plain");
    assert_ne!(row.state.status, RunStatus::Stopped);
    fleet.dcm(&["managers", "check"]).refused(1, &["no manager works in"]);
    let again = Container::start(&fleet, &[]).unwrap();
    fleet.until("a/b/plain", "runs again", |row| row.state.status == RunStatus::Running);
    assert_eq!(fleet.runs("a/b/plain").len(), 2);
    drop(again);
}

#[test]
fn a_second_term_leaves_apps_their_time_and_a_second_interrupt_does_not() {
    let mut fleet = Fleet::new();
    fleet.set("DC_STOP_APPS_WITHIN", "60");
    tidy(&fleet);
    fleet.add("a/b/rude", &["--stop-grace", "60"], &["python3", &Fleet::script("ignore_term.py")]);
    let at = |name: &str| fleet.dir.path().join(name);
    let Some(container) = Container::start(&fleet, &[]) else { return };
    fleet.dcm(&["start", "a/b/tidy", "--wait"]).ok();
    until("the trap is set", || at("ready").exists());
    container.ask_to_end(libc::SIGTERM);
    until("the app was asked", || at("asked").exists());
    container.ask_to_end(libc::SIGTERM);
    assert!(container.wait().success());
    assert!(at("tidied").exists());
    assert_eq!(end_of(&fleet, "a/b/tidy"), stopped(3));
    assert!(fleet.manager_log().contains("asked to stop again"), "{}", fleet.manager_log());

    let container = Container::start(&fleet, &[]).unwrap();
    fleet.dcm(&["start", "a/b/rude", "--wait"]).ok();
    until("TERM is ignored", || fleet.log("a/b/rude").contains("child"));
    container.ask_to_end(libc::SIGINT);
    until("the manager ends", || fleet.manager_log().contains("asked to stop;"));
    container.ask_to_end(libc::SIGINT);
    assert!(container.wait().success());
    assert_eq!(end_of(&fleet, "a/b/rude"), killed());
}

#[test]
fn a_run_that_is_due_while_the_container_ends_begins_in_the_next_one() {
    let fleet = Fleet::new();
    tidy(&fleet);
    // Due about once a second, also while the other one takes its time.
    fleet.add("a/b/often", &["--interval", "0.02"], &["true"]);
    let at = |name: &str| fleet.dir.path().join(name);
    let Some(container) = Container::start(&fleet, &[]) else { return };
    fleet.dcm(&["start", "a/b/tidy", "--wait"]).ok();
    until("the trap is set", || at("ready").exists());
    container.ask_to_end(libc::SIGTERM);
    until("the app was asked", || at("asked").exists());
    assert!(container.wait().success());
    let runs = fleet.runs("a/b/often");
    assert!(runs.iter().all(|run| run.exit_code == Some(0)), "{runs:?}");
    let again = Container::start(&fleet, &[]).unwrap();
    fleet.until_runs("a/b/often", "goes on", |now| now.len() > runs.len() && now[0].exit_code == Some(0));
    drop(again);
}

#[test]
fn orphans_that_are_no_app_s_are_reaped() {
    let fleet = Fleet::new();
    let Some(container) = Container::start(&fleet, &[]) else { return };
    // As by docker exec: its parent ends, and process 1 gets it.
    let at = container.manager.to_string();
    let entered = Command::new("nsenter").args(["-t", &at, "-p", "sh", "-c", "sleep 1 & sleep 1 &"]).status();
    if !entered.unwrap().success() {
        // Without being root nobody may enter.
        return;
    }
    let orphans = || {
        let is_sleep =
            |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n");
        children_of(container.manager).into_iter().filter(is_sleep).collect::<Vec<_>>()
    };
    let seen = orphans();
    assert!(!seen.is_empty(), "they are process 1's");
    // A zombie still has its number.
    until("they are reaped", || seen.iter().all(|pid| !fs::exists(format!("/proc/{pid}")).unwrap()));
    container.ask_to_end(libc::SIGTERM);
    assert!(container.wait().success());
}

#[test]
fn elsewhere_apps_end_with_their_manager_only_where_that_is_asked_for() {
    let mut fleet = Fleet::new();
    fleet.add("a/b/plain", &[], &["sleep", "600"]);
    fleet.start_manager();
    fleet.dcm(&["start", "a/b/plain", "--wait"]).ok();
    let pid = fleet.app("a/b/plain").state.pid.unwrap();
    assert_ne!(parent_of(pid), 1);
    fleet.stop_manager();
    assert!(is_alive(pid) && fleet.manager_log().contains("apps run on"), "{}", fleet.manager_log());
    // The next one takes it along, though another has started it.
    fleet.set("DC_STOP_APPS_ON_EXIT", "true");
    fleet.start_manager();
    fleet.stop_manager();
    assert!(!is_alive(pid));
    assert_eq!(end_of(&fleet, "a/b/plain"), stopped(143));
    assert!(fleet.manager_log().contains("each within its stop_grace"), "{}", fleet.manager_log());
}
