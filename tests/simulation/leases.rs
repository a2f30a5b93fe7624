//! The protocol of leases, from a seed: three hosts on one database, with clocks that run apart, networks
//! that cut one way or both, managers that sleep, hosts that die, and a server that restarts or jumps in
//! time. What decides is the real thing (`Lease`, `Peers`); the database does what its statements do.
//!
//! The oracle sees when processes truly live: at no time are there two of one app.

use std::collections::{BTreeMap, BTreeSet};

use dcm::manager::peers::{Lease, Peers};
use dcm::model::{ManagerRow, Seen, Sight, Timestamp};
use std::time::Duration;

use crate::random::Random;

const HOSTS: usize = 3;
const APPS: usize = 4;

/// True time, in milliseconds.
type Time = u64;

/// Faults happen until then; afterwards all must be well again.
const STORM: Time = 240_000;
const CALM: Time = 120_000;

/// How long a killed process takes to be gone.
const DYING: Time = 500;

/// A mistake in the protocol, which the oracle must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Shims do not look at the deadlines.
    NoFence,
    /// Deadlines count from the answer and not from the question.
    FromTheAnswer,
    /// A shim does not look before it starts its app.
    StartsBlindly,
    /// Who watches takes the database's clock for proof.
    Impatient,
    /// A deposed manager may still open runs.
    NoGuard,
    /// A run may be opened without a valid lease by one that slept.
    TakesUnseen,
}

impl Mistake {
    pub(crate) const ALL: [Self; 6] = [
        Self::NoFence,
        Self::FromTheAnswer,
        Self::StartsBlindly,
        Self::Impatient,
        Self::NoGuard,
        Self::TakesUnseen,
    ];
}

#[derive(Debug, Clone)]
enum Question {
    TakeSeat,
    Renew,
    Depose { name: usize, incarnation: u64, renewals: u64 },
    Claim,
    Open { app: usize, run: u64 },
    Close { app: usize, run: u64 },
}

#[derive(Debug, Clone)]
enum Answer {
    Seated { incarnation: u64, own: Vec<usize>, open: Vec<(usize, u64)> },
    Sight { sight: Box<Sight>, own: Vec<usize> },
    Opened { app: usize, run: u64 },
    Closed { app: usize, run: u64 },
    Taken,
    Claimed { own: Vec<usize> },
    Deposed { incarnation: u64 },
    Nothing,
}

#[derive(Debug)]
enum Happening {
    Fault,
    Tick { host: usize, life: u64 },
    Asked { host: usize, life: u64, incarnation: u64, sent: Time, question: Question },
    Answered { host: usize, life: u64, sent: Time, answer: Answer },
    Start { host: usize, app: usize, run: u64 },
    Look { host: usize, app: usize, run: u64 },
    Gone { host: usize, app: usize, run: u64 },
}

struct Host {
    /// How fast its clock runs, in thousandths, and where it began.
    rate: u64,
    offset: Time,
    /// Counts its managers.
    life: u64,
    is_dead: bool,
    asleep_until: Time,
    incarnation: Option<u64>,
    peers: Peers,
    /// The deadlines in its file, by its own clock.
    file: Option<(Time, Time)>,
    /// Processes by app: the run, and the deadline that its shim knows.
    running: BTreeMap<usize, (u64, Time)>,
    own: Vec<usize>,
    /// Runs that are being opened or started, and runs whose end is to be written.
    opening: BTreeMap<usize, u64>,
    starting: BTreeMap<usize, u64>,
    closing: BTreeMap<usize, u64>,
    to_database: bool,
    from_database: bool,
}

#[derive(Default)]
struct Row {
    incarnation: u64,
    renewals: u64,
    lease_until: Option<i64>,
}

#[derive(Default)]
struct App {
    owner: Option<usize>,
    open: Option<u64>,
    /// Every run that was ever opened: none is opened twice.
    known: BTreeSet<u64>,
}

pub(crate) struct Land {
    random: Random,
    mistake: Option<Mistake>,
    lease: Lease,
    now: Time,
    events: BTreeMap<(Time, u64), Happening>,
    number: u64,
    hosts: Vec<Host>,
    rows: Vec<Row>,
    apps: Vec<App>,
    /// How far the server's clock is off, and since when the server is up.
    server_off: i64,
    up_since: Time,
    is_server_away: bool,
    runs: u64,
    /// What truly lives.
    alive: Vec<(usize, usize, u64)>,
    pub(crate) started: u64,
    pub(crate) moved: u64,
    /// Two processes of one app.
    pub(crate) overlap: Option<String>,
    /// An app that nobody runs when all is well again.
    pub(crate) idle: Option<usize>,
}

