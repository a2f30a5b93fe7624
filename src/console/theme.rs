//! Styles by what they mean. Colour is never the only carrier of a meaning: a sign and most often a
//! word say the same.

use crate::console::UnknownName;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};

use super::glyphs::{GlyphSet, Glyphs};
use crate::model::explain::State;

/// Which colours carry which meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Palette {
    /// The terminal's own 16 colours on its own background: right on light, dark and high contrast.
    #[default]
    Ansi,
    /// For eyes that do not tell red from green: blue and orange.
    CbRg,
    /// No colour: bold, dim, underlined, reversed.
    Mono,
}

impl Palette {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ansi, Self::CbRg, Self::Mono];

    /// As it is written in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ansi => "ansi",
            Self::CbRg => "cb-rg",
            Self::Mono => "mono",
        }
    }
}

impl FromStr for Palette {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|palette| palette.name() == text)
            .ok_or_else(|| UnknownName::new(text, "theme", "ansi, cb-rg or mono"))
    }
}

/// The colours of [`Palette::CbRg`], as numbers of the 256. They are chosen so that the nearest of
/// 16 is another one for each.
const BLUE: Color = Color::Indexed(69);
const ORANGE: Color = Color::Indexed(166);
const VIOLET: Color = Color::Indexed(170);

const PLAIN: Style = Style::new();
const BOLD: Style = PLAIN.add_modifier(Modifier::BOLD);
const DIM: Style = PLAIN.add_modifier(Modifier::DIM);
const REVERSED: Style = PLAIN.add_modifier(Modifier::REVERSED);
const UNDERLINED: Style = PLAIN.add_modifier(Modifier::UNDERLINED);

/// How the screen looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    palette: Palette,
    pub(super) glyphs: &'static Glyphs,
}

#[expect(clippy::unused_self, reason = "a style is asked of the theme, whatever it depends on today")]
impl Theme {
    pub(super) const fn of(palette: Palette, glyphs: GlyphSet) -> Self {
        Self { palette, glyphs: glyphs.glyphs() }
    }

    /// The two that nearly all terminals have.
    #[cfg(test)]
    pub(super) const fn new(has_colour: bool, is_unicode: bool) -> Self {
        let palette = if has_colour { Palette::Ansi } else { Palette::Mono };
        Self::of(palette, if is_unicode { GlyphSet::Unicode } else { GlyphSet::Ascii })
    }

    /// One style a palette.
    const fn pick(self, ansi: Style, cb_rg: Style, mono: Style) -> Style {
        match self.palette {
            Palette::Ansi => ansi,
            Palette::CbRg => cb_rg,
            Palette::Mono => mono,
        }
    }

    pub(super) fn state(self, state: State) -> Style {
        match state {
            State::Idle | State::Late | State::Disabled => self.faint(),
            State::Running | State::Stalled => self.running(),
            State::Waiting => self.pending(),
            State::Stopped => self.stopped(),
            State::Failed => self.failed(),
            State::Fatal | State::GivenUp | State::SetAside => self.alarm(),
            State::Unknown => self.unknown(),
        }
    }

    pub(super) const fn running(self) -> Style {
        self.pick(PLAIN.fg(Color::Green), PLAIN.fg(BLUE), PLAIN)
    }

    pub(super) const fn stopped(self) -> Style {
        let yellow = PLAIN.fg(Color::Yellow);
        self.pick(yellow, yellow, UNDERLINED)
    }

    /// Fatal, refused, lost.
    pub(super) const fn alarm(self) -> Style {
        self.pick(BOLD.fg(Color::Red), BOLD.fg(ORANGE), BOLD.add_modifier(Modifier::REVERSED))
    }

    /// Its last run ended badly; it goes on.
    pub(super) const fn failed(self) -> Style {
        self.pick(PLAIN.fg(Color::Red), PLAIN.fg(ORANGE), BOLD.add_modifier(Modifier::UNDERLINED))
    }

    /// It runs and gets nowhere.
    pub(super) const fn stalled(self) -> Style {
        self.pick(PLAIN.fg(Color::Magenta), BOLD.fg(VIOLET), BOLD)
    }

    /// Its time has passed.
    pub(super) const fn late(self) -> Style {
        let yellow = BOLD.fg(Color::Yellow);
        self.pick(yellow, yellow, BOLD)
    }

    /// Nobody knows; the row is drawn faint.
    pub(super) const fn unknown(self) -> Style {
        let cyan = PLAIN.fg(Color::Cyan);
        self.pick(cyan, cyan, DIM.add_modifier(Modifier::REVERSED))
    }

    pub(super) const fn disabled(self) -> Style {
        let grey = PLAIN.fg(Color::DarkGray);
        self.pick(grey, grey, DIM)
    }

    /// A mark on a row.
    pub(super) const fn mark(self) -> Style {
        REVERSED
    }

    /// Lines of values.
    pub(super) const fn spark(self) -> Style {
        let cyan = PLAIN.fg(Color::Cyan);
        self.pick(cyan, cyan, PLAIN)
    }

    pub(super) const fn faint(self) -> Style {
        DIM
    }

    /// What was known once and may have changed since; it is laid over other styles.
    pub(super) const fn old(self) -> Style {
        DIM.remove_modifier(Modifier::BOLD)
    }

    pub(super) const fn strong(self) -> Style {
        BOLD
    }

    pub(super) const fn pending(self) -> Style {
        let cyan = PLAIN.fg(Color::Cyan);
        self.pick(cyan, cyan, PLAIN)
    }

    /// Done, executed.
    pub(super) const fn good(self) -> Style {
        self.running()
    }

    /// The row or field that the keys go to.
    pub(super) const fn cursor(self) -> Style {
        REVERSED
    }

    pub(super) const fn banner(self) -> Style {
        self.alarm().add_modifier(Modifier::REVERSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_has_no_colour_and_the_others_differ_where_it_matters() {
        for palette in Palette::ALL {
            let theme = Theme::of(palette, GlyphSet::Unicode);
            let styles = [
                theme.running(),
                theme.faint(),
                theme.stopped(),
                theme.alarm(),
                theme.stalled(),
                theme.unknown(),
            ];
            for (at, style) in styles.iter().enumerate() {
                assert!(palette != Palette::Mono || style.fg.is_none() && style.bg.is_none());
                assert!(!styles[..at].contains(style), "{palette:?}: {style:?}");
            }
            assert_eq!(palette.name().parse(), Ok(palette));
        }
    }
}
