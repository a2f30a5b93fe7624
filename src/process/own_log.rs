//! The log of the manager itself: a file a day, opened again when another program has rotated it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use super::layout::StateDir;
use super::{clock, sys};

/// What the names of the files begin and end with; the day is between.
const PREFIX: &str = "dcm.";
const SUFFIX: &str = ".log";

/// Writes each line to the file of the day.
#[derive(Debug)]
pub struct OwnLog {
    folder: PathBuf,
    /// At most so many files are kept.
    keep: usize,
    open: Option<OpenLog>,
}

#[derive(Debug)]
struct OpenLog {
    path: PathBuf,
    file: File,
    id: (u64, u64),
}

impl OwnLog {
    /// Opens the log of a state directory.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn open(state: &StateDir, keep: usize) -> io::Result<Self> {
        let mut log = Self { folder: state.own_log(), keep: keep.max(1), open: None };
        log.file()?;
        Ok(log)
    }

    /// The file of the day, if it is where it belongs; otherwise a new one.
    fn file(&mut self) -> io::Result<&mut File> {
        let path = self.folder.join(format!("{PREFIX}{}{SUFFIX}", clock::wall().format("%Y-%m-%d")));
        let is_in_place = self.open.as_ref().is_some_and(|open| {
            open.path == path
                && fs::symlink_metadata(&path).is_ok_and(|found| sys::file_id(&found) == open.id)
        });
        if !is_in_place {
            fs::create_dir_all(&self.folder)?;
            let is_new_day = self.open.as_ref().is_none_or(|open| open.path != path);
            let file = sys::open_log(&path)?;
            let id = sys::file_id(&file.metadata()?);
            self.open = Some(OpenLog { path, file, id });
            if is_new_day {
                self.prune();
            }
        }
        self.open.as_mut().map(|open| &mut open.file).ok_or_else(|| io::Error::other("not open"))
    }

    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let is_ours = |name: &String| name.starts_with(PREFIX) && name.ends_with(SUFFIX);
        let mut names: Vec<_> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(is_ours).collect();
        names.sort();
        for name in names.iter().rev().skip(self.keep) {
            let _ = fs::remove_file(self.folder.join(name));
        }
    }
}

/// A line comes in one write.
impl Write for OwnLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.file()?.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), |open| open.file.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_after_every_kind_of_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path().to_owned());
        let mut log = OwnLog::open(&state, 2).unwrap();
        let path = log.open.as_ref().unwrap().path.clone();
        let mut write = |text: &str| log.write_all(text.as_bytes()).unwrap();
        let read = || fs::read_to_string(&path).unwrap();
        write("one\n");
        fs::rename(&path, path.with_extension("log.1")).unwrap();
        write("two\n");
        assert_eq!(read(), "two\n");
        fs::rename(&path, path.with_extension("log.1")).unwrap();
        File::create(&path).unwrap();
        write("three\n");
        assert_eq!(read(), "three\n");
        File::options().write(true).truncate(true).open(&path).unwrap();
        write("four\n");
        assert_eq!(read(), "four\n");
        fs::remove_dir_all(state.own_log()).unwrap();
        write("five\n");
        assert_eq!(read(), "five\n");
    }

    #[test]
    fn so_many_days_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path().to_owned());
        fs::create_dir(state.own_log()).unwrap();
        for name in ["dcm.2020-01-01.log", "dcm.2020-01-02.log", "dcm.2020-01-02.log.1", "other.log"] {
            fs::write(state.own_log().join(name), "").unwrap();
        }
        OwnLog::open(&state, 2).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(state.own_log()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names.len(), 4, "{names:?}");
        assert!(!state.own_log().join("dcm.2020-01-01.log").exists());
    }
}
