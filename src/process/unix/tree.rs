//! All processes of a run, wherever they have moved to.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::Signal;

use super::{signal_process, start_of};
use crate::process::record::Identity;

/// How many processes of a run are looked for; a fork bomb makes more, and is killed in turns.
const PROCESSES_MAX: usize = 100_000;

/// The descendants of a process. Those whose parent has died are among them if the process is their
/// subreaper.
pub(super) fn descendants(root: u32) -> Vec<Identity> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([root]);
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for child in children(parent) {
            if found.len() < PROCESSES_MAX && seen.insert(child) {
                next.push(child);
                found.extend(start_of(child).map(|start| Identity { pid: child, start }));
            }
        }
    }
    found
}

/// What a process calls itself; empty when it is gone.
pub(super) fn name_of(process: Identity) -> String {
    let name = fs::read(format!("/proc/{}/comm", process.pid)).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

/// The children of all threads of a process.
fn children(parent: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else { return Vec::new() };
    threads
        .filter_map(Result::ok)
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The processes whose environment says that they belong to this run: they are found even when
/// they have left their parents, session and group.
pub(super) fn tagged(run: &str) -> Vec<Identity> {
    let tag = format!("DC_RUNTIME={run}");
    all_processes()
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == tag.as_bytes())
        })
        .filter_map(|pid| start_of(pid).map(|start| Identity { pid, start }))
        .collect()
}

fn all_processes() -> impl Iterator<Item = u32> {
    let own = std::process::id();
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid != own && *pid > 1)
}

/// Sends a signal to each of these processes.
pub(super) fn signal_all(processes: &[Identity], signal: Signal) {
    for process in processes {
        signal_process(*process, signal);
    }
}

/// Kills every process of a run that can be found by its tag; gives back how many there were.
pub(in crate::process) fn kill_tagged(run: &str) -> usize {
    let found = tagged(run);
    // First stopped, so that none of them starts another while the rest is killed.
    signal_all(&found, Signal::SIGSTOP);
    let all = tagged(run);
    signal_all(&all, Signal::SIGKILL);
    all.len()
}
