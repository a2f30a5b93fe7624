//! The arguments of `dcm demo`.

use std::path::PathBuf;

use clap::Args;

use super::values::parse_seconds;

#[derive(Debug, Args)]
pub(in crate::cli) struct DemoArgs {
    /// Where the demo is to live, and stay; a temporary directory if none is named.
    pub(in crate::cli) dir: Option<PathBuf>,

    /// Instead of a fleet of apps: documents that go through two stages by Dramatiq workers. Needs RabbitMQ
    /// (DC_RABBITMQ_URL, else the one of this host), and a Python (VIRTUAL_ENV) with dramatiq[rabbitmq].
    #[arg(long)]
    pub(in crate::cli) pipeline: bool,

    /// Only prepare the fleet, and say where it is.
    #[arg(long)]
    pub(in crate::cli) prepare: bool,

    /// Run it without a console.
    #[arg(long, conflicts_with = "prepare")]
    pub(in crate::cli) without_console: bool,

    /// Without a terminal: the seconds to run for, while what happens is printed as lines.
    #[arg(long, value_name = "S", default_value = "30", value_parser = parse_seconds)]
    pub(in crate::cli) seconds: std::time::Duration,
}