impl Land {
    pub(crate) fn new(seed: u64, mistake: Option<Mistake>) -> Self {
        let mut random = Random::new(seed);
        let lease = Lease::new(Duration::from_secs(15));
        let watched =
            if mistake == Some(Mistake::Impatient) { Lease::new(Duration::from_secs(3)) } else { lease };
        let hosts = (0..HOSTS)
            .map(|number| Host {
                rate: random.between(900, 1100),
                offset: random.between(0, 1_000_000),
                life: 0,
                is_dead: false,
                asleep_until: 0,
                incarnation: None,
                peers: Peers::new(number.to_string(), watched),
                file: None,
                running: BTreeMap::new(),
                own: Vec::new(),
                opening: BTreeMap::new(),
                starting: BTreeMap::new(),
                closing: BTreeMap::new(),
                to_database: true,
                from_database: true,
            })
            .collect();
        let mut land = Self {
            random,
            mistake,
            lease,
            now: 0,
            events: BTreeMap::new(),
            number: 0,
            hosts,
            rows: (0..HOSTS).map(|_| Row::default()).collect(),
            apps: (0..APPS).map(|_| App::default()).collect(),
            server_off: 0,
            up_since: 0,
            is_server_away: false,
            runs: 0,
            alive: Vec::new(),
            started: 0,
            moved: 0,
            overlap: None,
            idle: None,
        };
        for host in 0..HOSTS {
            let at = land.random.between(0, 3000);
            land.at(at, Happening::Tick { host, life: 0 });
        }
        let first = land.random.between(30_000, 60_000);
        land.at(first, Happening::Fault);
        land
    }

    /// Lives through the storm and the calm after it.
    pub(crate) fn run(mut self) -> Self {
        while let Some(((time, _), happening)) = self.events.pop_first() {
            if time > STORM + CALM || self.overlap.is_some() {
                break;
            }
            self.now = time;
            self.happen(happening);
        }
        self.idle = (0..APPS).find(|app| !self.alive.iter().any(|(_, other, _)| other == app));
        self
    }

    fn at(&mut self, time: Time, happening: Happening) {
        self.number += 1;
        self.events.insert((time, self.number), happening);
    }

    /// A reading of the host's clock of the time since boot.
    fn clock(&self, host: usize) -> Time {
        let Host { rate, offset, .. } = self.hosts[host];
        offset + self.now * rate / 1000
    }

