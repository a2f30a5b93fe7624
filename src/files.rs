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
    /// That of the file of this path, where these are its metadata.
    #[cfg(unix)]
    pub(crate) fn of(_path: &Path, metadata: &Metadata) -> Self {
        let (device, number) = numbers(metadata);
        Self { device, number, created: metadata.created().ok() }
    }

    /// The same. The number that Windows gives to a file has in it how often it was given, and the time of its creation
    /// says nothing: a file takes over that of the one which had its name a moment before.
    #[cfg(not(unix))]
    pub(crate) fn of(path: &Path, metadata: &Metadata) -> Self {
        use std::os::windows::fs::OpenOptionsExt as _;
        // To look at it alone, also where it is a folder.
        const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
        let file = OpenOptions::new().access_mode(0).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path);
        match file.and_then(winapi_util::file::information) {
            Ok(found) => {
                Self { device: found.volume_serial_number(), number: found.file_index(), created: None }
            }
            Err(_) => Self { device: 0, number: 0, created: metadata.created().ok() },
        }
    }

    /// `None` when there is no such file, or when it cannot be looked at.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::of(path, &metadata))
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

/// Whether everybody on this host can read a file, as far as its own rights say.
#[cfg(unix)]
pub(crate) fn is_for_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_for_all(_path: &Path) -> bool {
    false
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

/// What a file is, as far as that is seen without reading it: two of the same are one that was not written to since, nor
/// replaced. Where the platform tells no more, its size and the time of its last change.
pub(crate) fn stamp_of(metadata: &Metadata) -> String {
    let (_, number) = numbers(metadata);
    let modified = metadata.modified().ok();
    let since = |time: SystemTime| match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => format!("{:x}", after.as_nanos()),
        Err(before) => format!("-{:x}", before.duration().as_nanos()),
    };
    let modified = modified.map(since).unwrap_or_default();
    format!("{number:x}.{:x}.{modified}.{}", metadata.len(), status_change(metadata))
}

/// When a file's content, name or rights changed last, which no program can set.
#[cfg(unix)]
fn status_change(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt as _;
    format!("{:x}.{:x}", metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn status_change(_metadata: &Metadata) -> String {
    String::new()
}

/// The file system that a file is on; 0 where that is not known.
pub(crate) fn device_of(metadata: &Metadata) -> u64 {
    numbers(metadata).0
}

/// Opens a file to read it, and does not wait for anybody, should it be a pipe by now.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    do_not_wait(&mut options);
    options.open(path)
}

#[cfg(unix)]
fn do_not_wait(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
}

#[cfg(not(unix))]
fn do_not_wait(_options: &mut OpenOptions) {}

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

    #[test]
    fn a_stamp_tells_a_file_that_was_replaced_in_its_size_and_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let stamp = || stamp_of(&std::fs::metadata(&path).unwrap());
        std::fs::write(&path, "one").unwrap();
        let (first, modified) = (stamp(), std::fs::metadata(&path).unwrap().modified().unwrap());
        assert_eq!(stamp(), first);
        std::fs::write(&path, "two").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_ne!(stamp(), first);
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
