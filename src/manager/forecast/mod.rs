//! How many apps will run at once in the next 24 hours, by their schedules and by how long their runs took, and how
//! the highest peaks can be lowered.
//!
//! It is what the schedules ask for: limits keep no run waiting here, and each run is taken to be a usual, good one.

mod course;
mod curve;
mod proposal;
mod spread;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

pub use proposal::{PROPOSED_WITHIN, Proposal, proposals};
pub use spread::{Left, Move, Moved, Spread, spread};

use self::course::{Courses, Stretch};
use self::curve::{Curve, STEPS_OF_SLOT, WHOLE, slots, whole};
use crate::model::{AppId, AppPath, AppRow, Limits, Part, RunStatus, Timestamp};

/// How far a forecast looks ahead.
pub const AHEAD: TimeDelta = TimeDelta::hours(24);

/// What one value of a forecast stands for.
pub const SLOT: TimeDelta = TimeDelta::minutes(1);

/// The usual length of a run is that of the good ones among so many of the latest: enough that one odd run does not
/// count, and few enough to be read for a large fleet.
pub const RUNS_MEASURED: u32 = 9;

/// A peak is this many times the mean.
const PEAK_OVER_MEAN: f64 = 2.0;

/// Fewer at once are no peak, in however quiet a fleet.
const PEAK_LEAST: u32 = 3;

/// What the highest peak is this many times as high as is left out, unless it is over the limit.
const PEAK_SHARE: i64 = 2;

/// The most peaks that are described: the highest ones.
const PEAKS_MAX: usize = 10;

/// What takes longer is not told from this: run lengths are only times on record, which any program may have written.
const TOOK_MAX: TimeDelta = TimeDelta::days(366);

/// An app whose runs are to be foreseen.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// Its definition and state.
    pub row: Cow<'a, AppRow>,
    /// How long its runs usually take; `None` where none is on record.
    pub took: Option<TimeDelta>,
    /// The manager that runs it, where that is known.
    pub manager: Option<&'a str>,
}

impl<'a> Expected<'a> {
    /// An app with the lengths of its latest good runs: the median counts, cut off where `max_runtime` ends each run.
    #[must_use]
    pub fn new(row: &'a AppRow, mut lengths: Vec<TimeDelta>, manager: Option<&'a str>) -> Self {
        lengths.sort_unstable();
        let usual = lengths.get(lengths.len() / 2).copied();
        let max = row.app.policy.max_runtime.and_then(|max| TimeDelta::from_std(max).ok());
        let took = usual.map(|took| took.min(max.unwrap_or(TOOK_MAX)).min(TOOK_MAX));
        Self { row: Cow::Borrowed(row), took, manager }
    }

    /// Whether its schedule starts it without a person.
    fn is_due(&self) -> bool {
        let schedule = &self.row.app.schedule;
        let is_due = schedule.is_timed() || schedule.always || self.row.next_run.is_some();
        !self.row.is_suspended() && is_due
    }

    /// Whether it is not known how long it will run.
    fn is_unknown(&self) -> bool {
        let runs = self.is_due() || self.row.state.status == RunStatus::Running;
        self.took.is_none() && !self.row.app.schedule.always && runs
    }
}

/// What has a limit of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// All apps of a manager.
    Manager(String),
    /// Those of a group.
    Group(Part),
    /// Those of a parent in a group.
    Parent(Part, Part),
}

/// How many apps may run at once.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// Those of each manager that has such a limit.
    pub managers: BTreeMap<String, u32>,
    /// Those of groups and parents.
    pub limits: Limits,
}

impl Bounds {
    fn all(&self) -> impl Iterator<Item = (Place, u32)> {
        let managers = self.managers.iter().map(|(name, limit)| (Place::Manager(name.clone()), *limit));
        let groups = self.limits.groups.iter().map(|(group, limit)| (Place::Group(group.clone()), *limit));
        let parents = self
            .limits
            .parents
            .iter()
            .map(|((group, parent), limit)| (Place::Parent(group.clone(), parent.clone()), *limit));
        managers.chain(groups).chain(parents)
    }

