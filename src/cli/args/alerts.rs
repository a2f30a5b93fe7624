//! The arguments of `dcm alerts`.

use std::str::FromStr;

use clap::{Args, Subcommand};

use crate::cli::when::{Past, Span, When};
use crate::model::{AlertId, AlertSubject, Selector, SelectorError, Severity};

/// An alert, those of apps, or those of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum AlertTarget {
    Alert(AlertId),
    Fleet,
    Apps(Selector),
}

impl FromStr for AlertTarget {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if let Ok(id) = text.strip_prefix('#').unwrap_or(text).parse() {
            return Ok(Self::Alert(AlertId(id)));
        }
        if text == AlertSubject::FLEET {
            return Ok(Self::Fleet);
        }
        text.parse().map(Self::Apps)
    }
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct AlertsArgs {
    /// Without it, the alerts are listed.
    #[command(subcommand)]
    pub(in crate::cli) command: Option<AlertsCommand>,

    #[command(flatten)]
    pub(in crate::cli) list: AlertListArgs,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AlertsCommand {
    /// List the alerts that are open, those of one cause as one row; of a single number, all that is known.
    List(AlertListArgs),
    /// Look after alerts: notifications do not repeat them, and consoles show them last.
    Ack {
        #[command(flatten)]
        meant: MeantAlerts,

        /// Who looks after them [default: this user].
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Neither notify of alerts nor show them first for a time. Their apps go on as they do.
    Mute {
        #[command(flatten)]
        meant: MeantAlerts,

        #[command(flatten)]
        until: MutedUntil,
    },
    /// End that.
    Unmute {
        #[command(flatten)]
        meant: MeantAlerts,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct MeantAlerts {
    /// Numbers of alerts, or whose: a path, prefix (croatia/fina), glob (*/fina/*), tag:TAG, owner:NAME, fleet, or all.
    #[arg(required = true, value_name = "ID|SELECTOR")]
    pub(in crate::cli) targets: Vec<AlertTarget>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct MutedUntil {
    /// For so long: 30m, 2h, 1d12h.
    #[arg(long = "for", value_name = "SPAN")]
    pub(in crate::cli) span: Option<Span>,

    /// Until then: 2026-11-27 18:00, +2h.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) until: Option<When>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AlertListArgs {
    /// Numbers of alerts, or whose: a path, prefix (croatia/fina), glob (*/fina/*), tag:TAG, owner:NAME, fleet, or all.
    #[arg(value_name = "ID|SELECTOR")]
    pub(in crate::cli) targets: Vec<AlertTarget>,

    /// Only those that are open (the default).
    #[arg(long, conflicts_with = "all")]
    pub(in crate::cli) open: bool,

    /// Those too that are over.
    #[arg(long)]
    pub(in crate::cli) all: bool,

    /// Seen since then: 10m, 2h, 2026-11-27 05:47.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(in crate::cli) since: Option<Past>,

    /// At least so bad: warning, critical.
    #[arg(long, value_name = "SEVERITY")]
    pub(in crate::cli) severity: Option<Severity>,

    /// One row an alert, not one a cause.
    #[arg(long)]
    pub(in crate::cli) each: bool,

    /// At most so many alerts, the newest ones.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(in crate::cli) limit: u32,
}
