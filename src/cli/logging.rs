//! What dcm logs about itself: text on a terminal, JSON elsewhere, and a file a day.

use std::str::FromStr as _;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::error::Error;
use super::output::{self, Form, LogWriter};
use crate::config::{LogFormat, Settings, env};
use crate::process::{OpenError, OwnLog, is_service, make_state_dir};

/// Lines that wait for a slow disk; more are dropped, since the manager must not wait for its log.
const LINES_MAX: usize = 4096;

/// What logs only where a filter names it.
const CLIENT_OF_RABBITMQ: &str = "lapin";

/// Whether the log may also go to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stderr {
    Used,
    /// A console draws there.
    Untouched,
}

/// Begins to log. What is logged is written until the guard is dropped.
///
/// # Errors
/// When the filter or the folder of the log is wrong.
pub(super) fn begin(settings: &Settings, stderr: Stderr) -> Result<WorkerGuard, Error> {
    let filter = Targets::from_str(&settings.log_level)
        .map_err(|error| Error::usage(format!("{} or log.level: {error}", env::LOG)))?;
    // The client of RabbitMQ logs whole messages, and what it says is said by `broker` in our words.
    let filter = if settings.log_level.contains(CLIENT_OF_RABBITMQ) {
        filter
    } else {
        filter.with_target(CLIENT_OF_RABBITMQ, LevelFilter::OFF)
    };
    let io_error = |source| OpenError::Io { path: settings.state.path().to_owned(), source };
    let done_to_state_dir = make_state_dir(&settings.state).map_err(io_error)?;
    let folder = settings.state.own_log();
    let keep = usize::try_from(settings.log_keep_days).unwrap_or(usize::MAX);
    let log = OwnLog::open(&settings.state, keep)
        .map_err(|error| Error::failed(format!("{}: {error}", folder.display())))?;
    let (file, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES_MAX).finish(log);
    let file = tracing_subscriber::fmt::layer()
        .json()
        .with_writer(move || LogWriter::new(Form::Json, file.clone()))
        .with_filter(filter.clone());
    // What it prints is kept for what comes before the log.
    let stderr = if is_service() { Stderr::Untouched } else { stderr };
    let is_terminal = output::is_stderr_terminal();
    let is_text = match settings.log_format {
        LogFormat::Auto => is_terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let text = (stderr == Stderr::Used && is_text).then(|| {
        let ansi = is_terminal && env::get(env::NO_COLOR).is_none();
        tracing_subscriber::fmt::layer()
            .with_ansi(ansi)
            .with_target(false)
            .with_writer(|| LogWriter::stderr(Form::Text))
            .with_filter(filter.clone())
    });
    let json = (stderr == Stderr::Used && !is_text).then(|| {
        tracing_subscriber::fmt::layer()
            .json()
            .with_writer(|| LogWriter::stderr(Form::Json))
            .with_filter(filter)
    });
    tracing_subscriber::registry()
        .with(file)
        .with(text)
        .with(json)
        .try_init()
        .map_err(|error| Error::failed(error.to_string()))?;
    for line in done_to_state_dir {
        tracing::warn!("{line}");
    }
    Ok(guard)
}
