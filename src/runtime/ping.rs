//! The dead man's switch: an address that is called for each minute in which the manager worked. A service such as
//! Healthchecks tells people when the calls stop, also when this host is gone.
//!
//! The calls are no rows of `deliveries`: one that is sent later would say that all is well when it is not.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::notify::{Beat, NotifySettings, Pinger, Undelivered};

/// How long a manager must have worked for a call.
const EVERY: Duration = Duration::from_secs(60);

/// What shows that a manager works. It counts up.
#[derive(Debug, Default)]
pub(super) struct Work {
    turns: AtomicU64,
    renewals: AtomicU64,
}

impl Work {
    /// The loop of the manager has turned.
    pub(super) fn turned(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// The database has taken a sign of life: without it nothing is started.
    pub(super) fn renewed(&self) {
        self.renewals.fetch_add(1, Ordering::Relaxed);
    }

    fn counted(&self) -> [u64; 2] {
        [&self.turns, &self.renewals].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Starts the thread that calls, which ends when what is given back is dropped.
pub(super) fn start(settings: &NotifySettings, name: &str, work: &Arc<Work>) -> Option<Sender<Infallible>> {
    let url = settings.ping_url.clone()?;
    let (end, ended) = channel();
    let (work, text) = (Arc::clone(work), format!("manager {name} works"));
    let thread = std::thread::Builder::new().name("dcm-ping".to_owned()).spawn(move || {
        let pinger = Pinger::default();
        watch(&work, EVERY, &ended, || pinger.ping(&url, Beat::Good, &text));
    });
    match thread {
        Ok(_) => Some(end),
        Err(error) => {
            tracing::error!(%error, "cannot start the thread that calls notify.ping_url");
            None
        }
    }
}

/// Calls after each period in which there was work. What changes is logged, and not each call.
fn watch(
    work: &Work,
    every: Duration,
    ended: &Receiver<Infallible>,
    call: impl Fn() -> Result<(), Undelivered>,
) {
    let mut before = work.counted();
    let mut said = None;
    while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        let now = work.counted();
        let has_worked = before.iter().zip(&now).all(|(before, now)| before < now);
        before = now;
        if !has_worked {
            if said.replace("no work") != Some("no work") {
                tracing::warn!("notify.ping_url is not called: the manager has not worked for a minute");
            }
            continue;
        }
        match (call(), said) {
            (Ok(()), None) => {}
            (Ok(()), Some(_)) => {
                said = None;
                tracing::info!("notify.ping_url is called again");
            }
            (Err(_), Some("failed")) => {}
            (Err(error), _) => {
                said = Some("failed");
                tracing::warn!(%error, "cannot call notify.ping_url; it is tried again each minute");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_without_work_is_not_called_for() {
        let work = Work::default();
        let (end, ended) = channel();
        let (called, is_called) = channel();
        std::thread::scope(|scope| {
            let work = &work;
            scope.spawn(move || {
                watch(work, Duration::from_millis(1), &ended, || {
                    let _ = called.send(());
                    Err(Undelivered { why: "refused".to_owned(), retry_after: None })
                });
            });
            // Turns alone are no work while the database is away.
            for _ in 0..20 {
                work.turned();
                assert!(is_called.recv_timeout(Duration::from_millis(2)).is_err());
            }
            // The thread that failed to call goes on. It may look between a turn and a renewal, so there are many.
            for _ in 0..2 {
                let is_seen = (0..30_000).any(|_| {
                    work.turned();
                    work.renewed();
                    is_called.recv_timeout(Duration::from_millis(1)).is_ok()
                });
                assert!(is_seen);
            }
            drop(end);
        });
    }
}
