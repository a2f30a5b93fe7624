//! Processes by their number and start. What cannot be read is an error, never an absent process.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::process::record::Identity;

/// How often the start of a child is asked for while the host has no descriptor left, and the pause between.
const TRIES_MAX: u32 = 100;
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// This process.
///
/// # Errors
/// When `/proc` cannot be read.
pub(super) fn own_identity() -> io::Result<Identity> {
    let pid = std::process::id();
    let start =
        stat_of(pid)?.map(|stat| stat.start).ok_or_else(|| io::Error::other("/proc is not mounted"))?;
    Ok(Identity { pid, start })
}

/// A child of this process that is not reaped yet. Its process exists, so a failed look is repeated; in the end
/// it gets a start that no process has.
pub(super) fn identity_of_child(pid: u32) -> Identity {
    for _ in 0..TRIES_MAX {
        match stat_of(pid) {
            Ok(stat) => return Identity { pid, start: stat.map_or(0, |stat| stat.start) },
            Err(_) => {
                let _ = poll(&mut [], PollTimeout::try_from(TRY_AGAIN).unwrap_or(PollTimeout::ZERO));
            }
        }
    }
    Identity { pid, start: 0 }
}

/// Whether the process lives, and is the one that was meant. A zombie does not live.
///
/// # Errors
/// When that cannot be seen.
pub(in crate::process) fn is_alive(identity: Identity) -> io::Result<bool> {
    Ok(start_of(identity.pid)? == Some(identity.start))
}

/// When a living process began, in clock ticks since boot; `None` when there is no such process.
pub(super) fn start_of(pid: u32) -> io::Result<Option<u64>> {
    Ok(stat_of(pid)?.filter(|stat| stat.is_alive).map(|stat| stat.start))
}

/// A process, also one that has ended and is not reaped yet.
pub(super) fn identity_of_ended(pid: u32) -> Option<Identity> {
    let stat = stat_of(pid).ok()??;
    Some(Identity { pid, start: stat.start })
}

struct Stat {
    start: u64,
    is_alive: bool,
}

fn stat_of(pid: u32) -> io::Result<Option<Stat>> {
    let mut bytes = [0; 1024];
    let read = File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut bytes));
    let Some(length) = unless_gone(read)? else { return Ok(None) };
    let invalid =
        || io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat is not understood"));
    parse(&bytes[..length]).ok_or_else(invalid).map(Some)
}

fn parse(stat: &[u8]) -> Option<Stat> {
    // The name of the program comes second, in brackets, and may hold anything.
    let rest = &stat[stat.iter().rposition(|byte| *byte == b')')? + 1..];
    let mut fields = std::str::from_utf8(rest).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?.parse().ok()?;
    Some(Stat { start, is_alive: !matches!(state, "Z" | "X" | "x") })
}

/// The result of a look into `/proc`, or `None` where it says that the process has ended. Any other error
/// stays one.
pub(super) fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A handle to a process. Its number may be another's one day, the handle may not.
pub(super) struct ProcessHandle(OwnedFd);

impl ProcessHandle {
    /// Opens a process and makes sure that it is the one that is meant; `None` when it has ended.
    ///
    /// # Errors
    /// When no handle can be had, for want of descriptors for example.
    pub(super) fn open(identity: Identity) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(identity.pid).ok().filter(|pid| *pid > 0) else { return Ok(None) };
        // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
        let Some(fd) = unless_gone(if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) })? else {
            return Ok(None);
        };
        // SAFETY: the kernel has just made this descriptor, and nobody else owns it.
        let handle = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        // The number was right at some time after the handle was there, so the handle is right.
        Ok(is_alive(identity)?.then_some(handle))
    }

    /// Sends a signal; a process that has ended needs none.
    fn signal(&self, signal: Signal) -> io::Result<()> {
        // SAFETY: pidfd_send_signal reads no memory when its third argument is null.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal as libc::c_int,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        unless_gone(if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }).map(drop)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends a signal to one process, if it is the one that is meant. One that has ended needs none.
///
/// # Errors
/// When the system refuses, for example since the process is another user's.
pub(super) fn signal_process(identity: Identity, signal: Signal) -> io::Result<()> {
    match ProcessHandle::open(identity) {
        Ok(Some(handle)) => handle.signal(signal),
        Ok(None) => Ok(()),
        // Without a handle, what was read a moment ago must do: its number is hardly another's by now.
        Err(_) if is_alive(identity)? => {
            let pid = Pid::from_raw(i32::try_from(identity.pid).map_err(io::Error::other)?);
            match nix::sys::signal::kill(pid, signal) {
                Ok(()) | Err(Errno::ESRCH) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        Err(_) => Ok(()),
    }
}

/// Takes note of the end of a child, so that it is no zombie. `None`: no child of ours has ended.
pub(super) fn reap(pid: Option<Pid>) -> Option<WaitStatus> {
    loop {
        return match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => None,
            Ok(status) => Some(status),
            Err(Errno::EINTR) => continue,
            Err(_) => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_another_of_its_number_does_not() {
        let own = own_identity().unwrap();
        assert!(is_alive(own).unwrap());
        assert!(!is_alive(Identity { start: own.start + 1, ..own }).unwrap());
        assert!(!is_alive(Identity { pid: u32::MAX, start: own.start }).unwrap());
        assert!(ProcessHandle::open(own).unwrap().is_some());
        assert!(ProcessHandle::open(Identity { start: 1, ..own }).unwrap().is_none());
    }

    #[test]
    fn only_what_the_system_calls_gone_is_gone() {
        for (code, is_gone) in [
            (libc::ENOENT, true),
            (libc::ESRCH, true),
            (libc::EMFILE, false),
            (libc::ENFILE, false),
            (libc::ENOMEM, false),
            (libc::EACCES, false),
            (libc::EIO, false),
        ] {
            let result = unless_gone::<()>(Err(io::Error::from_raw_os_error(code)));
            assert_eq!(matches!(result, Ok(None)), is_gone, "{code}");
        }
    }
}
