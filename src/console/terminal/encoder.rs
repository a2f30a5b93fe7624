//! From one screen to the next in as few bytes as can be.

use std::io::Write as _;
use std::sync::Arc;

use ratatui::buffer::{Buffer, Cell, CellWidth as _};
use ratatui::layout::Position;

use super::colour::Colours;
use super::pen::Pen;
use super::probe::Learnt;
use super::scroll;

/// What a terminal can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// How many colours it has.
    pub colours: Colours,
    /// Whether it moves lines within a part of the screen.
    pub has_regions: bool,
    /// Whether signs that are wide in East Asia are wide here.
    pub is_ambiguous_wide: bool,
}

impl Abilities {
    /// What the name of a terminal tells. All of today move lines; these old ones do not.
    #[must_use]
    pub fn of(term: &str, colours: Colours) -> Self {
        let is_old = ["ansi", "cons25", "sun", "vt52", "wy", "dumb"];
        let has_regions = !is_old.iter().any(|name| term.starts_with(name));
        Self { colours, has_regions, is_ambiguous_wide: false }
    }
}

/// A frame that is shorter arrives as a whole anyway: in one packet.
const SYNCHRONIZED_MIN: usize = 1024;
const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";

/// So many cells that stay may be written again where that is shorter than to step over them.
const STEP_OVER: u16 = 4;

/// So many cells that become blank are worth an erasure to the end of the line.
const ERASE_MIN: u16 = 4;

/// Writes the differences between screens. It knows the pen and the place of the cursor, and what it
/// does not trust it tells anew.
#[derive(Debug, Clone)]
pub(in crate::console) struct Encoder {
    abilities: Abilities,
    pen: Pen,
    /// Column and line; a column after the last one stands for the end of the line, where terminals
    /// differ. `None`: not known.
    at: Option<(u16, u16)>,
    /// Whether the cursor is to be seen; `None`: not known.
    is_shown: Option<bool>,
    /// What the lines look like that are shown.
    lines: Arc<[u64]>,
}

impl Encoder {
    pub(in crate::console) fn new(abilities: Abilities) -> Self {
        Self { abilities, pen: Pen::DEFAULT, at: None, is_shown: None, lines: Arc::default() }
    }

    /// Uses what was learnt of the terminal; `true` if the screen would look otherwise now.
    pub(in crate::console) fn learn(&mut self, learnt: Learnt) -> bool {
        let before = self.abilities.colours;
        if learnt.has_all_colours {
            self.abilities.colours = Colours::True;
        }
        // No theme has more than the 256.
        before < Colours::Many && self.abilities.colours > before
    }

