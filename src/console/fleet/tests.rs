//! Sums, conclusions and rates.

use std::time::Duration;

use chrono::TimeDelta;

use super::rate::{self, Eta};
use super::{Fleet, Trouble, Usual};
use crate::console::screen::managers::{Life, life};
use crate::console::testing::{Dice, concluded, delta, manager, noon, row, running, small_fleet, stalled};
use crate::model::explain::State;
use crate::model::{
    AppId, AppRow, AppState, Concern, Counted, Delta, ManagerRow, Movement, Registered, Revision, RunStatus,
    Samples, Timestamp,
};

fn step(rows: Vec<AppRow>) -> Delta {
    delta(rows)
}

/// It runs and counts nothing.
fn silent(path: &str) -> AppRow {
    let mut row = running(path, 0, 0, 0);
    row.progress = crate::model::Progress::default();
    row
}

fn trouble(fleet: &Fleet, path: &str) -> Option<Trouble> {
    fleet.get(&path.parse().unwrap()).unwrap().trouble
}

/// Sums that were changed by what changed are those that would be added up anew.
#[test]
fn sums_by_difference_are_those_from_scratch() {
    let mut dice = Dice(7);
    let mut fleet = Fleet::default();
    let mut rows: Vec<AppRow> = Vec::new();
    for turn in 0..300 {
        let at = noon() + TimeDelta::seconds(turn * 20);
        let path = format!("g{}/p{}/a{}", dice.below(3), dice.below(3), dice.below(5));
        let mut changed = running(&path, 5, dice.below(100), 100);
        if dice.below(3) == 0 {
            changed.state.status = RunStatus::Stopped;
        }
        changed.app.disabled = dice.below(4) == 0;
        changed.next_run = Some(at + TimeDelta::seconds(i64::try_from(dice.below(1000)).unwrap()));
        rows.retain(|row| row.app.id != changed.app.id);
        rows.push(changed.clone());
        let mut news = step(vec![changed]);
        if dice.below(4) == 0 {
            let gone = rows.remove(usize::try_from(dice.below(rows.len() as u64)).unwrap());
            if news.rows.iter().all(|row| !matches!(row, Registered::App(row) if row.app.id == gone.app.id)) {
                news.removed.push(gone.app.id);
            } else {
                rows.push(gone);
            }
        }
        fleet.apply(news, at);
        fleet.judge(at);
        let mut anew = Fleet::default();
        anew.apply(step(rows.clone()), at);
        let sums = |fleet: &Fleet| -> Vec<_> {
            let of = |sums: &super::Sums| {
                (
                    sums.apps,
                    State::ALL.iter().map(|one| sums.of(*one)).collect::<Vec<_>>(),
                    sums.disabled,
                    sums.solved,
                    sums.extremes,
                )
            };
            let groups = fleet.groups().filter_map(|group| fleet.group(group)).map(of);
            let parents = fleet.parents().filter_map(|(group, parent)| fleet.parent(group, parent)).map(of);
            groups.chain(parents).collect()
        };
        assert_eq!(sums(&fleet), sums(&anew), "turn {turn}");
        let troubled = fleet.rows().filter(|row| row.trouble.is_some()).count();
        assert_eq!(fleet.total.troubled(), troubled, "turn {turn}");
    }
}

#[test]
fn an_app_has_stalled_when_its_row_says_so_however_long_the_console_has_looked() {
    let path = "a/b/c";
    let row = stalled(running(path, 5, 10, 100), noon() - TimeDelta::minutes(3));
    let mut seen = Fleet::default();
    seen.apply(step(vec![running(path, 5, 10, 100)]), noon() - TimeDelta::hours(1));
    seen.judge(noon());
    assert_eq!(trouble(&seen, path), None, "what the console saw itself says nothing");
    seen.apply(step(vec![row.clone()]), noon());
    let mut new = Fleet::default();
    new.apply(step(vec![row]), noon());
    for mut fleet in [seen, new] {
        assert_eq!(trouble(&fleet, path), Some(Trouble::Stalled));
        assert_eq!(fleet.total.with(Trouble::Stalled), 1);
        let shown = fleet.get(&path.parse().unwrap()).unwrap();
        assert_eq!(shown.stalled(noon()), Some(TimeDelta::minutes(3)));
        fleet.apply(step(vec![running(path, 5, 50, 100)]), noon());
        assert_eq!(trouble(&fleet, path), None);
    }
}

#[test]
fn an_app_is_late_after_its_grace_and_unknown_without_its_manager() {
    let mut fleet = Fleet::default();
    fleet.apply(step(vec![row("a/b/c"), running("a/b/d", 1, 1, 10)]), noon());
    let due = noon() + TimeDelta::minutes(30);
    fleet.judge(due + TimeDelta::seconds(29));
    assert_eq!(trouble(&fleet, "a/b/c"), None);
    fleet.judge(due + TimeDelta::seconds(31));
    assert_eq!(trouble(&fleet, "a/b/c"), Some(Trouble::Late));

    fleet.managers = vec![manager("zg-01", due)];
    let mut other = running("a/b/d", 1, 1, 10);
    other.state.manager = Some("zg-01".to_owned());
    fleet.apply(step(vec![other]), due);
    fleet.judge(due + TimeDelta::seconds(14));
    assert_ne!(trouble(&fleet, "a/b/d"), Some(Trouble::Unknown));
    fleet.judge(due + TimeDelta::seconds(16));
    assert_eq!(trouble(&fleet, "a/b/d"), Some(Trouble::Unknown));
}

