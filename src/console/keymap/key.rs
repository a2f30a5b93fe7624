//! One key: as it is pressed, as people write it, and where it lies on a Cyrillic keyboard.

use crate::console::UnknownName;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Key {
    Char(char),
    Ctrl(char),
    Code(KeyCode),
}

/// Keys that are no letters, as they are written in the help and in the configuration.
const NAMES: [(&str, KeyCode); 15] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("S-tab", KeyCode::BackTab),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("ins", KeyCode::Insert),
    ("del", KeyCode::Delete),
    ("backspace", KeyCode::Backspace),
];

impl Key {
    pub(super) fn is(self, event: KeyEvent) -> bool {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        match self {
            Self::Char(c) => event.code == KeyCode::Char(c) && !ctrl && !alt,
            Self::Ctrl(c) => event.code == KeyCode::Char(c) && ctrl && !alt,
            Self::Code(code) => event.code == code && !ctrl && !alt,
        }
    }

    /// Whether its meaning is the same for everybody: the way back, and the way out.
    pub(super) const fn is_fixed(self) -> bool {
        matches!(self, Self::Code(KeyCode::Esc) | Self::Ctrl('c'))
    }

    /// As people read it.
    pub(super) fn name(self) -> String {
        match self {
            Self::Char(' ') => "space".to_owned(),
            Self::Char(c) => c.to_string(),
            Self::Ctrl(c) => format!("^{c}"),
            Self::Code(code) => NAMES
                .iter()
                .find(|(_, known)| *known == code)
                .map_or_else(|| code.to_string().to_lowercase(), |(name, _)| (*name).to_owned()),
        }
    }
}

impl FromStr for Key {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let letters: Vec<char> = text.chars().collect();
        let function = || text.strip_prefix('f')?.parse().ok().filter(|number| (1..=12).contains(number));
        if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Code(*code));
        }
        match letters[..] {
            [c] if !c.is_control() => Ok(Self::Char(c)),
            ['^', c] if c.is_ascii_lowercase() => Ok(Self::Ctrl(c)),
            _ if text == "space" => Ok(Self::Char(' ')),
            _ => function().map(|number| Self::Code(KeyCode::F(number))).ok_or_else(|| {
                let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
                let expected = format!("a letter, ^ and a letter, f1 to f12, space, {}", names.join(", "));
                UnknownName::new(text, "key", &expected)
            }),
        }
    }
}

/// Which Cyrillic letters lie where. Letters that only one of them has are known by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cyrillic {
    /// ЙЦУКЕН: Russian, Ukrainian, Belarusian.
    #[default]
    Russian,
    /// ЉЊЕРТЗ: Serbian and Macedonian.
    Serbian,
}

impl Cyrillic {
    /// The layout that goes with a locale such as `sr_RS.UTF-8`.
    #[must_use]
    pub fn of_locale(locale: &str) -> Self {
        if locale.starts_with("sr") || locale.starts_with("mk") { Self::Serbian } else { Self::Russian }
    }

    /// The letters, and what lies in the same places on a Latin keyboard of the same country.
    const fn letters(self) -> (&'static str, &'static str) {
        match self {
            Self::Russian => ("йцукенгшщзфывапролдячсмитьбюіў", "qwertyuiopasdfghjklzxcvbnm,.so"),
            Self::Serbian => ("љњертзуиопасдфгхјклѕџцвбнмѓќѐ", "qwertzuiopasdfghjklyxcvbnmgke"),
        }
    }

    fn latin(self, letter: char) -> Option<char> {
        let (cyrillic, latin) = self.letters();
        let small = letter.to_lowercase().next()?;
        let at = cyrillic.chars().position(|known| known == small)?;
        let found = latin.chars().nth(at)?;
        Some(if small == letter { found } else { found.to_ascii_uppercase() })
    }
}

impl FromStr for Cyrillic {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "ru" => Ok(Self::Russian),
            "sr" => Ok(Self::Serbian),
            _ => Err(UnknownName::new(text, "Cyrillic layout", "ru or sr")),
        }
    }
}

/// What the key would be on a Latin layout. Everything but Cyrillic letters stays as it is.
pub(super) fn latin(event: KeyEvent, layout: Cyrillic) -> KeyEvent {
    let KeyCode::Char(letter) = event.code else { return event };
    let other = match layout {
        Cyrillic::Russian => Cyrillic::Serbian,
        Cyrillic::Serbian => Cyrillic::Russian,
    };
    let found = layout.latin(letter).or_else(|| other.latin(letter));
    KeyEvent { code: found.map_or(event.code, KeyCode::Char), ..event }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_they_are_read() {
        for text in ["x", "X", "^p", "space", "enter", "S-tab", "f1", "f12", "pgdn", "ins", "/", "č", "?"] {
            assert_eq!(text.parse::<Key>().unwrap().name(), text);
        }
        for text in ["", "^P", "^^x", "xx", "f0", "f13", "ctrl-x", "\u{7}"] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_cyrillic_letter_is_the_latin_one_in_its_place() {
        let press = |letter, layout| {
            let event = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE);
            let KeyCode::Char(found) = latin(event, layout).code else { panic!("{letter}") };
            found
        };
        for (layout, cyrillic, expected) in [
            (Cyrillic::Russian, "йцукенгшщзфывапролдячсмитьЧВыі", "qwertyuiopasdfghjklzxcvbnmXDss"),
            (Cyrillic::Serbian, "љњертзуиопасдфгхјклџцвбнмСДХ", "qwertzuiopasdfghjklxcvbnmSDH"),
            // What only the other layout has is not lost.
            (Cyrillic::Russian, "џљњ", "xqw"),
            (Cyrillic::Serbian, "йыя", "qsz"),
            (Cyrillic::Russian, "xč漢1/", "xč漢1/"),
        ] {
            let pressed: String = cyrillic.chars().map(|letter| press(letter, layout)).collect();
            assert_eq!(pressed, expected);
        }
        assert_eq!(Cyrillic::of_locale("sr_RS.UTF-8@latin"), Cyrillic::Serbian);
        assert_eq!(Cyrillic::of_locale("uk_UA.UTF-8"), Cyrillic::Russian);
    }
}
