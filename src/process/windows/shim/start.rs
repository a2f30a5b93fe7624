//! The beginning of a run: job, pipes, the app's process, and the takeover from a shim that was
//! killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::windows::io::AsHandle as _;
use std::os::windows::process::CommandExt as _;
use std::process::{Command, Stdio};

use windows_sys::Win32::System::Threading::{CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED};

use super::super::process::{ProcessHandle, let_pass, own_identity, resume};
use super::super::{boot_id, is_alive, mailbox, nursery, pipes, privileges, program};
use super::ending::put_on_record;
use super::feeds::{Feeds, Happening};
use super::{
    Foreground, Intake, Job, Notice, Reports, RunDir, Shim, Source, Spec, clock, console, journal, ring,
};
use crate::model::{Closing, Obstacle, StartFailure, StopSignal, Timestamp};
use crate::process::environment;
use crate::process::fence::Fence;
use crate::process::journal::Journal;
use crate::process::launch::withheld_variables;
use crate::process::log_format::Stream;
use crate::process::record::{EndingRecord, ExitRecord, Fact, HeldLimits, Identity};

/// A process that does not run yet, and its output.
struct Spawned {
    identity: Identity,
    process: ProcessHandle,
    out: File,
    err: File,
}

impl Shim {
    /// Starts the app. `None`: it could not be started, and that is on record.
    pub(super) fn start(
        dir: RunDir,
        spec: Spec,
        mut journal: File,
        mut foreground: Option<Foreground>,
    ) -> io::Result<Option<Self>> {
        let started = clock::wall();
        journal::append(&mut journal, &begun(started)?)?;
        // Open in the app and in all that it starts: as long as the lock is held, the run lives.
        let_pass(journal.as_handle())?;
        let (feeds, inbox) = Feeds::new();
        feeds.requests()?;
        feeds.messages(mailbox::Mailbox::create(&dir.control())?)?;
        let job = Job::create(&spec.run)?;
        let mut spawned = || {
            spawn(&dir, &spec, &job).and_then(|app| {
                // On record before it does anything, so that no successor misses it.
                journal::append(&mut journal, &Fact::App { process: app.identity, started })
                    .and_then(|()| resume(app.identity.pid))
                    .map(|()| app)
                    .map_err(|error| {
                        job.terminate();
                        internal(&error)
                    })
            })
        };
        let begun = match Fence::refusal(Fence::of(&spec).as_ref()) {
            None => spawned().map_err(EndingRecord::from),
            Some(refusal) => Err(refusal),
        };
        let app = match begun {
            Ok(app) => app,
            Err(ending) => {
                let closing = record_failure(&dir, &spec, journal, ending, foreground.is_some());
                if let Some(foreground) = &mut foreground {
                    (foreground.notice)(Notice::Ended(closing));
                }
                return Ok(None);
            }
        };
        let identity = app.identity;
        let mut shim =
            Self::new(Parts { dir, spec, journal, job, main: identity, inbox, started, foreground });
        feeds.output(Stream::Out, app.out)?;
        feeds.output(Stream::Err, app.err)?;
        feeds.main_process(app.process)?;
        shim.heed_earlier_stop();
        ring(&shim.spec.doorbell, &shim.spec.run);
        shim.notify(Notice::Started { pid: identity.pid, at: started });
        Ok(Some(shim))
    }

    /// Takes the place of a shim that was killed.
    pub(super) fn adopt(dir: RunDir, journal: Journal, mut file: File) -> io::Result<Self> {
        let Journal { spec, begun: Some(before), app, .. } = journal else {
            return Err(io::Error::other("nothing was started"));
        };
        if is_alive(before.shim)? {
            return Err(io::Error::other("it has a shim"));
        }
        journal::append(&mut file, &begun(before.at)?)?;
        let started = app.map_or(before.at, |(_, started)| started);
        let (feeds, inbox) = Feeds::new();
        feeds.messages(mailbox::Mailbox::create(&dir.control())?)?;
        // It lives, and has this name, as long as the app does.
        let job = Job::create(&spec.run)?;
        let process = app.and_then(|(app, _)| ProcessHandle::open(app));
        let main = app.map_or(Identity { pid: 0, start: 0 }, |(app, _)| app);
        if app.is_some() {
            console::share(main.pid);
        } else {
            // The shim was killed before the app ran.
            job.terminate();
        }
        // Those of the console that is now shared.
        feeds.requests()?;
        match pipes::take(&dir, main) {
            Ok((out, err)) => {
                feeds.output(Stream::Out, out)?;
                feeds.output(Stream::Err, err)?;
            }
            Err(_) => {
                feeds.say(Happening::Closed(Stream::Out));
                feeds.say(Happening::Closed(Stream::Err));
            }
        }
        match process {
            Some(process) => feeds.main_process(process)?,
            None => feeds.say(Happening::MainEnded(None)),
        }
        let parts = Parts { dir, spec, journal: file, job, main, inbox, started, foreground: None };
        let mut shim = Self::new(parts);
        shim.heed_earlier_stop();
        ring(&shim.spec.doorbell, &shim.spec.run);
        Ok(shim)
    }

