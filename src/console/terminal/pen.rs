//! How text looks, and the shortest way to tell a terminal so.

use std::io::Write as _;

use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use super::colour::{Colours, Shown};

/// How the next text will look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) struct Pen {
    fg: Shown,
    bg: Shown,
    modifier: Modifier,
}

/// What is written of the modifiers; blinking is for nobody.
const WRITTEN: Modifier = Modifier::BOLD
    .union(Modifier::DIM)
    .union(Modifier::ITALIC)
    .union(Modifier::UNDERLINED)
    .union(Modifier::REVERSED);

/// What is seen of the modifiers where there is no sign.
const SEEN_ON_BLANK: Modifier = Modifier::UNDERLINED.union(Modifier::REVERSED);

const CODES: [(Modifier, u8); 5] = [
    (Modifier::BOLD, 1),
    (Modifier::DIM, 2),
    (Modifier::ITALIC, 3),
    (Modifier::UNDERLINED, 4),
    (Modifier::REVERSED, 7),
];

impl Pen {
    /// The terminal's own.
    pub(in crate::console) const DEFAULT: Self =
        Self { fg: Shown::Default, bg: Shown::Default, modifier: Modifier::empty() };

    /// The pen of a cell; what cannot be seen of it is left out, so that it costs nothing.
    pub(in crate::console) fn of(cell: &Cell, colours: Colours) -> Self {
        let mut modifier = cell.modifier.intersection(WRITTEN);
        let (mut fg, bg) = (colours.shown(cell.fg), colours.shown(cell.bg));
        if colours == Colours::Eight && cell.fg == Color::DarkGray {
            modifier.insert(Modifier::DIM);
        }
        // Terminals differ in what both are.
        if modifier.contains(Modifier::DIM) {
            modifier.remove(Modifier::BOLD);
        }
        if cell.symbol() == " " {
            modifier = modifier.intersection(SEEN_ON_BLANK);
            if modifier.is_empty() {
                fg = Shown::Default;
            }
        }
        Self { fg, bg, modifier }
    }

    /// Whether erasing gives the same as spaces written with it.
    pub(in crate::console) fn erases(self) -> bool {
        self.bg == Shown::Default && !self.modifier.intersects(SEEN_ON_BLANK)
    }

    /// Whether a cell can be written with this pen. A blank looks the same with many.
    pub(in crate::console) fn suits(self, cell: &Cell, colours: Colours) -> bool {
        let own = Self::of(cell, colours);
        own == self || cell.symbol() == " " && own.erases() && self.erases()
    }

    /// Writes what makes the terminal's pen this one.
    pub(in crate::console) fn change_from(self, before: Self, out: &mut Vec<u8>) {
        if self == before {
            return;
        }
        let by_steps = self.steps_from(before);
        let from_start = self.steps_from(Self::DEFAULT);
        let anew = if from_start.is_empty() { String::new() } else { format!("0;{from_start}") };
        let shorter = if by_steps.is_empty() || anew.len() < by_steps.len() { &anew } else { &by_steps };
        let _ = write!(out, "\x1b[{shorter}m");
    }

    fn steps_from(self, before: Self) -> String {
        let mut codes = Codes::default();
        let mut have = before.modifier;
        let gone = before.modifier.difference(self.modifier);
        // One code ends both.
        if gone.intersects(Modifier::BOLD.union(Modifier::DIM)) {
            codes.add(22);
            have.remove(Modifier::BOLD.union(Modifier::DIM));
        }
        for (modifier, code) in [(Modifier::ITALIC, 23), (Modifier::UNDERLINED, 24), (Modifier::REVERSED, 27)]
        {
            if gone.contains(modifier) {
                codes.add(code);
            }
        }
        for (modifier, code) in CODES {
            if self.modifier.contains(modifier) && !have.contains(modifier) {
                codes.add(code);
            }
        }
        if self.fg != before.fg {
            codes.add_colour(self.fg, 30);
        }
        if self.bg != before.bg {
            codes.add_colour(self.bg, 40);
        }
        codes.0
    }
}

#[derive(Default)]
struct Codes(String);

impl Codes {
    fn add(&mut self, code: u8) {
        if !self.0.is_empty() {
            self.0.push(';');
        }
        self.0.push_str(&code.to_string());
    }

    fn add_all<const N: usize>(&mut self, codes: [u8; N]) {
        for code in codes {
            self.add(code);
        }
    }

    fn add_colour(&mut self, colour: Shown, base: u8) {
        match colour {
            Shown::Default => self.add(base + 9),
            Shown::Basic(number @ 0..8) => self.add(base + number),
            Shown::Basic(number) => self.add(base + 60 + number % 8),
            Shown::Indexed(number) => self.add_all([base + 8, 5, number]),
            Shown::Rgb(red, green, blue) => self.add_all([base + 8, 2, red, green, blue]),
        }
    }
}
