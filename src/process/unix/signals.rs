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

/// Unblocks every signal and gives each its default action, as a program expects that was started
/// from a terminal. Whoever started dcm may have left it otherwise; a blocked or ignored signal is
/// inherited by everything that is started from here, and a blocked TERM would not end a manager.
///
/// To be called while there is one thread: each has a mask of its own.
pub(in crate::process) fn reset() {
    let _ = SigSet::all().thread_unblock();
    for number in 1..=libc::SIGRTMAX() {
        // Rust wants SIGPIPE ignored, and does not hand that down.
        if number != libc::SIGPIPE {
            // SAFETY: no handler is set. KILL, STOP and the signals of the C library refuse.
            unsafe { libc::signal(number, libc::SIG_DFL) };
        }
    }
}

/// The same, but leaves HUP ignored where it is: that is how `nohup` asks to outlive a terminal.
pub(in crate::process) fn reset_inherited() {
    let ignores_hangup = is_ignored(libc::SIGHUP);
    reset();
    if ignores_hangup {
        let _ = set(Signal::SIGHUP, SigHandler::SigIgn);
    }
}

/// Whether this process ignores a signal.
pub(super) fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only writes the present one to where there is room for it.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
