//! `dcm app import`.

use std::path::PathBuf;

use clap::Args;

use crate::model::Part;

/// What a file of `dcm app import` is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Origin {
    /// [[app]] tables, as dcm app export prints them
    Toml,
    /// supervisord.conf and what it includes
    Supervisor,
    /// A table of cron
    Cron,
    /// ecosystem.json of pm2
    Pm2,
    /// A unit .service or .timer, with its partner and the drop-ins beside it
    Systemd,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub(in crate::cli) struct ImportArgs {
    /// A file with [[app]] tables, or one of another tool; - for standard input.
    pub(in crate::cli) file: PathBuf,

    /// What the file is of. What dcm cannot do as the tool does is named, line by line; new apps are disabled unless
    /// --enable is given, so that nothing runs twice.
    #[arg(long, value_name = "TOOL", default_value = "toml")]
    pub(in crate::cli) from: Origin,

    /// The group of the apps of another tool, instead of its name.
    #[arg(long, value_name = "GROUP")]
    pub(in crate::cli) group: Option<Part>,

    /// Read a table of cron with a user before each command, as /etc/crontab and /etc/cron.d have it.
    #[arg(long)]
    pub(in crate::cli) system: bool,

    /// Say what would be added, changed and removed, and do nothing.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,

    /// Remove apps that came from the same file and are not in it any more, unless they run.
    #[arg(long)]
    pub(in crate::cli) prune: bool,

    /// Enable registered apps where the file says enabled = true, also those that a person has disabled; with --from, all
    /// that the tool starts by itself.
    #[arg(long)]
    pub(in crate::cli) enable: bool,

    /// Do not ask before apps are removed.
    #[arg(long, short)]
    pub(in crate::cli) yes: bool,
}
