//! Commands that come as messages, in memory.

use async_trait::async_trait;
use serde_json::json;

use super::deliveries::DeliveryRow;
use super::ledger::LedgerRow;
use super::{MemoryStore, Tables};
use crate::model::{
    BrokerState, CmdFlag, CommandId, Delivery, DeliveryId, DeliveryKind, REPLY_CHANNEL, Reason, Received,
    Request, Timestamp, Verdict, format_timestamp,
};
use crate::store::requests::NOT_HERE_AFTER;
use crate::store::{Requests, StoreError};

impl Tables {
    fn enter_request(&mut self, request: &Request) -> Received {
        let known = self
            .commands
            .iter_mut()
            .find(|row| row.request.as_ref().is_some_and(|known| known.id == request.id));
        if let Some(row) = known {
            let id = row.command.id;
            let Some(known) = &mut row.request else { return Received::NotHere };
            if request.is_broadcast && known.received_by != request.received_by {
                return Received::NotHere;
            }
            known.reply_to.clone_from(&request.reply_to);
            known.correlation_id.clone_from(&request.correlation_id);
            self.answer(id);
            return Received::Again(id);
        }
        let is_there = self.app(request.command.app).is_some();
        let id = self.submit(&request.command);
        if let Some(row) = self.commands.last_mut() {
            row.request = Some(request.clone());
        }
        let now = self.time;
        if !is_there {
            self.settle(id, &Verdict::NotExecuted(Reason::NoSuchApp), now);
            if request.is_broadcast
                && request.reply_to.is_some()
                && let Some(answer) = self.deliveries.last_mut()
            {
                answer.put_off(now + NOT_HERE_AFTER);
            }
        } else if request.command.expires.is_some_and(|expires| expires < now) {
            self.settle(id, &Verdict::NotExecuted(Reason::Expired), now);
        }
        Received::New(id)
    }

    /// Writes the answer to a command that came as a message, if it has a verdict and one is awaited.
    pub(super) fn answer(&mut self, id: CommandId) {
        let Some(row) = self.commands.iter().find(|row| row.command.id == id) else { return };
        let (Some(request), Some((verdict, at))) = (&row.request, &row.verdict) else { return };
        let Some(reply_to) = &request.reply_to else { return };
        let body = body(row, request, reply_to, (verdict, *at));
        let (created, due) = (self.time, self.time);
        self.last_delivery += 1;
        let delivery = Delivery {
            id: DeliveryId(self.last_delivery),
            kind: DeliveryKind::Reply.into(),
            event: None,
            alert: None,
            stage: 0,
            body,
            created,
            due,
            tries: 0,
        };
        self.deliveries.push(DeliveryRow::of(REPLY_CHANNEL, delivery));
    }
}

/// What the triggers of the other databases write.
fn body(row: &LedgerRow, request: &Request, reply_to: &str, (verdict, at): (&Verdict, Timestamp)) -> String {
    let word = if verdict.flag() == CmdFlag::Executed { "EXECUTED" } else { "NOT_EXECUTED" };
    let reply = json!({
        "id": request.id,
        "app": request.asked,
        "command": row.command.name.word(),
        "verdict": word,
        "reason": verdict.reason().map(ToString::to_string),
        "cmd_exec": format_timestamp(at),
    });
    json!({ "reply_to": reply_to, "correlation_id": request.correlation_id, "reply": reply }).to_string()
}

#[async_trait]
impl Requests for MemoryStore {
    async fn enter_request(&self, request: Request) -> Result<Received, StoreError> {
        Ok(self.write(|tables| tables.enter_request(&request)))
    }

    async fn note_broker(&self, state: Option<BrokerState>) -> Result<(), StoreError> {
        self.write(|tables| tables.update_seat(|row, _| row.broker = state.map(|state| state.to_string())));
        Ok(())
    }

    async fn note_dead_letter(&self) -> Result<(), StoreError> {
        self.write(|tables| tables.update_seat(|row, _| row.dead_letters += 1));
        Ok(())
    }
}
