//! Completions in a real shell, and the manual.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fleet::Fleet;
use crate::postgres::Schema;
use crate::proxy::Proxy;
use crate::terminal::Terminal;

/// What bash would offer for these words, the last of which is being typed.
fn offered(fleet: &Fleet, words: &[&str]) -> Vec<String> {
    let script = "source <(DC_COMPLETE=bash dcm); COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9; \
                  _clap_complete_dcm dcm \"${COMP_WORDS[COMP_CWORD]}\" x 2>&1; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let dcm = fleet.command();
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_dcm")).parent().unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display());
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "-c", script, "bash", "dcm"]).args(words);
    command.envs(dcm.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", path);
    let output = command.current_dir(fleet.dir.path()).stdin(Stdio::null()).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_paths_settings_channels_and_managers() {
    let mut fleet = Fleet::new();
    for path in ["croatia/fina/companies", "croatia/fina/owners", "italy/court/rulings"] {
        fleet.add(path, &[], &["true"]);
    }
    assert_eq!(offered(&fleet, &["start", "cro"]), ["croatia/"]);
    assert_eq!(offered(&fleet, &["why", "croatia/"]), ["croatia/fina/"]);
    assert_eq!(
        offered(&fleet, &["logs", "croatia/fina/"]),
        ["croatia/fina/companies", "croatia/fina/owners"]
    );
    assert_eq!(offered(&fleet, &["app", "show", "croatia/fina/o"]), ["croatia/fina/owners"]);
    assert_eq!(offered(&fleet, &["restart", "is:fai"]), ["is:failed"]);
    assert_eq!(offered(&fleet, &["config", "show", "limits.r"]), ["limits.running"]);
    assert_eq!(offered(&fleet, &["histo"]), ["history"]);
    fleet.set("DC_MANAGER_NAME", "zg-01");
    fleet.start_manager();
    assert_eq!(offered(&fleet, &["managers", "drain", "z"]), ["zg-01"]);
    let file = fleet.dir.path().join("dcm.toml");
    std::fs::write(&file, "[notify.phone]\nkind = 'slack'\nurl = 'https://hooks.slack.com/x'\n").unwrap();
    fleet.set("DC_CONFIG", file.to_str().unwrap());
    assert_eq!(offered(&fleet, &["notify", "test", "p"]), ["phone"]);
    // By the flags that were typed.
    let other = Fleet::new();
    other.add("spain/a/b", &[], &["true"]);
    let state = other.state().display().to_string();
    assert_eq!(offered(&fleet, &["--state-dir", &state, "start", "s"]), ["spain/"]);
}

#[test]
fn what_is_wrong_or_slow_is_silence() {
    let mut fleet = Fleet::bare();
    assert_eq!(offered(&fleet, &["start", "cro"]), Vec::<String>::new());
    assert!(!fleet.state().exists(), "nothing is made");
    fleet.set("DC_CONFIG", "/no/such/file");
    assert_eq!(offered(&fleet, &["start", "cro"]), Vec::<String>::new());
    fleet.set("DC_CONFIG", "/dev/null");
    let schema = Schema::new();
    let proxy = Proxy::to_database(schema.url());
    fleet.set("DC_DATABASE_URL", &proxy.url(schema.url()));
    fleet.dcm(&["db", "migrate"]).ok();
    fleet.add("croatia/a/b", &[], &["true"]);
    proxy.stall();
    let begun = Instant::now();
    assert_eq!(offered(&fleet, &["start", "cro"]), Vec::<String>::new());
    // Without a limit it would be the 5 s of a call to the server.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    proxy.heal();
}

#[test]
fn a_person_presses_tab() {
    let fleet = Fleet::new();
    fleet.add("croatia/fina/companies", &[], &["true"]);
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_dcm")).parent().unwrap().display().to_string();
    let path = format!("{folder}:/usr/local/bin:/usr/bin:/bin");
    let shell = ["--norc", "--noprofile", "-i"];
    let terminal = Terminal::run(&fleet, "bash", &shell, (100, 20), &[("PATH", &path), ("PS1", "ready> ")]);
    terminal.until_text("ready>");
    terminal.press("source <(DC_COMPLETE=bash dcm); echo don''e\r");
    terminal.until_text("done");
    terminal.press("dcm app show cro\t");
    terminal.until_text("dcm app show croatia/");
    terminal.press("\t");
    terminal.until_text("croatia/fina/");
    terminal.press("\t");
    terminal.until_text("croatia/fina/companies");
    terminal.press("\r");
    terminal.until_text("state");
    terminal.press("exit\r");
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let fleet = Fleet::new();
    let page = fleet.dcm(&["man"]).ok().out;
    assert!(page.contains(".TH dcm 1") && page.contains(".SH SYNOPSIS"), "{page}");
    let folder = fleet.dir.path().join("man1");
    fleet.dcm(&["man", folder.to_str().unwrap()]).ok();
    for page in ["dcm.1", "dcm-start.1", "dcm-app-add.1", "dcm-doctor.1", "dcm-config-show.1"] {
        let text =
            std::fs::read_to_string(folder.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".SH NAME"), "{page}");
    }
    let file = fleet.dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    fleet.dcm(&["man", file.to_str().unwrap()]).refused(1, &["file: "]);
}
