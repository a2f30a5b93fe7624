//! Looking back in memory: runs, skipped times, alerts, the ledger.

use super::Tables;
use super::tables::RunRow;
use crate::model::{AlertId, AlertRow, AlertSubject, Run, Skip, Timestamp};
use crate::store::{AlertNote, AlertQuery, AlertsOf, HistoryQuery, SkipQuery};

impl Tables {
    pub(super) fn history(&self, query: &HistoryQuery) -> Vec<Run> {
        let mut rows: Vec<_> = self
            .runs
            .values()
            .filter(|row| {
                (query.apps.is_empty() && query.since.is_none()) || query.apps.contains(&row.run.app)
            })
            .filter(|row| query.run.is_none_or(|run| row.run.run == run))
            .filter(|row| query.before.is_none_or(|before| row.run.start < before))
            .filter(|row| query.since.is_none_or(|since| self.is_since(row, since)))
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.run.start, row.order)));
        rows.into_iter().take(query.limit as usize).map(|row| row.run.clone()).collect()
    }

    fn is_since(&self, row: &RunRow, since: Timestamp) -> bool {
        let own = || self.runs.values().filter(|other| other.run.app == row.run.app);
        let is_last_before = own().all(|other| other.run.start >= since || other.run.start <= row.run.start);
        row.run.start >= since || (is_last_before && row.run.end.is_none_or(|end| end >= since))
    }

    pub(super) fn skips_of(&self, query: &SkipQuery) -> Vec<Skip> {
        let mut skips: Vec<_> = self
            .skips
            .values()
            .filter(|skip| query.apps.contains(&skip.app))
            .filter(|skip| query.since.is_none_or(|since| skip.last >= since))
            .filter(|skip| query.before.is_none_or(|before| skip.first < before))
            .cloned()
            .collect();
        skips.sort_by_key(|skip| std::cmp::Reverse((skip.at, skip.first)));
        skips.truncate(query.limit as usize);
        skips
    }

    pub(super) fn alerts_of(&self, query: &AlertQuery) -> Vec<AlertRow> {
        let is_of = |alert: &&AlertRow| match &query.of {
            AlertsOf::All => true,
            AlertsOf::Fleet => alert.subject == AlertSubject::Fleet,
            AlertsOf::Apps(apps) => alert.subject.id().is_some_and(|app| apps.contains(&app)),
            AlertsOf::These(ids) => ids.contains(&alert.id),
        };
        self.alerts
            .iter()
            .rev()
            .filter(is_of)
            .filter(|alert| query.since.is_none_or(|since| alert.last_seen >= since))
            .filter(|alert| query.severity.is_none_or(|least| alert.severity.known() >= Some(least)))
            .filter(|alert| !query.open_only || alert.closed.is_none())
            .filter(|alert| query.before.is_none_or(|before| alert.id < before))
            .take(query.limit as usize)
            .map(|alert| self.owned(alert))
            .collect()
    }

    pub(super) fn note_alerts(&mut self, alerts: &[AlertId], note: &AlertNote) {
        let open = self.alerts.iter_mut().filter(|alert| alert.closed.is_none());
        for alert in open.filter(|alert| alerts.contains(&alert.id)) {
            match note {
                AlertNote::Acknowledged { by, at } => alert.acknowledged = Some((by.clone(), *at)),
                AlertNote::Unacknowledged => alert.acknowledged = None,
                AlertNote::Muted(until) => alert.muted_until = *until,
            }
        }
    }
}
