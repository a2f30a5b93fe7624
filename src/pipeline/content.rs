//! Reads a file once: the SHA3-256 of its content, and whether it stayed as it was meanwhile.

use std::fs::Metadata;
use std::io::{self, Read as _};
use std::path::Path;

use sha3::{Digest as _, Sha3_256};

use crate::files;
use crate::model::Timestamp;

/// So much of a file is in memory at once.
const BUFFER: usize = 64 * 1024;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) size: u64,
    /// In 64 lower-case hex characters.
    pub(super) sha3: String,
    pub(super) modified: Option<Timestamp>,
    /// By which it is known again.
    pub(super) stamp: String,
}

/// Why there is no content.
#[derive(Debug)]
pub(super) enum Unread {
    /// It was written to, replaced or removed while it was read.
    Changed,
    /// It cannot be read.
    Failed(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Changed } else { Self::Failed(error) }
    }
}

/// Reads a file; `buffer` is used again for the next one. `is_over` ends it early, as changed.
pub(super) fn read(path: &Path, buffer: &mut Vec<u8>, is_over: impl Fn() -> bool) -> Result<Content, Unread> {
    let mut file = files::open_without_waiting(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Err(Unread::Changed);
    }
    buffer.resize(BUFFER, 0);
    let mut hasher = Sha3_256::new();
    let mut size = 0;
    loop {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        // One that is written to as fast as it is read would be read for ever.
        if size > before.len() || is_over() {
            return Err(Unread::Changed);
        }
    }
    let stamp = files::stamp_of(&before);
    let is_same = |now: io::Result<Metadata>| now.map(|now| files::stamp_of(&now) == stamp);
    // What is open, and what the path names by now.
    if size != before.len() || !is_same(file.metadata())? || !is_same(std::fs::metadata(path))? {
        return Err(Unread::Changed);
    }
    let hash = hasher.finalize();
    let sha3 = hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    });
    Ok(Content { size, sha3, modified: before.modified().ok().map(Timestamp::from), stamp })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_that_of_the_file_as_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut buffer = Vec::new();
        std::fs::write(&path, "abc").unwrap();
        let content = read(&path, &mut buffer, || false).unwrap();
        // Reference: python3 -c "hashlib.sha3_256(b'abc').hexdigest()"
        assert_eq!(content.sha3, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
        assert_eq!((content.size, content.stamp), (3, files::stamp_of(&std::fs::metadata(&path).unwrap())));
        std::fs::write(&path, vec![7; 200_000]).unwrap();
        assert_eq!(read(&path, &mut buffer, || false).unwrap().size, 200_000);
        assert!(matches!(read(&path, &mut buffer, || true), Err(Unread::Changed)));
        assert!(matches!(read(&folder.path().join("b"), &mut buffer, || false), Err(Unread::Changed)));
        assert!(matches!(read(folder.path(), &mut buffer, || false), Err(Unread::Changed)));
    }

    #[test]
    fn a_file_that_is_replaced_or_written_to_while_it_is_read_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let other = folder.path().join("b");
        let mut buffer = Vec::new();
        std::fs::write(&path, vec![7; 200_000]).unwrap();
        let replaced = read(&path, &mut buffer, || {
            std::fs::write(&other, vec![7; 200_000]).unwrap();
            std::fs::rename(&other, &path).unwrap();
            false
        });
        assert!(matches!(replaced, Err(Unread::Changed)));
        let written = read(&path, &mut buffer, || {
            std::fs::write(&path, vec![8; 200_000]).unwrap();
            false
        });
        assert!(matches!(written, Err(Unread::Changed)));
    }
}