    fn new(parts: Parts) -> Self {
        let Parts { dir, spec, journal, job, main, inbox, started, foreground } = parts;
        Self {
            reports: Reports::new(&spec),
            fence: Fence::of(&spec),
            ends_at: spec.ends_at(started, clock::now()),
            intake: Intake::new(&spec, foreground.is_some()),
            dir,
            spec,
            journal,
            job,
            main,
            inbox,
            started,
            out: Source::new(Stream::Out),
            err: Source::new(Stream::Err),
            stop: None,
            ended: None,
            foreground,
        }
    }

    /// A stop that the shim before this one was told, or that came before the mailbox was there.
    fn heed_earlier_stop(&mut self) {
        if let Ok(Some(journal)) = journal::read(&self.dir)
            && let Some(request) = journal.stop
        {
            self.begin_stop(request);
        }
    }
}

/// What a shim is made of.
struct Parts {
    dir: RunDir,
    spec: Spec,
    journal: File,
    job: Job,
    main: Identity,
    inbox: std::sync::mpsc::Receiver<Happening>,
    started: Timestamp,
    foreground: Option<Foreground>,
}

fn begun(at: Timestamp) -> io::Result<Fact> {
    Ok(Fact::Begun { boot: boot_id()?, shim: own_identity(), at, cgroup: None, held: HeldLimits::default() })
}

fn record_failure(dir: &RunDir, spec: &Spec, journal: File, ending: EndingRecord, gives_up: bool) -> Closing {
    let record = ExitRecord::of_failed_start(ending, clock::wall());
    put_on_record(dir, spec, journal, &record, gives_up);
    record.into()
}

/// Makes the app's process, in its job, and does not let it run yet.
fn spawn(dir: &RunDir, spec: &Spec, job: &Job) -> Result<Spawned, StartFailure> {
    refuse(spec)?;
    let variables = environment::of(spec, [])?;
    let path = of_environment(&variables, "PATH").or_else(inherited_path);
    let (name, arguments) = spec.argv.split_first().ok_or_else(|| StartFailure {
        obstacle: Obstacle::NotFound,
        message: "the command is empty".to_owned(),
    })?;
    let program = program::find_any(name, &spec.cwd, path.as_deref(), spec.batch_files)?;
    let program = std::path::absolute(&program).unwrap_or(program);
    let (out, err) = pipes::create(dir).map_err(|error| internal(&error))?;
    let mut command = Command::new(&program);
    // A shim was started without them; `run-app` has them all.
    let withheld = withheld_variables().into_iter().chain(spec.withheld.iter().map(Into::into));
    for name in withheld {
        command.env_remove(name);
    }
    command.args(arguments).envs(&variables).current_dir(&spec.cwd);
    command.stdin(Stdio::null()).stdout(out.write).stderr(err.write);
    // Its own group: Ctrl+Break is for it and not for this process.
    command.creation_flags(CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP);
    let mut child = command.spawn().map_err(|error| program::explain(&error, &program))?;
    let prepare = || {
        let process = ProcessHandle::of_child(child.as_handle())?;
        job.assign(process.raw())?;
        Ok((nursery::identity_of(&child)?, process))
    };
    match prepare() {
        Ok((identity, process)) => Ok(Spawned { identity, process, out: out.read, err: err.read }),
        Err(error) => {
            let _ = child.kill();
            Err(internal(&error))
        }
    }
}

/// Refuses what this system cannot do, rather than start an app without it.
fn refuse(spec: &Spec) -> Result<(), StartFailure> {
    let has_other_signal = !matches!(spec.stop_signal(), StopSignal::Term | StopSignal::Kill);
    match spec.process.given().into_iter().next().or(has_other_signal.then_some("stop_signal")) {
        None => Ok(()),
        Some(setting) => Err(privileges::unsupported(setting)),
    }
}

fn internal(error: &io::Error) -> StartFailure {
    StartFailure {
        obstacle: program::obstacle(error),
        message: format!("its process could not be prepared: {error}"),
    }
}

/// The names of variables have no case here.
fn of_environment(variables: &BTreeMap<String, String>, name: &str) -> Option<String> {
    variables.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
}

fn inherited_path() -> Option<String> {
    let path = std::env::vars_os().find(|(name, _)| name.eq_ignore_ascii_case("PATH"));
    path.and_then(|(_, value)| value.into_string().ok())
}
