//! What the console knows of the apps: a row each, and the sums of groups and parents.

use std::collections::BTreeMap;

use crate::model::{
    AppId, AppPath, AppRow, CmdFlag, CmdName, Delta, FatalFlag, FaultyRow, Part, Registered, Revision,
    RunStatus, Timestamp,
};

/// An app as it is shown: what the screens need and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::console) struct Row {
    pub(in crate::console) id: AppId,
    pub(in crate::console) path: AppPath,
    pub(in crate::console) condition: Condition,
    pub(in crate::console) disabled: bool,
    pub(in crate::console) fatal: Option<(FatalFlag, Box<str>)>,
    pub(in crate::console) stopped_by: Option<Box<str>>,
    pub(in crate::console) waiting_for: Option<Box<str>>,
    pub(in crate::console) task_size: Option<u64>,
    pub(in crate::console) percent: Option<u8>,
    pub(in crate::console) solved: u64,
    pub(in crate::console) failed: u64,
    pub(in crate::console) eta: Option<Timestamp>,
    pub(in crate::console) next_run: Option<Timestamp>,
    pub(in crate::console) last_run: Option<Timestamp>,
    pub(in crate::console) pid: Option<u32>,
    pub(in crate::console) command: Option<(CmdName, CmdFlag)>,
    pub(in crate::console) message: Option<Box<str>>,
    /// Under which manager it runs or ran last.
    pub(in crate::console) manager: Option<Box<str>>,
}

/// What an app is doing, in the order of how much it needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::console) enum Condition {
    Idle,
    Running,
    Waiting,
    Stopped,
    Fatal,
}

impl Row {
    fn new(row: AppRow) -> Self {
        let AppRow { app, next_run, state, progress, command, .. } = row;
        let condition = match (state.status, state.fatal.is_some(), state.waiting_for.is_some()) {
            (RunStatus::Running, ..) => Condition::Running,
            (_, true, _) => Condition::Fatal,
            (_, _, true) => Condition::Waiting,
            (RunStatus::Stopped, ..) => Condition::Stopped,
            (RunStatus::NotRunning, ..) => Condition::Idle,
        };
        Self {
            id: app.id,
            path: app.path,
            condition,
            disabled: app.disabled,
            fatal: state.fatal.map(|fatal| (fatal.flag, fatal.message.into())),
            stopped_by: state.stopped_by.map(Into::into),
            waiting_for: state.waiting_for.map(Into::into),
            task_size: progress.task_size,
            percent: progress.percent,
            solved: progress.solved,
            failed: progress.failed,
            eta: progress.eta,
            next_run,
            last_run: state.last_run,
            pid: state.pid,
            command: command.map(|command| (command.name, command.flag)),
            message: progress.message.map(Into::into),
            manager: state.manager.map(Into::into),
        }
    }

    /// Whether a person is needed.
    pub(in crate::console) fn needs_somebody(&self) -> bool {
        self.fatal.is_some()
    }
}

/// The sums of a group, a parent, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::console) struct Sums {
    pub(in crate::console) apps: usize,
    pub(in crate::console) running: usize,
    pub(in crate::console) idle: usize,
    pub(in crate::console) stopped: usize,
    pub(in crate::console) waiting: usize,
    pub(in crate::console) disabled: usize,
    pub(in crate::console) fatal: usize,
    /// Over running apps that know their size.
    pub(in crate::console) solved: u64,
    pub(in crate::console) task_size: u64,
    pub(in crate::console) failed: u64,
    /// The latest of the running apps.
    pub(in crate::console) eta: Option<Timestamp>,
    /// The earliest.
    pub(in crate::console) next_run: Option<Timestamp>,
    /// The latest.
    pub(in crate::console) last_run: Option<Timestamp>,
}

