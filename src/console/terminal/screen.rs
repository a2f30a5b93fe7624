//! What the terminal shows, and what it is to show next.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::encoder::{Abilities, Encoder};
use super::probe::Learnt;

/// The screen before and the one after.
#[derive(Debug)]
pub(in crate::console) struct Screen {
    encoder: Encoder,
    shown: Buffer,
    next: Buffer,
    /// Nobody knows what the terminal shows.
    is_lost: bool,
}

impl Screen {
    pub(in crate::console) fn new(abilities: Abilities) -> Self {
        let nothing = Buffer::empty(Rect::ZERO);
        Self { encoder: Encoder::new(abilities), shown: nothing.clone(), next: nothing, is_lost: true }
    }

    /// The next frame is drawn anew as a whole.
    pub(in crate::console) fn forget(&mut self) {
        self.is_lost = true;
    }

    /// Uses what was learnt of the terminal.
    pub(in crate::console) fn learn(&mut self, learnt: Learnt) {
        self.is_lost |= self.encoder.learn(learnt);
    }

    /// Paints a frame of this size and adds what makes the terminal show it. `paint` says where the
    /// cursor belongs.
    pub(in crate::console) fn draw(
        &mut self,
        (columns, rows): (u16, u16),
        paint: impl FnOnce(&mut Buffer) -> Option<Position>,
        out: &mut Vec<u8>,
    ) {
        let area = Rect::new(0, 0, columns, rows);
        if self.next.area == area {
            self.next.reset();
        } else {
            self.next = Buffer::empty(area);
        }
        let cursor = paint(&mut self.next).filter(|place| area.contains(*place));
        if self.is_lost || self.shown.area != area {
            self.encoder.clear(out);
            self.shown = Buffer::empty(area);
            self.is_lost = false;
        }
        self.encoder.encode(&self.shown, &self.next, cursor, out);
        std::mem::swap(&mut self.shown, &mut self.next);
    }

    /// What was painted last.
    pub(in crate::console) fn shown(&self) -> &Buffer {
        &self.shown
    }
}
