//! One app with a calendar, and people who do to it whatever they like: commands, kills of the manager, edits of the
//! row, foreground runs. Nothing is late and nothing is lost here; what is looked at is the account: while
//! the app is scheduled, each time of its calendar becomes a run or part of a skip, and none does twice.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use dcm::manager::{Effect, Event, Identity, Manager, Step};
use dcm::model::{
    App, AppId, AppPath, AppRow, CatchUp, Change, Closing, CmdName, CommandId, CommandSource, Ending, Exit,
    Minutes, NewCommand, Now, OnFailures, Policy, Report, Revision, Run, RunId, RunOpening, Schedule,
    SkipReason, StopCause, Survivor, SurvivorState, Timestamp, Trigger,
};
use dcm::store::{Existing, Registration, Tables};

use crate::random::Random;

/// 2026-11-23T00:00:00Z, in milliseconds.
const BEGINNING: i64 = 1_795_392_000_000;

/// Crons whose times are multiples of a number of seconds.
const CRONS: [(&str, i64); 4] =
    [("*/2 * * * * *", 2), ("*/15 * * * * *", 15), ("* * * * *", 60), ("*/5 * * * *", 300)];

/// How long a story is, in milliseconds.
const LENGTH: u64 = 40 * 60_000;

/// What is wrong with the account of a seed; `None`: nothing.
pub(crate) fn fault_of(seed: u64) -> Option<String> {
    let mut town = Town::new(seed);
    while town.time < LENGTH {
        town.act();
    }
    town.settle();
    town.audit()
}

/// A process of the app, and when it will end.
struct Process {
    run: RunId,
    started: Timestamp,
    ends_at: u64,
    exit: Exit,
    asks: Option<Timestamp>,
    stop: Option<StopCause>,
}

struct Town {
    random: Random,
    time: u64,
    app: AppId,
    period: i64,
    tables: Tables,
    manager: Option<Manager>,
    process: Option<Process>,
    /// Runs that ended while no manager was there.
    ended: Vec<(RunId, Closing)>,
    seen: Revision,
    last_command: CommandId,
    runs: u64,
    /// Since when the app is scheduled, and the stretches of time in which it was before.
    scheduled_since: Option<Timestamp>,
    scheduled: Vec<(Timestamp, Timestamp)>,
    /// When the last run ended, if it was stopped.
    stopped_at: Option<Timestamp>,
    story: Vec<String>,
}

