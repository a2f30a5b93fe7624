//! Signals as something to be read: a handler writes their numbers into a pipe.
//!
//! Not by blocking them: a blocked signal stays blocked in the programs that are started, a handler
//! does not.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// For each signal the pipe's end that the handler writes to; -1 while there is none.
static PIPES: [AtomicI32; 65] = [const { AtomicI32::new(-1) }; 65];

extern "C" fn note(signal: libc::c_int) {
    let errno = Errno::last_raw();
    let byte = u8::try_from(signal).unwrap_or(0);
    if let Some(pipe) = PIPES.get(usize::from(byte)) {
        // SAFETY: write is allowed in a handler; the byte lives on this stack. A full pipe loses the
        // number, but then there is enough to wake the reader.
        unsafe { libc::write(pipe.load(Ordering::Relaxed), (&raw const byte).cast(), 1) };
    }
    Errno::set_raw(errno);
}

/// Begins to note these signals; gives back the pipe from which their numbers are read without
/// blocking. A signal goes to the pipe that asked for it last.
pub(in crate::process) fn catch(signals: &[Signal]) -> io::Result<File> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    for signal in signals {
        if let Some(pipe) = usize::try_from(*signal as i32).ok().and_then(|number| PIPES.get(number)) {
            pipe.store(write.as_raw_fd(), Ordering::Relaxed);
        }
        set(*signal, SigHandler::Handler(note))?;
    }
    // The handler needs it for as long as the process lives.
    std::mem::forget::<OwnedFd>(write);
    Ok(File::from(read))
}

fn set(signal: Signal, handler: SigHandler) -> io::Result<()> {
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler only calls what is allowed in one.
    unsafe { sigaction(signal, &action)? };
    Ok(())
}

/// Stops this process group, as ^z does where nobody catches it; returns when it goes on.
pub(in crate::process) fn stand_still() -> io::Result<()> {
    // Ours must not be noted, so it is not heard with the others but raised: a signal to this very
    // thread has arrived when the call returns.
    set(Signal::SIGTSTP, SigHandler::SigIgn)?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(0), Signal::SIGTSTP)?;
    set(Signal::SIGTSTP, SigHandler::SigDfl)?;
    nix::sys::signal::raise(Signal::SIGTSTP)?;
    set(Signal::SIGTSTP, SigHandler::Handler(note))
}

/// Does something to the terminal that would stop whoever is not in front.
pub(in crate::process) fn in_front(act: impl FnOnce()) -> io::Result<()> {
    set(Signal::SIGTTOU, SigHandler::SigIgn)?;
    act();
    set(Signal::SIGTTOU, SigHandler::SigDfl)
}

/// Nothing is blocked and nothing is ignored, as a program expects that was started from a terminal:
/// both would be handed down to the app.
pub(super) fn reset() {
    let _ = SigSet::empty().thread_set_mask();
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // Rust wants SIGPIPE ignored, and does not hand that down.
    for signal in Signal::iterator().filter(|signal| *signal != Signal::SIGPIPE) {
        // SAFETY: no handler is set. KILL and STOP refuse, which is as it should be.
        let _ = unsafe { sigaction(signal, &default) };
    }
}
