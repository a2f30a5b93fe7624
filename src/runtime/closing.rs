//! The end of a manager that takes the apps of its host with it: it starts nothing more, stops what runs, and ends
//! once that is on record.

use std::future::pending;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::driver::Options;
use super::stop::Stop;
use crate::process::{Grace, StateDir, Stopped, clock, stop_all};

/// Apps end with their manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopApps {
    /// How long after the request whatever is left is killed; without it each app has its own grace time.
    pub within: Option<Duration>,
}

/// How long the end of a run that was stopped may take to reach the manager; then it is stopped again.
const HEARD_WITHIN: Duration = Duration::from_millis(500);

/// Pauses between looks whether all runs are over.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long the database may take for the last changes, from when the last run was to be killed. A container engine
/// sends KILL two seconds after the default of `stop_apps_within`.
const RECORD_WITHIN: Duration = Duration::from_secs(1);
const RECORD_MIN: Duration = Duration::from_millis(500);

/// The apps of a host are being stopped because their manager ends.
pub(super) struct Closing {
    state: StateDir,
    by: String,
    /// When what is left is killed, by the clock since boot.
    kill_at: Option<Duration>,
    /// Whether a second request asked for it at once.
    is_hurried: bool,
    rounds: JoinSet<Stopped>,
    /// When the last round was over.
    stopped_at: Duration,
}

impl Closing {
    /// Asks every run of the host to end.
    pub(super) fn begin(options: &Options, how: StopApps) -> Self {
        let now = clock::boot_time();
        let mut closing = Self {
            state: options.launch.state.clone(),
            by: format!("manager {}", options.name),
            kill_at: how.within.map(|within| now.saturating_add(within)),
            is_hurried: false,
            rounds: JoinSet::new(),
            stopped_at: now,
        };
        closing.stop();
        closing
    }

    /// A run may have been about to begin at the first round, so there may be several.
    fn stop(&mut self) {
        let (state, by) = (self.state.clone(), self.by.clone());
        let grace = self.grace();
        self.rounds.spawn_blocking(move || stop_all(&state, &by, grace));
    }

    fn grace(&self) -> Grace {
        if self.is_hurried {
            return Grace::All(Duration::ZERO);
        }
        Grace::OfEachApp(self.kill_at.map(|at| at.saturating_sub(clock::boot_time())))
    }

    /// Returns when it is to be looked at again whether all is over; never where nothing is being stopped.
    pub(super) async fn changed(closing: Option<&mut Self>, stop: &Stop) {
        let Some(closing) = closing else { return pending().await };
        tokio::select! {
            () = stop.asked_to_kill(), if !closing.is_hurried => {
                tracing::warn!("asked to stop once more: what is left of the apps is killed");
                closing.is_hurried = true;
                closing.kill_at = Some(clock::boot_time());
                closing.stop();
            }
            Some(ended) = closing.rounds.join_next() => {
                closing.stopped_at = clock::boot_time();
                let unreached = ended.map(|stopped| stopped.unreached).unwrap_or_default();
                for line in unreached {
                    tracing::warn!("not stopped: {line}");
                }
            }
            () = sleep(LOOK_EVERY) => {}
        }
    }

    /// Whether the manager may end, given how many of its runs are under way as far as it knows.
    pub(super) fn is_over(&mut self, running: u32) -> bool {
        let now = clock::boot_time();
        if !self.rounds.is_empty() || running > 0 && now < self.stopped_at + HEARD_WITHIN {
            return false;
        }
        let is_time_over = self.kill_at.is_some_and(|at| at <= now);
        if running > 0 && is_time_over {
            tracing::warn!(
                running,
                "runs are not known to have ended; their outcome is unknown unless their shims record it"
            );
        } else if running > 0 {
            self.stop();
        }
        running == 0 || is_time_over
    }

    /// Ends what is left once the manager does not serve any more, or never did.
    pub(super) async fn finish(mut self) {
        self.rounds.shutdown().await;
        self.stop();
        while let Some(ended) = self.rounds.join_next().await {
            for line in ended.map(|stopped| stopped.unreached).unwrap_or_default() {
                tracing::warn!("not stopped: {line}");
            }
        }
    }

    /// How long the database may take for the last changes, where that is limited.
    pub(super) fn record_max(&self) -> Option<Duration> {
        let end = self.kill_at?.saturating_add(RECORD_WITHIN);
        Some(end.saturating_sub(clock::boot_time()).max(RECORD_MIN))
    }
}
