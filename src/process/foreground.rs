//! `dcm run-app`: a run whose shim is the calling process itself.

use std::io;

use super::launch::LaunchSettings;
use super::{launcher, state_dir, sys};
use crate::manager::{Event, Launch};
use crate::model::{Closing, Report, RunId, Timestamp};

/// What a shim tells the process that it is part of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Notice {
    Started { pid: u32, at: Timestamp },
    Reported(Report),
    Ended(Closing),
}

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
    state_dir::make_state_dir(&settings.state)?;
    let lock = launcher::prepare(settings, run, launch, 0)?;
    let dir = settings.state.run(run);
    sys::foreground(
        &dir,
        lock,
        Box::new(move |notice| {
            tell(match notice {
                Notice::Started { pid, at } => Event::Started { run, pid, at },
                Notice::Reported(report) => Event::Reported { run, report },
                Notice::Ended(closing) => Event::Ended { run, closing },
            });
        }),
    )
}

/// Removes what a run left behind, once its end is on record.
pub fn forget(settings: &LaunchSettings, run: RunId) {
    // What cannot be removed now is found and removed by the next manager.
    let _ = launcher::remove_ended(&settings.state.run(run));
}
