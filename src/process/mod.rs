//! Processes of a host: the shim that supervises one run, and the manager's side of it. All code
//! that depends on the platform is here.
//!
//! No async runtime: a shim has one thread and next to no memory.

pub mod clock;
mod containment;
mod env_file;
mod environment;
mod fence;
pub mod foreground;
mod host;
mod intake;
mod journal;
mod launch;
mod launcher;
mod layout;
mod lines;
mod log_disk;
mod log_end;
mod log_format;
mod log_keeper;
mod log_lines;
mod log_pack;
mod log_position;
mod log_reader;
mod log_window;
mod log_writer;
mod looker;
mod own_log;
mod record;
mod report;
pub mod reporting;
pub mod service;
mod service_manager;
mod state_dir;
mod stop_all;
mod supervisor;
mod survey;
#[cfg(unix)]
#[expect(unsafe_code, reason = "calls of the kernel that no library wraps")]
mod unix;
mod usage;
mod watch;
#[cfg(windows)]
#[expect(unsafe_code, reason = "calls of the system")]
mod windows;

#[cfg(unix)]
use unix as sys;
#[cfg(windows)]
use windows as sys;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::model::{Program, StartFailure, Timestamp};

pub use containment::{Containment, containment, held_limits, limits_remark};
pub use fence::Deadlines;
pub use host::{
    Disk, GroupLimits, ProcessLimits, Shims, ask_program, directory_of, disk_of, group_limits,
    is_clock_synchronised, is_writable, log_bytes, process_limits, shims, variable_of, wide_rights,
};
pub use launch::{LaunchSettings, SAMPLE_EVERY};
pub use layout::StateDir;
pub use log_end::{LogEnds, News, log_end};
pub use log_format::Stream;
pub use log_keeper::LogLimits;
pub use log_lines::{LineJoiner, join_lines};
pub use log_reader::{LogRecord, LogTail, log_files, logs_of, move_logs, written_last};
pub use own_log::OwnLog;
pub use service_manager::ServiceManager;
pub use state_dir::{home_of, make_state_dir, manager_of};
pub use stop_all::{Grace, Stopped, stop_all};
pub use supervisor::{Left, OpenError, Sink, Supervisor};

/// Whether standard error is the stream of the journal that JOURNAL_STREAM names.
#[must_use]
pub fn is_stderr_journal(stream: &str) -> bool {
    sys::is_journal(stream)
}

/// Finds a program for a working directory and a PATH, as it is found when a run of an app begins.
///
/// # Errors
/// [`StartFailure`] says what is wrong, and where it was looked for.
pub fn find_program(name: &str, cwd: &str, path: Option<&str>) -> Result<PathBuf, StartFailure> {
    sys::find_program(name, cwd, path)
}

/// Writes a file that everyone may read, whatever the mask of this process. Who reads meanwhile gets the one before or this one.
///
/// # Errors
/// When its folder cannot be written to.
pub fn write_for_all(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    sys::write_for_all(path, bytes)
}

/// Looks whether a run with these settings could begin on this host: its files of variables, and its user.
///
/// # Errors
/// [`StartFailure`] says what is wrong. What only the manager may see is left out.
pub fn check_settings(program: &Program, cwd: &str) -> Result<(), StartFailure> {
    env_file::check(&program.env_files, std::path::Path::new(cwd))?;
    sys::privileges::check(&(&program.process).into())
}

/// What this process uses. What the platform does not tell is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnProcess {
    /// CPU time of all its threads; that of its children is not in it.
    pub cpu: Option<Duration>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// Resident memory, in bytes.
    pub resident: Option<u64>,
    /// Virtual memory, in bytes.
    pub size: Option<u64>,
    /// Open descriptors.
    pub open_files: Option<u64>,
    /// The most that it may have.
    pub open_files_max: Option<u64>,
}

/// Looks at what this process uses.
#[must_use]
pub fn own_process() -> OwnProcess {
    sys::own_process()
}

/// The same for the command of an app, which may be a batch file on Windows where the manager allows that.
///
/// # Errors
/// As [`find_program`].
pub fn find_command(
    name: &str,
    cwd: &str,
    path: Option<&str>,
    batch_files: bool,
) -> Result<PathBuf, StartFailure> {
    sys::find_command(name, cwd, path, batch_files)
}

/// The name of this host.
#[must_use]
pub fn host_name() -> String {
    sys::host_name()
}

/// Which boot of the host this is.
///
/// # Errors
/// When that cannot be read.
pub fn boot_id() -> std::io::Result<String> {
    sys::boot_id()
}

/// The name of the user that runs this process.
#[must_use]
pub fn user_name() -> String {
    sys::user_name()
}

/// Lets all threads of this process share one heap: the manager has several that do little, and each
/// would keep memory of its own for good. To be called before there are threads.
pub fn share_heap() {
    sys::share_heap();
}

/// Overwrites passwords among the arguments of this process, which every user of the host can read. To be called
/// once the arguments were copied.
pub fn hide_passwords() {
    sys::hide_passwords();
}

/// Undoes the blocked and ignored signals of whoever started this process: they would reach neither it
/// nor, through it, the apps. HUP stays ignored where it is. To be called before there are threads.
pub fn reset_signals() {
    sys::reset_signals();
}

