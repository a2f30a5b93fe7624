//! The output of apps on its way into logs and out of them: lines without an end, progress bars, limits.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::fleet::{Fleet, PATIENCE, until_gone};

/// Starts an app that takes these steps (`tests/apps/speak.py`).
fn speak(fleet: &Fleet, path: &str, options: &[&str], steps: &[&str]) {
    let (script, folder) = (Fleet::script("speak.py"), fleet.dir.path().display().to_string());
    let argv: Vec<_> = ["python3", &script, &folder].into_iter().chain(steps.iter().copied()).collect();
    fleet.add(path, options, &argv);
    fleet.dcm(&["start", path, "--wait"]).ok();
}

/// Lets an app take the steps behind `>NAME`.
fn go(fleet: &Fleet, name: &str) {
    std::fs::write(fleet.dir.path().join(name), "").unwrap();
}

fn until_log(fleet: &Fleet, path: &str, expected: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = fleet.log(path);
        if log == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{log:?} is not {expected:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn until_over(fleet: &Fleet, path: &str) {
    fleet.until_runs(path, "is over", |runs| runs[0].end.is_some());
}

#[test]
fn a_line_without_end_is_seen_while_the_app_waits_and_goes_on_after_it() {
    let fleet = Fleet::with_manager();
    speak(&fleet, "a/b/c", &[], &["Password: ", ">go", "secret\\n", "no end"]);
    until_log(&fleet, "a/b/c", "Password: ");
    // What the next shim reads continues the same line.
    let shim = parent_of(fleet.app("a/b/c").state.pid.unwrap());
    crate::fleet::send_signal(shim, libc::SIGKILL);
    until_gone(shim);
    let run = fleet.runs("a/b/c")[0].run.to_string();
    go(&fleet, "go");
    fleet.until_runs("a/b/c", "is over", |runs| runs.last().is_some_and(|run| run.end.is_some()));
    assert_eq!(fleet.dcm(&["logs", "a/b/c", "--run", &run]).ok().out, "Password: secret\nno end");
}

#[test]
fn a_follower_sees_a_line_without_end_at_once() {
    let fleet = Fleet::with_manager();
    speak(&fleet, "a/b/c", &[], &["first\\n", "prompt> ", ">go", "!error\\n", "yes\\n"]);
    let mut follower = fleet
        .command()
        .args(["logs", "a/b/c", "-f"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let mut prompt = [0; 8];
    lines.read_exact(&mut prompt).unwrap();
    assert_eq!((line.as_str(), &prompt), ("first\n", b"prompt> "));
    go(&fleet, "go");
    line.clear();
    lines.read_line(&mut line).unwrap();
    lines.read_line(&mut line).unwrap();
    assert!(["\nerror\n", "yes\nerror\n"].contains(&line.as_str()), "{line:?}");
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[test]
fn a_progress_bar_is_seen_as_it_grows_and_kept_byte_by_byte() {
    let fleet = Fleet::with_manager();
    let states: Vec<_> = (0..60).map(|percent| format!("\\r{percent}%|{}", "#".repeat(90))).collect();
    let bar = states.concat();
    speak(&fleet, "a/b/c", &[], &[&format!("!{bar}"), ">go", "!\\r100%|done\\r\\n"]);
    let written = bar.replace("\\r", "\r");
    until_log(&fleet, "a/b/c", &written);
    go(&fleet, "go");
    until_over(&fleet, "a/b/c");
    assert_eq!(fleet.log("a/b/c"), format!("{written}\r100%|done\r\n"));
    assert_eq!(fleet.dcm(&["logs", "a/b/c", "-n", "1", "--json"]).ok().out.lines().count(), 1);
    let script = format!("{} logs a/b/c", env!("CARGO_BIN_EXE_dcm"));
    let mut terminal = fleet.command();
    let mut shown = std::process::Command::new("script");
    shown.args(["-qec", &script, "/dev/null"]).stdin(Stdio::null());
    for (name, value) in terminal.env("TERM", "xterm").get_envs() {
        match value {
            Some(value) => shown.env(name, value),
            None => shown.env_remove(name),
        };
    }
    let shown = String::from_utf8(shown.output().unwrap().stdout).unwrap();
    assert!(shown.contains("100%|done") && !shown.contains("59%"), "{shown:?}");
}

#[test]
fn the_last_report_counts_without_a_line_feed() {
    let fleet = Fleet::with_manager();
    let report = "::dcm {\"solved\": 7}";
    speak(&fleet, "a/b/ended", &[], &["text\\n", report]);
    until_over(&fleet, "a/b/ended");
    assert_eq!(fleet.runs("a/b/ended")[0].progress.solved, 7);
    assert_eq!(fleet.log("a/b/ended"), "text\n");
    // And while the app goes on.
    speak(&fleet, "a/b/waits", &[], &["text\\n", report, ">go", "\\n"]);
    fleet.until("a/b/waits", "has reported", |row| row.progress.solved == 7);
    go(&fleet, "go");
    until_over(&fleet, "a/b/waits");
    assert_eq!(fleet.log("a/b/waits"), "text\n");
}

#[test]
fn mistyped_reports_are_remarked_upon() {
    let fleet = Fleet::with_manager();
    let steps =
        ["::dcm {\"solve\": 5, \"solved\": 1}\\n", "::dcm {\"solve\": 6}\\n", "::dcm{\"solved\":2}\\n"];
    speak(&fleet, "a/b/c", &[], &steps);
    until_over(&fleet, "a/b/c");
    assert_eq!(fleet.runs("a/b/c")[0].progress.solved, 1);
    let log = fleet.log("a/b/c");
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert!(lines[0].starts_with("[dcm] a report has the unknown key \"solve\"; known are task_size, "));
    assert!(lines[1].starts_with("[dcm] the next line is no report"));
    assert_eq!(lines[2], "::dcm{\"solved\":2}");
}

#[test]
fn a_small_limit_keeps_beginning_and_end_and_counts_the_rest_exactly() {
    let fleet = Fleet::with_manager();
    for limit in [4096_u64, 20_000, 100_000] {
        let path = format!("a/b/limit-{limit}");
        fleet.add(&path, &["--log-limit", &limit.to_string()], &["seq", "1", "200000"]);
        fleet.dcm(&["start", &path, "--wait"]).ok();
        until_over(&fleet, &path);
        let folder = fleet.state().join("logs").join(crate::fleet::id(&path).to_string());
        let size: u64 =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(size <= limit, "{size} of {limit}");
        let log = fleet.log(&path);
        let mut next = 1;
        for line in log.lines() {
            if let Some(remark) = line.strip_prefix("[dcm] ") {
                assert!(remark.contains("lines are missing here: log_limit"), "{remark}");
                next += remark.split(' ').nth(3).unwrap().parse::<u64>().unwrap();
            } else {
                assert_eq!(line.parse(), Ok(next));
                next += 1;
            }
        }
        assert_eq!(next, 200_001);
    }
}

#[test]
fn lines_are_counted_and_not_their_pieces() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["python3", "-c", "for c in 'abc': print(c * 20000)"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    until_over(&fleet, "a/b/c");
    let last = fleet.dcm(&["logs", "a/b/c", "-n", "2"]).ok().out;
    assert_eq!(last, format!("{}\n{}\n", "b".repeat(20_000), "c".repeat(20_000)));
}

#[test]
fn run_app_shows_a_line_without_end() {
    let fleet = Fleet::new();
    let (script, folder) = (Fleet::script("speak.py"), fleet.dir.path().display().to_string());
    fleet.add("a/b/c", &[], &["python3", &script, &folder, "prompt> ", ">go", "yes"]);
    let mut child = fleet.command().args(["run-app", "a/b/c"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut prompt = [0; 8];
    let out = child.stdout.as_mut().unwrap();
    out.read_exact(&mut prompt).unwrap();
    assert_eq!(&prompt, b"prompt> ");
    go(&fleet, "go");
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "yes");
    assert!(child.wait().unwrap().success());
}

fn parent_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_run_that_wrote_nothing_is_not_given_the_output_of_another() {
    let fleet = Fleet::with_manager();
    let flag = fleet.dir.path().join("quiet");
    let script = format!("[ -e {0} ] && exec sleep 600; echo loud", flag.display());
    fleet.add("a/b/c", &[], &["sh", "-c", &script]);
    let called = fleet.dcm(&["logs", "a/b/c"]).ok();
    assert!(called.err.contains("no run of a/b/c has left any output"), "{called:?}");
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    until_over(&fleet, "a/b/c");
    let first = fleet.runs("a/b/c")[0].run;
    let called = fleet.dcm(&["logs", "a/b/c"]).ok();
    assert_eq!(called.out, "loud\n");
    assert!(called.err.contains(&format!("run {first} of a/b/c, began ")), "{called:?}");
    assert!(called.err.contains(": ok, exit 0"), "{called:?}");
    std::fs::write(&flag, "").unwrap();
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let second = fleet.runs("a/b/c")[0].run;
    let called = fleet.dcm(&["logs", "a/b/c"]).ok();
    assert_eq!(called.out, "");
    assert!(called.err.contains(&format!("run {second} of a/b/c has written nothing yet")), "{called:?}");
    assert!(called.err.contains(&format!("--run {first}")), "{called:?}");
    assert_eq!(fleet.dcm(&["logs", "a/b/c", "--run", &first.to_string()]).ok().out, "loud\n");
}
