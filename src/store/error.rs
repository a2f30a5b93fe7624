//! What can go wrong with a database, by what the caller does about it.

use std::path::{Path, PathBuf};

use crate::files;

/// A database did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Try again later: it is locked, full, away, or does not answer.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Try again later: another program holds a row or a table.
    #[error("the database is not available: {0}")]
    Locked(String),
    /// Stop: the database is of another version of the program.
    #[error("{}", schema_message(*.found, *.expected))]
    Schema {
        /// The version of the database.
        found: i64,
        /// The version that this program knows.
        expected: i64,
    },
    /// Stop: the file is no database of dcm, or it is damaged.
    #[error("{0}")]
    Corrupt(String),
    /// Stop: a person must set it right first, the URL, the password or the rights.
    #[error("{0}")]
    Denied(String),
    /// There is no database.
    #[error("there is no database at {}; dcm db migrate creates one", .0.display())]
    Missing(PathBuf),
    /// Another manager serves it.
    #[error("a manager is already serving this database: {0}")]
    Served(String),
    /// Begin anew: this manager was taken for lost, and others may have its apps by now.
    #[error("another manager has taken this one for lost")]
    Deposed,
    /// Begin anew: the database is not the one that this manager took its seat in, but a backup, say.
    #[error("the database was replaced by another one")]
    Replaced,
    /// The request goes against what is stored: the app exists, is missing or is running.
    #[error("{0}")]
    Refused(String),
}

impl StoreError {
    /// The file or folder, or a folder on the way to it, is not for this user.
    #[must_use]
    pub fn no_permission(path: &Path) -> Self {
        let whose = files::owner_of(path).map_or_else(String::new, |owner| {
            format!(" belongs to {owner}; run dcm as that user (sudo -u {owner} dcm ...)")
        });
        Self::Denied(format!("permission denied: {}{whose}", path.display()))
    }
}

fn schema_message(found: i64, expected: i64) -> String {
    if found > expected {
        format!("the database has schema {found}, newer than the {expected} of this program; use a newer dcm")
    } else {
        format!(
            "the database has schema {found}, older than the {expected} of this program; run dcm db migrate"
        )
    }
}
