//! What the process of an app has of its own.

use serde::{Deserialize, Serialize};

use crate::model::{ProcessSettings, Umask};

/// [`ProcessSettings`] on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::process) struct ProcessRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::process) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::process) nice: Option<i8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::process) umask: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::process) max_open_files: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::process) max_processes: Option<u32>,
}

impl ProcessRecord {
    /// The columns that are given.
    #[cfg_attr(unix, expect(dead_code, reason = "Linux can do all of it"))]
    pub(in crate::process) fn given(&self) -> Vec<&'static str> {
        let Self { user, nice, umask, max_open_files, max_processes } = self;
        let columns = [
            ("run_user", user.is_some()),
            ("nice", nice.is_some()),
            ("umask", umask.is_some()),
            ("max_open_files", max_open_files.is_some()),
            ("max_processes", max_processes.is_some()),
        ];
        columns.into_iter().filter(|(_, is_given)| *is_given).map(|(column, _)| column).collect()
    }
}

impl From<&ProcessSettings> for ProcessRecord {
    fn from(settings: &ProcessSettings) -> Self {
        let ProcessSettings { user, nice, umask, max_open_files, max_processes } = settings;
        Self {
            user: user.clone(),
            nice: *nice,
            umask: umask.map(Umask::bits),
            max_open_files: *max_open_files,
            max_processes: *max_processes,
        }
    }
}
