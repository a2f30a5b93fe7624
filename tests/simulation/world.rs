//! The world: two clocks, a queue of what is to happen, and everything that it happens to. One
//! thread, one stream of chance: a seed tells the same story every time.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use chrono::TimeDelta;
use dcm::model::{AppId, Change, Command, Exit, Now, RunId, StopCause, Timestamp};
use dcm::store::{Committed, Tables};

use crate::cast::{self, Card};
use crate::database::Database;
use crate::faults::Planted;
use crate::host::{Host, Serial, ShimId};
use crate::oracle::{Oracle, Violation};
use crate::random::Random;
use crate::shell::Shell;
use crate::swarm::Swarm;

/// Things break until then, in milliseconds.
pub(crate) const SAFETY: u64 = 10 * 60_000;

/// Then nothing breaks any more, and everything must come right.
pub(crate) const HEALED: u64 = 4 * 60_000;

/// By how much the clock of a host may be ahead when it begins, in milliseconds: local time, a flat battery.
const AHEAD: [i64; 4] = [3_600_000, 2 * 3_600_000, 5 * 3_600_000, 3653 * 86_400_000];

/// How often fate has its turn.
const TURN: u64 = 10_000;

/// 2026-11-23T00:00:00Z, in milliseconds.
const BEGINNING: i64 = 1_795_392_000_000;

/// The boot-time clock of a program that takes the wall clock for it.
const MISTAKEN: i64 = 20 * 366 * 86_400_000;

/// Something that is to happen at its time.
pub(crate) enum Happening {
    /// The manager's program begins.
    Boot,
    Survey {
        manager: u32,
        until: u64,
    },
    ReadSnapshot {
        manager: u32,
    },
    Wake {
        manager: u32,
        turn: u64,
    },
    Inbox {
        manager: u32,
    },
    Poll {
        manager: u32,
    },
    Rows {
        manager: u32,
        commands: Vec<Command>,
    },
    Write {
        manager: u32,
    },
    Arrive {
        manager: u32,
        changes: Rc<Vec<Change>>,
    },
    Resend {
        manager: u32,
        changes: Rc<Vec<Change>>,
    },
    Answer {
        manager: u32,
        answer: Option<Committed>,
    },
    Order {
        manager: u32,
    },
    Look {
        manager: u32,
        run: RunId,
    },
    LookAgain {
        manager: u32,
    },
    ShimBegins {
        shim: ShimId,
    },
    SuccessorBegins {
        shim: ShimId,
    },
    AppEnds {
        serial: Serial,
        exit: Exit,
    },
    AppReports {
        serial: Serial,
    },
    ShimHears {
        shim: ShimId,
        cause: StopCause,
        grace: Duration,
    },
    GraceOver {
        shim: ShimId,
    },
    ShimConcludes {
        shim: ShimId,
        exit: Option<Exit>,
    },
    /// Somebody disables an app in the very moment in which it is started.
    DisableByHand {
        app: AppId,
    },
    AddAgain {
        app: AppId,
    },
    PutClockRight,
    Fate,
    Person,
    Check,
    Heal,
}

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) swarm: Swarm,
    pub(crate) planted: Option<Planted>,
    /// Milliseconds since the beginning; the world's own, which nobody can set.
    pub(crate) time: u64,
    /// By how much the wall clock was set since.
    pub(crate) wall_shift: i64,
    pub(crate) host: Host,
    pub(crate) database: Database,
    /// What the manager's process holds; it goes with it.
    pub(crate) shell: Option<Shell>,
    pub(crate) managers: u32,
    pub(crate) cast: Vec<Card>,
    pub(crate) oracle: Oracle,
    pub(crate) is_healed: bool,
    queue: BTreeMap<(u64, u64), Happening>,
    order: u64,
    trace: Option<Vec<String>>,
    /// An old reading of the database, for the program that begins with one.
    pub(crate) old_snapshot: Option<dcm::model::Snapshot>,
}

/// What a seed came to.
pub(crate) struct Outcome {
    pub(crate) violation: Option<Violation>,
    pub(crate) trace: Vec<String>,
    /// How many processes lived in it: a world without any proves nothing.
    pub(crate) processes: u64,
    /// A number that two equal stories have in common.
    pub(crate) fingerprint: u64,
}

impl World {
    pub(crate) fn new(seed: u64, planted: Option<Planted>, is_traced: bool) -> Self {
        let mut random = Random::new(seed);
        let swarm = Swarm::of(&mut random);
        let wall_shift = if swarm.begins_ahead { *random.pick(&AHEAD) } else { 0 };
        let mut world = Self {
            random,
            swarm,
            planted,
            time: 0,
            wall_shift,
            host: Host::default(),
            database: Database {
                tables: Tables::at(wall_at(0, wall_shift)),
                away_until: 0,
                held: BTreeMap::new(),
            },
            shell: None,
            managers: 0,
            cast: Vec::new(),
            oracle: Oracle::default(),
            is_healed: false,
            queue: BTreeMap::new(),
            order: 0,
            trace: is_traced.then(Vec::new),
            old_snapshot: None,
        };
        cast::appear(&mut world);
        world.after(0, Happening::Boot);
        if world.swarm.begins_ahead {
            let later = world.random.between(1000, 300_000);
            world.after(later, Happening::PutClockRight);
        }
        world.after(TURN, Happening::Fate);
        world.after(3000, Happening::Person);
        world.after(5000, Happening::Check);
        world.after(SAFETY, Happening::Heal);
        world
    }

