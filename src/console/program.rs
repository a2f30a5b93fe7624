//! A console from its opening to its end, and what is left when it fails.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::cmd::Leave;
use super::dialog::confirm::Caution;
use super::glyphs::GlyphSet;
use super::input::Input;
use super::keymap::Keymap;
use super::memory::{Keeper, Kept};
use super::model::Model;
use super::msg::Msg;
use super::recorder::Recorder;
use super::request::Request;
use super::serve::Console;
use super::shell::Shell;
use super::terminal::{Abilities, Guard, Panic, Probe, Questions, Screen, Writer};
use super::theme::{Palette, Theme};
use super::worker::Worker;
use super::world::{Identity, ReadOnly};
use crate::process::{StateDir, clock, terminal_output};
use crate::store::OperatorStore;

/// What a console is opened with.
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
    /// Why nothing may be changed, if that is so.
    pub read_only: Option<ReadOnly>,
    /// How careful it is asked before something is done.
    pub caution: Caution,
    /// Which apps are shown at first.
    pub filter: String,
    /// Which saved view is shown at first.
    pub view: Option<String>,
    /// Saved views: names and what they show.
    pub views: Vec<(String, String)>,
    /// What each key means.
    pub keys: Keymap,
    /// The shell of the person.
    pub shell: PathBuf,
    /// What is said once it is open.
    pub remarks: Vec<String>,
    /// How it looks.
    pub look: Look,
    /// The file in which is kept what was looked at.
    pub memory: Option<PathBuf>,
    /// The folder for reports of failures.
    pub reports: Option<PathBuf>,
}

/// How a console looks on its terminal.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Which colours carry which meaning.
    pub palette: Palette,
    /// Which signs are drawn.
    pub glyphs: GlyphSet,
    /// What the terminal can do.
    pub abilities: Abilities,
    /// What it is asked.
    pub questions: Questions,
}

impl Look {
    pub(super) fn theme(self) -> Theme {
        Theme::of(self.palette, self.glyphs)
    }
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
    /// It has a fault. The terminal is as it was.
    #[error("the console has failed at {place}: {message}")]
    Failed {
        /// Where in the source.
        place: String,
        /// What went wrong.
        message: String,
        /// What is known of it, where that could be written.
        report: Option<PathBuf>,
    },
}

/// Runs the console until it is left. One with a manager inside that fails is opened once more.
///
/// # Errors
/// [`RunError`] when there is no terminal, or the console has a fault.
pub fn run(options: Options, mailbox: Mailbox) -> Result<Leave, RunError> {
    let mut keys = None;
    reopening(options.is_attached, |remark| {
        // What came meanwhile was meant for the one that failed.
        if remark.is_some() {
            mailbox.messages.try_iter().for_each(drop);
        }
        open(&options, &mailbox, &mut keys, remark)
    })
}

/// Opens a console; the one of a manager is opened once more if it fails, with a remark.
fn reopening(
    is_attached: bool,
    mut open: impl FnMut(Option<String>) -> Result<Leave, RunError>,
) -> Result<Leave, RunError> {
    match open(None) {
        Err(RunError::Failed { message, report, .. }) if is_attached => {
            let report = report.map(|path| format!("; report: {}", path.display())).unwrap_or_default();
            open(Some(format!("the console has failed and was opened again: {message}{report}")))
        }
        result => result,
    }
}

fn open(
    options: &Options,
    mailbox: &Mailbox,
    keys: &mut Option<Input>,
    remark: Option<String>,
) -> Result<Leave, RunError> {
    let identity = Identity {
        capabilities: options.store.capabilities(),
        database: options.database.clone(),
        user: options.user.clone(),
        is_attached: options.is_attached,
        read_only: options.read_only,
    };
    let size = crossterm::terminal::size()?;
    let mut model = Model::new(identity, size, clock::now(), &options.filter);
    model.world.keys = options.keys.clone();
    model.world.caution = options.caution.clone();
    model.set_views(options.views.clone(), options.view.as_deref());
    options.remarks.iter().chain(&remark).for_each(|remark| model.world.say(remark.as_str()));
    let (keeper, kept) = remember(options, &mut model);
    let writer = Writer::spawn(terminal_output()?)?;
    let guard = Guard::take(writer.clone())?;
    let (requests, inbox) = unbounded_channel();
    spawn_worker(options, mailbox.sender.clone(), inbox)?;
    // What reads keys is not opened twice: it goes on for the next console.
    let known = keys.take().filter(|keys| !keys.thread.is_finished());
    let keys = keys.insert(known.map_or_else(|| Input::spawn(mailbox.sender.clone()), Ok)?);
    // It may have changed before anybody listened.
    model.world.size = crossterm::terminal::size()?;
    let mut console = Console {
        model,
        theme: options.look.theme(),
        screen: Screen::new(options.look.abilities),
        probe: Probe::new(options.look.questions),
        awaits: Arc::clone(&keys.awaits),
        writer,
        requests,
        recorder: Recorder::default(),
        shell: Shell::new(options.shell.clone(), keys.gate.clone(), mailbox.sender.clone()),
        keeper,
        kept,
    };
    let served = guarded(guard, |guard| console.serve(guard, &mailbox.messages));
    // What was seen last is not overwritten by a console that never saw the fleet.
    if let Some(keeper) = console.keeper.take().filter(|_| console.kept.is_none()) {
        keeper.close(&console.model);
    }
    served.map_err(|panic| {
        tracing::error!(place = panic.place, message = panic.message, "the console has failed");
        let report = options.reports.as_deref().and_then(|folder| console.recorder.report(&panic, folder));
        RunError::Failed { place: panic.place, message: panic.message, report }
    })
}

