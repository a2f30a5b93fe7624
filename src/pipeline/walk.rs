//! Looks through a directory, without keeping what it found.
//!
//! Links to directories are not followed, so that there is no loop; a link to a file is taken like the file, by its own
//! path. Hidden directories are left alone like hidden files.

use std::fs::{FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::names::NamePattern;

/// Errors that are told; the others are counted.
const ERRORS_TOLD: usize = 1;

/// What could not be looked at.
#[derive(Debug, Default)]
pub(super) struct Faults {
    count: u64,
    told: Vec<String>,
    /// A directory could not be looked through: what is below it may be there.
    pub(super) is_incomplete: bool,
}

impl Faults {
    /// Counts an error with the path that it is about.
    pub(super) fn add(&mut self, path: &Path, error: &io::Error) {
        self.count += 1;
        if self.told.len() < ERRORS_TOLD {
            self.told.push(format!("{}: {error}", path.display()));
        }
    }

    /// All in one line.
    pub(super) fn text(&self) -> Option<String> {
        let first = self.told.first()?;
        Some(match self.count {
            1 => format!("cannot read {first}"),
            count => format!("cannot read {count} files or directories, the first is {first}"),
        })
    }
}

/// The file that a path names, if it is one to be taken: through a link, but to no directory.
pub(super) fn file_at(path: &Path) -> io::Result<Option<Metadata>> {
    let own = std::fs::symlink_metadata(path)?;
    let metadata = if own.is_symlink() { linked(path)? } else { Some(own) };
    Ok(metadata.filter(Metadata::is_file))
}

/// What a link leads to. One that leads nowhere, or in a circle, is none.
fn linked(path: &Path) -> io::Result<Option<Metadata>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether a file of this path is to be taken by its name.
pub(super) fn is_meant(path: &Path, pattern: &NamePattern) -> bool {
    path.file_name().is_some_and(|name| pattern.takes(name.as_encoded_bytes()))
}

/// Gives each file whose name is taken to `found`, until that says to stop; then the answer is `false`.
pub(super) fn walk(
    root: &Path,
    is_recursive: bool,
    pattern: &NamePattern,
    faults: &mut Faults,
    mut found: impl FnMut(&Path, &Metadata) -> bool,
) -> bool {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            // It was removed meanwhile, and what is below it is gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder != root => continue,
            Err(error) => {
                faults.is_incomplete = true;
                faults.add(&folder, &error);
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    faults.is_incomplete = true;
                    faults.add(&folder, &error);
                    break;
                }
            };
            let name = entry.file_name();
            let is_directory = entry.file_type().as_ref().is_ok_and(FileType::is_dir);
            if is_directory {
                if is_recursive && name.as_encoded_bytes().first() != Some(&b'.') {
                    folders.push(entry.path());
                }
                continue;
            }
            if !pattern.takes(name.as_encoded_bytes()) {
                continue;
            }
            let path: PathBuf = entry.path();
            match file_at(&path) {
                Ok(Some(metadata)) => {
                    if !found(&path, &metadata) {
                        return false;
                    }
                }
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    faults.is_incomplete = true;
                    faults.add(&path, &error);
                }
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(root: &Path, is_recursive: bool, pattern: &str) -> (Vec<String>, Faults) {
        let mut faults = Faults::default();
        let mut names = Vec::new();
        walk(root, is_recursive, &NamePattern::new(pattern), &mut faults, |path, _| {
            names.push(path.strip_prefix(root).unwrap().display().to_string());
            true
        });
        names.sort();
        (names, faults)
    }

    #[test]
    fn directories_below_are_looked_through_where_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("b/c")).unwrap();
        std::fs::create_dir_all(root.join(".git")).unwrap();
        for file in ["a.pdf", "a.txt", "b/b.pdf", "b/c/c.pdf", ".git/d.pdf", "e.pdf.part"] {
            std::fs::write(root.join(file), file).unwrap();
        }
        assert_eq!(found(root, false, "*.pdf").0, ["a.pdf"]);
        assert_eq!(found(root, true, "*.pdf").0, ["a.pdf", "b/b.pdf", "b/c/c.pdf"]);
        assert_eq!(found(root, true, "*").1.text(), None);
        let (none, faults) = found(&root.join("missing"), true, "*");
        assert!(none.is_empty() && faults.is_incomplete);
        assert!(faults.text().unwrap().contains("missing: No such file"), "{faults:?}");
    }

    #[cfg(unix)]
    #[test]
    fn links_make_no_loops_and_a_link_to_a_file_is_taken() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("d")).unwrap();
        std::fs::write(root.join("d/a"), "a").unwrap();
        symlink("d/a", root.join("to_file")).unwrap();
        symlink("..", root.join("d/up")).unwrap();
        symlink("d", root.join("to_directory")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        symlink("nowhere", root.join("broken")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (names, faults) = found(root, true, "*");
        assert_eq!((names, faults.text()), (vec!["d/a".to_owned(), "to_file".to_owned()], None));
    }
}
