//! The events of a console: what asks this process to end, and how an app is asked.

use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use windows_sys::Win32::System::Console::{
    AttachConsole, CTRL_BREAK_EVENT, CTRL_C_EVENT, DISABLE_NEWLINE_AUTO_RETURN,
    ENABLE_VIRTUAL_TERMINAL_PROCESSING, FreeConsole, GenerateConsoleCtrlEvent, GetConsoleMode, GetStdHandle,
    STD_OUTPUT_HANDLE, SetConsoleCtrlHandler, SetConsoleMode,
};

use super::check;
use crate::process::{Job, TerminalInput};

/// The numbers that other platforms have for these requests.
const INTERRUPT: i32 = 2;
const TERMINATE: i32 = 15;

type Act = Box<dyn FnMut(i32) + Send>;

/// Who is called; the system calls a function that has no other way to know.
static ACT: Mutex<Option<Act>> = Mutex::new(None);

/// Calls `act` for each request to end.
pub(in crate::process) fn on_each_termination(act: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    on_request(act)
}

/// Here keys are no bytes but records, which the library reads. A console that is closed asks this
/// process to end, and that is all that can be done: the system ends it some seconds later.
pub(in crate::process) fn read_terminal(
    mut take: impl FnMut(TerminalInput<'_>) -> Option<Duration> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("dcm-keys".to_owned()).spawn(move || {
        while let Ok(event) = crossterm::event::read() {
            take(TerminalInput::Event(event));
        }
    })
}

/// A console that is closed asks this process to end, like any other request.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(in crate::process) fn on_hangup(_act: impl FnMut() + Send + 'static) -> io::Result<()> {
    Ok(())
}

/// There are no jobs.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(in crate::process) fn on_job_control(_act: impl FnMut(Job) + Send + 'static) -> io::Result<()> {
    Ok(())
}

/// There are no jobs.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(in crate::process) fn stand_still() -> io::Result<()> {
    Ok(())
}

/// Whoever reads keys here cannot be made to pause.
pub(in crate::process) fn wake_reader() -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Not where keys cannot be left to another program.
pub(in crate::process) fn run_in_front(_program: &Path) -> io::Result<ExitStatus> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// The library turns UTF-8 into what the console takes. The console itself is told to understand
/// sequences, which it does since Windows 10.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(in crate::process) fn terminal_output() -> io::Result<Box<dyn io::Write + Send>> {
    let mut mode = 0;
    // SAFETY: the handle is that of the process, and the place for the mode lives on this stack.
    unsafe {
        let console = GetStdHandle(STD_OUTPUT_HANDLE);
        if GetConsoleMode(console, &raw mut mode) != 0 {
            SetConsoleMode(console, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING | DISABLE_NEWLINE_AUTO_RETURN);
        }
    }
    Ok(Box::new(io::stdout()))
}

/// Calls `act` for each request to end, instead of who was called before.
pub(super) fn on_request(act: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    *ACT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(act));
    // SAFETY: the function is there for as long as the process lives. Set twice, it is called once
    // more, so it is taken away first; that fails when it was not set.
    unsafe {
        SetConsoleCtrlHandler(Some(note), 0);
        check(SetConsoleCtrlHandler(Some(note), 1))
    }
}

unsafe extern "system" fn note(event: u32) -> i32 {
    let is_interrupt = matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT);
    if let Some(act) = ACT.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        act(if is_interrupt { INTERRUPT } else { TERMINATE });
    }
    if is_interrupt {
        return 1;
    }
    // With the return the process would end. Until the system has lost its patience the other threads
    // can end it in order.
    loop {
        std::thread::park();
    }
}

/// Asks this process to end, as the end of its session does.
pub(super) fn ask() {
    if let Some(act) = ACT.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        act(TERMINATE);
    }
}

/// Asks the processes of a group to end, as Ctrl+Break does. Those without a console do not hear it.
pub(super) fn ask_to_end(group: u32) {
    // SAFETY: the call takes two integers.
    unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, group) };
}

/// Shares the console of an app, so that it can be asked. If it has none, nothing is lost.
pub(super) fn share(app: u32) {
    // SAFETY: the calls take integers.
    unsafe {
        FreeConsole();
        AttachConsole(app);
    }
}
