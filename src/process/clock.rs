//! The two clocks of [`Now`]. This is the only place that reads them.

use std::time::Duration;

use chrono::{SubsecRound as _, Utc};

use crate::model::{Now, Timestamp};

/// Reads both clocks.
#[must_use]
pub fn now() -> Now {
    Now { mono: boot_time(), wall: wall() }
}

/// The calendar time, to the millisecond.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn wall() -> Timestamp {
    Utc::now().trunc_subsecs(3)
}

/// Time since boot, suspension included.
#[must_use]
pub fn boot_time() -> Duration {
    super::sys::boot_time()
}

/// The clock of the system's service manager: time since boot without suspension.
#[must_use]
pub(super) fn monotonic_time() -> Duration {
    super::sys::monotonic_time()
}
