//! What keeps the processes of a run together.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;

use super::journal::{self, Journal};
use super::layout::StateDir;
use super::sys;
use crate::model::{RunId, UsageLimits, format_duration};

/// By what all processes of a run are found when it is ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Containment {
    /// The run has a cgroup of its own, which no process leaves by itself.
    Cgroup(PathBuf),
    /// The run has a job object of its own.
    Job,
    /// They are the descendants of the shim. If that was killed, they are looked for.
    Search,
}

impl fmt::Display for Containment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cgroup(path) => write!(f, "all its processes are in the cgroup {}", path.display()),
            Self::Job => f.write_str("all its processes are in a job object"),
            Self::Search => f.write_str(
                "its processes are found as descendants of its shim (no cgroup: there is no cgroup v2, or no right to \
                 make one); if the shim is killed, by DC_RUNTIME, the lock of the run and the process group",
            ),
        }
    }
}

/// By what the processes of a run are found; `None` when it is not under way on this host.
#[must_use]
pub fn containment(state: &StateDir, run: RunId) -> Option<Containment> {
    let Journal { begun, cgroup, .. } = journal::read(&state.run(run)).ok()??;
    begun?;
    Some(match cgroup {
        Some(path) => Containment::Cgroup(path),
        None if cfg!(windows) => Containment::Job,
        None => Containment::Search,
    })
}

/// The limits of a run that the kernel holds; `None` when the run is not under way on this host.
#[must_use]
pub fn held_limits(state: &StateDir, run: RunId) -> Option<UsageLimits> {
    let Journal { begun, held, .. } = journal::read(&state.run(run)).ok()??;
    begun.map(|_| held.into())
}

/// Who sees to `max_memory` and `max_cpu` on this host, in words.
#[must_use]
pub fn limits_remark(sample_every: Duration) -> String {
    let every = format_duration(TimeDelta::from_std(sample_every).unwrap_or(TimeDelta::MAX));
    match sys::cgroup::without_limits() {
        None => "max_memory and max_cpu are held by the kernel".to_owned(),
        Some(_) if cfg!(windows) => "max_memory and max_cpu are not watched on this system".to_owned(),
        Some(why) => format!("max_memory and max_cpu are watched every {every}: {why}"),
    }
}
