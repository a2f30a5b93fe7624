//! Where things are below the state directory. Paths are made of ids alone, never of names.
//!
//! ```text
//! STATE/
//!   dcm.db                      the embedded database
//!   manager.lock                held by the manager of this directory
//!   home                        tells this directory from those of other managers
//!   lease                       until when runs may live that end with the manager's lease
//!   doorbell                    by which shims say that there is something to look at
//!   runs/RUN/                   one directory a run under way, mode 0700
//!     journal                   what is run, by whom, and how it ended; the lock of the run
//!     control                   by which the shim is told to stop, and told of progress
//!     out, err                  the output of the app on its way to the shim
//!   logs/APP/TIME-RUN.log       the output of runs; `.log.head` is the beginning of a long one, `.log.1`
//!                               what was written last before it
//!   log/                        the log of the manager itself
//! ```

use std::path::{Path, PathBuf};

use crate::model::{AppId, RunId, Timestamp};

/// The state directory of a host.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// Names a state directory; nothing is created.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The embedded database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.0.join("dcm.db")
    }

    /// What shows that a fleet has lived here: its name among managers, runs, logs.
    #[must_use]
    pub fn traces(&self) -> Vec<PathBuf> {
        // What cannot be looked at may be a trace.
        let is_used = |folder: &PathBuf| match std::fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        };
        let folders = [self.runs(), self.all_logs()].into_iter().filter(is_used);
        Some(self.home())
            .filter(|home| !matches!(home.try_exists(), Ok(false)))
            .into_iter()
            .chain(folders)
            .collect()
    }

    /// Held by the manager that works in this directory.
    #[must_use]
    pub fn manager_lock(&self) -> PathBuf {
        self.0.join("manager.lock")
    }

    /// The log of the manager itself.
    #[must_use]
    pub fn own_log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Until when fenced runs may live.
    pub(super) fn lease(&self) -> PathBuf {
        self.0.join("lease")
    }

    /// The name of this directory among all.
    pub(super) fn home(&self) -> PathBuf {
        self.0.join("home")
    }

    pub(super) fn doorbell(&self) -> PathBuf {
        self.0.join("doorbell")
    }

    pub(super) fn runs(&self) -> PathBuf {
        self.0.join("runs")
    }

    pub(super) fn run(&self, run: RunId) -> RunDir {
        RunDir(self.runs().join(run.to_string()))
    }

    /// The folders in it.
    pub(super) fn folders(&self) -> [PathBuf; 3] {
        [self.runs(), self.all_logs(), self.own_log()]
    }

    /// The files in it, where they are there.
    pub(super) fn files(&self) -> [PathBuf; 8] {
        ["dcm.db", "dcm.db-wal", "dcm.db-shm", "dcm.db-journal", "manager.lock", "home", "lease", "doorbell"]
            .map(|name| self.0.join(name))
    }

    /// The logs of an app.
    #[must_use]
    pub fn logs(&self, app: AppId) -> PathBuf {
        self.0.join("logs").join(app.to_string())
    }

    pub(super) fn all_logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    pub(super) fn log(&self, app: AppId, run: RunId, begun: Timestamp) -> PathBuf {
        // The time comes first, so that the order of names is the order of runs.
        self.logs(app).join(format!("{}-{run}.log", begun.format("%Y%m%dT%H%M%S%3f")))
    }
}

/// The directory of a run under way.
#[derive(Debug, Clone)]
pub(super) struct RunDir(PathBuf);

impl RunDir {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    pub(super) fn control(&self) -> PathBuf {
        self.0.join("control")
    }
}
