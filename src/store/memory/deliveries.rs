//! Deliveries in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::TimeDelta;

use super::{MemoryStore, Tables};
use crate::model::{
    AlertEnd, AlertEvent, AlertId, AppId, Closing, Delivered, Delivery, DeliveryId, DeliveryKind, GATHER,
    NoticeEvent, PING_CHANNEL, Published, Route, RunId, SentMessage, TaskId, Timestamp,
};
use crate::store::deliveries::{DUE_MAX, body, channels, ping};
use crate::store::{Deliveries, StoreError};

/// A row with its columns that are not asked for when it is due.
#[derive(Debug, Clone)]
pub(super) struct DeliveryRow {
    pub(super) delivery: Delivery,
    pub(super) channel: String,
    alert: Option<AlertId>,
    task: Option<TaskId>,
    manager: Option<String>,
    last_error: Option<String>,
    delivered: Option<Timestamp>,
    given_up: Option<Timestamp>,
}

impl DeliveryRow {
    /// It leaves later.
    pub(super) fn put_off(&mut self, until: Timestamp) {
        self.delivery.due = until;
    }

    /// One that is no notification.
    pub(super) fn of(channel: &str, delivery: Delivery) -> Self {
        Self {
            delivery,
            channel: channel.to_owned(),
            alert: None,
            task: None,
            manager: None,
            last_error: None,
            delivered: None,
            given_up: None,
        }
    }

    /// When it was delivered or given up.
    pub(super) fn over(&self) -> Option<Timestamp> {
        self.delivered.or(self.given_up)
    }

    /// The row of a document.
    pub(super) fn of_document(delivery: Delivery, channel: String, task: TaskId) -> Self {
        Self {
            delivery,
            channel,
            alert: None,
            task: Some(task),
            manager: None,
            last_error: None,
            delivered: None,
            given_up: None,
        }
    }

    pub(super) fn id(&self) -> DeliveryId {
        self.delivery.id
    }

    pub(super) fn set_due(&mut self, due: Timestamp) {
        self.delivery.due = due;
    }

    /// Whether a document is still to be published by it.
    pub(super) fn is_open_of(&self, task: TaskId) -> bool {
        self.task == Some(task) && self.over().is_none()
    }

    /// When a document was due, and its task.
    pub(super) fn due_task(&self, now: Timestamp) -> Option<(Timestamp, TaskId)> {
        let task = self.task.filter(|_| self.over().is_none() && self.delivery.due <= now)?;
        Some((self.delivery.due, task))
    }

    /// Takes it for a try; when it was written, and how many tries that makes.
    pub(super) fn take(&mut self, again: Timestamp, manager: Option<String>) -> (Timestamp, u32) {
        (self.delivery.tries, self.delivery.due) = (self.delivery.tries + 1, again);
        self.manager = manager;
        (self.delivery.created, self.delivery.tries)
    }

    /// What a manager had taken is due.
    pub(super) fn release(&mut self, manager: Option<&String>, now: Timestamp) {
        if self.task.is_some() && self.over().is_none() && self.manager.as_ref() == manager {
            (self.manager, self.delivery.due) = (None, now);
        }
    }

    pub(super) fn settle_document(&mut self, published: &Published, at: Timestamp) {
        if self.over().is_some() {
            return;
        }
        match published {
            Published::Sent => (self.delivered, self.last_error) = (Some(at), None),
            Published::Later { why, again } => {
                (self.last_error, self.delivery.due, self.manager) = (Some(why.clone()), *again, None);
            }
            Published::GivenUp { why } => (self.last_error, self.given_up) = (Some(why.clone()), Some(at)),
        }
    }
}

impl Tables {
    /// Writes the deliveries of an alert that was opened.
    pub(super) fn note_opened(&mut self, event: &AlertEvent, at: Timestamp) {
        let labels = self.labels_of(event.id);
        let channels: Vec<_> = channels(&self.routes, event, labels).map(str::to_owned).collect();
        for channel in channels {
            self.add_delivery(channel, NoticeEvent::Opened, event.id, (0, at, at + GATHER));
            if let Some(row) = self.deliveries.last_mut() {
                row.delivery.body = body(NoticeEvent::Opened, event, None);
            }
        }
    }

