//! The arguments of `dcm service`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::service::Scope;

/// Whose service is meant.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::cli) struct ServiceScope {
    /// The service of this user instead of that of the host.
    #[arg(long)]
    pub(in crate::cli) user: bool,
}

impl ServiceScope {
    pub(in crate::cli) fn scope(self) -> Scope {
        if self.user { Scope::User } else { Scope::Host }
    }
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ServiceCommand {
    /// Write the unit, and let it start with the host. The flags and variables of this call (database, state directory,
    /// configuration file, name, VIRTUAL_ENV) are those of the service; passwords are refused.
    Install(ServiceInstallArgs),
    /// Stop the manager, and remove the unit; apps run on, and nothing of the fleet is lost.
    Uninstall {
        #[command(flatten)]
        scope: ServiceScope,

        /// Remove a unit that was edited by hand too; a copy stays beside it.
        #[arg(long)]
        force: bool,
    },
    /// Start the manager.
    Start {
        #[command(flatten)]
        scope: ServiceScope,
    },
    /// Stop the manager; apps run on.
    Stop {
        #[command(flatten)]
        scope: ServiceScope,
    },
    /// Stop the manager and start it; apps run on.
    Restart {
        #[command(flatten)]
        scope: ServiceScope,
    },
    /// Show how the service stands, and the manager's own row in the database.
    Status {
        #[command(flatten)]
        scope: ServiceScope,
    },
    /// Print the unit that install writes; each line has its reason beside it.
    Print(ServicePrintArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ServiceInstallArgs {
    #[command(flatten)]
    pub(in crate::cli) print: ServicePrintArgs,

    /// Replace a unit that was edited by hand; a copy stays beside it.
    #[arg(long)]
    pub(in crate::cli) force: bool,

    /// Start the manager too.
    #[arg(long)]
    pub(in crate::cli) now: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ServicePrintArgs {
    #[command(flatten)]
    pub(in crate::cli) scope: ServiceScope,

    /// Where apps begin that name no working directory, for the default command the folder that holds apps/.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) cwd: Option<PathBuf>,
}
