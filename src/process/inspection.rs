//! Looks into the journal of a run and tells the manager what is new there.

use super::journal;
use super::layout::RunDir;
use super::record::Identity;
use crate::manager::Event;
use crate::model::RunId;

/// What a look has found.
pub(super) struct Findings {
    pub(super) events: Vec<Event>,
    /// The manager knows that the run has a process.
    pub(super) is_announced: bool,
    /// Who supervises it.
    pub(super) shim: Option<Identity>,
    /// The run is over, and that is among the events.
    pub(super) is_over: bool,
}

/// Reads what the manager does not know yet.
pub(super) fn look(run: RunId, dir: &RunDir, is_announced: bool) -> Findings {
    let mut findings = Findings { events: Vec::new(), is_announced, shim: None, is_over: false };
    let Some(journal) = journal::read(dir) else { return findings };
    findings.shim = journal.begun.map(|begun| begun.shim);
    if let Some((app, started)) = journal.app.filter(|_| !is_announced) {
        findings.is_announced = true;
        findings.events.push(Event::Started { run, pid: app.pid, at: started });
    }
    if let Some(record) = journal.exit {
        findings.is_over = true;
        findings.events.push(Event::Ended { run, closing: record.into() });
    }
    findings
}
