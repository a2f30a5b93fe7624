//! Sums over a group, a parent, or all apps. A row that changes is taken off and put on again, so
//! the cost does not grow with the fleet.

use super::row::{Row, Trouble};
use crate::model::explain::State;
use crate::model::{CmdFlag, Timestamp};

/// The sums of a group, a parent, or of all.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::console) struct Sums {
    pub(in crate::console) apps: usize,
    states: [usize; State::ALL.len()],
    troubles: [usize; Trouble::ALL.len()],
    pub(in crate::console) disabled: usize,
    pub(in crate::console) pending: usize,
    pub(in crate::console) refused: usize,
    /// Over running apps that know their size.
    pub(in crate::console) solved: u64,
    pub(in crate::console) task_size: u64,
    pub(in crate::console) failed: u64,
    /// Items a thousand seconds.
    pub(in crate::console) speed: u64,
    /// What cannot be taken off again: made anew when a row that bore it changes.
    pub(in crate::console) extremes: Extremes,
}

/// The first and last of times over some rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::console) struct Extremes {
    /// The latest of the running apps.
    pub(in crate::console) eta: Option<Timestamp>,
    /// The earliest.
    pub(in crate::console) next_run: Option<Timestamp>,
    /// The latest.
    pub(in crate::console) last_run: Option<Timestamp>,
}

impl Extremes {
    fn of(row: &Row) -> Self {
        Self {
            eta: row.eta.filter(|_| row.is_running()),
            next_run: row.next_run.filter(|_| !row.disabled && !row.awaits_enable),
            last_run: row.last_run,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            eta: self.eta.max(other.eta),
            next_run: [self.next_run, other.next_run].into_iter().flatten().min(),
            last_run: self.last_run.max(other.last_run),
        }
    }

    /// Over all these rows.
    pub(super) fn over<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        rows.map(Self::of).fold(Self::default(), Self::and)
    }
}

impl Sums {
    /// How many are in a state. All that run are running here, stalled ones and those that nobody hears of too.
    pub(in crate::console) fn of(&self, state: State) -> usize {
        if state == State::Running { self.running() } else { self.states[state as usize] }
    }

    pub(in crate::console) fn with(&self, trouble: Trouble) -> usize {
        self.troubles[trouble as usize]
    }

    pub(in crate::console) fn running(&self) -> usize {
        State::ALL
            .into_iter()
            .filter(|state| state.is_running())
            .map(|state| self.states[state as usize])
            .sum()
    }

    /// The worst trouble, and how many have it.
    pub(in crate::console) fn worst(&self) -> Option<(Trouble, usize)> {
        Trouble::ALL.into_iter().map(|trouble| (trouble, self.with(trouble))).find(|(_, count)| *count > 0)
    }

    /// Apps that need somebody.
    pub(in crate::console) fn troubled(&self) -> usize {
        self.troubles.iter().sum()
    }

    /// Puts a row on.
    pub(super) fn add(&mut self, row: &Row) {
        self.count(row, usize::checked_add, u64::saturating_add);
        self.extremes = self.extremes.and(Extremes::of(row));
    }

    /// Takes a row off. `true` if it may have borne one of the extremes, which are then to be made
    /// anew.
    pub(super) fn take_off(&mut self, row: &Row) -> bool {
        self.count(row, usize::checked_sub, u64::saturating_sub);
        let own = Extremes::of(row);
        let bears = |own: Option<Timestamp>, all: Option<Timestamp>| own.is_some() && own == all;
        bears(own.eta, self.extremes.eta)
            || bears(own.next_run, self.extremes.next_run)
            || bears(own.last_run, self.extremes.last_run)
    }

    fn count(
        &mut self,
        row: &Row,
        change: fn(usize, usize) -> Option<usize>,
        change_items: fn(u64, u64) -> u64,
    ) {
        let step = |sum: &mut usize, applies: bool| {
            let changed = change(*sum, usize::from(applies));
            debug_assert!(changed.is_some(), "a row is taken off once");
            *sum = changed.unwrap_or(0);
        };
        step(&mut self.apps, true);
        step(&mut self.states[row.state as usize], true);
        if let Some(trouble) = row.trouble {
            step(&mut self.troubles[trouble as usize], true);
        }
        step(&mut self.disabled, row.disabled);
        let flag = row.command.as_ref().map(|command| command.flag);
        step(&mut self.pending, flag == Some(CmdFlag::Pending));
        step(&mut self.refused, flag == Some(CmdFlag::NotExecuted));
        if row.is_running()
            && let Some(size) = row.task_size
        {
            self.task_size = change_items(self.task_size, size);
            self.solved = change_items(self.solved, row.solved);
        }
        self.failed = change_items(self.failed, row.failed);
        self.speed = change_items(self.speed, row.speed());
    }

    /// Of the running apps that know their size.
    pub(in crate::console) fn percent(&self) -> Option<u8> {
        let percent = u128::from(self.solved) * 100 / u128::from(self.task_size.max(1));
        (self.task_size > 0).then(|| u8::try_from(percent.min(100)).unwrap_or(100))
    }
}