    /// When the host's clock shows this, at the earliest.
    fn when(&self, host: usize, clock: Time) -> Time {
        let Host { rate, offset, .. } = self.hosts[host];
        (clock.saturating_sub(offset) * 1000).div_ceil(rate).max(self.now)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Fault => self.fault(),
            Happening::Tick { host, life } => {
                if self.is_asleep(host, Happening::Tick { host, life }) || self.hosts[host].life != life {
                    return;
                }
                self.tick(host);
                let next = self.clock(host) + millis(self.lease.renew_every());
                let at = self.when(host, next);
                self.at(at, Happening::Tick { host, life });
            }
            Happening::Asked { host, life, incarnation, sent, question } => {
                if !self.hosts[host].to_database || self.is_server_away {
                    return;
                }
                let answer = self.database(host, incarnation, &question);
                if self.hosts[host].from_database {
                    let is_slow = self.now < STORM && self.random.per_mille(50);
                    let most = if is_slow { 12_000 } else { 300 };
                    let at = self.now + self.random.between(1, most);
                    self.at(at, Happening::Answered { host, life, sent, answer });
                }
            }
            Happening::Answered { host, life, sent, answer } => {
                let again = Happening::Answered { host, life, sent, answer: answer.clone() };
                if !self.is_asleep(host, again) && self.hosts[host].life == life {
                    self.answered(host, sent, answer);
                }
            }
            Happening::Start { host, app, run } => self.start(host, app, run),
            Happening::Look { host, app, run } => self.look(host, app, run),
            Happening::Gone { host, app, run } => {
                self.alive.retain(|alive| *alive != (host, app, run));
                if self.hosts[host].running.get(&app).is_some_and(|(other, _)| *other == run) {
                    self.hosts[host].running.remove(&app);
                    self.close(host, app, run);
                }
            }
        }
    }

    /// What comes to a manager that sleeps waits until it wakes.
    fn is_asleep(&mut self, host: usize, happening: Happening) -> bool {
        if self.hosts[host].asleep_until <= self.now {
            return false;
        }
        let at = self.hosts[host].asleep_until;
        self.at(at, happening);
        true
    }

    fn ask(&mut self, host: usize, question: Question) {
        let Host { life, incarnation, is_dead, .. } = self.hosts[host];
        if is_dead {
            return;
        }
        let sent = self.clock(host);
        let at = self.now + self.random.between(1, 300);
        let incarnation = incarnation.unwrap_or(0);
        self.at(at, Happening::Asked { host, life, incarnation, sent, question });
    }

    fn tick(&mut self, host: usize) {
        if self.hosts[host].is_dead {
            return;
        }
        if self.hosts[host].incarnation.is_none() {
            self.ask(host, Question::TakeSeat);
            return;
        }
        self.ask(host, Question::Renew);
        for (app, run) in self.hosts[host].closing.clone() {
            self.ask(host, Question::Close { app, run });
        }
        self.open_own(host);
    }

    fn open_own(&mut self, host: usize) {
        for app in self.hosts[host].own.clone() {
            let Host { running, starting, closing, .. } = &self.hosts[host];
            if [running.contains_key(&app), starting.contains_key(&app), closing.contains_key(&app)]
                .contains(&true)
            {
                continue;
            }
            // What was asked and not answered is asked again.
            let run = self.hosts[host].opening.get(&app).copied().unwrap_or(self.runs + 1);
            self.runs = self.runs.max(run);
            self.hosts[host].opening.insert(app, run);
            self.ask(host, Question::Open { app, run });
        }
    }

    fn close(&mut self, host: usize, app: usize, run: u64) {
        self.hosts[host].closing.insert(app, run);
        self.ask(host, Question::Close { app, run });
    }

    fn server_clock(&self) -> i64 {
        i64::try_from(self.now).unwrap_or(0) + self.server_off
    }

    /// What the statements of `store/postgres/managers.rs` and `commit.rs` do.
    fn database(&mut self, host: usize, incarnation: u64, question: &Question) -> Answer {
        let now = self.server_clock();
        let holds = self.rows[host].incarnation == incarnation && incarnation > 0;
        let is_valid = self.rows[host].lease_until.is_some_and(|until| until > now);
        let own = |land: &Self| (0..APPS).filter(|app| land.apps[*app].owner == Some(host)).collect();
        let until = Some(now + i64::try_from(millis(self.lease.length())).unwrap_or(0));
        match *question {
            Question::TakeSeat => {
                let row = &mut self.rows[host];
                row.incarnation += 1;
                row.renewals += 1;
                row.lease_until = until;
                let incarnation = row.incarnation;
                let own: Vec<usize> = own(self);
                let open = own.iter().filter_map(|app| Some((*app, self.apps[*app].open?))).collect();
                Answer::Seated { incarnation, own, open }
            }
            Question::Close { app, run } => {
                if self.apps[app].open == Some(run) {
                    self.apps[app].open = None;
                }
                Answer::Closed { app, run }
            }
            _ if !holds && self.mistake != Some(Mistake::NoGuard) => Answer::Deposed { incarnation },
            Question::Renew => {
                if holds {
                    self.rows[host].renewals += 1;
                    self.rows[host].lease_until = until;
                }
                Answer::Sight { sight: Box::new(self.sight()), own: own(self) }
            }
            Question::Depose { name, incarnation, renewals } => {
                self.depose(name, incarnation, renewals);
                Answer::Taken
            }
            Question::Claim => {
                let lives = |row: &Row| row.lease_until.is_some_and(|until| until > now);
                let most = APPS.div_ceil(self.rows.iter().filter(|row| lives(row)).count().max(1));
                let mut has = self.apps.iter().filter(|app| app.owner == Some(host)).count();
                for app in self.apps.iter_mut().filter(|app| app.owner.is_none()) {
                    if has < most {
                        app.owner = Some(host);
                        has += 1;
                    }
                }
                Answer::Claimed { own: own(self) }
            }
            Question::Open { app, run } => {
                let may = self.mistake == Some(Mistake::NoGuard)
                    || (is_valid && self.apps[app].owner == Some(host));
                let App { open, known, .. } = &mut self.apps[app];
                if known.contains(&run) {
                    Answer::Opened { app, run }
                } else if may && open.is_none() {
                    known.insert(run);
                    *open = Some(run);
                    Answer::Opened { app, run }
                } else {
                    Answer::Nothing
                }
            }
        }
    }

    fn depose(&mut self, name: usize, incarnation: u64, renewals: u64) {
        let now = self.server_clock();
        let row = &mut self.rows[name];
        let grace = i64::try_from(millis(self.lease.grace())).unwrap_or(0);
        let is_as_seen = self.mistake == Some(Mistake::TakesUnseen)
            || (row.incarnation == incarnation
                && row.renewals == renewals
                && row.lease_until.is_some_and(|until| until + grace < now));
        if is_as_seen {
            row.incarnation += 1;
            row.lease_until = None;
            for app in self.apps.iter_mut().filter(|app| app.owner == Some(name)) {
                app.owner = None;
                app.open = None;
                self.moved += 1;
            }
        }
    }

    fn sight(&self) -> Sight {
        let now = self.server_clock();
        let stamp =
            |millis: i64| Timestamp::from_timestamp_millis(1_800_000_000_000 + millis).unwrap_or_default();
        let seen = |(name, row): (usize, &Row)| Seen {
            leaves_apps: row.lease_until.is_some_and(|until| until < now)
                && self.apps.iter().any(|app| app.owner == Some(name)),
            row: ManagerRow {
                name: name.to_string(),
                incarnation: row.incarnation,
                renewals: row.renewals,
                heartbeat: stamp(row.lease_until.unwrap_or(0) - 15_000),
                lease: if self.mistake == Some(Mistake::Impatient) {
                    Duration::from_secs(3)
                } else {
                    self.lease.length()
                },
                lease_until: row.lease_until.map(stamp),
                ..ManagerRow::default()
            },
        };
        Sight {
            now: stamp(now),
            up: Duration::from_millis(self.now - self.up_since),
            timeline: 1,
            managers: self.rows.iter().enumerate().map(seen).collect(),
        }
    }

    fn answered(&mut self, host: usize, sent: Time, answer: Answer) {
        match answer {
            Answer::Seated { incarnation, .. } if self.hosts[host].incarnation >= Some(incarnation) => {}
            Answer::Seated { incarnation, own, open } => {
                self.hosts[host].incarnation = Some(incarnation);
                self.renewed(host, sent);
                self.hosts[host].opening.clear();
                self.take_up(host, own);
                for (app, run) in open {
                    let Host { running, starting, .. } = &self.hosts[host];
                    let lives = running.get(&app).is_some_and(|(other, _)| *other == run);
                    if !lives && starting.get(&app) != Some(&run) {
                        self.close(host, app, run);
                    }
                }
                self.ask(host, Question::Claim);
            }
            Answer::Sight { sight, own } => {
                self.renewed(host, sent);
                self.take_up(host, own);
                let at = Duration::from_millis(self.clock(host));
                for lost in self.hosts[host].peers.look(at, &sight) {
                    let ManagerRow { name, incarnation, renewals, .. } = lost;
                    let name = name.parse().unwrap_or(0);
                    self.ask(host, Question::Depose { name, incarnation, renewals });
                }
                self.ask(host, Question::Claim);
            }
            Answer::Taken => self.ask(host, Question::Claim),
            Answer::Claimed { own } => {
                self.take_up(host, own);
                self.open_own(host);
            }
            Answer::Closed { app, run } => {
                if self.hosts[host].closing.get(&app) == Some(&run) {
                    self.hosts[host].closing.remove(&app);
                }
            }
            Answer::Opened { app, run } => {
                if self.hosts[host].opening.get(&app) != Some(&run) {
                    return;
                }
                self.hosts[host].opening.remove(&app);
                self.hosts[host].starting.insert(app, run);
                let at = self.now + self.random.between(0, 100);
                self.at(at, Happening::Start { host, app, run });
            }
            // Word of an earlier seat is no news.
            Answer::Deposed { incarnation } if self.hosts[host].incarnation == Some(incarnation) => {
                self.hosts[host].incarnation = None;
                self.ask(host, Question::TakeSeat);
            }
            Answer::Deposed { .. } => {}
            Answer::Nothing => {}
        }
    }

    fn renewed(&mut self, host: usize, sent: Time) {
        let from = if self.mistake == Some(Mistake::FromTheAnswer) { self.clock(host) } else { sent };
        self.hosts[host].file =
            Some((from + millis(self.lease.fence_soft()), from + millis(self.lease.fence_hard())));
    }

    /// Learns which apps are its own; runs of others are ended.
    fn take_up(&mut self, host: usize, own: Vec<usize>) {
        let strays: Vec<_> = self.hosts[host]
            .running
            .iter()
            .filter(|(app, _)| !own.contains(app))
            .map(|(app, (run, _))| (*app, *run))
            .collect();
        self.hosts[host].own = own;
        for (app, run) in strays {
            let at = self.now + self.random.between(0, 3000 + DYING);
            self.at(at, Happening::Gone { host, app, run });
        }
    }

    /// A shim is about to start its app.
    fn start(&mut self, host: usize, app: usize, run: u64) {
        if self.hosts[host].starting.remove(&app) != Some(run) {
            return;
        }
        let clock = self.clock(host);
        let soft = self.hosts[host].file.map_or(0, |(soft, _)| soft);
        if soft <= clock && self.mistake != Some(Mistake::StartsBlindly) {
            self.close(host, app, run);
            return;
        }
        if let Some((other, _, _)) = self.alive.iter().find(|(_, alive, _)| *alive == app) {
            self.overlap =
                Some(format!("at {} app {app} starts on {host} while it lives on {other}", self.now));
        }
        self.started += 1;
        self.alive.push((host, app, run));
        self.hosts[host].running.insert(app, (run, soft));
        let at = self.when(host, soft);
        self.at(at, Happening::Look { host, app, run });
    }

    /// The deadline that a shim knows has come.
    fn look(&mut self, host: usize, app: usize, run: u64) {
        let clock = self.clock(host);
        let Some((_, known)) = self.hosts[host].running.get(&app).copied().filter(|(other, _)| *other == run)
        else {
            return;
        };
        if self.mistake == Some(Mistake::NoFence) {
            return;
        }
        let renewed = self.hosts[host].file.filter(|(soft, _)| *soft > clock);
        if let Some((soft, _)) = renewed {
            self.hosts[host].running.insert(app, (run, soft));
            let at = self.when(host, soft);
            self.at(at, Happening::Look { host, app, run });
            return;
        }
        // It obeys at once, or is killed.
        let hard = self.hosts[host].file.map_or(known, |(_, hard)| hard);
        let latest = self.when(host, hard) + self.random.between(0, DYING);
        let at = if self.random.coin() { latest } else { self.now.midpoint(latest) };
        self.at(at, Happening::Gone { host, app, run });
    }

    fn fault(&mut self) {
        if self.now >= STORM {
            self.heal();
            return;
        }
        let host = usize::try_from(self.random.between(0, HOSTS as u64 - 1)).unwrap_or(0);
        match self.random.between(0, 9) {
            0 | 1 => self.hosts[host].to_database = false,
            2 => self.hosts[host].from_database = false,
            3 => {
                self.hosts[host].to_database = true;
                self.hosts[host].from_database = true;
            }
            4 | 5 => {
                let most = if self.random.coin() { 60_000 } else { 10_000 };
                self.hosts[host].asleep_until = self.now + self.random.between(1000, most);
                // What it hears when it wakes may be the last for a while.
                self.hosts[host].to_database &= self.random.coin();
            }
            6 => self.restart_manager(host),
            7 => self.server_off += i64::try_from(self.random.between(0, 3_600_000)).unwrap_or(0),
            8 => {
                self.is_server_away = !self.is_server_away;
                self.up_since = self.now;
            }
            _ => self.die(host),
        }
        let next = self.now + self.random.between(200, 15_000);
        self.at(next, Happening::Fault);
    }

    /// `kill -9` of the manager alone: shims and deadlines stay.
    fn restart_manager(&mut self, host: usize) {
        self.hosts[host].life += 1;
        self.hosts[host].incarnation = None;
        self.hosts[host].opening.clear();
        self.hosts[host].asleep_until = 0;
        self.hosts[host].peers = Peers::new(host.to_string(), self.lease);
        let life = self.hosts[host].life;
        let at = self.now + self.random.between(100, 20_000);
        self.at(at, Happening::Tick { host, life });
    }

    /// A power cut, for good until the storm is over: everything on the host at once.
    fn die(&mut self, host: usize) {
        self.hosts[host].is_dead = true;
        self.hosts[host].life += 1;
        self.hosts[host].running.clear();
        self.hosts[host].opening.clear();
        self.hosts[host].starting.clear();
        self.hosts[host].file = None;
        self.alive.retain(|(other, _, _)| *other != host);
    }

    fn heal(&mut self) {
        self.is_server_away = false;
        for host in 0..HOSTS {
            let is_dead = std::mem::take(&mut self.hosts[host].is_dead);
            self.hosts[host].to_database = true;
            self.hosts[host].from_database = true;
            if is_dead {
                // What ran before the last boot is on record as ended by it.
                for app in 0..APPS {
                    if self.apps[app].owner == Some(host) {
                        self.apps[app].open = None;
                    }
                }
                self.restart_manager(host);
            }
        }
    }
}

fn millis(duration: Duration) -> Time {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
