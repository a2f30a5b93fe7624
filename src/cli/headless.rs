//! `dcm --headless`: the manager as a service.

use std::future::pending;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::error::Error;
use super::logging::{self, Stderr};
use super::reload::Reloader;
use super::session::{Session, block_on};
use crate::config::{Settings, env};
use crate::metrics::{Exporter, Metrics};
use crate::process::{
    Grace, ServiceManager, manager_of, on_each_termination, on_hangup, on_termination, service_is_ready,
    stop_all,
};
use crate::runtime::{self, Exports, Live, Options, Stop, StopApps};

/// Pauses between tries to reach a server that is away when the manager starts.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The number of ^C.
const INTERRUPT: i32 = 2;

/// What the end of its terminal is to a manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hangup {
    /// It goes on, since a service outlives the terminal that it was started from, and reads its settings again.
    Reloads,
    /// It ends in order.
    Ends,
}

pub(super) fn headless(session: &Session, hangup: Hangup) -> Result<(), Error> {
    session.settings.notify.clone()?;
    session.settings.rabbitmq.clone()?;
    let live = watch::Sender::new(live(&session.settings));
    let service = ServiceManager::named_by(env::get)?.map(Arc::new);
    let stop = Stop::new();
    let stop_apps = session.settings.stop_apps;
    heed_termination(&stop, stop_apps)?;
    let changes = live.subscribe();
    // One that comes before the log has begun is seen to afterwards.
    let (hangups, noted) = channel();
    let asked = stop.clone();
    on_hangup(move || match hangup {
        Hangup::Ends => asked.ask(),
        Hangup::Reloads => {
            // Nobody reads them only when this process ends.
            let _ = hangups.send(());
        }
    })?;
    let log = logging::begin(&session.settings, Stderr::Used)?;
    let reloader = Reloader::new(session, live, log.filters());
    let told = service.clone();
    std::thread::Builder::new().name("dcm-reload".to_owned()).spawn(move || {
        let mut reloader = reloader;
        for () in noted {
            tell(match &told {
                Some(service) => Some(service.reloading(|| reloader.reload())),
                None => {
                    reloader.reload();
                    None
                }
            });
        }
    })?;
    let metrics = Arc::new(Metrics::new(&session.settings.name));
    // It answers while the manager waits for its database.
    let _exporter = Exporter::start(&session.settings.metrics, &metrics);
    let said = service.clone();
    let asked = stop.clone();
    let ending = async {
        asked.asked().await;
        let what = if stop_apps.is_some() { "stops its apps and ends" } else { "ends; apps run on" };
        tell(said.as_deref().map(|service| service.stopping(what)));
        pending().await
    };
    block_on(async {
        tokio::select! {
            result = serve(session, stop, &metrics, changes, service.clone()) => result,
            result = ending => result,
        }
    })
}

/// Runs the manager, once its database is there.
async fn serve(
    session: &Session,
    stop: Stop,
    metrics: &Arc<Metrics>,
    live: watch::Receiver<Live>,
    service: Option<Arc<ServiceManager>>,
) -> Result<(), Error> {
    let stop_apps = session.settings.stop_apps;
    let waits = || tell(service.as_deref().map(|service| service.status("waits for the database")));
    let Some(options) = options_once_there(session, &stop, metrics, waits).await? else {
        if stop_apps.is_some() {
            stop_survivors(session);
        }
        return Ok(());
    };
    let options = Options { live, service, ..options };
    let database = session.settings.database.to_string();
    let python = options.python.clone();
    let ready = || {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), database, python, "the manager is running");
        service_is_ready();
    };
    runtime::run(options, stop, ready).await?;
    tracing::info!("{}", farewell(stop_apps));
    Ok(())
}

/// What is said when a manager has ended.
pub(super) fn farewell(stop_apps: Option<StopApps>) -> &'static str {
    match stop_apps {
        Some(_) => {
            "the manager has stopped, and so have the apps of this host; its next start goes on with their schedules"
        }
        None => "the manager has stopped; apps run on (dcm stop-apps stops them)",
    }
}

/// TERM and INT end the manager. A second one ends it at once where apps run on. Where they end with it they keep the
/// time that they have: programs repeat TERM, such as a second `docker stop`. A second INT is a person's, who waits.
pub(super) fn heed_termination(stop: &Stop, stop_apps: Option<StopApps>) -> std::io::Result<()> {
    let stop = stop.clone();
    let Some(StopApps { within }) = stop_apps else {
        return on_termination(move |signal| {
            tracing::info!(signal, "asked to stop; apps run on");
            stop.ask();
        });
    };
    let time = within.map_or("each within its stop_grace".to_owned(), |within| format!("within {within:?}"));
    let mut before = 0;
    let mut interrupts = 0;
    on_each_termination(move |signal| {
        interrupts += u32::from(signal == INTERRUPT);
        match (before, interrupts) {
            (0, _) => {
                tracing::info!(signal, "asked to stop; the apps of this host are stopped {time}");
                stop.ask();
            }
            (_, 0 | 1) => {
                tracing::info!(signal, "asked to stop again; apps keep the time that they have ({time})");
            }
            (_, 2) => stop.kill(),
            (_, _) => std::process::exit(128 + signal),
        }
        before += 1;
    })
}

/// What a manager before has left on this host, where this one has not begun.
fn stop_survivors(session: &Session) {
    let state = &session.settings.state;
    let within = session.settings.stop_apps.and_then(|how| how.within);
    // Another manager's are not this one's to stop.
    if !matches!(manager_of(state), Ok(None)) {
        return;
    }
    let by = format!("manager {}", session.settings.name);
    for line in stop_all(state, &by, Grace::OfEachApp(within)).unreached {
        tracing::warn!("not stopped: {line}");
    }
}

/// A message that the service manager did not take is not worth more than a line of the log.
fn tell(result: Option<std::io::Result<()>>) {
    if let Some(Err(error)) = result {
        tracing::warn!(%error, "the service manager (NOTIFY_SOCKET) did not take a message");
    }
}

/// What may change while a manager runs. Settings in which a secret is missing were refused before.
pub(super) fn live(settings: &Settings) -> Live {
    Live {
        running_max: settings.running_max,
        logs: settings.logs,
        retention: settings.retention,
        notify: settings.notify.clone().unwrap_or_default(),
        withheld: settings.withheld.clone(),
    }
}

/// The same, once the server is there: a host may be up before its database. `None` when the manager is
/// to end before that.
async fn options_once_there(
    session: &Session,
    stop: &Stop,
    metrics: &Arc<Metrics>,
    waits: impl Fn(),
) -> Result<Option<Options>, Error> {
    let mut pause = PAUSE_MIN;
    loop {
        metrics.turned();
        match options(session, metrics).await {
            Err(error) if session.may_be_away() && error.is_refusal_for_now() => {
                if pause == PAUSE_MIN {
                    tracing::warn!(%error, "waiting for the database");
                    waits();
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
pub(super) async fn options(session: &Session, metrics: &Arc<Metrics>) -> Result<Options, Error> {
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
        python,
        // Without its sender it stays as it is.
        live: watch::Sender::new(live(settings)).subscribe(),
        service: None,
        scan_every: settings.scan_every,
        pools: settings.pools.clone(),
        lease: settings.lease,
        broker: settings.rabbitmq.clone().unwrap_or_default(),
        stop_apps: settings.stop_apps,
        metrics: Arc::clone(metrics),
        exports: match (settings.metrics.listen, settings.metrics.per_app) {
            (None, _) => Exports::Nothing,
            (Some(_), false) => Exports::Numbers,
            (Some(_), true) => Exports::Apps,
        },
    })
}
