//! The database in memory, for tests and for the simulation of the manager: the same rules as the
//! real ones, proved by the same contract tests.

mod tables;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

pub use tables::Tables;

use super::{Committed, HistoryQuery, OperatorStore, Registration, Store, StoreError};
use crate::model::{
    AlertRow, AppId, Change, Command, CommandId, CommandRow, Delta, Limits, ManagerRow, NewCommand, Part,
    Registered, Revision, Run, Skip, Snapshot, Timestamp,
};

/// [`Tables`] behind a lock, as a [`Store`].
pub struct MemoryStore {
    tables: Mutex<Tables>,
    changed: watch::Sender<u64>,
}

impl MemoryStore {
    /// An empty database whose clock stands at `time`.
    #[must_use]
    pub fn new(time: Timestamp) -> Self {
        Self { tables: Mutex::new(Tables::at(time)), changed: watch::Sender::new(0) }
    }

    fn read<T>(&self, read: impl FnOnce(&Tables) -> T) -> T {
        read(&self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the tables and says so.
    pub fn write<T>(&self, write: impl FnOnce(&mut Tables) -> T) -> T {
        let result = write(&mut self.tables.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_modify(|count| *count += 1);
        result
    }
}

#[async_trait]
impl OperatorStore for MemoryStore {
    async fn changes_since(&self, revision: Revision) -> Result<Delta, StoreError> {
        Ok(self.read(|tables| tables.changes_since(revision)))
    }

    async fn apps(&self, apps: Vec<AppId>) -> Result<Vec<Registered>, StoreError> {
        Ok(self.read(|tables| {
            apps.iter()
                .filter_map(|app| tables.app(*app))
                .map(|row| Registered::App(Box::new(row.clone())))
                .collect()
        }))
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    async fn submit(&self, commands: Vec<NewCommand>) -> Result<Vec<CommandId>, StoreError> {
        Ok(self.write(|tables| commands.iter().map(|command| tables.submit(command)).collect()))
    }

    async fn commands(&self, ids: Vec<CommandId>) -> Result<Vec<CommandRow>, StoreError> {
        Ok(self.read(|tables| {
            let known = |id: &CommandId| tables.commands.iter().find(|row| row.command.id == *id);
            ids.iter().filter_map(known).map(Tables::command_row).collect()
        }))
    }

    async fn recent_commands(&self, app: Option<AppId>, limit: u32) -> Result<Vec<CommandRow>, StoreError> {
        Ok(self.read(|tables| {
            let newest = tables.commands.iter().rev().filter(|row| app.is_none() || row.command.app == app);
            newest.take(limit as usize).map(Tables::command_row).collect()
        }))
    }

    async fn history(&self, query: HistoryQuery) -> Result<Vec<Run>, StoreError> {
        Ok(self.read(|tables| {
            let mut rows: Vec<_> = tables
                .runs
                .values()
                .filter(|row| query.apps.is_empty() || query.apps.contains(&row.run.app))
                .filter(|row| query.run.is_none_or(|run| row.run.run == run))
                .filter(|row| query.before.is_none_or(|before| row.run.start < before))
                .collect();
            rows.sort_by_key(|row| std::cmp::Reverse((row.run.start, row.order)));
            rows.into_iter().take(query.limit as usize).map(|row| row.run.clone()).collect()
        }))
    }

    async fn skips(&self, app: AppId, limit: u32) -> Result<Vec<Skip>, StoreError> {
        Ok(self.read(|tables| {
            let mut skips: Vec<_> = tables.skips.values().filter(|skip| skip.app == app).cloned().collect();
            skips.sort_by_key(|skip| std::cmp::Reverse((skip.at, skip.first)));
            skips.truncate(limit as usize);
            skips
        }))
    }

    async fn alerts(&self, app: Option<AppId>, limit: u32) -> Result<Vec<AlertRow>, StoreError> {
        let app = app.map(|app| app.to_string());
        Ok(self.read(|tables| {
            let newest =
                tables.alerts.iter().rev().filter(|alert| app.as_ref().is_none_or(|app| alert.app == *app));
            newest.take(limit as usize).cloned().collect()
        }))
    }

    async fn managers(&self) -> Result<Vec<ManagerRow>, StoreError> {
        Ok(self.read(|tables| tables.managers.values().cloned().collect()))
    }

    async fn limits(&self) -> Result<Limits, StoreError> {
        Ok(self.read(|tables| tables.limits.clone()))
    }

    async fn register(&self, apps: Vec<Registration>) -> Result<(), StoreError> {
        self.write(|tables| {
            let mut after = tables.clone();
            apps.iter().try_for_each(|app| after.register(app))?;
            *tables = after;
            Ok(())
        })
    }

    async fn remove(&self, apps: Vec<AppId>) -> Result<(), StoreError> {
        self.write(|tables| {
            let mut after = tables.clone();
            apps.iter().try_for_each(|app| after.remove(*app))?;
            *tables = after;
            Ok(())
        })
    }

    async fn set_limit(
        &self,
        group: Part,
        parent: Option<Part>,
        limit: Option<u32>,
    ) -> Result<(), StoreError> {
        self.write(|tables| {
            let is_known = tables.apps.values().any(|row| {
                row.app.path.group == group
                    && parent.as_ref().is_none_or(|parent| row.app.path.parent == *parent)
            });
            if !is_known {
                return Err(StoreError::Refused("no app is registered there".to_owned()));
            }
            match (parent, limit) {
                (None, Some(limit)) => drop(tables.limits.groups.insert(group, limit)),
                (None, None) => drop(tables.limits.groups.remove(&group)),
                (Some(parent), Some(limit)) => drop(tables.limits.parents.insert((group, parent), limit)),
                (Some(parent), None) => drop(tables.limits.parents.remove(&(group, parent))),
            }
            Ok(())
        })
    }

    async fn time(&self) -> Result<Timestamp, StoreError> {
        Ok(self.read(|tables| tables.time))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(self.read(Tables::snapshot))
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Committed, StoreError> {
        Ok(self.write(|tables| tables.commit(&changes)))
    }

    async fn foreign_changes(&self, revision: Revision, _thorough: bool) -> Result<Delta, StoreError> {
        Ok(self.read(|tables| tables.changes_since(revision)))
    }

    async fn pending_commands(&self, last: CommandId) -> Result<Vec<Command>, StoreError> {
        Ok(self.read(|tables| tables.pending(last)))
    }

    async fn take_over(&self, manager: ManagerRow) -> Result<(), StoreError> {
        self.heartbeat(manager).await
    }

    async fn heartbeat(&self, manager: ManagerRow) -> Result<(), StoreError> {
        self.write(|tables| drop(tables.managers.insert(manager.name.clone(), manager)));
        Ok(())
    }
}
