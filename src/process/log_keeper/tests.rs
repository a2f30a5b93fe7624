use std::sync::{Arc, Mutex};

use super::*;

const KIB: u64 = 1024;

struct Fixture {
    folder: tempfile::TempDir,
    keeper: Keeper,
    told: Arc<Mutex<Vec<Event>>>,
}

impl Fixture {
    fn new(limits: LogLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path().to_owned());
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let keeper = Keeper::new(state, limits, Arc::new(move |event| sink.lock().unwrap().push(event)));
        Self { folder, keeper, told }
    }

    fn app(number: u32) -> AppId {
        AppId::of(&format!("a/b/app{number}").parse().unwrap())
    }

    /// The log of a run that ended `minutes` ago.
    fn write(&self, app: u32, run: u128, size: u64, minutes: u64) {
        let folder = self.keeper.state.logs(Self::app(app));
        fs::create_dir_all(&folder).unwrap();
        let run = RunId::from_random_bits(run);
        let file = fs::File::create(folder.join(format!("20261123T140211-{run}.log"))).unwrap();
        file.set_len(size).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60 * minutes)).unwrap();
    }

    fn left(&self) -> Vec<u128> {
        let folders = fs::read_dir(self.folder.path().join("logs")).unwrap();
        let mut left: Vec<_> = folders
            .flat_map(|folder| logs_in(&folder.unwrap().path()))
            .filter_map(|log| (1..100).find(|number| RunId::from_random_bits(*number) == log.run))
            .collect();
        left.sort_unstable();
        left
    }
}

fn limits() -> LogLimits {
    LogLimits { total_max: 100 * KIB, days_max: 90, free_min: Some(0) }
}

#[test]
fn within_their_limits_logs_stay() {
    let mut fixture = Fixture::new(limits());
    for run in 1..=9 {
        fixture.write(1, run, 10 * KIB, 1);
    }
    fixture.keeper.look(Duration::from_secs(1));
    assert_eq!((fixture.left().len(), fixture.keeper.total()), (9, 90 * KIB));
}

#[test]
fn beyond_their_total_the_oldest_go_until_there_is_some_slack() {
    let mut fixture = Fixture::new(limits());
    for run in 1..=12 {
        fixture.write(u32::try_from(run % 3).unwrap(), run, 10 * KIB, 100 - u64::try_from(run).unwrap());
    }
    log_disk::note_failed(&fixture.keeper.state.logs(Fixture::app(1)), RunId::from_random_bits(1));
    fs::create_dir_all(fixture.keeper.state.run(RunId::from_random_bits(3)).path()).unwrap();
    fixture.keeper.look(Duration::from_secs(1));
    // Run 1 is the last failed one of its app, run 3 is under way.
    assert_eq!(fixture.left(), [1, 3, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(fixture.keeper.total(), 90 * KIB);
}

#[test]
fn when_all_others_are_gone_the_last_failed_ones_go_as_well_and_those_under_way_stay() {
    let mut fixture = Fixture::new(limits());
    for run in 1..=4 {
        fixture.write(u32::try_from(run).unwrap(), run, 90 * KIB, 100 - u64::try_from(run).unwrap());
        let folder = fixture.keeper.state.logs(Fixture::app(u32::try_from(run).unwrap()));
        log_disk::note_failed(&folder, RunId::from_random_bits(run));
    }
    fs::create_dir_all(fixture.keeper.state.run(RunId::from_random_bits(1)).path()).unwrap();
    fixture.keeper.look(Duration::from_secs(1));
    assert_eq!(fixture.left(), [1], "a limit is a limit");
}

#[test]
fn old_logs_go_but_for_the_last_failed_one() {
    let mut fixture = Fixture::new(LogLimits { days_max: 7, ..limits() });
    let day = 24 * 60;
    for (run, days) in [(1, 30), (2, 8), (3, 6), (4, 0)] {
        fixture.write(1, run, KIB, days * day);
    }
    log_disk::note_failed(&fixture.keeper.state.logs(Fixture::app(1)), RunId::from_random_bits(1));
    fixture.keeper.look(Duration::from_secs(1));
    assert_eq!(fixture.left(), [1, 3, 4]);
}

#[test]
fn what_ends_is_counted_and_soon_heeded() {
    let mut fixture = Fixture::new(limits());
    fixture.keeper.look(Duration::from_secs(1));
    for run in 1..=11 {
        fixture.write(1, run, 10 * KIB, 100 - u64::try_from(run).unwrap());
        let run = RunId::from_random_bits(run);
        let note = Note::Over { run, app: Fixture::app(1), log_keep: 20, has_failed: false };
        fixture.keeper.take(&note);
    }
    assert_eq!(fixture.keeper.total(), 110 * KIB);
    fixture.keeper.look(Duration::from_secs(2));
    assert_eq!(fixture.left(), [3, 4, 5, 6, 7, 8, 9, 10, 11]);
    // What a run under way has written so far counts.
    assert_eq!(fixture.keeper.total(), 90 * KIB);
}

#[test]
fn on_a_disk_that_is_nearly_full_the_oldest_go_and_it_is_said_once() {
    let mut fixture = Fixture::new(LogLimits { free_min: Some(u64::MAX / 4), ..limits() });
    fixture.write(1, 1, KIB, 2);
    fixture.write(2, 2, KIB, 1);
    fixture.keeper.look(Duration::from_secs(1));
    assert_eq!(fixture.left(), [0; 0]);
    let told = |fixture: &Fixture| fixture.told.lock().unwrap().len();
    assert!(matches!(&fixture.told.lock().unwrap()[..], [Event::FleetTrouble { .. }]));
    // What cannot be reached is not tried each second.
    fixture.write(1, 3, KIB, 2);
    fixture.keeper.look(Duration::from_secs(2));
    assert_eq!(fixture.left(), [3]);
    fixture.keeper.look(Duration::from_secs(32));
    assert_eq!(fixture.left(), [0; 0]);
    assert_eq!(told(&fixture), 1);
    fixture.keeper.look(Duration::from_secs(700));
    assert_eq!(told(&fixture), 2, "it is still so");
    fixture.keeper.limits.free_min = Some(0);
    fixture.keeper.look(Duration::from_secs(701));
    fixture.keeper.look(Duration::from_secs(702));
    assert!(matches!(&fixture.told.lock().unwrap()[..], [.., Event::FleetTroubleOver(_)]));
    assert_eq!(told(&fixture), 3);
}

#[test]
fn old_logs_are_packed_and_the_last_of_an_app_and_those_under_way_are_not() {
    let mut fixture = Fixture::new(limits());
    for run in 1..=4 {
        fixture.write(1, run, 20 * KIB, 9);
    }
    // They are sorted by their names, and those by the ids of runs: the order of these is no matter here.
    let folder = fixture.keeper.state.logs(Fixture::app(1));
    let order: Vec<_> = logs_in(&folder).iter().map(|log| log.run).collect();
    fs::create_dir_all(fixture.keeper.state.run(order[1]).path()).unwrap();
    fixture.keeper.look(Duration::from_secs(1));
    assert!(!fixture.keeper.to_pack.is_empty(), "the first look finds them");
    while !fixture.keeper.to_pack.is_empty() {
        fixture.keeper.pack_at = Duration::ZERO;
        fixture.keeper.pack_one();
    }
    let is_packed: Vec<_> = logs_in(&folder).iter().map(|log| log.size < KIB).collect();
    assert_eq!(is_packed, [true, false, true, false]);
    assert_eq!(fixture.keeper.total(), logs_in(&folder).iter().map(|log| log.size).sum::<u64>());
}
