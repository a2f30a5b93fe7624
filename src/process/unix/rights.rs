//! Who may enter the state directory: its owner and nobody else.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::unistd::{Uid, User, geteuid};

/// Everybody but the owner.
const OTHERS: u32 = 0o077;

/// Makes a directory that only its owner can enter.
pub(in crate::process) fn create_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// Makes a file that only its owner can read; what was in one of this name is gone.
pub(in crate::process) fn create_private(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Opens a file that only its owner can read, or makes it; what is in it stays.
pub(in crate::process) fn open_private(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(path)
}

/// Replaces a file by one that everyone may read and its owner alone may write.
pub(in crate::process) fn write_for_all(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = create_private(&new)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(0o644)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// Takes the rights of others away from a file or a folder of the state directory, and says so. A link that its
/// owner made leads to where others may have rights.
///
/// # Errors
/// When it belongs to another user, or the file system keeps no rights.
pub(in crate::process) fn make_private(path: &Path) -> io::Result<Option<String>> {
    let found = fs::symlink_metadata(path)?;
    check_owner(path, &found)?;
    let metadata = if found.is_symlink() {
        let target = fs::metadata(path)?;
        if !target.is_dir() {
            return Ok(None);
        }
        check_owner(path, &target)?;
        target
    } else {
        found
    };
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(None);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & !OTHERS))?;
    if fs::metadata(path)?.mode() & OTHERS != 0 {
        return Err(refusal(format!(
            "{} can be read by other users, and its file system does not let that be changed; choose another \
             state directory",
            path.display()
        )));
    }
    Ok(Some(format!(
        "{} could be used by other users (mode {mode:o}); it is now for its owner alone",
        path.display()
    )))
}

/// Whether a file or a folder is for its owner alone, who is the user of this process.
///
/// # Errors
/// When it belongs to another user, or cannot be looked at.
pub(in crate::process) fn is_private(path: &Path) -> io::Result<bool> {
    check_owner(path, &fs::symlink_metadata(path)?)?;
    let metadata = fs::metadata(path)?;
    check_owner(path, &metadata)?;
    Ok(metadata.mode() & OTHERS == 0)
}

fn check_owner(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let (owner, own) = (metadata.uid(), geteuid());
    if owner == own.as_raw() {
        return Ok(());
    }
    Err(refusal(format!(
        "{} belongs to {}, and this process runs as {}: chown it, or choose another state directory",
        path.display(),
        name_of(Uid::from_raw(owner)),
        name_of(own)
    )))
}

fn name_of(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name)
}

/// Refuses a directory that any user could rename and replace.
///
/// # Errors
/// When a directory above it lets all users write, without the sticky bit that keeps their hands off what is not
/// theirs.
pub(in crate::process) fn check_parents(path: &Path) -> io::Result<()> {
    for parent in fs::canonicalize(path)?.ancestors().skip(1) {
        let mode = fs::metadata(parent)?.mode();
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            return Err(refusal(format!(
                "any user can replace it: {} can be written to by all (mode {:o}); chmod o-w it, or choose another state \
                 directory",
                parent.display(),
                mode & 0o7777
            )));
        }
    }
    Ok(())
}

fn refusal(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn rights_of_others_are_taken_away_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, file) = (folder.path().join("dir"), folder.path().join("file"));
        fs::create_dir(&dir).unwrap();
        fs::write(&file, "x").unwrap();
        for (path, before, after) in
            [(&dir, 0o755, 0o700), (&dir, 0o777, 0o700), (&file, 0o644, 0o600), (&file, 0o666, 0o600)]
        {
            set_mode(path, before);
            let line = make_private(path).unwrap().unwrap();
            assert!(line.contains(&format!("{before:o}")) && line.contains(path.to_str().unwrap()), "{line}");
            assert_eq!(mode(path), after);
            assert_eq!(make_private(path).unwrap(), None);
        }
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        let (foreign, own) = if geteuid().is_root() {
            let foreign = folder.path().join("foreign");
            fs::create_dir(&foreign).unwrap();
            std::os::unix::fs::chown(&foreign, Some(65534), None).unwrap();
            (foreign, "root")
        } else {
            ("/".into(), "runs as")
        };
        std::os::unix::fs::symlink(&foreign, &link).unwrap();
        for path in [&foreign, &link] {
            let error = make_private(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert!(error.to_string().contains(own), "{error}");
        }
    }

    #[test]
    fn a_directory_that_anybody_can_replace_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let parent = folder.path().join("parent");
        let dir = parent.join("dir");
        fs::create_dir_all(&dir).unwrap();
        for (bits, is_safe) in [(0o755, true), (0o775, true), (0o1777, true), (0o777, false)] {
            set_mode(&parent, bits);
            assert_eq!(check_parents(&dir).is_ok(), is_safe, "{bits:o}");
        }
    }
}
