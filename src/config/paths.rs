//! Paths as people write them in settings and arguments: `~` is the home directory, and what is relative in a file
//! starts at that file's folder.

use std::path::{Component, Path, PathBuf};

use super::{ConfigError, env};

/// A path with its `~` replaced by the home directory.
///
/// # Errors
/// When there is none, or when another user's is meant.
pub fn expand_home(path: &Path, origin: &str) -> Result<PathBuf, ConfigError> {
    expand(path, origin, None, env::home)
}

/// The same; a relative path starts at `base`, if there is one.
pub(super) fn expand(
    path: &Path,
    origin: &str,
    base: Option<&Path>,
    home: impl FnOnce() -> Option<PathBuf>,
) -> Result<PathBuf, ConfigError> {
    let wrong = |why: String| Err(ConfigError { origin: origin.to_owned(), why });
    let mut components = path.components();
    let first = match components.next() {
        Some(Component::Normal(first)) => first.to_string_lossy(),
        Some(_) | None => "".into(),
    };
    if first == "~" {
        return match home() {
            Some(home) => Ok(home.join(components)),
            None => wrong(format!("{}: there is no home directory (HOME is not set)", path.display())),
        };
    }
    if first.starts_with('~') {
        return wrong(format!(
            "{}: only ~/ is understood, the home directory of this user; write the whole path, or ./{} for a file of \
             that name",
            path.display(),
            path.display()
        ));
    }
    Ok(match base {
        Some(base) => base.join(path),
        None => path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_directory_is_found_or_the_path_refused_by_name() {
        let check = |text: &str, home: Option<&str>| {
            let base = Path::new("/etc/dcm");
            expand(Path::new(text), "state_dir", Some(base), || home.map(PathBuf::from))
                .map_err(|error| error.to_string())
        };
        for (text, path) in [
            ("~", "/home/ana"),
            ("~/state", "/home/ana/state"),
            ("/a/~/b", "/a/~/b"),
            ("state", "/etc/dcm/state"),
            ("./~x", "/etc/dcm/./~x"),
        ] {
            assert_eq!(check(text, Some("/home/ana")), Ok(path.into()), "{text}");
        }
        assert!(check("~bob/x", Some("/h")).unwrap_err().starts_with("state_dir: ~bob/x: only ~/"));
        assert!(check("~/x", None).unwrap_err().contains("HOME is not set"));
    }
}
