//! The shim: the small supervisor of one run. It starts the app, keeps its output and its reports,
//! ends its processes when told, and writes down how it ended. The manager may come and go.
//!
//! One thread, no runtime, almost no memory.

mod ending;
mod output;
mod start;
mod stopping;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use self::ending::Ended;
use self::output::Output;
use self::stopping::Stop;
use super::{ProcessHandle, Rung, boot_time, cgroup, make_pipe, open_pipe, own_identity, reap, ring, tree};
use crate::model::{Closing, Exit, Timestamp};
use crate::process::fence::Fence;
use crate::process::foreground::Notice;
use crate::process::intake::Reports;
use crate::process::journal::Lock;
use crate::process::layout::RunDir;
use crate::process::record::{Cause, Fact, Identity, Message, ReportRecord, Spec, StopRequest};
use crate::process::{clock, journal, lines};

/// Reports are handed on at most this often; what comes in between is merged.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// How long processes that outlive the main process have between TERM and KILL.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// A program that forks while it is being stopped is looked at again so many times; what is missed is
/// met a second later.
const STOP_ROUNDS_MAX: usize = 50;

/// A wait that failed is tried again after this.
const WAIT_AGAIN: Duration = Duration::from_millis(100);

/// The kernel needs a moment for a killed process; after this KILL is sent again.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// Who listens besides the doorbell.
struct Foreground {
    notice: Box<dyn FnMut(Notice)>,
    ignores_hangup: bool,
    /// A signal that was passed on and may mean anything to the app, and when.
    passed_on: Option<(Signal, Duration)>,
}

/// Runs the shim of a run directory. With its journal, which the nursery was given, it starts the
/// app; without, it takes the place of a shim that was killed.
pub(in crate::process) fn main(dir: &Path, journal: Option<File>, cgroup: Option<PathBuf>) -> ExitCode {
    // Its own session: a signal for the terminal or the group of the manager is not for it.
    let _ = nix::unistd::setsid();
    if journal.is_none() {
        super::close_inherited();
    }
    match run_at(dir, journal, cgroup) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads what a shim prints; the manager sees that it ended without a record.
        Err(_) => ExitCode::FAILURE,
    }
}

fn run_at(path: &Path, file: Option<File>, cgroup: Option<PathBuf>) -> io::Result<()> {
    // From here on by short names: the directory may be moved or its parents removed.
    std::env::set_current_dir(path)?;
    let dir = RunDir::new(PathBuf::from("."));
    let journal = journal::read(&dir)?.ok_or_else(|| io::Error::other("no journal"))?;
    super::title::set(&super::title::of_shim(&journal.spec));
    super::signals::reset();
    let signals = catch_signals()?;
    let shim = match file {
        Some(file) => {
            super::restore_open_files(journal.spec.open_files);
            Shim::start(dir, journal.spec, signals, file, cgroup, None)?
        }
        None => Some(Shim::adopt(dir, journal.spec, signals)?),
    };
    shim.map(Shim::supervise);
    Ok(())
}

/// Runs a run directory from the process that called, which takes the place of the shim.
pub(in crate::process) fn foreground(
    dir: &RunDir,
    journal: File,
    notice: Box<dyn FnMut(Notice)>,
) -> io::Result<()> {
    let dir = RunDir::new(std::fs::canonicalize(dir.path())?);
    let spec = journal::read(&dir)?.ok_or_else(|| io::Error::other("no journal"))?.spec;
    super::restore_open_files(spec.open_files);
    let ignores_hangup = super::signals::is_ignored(libc::SIGHUP);
    let signals = catch_signals()?;
    // This process has threads, so it cannot fork into the cgroup; the app is moved there.
    let run = dir.path().file_name().unwrap_or_default();
    let folder = dir.path().ancestors().nth(2).and_then(cgroup::folder);
    let cgroup = folder.and_then(|folder| cgroup::make(&folder, run));
    let foreground = Foreground { notice, ignores_hangup, passed_on: None };
    if let Some(shim) = Shim::start(dir.clone(), spec, signals, journal, cgroup, Some(foreground))? {
        shim.supervise();
    }
    Ok(())
}

fn catch_signals() -> io::Result<File> {
    super::signals::catch(&[
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ])
}

