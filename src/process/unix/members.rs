//! All processes of the runs of a state directory, whatever its tables and run directories say.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::process::{is_alive, signal_process, start_of};
use super::tree::{self, all_processes, is_flocked, readable};
use super::{Signal, cgroup, place_of};
use crate::model::RunId;
use crate::process::layout::StateDir;
use crate::process::record::{Identity, Place};
use crate::process::stop_all::Member;

/// What the system appends to the name of what was removed.
const DELETED: &[u8] = b" (deleted)";

/// Finds the processes of a state directory: by their cgroup, by their environment, as shims by where they work, and
/// by the lock of a run, which all processes of a run inherit. The manager and its nursery are none of them.
///
/// # Errors
/// When the processes of the host cannot be listed.
pub(in crate::process) fn members_of(state: &StateDir) -> io::Result<Vec<Member>> {
    // One that was removed is looked for by its name.
    let folder = fs::canonicalize(state.path()).or_else(|_| std::path::absolute(state.path()))?;
    let meant = Meant {
        runs: folder.join("runs"),
        place: place_of(&state.runs()).ok().flatten(),
        lock: folder.join("manager.lock"),
        cgroups: cgroup::folder_name(state.path()).ok(),
    };
    let mut members = Vec::new();
    for pid in all_processes()? {
        let Some((run, is_shim)) = meant.member(pid)? else { continue };
        if let Some(start) = start_of(pid)? {
            let process = Identity { pid, start };
            members.push(Member { process, run, is_shim, name: tree::name_of(process) });
        }
    }
    Ok(members)
}

struct Meant {
    runs: PathBuf,
    place: Option<Place>,
    lock: PathBuf,
    /// The folder of the cgroups of its runs.
    cgroups: Option<String>,
}

impl Meant {
    /// The run of a process and whether it is a shim; `None` when it does not belong to this state directory, or is
    /// another user's, which the system hides.
    fn member(&self, pid: u32) -> io::Result<Option<(Option<RunId>, bool)>> {
        let title = readable(fs::read(format!("/proc/{pid}/cmdline")))?.unwrap_or_default();
        let title: Vec<_> = title.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
        if title.starts_with(b"dcm nursery") {
            return Ok(None);
        }
        if let Some(run) = tree::cgroup_of(pid)?.and_then(|group| self.run_of_cgroup(&group)) {
            return Ok(Some((Some(run), title.starts_with(b"dcm shim "))));
        }
        let environment = readable(fs::read(format!("/proc/{pid}/environ")))?.unwrap_or_default();
        let folder =
            environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"DC_RUN_DIR="));
        if let Some(folder) = folder.map(|folder| Path::new(OsStr::from_bytes(folder)))
            && self.is_run(folder)
        {
            return Ok(Some((run_of(folder), false)));
        }
        let folder = readable(fs::read_link(format!("/proc/{pid}/cwd")))?;
        if title.starts_with(b"dcm shim ")
            && let Some(folder) = folder.map(without_deleted)
            && self.is_run(&folder)
        {
            return Ok(Some((run_of(&folder), true)));
        }
        self.holder(pid, title.starts_with(b"dcm"))
    }

    fn run_of_cgroup(&self, group: &Path) -> Option<RunId> {
        let cgroups = OsStr::new(self.cgroups.as_ref()?);
        group.iter().skip_while(|name| *name != cgroups).nth(1)?.to_str()?.parse().ok()
    }

    fn is_run(&self, folder: &Path) -> bool {
        let Some(parent) = folder.parent() else { return false };
        parent == self.runs || self.place.is_some() && place_of(parent).is_ok_and(|place| place == self.place)
    }

    fn holder(&self, pid: u32, is_own: bool) -> io::Result<Option<(Option<RunId>, bool)>> {
        let mut found = None;
        let Some(descriptors) = readable(fs::read_dir(format!("/proc/{pid}/fd")))? else { return Ok(None) };
        for descriptor in descriptors {
            let Some(descriptor) = readable(descriptor)? else { break };
            let Some(file) = readable(fs::read_link(descriptor.path()))?.map(without_deleted) else {
                continue;
            };
            let folder = file.parent().filter(|folder| file.ends_with("journal") && self.is_run(folder));
            if (folder.is_some() || file == self.lock) && is_flocked(pid, &descriptor.file_name())? {
                // Whoever holds the lock of the state directory is its manager.
                let Some(folder) = folder else { return Ok(None) };
                found = Some((run_of(folder), is_own));
            }
        }
        Ok(found)
    }
}

fn run_of(folder: &Path) -> Option<RunId> {
    folder.file_name()?.to_str()?.parse().ok()
}

fn without_deleted(path: PathBuf) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    bytes.strip_suffix(DELETED).map(|bytes| PathBuf::from(OsStr::from_bytes(bytes))).unwrap_or(path)
}

impl Member {
    /// Asks it to end, also when it stands still.
    pub(in crate::process) fn ask_to_end(&self) -> io::Result<()> {
        signal_process(self.process, Signal::SIGTERM)?;
        signal_process(self.process, Signal::SIGCONT)
    }

    pub(in crate::process) fn kill(&self) -> io::Result<()> {
        signal_process(self.process, Signal::SIGKILL)
    }

    pub(in crate::process) fn is_alive(&self) -> io::Result<bool> {
        is_alive(self.process)
    }
}