impl Town {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (cron, period) = *random.pick(&CRONS);
        let path = AppPath::new("g", "p", "a").expect("these are good names");
        let minutes = |seconds: u64| Minutes::new(f64::from(u32::try_from(seconds).unwrap_or(1)) / 60.0).ok();
        let schedule = Schedule {
            cron: cron.parse().ok(),
            interval: random.coin().then(|| minutes(random.between(1, 60))).flatten(),
            retry_interval: random.coin().then(|| minutes(random.between(1, 200))).flatten(),
            ..Schedule::default()
        };
        let policy = Policy {
            catch_up: *random.pick(&[CatchUp::Latest, CatchUp::None, CatchUp::All]),
            catch_up_limit: u32::try_from(random.between(1, 8)).unwrap_or(1),
            max_failures: *random.pick(&[0, 0, 3]),
            on_failures: *random.pick(OnFailures::ALL),
            max_runtime: random.per_mille(300).then(|| Duration::from_secs(random.between(5, 90))),
            ..Policy::default()
        };
        let app = AppId::of(&path);
        let entry = App { schedule, policy, ..App::new(path) };
        let mut town = Self {
            random,
            time: 0,
            app,
            period: period * 1000,
            tables: Tables::at(at(0)),
            manager: None,
            process: None,
            ended: Vec::new(),
            seen: Revision::default(),
            last_command: CommandId(0),
            runs: 0,
            scheduled_since: None,
            scheduled: Vec::new(),
            stopped_at: None,
            story: Vec::new(),
        };
        let registration = Registration { app: entry, next_run: None, existing: Existing::Refuse };
        town.tables.register(&registration).expect("a fresh database takes any app");
        town.begin_manager();
        town
    }

    fn wall(&self) -> Timestamp {
        at(self.time)
    }

    fn now(&self) -> Now {
        Now { mono: Duration::from_millis(self.time), wall: self.wall() }
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        let line = format!("{} {}", self.wall().format("%H:%M:%S%.3f"), what());
        self.story.push(line);
    }

    fn row(&self) -> AppRow {
        self.tables.app(self.app).cloned().expect("nobody removes it")
    }

    /// Somebody does something, or time passes.
    fn act(&mut self) {
        match self.random.between(0, 19) {
            0..=8 => {
                let pause = *self.random.pick(&[300, 1500, 9000, 40_000, 130_000]);
                let pause = self.random.between(1, pause);
                self.pass(pause);
            }
            9 => self.command(CmdName::Start),
            10 => self.command(CmdName::Stop),
            11 => self.command(CmdName::Restart),
            12 => self.command(CmdName::Enable),
            13 => self.command(CmdName::Disable),
            14 | 15 => self.kill_manager(),
            16 => self.ask_for_a_time(),
            17 => self.disable_by_hand(),
            18 => self.run_in_the_foreground(),
            _ => {
                let name = *self.random.pick(&[CmdName::Enable, CmdName::Start]);
                self.command(name);
            }
        }
        if self.manager.is_none() && self.random.per_mille(350) {
            self.begin_manager();
        }
    }

    /// Nobody does anything any more, and a manager is there.
    fn settle(&mut self) {
        if self.manager.is_none() {
            self.begin_manager();
        }
        self.pass(400_000);
    }

    fn pass(&mut self, pause: u64) {
        let until = self.time + pause;
        loop {
            let millis = |at: Duration| u64::try_from(at.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
            let deadline = self.manager.as_ref().and_then(Manager::next_deadline).map(millis);
            let end = self.process.as_ref().map(|process| process.ends_at);
            let next = [deadline, end].into_iter().flatten().min().map_or(until, |next| next.max(self.time));
            if next >= until {
                self.time = self.time.max(until);
                return;
            }
            // A busy host is late now and then, by less than a run of the shortest calendar.
            self.time = if self.random.per_mille(50) { next + self.random.between(1, 900) } else { next };
            if self.process.as_ref().is_some_and(|process| process.ends_at <= self.time) {
                self.process_ends();
            } else {
                self.step(Event::Tick);
            }
        }
    }

    fn process_ends(&mut self) {
        let Some(process) = self.process.take() else { return };
        let ended = at(process.ends_at);
        self.stopped_at = process.stop.as_ref().map(|_| ended);
        let ending = match process.stop {
            Some(cause) => Ending::Stopped { cause, exit: Some(process.exit), killed: false },
            None => Ending::Exited(process.exit),
        };
        let report = Report { next_run: process.asks, ..Report::default() };
        let closing = Closing { started: Some(process.started), report, ..Closing::unseen(ending, ended) };
        let run = process.run;
        self.tell(|| format!("{run:?} ends, {:?}", closing.ending));
        if self.manager.is_some() {
            self.step(Event::Ended { run, closing });
        } else {
            self.ended.push((run, closing));
        }
    }

    fn step(&mut self, event: Event) {
        let now = self.now();
        let Some(manager) = &mut self.manager else { return };
        let step = manager.step(now, event);
        self.carry_out(step);
    }

    fn carry_out(&mut self, step: Step) {
        self.tables.time = self.wall();
        for change in &step.changes {
            if let Change::RunOpened(_) | Change::Skipped(_) | Change::CommandSettled { .. } = change {
                self.tell(|| format!("{change:?}"));
            }
        }
        let committed = self.tables.commit(&step.changes);
        let mut events: Vec<_> = committed
            .refused
            .iter()
            .map(|(run, refusal)| Event::RunRefused { run: *run, refusal: *refusal })
            .collect();
        let refused = |run: &RunId| committed.refused.iter().any(|(other, _)| other == run);
        for effect in step.effects {
            match effect {
                Effect::Start { run, .. } if !refused(&run) => {
                    let takes = *self.random.pick(&[50, 1200, 8000, 70_000]);
                    let takes = self.random.between(1, takes);
                    self.start(run, takes);
                    events.push(Event::Started { run, pid: 7, at: self.wall() });
                }
                Effect::Stop { run, cause, .. } => {
                    let takes = self.random.between(1, 4000);
                    if let Some(process) = self.process.as_mut().filter(|process| process.run == run) {
                        process.ends_at = process.ends_at.min(self.time + takes);
                        process.stop = Some(cause);
                    }
                }
                Effect::Adopt { run } => {
                    if self.process.as_ref().is_some_and(|process| process.run == run) {
                        events.push(Event::Started { run, pid: 7, at: self.wall() });
                    }
                }
                Effect::Start { .. }
                | Effect::Kill { .. }
                | Effect::Measure { .. }
                | Effect::Forget { .. } => {}
            }
        }
        self.watch();
        for event in events {
            self.step(event);
        }
    }

    fn start(&mut self, run: RunId, takes: u64) {
        assert!(self.process.is_none(), "two processes of one app");
        let exit = match self.random.between(0, 9) {
            0 | 1 => Exit::Code(3),
            2 => Exit::Signal { signal: 11, core: false },
            _ => Exit::Code(0),
        };
        // No time of a calendar.
        let asks =
            self.random.per_mille(150).then(|| at(self.time + self.random.between(1, 200_000) / 2 * 2 + 1));
        let asks = asks.filter(|time| time.timestamp_millis() % 1000 != 0);
        let started = self.wall();
        self.stopped_at = None;
        self.process = Some(Process { run, started, ends_at: self.time + takes, exit, asks, stop: None });
    }

    /// Whether the row says that the app is scheduled, and since when.
    fn watch(&mut self) {
        let row = self.row();
        let is_scheduled = !row.is_suspended();
        match (self.scheduled_since, is_scheduled) {
            // What another program enables counts from when a manager has seen it.
            (None, true) => self.scheduled_since = self.manager.is_some().then(|| self.wall()),
            (Some(since), false) => {
                // A run that was stopped ended before that was entered.
                self.scheduled.push((since, self.stopped_at.unwrap_or(self.wall()).max(since)));
                self.scheduled_since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    fn command(&mut self, name: CmdName) {
        self.tell(|| format!("{name}"));
        self.tables.time = self.wall();
        self.tables.submit(&NewCommand {
            app: self.app,
            name,
            args: None,
            by: "ana".to_owned(),
            source: CommandSource::Cli,
            time: self.wall(),
            expires: None,
            batch: None,
            note: None,
        });
        self.read();
    }

    /// The manager reads what others wrote.
    fn read(&mut self) {
        if self.manager.is_none() {
            return;
        }
        let commands = self.tables.pending(self.last_command);
        let delta = self.tables.changes_since(self.seen);
        self.seen = delta.revision;
        if !delta.rows.is_empty() {
            self.step(Event::AppsChanged(delta.rows));
        }
        for command in commands {
            self.last_command = command.id;
            self.step(Event::Command(command));
        }
    }

    fn kill_manager(&mut self) {
        if self.manager.take().is_some() {
            self.tell(|| "the manager is killed".to_owned());
        }
    }

    fn begin_manager(&mut self) {
        self.tell(|| "a manager begins".to_owned());
        let mut survivors: Vec<_> = std::mem::take(&mut self.ended)
            .into_iter()
            .map(|(run, closing)| Survivor {
                run,
                app: self.app,
                pid: None,
                state: SurvivorState::Over(closing),
            })
            .collect();
        survivors.extend(self.process.as_ref().map(|process| Survivor {
            pid: None,
            run: process.run,
            app: self.app,
            state: SurvivorState::Running { pid: 7, started: process.started, stop: process.stop.clone() },
        }));
        self.tables.time = self.wall();
        let snapshot = self.tables.snapshot();
        self.seen = snapshot.revision;
        self.last_command = snapshot.commands.last().map_or(self.last_command, |command| command.id);
        let seed = u128::from(self.random.number());
        let identity = Identity { name: "m".to_owned(), host: "h".to_owned(), seed };
        let (manager, step) = Manager::restore(identity, snapshot, survivors, self.now());
        self.manager = Some(manager);
        self.carry_out(step);
    }

    fn ask_for_a_time(&mut self) {
        let time = at(self.time + self.random.between(1, 100_000) * 2 + 1);
        if time.timestamp_millis() % 1000 != 0 {
            self.tell(|| format!("next_run = {time} by SQL"));
            self.tables.ask_next_run(self.app, time);
            self.read();
        }
    }

    fn disable_by_hand(&mut self) {
        let mut app = self.row().app;
        app.disabled = self.random.coin();
        self.tell(|| format!("disable = {} by SQL", app.disabled));
        let registration = Registration { app, next_run: None, existing: Existing::Replace };
        self.tables.register(&registration).expect("it is there");
        self.watch();
        self.read();
    }

    fn run_in_the_foreground(&mut self) {
        if self.process.is_some() || self.row().app.disabled {
            return;
        }
        self.runs += 1;
        let run = RunId::from_random_bits(u128::from(self.random.number()) << 32 | u128::from(self.runs));
        let opening = RunOpening {
            run,
            app: self.app,
            at: self.wall(),
            due: None,
            trigger: Trigger::RunApp,
            attempt: 1,
            command: None,
            manager: "run-app@h".to_owned(),
            is_forced: false,
        };
        if self.tables.commit(&[Change::RunOpened(opening)]).refused.is_empty() {
            self.tell(|| format!("{run:?} in the foreground"));
            let takes = self.random.between(1, 60_000);
            self.start(run, takes);
            self.read();
        }
    }

    /// How often each time is accounted for, and whether that is as it must be.
    fn audit(&mut self) -> Option<String> {
        let mut accounts = BTreeMap::<i64, Vec<String>>::new();
        let mut enter = |first: Timestamp, last: Timestamp, by: String| {
            let (first, last) = (first.timestamp_millis(), last.timestamp_millis());
            if first % self.period == 0 && last % self.period == 0 {
                for number in first / self.period..=last / self.period {
                    accounts.entry(number).or_default().push(by.clone());
                }
            }
        };
        for run in self.tables.runs() {
            if let Some(due) = run.due {
                enter(due, due, format!("run {:?}", run.run));
            }
        }
        for skip in self.tables.skips() {
            enter(skip.first, skip.last, skip.reason.word().to_owned());
        }
        let row = self.row();
        let end = row.slot.unwrap_or_else(|| self.wall());
        let open = self.scheduled_since.map(|since| (since, end));
        let twice = accounts.iter().find(|(_, by)| by.len() > 1);
        let lost = self.scheduled.iter().copied().chain(open).find_map(|(from, to)| {
            let numbers =
                from.timestamp_millis() / self.period + 1..to.timestamp_millis().div_euclid(self.period);
            let mut numbers = numbers.filter(|number| number * self.period < to.timestamp_millis());
            numbers.find(|number| !accounts.contains_key(number)).map(|number| (number, from, to))
        });
        // What came after the end of a run of which nobody knew yet was missed, not passed over.
        let mistaken = self.tables.skips().find(|skip| {
            let covers = |run: &&Run| run.start < skip.at && run.end.is_none_or(|end| skip.last <= end);
            skip.reason == SkipReason::Overlap && !self.tables.runs().iter().any(covers)
        });
        let shown = |number: i64| Timestamp::from_timestamp_millis(number * self.period).unwrap_or_default();
        let fault = match (twice, lost) {
            (Some((number, by)), _) => format!("{} is accounted for by {by:?}", shown(*number)),
            (None, Some((number, from, to))) => {
                format!("{} is lost, scheduled from {from} to {to}", shown(number))
            }
            (None, None) => format!("{:?} came after the run", mistaken?),
        };
        let policy = format!("{:?} {:?}", row.app.schedule, row.app.policy.catch_up);
        Some(format!("{}\n{policy}\n{fault}", self.story.join("\n")))
    }
}

fn at(time: u64) -> Timestamp {
    let start = Timestamp::from_timestamp_millis(BEGINNING).unwrap_or_default();
    start + TimeDelta::milliseconds(i64::try_from(time).unwrap_or(0))
}
