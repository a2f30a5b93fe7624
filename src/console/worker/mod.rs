//! The console's hands: reads the database and logs, and enters commands. A thread with a small
//! event loop of its own, so that the screen never waits.

mod ask;
mod logs;
mod route;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};

use super::msg::Msg;
use super::request::{Request, Ticket};
use crate::model::{AppId, CmdFlag, CmdName, CommandId, CommandSource, NewCommand, Revision};
use crate::process::{StateDir, clock};
use crate::store::{OperatorStore, StoreError, submit};

/// How often the database is asked without a hint.
const POLL: Duration = Duration::from_secs(1);

/// Changes are shown at most so often.
const CHANGES_EVERY: Duration = Duration::from_millis(100);

pub(super) struct Worker {
    pub(super) store: Arc<dyn OperatorStore>,
    pub(super) state: StateDir,
    pub(super) user: String,
    pub(super) messages: Sender<Msg>,
    pub(super) requests: UnboundedReceiver<Request>,
    /// Tells the commands of this console from those of others.
    pub(super) session: String,
}

/// Commands that are to be entered into the ledger.
struct Submit {
    ticket: Ticket,
    name: CmdName,
    apps: Vec<AppId>,
    note: Option<String>,
}

/// The console has gone.
struct Gone;

impl Worker {
    /// Goes on until the console is gone.
    pub(super) async fn run(mut self) {
        let (watch, inbox) = unbounded_channel();
        let requests = std::mem::replace(&mut self.requests, inbox);
        let logs = route::spawn_logs(self.state.clone(), self.messages.clone());
        let router =
            route::Router { store: Arc::clone(&self.store), messages: self.messages.clone(), watch, logs };
        tokio::select! {
            () = router.run(requests) => {}
            () = self.watch() => {}
        }
    }

    /// Keeps up with the fleet and enters commands.
    async fn watch(mut self) {
        let mut changed = self.store.changed();
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut revision = Revision::default();
        let mut sent: Vec<CommandId> = Vec::new();
        loop {
            let result = tokio::select! {
                request = self.requests.recv() => match request {
                    Some(Request::Submit { ticket, name, apps, note }) => {
                        self.submit(Submit { ticket, name, apps, note }, &mut sent).await
                    }
                    Some(Request::Look) => self.look(&mut revision, &mut sent).await,
                    // These go other ways.
                    Some(Request::OpenLog(_) | Request::CloseLog | Request::Ask(..)) => Ok(()),
                    None => return,
                },
                Ok(()) = changed.changed() => {
                    let result = self.look(&mut revision, &mut sent).await;
                    tokio::time::sleep(CHANGES_EVERY).await;
                    result
                }
                _ = poll.tick() => self.look(&mut revision, &mut sent).await,
            };
            if result.is_err() {
                return;
            }
        }
    }

    fn tell(&self, msg: Msg) -> Result<(), Gone> {
        self.messages.send(msg).map_err(|_| Gone)
    }

    /// Reads what is new. A failure is told, and it is tried again with the next poll.
    async fn look(&self, revision: &mut Revision, sent: &mut Vec<CommandId>) -> Result<(), Gone> {
        match self.try_look(revision, sent).await {
            Ok(messages) => messages.into_iter().try_for_each(|msg| self.tell(msg)),
            Err(error) => self.tell(Msg::Lost(error.to_string())),
        }
    }

    async fn try_look(
        &self,
        revision: &mut Revision,
        sent: &mut Vec<CommandId>,
    ) -> Result<Vec<Msg>, StoreError> {
        let mut messages = Vec::new();
        let begin = clock::boot_time();
        let read = self.store.time().await?;
        messages.push(Msg::Latency(clock::boot_time().saturating_sub(begin)));
        loop {
            let delta = self.store.changes_since(*revision).await?;
            let more = delta.more;
            *revision = delta.revision;
            messages.push(Msg::Changes { delta, read });
            if !more {
                break;
            }
        }
        let managers = self.store.managers().await?;
        messages.push(Msg::Managers(managers));
        if !sent.is_empty() {
            let rows = self.store.commands(sent.clone()).await?;
            sent.retain(|id| rows.iter().any(|row| row.id == *id && row.flag == CmdFlag::Pending));
            messages.push(Msg::Verdicts(rows));
        }
        Ok(messages)
    }

    async fn submit(&self, order: Submit, sent: &mut Vec<CommandId>) -> Result<(), Gone> {
        let Submit { ticket, name, apps, note } = order;
        let time = clock::wall();
        // The same for all that one question led to, so that the ledger shows them together; a
        // repeated one is not entered twice.
        let batch = format!("{}-{}", self.session, ticket.0);
        let commands = apps.into_iter().map(|app| NewCommand {
            app,
            name,
            args: None,
            by: self.user.clone(),
            source: CommandSource::Console,
            time,
            expires: None,
            batch: Some(batch.clone()),
            note: note.clone(),
        });
        let result = match submit(self.store.as_ref(), commands.collect()).await {
            Ok(ids) => {
                sent.extend(&ids);
                self.store.commands(ids).await
            }
            Err(error) => Err(error),
        };
        self.tell(Msg::Submitted { ticket, result: result.map_err(|error| error.to_string()) })
    }
}