/// Gives memory that was freed back to the system.
pub fn return_memory() {
    sys::return_memory();
}

/// Allows this process as many open files as it may have; gives back the limit that it was started with.
/// To be called before much is opened.
#[must_use]
pub fn raise_open_files() -> Option<u64> {
    sys::raise_open_files()
}

/// What becomes of this process as a job of its shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// It is asked to stand still.
    Stop,
    /// It goes on after it stood still.
    Continue,
    /// The terminal that it belongs to is gone.
    HangUp,
}

/// Calls `act` instead of standing still when that is asked of this process, when it goes on after it
/// stood still nevertheless, and when its terminal hangs up. Not all platforms know jobs.
///
/// # Errors
/// When the system does not allow it.
pub fn on_job_control(act: impl FnMut(Job) + Send + 'static) -> std::io::Result<()> {
    sys::on_job_control(act)
}

/// Stands still with all processes of this job, until the shell lets them go on. Where there is no
/// shell to do that, it returns at once.
///
/// # Errors
/// When the system does not allow it.
pub fn stand_still() -> std::io::Result<()> {
    sys::stand_still()
}

/// Lets a reader of keys come back from waiting, with a size that has not changed.
///
/// # Errors
/// When the system has no means for that.
pub fn wake_reader() -> std::io::Result<()> {
    sys::wake_reader()
}

/// Runs a program on the terminal of this process until it ends.
///
/// # Errors
/// When it cannot be started.
pub fn run_in_front(program: &std::path::Path) -> std::io::Result<std::process::ExitStatus> {
    sys::run_in_front(program)
}

/// A way to the terminal of its own, without a buffer.
///
/// # Errors
/// When there is no standard output.
pub fn terminal_output() -> std::io::Result<Box<dyn std::io::Write + Send>> {
    sys::terminal_output()
}

/// Calls `act` when this process is asked to end; asked twice, it ends at once, with the exit code that a shell
/// shows for a signal.
///
/// # Errors
/// When the system does not allow it.
pub fn on_termination(act: impl FnOnce(i32) + Send + 'static) -> std::io::Result<()> {
    let mut act = Some(act);
    sys::on_each_termination(move |number| match act.take() {
        Some(act) => act(number),
        None => std::process::exit(128 + number),
    })
}

/// Calls `act` with the number of the signal each time when this process is asked to end.
///
/// # Errors
/// When the system does not allow it.
pub fn on_each_termination(act: impl FnMut(i32) + Send + 'static) -> std::io::Result<()> {
    sys::on_each_termination(act)
}

/// Does the work: as the service of this name if the service control manager of Windows has started this process, else by
/// itself. Gives back its exit code.
#[must_use]
pub fn as_service(name: &str, work: Box<dyn FnOnce() -> u8 + Send>) -> u8 {
    sys::as_service(name, work)
}

/// Whether this process is a service of Windows: it has no terminal, no standard streams and no folder of its own.
#[must_use]
pub fn is_service() -> bool {
    sys::is_service()
}

/// The service control manager of Windows hears that the service has begun its work.
pub fn service_is_ready() {
    sys::service_is_ready();
}

/// What a service of Windows prints goes into this file, which is emptied first.
///
/// # Errors
/// When it cannot be made.
pub fn print_to(path: &std::path::Path) -> std::io::Result<()> {
    sys::print_to(path)
}

/// Whether this process is the first one of its container: when it ends, the kernel kills all others there.
#[must_use]
pub fn is_process_1() -> bool {
    cfg!(unix) && std::process::id() == 1
}

/// Calls `act` for each HUP from now on: the terminal of this process goes away, or a service is to read its settings
/// again. Not where it is ignored (`nohup`).
///
/// # Errors
/// When the system does not allow it.
pub fn on_hangup(act: impl FnMut() + Send + 'static) -> std::io::Result<()> {
    sys::on_hangup(act)
}

/// Starts this program once more, away from this terminal and with this limit of open files; gives back its
/// process id.
///
/// # Errors
/// When the system does not allow it.
pub fn spawn_detached(
    arguments: &[std::ffi::OsString],
    environment: &[(&str, &str)],
    open_files: Option<u64>,
) -> std::io::Result<u32> {
    sys::spawn_detached(arguments, environment, open_files)
}

/// What comes from the terminal.
#[derive(Debug)]
pub enum TerminalInput<'a> {
    /// Bytes, as the terminal sent them.
    Bytes(&'a [u8]),
    /// Something that the system has understood already.
    Event(crossterm::event::Event),
    /// Nothing came for as long as was asked.
    Quiet,
    /// It has another size.
    Resized,
    /// It went away; nothing will come any more.
    Gone,
}

/// Reads the terminal in a thread of its own. `take` says after which time it wants to know that
/// nothing came.
///
/// # Errors
/// When there is no terminal, or the system does not allow it.
pub fn read_terminal(
    take: impl FnMut(TerminalInput<'_>) -> Option<std::time::Duration> + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    sys::read_terminal(take)
}

/// Becomes a shim, or what makes them, if the program was called as one: `dcm shim ...`.
/// To be asked first of all, before anything takes memory or makes threads.
#[must_use]
pub fn become_shim() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != "shim" {
        return None;
    }
    let mode = arguments.next()?;
    sys::become_shim(mode.to_str()?, arguments.next().map(PathBuf::from))
}
