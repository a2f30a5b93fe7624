//! How the process of an app is started and ended: files of variables, user, priority, umask, limits, stop signal.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use dcm::model::{Run, RunStatus};

use crate::bad_apps::{pid_in_log, wait_for_log};
use crate::fleet::{Called, Fleet, is_alive, send_signal, until_gone};

/// A user that every Linux has and that may do nothing.
const NOBODY: &str = "nobody";

/// An app that says that it runs, and goes on until it is ended.
const LASTING: &str = "echo ready $$; while :; do sleep 1; done";

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Runs an app once and waits for its end.
fn run(fleet: &Fleet, path: &str, options: &[&str], script: &str) -> Run {
    fleet.add(path, options, &["sh", "-c", script]);
    fleet.dcm(&["start", path]).ok();
    fleet.until_runs(path, "is over", |runs| runs.iter().any(|run| run.end.is_some())).remove(0)
}

/// Starts an app, which cannot be started, and gives its reason.
fn failure(fleet: &Fleet, path: &str, options: &[&str], script: &str) -> String {
    fleet.add(path, options, &["sh", "-c", script]);
    fleet.dcm(&["start", path]).ok();
    fleet.until(path, "could not be started", |row| row.state.fatal.is_some()).state.fatal.unwrap().message
}

/// Starts an app that goes on, and waits until it says so.
fn started(fleet: &Fleet, path: &str, options: &[&str], script: &str) -> u32 {
    fleet.add(path, options, &["sh", "-c", script]);
    fleet.dcm(&["start", path, "--wait"]).ok();
    pid_in_log(fleet, path, "ready")
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

fn of_proc(pid: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap()
}

fn parent_of(pid: u32) -> u32 {
    let status = of_proc(pid, "status");
    status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap()
}

fn field(text: &str, name: &str) -> Vec<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Whether any file below a folder has this text in it.
fn holds(folder: &Path, text: &str) -> bool {
    let found = Command::new("grep").args(["-raqs", text]).arg(folder).status().unwrap();
    found.success()
}

#[test]
fn files_of_variables_are_read_at_each_start_and_before_env() {
    let fleet = Fleet::with_manager();
    let folder = fleet.dir.path();
    write(&folder.join("one.env"), "# of the host\nA=file\nB='two words'\nTOKEN=s3cr3t-one\n");
    write(&folder.join("two.env"), "A=second\nC=x\nPYTHONUNBUFFERED=no\n");
    let script = "echo $A/$B/$C/$PYTHONUNBUFFERED/$DC_APP_NAME; test -n \"$TOKEN\"";
    let cwd = folder.to_str().unwrap();
    let options = ["--cwd", cwd, "--env-file", "one.env", "--env-file", "two.env", "--env-file", "-none.env"];
    let first = run(&fleet, "a/b/c", &[&options[..], &["--env", "C=own"]].concat(), script);
    assert_eq!(first.exit_code, Some(0));
    assert_eq!(fleet.log("a/b/c"), "second/two words/own/no/c\n");
    write(&folder.join("two.env"), "A=third\n");
    fleet.dcm(&["start", "a/b/c"]).ok();
    fleet.until_runs("a/b/c", "is over again", |runs| runs.len() == 2 && runs[0].end.is_some());
    assert_eq!(fleet.log("a/b/c"), "third/two words/own/1/c\n");
    // In no row, in no journal of a run that was kept open, in no log.
    assert!(!holds(&fleet.state(), "s3cr3t-one") && !fleet.manager_log().contains("s3cr3t-one"));
    assert!(!fleet.dcm(&["app", "show", "a/b/c"]).ok().out.contains("s3cr3t-one"));
    assert!(!fleet.dcm(&["app", "export"]).ok().out.contains("s3cr3t-one"));
    // A foreground run reads them as well.
    let foreground = fleet.dcm(&["run-app", "a/b/c"]).ok();
    assert!(foreground.out.contains("third/two words/own/1/c"), "{foreground:?}");
}

#[test]
fn a_file_of_variables_that_cannot_be_read_is_named_without_what_it_holds() {
    let fleet = Fleet::with_manager();
    let folder = fleet.dir.path();
    write(&folder.join("bad.env"), "A=1\ns3cr3t-line\n");
    let path = |name: &str| folder.join(name).display().to_string();
    let bad = failure(&fleet, "a/b/bad", &["--env-file", &path("bad.env")], "true");
    assert_eq!(bad, format!("file of variables {}:2: expected NAME=VALUE", path("bad.env")));
    let optional = failure(&fleet, "a/b/optional", &["--env-file", &format!("-{}", path("bad.env"))], "true");
    assert_eq!(optional, bad);
    let missing = failure(&fleet, "a/b/missing", &["--env-file", &path("none.env")], "true");
    assert_eq!(missing, format!("file of variables {}: no such file or directory", path("none.env")));
    nix::unistd::mkfifo(&folder.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pipe = failure(&fleet, "a/b/pipe", &["--env-file", &path("pipe")], "true");
    assert_eq!(pipe, format!("file of variables {}: it is not a file", path("pipe")));
    assert!(!holds(&fleet.state(), "s3cr3t-line") && !fleet.manager_log().contains("s3cr3t-line"));
    // It is said before the first start, too.
    let told = fleet.dcm(&["app", "set", "a/b/missing", "--env-file", &path("bad.env")]).ok().err;
    assert!(told.contains("could not be started on this host now: file of variables"), "{told}");
    // Mended, it starts.
    write(&folder.join("bad.env"), "A=1\n");
    fleet.dcm(&["enable", "a/b/missing", "--wait"]).ok();
    fleet.dcm(&["start", "a/b/missing"]).ok();
    fleet.until_runs("a/b/missing", "is well", |runs| runs[0].outcome_word() == Some("ok"));
}

#[test]
fn priority_umask_and_limits_are_those_of_the_app_alone() {
    let mut fleet = Fleet::with_manager();
    let file = fleet.dir.path().join("made");
    let options = [
        "--nice=7",
        "--umask=027",
        "--max-open-files=100",
        "--max-processes=4000",
        "--env",
        &format!("FILE={}", file.display()),
    ];
    let app = started(&fleet, "a/b/c", &options, &format!("echo x > $FILE; {LASTING}"));
    let nice =
        |pid: u32| of_proc(pid, "stat").rsplit_once(") ").unwrap().1.split(' ').nth(16).unwrap().to_owned();
    let shim = parent_of(app);
    let manager = fleet.manager_pid();
    assert_eq!((nice(app).as_str(), nice(shim)), ("7", nice(manager)));
    let limit = |pid: u32, name: &str| field(&of_proc(pid, "limits"), name);
    assert_eq!(limit(app, "Max open files")[..2], ["100", "100"]);
    assert_eq!(limit(app, "Max processes")[..2], ["4000", "4000"]);
    for name in ["Max open files", "Max processes"] {
        assert_eq!(limit(shim, name)[1], limit(manager, name)[1], "{name}");
    }
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(field(&of_proc(app, "status"), "Umask:"), ["0027"]);
    assert_eq!(field(&of_proc(shim, "status"), "Umask:"), field(&of_proc(manager, "status"), "Umask:"));
    // A manager that comes later, and the shim that takes over from a killed one, change nothing of it.
    fleet.kill_manager();
    fleet.start_manager();
    fleet.until("a/b/c", "is taken up", |row| row.state.pid == Some(app));
    assert_eq!((nice(app).as_str(), limit(app, "Max open files")[0].as_str()), ("7", "100"));
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    until_gone(app);
    // A foreground run has them too, and another run of the manager.
    fleet.add("a/b/d", &["--nice=5", "--umask=077"], &["sh", "-c", "nice; umask"]);
    assert_eq!(fleet.dcm(&["run-app", "a/b/d"]).ok().out, "5\n0077\n");
}

/// Calls the program as a user who is not root. The state directory is given to that user.
fn as_nobody(fleet: &Fleet, arguments: &[&str]) -> Called {
    let dcm = fleet.command();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", "65534", "--clear-groups", "env"]);
    command.arg(format!("DC_STATE_DIR={}", fleet.state().display())).arg("DC_CONFIG=/dev/null");
    command.arg(dcm.get_program()).args(arguments).current_dir("/");
    Called::from(command.output().unwrap())
}

#[test]
fn what_only_root_may_do_is_refused_with_its_reason() {
    let mut fleet = Fleet::bare();
    let call: fn(&Fleet, &[&str]) -> Called = if is_root() {
        chown(fleet.dir.path(), Some(65534), Some(65534)).unwrap();
        as_nobody
    } else {
        Fleet::dcm
    };
    fleet.set("LC_ALL", "C");
    let me = if is_root() { NOBODY.to_owned() } else { dcm::process::user_name() };
    for (name, option, words) in [
        ("user", "--run-user=root", format!("run_user root: the manager runs as {me}, and only root can")),
        ("nice", "--nice=-5", format!("nice -5: permission denied; the manager runs as {me}")),
        ("files", "--max-open-files=1073741824", "max_open_files 1073741824: ".to_owned()),
    ] {
        let path = format!("a/b/{name}");
        call(&fleet, &["app", "add", &path, "--enable", option, "--", "true"]).ok();
        call(&fleet, &["run-app", &path]).refused(126, &["failed to start: ", &words]);
    }
    // Its own name it may have.
    let own = format!("--run-user={me}");
    call(&fleet, &["app", "add", "a/b/own", "--enable", &own, "--", "sh", "-c", "echo $USER $LOGNAME"]).ok();
    assert_eq!(call(&fleet, &["run-app", "a/b/own"]).ok().out, format!("{me} {me}\n"));
}

/// What `id` says of a user.
fn id_of(user: &str, option: &str) -> Vec<String> {
    let out = Command::new("id").args([option, user]).output().unwrap().stdout;
    let mut ids: Vec<_> =
        String::from_utf8(out).unwrap().split_ascii_whitespace().map(str::to_owned).collect();
    ids.sort();
    ids
}

/// A user who has another group beside the primary one, if there is one.
fn user_with_groups() -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let names = users.lines().filter_map(|line| line.split(':').next()).filter(|name| *name != "root");
    let found = names.map(str::to_owned).find(|name| id_of(name, "-G").len() > 1);
    found.unwrap_or_else(|| NOBODY.to_owned())
}

#[test]
fn an_app_of_another_user_has_nothing_of_root() {
    let mut fleet = Fleet::with_manager();
    if !is_root() {
        let why = failure(&fleet, "a/b/c", &["--run-user=root"], "true");
        assert!(why.contains("only root can start an app as another user"), "{why}");
        return;
    }
    let user = user_with_groups();
    let app = started(
        &fleet,
        "a/b/c",
        &["--run-user", &user, "--cwd", "/", "--env", "SHELL=/own"],
        &format!("echo I $HOME $USER $LOGNAME $SHELL; {LASTING}"),
    );
    let [uid, gid] = ["-u", "-g"].map(|option| id_of(&user, option).remove(0));
    let has_only_the_user = |pid: u32| {
        let status = of_proc(pid, "status");
        assert_eq!(field(&status, "Uid:"), vec![uid.clone(); 4], "{pid}");
        assert_eq!(field(&status, "Gid:"), vec![gid.clone(); 4], "{pid}");
        let mut groups = field(&status, "Groups:");
        groups.sort();
        assert_eq!(groups, id_of(&user, "-G"), "{pid}");
        assert_eq!(field(&status, "CapEff:"), ["0000000000000000"]);
        assert_eq!(field(&status, "CapPrm:"), ["0000000000000000"]);
    };
    has_only_the_user(app);
    assert_eq!(
        field(&of_proc(parent_of(app), "status"), "Uid:"),
        ["0", "0", "0", "0"],
        "the shim keeps root"
    );
    let home = std::fs::read_to_string("/etc/passwd").unwrap();
    let home =
        home.lines().find(|line| line.starts_with(&format!("{user}:"))).unwrap().split(':').nth(5).unwrap();
    assert!(fleet.log("a/b/c").contains(&format!("I {home} {user} {user} /own\n")));

    // It is taken up, and ended with all that it started, also when its shim was killed.
    fleet.kill_manager();
    fleet.start_manager();
    fleet.until("a/b/c", "is taken up", |row| row.state.pid == Some(app));
    let shim = parent_of(app);
    send_signal(shim, libc::SIGKILL);
    until_gone(shim);
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    until_gone(app);
    let row = fleet.app("a/b/c");
    assert_eq!((row.state.status, row.state.fatal), (RunStatus::Stopped, None));

    // A restart, and a run in the foreground, are of that user too.
    fleet.dcm(&["restart", "a/b/c", "--wait"]).ok();
    let again = pid_in_log(&fleet, "a/b/c", "ready");
    has_only_the_user(again);
    fleet.stop_manager();
    assert!(is_alive(again));
    fleet.dcm(&["stop-apps"]).ok();
    until_gone(again);
    fleet.add(
        "a/b/d",
        &["--run-user", &uid, "--cwd", "/"],
        &["sh", "-c", "id -u; id -un; kill -0 1 || echo no"],
    );
    let foreground = fleet.dcm(&["run-app", "a/b/d"]).ok();
    assert_eq!(foreground.out, format!("{uid}\n{user}\nno\n"), "{foreground:?}");
}

#[test]
fn an_app_of_another_user_reports_by_every_way() {
    let fleet = Fleet::with_manager();
    let user = if is_root() { NOBODY.to_owned() } else { dcm::process::user_name() };
    // A copy that the user may execute, wherever this one is.
    let folder =
        tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let dcm = folder.path().join("dcm");
    std::fs::copy(env!("CARGO_BIN_EXE_dcm"), &dcm).unwrap();
    let dcm = dcm.display();
    let closes = format!(
        "import subprocess; subprocess.run(['{dcm}', 'report', '--failed', '3'], close_fds=True, check=True)"
    );
    // A program that closes what it inherits calls another that hands nothing down.
    let script = format!(
        "{dcm} report --task-size 8 --solved 2 || exit 1; python3 -c \"{closes}\" || exit 2; \
         echo '::dcm {{\"message\": \"half way\"}}'; echo to-stderr >&2; echo by-name > /dev/stdout"
    );
    let run = run(&fleet, "a/b/c", &["--run-user", &user, "--cwd", "/"], &script);
    assert_eq!((run.exit_code, run.progress.solved, run.progress.failed), (Some(0), 2, 3), "{run:?}");
    assert_eq!((run.progress.task_size, run.message.as_deref()), (Some(8), Some("half way")));
    let log = fleet.log("a/b/c");
    assert!(log.contains("to-stderr") && log.contains("by-name"), "{log}");
}

#[test]
fn a_user_that_is_not_there_or_cannot_enter_is_named() {
    let fleet = Fleet::with_manager();
    let unknown = failure(&fleet, "a/b/unknown", &["--run-user=no-such-user"], "true");
    assert_eq!(unknown, "run_user no-such-user: there is no such user on this host");
    if !is_root() {
        return;
    }
    let private = fleet.dir.path().join("private");
    std::fs::create_dir(&private).unwrap();
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o700)).unwrap();
    let private = private.to_str().unwrap();
    let entered = failure(&fleet, "a/b/entered", &["--run-user", NOBODY, "--cwd", private], "true");
    assert_eq!(
        entered,
        format!("working directory {private}: user nobody cannot enter it: permission denied")
    );
    // A program that only root may execute.
    let program = fleet.dir.path().join("own.sh");
    write(&program, "#!/bin/sh\n");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    chown(&program, Some(0), Some(0)).unwrap();
    let program = program.to_str().unwrap();
    fleet.add("a/b/program", &["--run-user", NOBODY, "--cwd", "/"], &[program]);
    fleet.dcm(&["start", "a/b/program"]).ok();
    let row = fleet.until("a/b/program", "could not be started", |row| row.state.fatal.is_some());
    let message = row.state.fatal.unwrap().message;
    assert!(message.contains("may not be executed (as user nobody)"), "{message}");
}

