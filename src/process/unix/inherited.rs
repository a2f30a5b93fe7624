//! The control pipe of a run, as a process finds it that cannot get to the run directory: an app that runs as another user
//! was started with the pipe open, and hands it down unless a program closes it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::process::unless_gone;
use super::{open_to_write, tree};
use crate::process::layout::RunDir;

/// Opens the pipe by the descriptor of this process, or of any other of the run. `None`: none of them has it.
///
/// # Errors
/// When the processes of the host cannot be listed, or nothing reads the pipe.
pub(super) fn control_of(dir: &RunDir) -> io::Result<Option<File>> {
    let Some(run) = dir.path().file_name() else { return Ok(None) };
    let pipe = Path::new(run).join("control");
    if let Some(found) = open_of("self", &pipe)? {
        return Ok(Some(found));
    }
    for process in tree::tagged(&run.to_string_lossy())? {
        if let Some(found) = open_of(&process.pid.to_string(), &pipe)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn open_of(process: &str, pipe: &Path) -> io::Result<Option<File>> {
    let descriptors = tree::readable(fs::read_dir(format!("/proc/{process}/fd")))?;
    for descriptor in descriptors.into_iter().flatten() {
        let Some(descriptor) = unless_gone(descriptor)? else { break };
        let name = tree::readable(fs::read_link(descriptor.path()))?;
        if name.is_some_and(|name| name.ends_with(pipe)) {
            // By way of the descriptor the rights of the folders do not count, only those of the pipe.
            return tree::readable(open_to_write(&descriptor.path(), 0));
        }
    }
    Ok(None)
}
