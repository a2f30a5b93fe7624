//! How the watching thread sleeps on Windows: on a channel, into which one thread puts what comes by
//! the doorbell, and threads of the system put the ends of shims.

mod shim_wait;

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use self::shim_wait::ShimWait;
use super::mailbox::Mailbox;
use crate::model::RunId;
use crate::process::clock;
use crate::process::looker::Host;
use crate::process::record::Identity;
use crate::process::supervisor::Sink;
use crate::process::watch::{LOOK_EVERY, Request, Ring, Waits, Watch};

/// The way to the thread, which goes on for as long as there is one of these.
#[derive(Clone)]
pub(in crate::process) struct Line(Arc<Sender<Request>>);

impl Line {
    pub(in crate::process) fn request(&self, request: Request) {
        // It goes on for as long as there is one of these.
        let _ = self.0.send(request);
    }

    /// The file is only where others read the name of the mailslot; the next manager writes it again.
    #[expect(clippy::unused_self, reason = "on other platforms the doorbell is a file that can be removed")]
    pub(in crate::process) fn keep_doorbell(&self) {}

    #[expect(clippy::unused_self, reason = "on other platforms the doorbell ends the wait")]
    pub(in crate::process) fn rest(&self, most: Duration) {
        std::thread::park_timeout(most);
    }
}

pub(in crate::process) fn begin_to_watch(
    doorbell: &Path,
    sink: Sink,
    on_lost: Box<dyn Fn(RunId) + Send>,
) -> io::Result<Line> {
    let mailbox = Mailbox::create(doorbell)?;
    let (requests, inbox) = channel();
    let requests = Arc::new(requests);
    let rings = Arc::downgrade(&requests);
    let watch = Watch::new(Host, SystemWaits(Weak::clone(&rings)), sink, on_lost);
    std::thread::Builder::new().name("dcm-watch".to_owned()).spawn(move || serve(watch, &inbox))?;
    std::thread::Builder::new()
        .name("dcm-doorbell".to_owned())
        .spawn(move || answer_doorbell(mailbox, &rings))?;
    Ok(Line(requests))
}

/// For those who wait for shims to end.
struct SystemWaits(Weak<Sender<Request>>);

impl Waits for SystemWaits {
    type Wait = ShimWait;

    fn begin(&mut self, run: RunId, shim: Identity) -> Option<ShimWait> {
        ShimWait::begin(run, shim, Weak::clone(&self.0))
    }
}

/// Hands on who rings. Ends with the first ring after the watcher, which nobody else hears.
fn answer_doorbell(mut mailbox: Mailbox, requests: &Weak<Sender<Request>>) {
    while let Ok(message) = mailbox.receive() {
        let Some(requests) = requests.upgrade() else { return };
        if let Some(ring) = Ring::parse(message) {
            let _ = requests.send(Request::Rung(ring));
        }
    }
}

fn serve(mut watch: Watch<Host, SystemWaits>, inbox: &Receiver<Request>) {
    let mut look_at = clock::boot_time() + LOOK_EVERY;
    loop {
        let now = clock::boot_time();
        if !watch.has_silent() || now >= look_at {
            look_at = now + LOOK_EVERY;
            watch.look_at_the_silent();
        }
        let request = if watch.has_silent() {
            inbox.recv_timeout(look_at.saturating_sub(now))
        } else {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match request {
            Ok(request) => watch.take(request),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
