//! The nursery: a small process that makes shims by forking itself.
//!
//! To execute this program again for each run would cost more than the app's own start: loading and
//! linking it, and the questions that the C library asks of the CPU. The nursery has done all that
//! once. It has one thread, so that a fork of it is whole; it ends with its manager, and its shims
//! do not notice.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};
use nix::unistd::ForkResult;

use super::{cgroup, reaper, ring, shim, title};
use crate::model::{Obstacle, StartFailure};
use crate::process::launch::withheld_variables;
use crate::process::layout::RunDir;
use crate::process::record::{ExitRecord, Fact};
use crate::process::{clock, journal};

/// The longest path of a run directory.
const PATH_MAX: usize = 4096;

/// A handle to the nursery, which is started with the first shim, and again if it was killed.
pub(in crate::process) struct Nursery {
    socket: Mutex<Option<OwnedFd>>,
}

impl Nursery {
    pub(in crate::process) fn new() -> Self {
        Self { socket: Mutex::new(None) }
    }

    /// Makes a shim for a run directory; the journal goes with it, and so does its lock. A shim that
    /// cannot be made leaves the lock free.
    pub(in crate::process) fn start_shim(&self, dir: &RunDir, journal: &File) -> io::Result<()> {
        let path = std::fs::canonicalize(dir.path())?;
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = socket.as_ref()
            && send(open, &path, journal).is_ok()
        {
            return Ok(());
        }
        let fresh = begin()?;
        send(&fresh, &path, journal)?;
        *socket = Some(fresh);
        Ok(())
    }
}

fn begin() -> io::Result<OwnedFd> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    // The program that runs now, even if its file was replaced by an upgrade.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("dcm").args(["shim", "--nursery", title::ROOM]);
    for name in withheld_variables() {
        command.env_remove(name);
    }
    reaper::spawn(command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null()))?;
    Ok(ours)
}

fn send(socket: &OwnedFd, path: &Path, journal: &File) -> io::Result<()> {
    let bytes = [IoSlice::new(path.as_os_str().as_bytes())];
    let fds = [journal.as_raw_fd()];
    sendmsg::<()>(
        socket.as_raw_fd(),
        &bytes,
        &[ControlMessage::ScmRights(&fds)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// `dcm shim --nursery`: goes on until the manager is gone.
pub(in crate::process) fn main() -> ExitCode {
    let _ = nix::unistd::setsid();
    super::close_inherited();
    title::set("dcm nursery");
    // Shims that have ended are nobody's zombies. They themselves set this back.
    // SAFETY: no handler is set.
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
    let mut path = [0; PATH_MAX];
    // Where cgroups are made, once that is known.
    let mut folder: Option<Option<PathBuf>> = None;
    loop {
        match receive(&mut path) {
            Ok(Some((length, journal))) => {
                let path = Path::new(OsStr::from_bytes(&path[..length]));
                let folder = folder.get_or_insert_with(|| cgroup::folder(path.ancestors().nth(2)?));
                let group = folder.as_deref().and_then(|folder| cgroup::make(folder, path.file_name()?));
                // SAFETY: this process has one thread, so the child has all that it needs.
                match unsafe { cgroup::fork(group.as_deref()) } {
                    Ok(ForkResult::Child) => return shim_of(path, journal, group),
                    Ok(ForkResult::Parent { .. }) => {}
                    Err(errno) => refuse(path, journal, errno.into()),
                }
            }
            Ok(None) => return ExitCode::SUCCESS,
            Err(_) => return ExitCode::FAILURE,
        }
    }
}

/// Puts on record that a run has no shim. Without that record the manager sees a free lock and no beginning.
fn refuse(path: &Path, mut journal: File, error: io::Error) {
    let message = format!(
        "the host could not fork a process: {error} (out of memory, or of processes: ulimit -u, pid_max)"
    );
    let failure = StartFailure { obstacle: Obstacle::HostExhausted, message };
    let _ = journal::append(
        &mut journal,
        &Fact::Exit(ExitRecord::of_failed_start(failure.into(), clock::wall())),
    );
    drop(journal);
    if let Ok(Some(journal)) = journal::read(&RunDir::new(path.to_owned())) {
        ring(&journal.spec.doorbell, &journal.spec.run);
    }
}

fn shim_of(path: &Path, journal: File, cgroup: Option<PathBuf>) -> ExitCode {
    // The socket is the nursery's.
    let null = File::open("/dev/null").and_then(|null| Ok(nix::unistd::dup2_stdin(null.as_fd())?));
    if null.is_err() {
        return ExitCode::FAILURE;
    }
    shim::main(path, Some(journal), cgroup)
}

/// `None` when there is nobody to receive from any more.
fn receive(path: &mut [u8]) -> io::Result<Option<(usize, File)>> {
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let mut bytes = [IoSliceMut::new(path)];
    let message = loop {
        match recvmsg::<()>(0, &mut bytes, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(nix::errno::Errno::EINTR) => {}
            result => break result?,
        }
    };
    if message.bytes == 0 {
        return Ok(None);
    }
    let fd = message.cmsgs()?.find_map(|part| {
        if let ControlMessageOwned::ScmRights(fds) = part { fds.first().copied() } else { None }
    });
    match fd {
        // SAFETY: the kernel has just made this descriptor for us.
        Some(fd) => Ok(Some((message.bytes, File::from(unsafe { OwnedFd::from_raw_fd(fd) })))),
        None => Err(io::Error::other("a message without a journal")),
    }
}