/// The main process of the run.
enum Main {
    /// A child: the kernel tells how it ended.
    Child(Identity),
    /// The child of a shim that was killed: only that it ended can be seen.
    Adopted(Identity, Option<ProcessHandle>),
}

struct Shim {
    dir: RunDir,
    spec: Spec,
    journal: File,
    /// When the app's process began.
    started: Timestamp,
    signals: File,
    control: File,
    control_line: lines::Splitter,
    output: Output,
    reports: Reports,
    fence: Option<Fence>,
    /// When the run is ended because it took too long, if that is for the shim to do.
    ends_at: Option<Duration>,
    main: Main,
    /// Whether the app's process is on record.
    is_app_noted: bool,
    /// The cgroup that holds the run and nothing else, where there is one.
    cgroup: Option<PathBuf>,
    /// Kills for want of memory on this host before the run.
    kills_before: Option<u64>,
    stop: Option<Stop>,
    ended: Option<Ended>,
    foreground: Option<Foreground>,
}

impl Shim {
    /// Goes on until the run is over and on record.
    fn supervise(mut self) -> Closing {
        loop {
            self.wait();
            self.note_app();
            self.read_signals();
            self.read_control();
            let now = boot_time();
            self.output.pump(&mut self.reports, clock::now());
            self.tell_reports(now);
            self.look_at_limits(now);
            self.enforce(now);
            if self.ended.is_some() && self.is_over(now) {
                return self.conclude();
            }
        }
    }

    /// Puts the app's process on record, where there was no room for that before.
    fn note_app(&mut self) {
        if let (false, Main::Child(process)) = (self.is_app_noted, &self.main) {
            let fact = Fact::App { process: *process, started: self.started };
            self.is_app_noted = journal::append(&mut self.journal, &fact).is_ok();
            if self.is_app_noted {
                self.ring();
            }
        }
    }

