//! A panic of the program, told in one line that can be printed.

use std::backtrace::{Backtrace, BacktraceStatus};

use super::message;

/// From now on panics are reported as messages. The console has a hook of its own while it draws.
pub(in crate::cli) fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        message(format_args!("internal error in thread {thread} at {place}: {text}; please report it"));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            backtrace.to_string().lines().for_each(message);
        }
    }));
}
