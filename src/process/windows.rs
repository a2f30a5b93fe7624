//! Windows: processes, jobs and files as the system offers them. All `unsafe` of this platform is in
//! this file and its folder.
//!
//! ```text
//! lock of a run     the journal, open without leave to delete it; the handle goes to the shim, the
//!                   app and what that starts
//! tree of a run     a named job; the handle goes to the app, so that the name outlives the shim
//! output            anonymous pipes; the app also holds the ends to read from, so that a dead shim is
//!                   no error for it, and its successor takes them from there
//! doorbell, control mailslots; the file of that name says which
//! ```

pub(super) mod cgroup;
mod console;
mod job;
mod mailbox;
mod notify_socket;
pub(super) mod nursery;
mod own;
mod pipes;
mod private_dir;
pub(super) mod privileges;
mod process;
mod program;
pub(super) mod scm;
mod service;
pub(super) mod shim;
mod system;
pub(super) mod usage;
mod watcher;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use windows_sys::Win32::Foundation::ERROR_SHARING_VIOLATION;
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_FLAG_DELETE_ON_CLOSE, FILE_SHARE_READ, FILE_SHARE_WRITE, GetDiskFreeSpaceExW,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentThread, SetThreadPriority, THREAD_PRIORITY_BELOW_NORMAL,
};

use self::job::Job;
use super::journal::Lock;
use super::layout::{RunDir, StateDir};
use super::record::{Identity, Message, Place};
use super::stop_all::Member;
use crate::model::Exit;

pub(super) use console::{
    on_each_termination, on_hangup, on_job_control, read_terminal, run_in_front, stand_still,
    terminal_output, wake_reader,
};
pub(super) use notify_socket::{NotifySocket, is_journal};
pub(super) use nursery::{spawn_adopter, spawn_detached};
pub(super) use own::own_process;
pub(super) use private_dir::create_private_dir;
pub(super) use process::is_alive;
pub(super) use program::{find as find_program, find_any as find_command, obstacle, plain};
pub(super) use service::{as_service, is_service, print_to, service_is_ready};
pub(super) use shim::foreground;
pub(super) use system::{boot_id, boot_time, boot_time as monotonic_time, host_name, user_name};
pub(super) use watcher::{Line, begin_to_watch};

/// The arguments of a process are not for other users here.
pub(super) fn hide_passwords() {}

/// How often something is tried that others are in the way of for a moment: a shim that is about to
/// go, or a scanner of viruses.
const TRIES_MAX: u32 = 20;

/// How long to wait in between.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// What `dcm shim MODE` is on this platform.
pub(super) fn become_shim(mode: &str, dir: Option<PathBuf>) -> Option<ExitCode> {
    match (mode, dir) {
        ("--start", Some(dir)) => Some(shim::main(&dir, shim::Beginning::Start)),
        ("--adopt", Some(dir)) => Some(shim::main(&dir, shim::Beginning::Adopt)),
        (_, _) => None,
    }
}

/// What a process inherits here does not keep it from being asked to end.
pub(super) fn reset_signals() {}

/// Threads share the heap of the process as it is.
pub(super) fn share_heap() {}

/// The system takes back what it needs.
pub(super) fn return_memory() {}

/// There is no limit worth raising.
pub(super) fn raise_open_files() -> Option<u64> {
    None
}

/// Removes a directory with all that is in it.
pub(super) fn remove_dir(path: &Path) -> io::Result<()> {
    let mut result = fs::remove_dir_all(path);
    for _ in 0..TRIES_MAX {
        if result.is_ok() || matches!(path.try_exists(), Ok(false)) {
            return Ok(());
        }
        std::thread::park_timeout(TRY_AGAIN);
        result = fs::remove_dir_all(path);
    }
    result
}

/// Makes a file. It is locked for as long as a copy of its handle is open anywhere: others may read
/// and write it, but not delete it.
pub(super) fn create_locked(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE).open(path)
}

/// Opens a file for reading.
pub(super) fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Joins those who hold the lock of a file.
fn join_lock(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().append(true).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE).open(path);
    let mut result = open();
    for _ in 0..TRIES_MAX {
        // Somebody looks at this moment whether it is locked.
        if !result.as_ref().is_err_and(is_shared_violation) {
            break;
        }
        std::thread::park_timeout(TRY_AGAIN);
        result = open();
    }
    result
}

/// Opens a journal for reading; `None` when there is none.
pub(super) fn open_journal(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks at the lock of a journal.
pub(super) fn lock_of(path: &Path) -> io::Result<Lock> {
    match OpenOptions::new().access_mode(DELETE).open(path) {
        Ok(_) => Ok(Lock::Free),
        Err(error) if is_shared_violation(&error) => Ok(Lock::Held),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lock::Missing),
        Err(error) => Err(error),
    }
}

/// Which directory this is; not told on this platform.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(super) fn place_of(_path: &Path) -> io::Result<Option<Place>> {
    Ok(None)
}

/// In which directory a process works; not told on this platform.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(super) fn working_directory(_process: Identity) -> io::Result<Option<Place>> {
    Ok(None)
}

/// There is no limit that starts would have to leave room for.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(super) fn check_room(_newest: &File) -> io::Result<()> {
    Ok(())
}

/// Windows knows no zombies.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(super) fn reap_children() -> io::Result<()> {
    Ok(())
}

