//! One end of a copy that is a server.

use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{End, Marks, NUMBERED, PAGE, Row, TABLES, not_empty, write};
use crate::model::parse_timestamp;
use crate::store::StoreError;
use crate::store::postgres::{open_for_copy, translate};

/// Columns that mean something on one server only.
const OF_THIS_SERVER: [&str; 3] = ["written_in", "touched_in", "owned_in"];

pub(super) struct Server {
    connection: PgConnection,
}

impl Server {
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        Ok(Self { connection: open_for_copy(url).await? })
    }

    async fn execute(&mut self, sql: String) -> Result<(), StoreError> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await;
        done.map(drop).map_err(|error| translate(&error))
    }

    async fn rows(&mut self, sql: String) -> Result<Vec<PgRow>, StoreError> {
        let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await;
        found.map_err(|error| translate(&error))
    }

    async fn number(&mut self, sql: String) -> Result<i64, StoreError> {
        let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut self.connection).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| translate(&error))
    }

    /// Names and types of the columns of a table.
    async fn typed(&mut self, table: &str) -> Result<Vec<(String, String)>, StoreError> {
        let rows = self
            .rows(format!(
                "SELECT attname::text AS name, format_type(atttypid, NULL) AS type FROM pg_attribute \
                 WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
            ))
            .await?;
        let read = |row: &PgRow| Ok((row.try_get("name")?, row.try_get("type")?));
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(|error| translate(&error))
    }

    pub(super) async fn columns(&mut self, table: &str) -> Result<Vec<String>, StoreError> {
        let names = self.typed(table).await?.into_iter().map(|(name, _)| name);
        Ok(names.filter(|name| !OF_THIS_SERVER.contains(&name.as_str())).collect())
    }

    pub(super) async fn begin_reading(&mut self) -> Result<Marks, StoreError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; \
             SET LOCAL idle_in_transaction_session_timeout = 0";
        self.execute(begin.to_owned()).await?;
        let sequence =
            |name: &str| format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}");
        let mut marks =
            Marks { revision: self.number(sequence("revision_number")).await?, ..Marks::default() };
        for (mark, table) in marks.numbered.iter_mut().zip(NUMBERED) {
            *mark = self.number(sequence(&format!("{table}_id_seq"))).await?;
        }
        Ok(marks)
    }

    pub(super) async fn copy(
        &mut self,
        table: &'static str,
        columns: &[String],
        destination: &mut End,
    ) -> Result<u64, StoreError> {
        let types = self.typed(table).await?;
        let expressions = columns.iter().map(|column| {
            let kind = types.iter().find(|(name, _)| name == column).map_or("", |(_, kind)| kind.as_str());
            match kind {
                "boolean" => format!("\"{column}\"::int"),
                "text[]" => format!("to_jsonb(\"{column}\")::text"),
                "double precision" | "bytea" => format!("\"{column}\"::text"),
                "timestamp with time zone" => {
                    format!("to_char(\"{column}\" AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
                }
                _ => format!("\"{column}\""),
            }
        });
        let expressions: Vec<_> = expressions.collect();
        self.execute(format!(
            "DECLARE pages NO SCROLL CURSOR FOR SELECT jsonb_build_array({})::text FROM {table}",
            expressions.join(", ")
        ))
        .await?;
        let mut count = 0;
        loop {
            let found = self.rows(format!("FETCH FORWARD {PAGE} FROM pages")).await?;
            if found.is_empty() {
                self.execute("CLOSE pages".to_owned()).await?;
                return Ok(count);
            }
            let page = found.iter().map(taken).collect::<Result<Vec<Row>, _>>()?;
            count += page.len() as u64;
            write(destination, table, columns, page).await?;
        }
    }

    pub(super) async fn begin_writing(&mut self) -> Result<(), StoreError> {
        let begin = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s'; \
             SET LOCAL idle_in_transaction_session_timeout = 0";
        self.execute(begin.to_owned()).await?;
        for table in TABLES {
            // Rows are written as they were; only the owner may do that. From now on nobody else writes.
            self.execute(format!("ALTER TABLE {table} DISABLE TRIGGER USER")).await?;
            if self.number(format!("SELECT count(*) FROM (SELECT FROM {table} LIMIT 1) AS any_row")).await?
                > 0
            {
                return Err(not_empty(table));
            }
        }
        Ok(())
    }

    pub(super) async fn write(
        &mut self,
        table: &str,
        columns: &[String],
        rows: Vec<Row>,
    ) -> Result<(), StoreError> {
        let types = self.typed(table).await?;
        let kinds: Vec<_> = columns
            .iter()
            .map(|column| types.iter().find(|(name, _)| name == column).map_or("", |(_, kind)| kind.as_str()))
            .collect();
        let objects = rows.into_iter().map(|row| {
            let values = row.into_iter().zip(&kinds).map(|(value, kind)| stored(value, kind));
            let values = values.collect::<Result<Row, _>>()?;
            Ok(Value::Object(columns.iter().cloned().zip(values).collect()))
        });
        let page = Value::Array(objects.collect::<Result<_, StoreError>>()?);
        let listed = columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "INSERT INTO {table} ({listed}) SELECT {listed} FROM jsonb_populate_recordset(NULL::{table}, $1::text::jsonb)"
        );
        let done = sqlx::query(AssertSqlSafe(sql))
            .persistent(false)
            .bind(page.to_string())
            .execute(&mut self.connection)
            .await;
        done.map(drop).map_err(|error| translate(&error))
    }

    pub(super) async fn finish(&mut self, marks: &Marks) -> Result<(), StoreError> {
        for table in TABLES {
            self.execute(format!("ALTER TABLE {table} ENABLE TRIGGER USER")).await?;
        }
        let reach = |sequence: &str, mark: &str| {
            format!("SELECT setval('{sequence}', greatest({mark}, 1), {mark} > 0)")
        };
        self.execute(reach("revision_number", &marks.revision.to_string())).await?;
        for (mark, table) in marks.numbered.iter().zip(NUMBERED) {
            self.execute(reach(&format!("{table}_id_seq"), &mark.to_string())).await?;
        }
        for table in ["apps", "runtime"] {
            let highest = format!("(SELECT coalesce(max(id), 0) FROM {table})");
            self.execute(reach(&format!("{table}_id_seq"), &highest)).await?;
        }
        self.execute("COMMIT".to_owned()).await
    }
}

fn taken(row: &PgRow) -> Result<Row, StoreError> {
    let text: String = row.try_get(0).map_err(|error| translate(&error))?;
    serde_json::from_str(&text)
        .map_err(|error| StoreError::Corrupt(format!("the server sent no JSON: {error}")))
}

/// A value as the server takes it.
fn stored(value: Value, kind: &str) -> Result<Value, StoreError> {
    let Some(text) = value.as_str() else { return Ok(value) };
    match kind {
        // The server would take `tomorrow` for one.
        "timestamp with time zone" => match parse_timestamp(text) {
            Ok(_) => Ok(value),
            Err(error) => Err(StoreError::Refused(error.to_string())),
        },
        "text[]" => serde_json::from_str(text)
            .map_err(|error| StoreError::Refused(format!("{text:?} is no JSON array: {error}"))),
        // The server has no text with NUL characters.
        _ if text.contains('\0') => Ok(text.replace('\0', "\u{fffd}").into()),
        _ => Ok(value),
    }
}
