//! What an operator does on a bad morning, on the real program on a terminal.

use crate::fleet::Fleet;
use crate::terminal::Terminal;

const APP: &str = "croatia/fina/companies";

#[test]
fn from_the_alarm_to_the_cause_and_back_and_the_verdict_is_on_record() {
    let fleet = Fleet::with_manager();
    let mended = fleet.dir.path().join("mended");
    let script = format!(
        "if [ -e {} ]; then echo all is well; exec sleep 600; fi; echo page 871 ok; \
         echo 'ERROR ProxyBanned: HTTP 403' >&2; exit 3",
        mended.display()
    );
    fleet.add("austria/tax/liens", &[], &["sleep", "600"]);
    fleet.add(APP, &["--max-failures", "1", "--on-failures", "give_up"], &["sh", "-c", &script]);
    fleet.add("slovenia/bank/rates", &[], &["sleep", "600"]);
    let terminal = Terminal::open(&fleet, &["--client"], (100, 30));
    terminal.until_text("[client] 3 apps");
    fleet.dcm(&["start", APP]).ok();
    fleet.until(APP, "is given up", |row| row.state.fatal.is_some());
    terminal.until_text("1 GIVEN UP");
    // Three keys: to the app, to the cause, and back.
    terminal.press("n");
    terminal.press("l");
    let log = terminal.until_text("ProxyBanned: HTTP 403");
    assert!(log.contains("[3 Logs]") && log.contains("page 871 ok"), "{log}");
    terminal.press("\x1b");
    terminal.until_text("[1 Fleet]");
    // All that is known of it.
    terminal.press("d");
    terminal.until_text("croatia / fina / companies");
    terminal.until_text("mend the cause");
    terminal.until_text("failed, exit 3");
    terminal.press("\x1b");
    terminal.until_text("[1 Fleet]");
    // The alert is acknowledged.
    terminal.press("2");
    terminal.until_text("[2 Alerts 1]");
    terminal.until_text(APP);
    terminal.press("a");
    let by = dcm::process::user_name();
    terminal.until("who looks after it", |screen| screen.contains(&format!("1    {by}")));
    terminal.press("\x1b");
    terminal.until_text("[1 Fleet]");
    // The cursor is still on the row: it is mended, enabled and started.
    std::fs::write(&mended, "").unwrap();
    terminal.press("E");
    fleet.until(APP, "is enabled by the key", |row| row.state.fatal.is_none());
    terminal.until("no alarm", |screen| !screen.contains("GIVEN UP"));
    terminal.press("s");
    fleet.until(APP, "is started by the key", |row| row.state.pid.is_some());
    // The ledger tells of it, and so does the history.
    terminal.press("7");
    terminal.until("the verdicts", |screen| {
        let has = |command: &str| screen.lines().any(|line| line.contains(command) && line.contains('✓'));
        screen.contains("[7 Audit]") && has("ENABLE") && screen.matches("START").count() >= 2
    });
    terminal.press("\r");
    terminal.until("each command", |screen| screen.contains("✓ EXECUTED") && !screen.contains("TARGET"));
    terminal.press("\x1b");
    terminal.until_text("TARGET");
    terminal.press("4");
    terminal
        .until("the run is under way", |screen| screen.contains("[4 History]") && screen.contains("/runs"));
    terminal.press("T");
    terminal.until_text("failed, exit 3");
    terminal.press("2");
    terminal.until_text("nothing needs anybody");
    terminal.press("6");
    terminal.until_text("its lease lasts");
    terminal.press("\x1b");
    terminal.until_text("[1 Fleet]");
}
