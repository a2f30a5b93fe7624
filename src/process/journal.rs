//! The journal of a run: one file in its directory that says what is to be run, who runs it, who
//! ends it and how it ended, each fact a line of JSON. The file is also the lock of the run.
//!
//! One file that grows, instead of several that are replaced: on ext4 an inode that was freed a
//! moment ago is passed over when the next one is looked for, so that a host that starts a thousand
//! apps a minute would spend most of its time looking for inodes.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

#[cfg(unix)]
use std::path::Path;

use super::layout::RunDir;
use super::record::{ExitRecord, Fact, HeldLimits, Identity, Spec, StopRequest};
use super::sys;
use crate::model::Timestamp;

/// How much of the beginning of a journal is read: the arguments and the environment of a process are at
/// most 2 MiB on Linux.
const HEAD_MAX: u64 = 16 * 1024 * 1024;

/// How much of the end of a larger journal is read. Only an app that writes into it makes one so large, and
/// what its shim adds comes last.
const TAIL_MAX: u64 = 64 * 1024;

/// The lock of a journal: held by every process of its run that has not closed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    Held,
    Free,
    /// There is no journal.
    Missing,
}

/// Everything that a journal says.
#[derive(Clone)]
pub(super) struct Journal {
    pub(super) spec: Spec,
    /// The shim was told to go: from here on there may be a process.
    pub(super) begun: Option<Begun>,
    /// The cgroup that holds the run and nothing else, where there is one.
    pub(super) cgroup: Option<PathBuf>,
    /// The limits that the kernel holds in it.
    pub(super) held: HeldLimits,
    /// The app's process.
    pub(super) app: Option<(Identity, Timestamp)>,
    /// Who is ending the run.
    pub(super) stop: Option<StopRequest>,
    pub(super) exit: Option<ExitRecord>,
}

/// Who supervises the run.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub(super) boot: String,
    pub(super) shim: Identity,
    pub(super) at: Timestamp,
}

/// Begins the journal of a run and takes its lock. The lock goes with the descriptor to the shim and
/// to all processes of the run: while one of them lives, it is held.
pub(super) fn create(dir: &RunDir, mut spec: Spec) -> io::Result<File> {
    let mut file = sys::create_locked(&dir.journal())?;
    spec.place = sys::place_of(dir.path())?;
    append(&mut file, &Fact::Spec(Box::new(spec)))?;
    Ok(file)
}

/// Adds a fact. One write, so that nobody reads a part of it; what a full disk leaves behind is a
/// line that nobody understands.
pub(super) fn append(file: &mut File, fact: &Fact) -> io::Result<()> {
    let mut line = serde_json::to_vec(fact).map_err(io::Error::other)?;
    line.push(b'\n');
    let result = file.write_all(&line);
    if result.is_err() {
        let _ = file.write_all(b"\n");
    }
    result
}

/// Adds a fact that must survive a power loss.
pub(super) fn append_forever(file: &mut File, dir: &RunDir, fact: &Fact) -> io::Result<()> {
    append(file, fact)?;
    file.sync_all()?;
    sys::sync_folder(dir.path())?;
    dir.path().parent().map_or(Ok(()), sys::sync_folder)
}

/// Writes the journal of a run whose directory somebody removed, in a directory of that name. The state directory
/// must be there: with that, the manager and all that it would enter are gone.
#[cfg(unix)]
pub(super) fn write_again(spec: &Spec, facts: &[Fact]) -> io::Result<()> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let path = Path::new(spec.env.get("DC_RUN_DIR").ok_or_else(gone)?);
    let runs = path.parent().ok_or_else(gone)?;
    for folder in [runs.to_owned(), path.with_extension("again")] {
        match sys::create_private_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result?,
        }
    }
    let fresh = RunDir::new(path.with_extension("again"));
    let mut file = create(&fresh, spec.clone())?;
    facts.iter().try_for_each(|fact| append(&mut file, fact))?;
    file.sync_all()?;
    std::fs::rename(fresh.path(), path)?;
    sys::sync_folder(runs)
}

/// Adds a fact to the journal of another process.
pub(super) fn append_to(dir: &RunDir, fact: &Fact) -> io::Result<()> {
    append(&mut File::options().append(true).open(dir.journal())?, fact)
}