    /// The same for an alert that was closed.
    pub(super) fn note_closed(&mut self, event: &AlertEvent, (at, end): (Timestamp, AlertEnd)) {
        let is_of = |row: &DeliveryRow, said: NoticeEvent| {
            row.alert == Some(event.id) && row.delivery.event == Some(said.into())
        };
        let opened = self.deliveries.iter().filter(|row| is_of(row, NoticeEvent::Opened));
        let channels: Vec<_> = opened.map(|row| row.channel.clone()).collect();
        for channel in channels {
            self.add_delivery(channel, NoticeEvent::Recovered, event.id, (0, at, at + GATHER));
            if let Some(row) = self.deliveries.last_mut() {
                row.delivery.body = body(NoticeEvent::Recovered, event, Some(end));
            }
        }
        self.deliveries.retain(|row| !is_of(row, NoticeEvent::Repeated) || row.over().is_some());
    }

    /// Writes the call of an app's `ping_url` after a run that was closed, in the place of one that has not left.
    pub(super) fn note_ping(&mut self, (app, run): (AppId, RunId), closing: &Closing) {
        let Some(row) = self.apps.get(&app) else { return };
        let Some(url) = row.app.ping_url.as_ref().map(|url| url.reveal().to_owned()) else { return };
        let Some(said) = ping(&app.to_string(), &run.to_string(), closing) else { return };
        let of_app = format!("\"app\":\"{app}\"");
        let is_older = |row: &DeliveryRow| row.over().is_none() && row.delivery.body.contains(&of_app);
        self.deliveries.retain(|row| row.channel != PING_CHANNEL || !is_older(row));
        let body = format!("{},\"url\":{}}}", said.trim_end_matches('}'), serde_json::json!(url));
        self.last_delivery += 1;
        let delivery = Delivery {
            id: DeliveryId(self.last_delivery),
            kind: DeliveryKind::Ping.into(),
            event: None,
            alert: None,
            stage: 0,
            body,
            created: closing.ended,
            due: closing.ended,
            tries: 0,
        };
        self.deliveries.push(DeliveryRow::of(PING_CHANNEL, delivery));
    }

    fn add_delivery(
        &mut self,
        channel: String,
        event: NoticeEvent,
        alert: AlertId,
        (stage, created, due): (u32, Timestamp, Timestamp),
    ) {
        self.last_delivery += 1;
        self.deliveries.push(DeliveryRow {
            delivery: Delivery {
                id: DeliveryId(self.last_delivery),
                kind: DeliveryKind::Notification.into(),
                event: Some(event.into()),
                alert: None,
                stage,
                body: String::new(),
                created,
                due,
                tries: 0,
            },
            channel,
            alert: Some(alert),
            task: None,
            manager: None,
            last_error: None,
            delivered: None,
            given_up: None,
        });
    }

    /// When the first delivery of a channel is due.
    pub(super) fn next_of(&self, channel: &str) -> Option<Timestamp> {
        let waiting = self.deliveries.iter().filter(|row| row.over().is_none());
        waiting.filter(|row| row.channel == channel).map(|row| row.delivery.due).min()
    }

    fn due(&self, channel: &str, until: Timestamp) -> Vec<Delivery> {
        let is_due =
            |row: &&DeliveryRow| row.channel == channel && row.delivery.due <= until && row.over().is_none();
        let mut due: Vec<_> = self.deliveries.iter().filter(is_due).collect();
        due.sort_by_key(|row| (row.delivery.due, row.delivery.id));
        let with_alert = |row: &DeliveryRow| {
            let alert = self.alerts.iter().find(|alert| Some(alert.id) == row.alert);
            let path = |alert: &crate::model::AlertRow| {
                alert.subject.id().map_or_else(|| alert.subject.to_string(), |app| self.name_of(app))
            };
            Delivery { alert: alert.map(|alert| (self.owned(alert), path(alert))), ..row.delivery.clone() }
        };
        due.into_iter().take(DUE_MAX as usize).map(with_alert).collect()
    }

