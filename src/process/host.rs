//! What a host gives to a manager: disk, rights, limits, clock, the shims under way. Only looks, for `dcm doctor`.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::layout::{RunDir, StateDir};
use super::{clock, journal, log_disk, sys};
use crate::files::FileId;

/// The most bytes that are taken of its output.
const OUTPUT_MAX: u64 = 64 * 1024;

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that are free for programs.
    pub free: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Files that can still be made, and how many there can be; `None` where there is no such limit.
    pub files: Option<(u64, u64)>,
    /// The kind of its file system, where it is one that databases and locks are known to have trouble with: `nfs`,
    /// `cifs`, `9p`, `fuse`, `overlay`, `tmpfs`.
    pub special: Option<&'static str>,
}

/// The disk of a path.
///
/// # Errors
/// When it cannot be looked at.
pub fn disk_of(path: &Path) -> io::Result<Disk> {
    let (free, size) = sys::disk_space(path)?;
    Ok(Disk { free, size, files: sys::disk_files(path), special: sys::special_file_system(path) })
}

/// Why a state directory cannot be used as it is, or is not its owner's alone; nothing is changed. The first is the error
/// that a manager would stop with.
///
/// # Errors
/// When it cannot be looked at, belongs to another user, or could be replaced by any user.
pub fn wide_rights(state: &StateDir) -> io::Result<Vec<PathBuf>> {
    sys::check_parents(state.path())?;
    let mut wide = Vec::new();
    let places = [vec![state.path().to_owned()], state.folders().to_vec(), state.files().to_vec()].concat();
    for place in places {
        match sys::is_private(&place) {
            Ok(true) => {}
            Ok(false) => wide.push(place),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(wide)
}

/// Whether this user may make files in a folder, as far as that can be told without making one.
#[must_use]
pub fn is_writable(folder: &Path) -> bool {
    sys::is_writable(folder)
}

/// How many bytes the logs of apps take; `None` when it takes longer than this to look at them.
#[must_use]
pub fn log_bytes(state: &StateDir, within: Duration) -> Option<u64> {
    let end = clock::boot_time() + within;
    let mut sum = 0;
    for folder in fs::read_dir(state.all_logs()).into_iter().flatten().filter_map(Result::ok) {
        if clock::boot_time() > end {
            return None;
        }
        sum += log_disk::logs_in(&folder.path()).iter().map(|log| log.size).sum::<u64>();
    }
    Some(sum)
}

/// Whether the clock of this host is kept right by another one; `None` where the system does not tell.
#[must_use]
pub fn is_clock_synchronised() -> Option<bool> {
    sys::is_clock_synchronised()
}

/// What a process may have at most; `None` is no limit, or one that is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Open files, as far as it may raise them itself.
    pub open_files: Option<u64>,
    /// Processes and threads of its user.
    pub processes: Option<u64>,
    /// Bytes of a core dump.
    pub core: Option<u64>,
}

/// The limits of a process; of this one without a number. `None` where the system does not tell.
#[must_use]
pub fn process_limits(pid: Option<u32>) -> Option<ProcessLimits> {
    let process = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let text = fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
    Some(parse_limits(&text))
}

fn parse_limits(text: &str) -> ProcessLimits {
    let field = |name: &str, at: usize| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().nth(at)?.parse().ok()
    };
    ProcessLimits {
        open_files: field("Max open files", 1),
        processes: field("Max processes", 0),
        core: field("Max core file size", 0),
    }
}

/// Limits of the cgroup of this process, and how much of them is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupLimits {
    /// Processes and threads: taken, and at most.
    pub pids: Option<(u64, u64)>,
    /// Bytes of memory: taken, and at most.
    pub memory: Option<(u64, u64)>,
}

/// The tightest limits of the cgroup of this process and of those above it.
#[must_use]
pub fn group_limits() -> GroupLimits {
    let Some(own) = sys::own_cgroup() else { return GroupLimits::default() };
    let number = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let tightest = |current: &str, max: &str| {
        let of = |folder: &Path| Some((number(folder.join(current))?, number(folder.join(max))?));
        own.ancestors().filter_map(of).min_by_key(|(taken, most)| most.saturating_sub(*taken))
    };
    GroupLimits {
        pids: tightest("pids.current", "pids.max"),
        memory: tightest("memory.current", "memory.max"),
    }
}

