//! How a manager is asked to end.

use tokio::sync::watch;

/// Asks a manager to end, or waits until it is asked to.
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<Request>);

/// How urgently a manager is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Request {
    None,
    Stop,
    /// Apps that end with it have no more time.
    Kill,
}

impl Stop {
    /// Not asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(Request::None))
    }

    /// Asks.
    pub fn ask(&self) {
        self.raise(Request::Stop);
    }

    /// Asks it to end at once: apps that end with it are killed.
    pub fn kill(&self) {
        self.raise(Request::Kill);
    }

    fn raise(&self, to: Request) {
        self.0.send_modify(|request| *request = to.max(*request));
    }

    /// Comes back when asked.
    pub async fn asked(&self) {
        self.reached(Request::Stop).await;
    }

    /// Comes back when it is to end at once.
    pub(super) async fn asked_to_kill(&self) {
        self.reached(Request::Kill).await;
    }

    async fn reached(&self, least: Request) {
        let mut receiver = self.0.subscribe();
        // The sender is in `self`, so it cannot be gone.
        let _ = receiver.wait_for(|request| *request >= least).await;
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}
