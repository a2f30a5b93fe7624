//! Settings that a running manager takes as they change.

use tokio::sync::watch;

use crate::model::Retention;
use crate::notify::NotifySettings;
use crate::process::LogLimits;

/// What may change while a manager runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// At most so many apps run at once on this host.
    pub running_max: Option<u32>,
    /// What the logs of apps may take.
    pub logs: LogLimits,
    /// How long history is kept.
    pub retention: Retention,
    /// Where notifications go.
    pub notify: NotifySettings,
    /// Variables of the environment that hold secrets, and that apps do not get.
    pub withheld: Vec<String>,
}

/// Waits until the settings change; for ever where nobody can change them.
pub(super) async fn changed(live: &mut watch::Receiver<Live>) {
    if live.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
