//! Words of the database as enums, on the way out and on the way back.

use std::fmt;

use super::UnknownCode;

/// A closed set of words that the database stores as text.
pub trait Vocabulary: Copy + Eq + 'static {
    /// All values.
    const ALL: &'static [Self];

    /// The word that the database stores.
    fn word(self) -> &'static str;
}

/// A word as it was read: one that this version knows, or the text that a newer version or another program wrote.
/// Such a text is shown as it stands, and nothing is concluded from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<T> {
    /// A word of this version.
    Known(T),
    /// Any other text.
    Other(Box<str>),
}

impl<T: Vocabulary> Word<T> {
    /// The word as the database has it.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Known(known) => known.word(),
            Self::Other(text) => text,
        }
    }

    /// The value, if this version knows the word.
    #[must_use]
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(known) => Some(*known),
            Self::Other(_) => None,
        }
    }
}

impl<T: Vocabulary> From<T> for Word<T> {
    fn from(known: T) -> Self {
        Self::Known(known)
    }
}

impl<T: Vocabulary> From<&str> for Word<T> {
    fn from(text: &str) -> Self {
        let known = T::ALL.iter().find(|known| known.word() == text);
        known.map_or_else(|| Self::Other(text.into()), |known| Self::Known(*known))
    }
}

impl<T: Vocabulary> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Finds the value of a word that has to be one of this version: a person or a definition wrote it.
///
/// # Errors
/// [`UnknownCode`], which names `what` was meant and the text.
pub(super) fn known_word<T: Vocabulary>(what: &'static str, text: &str) -> Result<T, UnknownCode> {
    Word::from(text).known().ok_or_else(|| UnknownCode::new(what, text))
}

/// Declares an enum whose values the database stores as words. With the name of what it is, a text can be parsed as one.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($values:tt)+ }) => {
        words! { $(#[$meta])* $name { $($values)+ } }

        impl std::str::FromStr for $name {
            type Err = $crate::model::UnknownCode;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::model::vocabulary::known_word($what, text)
            }
        }
    };
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The words of all values.
            pub const WORDS: &'static [&'static str] = &[$($word,)+];

            /// The word that the database stores.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::model::Vocabulary for $name {
            const ALL: &'static [Self] = Self::ALL;

            fn word(self) -> &'static str {
                self.word()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use crate::model::{
        AlertEnd, AlertKind, Blame, CommandSource, Concern, Outcome, SkipReason, Trigger, Vocabulary, Word,
    };

    fn assert_comes_back<T: Vocabulary + std::fmt::Debug>(words: &[&str]) {
        for (value, word) in T::ALL.iter().zip(words) {
            assert_eq!((value.word(), Word::from(*word)), (*word, Word::Known(*value)));
        }
        assert_eq!(T::ALL.len(), words.len());
        let newer = Word::<T>::from("of_version_9");
        assert_eq!((newer.word(), newer.known()), ("of_version_9", None));
    }

    #[test]
    fn each_word_comes_back_as_it_went_out() {
        assert_comes_back::<Trigger>(&["schedule", "command", "run-app", "catch-up"]);
        assert_comes_back::<Outcome>(&[
            "ok",
            "suspect",
            "failed",
            "crashed",
            "timed_out",
            "over_limit",
            "fenced",
            "killed_after_grace",
            "stopped",
            "failed_to_start",
            "never_started",
            "unknown",
            "host_rebooted",
            "lost_owner",
        ]);
    }

    #[test]
    fn the_words_of_alerts_skips_and_sources_come_back_too() {
        assert_comes_back::<AlertKind>(&[
            "failed_to_start",
            "unexpected_behavior",
            "host_exhausted",
            "set_aside",
            "bad_report",
            "row_locked",
            "stalled",
            "manager_lost",
            "database_locked",
            "disk_low",
            "broker_away",
            "metrics_not_served",
            "delivery_given_up",
            "rows_set_aside",
            "suspect",
            "late",
            "over_limit",
        ]);
        assert_comes_back::<AlertEnd>(&["recovered", "enabled", "removed"]);
        assert_comes_back::<Concern>(&["stalled", "over_limit", "late", "flapping", "suspect"]);
        assert_comes_back::<SkipReason>(&[
            "overlap",
            "superseded",
            "retry",
            "no_room",
            "missed",
            "catch_up_limit",
            "stopped",
            "disabled",
            "given_up",
            "rescheduled",
        ]);
        assert_comes_back::<CommandSource>(&["apps", "cli", "console", "rabbitmq"]);
    }

    #[test]
    fn an_outcome_of_a_newer_version_is_neither_good_nor_bad() {
        assert_eq!(Word::from("of_version_9").blame(), Blame::Excused);
        assert_eq!(Word::from("crashed").blame(), Blame::Bad);
    }
}
