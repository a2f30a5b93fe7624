//! Moves a fleet from one database to another, of the same or of the other kind: every row of every table,
//! with its number, so that whoever has read the one can go on with the other.
//!
//! The form in between is that of the embedded database, as JSON: times as text, numbers with a fraction
//! as text that gives the same number again, bytes as `\x` and hex digits.

mod file;
mod server;

use std::path::PathBuf;

use serde_json::Value;

use super::StoreError;
use file::File;
use server::Server;

/// One of two databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyEnd {
    /// A file.
    Sqlite(PathBuf),
    /// The URL of a server.
    Postgres(String),
}

/// The tables in an order in which each finds what it refers to. Wishes for logs are as short-lived as
/// those who have them.
const TABLES: [&str; 15] = [
    "app_groups",
    "app_parents",
    "apps",
    "runtime",
    "skips",
    "commands",
    "managers",
    "alerts",
    "watch_roots",
    "routes",
    "events",
    "pipeline_task",
    "deliveries",
    "removed_apps",
    "log_tails",
];

/// Tables that number their rows and use no number twice.
const NUMBERED: [&str; 6] = ["commands", "alerts", "deliveries", "routes", "events", "pipeline_task"];

/// Rows that are under way at once.
const PAGE: usize = 1000;

/// A row, in the order of the columns that were asked for.
type Row = Vec<Value>;

/// How far the numbers of a database have come, whether rows with them are left or not.
#[derive(Debug, Default, PartialEq, Eq)]
struct Marks {
    revision: i64,
    numbered: [i64; NUMBERED.len()],
}

enum End {
    File(Box<File>),
    Server(Box<Server>),
}

impl End {
    async fn open(end: &CopyEnd) -> Result<Self, StoreError> {
        Ok(match end {
            CopyEnd::Sqlite(path) => Self::File(Box::new(File::open(path)?)),
            CopyEnd::Postgres(url) => Self::Server(Box::new(Server::open(url).await?)),
        })
    }

    /// The names of the columns of a table, sorted.
    async fn columns(&mut self, table: &'static str) -> Result<Vec<String>, StoreError> {
        let mut columns = match self {
            Self::File(file) => file.columns(table)?,
            Self::Server(server) => server.columns(table).await?,
        };
        columns.sort();
        Ok(columns)
    }
}

/// Copies everything in one transaction, and gives the number of rows of each table. No manager may
/// serve either database meanwhile.
///
/// # Errors
/// [`StoreError::Refused`] when the destination is not empty or cannot hold a row; it is as it was then.
pub async fn copy(source: &CopyEnd, destination: &CopyEnd) -> Result<Vec<(&'static str, u64)>, StoreError> {
    let mut source = End::open(source).await?;
    let mut destination = End::open(destination).await?;
    let marks = match &mut source {
        End::File(file) => file.begin_reading()?,
        End::Server(server) => server.begin_reading().await?,
    };
    match &mut destination {
        End::File(file) => file.begin_writing()?,
        End::Server(server) => server.begin_writing().await?,
    }
    let mut counts = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let columns = source.columns(table).await?;
        if columns != destination.columns(table).await? {
            return Err(StoreError::Corrupt(format!(
                "table {table} has not the same columns in both databases"
            )));
        }
        let copied = match &mut source {
            End::File(file) => file.copy(table, &columns, &mut destination).await,
            End::Server(server) => server.copy(table, &columns, &mut destination).await,
        };
        counts.push((table, copied.map_err(|error| in_table(table, error))?));
    }
    match &mut destination {
        End::File(file) => file.finish(&marks)?,
        End::Server(server) => server.finish(&marks).await?,
    }
    Ok(counts)
}

/// Writes a page of rows.
async fn write(
    end: &mut End,
    table: &'static str,
    columns: &[String],
    rows: Vec<Row>,
) -> Result<(), StoreError> {
    match end {
        End::File(file) => file.write(table, columns, rows),
        End::Server(server) => server.write(table, columns, rows).await,
    }
}

fn in_table(table: &str, error: StoreError) -> StoreError {
    if let StoreError::Refused(why) = error {
        return StoreError::Refused(format!(
            "a row of table {table} cannot be copied: {why}; nothing was copied"
        ));
    }
    error
}

fn not_empty(table: &str) -> StoreError {
    StoreError::Refused(format!(
        "the destination is not empty: there are rows in table {table}; name a new database"
    ))
}
