//! Tells a kill by the kernel, for want of memory, from a kill by a person: the exit status of a process does not. The
//! kernel counts its own.

use std::fs;
use std::path::Path;

use crate::process::record::OutOfMemoryRecord;

/// Kills for want of memory on this host since it was booted; `None` where the kernel does not count them.
pub(super) fn kills_on_host() -> Option<u64> {
    count(&fs::read_to_string("/proc/vmstat").ok()?)
}

/// The same in the cgroup of a run since it was made; `None` where memory is not counted there.
fn kills_in(cgroup: &Path) -> Option<u64> {
    count(&fs::read_to_string(cgroup.join("memory.events")).ok()?)
}

/// What speaks for such a kill of the main process, which was ended by KILL. `before`: how many there were on the host when
/// it began.
pub(super) fn evidence(cgroup: Option<&Path>, before: Option<u64>) -> Option<OutOfMemoryRecord> {
    judge(cgroup.and_then(kills_in), before.zip(kills_on_host()))
}

fn judge(in_run: Option<u64>, on_host: Option<(u64, u64)>) -> Option<OutOfMemoryRecord> {
    match (in_run, on_host) {
        (Some(1..), _) => Some(OutOfMemoryRecord::InRun),
        // Kills for want of memory of the whole host are counted there as well.
        (Some(0), _) => None,
        (None, Some((before, now))) if now > before => Some(OutOfMemoryRecord::OnHost),
        (None, _) => None,
    }
}

fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_counted_speaks_for_it() {
        for (in_run, on_host, expected) in [
            (Some(1), None, Some(OutOfMemoryRecord::InRun)),
            (Some(2), Some((0, 0)), Some(OutOfMemoryRecord::InRun)),
            (Some(0), Some((0, 3)), None),
            (None, Some((4, 5)), Some(OutOfMemoryRecord::OnHost)),
            (None, Some((4, 4)), None),
            (None, None, None),
        ] {
            assert_eq!(judge(in_run, on_host), expected, "{in_run:?} {on_host:?}");
        }
    }

    #[test]
    fn the_counter_is_found_among_others() {
        let events = "low 0\nhigh 0\nmax 65\noom 1\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(count(events), Some(1));
        assert_eq!(count("oom_kill_disable 1\n"), None);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(kills_in(folder.path()), None);
        fs::write(folder.path().join("memory.events"), events).unwrap();
        assert_eq!(evidence(Some(folder.path()), None), Some(OutOfMemoryRecord::InRun));
    }
}