#[test]
fn a_manager_is_live_as_long_as_its_lease_lasts() {
    let mut fleet = Fleet::default();
    let lease =
        |name: &str, seconds| ManagerRow { lease: Duration::from_secs(seconds), ..manager(name, noon()) };
    let read = noon() + TimeDelta::seconds(60);
    let apps = [("a/b/long", "long"), ("a/b/short", "short"), ("a/b/gone", "gone")];
    let row = |(path, name): (&str, &str)| {
        let mut row = silent(path);
        row.state.manager = Some(name.to_owned());
        row
    };
    let gone = ManagerRow { stopped: Some(noon()), ..lease("gone", 300) };
    fleet.meet(vec![lease("long", 300), lease("short", 15), gone], read);
    fleet.apply(step(apps.map(row).to_vec()), read);
    fleet.judge(read);
    let found = apps.map(|(path, _)| trouble(&fleet, path));
    assert_eq!(found, [None, Some(Trouble::Unknown), Some(Trouble::Unknown)]);
    let live = |time| life_of(&fleet, time);
    assert_eq!(live(read), [Life::Alive, Life::Silent, Life::Ended]);
    // What was not read again is not older for that.
    assert_eq!(live(read + TimeDelta::hours(1)), live(read));
    assert_eq!(fleet.live_managers(read), 1);
}

/// As the screen of managers has them.
fn life_of(fleet: &Fleet, now: Timestamp) -> [Life; 3] {
    ["long", "short", "gone"].map(|name| life(fleet.manager(name).unwrap(), fleet, now))
}

#[test]
fn an_app_flaps_or_is_late_when_its_row_says_so() {
    let mut fleet = Fleet::default();
    let mut flapping = silent("a/b/c");
    flapping.state.failures = 3;
    let mut waiting = row("a/b/d");
    waiting.state.waiting_for = Some("host: 2 running".to_owned());
    waiting.next_run = Some(noon() - TimeDelta::minutes(2));
    let rows = vec![
        concluded(flapping.clone(), Concern::Flapping, noon()),
        concluded(waiting.clone(), Concern::Late, noon()),
    ];
    fleet.apply(step(rows), noon());
    assert_eq!(trouble(&fleet, "a/b/c"), Some(Trouble::Flapping));
    assert_eq!(trouble(&fleet, "a/b/d"), Some(Trouble::Late));
    let late = fleet.get(&"a/b/d".parse().unwrap()).unwrap();
    assert_eq!((late.state, late.lateness(noon())), (State::Late, Some(TimeDelta::minutes(2))));
    fleet.apply(step(vec![flapping, waiting]), noon());
    assert_eq!((trouble(&fleet, "a/b/c"), trouble(&fleet, "a/b/d")), (None, None));
}

/// An app that began at noon and reports each second; `pace` says how many items of each second.
fn reporting(seconds: i64, pace: impl Fn(i64) -> u64) -> AppRow {
    let mut row = running("a/b/c", 5, 0, 1000);
    row.progress.failed = 0;
    row.state.last_run = Some(noon());
    let mut samples = Samples::none(noon());
    for second in 1..=seconds {
        let counted = Counted { solved: pace(second), failed: 0 };
        row.progress.solved += counted.solved;
        samples.add(counted, noon() + TimeDelta::seconds(second));
    }
    row.samples = Some(Box::new(samples));
    row.movement = Some(Box::new(Movement { last: noon() + TimeDelta::seconds(seconds), usual_pause: None }));
    row.progress.eta = Some(noon() + TimeDelta::seconds(seconds + 60));
    row
}

#[test]
fn the_end_is_told_by_the_app_then_guessed_from_the_rate() {
    let mut fleet = Fleet::default();
    let path = "a/b/c".parse().unwrap();
    let at = |second: i64| noon() + TimeDelta::seconds(second);
    fleet.apply(step(vec![reporting(120, |_| 1)]), at(120));
    let row = fleet.get(&path).unwrap();
    assert_eq!(rate::eta(row, at(121)), Some(Eta::Reported(TimeDelta::seconds(59))));
    // One a second, 880 to go.
    let Some(Eta::Guessed(left)) = rate::eta(row, at(123)) else { panic!("{:?}", rate::eta(row, at(123))) };
    assert!((800..950).contains(&left.num_seconds()), "{left}");
    assert!((0.9..1.1).contains(&rate::rate(row, at(121)).unwrap()));
    // It goes five times as fast now: both are shown.
    fleet.apply(step(vec![reporting(180, |second| if second > 120 { 5 } else { 1 })]), at(180));
    let row = fleet.get(&path).unwrap();
    let Some(Eta::Between(least, most)) = rate::eta(row, at(183)) else { panic!() };
    assert!(least < most);
    // Nothing has come for more than a minute.
    assert_eq!(rate::rate(row, at(3000)), Some(0.0));
    assert_eq!(rate::eta(row, at(3000)), Some(Eta::Never));
}