    /// How many of these apps may run at once, where the manager of each has a limit.
    fn total(&self, apps: &[Expected<'_>]) -> Option<u32> {
        let managers: BTreeSet<_> = apps.iter().map(|app| app.manager).collect();
        let limits = managers.into_iter().map(|name| self.managers.get(name?).copied());
        limits
            .collect::<Option<Vec<_>>>()
            .filter(|limits| !limits.is_empty())
            .map(|limits| limits.iter().sum())
    }
}

/// What the time ahead is expected to bring.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The beginning of the first slot.
    pub from: Timestamp,
    /// How many apps at once, at most, in each [`SLOT`].
    pub slots: Vec<u32>,
    /// How many at once on the average in each of them.
    pub averages: Vec<f64>,
    /// The same of all of the time.
    pub mean: f64,
    /// How many apps their schedules start.
    pub apps: usize,
    /// Those of them that are not counted, since no good run of theirs is on record.
    pub unknown: Vec<AppPath>,
    /// How many may run at once, where that is limited for all of them.
    pub limit: Option<u32>,
    /// The highest peaks, in the order of time.
    pub peaks: Vec<Peak>,
    /// How many lower ones there are.
    pub more_peaks: usize,
    /// The limits that would be exceeded.
    pub exceeded: Vec<Exceeded>,
}

impl Forecast {
    /// The most apps at once, and when that is first; `None` where nothing is expected to run.
    #[must_use]
    pub fn highest(&self) -> Option<(Timestamp, u32)> {
        highest(self.from, &self.slots)
    }

    /// When a slot begins.
    #[must_use]
    pub fn time_of(&self, slot: usize) -> Timestamp {
        time_of(self.from, slot)
    }
}

/// A time at which more apps run than around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peak {
    /// When it is highest first.
    pub at: Timestamp,
    /// How many apps then.
    pub at_once: u32,
    /// How many of them each group has, most first.
    pub groups: Vec<(Part, u32)>,
    /// The time at which most of them begin.
    pub begins: Timestamp,
    /// Those that begin then, by their place among the apps of the forecast.
    pub beginning: Vec<usize>,
}

/// A limit that the schedules would exceed: runs are going to wait for room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// Of what.
    pub place: Place,
    /// How many may run at once.
    pub limit: u32,
    /// How many would.
    pub highest: u32,
    /// From when on that is so first.
    pub at: Timestamp,
    /// In how many slots it is exceeded.
    pub slots: usize,
}

fn time_of(from: Timestamp, slot: usize) -> Timestamp {
    from + SLOT * i32::try_from(slot).unwrap_or(i32::MAX)
}

fn highest(from: Timestamp, slots: &[u32]) -> Option<(Timestamp, u32)> {
    let highest = slots.iter().copied().max().filter(|highest| *highest > 0)?;
    let at = slots.iter().position(|slot| *slot == highest)?;
    Some((time_of(from, at), highest))
}

/// What a forecast was made of, for a look at how it would be with other times.
#[derive(Debug)]
pub struct Outlook<'a> {
    apps: &'a [Expected<'a>],
    now: Timestamp,
    /// The beginning of the first slot: the whole minute.
    from: Timestamp,
    courses: Courses,
    curve: Curve,
}

