//! Processes of the host as `/proc` has them, read as cheaply as can be: one file each.

use std::fs::File;
use std::io::{self, Read as _};
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use super::process::{is_alive, unless_gone};
use super::tree::all_processes;
use crate::process::record::Identity;
use crate::process::usage::Process;

/// The longest `stat` and `smaps_rollup` are about half of this.
const LENGTH_MAX: usize = 2048;

/// All processes of the host but this one and the first.
///
/// # Errors
/// When they cannot be listed.
pub(in crate::process) fn pids() -> io::Result<Vec<u32>> {
    all_processes()
}

/// A process; `None` when there is none of this number.
///
/// # Errors
/// When it cannot be read.
pub(in crate::process) fn process(pid: u32) -> io::Result<Option<Process>> {
    let mut bytes = [0; LENGTH_MAX];
    let read = File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut bytes));
    let Some(length) = unless_gone(read)? else { return Ok(None) };
    let invalid =
        || io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat is not understood"));
    parse(pid, &bytes[..length]).ok_or_else(invalid).map(Some)
}

fn parse(pid: u32, stat: &[u8]) -> Option<Process> {
    // The name of the program comes second, in brackets, and may hold anything.
    let rest = &stat[stat.iter().rposition(|byte| *byte == b')')? + 1..];
    let mut fields = std::str::from_utf8(rest).ok()?.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let mut spent = 0_u64;
    // utime, stime, and those of children that were waited for (`man 5 proc_pid_stat`).
    for time in fields.by_ref().skip(9).take(4) {
        spent = spent.checked_add(time.parse().ok()?)?;
    }
    let start = fields.nth(4)?.parse().ok()?;
    let pages: u64 = fields.nth(1)?.parse().ok()?;
    Some(Process { pid, parent, start, cpu: ticks(spent), resident: pages.saturating_mul(page_size()) })
}

/// The memory of a process, in bytes; pages that it shares count by its share of them. Where that is hidden, as that of
/// another user's, they count whole. `None` when it has ended.
pub(in crate::process) fn memory_shared_once(process: Identity) -> Option<u64> {
    let mut text = String::new();
    let path = format!("/proc/{}/smaps_rollup", process.pid);
    let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    let share = read.ok().and_then(|_| share_of(&text));
    if !is_alive(process).ok()? {
        return None;
    }
    share.or_else(|| self::process(process.pid).ok()?.map(|process| process.resident))
}

fn share_of(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Clock ticks as a time.
pub(in crate::process) fn ticks(count: u64) -> Duration {
    let per_second = number_of(SysconfVar::CLK_TCK, 100);
    Duration::from_secs(count / per_second)
        + Duration::from_nanos(count % per_second * 1_000_000_000 / per_second)
}

pub(super) fn page_size() -> u64 {
    number_of(SysconfVar::PAGE_SIZE, 4096)
}

fn number_of(variable: SysconfVar, usual: u64) -> u64 {
    sysconf(variable).ok().flatten().and_then(|number| u64::try_from(number).ok()).unwrap_or(usual).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::unix::own_identity;

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let stat = b"4120 (a) b (c) S 17 4120 4120 0 -1 4194560 100 200 0 0 250 50 30 20 20 0 1 0 123456 \
            9000000 2560 18446744073709551615 1 1 0";
        let found = parse(4120, stat).unwrap();
        assert_eq!((found.pid, found.parent, found.start), (4120, 17, 123_456));
        assert_eq!(found.cpu, ticks(350));
        assert_eq!(found.resident, 2560 * page_size());
        assert!(parse(1, b"1 (x) S 0 1").is_none());
        assert!(parse(1, b"").is_none());
    }

    #[test]
    fn this_process_is_seen_with_its_memory() {
        let own = own_identity().unwrap();
        let seen = process(own.pid).unwrap().unwrap();
        assert_eq!(seen.start, own.start);
        assert!(seen.resident > 1 << 20, "{seen:?}");
        let share = memory_shared_once(own).unwrap();
        assert!(share > 1 << 16 && share <= 2 * seen.resident, "{share} of {seen:?}");
        assert_eq!(memory_shared_once(Identity { start: own.start + 1, ..own }), None);
        assert_eq!(process(u32::MAX).unwrap(), None);
    }

    #[test]
    fn the_share_of_shared_pages_is_found() {
        let text = "55d0-7ffe ---p 00000000 00:00 0    [rollup]\nRss:     1234 kB\nPss:      617 kB\nPss_Anon: 1 kB\n";
        assert_eq!(share_of(text), Some(617 * 1024));
        assert_eq!(share_of("Rss: 1 kB\n"), None);
    }
}
