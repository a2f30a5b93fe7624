//! What this process itself uses.

use std::fs;

use chrono::TimeDelta;
use nix::sys::resource::{Resource, getrlimit};

use super::usage::{page_size, ticks};
use crate::process::{OwnProcess, clock};

/// Reads it; what cannot be read is left out.
pub(in crate::process) fn own_process() -> OwnProcess {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let open_files = fs::read_dir("/proc/self/fd").ok().map(|files| {
        // One of them is the one by which they are listed.
        u64::try_from(files.count()).unwrap_or(u64::MAX).saturating_sub(1)
    });
    let open_files_max = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft);
    OwnProcess { open_files, open_files_max, ..of_stat(&stat).unwrap_or_default() }
}

/// The children that were waited for are left out: their time is that of apps and shims.
fn of_stat(stat: &str) -> Option<OwnProcess> {
    // The name of the program comes second, in brackets, and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    let (user, system) = (next()?, next()?);
    let mut fields = fields.skip(6);
    let mut next = || fields.next()?.parse::<u64>().ok();
    let (start, size, pages) = (next()?, next()?, next()?);
    let age = clock::boot_time().saturating_sub(ticks(start));
    Some(OwnProcess {
        cpu: Some(ticks(user.saturating_add(system))),
        started: TimeDelta::from_std(age).ok().map(|age| clock::wall() - age),
        resident: Some(pages.saturating_mul(page_size())),
        size: Some(size),
        ..OwnProcess::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_read() {
        let OwnProcess { cpu, started, resident, size, open_files, open_files_max } = own_process();
        let age = clock::wall() - started.unwrap();
        assert!(cpu.is_some() && age >= TimeDelta::zero() && age < TimeDelta::hours(1), "{age}");
        assert!(resident.unwrap() > 1 << 20 && size.unwrap() > resident.unwrap());
        assert!((3..open_files_max.unwrap()).contains(&open_files.unwrap()));
    }
}