impl<'a> Outlook<'a> {
    /// Looks ahead.
    #[must_use]
    pub fn new(apps: &'a [Expected<'a>], now: Timestamp) -> Self {
        let into_minute = now.timestamp_millis().rem_euclid(SLOT.num_milliseconds());
        let from = now - TimeDelta::milliseconds(into_minute);
        let (mut courses, mut curve) = (Courses::new(from, now), Curve::new());
        for app in apps {
            courses.each(app, &mut |stretch| curve.add(&stretch));
        }
        Self { apps, now, from, courses, curve }
    }

    /// The forecast.
    #[must_use]
    pub fn forecast(&mut self, bounds: &Bounds) -> Forecast {
        let levels = self.curve.levels();
        let slots = slots(&levels);
        let mean = mean_of(&levels);
        let limit = bounds.total(self.apps);
        let (mut peaks, more_peaks) = peaks(&slots, mean, limit);
        peaks.sort_unstable();
        Forecast {
            from: self.from,
            averages: levels.chunks(STEPS_OF_SLOT).map(mean_of).collect(),
            mean,
            apps: self.apps.iter().filter(|app| app.is_due()).count(),
            unknown: self
                .apps
                .iter()
                .filter(|app| app.is_unknown())
                .map(|app| app.row.app.path.clone())
                .collect(),
            limit,
            peaks: self.describe(&peaks, &levels),
            more_peaks,
            exceeded: self.exceeded(bounds),
            slots: slots.into_iter().map(whole).collect(),
        }
    }

    /// The most apps at once in the time ahead with these moves, and when that is first.
    #[must_use]
    pub fn highest_with(&mut self, moves: &[Move]) -> Option<(Timestamp, u32)> {
        let slots: Vec<_> = slots(&self.with(moves).levels()).into_iter().map(whole).collect();
        highest(self.from, &slots)
    }

    /// The load with other times of some apps.
    fn with(&mut self, moves: &[Move]) -> Curve {
        let by_app: BTreeMap<AppId, &Move> = moves.iter().map(|moved| (moved.app, moved)).collect();
        let mut curve = self.curve.clone();
        for app in self.apps {
            let Some(moved) = by_app.get(&app.row.app.id) else { continue };
            self.courses.each(app, &mut |stretch| curve.remove(&stretch));
            let after = Expected { row: Cow::Owned(moved.apply(&app.row)), ..app.clone() };
            self.courses.each(&after, &mut |stretch| curve.add(&stretch));
        }
        curve
    }

    /// What runs at these slots.
    fn describe(&mut self, peaks: &[usize], levels: &[i64]) -> Vec<Peak> {
        let step_of = |slot: usize| {
            let first = slot * STEPS_OF_SLOT;
            let of_slot = &levels[first..first + STEPS_OF_SLOT];
            let highest = of_slot.iter().max();
            first + of_slot.iter().position(|level| Some(level) == highest).unwrap_or(0)
        };
        let mut found: Vec<_> = peaks.iter().map(|slot| Found::at(step_of(*slot))).collect();
        for (index, app) in self.apps.iter().enumerate() {
            let group = &app.row.app.path.group;
            self.courses.each(app, &mut |stretch| {
                for peak in &mut found {
                    peak.note(index, group, &stretch);
                }
            });
        }
        let described = peaks.iter().zip(found);
        described.map(|(slot, found)| found.describe(self.from, *slot, levels)).collect()
    }

    fn exceeded(&mut self, bounds: &Bounds) -> Vec<Exceeded> {
        let mut places: BTreeMap<Place, (u32, Curve)> =
            bounds.all().map(|(place, limit)| (place, (limit, Curve::new()))).collect();
        if places.is_empty() {
            return Vec::new();
        }
        for app in self.apps {
            let path = &app.row.app.path;
            let holders = [
                app.manager.map(|name| Place::Manager(name.to_owned())),
                Some(Place::Group(path.group.clone())),
                Some(Place::Parent(path.group.clone(), path.parent.clone())),
            ];
            let holders: Vec<_> =
                holders.into_iter().flatten().filter(|place| places.contains_key(place)).collect();
            if holders.is_empty() {
                continue;
            }
            let mut stretches = Vec::new();
            self.courses.each(app, &mut |stretch| stretches.push(stretch));
            for place in holders {
                if let Some((_, curve)) = places.get_mut(&place) {
                    for stretch in &stretches {
                        curve.add(stretch);
                    }
                }
            }
        }
        let from = self.from;
        let judge = |(place, (limit, curve)): (Place, (u32, Curve))| {
            let slots: Vec<_> = slots(&curve.levels()).into_iter().map(whole).collect();
            let over = slots.iter().filter(|slot| **slot > limit).count();
            let at = slots.iter().position(|slot| *slot > limit)?;
            let highest = slots.iter().copied().max().unwrap_or(0);
            Some(Exceeded { place, limit, highest, at: time_of(from, at), slots: over })
        };
        places.into_iter().filter_map(judge).collect()
    }
}

