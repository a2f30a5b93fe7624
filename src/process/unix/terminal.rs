//! The terminal: notices when it goes away, and writes to it.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::signals;

/// Calls `act` when standard input hangs up. From then on it is a pipe that nobody writes to: a
/// reader of a terminal that is gone gets nothing, at once and again and again, and would take all
/// of a processor (crossterm issue 793).
pub(in crate::process) fn watch_terminal(act: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let (idle, keep) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    std::thread::Builder::new().name("dcm-terminal".to_owned()).spawn(move || {
        let stdin = io::stdin();
        loop {
            let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
            let _ = poll(&mut fds, PollTimeout::NONE);
            let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
            if fds[0].revents().is_some_and(|revents| revents.intersects(gone)) {
                let _ = nix::unistd::dup2_stdin(&idle);
                act();
                // The pipe stays open for as long as the process lives.
                std::mem::forget(keep);
                return;
            }
        }
    })?;
    Ok(())
}

pub(in crate::process) fn terminal_output() -> io::Result<Box<dyn io::Write + Send>> {
    // Not standard output itself, which would cut what is written into lines.
    Ok(Box::new(std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?)))
}

/// A reader of keys that hears of changed sizes wakes up.
pub(in crate::process) fn wake_reader() -> io::Result<()> {
    nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGWINCH)?;
    Ok(())
}

/// Runs a program on this terminal until it ends, and takes the terminal back. A shell with jobs puts
/// itself in front; one that was killed there leaves nobody in front, and whoever then sets the
/// terminal is stopped.
pub(in crate::process) fn run_in_front(program: &Path) -> io::Result<ExitStatus> {
    let ended = Command::new(program).status();
    signals::in_front(|| {
        let _ = nix::unistd::tcsetpgrp(io::stdin().as_fd(), nix::unistd::getpgrp());
    })?;
    ended
}
