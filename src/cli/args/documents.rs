//! The arguments of `dcm watch`, `dcm route` and `dcm documents`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::values::InvalidValue;
use crate::cli::when::Past;
use crate::model::{
    RouteId, RoutingError, TaskId, TaskStatus, WatchRoot, check_actor, check_queue, check_root_name,
    check_topic, check_topic_pattern,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum WatchCommand {
    /// Watch a directory: each file that appears or changes there becomes a document.
    Add(WatchAddArgs),
    /// List the watched directories, and how each is.
    List,
    /// Watch directories no more. Their documents stay.
    Remove(WatchNames),
    /// Watch directories again.
    Enable(WatchNames),
    /// Leave directories alone until they are enabled.
    Disable(WatchNames),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct WatchAddArgs {
    /// What it is called: 1 to 64 of A-Z a-z 0-9 _ - and dots.
    #[arg(value_parser = |text: &str| checked(text, check_root_name))]
    pub(in crate::cli) name: String,

    /// The directory; a relative one starts here.
    pub(in crate::cli) dir: PathBuf,

    /// The topic of its documents, by which they find their route: words with dots between them (invoices.pdf).
    #[arg(long, short, value_name = "TOPIC", value_parser = |text: &str| checked(text, check_topic))]
    pub(in crate::cli) topic: String,

    /// The group that its documents are counted to [default: NAME]
    #[arg(long, short, value_name = "GROUP", value_parser = |text: &str| checked(text, check_root_name))]
    pub(in crate::cli) group: Option<String>,

    /// Which names: * is any characters, ? is one. Names that begin with a dot or end in .part .tmp .crdownload ~ are
    /// left alone unless it names them.
    #[arg(long, short, value_name = "GLOB", default_value = "*", value_parser = parse_file_pattern)]
    pub(in crate::cli) pattern: String,

    /// Also the directories below it.
    #[arg(long, short)]
    pub(in crate::cli) recursive: bool,

    /// A file is taken when it has not changed for this time, in seconds.
    #[arg(long, value_name = "S", default_value_t = WatchRoot::STABLE_SECONDS, value_parser = parse_stable)]
    pub(in crate::cli) stable_seconds: f64,

    /// Only this manager watches it. If that is one of another host, DIR need not be here.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) manager: Option<String>,

    /// Leave it alone until it is enabled.
    #[arg(long)]
    pub(in crate::cli) disabled: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct WatchNames {
    /// Names of watched directories.
    #[arg(value_name = "NAME", required = true)]
    pub(in crate::cli) names: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RouteCommand {
    /// Send documents to an actor. Of the routes that match a topic the highest priority counts, then the oldest.
    Add(RouteAddArgs),
    /// List the routes, in the order in which they count.
    List,
    /// Remove routes. Documents that went their way stay there.
    Remove {
        /// Numbers of routes, or patterns.
        #[arg(value_name = "ID|PATTERN", required = true)]
        routes: Vec<RouteTarget>,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RouteAddArgs {
    /// Which topics: * is one word, # any number of words (invoices.#).
    #[arg(value_parser = |text: &str| checked(text, check_topic_pattern))]
    pub(in crate::cli) pattern: String,

    /// The queue of the Dramatiq workers.
    #[arg(long, short, value_name = "QUEUE", value_parser = |text: &str| checked(text, check_queue))]
    pub(in crate::cli) queue: String,

    /// Their actor, after which the stage is named.
    #[arg(long, short, value_name = "ACTOR", value_parser = |text: &str| checked(text, check_actor))]
    pub(in crate::cli) actor: String,

    /// Routes of a higher priority come first.
    #[arg(long, short, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(in crate::cli) priority: i32,
}

/// A route by its number, or those of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum RouteTarget {
    Id(RouteId),
    Pattern(String),
}

impl FromStr for RouteTarget {
    type Err = RoutingError;

    fn from_str(text: &str) -> Result<Self, RoutingError> {
        match text.strip_prefix('#').filter(|rest| !rest.is_empty()).unwrap_or(text).parse() {
            Ok(id) => Ok(Self::Id(RouteId(id))),
            Err(_) => checked(text, check_topic_pattern).map(Self::Pattern),
        }
    }
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct DocumentsArgs {
    /// Without it, documents are listed.
    #[command(subcommand)]
    pub(in crate::cli) command: Option<DocumentsCommand>,

    #[command(flatten)]
    pub(in crate::cli) list: DocumentListArgs,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DocumentsCommand {
    /// List documents in their stages, newest first.
    List(DocumentListArgs),
    /// Show what waits, works and has failed in each stage, and how fast it is.
    Stages,
    /// Show the whole way of a document: its stages, their times and errors.
    Show {
        /// The number of one of its stages, or its path.
        #[arg(value_name = "ID|PATH")]
        target: String,
    },
    /// Send documents again to the stage in which they died.
    Retry(RetryArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DocumentListArgs {
    #[command(flatten)]
    pub(in crate::cli) which: DocumentChoice,

    /// Of which the latest news is from then on: 10m, 2h, 2026-11-27 05:47.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(in crate::cli) since: Option<Past>,

    /// The most that are shown: the newest ones.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(in crate::cli) limit: u32,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DocumentChoice {
    /// Numbers, the name of a watched directory or a group, a directory, a file, or a glob of paths (*.pdf); all.
    #[arg(value_name = "ID|SELECTOR")]
    pub(in crate::cli) targets: Vec<String>,

    /// In these states, with commas between them: pending, sent, running, done, failed, dead.
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = parse_status)]
    pub(in crate::cli) status: Vec<TaskStatus>,

    /// In this stage.
    #[arg(long, value_name = "STAGE")]
    pub(in crate::cli) stage: Option<String>,

    /// Of this topic.
    #[arg(long, value_name = "TOPIC")]
    pub(in crate::cli) topic: Option<String>,
}

impl DocumentChoice {
    /// Whether anything is said of which are meant.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.status.is_empty() && self.stage.is_none() && self.topic.is_none()
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RetryArgs {
    #[command(flatten)]
    pub(in crate::cli) which: DocumentChoice,

    /// Do not ask when many documents are meant.
    #[arg(long, short)]
    pub(in crate::cli) yes: bool,
}

/// A document by the number of one of its stages.
pub(in crate::cli) fn task_id(text: &str) -> Option<TaskId> {
    text.strip_prefix('#').unwrap_or(text).parse().ok().map(TaskId)
}

fn checked(text: &str, check: fn(&str) -> Result<(), RoutingError>) -> Result<String, RoutingError> {
    check(text)?;
    Ok(text.to_owned())
}

/// The longest pattern of names, in bytes: no name of a file is longer.
const PATTERN_MAX: usize = 255;

fn parse_file_pattern(text: &str) -> Result<String, InvalidValue> {
    let is_name = !text.is_empty() && text.len() <= PATTERN_MAX && !text.contains(['/', '\\', '\0']);
    if is_name { Ok(text.to_owned()) } else { Err(InvalidValue::FilePattern) }
}

fn parse_stable(text: &str) -> Result<f64, InvalidValue> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=WatchRoot::STABLE_SECONDS_MAX).contains(seconds));
    seconds.ok_or(InvalidValue::Seconds)
}

fn parse_status(text: &str) -> Result<TaskStatus, InvalidValue> {
    let known = TaskStatus::ALL.iter().find(|status| status.word().eq_ignore_ascii_case(text));
    known.copied().ok_or(InvalidValue::Status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_named_by_number_or_pattern() {
        assert_eq!("17".parse(), Ok(RouteTarget::Id(RouteId(17))));
        assert_eq!("#17".parse(), Ok(RouteTarget::Id(RouteId(17))));
        assert_eq!("#".parse(), Ok(RouteTarget::Pattern("#".to_owned())));
        assert_eq!("a.#".parse(), Ok(RouteTarget::Pattern("a.#".to_owned())));
        assert!("a b".parse::<RouteTarget>().is_err());
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(parse_stable("0.5").unwrap().to_bits(), 0.5_f64.to_bits());
        for text in ["-1", "NaN", "inf", "86401", "x"] {
            assert!(parse_stable(text).is_err(), "{text}");
        }
        for text in ["", "a/b", "a\\b", &"a".repeat(256)] {
            assert!(parse_file_pattern(text).is_err(), "{text}");
        }
        assert_eq!(parse_status("dead").unwrap(), TaskStatus::Dead);
        assert_eq!(parse_status("DEAD").unwrap(), TaskStatus::Dead);
        assert!(parse_status("deader").is_err());
        assert_eq!((task_id("17"), task_id("#17"), task_id("x")), (Some(TaskId(17)), Some(TaskId(17)), None));
    }
}
