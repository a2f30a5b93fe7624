//! What the console wants done outside.

use super::export::Format;
use super::request::Request;

/// Something that takes time, or concerns the terminal, or ends the console.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cmd {
    /// Give these to the worker, in this order.
    Work(Vec<Request>),
    /// Draw everything anew.
    Redraw,
    /// Stand still until the shell lets this job go on.
    Suspend,
    /// Hear of the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Leave the terminal to a shell.
    Shell,
    /// Give this text to the clipboard of the terminal.
    Copy(String),
    /// Ring the bell of the terminal.
    Ring,
    /// Write a picture of what is shown to a file.
    Export(Format),
    /// Write this to a file.
    Save(Format, String),
    /// Leave the console.
    Leave(Leave),
}

impl Cmd {
    /// `None` when there is nothing to do.
    pub(super) fn work(requests: impl IntoIterator<Item = Request>) -> Option<Self> {
        let requests: Vec<_> = requests.into_iter().collect();
        (!requests.is_empty()).then_some(Self::Work(requests))
    }
}

/// How a console was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// By a client: nothing else changes.
    Client,
    /// The manager of this process is to go on without a console.
    Headless,
    /// The manager of this process is to end; its apps run on.
    Stop,
    /// The terminal went away.
    HungUp,
    /// This signal asked the process to end.
    Interrupted(i32),
}
