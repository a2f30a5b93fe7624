//! The logs of a host as they lie on disk: which files belong to a run, how large and how old they are, and which go first.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::layout::StateDir;
use super::log_format::LogFiles;
use super::log_pack::{self, PACKED_MAX, PACKED_MIN};
use crate::model::{AppId, RunId};

/// The log of one run: its own files, and what other programs made of them (`.log.2.gz` of logrotate).
#[derive(Debug)]
pub(super) struct LogOnDisk {
    pub(super) run: RunId,
    /// By which readers name it.
    pub(super) path: PathBuf,
    pub(super) files: Vec<PathBuf>,
    pub(super) size: u64,
    /// When the output ended.
    pub(super) modified: SystemTime,
    /// Whether it is the log of the app's last run that failed.
    pub(super) is_last_failed: bool,
}

impl LogOnDisk {
    /// The order in which logs are deleted.
    fn rank(&self) -> (bool, SystemTime, RunId) {
        (self.is_last_failed, self.modified, self.run)
    }

    /// Whether its run is over: one that is under way has a directory. Where that cannot be seen it may have one.
    fn is_over(&self, state: &StateDir) -> bool {
        matches!(state.run(self.run).path().try_exists(), Ok(false))
    }

    /// Whether packing it makes room.
    fn can_be_packed(&self) -> bool {
        let files = LogFiles::of(&self.path);
        let has_unpacked = self.files.iter().any(|file| files.in_order().contains(&file.as_path()));
        has_unpacked && (PACKED_MIN..=PACKED_MAX).contains(&self.size)
    }

    /// Packs it; gives back its size.
    ///
    /// # Errors
    /// When it cannot be packed; it stays as it was.
    pub(super) fn pack(&self) -> io::Result<u64> {
        log_pack::pack(&LogFiles::of(&self.path))
    }

    /// Deletes it, unless its run is under way; gives back how many bytes became free.
    pub(super) fn delete(&self, state: &StateDir) -> u64 {
        if !self.is_over(state) {
            return 0;
        }
        let is_deleted = |file: &PathBuf| match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => false,
            Ok(()) | Err(_) => true,
        };
        // All are tried.
        let kept = self.files.iter().filter(|file| !is_deleted(file)).count();
        if kept == 0 { self.size } else { 0 }
    }
}

/// The logs in the folder of an app, oldest run first. A folder that is not there has none.
pub(super) fn logs_in(folder: &Path) -> Vec<LogOnDisk> {
    let failed = last_failed(folder);
    let mut logs: BTreeMap<String, LogOnDisk> = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Some((base, run)) = run_of(&name) else { continue };
        let Ok(metadata) = entry.metadata() else { continue };
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let log = logs.entry(base.to_owned()).or_insert_with(|| LogOnDisk {
            run,
            path: folder.join(format!("{base}.log")),
            files: Vec::new(),
            size: 0,
            modified,
            is_last_failed: failed == Some(run),
        });
        log.files.push(entry.path());
        log.size += metadata.len();
        log.modified = log.modified.max(modified);
    }
    logs.into_values().collect()
}

/// Those that are worth packing, of runs that are over: all but the last, which is the most read.
pub(super) fn to_pack<'a>(state: &StateDir, logs: &'a [LogOnDisk]) -> impl Iterator<Item = &'a LogOnDisk> {
    let older = logs.split_last().map_or(&[][..], |(_, older)| older);
    older.iter().filter(move |log| log.can_be_packed() && log.is_over(state))
}

/// `TIME-RUN` of the name of a file of a log, and the run.
pub(super) fn run_of(name: &str) -> Option<(&str, RunId)> {
    let (base, _) = name.split_once(".log")?;
    Some((base, base.split_once('-')?.1.parse().ok()?))
}

/// The file that names the last run of an app that failed: that is not known from the logs.
fn failed_file(folder: &Path) -> PathBuf {
    folder.join("failed")
}

fn last_failed(folder: &Path) -> Option<RunId> {
    fs::read_to_string(failed_file(folder)).ok()?.trim().parse().ok()
}

/// Notes that a run has failed. One that left no log is not noted: the log before it stays the last.
pub(super) fn note_failed(folder: &Path, run: RunId) {
    if logs_in(folder).iter().any(|log| log.run == run) {
        // Where it cannot be written the log goes by its age.
        let _ = fs::write(failed_file(folder), run.to_string());
    }
}

