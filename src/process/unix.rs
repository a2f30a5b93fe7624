//! Linux: processes, signals and files as the kernel offers them. All `unsafe` of this platform is
//! in this file.

pub(super) mod cgroup;
mod inherited;
mod limits;
mod members;
mod notify_socket;
pub(super) mod nursery;
mod out_of_memory;
mod own;
pub(super) mod privileges;
mod process;
mod program;
mod reaper;
mod rights;
pub(super) mod scm;
pub(super) mod shim;
mod signals;
mod terminal;
mod termination;
mod title;
mod tree;
pub(super) mod usage;
mod watcher;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::signal::Signal;
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use nix::time::{ClockId, clock_gettime};

use self::limits::restore_open_files;
use self::process::{ProcessHandle, identity_of_child, own_identity, reap, signal_process};
use super::journal::Lock;
use super::launch::withheld_variables;
use super::layout::RunDir;
use super::record::{Identity, Message, Place};
use crate::model::StartFailure;

pub(super) use cgroup::own as own_cgroup;
pub(super) use limits::{check_room, raise_open_files};
pub(super) use members::members_of;
pub(super) use notify_socket::{NotifySocket, is_journal};
pub(super) use own::own_process;
pub(super) use process::is_alive;
pub(super) use program::{find as find_program, obstacle, plain};
pub(super) use reaper::{exit_of, reap_children};
pub(super) use rights::{
    check_parents, create_private, create_private_dir, is_private, make_private, open_private, write_for_all,
};
pub(super) use shim::foreground;
pub(super) use signals::{reset_inherited as reset_signals, stand_still};
pub(super) use terminal::{read_terminal, run_in_front, terminal_output, wake_reader};
pub(super) use termination::{on_each_termination, on_hangup, on_job_control};
pub(super) use title::hide_passwords;
pub(super) use tree::kill_tagged;
pub(super) use watcher::{Line, begin_to_watch};

/// What `dcm shim MODE` is on this platform.
pub(super) fn become_shim(mode: &str, dir: Option<PathBuf>) -> Option<ExitCode> {
    match (mode, dir) {
        ("--nursery", _) => Some(nursery::main()),
        ("--adopt", Some(dir)) => Some(shim::main(&dir, None, None)),
        (_, _) => None,
    }
}

/// Time since boot without suspension, as systemd counts it.
pub(super) fn monotonic_time() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// Time since boot, suspension included: fences and timeouts must not stand still with the CPU.
pub(super) fn boot_time() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

