//! The state directory as it must be: its owner's alone, locked by one manager, told from its copies, and whole
//! while a manager works in it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::layout::StateDir;
use super::record::Place;
use super::supervisor::OpenError;
use super::sys;

/// Makes the state directory with what belongs in it, for its owner alone: logs and environments may
/// hold secrets. One that is there with wider rights is tightened; what was done to it is given back as lines for
/// a log.
///
/// # Errors
/// When the system does not allow it, and when another user could have put something there, or still could.
pub fn make_state_dir(state: &StateDir) -> io::Result<Vec<String>> {
    let path = state.path();
    if path.to_str().is_none() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "its path is not UTF-8 text; choose another",
        ));
    }
    make_folder(path)?;
    let mut done = Vec::new();
    sys::check_parents(path)?;
    done.extend(sys::make_private(path)?);
    for folder in state.folders() {
        make_folder(&folder)?;
        done.extend(sys::make_private(&folder)?);
    }
    for file in state.files() {
        match sys::make_private(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => done.extend(result?),
        }
    }
    Ok(done)
}

fn make_folder(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("{} is not a directory", path.display()),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match sys::create_private_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result,
    }
}

/// Takes possession of the state directory.
pub(super) fn lock_state_dir(state: &StateDir) -> Result<StateLock, OpenError> {
    let io_error = |source| OpenError::Io { path: state.path().to_owned(), source };
    for line in make_state_dir(state).map_err(io_error)? {
        tracing::warn!("{line}");
    }
    Ok(StateLock(Mutex::new(lock(state)?)))
}

/// Who looks whether a manager is there holds the lock for a moment; this often it is tried again.
const TRIES: u32 = 5;

/// How long such a look may take.
const LOOK: Duration = Duration::from_millis(5);

fn lock(state: &StateDir) -> Result<File, OpenError> {
    let io_error = |source| OpenError::Io { path: state.path().to_owned(), source };
    let mut tried = sys::open_locked(&state.manager_lock());
    for _ in 1..TRIES {
        if matches!(tried, Err(fs::TryLockError::WouldBlock)) {
            std::thread::park_timeout(LOOK);
            tried = sys::open_locked(&state.manager_lock());
        }
    }
    let lock = match tried {
        Ok(lock) => lock,
        Err(fs::TryLockError::WouldBlock) => {
            return Err(OpenError::Locked { path: state.path().to_owned(), pid: manager_pid(state) });
        }
        Err(fs::TryLockError::Error(error)) => return Err(io_error(error)),
    };
    // By this handle: elsewhere than on Linux no other may write while the lock is held.
    lock.set_len(0)
        .and_then(|()| (&lock).write_all(std::process::id().to_string().as_bytes()))
        .map_err(io_error)?;
    Ok(lock)
}

fn manager_pid(state: &StateDir) -> Option<u32> {
    fs::read_to_string(state.manager_lock()).ok()?.trim().parse().ok()
}

/// The manager's hold of its state directory. It ends with its drop.
pub(super) struct StateLock(Mutex<File>);

impl StateLock {
    /// Makes again what somebody removed from the state directory while the manager lives, with a line of the log
    /// for each.
    pub(super) fn keep_whole(&self, state: &StateDir) {
        for folder in state.folders() {
            if matches!(folder.try_exists(), Ok(false)) {
                tracing::warn!(folder = %folder.display(), "it was removed while the manager is running; it is made again");
            }
        }
        match make_state_dir(state) {
            Ok(done) => done.iter().for_each(|line| tracing::warn!("{line}")),
            Err(error) => {
                tracing::error!(folder = %state.path().display(), %error, "the state directory cannot be used");
            }
        }
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !sys::is_removed(&held) {
            return;
        }
        match lock(state) {
            Ok(lock) => {
                tracing::warn!(file = %state.manager_lock().display(), "it was removed while the manager is running; it is made again");
                *held = lock;
            }
            Err(error) => {
                tracing::error!(%error, "the lock of the state directory was removed and cannot be had again");
            }
        }
    }
}

/// The process of the manager that works in a state directory; `None` while there is none.
///
/// # Errors
/// When that cannot be seen. Where a manager has worked, a missing lock says nothing: it was removed, and a manager
/// that lives makes it again within seconds.
pub fn manager_of(state: &StateDir) -> io::Result<Option<Option<u32>>> {
    let lock = state.manager_lock();
    if !lock.try_exists()? && state.home().try_exists()? {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{} was removed", lock.display())));
    }
    Ok(sys::is_locked(&lock)?.then(|| manager_pid(state)))
}

