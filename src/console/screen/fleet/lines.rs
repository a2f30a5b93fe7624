//! Which lines of the fleet are there to be seen: group, parent, app; opened and closed; filtered;
//! in their order.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::sort::{Key, Sort};
use crate::console::filter::Filter;
use crate::console::fleet::Fleet;
use crate::model::{AppId, Part, Timestamp};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) enum Line {
    Group(Part),
    Parent(Part, Part),
    /// The slot of an app.
    App(u32),
}

/// What a line shows, named so that it is found again when others come and go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::console) enum Spot {
    Group(Part),
    Parent(Part, Part),
    App(AppId),
}

/// What is asked of the lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) filter: &'a Filter,
    pub(super) opened: &'a BTreeSet<Spot>,
    pub(super) sort: Sort,
    pub(super) is_flat: bool,
    pub(super) now: Timestamp,
}

/// The order as it was made last. It is kept while a hand is on the keys: rows do not move under it.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    /// By slot.
    apps: Vec<u32>,
    groups: BTreeMap<Part, u32>,
    parents: BTreeMap<(Part, Part), u32>,
}

/// What has no rank yet stands behind the others.
const UNRANKED: u32 = u32::MAX;

impl Query<'_> {
    /// Whether a line is open. A filter opens everything: what it finds is to be seen.
    pub(super) fn is_open(&self, spot: &Spot) -> bool {
        self.opened.contains(spot) || self.filter.is_active()
    }

    /// The slots of all apps that pass, by path.
    pub(super) fn passing(&self) -> Vec<u32> {
        let mut path = String::new();
        let passes = |slot: &u32| {
            self.fleet.row(*slot).is_some_and(|row| self.filter.shows(row, self.fleet, self.now, &mut path))
        };
        self.fleet.slots_in_order().filter(passes).collect()
    }

    /// The lines. In the order of `held`, if that is given, else in a fresh one.
    pub(super) fn lines(&self, passing: &[u32], held: Option<&Ranks>) -> Vec<Line> {
        if self.is_flat {
            let mut slots = passing.to_vec();
            self.sort_apps(&mut slots, held);
            return slots.into_iter().map(Line::App).collect();
        }
        let mut lines = Vec::new();
        let group_of = |slot: &u32| self.fleet.row(*slot).map(|row| &row.path.group);
        let parent_of = |slot: &u32| self.fleet.row(*slot).map(|row| &row.path.parent);
        let mut groups: Vec<&[u32]> = passing.chunk_by(|a, b| group_of(a) == group_of(b)).collect();
        self.sort_chunks(&mut groups, |chunk| {
            let group = group_of(&chunk[0])?;
            let rank = held.map(|ranks| ranks.groups.get(group).copied().unwrap_or(UNRANKED));
            Some(rank.map_or_else(|| self.sort.of_sums(self.fleet.group(group)), f64::from))
        });
        for group in groups {
            let Some(part) = group_of(&group[0]) else { continue };
            lines.push(Line::Group(part.clone()));
            if !self.is_open(&Spot::Group(part.clone())) {
                continue;
            }
            let mut parents: Vec<&[u32]> = group.chunk_by(|a, b| parent_of(a) == parent_of(b)).collect();
            self.sort_chunks(&mut parents, |chunk| {
                let key = (part.clone(), parent_of(&chunk[0])?.clone());
                let rank = held.map(|ranks| ranks.parents.get(&key).copied().unwrap_or(UNRANKED));
                Some(rank.map_or_else(|| self.sort.of_sums(self.fleet.parent(&key.0, &key.1)), f64::from))
            });
            for parent in parents {
                let Some(name) = parent_of(&parent[0]) else { continue };
                lines.push(Line::Parent(part.clone(), name.clone()));
                if self.is_open(&Spot::Parent(part.clone(), name.clone())) {
                    let mut slots = parent.to_vec();
                    self.sort_apps(&mut slots, held);
                    lines.extend(slots.into_iter().map(Line::App));
                }
            }
        }
        lines
    }

    /// Chunks come in the order of their names, which a stable sort keeps where keys are equal.
    fn sort_chunks(&self, chunks: &mut [&[u32]], key: impl Fn(&[u32]) -> Option<f64>) {
        if self.sort.key == Key::Name {
            if self.sort.is_reversed {
                chunks.reverse();
            }
            return;
        }
        chunks.sort_by_cached_key(|chunk| Sortable(key(chunk).unwrap_or(f64::INFINITY)));
    }

    fn sort_apps(&self, slots: &mut [u32], held: Option<&Ranks>) {
        if self.sort.key == Key::Name {
            if self.sort.is_reversed {
                slots.reverse();
            }
            return;
        }
        let key = |slot: u32| match held {
            Some(ranks) => f64::from(ranks.apps.get(slot as usize).copied().unwrap_or(UNRANKED)),
            None => self.fleet.row(slot).map_or(f64::INFINITY, |row| self.sort.of_row(row, self.now)),
        };
        slots.sort_by_cached_key(|slot| Sortable(key(*slot)));
    }

    /// The order of all apps that pass, to be held from now on.
    pub(super) fn ranks(&self, passing: &[u32]) -> Ranks {
        let mut slots = passing.to_vec();
        self.sort_apps(&mut slots, None);
        let mut ranks = Ranks::default();
        for (rank, slot) in (0..).zip(slots) {
            let place = slot as usize;
            if place >= ranks.apps.len() {
                ranks.apps.resize(place + 1, UNRANKED);
            }
            ranks.apps[place] = rank;
        }
        if !self.is_flat {
            let mut groups: Vec<_> = self.fleet.groups().collect();
            groups.sort_by_cached_key(|group| Sortable(self.sort.of_sums(self.fleet.group(group))));
            ranks.groups = groups.into_iter().cloned().zip(0..).collect();
            let mut parents: Vec<_> = self.fleet.parents().collect();
            parents.sort_by_cached_key(|(group, parent)| {
                Sortable(self.sort.of_sums(self.fleet.parent(group, parent)))
            });
            ranks.parents = parents.into_iter().cloned().zip(0..).collect();
        }
        ranks
    }
}

