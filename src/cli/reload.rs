//! SIGHUP: the settings are read again while the manager runs. Whatever they hold, the manager goes on.

use tokio::sync::watch;

use super::error::Error;
use super::headless::live;
use super::logging::Filters;
use super::session::Session;
use crate::config::{Changes, Flags, Settings, env};
use crate::runtime::Live;

/// Reads the settings again, and passes on what has changed.
pub(super) struct Reloader {
    flags: Flags,
    /// Those in force.
    settings: Settings,
    live: watch::Sender<Live>,
    filters: Filters,
}

impl Reloader {
    pub(super) fn new(session: &Session, live: watch::Sender<Live>, filters: Filters) -> Self {
        Self { flags: session.flags.clone(), settings: session.settings.clone(), live, filters }
    }

    /// Reads them, and says in the log what became of it.
    pub(super) fn reload(&mut self) {
        let (settings, faults) =
            Settings::examine(self.flags.clone(), env::get, &mut |warning| tracing::warn!("{warning}"));
        for fault in &faults {
            tracing::warn!("wrong setting: {fault}");
        }
        let taken = match settings {
            Ok(_) if !faults.is_empty() => Err(Error::usage(format!("{} wrong settings", faults.len()))),
            Ok(settings) => self.take(settings),
            Err(error) => Err(error.into()),
        };
        match taken {
            Ok(Changes { live, at_start }) => {
                if !at_start.is_empty() {
                    tracing::warn!(
                        settings = at_start.join(", "),
                        "changed settings that take effect when the manager is started again (dcm service restart)"
                    );
                }
                if !live.is_empty() {
                    tracing::info!(
                        settings = live.join(", "),
                        "SIGHUP: the settings were read again; these have changed"
                    );
                } else if at_start.is_empty() {
                    tracing::info!("SIGHUP: the settings were read again; nothing has changed");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "SIGHUP: the settings stay as they were; dcm config check shows what is wrong");
            }
        }
    }

    fn take(&mut self, settings: Settings) -> Result<Changes, Error> {
        let changes = self.settings.changes(&settings);
        let mut taken = self.settings.clone();
        taken.take_live(settings);
        taken.notify.clone()?;
        let live = live(&taken);
        if taken.log_level != self.settings.log_level {
            self.filters.set(&taken.log_level)?;
        }
        self.settings = taken;
        self.live.send_if_modified(|before| {
            let differs = *before != live;
            *before = live;
            differs
        });
        Ok(changes)
    }
}
