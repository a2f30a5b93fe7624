//! Finds lists that have scrolled: the terminal can move lines for the price of a few bytes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

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

/// What moved between two screens of one size; `None` when little did.
pub(super) fn find(before: &Buffer, after: &Buffer) -> Option<Scroll> {
    let (old, new) = (lines(before), lines(after));
    if old.iter().zip(&new).filter(|(old, new)| old != new).count() < 4 {
        return None;
    }
    let mut best: Option<(isize, Scroll)> = None;
    for by in 1..old.len() {
        for is_up in [true, false] {
            if let Some((gain, scroll)) = best_of(&old, &new, by, is_up)
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

fn lines(buffer: &Buffer) -> Vec<u64> {
    let width = usize::from(buffer.area.width).max(1);
    buffer.content.chunks(width).map(hash).collect()
}

fn hash(line: &[Cell]) -> u64 {
    // Its keys are fixed, so that the same screens give the same bytes.
    let mut hasher = DefaultHasher::new();
    for cell in line {
        cell.symbol().hash(&mut hasher);
        (cell.fg, cell.bg, cell.modifier.bits()).hash(&mut hasher);
    }
    hasher.finish()
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
