//! The terminal: taken in, and given back on every way out.

use std::io::{self, BufWriter, Stdout, Write as _};
use std::mem::ManuallyDrop;

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::Frame;
use ratatui::backend::CrosstermBackend;

/// A frame is written in one piece, so that a slow link does not show half of one.
const BUFFER: usize = 64 * 1024;

/// The terminal while the console has it. Dropping it gives it back.
pub(super) struct Terminal {
    /// Never dropped: its own way out prints to standard error, and panics if that is gone too.
    inner: ManuallyDrop<ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>>,
}

impl Terminal {
    /// Takes the terminal. A panic from now on gives it back before anything is printed.
    ///
    /// # Errors
    /// When there is no terminal.
    pub(super) fn take() -> io::Result<Self> {
        enable_raw_mode()?;
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)
            .inspect_err(|_| give_back())?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(BUFFER, io::stdout()));
        let inner = ratatui::Terminal::new(backend).inspect_err(|_| give_back())?;
        Ok(Self { inner: ManuallyDrop::new(inner) })
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.inner.backend_mut(), BeginSynchronizedUpdate)?;
        self.inner.draw(draw)?;
        queue!(self.inner.backend_mut(), EndSynchronizedUpdate)?;
        self.inner.backend_mut().flush()
    }

    /// Forgets what is on the screen.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.inner.clear()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
        // Nothing is drawn any more, so there is nothing to give back; while panicking, the hook is
        // at work and cannot be changed.
        if !std::thread::panicking() {
            let _ = std::panic::take_hook();
        }
    }
}

/// As it was found. What fails here cannot be told anybody.
fn give_back() {
    let _ = execute!(io::stdout(), cursor::Show, DisableBracketedPaste, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}
