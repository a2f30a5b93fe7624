//! What the process of an app has of its own: its user, priority, umask and limits. They are set between fork and exec, so
//! that the shim keeps what it has.

use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, User, getgrouplist, setgid, setgroups, setuid};

use super::program;
use crate::model::{Obstacle, StartFailure};
use crate::process::env_file::Variable;
use crate::process::record::ProcessRecord;

/// Whom an app runs as.
pub(super) struct Account {
    user: User,
    groups: Vec<Gid>,
    /// Whether that is another user than that of the shim.
    is_other: bool,
}

impl Account {
    /// Looks the user of an app up; `None` where it has that of the manager.
    ///
    /// # Errors
    /// [`StartFailure`] when there is no such user, or this process is not root and cannot become one.
    pub(in crate::process) fn of(process: &ProcessRecord) -> Result<Option<Self>, StartFailure> {
        let Some(name) = &process.user else { return Ok(None) };
        let user = look_up(name)?;
        let is_other = user.uid != Uid::effective();
        if is_other && !Uid::effective().is_root() {
            return Err(unusable(format!(
                "run_user {name}: the manager runs as {}, and only root can start an app as another user",
                super::user_name()
            )));
        }
        let groups = match CString::new(user.name.as_str()) {
            Ok(c_name) if is_other => {
                getgrouplist(&c_name, user.gid).map_err(|error| unknown(name, error))?
            }
            Ok(_) | Err(_) => Vec::new(),
        };
        Ok(Some(Self { user, groups, is_other }))
    }

    /// Whether it is another user than that of this process.
    pub(super) fn is_other(&self) -> bool {
        self.is_other
    }

    /// What a login would set.
    pub(super) fn variables(&self) -> [Variable; 4] {
        let User { name, dir, shell, .. } = &self.user;
        [
            ("HOME", dir.to_string_lossy().into_owned()),
            ("USER", name.clone()),
            ("LOGNAME", name.clone()),
            ("SHELL", shell.to_string_lossy().into_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }
}

/// Looks whether this host knows the user of an app. Whether its manager may become that user is not known here.
///
/// # Errors
/// [`StartFailure`] when there is no such user.
pub(in crate::process) fn check(process: &ProcessRecord) -> Result<(), StartFailure> {
    process.user.as_ref().map_or(Ok(()), |name| look_up(name).map(drop))
}

fn look_up(name: &str) -> Result<User, StartFailure> {
    let mut found = User::from_name(name).map_err(|error| unknown(name, error))?;
    if let (None, Ok(number)) = (&found, name.parse()) {
        found = User::from_uid(Uid::from_raw(number)).map_err(|error| unknown(name, error))?;
    }
    found.ok_or_else(|| unusable(format!("run_user {name}: there is no such user on this host")))
}

fn unknown(name: &str, error: Errno) -> StartFailure {
    let message = format!("run_user {name}: the users of this host cannot be looked up: {}", error.desc());
    StartFailure { obstacle: Obstacle::HostExhausted, message }
}

/// What is done between fork and exec, in this order: root is needed for most of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Umask = 1,
    Nice,
    OpenFiles,
    Processes,
    Groups,
    User,
    Directory,
}

impl Stage {
    const ALL: [Self; 7] = [
        Self::Umask,
        Self::Nice,
        Self::OpenFiles,
        Self::Processes,
        Self::Groups,
        Self::User,
        Self::Directory,
    ];

    /// Where the number of the stage stands in that of the error: the child can hand on a number and nothing else.
    const SHIFT: i32 = 16;

    fn failed(self, error: Errno) -> io::Error {
        io::Error::from_raw_os_error((self as i32) << Self::SHIFT | error as i32)
    }

