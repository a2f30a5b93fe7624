//! A console without a terminal, a database and a clock: for benchmarks, pictures and tests. What it
//! draws goes through the same code as on a terminal.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;

use super::model::Model;
use super::msg::Msg;
use super::program::Look;
use super::terminal::{Screen, cursor_of};
use super::theme::Theme;
use super::update::update;
use super::view;
use super::world::Identity;
use crate::model::{Delta, ManagerRow, Now, Timestamp};

/// The console.
pub struct Rehearsal {
    model: Model,
    theme: Theme,
    screen: Screen,
    bytes: Vec<u8>,
}

impl Rehearsal {
    /// Opens a console of this size.
    #[must_use]
    pub fn new(look: Look, size: (u16, u16), now: Now) -> Self {
        let identity = Identity {
            database: "prod-eu".to_owned(),
            user: "ana".to_owned(),
            is_attached: false,
            read_only: None,
        };
        let model = Model::new(identity, size, now, "");
        Self { model, theme: look.theme(), screen: Screen::new(look.abilities), bytes: Vec::new() }
    }

    /// Time passes.
    pub fn at(&mut self, now: Now) {
        update(&mut self.model, Msg::Tick(now));
    }

    /// The database has news.
    pub fn hear(&mut self, delta: Delta, read: Timestamp) {
        update(&mut self.model, Msg::Changes { delta, read });
    }

    /// These managers serve the database.
    pub fn meet(&mut self, managers: Vec<ManagerRow>) {
        update(&mut self.model, Msg::Managers(managers));
    }

    /// The terminal has another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        update(&mut self.model, Msg::Resize(columns, rows));
    }

    /// A key is pressed. What it asks of the database is not done.
    pub fn press(&mut self, code: KeyCode) {
        update(&mut self.model, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    /// The terminal is not trusted any more: the next frame is a whole one.
    pub fn forget(&mut self) {
        self.screen.forget();
    }

    /// Draws a frame, and gives what the terminal is sent.
    pub fn frame(&mut self) -> &[u8] {
        let Self { model, theme, screen, bytes } = self;
        bytes.clear();
        screen.draw(
            model.world.size,
            |buffer| {
                let area = buffer.area;
                view::draw(model, *theme, buffer, area);
                cursor_of(buffer)
            },
            bytes,
        );
        bytes
    }

    /// What was drawn last.
    #[must_use]
    pub fn screen(&self) -> &Buffer {
        self.screen.shown()
    }
}
