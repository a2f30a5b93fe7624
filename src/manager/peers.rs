//! Which of the other managers are lost, and when their apps may be taken.
//!
//! Clocks of other hosts prove nothing. A manager counts its renewals; who has read the same count
//! again and again for as long as a lease and a grace time last, by its own clock of the time since
//! boot, knows that the lease is over, whatever the other clocks say. The rule is that of client-go's
//! leader election (<https://pkg.go.dev/k8s.io/client-go/tools/leaderelection>). The database's clock
//! must agree, the server must have been up for as long (after an outage all leases are over), and
//! when many managers look lost at once it is rather the observer's view that is.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::model::{ManagerRow, Seen, Sight, Timestamp, format_timestamp};

/// From so many managers on, the loss of half of them is doubted.
const MANY: usize = 3;

/// The parts of a lease, as figures of its length: 15 s by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease(Duration);

impl Lease {
    /// The shortest lease in seconds: a renewal may take a while on a loaded host.
    pub const SECONDS_MIN: f64 = 1.0;
    /// The longest lease in seconds.
    pub const SECONDS_MAX: f64 = 3600.0;

    /// A lease that lasts so long.
    #[must_use]
    pub const fn new(length: Duration) -> Self {
        Self(length)
    }

    /// How long it lasts without being renewed: 15 s.
    #[must_use]
    pub const fn length(self) -> Duration {
        self.0
    }

    /// How often it is renewed: 3 s.
    #[must_use]
    pub fn renew_every(self) -> Duration {
        self.0 / 5
    }

    /// How long after the last renewal was sent a fenced run is asked to end: 10 s.
    #[must_use]
    pub fn fence_soft(self) -> Duration {
        self.0 * 2 / 3
    }

    /// How long after it a fenced run is killed: 13 s.
    #[must_use]
    pub fn fence_hard(self) -> Duration {
        self.0 * 13 / 15
    }

    /// How long after its end others wait: 5 s. A fenced run is gone by then, even if the clocks of
    /// the hosts run apart by a factor of 1.4.
    #[must_use]
    pub fn grace(self) -> Duration {
        self.0 / 3
    }

    /// How long the same count of renewals must have been seen: 20 s.
    fn patience(self) -> Duration {
        self.0 + self.grace()
    }

    /// How long the loss of many at once is doubted: 300 s.
    fn doubt(self) -> Duration {
        self.0 * 20
    }

    /// Readings that are further apart than this do not count as watching: 6 s.
    fn blink(self) -> Duration {
        self.renew_every() * 2
    }
}

/// How another manager is, as far as this one can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It renews its lease, or ended in order.
    Well,
    /// It neither ended in order nor renews its lease.
    Lost {
        /// The host that it ran on.
        host: String,
        /// When it last said that it lives, by the database's clock.
        heartbeat: Timestamp,
    },
    /// It was not watched for long enough, or the server was away.
    Unclear,
}

/// For people: `on zg-02.local has not renewed its lease since 2026-11-27T14:02:11.000Z`.
impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => f.write_str("is well"),
            Self::Lost { host, heartbeat } => {
                write!(f, "on {host} has not renewed its lease since {}", format_timestamp(*heartbeat))
            }
            Self::Unclear => f.write_str("may be lost"),
        }
    }
}

/// What a manager has seen of the others.
#[derive(Debug)]
pub struct Peers {
    own: String,
    lease: Lease,
    /// When it last looked, since boot.
    looked: Option<Duration>,
    seen: BTreeMap<String, Still>,
}

/// Since when a manager has not moved.
#[derive(Debug, PartialEq, Eq)]
struct Still {
    incarnation: u64,
    renewals: u64,
    since: Duration,
}

impl Peers {
    /// Nothing is seen yet by the manager of this name.
    #[must_use]
    pub fn new(own: String, lease: Lease) -> Self {
        Self { own, lease, looked: None, seen: BTreeMap::new() }
    }

