//! `dcm status --watch`, and states as selectors.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use crate::fleet::{Fleet, send_signal};
use crate::terminal::Terminal;

/// `dcm status --watch` into a pipe, and its lines.
fn piped(fleet: &Fleet, arguments: &[&str]) -> (Child, std::io::Lines<BufReader<ChildStdout>>) {
    let mut command = fleet.command();
    command.args(["status", "--watch=0.2"]).args(arguments);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

#[test]
fn a_terminal_shows_what_changes_in_place_and_is_given_back() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/runs", &[], &["sleep", "600"]);
    fleet.add("a/b/other", &[], &["true"]);
    let mut terminal = Terminal::open(&fleet, &["status", "--watch=0.2"], (100, 20));
    let screen = terminal.until_text("IDLE");
    assert!(screen.lines().next().unwrap().ends_with("every 0.2s, q ends"), "{screen}");
    assert!(!terminal.is_alternate());
    fleet.dcm(&["start", "a/b/runs", "--wait"]).ok();
    let screen = terminal.until_text("RUNNING");
    assert_eq!(screen.matches("a/b/runs").count(), 1, "it takes the place of the frame before: {screen}");
    terminal.until_text("2 apps: 1 running, 1 idle");
    terminal.press("q");
    let written = terminal.until_end();
    assert_eq!(terminal.code(), 0);
    assert!(written.contains("\x1b[?25l") && written.trim_end().ends_with("\x1b[?25h"), "{written:?}");
    assert_eq!(written.matches("\x1b[2J").count(), 1, "the screen is cleared once: {written:?}");
}

#[test]
fn control_c_and_term_give_the_terminal_back() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["true"]);
    for by_key in [true, false] {
        // The settings of the terminal are those of before when the shell goes on.
        let script = format!(
            "{} status --watch; stty -a | grep -o -- '[-]*echo ' ; echo ended",
            env!("CARGO_BIN_EXE_dcm")
        );
        let mut terminal = Terminal::run(&fleet, "sh", &["-c", &script], (100, 20), &[]);
        terminal.until_text("a/b/c");
        if by_key {
            terminal.press("\x03");
        } else {
            let children = format!("/proc/{0}/task/{0}/children", terminal.pid());
            let child = std::fs::read_to_string(children).unwrap();
            send_signal(child.trim().parse().unwrap(), 15);
        }
        let screen = terminal.until_text("ended");
        assert!(screen.contains("echo ") && !screen.contains("-echo"), "{screen}");
        assert_eq!(terminal.code(), 0);
    }
}

#[test]
fn a_small_terminal_says_how_much_is_not_shown() {
    let fleet = Fleet::new();
    for number in 0..9 {
        fleet.add(&format!("a/b/app{number}"), &[], &["true"]);
    }
    let terminal = Terminal::open(&fleet, &["status", "--watch"], (60, 8));
    let screen = terminal.until_text("more lines");
    assert!(screen.lines().count() <= 8 && screen.contains("9 apps: 9 idle"), "{screen}");
    terminal.renew((60, 20));
    terminal.until_text("app8");
    terminal.press("q");
}

#[test]
fn a_pipe_gets_a_frame_after_each_change_and_json_a_line() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    let (mut text, mut frames) = piped(&fleet, &[]);
    let (mut json, mut documents) = piped(&fleet, &["--json"]);
    let mut document =
        || -> serde_json::Value { serde_json::from_str(&documents.next().unwrap().unwrap()).unwrap() };
    assert_eq!(document()[0]["state"], "idle");
    let head = frames.next().unwrap().unwrap();
    assert_eq!(head.len(), "2026-11-28 00:57:02".len(), "{head}");
    assert!(frames.next().unwrap().unwrap().starts_with("APP "));
    assert!(frames.next().unwrap().unwrap().contains("IDLE"));
    assert_eq!(frames.next().unwrap().unwrap(), "");
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    // What is next differs from what was before: nothing is said twice. A start is one change or two.
    let mut before = serde_json::json!([]);
    loop {
        let next = document();
        assert_ne!(next, before);
        if next[0]["state"] == "running" {
            break;
        }
        before = next;
    }
    let running =
        frames.by_ref().map(Result::unwrap).find(|line| line.contains("a/b/c") && !line.contains("IDLE"));
    assert!(running.unwrap().contains("RUNNING"));
    for child in [&mut text, &mut json] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    fleet.dcm(&["status", "--watch=0"]).refused(2, &["0.2 to 3600 seconds"]);
    fleet.dcm(&["status", "--watch", "no/such/app"]).refused(4, &["no such app"]);
}

#[test]
fn a_database_that_goes_away_leaves_the_last_frame() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["true"]);
    let terminal = Terminal::open(&fleet, &["status", "--watch=0.2"], (120, 20));
    terminal.until_text("a/b/c");
    let (database, aside) = (fleet.database(), fleet.database().with_extension("aside"));
    std::fs::rename(&database, &aside).unwrap();
    let screen = terminal.until_text("the database is not available");
    assert!(screen.contains("a/b/c"), "{screen}");
    std::fs::rename(&aside, &database).unwrap();
    terminal.until("it to be back", |screen| !screen.contains("not available") && screen.contains("a/b/c"));
    terminal.press("q");
}

#[test]
fn commands_take_states() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/good", &[], &["true"]);
    fleet.add("a/b/bad", &[], &["false"]);
    fleet.add("x/y/bad", &[], &["false"]);
    let called = fleet.dcm(&["restart", "is:failed"]).ok();
    assert!(called.out.is_empty() && called.err.contains("no app is meant by is:failed now"), "{called:?}");
    for path in ["a/b/good", "a/b/bad", "x/y/bad"] {
        fleet.dcm(&["start", path, "--wait"]).ok();
        fleet.until_runs(path, "over", |runs| runs.first().is_some_and(|run| run.end.is_some()));
    }
    fleet.until("x/y/bad", "failed", |row| row.state.failures == 1);
    let shown = fleet.dcm(&["status", "is:failed", "--json"]).ok().json();
    let paths: Vec<_> = shown.as_array().unwrap().iter().map(|row| row["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["a/b/bad", "x/y/bad"]);
    assert!(!fleet.dcm(&["app", "list", "is:failed"]).ok().out.contains("good"));
    // A place and a state: what is in that state there.
    let called = fleet.dcm(&["restart", "a", "is:failed", "is:fatal", "--wait"]).ok();
    assert!(called.out.contains("RESTART a/b/bad"), "{}", called.out);
    assert_eq!(called.out.lines().count(), 1, "{}", called.out);
    fleet.until_runs("a/b/bad", "run again", |runs| runs.len() == 2);
    fleet.dcm(&["restart", "is:brilliant"]).refused(2, &["is no state", "given_up"]);
    fleet.dcm(&["restart", "no", "is:failed"]).refused(4, &["no such app: no"]);
    assert!(fleet.dcm(&["stop", "is:running", "--wait=1"]).ok().err.contains("nothing was done"));
}
