//! A worker that runs always, under a manager, for tests.

use std::time::Duration;

use chrono::TimeDelta;

use crate::manager::{Effect, Event, Identity, Manager, Step};
use crate::model::{
    Alert, App, AppRow, Change, Closing, CmdName, Command, CommandId, Ending, Limits, Now, Policy,
    Registered, Report, RunId, Snapshot, StopCause, Survivor, SurvivorState, Timestamp, Trigger,
};

/// A worker that runs always, under a manager. Times are milliseconds since the manager began.
pub(super) struct Host {
    pub(super) manager: Manager,
    pub(super) row: AppRow,
    pub(super) time: i64,
    /// By how much the wall clock was set since.
    pub(super) clock: i64,
    /// What became of alerts, in words.
    pub(super) alerts: Vec<String>,
    /// Times that are on record as left out.
    pub(super) skips: usize,
    /// The run under way, and when its process began.
    pub(super) run: Option<(RunId, i64)>,
    pub(super) stops: Vec<StopCause>,
    pub(super) verdicts: Vec<String>,
    limits: Limits,
    commands: i64,
}

pub(super) fn worker(policy: Policy) -> AppRow {
    let mut row = AppRow::new(App { policy, ..App::new("a/b/c".parse().unwrap()) }, 1);
    row.app.schedule.always = true;
    row
}

impl Host {
    pub(super) fn new(policy: Policy) -> Self {
        Self::of(worker(policy), Limits::default())
    }

    pub(super) fn of(row: AppRow, limits: Limits) -> Self {
        let mut host = Self {
            manager: Manager::restore(identity(), Snapshot::default(), Vec::new(), now(0, 0)).0,
            row,
            time: 0,
            clock: 0,
            alerts: Vec::new(),
            skips: 0,
            run: None,
            stops: Vec::new(),
            verdicts: Vec::new(),
            limits,
            commands: 0,
        };
        host.restart_manager(Vec::new());
        host
    }

    pub(super) fn now(&self) -> Now {
        now(self.time, self.clock)
    }

    /// Another manager takes the app up as its row has it.
    pub(super) fn restart_manager(&mut self, survivors: Vec<Survivor>) {
        let open_runs =
            self.run.filter(|_| !survivors.is_empty()).map(|(run, began)| crate::model::OpenRun {
                run,
                app: self.row.app.id,
                start: now(began, self.clock).wall,
                due: None,
                trigger: Trigger::Schedule,
                attempt: 1,
                command: None,
                pid: Some(42),
                manager: None,
            });
        let snapshot = Snapshot {
            apps: vec![Registered::of(self.row.clone())],
            limits: self.limits.clone(),
            open_runs: open_runs.into_iter().collect(),
            ..Snapshot::default()
        };
        let (manager, step) = Manager::restore(identity(), snapshot, survivors, self.now());
        self.manager = manager;
        self.take(step);
    }

    pub(super) fn step(&mut self, event: Event) {
        let step = self.manager.step(self.now(), event);
        self.take(step);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what no test looks at")]
    pub(super) fn take(&mut self, step: Step) {
        for change in step.changes {
            match change {
                Change::App(update) => {
                    self.row.state = update.state;
                    self.row.sequence = update.sequence;
                    self.row.next_run = update.next_run;
                    self.row.planned = update.planned;
                    self.row.app.disabled = update.disabled.unwrap_or(self.row.app.disabled);
                }
                Change::AlertOpened(Alert { kind, count, message, .. }) => {
                    self.alerts.push(format!("opened {kind} {count}: {message}"));
                }
                Change::AlertRepeated(Alert { kind, count, .. }) => {
                    self.alerts.push(format!("repeated {kind} {count}"));
                }
                Change::AlertsClosed { end, .. } => self.alerts.push(format!("closed {end}")),
                Change::Skipped(_) => self.skips += 1,
                Change::CommandSettled { verdict, .. } => self.verdicts.push(format!("{verdict:?}")),
                _ => {}
            }
        }
        for effect in step.effects {
            match effect {
                Effect::Start { run, .. } => {
                    assert_eq!(self.run, None, "two runs");
                    self.run = Some((run, self.time));
                    self.step(Event::Started { run, pid: 42, at: self.now().wall });
                }
                Effect::Stop { cause, .. } => self.stops.push(cause),
                _ => {}
            }
        }
    }

    /// Time passes, and the manager wakes as it asked.
    pub(super) fn pass(&mut self, milliseconds: i64) {
        let end = self.time + milliseconds;
        while let Some(deadline) = self.manager.next_deadline() {
            let due = i64::try_from(deadline.as_millis()).unwrap() - 5000;
            if due > end {
                break;
            }
            // It may be called a little late.
            self.time = self.time.max(due) + 1;
            self.step(Event::Tick);
        }
        self.time = self.time.max(end);
    }

    pub(super) fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// The run under way ends when it has lived for so long.
    pub(super) fn end_after(&mut self, lived: i64, ending: Ending) {
        self.pass(lived);
        self.end(ending, Report::default());
    }

    pub(super) fn end(&mut self, ending: Ending, report: Report) {
        let (run, began) = self.run.take().expect("it runs");
        let started = Some(now(began, self.clock).wall);
        let closing = Closing { started, report, ..Closing::unseen(ending, self.now().wall) };
        self.step(Event::Ended { run, closing });
    }

    /// How long the manager waits until it starts the app again.
    pub(super) fn pause(&mut self) -> i64 {
        let before = self.time;
        while !self.is_running() {
            let deadline = self.manager.next_deadline().expect("it is to be started again");
            self.time = i64::try_from(deadline.as_millis()).unwrap() - 5000;
            self.step(Event::Tick);
        }
        self.time - before
    }

    pub(super) fn command(&mut self, name: CmdName) {
        self.commands += 1;
        self.step(Event::Command(Command {
            id: CommandId(self.commands),
            app: Some(self.row.app.id),
            name,
            args: None,
            fault: None,
            by: "ana".to_owned(),
            time: self.now().wall,
            expires: None,
        }));
    }

    /// Somebody edits the row.
    pub(super) fn edit(&mut self, edit: impl FnOnce(&mut AppRow)) {
        edit(&mut self.row);
        let row = Registered::of(self.row.clone());
        self.step(Event::AppsChanged(vec![row]));
    }

    pub(super) fn take_alerts(&mut self) -> Vec<String> {
        std::mem::take(&mut self.alerts)
    }

    pub(super) fn failures(&self) -> u32 {
        self.row.state.failures
    }

    pub(super) fn survivor(&self) -> Survivor {
        let (run, began) = self.run.expect("it runs");
        let state = SurvivorState::Running { pid: 42, started: now(began, self.clock).wall, stop: None };
        Survivor { run, app: self.row.app.id, pid: Some(42), state }
    }
}

pub(super) fn identity() -> Identity {
    Identity { name: "zg".to_owned(), host: "zg".to_owned(), seed: 1 }
}

pub(super) fn now(time: i64, clock: i64) -> Now {
    let wall = Timestamp::UNIX_EPOCH + TimeDelta::days(9) + TimeDelta::milliseconds(time + clock);
    Now { mono: Duration::from_millis(5000 + time.cast_unsigned()), wall }
}
