//! Suspect runs: they ended with exit code 0, but break a rule of their app or differ from the good runs before them.

use super::desk::Desk;
use super::entry::{Cause, Entry, Phase, Purpose};
use super::event::{Event, Step};
use super::flapping::BadEnds;
use super::judgement::Finished;
use crate::model::{
    Alert, AlertCause, AlertKind, Anomaly, AppRow, Baseline, Change, Closing, Compared, Concern, Ending,
    Exit, Fatal, FatalFlag, Now, Performance, RunId, Timestamp, Trigger,
};

/// What is known of how the runs of an app ended.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// What the last good ones did.
    baseline: Option<Baseline>,
    /// The suspect ones since then.
    suspected: Option<Suspected>,
    /// The bad ends since then.
    pub(super) bad_ends: Option<Box<BadEnds>>,
}

impl Record {
    /// What the row says.
    pub(super) fn restored(row: &AppRow, now: Now) -> Option<Box<Self>> {
        let (baseline, suspected) = (row.state.baseline.clone(), Suspected::restored(row));
        let bad_ends = BadEnds::restored(row, now);
        let is_empty = baseline.is_none() && suspected.is_none() && bad_ends.is_none();
        (!is_empty).then(|| Box::new(Self { baseline, suspected, bad_ends }))
    }
}

/// The suspect runs of an app since its last good one.
#[derive(Debug)]
pub(super) struct Suspected {
    /// When the first of them was noticed.
    pub(super) since: Timestamp,
    pub(super) count: u32,
    /// What is wrong with the last of them.
    message: String,
}

impl Suspected {
    /// What the row says; failures before or after them stand in the place of what is wrong with them.
    fn restored(row: &AppRow) -> Option<Self> {
        let count = row.state.suspects;
        let flag = row.state.fatal.as_ref().filter(|fatal| fatal.cause.known() == Some(Anomaly::Suspect));
        let concern = row.state.concern.as_ref().filter(|conclusion| conclusion.is(Concern::Suspect));
        let shown = concern.map(|conclusion| conclusion.since).or(flag.map(|fatal| fatal.time));
        let since =
            shown.or(row.last_end.as_ref().map(|end| end.at)).or(row.state.last_run).unwrap_or_default();
        let message =
            flag.map_or_else(|| "its last run is suspect".to_owned(), |fatal| fatal.message.clone());
        (count > 0).then_some(Self { since, count, message })
    }

    pub(super) fn fatal(&self) -> Fatal {
        let (flag, cause) = (FatalFlag::UnexpectedBehavior, Anomaly::Suspect.into());
        Fatal { flag, cause, message: self.message.clone(), time: self.since }
    }
}

impl Cause {
    /// Whether the run gets no arguments, so that it can be compared with others.
    pub(super) fn is_comparable(&self) -> bool {
        let has_none = |args: Option<&str>| args.is_none_or(|args| args.trim() == "{}");
        match self.trigger {
            Trigger::Schedule | Trigger::CatchUp => true,
            Trigger::Command => {
                self.command.as_ref().is_some_and(|command| has_none(command.args.as_deref()))
            }
            Trigger::RunApp => false,
        }
    }
}

impl Entry {
    /// The suspect runs since the last good one.
    pub(super) fn suspected(&self) -> Option<&Suspected> {
        self.record.as_ref().and_then(|record| record.suspected.as_ref())
    }

    /// What the last good runs did.
    pub(super) fn baseline(&self) -> Option<&Baseline> {
        self.record.as_ref().and_then(|record| record.baseline.as_ref())
    }

    /// A good run ends the episode of suspect runs; gives whether there was one.
    pub(super) fn forgive(&mut self) -> bool {
        self.record.as_mut().and_then(|record| record.suspected.take()).is_some()
    }

    /// ENABLE by a person forgets bad ends, and accepts what differed from earlier runs.
    pub(super) fn accept_record(&mut self) {
        let baseline = self.record.take().and_then(|record| record.baseline).and_then(Baseline::accepted);
        self.record =
            baseline.map(|baseline| Box::new(Record { baseline: Some(baseline), ..Record::default() }));
    }

