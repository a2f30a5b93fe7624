//! The database in memory, for tests and for the simulation of the manager: the same rules as the
//! real ones, proved by the same contract tests.

mod alerts;
mod backlog;
mod deliveries;
mod document_look;
mod documents;
mod estimate;
mod ledger;
mod logs;
mod look;
mod pipeline;
mod prune;
mod requests;
mod runs;
mod tables;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

pub use tables::Tables;

use super::{
    AlertNote, AlertQuery, Capabilities, Committed, DatabaseFacts, HistoryQuery, LedgerQuery, OperatorStore,
    Registration, Rights, RunLength, SkipQuery, Store, StoreError, no_such_manager,
};
use crate::model::{
    AlertId, AlertRow, AppId, AppPath, Change, Command, CommandId, CommandRow, Delta, Foreign, KeptLog,
    Limits, Load, ManagerRow, NewCommand, Part, Prunable, PrunedBatch, Pruning, Registered, Released,
    Retention, Revision, Run, RunId, Sight, Skip, Snapshot, Timestamp,
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
    fn capabilities(&self) -> Capabilities {
        Capabilities::EMBEDDED
    }

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

    async fn ledger(&self, query: LedgerQuery) -> Result<Vec<CommandRow>, StoreError> {
        Ok(self.read(|tables| tables.ledger(&query)))
    }

    async fn history(&self, query: HistoryQuery) -> Result<Vec<Run>, StoreError> {
        Ok(self.read(|tables| tables.history(&query)))
    }

    async fn begun_since(&self, moment: Timestamp) -> Result<u64, StoreError> {
        Ok(self.read(|tables| tables.begun_since(moment)))
    }

    async fn good_runs(&self, apps: Vec<AppId>, of_each: u32) -> Result<Vec<RunLength>, StoreError> {
        Ok(self.read(|tables| tables.good_runs(&apps, of_each)))
    }

    async fn skips(&self, query: SkipQuery) -> Result<Vec<Skip>, StoreError> {
        Ok(self.read(|tables| tables.skips_of(&query)))
    }

    async fn alerts(&self, query: AlertQuery) -> Result<Vec<AlertRow>, StoreError> {
        Ok(self.read(|tables| tables.alerts_of(&query)))
    }

    async fn note_alerts(&self, alerts: Vec<AlertId>, note: AlertNote) -> Result<(), StoreError> {
        self.write(|tables| tables.note_alerts(&alerts, &note));
        Ok(())
    }

    async fn managers(&self) -> Result<Vec<ManagerRow>, StoreError> {
        Ok(self.read(|tables| tables.managers.values().cloned().collect()))
    }

    async fn drain(&self, name: &str, is_draining: bool) -> Result<Released, StoreError> {
        self.write(|tables| {
            let row = tables.managers.get_mut(name).ok_or_else(|| no_such_manager(name))?;
            row.draining = is_draining;
            tables.limits.draining = is_draining;
            Ok(Released::default())
        })
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

    async fn rename(&self, from: AppPath, to: AppPath) -> Result<(), StoreError> {
        self.write(|tables| tables.rename(&from, to))
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

    async fn rights(&self) -> Result<Rights, StoreError> {
        Ok(Rights::ALL)
    }

    async fn facts(&self) -> Result<DatabaseFacts, StoreError> {
        Ok(DatabaseFacts { product: "memory".to_owned(), ..DatabaseFacts::default() })
    }

    async fn want_log(&self, app: AppId) -> Result<(), StoreError> {
        self.write(|tables| tables.want_log(app));
        Ok(())
    }

    async fn kept_log(&self, app: AppId, run: Option<RunId>) -> Result<Option<KeptLog>, StoreError> {
        Ok(self.read(|tables| tables.kept_log(app, run)))
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

    async fn foreign_changes(&self, revision: Revision, _thorough: bool) -> Result<Foreign, StoreError> {
        Ok(self.read(|tables| tables.changes_since(revision)).into())
    }

    async fn pending_commands(&self, handed: Vec<CommandId>) -> Result<Vec<Command>, StoreError> {
        let mut pending = self.read(|tables| tables.pending(CommandId(0)));
        pending.retain(|command| !handed.contains(&command.id));
        Ok(pending)
    }

    async fn take_seat(&self, manager: ManagerRow) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.seat = Some(manager.name.clone());
            tables.managers.insert(manager.name.clone(), manager);
        });
        Ok(())
    }

    async fn renew(&self, load: Load) -> Result<Sight, StoreError> {
        Ok(self.write(|tables| {
            tables.update_seat(|row, now| {
                row.heartbeat = now;
                row.load = load;
            });
            Sight { now: tables.time, ..Sight::default() }
        }))
    }

    async fn leave(&self) -> Result<(), StoreError> {
        self.write(|tables| tables.update_seat(|row, now| row.stopped = Some(now)));
        Ok(())
    }

    async fn prune(
        &self,
        pruning: Pruning,
        retention: Retention,
        _after: String,
    ) -> Result<PrunedBatch, StoreError> {
        let rows = self.write(|tables| tables.prune(pruning, retention));
        Ok(PrunedBatch { rows, next: None })
    }

    async fn prunable(&self, retention: Retention) -> Result<Prunable, StoreError> {
        let mut after = self.read(Clone::clone);
        let mut prunable = Prunable::default();
        for pruning in Pruning::ALL {
            prunable.add(pruning, after.prune(pruning, retention));
        }
        Ok(prunable)
    }

    async fn wanted_logs(&self, manager: String) -> Result<Vec<AppId>, StoreError> {
        Ok(self.read(|tables| tables.wanted_logs(&manager)))
    }

    async fn keep_log(&self, log: KeptLog) -> Result<(), StoreError> {
        self.write(|tables| tables.keep_log(log));
        Ok(())
    }
}