    fn settle_deliveries(&mut self, deliveries: &[DeliveryId], at: Timestamp, delivered: &Delivered) {
        let is_meant = |row: &DeliveryRow| deliveries.contains(&row.delivery.id) && row.over().is_none();
        let mut repeated = Vec::new();
        match delivered {
            Delivered::Sent { body, repeats } => {
                for row in self.deliveries.iter_mut().filter(|row| is_meant(row)) {
                    row.delivered = Some(at);
                    row.last_error = None;
                    let alert = self.alerts.iter_mut().find(|alert| Some(alert.id) == row.alert);
                    if let Some(alert) = alert {
                        if row.delivery.event != Some(NoticeEvent::Recovered.into()) {
                            alert.delivered.get_or_insert(at);
                        }
                        let due = repeats.iter().find(|(id, _)| *id == row.delivery.id);
                        if let Some((_, due)) = due.filter(|_| alert.closed.is_none()) {
                            let stage = row.delivery.stage + 1;
                            let event = row.delivery.body.replacen("\"opened\"", "\"repeated\"", 1);
                            repeated.push((row.channel.clone(), alert.id, stage, *due, event));
                        }
                    }
                    row.delivery.body = body.clone().unwrap_or_else(|| row.delivery.body.clone());
                }
            }
            Delivered::Failed { why, again } => {
                for row in self.deliveries.iter_mut().filter(|row| is_meant(row)) {
                    (row.last_error, row.delivery.due) = (Some(why.clone()), *again);
                }
            }
            Delivered::GivenUp { why } => {
                for row in self.deliveries.iter_mut().filter(|row| is_meant(row)) {
                    (row.last_error, row.given_up) = (Some(why.clone()), Some(at));
                }
            }
            Delivered::Needless => self.deliveries.retain(|row| !is_meant(row)),
        }
        for (channel, alert, stage, due, body) in repeated {
            self.add_delivery(channel, NoticeEvent::Repeated, alert, (stage, at, due));
            if let Some(row) = self.deliveries.last_mut() {
                row.delivery.body = body;
            }
        }
    }

    fn sent_since(&self, moment: Timestamp) -> Vec<SentMessage> {
        let mut sent = Vec::new();
        for row in &self.deliveries {
            let Some(at) = row.delivered.filter(|at| *at - moment > TimeDelta::zero()) else { continue };
            let alert = self.alerts.iter().find(|alert| Some(alert.id) == row.alert);
            let cause = alert.map_or_else(String::new, |alert| alert.cause.to_string());
            let message = SentMessage { channel: row.channel.clone(), cause, at };
            if !sent.contains(&message) {
                sent.push(message);
            }
        }
        sent.sort_by_key(|message| message.at);
        sent
    }
}

#[async_trait]
impl Deliveries for MemoryStore {
    fn set_routes(&self, routes: Vec<Route>) {
        self.write(|tables| tables.routes = routes);
    }

    async fn due_deliveries(&self, channel: String, until: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.read(|tables| tables.due(&channel, until)))
    }

    async fn next_delivery(&self, channel: String) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.read(|tables| tables.next_of(&channel)))
    }

    async fn waiting_channels(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.read(|tables| {
            let waiting = tables.deliveries.iter().filter(|row| row.over().is_none() && row.task.is_none());
            let channels: BTreeSet<_> = waiting.map(|row| row.channel.clone()).collect();
            channels.into_iter().collect()
        }))
    }

    async fn begin_deliveries(
        &self,
        deliveries: Vec<DeliveryId>,
        again: Timestamp,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        Ok(self.write(|tables| {
            let is_meant = |row: &&mut DeliveryRow| {
                deliveries.contains(&row.delivery.id) && row.delivered.is_none() && row.given_up.is_none()
            };
            let begun = tables.deliveries.iter_mut().filter(is_meant).map(|row| {
                (row.delivery.tries, row.delivery.due) = (row.delivery.tries + 1, again);
                row.delivery.id
            });
            begun.collect()
        }))
    }

    async fn settle_deliveries(
        &self,
        deliveries: Vec<DeliveryId>,
        at: Timestamp,
        delivered: Delivered,
    ) -> Result<(), StoreError> {
        self.write(|tables| tables.settle_deliveries(&deliveries, at, &delivered));
        Ok(())
    }

    async fn sent_since(&self, moment: Timestamp) -> Result<Vec<SentMessage>, StoreError> {
        Ok(self.read(|tables| tables.sent_since(moment)))
    }
}
