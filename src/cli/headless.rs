//! `dcm --headless`: the manager as a service.

use std::sync::Arc;

use super::error::Error;
use super::logging::{self, Stderr};
use super::session::{Session, block_on};
use crate::config::Database;
use crate::process::on_termination;
use crate::runtime::{self, Options, Stop};
use crate::store::{OpenMode, Store, StoreError};

pub(super) fn headless(session: &Session) -> Result<(), Error> {
    let stop = Stop::new();
    let asked = stop.clone();
    on_termination(move |signal| {
        tracing::info!(signal, "asked to stop; apps run on");
        asked.ask();
    })?;
    let _guard = logging::begin(&session.settings, Stderr::Used)?;
    block_on(async {
        let options = options(session).await?;
        let database = session.settings.database.to_string();
        let ready =
            || tracing::info!(version = env!("CARGO_PKG_VERSION"), database, "the manager is running");
        runtime::run(options, stop, ready).await?;
        tracing::info!("the manager has stopped; apps run on (dcm stop-apps stops them)");
        Ok(())
    })
}

/// What a manager of this host is started with.
pub(super) async fn options(session: &Session) -> Result<Options, Error> {
    let store: Arc<dyn Store> = match &session.settings.database {
        Database::Sqlite { path, .. } => {
            let store = session.file(path, OpenMode::Create)?;
            if let Some(fault) = store.check(true).await?.first() {
                return Err(StoreError::Corrupt(format!(
                    "the database is damaged: {fault}; restore a backup (dcm db check tells more)"
                ))
                .into());
            }
            Arc::new(store)
        }
        Database::Postgres(_) => session.store(OpenMode::Create)?,
    };
    let settings = &session.settings;
    Ok(Options {
        name: settings.name.clone(),
        store,
        launch: session.launch(),
        running_max: settings.running_max,
        logs_max: settings.logs_max,
        pools: settings.pools.clone(),
        lease: settings.lease,
        keeps_logs: matches!(settings.database, Database::Postgres(_)),
    })
}
