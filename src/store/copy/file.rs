//! One end of a copy that is a file.

use std::path::Path;

use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, params_from_iter};
use serde_json::Value;

use super::{End, Marks, NUMBERED, PAGE, Row, TABLES, not_empty, write};
use crate::store::StoreError;
use crate::store::sqlite::{open_for_copy, translate};

pub(super) struct File {
    connection: Connection,
    /// What recreates the triggers, which stand aside while rows are written as they were.
    triggers: Vec<String>,
}

fn failed(error: &rusqlite::Error) -> StoreError {
    translate(error)
}

impl File {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: open_for_copy(path)?, triggers: Vec::new() })
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(sql).map_err(|error| failed(&error))
    }

    fn number(&self, sql: &str) -> Result<i64, StoreError> {
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| failed(&error))
    }

    pub(super) fn columns(&self, table: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT name FROM pragma_table_info(?1)";
        let mut columns = self
            .connection
            .prepare(sql)
            .and_then(|mut statement| {
                statement.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
            })
            .map_err(|error| failed(&error))?;
        if table == "runtime" {
            // The order of runs that began in the same millisecond.
            columns.push("id".to_owned());
        }
        Ok(columns)
    }

    pub(super) fn begin_reading(&self) -> Result<Marks, StoreError> {
        self.execute("BEGIN")?;
        let mut marks = Marks { revision: self.number("SELECT value FROM revision")?, ..Marks::default() };
        for (mark, table) in marks.numbered.iter_mut().zip(NUMBERED) {
            *mark = self.number(&format!(
                "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0)"
            ))?;
        }
        Ok(marks)
    }

    pub(super) async fn copy(
        &self,
        table: &'static str,
        columns: &[String],
        destination: &mut End,
    ) -> Result<u64, StoreError> {
        let sql = format!("SELECT {} FROM {table}", listed(table, columns));
        let mut statement = self.connection.prepare(&sql).map_err(|error| failed(&error))?;
        let mut rows = statement.query([]).map_err(|error| failed(&error))?;
        let mut count = 0;
        let mut page = Vec::new();
        loop {
            let row = rows.next().map_err(|error| failed(&error))?;
            let is_last = row.is_none();
            if let Some(row) = row {
                let values = (0..columns.len()).map(|column| {
                    row.get_ref(column).map_err(|error| failed(&error)).and_then(|value| taken(value))
                });
                page.push(values.collect::<Result<Row, _>>()?);
                count += 1;
            }
            if page.len() == PAGE || is_last && !page.is_empty() {
                write(destination, table, columns, std::mem::take(&mut page)).await?;
            }
            if is_last {
                return Ok(count);
            }
        }
    }

    pub(super) fn begin_writing(&mut self) -> Result<(), StoreError> {
        self.execute("BEGIN IMMEDIATE")?;
        for table in TABLES {
            if self.number(&format!("SELECT EXISTS (SELECT 1 FROM {table})"))? != 0 {
                return Err(not_empty(table));
            }
        }
        let triggers: Vec<(String, String)> = self
            .connection
            .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid")
            .and_then(|mut statement| {
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .map_err(|error| failed(&error))?;
        for (name, sql) in triggers {
            self.execute(&format!("DROP TRIGGER {name}"))?;
            self.triggers.push(sql);
        }
        Ok(())
    }

    pub(super) fn write(&self, table: &str, columns: &[String], rows: Vec<Row>) -> Result<(), StoreError> {
        let marks = vec!["?"; columns.len()].join(", ");
        let sql = format!("INSERT INTO {table} ({}) VALUES ({marks})", listed(table, columns));
        let kinds: Vec<String> =
            columns.iter().map(|column| self.kind(table, column)).collect::<Result<_, _>>()?;
        let mut statement = self.connection.prepare_cached(&sql).map_err(|error| failed(&error))?;
        for row in rows {
            let values = row.into_iter().zip(&kinds).map(|(value, kind)| stored(value, kind));
            statement.execute(params_from_iter(values)).map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    fn kind(&self, table: &str, column: &str) -> Result<String, StoreError> {
        self.connection
            .prepare_cached(
                "SELECT coalesce(max(type), 'INTEGER') FROM pragma_table_info(?1) WHERE name = ?2",
            )
            .and_then(|mut statement| statement.query_row([table, column], |row| row.get(0)))
            .map_err(|error| failed(&error))
    }

    pub(super) fn finish(&self, marks: &Marks) -> Result<(), StoreError> {
        self.execute(&format!("UPDATE revision SET value = {}", marks.revision))?;
        for (mark, table) in marks.numbered.iter().zip(NUMBERED) {
            self.execute(&format!(
                "DELETE FROM sqlite_sequence WHERE name = '{table}'; \
                 INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', {mark})"
            ))?;
        }
        self.triggers.iter().try_for_each(|sql| self.execute(sql))?;
        self.execute("COMMIT")
    }
}

fn listed(table: &str, columns: &[String]) -> String {
    let name = |column: &String| match (table, column.as_str()) {
        ("runtime", "id") => "rowid".to_owned(),
        (_, column) => format!("\"{column}\""),
    };
    columns.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn taken(value: ValueRef<'_>) -> Result<Value, StoreError> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        // The shortest text that gives the same number again.
        ValueRef::Real(number) => format!("{number:?}").into(),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => text.into(),
            Err(_) => return Err(StoreError::Refused("a text is no UTF-8".to_owned())),
        },
        ValueRef::Blob(bytes) => hex(bytes).into(),
    })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn stored(value: Value, kind: &str) -> Stored {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => Stored::Null,
        Value::Bool(is_true) => Stored::Integer(is_true.into()),
        Value::Number(number) => number.as_i64().map_or(Stored::Null, Stored::Integer),
        Value::String(text) if kind == "REAL" => text.parse().map_or(Stored::Text(text), Stored::Real),
        Value::String(text) if kind == "BLOB" => Stored::Blob(bytes(&text)),
        Value::String(text) => Stored::Text(text),
    }
}

fn bytes(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("\\x").unwrap_or(text).as_bytes();
    let digit =
        |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    digits.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
