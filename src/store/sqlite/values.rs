//! Values in rows that any program may have written. `SQLite` checks neither that a text is UTF-8 nor
//! that a number is small: no value may make a whole query fail, so to read one never does.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::model::{Timestamp, parse_timestamp};
use crate::store::definition::Faults;

/// A column of a row, by name or by position.
pub(super) trait Column: rusqlite::RowIndex + Copy {}

impl<T: rusqlite::RowIndex + Copy> Column for T {}

/// A text to be shown: what is not UTF-8 in it is replaced.
pub(super) fn text(row: &Row<'_>, column: impl Column) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    })
}

/// The same, where the table has no null.
pub(super) fn sure_text(row: &Row<'_>, column: impl Column) -> rusqlite::Result<String> {
    Ok(text(row, column)?.unwrap_or_default())
}

/// A whole number; null where there is something else.
pub(super) fn whole(row: &Row<'_>, column: impl Column) -> rusqlite::Result<Option<i64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => None,
    })
}

/// A number that is small by nature; null where there is something else.
pub(super) fn small<T: TryFrom<i64>>(row: &Row<'_>, column: impl Column) -> rusqlite::Result<Option<T>> {
    Ok(whole(row, column)?.and_then(|number| T::try_from(number).ok()))
}

/// A counter; a negative one counts as nothing.
pub(super) fn count(row: &Row<'_>, column: impl Column) -> rusqlite::Result<Option<u64>> {
    Ok(whole(row, column)?.map(|number| u64::try_from(number).unwrap_or(0)))
}

pub(super) fn is_set(row: &Row<'_>, column: impl Column) -> rusqlite::Result<bool> {
    Ok(whole(row, column)?.is_some_and(|number| number != 0))
}

/// A time that only informs: what cannot be read is left out.
pub(super) fn time(row: &Row<'_>, column: impl Column) -> rusqlite::Result<Option<Timestamp>> {
    Ok(text(row, column)?.and_then(|text| parse_timestamp(&text).ok()))
}

/// The same, where the table has no null.
pub(super) fn sure_time(row: &Row<'_>, column: impl Column) -> rusqlite::Result<Timestamp> {
    Ok(time(row, column)?.unwrap_or(Timestamp::UNIX_EPOCH))
}

/// A value that is understood or not at all, because something is done by it.
pub(super) trait Exact: Sized {
    /// `None` when it is something else.
    fn of(value: ValueRef<'_>) -> Option<Self>;

    /// What is expected, for people.
    const EXPECTED: &'static str;
}

impl Exact for String {
    fn of(value: ValueRef<'_>) -> Option<Self> {
        let ValueRef::Text(bytes) = value else { return None };
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }

    const EXPECTED: &'static str = "a text in UTF-8";
}

impl Exact for f64 {
    #[expect(clippy::cast_precision_loss, reason = "minutes and seconds are small; a larger one is refused")]
    fn of(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Real(number) => Some(number),
            ValueRef::Integer(number) => Some(number as f64),
            ValueRef::Null | ValueRef::Text(_) | ValueRef::Blob(_) => None,
        }
    }

    const EXPECTED: &'static str = "a number";
}

impl Exact for i64 {
    fn of(value: ValueRef<'_>) -> Option<Self> {
        if let ValueRef::Integer(number) = value { Some(number) } else { None }
    }

    const EXPECTED: &'static str = "a whole number";
}

impl Exact for bool {
    fn of(value: ValueRef<'_>) -> Option<Self> {
        i64::of(value).map(|number| number != 0)
    }

    const EXPECTED: &'static str = "0 or 1";
}

/// A column that defines an app; one that is something else is a fault of the row.
pub(super) fn defining<T: Exact>(
    row: &Row<'_>,
    position: usize,
    name: &'static str,
    faults: &mut Faults,
) -> rusqlite::Result<Option<T>> {
    let value = row.get_ref(position)?;
    if value == ValueRef::Null {
        return Ok(None);
    }
    let read = T::of(value);
    if read.is_none() {
        faults.add(name, format!("{name} is not {}", T::EXPECTED));
    }
    Ok(read)
}
