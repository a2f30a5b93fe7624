//! A thread that writes to the terminal, so that nothing else waits for a slow one. A frame that
//! cannot be written yet is not drawn at all: a queue would show the past.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::process::clock;

/// The way to the terminal. Clones lead to the same one.
#[derive(Clone)]
pub(in crate::console) struct Writer(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// To be written.
    next: Vec<u8>,
    is_writing: bool,
    failed: Option<io::Error>,
    is_closed: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.next.is_empty() && !self.is_writing
    }
}

/// A frame is written in one piece; a larger one keeps no memory.
const KEPT_MAX: usize = 64 * 1024;

impl Writer {
    /// Begins to write to `out`.
    pub(in crate::console) fn spawn(out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let writer = Self(Arc::clone(&shared));
        std::thread::Builder::new().name("dcm-screen".to_owned()).spawn(move || shared.run(out))?;
        Ok(writer)
    }

    /// Whether all that was sent has been written.
    ///
    /// # Errors
    /// When writing has failed: the terminal is gone.
    pub(in crate::console) fn is_idle(&self) -> io::Result<bool> {
        let mut state = self.0.lock();
        match state.failed.take() {
            Some(error) => Err(error),
            None => Ok(state.is_idle()),
        }
    }

    /// Takes bytes to be written, and leaves room for the next ones in exchange.
    pub(in crate::console) fn send(&self, bytes: &mut Vec<u8>) {
        let mut state = self.0.lock();
        if state.next.is_empty() {
            std::mem::swap(&mut state.next, bytes);
        } else {
            state.next.append(bytes);
        }
        bytes.clear();
        self.0.changed.notify_all();
    }

    /// Waits until all is written, at most so long.
    pub(in crate::console) fn finish(&self, limit: Duration) {
        let deadline = clock::boot_time() + limit;
        let mut state = self.0.lock();
        while !state.is_idle() && state.failed.is_none() {
            let left = deadline.saturating_sub(clock::boot_time());
            if left.is_zero() {
                return;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// No more will be sent.
    pub(in crate::console) fn close(&self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut out: impl Write) {
        let mut bytes = Vec::with_capacity(KEPT_MAX);
        loop {
            let mut state = self.lock();
            while state.next.is_empty() {
                if state.is_closed {
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut state.next, &mut bytes);
            state.is_writing = true;
            drop(state);
            let written = out.write_all(&bytes).and_then(|()| out.flush());
            bytes.clear();
            bytes.shrink_to(KEPT_MAX);
            let mut state = self.lock();
            state.is_writing = false;
            if let Err(error) = written {
                state.failed = Some(error);
                state.next.clear();
            }
            self.changed.notify_all();
        }
    }
}
