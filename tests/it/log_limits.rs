//! Logs of apps that fill their disk, with a real manager: what is deleted, and what is left.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fleet::{Fleet, id};

/// Bytes of all logs in a state directory.
pub(crate) fn size_of_logs(state: &Path) -> u64 {
    let files = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    files(state.join("logs"))
        .flat_map(|app| files(app.path()))
        .filter_map(|file| file.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

fn logs_of(fleet: &Fleet, path: &str) -> Vec<String> {
    let folder = fleet.state().join("logs").join(id(path).to_string());
    let names = fs::read_dir(folder).into_iter().flatten().map(|file| file.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn a_flood_of_logs_stays_within_its_total_and_the_last_failed_run_is_the_last_to_go() {
    let mut fleet = Fleet::new();
    let config = fleet.dir.path().join("dcm.toml");
    fs::write(&config, "[logs]\nmax_total = '200KiB'\n").unwrap();
    fleet.set("DC_CONFIG", config.to_str().unwrap());
    fleet.start_manager();
    fleet.add("a/b/fails", &[], &["sh", "-c", "echo 'no rows' >&2; exit 3"]);
    fleet.dcm(&["start", "a/b/fails"]).ok();
    let failed = fleet.until("a/b/fails", "has failed", |row| row.last_end.is_some()).state.run.unwrap();
    // It cannot be compressed.
    let flood = "head -c 23000 /dev/urandom";
    for number in 1..=4 {
        fleet.add(&format!("a/b/flood{number}"), &["--interval", "0.001"], &["sh", "-c", flood]);
    }
    // Each run writes 23 KiB: twice the total, and more is kept of no app than of 20 runs.
    fleet.until_runs("a/b/flood1", "ran often", |runs| runs.len() > 12);
    fleet.dcm(&["stop", "a/b/flood*", "--wait", "--yes"]).ok();
    let deadline = std::time::Instant::now() + crate::fleet::PATIENCE;
    while size_of_logs(&fleet.state()) > 200 * 1024 {
        assert!(std::time::Instant::now() < deadline, "{} bytes", size_of_logs(&fleet.state()));
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    let kept = logs_of(&fleet, "a/b/fails");
    assert!(kept.iter().any(|name| name.contains(&failed.to_string())), "{kept:?}");
    assert!(fleet.dcm(&["logs", "a/b/fails"]).ok().out.contains("no rows"));
    let log = fleet.manager_log();
    assert!(log.contains("old logs of apps were deleted"), "{log}");
}

#[test]
fn old_logs_are_compressed_and_read_as_before() {
    let fleet = Fleet::with_manager();
    let writes = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo \"line $i of a log that repeats itself\"; done; echo bad >&2; exit 3";
    fleet.add("a/b/c", &[], &["sh", "-c", writes]);
    for number in 1..=2 {
        fleet.dcm(&["start", "a/b/c"]).ok();
        fleet.until_runs("a/b/c", "is over", |runs| {
            runs.len() == number && runs.iter().all(|run| run.end.is_some())
        });
    }
    let deadline = std::time::Instant::now() + crate::fleet::PATIENCE;
    let packed = loop {
        let names = logs_of(&fleet, "a/b/c");
        let packed = names.iter().find(|name| name.ends_with(".log.gz")).cloned();
        if let Some(packed) = packed.filter(|packed| !names.contains(&packed.replace(".gz", ""))) {
            break packed;
        }
        assert!(std::time::Instant::now() < deadline, "{names:?}");
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    };
    let runs = fleet.runs("a/b/c");
    let [newer, older] = [0, 1].map(|at| runs[at].run.to_string());
    assert!(packed.contains(&older) && !packed.contains(&newer), "{packed}");
    let read = |run: &str| fleet.dcm(&["logs", "a/b/c", "-n", "1000", "--run", run]).ok().out;
    assert_eq!(read(&older).lines().count(), 201);
    assert_eq!(read(&older), read(&newer));
    assert!(fleet.dcm(&["logs", "a/b/c"]).ok().err.contains(&newer));
    let folder = fleet.state().join("logs").join(id("a/b/c").to_string());
    let zcat = std::process::Command::new("gzip").arg("-dc").arg(folder.join(packed)).output().unwrap();
    assert!(String::from_utf8_lossy(&zcat.stdout).contains("line 200 of"), "other programs read it too");
}