/// The shims under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shims {
    /// How many there are.
    pub all: usize,
    /// Those whose program file is another than that of this process: one that was replaced, or one elsewhere.
    pub of_another_build: usize,
}

/// Looks which program the shims of a state directory are.
///
/// # Errors
/// When its runs cannot be listed.
pub fn shims(state: &StateDir) -> io::Result<Shims> {
    let own = std::env::current_exe().ok().and_then(|path| FileId::at(&path));
    let mut found = Shims::default();
    let entries = match fs::read_dir(state.runs()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries.filter_map(Result::ok) {
        let Ok(Some(journal)) = journal::read(&RunDir::new(entry.path())) else { continue };
        let Some(begun) = journal.begun.filter(|begun| sys::boot_id().is_ok_and(|boot| boot == begun.boot))
        else {
            continue;
        };
        if !sys::is_alive(begun.shim).unwrap_or(false) {
            continue;
        }
        found.all += 1;
        let program = FileId::at(Path::new(&format!("/proc/{}/exe", begun.shim.pid)));
        found.of_another_build += usize::from(program.is_some() && program != own);
    }
    Ok(found)
}

/// In which directory a process works, where the system tells.
#[must_use]
pub fn directory_of(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// A variable of the environment that a process was started with, where this user may see it.
#[must_use]
pub fn variable_of(pid: u32, name: &str) -> Option<String> {
    let all = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut all = all.split(|byte| *byte == 0);
    let value = all.find_map(|one| one.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    String::from_utf8(value.to_vec()).ok().filter(|value| !value.is_empty())
}

/// Calls a program and gives back its standard output; it is ended when it takes too long.
///
/// # Errors
/// When it cannot be started, takes too long, or ends with another code than 0.
pub fn ask_program(program: &str, arguments: &[&str], within: Duration) -> io::Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let pipes: [Option<Box<dyn io::Read + Send>>; 2] = [
        child.stdout.take().map(|pipe| Box::new(pipe) as _),
        child.stderr.take().map(|pipe| Box::new(pipe) as _),
    ];
    let readers = pipes.map(|pipe| pipe.map(read_to_end));
    // Its output ends with the program.
    let end = clock::boot_time() + within;
    let mut read = |reader: Option<Receiver<String>>| {
        let left = end.saturating_sub(clock::boot_time());
        reader.map_or(Ok(String::new()), |reader| reader.recv_timeout(left))
    };
    let [output, messages] = readers.map(&mut read);
    let (Ok(output), Ok(messages)) = (output, messages) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {} s", within.as_secs()),
        ));
    };
    let status = child.wait()?;
    if status.success() {
        return Ok(output);
    }
    let why = messages.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(io::Error::other(format!("{status}: {why}")))
}

fn read_to_end(pipe: Box<dyn io::Read + Send>) -> Receiver<String> {
    let (sender, all) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.take(OUTPUT_MAX).read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max core file size        0                    unlimited            bytes     \n\
                    Max processes             63540                63540                processes \n\
                    Max open files            1024                 524288               files     \n";
        let expected = ProcessLimits { open_files: Some(524_288), processes: Some(63_540), core: Some(0) };
        assert_eq!(parse_limits(text), expected);
        let unlimited = "Max processes             unlimited            unlimited            processes \n";
        assert_eq!(parse_limits(unlimited), ProcessLimits::default());
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        if cfg!(windows) {
            return;
        }
        let error = ask_program("sleep", &["600"], Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(ask_program("echo", &["x"], Duration::from_secs(20)).unwrap(), "x\n");
        let error = ask_program("sh", &["-c", "echo why >&2; exit 3"], Duration::from_secs(20)).unwrap_err();
        assert!(error.to_string().ends_with("3: why"), "{error}");
        assert!(ask_program("/no/such/program", &[], Duration::from_secs(1)).is_err());
    }
}
