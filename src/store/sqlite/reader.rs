//! Reads the rows of the embedded database. SQLite checks neither that a text is UTF-8 nor that a number is small, and any
//! program may have written a row: no value may make a whole query fail.

use std::borrow::Cow;

use chrono_tz::Tz;
use rusqlite::Row;
use rusqlite::types::{self, Type, ValueRef};

use crate::model::{Kind, Timestamp, Value, parse_timestamp, parse_timestamp_in};
use crate::store::definition::json;
use crate::store::row_reader::{Column, NotATime, RowReader};

impl RowReader for Row<'_> {
    type Error = rusqlite::Error;

    /// SQLite has no type for true and false.
    fn value(&self, column: impl Into<Column>, kind: Kind) -> rusqlite::Result<Value<'_>> {
        Ok(match stored(self, column)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) if kind == Kind::Flag => Value::Flag(number != 0),
            ValueRef::Integer(number) => Value::Whole(number),
            ValueRef::Real(number) => Value::Number(number),
            ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_or(Value::Other, Value::from),
            ValueRef::Blob(_) => Value::Other,
        })
    }

    /// What is not UTF-8 in a text is replaced.
    fn text(&self, column: impl Into<Column>) -> rusqlite::Result<Option<Cow<'_, str>>> {
        Ok(match stored(self, column)? {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number.to_string().into()),
            ValueRef::Real(number) => Some(number.to_string().into()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes)),
        })
    }

    fn raw_text(&self, column: impl Into<Column>) -> rusqlite::Result<&[u8]> {
        Ok(match stored(self, column)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => &[],
        })
    }

    fn bytes(&self, column: impl Into<Column>) -> rusqlite::Result<Vec<u8>> {
        self.raw_text(column).map(<[u8]>::to_vec)
    }

    /// A list is an array of JSON.
    fn list(&self, column: impl Into<Column>) -> rusqlite::Result<Vec<String>> {
        Ok(serde_json::from_slice(self.raw_text(column)?).unwrap_or_default())
    }

    fn whole(&self, column: impl Into<Column>) -> rusqlite::Result<Option<i64>> {
        Ok(if let ValueRef::Integer(number) = stored(self, column)? { Some(number) } else { None })
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds are few; more is refused")]
    fn number(&self, column: impl Into<Column>) -> rusqlite::Result<Option<f64>> {
        Ok(match stored(self, column)? {
            ValueRef::Real(number) => Some(number),
            ValueRef::Integer(number) => Some(number as f64),
            ValueRef::Null | ValueRef::Text(_) | ValueRef::Blob(_) => None,
        })
    }

    fn is_set(&self, column: impl Into<Column>) -> rusqlite::Result<bool> {
        Ok(self.whole(column)?.is_some_and(|number| number != 0))
    }

    fn time(&self, column: impl Into<Column>) -> rusqlite::Result<Option<Timestamp>> {
        Ok(self.text(column)?.and_then(|text| parse_timestamp(&text).ok()))
    }

    fn asked_time(
        &self,
        column: impl Into<Column>,
        zone: Tz,
    ) -> rusqlite::Result<Option<Result<Timestamp, NotATime>>> {
        let text = self.text(column)?;
        Ok(text.map(|text| parse_timestamp_in(&text, &zone).map_err(|_| NotATime(text.into_owned()))))
    }

    fn meaningless(&self) -> rusqlite::Error {
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, "the row means nothing".into())
    }
}

fn stored<'a>(row: &'a Row<'_>, column: impl Into<Column>) -> rusqlite::Result<ValueRef<'a>> {
    match column.into() {
        Column::Name(name) => row.get_ref(name),
        Column::Position(position) => row.get_ref(position),
    }
}

/// What is written of a setting.
pub(super) fn bound(value: Value<'_>) -> types::Value {
    match value {
        Value::Null | Value::Other => types::Value::Null,
        Value::Flag(flag) => flag.into(),
        Value::Whole(number) => number.into(),
        Value::Number(number) => number.into(),
        Value::Text(text) => text.into_owned().into(),
        Value::List(_) | Value::Variables(_) => json(value).into(),
    }
}
