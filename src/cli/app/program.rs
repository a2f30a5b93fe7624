//! The program of an app as a person names it: relative to where they stand, or below their home directory. A
//! manager may be started anywhere, so what is kept does not depend on that.

use std::path::Path;

use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::session::Session;
use crate::config::{ConfigError, env, expand_home};
use crate::model::{App, Program, Value};
use crate::process::{check_settings, find_command};
use crate::store::OperatorStore;

/// Makes a relative program, or file of variables, mean the same wherever the manager is: found in the app's working directory, or else
/// in `base`, which becomes the working directory where the app has none.
///
/// # Errors
/// When it begins with a `~` that is not understood.
pub(in crate::cli) fn settle(program: &mut Program, base: &Path) -> Result<(), ConfigError> {
    let is_relative = |file: &String| !Path::new(file.strip_prefix('-').unwrap_or(file)).is_absolute();
    if program.cwd.is_none() && program.env_files.iter().any(is_relative) {
        program.cwd = Some(base.to_string_lossy().into_owned());
    }
    let Some(name) = program.command.as_mut().and_then(|command| command.first_mut()) else {
        return Ok(());
    };
    if name.starts_with('~') {
        *name = expand_home(Path::new(name), "the program")?.to_string_lossy().into_owned();
    }
    if !name.contains(['/', std::path::MAIN_SEPARATOR]) || Path::new(name).is_absolute() {
        return Ok(());
    }
    match &program.cwd {
        None => program.cwd = Some(base.to_string_lossy().into_owned()),
        Some(cwd) if !Path::new(cwd).join(&*name).exists() && base.join(&*name).exists() => {
            let found: std::path::PathBuf = base.join(&*name).components().collect();
            *name = found.to_string_lossy().into_owned();
        }
        Some(_) => {}
    }
    Ok(())
}

/// A working directory, absolute.
pub(in crate::cli) fn directory(text: &str, base: &Path) -> Result<String, Error> {
    let path = base.join(expand_home(Path::new(text), "cwd")?);
    // Without the `.` that names the folder itself.
    let path: std::path::PathBuf = path.components().collect();
    let text = path.into_os_string().into_string();
    text.map_err(|_| Error::usage("cwd lies in a directory whose name is not UTF-8"))
}

/// Files of variables, with the home directory in the place of a `~`. A relative one stays so: it starts at the working
/// directory of the app.
pub(in crate::cli) fn files(paths: &[String]) -> Result<Value<'static>, Error> {
    let expanded = paths.iter().map(|path| {
        let (mark, name) = path.strip_prefix('-').map_or(("", path.as_str()), |name| ("-", name));
        let name = if name.starts_with('~') {
            expand_home(Path::new(name), "a file of variables")?.to_string_lossy().into_owned()
        } else {
            name.to_owned()
        };
        Ok(format!("{mark}{name}"))
    });
    Ok(Value::List(expanded.collect::<Result<_, Error>>()?))
}

/// Says what would keep an app from being started on this host: its directory, or its program.
pub(in crate::cli) fn warn(session: &Session, store: &dyn OperatorStore, app: &App) {
    if app.policy.pool.is_some() && !store.capabilities().is_shared {
        output::message(format_args!(
            "{}: pool has no effect on an embedded database: its one manager runs all apps",
            app.path
        ));
    }
    let parts = [&app.path.group, &app.path.parent, &app.path.name];
    if let Some(part) =
        parts.iter().find(|part| part.as_str().contains('.')).filter(|_| app.program.command.is_none())
    {
        output::message(format_args!(
            "{}: without a command it runs the Python module apps.{}.{}.{}.main, and {part} cannot be part of a module's \
             name",
            app.path, app.path.group, app.path.parent, app.path.name
        ));
    }
    let program = &app.program;
    let name = program.command.as_ref().and_then(|command| command.first());
    let name = name.unwrap_or(&session.settings.python);
    let cwd = program.cwd.as_deref().unwrap_or("/");
    let path = program.env.get(env::PATH).cloned().or_else(|| env::get(env::PATH));
    let found = find_command(name, cwd, path.as_deref(), session.settings.batch_files)
        .and_then(|_| check_settings(program, cwd));
    if let Err(failure) = found {
        output::message(format_args!(
            "{} could not be started on this host now: {}",
            app.path, failure.message
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_program_is_found_where_the_person_stands() {
        let here = tempfile::tempdir().unwrap();
        let there = tempfile::tempdir().unwrap();
        std::fs::write(here.path().join("run.sh"), "").unwrap();
        std::fs::write(there.path().join("own.sh"), "").unwrap();
        let (here, there) = (here.path().to_str().unwrap(), there.path().to_str().unwrap());
        let settled = |name: &str, cwd: Option<&str>| {
            let command = Some(vec![name.to_owned()]);
            let mut program = Program { command, cwd: cwd.map(str::to_owned), ..Program::default() };
            settle(&mut program, Path::new(here)).map(|()| (program.command.unwrap().remove(0), program.cwd))
        };
        let text = str::to_owned;
        assert_eq!(settled("./run.sh", None), Ok((text("./run.sh"), Some(text(here)))));
        assert_eq!(settled("./own.sh", Some(there)), Ok((text("./own.sh"), Some(text(there)))));
        assert_eq!(settled("./run.sh", Some(there)), Ok((format!("{here}/run.sh"), Some(text(there)))));
        assert_eq!(settled("python3", None), Ok((text("python3"), None)));
        assert_eq!(settled("/bin/sh", None), Ok((text("/bin/sh"), None)));
        let home = env::home().unwrap().join("x").display().to_string();
        assert_eq!(settled("~/x", None), Ok((home, None)));
        assert!(settled("~bob/x", None).unwrap_err().to_string().starts_with("the program: ~bob/x"));
    }
}
