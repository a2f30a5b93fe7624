//! A value of a setting in the form that databases, files and the command line have in common.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::{Minutes, Vocabulary, Word};

/// What a setting holds, or is to hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// It has no value.
    Null,
    /// True or false.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A number with fractions.
    Number(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// Texts in their order.
    List(Cow<'a, [String]>),
    /// Variables with their texts; `None`: the variable is not to be inherited.
    Variables(BTreeMap<Cow<'a, str>, Option<Cow<'a, str>>>),
    /// Something that no setting holds: bytes that are no text, a date of a file.
    Other,
}

/// How a setting is written: the type of its column, of its key in a file, and of its option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Flag,
    /// A whole number.
    Whole,
    /// A number with fractions.
    Number,
    /// A text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A directory. A relative one starts where the file is that names it, or where the person stands.
    Directory,
    /// An array of texts, which databases hold as JSON. On the command line each has a way of its own.
    List,
    /// Variables of the environment, which databases hold as JSON and whose texts are not shown. Its options set one each.
    Variables,
}

/// A value that a setting cannot hold, in a sentence with the name of its column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSetting(String);

impl InvalidSetting {
    /// Takes a whole sentence, which names the column where the value alone does not say what it is.
    #[must_use]
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl Value<'_> {
    /// Reads the text of an option.
    ///
    /// # Errors
    /// [`InvalidSetting`] if it is not of this kind.
    pub(super) fn parse(
        column: &'static str,
        kind: Kind,
        text: &str,
    ) -> Result<Value<'static>, InvalidSetting> {
        let value = match kind {
            Kind::Flag => text.parse().ok().map(Value::Flag),
            Kind::Whole => text.parse().ok().map(Value::Whole),
            Kind::Number => text.trim().parse().ok().map(Value::Number),
            Kind::Text | Kind::Word(_) | Kind::Directory => Some(Value::Text(Cow::Owned(text.to_owned()))),
            Kind::List | Kind::Variables => None,
        };
        value.ok_or_else(|| InvalidSetting::new(format!("{column} is not {}, but {text:?}", kind.expected())))
    }
}

impl Kind {
    /// What is expected of a value, for people.
    fn expected(self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::Text | Self::Word(_) | Self::Directory => "a text in UTF-8",
            Self::List => "an array of texts, for example [\"a\", \"b\"]",
            Self::Variables => "a table of texts",
        }
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<Minutes> for Value<'_> {
    fn from(minutes: Minutes) -> Self {
        Self::Number(minutes.as_f64())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The longest pause or grace time in seconds: a day.
const SECONDS_MAX: f64 = 86_400.0;

/// A value on its way into a setting. Whichever way it came, it is checked by these methods and nothing else.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) column: &'static str,
    pub(super) value: Value<'a>,
}

impl Given<'_> {
    pub(super) fn flag(self) -> Result<bool, InvalidSetting> {
        if let Value::Flag(flag) = self.value { Ok(flag) } else { Err(self.is_not(Kind::Flag)) }
    }

    /// A whole number within `range`.
    pub(super) fn whole<T: TryFrom<i64>>(self, range: RangeInclusive<i64>) -> Result<T, InvalidSetting> {
        let Value::Whole(number) = self.value else { return Err(self.is_not(Kind::Whole)) };
        let within = T::try_from(number).ok().filter(|_| range.contains(&number));
        within.ok_or_else(|| {
            let (min, max) = range.into_inner();
            self.wrong(format_args!("must be {min} to {max}, not {number}"))
        })
    }

    pub(super) fn seconds(self) -> Result<Duration, InvalidSetting> {
        let seconds = self.number()?;
        if (0.0..=SECONDS_MAX).contains(&seconds) {
            Ok(Duration::from_secs_f64(seconds))
        } else {
            Err(self.wrong(format_args!("must be 0 to {SECONDS_MAX} seconds, not {seconds}")))
        }
    }

    pub(super) fn minutes(self) -> Result<Minutes, InvalidSetting> {
        Minutes::new(self.number()?).map_err(|error| InvalidSetting::new(format!("{}: {error}", self.column)))
    }

    pub(super) fn word<T: Vocabulary>(self) -> Result<T, InvalidSetting> {
        let Value::Text(text) = &self.value else { return Err(self.is_not(Kind::Text)) };
        Word::from(&**text).known().ok_or_else(|| {
            let words: Vec<_> = T::ALL.iter().map(|known| known.word()).collect();
            self.wrong(format_args!("must be one of {}, not {:?}", words.join(", "), shorten(text)))
        })
    }

    /// An expression that names itself in its error.
    pub(super) fn parsed<T: FromStr<Err: Display>>(self) -> Result<T, InvalidSetting> {
        let Value::Text(text) = &self.value else { return Err(self.is_not(Kind::Text)) };
        text.parse().map_err(|error: T::Err| InvalidSetting::new(error.to_string()))
    }

    /// A name, whose error does not say what is named.
    pub(super) fn named<T: FromStr<Err: Display>>(self) -> Result<T, InvalidSetting> {
        let column = self.column;
        self.parsed().map_err(|error| InvalidSetting::new(format!("{column}: {error}")))
    }

    /// A text of at most `length` characters, none of them NUL.
    pub(super) fn text(self, length: usize) -> Result<String, InvalidSetting> {
        let Value::Text(text) = self.value else { return Err(self.is_not(Kind::Text)) };
        let wrong = |what: &str| InvalidSetting::new(format!("{} {what}", self.column));
        if text.contains('\0') {
            Err(wrong("holds a NUL character"))
        } else if text.chars().count() > length {
            Err(wrong(&format!("has more than {length} characters")))
        } else {
            Ok(text.into_owned())
        }
    }

    /// A value that may be missing.
    pub(super) fn optional<T>(
        self,
        some: impl FnOnce(Self) -> Result<T, InvalidSetting>,
    ) -> Result<Option<T>, InvalidSetting> {
        if self.value == Value::Null { Ok(None) } else { some(self).map(Some) }
    }

    pub(super) fn number(&self) -> Result<f64, InvalidSetting> {
        if let Value::Number(number) = self.value {
            return Ok(number);
        }
        let Value::Whole(number) = self.value else { return Err(self.is_not(Kind::Number)) };
        #[expect(clippy::cast_precision_loss, reason = "minutes and seconds are small; more is refused")]
        Ok(number as f64)
    }

    /// Says what was expected.
    pub(super) fn is_not(&self, kind: Kind) -> InvalidSetting {
        self.wrong(format_args!("is not {}", kind.expected()))
    }

    /// A sentence that begins with the name of the column.
    pub(super) fn wrong(&self, what: impl Display) -> InvalidSetting {
        InvalidSetting::new(format!("{} {what}", self.column))
    }
}

/// As much of a text as a message shows.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}
