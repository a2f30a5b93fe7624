//! The threads of a shim that wait, each for one thing, and say what has happened.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::model::Exit;
use crate::process::log_format::Stream;
use crate::process::record::Message;
use crate::process::windows::console;
use crate::process::windows::mailbox::Mailbox;
use crate::process::windows::process::ProcessHandle;

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// How many happenings wait; an app whose output is not kept up with waits as well.
const WAITING_MAX: usize = 64;

/// The stack of a thread that only waits.
const STACK: usize = 256 * 1024;

pub(super) enum Happening {
    Output(Stream, Vec<u8>),
    /// Nobody can write to this output any more.
    Closed(Stream),
    Message(Message),
    /// `None`: how, cannot be known.
    MainEnded(Option<Exit>),
    /// Somebody asks this process to end.
    Request(i32),
}

/// Fills the queue of a shim.
pub(super) struct Feeds(SyncSender<Happening>);

impl Feeds {
    pub(super) fn new() -> (Self, Receiver<Happening>) {
        let (sender, inbox) = sync_channel(WAITING_MAX);
        (Self(sender), inbox)
    }

    /// The messages that come by the mailbox.
    pub(super) fn messages(&self, mut mailbox: Mailbox) -> io::Result<()> {
        let sender = self.0.clone();
        spawn(move || {
            while let Ok(bytes) = mailbox.receive() {
                if let Ok(message) = serde_json::from_slice(bytes)
                    && sender.send(Happening::Message(message)).is_err()
                {
                    return;
                }
            }
        })
    }

    /// What the app writes, until nobody can write any more.
    pub(super) fn output(&self, stream: Stream, mut pipe: File) -> io::Result<()> {
        let sender = self.0.clone();
        spawn(move || {
            let mut chunk = vec![0; CHUNK];
            loop {
                let happening = match pipe.read(&mut chunk) {
                    Ok(0) => Happening::Closed(stream),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(_) => Happening::Closed(stream),
                    Ok(length) => Happening::Output(stream, chunk[..length].to_vec()),
                };
                let is_over = matches!(happening, Happening::Closed(_));
                if sender.send(happening).is_err() || is_over {
                    return;
                }
            }
        })
    }

    /// The end of the app's main process.
    pub(super) fn main_process(&self, main: ProcessHandle) -> io::Result<()> {
        let sender = self.0.clone();
        spawn(move || {
            let exit = main.wait().map(|code| Exit::Code(code.into()));
            let _ = sender.send(Happening::MainEnded(exit));
        })
    }

    /// Requests of the system or of a console that this process ends.
    pub(super) fn requests(&self) -> io::Result<()> {
        let sender = self.0.clone();
        console::on_request(move |number| {
            let _ = sender.send(Happening::Request(number));
        })
    }

    /// Says something that needs no waiting; the queue has room for the first few.
    pub(super) fn say(&self, happening: Happening) {
        let _ = self.0.try_send(happening);
    }
}

fn spawn(wait: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().stack_size(STACK).spawn(wait).map(drop)
}
