//! The fence: a run that must never have a second copy ends when its manager cannot renew its lease.
//!
//! With each renewal the manager writes into one file of the state directory until when its fenced
//! runs may live. A shim reads that when the time that it knows has come: so a thousand runs cost
//! the manager one write, a manager that was killed leaves the deadlines as they are, and its
//! successor has nothing to tell anybody. The clock is that of the time since boot, which goes on
//! while a host is suspended.

use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::record::{Cause, EndingRecord, Spec, StopRequest};
use super::sys;

/// A lease that cannot be read, for want of descriptors for example, is read again after this.
const READ_AGAIN: Duration = Duration::from_millis(200);

/// How often it is read again before a run begins.
const TRIES_MAX: u32 = 10;

/// Until when fenced runs may live, since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Then they are asked to end.
    pub soft: Duration,
    /// Then they are killed.
    pub hard: Duration,
}

/// The file, as its manager writes it.
pub(super) struct LeaseFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl LeaseFile {
    /// Opens the file; what is in it stays in force.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: Mutex::new(sys::open_private(path)?) })
    }

    /// One line of a fixed length, in one write and in place: a reader sees the old one or the new
    /// one, and a full disk is no obstacle.
    pub(super) fn write(&self, deadlines: Deadlines) -> io::Result<()> {
        let Deadlines { soft, hard } = deadlines;
        let line = format!("{} {:020} {:020}\n", sys::boot_id()?, soft.as_millis(), hard.as_millis());
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if sys::is_removed(&file) {
            *file = sys::open_private(&self.path)?;
        }
        file.rewind()?;
        file.write_all(line.as_bytes())
    }
}

/// What the file says; `None` if it is missing, or from before the last boot.
fn read(path: &Path) -> io::Result<Option<Deadlines>> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let boot = sys::boot_id()?;
    Ok(std::str::from_utf8(&text).ok().and_then(|text| parse(text, &boot)))
}

fn parse(text: &str, boot: &str) -> Option<Deadlines> {
    let mut words = text.strip_suffix('\n')?.split(' ');
    if words.next()? != boot {
        return None;
    }
    let mut time = || words.next()?.parse().ok().map(Duration::from_millis);
    Some(Deadlines { soft: time()?, hard: time()? })
}

/// The fence of one run, as its shim holds it.
pub(super) struct Fence {
    path: PathBuf,
    known: Option<Deadlines>,
    /// When a file that could not be read is read again.
    again: Duration,
}

impl Fence {
    /// `None` for a run without one.
    pub(super) fn of(spec: &Spec) -> Option<Self> {
        let path = spec.lease.clone()?;
        let mut known = read(&path);
        for _ in 0..TRIES_MAX {
            if known.is_ok() {
                break;
            }
            std::thread::park_timeout(READ_AGAIN);
            known = read(&path);
        }
        // What cannot be read is not renewed, as far as this run knows.
        Some(Self { known: known.ok().flatten(), path, again: Duration::ZERO })
    }

    /// How a run ends that must not begin, since the lease is over already.
    pub(super) fn refusal(fence: Option<&Self>) -> Option<EndingRecord> {
        fence.filter(|fence| fence.deadline() <= sys::boot_time()).map(|_| EndingRecord::Stopped {
            cause: Cause::Fence,
            exit: None,
            killed: false,
        })
    }

    /// When it must be looked at.
    pub(super) fn deadline(&self) -> Duration {
        self.known.map_or(Duration::ZERO, |known| known.soft).max(self.again)
    }

    /// The stop that is due, if the lease was not renewed in time. A stop that is under way keeps the
    /// shorter of both times.
    pub(super) fn look(&mut self, now: Duration) -> Option<StopRequest> {
        if now < self.deadline() {
            return None;
        }
        let renewed = match read(&self.path) {
            Ok(renewed) => renewed,
            // It may be renewed. The run must not outlive what is known for sure.
            Err(_) if self.known.is_some_and(|known| now + READ_AGAIN < known.hard) => {
                self.again = now + READ_AGAIN;
                return None;
            }
            Err(_) => None,
        };
        if let Some(renewed) = renewed.filter(|renewed| renewed.soft > now) {
            self.known = Some(renewed);
            return None;
        }
        // The time of the file that is not there any more is the one that was known before.
        let hard = renewed.or(self.known).map_or(now, |known| known.hard);
        let grace_ms = u64::try_from(hard.saturating_sub(now).as_millis()).unwrap_or(0);
        Some(StopRequest { cause: Cause::Fence, grace_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::spec;
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_fence_falls_when_the_lease_is_not_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lease");
        let spec = Spec { lease: Some(path.clone()), ..spec() };
        assert!(Fence::of(&super::super::record::tests::spec()).is_none());

        // Nobody ever renewed it.
        let grace = |fence: &mut Fence, now| fence.look(now).map(|request| request.grace_ms);
        assert_eq!(grace(&mut Fence::of(&spec).unwrap(), seconds(1)), Some(0));

        let file = LeaseFile::open(&path).unwrap();
        file.write(Deadlines { soft: seconds(110), hard: seconds(113) }).unwrap();
        let mut fence = Fence::of(&spec).unwrap();
        assert_eq!(fence.deadline(), seconds(110));
        assert_eq!(grace(&mut fence, seconds(109)), None);
        file.write(Deadlines { soft: seconds(120), hard: seconds(123) }).unwrap();
        assert_eq!(grace(&mut fence, seconds(110)), None);
        assert_eq!(fence.deadline(), seconds(120));
        assert_eq!(grace(&mut fence, seconds(121)), Some(2000));
        assert_eq!(grace(&mut fence, seconds(200)), Some(0));

        // What a manager left that was killed stays in force.
        drop(file);
        drop(LeaseFile::open(&path).unwrap());
        assert_eq!(Fence::of(&spec).unwrap().deadline(), seconds(120));

        // A directory cannot be read as a file: whether the lease was renewed is not known.
        let mut unread = Fence::of(&spec).unwrap();
        fs::rename(&path, folder.path().join("aside")).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(grace(&mut unread, seconds(120)), None);
        assert!(unread.deadline() > seconds(120) && unread.deadline() < seconds(121));
        assert_eq!(grace(&mut unread, seconds(123)), Some(0));
        fs::remove_dir(&path).unwrap();
        fs::rename(folder.path().join("aside"), &path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(grace(&mut fence, seconds(121)), Some(2000));
    }

    #[test]
    fn what_was_written_before_the_last_boot_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lease");
        fs::write(&path, format!("another-boot {:020} {:020}\n", 1_000_000, 2_000_000)).unwrap();
        assert_eq!(read(&path).unwrap(), None);
        for text in ["", "x", "\n", "a b c\n"] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap(), None, "{text:?}");
        }
    }
}
