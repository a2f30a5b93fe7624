//! `dcm logs` of several apps and of chosen lines.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::database_files::until;
use crate::fleet::{Fleet, id};

/// Three apps of one group with a run each. A line has the time at which its shim read it, so each is written only once the
/// one before it is in its log.
fn group() -> Fleet {
    let fleet = Fleet::with_manager();
    let folder = fleet.dir.path().display();
    let at = |step: u32, text: &str| format!("while [ ! -e {folder}/{step} ]; do sleep 0.02; done; {text}; ");
    let scripts = [
        ("g/p/a", at(1, "echo page 1") + &at(4, "echo page 4") + &at(5, "echo bad page >&2")),
        ("g/p/bbb", at(2, "echo page 2") + &at(6, "printf 'page 5'")),
        ("g/q/c", at(3, "echo page 3")),
    ];
    for (path, script) in scripts {
        fleet.add(path, &[], &["sh", "-c", &script]);
    }
    fleet.add("other/p/a", &[], &["sh", "-c", "echo elsewhere"]);
    fleet.dcm(&["start", "all", "--yes", "--wait"]).ok();
    let lines = [
        ("g/p/a", "page 1"),
        ("g/p/bbb", "page 2"),
        ("g/q/c", "page 3"),
        ("g/p/a", "page 4"),
        ("g/p/a", "bad page"),
    ];
    for (step, (path, line)) in (1..).zip(lines) {
        std::fs::write(fleet.dir.path().join(format!("{step}")), "").unwrap();
        until(line, || fleet.dcm(&["logs", path]).out.contains(line));
    }
    std::fs::write(fleet.dir.path().join("6"), "").unwrap();
    for path in ["g/p/a", "g/p/bbb", "g/q/c", "other/p/a"] {
        fleet.until_runs(path, "is over", |runs| runs[0].end.is_some());
    }
    fleet
}

#[test]
fn logs_of_a_group_are_merged_by_time_with_their_paths() {
    let fleet = group();
    let called = fleet.dcm(&["logs", "g"]).ok();
    let lines: Vec<_> = called.out.lines().collect();
    assert_eq!(
        lines,
        [
            "g/p/a   | page 1",
            "g/p/bbb | page 2",
            "g/q/c   | page 3",
            "g/p/a   | page 4",
            "g/p/a   | bad page",
            "g/p/bbb | page 5"
        ]
    );
    let last = fleet.dcm(&["logs", "g/p", "g/q/c", "-n", "2"]).ok();
    assert_eq!(last.out, "g/p/a   | bad page\ng/p/bbb | page 5\n");
    let stderr = fleet.dcm(&["logs", "g", "--stderr"]).ok();
    assert_eq!(stderr.out, "g/p/a   | bad page\n");
    let found = fleet.dcm(&["logs", "all", "--grep", "page [345]$"]).ok();
    assert_eq!(found.out.lines().count(), 3, "{found:?}");
    let last_found = fleet.dcm(&["logs", "all", "--grep", "page [345]$", "-n", "1"]).ok();
    assert_eq!(last_found.out, "g/p/bbb   | page 5\n", "as wide as other/p/a");
    let nothing = fleet.dcm(&["logs", "all", "--grep", "no such thing"]).ok();
    assert!(nothing.out.is_empty() && nothing.err.contains("no line matches"), "{nothing:?}");
    let json: Vec<serde_json::Value> = fleet
        .dcm(&["logs", "g", "--json", "--grep", "page [12]"])
        .ok()
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((&json[0]["path"], &json[0]["text"]), (&"g/p/a".into(), &"page 1".into()));
    assert_eq!((&json[1]["path"], &json[1]["stream"]), (&"g/p/bbb".into(), &"stdout".into()));
    assert!(
        json[0]["time"].as_str().unwrap().ends_with('Z') && json[0]["runtime"].as_str().unwrap().len() == 32
    );
    fleet.dcm(&["logs", "nowhere"]).refused(4, &["no such app"]);
    fleet.dcm(&["logs", "g", "nowhere/x"]).refused(4, &["no such app"]);
}

#[test]
fn lines_of_a_time_come_from_all_runs_of_it() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sh", "-c", "echo run; echo error >&2"]);
    for number in 1..=3 {
        fleet.dcm(&["start", "a/b/c"]).ok();
        fleet.until_runs("a/b/c", "is over", |runs| {
            runs.len() == number && runs.iter().all(|run| run.end.is_some())
        });
    }
    assert_eq!(fleet.dcm(&["logs", "a/b/c"]).ok().out, "run\nerror\n", "of the latest run");
    assert_eq!(fleet.dcm(&["logs", "a/b/c", "--since", "1h"]).ok().out, "run\nerror\n".repeat(3));
    assert_eq!(fleet.dcm(&["logs", "a/b/c", "--since", "1h", "--stderr"]).ok().out, "error\n".repeat(3));
    assert_eq!(fleet.dcm(&["logs", "a/b/c", "--since", "1h", "-n", "3"]).ok().out, "error\nrun\nerror\n");
    assert_eq!(fleet.dcm(&["logs", "a/b/c", "--until", "1h"]).ok().out, "");
    let oldest = fleet.runs("a/b/c")[2].run.to_string();
    assert_eq!(fleet.dcm(&["logs", "a/b/c", "--run", &oldest, "--grep", "err"]).ok().out, "error\n");
    let newest = fleet.runs("a/b/c")[0].run.to_string();
    let file = fleet.dcm(&["logs", "a/b/c", "--path"]).ok().out;
    let folder = fleet.state().join("logs").join(id("a/b/c").to_string());
    assert!(
        file.starts_with(folder.to_str().unwrap()) && file.trim().ends_with(&format!("{newest}.log")),
        "{file}"
    );
    assert!(std::fs::read_to_string(file.trim()).unwrap().contains(" e F error"));
    for entry in std::fs::read_dir(&folder).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fleet.dcm(&["logs", "a/b/c", "--run", &oldest]).refused(1, &["its log was deleted", "max_total"]);
    let called = fleet.dcm(&["logs", "a/b/c"]).ok();
    assert!(called.err.contains("its log was deleted"), "{called:?}");
    fleet.dcm(&["logs", "a/b/c", "--path"]).refused(1, &["no log on this host"]);
}

#[test]
fn several_apps_are_followed_from_one_run_to_the_next() {
    let fleet = Fleet::with_manager();
    for name in ["one", "two"] {
        fleet.add(
            &format!("a/b/{name}"),
            &["--interval", "0.005"],
            &["sh", "-c", &format!("echo {name} $DC_RUNTIME")],
        );
    }
    fleet.dcm(&["start", "all", "--yes"]).ok();
    let mut follower = fleet
        .command()
        .args(["logs", "a", "-f", "--grep", "^one|^two"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for line in BufReader::new(follower.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let (path, text) = line.split_once(" | ").unwrap();
        assert_eq!(path.trim(), format!("a/b/{}", text.split(' ').next().unwrap()));
        assert!(seen.insert(text.to_owned()), "each line comes once: {line}");
        let count = |name: &str| seen.iter().filter(|text| text.starts_with(name)).count();
        if count("one") > 3 && count("two") > 3 {
            break;
        }
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
}