/// The name of a state directory, and which directory it was given to.
struct Home {
    id: String,
    /// Boot and place; versions before this one did not note them.
    bound: Option<(String, Place)>,
}

impl Home {
    fn read(state: &StateDir) -> io::Result<Option<Self>> {
        match fs::read_to_string(state.home()) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let id = lines.next()?.trim();
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let bound = lines.next().and_then(|line| {
            let mut words = line.split(' ');
            let (boot, device, inode) = (words.next()?, words.next()?, words.next()?);
            Some((boot.to_owned(), Place { device: device.parse().ok()?, inode: inode.parse().ok()? }))
        });
        Some(Self { id: id.to_owned(), bound })
    }

    /// Whether the name was given to another directory, of which this one is a copy. A device may have another
    /// number after a boot.
    fn is_of_another(&self, boot: &str, here: Option<Place>) -> bool {
        let (Some((bound_boot, bound)), Some(here)) = (&self.bound, here) else { return false };
        here.inode != bound.inode || here.device != bound.device && bound_boot == boot
    }
}

/// The name of a state directory; `None` while no manager has worked in it.
#[must_use]
pub fn home_of(state: &StateDir) -> Option<String> {
    let home = Home::read(state).ok()??;
    let here = sys::place_of(state.path()).ok()?;
    (!home.is_of_another(&sys::boot_id().ok()?, here)).then_some(home.id)
}

/// The name of a state directory among those of all managers. It is made up with its first use and stays; a copy of
/// the directory gets one of its own.
pub(super) fn make_home(state: &StateDir) -> io::Result<String> {
    let (boot, here) = (sys::boot_id()?, sys::place_of(state.path())?);
    let id = match Home::read(state)? {
        Some(home) if home.is_of_another(&boot, here) => {
            tracing::warn!(
                folder = %state.path().display(),
                "the state directory is a copy of another: it gets a name of its own, and runs of the other are left alone"
            );
            new_id()
        }
        Some(home) => home.id,
        None => new_id(),
    };
    let place = here.map(|Place { device, inode }| format!("{boot} {device} {inode}\n")).unwrap_or_default();
    let (path, fresh) = (state.home(), state.home().with_extension("new"));
    let mut file = sys::create_private(&fresh)?;
    file.write_all(format!("{id}\n{place}").as_bytes()).and_then(|()| file.sync_all())?;
    fs::rename(fresh, path)?;
    Ok(id)
}

fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_a_state_directory_gets_a_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| StateDir::new(folder.path().join(name)));
        make_state_dir(&first).unwrap();
        assert_eq!(home_of(&first), None);
        let home = make_home(&first).unwrap();
        assert_eq!((home_of(&first), make_home(&first).unwrap()), (Some(home.clone()), home.clone()));
        make_state_dir(&second).unwrap();
        fs::copy(first.home(), second.home()).unwrap();
        if sys::place_of(second.path()).unwrap().is_some() {
            assert_eq!(home_of(&second), None);
            assert_ne!(make_home(&second).unwrap(), home);
        }
        // Moved, it is the same.
        fs::remove_dir_all(second.path()).unwrap();
        fs::rename(first.path(), second.path()).unwrap();
        assert_eq!(make_home(&second).unwrap(), home);
        // What a version before this one wrote.
        fs::write(second.home(), &home).unwrap();
        assert_eq!((home_of(&second), make_home(&second).unwrap()), (Some(home.clone()), home));
    }

    #[test]
    fn a_lock_that_was_removed_does_not_say_that_no_manager_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path().join("state"));
        let lock = lock_state_dir(&state).unwrap();
        assert_eq!(manager_of(&state).unwrap(), Some(Some(std::process::id())));
        make_home(&state).unwrap();
        if cfg!(unix) {
            fs::remove_file(state.manager_lock()).unwrap();
            manager_of(&state).unwrap_err();
            lock.keep_whole(&state);
            assert_eq!(manager_of(&state).unwrap(), Some(Some(std::process::id())));
        }
        drop(lock);
        assert_eq!(manager_of(&state).unwrap(), None);
    }

    #[test]
    fn a_device_may_change_its_number_with_a_boot_and_only_then() {
        let place = |device, inode| Place { device, inode };
        let home = Home { id: String::new(), bound: Some(("boot".to_owned(), place(1, 2))) };
        for (boot, here, is_of_another) in [
            ("boot", place(1, 2), false),
            ("boot", place(3, 2), true),
            ("boot", place(1, 4), true),
            ("later", place(3, 2), false),
            ("later", place(1, 4), true),
        ] {
            assert_eq!(home.is_of_another(boot, Some(here)), is_of_another, "{boot} {here:?}");
        }
    }
}
