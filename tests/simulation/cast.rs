//! The apps of a world: how they are scheduled, and how they behave.

use std::time::Duration;

use dcm::model::{App, AppPath, CatchUp, Exit, Minutes, OnFailures, OnSuspect, Policy, Schedule};
use dcm::store::{Existing, Registration};

use crate::host::Fate;
use crate::random::Random;
use crate::swarm::Swarm;
use crate::world::World;

/// An app as its author knows it.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    pub(crate) app: App,
    /// Nobody gives it commands or edits its row, it asks for no time and is never flagged: all
    /// that the schedule owes it can be computed.
    pub(crate) is_quiet: bool,
    /// The longest time that a run takes.
    pub(crate) takes_max: u64,
}

/// Crons whose times are multiples of a number of seconds, so that the oracle can count without a
/// calendar.
pub(crate) const CRONS: [(&str, u64); 5] = [
    ("* * * * *", 60),
    ("*/2 * * * *", 120),
    ("*/5 * * * *", 300),
    ("*/20 * * * * *", 20),
    ("0 */10 * * * *", 600),
];

pub(crate) fn appear(world: &mut World) {
    let count = world.random.between(1, 5);
    for number in 0..count {
        let card = card(number, &mut world.random);
        let app = App { disabled: !card.is_quiet && world.random.per_mille(200), ..card.app.clone() };
        register(world, app);
        world.cast.push(card);
    }
    if world.swarm.has_limits {
        let host = world.random.coin().then_some(2);
        let group = AppPath::new("g0", "p", "a").map(|path| path.group);
        world.database.tables.limits.host = host;
        world.oracle.limit_host(host);
        if let Ok(group) = group {
            world.database.tables.limits.groups.insert(group, 1);
        }
    }
    world.oracle.meet(&world.cast);
    let apps: Vec<_> = world.cast.iter().map(|card| card.app.id).collect();
    for app in apps {
        let disabled = world.database.tables.app(app).is_some_and(|row| row.app.disabled);
        world.oracle.registered(0, app, disabled);
    }
}

fn register(world: &mut World, app: App) {
    let registration = Registration { app, next_run: None, existing: Existing::Refuse };
    let registered = world.database.tables.register(&registration);
    assert!(registered.is_ok(), "a fresh database takes any app");
}

fn card(number: u64, random: &mut Random) -> Card {
    let group = format!("g{}", number % 2);
    let path = AppPath::new(&group, "p", &format!("a{number}")).expect("these are good names");
    let is_quiet = random.per_mille(400);
    let minutes = |low: u64, high: u64, random: &mut Random| {
        let seconds = u32::try_from(random.between(low, high)).unwrap_or(60);
        Minutes::new(f64::from(seconds) / 60.0).ok()
    };
    let mut schedule = Schedule { always: random.per_mille(150), ..Schedule::default() };
    let kind = if schedule.always { 0 } else { random.between(0, 9) };
    if (1..=6).contains(&kind) {
        schedule.interval = minutes(5, 90, random);
    }
    if random.per_mille(300) {
        schedule.retry_interval = minutes(2, 60, random);
    }
    if kind >= 6 {
        schedule.cron = random.pick(&CRONS).0.parse().ok();
    }
    let max_failures = if is_quiet { 0 } else { *random.pick(&[0, 2, 3, 5]) };
    let policy = Policy {
        catch_up: *random.pick(&[CatchUp::Latest, CatchUp::None, CatchUp::All]),
        catch_up_limit: 3,
        max_failures,
        on_failures: *random.pick(OnFailures::ALL),
        min_uptime: Duration::from_secs(*random.pick(&[1, 1, 1, 10])),
        min_solved: *random.pick(&[0, 0, 0, 20]),
        compare_history: random.coin(),
        on_suspect: *random.pick(OnSuspect::ALL),
        stop_grace: Duration::from_secs(random.between(1, 10)),
        max_runtime: random.per_mille(300).then(|| Duration::from_secs(random.between(20, 60))),
        ..Policy::default()
    };
    let app = App { schedule, policy, ..App::new(path) };
    Card { app, is_quiet, takes_max: *random.pick(&[200, 3000, 20_000, 90_000]) }
}

impl Card {
    /// How a run is going to end if nobody ends it before.
    pub(crate) fn fate(&self, swarm: &Swarm, random: &mut Random) -> Fate {
        let takes = random.between(1, self.takes_max);
        if random.per_mille(swarm.hangs) {
            return Fate { takes: 100 * 60_000, exit: Exit::Code(0) };
        }
        if random.per_mille(swarm.crashes) {
            let takes = if random.coin() { random.between(1, 900) } else { takes };
            return Fate { takes, exit: Exit::Signal { signal: 11, core: random.coin() } };
        }
        let failed = random.per_mille(swarm.fails);
        let code = if failed { i64::try_from(random.between(1, 255)).unwrap_or(1) } else { 0 };
        Fate { takes, exit: Exit::Code(code) }
    }
}
