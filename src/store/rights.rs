//! What a user of a database may do, and how logs are kept in one.

use chrono::TimeDelta;

/// What a user of a database may do; the database itself holds to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is granted by itself")]
pub struct Rights {
    /// Enter commands into the ledger.
    pub submit: bool,
    /// Register and remove apps, and set limits.
    pub register: bool,
    /// Be a manager.
    pub manage: bool,
    /// Read the environment of apps.
    pub see_env: bool,
}

impl Rights {
    /// Those of somebody who may do everything.
    pub const ALL: Self = Self { submit: true, register: true, manage: true, see_env: true };
}

/// How long a wish for the log of an app holds; who goes on looking repeats it before.
pub const LOG_WISH: TimeDelta = TimeDelta::seconds(15);

/// How much of the end of a log is kept.
pub const LOG_END: usize = 16 * 1024;

/// The ends of at most so many logs are kept: 32 MiB.
pub(super) const KEPT_LOGS_MAX: u32 = 2000;

/// And none for longer than this.
pub(super) const KEPT_LOGS_FOR: TimeDelta = TimeDelta::days(14);
