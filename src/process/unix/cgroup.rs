//! One control group (version 2) a run, where this process may make some: what is started in it stays in
//! it, whatever it does to its environment, session and descriptors.
//!
//! Limits need controllers, and a cgroup that hands them down may hold no processes: systemd 252 cannot restart a unit whose
//! own cgroup does. So they are used only where dcm runs in a cgroup below one that was delegated to it
//! (`Delegate=yes` with `DelegateSubgroup=`, systemd 254). Where there is no cgroup2 file system, or no right to it,
//! nothing here does anything, and runs go without.

mod limits;

use std::collections::BTreeSet;
use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::poll::poll;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};

use super::process::{start_of, unless_gone};
use super::tree;
use crate::model::RunId;
use crate::process::layout::StateDir;
use crate::process::record::Identity;

pub(super) use limits::{kill_together, limit};

/// A child goes into the cgroup of this descriptor (`man 2 clone3`).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// How often a cgroup is tried to be removed whose processes were killed, and the pause between.
const TRIES_MAX: usize = 10;
const TRY_AGAIN_MS: u8 = 2;

/// Where the cgroups of the runs of a state directory are made: beside the cgroup of this process where they can have
/// limits there, else in it.
pub(in crate::process) fn folder(state: &Path) -> Option<PathBuf> {
    let own = own()?;
    let place = limits::place(&own, is_delegated).unwrap_or(own);
    Some(place.join(folder_name(state).ok()?))
}

/// What limits cannot be held by the kernel in the cgroups of runs, as a remark for people; `None` if both can.
pub(in crate::process) fn without_limits() -> Option<&'static str> {
    let Some(own) = own() else { return Some("there is no cgroup v2 here") };
    match limits::place(&own, is_delegated) {
        Some(place) => limits::missing(&place),
        None => Some(
            "no cgroup with controllers is delegated to dcm (systemd 254: Delegate=yes, DelegateSubgroup=manager)",
        ),
    }
}

/// Whether systemd has given a cgroup, and what is below it, to a service.
fn is_delegated(cgroup: &Path) -> bool {
    let Ok(path) = CString::new(cgroup.as_os_str().as_bytes()) else { return false };
    [c"user.delegate", c"trusted.delegate"].into_iter().any(|name| {
        let mut value = [0_u8; 2];
        // SAFETY: the texts end with NUL, and the kernel writes at most as much as there is room.
        let length =
            unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
        length == 1 && value[0] == b'1'
    })
}

/// How the folder of a state directory is called, wherever it is.
pub(super) fn folder_name(state: &Path) -> io::Result<String> {
    let place = fs::metadata(state)?;
    Ok(format!("dcm-{:x}-{:x}", place.dev(), place.ino()))
}

/// The cgroup of this process, as a directory.
pub(in crate::process) fn own() -> Option<PathBuf> {
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    let groups = fs::read("/proc/self/cgroup").ok()?;
    own_of(&mounts, &groups)
}

/// By type: the mount may be anywhere.
fn own_of(mounts: &[u8], groups: &[u8]) -> Option<PathBuf> {
    let group = lines(groups).find_map(|line| line.strip_prefix(b"0::"))?;
    lines(mounts).find_map(|mount| {
        let (mut fields, rest) = {
            let at = mount.windows(3).position(|window| window == b" - ")?;
            (mount[..at].split(|byte| *byte == b' ').skip(3), &mount[at + 3..])
        };
        if rest.split(|byte| *byte == b' ').next()? != b"cgroup2" {
            return None;
        }
        let (root, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
        let below = Path::new(OsStr::from_bytes(group)).strip_prefix(OsStr::from_bytes(&root)).ok()?;
        Some(Path::new(OsStr::from_bytes(&point)).join(below))
    })
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n')
}

/// Blanks, line feeds and backslashes come as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        text.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    text
}

/// Makes the cgroup of a run; `None` where that cannot be.
pub(super) fn make(folder: &Path, run: &OsStr) -> Option<PathBuf> {
    let path = folder.join(run);
    let made = match fs::create_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(folder).and_then(|()| {
            limits::hand_down(folder);
            fs::create_dir(&path)
        }),
        made => made,
    };
    made.ok().map(|()| path)
}

/// Forks this process into a cgroup, or where it is, if there is none or it cannot be.
///
/// # Safety
/// As for `fork`: this process must have one thread.
pub(super) unsafe fn fork(cgroup: Option<&Path>) -> nix::Result<ForkResult> {
    let opened = cgroup.and_then(|path| {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        File::options().read(true).custom_flags(flags).open(path).ok()
    });
    if let Some(directory) = opened {
        // SAFETY: all of it is integers and null pointers.
        let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
        arguments.flags = CLONE_INTO_CGROUP;
        arguments.exit_signal = u64::from(Signal::SIGCHLD as u32);
        arguments.cgroup = u64::from(directory.as_raw_fd().unsigned_abs());
        let size = size_of::<libc::clone_args>();
        // SAFETY: the kernel reads the arguments, which are there; without a stack and without sharing
        // memory the child is a copy of this process as after `fork`.
        match unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size) } {
            0 => return Ok(ForkResult::Child),
            pid @ 1.. => {
                let child = Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
                return Ok(ForkResult::Parent { child });
            }
            // An old kernel, a filter of system calls, a cgroup that is not ours after all.
            _ => {}
        }
    }
    // SAFETY: the caller says that there is one thread.
    unsafe { nix::unistd::fork() }
}