    /// Takes in what was read at this time since boot; what comes back are the managers whose apps
    /// are to be taken now.
    pub fn look(&mut self, at: Duration, sight: &Sight) -> Vec<ManagerRow> {
        // Who did not look for a while has not seen whether the others moved meanwhile.
        let was_watching = self.looked.is_some_and(|before| at.saturating_sub(before) <= self.lease.blink());
        self.looked = Some(at);
        if !was_watching {
            self.seen.clear();
        }
        let others = || sight.managers.iter().filter(|seen| seen.row.name != self.own);
        let mut seen = BTreeMap::new();
        for Seen { row, .. } in others() {
            let still = self
                .seen
                .remove(&row.name)
                .filter(|still| still.incarnation == row.incarnation && still.renewals == row.renewals);
            let since = still.map_or(at, |still| still.since);
            let ManagerRow { incarnation, renewals, .. } = *row;
            seen.insert(row.name.clone(), Still { incarnation, renewals, since });
        }
        self.seen = seen;
        let stood_still = |row: &ManagerRow| {
            self.seen.get(&row.name).map_or(Duration::ZERO, |still| at.saturating_sub(still.since))
        };
        let looks_lost = |seen: &&Seen| {
            let lease = Lease::new(seen.row.lease);
            seen.leaves_apps
                && is_over(&seen.row, lease, sight.now)
                && stood_still(&seen.row) >= lease.patience()
                && sight.up >= lease.patience()
        };
        let lost: Vec<_> = others().filter(looks_lost).collect();
        let alive = sight.managers.iter().filter(|seen| seen.row.is_live(sight.now)).count();
        let is_doubtful = lost.len() + alive >= MANY && lost.len() * 2 >= lost.len() + alive;
        lost.into_iter()
            .map(|seen| &seen.row)
            .filter(|row| !is_doubtful || stood_still(row) >= Lease::new(row.lease).doubt())
            .cloned()
            .collect()
    }
}

impl Peers {
    /// How all managers are, by what was read last: after [`Self::look`] with the same time and sight. This one is well: an
    /// alert may be open about the time when it was not. When many look lost at once, that is doubted as long as there.
    #[must_use]
    pub fn fates(&self, at: Duration, sight: &Sight) -> Vec<(String, Fate)> {
        let others = || sight.managers.iter().map(|seen| &seen.row).filter(|row| row.name != self.own);
        let is_silent =
            |row: &ManagerRow| row.stopped.is_none() && is_over(row, Lease::new(row.lease), sight.now);
        let silent = others().filter(|row| is_silent(row)).count();
        let alive = sight.managers.iter().filter(|seen| seen.row.is_live(sight.now)).count();
        let is_doubtful = silent + alive >= MANY && silent * 2 >= silent + alive;
        let fate = |row: &ManagerRow| {
            let lease = Lease::new(row.lease);
            let patience = if is_doubtful { lease.doubt() } else { lease.patience() };
            let still =
                self.seen.get(&row.name).map_or(Duration::ZERO, |still| at.saturating_sub(still.since));
            if row.name == self.own
                || row.stopped.is_some()
                || row.lease_until.is_some_and(|until| until > sight.now)
            {
                Fate::Well
            } else if is_silent(row) && still >= patience && sight.up >= lease.patience() {
                Fate::Lost { host: row.host.clone(), heartbeat: row.heartbeat }
            } else {
                Fate::Unclear
            }
        };
        sight.managers.iter().map(|seen| (seen.row.name.clone(), fate(&seen.row))).collect()
    }
}

