//! What is to leave the program: how a manager finds the rows of `deliveries` that are due, takes them for a try, and
//! writes what became of it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::json;

use super::StoreError;
use crate::model::{
    AlertEnd, AlertEvent, AlertRow, AppPath, Blame, Closing, Delivered, Delivery, DeliveryId, Labels,
    NoticeEvent, Route, SentMessage, Timestamp,
};

/// The most rows that are read at once, and so go into one message.
pub(super) const DUE_MAX: u32 = 1000;

/// The deliveries of a database.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// From now on a commit that opens an alert writes a delivery for each of these routes that takes it, in the same
    /// transaction.
    fn set_routes(&self, routes: Vec<Route>);

    /// Deliveries of a channel that are due by `until` and that this manager may send: its own, and those of managers
    /// that are lost. The ones that are due first, at most 1,000.
    async fn due_deliveries(&self, channel: String, until: Timestamp) -> Result<Vec<Delivery>, StoreError>;

    /// When the first delivery of a channel is due.
    async fn next_delivery(&self, channel: String) -> Result<Option<Timestamp>, StoreError>;

    /// The channels for which there is something to deliver, whether they are set up or not. What leaves by the broker is
    /// none of them.
    async fn waiting_channels(&self) -> Result<Vec<String>, StoreError>;

    /// Takes deliveries for a try: it may be repeated from `again` on, should nothing be heard of it. Those that may be
    /// sent come back; the others are over by now, or another manager's.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when others have taken this manager for lost: then nothing may be sent.
    async fn begin_deliveries(
        &self,
        deliveries: Vec<DeliveryId>,
        again: Timestamp,
    ) -> Result<Vec<DeliveryId>, StoreError>;

    /// Writes what became of a try, and with it the repetitions that follow and the alerts' `delivered`.
    async fn settle_deliveries(
        &self,
        deliveries: Vec<DeliveryId>,
        at: Timestamp,
        delivered: Delivered,
    ) -> Result<(), StoreError>;

    /// The messages that left after a moment, oldest first.
    async fn sent_since(&self, moment: Timestamp) -> Result<Vec<SentMessage>, StoreError>;
}

/// The channels to which an alert goes that was opened.
pub(super) fn channels<'a>(
    routes: &'a [Route],
    event: &AlertEvent,
    labels: Labels<'_>,
) -> impl Iterator<Item = &'a str> {
    let path = event.app.parse::<AppPath>().ok();
    let severity = event.kind.severity();
    routes
        .iter()
        .filter(move |route| route.takes(path.as_ref(), labels, severity))
        .map(|route| &*route.channel)
}

/// In SQL: what people have written on the app of an alert, whose number is the parameter.
pub(super) const LABELS: &str =
    "SELECT owner, tags FROM apps WHERE app = (SELECT app_id FROM alerts WHERE id = $1)";

/// Rows with the alerts that they are about, as those are now.
pub(super) fn with_alerts(
    rows: Vec<(Delivery, Option<i64>)>,
    alerts: Vec<(AlertRow, String)>,
) -> Vec<Delivery> {
    let alerts: BTreeMap<_, _> = alerts.into_iter().map(|alert| (alert.0.id.0, alert)).collect();
    let with_alert = |(delivery, alert): (Delivery, Option<i64>)| Delivery {
        alert: alert.and_then(|id| alerts.get(&id).cloned()),
        ..delivery
    };
    rows.into_iter().map(with_alert).collect()
}

/// What a row says before its message is put together.
pub(super) fn body(event: NoticeEvent, alert: &AlertEvent, end: Option<AlertEnd>) -> String {
    let of_alert = json!({
        "id": alert.id.0, "path": alert.app, "kind": alert.kind.word(), "message": alert.message,
    });
    let mut body = json!({ "event": event.word(), "alert": of_alert });
    if let Some(end) = end {
        body["end"] = end.word().into();
    }
    body.to_string()
}

/// What a ping says of a run, but for the address; `None` after a run whose end says nothing of the app.
pub(super) fn ping(app: &str, run: &str, closing: &Closing) -> Option<String> {
    let outcome = closing.ending.outcome();
    let failed = match outcome.blame() {
        Blame::Good => false,
        Blame::Bad | Blame::Doubtful => true,
        Blame::Excused => return None,
    };
    let text = closing.ending.message().or(closing.report.message.as_deref());
    Some(
        json!({ "app": app, "run": run, "failed": failed, "outcome": outcome.word(), "text": text })
            .to_string(),
    )
}
