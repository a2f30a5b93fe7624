//! The ends of logs.

use super::tables::Tables;
use crate::model::{AppId, KeptLog, RunId};
use crate::store::LOG_WISH;
use crate::store::rights::{KEPT_LOGS_FOR, KEPT_LOGS_MAX};

impl Tables {
    pub(super) fn want_log(&mut self, app: AppId) {
        if self.apps.contains_key(&app) {
            self.log_wishes.insert(app, self.time + LOG_WISH);
        }
    }

    pub(super) fn wanted_logs(&self, manager: &str) -> Vec<AppId> {
        let is_wanted =
            |app: &AppId| self.apps.get(app).is_some_and(|row| row.state.manager.as_deref() == Some(manager));
        let wishes = self.log_wishes.iter().filter(|(_, until)| **until > self.time);
        wishes.map(|(app, _)| *app).filter(is_wanted).collect()
    }

    pub(super) fn keep_log(&mut self, log: KeptLog) {
        let now = self.time;
        self.kept_logs.retain(|kept| kept.run != log.run && now - kept.written < KEPT_LOGS_FOR);
        self.kept_logs.push(KeptLog { written: now, ..log });
        let surplus = self.kept_logs.len().saturating_sub(KEPT_LOGS_MAX as usize);
        self.kept_logs.drain(..surplus);
    }

    pub(super) fn kept_log(&self, app: AppId, run: Option<RunId>) -> Option<KeptLog> {
        let is_meant = |log: &&KeptLog| log.app == app && run.is_none_or(|run| log.run == run);
        self.kept_logs.iter().rev().find(is_meant).cloned()
    }
}