/// Serves with the terminal taken, and gives it back whatever happens.
fn guarded(guard: Guard, serve: impl FnOnce(&Guard) -> io::Result<Leave>) -> Result<Leave, Panic> {
    let served = catch_unwind(AssertUnwindSafe(|| serve(&guard)));
    let panic = guard.panic();
    drop(guard);
    match (panic, served) {
        // Another thread of the console may have panicked, not the one that serves.
        (Some(panic), _) => Err(panic),
        (None, Ok(Ok(leave))) => Ok(leave),
        // What cannot be drawn on any more is a terminal that went away, heard of before the hang-up.
        (None, Ok(Err(error))) => {
            tracing::warn!(%error, "the terminal cannot be drawn on any more");
            Ok(Leave::HungUp)
        }
        (None, Err(panic)) => std::panic::resume_unwind(panic),
    }
}

/// What was seen in the last console, unless this one was told what to show.
fn remember(options: &Options, model: &mut Model) -> (Option<Keeper>, Option<Kept>) {
    let Some(path) = options.memory.clone() else { return (None, None) };
    let (keeper, kept) = Keeper::open(path, options.database.clone());
    let kept = kept.unwrap_or_else(|why| {
        model.world.say(why.to_string());
        None
    });
    (keeper, kept.filter(|_| options.filter.is_empty() && options.view.is_none()))
}

fn spawn_worker(
    options: &Options,
    messages: Sender<Msg>,
    requests: UnboundedReceiver<Request>,
) -> io::Result<()> {
    let worker = Worker {
        store: Arc::clone(&options.store),
        state: options.state.clone(),
        user: options.user.clone(),
        messages,
        requests,
        session: uuid::Uuid::new_v4().simple().to_string(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("dcm-console".to_owned())
        .spawn(move || runtime.block_on(worker.run()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    use super::*;

    #[test]
    fn an_attached_console_that_fails_is_opened_once_more() {
        let failed = || RunError::Failed { place: String::new(), message: "m".to_owned(), report: None };
        let open = |is_attached, failures| {
            let mut remarks = Vec::new();
            let result = reopening(is_attached, |remark| {
                remarks.push(remark);
                if remarks.len() > failures { Ok(Leave::Stop) } else { Err(failed()) }
            });
            (result.is_ok(), remarks.len(), remarks.last().cloned().flatten())
        };
        assert_eq!(open(true, 0), (true, 1, None));
        let remark = "the console has failed and was opened again: m".to_owned();
        assert_eq!(open(true, 1), (true, 2, Some(remark.clone())));
        assert_eq!(open(true, 2), (false, 2, Some(remark)));
        assert_eq!(open(false, 1), (false, 1, None));
    }

    /// Set where the test was started by itself, on a terminal.
    const ON_A_TERMINAL: &str = "DCM_TEST_ON_A_TERMINAL";

    /// What the test below does once it has a terminal.
    fn a_console_that_panics() {
        let folder = tempfile::tempdir().unwrap();
        // By its name the thread is one of a console.
        let console = std::thread::Builder::new().name("dcm-console".to_owned()).spawn(move || {
            let writer = Writer::spawn(terminal_output().unwrap()).unwrap();
            let guard = Guard::take(writer.clone()).unwrap();
            let mut recorder = Recorder::default();
            recorder.note(&Msg::Resize(80, 24));
            let panic = guarded(guard, |_| {
                writer.send(&mut b"\x1b[31mon the screen".to_vec());
                panic!("a fault on purpose")
            });
            let path = recorder.report(&panic.unwrap_err(), folder.path()).unwrap();
            let report = std::fs::read_to_string(path).unwrap();
            for part in ["a fault on purpose", "Resize(80, 24)", "program.rs", "dcm-console"] {
                assert!(report.contains(part), "{report}");
            }
        });
        console.unwrap().join().unwrap();
        assert!(!crossterm::terminal::is_raw_mode_enabled().unwrap());
    }

    #[test]
    fn a_panic_gives_the_terminal_back_and_is_kept() {
        #[expect(clippy::disallowed_methods, reason = "the test talks to itself")]
        if std::env::var_os(ON_A_TERMINAL).is_some() {
            return a_console_that_panics();
        }
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "console::program::tests::a_panic_gives_the_terminal_back_and_is_kept",
            "--nocapture",
        ]);
        command.env(ON_A_TERMINAL, "yes");
        let mut child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut output = Vec::new();
        // The end of a pseudo terminal is an error.
        let _ = pair.master.try_clone_reader().unwrap().read_to_end(&mut output);
        assert!(child.wait().unwrap().success(), "{}", String::from_utf8_lossy(&output));
        let mut parser = vt100::Parser::new(24, 80, 0);
        parser.process(&output);
        let screen = parser.screen();
        assert!(!screen.alternate_screen() && !screen.bracketed_paste() && !screen.hide_cursor());
        assert!(!screen.contents().contains("on the screen"), "{}", screen.contents());
        assert!(String::from_utf8_lossy(&output).contains("on the screen"));
    }
}
