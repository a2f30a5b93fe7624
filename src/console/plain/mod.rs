//! The console as lines: for screen readers, for terminals that cannot place text, and for pipes. It
//! prints sentences, moves no cursor and turns no wheel.

mod lines;
mod say;
mod session;
mod watch;

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::dialog::confirm::Caution;
use super::filter::Filter;
use super::screen::fleet::View;
use super::world::{ReadOnly, saved_views};
use crate::process::StateDir;
use crate::store::OperatorStore;
use session::Session;

/// What it is opened with.
pub struct PlainOptions {
    /// The database.
    pub store: Arc<dyn OperatorStore>,
    /// Where the logs of this host are.
    pub state: StateDir,
    /// The database as it is shown.
    pub database: String,
    /// In whose name commands are sent.
    pub user: String,
    /// Why nothing may be changed, if that is so.
    pub read_only: Option<ReadOnly>,
    /// How careful it is asked before something is done.
    pub caution: Caution,
    /// Which apps `list` and `watch` show when they are not told.
    pub filter: String,
}

/// What is wrong with a filter, or with the form of a saved view.
#[must_use]
pub fn fault_of_view(view: &str) -> Option<String> {
    match View::parse(view) {
        Err(fault) => Some(fault.to_string()),
        Ok(view) => Filter::parse(&view.filter).fault().map(str::to_owned),
    }
}

/// The views that are always there: names and what they show.
#[must_use]
pub fn views() -> Vec<(String, String)> {
    saved_views()
}

/// Its filter: order and columns are for the screen.
#[must_use]
pub fn filter_of_view(view: &str) -> String {
    View::parse(view).map(|view| view.filter).unwrap_or_default()
}

/// Reads commands and answers them until it is left, or there are no more.
///
/// # Errors
/// When nobody reads the answers any more.
pub fn run_plain(
    options: PlainOptions,
    input: impl BufRead + Send + 'static,
    output: impl Write,
) -> io::Result<()> {
    let lines = spawn_reader(input)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Session::new(options, lines, output).run())
}

/// A thread waits for lines, so that what happens meanwhile can be told.
fn spawn_reader(input: impl BufRead + Send + 'static) -> io::Result<UnboundedReceiver<String>> {
    let (sender, lines) = unbounded_channel();
    std::thread::Builder::new().name("dcm-lines".to_owned()).spawn(move || {
        for line in input.lines() {
            let line = match line {
                Ok(line) => line,
                // What is no text is no command.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
                Err(_) => return,
            };
            if sender.send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(lines)
}
