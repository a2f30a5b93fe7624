//! Finds the program of an app and says in plain words why it cannot be started.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::model::{Obstacle, StartFailure};
use crate::process::record::ProcessRecord;

/// Finds a program as a shell would: a name with a slash from the working directory, any other in
/// the directories of PATH.
///
/// # Errors
/// [`StartFailure`] in plain words, for example that a file is there and not executable.
pub(in crate::process) fn find(name: &str, cwd: &str, path: Option<&str>) -> Result<PathBuf, StartFailure> {
    match fs::metadata(cwd) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(unusable(format!("working directory {cwd}: it is not a directory"))),
        Err(error) => {
            let message = format!("working directory {cwd}: {}", plain(&error));
            return Err(StartFailure { obstacle: obstacle(&error), message });
        }
    }
    let base = Path::new(cwd);
    if name.contains('/') {
        let program = base.join(name);
        return match check(&program) {
            Ok(()) => Ok(program),
            Err(fault) => Err(fault.at(&program)),
        };
    }
    let path = path.unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let mut found_but = None;
    for folder in path.split(':').filter(|folder| !folder.is_empty()) {
        let program = base.join(folder).join(name);
        match check(&program) {
            Ok(()) => return Ok(program),
            Err(Fault::Missing(_)) => {}
            Err(fault) => found_but = found_but.or(Some(fault.at(&program))),
        }
    }
    Err(found_but.unwrap_or_else(|| missing(format!("{name}: no such program in PATH ({path})"))))
}

/// Why a file is not the program that was looked for.
enum Fault {
    Missing(String),
    Unusable(String),
    /// It could not be looked at; that may be otherwise the next time.
    Unseen(String),
}

impl Fault {
    fn at(self, program: &Path) -> StartFailure {
        let (obstacle, why) = match self {
            Self::Missing(why) => (Obstacle::NotFound, why),
            Self::Unusable(why) => (Obstacle::NotExecutable, why),
            Self::Unseen(why) => (Obstacle::HostExhausted, why),
        };
        StartFailure { obstacle, message: format!("{}: {why}", program.display()) }
    }
}

fn check(program: &Path) -> Result<(), Fault> {
    let metadata = fs::metadata(program).map_err(|error| match obstacle(&error) {
        Obstacle::HostExhausted => Fault::Unseen(plain(&error)),
        Obstacle::NotFound | Obstacle::NotExecutable => Fault::Missing(plain(&error)),
    })?;
    if metadata.is_dir() {
        return Err(Fault::Unusable("it is a directory".to_owned()));
    }
    match access(program, AccessFlags::X_OK) {
        Ok(()) => Ok(()),
        Err(error) if obstacle(&error.into()) == Obstacle::HostExhausted => {
            Err(Fault::Unseen(error.to_string()))
        }
        Err(_) => Err(Fault::Unusable(
            "it is not executable; chmod +x it, or check the mount for noexec".to_owned(),
        )),
    }
}

/// Why the system refused to execute a program that was found.
pub(super) fn explain(
    error: &io::Error,
    program: &Path,
    size: usize,
    process: &ProcessRecord,
) -> StartFailure {
    let shown = program.display();
    let message = match error.raw_os_error() {
        Some(libc::ENOENT) => match interpreter(program) {
            Some(interpreter) => format!("{shown}: its interpreter {interpreter} does not exist"),
            None => format!("{shown}: its loader or a library does not exist"),
        },
        Some(libc::EACCES) => match interpreter(program) {
            Some(interpreter) => format!("{shown}: it or its interpreter {interpreter} may not be executed"),
            None => format!("{shown}: permission denied"),
        },
        Some(libc::ENOEXEC) => {
            format!("{shown}: it is no program for this system; a script begins with #! and its interpreter")
        }
        Some(libc::EAGAIN) if process.max_processes.is_some() => {
            format!("{shown}: its user has as many processes as max_processes allows")
        }
        Some(libc::E2BIG) => {
            format!("{shown}: its arguments and environment ({size} bytes) are longer than the system allows")
        }
        _ => format!("{shown}: {}", plain(error)),
    };
    let of_user = process.user.as_ref().map_or_else(String::new, |user| format!(" (as user {user})"));
    StartFailure { obstacle: obstacle(error), message: message + &of_user }
}

/// What an error of the system stands in the way of.
pub(in crate::process) fn obstacle(error: &io::Error) -> Obstacle {
    match error.raw_os_error() {
        Some(
            libc::EAGAIN
            | libc::ENOMEM
            | libc::EMFILE
            | libc::ENFILE
            | libc::ENOSPC
            | libc::EDQUOT
            | libc::ETXTBSY
            | libc::EIO
            | libc::ESTALE
            | libc::ETIMEDOUT,
        ) => Obstacle::HostExhausted,
        Some(_) | None => Obstacle::NotExecutable,
    }
}

fn missing(message: String) -> StartFailure {
    StartFailure { obstacle: Obstacle::NotFound, message }
}

fn unusable(message: String) -> StartFailure {
    StartFailure { obstacle: Obstacle::NotExecutable, message }
}

/// What the first line of a script names.
fn interpreter(program: &Path) -> Option<String> {
    let mut start = [0; 256];
    let length = File::open(program).ok()?.read(&mut start).ok()?;
    let line = start[..length].strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    line.split_ascii_whitespace().next().map(str::to_owned)
}

/// The message of the system without its number.
pub(in crate::process) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn programs_are_found_like_in_a_shell() {
        assert!(find("sh", "/", Some("/nowhere:/bin")).unwrap().ends_with("bin/sh"));
        assert!(find("/bin/sh", "/", None).is_ok());
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("run");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let cwd = folder.path().to_str().unwrap();
        assert_eq!(find("./run", cwd, None).unwrap(), folder.path().join("./run"));
        assert!(find("run", cwd, Some(".")).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_in_plain_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data");
        fs::write(&file, "x").unwrap();
        let (cwd, file) = (folder.path().to_str().unwrap(), file.to_str().unwrap());
        for (name, cwd, path, why) in [
            ("no-such-program", "/", Some("/bin"), "no such program in PATH"),
            ("/no/such/file", "/", None, "no such file"),
            ("/tmp", "/", None, "directory"),
            ("data", "/", Some(cwd), "not executable"),
            (file, "/", None, "not executable"),
            ("sh", "/no/such/dir", None, "working directory /no/such/dir"),
            ("sh", file, None, "not a directory"),
        ] {
            let failure = find(name, cwd, path).unwrap_err();
            assert!(failure.message.contains(why), "{name}: {}", failure.message);
        }
    }
}
