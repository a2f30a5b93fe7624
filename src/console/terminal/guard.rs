//! The terminal: taken in, and given back on every way out.

use std::backtrace::Backtrace;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use super::writer::Writer;

/// The alternate screen; pasted text in brackets, so that it is never taken for keys; and word of
/// whether anybody looks.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?2004h\x1b[?1004h";

/// The end of a frame that was cut off, the whole screen to scroll, the pen, the cursor, the mouse, and
/// what was there before.
const LEAVE: &[u8] =
    b"\x1b[?2026l\x1b[r\x1b[m\x1b[?25h\x1b[?1006l\x1b[?1000l\x1b[?1004l\x1b[?2004l\x1b[?1049l";

/// A terminal that takes nothing for so long is left as it is.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

/// The threads of a console: a panic in another one is not its business.
const THREADS: [&str; 4] = ["main", "dcm-console", "dcm-keys", "dcm-screen"];

/// What is known of a panic.
#[derive(Debug, Clone)]
pub(in crate::console) struct Panic {
    pub(in crate::console) message: String,
    pub(in crate::console) place: String,
    pub(in crate::console) thread: String,
    pub(in crate::console) backtrace: String,
}

type Slot = Arc<Mutex<Option<Panic>>>;

/// The terminal while the console has it. Dropping it gives it back.
pub(in crate::console) struct Guard {
    writer: Writer,
    panic: Slot,
    /// What reported panics before.
    before: Option<Hook>,
}

type Hook = Box<dyn Fn(&std::panic::PanicHookInfo<'_>) + Send + Sync>;

impl Guard {
    /// Takes the terminal. A panic of the console from now on gives it back and is kept; one of
    /// another thread is logged, for its message would be written across the screen.
    ///
    /// # Errors
    /// When there is no terminal.
    pub(in crate::console) fn take(writer: Writer) -> io::Result<Self> {
        let mut guard = Self { writer, panic: Slot::default(), before: None };
        guard.enter()?;
        let (writer, slot) = (guard.writer.clone(), Arc::clone(&guard.panic));
        guard.before = Some(std::panic::take_hook());
        std::panic::set_hook(Box::new(move |info| {
            let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let message = said(info.payload()).to_owned();
            if !THREADS.contains(&thread.as_str()) {
                tracing::error!(thread, place, message, "a thread has panicked");
                return;
            }
            give_back(&writer);
            let backtrace = Backtrace::force_capture().to_string();
            let panic = Panic { message, place, thread, backtrace };
            // The first one is the cause of those that follow.
            slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }));
        Ok(guard)
    }

    /// Makes the terminal ready, whatever somebody else has made of it meanwhile.
    pub(in crate::console) fn enter(&self) -> io::Result<()> {
        // Raw mode that is on already would not be set again.
        let _ = disable_raw_mode();
        enable_raw_mode()?;
        self.writer.send(&mut ENTER.to_vec());
        Ok(())
    }

    /// Hears of the mouse, or leaves it to the terminal, which can then copy text as usual.
    pub(in crate::console) fn hear_mouse(&self, is_heard: bool) {
        let bytes = if is_heard { b"\x1b[?1000h\x1b[?1006h" } else { b"\x1b[?1006l\x1b[?1000l" };
        self.writer.send(&mut bytes.to_vec());
    }

    /// Gives the terminal back for a while.
    pub(in crate::console) fn leave(&self) {
        give_back(&self.writer);
    }

    /// A panic of the console, if there was one.
    pub(in crate::console) fn panic(&self) -> Option<Panic> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back(&self.writer);
        self.writer.close();
        // Nothing is drawn any more, so there is nothing to give back; while panicking, the hook is
        // at work and cannot be changed.
        if !std::thread::panicking()
            && let Some(before) = self.before.take()
        {
            std::panic::set_hook(before);
        }
    }
}

/// The text that a panic carries.
fn said(payload: &dyn std::any::Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// As it was found. What fails here cannot be told anybody.
fn give_back(writer: &Writer) {
    writer.finish(LEAVE_WITHIN);
    writer.send(&mut LEAVE.to_vec());
    writer.finish(LEAVE_WITHIN);
    let _ = disable_raw_mode();
}