/// What runs in one step.
#[derive(Debug)]
struct Found {
    step: usize,
    groups: BTreeMap<Part, i64>,
    /// The apps that begin in each slot and still run.
    begun: BTreeMap<usize, Vec<usize>>,
}

impl Found {
    fn at(step: usize) -> Self {
        Self { step, groups: BTreeMap::new(), begun: BTreeMap::new() }
    }

    fn note(&mut self, index: usize, group: &Part, stretch: &Stretch) {
        if !stretch.steps.contains(&self.step) {
            return;
        }
        match self.groups.get_mut(group) {
            Some(load) => *load += stretch.load,
            None => drop(self.groups.insert(group.clone(), stretch.load)),
        }
        if stretch.begins {
            self.begun.entry(stretch.steps.start / STEPS_OF_SLOT).or_default().push(index);
        }
    }

    fn describe(self, from: Timestamp, slot: usize, levels: &[i64]) -> Peak {
        let most = self.begun.into_iter().max_by_key(|(slot, apps)| (apps.len(), std::cmp::Reverse(*slot)));
        let (begins, beginning) = most.unwrap_or((slot, Vec::new()));
        let mut groups: Vec<_> = self.groups.into_iter().map(|(group, load)| (group, whole(load))).collect();
        groups.sort_by(|(a, load_a), (b, load_b)| load_b.cmp(load_a).then_with(|| a.cmp(b)));
        groups.retain(|(_, load)| *load > 0);
        let at_once = whole(levels[self.step]);
        Peak { at: time_of(from, slot), at_once, groups, begins: time_of(from, begins), beginning }
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of apps, to be shown")]
fn mean_of(levels: &[i64]) -> f64 {
    levels.iter().sum::<i64>() as f64 / (levels.len().max(1) as f64 * WHOLE as f64)
}

/// The highest slot of each time that lies above twice the mean or above the limit, highest first; and how many were
/// left out.
fn peaks(slots: &[i64], mean: f64, limit: Option<u32>) -> (Vec<usize>, usize) {
    let is_peak = |load: i64| {
        let apps = whole(load);
        apps >= PEAK_LEAST && f64::from(apps) > mean * PEAK_OVER_MEAN
            || limit.is_some_and(|limit| apps > limit)
    };
    let mut found: Vec<usize> = Vec::new();
    let mut is_in_one = false;
    for (slot, load) in slots.iter().enumerate() {
        if !is_peak(*load) {
            is_in_one = false;
            continue;
        }
        match found.last_mut() {
            Some(highest) if is_in_one => {
                if *load > slots[*highest] {
                    *highest = slot;
                }
            }
            _ => found.push(slot),
        }
        is_in_one = true;
    }
    found.sort_by_key(|slot| (std::cmp::Reverse(slots[*slot]), *slot));
    let count = found.len();
    let highest = found.first().map_or(0, |slot| slots[*slot]);
    let is_over = |load: i64| limit.is_some_and(|limit| whole(load) > limit);
    found.retain(|slot| slots[*slot] * PEAK_SHARE >= highest || is_over(slots[*slot]));
    found.truncate(PEAKS_MAX);
    let more = count - found.len();
    (found, more)
}

#[cfg(test)]
mod tests;
