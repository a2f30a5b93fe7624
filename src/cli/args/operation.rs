//! The arguments of commands that look after managers, channels, settings and the database.

use std::path::PathBuf;

use clap::Subcommand;

use super::values::parse_schema;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ManagersCommand {
    /// List the managers, with the apps that they have.
    List,
    /// Exit with 0 if the manager of this state directory works, else with 1: for the health check of a container.
    Check,
    /// Let a manager start nothing new, and give its apps to others as they come to rest.
    Drain {
        /// Its name.
        name: String,
    },
    /// End the draining.
    Resume {
        /// Its name.
        name: String,
    },
    /// Give the apps of a manager whose host is dead to others.
    Takeover {
        /// Its name.
        name: String,

        /// Those too whose failover is never.
        #[arg(long)]
        pinned: bool,

        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum NotifyCommand {
    /// List the channels that [notify] of the configuration file sets up, without their secrets.
    List,
    /// Send a message to a channel now, and say what became of it.
    Test {
        /// Its name, as in [notify.NAME].
        channel: String,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ConfigCommand {
    /// Name every fault of the configuration file with its line; exit code 2 if there is one.
    Check,
    /// Show the values that are in force, and where each comes from; secrets are masked.
    Show {
        /// A setting (limits.running), or a table of them (limits).
        key: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DbCommand {
    /// Create the database, or bring it to the version of this program.
    Migrate {
        /// Begin with an empty fleet though there was one in this state directory, whose database is lost.
        #[arg(long)]
        empty: bool,
    },
    /// Look for damage.
    Check,
    /// Delete old rows of history now, as the settings of [retention] say.
    Prune {
        /// Only say how many rows would go.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print what makes the roles of a fleet on PostgreSQL, for a superuser's psql.
    Roles {
        /// Where the tables are, or shall be.
        #[arg(long, value_name = "NAME", default_value = "dcm", value_parser = parse_schema)]
        schema: String,
    },
    /// Move a fleet to another, empty database; no manager may run meanwhile.
    Copy {
        /// sqlite:PATH or postgres://...
        #[arg(value_name = "SOURCE")]
        source: String,
        /// sqlite:PATH or postgres://...
        #[arg(value_name = "DESTINATION")]
        destination: String,
    },
    /// Write a consistent copy while others go on writing.
    Backup {
        /// The new file.
        target: PathBuf,
    },
}
