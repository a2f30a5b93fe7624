//! How a value is taken out of a row, whichever database it comes from.

use std::borrow::Cow;
use std::str::FromStr;

use chrono_tz::Tz;

use crate::model::{Kind, Timestamp, Value};

/// A column of a row. Where there are many rows of many columns, a position is found faster than a name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Name(&'static str),
    Position(usize),
}

impl From<&'static str> for Column {
    fn from(name: &'static str) -> Self {
        Self::Name(name)
    }
}

impl From<usize> for Column {
    fn from(position: usize) -> Self {
        Self::Position(position)
    }
}

/// What is written in the place of a time.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not a time")]
pub(super) struct NotATime(pub(super) String);

/// Takes values out of a row. Any program may have written it, so a value that is not what the column is for is left out
/// where it only informs, and no value makes a whole query fail.
pub(super) trait RowReader {
    /// What reading may end with.
    type Error;

    /// A value that is understood or not at all, because something is done by it.
    fn value(&self, column: impl Into<Column>, kind: Kind) -> Result<Value<'_>, Self::Error>;

    /// A text to be shown.
    fn text(&self, column: impl Into<Column>) -> Result<Option<Cow<'_, str>>, Self::Error>;

    /// The bytes of a text, whatever they are.
    fn raw_text(&self, column: impl Into<Column>) -> Result<&[u8], Self::Error>;

    /// Bytes that need not be a text.
    fn bytes(&self, column: impl Into<Column>) -> Result<Vec<u8>, Self::Error>;

    /// Texts in their order.
    fn list(&self, column: impl Into<Column>) -> Result<Vec<String>, Self::Error>;

    fn whole(&self, column: impl Into<Column>) -> Result<Option<i64>, Self::Error>;

    fn number(&self, column: impl Into<Column>) -> Result<Option<f64>, Self::Error>;

    fn is_set(&self, column: impl Into<Column>) -> Result<bool, Self::Error>;

    /// A time that only informs.
    fn time(&self, column: impl Into<Column>) -> Result<Option<Timestamp>, Self::Error>;

    /// A time that an app or a person asked for, or what was written in its place. Without an offset it is one of `zone`.
    fn asked_time(
        &self,
        column: impl Into<Column>,
        zone: Tz,
    ) -> Result<Option<Result<Timestamp, NotATime>>, Self::Error>;

    /// The error of a row that means nothing, which those who can do without it leave out.
    fn meaningless(&self) -> Self::Error;

    /// A text where the table has no null.
    fn sure_text(&self, column: impl Into<Column>) -> Result<Cow<'_, str>, Self::Error> {
        Ok(self.text(column)?.unwrap_or_default())
    }

    /// The same to be kept.
    fn sure_owned(&self, column: impl Into<Column>) -> Result<String, Self::Error> {
        self.sure_text(column).map(Cow::into_owned)
    }

    /// A text that is kept.
    fn owned(&self, column: impl Into<Column>) -> Result<Option<String>, Self::Error> {
        Ok(self.text(column)?.map(Cow::into_owned))
    }

    /// A time where the table has no null.
    fn sure_time(&self, column: impl Into<Column>) -> Result<Timestamp, Self::Error> {
        Ok(self.time(column)?.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// A number that is small by nature; one that is not was written by a hand.
    fn small<T: TryFrom<i64>>(&self, column: impl Into<Column>) -> Result<Option<T>, Self::Error> {
        Ok(self.whole(column)?.and_then(|number| T::try_from(number).ok()))
    }

    /// A counter; a negative one counts as nothing.
    fn count(&self, column: impl Into<Column>) -> Result<Option<u64>, Self::Error> {
        Ok(self.whole(column)?.map(|number| u64::try_from(number).unwrap_or(0)))
    }

    /// An id without which the row means nothing.
    fn parsed<T: FromStr>(&self, column: impl Into<Column>) -> Result<T, Self::Error> {
        self.sure_text(column)?.parse().map_err(|_| self.meaningless())
    }

    /// A code without which the row means nothing.
    fn code<T, E>(&self, column: impl Into<Column>, of: fn(i64) -> Result<T, E>) -> Result<T, Self::Error> {
        of(self.whole(column)?.unwrap_or(0)).map_err(|_| self.meaningless())
    }
}