/// Deletes the logs of an app but those of its last runs, and but that of its last failed one. Gives back how many bytes
/// became free.
pub(super) fn keep_last(state: &StateDir, app: AppId, keep: u32) -> u64 {
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    let mut logs = logs_in(&state.logs(app));
    logs.truncate(logs.len().saturating_sub(keep));
    // Who keeps none wants none.
    logs.iter().filter(|log| keep == 0 || !log.is_last_failed).map(|log| log.delete(state)).sum()
}

/// The oldest of all logs, as many as are asked for at once.
pub(super) struct Oldest {
    logs: Vec<LogOnDisk>,
    most: usize,
}

impl Oldest {
    pub(super) fn new(most: usize) -> Self {
        Self { logs: Vec::new(), most }
    }

    pub(super) fn add(&mut self, log: LogOnDisk) {
        self.logs.push(log);
        if self.logs.len() >= self.most * 2 {
            self.sort();
        }
    }

    fn sort(&mut self) {
        self.logs.sort_by_key(LogOnDisk::rank);
        self.logs.truncate(self.most);
    }

    /// Those that go first come first.
    pub(super) fn in_order(mut self) -> Vec<LogOnDisk> {
        self.sort();
        self.logs
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run(number: u128) -> RunId {
        RunId::from_random_bits(number)
    }

    fn write(folder: &Path, number: u128, suffix: &str, size: usize, age: u64) {
        fs::create_dir_all(folder).unwrap();
        let path = folder.join(format!("20261123T14{:02}11-{}.log{suffix}", 60 - age, run(number)));
        let file = fs::File::create(path).unwrap();
        file.set_len(size as u64).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age)).unwrap();
    }

    #[test]
    fn the_files_of_a_log_belong_together_and_others_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for (suffix, age) in [("", 1), (".head", 9), (".1", 5)] {
            fs::create_dir_all(folder.path()).unwrap();
            let path = folder.path().join(format!("20261123T140211-{}.log{suffix}", run(1)));
            let file = fs::File::create(path).unwrap();
            file.set_len(10).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(100 - age)).unwrap();
        }
        fs::write(folder.path().join("notes.log"), "mine").unwrap();
        fs::write(folder.path().join("failed"), "no run").unwrap();
        let logs = logs_in(folder.path());
        assert_eq!(logs.len(), 1);
        assert_eq!((logs[0].run, logs[0].files.len(), logs[0].size), (run(1), 3, 30));
        assert_eq!(logs[0].modified, SystemTime::UNIX_EPOCH + Duration::from_secs(99));
        assert!(!logs[0].is_last_failed);
    }

    #[test]
    fn the_oldest_go_first_and_the_last_failed_one_of_each_app_last() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        for (number, age) in [(1, 50), (2, 40), (3, 30)] {
            write(&one, number, "", 10, age);
        }
        for (number, age) in [(4, 45), (5, 20)] {
            write(&other, number, "", 10, age);
        }
        note_failed(&one, run(1));
        note_failed(&other, run(4));
        note_failed(&other, run(9));
        let mut oldest = Oldest::new(5);
        // More than are asked for.
        for _ in 0..3 {
            for log in [logs_in(&one), logs_in(&other)].into_iter().flatten() {
                if !oldest.logs.iter().any(|known| known.run == log.run) {
                    oldest.add(log);
                }
            }
        }
        let order: Vec<_> = oldest.in_order().iter().map(|log| log.run).collect();
        assert_eq!(order, [2, 3, 5, 1, 4].map(run));
    }

    #[test]
    fn so_many_runs_are_kept_and_the_last_failed_one_and_those_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path().to_owned());
        let app = AppId::of(&"a/b/c".parse().unwrap());
        let logs = state.logs(app);
        for number in 1..=6 {
            write(&logs, u128::from(number), "", 10, 60 - number);
        }
        note_failed(&logs, run(2));
        fs::create_dir_all(state.run(run(3)).path()).unwrap();
        assert_eq!(keep_last(&state, app, 2), 20);
        let left = || logs_in(&logs).iter().map(|log| log.run).collect::<Vec<_>>();
        assert_eq!(left(), [2, 3, 5, 6].map(run));
        assert_eq!(keep_last(&state, app, 0), 30);
        assert_eq!(left(), [run(3)]);
    }
}
