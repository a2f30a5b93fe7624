//! `dcm report`: an app tells its shim of its progress.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::layout::RunDir;
use super::record::Message;
use super::{report, sys};
use crate::model::ReportError;

/// A report did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It says something impossible.
    #[error("invalid report: {0}")]
    Invalid(#[from] ReportError),
    /// The run is over, or its shim was killed and is not replaced yet.
    #[error("nobody takes reports in {0}: the run is over, or its supervisor is being replaced")]
    NotHeard(String),
    /// The run directory cannot be written to.
    #[error("cannot write to the run directory: {0}")]
    Io(#[from] io::Error),
}

/// Sends a report to the shim of a run directory.
///
/// # Errors
/// [`SendError`] when it is invalid or nobody takes it.
pub fn send(run_dir: &Path, fields: Map<String, Value>) -> Result<(), SendError> {
    let value = Value::Object(fields);
    report::from_value(&value, chrono_tz::Tz::UTC)?;
    if sys::send(&RunDir::new(run_dir.to_owned()), &Message::Report(value))? {
        Ok(())
    } else {
        Err(SendError::NotHeard(run_dir.display().to_string()))
    }
}
