//! `dcm --headless`: the manager as a service.

use std::time::Duration;

use tokio::time::sleep;

use super::error::Error;
use super::logging::{self, Stderr};
use super::session::{Session, block_on};
use crate::process::{on_hangup, on_termination};
use crate::runtime::{self, Options, Stop};

/// Pauses between tries to reach a server that is away when the manager starts.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What the end of its terminal is to a manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hangup {
    /// It goes on: a service outlives the terminal that it was started from.
    Ignored,
    /// It ends in order.
    Ends,
}

pub(super) fn headless(session: &Session, hangup: Hangup) -> Result<(), Error> {
    session.settings.notify.clone()?;
    session.settings.rabbitmq.clone()?;
    let stop = Stop::new();
    let asked = stop.clone();
    on_termination(move |signal| {
        tracing::info!(signal, "asked to stop; apps run on");
        asked.ask();
    })?;
    let asked = stop.clone();
    on_hangup(move || match hangup {
        Hangup::Ends => asked.ask(),
        Hangup::Ignored => {
            tracing::info!(
                "SIGHUP changes nothing: settings are read at the start, apps go on, TERM ends the manager"
            );
        }
    })?;
    let _guard = logging::begin(&session.settings, Stderr::Used)?;
    block_on(async {
        let Some(options) = options_once_there(session, &stop).await? else { return Ok(()) };
        let database = session.settings.database.to_string();
        let python = options.python.clone();
        let ready = || {
            tracing::info!(version = env!("CARGO_PKG_VERSION"), database, python, "the manager is running");
        };
        runtime::run(options, stop, ready).await?;
        tracing::info!("the manager has stopped; apps run on (dcm stop-apps stops them)");
        Ok(())
    })
}

/// The same, once the server is there: a host may be up before its database. `None` when the manager is
/// to end before that.
async fn options_once_there(session: &Session, stop: &Stop) -> Result<Option<Options>, Error> {
    let mut pause = PAUSE_MIN;
    loop {
        match options(session).await {
            Err(error) if session.may_be_away() && error.is_refusal_for_now() => {
                if pause == PAUSE_MIN {
                    tracing::warn!(%error, "waiting for the database");
                }
            }
            result => return result.map(Some),
        }
        tokio::select! {
            () = stop.asked() => return Ok(None),
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// What a manager of this host is started with. Settings in which a secret is missing were refused before.
pub(super) async fn options(session: &Session) -> Result<Options, Error> {
    let settings = &session.settings;
    let store = session.store_to_manage().await?;
    let python = session.python();
    let before = store.managers().await?.into_iter().find(|row| row.name == settings.name);
    if let Some(before) = before.and_then(|row| row.python).filter(|before| *before != python) {
        tracing::warn!(
            before,
            python,
            "apps without a command get another Python than from the manager before"
        );
    }
    if !store.capabilities().is_shared && !settings.pools.is_empty() {
        tracing::warn!("pools have no effect on an embedded database: its one manager runs all apps");
    }
    Ok(Options {
        name: settings.name.clone(),
        store,
        launch: session.launch(),
        running_max: settings.running_max,
        logs: settings.logs,
        python,
        retention: settings.retention,
        scan_every: settings.scan_every,
        pools: settings.pools.clone(),
        lease: settings.lease,
        notify: settings.notify.clone().unwrap_or_default(),
        broker: settings.rabbitmq.clone().unwrap_or_default(),
    })
}
