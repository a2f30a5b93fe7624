//! What others write into the database, as events: commands, new and changed rows, limits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::live::{self, Live};
use crate::manager::Event;
use crate::model::{AppId, CommandId, Limits, News, Revision};
use crate::store::{Store, StoreError};

/// How often the database is looked at without a hint.
const POLL: Duration = Duration::from_secs(1);

pub(super) struct Feed {
    pub(super) store: Arc<dyn Store>,
    pub(super) events: UnboundedSender<Event>,
    /// Events that the manager is to get after all that the database says by now.
    pub(super) deferred: UnboundedReceiver<Event>,
    /// Everything up to here was seen.
    pub(super) revision: Revision,
    /// Commands that the manager has, by their apps: until their verdicts are written they are found again.
    pub(super) handed: BTreeMap<CommandId, Option<AppId>>,
    pub(super) limits: Limits,
    /// Apps at whose log somebody looks from another host.
    pub(super) wanted: watch::Sender<Vec<AppId>>,
    /// Rung when this process has entered a command.
    pub(super) bell: Arc<Notify>,
    /// Settings that change: the limit of this host is not in the database.
    pub(super) live: watch::Receiver<Live>,
}

impl Feed {
    /// Goes on until nobody listens.
    pub(super) async fn run(mut self) {
        let mut changed = self.store.changed();
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_away = false;
        // The ends of runs that wait for a look that succeeds.
        let mut waiting = Vec::new();
        loop {
            let thorough = tokio::select! {
                Some(event) = self.deferred.recv() => {
                    waiting.push(event);
                    false
                }
                result = changed.changed() => {
                    if result.is_err() {
                        // The store gives no hints any more; polling is enough.
                        poll.tick().await;
                    }
                    result.is_err()
                }
                () = self.bell.notified() => false,
                () = live::changed(&mut self.live) => {
                    let host = self.live.borrow_and_update().running_max;
                    if host != self.limits.host {
                        self.limits.host = host;
                        let _ = self.events.send(Event::LimitsChanged(self.limits.clone()));
                    }
                    false
                }
                _ = poll.tick() => true,
            };
            // One look serves all that came before it.
            while let Ok(event) = self.deferred.try_recv() {
                waiting.push(event);
            }
            match self.look(thorough).await {
                Ok(true) => {
                    is_away = false;
                    for event in waiting.drain(..) {
                        let _ = self.events.send(event);
                    }
                }
                Ok(false) => return,
                Err(error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(%error, "cannot read the database; it is tried again");
                    }
                }
            }
        }
    }

    /// `false` when nobody listens.
    async fn look(&mut self, thorough: bool) -> Result<bool, StoreError> {
        let handed = self.handed.keys().copied().collect();
        let News { mut commands, pending, foreign: mut delta, limits, wanted_logs } =
            self.store.news(self.revision, handed, thorough).await?;
        if let Some(pending) = pending {
            self.handed.retain(|id, _| pending.contains(id));
        }
        if thorough {
            self.wanted
                .send_if_modified(|before| std::mem::replace(before, wanted_logs.clone()) != wanted_logs);
        }
        loop {
            if let Some(cluster) = self.store.cluster().filter(|_| delta.claimable) {
                // They come with the next change, which this is.
                cluster.claim().await?;
            }
            delta.removed.retain(|app| !delta.replaced.contains(app));
            if !delta.replaced.is_empty() && self.events.send(Event::AppsReplaced(delta.replaced)).is_err() {
                return Ok(false);
            }
            if !delta.removed.is_empty() && self.events.send(Event::AppsRemoved(delta.removed)).is_err() {
                return Ok(false);
            }
            // If they come back, so must their commands.
            self.handed.retain(|_, app| app.is_none_or(|app| !delta.lost.contains(&app)));
            if !delta.lost.is_empty() && self.events.send(Event::AppsLost(delta.lost)).is_err() {
                return Ok(false);
            }
            if !delta.rows.is_empty() && self.events.send(Event::AppsChanged(delta.rows)).is_err() {
                return Ok(false);
            }
            self.revision = delta.revision;
            if !delta.more {
                break;
            }
            delta = self.store.foreign_changes(self.revision, true).await?;
            if delta.gained {
                // Commands may have waited for the app to have a manager.
                let known =
                    self.handed.keys().copied().chain(commands.iter().map(|command| command.id)).collect();
                commands.extend(self.store.pending_commands(known).await?);
            }
        }
        for command in commands {
            self.handed.insert(command.id, command.app);
            if self.events.send(Event::Command(command)).is_err() {
                return Ok(false);
            }
        }
        if let Some(limits) = limits {
            let limits = Limits { host: self.limits.host, ..limits };
            if limits != self.limits {
                self.limits = limits.clone();
                return Ok(self.events.send(Event::LimitsChanged(limits)).is_ok());
            }
        }
        Ok(!self.events.is_closed())
    }
}
