//! Keeps the lease of a manager, and looks after the others on the same database.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::ping::Work;
use crate::manager::Event;
use crate::manager::peers::{Fate, Lease, Peers};
use crate::metrics::Metrics;
use crate::model::{Load, Sight};
use crate::process::{Deadlines, Supervisor, clock};
use crate::store::{Store, StoreError};

/// How often the manager of an embedded database says that it lives: nobody waits for its lease.
const EMBEDDED_EVERY: Duration = Duration::from_secs(5);

/// The seat of a manager was taken away, or the database with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deposed;

pub(super) struct Keeper {
    pub(super) name: String,
    pub(super) store: Arc<dyn Store>,
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) lease: Lease,
    pub(super) peers: Peers,
    pub(super) load: watch::Receiver<Load>,
    pub(super) events: UnboundedSender<Event>,
    pub(super) work: Arc<Work>,
    pub(super) metrics: Arc<Metrics>,
}

impl Keeper {
    /// Goes on until the seat is lost.
    pub(super) async fn run(mut self) -> Deposed {
        let mut said = String::new();
        let mut drained = None;
        let mut fates = None;
        let mut shared_at = Instant::now();
        loop {
            let begun = Instant::now();
            let pause = match self.renew().await {
                Ok(sight) => {
                    self.work.renewed();
                    if !std::mem::take(&mut said).is_empty() {
                        tracing::info!("the lease is renewed again");
                    }
                    // Everything else is tried again with the next renewal.
                    let mut looked = self.look_after(&sight, &mut drained).await;
                    self.tell_of_others(&sight, &mut fates);
                    if looked.is_ok() && begun >= shared_at + self.lease.length() * 2 {
                        shared_at = begun;
                        looked = self.share().await;
                    }
                    if matches!(looked, Err(StoreError::Deposed | StoreError::Replaced)) {
                        return Deposed;
                    }
                    if self.store.cluster().is_some() { self.lease.renew_every() } else { EMBEDDED_EVERY }
                }
                Err(StoreError::Deposed | StoreError::Replaced) => return Deposed,
                Err(error) => {
                    let why = error.to_string();
                    if said != why {
                        let fence = self.lease.fence_soft();
                        tracing::warn!(
                            why,
                            "cannot renew the lease; it is tried again. Runs of exclusive apps are ended {fence:?} after the \
                             last renewal, and apps that others may take over are not started"
                        );
                        said = why;
                    }
                    self.lease.renew_every() / 3
                }
            };
            sleep_until(begun + pause).await;
        }
    }

    /// Renews the lease, and moves the deadlines of fenced runs: they count from the moment in which
    /// the renewal was sent, so that a slow answer cannot stretch them.
    pub(super) async fn renew(&self) -> Result<Sight, StoreError> {
        let sent = clock::boot_time();
        let load = *self.load.borrow();
        let renewed = self.store.renew(load).await;
        match &renewed {
            Ok(_) => self.metrics.renewed(self.lease.length()),
            Err(_) => self.metrics.database_failed(),
        }
        let sight = renewed?;
        let deadlines =
            Deadlines { soft: sent + self.lease.fence_soft(), hard: sent + self.lease.fence_hard() };
        if let Err(error) = self.supervisor.renewed(deadlines, sight.timeline) {
            tracing::error!(%error, "cannot write the deadlines of fenced runs; they will end");
        }
        Ok(sight)
    }

    /// Lets the manager know how all of them are, when that has changed.
    fn tell_of_others(&self, sight: &Sight, known: &mut Option<Vec<(String, Fate)>>) {
        if self.store.cluster().is_some() {
            let fates = self.peers.fates(clock::boot_time(), sight);
            if known.as_ref() != Some(&fates) {
                // The loop has ended only if everything ends.
                let _ = self.events.send(Event::ManagersSeen(fates.clone()));
                *known = Some(fates);
            }
        }
    }

    async fn share(&self) -> Result<(), StoreError> {
        let Some(cluster) = self.store.cluster() else { return Ok(()) };
        let released = cluster.share().await?;
        if released.apps > 0 {
            tracing::info!(
                apps = released.apps,
                "another manager has been there for a while and gets its share"
            );
        }
        Ok(())
    }

    /// Takes over from managers that are lost, gives away what a draining manager has no use for. What
    /// belongs to nobody is for the feed to find.
    async fn look_after(&mut self, sight: &Sight, drained: &mut Option<Load>) -> Result<(), StoreError> {
        let Some(cluster) = self.store.cluster() else { return Ok(()) };
        for lost in self.peers.look(clock::boot_time(), sight) {
            let released = cluster.depose(&lost).await?;
            if released.apps > 0 {
                let (apps, runs) = (released.apps, released.runs);
                tracing::warn!(
                    manager = lost.name,
                    host = lost.host,
                    apps,
                    runs,
                    "a manager is lost; others take over its apps"
                );
            }
        }
        let is_draining = sight.managers.iter().any(|seen| seen.row.name == self.name && seen.row.draining);
        let load = *self.load.borrow();
        if !is_draining {
            *drained = None;
        } else if *drained != Some(load) {
            // What ran when the draining began may have ended by now.
            let released = self.store.drain(&self.name, true).await?;
            if released.apps > 0 {
                tracing::info!(apps = released.apps, "draining: apps are given away");
            }
            *drained = Some(load);
        }
        Ok(())
    }
}
