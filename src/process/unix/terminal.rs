//! The terminal: what it sends, that it goes away, and the way to it.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::{reaper, signals};
use crate::process::TerminalInput;

/// Reads the terminal in a thread of its own. It ends with the terminal: whoever goes on reading then
/// gets nothing, at once and again and again, and takes all of a processor (crossterm issue 793).
pub(in crate::process) fn read_terminal(
    mut take: impl FnMut(TerminalInput<'_>) -> Option<Duration> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let terminal = terminal_input()?;
    let sizes = signals::catch(&[Signal::SIGWINCH])?;
    std::thread::Builder::new().name("dcm-keys".to_owned()).spawn(move || {
        let mut bytes = [0; 4096];
        let mut patience = None;
        loop {
            let mut fds = [
                PollFd::new(terminal.as_fd(), PollFlags::POLLIN),
                PollFd::new(sizes.as_fd(), PollFlags::POLLIN),
            ];
            let limit = patience.and_then(|patience| PollTimeout::try_from(patience).ok());
            let ready = match poll(&mut fds, limit.unwrap_or(PollTimeout::NONE)) {
                Err(Errno::EINTR) => continue,
                ready => ready.unwrap_or(1),
            };
            let has_news = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
            let [is_keyed, is_resized] = [has_news(&fds[0]), has_news(&fds[1])];
            if ready == 0 {
                patience = take(TerminalInput::Quiet);
            }
            if is_resized {
                // Many changes of the size are one.
                while matches!((&sizes).read(&mut bytes), Ok(1..)) {}
                patience = take(TerminalInput::Resized);
            }
            if is_keyed {
                patience = match (&terminal).read(&mut bytes) {
                    Ok(length @ 1..) => take(TerminalInput::Bytes(&bytes[..length])),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => patience,
                    Ok(0) | Err(_) => {
                        take(TerminalInput::Gone);
                        return;
                    }
                };
            }
        }
    })
}

/// Standard input, or where that is something else, the terminal of this process.
fn terminal_input() -> io::Result<File> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Ok(File::from(stdin.as_fd().try_clone_to_owned()?));
    }
    File::options().read(true).write(true).open("/dev/tty")
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
    let ended = reaper::status(&mut Command::new(program));
    signals::in_front(|| {
        let _ = nix::unistd::tcsetpgrp(io::stdin().as_fd(), nix::unistd::getpgrp());
    })?;
    ended
}
