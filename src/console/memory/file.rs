//! The file: JSON, an entry for each database.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Seen;

/// A larger file is not one of ours.
const SIZE_MAX: u64 = 4 << 20;

/// So many databases are remembered; those that were not looked at for longest are forgotten.
const DATABASES_MAX: usize = 50;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Content {
    databases: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    /// Seconds since 1970.
    pub(super) saved: i64,
    pub(super) seen: Seen,
}

/// What was seen of a database.
///
/// # Errors
/// When there is a file that cannot be read.
pub(super) fn read(path: &Path, database: &str) -> io::Result<Option<Entry>> {
    Ok(content(path)?.databases.remove(database))
}

fn content(path: &Path) -> io::Result<Content> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
        Err(error) => return Err(error),
        Ok(data) if data.len() > SIZE_MAX || !data.is_file() => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a file of this program"));
        }
        Ok(_) => {}
    }
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

/// Keeps what was seen of a database, and what is there of others. The file is replaced as a whole,
/// so that it is never half of one.
pub(super) fn write(path: &Path, database: &str, entry: Entry) -> io::Result<()> {
    // One that cannot be read is of no use to anybody.
    let mut content = content(path).unwrap_or_default();
    content.databases.insert(database.to_owned(), entry);
    while content.databases.len() > DATABASES_MAX {
        let oldest = content.databases.iter().min_by_key(|(_, entry)| entry.saved);
        let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { break };
        content.databases.remove(&oldest);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::File::create(&draft)
        .and_then(|mut file| file.write_all(serde_json::to_string_pretty(&content)?.as_bytes()))
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(saved: i64) -> Entry {
        Entry { saved, seen: Seen { tab: 2, ..Seen::default() } }
    }

    #[test]
    fn each_database_has_its_entry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/console.json");
        assert!(read(&path, "a").unwrap().is_none());
        write(&path, "a", entry(1)).unwrap();
        write(&path, "b", entry(2)).unwrap();
        assert_eq!(read(&path, "a").unwrap().unwrap().saved, 1);
        for number in 3..100 {
            write(&path, &format!("db{number}"), entry(number)).unwrap();
        }
        assert!(read(&path, "a").unwrap().is_none());
        assert_eq!(read(&path, "db99").unwrap().unwrap().seen.tab, 2);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_bad_file_is_told_of_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.json");
        for text in ["", "{", "{\"databases\": 3}", "\u{0}"] {
            fs::write(&path, text).unwrap();
            assert!(read(&path, "a").is_err(), "{text:?}");
        }
        write(&path, "a", entry(1)).unwrap();
        assert!(read(&path, "a").unwrap().is_some());
        // One of a newer program is read as far as it is known.
        fs::write(&path, r#"{"new": 1, "databases": {"a": {"saved": 5, "seen": {"tab": 3, "x": []}}}}"#)
            .unwrap();
        assert_eq!(read(&path, "a").unwrap().unwrap().seen.tab, 3);
        assert!(read(folder.path(), "a").is_err());
    }
}
