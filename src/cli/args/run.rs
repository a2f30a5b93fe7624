//! The arguments of what deals with runs on this host, without a manager: `run-app`, `report`, `stop-apps`.

use std::path::PathBuf;

use clap::Args;

use super::values::{parse_json, parse_seconds};
use crate::model::AppPath;

#[derive(Debug, Args)]
pub(in crate::cli) struct RunAppArgs {
    /// GROUP/PARENT/APP.
    pub(in crate::cli) path: AppPath,

    /// Arguments for the app, as JSON.
    #[arg(long, value_name = "JSON", value_parser = parse_json)]
    pub(in crate::cli) args: Option<String>,

    /// Run it also when it is disabled or was given up.
    #[arg(long)]
    pub(in crate::cli) force: bool,

    /// Where to write the run as JSON when it is over, as dcm history --json has it. No file is written when the app
    /// was not run, which tells a refusal (75) from an app that ends with this code itself.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) result: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ReportArgs {
    /// Items of this run.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) task_size: Option<u64>,

    /// Items done.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) solved: Option<u64>,

    /// Items given up.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) failed: Option<u64>,

    /// 0 to 100.
    #[arg(long, value_name = "P")]
    pub(in crate::cli) progress: Option<u8>,

    /// When the run will be done.
    #[arg(long, value_name = "T")]
    pub(in crate::cli) eta: Option<crate::cli::when::When>,

    /// When the app wants to run next: +10m, a local time or one with an offset; none: by its schedule. It counts if it
    /// is still to come when the run ends.
    #[arg(long, value_name = "T")]
    pub(in crate::cli) next_run: Option<crate::cli::when::NextRunArgument>,

    /// Exceptions so far.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) except_cnt: Option<u64>,

    /// A word for the operator.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) message: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct StopAppsArgs {
    /// Seconds between TERM and KILL.
    #[arg(long, value_name = "S", default_value = "10", value_parser = parse_seconds)]
    pub(in crate::cli) grace: std::time::Duration,
}
