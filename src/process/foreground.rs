//! `dcm run-app`: a run whose shim is the calling process itself.

use std::io;

use super::launch::LaunchSettings;
use super::{supervisor, sys};
use crate::manager::{Event, Launch};
use crate::model::RunId;

/// Runs one app to its end. Signals that this process gets from now on are passed on. Its output goes through, and is kept as that of any run; `tell` hears
/// that it started, what it reports, and at last how it ended.
///
/// # Errors
/// When the run directory cannot be made. That an app cannot be started is an ending like others.
pub fn run(
    settings: &LaunchSettings,
    run: RunId,
    launch: &Launch,
    mut tell: impl FnMut(Event) + 'static,
) -> io::Result<()> {
    supervisor::make_state_dir(&settings.state)?;
    let lock = supervisor::prepare(settings, run, launch, None)?;
    let dir = settings.state.run(run);
    sys::foreground(
        &dir,
        lock,
        Box::new(move |notice| {
            tell(match notice {
                sys::Notice::Started { pid, at } => Event::Started { run, pid, at },
                sys::Notice::Reported(report) => Event::Reported { run, report },
                sys::Notice::Ended(closing) => Event::Ended { run, closing },
            });
        }),
    )
}

/// Removes what a run left behind, once its end is on record.
pub fn forget(settings: &LaunchSettings, run: RunId) {
    // What cannot be removed now is found and removed by the next manager.
    let _ = std::fs::remove_dir_all(settings.state.run(run).path());
}
