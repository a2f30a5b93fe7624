//! All processes of a run, wherever they have moved to.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::process::{signal_process, start_of, unless_gone};
use crate::process::record::Identity;

/// How many processes of a run are looked for; a fork bomb makes more, and is killed in turns.
const PROCESSES_MAX: usize = 100_000;

/// The descendants of a process. Those whose parent has died are among them if the process is their
/// subreaper.
///
/// # Errors
/// When they cannot be seen: then there may be some.
pub(super) fn descendants(root: u32) -> io::Result<Vec<Identity>> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([root]);
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for child in children(parent)? {
            if found.len() < PROCESSES_MAX && seen.insert(child) {
                next.push(child);
                found.extend(start_of(child)?.map(|start| Identity { pid: child, start }));
            }
        }
    }
    Ok(found)
}

/// What a process calls itself; empty when it is gone.
pub(super) fn name_of(process: Identity) -> String {
    let name = fs::read(format!("/proc/{}/comm", process.pid)).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

/// The children of all threads of a process.
fn children(parent: u32) -> io::Result<Vec<u32>> {
    let mut children = Vec::new();
    let Some(threads) = unless_gone(fs::read_dir(format!("/proc/{parent}/task")))? else {
        return Ok(children);
    };
    for thread in threads {
        let Some(thread) = unless_gone(thread)? else { break };
        let Some(text) = unless_gone(fs::read_to_string(thread.path().join("children")))? else { continue };
        children.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Ok(children)
}

/// The processes whose environment says that they belong to this run: they are found even when
/// they have left their parents, session and group.
///
/// # Errors
/// When they cannot be seen: then there may be some.
pub(super) fn tagged(run: &str) -> io::Result<Vec<Identity>> {
    let tag = format!("DC_RUNTIME={run}");
    with_environment(|environment| {
        environment.split(|byte| *byte == 0).any(|variable| variable == tag.as_bytes())
    })
}

/// The cgroup (version 2) of a process, as a path from its root; this is not hidden from other users.
pub(super) fn cgroup_of(pid: u32) -> io::Result<Option<PathBuf>> {
    let groups = readable(fs::read(format!("/proc/{pid}/cgroup")))?.unwrap_or_default();
    let group = groups.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"));
    Ok(group.map(|group| PathBuf::from(OsStr::from_bytes(group))))
}

/// Whether any process is in the cgroup of a run.
pub(super) fn has_cgroup_members(run: &str) -> io::Result<bool> {
    for pid in all_processes()? {
        let is_member = cgroup_of(pid)?.is_some_and(|group| group.iter().any(|name| name == run));
        if is_member && start_of(pid)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The processes that hold the lock of a journal: they got its descriptor from the shim, whatever their
/// environment says by now.
///
/// # Errors
/// When they cannot be seen: then there may be some.
pub(super) fn holders(journal: &Path) -> io::Result<Vec<Identity>> {
    let Some(meant) = unless_gone(fs::metadata(journal))? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for pid in all_processes()? {
        if holds_lock(pid, &meant)? {
            found.extend(start_of(pid)?.map(|start| Identity { pid, start }));
        }
    }
    Ok(found)
}

fn holds_lock(pid: u32, meant: &Metadata) -> io::Result<bool> {
    let Some(descriptors) = readable(fs::read_dir(format!("/proc/{pid}/fd")))? else { return Ok(false) };
    for descriptor in descriptors {
        let Some(descriptor) = readable(descriptor)? else { break };
        let Some(file) = readable(fs::metadata(descriptor.path()))? else { continue };
        if (file.dev(), file.ino()) != (meant.dev(), meant.ino()) {
            continue;
        }
        if is_flocked(pid, &descriptor.file_name())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// All processes of the group that the app began with, as long as one that is known to be the app's is in
/// it: without that the number of the group may be another's by now.
pub(super) fn group_mates(known: &BTreeSet<Identity>, group: u32) -> io::Result<Vec<Identity>> {
    let group = i32::try_from(group).unwrap_or(i32::MAX);
    let is_in_group = |pid: u32| {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
        nix::unistd::getpgid(Some(pid)).is_ok_and(|found| found.as_raw() == group)
    };
    let mut found = Vec::new();
    if known.iter().any(|process| is_in_group(process.pid)) {
        for pid in all_processes()?.into_iter().filter(|pid| is_in_group(*pid)) {
            found.extend(start_of(pid)?.map(|start| Identity { pid, start }));
        }
    }
    Ok(found)
}

/// Whether a descriptor of a process holds an exclusive lock of its file. Whoever only reads the file has none
/// (`man 5 proc_pid_fdinfo`).
pub(super) fn is_flocked(pid: u32, descriptor: &OsStr) -> io::Result<bool> {
    let info = format!("/proc/{pid}/fdinfo/{}", descriptor.display());
    let info = readable(fs::read_to_string(info))?.unwrap_or_default();
    Ok(info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK") && line.contains("WRITE")))
}

/// The processes whose environment is as asked for.
pub(super) fn with_environment(is_meant: impl Fn(&[u8]) -> bool) -> io::Result<Vec<Identity>> {
    let mut found = Vec::new();
    for pid in all_processes()? {
        let Some(environment) = readable(fs::read(format!("/proc/{pid}/environ")))? else { continue };
        if is_meant(&environment) {
            found.extend(start_of(pid)?.map(|start| Identity { pid, start }));
        }
    }
    Ok(found)
}

/// What `/proc` says of a process, unless that has ended or is another user's, which it hides.
pub(super) fn readable<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match unless_gone(result) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        result => result,
    }
}

/// All processes of the host but this one and the first.
pub(super) fn all_processes() -> io::Result<Vec<u32>> {
    let own = std::process::id();
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
        pids.extend(pid.filter(|pid| *pid != own && *pid > 1));
    }
    Ok(pids)
}

/// Sends a signal to each of these processes. Those that are another user's do not take it.
pub(super) fn signal_all(processes: &[Identity], signal: Signal) {
    for process in processes {
        let _ = signal_process(*process, signal);
    }
}

/// Kills every process of a run that can be found by its tag; gives back how many there were.
///
/// # Errors
/// When they cannot be seen.
pub(in crate::process) fn kill_tagged(run: &str) -> io::Result<usize> {
    kill_all(|| tagged(run))
}

/// Kills what can be found. First it is stopped, so that none starts another while the rest is killed.
pub(super) fn kill_all(find: impl Fn() -> io::Result<Vec<Identity>>) -> io::Result<usize> {
    signal_all(&find()?, Signal::SIGSTOP);
    let all = find()?;
    signal_all(&all, Signal::SIGKILL);
    Ok(all.len())
}
