//! What dcm logs about itself: text on a terminal and in a journal, JSON elsewhere, and a file a day.

use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;

use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{Writer, format};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, reload};

use super::error::Error;
use super::output::{self, Form, LogWriter};
use crate::config::{LogFormat, Settings, env};
use crate::process::{OpenError, OwnLog, is_service, is_stderr_journal, make_state_dir};

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

/// The log, for as long as this is there.
pub(super) struct Log {
    _guard: WorkerGuard,
    filters: Filters,
}

impl Log {
    pub(super) fn filters(&self) -> Filters {
        self.filters.clone()
    }
}

/// What is logged, which may change.
#[derive(Clone)]
pub(super) struct Filters {
    set: Arc<dyn Fn(&Targets) + Send + Sync>,
}

impl Filters {
    /// From now on this is logged.
    ///
    /// # Errors
    /// When it is no filter: what was logged before is logged on.
    pub(super) fn set(&self, level: &str) -> Result<(), Error> {
        (self.set)(&filter(level)?);
        Ok(())
    }
}

fn filter(level: &str) -> Result<Targets, Error> {
    let filter = Targets::from_str(level)
        .map_err(|error| Error::usage(format!("{} or log.level: {error}", env::LOG)))?;
    // The client of RabbitMQ logs whole messages, and what it says is said by `broker` in our words.
    if level.contains(CLIENT_OF_RABBITMQ) {
        return Ok(filter);
    }
    Ok(filter.with_target(CLIENT_OF_RABBITMQ, LevelFilter::OFF))
}

/// Begins to log. What is logged is written until what is given back is dropped.
///
/// # Errors
/// When the filter or the folder of the log is wrong.
pub(super) fn begin(settings: &Settings, stderr: Stderr) -> Result<Log, Error> {
    let filter = filter(&settings.log_level)?;
    let io_error = |source| OpenError::Io { path: settings.state.path().to_owned(), source };
    let done_to_state_dir = make_state_dir(&settings.state).map_err(io_error)?;
    let folder = settings.state.own_log();
    let keep = usize::try_from(settings.log_keep_days).unwrap_or(usize::MAX);
    let log = OwnLog::open(&settings.state, keep)
        .map_err(|error| Error::failed(format!("{}: {error}", folder.display())))?;
    let (file, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES_MAX).finish(log);
    let (of_file, file_handle) = reload::Layer::new(filter.clone());
    let (of_stderr, stderr_handle) = reload::Layer::new(filter);
    let file = tracing_subscriber::fmt::layer()
        .json()
        .with_writer(move || LogWriter::new(Form::Json, file.clone()))
        .with_filter(of_file);
    // What it prints is kept for what comes before the log.
    let stderr = if is_service() { Stderr::Untouched } else { stderr };
    let is_terminal = output::is_stderr_terminal();
    let is_journal = env::get(env::JOURNAL_STREAM).is_some_and(|stream| is_stderr_journal(&stream));
    let is_text = match settings.log_format {
        LogFormat::Auto => is_terminal || is_journal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let ansi = is_terminal && env::get(env::NO_COLOR).is_none();
    let layer = tracing_subscriber::fmt::layer().with_ansi(ansi).with_target(false);
    let errors: Option<Box<dyn Layer<_> + Send + Sync>> = match (stderr, is_text) {
        (Stderr::Untouched, _) => None,
        // The journal has times of its own, and levels as priorities.
        (Stderr::Used, true) if is_journal => Some(
            layer
                .event_format(WithPriority(format().without_time().with_level(false).with_target(false)))
                .with_writer(|| LogWriter::stderr(Form::Text))
                .with_filter(of_stderr)
                .boxed(),
        ),
        (Stderr::Used, true) => {
            Some(layer.with_writer(|| LogWriter::stderr(Form::Text)).with_filter(of_stderr).boxed())
        }
        (Stderr::Used, false) => Some(
            tracing_subscriber::fmt::layer()
                .json()
                .with_writer(|| LogWriter::stderr(Form::Json))
                .with_filter(of_stderr)
                .boxed(),
        ),
    };
    tracing_subscriber::registry()
        .with(file)
        .with(errors)
        .try_init()
        .map_err(|error| Error::failed(error.to_string()))?;
    for line in done_to_state_dir {
        tracing::warn!("{line}");
    }
    let set = Arc::new(move |filter: &Targets| {
        for handle in [&file_handle as &dyn Reload, &stderr_handle] {
            handle.take(filter.clone());
        }
    });
    Ok(Log { _guard: guard, filters: Filters { set } })
}

/// A filter that can be changed, of whatever layer.
trait Reload {
    fn take(&self, filter: Targets);
}

impl<S> Reload for reload::Handle<Targets, S> {
    fn take(&self, filter: Targets) {
        // The layer is gone only with the program.
        let _ = self.reload(filter);
    }
}

/// A line that begins with its priority, as the journal reads it (`man 3 sd-daemon`).
struct WithPriority<F>(F);

impl<S, N, F: FormatEvent<S, N>> FormatEvent<S, N> for WithPriority<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// That of syslog.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}
