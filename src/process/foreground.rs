//! `dcm run-app`: a run whose shim is the calling process itself.

use std::io;
use std::time::Duration;

use super::launch::LaunchSettings;
use super::log_end::add_stderr;
use super::{clock, journal, launcher, state_dir, sys};
use crate::manager::{Event, Launch};
use crate::model::{Closing, Report, RunId, Timestamp};

/// A run directory made later than this after its row is not used. A manager closes the row of a run of which it finds
/// nothing for 30 s, and may start the app then.
const PREPARED_WITHIN: Duration = Duration::from_secs(20);

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
/// `since` is the time since boot at which its row was about to be written.
///
/// # Errors
/// When the run directory cannot be made, or was made more than 20 s after `since`. That an app cannot be started is an ending like others.
pub fn run(
    settings: &LaunchSettings,
    run: RunId,
    launch: &Launch,
    since: Duration,
    mut tell: impl FnMut(Event) + 'static,
) -> io::Result<()> {
    state_dir::make_state_dir(&settings.state)?;
    let lock = launcher::prepare(settings, run, launch, 0)?;
    let dir = settings.state.run(run);
    let took = clock::boot_time().saturating_sub(since);
    if took > PREPARED_WITHIN {
        drop(lock);
        launcher::remove_ended(&dir)?;
        let why = format!("it took {} s from its row to its directory; start it again", took.as_secs());
        return Err(io::Error::new(io::ErrorKind::TimedOut, why));
    }
    let watched = dir.clone();
    sys::foreground(
        &dir,
        lock,
        Box::new(move |notice| {
            tell(match notice {
                Notice::Started { pid, at } => Event::Started { run, pid, at },
                Notice::Reported(report) => Event::Reported { run, report },
                Notice::Ended(mut closing) => {
                    if let Ok(Some(journal)) = journal::read(&watched) {
                        add_stderr(&mut closing, &journal.spec.log);
                    }
                    Event::Ended { run, closing }
                }
            });
        }),
    )
}

/// Removes what a run left behind, once its end is on record.
pub fn forget(settings: &LaunchSettings, run: RunId) {
    // What cannot be removed now is found and removed by the next manager.
    let _ = launcher::remove_ended(&settings.state.run(run));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::launch::tests::{launch, settings};
    use crate::process::layout::StateDir;

    #[test]
    fn a_run_that_was_stopped_before_it_had_a_directory_is_not_begun() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::new(home.path().join("state"));
        let settings = LaunchSettings { state: state.clone(), ..settings() };
        let id = RunId::from_random_bits(7);
        let since = clock::boot_time().saturating_sub(PREPARED_WITHIN + Duration::from_secs(1));
        let launch = launch(crate::model::Program::default(), None);
        let refused = run(&settings, id, &launch, since, |event| panic!("{event:?}")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        assert!(!state.run(id).path().exists());
    }
}
