//! Progress: what apps report. The percentage and ETA that they leave out are worked out where the
//! counters are stored, so that they are right for every writer and reader.

use super::entry::{Entry, Phase, Stopping};
use super::event::Step;
use crate::model::{Change, Now, Report, RunId};

impl Entry {
    /// The app reported by a line of output or by `dcm report`. Gives whether its row and the lists are to follow.
    pub(super) fn reported(&mut self, run: RunId, report: Report, now: Now, step: &mut Step) -> bool {
        let running = match &mut self.phase {
            Phase::Running(running) | Phase::Stopping(Stopping { running, .. }) => running,
            Phase::Resting(_) | Phase::Waiting(_) | Phase::Starting(_) => return false,
        };
        if *running.told == report {
            return false;
        }
        running.told.as_mut().clone_from(&report);
        if let Some(time) = report.next_run {
            self.wish(time);
        }
        let is_news = self.note_report(&report, now);
        step.changes.push(Change::Progress { app: self.app.id, run, report });
        is_news
    }
}
