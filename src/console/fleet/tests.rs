//! Sums, conclusions and rates.

use std::time::Duration;

use chrono::TimeDelta;

use super::pulse::{self, Eta};
use super::{Fleet, Trouble, Usual};
use crate::console::screen::managers::{Life, life};
use crate::console::testing::{Dice, delta, manager, noon, row, running, small_fleet};
use crate::model::explain::State;
use crate::model::{
    AppId, AppRow, AppState, Delta, ManagerRow, Registered, Revision, RunId, RunStatus, Timestamp,
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
        // What was concluded from what was seen before is not known to the new one.
        let sums = |fleet: &Fleet| -> Vec<_> {
            let seen = |sums: &super::Sums, state| if state == State::Stalled { 0 } else { sums.of(state) };
            let of = |sums: &super::Sums| {
                (sums.apps, State::ALL.map(|one| seen(sums, one)), sums.disabled, sums.solved, sums.extremes)
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
fn an_app_stalls_when_its_counters_stand_still_for_longer_than_usual() {
    let mut fleet = Fleet::default();
    let path = "a/b/c";
    // It counts every 30 s: five times that is its limit.
    for turn in 0..6 {
        let at = noon() + TimeDelta::seconds(turn * 30);
        fleet.apply(step(vec![running(path, 5, 10 + u64::try_from(turn).unwrap(), 100)]), at);
    }
    let last = noon() + TimeDelta::seconds(150);
    fleet.judge(last + TimeDelta::seconds(140));
    assert_eq!(trouble(&fleet, path), None);
    fleet.judge(last + TimeDelta::seconds(155));
    assert_eq!(trouble(&fleet, path), Some(Trouble::Stalled));
    assert_eq!(fleet.total.with(Trouble::Stalled), 1);
    fleet.apply(step(vec![running(path, 5, 50, 100)]), last + TimeDelta::seconds(156));
    assert_eq!(trouble(&fleet, path), None);
    // One that never counted is never called so.
    fleet.apply(step(vec![silent("a/b/silent")]), noon());
    fleet.judge(noon() + TimeDelta::hours(5));
    assert_eq!(trouble(&fleet, "a/b/silent"), None);
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
fn three_bad_ends_in_ten_minutes_are_flapping_and_good_ones_are_not() {
    let mut bad = Fleet::default();
    let mut good = Fleet::default();
    for turn in 0..4_u32 {
        let at = noon() + TimeDelta::seconds(i64::from(turn) * 60);
        let mut up = silent("a/b/c");
        up.state.run = Some(RunId::from_random_bits(u128::from(turn)));
        up.state.failures = turn;
        let mut calm = up.clone();
        calm.state.failures = 0;
        bad.apply(step(vec![up]), at);
        good.apply(step(vec![calm]), at);
    }
    assert_eq!(trouble(&bad, "a/b/c"), Some(Trouble::Flapping));
    assert_eq!(trouble(&good, "a/b/c"), None);
    bad.judge(noon() + TimeDelta::minutes(15));
    assert_eq!(trouble(&bad, "a/b/c"), None);
}

#[test]
fn the_end_is_told_by_the_app_then_guessed_from_the_rate() {
    let mut fleet = Fleet::default();
    let path = "a/b/c".parse().unwrap();
    let at = |second: i64| noon() + TimeDelta::seconds(second);
    let report = |solved: u64, second: i64| {
        let mut row = running("a/b/c", 5, solved, 1000);
        row.progress.failed = 0;
        row.state.last_run = Some(noon());
        row.progress.eta = Some(at(second + 60));
        row
    };
    for second in 1..=120 {
        let solved = u64::try_from(second).unwrap();
        fleet.apply(step(vec![report(solved, second)]), at(second));
    }
    let row = fleet.get(&path).unwrap();
    assert_eq!(pulse::eta(row, at(121)), Some(Eta::Told(TimeDelta::seconds(59))));
    // One a second, 880 to go.
    let Some(Eta::Guessed(left)) = pulse::eta(row, at(123)) else { panic!("{:?}", pulse::eta(row, at(123))) };
    assert!((850..950).contains(&left.num_seconds()), "{left}");
    assert!((0.9..1.1).contains(&row.pulse.rate(at(123)).unwrap()));
    // It goes five times as fast now: both are shown.
    for second in 121..=180_i64 {
        let solved = u64::try_from(120 + (second - 120) * 5).unwrap();
        fleet.apply(step(vec![report(solved, second)]), at(second));
    }
    let row = fleet.get(&path).unwrap();
    let Some(Eta::Between(least, most)) = pulse::eta(row, at(183)) else { panic!() };
    assert!(least < most);
    // It fades when nothing comes.
    assert_eq!(row.pulse.rate(at(3000)), Some(0.0));
    assert_eq!(pulse::eta(row, at(3000)), Some(Eta::Never));
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
    assert!(!matches!(pulse::eta(fleet.get(&path).unwrap(), noon()), Some(Eta::Usual(_))));
    fleet.learn(id, Usual::Takes(TimeDelta::minutes(22)));
    assert_eq!(
        pulse::eta(fleet.get(&path).unwrap(), noon()),
        Some(Eta::Usual(TimeDelta::minutes(9))),
        "30 of 2000 are done"
    );
    fleet.apply(step(vec![running("a/b/c", 2, 29, 2000)]), noon());
    let row = fleet.get(&path).unwrap();
    assert_eq!(row.usual, Usual::Takes(TimeDelta::minutes(22)), "it is remembered");
    assert!(!matches!(pulse::eta(row, noon()), Some(Eta::Usual(_))), "40 of 2000 are 2 %");
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
