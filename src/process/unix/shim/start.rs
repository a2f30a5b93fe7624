//! The beginning of a run: pipes, the app's process, and the takeover from a shim that was killed.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::stat::{Mode, fchmod};

use super::super::privileges::{self, Account};
use super::super::program;
use super::ending::put_on_record;
use super::{
    Foreground, Main, Notice, Output, ProcessHandle, Reports, RunDir, Shim, Spec, clock, journal, lines,
    make_pipe, open_pipe, own_identity, tree,
};
use crate::model::{Closing, Obstacle, StartFailure, Timestamp};
use crate::process::environment;
use crate::process::fence::Fence;
use crate::process::journal::Journal;
use crate::process::launch::withheld_variables;
use crate::process::record::{EndingRecord, ExitRecord, Fact, HeldLimits, Identity};
use crate::process::unix::{
    boot_id, cgroup, identity_of_child, keep_descriptors, let_pass, make_pipe_of_mode, open_to_write,
    out_of_memory,
};

impl Shim {
    /// Starts the app. `None`: it could not be started, and that is on record.
    pub(super) fn start(
        dir: RunDir,
        spec: Spec,
        signals: File,
        mut journal: File,
        cgroup: Option<PathBuf>,
        mut foreground: Option<Foreground>,
    ) -> io::Result<Option<Self>> {
        // Orphans of the run become ours, not the init process's.
        nix::sys::prctl::set_child_subreaper(true)?;
        keep_descriptors();
        let started = clock::wall();
        let held =
            cgroup.as_deref().map_or_else(HeldLimits::default, |cgroup| cgroup::limit(cgroup, spec.limits));
        journal::append(&mut journal, &begun(started, cgroup.clone(), held)?)?;
        let fence = Fence::of(&spec);
        let begun = open_pipes(&dir, &spec, foreground.is_some())
            .map_err(|error| EndingRecord::from(pipe_failure(&error)));
        let begun = begun.and_then(|pipes| match Fence::refusal(fence.as_ref()) {
            None => Ok((spawn(&dir, &spec, &journal)?, pipes)),
            Some(refusal) => Err(refusal),
        });
        let (app, (control, output)) = match begun {
            Ok(begun) => begun,
            Err(ending) => {
                let closing = record_failure(&dir, &spec, &mut journal, ending, foreground.is_some());
                if let Some(foreground) = &mut foreground {
                    (foreground.notice)(Notice::Ended(closing));
                }
                return Ok(None);
            }
        };
        if let (Some(_), Some(cgroup)) = (&foreground, &cgroup) {
            cgroup::take_in(cgroup, app.pid);
        }
        if let (Some(cgroup), Some(_)) = (&cgroup, held.memory) {
            cgroup::kill_together(cgroup, foreground.is_none());
        }
        let fact = Fact::App { process: app, started };
        let is_app_noted = journal::append(&mut journal, &fact).is_ok();
        let ends_at = spec.ends_at(started, clock::now());
        let mut shim = Self {
            reports: Reports::new(&spec),
            dir,
            spec,
            journal,
            started,
            signals,
            control,
            control_line: lines::Splitter::default(),
            output,
            fence,
            ends_at,
            main: Main::Child(app),
            is_app_noted,
            cgroup,
            // After the start, which is not to wait for that.
            kills_before: out_of_memory::kills_on_host(),
            stop: None,
            ended: None,
            foreground,
        };
        shim.ring();
        shim.notify(Notice::Started { pid: app.pid, at: started });
        Ok(Some(shim))
    }

    /// Takes the place of a shim that was killed.
    pub(super) fn adopt(dir: RunDir, spec: Spec, signals: File) -> io::Result<Self> {
        nix::sys::prctl::set_child_subreaper(true)?;
        // One shim a run: a second successor ends here.
        let (control, output) = open_pipes(&dir, &spec, false)?;
        // From here on requests arrive by the pipe; what came before is in the journal.
        let Some(Journal { begun: Some(before), cgroup, app, stop, .. }) = journal::read(&dir)? else {
            return Err(io::Error::other("nothing was started"));
        };
        let mut file = File::options().append(true).open(dir.journal())?;
        journal::append(&mut file, &begun(before.at, None, HeldLimits::default())?)?;
        let started = app.map_or(before.at, |(_, started)| started);
        let app = match app {
            Some((process, _)) => process,
            // The shim was killed before it could say which process it had started. If that one is
            // gone, an identity that no process has leads to the ending `unknown`.
            None => {
                let found = tree::tagged(&spec.run)?.into_iter().min_by_key(|process| process.start);
                let process = found.unwrap_or(Identity { pid: 0, start: 0 });
                journal::append(&mut file, &Fact::App { process, started })?;
                process
            }
        };
        let mut shim = Self {
            reports: Reports::new(&spec),
            fence: Fence::of(&spec),
            ends_at: spec.ends_at(started, clock::now()),
            dir,
            spec,
            journal: file,
            started,
            signals,
            control,
            control_line: lines::Splitter::default(),
            output,
            is_app_noted: true,
            main: Main::Adopted(app, ProcessHandle::open(app).ok().flatten()),
            cgroup,
            // How the child of another shim ended cannot be seen, so there is nothing to tell apart.
            kills_before: None,
            stop: None,
            ended: None,
            foreground: None,
        };
        // One that the shim before this one was told, or did not hear of.
        if let Some(request) = stop {
            shim.begin_stop(request);
        }
        shim.ring();
        Ok(shim)
    }
}

