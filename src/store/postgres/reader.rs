//! Reads the rows of the server.

use std::borrow::Cow;

use chrono::{DateTime, Datelike as _, SubsecRound as _, Utc};
use chrono_tz::Tz;
use sqlx::postgres::{PgRow, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Row as _, Type};

use crate::model::{Kind, Timestamp, Value};
use crate::store::row_reader::{Column, NotATime, RowReader};

/// A `timestamptz` as it is sent. The server knows infinity and years that calendars of programs do
/// not have; to take those for a moment would end in a panic.
struct Micros(i64);

impl Type<Postgres> for Micros {
    fn type_info() -> PgTypeInfo {
        <DateTime<Utc> as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Micros {
    fn decode(value: PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
        <i64 as Decode<Postgres>>::decode(value).map(Self)
    }
}

impl Micros {
    /// From 1970-01-01 to 2000-01-01, where the server's count begins.
    const EPOCH: i64 = 946_684_800_000_000;

    fn moment(&self) -> Option<Timestamp> {
        let micros = self.0.checked_add(Self::EPOCH)?;
        DateTime::from_timestamp_micros(micros)
            .map(|time| time.trunc_subsecs(3))
            .filter(|time| (1970..=9999).contains(&time.year()))
    }
}

impl RowReader for PgRow {
    type Error = sqlx::Error;

    fn value(&self, column: impl Into<Column>, kind: Kind) -> sqlx::Result<Value<'_>> {
        Ok(match kind {
            Kind::Flag => stored::<bool>(self, column)?.into(),
            Kind::Whole => stored::<i64>(self, column)?.map_or(Value::Null, Value::Whole),
            Kind::Number => stored::<f64>(self, column)?.into(),
            Kind::Text | Kind::Word(_) | Kind::Directory | Kind::List | Kind::Variables => {
                stored::<&str>(self, column)?.into()
            }
        })
    }

    fn text(&self, column: impl Into<Column>) -> sqlx::Result<Option<Cow<'_, str>>> {
        Ok(stored::<&str>(self, column)?.map(Cow::Borrowed))
    }

    fn raw_text(&self, column: impl Into<Column>) -> sqlx::Result<&[u8]> {
        Ok(stored::<&str>(self, column)?.unwrap_or_default().as_bytes())
    }

    fn bytes(&self, column: impl Into<Column>) -> sqlx::Result<Vec<u8>> {
        Ok(stored(self, column)?.unwrap_or_default())
    }

    fn list(&self, column: impl Into<Column>) -> sqlx::Result<Vec<String>> {
        let list: Option<Vec<Option<String>>> = stored(self, column)?;
        Ok(list.into_iter().flatten().flatten().collect())
    }

    fn whole(&self, column: impl Into<Column>) -> sqlx::Result<Option<i64>> {
        stored(self, column)
    }

    fn number(&self, column: impl Into<Column>) -> sqlx::Result<Option<f64>> {
        stored(self, column)
    }

    fn is_set(&self, column: impl Into<Column>) -> sqlx::Result<bool> {
        Ok(stored(self, column)?.unwrap_or(false))
    }

    fn time(&self, column: impl Into<Column>) -> sqlx::Result<Option<Timestamp>> {
        Ok(stored::<Micros>(self, column)?.and_then(|micros| micros.moment()))
    }

    fn asked_time(
        &self,
        column: impl Into<Column>,
        _: Tz,
    ) -> sqlx::Result<Option<Result<Timestamp, NotATime>>> {
        let micros: Option<Micros> = stored(self, column)?;
        Ok(micros.map(|micros| micros.moment().ok_or_else(|| NotATime(format!("{} microseconds", micros.0)))))
    }

    fn meaningless(&self) -> sqlx::Error {
        sqlx::Error::Decode("the row means nothing".into())
    }
}

/// Whether that is the error of [`RowReader::meaningless`]; those of a column are of another kind.
pub(super) fn is_meaningless(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Decode(_))
}

fn stored<'r, T: Decode<'r, Postgres> + Type<Postgres>>(
    row: &'r PgRow,
    column: impl Into<Column>,
) -> sqlx::Result<Option<T>> {
    Ok(match column.into() {
        Column::Name(name) => row.try_get(name)?,
        Column::Position(position) => row.try_get(position)?,
    })
}
