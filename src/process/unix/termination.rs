//! Signals that ask this process to end.

use std::io;

use nix::sys::signal::{SigSet, Signal};

/// Calls `act` for the first TERM or INT. A second one ends the process at once, with the exit code
/// that a shell shows for a signal. HUP is noted and nothing else: a manager outlives the terminal
/// that it was started from. To be called before there are other threads.
pub(in crate::process) fn on_termination(act: impl FnOnce(i32) + Send + 'static) -> io::Result<()> {
    let mut set = SigSet::empty();
    set.extend([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    set.thread_block()?;
    std::thread::Builder::new().name("dcm-signals".to_owned()).spawn(move || {
        let mut act = Some(act);
        while let Ok(signal) = set.wait() {
            match (signal, act.take()) {
                (Signal::SIGHUP, waiting) => act = waiting,
                (signal, Some(act)) => act(signal as i32),
                (signal, None) => std::process::exit(128 + signal as i32),
            }
        }
    })?;
    Ok(())
}
