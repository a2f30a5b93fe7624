//! What a database can, and what only one with several managers has.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{OperatorStore, StoreError};
use crate::model::{AppId, ManagerRow, Released};

/// What a database can. Code above the store asks this, never for the kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Several managers, also on other hosts, may serve it: it has a [`Cluster`].
    pub is_shared: bool,
    /// It keeps the ends of logs for readers on other hosts.
    pub keeps_logs: bool,
    /// Its sessions have a time zone, in which it reads a time without one.
    pub has_session_zone: bool,
}

impl Capabilities {
    /// Those of a database that lives on one host, with its one manager.
    pub const EMBEDDED: Self = Self { is_shared: false, keeps_logs: false, has_session_zone: false };

    /// Those of a server.
    pub const SERVER: Self = Self { is_shared: true, keeps_logs: true, has_session_zone: true };
}

/// How several managers share the apps of one database. A database with one manager has no such thing.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Takes its apps from a manager of which a person knows that it is gone, also those that others
    /// do not take over by themselves; with `pinned` those too that belong to it alone.
    ///
    /// # Errors
    /// [`StoreError::Refused`] while the manager lives.
    async fn take_from(&self, name: &str, pinned: bool) -> Result<Released, StoreError>;

    /// Which of these apps are another manager's.
    async fn elsewhere(&self, apps: Vec<AppId>) -> Result<BTreeSet<AppId>, StoreError>;

    /// Takes apps without a manager for this one, as far as it is the one to have them; how many.
    async fn claim(&self) -> Result<u64, StoreError>;

    /// Takes its apps from a manager that is lost, if it is still as it was seen: then they are
    /// without a manager.
    async fn depose(&self, lost: &ManagerRow) -> Result<Released, StoreError>;

    /// Lets go of apps that rest and that others may have by themselves, as far as another manager
    /// would claim them that has been there for a while: so one that comes back gets its share.
    async fn share(&self) -> Result<Released, StoreError>;
}

/// As [`Cluster::take_from`], for a database of any kind.
///
/// # Errors
/// [`StoreError::Refused`] while the manager lives, and where the database has only one.
pub async fn take_from(store: &dyn OperatorStore, name: &str, pinned: bool) -> Result<Released, StoreError> {
    match store.cluster() {
        Some(cluster) => cluster.take_from(name, pinned).await,
        None => Err(StoreError::Refused(format!(
            "an embedded database has one manager: there is no other to take apps from {name}"
        ))),
    }
}
