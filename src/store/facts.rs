//! What is known of a database besides its rows.

/// What a database is, and what it has left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// `SQLite 3.51.3`, `PostgreSQL 15.4`.
    pub product: String,
    /// The version of the tables.
    pub schema: i64,
    /// How many bytes it takes.
    pub size: u64,
    /// How many bytes its write-ahead log takes, where that is a file beside it.
    pub log: Option<u64>,
    /// How many connections the server has, and may have.
    pub connections: Option<(u32, u32)>,
    /// Where a network lies between: whether the connection is encrypted.
    pub is_encrypted: Option<bool>,
}
