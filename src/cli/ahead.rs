//! What a forecast needs of the database: the lengths of runs, the managers and the limits.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::error::Error;
use super::session::Session;
use crate::manager::forecast::{Bounds, Expected, RUNS_MEASURED};
use crate::model::{AppId, AppRow, Timestamp};
use crate::store::OperatorStore;

/// What the manager of an embedded database is called that there was none of yet.
const FUTURE_MANAGER: &str = "this host";

/// The part of a forecast that is not in the rows of the apps.
pub(super) struct Ahead {
    pub(super) now: Timestamp,
    pub(super) bounds: Bounds,
    lengths: BTreeMap<AppId, Vec<TimeDelta>>,
    /// The one manager of an embedded database.
    only_manager: Option<String>,
}

impl Ahead {
    pub(super) async fn read(
        session: &Session,
        store: &dyn OperatorStore,
        apps: &[AppRow],
    ) -> Result<Self, Error> {
        let now = store.time().await?;
        let mut lengths: BTreeMap<AppId, Vec<TimeDelta>> = BTreeMap::new();
        let ids = apps.iter().map(|row| row.app.id).collect();
        for (app, took) in store.good_runs(ids, RUNS_MEASURED).await? {
            lengths.entry(app).or_default().push(took);
        }
        let mut managers = store.managers().await?;
        let mut only_manager = None;
        if store.cluster().is_none() {
            // Those before it had the same apps. What it was limited to holds until another one begins.
            managers.sort_by_key(|manager| manager.heartbeat);
            managers = managers.split_off(managers.len().saturating_sub(1));
            let name = managers.first().map_or(FUTURE_MANAGER, |manager| &manager.name);
            only_manager = Some(name.to_owned());
        }
        let limited = |name: String, limit: Option<u32>| limit.map(|limit| (name, limit));
        let known = managers.iter().filter_map(|row| limited(row.name.clone(), row.load.running_max));
        let mut limits: BTreeMap<_, _> = known.collect();
        if managers.is_empty() {
            limits.extend(limited(FUTURE_MANAGER.to_owned(), session.settings.running_max));
        }
        let bounds = Bounds { managers: limits, limits: store.limits().await? };
        Ok(Self { now, bounds, lengths, only_manager })
    }

    pub(super) fn expected<'a>(&'a self, apps: &'a [AppRow]) -> Vec<Expected<'a>> {
        let expect = |row: &'a AppRow| {
            let lengths = self.lengths.get(&row.app.id).cloned().unwrap_or_default();
            let manager = self.only_manager.as_deref().or(row.state.manager.as_deref());
            Expected::new(row, lengths, manager)
        };
        apps.iter().map(expect).collect()
    }
}
