//! Small files that are there as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest record that is read; ours are far smaller.
const SIZE_MAX: u64 = 1024 * 1024;

/// Whether a file must survive a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// It only matters as long as the host is up: the page cache is enough. Syncing the records of
    /// 1,000 starts would cost more than the starts.
    UntilReboot,
    /// It is the only witness of something that happened.
    Forever,
}

/// Writes JSON under a temporary name and renames it.
pub(super) fn write(path: &Path, record: &impl Serialize, durability: Durability) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let text = serde_json::to_vec(record).map_err(io::Error::other)?;
    let mut file = File::create(&temporary)?;
    let written = file.write_all(&text).and_then(|()| match durability {
        Durability::UntilReboot => Ok(()),
        Durability::Forever => file.sync_all(),
    });
    drop(file);
    if let Err(error) = written.and_then(|()| fs::rename(&temporary, path)) {
        // A leftover would take space on a disk that is full already.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    match (durability, path.parent()) {
        (Durability::Forever, Some(folder)) => sync_folder(folder),
        (Durability::Forever | Durability::UntilReboot, _) => Ok(()),
    }
}

/// Reads a record; `None` when the file is missing or holds something else.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let size = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?.len();
    if size > SIZE_MAX {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// Windows keeps the entries of a folder itself.
#[cfg(windows)]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        assert_eq!(read::<Vec<u32>>(&path), None);
        for durability in [Durability::UntilReboot, Durability::Forever] {
            write(&path, &vec![1, 2, 3], durability).unwrap();
            assert_eq!(read::<Vec<u32>>(&path), Some(vec![1, 2, 3]));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(&path, "[1, 2").unwrap();
        assert_eq!(read::<Vec<u32>>(&path), None);
    }
}
