//! The end of a run on request: the whole tree has the whole grace time, and nothing is left.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::fleet::{Fleet, PATIENCE, is_alive, send_signal, until_gone};

/// Longer than what a leftover of a run gets that ended by itself.
const WORKER_NEEDS: &str = "2.6";

/// Commands of a shell that start a worker, `W`, in all the ways in which wrappers do.
const SHAPES: [(&str, &[&str]); 9] = [
    ("shell", &["sh", "-c", "W; :"]),
    ("exec", &["sh", "-c", "exec W"]),
    ("waits", &["sh", "-c", "trap 'wait' TERM; W & wait"]),
    ("background", &["sh", "-c", "W & wait"]),
    ("pipeline", &["sh", "-c", "W | cat"]),
    ("session", &["sh", "-c", "setsid W & wait"]),
    ("bash", &["bash", "-c", "W; :"]),
    ("dash", &["dash", "-c", "(W; :); :"]),
    ("forks-twice", &["sh", "-c", "(setsid sh -c 'W & wait' &) ; sleep 600"]),
];

/// Waits for what another process does; there is no event for it.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The file that the worker of an app writes in the end.
fn done(fleet: &Fleet, name: &str) -> PathBuf {
    fleet.dir.path().join(name)
}

fn pid_of_worker(fleet: &Fleet, name: &str) -> u32 {
    let ready = done(fleet, name).with_extension("ready");
    wait_for("the worker", || ready.exists());
    read(&ready).parse().unwrap()
}

fn add_worker(fleet: &Fleet, name: &str, argv: &[&str], options: &[&str]) {
    let worker =
        format!("python3 {} {} {WORKER_NEEDS}", Fleet::script("slow_worker.py"), done(fleet, name).display());
    let argv: Vec<_> = argv.iter().map(|part| part.replace('W', &worker)).collect();
    let argv: Vec<_> = argv.iter().map(String::as_str).collect();
    fleet.add(&format!("a/b/{name}"), options, &argv);
}

fn add_all(fleet: &Fleet) {
    for (name, argv) in SHAPES {
        add_worker(fleet, name, argv, &["--stop-grace", "60"]);
    }
    fleet.dcm(&["start", "a", "--wait=60"]).ok();
    for (name, _) in SHAPES {
        pid_of_worker(fleet, name);
    }
}

/// Each worker came to its end, and was asked once.
fn assert_all_ended_well(fleet: &Fleet, outcome: &str) {
    for (name, _) in SHAPES {
        assert_eq!(read(&done(fleet, name)), "1", "{name}");
        let run = &fleet.runs(&format!("a/b/{name}"))[0];
        assert_eq!((run.outcome_word(), run.leftovers), (Some(outcome), 0), "{name}: {run:?}");
    }
}

#[test]
fn a_worker_below_a_shell_has_the_whole_grace_time() {
    let fleet = Fleet::with_manager();
    add_all(&fleet);
    fleet.dcm(&["stop", "a", "--wait=60"]).ok();
    assert_all_ended_well(&fleet, "stopped");
    // The main process of this one dies of TERM, and that is what is on record.
    assert_eq!(fleet.runs("a/b/shell")[0].exit_code, Some(143));
}

#[test]
fn a_worker_below_a_shell_has_the_whole_grace_time_of_stop_apps() {
    let mut fleet = Fleet::with_manager();
    add_all(&fleet);
    fleet.stop_manager();
    fleet.dcm(&["stop-apps", "--grace", "60"]).ok();
    fleet.start_manager();
    for (name, _) in SHAPES {
        fleet.until_runs(&format!("a/b/{name}"), "is over", |runs| runs[0].end.is_some());
    }
    assert_all_ended_well(&fleet, "stopped");
}

#[test]
fn a_worker_below_a_shell_has_the_whole_grace_time_however_it_is_stopped() {
    let fleet = Fleet::with_manager();
    let shell: &[&str] = &["sh", "-c", "W; :"];
    add_worker(&fleet, "disabled", shell, &["--stop-grace", "60"]);
    add_worker(&fleet, "shutdown", shell, &["--stop-grace", "60"]);
    add_worker(&fleet, "timeout", shell, &["--stop-grace", "60", "--max-runtime", "0.02"]);
    fleet.dcm(&["start", "a", "--wait=60"]).ok();
    for name in ["disabled", "shutdown", "timeout"] {
        pid_of_worker(&fleet, name);
    }
    // As a host does that goes down: TERM to the shim.
    let shell = fleet.app("a/b/shutdown").state.pid.unwrap();
    send_signal(parent_of(shell), libc::SIGTERM);
    fleet.dcm(&["disable", "a/b/disabled", "--wait=60"]).ok();
    for (name, outcome) in [("disabled", "stopped"), ("shutdown", "stopped"), ("timeout", "timed_out")] {
        let runs = fleet
            .until_runs(&format!("a/b/{name}"), "is over", |runs| runs.iter().any(|run| run.end.is_some()));
        assert_eq!(runs.last().unwrap().outcome_word(), Some(outcome), "{name}");
        assert_eq!(read(&done(&fleet, name)), "1", "{name}");
    }
}

