//! The shim: the small supervisor of one run. It starts the app, keeps its output and its reports,
//! ends its processes when told, and writes down how it ended. The manager may come and go.
//!
//! What it waits for arrives in one queue: threads that only wait fill it, one thread decides.

mod ending;
mod feeds;
mod start;

use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use windows_sys::Win32::System::Diagnostics::Debug::{
    SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SetErrorMode,
};

use self::ending::Ended;
use self::feeds::Happening;
use super::job::Job;
use super::{boot_time, console, ring};
use crate::model::StopSignal;
use crate::process::fence::Fence;
use crate::process::foreground::Notice;
use crate::process::intake::{Inlet, Intake, Reports};
use crate::process::layout::RunDir;
use crate::process::log_format::Stream;
use crate::process::record::{Cause, Fact, Identity, Message, ReportRecord, Spec, StopRequest};
use crate::process::{clock, journal};

/// Reports are handed on at most this often; what comes in between is merged.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// How long processes that outlive the main process have between Ctrl+Break and their end.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// How often the job is looked at while its processes end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The system needs a moment for a killed process; after this it is killed again.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// How many happenings are taken before what they bring is written and deadlines are looked at.
const TURN: usize = 64;

/// How a shim comes to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::process) enum Beginning {
    /// It starts the app; its standard input is the journal.
    Start,
    /// It takes the place of a shim that was killed.
    Adopt,
}

/// Runs the shim of a run directory.
pub(in crate::process) fn main(dir: &Path, beginning: Beginning) -> ExitCode {
    // An app that crashes must not wait for somebody to close a window.
    // SAFETY: the call takes an integer.
    unsafe { SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX) };
    match run_at(dir, beginning) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads what a shim prints; the manager sees that it ended without a record.
        Err(_) => ExitCode::FAILURE,
    }
}

fn run_at(path: &Path, beginning: Beginning) -> io::Result<()> {
    let dir = RunDir::new(path.to_owned());
    let shim = match beginning {
        Beginning::Start => {
            // First of all: its lock goes with it.
            let file = journal_of_stdin()?;
            let journal = journal::read(&dir)?.ok_or_else(|| io::Error::other("no journal"))?;
            Shim::start(dir, journal.spec, file, None)?
        }
        Beginning::Adopt => {
            let file = super::join_lock(&dir.journal())?;
            let journal = journal::read(&dir)?.ok_or_else(|| io::Error::other("no journal"))?;
            Some(Shim::adopt(dir, journal, file)?)
        }
    };
    if let Some(shim) = shim {
        shim.supervise();
    }
    Ok(())
}

/// The handle that whoever started this shim gave it for its standard input.
fn journal_of_stdin() -> io::Result<File> {
    // SAFETY: nothing else in this process uses its standard input, so the handle is ours alone.
    let file = unsafe { File::from_raw_handle(io::stdin().as_raw_handle()) };
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("no journal")) }
}

/// Runs a run directory from the process that called, which takes the place of the shim.
pub(in crate::process) fn foreground(
    dir: &RunDir,
    journal: File,
    notice: Box<dyn FnMut(Notice)>,
) -> io::Result<()> {
    let dir = RunDir::new(std::path::absolute(dir.path())?);
    let spec = journal::read(&dir)?.ok_or_else(|| io::Error::other("no journal"))?.spec;
    if let Some(shim) = Shim::start(dir, spec, journal, Some(Foreground { notice }))? {
        shim.supervise();
    }
    Ok(())
}

/// Who listens besides the doorbell.
struct Foreground {
    notice: Box<dyn FnMut(Notice)>,
}

/// A stop that was asked for.
struct Stop {
    cause: Cause,
    /// `None`: the app decides how long it takes.
    kill_at: Option<Duration>,
    begun: Duration,
    killed: bool,
}

/// One of the two outputs of the app.
struct Source {
    inlet: Inlet,
    is_closed: bool,
}

impl Source {
    fn new(stream: Stream) -> Self {
        Self { inlet: Inlet::new(stream), is_closed: false }
    }
}

struct Shim {
    dir: RunDir,
    spec: Spec,
    journal: File,
    job: Job,
    main: Identity,
    inbox: Receiver<Happening>,
    /// When the app's process began.
    started: crate::model::Timestamp,
    out: Source,
    err: Source,
    intake: Intake,
    reports: Reports,
    fence: Option<Fence>,
    /// When the run is ended because it took too long, if that is for the shim to do.
    ends_at: Option<Duration>,
    stop: Option<Stop>,
    ended: Option<Ended>,
    foreground: Option<Foreground>,
}

impl Shim {
    /// Goes on until the run is over and on record.
    fn supervise(mut self) {
        loop {
            self.wait();
            let Self { out, err, intake, reports, .. } = &mut self;
            for source in [out, err] {
                source.inlet.flush(intake, reports, clock::now());
            }
            self.intake.flush(clock::wall());
            let now = boot_time();
            self.tell_reports(now);
            self.look_at_limits(now);
            self.enforce(now);
            if self.ended.is_some() && self.is_over(now) {
                self.conclude();
                return;
            }
        }
    }

