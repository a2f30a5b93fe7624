//! The beginning of a run: pipes, the app's process, and the takeover from a shim that was killed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use nix::sys::signalfd::SignalFd;

use super::super::program;
use super::{
    Foreground, Main, Notice, Output, Pids, ProcessHandle, Reports, RunDir, Shim, Spec, atomic_file, clock, lines,
    make_pipe, open_pipe, own_identity, tree,
};
use crate::model::{Obstacle, StartFailure};
use crate::process::record::{EndingRecord, ExitRecord, Identity};
use crate::process::unix::{boot_id, let_pass, start_of};

impl Shim {
    /// Starts the app. `None`: it could not be started, and that is on record.
    pub(super) fn start(
        dir: RunDir,
        spec: Spec,
        signals: SignalFd,
        lock: OwnedFd,
        mut foreground: Option<Foreground>,
    ) -> io::Result<Option<Self>> {
        // Orphans of the run become ours, not the init process's.
        nix::sys::prctl::set_child_subreaper(true)?;
        let started = clock::wall();
        let mut pids = Pids { boot: boot_id(), shim: own_identity(), app: None, started, stop: None };
        atomic_file::write(&dir.pid(), &pids, atomic_file::Durability::UntilReboot)?;
        for pipe in ["control", "out", "err"] {
            make_pipe(&dir.path().join(pipe))?;
        }
        let control = open_pipe(&dir.control())?;
        let output = Output::open(&dir, &spec, foreground.is_some())?;
        match spawn(&dir, &spec, &lock) {
            Ok(app) => {
                pids.app = Some(app);
                let mut shim = Self {
                    dir,
                    spec,
                    pids,
                    signals,
                    control,
                    control_line: lines::Splitter::default(),
                    output,
                    reports: Reports::default(),
                    main: Main::Child(app),
                    stop: None,
                    ended: None,
                    foreground,
                };
                shim.write_pids()?;
                shim.ring();
                shim.notify(Notice::Started { pid: app.pid, at: started });
                Ok(Some(shim))
            }
            Err(failure) => {
                let StartFailure { obstacle, message } = failure;
                let ending = EndingRecord::StartFailed { obstacle: obstacle.into(), message };
                let ended = clock::wall();
                let record = ExitRecord { ending, started: None, ended, report: Default::default(), leftovers: 0 };
                super::ending::put_on_record(&dir, &spec, &record, foreground.is_some());
                if let Some(foreground) = &mut foreground {
                    (foreground.notice)(Notice::Ended(record.into()));
                }
                Ok(None)
            }
        }
    }

    /// Takes the place of a shim that was killed.
    pub(super) fn adopt(dir: RunDir, spec: Spec, signals: SignalFd) -> io::Result<Self> {
        nix::sys::prctl::set_child_subreaper(true)?;
        let mut pids: Pids = atomic_file::read(&dir.pid()).ok_or_else(|| io::Error::other("no pids"))?;
        let app = pids.app.or_else(|| tree::tagged(&spec.run).into_iter().min_by_key(|process| process.start));
        // The shim was killed before it could say which process it had started, and that one is
        // gone: an identity that no process has leads to the ending `unknown`.
        let app = app.unwrap_or(Identity { pid: 0, start: 0 });
        pids.shim = own_identity();
        pids.app = Some(app);
        for pipe in ["control", "out", "err"] {
            make_pipe(&dir.path().join(pipe))?;
        }
        let control = open_pipe(&dir.control())?;
        let output = Output::open(&dir, &spec, false)?;
        let mut reports = Reports::default();
        if let Some(record) = atomic_file::read::<crate::process::record::ReportRecord>(&dir.progress()) {
            reports.all = record.into();
        }
        let shim = Self {
            dir,
            spec,
            pids,
            signals,
            control,
            control_line: lines::Splitter::default(),
            output,
            reports,
            main: Main::Adopted(app, ProcessHandle::open(app)),
            stop: None,
            ended: None,
            foreground: None,
        };
        shim.write_pids()?;
        shim.ring();
        Ok(shim)
    }
}

fn spawn(dir: &RunDir, spec: &Spec, lock: &OwnedFd) -> Result<Identity, StartFailure> {
    let path = spec.env.get("PATH").cloned().or_else(inherited_path);
    let (name, arguments) = spec.argv.split_first().ok_or_else(|| StartFailure {
        obstacle: Obstacle::NotFound,
        message: "the command is empty".to_owned(),
    })?;
    let program = program::find(name, &spec.cwd, path.as_deref())?;
    let program = std::path::absolute(&program).unwrap_or(program);
    let internal = |error: io::Error| StartFailure {
        obstacle: program::obstacle(&error),
        message: format!("its pipes could not be opened: {error}"),
    };
    let out = app_end(dir, "out").map_err(internal)?;
    let err = app_end(dir, "err").map_err(internal)?;
    // Open in the app and in everything that it starts: as long as the lock is held, the run lives.
    let lock = let_pass(lock.as_fd()).map_err(internal)?;
    let mut command = Command::new(&program);
    command.arg0(name).args(arguments).envs(&spec.env).process_group(0);
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    command.current_dir(&spec.cwd);
    let child = command.spawn().map_err(|error| program::explain(&error, &program, size_of(spec)))?;
    drop(lock);
    let pid = child.id();
    // A process that has ended already is still ours to reap, so its number is not used again.
    Ok(Identity { pid, start: start_of(pid).unwrap_or(0) })
}

/// The app's end of a pipe: it can also read it, so that the death of the shim is neither an error
/// nor an end for the app.
fn app_end(dir: &RunDir, pipe: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(dir.path().join(pipe))
}

fn size_of(spec: &Spec) -> usize {
    let arguments: usize = spec.argv.iter().map(|argument| argument.len() + 1).sum();
    let environment: usize = spec.env.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    arguments + environment
}

fn inherited_path() -> Option<String> {
    std::env::vars_os().find(|(name, _)| name == "PATH").and_then(|(_, value)| value.into_string().ok())
}
