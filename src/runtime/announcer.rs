//! Tells the service manager of the host how the manager is doing: that it is ready, how many apps run, and that its loop
//! turns. A loop that does not turn is silent, whatever else works in this process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::Load;
use crate::process::{ServiceManager, clock};

/// The shortest time between two changes of the status: each is a signal on the bus of the host.
const STATUS_EVERY: Duration = Duration::from_secs(2);

/// Who is told, if anybody wants to hear.
pub(super) struct Announcer {
    service: Option<Arc<ServiceManager>>,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    is_ready: bool,
    status: String,
    status_at: Option<Duration>,
    alive_at: Option<Duration>,
    /// The fault that was logged last; the same one is logged once.
    fault: Option<std::io::ErrorKind>,
}

impl Announcer {
    pub(super) fn new(service: Option<Arc<ServiceManager>>) -> Self {
        Self { service, said: Mutex::default() }
    }

    /// How long the loop may sleep without seeming to hang: a quarter of what the watchdog allows.
    pub(super) fn nap(&self) -> Duration {
        let watchdog = self.service.as_ref().and_then(|service| service.watchdog());
        watchdog.map_or(Duration::MAX, |watchdog| watchdog / 4)
    }

    /// The loop has turned: a step was decided and handed out.
    pub(super) fn turned(&self, apps: usize, load: Load) {
        let Some(service) = &self.service else { return };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.is_ready {
            said.is_ready = said.note(service.ready());
        }
        self.alive(service, &mut said);
        said.tell(service, status(apps, load));
    }

    /// The loop has looked again for what it waits for.
    pub(super) fn waits(&self, what: &str) {
        let Some(service) = &self.service else { return };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        self.alive(service, &mut said);
        said.tell(service, format!("waits for {what}"));
    }

    /// At half of the watchdog's time at the latest, as it is recommended.
    fn alive(&self, service: &ServiceManager, said: &mut Said) {
        let Some(watchdog) = service.watchdog() else { return };
        let now = clock::boot_time();
        let is_due =
            said.alive_at.is_none_or(|before| now.saturating_sub(before) + self.nap() >= watchdog / 2);
        if is_due && said.note(service.alive()) {
            said.alive_at = Some(now);
        }
    }
}

impl Said {
    /// Says what has changed, now or at a later turn.
    fn tell(&mut self, service: &ServiceManager, status: String) {
        let now = clock::boot_time();
        let may = self.status_at.is_none_or(|before| now.saturating_sub(before) >= STATUS_EVERY);
        if may && self.status != status && self.note(service.status(&status)) {
            self.status = status;
            self.status_at = Some(now);
        }
    }

    /// Whether it was taken. What was not is said again at the next turn.
    fn note(&mut self, result: std::io::Result<()>) -> bool {
        match result {
            Ok(()) => {
                self.fault = None;
                true
            }
            Err(error) => {
                if self.fault.replace(error.kind()) != Some(error.kind()) {
                    tracing::warn!(%error, "the service manager (NOTIFY_SOCKET) does not take messages; it is tried again");
                }
                false
            }
        }
    }
}

fn status(apps: usize, load: Load) -> String {
    let plural = if apps == 1 { "" } else { "s" };
    let waiting = if load.waiting > 0 { format!(", {} waiting", load.waiting) } else { String::new() };
    format!("{apps} app{plural}, {} running{waiting}", load.running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_counts_what_there_is() {
        let load = |running, waiting| Load { running, waiting, ..Load::default() };
        assert_eq!(status(812, load(41, 0)), "812 apps, 41 running");
        assert_eq!(status(1, load(0, 3)), "1 app, 0 running, 3 waiting");
    }
}
