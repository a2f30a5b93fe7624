//! What the process of an app cannot have of its own on this system.

use crate::model::{Obstacle, StartFailure};
use crate::process::record::ProcessRecord;

/// Looks whether this host can start an app with these settings.
///
/// # Errors
/// [`StartFailure`] names the first one that it does not know.
pub(in crate::process) fn check(process: &ProcessRecord) -> Result<(), StartFailure> {
    process.given().first().map_or(Ok(()), |setting| Err(unsupported(setting)))
}

pub(super) fn unsupported(setting: &str) -> StartFailure {
    let message = match setting {
        "stop_signal" => "stop_signal: Windows knows TERM, which is Ctrl+Break here, and KILL".to_owned(),
        setting => format!("{setting}: Windows cannot start a program with it"),
    };
    StartFailure { obstacle: Obstacle::NotExecutable, message }
}
