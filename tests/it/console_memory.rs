//! What a person looked at comes back with the next console.

use crate::fleet::{Fleet, send_signal};
use crate::terminal::Terminal;

fn fleet() -> Fleet {
    let fleet = Fleet::with_manager();
    for group in ["croatia", "italy", "austria"] {
        for number in 0..20 {
            fleet.add(&format!("{group}/court/app{number:02}"), &[], &["true"]);
        }
    }
    fleet
}

#[test]
fn after_a_dropped_connection_the_same_view_comes_back() {
    let fleet = fleet();
    let mut terminal = Terminal::open(&fleet, &["--client"], (100, 30));
    terminal.until_text("▸ italy");
    terminal.press("/g:italy app1\r");
    terminal.until_text("app19");
    terminal.press("G");
    terminal.until_text("italy/court/app19");
    terminal.press("k");
    terminal.until_text("italy/court/app18");
    send_signal(terminal.pid(), libc::SIGHUP);
    assert_eq!(terminal.code(), 129);
    let mut again = Terminal::open(&fleet, &["--client"], (100, 30));
    let screen = again.until_text("italy/court/app18");
    assert!(screen.contains("g:italy app1") && !screen.contains("croatia"), "{screen}");
    again.press("2");
    again.until_text("[2 Alerts");
    again.press("\x1b[1;5R");
    send_signal(again.pid(), libc::SIGHUP);
    assert_eq!(again.code(), 129);
    let mut third = Terminal::open(&fleet, &["--client"], (100, 30));
    third.until_text("[2 Alerts");
    third.press("1");
    third.until_text("italy/court/app18");
    third.press("q");
    assert_eq!(third.code(), 0);
}

#[test]
fn marks_come_back_for_ten_minutes() {
    let fleet = fleet();
    let mut terminal = Terminal::open(&fleet, &["--client"], (100, 30));
    terminal.until_text("▸ italy");
    terminal.press("/g:italy\r");
    terminal.until_text("app03");
    terminal.press("jj  ");
    terminal.until_text("2 marked");
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
    let mut again = Terminal::open(&fleet, &["--client"], (100, 30));
    again.until_text("2 marks restored, esc clears");
    again.press("q");
    assert_eq!(again.code(), 0);
    // An hour later they were made in another mood.
    let file = fleet.dir.path().join("xdg/dcm/console.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let saved = text.lines().find(|line| line.contains("\"saved\"")).unwrap();
    std::fs::write(&file, text.replace(saved, "\"saved\": 1000,")).unwrap();
    let mut later = Terminal::open(&fleet, &["--client"], (100, 30));
    let screen = later.until_text("app03");
    assert!(!screen.contains("restored") && !screen.contains("marked"), "{screen}");
    later.press("q");
    assert_eq!(later.code(), 0);
}

#[test]
fn a_bad_file_keeps_nobody_from_the_console() {
    let fleet = fleet();
    let file = fleet.dir.path().join("xdg/dcm/console.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    for text in ["{", "\u{0}\u{1b}[2J", "{\"databases\": {\"x\": 3}}"] {
        std::fs::write(&file, text).unwrap();
        let mut terminal = Terminal::open(&fleet, &["--client"], (200, 30));
        terminal.until_text("is not shown again");
        terminal.until_text("▸ italy");
        terminal.press("q");
        assert_eq!(terminal.code(), 0);
    }
    // It was replaced by a good one.
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"fleet\""));
    // One that cannot be written is told in the log only.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let mut terminal = Terminal::open(&fleet, &["--client"], (140, 30));
    terminal.until_text("▸ italy");
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
}
