//! Finds the program of an app and says in plain words why it cannot be started.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use windows_sys::Win32::Foundation::{
    ERROR_BAD_EXE_FORMAT, ERROR_COMMITMENT_LIMIT, ERROR_DISK_FULL, ERROR_ELEVATION_REQUIRED,
    ERROR_EXE_MACHINE_TYPE_MISMATCH, ERROR_FILENAME_EXCED_RANGE, ERROR_NO_SYSTEM_RESOURCES,
    ERROR_NOT_ENOUGH_MEMORY, ERROR_NOT_ENOUGH_QUOTA, ERROR_OUTOFMEMORY, ERROR_SHARING_VIOLATION,
    ERROR_TOO_MANY_OPEN_FILES,
};

use crate::model::{Obstacle, StartFailure};

/// Why a batch file is refused, and what to do.
const NO_BATCH_FILES: &str = "batch files are not started: the command processor reads their arguments as commands once \
                              more; name the program that it calls, or set batch_files = true for the manager";

/// What a program's name ends with when the ending is left out.
const ENDINGS: [&str; 2] = ["exe", "com"];

/// Finds a program that is no batch file.
///
/// # Errors
/// As [`find_any`].
pub(in crate::process) fn find(name: &str, cwd: &str, path: Option<&str>) -> Result<PathBuf, StartFailure> {
    find_any(name, cwd, path, false)
}

/// Finds a program: a name with a folder from the working directory, any other in the directories of
/// PATH. Never in the working directory itself, where anybody may have put it.
///
/// # Errors
/// [`StartFailure`] in plain words, for example that it is a batch file and those are not allowed.
pub(in crate::process) fn find_any(
    name: &str,
    cwd: &str,
    path: Option<&str>,
    batch_files: bool,
) -> Result<PathBuf, StartFailure> {
    match fs::metadata(cwd) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(unusable(format!("working directory {cwd}: it is not a directory"))),
        Err(error) => return Err(unusable(format!("working directory {cwd}: {}", plain(&error)))),
    }
    if is_batch(Path::new(name)) && !batch_files {
        return Err(unusable(format!("{name}: {NO_BATCH_FILES}")));
    }
    let base = Path::new(cwd);
    if name.contains(['/', '\\', ':']) {
        let program = base.join(name);
        return match look(&program) {
            Some(found) if found.is_dir() => {
                Err(unusable(format!("{}: it is a directory", program.display())))
            }
            Some(found) => Ok(found),
            None => Err(missing(format!("{}: no such file", program.display()))),
        };
    }
    let path = path.unwrap_or_default();
    let folders = path.split(';').map(|folder| folder.trim_matches('"')).filter(|folder| !folder.is_empty());
    let mut batch = None;
    for folder in folders {
        let program = base.join(folder).join(name);
        if let Some(found) = look(&program).filter(|found| found.is_file()) {
            return Ok(found);
        }
        let is_there = |ending: &&&str| with_ending(&program, ending).is_file();
        batch = batch.or(["bat", "cmd"].iter().find(is_there).map(|ending| with_ending(&program, ending)));
    }
    Err(match batch {
        Some(batch) if batch_files => return Ok(batch),
        Some(batch) => unusable(format!("{name}: there is only {}, and {NO_BATCH_FILES}", batch.display())),
        None => missing(format!("{name}: no such program in PATH ({path})")),
    })
}

/// The file itself, or with one of the endings.
fn look(program: &Path) -> Option<PathBuf> {
    let named = ENDINGS.iter().map(|ending| with_ending(program, ending));
    // With an ending first: a folder may have the program's name.
    named.filter(|file| file.is_file()).chain(program.exists().then(|| program.to_owned())).next()
}

fn with_ending(program: &Path, ending: &str) -> PathBuf {
    let mut name = program.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn is_batch(program: &Path) -> bool {
    // Trailing dots and blanks mean nothing to Windows.
    let name = program.to_string_lossy();
    let ending = name.trim_end_matches(['.', ' ']).rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case("bat") || ending.eq_ignore_ascii_case("cmd"))
}

/// Why the system refused to execute a program that was found.
pub(super) fn explain(error: &io::Error, program: &Path) -> StartFailure {
    let shown = program.display();
    let message = match error.raw_os_error().map(i32::cast_unsigned) {
        Some(ERROR_BAD_EXE_FORMAT | ERROR_EXE_MACHINE_TYPE_MISMATCH) => {
            format!("{shown}: it is no program for this system; a script needs its interpreter before it")
        }
        Some(ERROR_FILENAME_EXCED_RANGE) => {
            format!("{shown}: its command line is longer than the system allows")
        }
        None if error.kind() == io::ErrorKind::InvalidInput && is_batch(program) => {
            format!("{shown}: an argument cannot be passed to a batch file safely: {}", plain(error))
        }
        Some(ERROR_ELEVATION_REQUIRED) => format!("{shown}: it needs the rights of an administrator"),
        _ => format!("{shown}: {}", plain(error)),
    };
    StartFailure { obstacle: obstacle(error), message }
}

/// What an error of the system stands in the way of.
pub(in crate::process) fn obstacle(error: &io::Error) -> Obstacle {
    match error.raw_os_error().map(i32::cast_unsigned) {
        Some(
            ERROR_NOT_ENOUGH_MEMORY
            | ERROR_OUTOFMEMORY
            | ERROR_TOO_MANY_OPEN_FILES
            | ERROR_NO_SYSTEM_RESOURCES
            | ERROR_NOT_ENOUGH_QUOTA
            | ERROR_COMMITMENT_LIMIT
            | ERROR_DISK_FULL
            | ERROR_SHARING_VIOLATION,
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

/// The message of the system without its number.
pub(in crate::process) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text).trim_end_matches('.');
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_and_batch_files_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cwd = folder.path().to_str().unwrap();
        for file in ["tool.exe", "script.bat", "plain"] {
            fs::write(folder.path().join(file), "x").unwrap();
        }
        fs::create_dir(folder.path().join("tool")).unwrap();
        assert!(find("tool", cwd, Some(cwd)).unwrap().ends_with("tool.exe"));
        assert!(find("tool.exe", cwd, Some(cwd)).is_ok());
        assert!(find(r".\tool", cwd, None).unwrap().ends_with("tool.exe"));
        assert!(find("./plain", cwd, None).is_ok());
        assert!(!is_batch(Path::new("cmd")));
        assert!(find_any("script", cwd, Some(cwd), true).unwrap().ends_with("script.bat"));
        assert!(find_any(r".\script.bat", cwd, None, true).unwrap().ends_with("script.bat"));
        for (name, cwd, path, why) in [
            ("no-such-program", cwd, Some(cwd), "no such program in PATH"),
            ("tool", cwd, None, "no such program in PATH"),
            (r"C:\no\such\file", cwd, None, "no such file"),
            ("script", cwd, Some(cwd), "batch files are not started"),
            (r".\script.BAT ", cwd, None, "batch files are not started"),
            ("tool", r"C:\no\such\dir", None, r"working directory C:\no\such\dir"),
        ] {
            let failure = find(name, cwd, path).unwrap_err();
            assert!(failure.message.contains(why), "{name}: {}", failure.message);
        }
    }
}
