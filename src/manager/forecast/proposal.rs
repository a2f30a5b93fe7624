//! Which groups to spread so that a peak gets lower.

use std::collections::{BTreeMap, BTreeSet};

use super::curve::{slots, whole};
use super::{Forecast, Move, Outlook, Peak, SLOT, spread};
use crate::model::{AppId, Part, Timestamp};

/// The most minutes by which proposals put apps off.
pub const PROPOSED_WITHIN: u32 = 10;

/// The most peaks for which proposals are made: the highest ones.
const PEAKS_LOWERED: usize = 3;

/// The most groups that are to be spread for one peak.
const GROUPS_MAX: usize = 3;

/// What lowers a peak by less than this share of it is not worth a change.
const GAIN_LEAST: f64 = 0.1;

/// A way to lower a peak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// When the peak is.
    pub peak: Timestamp,
    /// When most of its apps begin.
    pub begins: Timestamp,
    /// How many of them begin then.
    pub beginning: usize,
    /// How many of those would begin later.
    pub moved: usize,
    /// How many apps would get other times in all, also those that have nothing to do with this peak.
    pub moved_in_all: usize,
    /// The groups to be spread; empty where it is all apps of the forecast.
    pub groups: Vec<Part>,
    /// By how many minutes at most.
    pub within: u32,
    /// How many run at once at the peak.
    pub before: u32,
    /// How many would, at the highest point around it.
    pub after: u32,
}

/// Proposals for the highest peaks of a forecast. `by_group`: whole groups are to be spread, and not all of the apps.
#[must_use]
pub fn proposals(outlook: &mut Outlook<'_>, forecast: &Forecast, by_group: bool) -> Vec<Proposal> {
    let mut highest: Vec<&Peak> = forecast.peaks.iter().collect();
    highest.sort_by_key(|peak| (std::cmp::Reverse(peak.at_once), peak.at));
    let mut found: Vec<Proposal> = Vec::new();
    for peak in highest.into_iter().take(PEAKS_LOWERED) {
        let proposal = if by_group { by_groups(outlook, forecast, peak) } else { by_all(outlook, peak) };
        // One command may lower several peaks, and is proposed for the highest.
        found.extend(proposal.filter(|new| found.iter().all(|known| known.groups != new.groups)));
    }
    found
}

fn by_all(outlook: &mut Outlook<'_>, peak: &Peak) -> Option<Proposal> {
    try_groups(outlook, peak, &[]).filter(is_worth_it)
}

/// Adds the groups of which most apps begin at the peak, until it is low enough or more of them would not help.
fn by_groups(outlook: &mut Outlook<'_>, forecast: &Forecast, peak: &Peak) -> Option<Proposal> {
    let mut counts: BTreeMap<&Part, usize> = BTreeMap::new();
    for index in &peak.beginning {
        *counts.entry(&outlook.apps[*index].row.app.path.group).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut best: Option<Proposal> = None;
    let mut groups = Vec::new();
    for (group, _) in counts.into_iter().take(GROUPS_MAX) {
        groups.push(group.clone());
        let Some(proposal) = try_groups(outlook, peak, &groups) else { continue };
        let before = best.as_ref().map_or(peak.at_once, |best| best.after);
        if f64::from(proposal.after) > f64::from(before) * (1.0 - GAIN_LEAST) {
            groups.pop();
            continue;
        }
        let is_low = forecast.limit.is_some_and(|limit| proposal.after <= limit);
        best = Some(proposal);
        if is_low {
            break;
        }
    }
    best.filter(is_worth_it)
}

fn is_worth_it(proposal: &Proposal) -> bool {
    proposal.moved > 0 && f64::from(proposal.after) <= f64::from(proposal.before) * (1.0 - GAIN_LEAST)
}

fn try_groups(outlook: &mut Outlook<'_>, peak: &Peak, groups: &[Part]) -> Option<Proposal> {
    let apps = outlook.apps;
    let is_meant = |group: &Part| groups.is_empty() || groups.contains(group);
    let meant = apps.iter().map(|app| &*app.row).filter(|row| is_meant(&row.app.path.group));
    let moves = spread(meant, PROPOSED_WITHIN, outlook.now).moves;
    if moves.is_empty() {
        return None;
    }
    let moved: BTreeSet<AppId> = moves.iter().map(|moved| moved.app).collect();
    let is_moved = |index: &&usize| moved.contains(&apps[**index].row.app.id);
    Some(Proposal {
        peak: peak.at,
        begins: peak.begins,
        beginning: peak.beginning.len(),
        moved: peak.beginning.iter().filter(is_moved).count(),
        moved_in_all: moves.len(),
        groups: groups.to_vec(),
        within: PROPOSED_WITHIN,
        before: peak.at_once,
        after: highest_near(outlook, &moves, peak.at),
    })
}

/// The highest point around a peak once its apps are moved: they begin by the end of the time that they are spread over.
fn highest_near(outlook: &mut Outlook<'_>, moves: &[Move], peak: Timestamp) -> u32 {
    let slots = slots(&outlook.with(moves).levels());
    let at = usize::try_from((peak - outlook.from).num_seconds() / SLOT.num_seconds()).unwrap_or(0);
    let reach = usize::try_from(PROPOSED_WITHIN).unwrap_or(0);
    let near = at.saturating_sub(reach)..(at + 2 * reach).min(slots.len());
    whole(slots[near].iter().copied().max().unwrap_or(0))
}
