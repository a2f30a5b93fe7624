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

/// The pipe's end that the handler writes to; -1 while there is none.
static PIPE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn note(signal: libc::c_int) {
    let errno = Errno::last_raw();
    let byte = u8::try_from(signal).unwrap_or(0);
    // SAFETY: write is allowed in a handler; the byte lives on this stack. A full pipe loses the
    // number, but then there is enough to wake the reader.
    unsafe { libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1) };
    Errno::set_raw(errno);
}

/// Begins to note these signals; gives back the pipe from which their numbers are read without
/// blocking. To be called once in a process.
pub(in crate::process) fn catch(signals: &[Signal]) -> io::Result<File> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    PIPE.store(write.as_raw_fd(), Ordering::Relaxed);
    // The handler needs it for as long as the process lives.
    std::mem::forget::<OwnedFd>(write);
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in signals {
        // SAFETY: the handler only calls what is allowed in one.
        unsafe { sigaction(*signal, &action)? };
    }
    Ok(File::from(read))
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
