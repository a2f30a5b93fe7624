//! The manager's process: what `src/runtime` and `process::Supervisor` are to the real manager. It
//! may die between any two of its acts.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use dcm::manager::{Effect, Event, Identity, Manager, Step};
use dcm::model::{
    AppId, Change, Closing, CommandId, Ending, Exit, Limits, Refusal, Registered, Report, Revision, RunId,
    Survivor, SurvivorState,
};
use dcm::store::Committed;

use crate::database::Fortune;
use crate::faults::Planted;
use crate::host::Condition;
use crate::world::{Happening, World};

/// How long a new manager waits for shims that are about to start their app.
const SURVEY_MAX: u64 = 5000;

/// The longest sleep of the driver.
const NAP_MAX: u64 = 1000;

/// How often the database is looked at.
const POLL: u64 = 1000;

const CHANGES_MAX: usize = 4000;

/// All that is lost when the manager dies.
pub(crate) struct Shell {
    pub(crate) number: u32,
    pub(crate) manager: Option<Manager>,
    pub(crate) survivors: Vec<Survivor>,
    pub(crate) inbox: VecDeque<Event>,
    pub(crate) steps: VecDeque<Step>,
    pub(crate) batch: Option<Batch>,
    pub(crate) orders: VecDeque<Effect>,
    pub(crate) watched: BTreeMap<RunId, Watched>,
    revision: Revision,
    last_command: CommandId,
    limits: Limits,
    turn: u64,
}

/// Steps that are written together.
pub(crate) struct Batch {
    pub(crate) changes: Rc<Vec<Change>>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) pause: u64,
}

/// A run whose shim rings when there is something to be told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    pub(crate) is_announced: bool,
    pub(crate) is_lost: bool,
    pub(crate) successors: u32,
}

impl World {
    pub(crate) fn boot(&mut self) {
        if self.shell.is_some() {
            return;
        }
        self.managers += 1;
        self.oracle.manager_begins();
        let manager = self.managers;
        self.note(|| format!("manager {manager} begins"));
        self.shell = Some(Shell {
            number: manager,
            manager: None,
            survivors: Vec::new(),
            inbox: VecDeque::new(),
            steps: VecDeque::new(),
            batch: None,
            orders: VecDeque::new(),
            watched: BTreeMap::new(),
            revision: Revision::default(),
            last_command: CommandId(0),
            limits: Limits::default(),
            turn: 0,
        });
        let until = self.time + SURVEY_MAX;
        let moment = self.moment();
        self.after(moment, Happening::Survey { manager, until });
        self.after(1000, Happening::LookAgain { manager });
    }

    /// The living shell, if it is still this one.
    pub(crate) fn shell_of(&mut self, manager: u32) -> Option<&mut Shell> {
        self.shell.as_mut().filter(|shell| shell.number == manager)
    }

    pub(crate) fn survey(&mut self, manager: u32, until: u64) {
        if self.shell_of(manager).is_none() {
            return;
        }
        let now = self.wall();
        let mut survivors = Vec::new();
        let mut watched = BTreeMap::new();
        for (run, dir) in &self.host.dirs {
            match self.host.examine(*run, now) {
                Some(Condition::Decided(state)) => {
                    if matches!(state, SurvivorState::Running { .. }) {
                        watched.insert(*run, Watched { is_announced: true, ..Watched::default() });
                    }
                    survivors.push(Survivor { run: *run, app: dir.app, state });
                }
                Some(Condition::Undecided) if self.time >= until => {
                    watched.insert(*run, Watched { is_announced: true, ..Watched::default() });
                    survivors.extend(self.host.stuck(*run, now));
                }
                Some(Condition::Undecided) => {
                    self.after(20, Happening::Survey { manager, until });
                    return;
                }
                None => {}
            }
        }
        match self.planted {
            Some(Planted::AdoptsNobody) => {
                survivors.retain(|survivor| !matches!(survivor.state, SurvivorState::Running { .. }));
            }
            Some(Planted::OverlooksRecords) => {
                survivors.retain(|survivor| !matches!(survivor.state, SurvivorState::Over(_)));
            }
            Some(Planted::InventsExit) => survivors.iter_mut().for_each(|survivor| {
                if let SurvivorState::Over(closing) = &mut survivor.state {
                    invent(closing);
                }
            }),
            Some(_) | None => {}
        }
        self.note(|| format!("manager {manager} finds {survivors:?}"));
        let runs: Vec<_> = watched.keys().copied().collect();
        if let Some(shell) = self.shell_of(manager) {
            shell.survivors = survivors;
            shell.watched = watched;
        }
        for run in runs {
            self.after(0, Happening::Look { manager, run });
            if self.planted == Some(Planted::SignalsAdopted) {
                for serial in self.host.processes_of(run) {
                    self.signal(run, serial, crate::processes::Signal::Term);
                }
            }
        }
        let moment = self.moment();
        self.after(moment, Happening::ReadSnapshot { manager });
    }

