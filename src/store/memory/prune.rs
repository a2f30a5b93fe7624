//! Deleting old rows of the tables in memory.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::Tables;
use crate::model::{Pruning, Retention};

impl Tables {
    /// Deletes what is too old or too many; how many rows.
    pub fn prune(&mut self, pruning: Pruning, retention: Retention) -> u64 {
        let now = self.time;
        let before = |days: u32| now - TimeDelta::days(days.into());
        let count = |tables: &Self| {
            tables.runs.len()
                + tables.skips.len()
                + tables.commands.len()
                + tables.alerts.len()
                + tables.deliveries.len()
                + tables.documents.events.len()
        };
        let rows = count(self);
        let apps = &self.apps;
        let is_last =
            |run: &crate::model::Run| apps.get(&run.app).is_some_and(|row| row.state.run == Some(run.run));
        match pruning {
            Pruning::OldRuns => {
                let before = before(retention.runs_days);
                self.runs.retain(|_, row| row.run.end.is_none_or(|end| end >= before) || is_last(&row.run));
            }
            Pruning::SurplusRuns => {
                let mut newest: Vec<_> =
                    self.runs.values().map(|row| (row.run.start, row.order, row.run.run)).collect();
                newest.sort();
                let mut kept = BTreeMap::new();
                for (.., run) in newest.into_iter().rev() {
                    let Some(row) = self.runs.get(&run) else { continue };
                    let place: &mut u32 = kept.entry(row.run.app).or_default();
                    *place += 1;
                    if *place > retention.runs_per_app_max && row.run.end.is_some() && !is_last(&row.run) {
                        self.runs.remove(&run);
                    }
                }
            }
            Pruning::Skips => {
                let before = before(retention.runs_days);
                self.skips.retain(|_, skip| skip.first >= before || skip.last >= before);
            }
            Pruning::Commands => {
                let before = before(retention.commands_days);
                self.commands.retain(|row| row.verdict.is_none() || row.command.time >= before);
            }
            Pruning::Alerts => {
                let before = before(retention.alerts_days);
                self.alerts.retain(|alert| alert.closed.is_none_or(|closed| closed >= before));
            }
            Pruning::Deliveries => {
                let before = before(retention.events_days);
                self.deliveries.retain(|row| row.over().is_none_or(|over| over >= before));
            }
            Pruning::Events => {
                let before = before(retention.events_days);
                self.documents.prune(before);
            }
        }
        (rows - count(self)) as u64
    }
}