    /// A run is over: if its exit code is 0, what it did decides whether its end is a suspect one.
    pub(super) fn examine(&mut self, closing: &mut Closing) {
        if closing.ending != Ending::Exited(Exit::Code(0)) || self.is_always() {
            return;
        }
        let is_comparable = match &self.phase {
            Phase::Starting(starting) => starting.cause.is_comparable(),
            Phase::Running(running) => running.is_comparable,
            Phase::Stopping(stopping) if matches!(stopping.purpose, Purpose::Other) => {
                stopping.running.is_comparable
            }
            // A person ended it, or there is none.
            Phase::Stopping(_) | Phase::Resting(_) | Phase::Waiting(_) => return,
        };
        let (solved, failed) = self.counting.as_ref().map_or((0, 0), |counting| counting.items());
        let did = Performance {
            // Nothing is known of its length where the clock was set back meanwhile.
            took: closing.started.and_then(|started| (closing.ended - started).to_std().ok()),
            solved: closing.report.solved.unwrap_or(solved),
            failed: closing.report.failed.unwrap_or(failed),
        };
        if let Some(suspicion) = self.app.policy.broken_rule(did) {
            closing.doubt(suspicion);
        } else if self.app.policy.compare_history && is_comparable {
            match Baseline::compare(&mut self.record.get_or_insert_default().baseline, did) {
                Compared::Usual => {}
                Compared::Odd(suspicion) => closing.doubt(suspicion),
                Compared::NewLevel(message) => closing.report.message = Some(message),
            }
        }
    }

    /// A suspect run is over. It opens an alert, or is counted in the one that is open.
    pub(super) fn note_suspicion(&mut self, finished: &Finished, desk: &Desk, step: &mut Step) {
        let Ending::Suspect(suspicion) = &finished.ending else { return };
        let (at, before) = (desk.now.wall, self.suspected());
        let count = before.map_or(1, |before| before.count.saturating_add(1));
        let message = suspicion.message.clone();
        let change = if before.is_none() { Change::AlertOpened } else { Change::AlertRepeated };
        step.changes.push(change(Alert {
            app: self.app.id,
            kind: AlertKind::Suspect,
            cause: AlertCause::of_rule(suspicion.rule),
            run: Some(finished.run),
            message: message.clone(),
            detail: finished.stderr.clone(),
            count,
            at,
        }));
        let since = before.map_or(at, |before| before.since);
        self.record.get_or_insert_default().suspected = Some(Suspected { since, count, message });
    }

    /// Whether counters that another program wrote into the row may decide about the end of this run.
    fn is_judged_by_row(&self, closing: &Closing) -> bool {
        let (policy, report) = (&self.app.policy, &closing.report);
        let counts = || !self.baseline().is_some_and(Baseline::counts_nothing);
        let by_solved =
            policy.min_solved > 0 || policy.max_failed_ratio.is_some() || policy.compare_history && counts();
        let by_failed = policy.max_failed_ratio.is_some();
        closing.ending == Ending::Exited(Exit::Code(0))
            && !self.is_always()
            && (by_solved && report.solved.is_none() || by_failed && report.failed.is_none())
    }
}

impl super::Manager {
    /// Whether the event is the end of a run that is to be judged by counters in the row of its app. The row is to be read
    /// and handed in before it: what the run wrote there last may not have come yet.
    #[must_use]
    pub fn awaits_row(&self, event: &Event) -> bool {
        let Event::Ended { run, closing } = event else { return false };
        self.entry_of(*run).is_some_and(|entry| entry.is_judged_by_row(closing))
    }

    fn entry_of(&self, run: RunId) -> Option<&Entry> {
        self.desk.index.app_of(run).and_then(|app| self.apps.get(&app)).map(|entry| &**entry)
    }
}

#[cfg(test)]
#[path = "suspicion_tests.rs"]
mod tests;
