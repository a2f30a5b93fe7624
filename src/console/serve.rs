//! The loop: takes messages, updates the model, draws. It waits for nothing but the next message.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::sync::mpsc::UnboundedSender;

use super::clipboard;
use super::cmd::{Cmd, Leave};
use super::export::{self, Format};
use super::memory::{Keeper, Kept};
use super::model::Model;
use super::msg::Msg;
use super::recorder::Recorder;
use super::request::Request;
use super::shell::Shell;
use super::terminal::{Answer, Guard, Probe, Screen, Writer, cursor_of};
use super::theme::Theme;
use super::update::{open, update};
use super::view;
use crate::process::{clock, stand_still};

/// Frames that answer a key are at least this far apart; keys that come meanwhile are in the next.
const KEY_FRAME: Duration = Duration::from_millis(8);

/// Frames that show changes of the database.
const DATA_FRAME: Duration = Duration::from_millis(100);

/// The clock of the header moves this often.
const TICK: Duration = Duration::from_secs(1);

/// What is due already is done by the next message, or after this time.
const SHORTEST: Duration = Duration::from_millis(10);

/// A terminal that is still taking the last frame is looked at again after this time.
const BUSY: Duration = Duration::from_millis(20);

/// An open console.
pub(super) struct Console {
    pub(super) model: Model,
    pub(super) theme: Theme,
    pub(super) screen: Screen,
    pub(super) probe: Probe,
    /// Whether an answer of the terminal is awaited, for who reads it.
    pub(super) awaits: Arc<AtomicBool>,
    pub(super) writer: Writer,
    pub(super) requests: UnboundedSender<Request>,
    pub(super) recorder: Recorder,
    pub(super) shell: Shell,
    pub(super) keeper: Option<Keeper>,
    /// What is to be shown again.
    pub(super) kept: Option<Kept>,
}

/// What is to become of the screen.
struct Frames {
    last: Duration,
    /// When the next one is due, if anything has changed.
    due: Option<Duration>,
}

impl Frames {
    fn want(&mut self, gap: Duration) {
        let due = (self.last + gap).max(clock::boot_time());
        self.due = Some(self.due.map_or(due, |other| other.min(due)));
    }
}

/// What a terminal rings for.
const BELL: u8 = 7;

