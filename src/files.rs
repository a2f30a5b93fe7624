//! What the store must know of files that depends on the platform: whether a path still names the file that was opened,
//! files for their owner alone, and why a path cannot be used.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Which file a path names, for as long as that file exists. Numbers are given away again at once; the time of its
/// creation tells two files of one number apart, where the file system knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    number: u64,
    created: Option<SystemTime>,
}

impl FileId {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let (device, number) = numbers(metadata);
        Self { device, number, created: metadata.created().ok() }
    }

    /// `None` when there is no such file, or when it cannot be looked at.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::of(&metadata))
    }
}

#[cfg(unix)]
fn numbers(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn numbers(_metadata: &Metadata) -> (u64, u64) {
    (0, 0)
}

/// Makes an empty file that only its owner can use, from its first moment.
///
/// # Errors
/// Also when there is a file already.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    restrict(&mut options);
    options.open(path)
}

#[cfg(unix)]
fn restrict(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

/// A new file has the rights of its folder there.
#[cfg(not(unix))]
fn restrict(_options: &mut OpenOptions) {}

/// Whether this user may read the file. It is not opened: closing it would drop the locks that SQLite holds on it in
/// this process.
#[cfg(unix)]
pub(crate) fn is_readable(path: &Path) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::R_OK) != Err(nix::errno::Errno::EACCES)
}

#[cfg(not(unix))]
pub(crate) fn is_readable(_path: &Path) -> bool {
    true
}

/// The user to whom a file belongs, or the closest folder above it that may be looked at.
#[cfg(unix)]
pub(crate) fn owner_of(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = path.ancestors().find_map(|path| std::fs::metadata(path).ok())?;
    let uid = nix::unistd::Uid::from_raw(metadata.uid());
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    Some(user.map_or_else(|| format!("uid {uid}"), |user| user.name))
}

#[cfg(not(unix))]
pub(crate) fn owner_of(_path: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_another_file_once_it_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        assert_eq!(FileId::at(&path), None);
        std::fs::write(&path, "1").unwrap();
        let first = FileId::at(&path);
        std::fs::write(&path, "2").unwrap();
        assert_eq!(FileId::at(&path), first, "written in place");
        std::fs::rename(&path, &other).unwrap();
        std::fs::write(&path, "3").unwrap();
        assert_ne!(FileId::at(&path), first);
        assert_eq!(FileId::at(&other), first);
    }

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_never_wider() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        create_private(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(create_private(&path).is_err());
    }
}