#[test]
fn rates_are_the_same_in_a_console_that_was_just_opened_and_none_is_told_of_a_young_run() {
    let (mut old, path) = (Fleet::default(), "a/b/c".parse().unwrap());
    let at = |second: i64| noon() + TimeDelta::seconds(second);
    for second in 1..=400 {
        let row = reporting(second, |second| u64::try_from(second % 3).unwrap());
        old.apply(step(vec![row.clone()]), at(second));
        old.judge(at(second));
        let mut new = Fleet::default();
        new.apply(step(vec![row]), at(second));
        new.judge(at(second));
        let seen = |fleet: &Fleet| {
            let row = fleet.get(&path).unwrap();
            let shown = (rate::rate(row, at(second)), rate::eta(row, at(second)));
            let bars = rate::bars(row, at(second)).map(Iterator::collect::<Vec<_>>);
            (shown, bars, fleet.total.clone(), fleet.meter.bars(23, at(second)))
        };
        assert_eq!(seen(&old), seen(&new), "{second}");
        let ((rate, eta), _, total, _) = seen(&old);
        assert_eq!((rate.is_some(), eta.is_some()), (second >= 15, second >= 15), "{second}");
        assert_eq!((total.timed, total.extremes.eta.is_some()), (usize::from(second >= 15), second >= 15));
        assert!(rate.is_none_or(|rate| (0.8..1.3).contains(&rate)), "{second}: {rate:?}");
        assert!(second < 15 || total.speed.done() == total.speed.solved && total.speed.solved > 800);
    }
}

#[test]
fn an_app_that_moves_to_another_name_leaves_nothing_behind() {
    let mut fleet = Fleet::default();
    fleet.apply(step(small_fleet()), noon());
    let ids: Vec<_> = fleet.rows().map(|row| row.id).collect();
    fleet.apply(Delta { removed: ids, revision: Revision(9), ..Delta::default() }, noon());
    assert_eq!(fleet.rows().count(), 0);
    assert_eq!((fleet.groups().count(), fleet.parents().count(), fleet.total.apps), (0, 0, 0));
    assert_eq!(fleet.total.troubled(), 0);
}

#[test]
fn a_run_that_has_just_begun_takes_as_long_as_those_before_it() {
    let mut fleet = Fleet::default();
    let path: crate::model::AppPath = "a/b/c".parse().unwrap();
    let id = AppId::of(&path);
    // It began 13 minutes ago.
    fleet.apply(step(vec![running("a/b/c", 1, 19, 2000)]), noon());
    assert!(!matches!(rate::eta(fleet.get(&path).unwrap(), noon()), Some(Eta::Usual(_))));
    fleet.learn(id, Usual::Takes(TimeDelta::minutes(22)));
    assert_eq!(
        rate::eta(fleet.get(&path).unwrap(), noon()),
        Some(Eta::Usual(TimeDelta::minutes(9))),
        "30 of 2000 are done"
    );
    fleet.apply(step(vec![running("a/b/c", 2, 29, 2000)]), noon());
    let row = fleet.get(&path).unwrap();
    assert_eq!(row.usual, Usual::Takes(TimeDelta::minutes(22)), "it is remembered");
    assert!(!matches!(rate::eta(row, noon()), Some(Eta::Usual(_))), "40 of 2000 are 2 %");
}

#[test]
fn a_failed_run_is_seen_at_the_first_failure() {
    let mut fleet = Fleet::default();
    let mut failed = row("a/b/c");
    failed.state.failures = 1;
    let mut crashed = row("a/b/d");
    crashed.state = AppState { status: RunStatus::Stopped, failures: 1, ..AppState::default() };
    let change = fleet.apply(step(vec![failed.clone(), crashed, row("a/b/e")]), noon());
    assert_eq!(change.news().as_deref(), Some("2 new FAILED"));
    let state = |fleet: &Fleet, path: &str| fleet.get(&path.parse().unwrap()).unwrap().state;
    assert_eq!(
        ["a/b/c", "a/b/d", "a/b/e"].map(|path| state(&fleet, path)),
        [State::Failed, State::Failed, State::Idle]
    );
    let group = fleet.group(&"a".parse().unwrap()).unwrap();
    assert_eq!((group.of(State::Failed), group.of(State::Idle), group.troubled()), (2, 1, 2));
    assert_eq!(group.worst(), Some((Trouble::Failed, 2)));
    // The next run that ends well clears it.
    failed.state.failures = 0;
    fleet.apply(step(vec![failed]), noon());
    assert_eq!((state(&fleet, "a/b/c"), trouble(&fleet, "a/b/c")), (State::Idle, None));
}
