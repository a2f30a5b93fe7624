//! Finds lists that have scrolled: the terminal can move lines for the price of a few bytes.

use std::hash::{Hash as _, Hasher};
use std::sync::Arc;

use ratatui::buffer::{Buffer, Cell};

/// Lines that moved: those from `top` to `bottom` by so many, upwards or downwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scroll {
    pub(super) top: usize,
    /// The last line.
    pub(super) bottom: usize,
    pub(super) by: usize,
    pub(super) is_up: bool,
}

/// With fewer lines to save there is nothing to win.
const GAIN_MIN: isize = 3;

/// What moved between two screens of one size, by what their lines look like; `None` when little did.
pub(super) fn find(old: &[u64], new: &[u64]) -> Option<Scroll> {
    if old.iter().zip(new).filter(|(old, new)| old != new).count() < 4 {
        return None;
    }
    let mut best: Option<(isize, Scroll)> = None;
    for by in 1..old.len() {
        for is_up in [true, false] {
            if let Some((gain, scroll)) = best_of(old, new, by, is_up)
                && best.is_none_or(|(most, _)| gain > most)
            {
                best = Some((gain, scroll));
            }
        }
    }
    best.filter(|(gain, _)| *gain >= GAIN_MIN).map(|(_, scroll)| scroll)
}

/// The run of lines for which moving by so many saves most (Kadane's way through one diagonal).
fn best_of(old: &[u64], new: &[u64], by: usize, is_up: bool) -> Option<(isize, Scroll)> {
    let mut best: Option<(isize, Scroll)> = None;
    let (mut start, mut sum) = (0, 0);
    for at in 0..old.len() - by {
        let (from, to) = if is_up { (at + by, at) } else { (at, at + by) };
        if sum <= 0 {
            (start, sum) = (at, 0);
        }
        sum += isize::from(new[to] == old[from]) - isize::from(new[to] == old[to]);
        if sum > 0 && best.is_none_or(|(most, _)| sum > most) {
            best = Some((sum, Scroll { top: start, bottom: at + by, by, is_up }));
        }
    }
    best
}

/// A number for each line: lines that look alike have the same.
pub(super) fn lines(buffer: &Buffer) -> Arc<[u64]> {
    let width = usize::from(buffer.area.width).max(1);
    buffer.content.chunks(width).map(hash).collect()
}

fn hash(line: &[Cell]) -> u64 {
    let mut mixer = Mixer(0);
    for cell in line {
        mixer.write(cell.symbol().as_bytes());
        (cell.fg, cell.bg, cell.modifier.bits()).hash(&mut mixer);
    }
    mixer.finish()
}

/// Mixes what it is given, a word at a time: each frame gives it every cell. What it takes for alike and
/// is not costs bytes, never the picture.
struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            self.mix(part.iter().fold(1, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(number.into());
    }

    fn write_isize(&mut self, number: isize) {
        self.mix(number.cast_unsigned() as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Scroll {
    /// What the screen shows after it; the lines that come in are blank.
    pub(super) fn apply(self, screen: &Buffer) -> Buffer {
        let width = usize::from(screen.area.width);
        let mut moved = screen.clone();
        for line in self.top..=self.bottom {
            let from = if self.is_up { line + self.by } else { line.wrapping_sub(self.by) };
            let to = line * width..(line + 1) * width;
            if (self.top..=self.bottom).contains(&from) {
                moved.content[to].clone_from_slice(&screen.content[from * width..(from + 1) * width]);
            } else {
                moved.content[to].fill(Cell::EMPTY);
            }
        }
        moved
    }
}
