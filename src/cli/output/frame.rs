//! Frames of lines that take each other's place on a terminal.

use std::fmt::Write as _;
use std::io;
use std::sync::mpsc::Sender;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, poll, read};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use super::{terminal_size, write_raw};

/// The frame appears at once where the terminal can do that, no line is wrapped, and it begins at the top.
const BEGIN: &str = "\x1b[?2026h\x1b[?7l\x1b[H";

/// Nothing is left of a longer frame before.
const END: &str = "\x1b[J\x1b[?7h\x1b[?2026l";

/// How often the reader of keys looks whether it is still wanted.
const KEYS_EVERY: Duration = Duration::from_millis(100);

/// The size that is assumed of a terminal that does not tell.
const SIZE: (u16, u16) = (80, 24);

/// What a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Pressed {
    /// q, escape or ctrl-c.
    Quit,
    /// The terminal has another size.
    Resize,
}

/// The terminal while frames are drawn on it. The last frame stays there.
pub(in crate::cli) struct Screen(());

impl Screen {
    /// Takes the terminal, so that keys are not shown; what a person presses goes to `pressed`.
    ///
    /// # Errors
    /// When there is no terminal to read keys from.
    pub(in crate::cli) fn take(pressed: Sender<Pressed>) -> io::Result<Self> {
        enable_raw_mode()?;
        let screen = Self(());
        write_raw(b"\x1b[?25l\x1b[2J\x1b[H");
        std::thread::Builder::new().name("dcm-keys".to_owned()).spawn(move || {
            while let Ok(is_there) = poll(KEYS_EVERY) {
                let event = if is_there { read().ok().and_then(|event| meaning(&event)) } else { None };
                if event.is_some_and(|event| pressed.send(event).is_err()) {
                    break;
                }
            }
        })?;
        Ok(screen)
    }

    /// Draws lines, which may have colours; as many as fit, and a last one that counts the others. `false` once the
    /// terminal is gone.
    pub(in crate::cli) fn draw(_: &Self, head: &str, lines: &[&str], last: &[String]) -> bool {
        let height = usize::from(terminal_size().unwrap_or(SIZE).1);
        let room = height.saturating_sub(2 + last.len()).max(1);
        let mut shown: Vec<_> = std::iter::once(head).chain(lines.iter().copied().take(room)).collect();
        let more = format!("... {} more lines", lines.len().saturating_sub(room));
        if lines.len() > room {
            shown.push(&more);
        }
        shown.extend(last.iter().map(String::as_str));
        shown.truncate(height);
        let mut text = BEGIN.to_owned();
        for (at, line) in shown.iter().enumerate() {
            // Writing to a string cannot fail. A line feed after the last line would scroll.
            let _ = write!(text, "{}{line}\x1b[K", if at == 0 { "" } else { "\r\n" });
        }
        text.push_str(END);
        write_raw(text.as_bytes())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write_raw(b"\x1b[?25h\r\n");
        let _ = disable_raw_mode();
    }
}

fn meaning(event: &Event) -> Option<Pressed> {
    match event {
        Event::Resize(..) => Some(Pressed::Resize),
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            let is_control_c =
                key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            let is_quit = is_control_c || matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc);
            is_quit.then_some(Pressed::Quit)
        }
        Event::Key(_) | Event::FocusGained | Event::FocusLost | Event::Mouse(_) | Event::Paste(_) => None,
    }
}