impl Console {
    /// Goes on until the console is left, or one of its threads has panicked.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub(super) fn serve(&mut self, guard: &Guard, messages: &Receiver<Msg>) -> io::Result<Leave> {
        let mut frames = Frames { last: Duration::ZERO, due: Some(Duration::ZERO) };
        let mut bytes = Vec::new();
        loop {
            let now = clock::boot_time();
            let mut wait = self.rest(now);
            if let Some(due) = frames.due.filter(|_| !self.shell.is_open) {
                wait = due.saturating_sub(now);
                if wait.is_zero() && !self.writer.is_idle()? {
                    wait = BUSY;
                } else if wait.is_zero() {
                    update(&mut self.model, Msg::FrameLate(now.saturating_sub(due)));
                    self.draw(&mut bytes);
                    self.ask();
                    frames = Frames { last: now, due: None };
                    wait = self.rest(now);
                }
            }
            // This loop holds no sender, but the threads that read keys and the database do.
            let first = messages.recv_timeout(wait).ok();
            if guard.panic().is_some() {
                return Ok(Leave::HungUp);
            }
            if let Some(keeper) = self.keeper.as_mut().filter(|_| self.kept.is_none()) {
                keeper.tick(&self.model);
            }
            frames.want(DATA_FRAME);
            // All keys are taken in before one frame is drawn.
            let rest = std::iter::from_fn(|| messages.try_recv().ok());
            for msg in std::iter::once(Msg::Tick(clock::now())).chain(first).chain(rest) {
                if matches!(msg, Msg::Key(_) | Msg::Mouse(_) | Msg::Paste(_) | Msg::Resize(..)) {
                    frames.want(KEY_FRAME);
                }
                if let Some(leave) = self.take(guard, msg)? {
                    return Ok(leave);
                }
            }
        }
    }

    /// Asks the terminal what it is asked now.
    fn ask(&mut self) {
        let now = clock::boot_time();
        if let Some(question) = self.probe.ask(now, self.model.world.touched) {
            self.writer.send(&mut question.to_vec());
        }
        self.awaits.store(self.probe.is_awaiting(now), Ordering::Relaxed);
    }

    /// The terminal has answered.
    fn hear(&mut self, answer: Answer, at: Duration) {
        if let Some(distance) = self.probe.distance(&answer, at) {
            update(&mut self.model, Msg::Distance(distance));
        }
        let question = self.probe.take(answer, at);
        if let Some(question) = question.filter(|_| !self.shell.is_open) {
            self.writer.send(&mut question.to_vec());
        }
        self.screen.learn(self.probe.learnt());
        self.awaits.store(self.probe.is_awaiting(at), Ordering::Relaxed);
    }

    /// How long nothing changes if nothing happens.
    fn rest(&self, now: Duration) -> Duration {
        let due = self.model.due().map(|due| due.saturating_sub(now));
        due.map_or(TICK, |due| due.clamp(SHORTEST, TICK))
    }

    fn draw(&mut self, bytes: &mut Vec<u8>) {
        let Self { model, theme, screen, .. } = self;
        screen.draw(
            model.world.size,
            |buffer| {
                let area = buffer.area;
                view::draw(model, *theme, buffer, area);
                cursor_of(buffer)
            },
            bytes,
        );
        if !bytes.is_empty() {
            self.writer.send(bytes);
        }
    }

    /// What it leads to outside of the model.
    fn take(&mut self, guard: &Guard, msg: Msg) -> io::Result<Option<Leave>> {
        if !matches!(msg, Msg::Tick(_)) {
            self.recorder.note(&msg);
        }
        if let Msg::Heard(answer, at) = msg {
            self.hear(answer, at);
            return Ok(None);
        }
        let is_fleet = matches!(&msg, Msg::Changes { delta, .. } if !delta.more);
        if matches!(msg, Msg::Back(_)) {
            self.shell.is_open = false;
        }
        let cmd = update(&mut self.model, msg);
        if is_fleet && let Some(kept) = self.kept.take() {
            self.show_again(kept);
        }
        match cmd {
            None => {}
            // Nothing is written to a terminal that somebody else has.
            Some(Cmd::Redraw | Cmd::Suspend | Cmd::Copy(_) | Cmd::Mouse(_) | Cmd::Shell | Cmd::Ring)
                if self.shell.is_open => {}
            Some(Cmd::Mouse(is_heard)) => guard.hear_mouse(is_heard),
            Some(Cmd::Shell) => self.shell.open(|| guard.leave()),
            Some(Cmd::Redraw) => self.begin_anew(guard)?,
            Some(Cmd::Suspend) => {
                guard.leave();
                stand_still()?;
                self.begin_anew(guard)?;
            }
            Some(Cmd::Copy(text)) => self.writer.send(&mut clipboard::osc52(&text)),
            Some(Cmd::Ring) => self.writer.send(&mut vec![BELL]),
            Some(Cmd::Export(format)) => self.export(format),
            Some(Cmd::Save(format, content)) => self.save(format, &content),
            Some(Cmd::Leave(leave)) => return Ok(Some(leave)),
            // If the worker has ended, the link is shown as lost.
            Some(Cmd::Work(work)) => work.into_iter().for_each(|request| drop(self.requests.send(request))),
        }
        Ok(None)
    }

    /// Writes what is shown without the menu that this was chosen from.
    fn export(&mut self, format: Format) {
        let (columns, rows) = self.model.world.size;
        let mut picture = Buffer::empty(Rect::new(0, 0, columns, rows));
        let area = picture.area;
        view::draw(&self.model, self.theme, &mut picture, area);
        if let Some(content) = export::picture(format, &picture, &self.model.world.identity.database) {
            self.save(format, &content);
        }
    }

    fn save(&mut self, format: Format, content: &str) {
        let said = match export::write(format, content, self.model.world.now.wall) {
            Ok(path) => format!("saved as {}", path.display()),
            Err(error) => format!("nothing is saved: {error}"),
        };
        self.model.world.say(said);
    }

    /// Shows what was seen in the last console, once the fleet is there.
    fn show_again(&mut self, kept: Kept) {
        let Some((screen, sought)) = kept.seen.show(&mut self.model, kept.age) else { return };
        for cmd in open(&mut self.model, screen, &sought).into_iter().flatten() {
            if let Cmd::Work(work) = cmd {
                for request in work {
                    let _ = self.requests.send(request);
                }
            }
        }
    }

    /// Somebody else may have had the terminal.
    fn begin_anew(&mut self, guard: &Guard) -> io::Result<()> {
        guard.enter()?;
        if self.model.world.has_mouse {
            guard.hear_mouse(true);
        }
        self.screen.forget();
        if let Ok(size) = crossterm::terminal::size() {
            update(&mut self.model, Msg::Resize(size.0, size.1));
        }
        Ok(())
    }
}
