//! The grammar of the command line.

mod alerts;
mod definition;
mod demo;
mod documents;
mod import;
mod operation;
mod run;
mod service;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(super) use alerts::{AlertListArgs, AlertTarget, AlertsArgs, AlertsCommand, MeantAlerts, MutedUntil};
pub(super) use definition::DefinitionArgs;
pub(super) use demo::DemoArgs;
pub(super) use documents::{
    DocumentChoice, DocumentListArgs, DocumentsArgs, DocumentsCommand, RetryArgs, RouteAddArgs, RouteCommand,
    RouteTarget, WatchAddArgs, WatchCommand, task_id,
};
pub(super) use import::{ImportArgs, Origin};
pub(super) use operation::{ConfigCommand, DbCommand, ManagersCommand, NotifyCommand};
pub(super) use run::{ReportArgs, RunAppArgs, StopAppsArgs};
pub(super) use service::{ServiceCommand, ServiceInstallArgs, ServicePrintArgs};
use values::{parse_json, parse_note, parse_pause, parse_seconds};

use super::choice::Choice;
use super::log_filter::LineFilter;
use super::when::Past;

use crate::model::{AppPath, PathError, Selector};

/// Data Collector Manager: schedules, supervises and controls fleets of data collection apps.
///
/// Without a command it opens the console. If no manager serves the database, the console runs one
/// inside itself.
#[derive(Debug, Parser)]
#[command(name = "dcm", bin_name = "dcm", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,

    /// Be a client of a running manager, never start one.
    #[arg(long, conflicts_with = "headless")]
    pub(super) client: bool,

    /// Be the manager, as a service, without a console.
    #[arg(long)]
    pub(super) headless: bool,

    /// Stop the apps of this host when the manager ends; the default in a container. [env: DC_STOP_APPS_ON_EXIT]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", conflicts_with = "client")]
    pub(super) stop_apps_on_exit: Option<bool>,

    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 wrong use or configuration; 3 status --failed lists an app; 4 no such app; \
75 refused for now (already running, disabled, locked); 124 timed out.";

const COMPLETIONS: &str = "They know commands and options. Those that also know the apps, channels and managers come from dcm itself; in \
~/.bashrc: source <(DC_COMPLETE=bash dcm), in ~/.zshrc: source <(DC_COMPLETE=zsh dcm), in fish: DC_COMPLETE=fish dcm | source";

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// The database: sqlite:PATH or postgres://... [env: DC_DATABASE_URL]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(super) database: Option<String>,

    /// Logs, run directories and the embedded database. [env: DC_STATE_DIR]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(super) state_dir: Option<PathBuf>,

    /// The configuration file. [env: DC_CONFIG]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(super) config: Option<PathBuf>,

    /// The name of the manager on this host; without it that of the host. [env: DC_MANAGER_NAME]
    #[arg(long = "name", global = true, value_name = "NAME", help_heading = "Global options")]
    pub(super) manager_name: Option<String>,

    /// Show JSON instead of text.
    #[arg(long, global = true, help_heading = "Global options")]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open the console (the same as dcm alone).
    Console(ConsoleArgs),
    /// Register apps, show and change their definitions.
    #[command(subcommand)]
    App(Box<AppCommand>),
    /// Start apps.
    Start(StartArgs),
    /// Stop apps; they stay stopped until start, restart or enable.
    Stop(IssueArgs),
    /// Stop apps if they run, and start them.
    Restart(StartArgs),
    /// Let the schedule start apps; clears a fatal flag.
    Enable(IssueArgs),
    /// Stop apps and keep them from being started.
    Disable(IssueArgs),
    /// Show what apps are doing.
    Status(StatusArgs),
    /// Show the runs of apps.
    History(HistoryArgs),
    /// Show the output of an app.
    Logs(LogsArgs),
    /// Say why an app is or is not running.
    Why(WhyArgs),
    /// Show when apps are due next.
    Next(NextArgs),
    /// Run one app once, in the foreground.
    RunApp(RunAppArgs),
    /// Report progress; called by an app inside its run.
    Report(ReportArgs),
    /// Stop every app of this host, without a manager.
    StopApps(StopAppsArgs),
    /// Show the managers, let one drain, or give the apps of a dead one to others.
    Managers {
        /// Without it, the managers are listed.
        #[command(subcommand)]
        command: Option<ManagersCommand>,
    },
    /// Show the alerts, look after them, or mute them for a time.
    Alerts(AlertsArgs),
    /// Show the channels of notifications, or try one.
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Watch directories whose files are documents for Dramatiq workers.
    #[command(subcommand)]
    Watch(WatchCommand),
    /// Say which documents go to which queue and actor.
    #[command(subcommand)]
    Route(RouteCommand),
    /// Show documents and the stages that they go through, and send them again.
    Documents(Box<DocumentsArgs>),
    /// Look after the database.
    #[command(subcommand)]
    Db(DbCommand),
    /// Check the settings, or show which values are in force and where each comes from.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Let the host run the manager as a service (systemd).
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Check what a manager needs on this host, with a cure for what is wrong.
    #[command(after_help = "It changes nothing. Exit code 1 if there is an error, 0 otherwise.")]
    Doctor,
    /// Print the completions of a shell.
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page of dcm, or write the pages of all commands.
    Man {
        /// The folder for the pages, such as /usr/local/share/man/man1.
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Open the console on a small fleet of examples, in a directory of its own.
    Demo(DemoArgs),
}