impl Sums {
    fn add(&mut self, row: &Row) {
        self.apps += 1;
        self.disabled += usize::from(row.disabled);
        self.fatal += usize::from(row.fatal.is_some());
        match row.condition {
            Condition::Running => self.running += 1,
            Condition::Idle => self.idle += 1,
            Condition::Stopped => self.stopped += 1,
            Condition::Waiting => self.waiting += 1,
            Condition::Fatal => {}
        }
        if row.condition == Condition::Running {
            if let Some(size) = row.task_size {
                self.task_size = self.task_size.saturating_add(size);
                self.solved = self.solved.saturating_add(row.solved);
            }
            self.eta = self.eta.max(row.eta);
        }
        self.failed = self.failed.saturating_add(row.failed);
        if !row.disabled && row.fatal.is_none() {
            self.next_run = [self.next_run, row.next_run].into_iter().flatten().min();
        }
        self.last_run = self.last_run.max(row.last_run);
    }

    /// Of the running apps that know their size.
    pub(in crate::console) fn percent(&self) -> Option<u8> {
        let percent = u128::from(self.solved) * 100 / u128::from(self.task_size.max(1));
        (self.task_size > 0).then(|| u8::try_from(percent.min(100)).unwrap_or(100))
    }
}

/// All apps, and the sums over them.
#[derive(Debug, Default)]
pub(in crate::console) struct Fleet {
    rows: BTreeMap<AppPath, Row>,
    paths: BTreeMap<AppId, AppPath>,
    set_aside: BTreeMap<i64, FaultyRow>,
    pub(in crate::console) revision: Revision,
    pub(in crate::console) total: Sums,
    groups: BTreeMap<Part, Sums>,
    parents: BTreeMap<(Part, Part), Sums>,
}

impl Fleet {
    /// Takes in what changed. Gives back whether apps came, went or changed their condition, so
    /// that other rows may be shown.
    pub(in crate::console) fn apply(&mut self, delta: Delta) -> bool {
        self.revision = delta.revision;
        let mut reshaped = false;
        for app in delta.removed {
            if let Some(path) = self.paths.remove(&app) {
                reshaped |= self.rows.remove(&path).is_some();
            }
        }
        for row in delta.rows {
            match row {
                Registered::App(row) => {
                    self.set_aside.remove(&row.row);
                    let row = Row::new(*row);
                    self.paths.insert(row.id, row.path.clone());
                    let shape = |row: &Row| (row.condition, row.disabled, row.fatal.is_some());
                    let after = shape(&row);
                    let before = self.rows.insert(row.path.clone(), row);
                    reshaped |= before.is_none_or(|before| shape(&before) != after);
                }
                Registered::Faulty(row) => {
                    if let Some(path) = row.id.and_then(|id| self.paths.remove(&id)) {
                        reshaped |= self.rows.remove(&path).is_some();
                    }
                    self.set_aside.insert(row.row, row);
                }
            }
        }
        self.add_up();
        reshaped
    }

    /// From scratch: 10,000 rows take a tenth of a millisecond, and there is no difference to be
    /// forgotten.
    fn add_up(&mut self) {
        self.total = Sums::default();
        self.groups.clear();
        self.parents.clear();
        for row in self.rows.values() {
            self.total.add(row);
            if let Some(sums) = self.groups.get_mut(&row.path.group) {
                sums.add(row);
            } else {
                self.groups.entry(row.path.group.clone()).or_default().add(row);
            }
            let parent = (row.path.group.clone(), row.path.parent.clone());
            self.parents.entry(parent).or_default().add(row);
        }
    }

    /// All apps, by group, parent and name.
    pub(in crate::console) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    pub(in crate::console) fn get(&self, path: &AppPath) -> Option<&Row> {
        self.rows.get(path)
    }

    /// The path of an app that is registered.
    pub(in crate::console) fn path_of(&self, id: AppId) -> Option<&AppPath> {
        self.paths.get(&id)
    }

    pub(in crate::console) fn group(&self, group: &Part) -> Option<&Sums> {
        self.groups.get(group)
    }

    pub(in crate::console) fn parent(&self, group: &Part, parent: &Part) -> Option<&Sums> {
        self.parents.get(&(group.clone(), parent.clone()))
    }

    /// Rows that cannot be obeyed.
    pub(in crate::console) fn set_aside(&self) -> impl Iterator<Item = &FaultyRow> {
        self.set_aside.values()
    }
}