/// Whether the lease is over by the database's clock, and the grace time too. One that was deposed has none.
fn is_over(row: &ManagerRow, lease: Lease, now: Timestamp) -> bool {
    row.lease_until
        .is_none_or(|until| now.signed_duration_since(until).to_std().is_ok_and(|over| over > lease.grace()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse_timestamp;

    /// Managers of which `a` looks at the others each 3 s, with clocks that may be told to jump.
    struct World {
        peers: Peers,
        at: Duration,
        now: Timestamp,
        up: Duration,
        rows: Vec<ManagerRow>,
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    impl World {
        fn of(names: &[&str]) -> Self {
            let now = parse_timestamp("2026-11-23T12:00:00Z").unwrap();
            let row = |name: &&str| ManagerRow {
                name: (*name).to_owned(),
                incarnation: 1,
                heartbeat: now,
                lease_until: Some(now + seconds(15)),
                ..ManagerRow::default()
            };
            Self {
                peers: Peers::new("a".to_owned(), Lease::new(seconds(15))),
                at: seconds(1000),
                now,
                up: seconds(1_000_000),
                rows: names.iter().map(row).collect(),
            }
        }

        /// Time passes; those who live renew.
        fn pass(&mut self, span: Duration, living: &[&str]) {
            self.at += span;
            self.now += span;
            self.up += span;
            for row in self.rows.iter_mut().filter(|row| living.contains(&row.name.as_str())) {
                row.renewals += 1;
                row.heartbeat = self.now;
                row.lease_until = Some(self.now + seconds(15));
            }
        }

        fn look(&mut self) -> Vec<String> {
            let sight = self.sight();
            self.peers.look(self.at, &sight).into_iter().map(|row| row.name).collect()
        }

        fn sight(&self) -> Sight {
            let managers = self
                .rows
                .iter()
                .map(|row| Seen { row: row.clone(), leaves_apps: row.lease_until < Some(self.now) })
                .collect();
            Sight { now: self.now, up: self.up, timeline: 1, managers }
        }

        /// Looks each 3 s until somebody is taken for lost; after how many seconds, and who.
        fn until_lost(&mut self, living: &[&str], most: u64) -> Option<(u64, Vec<String>)> {
            let begin = self.at;
            while self.at < begin + seconds(most) {
                self.pass(seconds(3), living);
                let lost = self.look();
                if !lost.is_empty() {
                    return Some((self.at.saturating_sub(begin).as_secs(), lost));
                }
            }
            None
        }
    }

    #[test]
    fn who_does_not_renew_for_a_lease_and_its_grace_is_lost() {
        let mut world = World::of(&["a", "b"]);
        world.pass(seconds(3), &["a", "b"]);
        assert_eq!(world.look(), Vec::<String>::new());
        let (after, who) = world.until_lost(&["a"], 60).unwrap();
        assert_eq!((after, who), (21, vec!["b".to_owned()]));
    }

    #[test]
    fn a_jump_of_the_servers_clock_moves_nothing() {
        let mut world = World::of(&["a", "b"]);
        world.pass(seconds(3), &["a", "b"]);
        world.look();
        world.now += seconds(3600);
        assert_eq!(world.look(), Vec::<String>::new());
        assert_eq!(world.until_lost(&["a", "b"], 120), None);
    }

    #[test]
    fn who_was_away_itself_begins_to_watch_anew() {
        let mut world = World::of(&["a", "b"]);
        world.pass(seconds(3), &["a", "b"]);
        world.look();
        // The database was away for all: b is only slower to come back.
        world.pass(seconds(300), &["a"]);
        assert_eq!(world.look(), Vec::<String>::new());
        world.pass(seconds(3), &["a"]);
        assert_eq!(world.look(), Vec::<String>::new());
        assert_eq!(world.until_lost(&["a", "b"], 120), None);
    }

    #[test]
    fn a_server_that_has_just_come_up_proves_nothing() {
        let mut world = World::of(&["a", "b"]);
        world.pass(seconds(3), &["a", "b"]);
        world.look();
        for _ in 0..5 {
            world.pass(seconds(3), &["a"]);
            world.look();
        }
        world.up = seconds(1);
        let (after, _) = world.until_lost(&["a"], 60).unwrap();
        assert_eq!(after, 21);
    }

    #[test]
    fn the_loss_of_half_is_doubted_for_a_while() {
        let mut world = World::of(&["a", "b", "c"]);
        world.pass(seconds(3), &["a", "b", "c"]);
        world.look();
        let (after, who) = world.until_lost(&["a"], 600).unwrap();
        assert_eq!((after, who.len()), (300, 2));
        let mut world = World::of(&["a", "b", "c"]);
        world.pass(seconds(3), &["a", "b", "c"]);
        world.look();
        assert_eq!(world.until_lost(&["a", "b"], 600), Some((21, vec!["c".to_owned()])));
    }

    #[test]
    fn who_is_silent_is_lost_and_who_ended_in_order_is_not() {
        let mut world = World::of(&["a", "b", "c", "d", "e"]);
        let all = ["a", "b", "c", "d", "e"];
        let fates = |world: &mut World, living: &[&str]| {
            world.pass(seconds(3), living);
            world.look();
            let sight = world.sight();
            world.peers.fates(world.at, &sight).into_iter().map(|(_, fate)| fate).collect::<Vec<_>>()
        };
        assert_eq!(fates(&mut world, &all), [Fate::Well, Fate::Well, Fate::Well, Fate::Well, Fate::Well]);
        world.rows[2].stopped = Some(world.now);
        let (heartbeat, host) = (world.now, String::new());
        for _ in 0..4 {
            assert_eq!(fates(&mut world, &["a", "d", "e"])[1], Fate::Well, "its lease is not over");
        }
        for _ in 0..2 {
            assert_eq!(fates(&mut world, &["a", "d", "e"])[1], Fate::Unclear);
        }
        assert_eq!(
            fates(&mut world, &["a", "d", "e"]),
            [Fate::Well, Fate::Lost { host, heartbeat }, Fate::Well, Fate::Well, Fate::Well]
        );
        // Others have its apps, and it has no lease any more.
        world.rows[1].lease_until = None;
        assert!(matches!(fates(&mut world, &["a", "d", "e"])[1], Fate::Lost { .. }));
        assert_eq!(fates(&mut world, &["a", "b", "d", "e"])[1], Fate::Well);
    }

    #[test]
    fn the_fence_falls_before_anybody_takes_over() {
        for length in [seconds(1), seconds(15), seconds(60)] {
            let lease = Lease::new(length);
            assert!(lease.fence_soft() < lease.fence_hard());
            assert!(lease.fence_hard() < lease.length());
            // Even with clocks whose rates differ by 40 %.
            assert!(lease.patience() > lease.fence_hard() * 7 / 5);
            assert!(lease.renew_every() * 3 < lease.fence_soft());
        }
    }
}
