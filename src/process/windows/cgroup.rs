//! What holds the processes of a run together here is its job; there are no cgroups.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::model::RunId;
use crate::process::layout::StateDir;
use crate::process::record::Identity;

#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(in crate::process) fn kill(_cgroup: &Path, _shim: Identity) -> io::Result<usize> {
    Ok(0)
}

#[expect(clippy::unnecessary_wraps, reason = "it can fail on other platforms")]
pub(in crate::process) fn end(_cgroup: &Path) -> io::Result<()> {
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "it can hold them on other platforms")]
pub(in crate::process) fn without_limits() -> Option<&'static str> {
    Some("there are no cgroups")
}

pub(in crate::process) fn sweep(_state: &StateDir, _living: &BTreeSet<RunId>) {}
