//! The loop: takes messages, updates the model, draws. It waits for nothing but the next message.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crossterm::event::Event;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::cmd::{Cmd, Leave};
use super::model::Model;
use super::msg::Msg;
use super::request::Request;
use super::terminal::Terminal;
use super::theme::Theme;
use super::update::update;
use super::view::view;
use super::worker::Worker;
use super::world::Identity;
use crate::process::{StateDir, clock, watch_terminal};
use crate::store::OperatorStore;

/// Frames are at least this far apart; keys that come meanwhile are in the next one.
const FRAME: Duration = Duration::from_millis(50);

/// The clock of the header moves this often.
const TICK: Duration = Duration::from_secs(1);

/// What a console is opened with.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Options {
    /// The database.
    pub store: Arc<dyn OperatorStore>,
    /// Where the logs of this host are.
    pub state: StateDir,
    /// The database as it is shown.
    pub database: String,
    /// In whose name commands are sent.
    pub user: String,
    /// Whether the manager lives in this process.
    pub is_attached: bool,
    /// Whether nothing may be changed.
    pub is_read_only: bool,
    /// Which apps are shown at first.
    pub filter: String,
    /// Whether colours are used.
    pub has_colour: bool,
    /// Whether the terminal shows more than ASCII.
    pub is_unicode: bool,
}

/// Tells a console to end, from elsewhere in the process.
#[derive(Debug, Clone)]
pub struct Interrupter(Sender<Msg>);

impl Interrupter {
    /// A signal asks the process to end.
    pub fn interrupt(&self, signal: i32) {
        // A console that is gone needs not be told.
        let _ = self.0.send(Msg::Interrupted(signal));
    }
}

/// The place to which a console will listen.
#[derive(Debug)]
pub struct Mailbox {
    sender: Sender<Msg>,
    messages: Receiver<Msg>,
}

/// To be made before the console is, so that signals can reach it.
#[must_use]
pub fn mailbox() -> (Interrupter, Mailbox) {
    let (sender, messages) = channel();
    (Interrupter(sender.clone()), Mailbox { sender, messages })
}

/// A console could not be opened or had to be closed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no terminal, or it cannot be drawn on.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] io::Error),
}

/// Runs the console until it is left.
///
/// # Errors
/// [`RunError`] when there is no terminal.
pub fn run(options: Options, mailbox: Mailbox) -> Result<Leave, RunError> {
    let theme = Theme::new(options.has_colour, options.is_unicode);
    let identity = Identity {
        database: options.database,
        user: options.user.clone(),
        is_attached: options.is_attached,
        is_read_only: options.is_read_only,
    };
    let size = crossterm::terminal::size()?;
    let mut model = Model::new(identity, size, clock::now(), &options.filter);
    let Mailbox { sender, messages } = mailbox;
    let mut terminal = Terminal::take()?;
    let (requests, inbox) = unbounded_channel();
    spawn_worker(Worker {
        store: options.store,
        state: options.state,
        user: options.user,
        messages: sender.clone(),
        requests: inbox,
    })?;
    spawn_input(sender)?;
    // What cannot be drawn on any more is a terminal that went away, heard of before the hang-up.
    Ok(serve(&mut model, theme, &mut terminal, &messages, &requests).unwrap_or_else(|error| {
        tracing::warn!(%error, "the terminal cannot be drawn on any more");
        Leave::HungUp
    }))
}

fn serve(
    model: &mut Model,
    theme: Theme,
    terminal: &mut Terminal,
    messages: &Receiver<Msg>,
    requests: &UnboundedSender<Request>,
) -> io::Result<Leave> {
    let mut next_frame = Duration::ZERO;
    let mut is_dirty = true;
    loop {
        let now = clock::boot_time();
        if is_dirty && now >= next_frame {
            terminal.draw(|frame| view(model, theme, frame))?;
            next_frame = now + FRAME;
            is_dirty = false;
        }
        let wait = if is_dirty { next_frame.saturating_sub(now) } else { TICK };
        // This loop holds no sender, but the threads that read keys and the database do.
        let first = messages.recv_timeout(wait).ok();
        is_dirty = true;
        // All keys are taken in before one frame is drawn.
        let rest = std::iter::from_fn(|| messages.try_recv().ok());
        for msg in std::iter::once(Msg::Tick(clock::now())).chain(first).chain(rest) {
            match update(model, msg) {
                None => {}
                Some(Cmd::Redraw) => terminal.clear()?,
                Some(Cmd::Leave(leave)) => return Ok(leave),
                // If the worker has ended, the link is shown as lost.
                Some(Cmd::Work(work)) => work.into_iter().for_each(|request| drop(requests.send(request))),
            }
        }
    }
}

fn spawn_worker(worker: Worker) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("dcm-console".to_owned())
        .spawn(move || runtime.block_on(worker.run()))?;
    Ok(())
}

/// Reads keys in a thread of its own. It ends with the process; when the terminal goes away it is
/// left waiting for input that does not come.
fn spawn_input(messages: Sender<Msg>) -> io::Result<()> {
    let gone = messages.clone();
    watch_terminal(move || {
        let _ = gone.send(Msg::HungUp);
    })?;
    std::thread::Builder::new().name("dcm-keys".to_owned()).spawn(move || {
        while let Ok(event) = crossterm::event::read() {
            let msg = match event {
                Event::Key(key) => Msg::Key(key),
                Event::Paste(text) => Msg::Paste(text),
                Event::Resize(columns, rows) => Msg::Resize(columns, rows),
                Event::FocusGained | Event::FocusLost | Event::Mouse(_) => continue,
            };
            if messages.send(msg).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
