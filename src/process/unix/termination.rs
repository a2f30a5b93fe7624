//! Signals that ask this process to end, or to stand still.

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::signals;
use crate::process::Job;

/// Calls `act` for each TERM or INT. HUP is noted and nothing else: a manager outlives the terminal
/// that it was started from.
pub(in crate::process) fn on_each_termination(mut act: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    let caught = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    // With `nohup` it stays ignored, for `on_hangup` to see.
    let count = if signals::is_ignored(libc::SIGHUP) { 2 } else { 3 };
    let mut noted = signals::catch(&caught[..count])?;
    std::thread::Builder::new().name("dcm-signals".to_owned()).spawn(move || {
        let mut numbers = [0; 16];
        loop {
            let _ = poll(&mut [PollFd::new(noted.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
            let count = noted.read(&mut numbers).unwrap_or(0);
            numbers[..count]
                .iter()
                .copied()
                .map(i32::from)
                .filter(|number| *number != libc::SIGHUP)
                .for_each(&mut act);
        }
    })?;
    Ok(())
}

/// Calls `act` for each HUP from now on, unless HUP was ignored before anybody here asked for it. Those that come
/// while it acts are one.
pub(in crate::process) fn on_hangup(mut act: impl FnMut() + Send + 'static) -> io::Result<()> {
    if signals::is_ignored(libc::SIGHUP) {
        return Ok(());
    }
    let mut noted = signals::catch(&[Signal::SIGHUP])?;
    std::thread::Builder::new().name("dcm-hangup".to_owned()).spawn(move || {
        let mut numbers = [0; 64];
        loop {
            let _ = poll(&mut [PollFd::new(noted.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
            if noted.read(&mut numbers).is_ok_and(|count| count > 0) {
                act();
            }
        }
    })?;
    Ok(())
}

/// Calls `act` for TSTP, CONT and HUP.
pub(in crate::process) fn on_job_control(mut act: impl FnMut(Job) + Send + 'static) -> io::Result<()> {
    let mut noted = signals::catch(&[Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGHUP])?;
    std::thread::Builder::new().name("dcm-jobs".to_owned()).spawn(move || {
        let mut numbers = [0; 16];
        loop {
            let _ = poll(&mut [PollFd::new(noted.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
            let count = noted.read(&mut numbers).unwrap_or(0);
            for number in numbers[..count].iter().copied().map(i32::from) {
                act(match number {
                    libc::SIGCONT => Job::Continue,
                    libc::SIGHUP => Job::HangUp,
                    _ => Job::Stop,
                });
            }
        }
    })?;
    Ok(())
}
