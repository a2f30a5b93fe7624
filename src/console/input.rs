//! What happens outside of the console and is told to it: keys, sizes, signals, answers of the terminal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use crossterm::event::Event;

use super::msg::Msg;
use super::shell::Gate;
use super::terminal::{Heard, Keys};
use super::world::Focus;
use crate::process::{Job, TerminalInput, clock, on_job_control, read_terminal};

/// Who reads the terminal. It goes on for as long as that is there.
pub(super) struct Input {
    pub(super) thread: JoinHandle<()>,
    /// Whether an answer of the terminal is awaited.
    pub(super) awaits: Arc<AtomicBool>,
    /// Whether it may read.
    pub(super) gate: Gate,
}

impl Input {
    pub(super) fn spawn(messages: Sender<Msg>) -> io::Result<Self> {
        let jobs = messages.clone();
        on_job_control(move |job| {
            let _ = jobs.send(match job {
                Job::Stop => Msg::Stop,
                Job::Continue => Msg::Continued,
                Job::HangUp => Msg::HungUp,
            });
        })?;
        let (awaits, gate) = (Arc::<AtomicBool>::default(), Gate::default());
        let (is_awaiting, passed) = (Arc::clone(&awaits), gate.clone());
        let (mut keys, mut heard) = (Keys::default(), Vec::new());
        let thread = read_terminal(move |input| {
            match input {
                TerminalInput::Bytes(bytes) => keys.take(bytes, &mut heard),
                TerminalInput::Quiet => keys.quiet(&mut heard),
                TerminalInput::Event(event) => heard.push(Heard::Event(event)),
                TerminalInput::Resized => {
                    let size = crossterm::terminal::size().ok();
                    heard.extend(size.map(|(columns, rows)| Heard::Event(Event::Resize(columns, rows))));
                }
                TerminalInput::Gone => {
                    let _ = messages.send(Msg::HungUp);
                }
            }
            for heard in heard.drain(..).map(told) {
                // A console that has ended hears nothing; the next one does.
                let _ = messages.send(heard);
            }
            passed.pass();
            keys.patience(is_awaiting.load(Ordering::Relaxed))
        })?;
        Ok(Self { thread, awaits, gate })
    }
}

fn told(heard: Heard) -> Msg {
    match heard {
        Heard::Event(Event::Key(key)) => Msg::Key(key),
        Heard::Event(Event::Paste(text)) => Msg::Paste(text),
        Heard::Event(Event::Resize(columns, rows)) => Msg::Resize(columns, rows),
        Heard::Event(Event::FocusGained) => Msg::Focus(Focus::Here),
        Heard::Event(Event::FocusLost) => Msg::Focus(Focus::Elsewhere),
        Heard::Event(Event::Mouse(event)) => Msg::Mouse(event),
        Heard::Answer(answer) => Msg::Heard(answer, clock::boot_time()),
    }
}