    pub(crate) fn read_snapshot(&mut self, manager: u32) {
        if self.shell_of(manager).is_none() {
            return;
        }
        if !self.database.can_read(self.time, &self.swarm, &mut self.random) {
            self.after(NAP_MAX, Happening::ReadSnapshot { manager });
            return;
        }
        let mut snapshot = self.database.tables.snapshot();
        if self.planted == Some(Planted::BeginsWithOldSnapshot) {
            let old = self.old_snapshot.replace(snapshot.clone());
            snapshot = old.unwrap_or(snapshot);
        }
        let seed = u128::from(self.random.number()) << 64 | u128::from(self.random.number());
        let now = self.now();
        let limits = snapshot.limits.clone();
        let Some(shell) = self.shell_of(manager) else { return };
        shell.revision = snapshot.revision;
        shell.last_command = snapshot.commands.last().map_or(CommandId(0), |command| command.id);
        shell.limits = limits;
        let survivors = std::mem::take(&mut shell.survivors);
        let identity = Identity { name: "m".to_owned(), seed };
        let (restored, step) = Manager::restore(identity, snapshot, survivors, now);
        shell.manager = Some(restored);
        self.oracle.disturbed(self.time);
        self.after(0, Happening::Poll { manager });
        self.hand_out(step);
        self.plan_wake();
        let moment = self.moment();
        self.after(moment, Happening::Inbox { manager });
    }

    /// The program dies. What is on its way to the database may still arrive there.
    pub(crate) fn manager_dies(&mut self, why: &str) {
        let Some(shell) = self.shell.take() else { return };
        self.note(|| format!("manager {} dies: {why}", shell.number));
        self.oracle.disturbed(self.time);
        if self.planted == Some(Planted::IgnoresTheGate) {
            let begun = shell.batch.into_iter().flat_map(|batch| batch.effects);
            let waiting: Vec<_> =
                begun.chain(shell.steps.into_iter().flat_map(|step| step.effects)).collect();
            for effect in waiting {
                if let Effect::Start { run, launch } = effect {
                    self.make_run_dir(run, launch);
                    self.say_go(run);
                }
            }
        }
        let pause = match (self.is_healed, self.swarm.is_long_away) {
            (false, true) => self.random.between(100, 200_000),
            (false, false) => self.random.between(100, 5000),
            (true, _) => 100,
        };
        self.after(pause, Happening::Boot);
    }

    /// Whether the manager dies here.
    pub(crate) fn dies_at(&mut self, boundary: &str) -> bool {
        if !self.random.per_mille(self.swarm.dies_between) {
            return false;
        }
        self.manager_dies(boundary);
        true
    }

    pub(crate) fn send(&mut self, event: Event) {
        let may_come_twice = matches!(
            &event,
            Event::Started { .. } | Event::Ended { .. } | Event::Reported { .. } | Event::Command(_)
        );
        let is_twice = may_come_twice && self.random.per_mille(self.swarm.duplicates);
        let moment = self.moment();
        let Some(shell) = &mut self.shell else { return };
        let manager = shell.number;
        if is_twice {
            shell.inbox.push_back(event.clone());
        }
        shell.inbox.push_back(event);
        self.after(moment, Happening::Inbox { manager });
    }

    pub(crate) fn take_inbox(&mut self, manager: u32) {
        let Some(shell) = self.shell_of(manager).filter(|shell| shell.manager.is_some()) else { return };
        let Some(event) = shell.inbox.pop_front() else { return };
        if !shell.inbox.is_empty() {
            self.after(0, Happening::Inbox { manager });
        }
        self.step(event);
    }

    pub(crate) fn wake(&mut self, manager: u32, turn: u64) {
        if self.shell_of(manager).is_some_and(|shell| shell.turn == turn) {
            self.oracle.woke(self.time);
            self.step(Event::Tick);
        }
    }

    fn step(&mut self, event: Event) {
        let now = self.now();
        if !matches!(event, Event::Tick) {
            self.note(|| format!("event {}", brief(&event)));
        }
        let Some(manager) = self.shell.as_mut().and_then(|shell| shell.manager.as_mut()) else { return };
        let step = manager.step(now, event);
        self.hand_out(step);
        self.plan_wake();
    }

    fn plan_wake(&mut self) {
        let mono = self.now().mono;
        let Some(shell) = &mut self.shell else { return };
        let Some(manager) = &shell.manager else { return };
        let nap = Duration::from_millis(NAP_MAX);
        let sleep = manager.next_deadline().map_or(nap, |at| at.saturating_sub(mono).min(nap));
        let mut sleep = u64::try_from(sleep.as_micros().div_ceil(1000)).unwrap_or(NAP_MAX);
        if self.planted == Some(Planted::SleepsTooLong) {
            sleep = 300_000;
        }
        shell.turn += 1;
        let (manager, turn) = (shell.number, shell.turn);
        self.after(sleep, Happening::Wake { manager, turn });
    }