/// On Windows an end is seen by handles, for any parent.
pub(super) fn exit_of(_process: Identity) -> Option<Exit> {
    None
}

/// Opens a file, or makes it, and locks it: others may read it, nothing else.
pub(super) fn open_locked(path: &Path) -> Result<File, TryLockError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .share_mode(FILE_SHARE_READ)
        .open(path);
    file.map_err(|error| {
        if is_shared_violation(&error) { TryLockError::WouldBlock } else { TryLockError::Error(error) }
    })
}

/// Makes a file; what was in one of this name is gone. Its rights are those of its folder.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    File::create(path)
}

/// Replaces a file; who may read it is a matter of its folder.
pub(super) fn write_for_all(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, bytes)?;
    std::fs::rename(&new, path)
}

/// Opens a file, or makes it; what is in it stays.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).read(true).write(true).open(path)
}

/// What is in a folder has its rights, and the folder was made with those that it needs.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(super) fn make_private(_path: &Path) -> io::Result<Option<String>> {
    Ok(None)
}

/// Rights on a folder are not those on what is in the folder above it.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(super) fn check_parents(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// A file that is held open cannot be removed.
pub(super) fn is_removed(_file: &File) -> bool {
    false
}

/// Whether somebody holds the lock of a file.
pub(super) fn is_locked(path: &Path) -> io::Result<bool> {
    lock_of(path).map(|lock| lock == Lock::Held)
}

fn is_shared_violation(error: &io::Error) -> bool {
    error.raw_os_error().map(i32::cast_unsigned) == Some(ERROR_SHARING_VIOLATION)
}

/// Opens a log, or makes it.
pub(super) fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Tells a file from those that had its name before it, where the file system keeps times.
pub(super) fn file_id(metadata: &std::fs::Metadata) -> (u64, u64) {
    let created = metadata.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    created.map_or((0, 0), |time| (time.as_secs(), time.subsec_nanos().into()))
}

/// A file without a name, which goes with its last handle.
pub(super) fn unnamed_file() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("dcm-{}", uuid::Uuid::new_v4().simple()));
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .share_mode(0)
        .custom_flags(FILE_FLAG_DELETE_ON_CLOSE)
        .open(path)
}

/// How many bytes of the disk of this path are free for programs, and how large it is.
pub(super) fn disk_space(path: &Path) -> io::Result<(u64, u64)> {
    let path: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
    let (mut free, mut size) = (0, 0);
    // SAFETY: the path ends with a zero; the system writes one integer to each of both.
    let done =
        unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &raw mut free, &raw mut size, std::ptr::null_mut()) };
    check(done)?;
    Ok((free, size))
}

/// There is no such limit.
pub(super) fn disk_files(_path: &Path) -> Option<(u64, u64)> {
    None
}

/// Not told apart here.
pub(super) fn special_file_system(_path: &Path) -> Option<&'static str> {
    None
}

/// Access lists are for the system to judge.
pub(super) fn is_writable(_folder: &Path) -> bool {
    true
}

/// Access lists are for the system to judge.
pub(super) fn is_private(path: &Path) -> io::Result<bool> {
    path.metadata().map(|_| true)
}

/// The time service of Windows is not asked.
pub(super) fn is_clock_synchronised() -> Option<bool> {
    None
}

/// There are no cgroups.
pub(super) fn own_cgroup() -> Option<PathBuf> {
    None
}

/// Lets others go first from now on: this thread does what can wait.
pub(super) fn lower_priority() {
    // SAFETY: it concerns this thread alone. If it is refused, nothing is lost but courtesy.
    unsafe { SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL) };
}

/// Windows keeps the entries of a folder itself.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(super) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether any process of this run lives.
pub(super) fn has_processes(run: &str) -> io::Result<bool> {
    Ok(match Job::find(run)? {
        Some(job) => job.count()? > 0,
        None => false,
    })
}

/// Kills every process of a run; gives back how many there were.
pub(super) fn kill_tagged(run: &str) -> io::Result<usize> {
    let Some(job) = Job::find(run)? else { return Ok(0) };
    let count = job.count()?;
    job.terminate();
    Ok(count)
}

/// The job of a run has all its processes; there are no others.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(super) fn members_of(_state: &StateDir) -> io::Result<Vec<Member>> {
    Ok(Vec::new())
}

impl Member {
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "there is none on this platform")]
    pub(super) fn ask_to_end(&self) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "there is none on this platform")]
    pub(super) fn kill(&self) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn is_alive(&self) -> io::Result<bool> {
        is_alive(self.process)
    }
}

/// There is no signal that asks a shim.
pub(super) fn ask_to_end(_identity: Identity) {}

/// There is no signal that stops a shim.
pub(super) fn wake(_identity: Identity) {}

/// Sends a message to the shim of a run. `false`: there is no shim to hear it.
pub(super) fn send(dir: &RunDir, message: &Message) -> io::Result<bool> {
    let line = serde_json::to_vec(message).map_err(io::Error::other)?;
    mailbox::post(&dir.control(), &line)
}

/// Says to the manager that there is something new in a run. Without a manager nothing is lost: the
/// one that comes looks by itself.
fn ring(doorbell: &Path, message: &str) {
    let _ = mailbox::post(doorbell, message.as_bytes());
}

/// A text as the system takes it.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// The result of a call that returns 0 when it has failed.
fn check(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
