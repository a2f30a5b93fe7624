//! How long rows of history are kept. What is open is always kept, and so is the last run of each app.

/// Limits by age and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days that runs and skipped times are kept.
    pub runs_days: u32,
    /// At most so many runs of one app are kept.
    pub runs_per_app_max: u32,
    /// Days that commands are kept.
    pub commands_days: u32,
    /// Days that alerts are kept after they are over.
    pub alerts_days: u32,
    /// Days that deliveries are kept after they are over, and versions of files that are not there any more, with their
    /// finished tasks.
    pub events_days: u32,
}

/// More days than this are as good as no limit; times have four digits for the year.
pub const DAYS_MAX: u32 = 700_000;

impl Default for Retention {
    fn default() -> Self {
        Self {
            runs_days: 90,
            runs_per_app_max: 100_000,
            commands_days: 365,
            alerts_days: 365,
            events_days: 90,
        }
    }
}

/// Rows that are pruned in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruning {
    /// Runs that are too old.
    OldRuns,
    /// Runs of apps that have too many.
    SurplusRuns,
    /// Skipped times that are too old.
    Skips,
    /// Commands that are too old.
    Commands,
    /// Alerts that are too old.
    Alerts,
    /// Deliveries that are too old.
    Deliveries,
    /// Versions of files that are too old and not there any more, with their tasks.
    Events,
}

impl Pruning {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::OldRuns,
        Self::SurplusRuns,
        Self::Skips,
        Self::Commands,
        Self::Alerts,
        Self::Deliveries,
        Self::Events,
    ];

    /// The table.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::OldRuns | Self::SurplusRuns => "runtime",
            Self::Skips => "skips",
            Self::Commands => "commands",
            Self::Alerts => "alerts",
            Self::Deliveries => "deliveries",
            Self::Events => "events",
        }
    }
}

/// What became of a small batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrunedBatch {
    /// Rows that were deleted.
    pub rows: u64,
    /// Where the next batch begins; `None` when the pass is over.
    pub next: Option<String>,
}

/// Rows that a pass would delete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prunable {
    /// Of `runtime`.
    pub runtime: u64,
    /// Of `skips`.
    pub skips: u64,
    /// Of `commands`.
    pub commands: u64,
    /// Of `alerts`.
    pub alerts: u64,
    /// Of `deliveries`.
    pub deliveries: u64,
    /// Of `events`, each with its rows of `pipeline_task`.
    pub events: u64,
}

impl Prunable {
    /// Counts rows of a pass.
    pub fn add(&mut self, pruning: Pruning, rows: u64) {
        match pruning {
            Pruning::OldRuns | Pruning::SurplusRuns => self.runtime += rows,
            Pruning::Skips => self.skips += rows,
            Pruning::Commands => self.commands += rows,
            Pruning::Alerts => self.alerts += rows,
            Pruning::Deliveries => self.deliveries += rows,
            Pruning::Events => self.events += rows,
        }
    }

    /// Tables and their rows.
    #[must_use]
    pub fn tables(&self) -> [(&'static str, u64); 6] {
        [
            ("runtime", self.runtime),
            ("skips", self.skips),
            ("commands", self.commands),
            ("alerts", self.alerts),
            ("deliveries", self.deliveries),
            ("events", self.events),
        ]
    }
}
