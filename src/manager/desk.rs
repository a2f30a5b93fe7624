//! What the work on one app may use of the rest: the time, new run ids, and how much room is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::entry::{Entry, Phase, Waiting};
use super::ids::RunIds;
use crate::model::{AppId, AppPath, Limits, Load, Now, Part, RunId, Timestamp};

/// The manager's shared parts.
#[derive(Debug)]
pub(super) struct Desk {
    /// The name of this manager.
    pub(super) manager: String,
    /// The names by which runs of this host are on record: this manager's, and that of `run-app`.
    pub(super) owners: [String; 2],
    /// The moment of the step.
    pub(super) now: Now,
    pub(super) ids: RunIds,
    pub(super) index: Index,
}

/// Every app by what it waits for, so that a step costs what happens and not what is registered.
///
/// An entry is taken off all lists before it is changed and put on them again after, so no list
/// can disagree with the entries.
#[derive(Debug, Default)]
pub(super) struct Index {
    limits: Limits,
    due: BTreeSet<(Timestamp, AppId)>,
    timeouts: BTreeSet<(Duration, AppId)>,
    line: BTreeSet<(Place, AppId)>,
    runs: BTreeMap<RunId, AppId>,
    groups: BTreeMap<Part, u32>,
    parents: BTreeMap<(Part, Part), u32>,
    /// Room was made since the line was last served.
    room_was_made: bool,
}

/// A place in the line of runs that wait for room: people first, then by the time they were due.
type Place = (Rank, Timestamp);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Person,
    Schedule,
}

impl Index {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub(super) fn list(&mut self, entry: &Entry) {
        let id = entry.app.id;
        if let Some(at) = entry.due() {
            self.due.insert((at, id));
        }
        if let Some(at) = entry.timeout() {
            self.timeouts.insert((at, id));
        }
        if let Phase::Waiting(waiting) = &entry.phase {
            self.line.insert((place(waiting), id));
        }
        if let Some(run) = entry.run() {
            let other = self.runs.insert(run, id);
            assert!(other.is_none(), "a run belongs to one app");
            let path = &entry.app.path;
            *self.groups.entry(path.group.clone()).or_default() += 1;
            *self.parents.entry((path.group.clone(), path.parent.clone())).or_default() += 1;
        }
    }

    pub(super) fn unlist(&mut self, entry: &Entry) {
        let id = entry.app.id;
        if let Some(at) = entry.due() {
            self.due.remove(&(at, id));
        }
        if let Some(at) = entry.timeout() {
            self.timeouts.remove(&(at, id));
        }
        if let Phase::Waiting(waiting) = &entry.phase {
            self.line.remove(&(place(waiting), id));
        }
        if let Some(run) = entry.run() {
            self.runs.remove(&run);
            let path = &entry.app.path;
            count_down(&mut self.groups, &path.group);
            count_down(&mut self.parents, &(path.group.clone(), path.parent.clone()));
            self.room_was_made = true;
        }
    }

    /// The app that this run belongs to.
    pub(super) fn app_of(&self, run: RunId) -> Option<AppId> {
        self.runs.get(&run).copied()
    }

    /// The limit that leaves no room for one more run of this app, for people.
    pub(super) fn full(&self, path: &AppPath) -> Option<String> {
        let Limits { draining, host, groups, parents } = &self.limits;
        if *draining {
            return Some("the manager is draining".to_owned());
        }
        let host_count = u32::try_from(self.runs.len()).unwrap_or(u32::MAX);
        if let Some(limit) = host.filter(|limit| host_count >= *limit) {
            return Some(format!("host: {limit} running"));
        }
        let count = self.groups.get(&path.group).copied().unwrap_or(0);
        if let Some(limit) = groups.get(&path.group).filter(|limit| count >= **limit) {
            return Some(format!("group {}: {limit} running", path.group));
        }
        let parent = (path.group.clone(), path.parent.clone());
        let count = self.parents.get(&parent).copied().unwrap_or(0);
        if let Some(limit) = parents.get(&parent).filter(|limit| count >= **limit) {
            return Some(format!("parent {}/{}: {limit} running", path.group, path.parent));
        }
        None
    }

    /// Apps whose time has come, earliest first.
    pub(super) fn take_due(&self, now: Timestamp) -> Vec<AppId> {
        self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect()
    }

    /// Apps of which something has timed out.
    pub(super) fn take_timeouts(&self, now: Duration) -> Vec<AppId> {
        self.timeouts.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect()
    }

    /// Apps in line, the first first; empty while no room was made since the last call.
    pub(super) fn take_line(&mut self) -> Vec<AppId> {
        if !std::mem::take(&mut self.room_was_made) {
            return Vec::new();
        }
        self.line.iter().map(|(_, id)| *id).collect()
    }

    /// Limits changed: the line is to be served again.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.room_was_made = true;
    }

    pub(super) fn load(&self) -> Load {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Load {
            running: count(self.runs.len()),
            running_max: self.limits.host,
            waiting: count(self.line.len()),
        }
    }

    /// When the next thing is to be done: by the wall clock, and by the other.
    pub(super) fn next(&self) -> (Option<Timestamp>, Option<Duration>) {
        (self.due.first().map(|(at, _)| *at), self.timeouts.first().map(|(at, _)| *at))
    }
}

fn place(waiting: &Waiting) -> Place {
    match &waiting.cause.command {
        Some(command) => (Rank::Person, command.time),
        None => (Rank::Schedule, waiting.cause.due.unwrap_or(Timestamp::MIN_UTC)),
    }
}

fn count_down<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
