//! What leaves by the broker: the rows of a channel of `deliveries`, published in batches.
//!
//! An [`Outlet`] takes up to 1,000 rows that are due, has [`Parcels`] make messages of them, publishes all of them at once,
//! and writes what became of them: in one transaction those that were confirmed, in one for each reason the others. Another
//! kind of thing that leaves by the broker is another implementation of [`Parcels`], and one more task beside the driver.
//! Who writes a row rings the outlet's bell; without that it is found within five seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::broker::{Broker, Message, Published};
use crate::model::{BrokerState, Delivered, Delivery, DeliveryId, Timestamp};
use crate::process::clock;
use crate::store::{Store, StoreError};

/// A try of which nothing is heard may be repeated after this: a batch takes 10 s at most.
const TRY_TAKES: TimeDelta = TimeDelta::seconds(60);

/// How often it is looked for rows though no bell was rung: another manager may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Between tries to reach a database that is away.
const RETRY: Duration = Duration::from_secs(2);

/// The pauses of a row that was not taken; each is twice as long as the one before.
const AGAIN_MIN: TimeDelta = TimeDelta::seconds(1);
const AGAIN_MAX: TimeDelta = TimeDelta::seconds(60);

/// What becomes of a row before it is published.
#[derive(Debug)]
pub(super) enum Parcel {
    /// It is published.
    Ready(Message),
    /// It is not, and this is written.
    Otherwise(Delivered),
}

/// What leaves by one channel.
#[async_trait]
pub(super) trait Parcels: Send + Sync {
    /// The channel in `deliveries`.
    fn channel(&self) -> &'static str;

    /// What becomes of each of these rows, in their order. The ids of the messages differ.
    async fn pack(&self, rows: &[Delivery], now: Timestamp) -> Result<Vec<Parcel>, StoreError>;

    /// What becomes of a row whose message no queue takes.
    fn returned(&self, row: &Delivery, why: String, now: Timestamp) -> Delivered;
}

/// Publishes what is due in one channel.
pub(super) struct Outlet<P> {
    pub(super) store: Arc<dyn Store>,
    pub(super) broker: Broker,
    pub(super) parcels: P,
    /// Rung when there may be something to publish.
    pub(super) bell: Arc<Notify>,
}

/// When there is more to do.
enum Next {
    /// At once.
    Now,
    /// When a row is due, if there is one.
    At(Option<Timestamp>),
}

impl<P: Parcels> Outlet<P> {
    /// Goes on until the manager ends. What is under way then is published again by the next manager.
    pub(super) async fn run(self) {
        let mut state = self.broker.state();
        loop {
            // What is due waits in its rows.
            if *state.borrow_and_update() != BrokerState::Connected {
                if state.changed().await.is_err() {
                    return std::future::pending().await;
                }
                continue;
            }
            let wait = match self.round().await {
                Ok(Next::Now) => continue,
                Ok(Next::At(next)) => {
                    let until = next.map(|next| (next - clock::wall()).to_std().unwrap_or_default());
                    until.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
                }
                Err(StoreError::Deposed | StoreError::Replaced) => return std::future::pending().await,
                Err(error) => {
                    tracing::debug!(%error, channel = self.parcels.channel(), "deliveries are looked for again");
                    RETRY
                }
            };
            tokio::select! {
                () = self.bell.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    async fn round(&self) -> Result<Next, StoreError> {
        let now = clock::wall();
        let channel = self.parcels.channel();
        let mut rows = self.store.due_deliveries(channel.to_owned(), now).await?;
        if rows.is_empty() {
            return Ok(Next::At(self.store.next_delivery(channel.to_owned()).await?));
        }
        let ids = rows.iter().map(|row| row.id).collect();
        let taken = self.store.begin_deliveries(ids, now + TRY_TAKES).await?;
        rows.retain(|row| taken.contains(&row.id));
        let parcels = self.parcels.pack(&rows, now).await?;
        let mut outcomes = Vec::with_capacity(rows.len());
        let mut messages = Vec::with_capacity(rows.len());
        let mut published = Vec::with_capacity(rows.len());
        for (row, parcel) in rows.iter().zip(parcels) {
            match parcel {
                Parcel::Ready(message) => {
                    messages.push(message);
                    published.push(row);
                }
                Parcel::Otherwise(delivered) => outcomes.push((row.id, delivered)),
            }
        }
        let answers = self.broker.publish(&messages).await;
        let at = clock::wall();
        for (row, answer) in published.into_iter().zip(answers) {
            outcomes.push((row.id, self.outcome(row, answer, at)));
        }
        for (ids, delivered) in grouped(outcomes) {
            self.settle(ids, at, delivered).await?;
        }
        Ok(Next::Now)
    }

    fn outcome(&self, row: &Delivery, answer: Published, now: Timestamp) -> Delivered {
        match answer {
            Published::Confirmed => Delivered::Sent { body: None, repeats: Vec::new() },
            Published::Returned(why) => self.parcels.returned(row, why, now),
            Published::Unknown(why) => Delivered::Failed { why, again: now + again_after(row.tries) },
        }
    }

    /// Writes what became of rows, until it is written: before that they must not be published again.
    async fn settle(
        &self,
        ids: Vec<DeliveryId>,
        at: Timestamp,
        delivered: Delivered,
    ) -> Result<(), StoreError> {
        loop {
            match self.store.settle_deliveries(ids.clone(), at, delivered.clone()).await {
                Err(error @ (StoreError::Deposed | StoreError::Replaced)) => return Err(error),
                Err(_) => sleep(RETRY).await,
                Ok(()) => return Ok(()),
            }
        }
    }
}

/// How long a row waits that was tried so often without success.
pub(super) fn again_after(tries: u32) -> TimeDelta {
    AGAIN_MIN.checked_mul(1 << tries.min(10)).unwrap_or(AGAIN_MAX).min(AGAIN_MAX)
}

/// The rows of which the same is to be written.
fn grouped(outcomes: Vec<(DeliveryId, Delivered)>) -> Vec<(Vec<DeliveryId>, Delivered)> {
    let mut groups: Vec<(Vec<DeliveryId>, Delivered)> = Vec::new();
    let mut places = BTreeMap::new();
    for (id, delivered) in outcomes {
        let place = *places.entry(format!("{delivered:?}")).or_insert_with(|| {
            groups.push((Vec::new(), delivered));
            groups.len() - 1
        });
        groups[place].0.push(id);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_same_fate_are_written_together() {
        let sent = || Delivered::Sent { body: None, repeats: Vec::new() };
        let gone = |why: &str| Delivered::GivenUp { why: why.to_owned() };
        let outcomes = vec![
            (DeliveryId(1), sent()),
            (DeliveryId(2), gone("a")),
            (DeliveryId(3), sent()),
            (DeliveryId(4), gone("b")),
        ];
        assert_eq!(
            grouped(outcomes),
            [
                (vec![DeliveryId(1), DeliveryId(3)], sent()),
                (vec![DeliveryId(2)], gone("a")),
                (vec![DeliveryId(4)], gone("b"))
            ]
        );
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<_> = [0, 1, 5, 6, 7, u32::MAX].map(|tries| again_after(tries).num_seconds()).into();
        assert_eq!(pauses, [1, 2, 32, 60, 60, 60]);
    }
}
