//! Keys and what they are made to mean, on the real program on a terminal.

use crate::fleet::{Fleet, send_signal};
use crate::terminal::Terminal;

#[test]
fn a_shell_has_the_terminal_for_a_while_and_the_manager_goes_on() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &["--interval", "0.003"], &["true"]);
    let mut terminal = Terminal::with(&fleet, &[], (80, 24), &[("SHELL", "/bin/sh"), ("PS1", "shell> ")]);
    terminal.until_text("[attached]");
    for round in 0..3 {
        terminal.press(":sh\r");
        // What the shell wrote before is on the screen again.
        terminal.until("a new prompt", |screen| screen.matches("shell>").count() > 2 * round);
        assert!(!terminal.is_alternate());
        // Each key reaches the shell, none the console.
        terminal.press(&format!("echo qqsx=$((40 + {round}))\r"));
        terminal.until_text(&format!("qqsx=4{round}"));
        let count = fleet.runs("a/b/c").len();
        fleet.until_runs("a/b/c", "goes on", |runs| runs.len() > count + 2);
        terminal.press("exit\r");
        terminal.until_text("[attached]");
        terminal.press("?");
        terminal.until_text("help: Fleet");
        terminal.press("q");
        terminal.until("no help", |screen| !screen.contains("help: Fleet"));
    }
    terminal.press(":sh\r");
    terminal.until("a new prompt", |screen| screen.matches("shell>").count() > 6);
    // A shell that is killed leaves nobody in front of the terminal.
    terminal.press("kill -9 $$\r");
    terminal.until_text("[attached]");
    terminal.press("q");
    terminal.answer("The manager lives in this console", "s", |screen| screen.contains("has stopped"));
    assert_eq!(terminal.code(), 0);
    assert_eq!(fleet.query("SELECT count(*) FROM commands").concat(), [rusqlite::types::Value::Integer(0)]);
}

#[test]
fn who_may_not_change_anything_gets_no_shell_and_starts_no_manager() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &["--interval", "0.003"], &["true"]);
    let mut terminal = Terminal::open(&fleet, &["console", "--read-only"], (100, 24));
    terminal.until_text("[RO]");
    terminal.until_text("no manager is running");
    terminal.press(":sh\r");
    terminal.until_text("this console is read-only: opened with --read-only");
    terminal.press("Gx");
    terminal.until("the reason", |screen| screen.contains("read-only") && !screen.contains("STOP"));
    terminal.press("qq");
    assert_eq!(terminal.code(), 0);
    assert!(fleet.runs("a/b/c").is_empty());
}

#[test]
fn keys_are_those_of_the_file_and_its_faults_are_told() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    let home = fleet.dir.path().join("config");
    std::fs::create_dir_all(home.join("dcm")).unwrap();
    std::fs::write(home.join("dcm/console.toml"), "[keys]\nmap = 'vim'\nfly = 'w'\nstart = ['S', 'f5']\n")
        .unwrap();
    let variables = [("XDG_CONFIG_HOME", home.to_str().unwrap())];
    let mut terminal = Terminal::with(&fleet, &["--client"], (120, 30), &variables);
    terminal.until_text("console.toml:3: keys.fly: is nothing that a key does");
    // The key goes to the last row that there is.
    terminal.until_text("1 apps");
    terminal.press("G");
    terminal.until_text("a/b/c");
    terminal.press("s\x1b[15~");
    fleet.until("a/b/c", "is started by the other key", |row| row.state.pid.is_some());
    terminal.press("?");
    terminal.until_text("keys: vim, 1 changed");
    terminal.press("q\x07");
    terminal.until_text("keys.fly");
    terminal.press("\x1b");
    terminal.until("no list", |screen| !screen.contains("keys.fly"));
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
    assert_eq!(fleet.query("SELECT count(*) FROM commands").concat(), [rusqlite::types::Value::Integer(1)]);
    send_signal(fleet.app("a/b/c").state.pid.unwrap(), libc::SIGTERM);
}

#[test]
fn the_mouse_is_heard_when_it_is_asked_for_and_given_back() {
    let fleet = Fleet::with_manager();
    for number in 0..9 {
        fleet.add(&format!("a/b/app{number}"), &[], &["true"]);
    }
    let mut terminal = Terminal::open(&fleet, &["--client"], (100, 30));
    terminal.until_text("app8");
    terminal.press("M");
    terminal.until_text("the wheel moves");
    // From the group over its parent to the second app.
    terminal.press("\x1b[<65;10;10M");
    terminal.until_text("a/b/app1");
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
    let written = terminal.written();
    let last = |mode: &str| written.rfind(mode).unwrap_or_default();
    assert!(last("\x1b[?1000h") > 0 && last("\x1b[?1000l") > last("\x1b[?1000h"));
    assert!(last("\x1b[?1006l") > last("\x1b[?1006h"));
}