    /// Writes what empties the screen, and knows where it stands again.
    pub(in crate::console) fn clear(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\x1b[r\x1b[m\x1b[H\x1b[2J");
        self.pen = Pen::DEFAULT;
        self.at = Some((0, 0));
        self.is_shown = None;
        self.lines = Arc::default();
    }

    /// Writes what makes `before` look like `after`. Both have one size. The cursor is left where it
    /// is asked to be, or hidden.
    pub(in crate::console) fn encode(
        &mut self,
        before: &Buffer,
        after: &Buffer,
        cursor: Option<Position>,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        let shown = std::mem::replace(&mut self.lines, scroll::lines(after));
        let moved = scroll::find(&shown, &self.lines).filter(|_| self.abilities.has_regions);
        let Some(scroll) = moved else {
            self.draw(before, after, usize::MAX, out);
            self.finish(start, cursor, out);
            return;
        };
        let mut other = self.clone();
        let mut scrolled = Vec::new();
        other.scroll(scroll, &mut scrolled);
        other.draw(&scroll.apply(before), after, usize::MAX, &mut scrolled);
        self.draw(before, after, scrolled.len(), out);
        if out.len() - start >= scrolled.len() {
            out.truncate(start);
            out.append(&mut scrolled);
            *self = other;
        }
        self.finish(start, cursor, out);
    }

    /// Puts the cursor where it belongs, and makes the frame one where it might be seen half done.
    fn finish(&mut self, start: usize, cursor: Option<Position>, out: &mut Vec<u8>) {
        if let Some(place) = cursor {
            self.go(place.x, place.y, &[], out);
        }
        if self.is_shown != Some(cursor.is_some()) {
            self.is_shown = Some(cursor.is_some());
            out.extend_from_slice(if cursor.is_some() { b"\x1b[?25h" } else { b"\x1b[?25l" });
        }
        if out.len() - start >= SYNCHRONIZED_MIN {
            out.splice(start..start, BEGIN.iter().copied());
            out.extend_from_slice(END);
        }
    }

    /// Moves lines. What comes in is blank in the colours of the pen, so that must be the default.
    fn scroll(&mut self, scroll: scroll::Scroll, out: &mut Vec<u8>) {
        if !self.pen.erases() {
            self.set_pen(Pen::DEFAULT, out);
        }
        let _ = write!(out, "\x1b[{};{}r", scroll.top + 1, scroll.bottom + 1);
        // Not CSI S and T: the console of Linux does not know them.
        if scroll.is_up {
            let _ = write!(out, "\x1b[{}H", scroll.bottom + 1);
            out.extend(std::iter::repeat_n(b'\n', scroll.by));
        } else {
            let _ = write!(out, "\x1b[{}H", scroll.top + 1);
            (0..scroll.by).for_each(|_| out.extend_from_slice(b"\x1bM"));
        }
        out.extend_from_slice(b"\x1b[r");
        self.at = None;
    }

    /// Writes the lines that differ. Beyond `most` bytes it is given up: there is a shorter way.
    fn draw(&mut self, before: &Buffer, after: &Buffer, most: usize, out: &mut Vec<u8>) {
        let begin = out.len();
        let width = usize::from(after.area.width).max(1);
        let blank = vec![Cell::EMPTY; width];
        for (y, (old, new)) in before.content.chunks(width).zip(after.content.chunks(width)).enumerate() {
            if out.len() - begin > most {
                return;
            }
            let changed = old.iter().zip(new).filter(|(old, new)| old != new).count();
            let y = u16::try_from(y).unwrap_or(u16::MAX);
            if changed * 2 < width {
                if changed > 0 {
                    self.line(y, old, new, out);
                }
                continue;
            }
            // A line that is another one may be cheaper to write anew.
            let (start, state) = (out.len(), self.clone());
            self.line(y, old, new, out);
            let (mut other, mut anew) = (state, Vec::new());
            other.erase_line(y, &mut anew);
            other.line(y, &blank, new, &mut anew);
            if anew.len() < out.len() - start {
                out.truncate(start);
                out.append(&mut anew);
                *self = other;
            }
        }
    }

    fn erase_line(&mut self, y: u16, out: &mut Vec<u8>) {
        self.go(0, y, &[], out);
        if !self.pen.erases() {
            self.set_pen(Pen::DEFAULT, out);
        }
        out.extend_from_slice(b"\x1b[K");
    }

    fn line(&mut self, y: u16, old: &[Cell], new: &[Cell], out: &mut Vec<u8>) {
        let columns = u16::try_from(new.len()).unwrap_or(u16::MAX);
        let blank_from = self.blank_from(new);
        // Cells whose sign was half of a wide one that is not there any more.
        let mut torn = 0;
        let mut x = 0;
        while x < columns {
            let (was, is) = (&old[usize::from(x)], &new[usize::from(x)]);
            let width = width_of(is).min(columns - x);
            if !self.differ(was, is) && x >= torn {
                x += width;
                continue;
            }
            if x >= blank_from && columns - x >= ERASE_MIN && self.is_worth_erasing(x, old, new) {
                self.go(x, y, new, out);
                if !self.pen.erases() {
                    self.set_pen(Pen::DEFAULT, out);
                }
                out.extend_from_slice(b"\x1b[K");
                return;
            }
            torn = torn.max(x + width_of(was));
            for covered in x + 1..x + width {
                torn = torn.max(covered + width_of(&old[usize::from(covered)]));
            }
            self.go(x, y, new, out);
            self.put(is, width, columns, out);
            x += width;
        }
    }

    /// The column from which on there is nothing that erasing would not give.
    fn blank_from(&self, line: &[Cell]) -> u16 {
        let is_blank = |cell: &&Cell| cell.symbol() == " " && Pen::of(cell, self.abilities.colours).erases();
        let blanks = line.iter().rev().take_while(is_blank).count();
        let last_is_wide = line[..line.len() - blanks].last().is_some_and(|cell| width_of(cell) > 1);
        u16::try_from(line.len() - blanks + usize::from(last_is_wide)).unwrap_or(u16::MAX)
    }

    fn is_worth_erasing(&self, from: u16, old: &[Cell], new: &[Cell]) -> bool {
        let from = usize::from(from);
        let changed = old[from..].iter().zip(&new[from..]).filter(|(was, is)| self.differ(was, is)).count();
        changed >= usize::from(ERASE_MIN)
    }

    /// Whether a person would see a difference.
    fn differ(&self, was: &Cell, is: &Cell) -> bool {
        was != is
            && (was.symbol() != is.symbol()
                || Pen::of(was, self.abilities.colours) != Pen::of(is, self.abilities.colours))
    }

    fn put(&mut self, cell: &Cell, width: u16, columns: u16, out: &mut Vec<u8>) {
        if !self.suits(cell) {
            self.set_pen(Pen::of(cell, self.abilities.colours), out);
        }
        let symbol = cell.symbol();
        // A sign that does not fit, and what is none.
        let is_whole = width_of(cell) == width && !symbol.chars().any(char::is_control);
        if is_whole {
            out.extend_from_slice(symbol.as_bytes());
        } else {
            out.extend(std::iter::repeat_n(b' ', usize::from(width)));
        }
        self.at = match self.at {
            Some((x, y)) if self.is_trusted(symbol) || x + width >= columns => Some((x + width, y)),
            _ => None,
        };
    }

    /// Whether all terminals agree on how far a sign moves the cursor.
    fn is_trusted(&self, symbol: &str) -> bool {
        let mut chars = symbol.chars();
        let (Some(first), None) = (chars.next(), chars.next()) else { return false };
        first.is_ascii()
            || !self.abilities.is_ambiguous_wide
                && matches!(first, '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{391}'..='\u{481}' | '…' | '√' | '≈' | '⊘'
                    | '\u{2190}'..='\u{2193}' | '─'..='\u{25fc}' | '✓' | '✗')
    }

    fn suits(&self, cell: &Cell) -> bool {
        self.pen.suits(cell, self.abilities.colours)
    }

    fn set_pen(&mut self, pen: Pen, out: &mut Vec<u8>) {
        pen.change_from(self.pen, out);
        self.pen = pen;
    }

    /// Puts the cursor to a place by the shortest way. `line` is what the line of that place will
    /// show: over a few cells of it one may as well write.
    fn go(&mut self, x: u16, y: u16, line: &[Cell], out: &mut Vec<u8>) {
        if self.at == Some((x, y)) {
            return;
        }
        let mut way = absolute(x, y);
        if let Some((from, row)) = self.at {
            let is_at_end = line.is_empty() || usize::from(from) >= line.len();
            if row == y && !is_at_end {
                shorten(&mut way, relative(from, x));
                if let Some(again) = self.again(from, x, line) {
                    shorten(&mut way, again);
                }
            }
            if y >= row && y - row <= 3 {
                let mut down = b"\r".to_vec();
                down.extend(std::iter::repeat_n(b'\n', usize::from(y - row)));
                let mut right = relative(0, x);
                if let Some(again) = self.again(0, x, line) {
                    shorten(&mut right, again);
                }
                down.extend(right);
                shorten(&mut way, down);
            }
        }
        out.extend_from_slice(&way);
        self.at = Some((x, y));
    }

    /// The cells between, if they look like what is written now.
    fn again(&self, from: u16, to: u16, line: &[Cell]) -> Option<Vec<u8>> {
        if to < from || to - from > STEP_OVER {
            return None;
        }
        let cells = line.get(usize::from(from)..usize::from(to))?;
        let is_same = |cell: &Cell| {
            cell.symbol().len() == 1 && !cell.symbol().chars().any(char::is_control) && self.suits(cell)
        };
        // The right half of a wide sign looks like a blank.
        let is_half = from > 0 && line.get(usize::from(from) - 1).is_some_and(|cell| width_of(cell) > 1);
        if is_half {
            return None;
        }
        cells.iter().all(is_same).then(|| cells.iter().flat_map(|cell| cell.symbol().bytes()).collect())
    }
}

fn shorten(way: &mut Vec<u8>, other: Vec<u8>) {
    if other.len() < way.len() {
        *way = other;
    }
}

fn absolute(x: u16, y: u16) -> Vec<u8> {
    match (x, y) {
        (0, 0) => b"\x1b[H".to_vec(),
        (0, y) => format!("\x1b[{}H", y + 1).into_bytes(),
        (x, 0) => format!("\x1b[;{}H", x + 1).into_bytes(),
        (x, y) => format!("\x1b[{};{}H", y + 1, x + 1).into_bytes(),
    }
}

fn relative(from: u16, to: u16) -> Vec<u8> {
    let (count, sign) = if to >= from { (to - from, 'C') } else { (from - to, 'D') };
    match count {
        0 => Vec::new(),
        1 => format!("\x1b[{sign}").into_bytes(),
        count => format!("\x1b[{count}{sign}").into_bytes(),
    }
}

/// How many cells a sign takes, at least one.
fn width_of(cell: &Cell) -> u16 {
    let symbol = cell.symbol();
    if symbol.len() == 1 || symbol.chars().any(char::is_control) {
        1
    } else {
        symbol.cell_width().clamp(1, 2)
    }
}
