//! `dcm stop-apps`: ends every run of this host, with or without a manager.

use std::time::Duration;

use super::journal::Lock;
use super::layout::StateDir;
use super::looker::Host;
use super::{clock, journal, supervisor, survey, sys};
use crate::model::{RunId, StopCause, SurvivorState};

/// What became of the runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Runs that were under way and are not any more.
    pub ended: Vec<RunId>,
    /// Runs that are under way still.
    pub left: Vec<RunId>,
}

/// How long after its grace time a run is waited for.
const SLACK: Duration = Duration::from_secs(3);

/// Asks every run to end, and kills what has not ended after the grace time. How the runs ended is
/// kept in their directories until a manager enters it.
#[must_use]
pub fn stop_all(state: &StateDir, by: &str, grace: Duration) -> Stopped {
    let begin = clock::boot_time();
    let surveyed = survey::survey(&Host, state, || pause() && clock::boot_time() < begin + SLACK);
    let running: Vec<_> = surveyed
        .unwrap_or_default()
        .found
        .into_iter()
        .filter(|found| matches!(found.survivor.state, SurvivorState::Running { .. }))
        .collect();
    let cause = StopCause::StopApps(by.to_owned());
    for found in &running {
        let _ = supervisor::request_stop(&found.dir, &cause, grace);
        // Its shim was killed and nobody is there to replace it.
        if found.shim.is_none_or(|shim| !sys::is_alive(shim).unwrap_or(true)) {
            let _ = sys::spawn_adopter(&found.dir);
        }
    }
    let mut stopped = Stopped::default();
    let mut is_killed = false;
    let mut left: Vec<_> = running.into_iter().map(|found| (found.survivor.run, found.dir)).collect();
    let deadline = clock::boot_time() + grace + SLACK;
    while !left.is_empty() && clock::boot_time() < deadline + SLACK {
        left.retain(|(run, dir)| {
            let is_over = journal::lock(dir).is_ok_and(|lock| lock != Lock::Held);
            if is_over {
                stopped.ended.push(*run);
            }
            !is_over
        });
        if !is_killed && clock::boot_time() >= deadline {
            is_killed = true;
            for (run, _) in &left {
                let _ = sys::kill_tagged(&run.to_string());
            }
        }
        pause();
    }
    stopped.left = left.into_iter().map(|(run, _)| run).collect();
    stopped
}

/// A moment; there is no event for the end of another's child.
fn pause() -> bool {
    std::thread::park_timeout(Duration::from_millis(10));
    true
}
