//! Alerts about the fleet: one is open for each trouble, counts how often that is reported, and is closed when it is over.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::core::Manager;
use super::event::Step;
use super::peers::Fate;
use crate::model::{
    AlertCause, AlertEnd, Change, FleetAlert, FleetAlertChange, FleetAlertEnd, FleetKind, FleetTrouble,
    OpenFleetAlert, Timestamp,
};

/// Trouble that is reported again with the same message is written at most this often: who sees it may look each second.
const REPEAT_EVERY: TimeDelta = TimeDelta::seconds(60);

/// What is known of the open alerts about the fleet.
#[derive(Debug, Default)]
pub(super) struct FleetTroubles {
    open: BTreeMap<FleetTrouble, Open>,
    /// How many rows were set aside when that was last looked at.
    set_aside: usize,
}

#[derive(Debug)]
struct Open {
    manager: Option<String>,
    message: String,
    count: u32,
    written: Timestamp,
}

impl FleetTroubles {
    /// Takes up the alerts that are open when the manager begins.
    pub(super) fn of(open: Vec<OpenFleetAlert>) -> Self {
        let open = open.into_iter().map(|alert| {
            let OpenFleetAlert { trouble, manager, message, count, last_seen } = alert;
            (trouble, Open { manager, message, count, written: last_seen })
        });
        Self { open: open.collect(), set_aside: 0 }
    }
}

impl Manager {
    /// There is trouble of the fleet, or still is.
    pub(super) fn fleet_trouble(&mut self, trouble: FleetTrouble, message: String, step: &mut Step) {
        let at = self.desk.now.wall;
        let known = self.fleet.open.get_mut(&trouble);
        let is_known = known.is_some();
        let (manager, count) = match known {
            // The clock may have been set back.
            Some(open) if open.message == message && (at - open.written).abs() < REPEAT_EVERY => return,
            Some(open) => {
                open.count = open.count.saturating_add(1);
                open.message.clone_from(&message);
                open.written = at;
                (open.manager.clone(), open.count)
            }
            None => {
                let manager = (!trouble.kind.is_seen_by_all()).then(|| self.desk.manager.clone());
                let open = Open { manager: manager.clone(), message: message.clone(), count: 1, written: at };
                self.fleet.open.insert(trouble.clone(), open);
                (manager, 1)
            }
        };
        let alert = FleetAlert { trouble, manager, message, count, at };
        let change = if is_known { FleetAlertChange::Repeated } else { FleetAlertChange::Opened };
        step.changes.push(Change::FleetAlert(change(alert)));
    }

    /// Trouble of the fleet is over, if there was any.
    pub(super) fn fleet_trouble_over(&mut self, trouble: &FleetTrouble, end: AlertEnd, step: &mut Step) {
        if let Some(Open { manager, .. }) = self.fleet.open.remove(trouble) {
            let (trouble, at) = (trouble.clone(), self.desk.now.wall);
            let over = FleetAlertEnd { trouble, manager, at, end };
            step.changes.push(Change::FleetAlert(FleetAlertChange::Closed(over)));
        }
    }

    /// How the managers of the database are. What is known of those that cannot be judged yet stays.
    pub(super) fn managers_seen(&mut self, fates: &[(String, Fate)], step: &mut Step) {
        let trouble =
            |name: &str| FleetTrouble { kind: FleetKind::ManagerLost, cause: AlertCause::of_manager(name) };
        for (name, fate) in fates {
            match fate {
                Fate::Lost { .. } => {
                    let message = format!("the manager {name} {fate}; dcm managers shows what it has");
                    self.fleet_trouble(trouble(name), message, step);
                }
                Fate::Well => self.fleet_trouble_over(&trouble(name), AlertEnd::Recovered, step),
                Fate::Unclear => {}
            }
        }
        let is_gone = |open: &&FleetTrouble| {
            open.kind == FleetKind::ManagerLost && !fates.iter().any(|(name, _)| trouble(name) == **open)
        };
        let gone: Vec<_> = self.fleet.open.keys().filter(is_gone).cloned().collect();
        for trouble in gone {
            self.fleet_trouble_over(&trouble, AlertEnd::Removed, step);
        }
    }

    /// Follows the number of the rows that are set aside. Each has an alert of its own besides, which names it.
    pub(super) fn count_set_aside(&mut self, step: &mut Step) {
        let rows = self.set_aside.len();
        if std::mem::replace(&mut self.fleet.set_aside, rows) == rows {
            return;
        }
        let cause = AlertCause::of_text("rows of apps are set aside");
        let trouble = FleetTrouble { kind: FleetKind::RowsSetAside, cause };
        if rows == 0 {
            return self.fleet_trouble_over(&trouble, AlertEnd::Recovered, step);
        }
        let are = if rows == 1 { "row of an app is" } else { "rows of apps are" };
        let message = format!("{rows} {are} set aside and not scheduled; dcm status shows which and why");
        self.fleet_trouble(trouble, message, step);
    }

    /// Ends what a manager that begins does not find any more.
    pub(super) fn settle_fleet(&mut self, step: &mut Step) {
        // If the row is still held, that is noticed again.
        let is_locked = |trouble: &&FleetTrouble| trouble.kind == FleetKind::DatabaseLocked;
        let locked: Vec<_> = self.fleet.open.keys().filter(is_locked).cloned().collect();
        for trouble in locked {
            self.fleet_trouble_over(&trouble, AlertEnd::Recovered, step);
        }
        // A number that no table has: none is news as well.
        self.fleet.set_aside = usize::MAX;
        self.count_set_aside(step);
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
