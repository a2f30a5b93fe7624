//! The console's hands: reads the database and logs, and enters commands. A thread with a small
//! event loop of its own, so that the screen never waits.

mod ask;
mod logs;
mod route;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};

use super::msg::Msg;
use super::request::Request;
use crate::model::{AppId, AppPath, CmdFlag, CmdName, CommandId, CommandSource, NewCommand, Revision};
use crate::process::{StateDir, clock};
use crate::store::{OperatorStore, StoreError, submit};

/// How often the database is asked without a hint.
const POLL: Duration = Duration::from_secs(1);

/// Changes are shown at most so often.
const CHANGES_EVERY: Duration = Duration::from_millis(100);

/// A manager whose heartbeat is older has ended.
const HEARTBEAT_MAX: TimeDelta = TimeDelta::seconds(15);

pub(super) struct Worker {
    pub(super) store: Arc<dyn OperatorStore>,
    pub(super) state: StateDir,
    pub(super) user: String,
    pub(super) messages: Sender<Msg>,
    pub(super) requests: UnboundedReceiver<Request>,
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
                    Some(Request::Submit { name, apps }) => self.submit(name, &apps, &mut sent).await,
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
        let read = self.store.time().await?;
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
        let live = managers
            .iter()
            .filter(|row| row.stopped.is_none() && read - row.heartbeat < HEARTBEAT_MAX)
            .count();
        messages.push(Msg::Managers(live));
        if !sent.is_empty() {
            let rows = self.store.commands(sent.clone()).await?;
            if rows.iter().all(|row| row.flag != CmdFlag::Pending) {
                sent.clear();
            }
            messages.push(Msg::Verdicts(rows));
        }
        Ok(messages)
    }

    async fn submit(&self, name: CmdName, apps: &[AppPath], sent: &mut Vec<CommandId>) -> Result<(), Gone> {
        let time = clock::wall();
        let commands = apps.iter().map(|path| NewCommand {
            app: AppId::of(path),
            name,
            args: None,
            by: self.user.clone(),
            source: CommandSource::Console,
            time,
            expires: None,
            batch: None,
            note: None,
        });
        let result = match submit(self.store.as_ref(), commands.collect()).await {
            Ok(ids) => {
                sent.clone_from(&ids);
                self.store.commands(ids).await
            }
            Err(error) => Err(error),
        };
        self.tell(Msg::Submitted(result.map_err(|error| error.to_string())))
    }
}