pub(super) fn begun(at: Timestamp, cgroup: Option<PathBuf>, held: HeldLimits) -> io::Result<Fact> {
    Ok(Fact::Begun { boot: boot_id()?, shim: own_identity()?, at, cgroup, held })
}

/// Opens what the shim reads. The lock of the control pipe is what makes it the shim of this run.
fn open_pipes(dir: &RunDir, spec: &Spec, passes_through: bool) -> io::Result<(File, Output)> {
    make_pipe(&dir.control())?;
    // An app that gave up root opens `/dev/stdout` by the rights of the pipe. By path nobody else gets
    // here: the directory is private.
    for output in ["out", "err"] {
        make_pipe_of_mode(&dir.path().join(output), Mode::from_bits_truncate(0o666))?;
    }
    let control = open_pipe(&dir.control())?;
    control.try_lock()?;
    Ok((control, Output::open(dir, spec, passes_through)?))
}

fn pipe_failure(error: &io::Error) -> StartFailure {
    StartFailure {
        obstacle: program::obstacle(error),
        message: format!("its pipes could not be opened: {error}"),
    }
}

fn record_failure(
    dir: &RunDir,
    spec: &Spec,
    journal: &mut File,
    ending: EndingRecord,
    gives_up: bool,
) -> Closing {
    let record = ExitRecord::of_failed_start(ending, clock::wall());
    put_on_record(dir, spec, journal, Vec::new(), &record, gives_up);
    record.into()
}

fn spawn(dir: &RunDir, spec: &Spec, lock: &File) -> Result<Identity, StartFailure> {
    let account = Account::of(&spec.process)?;
    let variables = environment::of(spec, account.iter().flat_map(Account::variables))?;
    let path = variables.get("PATH").cloned().or_else(inherited_path);
    let (name, arguments) = spec.argv.split_first().ok_or_else(|| StartFailure {
        obstacle: Obstacle::NotFound,
        message: "the command is empty".to_owned(),
    })?;
    let program = program::find(name, &spec.cwd, path.as_deref())?;
    let program = std::path::absolute(&program).unwrap_or(program);
    let internal = |error: io::Error| pipe_failure(&error);
    let out = app_end(dir, "out").map_err(internal)?;
    let err = app_end(dir, "err").map_err(internal)?;
    // Open in the app and in everything that it starts: as long as the lock is held, the run lives.
    let lock = let_pass(lock.as_fd()).map_err(internal)?;
    let mut command = Command::new(&program);
    // A shim was started without them; `run-app` has them all.
    let withheld = withheld_variables().into_iter().chain(spec.withheld.iter().map(Into::into));
    for name in withheld {
        command.env_remove(name);
    }
    command.arg0(name).args(arguments).envs(&variables).process_group(0);
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    privileges::prepare(&mut command, &spec.process, account.as_ref(), &spec.cwd);
    // An app of another user cannot get to the run directory.
    let is_other = account.as_ref().is_some_and(Account::is_other);
    let control = is_other.then(|| open_for_reports(dir)).transpose().map_err(internal)?;
    let child = command.spawn().map_err(|error| {
        privileges::explain(&error, &spec.process, &spec.cwd).unwrap_or_else(|| {
            program::explain(&error, &program, size_of(&spec.argv, &variables), &spec.process)
        })
    })?;
    drop((lock, control));
    let pid = child.id();
    // A process that has ended already is still ours to reap, so its number is not used again.
    Ok(identity_of_child(pid))
}

/// The app's end of a pipe: it can also read it, so that the death of the shim is neither an error
/// nor an end for the app.
fn app_end(dir: &RunDir, pipe: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(dir.path().join(pipe))
}

/// The pipe by which `dcm report` comes, for the app to hand down. It is opened once more: the lock of the shim must not go
/// with it.
fn open_for_reports(dir: &RunDir) -> io::Result<OwnedFd> {
    let control = open_to_write(&dir.control(), libc::O_NOFOLLOW)?;
    // No other user gets here by path: the directory is private.
    fchmod(&control, Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IWOTH)?;
    let_pass(control.as_fd())
}

fn size_of(argv: &[String], variables: &BTreeMap<String, String>) -> usize {
    let arguments: usize = argv.iter().map(|argument| argument.len() + 1).sum();
    let environment: usize = variables.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    arguments + environment
}

fn inherited_path() -> Option<String> {
    std::env::vars_os().find(|(name, _)| name == "PATH").and_then(|(_, value)| value.into_string().ok())
}
