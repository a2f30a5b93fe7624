//! The end of a log that is kept in the database.

use super::{AppId, RunId, Timestamp};

/// The end of the log of a run, for those who look from another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLog {
    /// The run.
    pub run: RunId,
    /// Its app.
    pub app: AppId,
    /// The manager that wrote it, whose host has the whole log.
    pub manager: String,
    /// Records as they are in the file, from the beginning of one.
    pub bytes: Vec<u8>,
    /// When it was written, by the clock of the database.
    pub written: Timestamp,
}
