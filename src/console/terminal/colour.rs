//! How many colours a terminal has, and what becomes of those that it has not.

use crate::console::UnknownName;
use std::str::FromStr;

use ratatui::style::Color;

/// How many colours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Colours {
    /// None: bold, dim, underlined and reversed remain.
    None,
    /// The first eight.
    Eight,
    /// With their bright forms.
    Sixteen,
    /// The palette of xterm.
    Many,
    /// 24 bits.
    True,
}

impl Colours {
    /// How many there are, as `--color` takes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "never",
            Self::Eight => "8",
            Self::Sixteen => "16",
            Self::Many => "256",
            Self::True => "true",
        }
    }

    /// What the variables of the environment tell of a terminal. It is little: SSH hands down TERM
    /// alone.
    #[must_use]
    pub fn of(term: &str, colorterm: &str) -> Self {
        if matches!(colorterm, "truecolor" | "24bit") {
            return Self::True;
        }
        match term {
            "dumb" | "vt52" | "vt100" | "vt102" | "vt220" | "vt320" | "vt420" => Self::None,
            "" if cfg!(windows) => Self::True,
            "linux" | "ansi" | "cygwin" | "" => Self::Eight,
            term if term.ends_with("-mono") || term.ends_with("-m") => Self::None,
            term if term.ends_with("-direct") => Self::True,
            term if term.contains("256color") => Self::Many,
            _ => Self::Sixteen,
        }
    }

    /// A colour as it is written; `None` stands for that of the terminal.
    pub(super) fn shown(self, colour: Color) -> Shown {
        let shown = match colour {
            Color::Reset => return Shown::Default,
            Color::Black => Shown::Basic(0),
            Color::Red => Shown::Basic(1),
            Color::Green => Shown::Basic(2),
            Color::Yellow => Shown::Basic(3),
            Color::Blue => Shown::Basic(4),
            Color::Magenta => Shown::Basic(5),
            Color::Cyan => Shown::Basic(6),
            Color::Gray => Shown::Basic(7),
            Color::DarkGray => Shown::Basic(8),
            Color::LightRed => Shown::Basic(9),
            Color::LightGreen => Shown::Basic(10),
            Color::LightYellow => Shown::Basic(11),
            Color::LightBlue => Shown::Basic(12),
            Color::LightMagenta => Shown::Basic(13),
            Color::LightCyan => Shown::Basic(14),
            Color::White => Shown::Basic(15),
            Color::Indexed(number @ 0..16) => Shown::Basic(number),
            Color::Indexed(number) => Shown::Indexed(number),
            Color::Rgb(red, green, blue) => Shown::Rgb(red, green, blue),
        };
        match (self, shown) {
            (Self::None, _) => Shown::Default,
            // A dark grey would be black on black; the pen makes it dim.
            (Self::Eight, Shown::Basic(8)) => Shown::Default,
            (Self::Eight, Shown::Basic(number)) => Shown::Basic(number % 8),
            (Self::Eight, shown) => Shown::Basic(nearest(shown.rgb(), &BASIC[..8])),
            (_, Shown::Basic(number)) => Shown::Basic(number),
            (Self::Sixteen, shown) => Shown::Basic(nearest(shown.rgb(), &BASIC)),
            (Self::Many, Shown::Rgb(red, green, blue)) => indexed(red, green, blue),
            (_, shown) => shown,
        }
    }
}

/// A colour as a terminal is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Default,
    /// One of 16.
    Basic(u8),
    /// One of 256.
    Indexed(u8),
    Rgb(u8, u8, u8),
}

type Rgb = (u8, u8, u8);

/// The 16 as xterm has them. Those of another terminal differ, and are its user's choice.
const BASIC: [Rgb; 16] = [
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
];

/// The six steps of each part of a colour among the 256.
const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// What a number of the 256 looks like.
pub(in crate::console) fn rgb_of(number: u8) -> Rgb {
    match number {
        0..16 => BASIC[usize::from(number)],
        16..232 => {
            let cube = usize::from(number - 16);
            (STEPS[cube / 36], STEPS[cube / 6 % 6], STEPS[cube % 6])
        }
        232.. => {
            let grey = 8 + (number - 232) * 10;
            (grey, grey, grey)
        }
    }
}

impl Shown {
    fn rgb(self) -> Rgb {
        match self {
            Self::Default => BASIC[7],
            Self::Basic(number) | Self::Indexed(number) => rgb_of(number),
            Self::Rgb(red, green, blue) => (red, green, blue),
        }
    }
}

fn distance(a: Rgb, b: Rgb) -> u32 {
    let part = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    part(a.0, b.0) + part(a.1, b.1) + part(a.2, b.2)
}

fn nearest(colour: Rgb, among: &[Rgb]) -> u8 {
    let best = (0..among.len()).min_by_key(|at| distance(colour, among[*at])).unwrap_or_default();
    u8::try_from(best).unwrap_or_default()
}

fn indexed(red: u8, green: u8, blue: u8) -> Shown {
    let best = (16..=255).min_by_key(|number| distance((red, green, blue), rgb_of(*number)));
    Shown::Indexed(best.unwrap_or(16))
}

/// A level of colour as it is written on the command line and in settings; `None` for `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ColourChoice(pub Option<Colours>);

impl FromStr for ColourChoice {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Ok(Self(match text {
            "auto" => None,
            "never" | "none" => Some(Colours::None),
            "8" => Some(Colours::Eight),
            "16" => Some(Colours::Sixteen),
            "256" => Some(Colours::Many),
            "true" => Some(Colours::True),
            _ => {
                let expected = "auto, never, 8, 16, 256 or true";
                return Err(UnknownName::new(text, "level of colour", expected));
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_by_its_name() {
        let level = |term, colorterm| Colours::of(term, colorterm);
        assert_eq!(level("xterm-256color", ""), Colours::Many);
        assert_eq!(level("xterm-256color", "truecolor"), Colours::True);
        assert_eq!(level("linux", ""), Colours::Eight);
        assert_eq!(level("vt100", ""), Colours::None);
        assert_eq!(level("screen", ""), Colours::Sixteen);
    }

    #[test]
    fn what_is_not_there_becomes_the_nearest() {
        let orange = Color::Indexed(166);
        assert_eq!(Colours::True.shown(orange), Shown::Indexed(166));
        assert_eq!(Colours::Sixteen.shown(orange), Shown::Basic(1));
        assert_eq!(Colours::Eight.shown(Color::LightBlue), Shown::Basic(4));
        assert_eq!(Colours::Many.shown(Color::Rgb(215, 95, 0)), Shown::Indexed(166));
        assert_eq!(Colours::None.shown(Color::Red), Shown::Default);
        // The theme for eyes that do not tell red from green keeps its three colours apart.
        let of_16: Vec<_> =
            [69, 166, 170].map(|number| Colours::Sixteen.shown(Color::Indexed(number))).into();
        assert_eq!(of_16, [Shown::Basic(12), Shown::Basic(1), Shown::Basic(5)]);
    }

    #[test]
    fn levels_are_read() {
        assert_eq!("256".parse(), Ok(ColourChoice(Some(Colours::Many))));
        assert_eq!("auto".parse(), Ok(ColourChoice(None)));
        assert!("some".parse::<ColourChoice>().is_err());
    }
}
