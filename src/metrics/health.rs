//! Whether a manager works: its loop turns, the database answers, it holds its name.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// A loop that has not turned for longer than this hangs: it turns once a second at least.
pub const TURN_WITHIN: Duration = Duration::from_secs(30);

/// Where a manager is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits for the database, or takes up its fleet.
    Starting,
    /// It holds its name and serves its apps.
    Serving,
    /// It ends in order.
    Stopping,
}

/// What is known of a manager's health; written by its loop, read by the exporter.
#[derive(Debug)]
pub(super) struct Health {
    /// Times since boot, in milliseconds.
    turned: AtomicU64,
    renewed: AtomicU64,
    /// How long a renewal is good for, in milliseconds.
    lease: AtomicU64,
    /// The database failed, and has not answered since.
    is_away: AtomicBool,
    stage: AtomicU8,
}

/// Why a manager is not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ailment {
    /// Its loop has not turned for this long.
    Hangs(Duration),
    /// It does not serve its apps yet.
    Starting,
    /// It ends.
    Stopping,
    /// The database refuses or does not answer; the time since it took a heartbeat.
    DatabaseAway(Duration),
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hangs(since) => {
                let limit = TURN_WITHIN.as_secs();
                write!(f, "the manager's loop has not turned for {} s (limit: {limit} s)", since.as_secs())
            }
            Self::Starting => f.write_str(
                "the manager does not hold its name yet: it waits for the database, or takes up its apps",
            ),
            Self::Stopping => f.write_str("the manager is stopping; its apps run on"),
            Self::DatabaseAway(since) => {
                write!(
                    f,
                    "the database does not answer; it took the last heartbeat {} s ago",
                    since.as_secs()
                )
            }
        }
    }
}

impl Health {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            turned: AtomicU64::new(millis(now)),
            renewed: AtomicU64::new(0),
            lease: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
            stage: AtomicU8::new(Stage::Starting as u8),
        }
    }

    pub(super) fn turned(&self, now: Duration) {
        self.turned.store(millis(now), Ordering::Relaxed);
    }

    pub(super) fn renewed(&self, now: Duration, lease: Duration) {
        self.lease.store(millis(lease), Ordering::Relaxed);
        self.renewed.store(millis(now), Ordering::Relaxed);
        self.is_away.store(false, Ordering::Relaxed);
    }

    pub(super) fn database_failed(&self) {
        self.is_away.store(true, Ordering::Relaxed);
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// Whether its loop turns.
    pub(super) fn live(&self, now: Duration) -> Result<Duration, Ailment> {
        let since = since(now, &self.turned);
        if since > TURN_WITHIN { Err(Ailment::Hangs(since)) } else { Ok(since) }
    }

    /// Whether the database has taken a heartbeat and not failed since. One that only hangs is away once the lease is over.
    pub(super) fn database(&self, now: Duration) -> Result<(), Ailment> {
        let lease = Duration::from_millis(self.lease.load(Ordering::Relaxed));
        let since = since(now, &self.renewed);
        if self.is_away.load(Ordering::Relaxed) || since > lease {
            return Err(Ailment::DatabaseAway(since));
        }
        Ok(())
    }

    /// Whether it serves its apps.
    pub(super) fn ready(&self, now: Duration) -> Result<(), Ailment> {
        self.live(now)?;
        let stage = self.stage.load(Ordering::Relaxed);
        if stage == Stage::Stopping as u8 {
            return Err(Ailment::Stopping);
        }
        if stage == Stage::Starting as u8 {
            return Err(Ailment::Starting);
        }
        self.database(now)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn since(now: Duration, then: &AtomicU64) -> Duration {
    now.saturating_sub(Duration::from_millis(then.load(Ordering::Relaxed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ails_a_manager_is_told_by_what_weighs_most() {
        let at = Duration::from_secs;
        let health = Health::new(at(100));
        assert_eq!(health.live(at(130)), Ok(at(30)));
        assert_eq!(health.ready(at(130)), Err(Ailment::Starting));
        assert_eq!(health.live(at(131)), Err(Ailment::Hangs(at(31))));
        health.turned(at(131));
        health.enter(Stage::Serving);
        assert_eq!(health.ready(at(131)), Err(Ailment::DatabaseAway(at(131))));
        health.renewed(at(131), at(15));
        assert_eq!(health.ready(at(146)), Ok(()));
        // A database that only hangs.
        assert_eq!(health.ready(at(147)), Err(Ailment::DatabaseAway(at(16))));
        health.renewed(at(147), at(15));
        health.database_failed();
        assert_eq!(health.ready(at(148)), Err(Ailment::DatabaseAway(at(1))));
        health.renewed(at(149), at(15));
        health.enter(Stage::Stopping);
        assert_eq!((health.live(at(150)), health.ready(at(150))), (Ok(at(19)), Err(Ailment::Stopping)));
        // A loop that hangs cannot know the rest.
        assert_eq!(health.ready(at(170)), Err(Ailment::Hangs(at(39))));
    }
}
