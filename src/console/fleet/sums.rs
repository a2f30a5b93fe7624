//! Sums over a group, a parent, or all apps. A row that changes is taken off and put on again, so
//! the cost does not grow with the fleet.

use super::row::{Row, Trouble};
use crate::model::explain::State;
use crate::model::{CmdFlag, Counted, Timestamp};

/// The sums of a group, a parent, or of all.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::console) struct Sums {
    pub(in crate::console) apps: usize,
    states: [usize; State::ALL.len()],
    troubles: [usize; Trouble::ALL.len()],
    /// Failed apps that have an alert of their own.
    pub(in crate::console) flagged: usize,
    pub(in crate::console) disabled: usize,
    pub(in crate::console) pending: usize,
    pub(in crate::console) refused: usize,
    /// Over running apps that know their size.
    pub(in crate::console) solved: u64,
    pub(in crate::console) task_size: u64,
    pub(in crate::console) failed: u64,
    /// The memory of running apps, in bytes.
    pub(in crate::console) memory: u64,
    /// Their time on the CPU, in tenths of a percent of one core.
    pub(in crate::console) cpu_tenths: u64,
    /// Items in a thousand seconds.
    pub(in crate::console) speed: Counted,
    /// Apps whose speed is known.
    pub(in crate::console) timed: usize,
    /// What cannot be taken off again: made anew when a row that bore it changes.
    pub(in crate::console) extremes: Extremes,
}

/// The first and last of times over some rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::console) struct Extremes {
    /// The latest of the running apps that can say so by now.
    pub(in crate::console) eta: Option<Timestamp>,
    /// The earliest.
    pub(in crate::console) next_run: Option<Timestamp>,
    /// The latest.
    pub(in crate::console) last_run: Option<Timestamp>,
}

impl Extremes {
    fn of(row: &Row) -> Self {
        Self {
            eta: row.eta.filter(|_| row.pace.is_settled()),
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
    /// How many are in a state. `Running` counts all that run: stalled ones and unknown ones too.
    pub(in crate::console) fn of(&self, state: State) -> usize {
        if state == State::Running { self.running() } else { self.states[state as usize] }
    }

    pub(in crate::console) fn with(&self, trouble: Trouble) -> usize {
        self.troubles[trouble as usize]
    }

    pub(in crate::console) fn running(&self) -> usize {
        State::ALL.iter().filter(|state| state.is_running()).map(|state| self.states[*state as usize]).sum()
    }

    /// Apps that failed, whether they go on or wait for ENABLE.
    pub(in crate::console) fn failed_apps(&self) -> usize {
        let failed = State::ALL.iter().filter(|state| state.is_failed());
        failed.map(|state| self.states[*state as usize]).sum()
    }

    /// The worst trouble, and how many have it.
    pub(in crate::console) fn worst(&self) -> Option<(Trouble, usize)> {
        Trouble::ALL.into_iter().map(|trouble| (trouble, self.with(trouble))).find(|(_, count)| *count > 0)
    }

    /// Apps that need somebody.
    pub(in crate::console) fn troubled(&self) -> usize {
        self.troubles.iter().sum()
    }

    /// A row has become quicker or slower.
    pub(super) fn retime(&mut self, before: Option<Counted>, now: Option<Counted>) {
        self.speed = self.speed.without(before.unwrap_or_default()).and(now.unwrap_or_default());
        self.timed = self.timed + usize::from(now.is_some()) - usize::from(before.is_some());
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
        step(&mut self.flagged, row.is_flagged());
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
        self.memory = change_items(self.memory, row.memory().unwrap_or(0));
        self.cpu_tenths = change_items(self.cpu_tenths, row.cpu().map_or(0, tenths));
        step(&mut self.timed, row.pace.speed().is_some());
        let speed = row.pace.speed().unwrap_or_default();
        self.speed.solved = change_items(self.speed.solved, speed.solved);
        self.speed.failed = change_items(self.speed.failed, speed.failed);
    }

    /// Of the running apps that know their size.
    pub(in crate::console) fn percent(&self) -> Option<u8> {
        let percent = u128::from(self.solved) * 100 / u128::from(self.task_size.max(1));
        (self.task_size > 0).then(|| u8::try_from(percent.min(100)).unwrap_or(100))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the CPU is neither large nor negative"
)]
fn tenths(percent: f64) -> u64 {
    (percent * 10.0).round() as u64
}
