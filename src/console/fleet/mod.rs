//! What the console knows of the apps: a row each, and the sums of groups and parents.

pub(super) mod meter;
pub(super) mod rate;
pub(super) mod row;
pub(super) mod sums;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use rate::Eta;
pub(super) use row::{Row, Trouble, Usual};
pub(super) use sums::Sums;

use crate::model::explain::is_heard;
use crate::model::{
    AppId, AppPath, AppRef, AppRow, Counted, Delta, ManagerRow, Part, Registered, Run, Timestamp,
};
use meter::Meter;
use row::Judged;
use sums::Extremes;

/// All apps, and the sums over them.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    /// By slot. A slot stays with its app until that is gone.
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
    slots: BTreeMap<AppId, u32>,
    /// By group, parent and name.
    order: BTreeMap<AppPath, u32>,
    set_aside: BTreeMap<i64, Box<AppRow>>,
    pub(super) total: Sums,
    groups: BTreeMap<Part, Sums>,
    parents: BTreeMap<(Part, Part), Sums>,
    /// Groups and parents whose extremes are to be made anew.
    dirty: BTreeSet<(Part, Option<Part>)>,
    /// Those of all as well.
    is_dirty: bool,
    pub(super) managers: Vec<ManagerRow>,
    /// When they were read: a heartbeat is as old as it was then.
    managers_read: Option<Timestamp>,
    pub(super) meter: Meter,
    /// Grows with every change of any row.
    pub(super) version: u64,
    /// Grows when an app comes, goes, or changes its state.
    pub(super) shape: u64,
    texts: BTreeSet<Arc<str>>,
    parts: BTreeSet<Part>,
}

/// What a delta did to the fleet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Apps came or went, or changed so that they may stand elsewhere or be filtered otherwise.
    pub(super) is_reshaped: bool,
    /// Apps that are in trouble now and were not before, by trouble.
    new_troubles: [usize; Trouble::ALL.len()],
}

impl Change {
    /// An app fared so before and fares so now.
    fn note(&mut self, before: Option<Trouble>, now: Option<Trouble>) {
        if let Some(trouble) = now.filter(|_| before.is_none()) {
            self.new_troubles[trouble as usize] += 1;
        }
    }