#[derive(Debug, Args, Default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub(super) struct ConsoleArgs {
    /// Show only apps like that: words of their path, is:fatal, fail>100, g:croatia, /pattern/.
    #[arg(long, value_name = "FILTER")]
    pub(super) filter: Option<String>,

    /// Begin with this saved view (of ~/.config/dcm/console.toml, or one that is always there).
    #[arg(long, value_name = "NAME")]
    pub(super) view: Option<String>,

    /// Let nothing be changed from this console.
    #[arg(long)]
    pub(super) read_only: bool,

    /// Lines instead of a screen: for screen readers, TERM=dumb and pipes. It runs no manager.
    #[arg(long)]
    pub(super) plain: bool,

    /// How many colours: auto, never, 8, 16, 256 or true. [env: NO_COLOR, COLORTERM, TERM]
    #[arg(long, visible_alias = "colour", value_name = "LEVEL", default_value = "auto")]
    pub(super) color: crate::console::ColourChoice,

    /// What the colours are: ansi, cb-rg (for eyes that do not tell red from green) or mono.
    #[arg(long, value_name = "THEME")]
    pub(super) theme: Option<crate::console::Palette>,

    /// Which signs are drawn: unicode, safe (old consoles of Windows) or ascii. [env: DC_GLYPHS]
    #[arg(long, value_name = "SET")]
    pub(super) glyphs: Option<crate::console::GlyphSet>,

    /// Show all signs and colours, ask which look right, and remember it.
    #[arg(long)]
    pub(super) test_terminal: bool,

    /// Print what each key does, as it is written in ~/.config/dcm/console.toml to change it.
    #[arg(long)]
    pub(super) list_keys: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum AppCommand {
    /// Register an app; it is disabled unless --enable.
    Add(AddArgs),
    /// Change the definition of an app.
    Set(SetArgs),
    /// List apps with their schedules.
    List(SelectorsArgs),
    /// Show the definition and state of an app.
    Show(PathArg),
    /// Delete apps; their history stays.
    Remove(RemoveArgs),
    /// Give an app another path; its history, state and logs go along.
    Rename(RenameArgs),
    /// Give apps that would start at once other times, close to those that they have.
    Spread(SpreadArgs),
    /// Register or change the apps of a file, all or none.
    Import(ImportArgs),
    /// Print apps in the form that import reads.
    Export(SelectorsArgs),
    /// Limit how many apps of a group, or of a parent in it, run at once, or show the limits.
    Limit(LimitArgs),
}

#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// GROUP or GROUP/PARENT.
    pub(super) place: Option<super::app::Place>,

    /// At most so many; none lifts the limit. Without it, the limits are shown.
    pub(super) limit: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct PathArg {
    /// GROUP/PARENT/APP, or the key of its row.
    #[arg(value_parser = parse_app)]
    pub(super) path: AppPath,
}