    /// Does at once what must not wait for the database, and leaves the rest to the outbox.
    fn hand_out(&mut self, mut step: Step) {
        if step.is_empty() {
            return;
        }
        if self.dies_at("after a step") {
            return;
        }
        self.note(|| {
            let effects: Vec<_> = step.effects.iter().map(|effect| clip(format!("{effect:?}"), 60)).collect();
            let changes: Vec<_> =
                step.changes.iter().map(|change| clip(format!("{change:?}"), 420)).collect();
            format!("step {changes:#?} {effects:?}")
        });
        let acts_early = self.planted == Some(Planted::ActsBeforeCommit);
        let forgets_early = self.planted == Some(Planted::ForgetsTooEarly);
        let (later, at_once): (Vec<_>, Vec<_>) = step.effects.into_iter().partition(|effect| {
            effect.waits_for_commit()
                && !(acts_early && matches!(effect, Effect::Start { .. }))
                && !(forgets_early && matches!(effect, Effect::Forget { .. }))
        });
        for effect in at_once {
            self.carry_out(effect);
            if self.dies_at("between two effects that do not wait") {
                return;
            }
        }
        step.effects = later;
        let moment = self.moment();
        let is_wrong_way = self.errs(Planted::WritesOutOfOrder, 300);
        let Some(shell) = &mut self.shell else { return };
        let manager = shell.number;
        if is_wrong_way {
            shell.steps.push_front(step);
        } else {
            shell.steps.push_back(step);
        }
        self.after(moment, Happening::Write { manager });
    }

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
        let changes: Rc<Vec<_>> = Rc::new(progress.chain(changes).collect());
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
                let committed = self.database.commit(written);
                self.oracle.committed(self.time, written, &committed, &self.database.tables);
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
        let refused = match answer {
            Some(committed) => committed.refused,
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
        self.after(0, Happening::Write { manager });
    }

    fn note_refusal(&mut self, run: RunId, refusal: Refusal) {
        self.note(|| format!("{run:?} is refused: {refusal:?}"));
    }

    /// What others wrote: commands are read first and told last.
    pub(crate) fn poll(&mut self, manager: u32) {
        let Some(last) = self.shell_of(manager).map(|shell| shell.last_command) else { return };
        let pause = if self.swarm.is_slow { self.random.between(0, POLL) } else { POLL };
        self.after(pause.max(50), Happening::Poll { manager });
        if self.database.can_read(self.time, &self.swarm, &mut self.random) {
            let commands = self.database.tables.pending(last);
            let moment = self.random.between(0, 3);
            self.after(moment, Happening::Rows { manager, commands });
        }
    }

    pub(crate) fn read_rows(&mut self, manager: u32, commands: Vec<dcm::model::Command>) {
        let Some(revision) = self.shell_of(manager).map(|shell| shell.revision) else { return };
        if !self.database.can_read(self.time, &self.swarm, &mut self.random) {
            return;
        }
        let delta = self.database.tables.changes_since(revision);
        let limits = self.database.tables.limits.clone();
        if !delta.removed.is_empty() {
            self.send(Event::AppsRemoved(delta.removed));
        }
        if !delta.rows.is_empty() && self.planted != Some(Planted::LosesEdits) {
            self.send(Event::AppsChanged(delta.rows));
        }
        let mut fresh = Vec::new();
        let Some(shell) = self.shell_of(manager) else { return };
        shell.revision = delta.revision;
        for command in commands {
            if command.id > shell.last_command {
                shell.last_command = command.id;
                fresh.push(command);
            }
        }
        let has_new_limits = shell.limits != limits;
        shell.limits = limits.clone();
        for command in fresh {
            if !self.errs(Planted::LosesCommands, 200) {
                self.send(Event::Command(command));
            }
        }
        if has_new_limits {
            self.send(Event::LimitsChanged(limits));
        }
        if self.errs(Planted::RepeatsCommands, 300)
            && let Some(command) = self.oracle.some_settled_command()
        {
            self.send(Event::Command(command));
        }
    }
}

fn clip(text: String, most: usize) -> String {
    text.chars().take(most).collect()
}

/// An event in a line that can be read.
fn brief(event: &Event) -> String {
    let Event::AppsChanged(rows) = event else { return format!("{event:?}") };
    let rows: Vec<_> = rows
        .iter()
        .map(|row| match row {
            Registered::App(row) => format!(
                "{:?} #{} disabled {}, next {:?}, asked {:?}, {:?}",
                row.app.id,
                row.sequence,
                row.app.disabled,
                row.next_run,
                row.asked_next_run,
                row.state.status
            ),
            Registered::Faulty(row) => format!("{row:?}"),
        })
        .collect();
    format!("rows {rows:?}")
}

/// What a careless program makes of an exit that nobody saw.
pub(crate) fn invent(closing: &mut Closing) {
    if closing.ending == Ending::Unknown {
        closing.ending = Ending::Exited(Exit::Code(0));
    }
}
