//! A shell on the terminal of the console, while the console and the manager in it go on.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::msg::Msg;
use crate::process::{run_in_front, wake_reader};

/// The reader of keys comes back at once; if it does not, keys would go to two programs.
const COMES_BACK: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Closed,
    /// Closed, and the reader waits for it to open.
    Parked,
}

/// Whether keys are read.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate(Arc<(Mutex<State>, Condvar)>);

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called by the reader between two keys: waits while the gate is closed.
    pub(super) fn pass(&self) {
        let mut state = self.state();
        while *state != State::Open {
            *state = State::Parked;
            self.0.1.notify_all();
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// `false` if the reader does not come back; then it is as it was.
    fn close(&self) -> bool {
        *self.state() = State::Closed;
        let is_woken = wake_reader().is_ok();
        let wait = if is_woken { COMES_BACK } else { Duration::ZERO };
        let is_on_the_way = |state: &mut State| *state != State::Parked;
        let waited = self.0.1.wait_timeout_while(self.state(), wait, is_on_the_way);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *state == State::Parked {
            return true;
        }
        *state = State::Open;
        false
    }

    fn open(&self) {
        *self.state() = State::Open;
        self.0.1.notify_all();
    }
}

/// The shell.
pub(super) struct Shell {
    program: PathBuf,
    gate: Gate,
    messages: Sender<Msg>,
    /// It has the terminal.
    pub(super) is_open: bool,
}

impl Shell {
    pub(super) fn new(program: PathBuf, gate: Gate, messages: Sender<Msg>) -> Self {
        Self { program, gate, messages, is_open: false }
    }

    /// Starts it; `leave` gives it the terminal. Its end is a message.
    pub(super) fn open(&mut self, leave: impl FnOnce()) {
        let (program, gate, messages) = (self.program.clone(), self.gate.clone(), self.messages.clone());
        if !gate.close() {
            let why = "no shell can be opened on this terminal".to_owned();
            // This console takes the message, so it is there.
            let _ = messages.send(Msg::Back(Some(why)));
            return;
        }
        leave();
        self.is_open = true;
        let run = move || {
            let remark = run_in_front(&program).err().map(|error| format!("{}: {error}", program.display()));
            gate.open();
            let _ = messages.send(Msg::Back(remark));
        };
        if let Err(error) = std::thread::Builder::new().name("dcm-shell".to_owned()).spawn(run) {
            self.gate.open();
            let _ = self.messages.send(Msg::Back(Some(error.to_string())));
        }
    }
}