/// Reads a journal; `None` when there is none, or not even what is to be run.
///
/// # Errors
/// When it cannot be read. That says nothing about the run.
pub(super) fn read(dir: &RunDir) -> io::Result<Option<Journal>> {
    let Some(mut file) = sys::open_journal(&dir.journal())? else { return Ok(None) };
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    (&mut file).take(HEAD_MAX).read_to_end(&mut bytes)?;
    if size > HEAD_MAX {
        bytes.push(b'\n');
        file.seek(SeekFrom::Start((size - TAIL_MAX).max(HEAD_MAX)))?;
        file.take(TAIL_MAX * 2).read_to_end(&mut bytes)?;
    }
    let Some(mut journal) = parse(&bytes) else { return Ok(None) };
    if journal.cgroup.is_some() && journal.spec.place != sys::place_of(dir.path())? {
        // In a copy of the run directory it is the original's, whose processes are not ours to end.
        journal.cgroup = None;
    }
    Ok(Some(journal))
}

fn parse(bytes: &[u8]) -> Option<Journal> {
    // What is not ended by a line feed is still being written.
    let end = bytes.iter().rposition(|byte| *byte == b'\n')?;
    let mut facts =
        bytes[..end].split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let Some(Fact::Spec(spec)) = facts.next() else { return None };
    let spec = *spec;
    let held = HeldLimits::default();
    let mut journal = Journal { spec, begun: None, cgroup: None, held, app: None, stop: None, exit: None };
    for fact in facts {
        match fact {
            Fact::Spec(_) => {}
            Fact::Begun { boot, shim, at, cgroup, held } => {
                journal.begun = Some(Begun { boot, shim, at });
                if cgroup.is_some() {
                    (journal.cgroup, journal.held) = (cgroup, held);
                }
            }
            Fact::App { process, started } => journal.app = Some((process, started)),
            Fact::Stop(request) => journal.stop = Some(request),
            Fact::Exit(record) => journal.exit = Some(record),
        }
    }
    Some(journal)
}

/// Looks at the lock of a run.
///
/// # Errors
/// When that cannot be seen. It says nothing about the run.
pub(super) fn lock(dir: &RunDir) -> io::Result<Lock> {
    sys::lock_of(&dir.journal())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::record::tests::spec;
    use super::super::record::{Cause, EndingRecord, ExitStatus};
    use super::*;
    use crate::model::parse_timestamp;

    #[test]
    fn facts_add_up_and_torn_lines_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::new(folder.path().join("run"));
        fs::create_dir(dir.path()).unwrap();
        assert!(read(&dir).unwrap().is_none());
        assert_eq!(lock(&dir).unwrap(), Lock::Missing);
        let mut file = create(&dir, spec()).unwrap();
        assert_eq!(lock(&dir).unwrap(), Lock::Held);
        assert!(create(&dir, spec()).is_err());
        let at = parse_timestamp("2026-11-23T14:02:11.123Z").unwrap();
        let process = Identity { pid: 42, start: 7 };
        append(
            &mut file,
            &Fact::Begun { boot: "b".into(), shim: process, at, cgroup: None, held: HeldLimits::default() },
        )
        .unwrap();
        append_to(&dir, &Fact::Stop(StopRequest { cause: Cause::Timeout, grace_ms: 5 })).unwrap();
        // A full disk, and a second try.
        file.write_all(b"{\"exit\":{\"endi\n").unwrap();
        let exit = ExitRecord::of_failed_start(EndingRecord::Exited(ExitStatus::Code(3)), at);
        append_forever(&mut file, &dir, &Fact::Exit(exit.clone())).unwrap();
        file.write_all(b"{\"app\":{\"pro").unwrap();
        let journal = read(&dir).unwrap().unwrap();
        assert_eq!(journal.begun.unwrap().shim, process);
        assert_eq!(journal.exit, Some(exit));
        assert!(journal.app.is_none());
        assert_eq!(journal.stop.unwrap().grace_ms, 5);
        drop(file);
        assert_eq!(lock(&dir).unwrap(), Lock::Free);
    }
}
