//! Apps that are marked, by their ids.

use std::collections::BTreeSet;

use super::Spot;
use crate::model::AppId;

/// What is marked, and where a range begins.
#[derive(Debug, Default)]
pub(in crate::console) struct Marks {
    apps: BTreeSet<AppId>,
    /// `v` was pressed here; pressed again, all between is marked.
    pub(super) range: Option<Spot>,
}

impl Marks {
    pub(in crate::console) fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    pub(in crate::console) fn len(&self) -> usize {
        self.apps.len()
    }

    pub(in crate::console) fn holds(&self, app: AppId) -> bool {
        self.apps.contains(&app)
    }

    pub(in crate::console) fn iter(&self) -> impl Iterator<Item = AppId> {
        self.apps.iter().copied()
    }

    pub(in crate::console) fn is_in_range(&self) -> bool {
        self.range.is_some()
    }

    /// Marks all of them; if all were marked already, none of them.
    pub(super) fn toggle(&mut self, apps: &[AppId]) {
        if apps.iter().all(|app| self.apps.contains(app)) {
            self.apps.retain(|app| !apps.contains(app));
        } else {
            self.apps.extend(apps);
        }
    }

    pub(super) fn add(&mut self, apps: impl IntoIterator<Item = AppId>) {
        self.apps.extend(apps);
    }

    pub(super) fn clear(&mut self) {
        self.apps.clear();
        self.range = None;
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&AppId) -> bool) {
        self.apps.retain(keep);
    }
}