    /// Sleeps until something happens or is due, and takes what there is.
    fn wait(&mut self) {
        let first = match self.deadline() {
            Some(at) => self.inbox.recv_timeout(at.saturating_sub(boot_time())).ok(),
            None => self.inbox.recv().ok(),
        };
        let mut next = first;
        for _ in 0..TURN {
            let Some(happening) = next else { return };
            self.take(happening);
            next = self.inbox.try_recv().ok();
        }
        if let Some(happening) = next {
            self.take(happening);
        }
    }

    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Output(stream, bytes) => self.take_output(stream, &bytes),
            Happening::Closed(stream) => self.source(stream).is_closed = true,
            Happening::Message(message) => self.take_message(message),
            Happening::MainEnded(exit) => self.main_ended(exit),
            Happening::Request(number) => self.take_request(number),
        }
    }

    fn source(&mut self, stream: Stream) -> &mut Source {
        match stream {
            Stream::Err => &mut self.err,
            Stream::Out | Stream::Dcm => &mut self.out,
        }
    }

    fn take_output(&mut self, stream: Stream, bytes: &[u8]) {
        let Self { out, err, intake, reports, .. } = self;
        let source = if stream == Stream::Err { err } else { out };
        source.inlet.push(bytes, intake, reports, clock::now());
    }

    fn take_message(&mut self, message: Message) {
        match message {
            Message::Stop(request) => self.begin_stop(request),
            Message::Tell => self.reports.is_new = !self.reports.all.is_empty(),
            Message::Report(value) => self.reports.take(&value),
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let report =
            self.reports.is_new.then(|| self.reports.told_at.map_or(Duration::ZERO, |at| at + REPORT_EVERY));
        let kill = self.stop.as_ref().filter(|_| self.ended.is_none()).and_then(|stop| stop.kill_at);
        let look = self.ended.as_ref().map(|ended| ended.look_at);
        let fence = self.fence.as_ref().filter(|_| self.ended.is_none()).map(Fence::deadline);
        let ends_at = self.ends_at.filter(|_| self.ended.is_none());
        [report, kill, look, fence, ends_at, self.out.inlet.deadline(), self.err.inlet.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// A request to a shim means that the host goes down: the app is given its time to end. One to
    /// `run-app` is passed on; when it comes again, the run is killed.
    fn take_request(&mut self, number: i32) {
        let cause = Cause::Signal(number);
        match &self.foreground {
            None => self.begin_stop(StopRequest { cause, grace_ms: self.spec.grace_ms }),
            Some(_) => match (&mut self.stop, &mut self.ended) {
                (_, Some(ended)) => ended.kill_at = boot_time(),
                (Some(stop), None) => stop.kill_at = Some(boot_time()),
                (None, None) => {
                    console::ask_to_end(self.main.pid);
                    // Whoever asked can ask again.
                    self.stop = Some(Stop { cause, kill_at: None, begun: boot_time(), killed: false });
                }
            },
        }
    }

    /// Ctrl+Break now, the end of the job when the grace time is over. A second request may shorten
    /// the time and takes over as the cause, but does not begin anew.
    fn begin_stop(&mut self, request: StopRequest) {
        let grace = Duration::from_millis(request.grace_ms);
        // What was not ended at once needs that again, and no time.
        let is_kill = self.spec.stop_signal() == StopSignal::Kill;
        let kill_at = boot_time() + if is_kill { grace.min(KILL_AGAIN) } else { grace };
        if let Some(ended) = &mut self.ended {
            // What is left may have less time.
            ended.kill_at = ended.kill_at.min(kill_at);
            return;
        }
        let is_first = self.stop.is_none();
        let earlier = self.stop.as_ref().and_then(|stop| stop.kill_at);
        let killed = self.stop.as_ref().is_some_and(|stop| stop.killed);
        // For a manager that comes later; if it cannot be written, the cause is in the exit record.
        let _ = journal::append(&mut self.journal, &Fact::Stop(request.clone()));
        self.stop = Some(Stop {
            cause: request.cause,
            kill_at: Some(earlier.unwrap_or(kill_at).min(kill_at)),
            begun: self.stop.as_ref().map_or_else(boot_time, |stop| stop.begun),
            killed,
        });
        match (is_first, is_kill) {
            (true, true) => self.job.terminate(),
            (true, false) => console::ask_to_end(self.main.pid),
            (false, _) => {}
        }
    }

    /// Ends the run when it took too long, or when the manager could not renew its lease: then it may be
    /// another's to run it.
    fn look_at_limits(&mut self, now: Duration) {
        if self.ended.is_none() && self.ends_at.is_some_and(|at| at <= now) {
            self.ends_at = None;
            self.begin_stop(self.spec.timeout());
        }
        let request = self.fence.as_mut().filter(|_| self.ended.is_none()).and_then(|fence| fence.look(now));
        if let Some(request) = request {
            self.fence = None;
            self.begin_stop(request);
        }
    }

    /// Kills what has outlived its grace time.
    fn enforce(&mut self, now: Duration) {
        if self.ended.is_some() {
            return;
        }
        let is_due = |stop: &&mut Stop| stop.kill_at.is_some_and(|at| at <= now);
        let Some(stop) = self.stop.as_mut().filter(is_due) else { return };
        stop.killed = true;
        stop.kill_at = Some(now + KILL_AGAIN);
        self.job.terminate();
    }

    fn tell_reports(&mut self, now: Duration) {
        let is_due = self.reports.told_at.is_none_or(|at| at + REPORT_EVERY <= now);
        if !self.reports.is_new || !is_due {
            return;
        }
        self.reports.told_at = Some(now);
        self.reports.is_new = false;
        let all = self.reports.all.clone();
        let record = serde_json::to_string(&ReportRecord::from(all.clone())).unwrap_or_default();
        // A manager that comes later asks for it.
        ring(&self.spec.doorbell, &format!("{} {record}", self.spec.run));
        self.notify(Notice::Reported(all));
    }

    fn notify(&mut self, notice: Notice) {
        if let Some(foreground) = &mut self.foreground {
            (foreground.notice)(notice);
        }
    }
}
