//! What each key means where. The help screen is drawn from the same table, so it cannot lie.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::model::CmdName;

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Up,
    Down,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    Top,
    Bottom,
    Open,
    Close,
    OpenAll,
    CloseAll,
    NextProblem,
    PreviousProblem,
    Filter,
    Log,
    Follow,
    Issue(CmdName),
    Help,
    Back,
    Quit,
    QuitNow,
    Redraw,
    Suspend,
}

/// Where a key is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Everywhere,
    Fleet,
    Log,
}

/// Keys that mean one thing in one place.
pub(super) struct Binding {
    pub(super) place: Place,
    keys: &'static [Key],
    pub(super) intent: Intent,
    pub(super) help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Char(char),
    Ctrl(char),
    Code(KeyCode),
}

use Intent::{
    Back, Bottom, Close, CloseAll, Down, Filter, Follow, HalfDown, HalfUp, Help, Issue, Log, NextProblem,
    Open, OpenAll, PageDown, PageUp, PreviousProblem, Quit, QuitNow, Redraw, Suspend, Top, Up,
};
use Key::{Char, Code, Ctrl};

const fn bind(place: Place, keys: &'static [Key], intent: Intent, help: &'static str) -> Binding {
    Binding { place, keys, intent, help }
}

/// All bindings. Nothing dangerous is on `y` and `z`, which change places between keyboards, and
/// nothing needs AltGr.
pub(super) const BINDINGS: &[Binding] = &[
    bind(Place::Everywhere, &[Char('j'), Code(KeyCode::Down)], Down, "row down"),
    bind(Place::Everywhere, &[Char('k'), Code(KeyCode::Up)], Up, "row up"),
    bind(Place::Everywhere, &[Code(KeyCode::PageDown)], PageDown, "page down"),
    bind(Place::Everywhere, &[Code(KeyCode::PageUp)], PageUp, "page up"),
    bind(Place::Everywhere, &[Ctrl('d')], HalfDown, "half a page down"),
    bind(Place::Everywhere, &[Ctrl('u')], HalfUp, "half a page up"),
    bind(Place::Everywhere, &[Char('g'), Code(KeyCode::Home)], Top, "to the top"),
    bind(Place::Everywhere, &[Char('G'), Code(KeyCode::End)], Bottom, "to the end"),
    bind(Place::Fleet, &[Code(KeyCode::Right), Code(KeyCode::Enter)], Open, "open group; log of an app"),
    bind(Place::Fleet, &[Code(KeyCode::Left), Char('h')], Close, "close, or to the one above"),
    bind(Place::Fleet, &[Char('+')], OpenAll, "open all groups"),
    bind(Place::Fleet, &[Char('-')], CloseAll, "close all groups"),
    bind(Place::Fleet, &[Char('n')], NextProblem, "next app that needs somebody"),
    bind(Place::Fleet, &[Char('N')], PreviousProblem, "the one before"),
    bind(Place::Fleet, &[Char('/'), Char('f')], Filter, "filter: words, is:fatal, g:croatia, !x"),
    bind(Place::Fleet, &[Char('l')], Log, "log of the app"),
    bind(Place::Fleet, &[Char('s')], Issue(CmdName::Start), "start"),
    bind(Place::Fleet, &[Char('x')], Issue(CmdName::Stop), "stop"),
    bind(Place::Fleet, &[Char('r')], Issue(CmdName::Restart), "restart"),
    bind(Place::Fleet, &[Char('E')], Issue(CmdName::Enable), "enable; clears a fatal flag"),
    bind(Place::Fleet, &[Char('D')], Issue(CmdName::Disable), "disable"),
    bind(Place::Log, &[Char('F')], Follow, "follow what is written"),
    bind(Place::Everywhere, &[Char('?'), Code(KeyCode::F(1))], Help, "this help"),
    bind(Place::Everywhere, &[Code(KeyCode::Esc)], Back, "one step back"),
    bind(Place::Everywhere, &[Char('q')], Quit, "back; at the fleet, leave"),
    bind(Place::Everywhere, &[Ctrl('c')], QuitNow, "leave"),
    bind(Place::Everywhere, &[Ctrl('l')], Redraw, "draw anew"),
    bind(Place::Everywhere, &[Ctrl('z')], Suspend, "back to the shell; fg comes back"),
];

/// What a key means in a place.
pub(super) fn intent(place: Place, event: KeyEvent) -> Option<Intent> {
    let applies = |binding: &&Binding| {
        (binding.place == place || binding.place == Place::Everywhere)
            && binding.keys.iter().any(|key| key.is(event))
    };
    BINDINGS.iter().find(applies).map(|binding| binding.intent)
}

impl Binding {
    /// The keys as people read them.
    pub(super) fn keys(&self) -> String {
        self.keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(" ")
    }
}

impl Key {
    fn is(self, event: KeyEvent) -> bool {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        match self {
            Self::Char(c) => event.code == KeyCode::Char(c) && !ctrl && !alt,
            Self::Ctrl(c) => event.code == KeyCode::Char(c) && ctrl && !alt,
            Self::Code(code) => event.code == code && !ctrl && !alt,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Char(c) => c.to_string(),
            Self::Ctrl(c) => format!("^{c}"),
            Self::Code(KeyCode::Up) => "up".to_owned(),
            Self::Code(KeyCode::Down) => "down".to_owned(),
            Self::Code(KeyCode::Left) => "left".to_owned(),
            Self::Code(KeyCode::Right) => "right".to_owned(),
            Self::Code(KeyCode::PageUp) => "pgup".to_owned(),
            Self::Code(KeyCode::PageDown) => "pgdn".to_owned(),
            Self::Code(code) => code.to_string().to_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for (at, binding) in BINDINGS.iter().enumerate() {
            for other in &BINDINGS[at + 1..] {
                let meet = binding.place == other.place
                    || binding.place == Place::Everywhere
                    || other.place == Place::Everywhere;
                let shared: Vec<_> = binding.keys.iter().filter(|key| other.keys.contains(key)).collect();
                assert!(!meet || shared.is_empty(), "{shared:?}: {} and {}", binding.help, other.help);
            }
        }
    }

    #[test]
    fn modifiers_make_another_key() {
        let key = |code, modifiers| intent(Place::Fleet, KeyEvent::new(code, modifiers));
        assert_eq!(key(KeyCode::Char('d'), KeyModifiers::CONTROL), Some(HalfDown));
        assert_eq!(key(KeyCode::Char('d'), KeyModifiers::NONE), None);
        assert_eq!(key(KeyCode::Char('D'), KeyModifiers::SHIFT), Some(Issue(CmdName::Disable)));
        assert_eq!(key(KeyCode::Char('x'), KeyModifiers::ALT), None);
    }
}
