//! A fleet that is made up, the same each time: for pictures, bytes and benchmarks of the console.

use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use crossterm::event::KeyCode;
use dcm::console::{Abilities, Colours, GlyphSet, Look, Palette, Questions, Rehearsal};
use dcm::model::{
    Anomaly, App, AppRow, Counted, Delta, Fatal, FatalFlag, LastEnd, ManagerRow, Now, Progress, Registered,
    Revision, RunStatus, Samples, Timestamp,
};

const GROUPS: [&str; 12] = [
    "croatia", "italy", "austria", "slovenia", "serbia", "germany", "poland", "hungary", "bosnia", "france",
    "spain", "greece",
];
const PARENTS: [&str; 10] =
    ["fina", "court", "registry", "tax", "notary", "banks", "stock", "customs", "patents", "tenders"];
const NAMES: [&str; 10] = [
    "companies",
    "insolvency",
    "accounts",
    "officers",
    "owners",
    "documents",
    "prices",
    "rulings",
    "liens",
    "boards",
];

/// Numbers that look random and are the same each time (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}

/// 14:02:11 wherever the test runs, since the screen shows local time.
pub(crate) fn now(after: Duration) -> Now {
    let local = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap().and_hms_opt(14, 2, 11).unwrap();
    let wall = local.and_local_timezone(chrono::Local).unwrap().to_utc() + after;
    Now { mono: Duration::from_secs(1000) + after, wall }
}

/// A look as most terminals have it.
pub(crate) fn look(glyphs: GlyphSet, palette: Palette) -> Look {
    let abilities = Abilities { colours: Colours::Sixteen, has_regions: true, is_ambiguous_wide: false };
    Look { palette, glyphs, abilities, questions: Questions::default() }
}

/// So many apps: 30 % run, some wait, are stopped, disabled or fatal.
pub(crate) fn fleet(count: usize) -> Vec<AppRow> {
    let mut random = Random::new(7);
    (0..count).map(|number| row(number, count, &mut random)).collect()
}

fn row(number: usize, count: usize, random: &mut Random) -> AppRow {
    let per_group = count.div_ceil(GROUPS.len()).max(1);
    let (group, place) = (number / per_group, number % per_group);
    let per_parent = per_group.div_ceil(PARENTS.len()).clamp(1, 40);
    let (parent, place) = (place / per_parent, place % per_parent);
    let name = match place / NAMES.len() {
        0 => NAMES[place % NAMES.len()].to_owned(),
        again => format!("{}_{}", NAMES[place % NAMES.len()], again + 1),
    };
    let part = match parent / PARENTS.len() {
        0 => PARENTS[parent % PARENTS.len()].to_owned(),
        again => format!("{}{}", PARENTS[parent % PARENTS.len()], again + 1),
    };
    let path = format!("{}/{part}/{name}", GROUPS[group % GROUPS.len()]).parse().unwrap();
    let time = now(Duration::ZERO).wall;
    let minutes = |random: &mut Random, most| TimeDelta::minutes(i64::try_from(random.below(most)).unwrap());
    let size = 1000 + random.below(400) * 500;
    let last_run = Some(time - minutes(random, 90) - TimeDelta::minutes(1));
    let number_of_row = i64::try_from(number).unwrap() + 1;
    let app = App { disabled: random.below(40) == 0, ..App::new(path) };
    let mut row = AppRow::new(app, number_of_row);
    row.next_run = Some(time + minutes(random, 120) + TimeDelta::minutes(1));
    row.state.last_run = last_run;
    row.progress =
        Progress { task_size: Some(size), solved: size, percent: Some(100), ..Progress::default() };
    row.revision = Revision(number_of_row);
    row.last_end = ended(last_run, "ok", Some(0));
    match random.below(100) {
        0..30 => {
            row.state.status = RunStatus::Running;
            row.state.manager = Some("zg-01".to_owned());
            row.state.pid = Some(4000 + u32::try_from(number).unwrap());
            row.progress.eta = Some(time + minutes(random, 150));
            row.progress.failed = random.below(300);
            row.progress.message = Some(format!("page {} of {}", size / 20, size / 10));
            advance(&mut row, random.below(size));
            row.samples = Some(Box::new(worked(time, random)));
        }
        30..34 => {
            row.state.status = RunStatus::Stopped;
            row.last_end = ended(last_run, "crashed", Some(134));
        }
        34 => row.state.waiting_for = Some("group italy: 40 running".to_owned()),
        35 if number.is_multiple_of(3) => {
            let (cause, message) =
                (Anomaly::Failures.into(), "python3.13: no such program in PATH".to_owned());
            row.last_end = ended(last_run, "failed_to_start", None);
            row.progress.percent = Some(41);
            row.progress.solved = size * 41 / 100;
            row.state.fatal = Some(Box::new(Fatal { flag: FatalFlag::FailedToStart, cause, message, time }));
        }
        _ => {}
    }
    row
}

