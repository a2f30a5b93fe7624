//! A console without a terminal, a database and a clock: for benchmarks, pictures and tests. What it
//! draws goes through the same code as on a terminal.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;

use super::cmd::Cmd;
use super::model::Model;
use super::msg::Msg;
use super::program::Look;
use super::request::{Answer, LogNews, Question, Request};
use super::terminal::{Screen, cursor_of};
use super::theme::Theme;
use super::update::update;
use super::view;
use super::world::Identity;
use crate::model::{Delta, ManagerRow, Now, Run, Timestamp};
use crate::process::{LogRecord, Stream};
use crate::store::Capabilities;

/// The console.
pub struct Rehearsal {
    model: Model,
    theme: Theme,
    screen: Screen,
    bytes: Vec<u8>,
    /// What it wanted to know when time passed last.
    asked: Vec<Request>,
}

impl Rehearsal {
    /// Opens a console of this size.
    #[must_use]
    pub fn new(look: Look, size: (u16, u16), now: Now) -> Self {
        let identity = Identity {
            database: "prod-eu".to_owned(),
            capabilities: Capabilities::SERVER,
            user: "ana".to_owned(),
            is_attached: false,
            read_only: None,
        };
        let model = Model::new(identity, size, now, "");
        Self {
            model,
            theme: look.theme(),
            screen: Screen::new(look.abilities),
            bytes: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Time passes.
    pub fn at(&mut self, now: Now) {
        self.asked = match update(&mut self.model, Msg::Tick(now)) {
            Some(Cmd::Work(work)) => work,
            Some(_) | None => Vec::new(),
        };
    }

    /// What the details want to know is answered: these were the runs, and the log ends like that.
    pub fn tell(&mut self, runs: &[Run], log: &[(Timestamp, &str)]) {
        for request in std::mem::take(&mut self.asked) {
            let msg = match request {
                Request::Ask(ticket, Question::History(_)) => {
                    Msg::Answer { ticket, answer: Ok(Answer::History(runs.to_vec())) }
                }
                Request::Ask(ticket, Question::Commands(_)) => {
                    Msg::Answer { ticket, answer: Ok(Answer::Commands(Vec::new())) }
                }
                Request::OpenLog(query) => {
                    let record = |(time, text): &(Timestamp, &str)| LogRecord {
                        time: Some(*time),
                        stream: Stream::Out,
                        is_complete: true,
                        text: text.as_bytes().to_vec(),
                    };
                    let records = log.iter().map(|line| (0, record(line))).collect();
                    Msg::Log(LogNews { ticket: query.ticket, is_start: true, records, ..LogNews::default() })
                }
                Request::Ask(..)
                | Request::Submit { .. }
                | Request::CloseLog
                | Request::Look
                | Request::Pace(_) => continue,
            };
            update(&mut self.model, msg);
        }
    }

    /// The database has news.
    pub fn hear(&mut self, delta: Delta, read: Timestamp) {
        update(&mut self.model, Msg::Changes { delta, read });
    }

    /// These managers serve the database.
    pub fn meet(&mut self, managers: Vec<ManagerRow>) {
        update(&mut self.model, Msg::Managers(managers));
    }

    /// The terminal has another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        update(&mut self.model, Msg::Resize(columns, rows));
    }

    /// A key is pressed. What it asks of the database is not done.
    pub fn press(&mut self, code: KeyCode) {
        update(&mut self.model, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    /// The terminal is not trusted any more: the next frame is a whole one.
    pub fn forget(&mut self) {
        self.screen.forget();
    }

    /// Draws a frame, and gives what the terminal is sent.
    pub fn frame(&mut self) -> &[u8] {
        let Self { model, theme, screen, bytes, .. } = self;
        bytes.clear();
        screen.draw(
            model.world.size,
            |buffer| {
                let area = buffer.area;
                view::draw(model, *theme, buffer, area);
                cursor_of(buffer)
            },
            bytes,
        );
        bytes
    }

    /// What was drawn last.
    #[must_use]
    pub fn screen(&self) -> &Buffer {
        self.screen.shown()
    }
}