/// Differs after each boot. Empty where the system does not tell.
pub(super) fn boot_id() -> io::Result<String> {
    match fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// The name of this host.
pub(super) fn host_name() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The name of the user that runs this process.
pub(super) fn user_name() -> String {
    let uid = nix::unistd::getuid();
    nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// There are no batch files here.
pub(super) fn find_command(
    name: &str,
    cwd: &str,
    path: Option<&str>,
    _batch_files: bool,
) -> Result<PathBuf, StartFailure> {
    find_program(name, cwd, path)
}

/// A service is a program like others here.
pub(super) fn as_service(_name: &str, work: Box<dyn FnOnce() -> u8 + Send>) -> u8 {
    work()
}

/// It needs no care as a service.
pub(super) fn is_service() -> bool {
    false
}

/// Nobody is told by a call.
pub(super) fn service_is_ready() {}

/// A service has standard streams here.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(super) fn print_to(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// One arena for all threads (`man 3 mallopt`).
pub(super) fn share_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two integers; there is one thread yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// What was freed in the middle of the heap goes back as well.
pub(super) fn return_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes an integer and locks the heap itself.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Removes a directory with all that is in it.
pub(super) fn remove_dir(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path)
}

/// Makes a file that only its owner can read. It is locked for as long as a copy of its descriptor is
/// open anywhere.
pub(super) fn create_locked(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
    // Whoever looks whether it is locked holds it for a moment.
    file.lock()?;
    Ok(file)
}

/// Opens a journal for reading; `None` when there is none. What an app put in its place is none.
pub(super) fn open_journal(path: &Path) -> io::Result<Option<File>> {
    let options = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    match options {
        Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Opens a file for reading, also a pipe at whose other end nothing is.
pub(super) fn open_without_waiting(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Looks at the lock of a journal.
pub(super) fn lock_of(path: &Path) -> io::Result<Lock> {
    let Some(file) = open_journal(path)? else { return Ok(Lock::Missing) };
    match file.try_lock_shared() {
        Ok(()) => Ok(Lock::Free),
        Err(TryLockError::WouldBlock) => Ok(Lock::Held),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Which directory this is.
pub(super) fn place_of(path: &Path) -> io::Result<Option<Place>> {
    let metadata = fs::metadata(path)?;
    Ok(Some(Place { device: metadata.dev(), inode: metadata.ino() }))
}

/// Opens a file, or makes it, and locks it.
pub(super) fn open_locked(path: &Path) -> Result<File, TryLockError> {
    let file = open_private(path).map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

/// Whether a file that is held open has no name any more.
pub(super) fn is_removed(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

/// Whether somebody holds the lock of a file.
pub(super) fn is_locked(path: &Path) -> io::Result<bool> {
    lock_of(path).map(|lock| lock == Lock::Held)
}

/// Opens a log, or makes it. A link planted in its directory must not lead the output elsewhere.
pub(super) fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Tells a file from all others for as long as it is open.
pub(super) fn file_id(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// A file in memory, which goes with its last handle.
pub(super) fn unnamed_file() -> io::Result<File> {
    let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
    Ok(File::from(nix::sys::memfd::memfd_create("dcm-log", flags)?))
}

/// How many bytes of the disk of this path are free for programs, and how large it is.
pub(super) fn disk_space(path: &Path) -> io::Result<(u64, u64)> {
    let found = nix::sys::statvfs::statvfs(path)?;
    let unit = found.fragment_size();
    Ok((found.blocks_available().saturating_mul(unit), found.blocks().saturating_mul(unit)))
}

/// How many files can still be made on the disk of this path, and how many there can be.
pub(super) fn disk_files(path: &Path) -> Option<(u64, u64)> {
    let found = nix::sys::statvfs::statvfs(path).ok()?;
    // Some file systems make room for files as they need it, and say 0.
    Some((found.files_available(), found.files())).filter(|(_, all)| *all > 0)
}

/// The kind of the file system of this path, where it is one with peculiarities.
pub(super) fn special_file_system(path: &Path) -> Option<&'static str> {
    let found = nix::sys::statfs::statfs(path).ok()?;
    // By `man 2 statfs`.
    Some(match found.filesystem_type().0 & 0xffff_ffff {
        0x6969 => "nfs",
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "cifs",
        0x0102_1997 => "9p",
        0x6573_5546 => "fuse",
        0x794c_7630 => "overlay",
        0x0102_1994 => "tmpfs",
        _ => return None,
    })
}

/// Whether this user may make files in a folder.
pub(super) fn is_writable(folder: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// Whether a time server keeps the clock right, as the kernel was told (`man 2 adjtimex`).
pub(super) fn is_clock_synchronised() -> Option<bool> {
    // SAFETY: all fields are integers, for which 0 is a value; `modes` of 0 changes nothing.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `timex`.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    (answer >= 0).then_some(state.status & libc::STA_UNSYNC == 0)
}

/// Lets others go first from now on: this thread does what can wait.
pub(super) fn lower_priority() {
    /// Of -20 to 19; 0 is usual.
    const NICENESS: i32 = 10;
    let thread = nix::unistd::gettid().as_raw();
    // SAFETY: it takes numbers alone. If it is refused, nothing is lost but courtesy.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, thread.unsigned_abs(), NICENESS) };
}

/// Makes the entries of a folder survive a power loss.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new("..") } else { folder };
    File::open(folder)?.sync_all()
}

/// In which directory a process works; `None` when it has ended, or its directory was removed.
pub(super) fn working_directory(process: Identity) -> io::Result<Option<Place>> {
    let metadata = tree::readable(fs::metadata(format!("/proc/{}/cwd", process.pid)))?;
    let metadata = metadata.filter(|metadata| metadata.nlink() > 0);
    Ok(metadata.map(|metadata| Place { device: metadata.dev(), inode: metadata.ino() }))
}

/// Whether any process belongs to this run, by its environment or by its cgroup.
pub(super) fn has_processes(run: &str) -> io::Result<bool> {
    Ok(!tree::tagged(run)?.is_empty() || tree::has_cgroup_members(run)?)
}

/// Lets a shim that was stopped by a signal go on.
pub(super) fn wake(identity: Identity) {
    let _ = signal_process(identity, Signal::SIGCONT);
}

/// Asks a shim by a signal to end its run.
pub(super) fn ask_to_end(identity: Identity) {
    let _ = signal_process(identity, Signal::SIGTERM);
}

/// Starts this program in a session of its own, with nothing of this terminal.
pub(super) fn spawn_detached(
    arguments: &[OsString],
    environment: &[(&str, &str)],
    open_files: Option<u64>,
) -> io::Result<u32> {
    // A group of its own is enough: the manager leaves signals of a terminal that hangs up alone.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("dcm").args(arguments).envs(environment.iter().copied()).process_group(0);
    // SAFETY: between fork and exec only limits are read and set.
    unsafe {
        command.pre_exec(move || {
            restore_open_files(open_files);
            Ok(())
        });
    }
    let child = reaper::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
    Ok(child.id())
}

/// Starts a shim for a run whose shim was killed.
pub(super) fn spawn_adopter(dir: &RunDir) -> io::Result<Identity> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("dcm").args(["shim", "--adopt"]).arg(fs::canonicalize(dir.path())?);
    for name in withheld_variables() {
        command.env_remove(name);
    }
    let child = reaper::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
    Ok(identity_of_child(child.id()))
}

/// Sends a message to the shim of a run. `false`: there is no shim to hear it.
pub(super) fn send(dir: &RunDir, message: &Message) -> io::Result<bool> {
    let mut line = serde_json::to_vec(message).map_err(io::Error::other)?;
    line.push(b'\n');
    // Up to this length a line cannot be mixed with another (`man 7 pipe`).
    if line.len() > libc::PIPE_BUF {
        return Err(io::Error::other(format!("the message is longer than {} bytes", libc::PIPE_BUF)));
    }
    let control = match open_to_write(&dir.control(), libc::O_NOFOLLOW) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            inherited::control_of(dir).and_then(|control| control.ok_or(error))
        }
        control => control,
    };
    match control {
        Ok(mut control) => control.write_all(&line).map(|()| true),
        Err(error) if is_without_reader(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a pipe for writing, without waiting for a reader.
fn open_to_write(path: &Path, flags: i32) -> io::Result<File> {
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | flags).open(path)
}

/// What became of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    /// The manager hears it, or there is none, and the one that comes will ask.
    Done,
    /// The manager does not keep up.
    Busy,
}

/// Says to the manager that there is something new in a run. Without a manager nothing is lost: the
/// one that comes looks by itself.
fn ring(doorbell: &Path, message: &str) -> Rung {
    let bell = open_to_write(doorbell, libc::O_NOFOLLOW);
    match bell.and_then(|mut bell| bell.write_all(format!("{message}\n").as_bytes())) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Rung::Busy,
        Ok(()) | Err(_) => Rung::Done,
    }
}

fn is_without_reader(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENXIO)
}

/// Makes a named pipe for its owner alone, unless there is one.
fn make_pipe(path: &Path) -> io::Result<()> {
    make_pipe_of_mode(path, Mode::S_IRUSR | Mode::S_IWUSR)
}

/// Makes a named pipe with these rights, unless there is one.
fn make_pipe_of_mode(path: &Path, mode: Mode) -> io::Result<()> {
    match nix::unistd::mkfifo(path, mode) {
        // Not as the umask has it.
        Ok(()) => Ok(fchmodat(AT_FDCWD, path, mode, FchmodatFlags::FollowSymlink)?),
        Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a named pipe for reading without ever seeing its end: this process writes to it as well.
fn open_pipe(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path)
}

/// Closes what whoever started the manager left open in it, a lock of a script for example: a shim
/// would hold it for as long as its app runs.
fn close_inherited() {
    // SAFETY: close_range takes three integers; so early nothing in this process owns a descriptor
    // above the three standard ones.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Keeps descriptors that this process got from its parent from the programs that it starts.
fn keep_descriptors() {
    // SAFETY: close_range takes three integers; with this flag nothing is closed now. Kernels before
    // 5.11 refuse it, and the app then has a descriptor more than it needs.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// Lets a descriptor pass on to the programs that this process starts.
fn let_pass(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // Above the three standard ones, and without the flag that closes it.
    let copy = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_DUPFD(3))?;
    // SAFETY: fcntl has just made this descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