/// A number in its total order.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sortable(f64);

impl Eq for Sortable {}

impl Ord for Sortable {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Sortable {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Line {
    /// What it shows.
    pub(in crate::console) fn spot(&self, fleet: &Fleet) -> Option<Spot> {
        Some(match self {
            Self::Group(group) => Spot::Group(group.clone()),
            Self::Parent(group, parent) => Spot::Parent(group.clone(), parent.clone()),
            Self::App(slot) => Spot::App(fleet.row(*slot)?.id),
        })
    }

    /// Whether this is the line of that.
    pub(in crate::console) fn is(&self, spot: &Spot, fleet: &Fleet) -> bool {
        match (self, spot) {
            (Self::Group(own), Spot::Group(group)) => own == group,
            (Self::Parent(own, below), Spot::Parent(group, parent)) => own == group && below == parent,
            (Self::App(slot), Spot::App(id)) => fleet.slot_of(*id) == Some(*slot),
            (Self::Group(_) | Self::Parent(..) | Self::App(_), _) => false,
        }
    }
}

impl Spot {
    /// As it is written.
    pub(in crate::console) fn name(&self, fleet: &Fleet) -> String {
        match self {
            Self::Group(group) => group.to_string(),
            Self::Parent(group, parent) => format!("{group}/{parent}"),
            Self::App(id) => fleet.path_of(*id).map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// What it is in, from the inside.
    pub(in crate::console) fn above(&self, fleet: &Fleet) -> Option<Self> {
        match self {
            Self::Group(_) => None,
            Self::Parent(group, _) => Some(Self::Group(group.clone())),
            Self::App(id) => {
                let path = fleet.path_of(*id)?;
                Some(Self::Parent(path.group.clone(), path.parent.clone()))
            }
        }
    }
}
