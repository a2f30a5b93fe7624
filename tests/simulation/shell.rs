//! The manager's process: what `src/runtime` and `process::Supervisor` are to the real manager. It
//! may die between any two of its acts.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use dcm::manager::{Effect, Event, Identity, Manager, Step};
use dcm::model::{
    Change, Closing, CommandId, Ending, Exit, Limits, Registered, Revision, RunId, Survivor, SurvivorState,
    Unopened,
};

use crate::faults::Planted;
use crate::host::Condition;
use crate::world::{Happening, World};

/// How long a new manager waits for shims that are about to start their app.
const SURVEY_MAX: u64 = 5000;

/// The longest sleep of the driver.
const NAP_MAX: u64 = 1000;

/// All that is lost when the manager dies.
pub(crate) struct Shell {
    pub(crate) number: u32,
    pub(crate) manager: Option<Manager>,
    pub(crate) survivors: Vec<Survivor>,
    pub(crate) inbox: VecDeque<Event>,
    pub(crate) steps: VecDeque<Step>,
    pub(crate) batch: Option<Batch>,
    pub(crate) unopened: Unopened,
    /// Rows are held: what was not written is tried again after a pause.
    pub(crate) pauses_until_held: bool,
    pub(crate) orders: VecDeque<Effect>,
    pub(crate) watched: BTreeMap<RunId, Watched>,
    pub(crate) revision: Revision,
    pub(crate) last_command: CommandId,
    pub(crate) limits: Limits,
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
            unopened: Unopened::default(),
            pauses_until_held: false,
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
        let is_blind = self.time < self.host.blind_until;
        if is_blind && self.planted != Some(Planted::TakesBlindForGone) {
            self.after(200, Happening::Survey { manager, until: until + 200 });
            return;
        }
        let now = self.wall();
        let mut survivors = Vec::new();
        let mut watched = BTreeMap::new();
        for (run, dir) in &self.host.dirs {
            match self.host.examine(*run, now) {
                Some(Condition::Decided(state)) => {
                    if matches!(*state, SurvivorState::Running { .. }) {
                        watched.insert(*run, Watched { is_announced: true, ..Watched::default() });
                    }
                    survivors.push(Survivor { run: *run, app: dir.app, pid: None, state: *state });
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
            Some(Planted::TakesBlindForGone) if is_blind => survivors.clear(),
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
        if self.planted == Some(Planted::ForgetsPlans) {
            for row in &mut snapshot.apps {
                if let Registered::App(row) = row {
                    (row.planned, row.slot) = (None, None);
                }
            }
        }
        if self.planted == Some(Planted::OverlooksAlways) {
            overlook_always(&mut snapshot.apps);
        }
        if self.planted == Some(Planted::ForgetsDeletions) {
            snapshot.removed.clear();
        }
        let seed = u128::from(self.random.number()) << 64 | u128::from(self.random.number());
        let now = self.now();
        let limits = snapshot.limits.clone();
        let Some(shell) = self.shell_of(manager) else { return };
        shell.revision = snapshot.revision;
        shell.last_command = snapshot.commands.last().map_or(CommandId(0), |command| command.id);
        shell.limits = limits;
        let survivors = std::mem::take(&mut shell.survivors);
        let identity = Identity { name: "m".to_owned(), host: "h".to_owned(), seed };
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
        let mut sleep = u64::try_from(sleep.as_nanos().div_ceil(1_000_000)).unwrap_or(NAP_MAX);
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
        for change in &step.changes {
            if let Change::RunOpened(opening) = change
                && self.random.per_mille(self.swarm.edits / 3)
            {
                self.after(0, Happening::DisableByHand { app: opening.app });
            }
        }
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
            Registered::SetAside(row) => format!("{row:?}"),
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

/// Rows as a program reads them that does not know that column.
pub(crate) fn overlook_always(rows: &mut [Registered]) {
    for row in rows {
        if let Registered::App(row) = row {
            row.app.schedule.always = false;
        }
    }
}