#[derive(Debug, Args)]
pub(super) struct SelectorsArgs {
    /// Paths, prefixes (croatia/fina), globs (*/fina/*), tag:TAG, owner:NAME, or all; is:failed and other states narrow
    /// them.
    #[arg(value_name = "SELECTOR")]
    pub(super) selectors: Vec<Choice>,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// Paths, prefixes (croatia/fina), globs (*/fina/*), tag:TAG, owner:NAME, or all.
    #[arg(value_name = "SELECTOR", required = true)]
    pub(super) selectors: Vec<Selector>,

    /// Do not ask; needed for more than one app where there is no terminal.
    #[arg(long, short)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct SpreadArgs {
    /// Paths, prefixes (croatia/fina), globs (*/fina/*), tag:TAG, owner:NAME, or all.
    #[arg(value_name = "SELECTOR", required = true)]
    pub(super) selectors: Vec<Selector>,

    /// Each starts by at most so many minutes later; one with a cron expression in the same hour.
    #[arg(long, value_name = "MINUTES", default_value_t = crate::manager::forecast::PROPOSED_WITHIN, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub(super) within: u32,

    /// Say what would be changed, and do nothing.
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Do not ask; needed where there is no terminal.
    #[arg(long, short)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct RenameArgs {
    /// GROUP/PARENT/APP as it is now; no run of it may be under way.
    pub(super) old: AppPath,

    /// GROUP/PARENT/APP as it shall be.
    pub(super) new: AppPath,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// GROUP/PARENT/APP.
    pub(super) path: AppPath,

    #[command(flatten)]
    pub(super) definition: DefinitionArgs,

    /// Let the schedule start it from now on.
    #[arg(long)]
    pub(super) enable: bool,

    /// Let it be due at once (with --enable).
    #[arg(long, requires = "enable")]
    pub(super) now: bool,

    /// What is run; without it, PYTHON -m apps.GROUP.PARENT.APP.main.
    #[arg(last = true, value_name = "ARGV")]
    pub(super) command: Vec<String>,
}

#[derive(Debug, Args)]
// As it is with the other settings that are true or false.
#[command(mut_arg("always", |always| always.require_equals(false)))]
pub(super) struct SetArgs {
    /// GROUP/PARENT/APP, or the key of its row.
    #[arg(value_parser = parse_app)]
    pub(super) path: AppPath,

    #[command(flatten)]
    pub(super) definition: DefinitionArgs,

    /// When it is to run next: now, +10m, a local time or one with an offset; none: by its schedule.
    #[arg(long, value_name = "TIME")]
    pub(super) next_run: Option<super::when::NextRunArgument>,

    /// Run the default command again.
    #[arg(long, conflicts_with = "command")]
    pub(super) default_command: bool,

    /// What is run from now on.
    #[arg(last = true, value_name = "ARGV")]
    pub(super) command: Vec<String>,
}

/// The path of an app, or its key.
fn parse_app(text: &str) -> Result<AppPath, PathError> {
    match text.parse() {
        Ok(key) => Ok(AppPath::of_key(key, None, None)),
        Err(_) => text.parse(),
    }
}

/// A command that begins runs.
#[derive(Debug, Args)]
pub(super) struct StartArgs {
    #[command(flatten)]
    pub(super) issue: IssueArgs,

    /// Arguments for the app, as JSON.
    #[arg(long, value_name = "JSON", value_parser = parse_json)]
    pub(super) args: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct IssueArgs {
    /// Paths, prefixes (croatia/fina), globs (*/fina/*), tag:TAG, owner:NAME, or all; is:failed and other states narrow
    /// them.
    #[arg(value_name = "SELECTOR", required = true)]
    pub(super) selectors: Vec<Choice>,

    /// Wait for the verdicts, at most so long (60 without a number).
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "60", value_parser = parse_seconds)]
    pub(super) wait: Option<std::time::Duration>,

    /// Do not ask when many apps are meant.
    #[arg(long, short)]
    pub(super) yes: bool,

    /// Why, for those who look it up in the ledger later.
    #[arg(long, value_name = "TEXT", value_parser = parse_note)]
    pub(super) note: Option<String>,

    /// Send the commands as messages of RabbitMQ, and not by the database. Without a broker nothing is sent (exit 75).
    #[arg(long, value_name = "WAY", value_enum, conflicts_with = "note")]
    pub(super) via: Option<Via>,
}