/// The run that began then took half a minute.
fn ended(began: Option<Timestamp>, outcome: &str, exit_code: Option<i64>) -> Option<Box<LastEnd>> {
    let at = began? + TimeDelta::seconds(30);
    Some(Box::new(LastEnd { outcome: outcome.into(), exit_code, at }))
}

/// Ten minutes of work until this time.
fn worked(time: Timestamp, random: &mut Random) -> Samples {
    let mut samples = Samples::none(time);
    let most = 1 + random.below(100);
    for back in (0..30).rev() {
        let counted = Counted { solved: random.below(most), failed: u64::from(random.below(20) == 0) };
        samples.add(counted, time - TimeDelta::seconds(back * 20));
    }
    samples
}

fn advance(row: &mut AppRow, by: u64) {
    let size = row.progress.task_size.unwrap_or(1);
    row.progress.solved = (row.progress.solved + by) % size;
    row.progress.percent = u8::try_from(row.progress.solved * 100 / size).ok();
}

/// So many running apps get on.
pub(crate) fn change(rows: &mut [AppRow], count: usize, random: &mut Random, at: Timestamp) -> Vec<AppRow> {
    let mut changed = Vec::new();
    while changed.len() < count {
        let place = usize::try_from(random.below(rows.len() as u64)).unwrap();
        let row = &mut rows[place];
        if row.state.pid.is_some() {
            let by = random.below(30) + 1;
            advance(row, by);
            let samples = row.samples.get_or_insert_with(|| Box::new(Samples::none(at)));
            samples.add(Counted { solved: by, failed: 0 }, at);
        }
        row.revision = Revision(row.revision.0 + 1_000_000);
        changed.push(row.clone());
    }
    changed
}

pub(crate) fn delta(rows: Vec<AppRow>) -> Delta {
    let revision = rows.iter().map(|row| row.revision).max().unwrap_or_default();
    let rows = rows.into_iter().map(|row| Registered::App(Box::new(row))).collect();
    Delta { rows, revision, ..Delta::default() }
}

/// A console on such a fleet, with all groups open.
pub(crate) fn console(rows: &[AppRow], size: (u16, u16), look: Look) -> Rehearsal {
    let start = now(Duration::ZERO);
    let mut console = Rehearsal::new(look, size, start);
    live(&mut console, start.wall);
    hear(&mut console, rows.to_vec(), start.wall);
    console.press(KeyCode::Char('+'));
    console
}

/// Its manager says that it lives.
pub(crate) fn live(console: &mut Rehearsal, time: Timestamp) {
    console.meet(vec![ManagerRow {
        name: "zg-01".to_owned(),
        host: "zg-01".to_owned(),
        pid: 812,
        version: "0.1.0".to_owned(),
        started: time - TimeDelta::days(3),
        heartbeat: time,
        lease_until: Some(time + TimeDelta::minutes(5)),
        ..ManagerRow::default()
    }]);
}

pub(crate) fn hear(console: &mut Rehearsal, rows: Vec<AppRow>, read: Timestamp) {
    console.hear(delta(rows), read);
}
