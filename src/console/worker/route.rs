//! Gives each request to the one who deals with it, so that none waits for another: the fleet, the
//! questions of screens, the logs.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

use super::{ask, logs};
use crate::console::msg::Msg;
use crate::console::request::{LogQuery, Request};
use crate::process::StateDir;
use crate::store::OperatorStore;

/// So many questions are put to the database at once; the screens ask one at a time.
const ASKED_MAX: usize = 8;

pub(super) struct Router {
    pub(super) store: Arc<dyn OperatorStore>,
    pub(super) messages: Sender<Msg>,
    /// Who keeps up with the fleet.
    pub(super) watch: UnboundedSender<Request>,
    /// Who reads the logs; `None` closes them.
    pub(super) logs: Sender<Option<LogQuery>>,
}

impl Router {
    /// Goes on until the console is gone.
    pub(super) async fn run(self, mut requests: UnboundedReceiver<Request>) {
        let mut asked = JoinSet::new();
        while let Some(request) = requests.recv().await {
            // Whoever does not listen any more has ended with the console.
            let _ = match request {
                Request::OpenLog(query) => self.logs.send(Some(query)).is_ok(),
                Request::CloseLog => self.logs.send(None).is_ok(),
                Request::Ask(ticket, question) => {
                    if asked.len() >= ASKED_MAX {
                        let _ = asked.join_next().await;
                    }
                    while asked.try_join_next().is_some() {}
                    let (store, messages) = (Arc::clone(&self.store), self.messages.clone());
                    asked.spawn(async move {
                        let answer = ask::ask(store.as_ref(), question).await;
                        let _ = messages.send(Msg::Answer { ticket, answer });
                    });
                    true
                }
                other @ (Request::Submit { .. } | Request::Look | Request::Pace(_)) => {
                    self.watch.send(other).is_ok()
                }
            };
        }
    }
}

/// Starts the thread that reads logs. It ends when nobody can ask it any more.
pub(super) fn spawn_logs(state: StateDir, messages: Sender<Msg>) -> Sender<Option<LogQuery>> {
    let (sender, wishes) = channel();
    let spawned = std::thread::Builder::new()
        .name("dcm-logs".to_owned())
        .spawn(move || logs::serve(&state, &wishes, &messages));
    if let Err(error) = spawned {
        tracing::warn!(%error, "logs cannot be read");
    }
    sender
}
