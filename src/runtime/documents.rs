//! The tasks that care for documents, beside the driver.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::driver::Options;
use crate::broker::Broker;
use crate::pipeline::{DeadLetters, DocumentOutlet, Watcher};

/// Begins to watch directories, and with a broker to publish what is new in them.
pub(super) fn begin(options: &Options, broker: Option<&Broker>, tasks: &mut JoinSet<()>) {
    let Options { store, name, scan_every, .. } = options;
    // Rung when documents are due.
    let bell = Arc::new(Notify::new());
    let watcher = Watcher {
        store: Arc::clone(store),
        manager: name.clone(),
        scan_every: *scan_every,
        bell: Arc::clone(&bell),
    };
    tasks.spawn(watcher.run());
    if let Some(broker) = broker {
        let outlet = DocumentOutlet { store: Arc::clone(store), broker: broker.clone(), bell };
        tasks.spawn(outlet.run());
        let dead = DeadLetters { store: Arc::clone(store), broker: broker.clone() };
        tasks.spawn(dead.run());
    }
}