/// Moves a process into a cgroup. What it has started until then stays outside.
pub(super) fn take_in(cgroup: &Path, pid: u32) {
    let _ = fs::write(cgroup.join("cgroup.procs"), pid.to_string());
}

/// The processes in a cgroup and in those that they made below it, without this one.
///
/// # Errors
/// When they cannot be seen: then there may be some.
pub(super) fn members(cgroup: &Path) -> io::Result<Vec<Identity>> {
    let mut found = Vec::new();
    let Some(text) = unless_gone(fs::read_to_string(cgroup.join("cgroup.procs")))? else { return Ok(found) };
    for pid in text.lines().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid != std::process::id()) {
        found.extend(start_of(pid)?.map(|start| Identity { pid, start }));
    }
    for below in below(cgroup)? {
        found.extend(members(&below)?);
    }
    Ok(found)
}

fn below(cgroup: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(entries) = unless_gone(fs::read_dir(cgroup))? else { return Ok(Vec::new()) };
    let folders =
        entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(folders.map(|entry| entry.path()).collect())
}

/// Kills all of a run but its shim, which has to write down how it ended.
pub(in crate::process) fn kill(cgroup: &Path, shim: Identity) -> io::Result<usize> {
    tree::kill_all(|| {
        let mut found = members(cgroup)?;
        found.retain(|process| *process != shim);
        Ok(found)
    })
}

/// Removes the cgroup of a run that is over; what is left in it is killed.
///
/// # Errors
/// When it is not empty yet.
pub(in crate::process) fn end(cgroup: &Path) -> io::Result<()> {
    empty_and_remove(cgroup)?;
    // The last one takes the folder along; one that is started meanwhile makes it again.
    let _ = cgroup.parent().map(fs::remove_dir);
    Ok(())
}

fn empty_and_remove(cgroup: &Path) -> io::Result<()> {
    match remove(cgroup) {
        Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
            // From Linux 5.14 on; before, those that are found are killed one by one.
            if fs::write(cgroup.join("cgroup.kill"), "1").is_err() {
                tree::kill_all(|| members(cgroup))?;
            }
            // A killed process needs a moment to be gone; so does a shim that is about to end.
            let mut removed = remove(cgroup);
            for _ in 0..TRIES_MAX {
                if removed.is_ok() {
                    break;
                }
                let _ = poll(&mut [], TRY_AGAIN_MS);
                removed = remove(cgroup);
            }
            removed
        }
        result => result,
    }
}

/// From below: a cgroup with others in it cannot be removed.
fn remove(cgroup: &Path) -> io::Result<()> {
    match unless_gone(fs::remove_dir(cgroup)) {
        Ok(_) => Ok(()),
        Err(error) => {
            for below in below(cgroup)? {
                remove(&below)?;
            }
            unless_gone(fs::remove_dir(cgroup)).map(drop).map_err(|_| error)
        }
    }
}

/// Ends the cgroups that a manager before this one has left behind, of runs that are over.
pub(in crate::process) fn sweep(state: &StateDir, living: &BTreeSet<RunId>) {
    let (Some(own), Ok(name)) = (own(), folder_name(state.path())) else { return };
    // A manager before this one may have had another place for them.
    let beside = limits::place(&own, is_delegated);
    for folder in beside.into_iter().chain([own]).map(|place| place.join(&name)) {
        for cgroup in below(&folder).unwrap_or_default() {
            let run = cgroup.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<RunId>().ok());
            let is_over = |run: &RunId| {
                !living.contains(run) && matches!(state.run(*run).path().try_exists(), Ok(false))
            };
            if run.is_some_and(|run| is_over(&run)) {
                let _ = end(&cgroup);
            }
        }
        let _ = fs::remove_dir(&folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_cgroup_is_found_wherever_it_is_mounted() {
        let hybrid = b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        let groups = b"4:memory:/x\n0::/system.slice/dcm.service\n";
        let expected = Path::new("/sys/fs/cgroup/unified/system.slice/dcm.service");
        assert_eq!(own_of(hybrid, groups).as_deref(), Some(expected));
        let of_a_container = b"9 8 0:38 /docker/1 /odd\\040place rw - cgroup2 cgroup rw\n";
        assert_eq!(own_of(of_a_container, b"0::/docker/1\n").as_deref(), Some(Path::new("/odd place/")));
        assert_eq!(own_of(of_a_container, b"0::/elsewhere\n"), None);
        assert_eq!(own_of(b"31 23 0:28 / /x rw - cgroup cgroup rw,cpu\n", b"0::/\n"), None);
        assert_eq!(own_of(hybrid, b"4:memory:/x\n"), None);
    }
}
