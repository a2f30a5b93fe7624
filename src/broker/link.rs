//! A connection that is made again whenever it ends.

use std::sync::Arc;
use std::time::Duration;

use lapin::{Connection, Event};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::dial::dial;
use super::{BrokerError, BrokerSettings};
use crate::model::{Printable, Timestamp};
use crate::process::clock;

/// Pauses between tries; each is twice as long as the one before. Drawn from half to one and a half of this, so that a
/// fleet does not come back to a server that has just started all at once.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A connection that lived as long was a good one: the next pause is the shortest.
const LIVES: Duration = Duration::from_secs(10);

/// How often it is looked whether the connection is still there, should no event tell of its end.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The state of a connection.
#[derive(Debug, Clone)]
pub(super) enum Now {
    /// The first try is under way.
    Connecting {
        /// Since when.
        since: Timestamp,
    },
    /// It is used.
    Open {
        connection: Arc<Connection>,
        /// Since when, and why, the server takes no messages on it.
        blocked: Option<(Timestamp, String)>,
    },
    /// The next try comes after a pause.
    Away {
        /// Since when.
        since: Timestamp,
        /// Why the last try failed.
        why: String,
    },
}

/// A connection, as long as this is there.
#[derive(Debug)]
pub(super) struct Link {
    now: watch::Receiver<Now>,
    /// Ends with this.
    _task: JoinSet<()>,
}

impl Link {
    pub(super) fn start(settings: Arc<BrokerSettings>, name: String) -> Self {
        let (known, now) = watch::channel(Now::Connecting { since: clock::wall() });
        let mut task = JoinSet::new();
        task.spawn(async move { keep(&settings, &name, &known).await });
        Self { now, _task: task }
    }

    pub(super) fn now(&self) -> Now {
        self.now.borrow().clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Now> {
        self.now.clone()
    }

    /// Waits until it is open, or a try has failed since this was called.
    pub(super) async fn until_open(&self) -> Result<(), BrokerError> {
        let mut now = self.now.clone();
        if let Now::Open { .. } = &*now.borrow_and_update() {
            return Ok(());
        }
        loop {
            if now.changed().await.is_err() {
                return Err(BrokerError::away("its connection has ended"));
            }
            match &*now.borrow_and_update() {
                Now::Open { .. } => return Ok(()),
                Now::Away { why, .. } => return Err(BrokerError::away(why)),
                Now::Connecting { .. } => {}
            }
        }
    }
}

/// Makes the connection again and again.
async fn keep(settings: &BrokerSettings, name: &str, now: &watch::Sender<Now>) {
    let mut pause = PAUSE_MIN;
    loop {
        let why = match dial(settings, name).await {
            Ok(connection) => {
                tracing::info!(broker = %settings.url, name, "connected to the broker");
                let since = Instant::now();
                let why = serve(Arc::new(connection), now).await;
                if since.elapsed() >= LIVES {
                    pause = PAUSE_MIN;
                }
                why
            }
            Err(error) => error,
        };
        let why = match why {
            BrokerError::Away(why) | BrokerError::Denied { why, .. } | BrokerError::Refused(why) => why,
        };
        say_away(settings, name, &why, now);
        sleep(pause.mul_f64(0.5 + chance())).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Each reason is logged once as long as it stays the same.
fn say_away(settings: &BrokerSettings, name: &str, why: &str, now: &watch::Sender<Now>) {
    let (since, is_news) = match &*now.borrow() {
        Now::Away { since, why: before } => (*since, before != why),
        Now::Connecting { since } => (*since, true),
        Now::Open { .. } => (clock::wall(), true),
    };
    if is_news {
        tracing::warn!(broker = %settings.url, name, "the broker is away, it is tried again: {why}");
    }
    now.send_replace(Now::Away { since, why: why.to_owned() });
}

/// Tells of an open connection until it ends, and why it did.
async fn serve(connection: Arc<Connection>, now: &watch::Sender<Now>) -> BrokerError {
    use futures_core::Stream as _;
    let mut events = Box::pin(connection.events_listener());
    now.send_replace(Now::Open { connection: Arc::clone(&connection), blocked: None });
    let block = |blocked: Option<(Timestamp, String)>| {
        now.send_replace(Now::Open { connection: Arc::clone(&connection), blocked });
    };
    let mut last = None;
    loop {
        let next = std::future::poll_fn(|context| events.as_mut().poll_next(context));
        let event = tokio::select! {
            event = next => event,
            () = sleep(LOOK_EVERY) => None,
        };
        match event {
            Some(Event::ConnectionBlocked(why)) => {
                let why = Printable(&why).to_string();
                tracing::warn!("the broker takes no messages for now: {why}");
                block(Some((clock::wall(), why)));
            }
            Some(Event::ConnectionUnblocked) => {
                tracing::info!("the broker takes messages again");
                block(None);
            }
            Some(Event::Error(error)) => last = Some(error),
            // Of no consequence here; the enumeration may grow.
            Some(_) | None => {}
        }
        if !connection.status().connected() {
            return last.map_or_else(|| BrokerError::away("the server ended the connection"), Into::into);
        }
    }
}

/// A random number from 0 to 1.
fn chance() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}