    /// Sleeps until something happens or is due.
    fn wait(&self) {
        let timeout = self.deadline().map(|at| at.saturating_sub(boot_time()));
        let timeout = match timeout {
            // Rounded up: a poll that returns too early would turn in circles.
            Some(timeout) => PollTimeout::try_from(timeout.as_millis() + 1).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let mut fds = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(self.output.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        if let (Main::Adopted(_, Some(handle)), None) = (&self.main, &self.ended) {
            fds.push(PollFd::new(handle.fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            // Out of memory, for example: the app must not lose its shim for that.
            Err(_) => std::thread::park_timeout(WAIT_AGAIN),
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let report =
            self.reports.is_new.then(|| self.reports.told_at.map_or(Duration::ZERO, |at| at + REPORT_EVERY));
        let is_empty = self.ended.as_ref().is_some_and(|ended| ended.emptied.is_some());
        let kill = self.kill_at().filter(|_| !is_empty);
        let look = self.ended.as_ref().map(|ended| ended.look_at);
        let fence = self.fence.as_ref().filter(|_| self.ended.is_none()).map(Fence::deadline);
        let ends_at = self.ends_at.filter(|_| self.ended.is_none());
        // A handle could not be had: the process must be looked at.
        let poll = match (&self.main, &self.ended) {
            (Main::Adopted(_, None), None) => Some(boot_time() + KILL_AGAIN),
            (Main::Child(_), None) if !self.is_app_noted => Some(boot_time() + KILL_AGAIN),
            _ => None,
        };
        [report, kill, look, fence, ends_at, poll, self.output.deadline()].into_iter().flatten().min()
    }

    fn read_signals(&mut self) {
        let mut numbers = [0; 64];
        while let Ok(count @ 1..) = self.signals.read(&mut numbers) {
            for number in &numbers[..count] {
                match Signal::try_from(i32::from(*number)) {
                    Ok(Signal::SIGCHLD) | Err(_) => {}
                    Ok(signal) => self.take_signal(signal),
                }
            }
        }
        self.reap_all();
    }

    /// A signal to a shim means that the host goes down: the app is given its time to end. A
    /// signal to `run-app` is passed on as it is; when it comes again, the run is killed.
    fn take_signal(&mut self, signal: Signal) {
        let is_request_to_end = matches!(signal, Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT);
        match (&self.foreground, is_request_to_end) {
            (None, true) => {
                self.begin_stop(StopRequest {
                    cause: Cause::Signal(signal as i32),
                    grace_ms: self.spec.grace_ms,
                });
            }
            (None, false) => {}
            (Some(_), true) => self.pass_on_end(signal),
            // `nohup dcm run-app`: its end is not that of the terminal.
            (Some(foreground), false) if signal == Signal::SIGHUP && foreground.ignores_hangup => {}
            (Some(_), false) => self.pass_on(signal),
        }
    }

    fn reap_all(&mut self) {
        while let Some(status) = reap(None) {
            // Each end of a child may be the last one.
            self.look_soon();
            if let (Main::Child(main), Some(pid)) = (&self.main, status.pid())
                && pid == pid_of(*main)
            {
                self.main_ended(exit_of_status(status));
            }
        }
        if let Main::Adopted(main, _) = &self.main
            && self.ended.is_none()
            && super::is_alive(*main).is_ok_and(|is_alive| !is_alive)
        {
            self.main_ended(None);
        }
    }

    fn read_control(&mut self) {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = self.control.read(&mut bytes) {
            let mut messages = Vec::new();
            self.control_line.push(&bytes[..length], |line| {
                messages.extend(serde_json::from_slice::<Message>(line.text).ok());
            });
            for message in messages {
                match message {
                    Message::Stop(request) => self.begin_stop(request),
                    Message::Tell => self.reports.is_new = !self.reports.all.is_empty(),
                    Message::Report(value) => self.reports.take(&value),
                }
            }
        }
    }

    /// All processes of the run but this one.
    ///
    /// # Errors
    /// When they cannot be seen: then there may be some.
    fn processes(&self) -> io::Result<Vec<Identity>> {
        let Main::Adopted(main, _) = &self.main else { return tree::descendants(std::process::id()) };
        let mut found: BTreeSet<_> = tree::tagged(&self.spec.run)?.into_iter().collect();
        if self.ended.is_none() {
            found.insert(*main);
        }
        // Some may have cleared their environment.
        if let Some(cgroup) = &self.cgroup {
            found.extend(cgroup::members(cgroup)?);
        }
        if self.is_held()? {
            found.extend(tree::holders(&self.dir.journal())?);
        }
        found.extend(tree::group_mates(&found, main.pid)?);
        Ok(found.into_iter().collect())
    }

    /// The processes that can be signalled now. Those that cannot be seen have their turn when they can.
    fn processes_seen(&self) -> Vec<Identity> {
        self.processes().unwrap_or_default()
    }

    /// Whether processes of the run hold its lock, seen or not. A shim that took over the run does not.
    fn is_held(&self) -> io::Result<bool> {
        Ok(matches!(self.main, Main::Adopted(..)) && journal::lock(&self.dir)? == Lock::Held)
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

    fn tell_reports(&mut self, now: Duration) {
        let is_due = self.reports.told_at.is_none_or(|at| at + REPORT_EVERY <= now);
        if !self.reports.is_new || !is_due {
            return;
        }
        self.reports.told_at = Some(now);
        let all = self.reports.all.clone();
        let record = serde_json::to_string(&ReportRecord::from(all.clone())).unwrap_or_default();
        // A manager that comes later asks for it.
        self.reports.is_new = ring(&self.spec.doorbell, &format!("{} {record}", self.spec.run)) == Rung::Busy;
        self.notify(Notice::Reported(all));
    }

    fn ring(&self) {
        ring(&self.spec.doorbell, &self.spec.run);
    }

    fn notify(&mut self, notice: Notice) {
        if let Some(foreground) = &mut self.foreground {
            (foreground.notice)(notice);
        }
    }
}

fn pid_of(identity: Identity) -> Pid {
    Pid::from_raw(i32::try_from(identity.pid).unwrap_or(i32::MAX))
}

/// How a process ended, by the status that its parent waited for.
pub(super) fn exit_of_status(status: WaitStatus) -> Option<Exit> {
    match status {
        WaitStatus::Exited(_, code) => Some(Exit::Code(code.into())),
        WaitStatus::Signaled(_, signal, core) => Some(Exit::Signal { signal: signal as i32, core }),
        WaitStatus::Stopped(..)
        | WaitStatus::PtraceEvent(..)
        | WaitStatus::PtraceSyscall(_)
        | WaitStatus::Continued(_)
        | WaitStatus::StillAlive => None,
    }
}