#[test]
fn a_signal_to_run_app_leaves_the_worker_its_time() {
    let fleet = Fleet::new();
    add_worker(&fleet, "c", &["sh", "-c", "W; :"], &["--stop-grace", "60"]);
    let mut child = fleet.command().args(["run-app", "a/b/c"]).stdout(Stdio::null()).spawn().unwrap();
    let worker = pid_of_worker(&fleet, "c");
    send_signal(child.id(), libc::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(read(&done(&fleet, "c")), "1");
    assert!(!is_alive(worker));
}

#[test]
fn a_second_signal_to_run_app_ends_the_worker_as_well() {
    let fleet = Fleet::new();
    add_worker(&fleet, "c", &["sh", "-c", "W; :"], &["--stop-grace", "600"]);
    let mut child = fleet.command().args(["run-app", "a/b/c"]).stdout(Stdio::null()).spawn().unwrap();
    let worker = pid_of_worker(&fleet, "c");
    let shell = parent_of(worker);
    send_signal(child.id(), libc::SIGTERM);
    until_gone(shell);
    send_signal(child.id(), libc::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!is_alive(worker) && !done(&fleet, "c").exists());
    let run = &fleet.runs("a/b/c")[0];
    assert_eq!((run.outcome_word(), run.leftovers), (Some("killed_after_grace"), 1));
}

#[test]
fn a_worker_that_outlives_the_grace_time_is_killed_and_named() {
    let fleet = Fleet::with_manager();
    let script = "trap '' TERM; sleep 600 & trap - TERM; echo $!; wait";
    fleet.add("a/b/c", &["--stop-grace", "0.5"], &["sh", "-c", script]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    wait_for("its pid", || fleet.log("a/b/c").ends_with('\n'));
    let sleeper: u32 = fleet.log("a/b/c").trim().parse().unwrap();
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    assert!(!is_alive(sleeper));
    let run = &fleet.runs("a/b/c")[0];
    assert_eq!((run.outcome_word(), run.leftovers), (Some("killed_after_grace"), 1));
    assert_eq!((run.exit_code, run.signal), (Some(143), Some(15)));
    assert!(fleet.log("a/b/c").ends_with("[dcm] 1 leftover process was ended: sleep\n"));
}

#[test]
fn what_outlives_a_run_is_ended_and_told_of() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sh", "-c", "sleep 98807 & sleep 98807 & exit 0"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    let told = "2 leftover processes were ended";
    assert!(fleet.dcm(&["history", "a/b/c"]).ok().out.contains(told));
    assert!(fleet.dcm(&["why", "a/b/c"]).ok().out.contains(told));
    assert_eq!(fleet.dcm(&["history", "a/b/c", "--json"]).ok().json()[0]["leftovers"], 2);
    assert!(fleet.log("a/b/c").contains("[dcm] 2 leftover processes were ended: sleep"));
    let warned = |line: &str| line.contains("WARN") && line.contains(told) && line.contains("a/b/c");
    wait_for("the manager's log", || fleet.manager_log().lines().any(warned));
}

#[test]
fn a_helper_that_follows_the_main_process_is_no_leftover() {
    let fleet = Fleet::with_manager();
    // It ends with the end of its input, as Python's resource tracker does.
    fleet.add("a/b/c", &[], &["python3", "-c", FOLLOWS]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let runs = fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    assert_eq!((runs[0].outcome_word(), runs[0].leftovers), (Some("ok"), 0));
}

const FOLLOWS: &str = "
import os
read, write = os.pipe()
if os.fork() == 0:
    os.close(write)
    os.read(read, 1)
";

#[test]
fn signals_that_the_caller_blocked_or_ignored_reach_neither_manager_nor_apps() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"]);
    // The two of the C library are always ignored in what its `posix_spawn` starts.
    let of_the_library = 0b11_u64 << 31;
    let assert_clean = |shown: &str| {
        let sets: Vec<_> = shown.lines().filter_map(|line| line.split_once('\t')).collect();
        assert_eq!(sets.len(), 2, "{shown}");
        for (name, set) in sets {
            assert_eq!(u64::from_str_radix(set, 16).unwrap() & !of_the_library, 0, "{name} {set}");
        }
    };
    let strange = |arguments: &[&str]| {
        let mut command = fleet.python("strange_signals.py");
        command.arg(env!("CARGO_BIN_EXE_dcm")).args(arguments);
        command
    };
    let output = strange(&["run-app", "a/b/c"]).output().unwrap();
    assert_clean(&String::from_utf8_lossy(&output.stdout));
    let mut manager = strange(&["--headless"]).stderr(Stdio::null()).spawn().unwrap();
    fleet.dcm(&["start", "a/b/c", "--wait=20"]).ok();
    fleet.until_runs("a/b/c", "is over", |runs| runs.len() == 2 && runs[0].end.is_some());
    assert_clean(&fleet.log("a/b/c"));
    send_signal(manager.id(), libc::SIGTERM);
    assert!(manager.wait().unwrap().success());
}

#[test]
fn an_app_that_changed_its_user_can_open_its_output_by_name() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let fleet = Fleet::with_manager();
    let script = "import os\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n\
                  open('/dev/stdout', 'a').write('out\\n')\nopen('/dev/stderr', 'w').write('err\\n')";
    fleet.add("a/b/c", &[], &["python3", "-c", script]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    assert_eq!(fleet.log("a/b/c"), "out\nerr\n");
}

/// Starts an app whose child has no environment and no descriptor, kills its shim, and gives back the pid of
/// the child.
fn start_vanishing(fleet: &Fleet, path: &str, mode: &str) -> u32 {
    let folder = fleet.dir.path().display().to_string();
    fleet.add(path, &["--stop-grace", "0.5"], &["python3", &Fleet::script("vanish.py"), mode, &folder]);
    fleet.dcm(&["start", path, "--wait"]).ok();
    wait_for("the pid of the child", || fleet.log(path).ends_with('\n'));
    let child = fleet.log(path).trim().parse().unwrap();
    let shim = parent_of(fleet.app(path).state.pid.unwrap());
    send_signal(shim, libc::SIGKILL);
    until_gone(shim);
    child
}

#[test]
fn a_child_that_cleared_its_environment_ends_with_its_group_after_the_shim_was_killed() {
    let fleet = Fleet::with_manager();
    let child = start_vanishing(&fleet, "a/b/c", "group");
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    until_gone(child);
}

/// The directory of a process's cgroup, if it holds one run and nothing else.
fn cgroup_of(pid: u32) -> Option<String> {
    let groups = read(Path::new(&format!("/proc/{pid}/cgroup")));
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?.to_owned();
    group.split('/').nth_back(1).is_some_and(|folder| folder.starts_with("dcm-")).then_some(group)
}

#[test]
fn with_a_cgroup_nothing_of_a_run_escapes() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/probe", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/probe", "--wait"]).ok();
    let Some(group) = cgroup_of(fleet.app("a/b/probe").state.pid.unwrap()) else {
        // No cgroup2 here, or no right to it.
        return;
    };
    let folder = cgroup_folder(&group);
    let told = fleet.dcm(&["why", "a/b/probe"]).ok().out;
    assert!(told.contains(&format!("all its processes are in the cgroup {}", folder.display())), "{told}");
    fleet.dcm(&["stop", "a/b/probe", "--wait"]).ok();
    wait_for("the cgroup to be removed", || !folder.exists());
    // Stopped with its run.
    let child = start_vanishing(&fleet, "a/b/stopped", "session");
    fleet.dcm(&["stop", "a/b/stopped", "--wait"]).ok();
    until_gone(child);
    // Left by a main process that ends by itself, after the shim was killed.
    let child = start_vanishing(&fleet, "a/b/left", "session");
    std::fs::write(fleet.dir.path().join("leave"), "").unwrap();
    until_gone(child);
    std::fs::remove_file(fleet.dir.path().join("leave")).unwrap();
    // And without a manager.
    let child = start_vanishing(&fleet, "a/b/alone", "session");
    fleet.kill_manager();
    fleet.dcm(&["stop-apps", "--grace", "1"]).ok();
    until_gone(child);
}

/// Where a cgroup is mounted.
fn cgroup_folder(group: &str) -> PathBuf {
    let mounts = read(Path::new("/proc/self/mounts"));
    let point = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let point = fields.nth(1)?;
        (fields.next()? == "cgroup2").then_some(point)
    });
    PathBuf::from(point.unwrap()).join(group.trim_start_matches('/'))
}

fn parent_of(pid: u32) -> u32 {
    let stat = read(Path::new(&format!("/proc/{pid}/stat")));
    stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}