/// The way by which commands are sent, other than the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Via {
    /// By the broker of the configuration.
    Rabbitmq,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) which: SelectorsArgs,

    /// Only apps whose last run failed, that were given up or could not be started; exit code 3 if there are any.
    #[arg(long)]
    pub(super) failed: bool,

    /// Look again every second, or every so many seconds, until q or ctrl-c; into a pipe, print a frame after each
    /// change (with --json one line each).
    #[arg(long, short, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = parse_pause)]
    pub(super) watch: Option<std::time::Duration>,
}

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// A path, prefix (croatia/fina), glob (*/fina/*), tag:TAG, owner:NAME, or all.
    #[arg(default_value = "all", hide_default_value = true)]
    pub(super) selector: Selector,

    /// Only runs that failed, crashed or are suspect.
    #[arg(long)]
    pub(super) failed: bool,

    /// Runs that began since then: 10m, 2h, 2026-11-27 05:47.
    #[arg(long, value_name = "T")]
    pub(super) since: Option<Past>,

    /// At most so many runs.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) limit: u32,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub(super) struct LogsArgs {
    /// GROUP/PARENT/APP; several, a prefix, a glob, tag:TAG, owner:NAME or all are merged by time.
    #[arg(value_name = "PATH|GROUP", required = true)]
    pub(super) selectors: Vec<Selector>,

    /// Go on with what is written.
    #[arg(long, short)]
    pub(super) follow: bool,

    /// The last so many lines [default: 100; all with --since, --until or --grep]
    #[arg(long, short = 'n', value_name = "N")]
    pub(super) lines: Option<usize>,

    /// Of this run instead of the latest.
    #[arg(long, value_name = "ID")]
    pub(super) run: Option<crate::model::RunId>,

    /// Lines since then, of all runs: 10m, 2h, 2026-11-27 05:47.
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub(super) since: Option<Past>,

    /// Lines until then.
    #[arg(long, value_name = "T", allow_hyphen_values = true, conflicts_with = "follow")]
    pub(super) until: Option<Past>,

    /// Lines that match a regular expression.
    #[arg(long, short, value_name = "RE", value_parser = parse_pattern)]
    pub(super) grep: Option<regex_lite::Regex>,

    /// Lines of standard error.
    #[arg(long)]
    pub(super) stderr: bool,

    /// Show where the log is instead.
    #[arg(long, conflicts_with_all = ["follow", "since", "until", "grep", "stderr", "lines"])]
    pub(super) path: bool,

    /// Show when each line arrived.
    #[arg(long, short)]
    pub(super) timestamps: bool,

    /// Pass control characters on to the terminal.
    #[arg(long)]
    pub(super) raw: bool,
}

impl LogsArgs {
    /// How many lines are shown when no number is given.
    const LINES: usize = 100;

    /// The last so many lines are asked for; `None`: all that the filter leaves.
    pub(super) fn lines_of(&self, filter: &LineFilter<'_>) -> Option<usize> {
        self.lines.or_else(|| (!filter.chooses_lines()).then_some(Self::LINES))
    }
}

/// A pattern that would take much memory is refused.
fn parse_pattern(text: &str) -> Result<regex_lite::Regex, regex_lite::Error> {
    regex_lite::Regex::new(text)
}

#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// GROUP/PARENT/APP, or the key of its row.
    #[arg(value_parser = parse_app)]
    pub(super) path: AppPath,
}

#[derive(Debug, Args)]
pub(super) struct NextArgs {
    /// A path, prefix (croatia/fina), glob (*/fina/*), tag:TAG, owner:NAME, or all.
    pub(super) selector: Option<Selector>,

    /// So many times of each app.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) count: u32,

    /// How many run at once in the next 24 hours instead, by their schedules and the lengths of their latest good runs.
    #[arg(long, conflicts_with = "count")]
    pub(super) load: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
