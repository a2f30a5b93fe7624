//! What happens to the console. Plain data, so that it can be recorded.

use std::time::Duration;

use crossterm::event::{KeyEvent, MouseEvent};

use super::request::{Answer, LogNews, Ticket};
use super::terminal::Answer as TerminalAnswer;
use super::world::Focus;
use crate::model::{CommandRow, Delta, ManagerRow, Now, Timestamp};
use crate::store::StoreError;

/// Something that the console must take in.
#[derive(Debug)]
pub(super) enum Msg {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// Text was pasted. It is never taken for keys.
    Paste(String),
    /// The terminal has this size now: columns, rows.
    Resize(u16, u16),
    /// The terminal said whether the keys go to it.
    Focus(Focus),
    /// The terminal answered, at this time since boot.
    Heard(TerminalAnswer, Duration),
    /// An answer of the terminal took so long.
    Distance(Duration),
    /// The terminal went away.
    HungUp,
    /// A signal asks the process to end.
    Interrupted(i32),
    /// A signal asks the process to stand still.
    Stop,
    /// The process goes on after it stood still.
    Continued,
    /// The shell that had the terminal has ended, or could not be started.
    Back(Option<String>),
    /// A frame could be drawn only so long after it was due: the terminal had not taken the last one.
    FrameLate(Duration),
    /// Time passed.
    Tick(Now),
    /// Rows changed; read at this time of the database.
    Changes { delta: Delta, read: Timestamp },
    /// The managers that serve or served the database.
    Managers(Vec<ManagerRow>),
    /// Runs that began in the last minute.
    Begun(u64),
    /// An answer of the database took so long.
    Latency(Duration),
    /// The database does not answer, and why.
    Lost(String),
    /// Commands were entered into the ledger, or not.
    Submitted { ticket: Ticket, result: Result<Vec<CommandRow>, StoreError> },
    /// What became of commands so far.
    Verdicts(Vec<CommandRow>),
    /// The answer to the question of a screen.
    Answer { ticket: Ticket, answer: Result<Answer, StoreError> },
    /// Something is new in the logs that are open.
    Log(LogNews),
}
