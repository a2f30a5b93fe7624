//! Apps out of the files of other tools: supervisord, cron, pm2 and systemd. Each importer is a function of a text and of
//! what a [`Host`] tells; nothing is registered here.
//!
//! What a tool would do and dcm does not do is told by a [`Note`] for each line, and a file that its own tool would refuse is
//! refused with every [`Fault`]. A draft names the app as the file does; its path is settled by [`names::settle`], which knows
//! what was imported before.

mod cron;
mod draft;
mod expand;
mod glob;
mod host;
mod ini;
mod key_values;
#[cfg(test)]
mod mutated;
pub mod names;
mod pm2;
mod supervisor;
mod systemd;
#[cfg(test)]
mod testing;
mod words;

pub use draft::{At, Draft, FAULTS_MAX, Fault, Imported, Note, Report, Source};
pub use host::Host;

/// A tool whose files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `supervisord.conf` and what it includes.
    Supervisor,
    /// The table of a user; `is_system`: with a user before each command, as `/etc/crontab` has it.
    Cron {
        /// Whether a user stands before each command.
        is_system: bool,
    },
    /// `ecosystem.json`.
    Pm2,
    /// A service or a timer, with its partner and the drop-ins beside it.
    Systemd,
}

impl Tool {
    /// The name of the tool, which is the group of its apps unless another is given.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Cron { .. } => "cron",
            Self::Pm2 => "pm2",
            Self::Systemd => "systemd",
        }
    }

    /// Reads a file of the tool.
    ///
    /// # Errors
    /// Every fault of the file, in the order of lines.
    pub fn read(self, source: &Source<'_>, host: &dyn Host) -> Result<Imported, Vec<Fault>> {
        let mut report = Report::default();
        let drafts = match self {
            Self::Supervisor => supervisor::read(source, host, &mut report),
            Self::Cron { is_system } => cron::read(source, is_system, host, &mut report),
            Self::Pm2 => pm2::read(source, host, &mut report),
            Self::Systemd => systemd::read(source, host, &mut report),
        };
        report.into_result(drafts)
    }
}
