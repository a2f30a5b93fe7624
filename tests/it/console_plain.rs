//! The console as lines.

use std::io::Write as _;
use std::process::{Child, Stdio};

use crate::fleet::Fleet;
use crate::terminal::Terminal;

/// Says these lines to a plain console and gives its answers.
fn say(fleet: &Fleet, arguments: &[&str], lines: &str) -> String {
    let mut child = spawn(fleet, arguments);
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn spawn(fleet: &Fleet, arguments: &[&str]) -> Child {
    let mut command = fleet.command();
    command.args(["console", "--plain"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn apps_are_listed_shown_and_commanded() {
    let fleet = Fleet::with_manager();
    for name in ["companies", "insolvency"] {
        fleet.add(
            &format!("croatia/fina/{name}"),
            &[],
            &["sh", "-c", "echo 'a \\033[2Jline'; exec sleep 600"],
        );
    }
    fleet.add("italy/court/rulings", &[], &["true"]);
    let answers = say(&fleet, &[], "list g:croatia\nstart croatia\n2\nlist is:running\nquit\nlist all\n");
    assert!(answers.contains("3 apps on sqlite:"), "{answers}");
    assert!(answers.contains("croatia/fina/companies idle"), "{answers}");
    assert!(!answers.contains("italy"), "{answers}");
    assert!(answers.contains("START croatia: type 2 to send 2 commands: START: 2 executed"), "{answers}");
    assert!(answers.contains("croatia/fina/insolvency running"), "{answers}");
    assert!(answers.contains("2 apps\ndcm> "), "{answers}");
    fleet.until("croatia/fina/companies", "has said something", |_| {
        fleet.log("croatia/fina/companies").contains("line")
    });
    let answers =
        say(&fleet, &[], "show croatia/fina/companies\nlog croatia/fina/companies\nshow a/b/c\nshow x\n");
    for part in ["state: running", "process: ", "a \\x1b[2Jline", "no such app: a/b/c"] {
        assert!(answers.contains(part), "{part}: {answers}");
    }
    assert!(!answers.contains('\x1b'), "{answers}");
    let answers = say(
        &fleet,
        &[],
        "stop croatia\n3\nalerts\nfly\nlist fail>\nhelp\nstop croatia/fina/companies\nno\nstop croatia/fina/companies\ny\n",
    );
    for part in [
        "1 running: will be stopped",
        "nothing was sent",
        "nothing needs anybody",
        "fly is no command",
        "alerts ",
        "STOP: 1 executed",
    ] {
        assert!(answers.contains(part), "{part}: {answers}");
    }
    fleet.add("italy/court/missing", &[], &["/no/such/program"]);
    fleet.dcm(&["start", "italy/court/missing"]).ok();
    fleet.until("italy/court/missing", "is given up", |row| row.state.fatal.is_some());
    let answers = say(&fleet, &[], "alerts\n");
    assert!(answers.contains(" italy/court/missing failed_to_start: "), "{answers}");
    assert!(answers.contains(", critical, not sent yet"), "{answers}");
    fleet.dcm(&["alerts", "mute", "all", "--for", "1h"]).ok();
    let answers = say(&fleet, &[], "alerts\n");
    assert!(answers.contains(", critical, not sent yet, muted until "), "{answers}");
    let answers = say(&fleet, &["--read-only"], "start all\n");
    assert!(answers.contains("read-only: opened with --read-only"), "{answers}");
    let config = fleet.dir.path().join("dcm.toml");
    let settings = "[console]\nreason = 'required'\n[console.confirm]\nstart = 'type'\n";
    std::fs::write(&config, settings).unwrap();
    let config = config.to_str().unwrap();
    let answers = say(&fleet, &["--config", config], "start italy/court/rulings\n1\n\n");
    assert!(
        answers.contains("type 1 to send 1 commands") && answers.contains("nothing was sent"),
        "{answers}"
    );
    let answers = say(&fleet, &["--config", config], "start italy/court/rulings\n1\nticket 4411\n");
    assert!(answers.contains("START: 1 executed"), "{answers}");
    let note = fleet.query("SELECT note FROM commands ORDER BY id DESC LIMIT 1").concat();
    assert_eq!(note, [rusqlite::types::Value::Text("ticket 4411".to_owned())]);
    std::fs::write(config, "[console]\nread_only = true\n").unwrap();
    let answers = say(&fleet, &["--config", config], "start all\n");
    assert!(answers.contains("read-only: the settings of this host say so"), "{answers}");
}

#[test]
fn changes_are_told_while_they_are_watched() {
    let fleet = Fleet::with_manager();
    fleet.add("croatia/fina/companies", &[], &["sleep", "600"]);
    fleet.add("italy/court/rulings", &[], &["sleep", "600"]);
    let mut terminal = Terminal::with(&fleet, &["--client"], (100, 30), &[("TERM", "dumb")]);
    terminal.until_text("dcm> ");
    terminal.press("watch g:croatia\r");
    terminal.until_text("enter ends it");
    fleet.dcm(&["start", "all", "--wait"]).ok();
    let screen = terminal.until_text("croatia fina companies is running");
    assert!(!screen.contains("italy"), "{screen}");
    terminal.press("\r");
    terminal.until("the prompt again", |screen| screen.trim_end().ends_with("dcm>"));
    terminal.press("\x04");
    assert_eq!(terminal.code(), 0);
    let written = terminal.written();
    assert!(!written.contains('\x1b'), "{written}");
}