/// Notes each signal that asks it to end, but KILL.
const NOTES: &str = "for s in TERM INT HUP QUIT USR1 USR2; do trap \"echo got $s; exit 0\" $s; done";

#[test]
fn each_way_of_ending_a_run_uses_its_stop_signal() {
    let mut fleet = Fleet::with_manager();
    let script = format!("{NOTES}; {LASTING}");
    let ends = |fleet: &Fleet, path: &str| {
        fleet.until_runs(path, "is over", |runs| runs.iter().all(|run| run.end.is_some()));
        let runs = fleet.runs(path);
        let log = fleet.log(path);
        let got = log.lines().find(|line| line.starts_with("got")).map(str::to_owned);
        (got, runs[0].outcome_word().map(str::to_owned))
    };
    for signal in ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"] {
        let path = format!("a/b/{signal}");
        started(&fleet, &path, &["--stop-signal", signal], &script);
        fleet.dcm(&["stop", &path, "--wait"]).ok();
        assert_eq!(ends(&fleet, &path), (Some(format!("got {signal}")), Some("stopped".to_owned())));
    }
    for (name, option) in
        [("disabled", "--nice=0"), ("late", "--max-runtime=0.02"), ("shut-down", "--nice=0")]
    {
        started(&fleet, &format!("a/b/{name}"), &["--stop-signal=USR1", option], &script);
    }
    fleet.dcm(&["disable", "a/b/disabled", "--wait"]).ok();
    assert_eq!(ends(&fleet, "a/b/disabled"), (Some("got USR1".to_owned()), Some("stopped".to_owned())));
    assert_eq!(ends(&fleet, "a/b/late"), (Some("got USR1".to_owned()), Some("timed_out".to_owned())));
    // Without a trap it dies of the signal, and was stopped all the same.
    started(&fleet, "a/b/plain", &["--stop-signal=QUIT", "--env=X=1"], LASTING);
    fleet.dcm(&["stop", "a/b/plain", "--wait"]).ok();
    let run = &fleet.runs("a/b/plain")[0];
    assert_eq!((run.outcome_word(), run.exit_code), (Some("stopped"), Some(131)));
    // A manager and a shim that took over know it as well.
    let shim = parent_of(fleet.app("a/b/shut-down").state.pid.unwrap());
    fleet.kill_manager();
    fleet.start_manager();
    send_signal(shim, libc::SIGKILL);
    until_gone(shim);
    fleet.dcm(&["stop-apps"]).ok();
    wait_for_log(&fleet, "a/b/shut-down", "got");
    assert_eq!(ends(&fleet, "a/b/shut-down").0, Some("got USR1".to_owned()));
}

