//! Limits of open files. Descriptors are given out from the lowest number on, so the number of a new one says
//! how many are left.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that starts of apps leave to the database, the logs, and looks at processes.
const RESERVE: u64 = 5;

/// Descriptors that handles to shims leave to everything else. A shim without one is looked at each second.
const HANDLES_RESERVE: u64 = 256;

/// Allows this process as many open files as it may have; gives back what it had before.
pub(in crate::process) fn raise_open_files() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok()?;
    Some(soft)
}

/// Gives the app the limit that the manager was started with: programs that use `select` cannot
/// live with more.
pub(super) fn restore_open_files(soft: Option<u64>) {
    if let (Some(soft), Ok((_, hard))) = (soft, getrlimit(Resource::RLIMIT_NOFILE)) {
        // An app with a higher limit is no reason not to start it.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard);
    }
}

/// Refuses a start that would take the last descriptors: what runs already needs them.
///
/// # Errors
/// When there are too few; `newest` is the descriptor that was opened last.
pub(in crate::process) fn check_room(newest: &File) -> io::Result<()> {
    match limit() {
        Some(limit) if !leaves(newest.as_fd(), RESERVE, limit) => Err(io::Error::other(format!(
            "too many open files: the manager has fewer than {RESERVE} file descriptors left of {limit} (raise LimitNOFILE \
             of its service, or ulimit -Hn)"
        ))),
        _ => Ok(()),
    }
}

/// Whether there are descriptors enough to keep this one as the handle to a shim.
pub(super) fn has_room_for_handle(handle: BorrowedFd<'_>) -> bool {
    limit().is_none_or(|limit| leaves(handle, HANDLES_RESERVE, limit))
}

fn limit() -> Option<u64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft)
}

fn leaves(newest: BorrowedFd<'_>, reserve: u64, limit: u64) -> bool {
    u64::try_from(newest.as_raw_fd()).is_ok_and(|number| number.saturating_add(reserve) < limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_descriptor_says_how_many_are_left() {
        let file = File::open("/dev/null").unwrap();
        let number = u64::try_from(file.as_raw_fd()).unwrap();
        assert!(leaves(file.as_fd(), 8, number + 9));
        assert!(!leaves(file.as_fd(), 8, number + 8));
        assert!(!leaves(file.as_fd(), 8, 0));
    }
}