    /// The stage that has failed, and why; `None` for an error of fork or exec.
    fn of(error: &io::Error) -> Option<(Self, Errno)> {
        let number = error.raw_os_error()?;
        let stage = Self::ALL.into_iter().find(|stage| *stage as i32 == number >> Self::SHIFT)?;
        Some((stage, Errno::from_raw(number & ((1 << Self::SHIFT) - 1))))
    }
}

/// Prepares the process of an app. `cwd` is its working directory, which the app's own user must be able to enter.
pub(super) fn prepare(command: &mut Command, process: &ProcessRecord, account: Option<&Account>, cwd: &str) {
    let become_other = account.filter(|account| account.is_other).map(|account| Credentials {
        uid: account.user.uid,
        gid: account.user.gid,
        groups: account.groups.clone(),
        directory: CString::new(cwd).unwrap_or_default(),
    });
    let ProcessRecord { nice, umask, max_open_files, max_processes, .. } = *process;
    let own = Own { nice, umask, max_open_files, max_processes };
    if become_other.is_none() {
        command.current_dir(cwd);
        if own == Own::default() {
            return;
        }
    }
    let prepare = move || {
        own.apply()?;
        become_other.as_ref().map_or(Ok(()), Credentials::apply)
    };
    // SAFETY: between fork and exec there are only calls of the kernel on memory that was made before.
    unsafe { command.pre_exec(prepare) };
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Own {
    nice: Option<i8>,
    umask: Option<u16>,
    max_open_files: Option<u32>,
    max_processes: Option<u32>,
}

impl Own {
    fn apply(self) -> io::Result<()> {
        if let Some(bits) = self.umask {
            umask(Mode::from_bits_truncate(bits.into()));
        }
        if let Some(nice) = self.nice {
            // SAFETY: it takes numbers alone; 0 is this process.
            let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice.into()) };
            Errno::result(result).map_err(|error| Stage::Nice.failed(error))?;
        }
        for (resource, limit, stage) in [
            (Resource::RLIMIT_NOFILE, self.max_open_files, Stage::OpenFiles),
            (Resource::RLIMIT_NPROC, self.max_processes, Stage::Processes),
        ] {
            if let Some(limit) = limit {
                setrlimit(resource, limit.into(), limit.into()).map_err(|error| stage.failed(error))?;
            }
        }
        Ok(())
    }
}

struct Credentials {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    directory: CString,
}

impl Credentials {
    fn apply(&self) -> io::Result<()> {
        setgid(self.gid).map_err(|error| Stage::Groups.failed(error))?;
        setgroups(&self.groups).map_err(|error| Stage::Groups.failed(error))?;
        setuid(self.uid).map_err(|error| Stage::User.failed(error))?;
        let is_other =
            Uid::current() == self.uid && Uid::effective() == self.uid && Gid::effective() == self.gid;
        // A process that has given root up for good cannot take it back.
        if !is_other || setuid(Uid::from_raw(0)).is_ok() {
            return Err(Stage::User.failed(Errno::EPERM));
        }
        // SAFETY: the path ends with NUL, and lives as long as the call.
        let result = unsafe { libc::chdir(self.directory.as_ptr()) };
        Errno::result(result).map(drop).map_err(|error| Stage::Directory.failed(error))
    }
}

/// Why the process of an app could not be prepared; `None` where something else failed.
pub(super) fn explain(error: &io::Error, process: &ProcessRecord, cwd: &str) -> Option<StartFailure> {
    let (stage, errno) = Stage::of(error)?;
    let why = program::plain(&errno.into());
    let number = |number: Option<u32>| number.unwrap_or_default();
    let user = process.user.as_deref().unwrap_or_default();
    let manager = super::user_name();
    let message = match stage {
        Stage::Umask => format!("umask: {why}"),
        Stage::Nice => format!(
            "nice {}: {why}; the manager runs as {manager}, and only root may go below its own priority",
            process.nice.unwrap_or_default()
        ),
        Stage::OpenFiles => format!(
            "max_open_files {}: {why}; only root may go beyond the hard limit of the manager, and nothing beyond \
             /proc/sys/fs/nr_open",
            number(process.max_open_files)
        ),
        Stage::Processes => format!(
            "max_processes {}: {why}; only root may go beyond the hard limit of the manager",
            number(process.max_processes)
        ),
        Stage::Groups => format!("run_user {user}: its groups cannot be taken on: {why}"),
        Stage::User => format!("run_user {user}: the manager, {manager}, cannot become that user: {why}"),
        Stage::Directory => format!("working directory {cwd}: user {user} cannot enter it: {why}"),
    };
    Some(StartFailure { obstacle: program::obstacle(&errno.into()), message })
}

fn unusable(message: String) -> StartFailure {
    StartFailure { obstacle: Obstacle::NotExecutable, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_error_says_at_which_stage_it_came() {
        for stage in Stage::ALL {
            let found = Stage::of(&stage.failed(Errno::EACCES));
            assert_eq!(found, Some((stage, Errno::EACCES)));
        }
        assert_eq!(Stage::of(&io::Error::from(Errno::ENOENT)), None);
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        let named = |user: &str| {
            Account::of(&ProcessRecord { user: Some(user.to_owned()), ..ProcessRecord::default() })
        };
        let own = super::super::user_name();
        let account = named(&own).unwrap().unwrap();
        assert!(!account.is_other());
        assert_eq!(account.variables()[1], ("USER".to_owned(), own));
        assert_eq!(named(&Uid::effective().to_string()).unwrap().unwrap().user.uid, Uid::effective());
        for user in ["no-such-user", "4294967294", "99999999999"] {
            let failure = named(user).err().unwrap();
            assert_eq!(failure.message, format!("run_user {user}: there is no such user on this host"));
        }
        assert!(Account::of(&ProcessRecord::default()).unwrap().is_none());
    }
}
