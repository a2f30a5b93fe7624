//! The state directory and its disk.

use std::time::Duration;

use super::finding::Finding;
use super::{Context, Reporter};
use crate::cli::session::Session;
use crate::model::format_memory;
use crate::process::{Disk, disk_of, is_writable, log_bytes, wide_rights};

/// How long the sizes of logs are added up.
const LOGS_WITHIN: Duration = Duration::from_secs(3);

/// Fewer files than this part of all that a disk can hold are few.
const FILES_PART: u64 = 50;

pub(super) fn look(_: &Context, session: &Session, report: &Reporter) {
    let state = &session.settings.state;
    let place = state.path().display();
    if !state.path().exists() {
        let parent = state.path().ancestors().skip(1).find(|parent| parent.exists());
        report.add(match parent.filter(|parent| !is_writable(parent)) {
            Some(parent) => Finding::error(
                "state.directory",
                format!("{place} is missing, and this user cannot make it in {}", parent.display()),
                "make it for the user of the manager, or choose another with --state-dir or DC_STATE_DIR",
            ),
            None => Finding::ok(
                "state.directory",
                format!("{place} is not there yet; the first manager makes it"),
            ),
        });
        return;
    }
    report.add(if is_writable(state.path()) {
        Finding::ok("state.directory", format!("{place} can be written to"))
    } else {
        Finding::error(
            "state.directory",
            format!("{place} cannot be written to by this user"),
            "run dcm as its owner, mount it read-write, or choose another with --state-dir",
        )
    });
    report.add(match wide_rights(state) {
        Ok(wide) if wide.is_empty() => Finding::ok("state.rights", "its owner's alone"),
        Ok(wide) => {
            let places: Vec<_> = wide.iter().map(|path| path.display().to_string()).collect();
            Finding::warning(
                "state.rights",
                format!(
                    "other users have rights to {}; logs and environments may hold secrets",
                    places.join(", ")
                ),
                "chmod -R go-rwx it; a manager that starts does so too",
            )
        }
        Err(error) => Finding::error(
            "state.rights",
            error.to_string().split("; ").next().unwrap_or_default(),
            "run dcm as its owner, or chown it; a manager refuses to start like this",
        ),
    });
    match disk_of(state.path()) {
        Ok(disk) => look_at_disk(session, &disk, report),
        Err(error) => report.add(Finding::unknown("state.disk", error.to_string())),
    }
    let limit = session.settings.logs.total_max;
    report.add(match log_bytes(state, LOGS_WITHIN) {
        Some(bytes) => Finding::ok(
            "state.logs",
            format!("the output of apps takes {} of {}", format_memory(bytes), format_memory(limit)),
        ),
        None => Finding::unknown("state.logs", format!("not counted within {} s", LOGS_WITHIN.as_secs())),
    });
}

fn look_at_disk(session: &Session, disk: &Disk, report: &Reporter) {
    let (free, size) = (format_memory(disk.free), format_memory(disk.size));
    let seen = format!("{free} of {size} are free");
    let reserve = session.settings.logs.reserve(disk.size);
    report.add(if disk.free == 0 {
        Finding::error("state.disk", "the disk is full", "make room: nothing is recorded until there is some")
    } else if disk.free < reserve {
        Finding::warning(
            "state.disk",
            format!("{seen}, less than the reserve of {}", format_memory(reserve)),
            "make room: the oldest output of apps is deleted meanwhile (logs.min_free)",
        )
    } else {
        Finding::ok("state.disk", seen)
    });
    if let Some((files, all)) = disk.files {
        report.add(if files < all / FILES_PART {
            Finding::warning(
                "state.inodes",
                format!("{files} more files can be made of {all}"),
                "delete small files on this disk (df -i shows it)",
            )
        } else {
            Finding::ok("state.inodes", format!("{files} more files can be made"))
        });
    }
    let is_file = session.settings.database.secret().is_none();
    report.add(match disk.special {
        None => Finding::ok("state.filesystem", "a disk of this host"),
        Some(kind @ ("nfs" | "cifs" | "9p")) if is_file => Finding::error(
            "state.filesystem",
            format!("{kind}: SQLite loses data on network file systems"),
            "choose a state directory on a disk of this host, or PostgreSQL",
        ),
        Some(kind @ ("nfs" | "cifs" | "9p" | "fuse")) => Finding::warning(
            "state.filesystem",
            format!("{kind}: locks and the order of writes are only as good as its server"),
            "choose a state directory on a disk of this host",
        ),
        Some("overlay") => Finding::warning(
            "state.filesystem",
            "overlay: what is written here goes with the container",
            "mount a volume at the state directory",
        ),
        Some("tmpfs") => Finding::warning(
            "state.filesystem",
            "tmpfs: it is in memory, and gone after a boot",
            "choose a state directory on a disk, unless that is wanted",
        ),
        Some(kind) => Finding::ok("state.filesystem", kind),
    });
}
