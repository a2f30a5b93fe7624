//! Starts shims: this program once more, away from the console, the job and the secrets of who starts
//! it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::windows::io::AsHandle as _;
use std::os::windows::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use windows_sys::Win32::Foundation::ERROR_ACCESS_DENIED;
use windows_sys::Win32::System::Threading::{
    CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, DETACHED_PROCESS,
};

use super::process::ProcessHandle;
use crate::process::launch::withheld_variables;
use crate::process::layout::RunDir;
use crate::process::record::Identity;

/// Has no state here: each shim is started by itself.
pub(in crate::process) struct Nursery;

impl Nursery {
    pub(in crate::process) fn new() -> Self {
        Self
    }

    /// Makes a shim for a run directory; the journal goes with it, and so does its lock. A shim that
    /// cannot be made leaves the lock free.
    #[expect(clippy::unused_self, reason = "it has state on other platforms")]
    pub(in crate::process) fn start_shim(&self, dir: &RunDir, journal: &File) -> io::Result<()> {
        let mut command = shim("--start", dir)?;
        // A console that nobody sees: by it the app is asked to end.
        spawn(&mut command, CREATE_NO_WINDOW, || Ok(journal.try_clone()?.into())).map(drop)
    }
}

/// Starts a shim for a run whose shim was killed.
pub(in crate::process) fn spawn_adopter(dir: &RunDir) -> io::Result<Identity> {
    let mut command = shim("--adopt", dir)?;
    // It will share the app's console.
    let child = spawn(&mut command, DETACHED_PROCESS, || Ok(Stdio::null()))?;
    identity_of(&child)
}

/// Starts this program away from this console.
pub(in crate::process) fn spawn_detached(
    arguments: &[OsString],
    environment: &[(&str, &str)],
    _open_files: Option<u64>,
) -> io::Result<u32> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).envs(environment.iter().copied());
    Ok(spawn(&mut command, CREATE_NO_WINDOW, || Ok(Stdio::null()))?.id())
}

/// The number and the beginning of a child.
pub(super) fn identity_of(child: &Child) -> io::Result<Identity> {
    let start = ProcessHandle::of_child(child.as_handle())?.created().unwrap_or(0);
    Ok(Identity { pid: child.id(), start })
}

fn shim(mode: &str, dir: &RunDir) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["shim", mode]).arg(std::path::absolute(dir.path())?);
    for name in withheld_variables() {
        command.env_remove(name);
    }
    Ok(command)
}

/// Starts a program outside the job of this process, if that is allowed.
fn spawn(command: &mut Command, flags: u32, stdin: impl Fn() -> io::Result<Stdio>) -> io::Result<Child> {
    let flags = flags | CREATE_NEW_PROCESS_GROUP;
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let result = command.stdin(stdin()?).creation_flags(flags | CREATE_BREAKAWAY_FROM_JOB).spawn();
    match result {
        Err(error) if error.raw_os_error().map(i32::cast_unsigned) == Some(ERROR_ACCESS_DENIED) => {
            command.stdin(stdin()?).creation_flags(flags).spawn()
        }
        result => result,
    }
}
