//! Commit, then act: the way of the manager's changes to the database, as in `src/runtime/outbox.rs`.

use std::collections::BTreeMap;
use std::rc::Rc;

use dcm::manager::{Effect, Event, Step};
use dcm::model::{AppId, Change, Refusal, Report, RunId, Subject};
use dcm::store::{Committed, Held};

use crate::database::Fortune;
use crate::faults::Planted;
use crate::shell::Batch;
use crate::world::{Happening, World};

const CHANGES_MAX: usize = 4000;

/// How often rows are tried that somebody holds, in milliseconds.
const HELD_PAUSE: u64 = 500;

impl World {
    /// Takes what waits and sends it to the database.
    pub(crate) fn begin_write(&mut self, manager: u32) {
        let Some(shell) = self.shell_of(manager).filter(|shell| shell.batch.is_none()) else { return };
        let mut progress: BTreeMap<RunId, (AppId, Report)> = BTreeMap::new();
        let (mut changes, mut effects) = (Vec::new(), Vec::new());
        while changes.len() < CHANGES_MAX
            && let Some(step) = shell.steps.pop_front()
        {
            for change in step.changes {
                if let Change::Progress { app, run, report } = change {
                    progress.entry(run).or_insert_with(|| (app, Report::default())).1.merge(report);
                } else {
                    changes.push(change);
                }
            }
            effects.extend(step.effects);
        }
        if changes.is_empty() && effects.is_empty() && progress.is_empty() {
            return;
        }
        let progress = progress.into_iter().map(|(run, (app, report))| Change::Progress { app, run, report });
        let unopened = &mut shell.unopened;
        let changes: Rc<Vec<_>> =
            Rc::new(progress.chain(changes).filter(|change| !unopened.excludes(change)).collect());
        let is_empty = changes.is_empty();
        shell.batch = Some(Batch { changes: Rc::clone(&changes), effects, pause: 100 });
        self.oracle.batch_begins(self.time);
        let moment = self.moment();
        if is_empty {
            self.after(0, Happening::Answer { manager, answer: Some(Committed::default()) });
        } else {
            self.after(moment, Happening::Arrive { manager, changes });
        }
    }

    pub(crate) fn resend(&mut self, manager: u32, changes: Rc<Vec<Change>>) {
        if self.shell_of(manager).is_some() {
            let moment = self.moment();
            self.after(moment, Happening::Arrive { manager, changes });
        }
    }

    /// The transaction reaches the database, whether or not who sent it still lives.
    pub(crate) fn arrive(&mut self, manager: u32, changes: &[Change]) {
        let is_orphan = self.shell_of(manager).is_none();
        if is_orphan && (self.shell.is_some() || self.random.coin()) {
            return;
        }
        let fortune = self.database.fortune(self.time, &self.swarm, &mut self.random);
        let mut answer = None;
        if fortune != Fortune::Failed {
            let written =
                if self.errs(Planted::WritesHalf, 200) { &changes[..changes.len() / 2] } else { changes };
            let committed = if self.errs(Planted::LosesCommits, 100) {
                Committed::default()
            } else {
                let mut written = written.to_vec();
                if self.planted == Some(Planted::DependsOnHistory) {
                    let tables = &self.database.tables;
                    let has_run = |run: RunId| tables.run(run).is_some();
                    written.retain(|change| {
                        !matches!(change, Change::App(update) if !update.state.run.is_none_or(has_run))
                    });
                }
                let (written, committed) = self.database.commit(self.time, &written);
                self.oracle.committed(self.time, &written, &committed, &self.database.tables);
                committed
            };
            answer = (fortune == Fortune::Fine).then_some(committed);
        }
        if fortune != Fortune::Fine {
            self.note(|| format!("commit of {} changes: {fortune:?}", changes.len()));
        }
        let moment = self.moment();
        self.after(moment, Happening::Answer { manager, answer });
    }

    /// The answer of the database: `None` when it failed, or when nobody knows.
    pub(crate) fn answered(&mut self, manager: u32, answer: Option<Committed>) {
        let Some(batch) = self.shell_of(manager).and_then(|shell| shell.batch.take()) else { return };
        let mut batch = batch;
        let refused = match answer {
            Some(committed) => {
                let written = self.keep_held(manager, &mut batch, &committed.held);
                if let Some(shell) = self.shell_of(manager) {
                    shell.unopened.note_all(&written, &committed.refused);
                }
                committed.refused
            }
            None if self.planted == Some(Planted::NeverTriesAgain) => {
                self.after(0, Happening::Write { manager });
                return;
            }
            None => {
                let (pause, changes) = (batch.pause, Rc::clone(&batch.changes));
                if let Some(shell) = self.shell_of(manager) {
                    shell.batch = Some(Batch { pause: (pause * 2).min(5000), ..batch });
                }
                self.after(pause, Happening::Resend { manager, changes });
                return;
            }
        };
        if self.dies_at("between commit and effects") {
            return;
        }
        for effect in batch.effects {
            let is_refused =
                matches!(&effect, Effect::Start { run, .. } if refused.iter().any(|(other, _)| other == run));
            if !is_refused || self.planted == Some(Planted::ActsOnRefused) {
                self.carry_out(effect);
                if self.dies_at("between two effects that waited") {
                    return;
                }
            }
        }
        for (run, refusal) in refused {
            self.note_refusal(run, refusal);
            self.send(Event::RunRefused { run, refusal });
        }
        let is_held =
            self.shell_of(manager).is_some_and(|shell| std::mem::take(&mut shell.pauses_until_held));
        self.after(if is_held { HELD_PAUSE } else { 0 }, Happening::Write { manager });
    }

    /// What concerns rows that somebody holds is tried again, before all that came after it. Gives the changes that
    /// were written.
    fn keep_held(&mut self, manager: u32, batch: &mut Batch, held: &[Held]) -> Vec<Change> {
        let is_held = |subject: Subject| held.iter().any(|held| held.subject == subject);
        let (kept, written): (Vec<_>, Vec<_>) =
            batch.changes.iter().cloned().partition(|change| is_held(change.subject()));
        if kept.is_empty() {
            return written;
        }
        let effects = std::mem::take(&mut batch.effects);
        let (waiting, free): (Vec<_>, Vec<_>) = effects.into_iter().partition(|effect| match effect {
            Effect::Start { launch, .. } => is_held(Subject::App(launch.app)),
            Effect::Forget { app, .. } => is_held(Subject::App(*app)),
            Effect::Stop { .. } | Effect::Kill { .. } | Effect::Adopt { .. } | Effect::Measure { .. } => {
                false
            }
        });
        batch.effects = free;
        let (planted, step) = (self.planted, Step { changes: kept, effects: waiting });
        let step = match planted {
            Some(Planted::LosesHeld) => return written,
            Some(Planted::ActsOnHeld) => {
                batch.effects.extend(step.effects);
                Step { changes: step.changes, effects: Vec::new() }
            }
            Some(_) | None => step,
        };
        if let Some(shell) = self.shell_of(manager) {
            shell.steps.push_front(step);
            shell.pauses_until_held = true;
        }
        written
    }

    fn note_refusal(&mut self, run: RunId, refusal: Refusal) {
        self.note(|| format!("{run:?} is refused: {refusal:?}"));
    }
}