    pub(crate) fn run(mut self) -> Outcome {
        let mut fingerprint = 0_u64;
        while let Some(((at, order), happening)) = self.queue.pop_first() {
            if at > SAFETY + HEALED || self.oracle.violation.is_some() {
                break;
            }
            self.time = at;
            self.database.tables.time = self.wall();
            self.happen(happening);
            fingerprint = (fingerprint ^ at ^ (order << 32)).wrapping_mul(0x100_0000_01b3);
        }
        if self.oracle.violation.is_none() {
            self.check_the_end();
        }
        Outcome {
            violation: self.oracle.violation.take(),
            trace: self.trace.take().unwrap_or_default(),
            processes: self.oracle.processes,
            fingerprint,
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Boot => self.boot(),
            Happening::Survey { manager, until } => self.survey(manager, until),
            Happening::ReadSnapshot { manager } => self.read_snapshot(manager),
            Happening::Wake { manager, turn } => self.wake(manager, turn),
            Happening::Inbox { manager } => self.take_inbox(manager),
            Happening::Poll { manager } => self.poll(manager),
            Happening::Rows { manager, commands } => self.read_rows(manager, commands),
            Happening::Write { manager } => self.begin_write(manager),
            Happening::Arrive { manager, changes } => self.arrive(manager, &changes),
            Happening::Resend { manager, changes } => self.resend(manager, changes),
            Happening::Answer { manager, answer } => self.answered(manager, answer),
            Happening::Order { manager } => self.take_order(manager),
            Happening::Look { manager, run } => self.look(manager, run),
            Happening::LookAgain { manager } => self.look_again(manager),
            Happening::ShimBegins { shim } => self.shim_begins(shim),
            Happening::SuccessorBegins { shim } => self.successor_begins(shim),
            Happening::AppEnds { serial, exit } => self.process_ends(serial, exit),
            Happening::AppReports { serial } => self.app_reports(serial),
            Happening::ShimHears { shim, cause, grace } => self.shim_hears(shim, cause, grace),
            Happening::GraceOver { shim } => self.grace_over(shim),
            Happening::ShimConcludes { shim, exit } => self.shim_concludes(shim, exit),
            Happening::DisableByHand { app } => self.disable_by_hand(app),
            Happening::AddAgain { app } => self.add_again(app),
            Happening::PutClockRight => self.put_clock_right(),
            Happening::Fate => {
                if !self.is_healed {
                    self.strike();
                    self.after(TURN, Happening::Fate);
                }
            }
            Happening::Person => {
                if !self.is_healed {
                    self.somebody_acts();
                    let pause = self.random.between(1000, 20_000);
                    self.after(pause, Happening::Person);
                }
            }
            Happening::Check => {
                self.check_calm();
                self.after(5000, Happening::Check);
            }
            Happening::Heal => {
                self.note(|| "healed: nothing breaks any more".to_owned());
                self.is_healed = true;
                self.swarm.heal();
                self.database.away_until = 0;
                self.database.held.clear();
                self.host.blind_until = 0;
                self.oracle.disturbed(self.time);
                if self.shell.is_none() {
                    self.after(0, Happening::Boot);
                }
            }
        }
    }

    /// Lets something happen after so many milliseconds.
    pub(crate) fn after(&mut self, delay: u64, happening: Happening) {
        self.order += 1;
        self.queue.insert((self.time + delay, self.order), happening);
    }

    /// The wall clock, as everybody in the world reads it.
    pub(crate) fn wall(&self) -> Timestamp {
        wall_at(self.time, self.wall_shift)
    }

    pub(crate) fn now(&self) -> Now {
        let mut mono = self.time - self.host.booted_at;
        if self.planted == Some(Planted::MistakesClocks) {
            mono = mono.saturating_add_signed(MISTAKEN + self.wall_shift);
        }
        Now { mono: Duration::from_millis(mono), wall: self.wall() }
    }

    /// Some milliseconds, as messages inside a host take; now and then more.
    pub(crate) fn moment(&mut self) -> u64 {
        if self.swarm.is_slow && self.random.per_mille(50) {
            self.random.between(0, 1000)
        } else {
            self.random.between(0, 5)
        }
    }

    /// True now and then if the program has this fault.
    pub(crate) fn errs(&mut self, fault: Planted, per_mille: u64) -> bool {
        self.planted == Some(fault) && self.random.per_mille(per_mille)
    }

    /// Written down only when somebody is going to read it.
    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        let (time, wall) = (self.time, self.wall());
        if let Some(trace) = &mut self.trace {
            trace.push(format!(
                "{:>7}.{:03} {} {}",
                time / 1000,
                time % 1000,
                wall.format("%y-%m-%d %H:%M:%S%.3f"),
                text()
            ));
        }
    }
}

fn wall_at(time: u64, shift: i64) -> Timestamp {
    let millis = BEGINNING + i64::try_from(time).unwrap_or(0) + shift;
    Timestamp::UNIX_EPOCH + TimeDelta::milliseconds(millis)
}
