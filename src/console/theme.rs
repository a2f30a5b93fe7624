//! Styles by what they mean. Colour is never the only carrier of a meaning.

use ratatui::style::{Color, Modifier, Style};

use super::fleet::Condition;
use super::glyphs::{ASCII, Glyphs, UNICODE};

/// How the screen looks: the terminal's own 16 colours on its own background, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    has_colour: bool,
    pub(super) glyphs: &'static Glyphs,
}

#[expect(clippy::unused_self, reason = "a style is asked of the theme, whatever it depends on today")]
impl Theme {
    pub(super) fn new(has_colour: bool, is_unicode: bool) -> Self {
        Self { has_colour, glyphs: if is_unicode { &UNICODE } else { &ASCII } }
    }

    fn colour(self, colour: Color) -> Style {
        if self.has_colour { Style::new().fg(colour) } else { Style::new() }
    }

    pub(super) fn condition(self, condition: Condition) -> Style {
        match condition {
            Condition::Idle => self.faint(),
            Condition::Running => self.colour(Color::Green),
            Condition::Waiting => self.colour(Color::Cyan),
            Condition::Stopped => self.colour(Color::Yellow),
            Condition::Fatal => self.alarm(),
        }
    }

    pub(super) fn alarm(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn pending(self) -> Style {
        self.colour(Color::Cyan)
    }

    pub(super) fn good(self) -> Style {
        self.colour(Color::Green)
    }

    pub(super) fn cursor(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn banner(self) -> Style {
        self.alarm().add_modifier(Modifier::REVERSED)
    }
}