#[test]
fn with_kill_a_run_ends_at_once_whatever_it_does() {
    let fleet = Fleet::with_manager();
    let script = format!("trap '' TERM INT HUP; {LASTING}");
    let app = started(&fleet, "a/b/c", &["--stop-signal=KILL", "--stop-grace=600"], &script);
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    until_gone(app);
    let run = &fleet.runs("a/b/c")[0];
    assert_eq!((run.outcome_word(), run.exit_code), (Some("stopped"), Some(137)), "{run:?}");
}

#[test]
fn an_app_in_python_tidies_up_when_it_is_interrupted() {
    let fleet = Fleet::with_manager();
    let file = fleet.dir.path().join("tidied");
    let script = format!(
        "import time\ntry:\n    print('ready', flush=True)\n    time.sleep(600)\nfinally:\n    \
         open({:?}, 'w').write('yes')\n",
        file.display().to_string()
    );
    fleet.add("a/b/c", &["--stop-signal", "SIGINT"], &["python3", "-c", &script]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    wait_for_log(&fleet, "a/b/c", "ready");
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "yes");
    let run = &fleet.runs("a/b/c")[0];
    assert_eq!(run.outcome_word(), Some("stopped"), "{run:?}");
    assert_eq!(fleet.app("a/b/c").state.failures, 0);
}
