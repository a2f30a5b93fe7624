//! Reaps every child of the manager: successors of killed shims, the nursery, and as process 1 of a container
//! or as a subreaper the orphans that fall to it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::process::identity_of_ended;
use super::shim::exit_of_status;
use super::{reap, signals};
use crate::model::Exit;
use crate::process::record::Identity;

/// Children whose exit status somebody in this process waits for. Held while a child is started, so that none
/// is reaped before its number is in here.
static WAITED_FOR: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// How the children ended that fell to this process, the latest last: apps whose shims were killed are among them.
static FOUNDLINGS: Mutex<VecDeque<(Identity, Exit)>> = Mutex::new(VecDeque::new());

/// The most ends that are kept. The successor of a shim records the end of its app within seconds.
const FOUNDLINGS_MAX: usize = 1024;

/// A child that is waited for hides those that ended after it until it is reaped, which takes a moment.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

fn waited_for() -> MutexGuard<'static, Vec<u32>> {
    WAITED_FOR.lock().unwrap_or_else(PoisonError::into_inner)
}

fn foundlings() -> MutexGuard<'static, VecDeque<(Identity, Exit)>> {
    FOUNDLINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a child ended that was reaped here.
pub(in crate::process) fn exit_of(process: Identity) -> Option<Exit> {
    foundlings().iter().rev().find(|(known, _)| *known == process).map(|(_, exit)| *exit)
}

/// Starts a child that the reaper reaps.
pub(super) fn spawn(command: &mut Command) -> io::Result<Child> {
    let _guard = waited_for();
    command.spawn()
}

/// Runs a child to its end and gives back how it ended.
pub(super) fn status(command: &mut Command) -> io::Result<ExitStatus> {
    let mut child = {
        let mut waited_for = waited_for();
        let child = command.spawn()?;
        waited_for.push(child.id());
        child
    };
    let status = child.wait();
    waited_for().retain(|pid| *pid != child.id());
    status
}

/// Reaps the children of this process from now on, in a thread of its own.
///
/// # Errors
/// When the system does not allow it.
pub(in crate::process) fn reap_children() -> io::Result<()> {
    let mut signalled = signals::catch(&[Signal::SIGCHLD])?;
    std::thread::Builder::new().name("dcm-reaper".to_owned()).spawn(move || {
        let mut numbers = [0; 64];
        loop {
            // Those that ended before the signal was caught, too.
            let pause = if reap_all() {
                PollTimeout::NONE
            } else {
                PollTimeout::try_from(LOOK_AGAIN).unwrap_or(PollTimeout::NONE)
            };
            let _ = poll(&mut [PollFd::new(signalled.as_fd(), PollFlags::POLLIN)], pause);
            while io::Read::read(&mut signalled, &mut numbers).is_ok_and(|count| count > 0) {}
        }
    })?;
    Ok(())
}

/// `false` when a child is left to whoever waits for it.
fn reap_all() -> bool {
    loop {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let ended = match waitid(Id::All, flags) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => pid,
            Err(Errno::EINTR) => continue,
            // None has ended, or there is none.
            Ok(_) | Err(_) => return true,
        };
        if !reap_unless_waited_for(ended) {
            return false;
        }
    }
}

fn reap_unless_waited_for(pid: Pid) -> bool {
    let waited_for = waited_for();
    if waited_for.iter().any(|waited_for| i32::try_from(*waited_for) == Ok(pid.as_raw())) {
        return false;
    }
    // Its number is free for another process once it is reaped.
    let process = u32::try_from(pid.as_raw()).ok().and_then(identity_of_ended);
    let exit = reap(Some(pid)).and_then(exit_of_status);
    if let (Some(process), Some(exit)) = (process, exit) {
        let mut foundlings = foundlings();
        if foundlings.len() == FOUNDLINGS_MAX {
            foundlings.pop_front();
        }
        foundlings.push_back((process, exit));
    }
    true
}
