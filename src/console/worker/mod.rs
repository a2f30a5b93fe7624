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
use tokio::time::{Instant, sleep_until};

use super::msg::Msg;
use super::request::{Request, Ticket};
use super::world::POLL;
use crate::model::{AppId, CmdFlag, CmdName, CommandId, CommandSource, NewCommand, Revision, Timestamp};
use crate::process::{StateDir, clock};
use crate::store::{OperatorStore, StoreError, submit};

/// A hint is followed so soon after the last look; one after the other, or where much changes, only
/// each second, unless a verdict is waited for.
const HINT_GAP: Duration = Duration::from_millis(100);
const HINTS_GAP: Duration = Duration::from_secs(1);

/// Runs that began within it are counted.
const MINUTE: TimeDelta = TimeDelta::seconds(60);

/// What changes slowly is asked for so often: how far its clock is ahead, and who serves it.
const SLOW_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Worker {
    pub(super) store: Arc<dyn OperatorStore>,
    pub(super) state: StateDir,
    pub(super) user: String,
    pub(super) messages: Sender<Msg>,
    pub(super) requests: UnboundedReceiver<Request>,
    /// Tells the commands of this console from those of others.
    pub(super) session: String,
}

/// What is known of the database.
#[derive(Default)]
struct Known {
    revision: Revision,
    /// Commands of this console without a verdict.
    sent: Vec<CommandId>,
    /// Its time, and when it was asked, since boot.
    clock: Option<(Duration, Timestamp)>,
    has_manager: bool,
    /// The last look followed a hint.
    was_hinted: bool,
}

impl Known {
    fn gap(&self) -> Duration {
        if self.was_hinted && self.sent.is_empty() { HINTS_GAP } else { HINT_GAP }
    }

    /// The time of the database, as long as it need not be asked.
    fn time(&self, now: Duration) -> Option<Timestamp> {
        let (asked, time) = self.clock?;
        let age = now.saturating_sub(asked);
        (self.has_manager && age < SLOW_EVERY).then(|| time + age)
    }
}

/// Whether the store has hinted that something is new.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hint {
    Awaited,
    Heard,
    /// There will be none.
    Gone,
}

impl Hint {
    fn after_look(self) -> Self {
        if self == Self::Gone { self } else { Self::Awaited }
    }
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
        let mut known = Known::default();
        let (mut pace, mut looked) = (POLL, Instant::now());
        let mut hint = Hint::Awaited;
        if self.look(&mut known).await.is_err() {
            return;
        }
        loop {
            let gap = match hint {
                Hint::Heard if pace == POLL => known.gap(),
                Hint::Heard | Hint::Awaited | Hint::Gone => pace,
            };
            let result = tokio::select! {
                request = self.requests.recv() => match request {
                    Some(Request::Submit { ticket, name, apps, note }) => {
                        self.submit(Submit { ticket, name, apps, note }, &mut known.sent).await
                    }
                    Some(Request::Look) => self.look(&mut known).await,
                    Some(Request::Pace(wanted)) => {
                        pace = wanted;
                        Ok(())
                    }
                    // These go other ways.
                    Some(Request::OpenLog(_) | Request::CloseLog | Request::Ask(..)) => Ok(()),
                    None => return,
                },
                news = changed.changed(), if hint == Hint::Awaited => {
                    hint = if news.is_ok() { Hint::Heard } else { Hint::Gone };
                    Ok(())
                }
                () = sleep_until(looked + gap) => {
                    known.was_hinted = hint == Hint::Heard;
                    (looked, hint) = (Instant::now(), hint.after_look());
                    self.look(&mut known).await
                }
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
    async fn look(&self, known: &mut Known) -> Result<(), Gone> {
        match self.try_look(known).await {
            Ok(messages) => messages.into_iter().try_for_each(|msg| self.tell(msg)),
            Err(error) => {
                known.clock = None;
                self.tell(Msg::Lost(error.to_string()))
            }
        }
    }

    async fn try_look(&self, known: &mut Known) -> Result<Vec<Msg>, StoreError> {
        let mut messages = Vec::new();
        let begin = clock::boot_time();
        let read = match known.time(begin) {
            Some(time) => time,
            None => {
                let time = self.store.time().await?;
                messages.push(Msg::Latency(clock::boot_time().saturating_sub(begin)));
                let managers = self.store.managers().await?;
                known.has_manager = managers.iter().any(|manager| manager.is_live(time));
                messages.push(Msg::Managers(managers));
                messages.push(Msg::Begun(self.store.begun_since(time - MINUTE).await?));
                known.clock = Some((begin, time));
                time
            }
        };
        loop {
            let delta = self.store.changes_since(known.revision).await?;
            let more = delta.more;
            known.revision = delta.revision;
            messages.push(Msg::Changes { delta, read });
            if !more {
                break;
            }
        }
        if !known.sent.is_empty() {
            let rows = self.store.commands(known.sent.clone()).await?;
            known.sent.retain(|id| rows.iter().any(|row| row.id == *id && row.flag == CmdFlag::Pending));
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
        self.tell(Msg::Submitted { ticket, result })
    }
}
