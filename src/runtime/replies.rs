//! Answers to commands that came as messages.

use async_trait::async_trait;
use chrono::TimeDelta;
use serde::Deserialize;

use super::outlet::{Parcel, Parcels};
use crate::broker::Message;
use crate::model::{Delivered, Delivery, REPLY_CHANNEL, Timestamp};
use crate::store::StoreError;

/// How long an answer is of use: after that no sender waits for it.
const AWAITED_FOR: TimeDelta = TimeDelta::days(1);

/// What a trigger has written into the row of an answer.
#[derive(Deserialize)]
struct Body {
    reply_to: String,
    correlation_id: Option<String>,
    reply: serde_json::Value,
}

/// The answers of a manager.
pub(super) struct Replies;

#[async_trait]
impl Parcels for Replies {
    fn channel(&self) -> &'static str {
        REPLY_CHANNEL
    }

    async fn pack(&self, rows: &[Delivery], now: Timestamp) -> Result<Vec<Parcel>, StoreError> {
        Ok(rows.iter().map(|row| pack(row, now)).collect())
    }

    fn returned(&self, _row: &Delivery, why: String, _now: Timestamp) -> Delivered {
        // The sender is gone, and its queue with it.
        Delivered::GivenUp { why }
    }
}

fn pack(row: &Delivery, now: Timestamp) -> Parcel {
    let never = |why: String| Parcel::Otherwise(Delivered::GivenUp { why });
    if now - row.created >= AWAITED_FOR {
        return never("the broker was away for a day".to_owned());
    }
    match serde_json::from_str::<Body>(&row.body) {
        Ok(Body { reply_to, correlation_id, reply }) => {
            let id = format!("reply-{}", row.id.0);
            let message = Message::to_queue(&reply_to, &id, reply.to_string().into_bytes());
            Parcel::Ready(Message { correlation_id, ..message })
        }
        Err(error) => never(format!("its row cannot be read: {error}")),
    }
}
