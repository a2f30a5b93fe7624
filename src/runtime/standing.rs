//! How it stands with the broker: in the row of the manager, and as an alert when it is away for long.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, sleep_until};

use crate::broker::Broker;
use crate::manager::Event;
use crate::metrics::Metrics;
use crate::model::{AlertCause, BrokerState, FleetKind, FleetTrouble};
use crate::store::{Store, StoreError};

/// How long the broker may be away without an alert: it may be restarting.
const ALERT_AFTER: Duration = Duration::from_secs(60);

/// Between tries to write the row of the manager.
const RETRY: Duration = Duration::from_secs(2);

/// Watches the broker for one manager.
pub(super) struct Standing {
    /// `None` where none is set up.
    pub(super) broker: Option<Broker>,
    pub(super) store: Arc<dyn Store>,
    pub(super) events: UnboundedSender<Event>,
    pub(super) metrics: Arc<Metrics>,
}

impl Standing {
    /// Goes on until the manager ends.
    pub(super) async fn run(self) {
        let Some(broker) = &self.broker else {
            // The one before this may have had one.
            self.note(None).await;
            self.over();
            return std::future::pending().await;
        };
        let mut state = broker.state();
        let mut away_since = None;
        loop {
            let now = state.borrow_and_update().clone();
            self.metrics.set_broker(&now);
            self.note(Some(now.clone())).await;
            if now == BrokerState::Connected {
                away_since = None;
                self.over();
            }
            let since = match now {
                BrokerState::Connected => None,
                BrokerState::Blocked { .. } | BrokerState::Away { .. } => {
                    Some(*away_since.get_or_insert_with(Instant::now))
                }
            };
            let changed = tokio::select! {
                changed = state.changed() => changed,
                () = super::outbox::until(since.map(|since| since + ALERT_AFTER)) => {
                    // As long as it lasts, and with the latest reason.
                    self.alert(&now);
                    tokio::select! {
                        changed = state.changed() => changed,
                        () = sleep_until(Instant::now() + ALERT_AFTER) => Ok(()),
                    }
                }
            };
            if changed.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Writes the row until it is written, or there is something newer to write.
    async fn note(&self, state: Option<BrokerState>) {
        loop {
            match self.store.note_broker(state.clone()).await {
                Ok(()) | Err(StoreError::Deposed | StoreError::Replaced | StoreError::Refused(_)) => return,
                Err(error) => tracing::debug!(%error, "the state of the broker is written again"),
            }
            sleep(RETRY).await;
        }
    }

    fn alert(&self, state: &BrokerState) {
        let message = format!(
            "RabbitMQ is {state}; commands come by the database alone, and what is to leave waits (dcm managers)"
        );
        let _ = self.events.send(Event::FleetTrouble { trouble: trouble(), message });
    }

    fn over(&self) {
        let _ = self.events.send(Event::FleetTroubleOver(trouble()));
    }
}

fn trouble() -> FleetTrouble {
    FleetTrouble { kind: FleetKind::BrokerAway, cause: AlertCause::of_broker() }
}