    /// What is newly wrong, the worst first: `1 new FATAL, 2 new LATE`.
    pub(super) fn news(&self) -> Option<String> {
        let news = Trouble::ALL.into_iter().map(|trouble| (self.new_troubles[trouble as usize], trouble));
        let news = news.filter(|(count, _)| *count > 0);
        let words: Vec<_> = news.map(|(count, trouble)| format!("{count} new {}", trouble.word())).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

impl Fleet {
    /// Takes in what changed, as it was read at this time.
    pub(super) fn apply(&mut self, delta: Delta, read: Timestamp) -> Change {
        let mut change = Change::default();
        for app in delta.removed {
            change.is_reshaped |= self.remove(app);
            self.set_aside.retain(|_, row| row.app.id != app);
        }
        for row in delta.rows {
            match row {
                Registered::App(row) => {
                    self.set_aside.remove(&row.row);
                    self.put(*row, read, &mut change);
                }
                Registered::SetAside(row) => {
                    change.is_reshaped |= self.remove(row.app.id);
                    self.set_aside.insert(row.row, row);
                }
            }
        }
        self.settle();
        self.shape += u64::from(change.is_reshaped);
        change
    }

    fn put(&mut self, row: AppRow, read: Timestamp, change: &mut Change) {
        let path = self.interned(&row.app.path);
        let manager = row.state.manager.as_deref().map(|name| self.text(name));
        let mut row = Row::new(row, path, manager);
        let before = self.slots.get(&row.id).copied();
        let slot = before.unwrap_or_else(|| self.new_slot(row.id));
        let old = self.rows[slot as usize].take();
        row.usual = old.as_ref().map_or_else(Usual::default, |old| old.usual);
        row.conclude(row.judged(read, self.is_heard(&row, read)));
        change.note(old.as_ref().and_then(|old| old.trouble), row.trouble);
        let shape = |row: &Row| (row.state, row.disabled, row.trouble, row.is_pending());
        change.is_reshaped |=
            old.as_ref().is_none_or(|old| old.path != row.path || shape(old) != shape(&row));
        if let Some(old) = &old {
            self.take_off(old);
            if old.path != row.path {
                self.order.remove(&old.path);
            }
        }
        self.order.insert(row.path.clone(), slot);
        self.put_on(&row);
        self.rows[slot as usize] = Some(row);
    }

    fn new_slot(&mut self, id: AppId) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.rows.push(None);
            u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX)
        });
        self.slots.insert(id, slot);
        slot
    }

    fn remove(&mut self, app: AppId) -> bool {
        let Some(slot) = self.slots.remove(&app) else { return false };
        let Some(old) = self.rows[slot as usize].take() else { return false };
        self.free.push(slot);
        self.order.remove(&old.path);
        self.take_off(&old);
        true
    }

    fn put_on(&mut self, row: &Row) {
        self.version += 1;
        self.meter.add(row.samples.as_deref());
        self.total.add(row);
        self.groups.entry(row.path.group.clone()).or_default().add(row);
        self.parents.entry((row.path.group.clone(), row.path.parent.clone())).or_default().add(row);
    }

    fn take_off(&mut self, row: &Row) {
        self.version += 1;
        let (group, parent) = (row.path.group.clone(), row.path.parent.clone());
        self.meter.take_off(row.samples.as_deref());
        self.is_dirty |= self.total.take_off(row);
        if let Some(sums) = self.groups.get_mut(&group) {
            if sums.take_off(row) {
                self.dirty.insert((group.clone(), None));
            }
            if sums.apps == 0 {
                self.groups.remove(&group);
            }
        }
        let key = (group, parent);
        if let Some(sums) = self.parents.get_mut(&key) {
            if sums.take_off(row) {
                self.dirty.insert((key.0.clone(), Some(key.1.clone())));
            }
            if sums.apps == 0 {
                self.parents.remove(&key);
            }
        }
    }

    /// Makes the extremes of what has changed anew.
    fn settle(&mut self) {
        if std::mem::take(&mut self.is_dirty) {
            self.total.extremes = Extremes::over(self.rows.iter().flatten());
        }
        for (group, parent) in std::mem::take(&mut self.dirty) {
            let rows = self.rows_below(&group, parent.as_ref());
            let extremes = Extremes::over(rows);
            let sums = match parent {
                None => self.groups.get_mut(&group),
                Some(parent) => self.parents.get_mut(&(group, parent)),
            };
            if let Some(sums) = sums {
                sums.extremes = extremes;
            }
        }
    }

    /// Concludes anew what is wrong with each app, since that depends on the time.
    pub(super) fn judge(&mut self, now: Timestamp) -> Change {
        let (mut changed, mut quicker) = (Vec::new(), Vec::new());
        for (slot, row) in self.rows.iter().enumerate() {
            let Some(row) = row else { continue };
            let judged = row.judged(now, self.is_heard(row, now));
            let is_changed = (judged.state, judged.trouble) != (row.state, row.trouble);
            if is_changed || judged.pace.is_settled() != row.pace.is_settled() {
                changed.push((slot, judged));
            } else if judged.pace != row.pace {
                quicker.push((slot, judged));
            }
        }
        let mut change = Change::default();
        for (slot, judged) in changed {
            if let Some(mut row) = self.rows[slot].take() {
                change.is_reshaped |= (judged.state, judged.trouble) != (row.state, row.trouble);
                change.note(row.trouble, judged.trouble);
                self.take_off(&row);
                row.conclude(judged);
                self.put_on(&row);
                self.rows[slot] = Some(row);
            }
        }
        for (slot, judged) in quicker {
            self.retime(slot, judged);
        }
        self.settle();
        self.shape += u64::from(change.is_reshaped);
        self.meter.turn(now);
        change
    }

    /// An app has become quicker or slower, and nothing else.
    fn retime(&mut self, slot: usize, judged: Judged) {
        let Some(row) = &mut self.rows[slot] else { return };
        let (before, now) = (row.pace.speed(), judged.pace.speed());
        row.conclude(judged);
        let (group, parent) = (&row.path.group, &row.path.parent);
        self.total.retime(before, now);
        if let Some(sums) = self.groups.get_mut(group) {
            sums.retime(before, now);
        }
        if let Some(sums) = self.parents.get_mut(&(group.clone(), parent.clone())) {
            sums.retime(before, now);
        }
    }

    /// How long the runs of an app take as a rule.
    pub(super) fn learn(&mut self, id: AppId, usual: Usual) {
        let row = self.slot_of(id).and_then(|slot| self.rows[slot as usize].as_mut());
        if let Some(row) = row {
            row.usual = usual;
        }
    }

    /// Whether the lease of an app's manager holds, as far as one is needed to know how the app is.
    fn is_heard(&self, row: &Row, now: Timestamp) -> bool {
        !row.is_running() || is_heard(row.manager.as_deref(), &self.managers, self.managers_time(now))
    }

    /// These managers were there at this time.
    pub(super) fn meet(&mut self, managers: Vec<ManagerRow>, read: Timestamp) {
        self.managers = managers;
        self.managers_read = Some(read);
    }

    /// Whether the lease of a manager holds, as far as is known.
    pub(super) fn has_live(&self, name: &str, now: Timestamp) -> bool {
        self.manager(name).is_some_and(|manager| manager.is_live(self.managers_time(now)))
    }

    /// The time at which managers are judged. A console that cannot read the database declares no manager dead: its
    /// heartbeats are as old as they were when they were read.
    pub(super) fn managers_time(&self, now: Timestamp) -> Timestamp {
        self.managers_read.map_or(now, |read| read.min(now))
    }

    pub(super) fn manager(&self, name: &str) -> Option<&ManagerRow> {
        self.managers.iter().find(|manager| manager.name == name)
    }

    /// How many managers live.
    pub(super) fn live_managers(&self, now: Timestamp) -> usize {
        self.living(now).count()
    }

    /// The managers that live.
    pub(super) fn living(&self, now: Timestamp) -> impl Iterator<Item = &ManagerRow> {
        let time = self.managers_time(now);
        self.managers.iter().filter(move |manager| manager.is_live(time))
    }

    /// All apps, by group, parent and name.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.slots_in_order().filter_map(|slot| self.row(slot))
    }

    /// Their slots.
    pub(super) fn slots_in_order(&self) -> impl Iterator<Item = u32> {
        self.order.values().copied()
    }

    fn rows_below<'a>(&'a self, group: &Part, parent: Option<&'a Part>) -> impl Iterator<Item = &'a Row> {
        let group = group.clone();
        let from = parent.cloned().unwrap_or_else(lowest);
        let from = AppPath { group: group.clone(), parent: from, name: lowest() };
        let is_below =
            move |path: &AppPath| path.group == group && parent.is_none_or(|parent| path.parent == *parent);
        self.order
            .range(from..)
            .take_while(move |(path, _)| is_below(path))
            .filter_map(|(_, slot)| self.row(*slot))
    }

    pub(super) fn row(&self, slot: u32) -> Option<&Row> {
        self.rows.get(slot as usize)?.as_ref()
    }

    pub(super) fn slot_of(&self, id: AppId) -> Option<u32> {
        self.slots.get(&id).copied()
    }

    pub(super) fn by_id(&self, id: AppId) -> Option<&Row> {
        self.row(self.slot_of(id)?)
    }

    pub(super) fn get(&self, path: &AppPath) -> Option<&Row> {
        self.row(*self.order.get(path)?)
    }

    /// The path of an app that is registered.
    pub(super) fn path_of(&self, id: AppId) -> Option<&AppPath> {
        self.by_id(id).map(|row| &row.path)
    }

    /// What a run counted: of one that goes on, what the row of its app says by now.
    pub(super) fn counted(&self, run: &Run) -> Counted {
        let row = self.by_id(run.app).filter(|row| run.end.is_none() && row.run == Some(run.run));
        let of_run = (run.progress.solved, run.progress.failed);
        let (solved, failed) = row.map_or(of_run, |row| (row.solved, row.failed));
        Counted { solved, failed }
    }

    /// An app as alerts and commands name it, for people: by its path while it is registered.
    pub(super) fn name_of(&self, app: &AppRef) -> String {
        let path = app.id().and_then(|id| self.path_of(id));
        path.map_or_else(|| app.to_string(), ToString::to_string)
    }

    pub(super) fn group(&self, group: &Part) -> Option<&Sums> {
        self.groups.get(group)
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &Part> {
        self.groups.keys()
    }

    pub(super) fn parent(&self, group: &Part, parent: &Part) -> Option<&Sums> {
        self.parents.get(&(group.clone(), parent.clone()))
    }

    pub(super) fn parents(&self) -> impl Iterator<Item = &(Part, Part)> {
        self.parents.keys()
    }

    /// Rows that cannot be obeyed.
    pub(super) fn set_aside(&self) -> impl Iterator<Item = &AppRow> {
        self.set_aside.values().map(Box::as_ref)
    }

    /// The same path, with groups and parents that share their text.
    fn interned(&mut self, path: &AppPath) -> AppPath {
        let mut part = |part: &Part| match self.parts.get(part) {
            Some(known) => known.clone(),
            None => {
                self.parts.insert(part.clone());
                part.clone()
            }
        };
        AppPath { group: part(&path.group), parent: part(&path.parent), name: path.name.clone() }
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }
}

/// The first of all parts in order: what sorts before a digit cannot begin one.
fn lowest() -> Part {
    Part::new("0").expect("a digit is a valid part")
}

#[cfg(test)]
mod tests;
