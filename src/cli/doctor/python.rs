//! The interpreter of apps without a command of their own.

use std::path::PathBuf;
use std::time::Duration;

use super::finding::Finding;
use super::{Context, Reporter};
use crate::cli::session::Session;
use crate::config::env;
use crate::process::{ask_program, find_program};

/// How long it may take to say its version.
const WITHIN: Duration = Duration::from_secs(5);

/// The oldest version that the package `data_collector` runs on.
const OLDEST: (u32, u32) = (3, 10);

/// Tells the version, whether it is that of a virtual environment, and where it looks for modules.
const SCRIPT: &str = "import sys, json; print(json.dumps([list(sys.version_info[:3]), sys.prefix != sys.base_prefix, sys.path]))";

/// What the interpreter says of itself, or why it says nothing.
pub(super) type Asked = Result<Python, Silent>;

/// Why nothing is known of it.
pub(super) enum Silent {
    /// It is not there.
    Missing(String),
    /// It does not start, or not in time.
    Broken(String),
}

pub(super) struct Python {
    /// With its folder.
    pub(super) program: String,
    version: [u32; 3],
    is_of_environment: bool,
    /// Where modules are looked for, without the working directory.
    pub(super) folders: Vec<PathBuf>,
}

/// Asks it, once.
pub(super) fn ask<'a>(context: &'a Context, session: &Session) -> &'a Asked {
    context.python.get_or_init(|| {
        let found = find_program(&session.settings.python, "/", env::get(env::PATH).as_deref());
        let program = found.map_err(|error| Silent::Missing(error.message))?.to_string_lossy().into_owned();
        // -B: nothing is written beside the modules that it loads.
        let answer = ask_program(&program, &["-B", "-c", SCRIPT], WITHIN)
            .map_err(|error| Silent::Broken(format!("{program}: {error}")))?;
        let parsed = serde_json::from_str::<([u32; 3], bool, Vec<PathBuf>)>(&answer);
        let (version, is_of_environment, folders) =
            parsed.map_err(|_| Silent::Broken(format!("{program} is no Python 3")))?;
        let folders = folders.into_iter().filter(|folder| folder.is_absolute()).collect();
        Ok(Python { program, version, is_of_environment, folders })
    })
}

pub(super) fn look(context: &Context, session: &Session, report: &Reporter) {
    let cure = "install it, activate the virtual environment, or set python in the configuration file";
    let python = match ask(context, session) {
        Ok(python) => python,
        Err(Silent::Missing(why)) => {
            return report.add(Finding::warning(
                "python.program",
                format!("{why}; apps without a command of their own cannot start"),
                cure,
            ));
        }
        Err(Silent::Broken(why)) => {
            return report.add(Finding::error("python.program", format!("it does not start: {why}"), cure));
        }
    };
    let [major, minor, patch] = python.version;
    let of_environment = if python.is_of_environment { ", a virtual environment" } else { "" };
    report.add(Finding::ok("python.program", format!("{}{of_environment}", python.program)));
    report.add(if (major, minor) < OLDEST {
        Finding::warning(
            "python.version",
            format!("Python {major}.{minor}.{patch}"),
            format!(
                "the package data_collector needs {}.{} or newer; other apps may do without",
                OLDEST.0, OLDEST.1
            ),
        )
    } else {
        Finding::ok("python.version", format!("Python {major}.{minor}.{patch}"))
    });
    if let Some(folder) = env::get(env::VIRTUAL_ENV)
        && !python.program.starts_with(&folder)
    {
        report.add(Finding::warning(
            "python.environment",
            format!(
                "VIRTUAL_ENV is {folder}, and apps get {}: python of the configuration comes first",
                python.program
            ),
            "take python out of the configuration file, or name the one of the environment there",
        ));
    }
}
