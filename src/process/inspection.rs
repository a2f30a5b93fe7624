//! Looks into a run directory and tells the manager what is new there.

use super::atomic_file;
use super::layout::RunDir;
use super::record::{ExitRecord, Pids, ReportRecord};
use crate::manager::Event;
use crate::model::RunId;

/// What the manager was told of a run.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    pub(super) is_announced: bool,
    reported: ReportRecord,
}

/// What a look has found.
pub(super) struct Findings {
    pub(super) events: Vec<Event>,
    /// The run is over, and that is among the events.
    pub(super) is_over: bool,
}

impl Inspection {
    /// A run that the manager knows to be running already.
    pub(super) fn announced() -> Self {
        Self { is_announced: true, ..Self::default() }
    }

    /// Reads what changed since the last look.
    pub(super) fn look(&mut self, run: RunId, dir: &RunDir) -> Findings {
        let mut events = Vec::new();
        // Read before the others: what comes before the end is told before it.
        let exit: Option<ExitRecord> = atomic_file::read(&dir.exit());
        if !self.is_announced
            && let Some(Pids { app: Some(app), started, .. }) = atomic_file::read(&dir.pid())
        {
            self.is_announced = true;
            events.push(Event::Started { run, pid: app.pid, at: started });
        }
        if let Some(record) = atomic_file::read::<ReportRecord>(&dir.progress())
            && self.is_announced
            && record != self.reported
        {
            self.reported = record.clone();
            events.push(Event::Reported { run, report: record.into() });
        }
        let is_over = exit.is_some();
        events.extend(exit.map(|record| Event::Ended { run, closing: record.into() }));
        Findings { events, is_over }
    }
}
