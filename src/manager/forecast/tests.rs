use std::time::Duration;

use chrono::DurationRound as _;

use super::*;
use crate::model::{App, Minutes, Planned, parse_timestamp};

const MIDNIGHT: &str = "2026-06-10T00:00:00Z";

fn at(text: &str) -> Timestamp {
    parse_timestamp(text).unwrap()
}

fn row(path: &str, cron: &str) -> AppRow {
    let mut app = App::new(path.parse().unwrap());
    app.schedule.cron = (!cron.is_empty()).then(|| cron.parse().unwrap());
    AppRow::new(app, 1)
}

fn of_interval(path: &str, minutes: f64, next_run: Option<&str>) -> AppRow {
    let mut row = row(path, "");
    row.app.schedule.interval = Some(Minutes::new(minutes).unwrap());
    row.next_run = next_run.map(at);
    row.planned = next_run.map(|_| Planned::Pause(Duration::from_secs(60)));
    row
}

fn seconds(took: i64) -> Vec<TimeDelta> {
    vec![TimeDelta::seconds(took)]
}

fn with(rows: &[(AppRow, i64)]) -> Vec<Expected<'_>> {
    rows.iter().map(|(row, took)| Expected::new(row, seconds(*took), Some("one"))).collect()
}

fn foresee(rows: &[(AppRow, i64)], now: &str) -> Forecast {
    Outlook::new(&with(rows), at(now)).forecast(&Bounds::default())
}

/// The slots with something in them, as `from-to` of the clock of a zone, one for each time in a row.
fn busy(forecast: &Forecast, zone: chrono_tz::Tz) -> Vec<String> {
    let mut found: Vec<(usize, usize, u32)> = Vec::new();
    for (slot, load) in forecast.slots.iter().enumerate().filter(|(_, load)| **load > 0) {
        match found.last_mut() {
            Some((_, last, same)) if *last + 1 == slot && same == load => *last = slot,
            _ => found.push((slot, slot, *load)),
        }
    }
    let clock = |slot| forecast.time_of(slot).with_timezone(&zone).format("%H:%M%:::z").to_string();
    let show =
        |(first, last, load): &(usize, usize, u32)| format!("{}-{} {load}", clock(*first), clock(*last));
    found.iter().map(show).collect()
}

#[test]
fn runs_are_counted_from_their_beginning_to_their_usual_end() {
    for (cron, took, expected) in [
        ("0 2 * * *", 180, vec!["02:00+00-02:02+00 1"]),
        // Also a run of no time is one.
        ("0 2 * * *", 0, vec!["02:00+00-02:00+00 1"]),
        // Over midnight, at the end of the time ahead, and beyond it.
        ("59 23 * * *", 600, vec!["23:59+00-23:59+00 1"]),
        // The runs of an app do not overlap: every second hour is passed over.
        ("0 1-4 * * *", 5400, vec!["01:00+00-02:29+00 1", "03:00+00-04:29+00 1"]),
        // One that takes a day and more is one all the time.
        ("0 * * * *", 200_000, vec!["01:00+00-23:59+00 1"]),
        ("0 0 1 1 *", 60, vec![]),
    ] {
        let forecast = foresee(&[(row("a/b/c", cron), took)], MIDNIGHT);
        assert_eq!(busy(&forecast, chrono_tz::UTC), expected, "{cron}");
        assert_eq!(forecast.slots.len(), 1440);
    }
}

#[test]
fn what_runs_always_is_one_app_at_any_time_and_no_peak() {
    let mut worker = row("a/b/worker", "");
    worker.app.schedule.always = true;
    let mut stopped = worker.clone();
    stopped.state.stopped_by = Some("ana".to_owned());
    let apps = [&worker, &stopped].map(|row| Expected::new(row, Vec::new(), None));
    let forecast = Outlook::new(&apps, at(MIDNIGHT)).forecast(&Bounds::default());
    assert_eq!(busy(&forecast, chrono_tz::UTC), ["00:00+00-23:59+00 1"]);
    assert_eq!((forecast.apps, forecast.unknown.len(), forecast.peaks.len()), (1, 0, 0));
}

#[test]
fn the_day_of_a_change_of_clocks_has_the_times_that_the_schedule_gives_it() {
    let zagreb = chrono_tz::Europe::Zagreb;
    for (cron, now, expected) in [
        // 02:00+01 becomes 03:00+02.
        ("30 2 * * *", "2026-03-28T23:00:00Z", vec!["03:00+02-03:00+02 1"]),
        (
            "30 1-3 * * *",
            "2026-03-28T23:00:00Z",
            vec!["01:30+01-01:30+01 1", "03:00+02-03:00+02 1", "03:30+02-03:30+02 1"],
        ),
        // 03:00+02 becomes 02:00+01.
        ("30 2 * * *", "2026-10-24T22:00:00Z", vec!["02:30+02-02:30+02 1"]),
        (
            "15 0-3 * * *",
            "2026-10-24T22:00:00Z",
            vec!["00:15+02-00:15+02 1", "01:15+02-01:15+02 1", "02:15+02-02:15+02 1", "03:15+01-03:15+01 1"],
        ),
    ] {
        let mut row = row("a/b/c", cron);
        row.app.schedule.time_zone = zagreb;
        assert_eq!(busy(&foresee(&[(row, 60)], now), zagreb), expected, "{cron} from {now}");
    }
    let mut hourly = row("a/b/c", "30 * * * *");
    hourly.app.schedule.time_zone = zagreb;
    for now in ["2026-03-28T23:00:00Z", "2026-10-24T22:00:00Z"] {
        assert_eq!(busy(&foresee(&[(hourly.clone(), 60)], now), zagreb).len(), 24, "24 hours are 24 hours");
    }
}

#[test]
fn jitter_puts_off_each_time_and_a_time_on_record_counts() {
    let mut app = row("a/b/c", "0 2 * * *");
    app.app.schedule.jitter = Duration::from_secs(3600);
    let by = crate::manager::schedule::jitter(&app.app.schedule, app.app.id);
    let forecast = foresee(&[(app.clone(), 60)], MIDNIGHT);
    let minute = |time: Timestamp| time.duration_trunc(SLOT).unwrap();
    assert_eq!(forecast.highest(), Some((minute(at("2026-06-10T02:00:00Z") + by), 1)));
    // A time of yesterday evening that is put off into the time ahead.
    app.app.schedule.cron = Some("59 23 * * *".parse().unwrap());
    let late = minute(at("2026-06-09T23:59:00Z") + by);
    assert!(late >= at(MIDNIGHT), "the key of this app gives it more than a minute: {by}");
    assert_eq!(foresee(&[(app, 60)], MIDNIGHT).highest(), Some((late, 1)));
    // What an app asked for comes first, and one that is due already comes at once.
    let mut asked = row("a/b/c", "0 2,3 * * *");
    (asked.next_run, asked.planned) = (Some(at("2026-06-10T02:30:00Z")), Some(Planned::Asked));
    let forecast = foresee(&[(asked.clone(), 60)], MIDNIGHT);
    assert_eq!(busy(&forecast, chrono_tz::UTC), ["02:30+00-02:30+00 1", "03:00+00-03:00+00 1"]);
    asked.next_run = Some(at("2026-06-09T22:00:00Z"));
    assert_eq!(busy(&foresee(&[(asked, 60)], MIDNIGHT), chrono_tz::UTC)[0], "00:00+00-00:00+00 1");
}

#[test]
fn an_interval_counts_from_the_end_of_a_run_and_a_short_one_is_a_share() {
    let forecast = foresee(&[(of_interval("a/b/c", 660.0, Some("2026-06-10T01:00:00Z")), 3600)], MIDNIGHT);
    assert_eq!(busy(&forecast, chrono_tz::UTC), ["01:00+00-01:59+00 1", "13:00+00-13:59+00 1"]);
    // A minute after each run of a minute: half of them run at any time.
    let many: Vec<_> =
        (0..100).map(|n| (of_interval(&format!("a/b/c{n}"), 0.9, Some(MIDNIGHT)), 54)).collect();
    let forecast = foresee(&many, MIDNIGHT);
    assert_eq!(forecast.slots, vec![50; 1440]);
    assert!((forecast.mean - 50.0).abs() < 0.01 && forecast.peaks.is_empty(), "{forecast:?}");
    // An app that no manager has looked at yet runs at moments that are not known.
    let new: Vec<_> = (0..100).map(|n| (of_interval(&format!("a/b/c{n}"), 30.0, None), 1800)).collect();
    assert_eq!(foresee(&new, MIDNIGHT).slots, vec![50; 1440]);
    // A calendar of every 10 s with runs of 5 s is a share too.
    let many: Vec<_> = (0..100).map(|n| (row(&format!("a/b/c{n}"), "*/10 * * * * *"), 5)).collect();
    assert_eq!(foresee(&many, MIDNIGHT).slots, vec![50; 1440]);
}

#[test]
fn a_run_that_is_under_way_goes_on_for_its_usual_time() {
    let mut app = of_interval("a/b/c", 600.0, None);
    app.state.status = RunStatus::Running;
    app.state.last_run = Some(at("2026-06-09T23:30:00Z"));
    let busy_of = |row: &AppRow| busy(&foresee(&[(row.clone(), 3600)], MIDNIGHT), chrono_tz::UTC);
    assert_eq!(busy_of(&app), ["00:00+00-00:29+00 1", "10:30+00-11:29+00 1", "21:30+00-22:29+00 1"]);
    app.progress.eta = Some(at("2026-06-10T01:00:00Z"));
    assert_eq!(busy_of(&app)[0], "00:00+00-00:59+00 1");
    // Longer than usual: it may end at any time. When it is disabled, nothing follows.
    app.progress.eta = None;
    app.state.last_run = Some(at("2026-06-09T20:00:00Z"));
    app.app.disabled = true;
    assert_eq!(busy_of(&app), ["00:00+00-00:00+00 1"]);
}

#[test]
fn what_is_not_known_is_named_and_what_is_off_is_not() {
    let mut off = row("a/b/off", "0 2 * * *");
    off.app.disabled = true;
    let rows = [off, row("a/b/new", "0 2 * * *"), row("a/b/command", "")];
    let expected: Vec<_> = rows.iter().map(|row| Expected::new(row, Vec::new(), None)).collect();
    let forecast = Outlook::new(&expected, at(MIDNIGHT)).forecast(&Bounds::default());
    assert_eq!((forecast.apps, forecast.highest()), (1, None));
    assert_eq!(forecast.unknown, ["a/b/new".parse().unwrap()]);
}

#[test]
fn the_usual_length_is_the_median_up_to_the_longest_that_is_allowed() {
    let mut app = row("a/b/c", "0 2 * * *");
    let lengths = [3, 600, 2, 4, 1].map(TimeDelta::seconds).to_vec();
    assert_eq!(Expected::new(&app, lengths.clone(), None).took, Some(TimeDelta::seconds(3)));
    app.app.policy.max_runtime = Some(Duration::from_secs(2));
    assert_eq!(Expected::new(&app, lengths, None).took, Some(TimeDelta::seconds(2)));
    assert_eq!(Expected::new(&app, Vec::new(), None).took, None);
}

/// 60 apps of croatia and 40 of italy at two in the morning, and one through the day.
fn night() -> Vec<(AppRow, i64)> {
    let apps =
        (0..60).map(|n| format!("croatia/p{}/a{n}", n % 2)).chain((0..40).map(|n| format!("italy/p/a{n}")));
    let mut rows: Vec<_> = apps.map(|path| (row(&path, "0 2 * * *"), 60)).collect();
    rows.push((row("spain/p/long", "30 0 * * *"), 7200));
    rows
}

#[test]
fn peaks_say_which_groups_they_are_made_of_and_which_limits_they_exceed() {
    let rows = night();
    let part = |name: &str| Part::new(name).unwrap();
    let mut bounds = Bounds { managers: BTreeMap::from([("one".to_owned(), 50)]), ..Bounds::default() };
    bounds.limits.groups.insert(part("croatia"), 60);
    bounds.limits.parents.insert((part("croatia"), part("p1")), 29);
    let expected = with(&rows);
    let forecast = Outlook::new(&expected, at(MIDNIGHT)).forecast(&bounds);
    let two = at("2026-06-10T02:00:00Z");
    let [peak] = forecast.peaks.as_slice() else { panic!("{:?}", forecast.peaks) };
    assert_eq!((peak.at, peak.at_once, peak.begins, peak.beginning.len()), (two, 101, two, 100));
    assert_eq!(peak.groups, [(part("croatia"), 60), (part("italy"), 40), (part("spain"), 1)]);
    assert_eq!(forecast.limit, Some(50));
    let over: Vec<_> =
        forecast.exceeded.iter().map(|over| (&over.place, over.highest, over.at, over.slots)).collect();
    let (manager, parent) = (Place::Manager("one".to_owned()), Place::Parent(part("croatia"), part("p1")));
    assert_eq!(over, [(&manager, 101, two, 1), (&parent, 30, two, 1)]);
}

#[test]
fn a_proposal_names_what_it_moves_and_the_peak_that_is_left() {
    let rows = night();
    let expected = with(&rows);
    let mut outlook = Outlook::new(&expected, at(MIDNIGHT));
    let forecast = outlook.forecast(&Bounds::default());
    let found = proposals(&mut outlook, &forecast, true);
    let [proposal] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(proposal.groups, [Part::new("croatia").unwrap(), Part::new("italy").unwrap()]);
    assert_eq!((proposal.before, proposal.beginning), (101, 100));
    assert!((10..30).contains(&proposal.after), "{proposal:?}");
    // What is proposed is what comes of it.
    let moves = spread(
        rows.iter().map(|(row, _)| row).filter(|row| row.app.path.group.as_str() != "spain"),
        proposal.within,
        at(MIDNIGHT),
    )
    .moves;
    assert_eq!((moves.len(), proposal.moved), (proposal.moved_in_all, moves.len()));
    assert_eq!(outlook.highest_with(&moves).map(|(_, apps)| apps), Some(proposal.after));
    let moved: Vec<_> = rows
        .iter()
        .map(|(row, took)| {
            let moved = moves.iter().find(|moved| moved.app == row.app.id);
            (moved.map_or_else(|| row.clone(), |moved| moved.apply(row)), *took)
        })
        .collect();
    assert_eq!(foresee(&moved, MIDNIGHT).highest().map(|(_, apps)| apps), Some(proposal.after));
    // With a selector all that it means is spread.
    let found = proposals(&mut outlook, &forecast, false);
    assert!(found.len() == 1 && found[0].groups.is_empty(), "{found:?}");
}

#[test]
fn a_spread_moves_the_minute_by_the_key_and_names_what_it_leaves() {
    let now = at(MIDNIGHT);
    let mut running = of_interval("a/b/running", 60.0, None);
    running.state.status = RunStatus::Running;
    let mut asked = of_interval("a/b/asked", 60.0, Some(MIDNIGHT));
    asked.planned = Some(Planned::Asked);
    let mut off = of_interval("a/b/off", 60.0, None);
    off.app.disabled = true;
    let rows = [
        row("a/b/list", "0,30 2 * * *"),
        row("a/b/end", "59 2 * * *"),
        running,
        asked,
        off,
        of_interval("a/b/new", 60.0, None),
        row("a/b/command", ""),
    ];
    let left = spread(&rows, 10, now).left;
    let reasons = [
        Left::Minute,
        Left::NoRoom,
        Left::Running,
        Left::Asked,
        Left::Suspended,
        Left::NoTime,
        Left::OnCommand,
    ];
    assert_eq!(left, reasons.into_iter().enumerate().collect::<Vec<_>>());
    let many: Vec<_> = (0..200).map(|n| row(&format!("a/b/c{n}"), "0 2,14 * * MON-FRI")).collect();
    let spread_out = spread(&many, 10, now);
    assert_eq!(spread_out, spread(&many, 10, now), "the same each time");
    let mut minutes = BTreeMap::<String, usize>::new();
    for moved in &spread_out.moves {
        let Moved::Cron { before, after } = &moved.what else { panic!("{moved:?}") };
        let (minute, rest) = after.as_str().split_once(' ').unwrap();
        assert_eq!((before.as_str(), rest), ("0 2,14 * * MON-FRI", "2,14 * * MON-FRI"));
        *minutes.entry(minute.to_owned()).or_default() += 1;
    }
    assert_eq!(minutes.len(), 10, "1 to 10; the others stay at 0: {minutes:?}");
    assert!(minutes.values().all(|count| (5..40).contains(count)), "{minutes:?}");
}

#[test]
fn intervals_get_even_shares_of_the_time() {
    let now = at(MIDNIGHT);
    let rows: Vec<_> = (0..10).map(|n| of_interval(&format!("a/b/c{n}"), 60.0, Some(MIDNIGHT))).collect();
    let moves = spread(&rows, 20, now).moves;
    let mut later: Vec<_> = moves
        .iter()
        .map(|moved| match moved.what {
            Moved::NextRun { after, .. } => (after - now).num_minutes(),
            Moved::Cron { .. } => panic!("{moved:?}"),
        })
        .collect();
    later.sort_unstable();
    assert_eq!(later, [2, 4, 6, 8, 10, 12, 14, 16, 18], "the first stays");
    // No one waits for longer than its interval.
    let rows: Vec<_> = (0..10).map(|n| of_interval(&format!("a/b/c{n}"), 5.0, Some(MIDNIGHT))).collect();
    let latest = spread(&rows, 1440, now).moves.into_iter().map(|moved| moved.apply(&rows[0]).next_run).max();
    assert_eq!(latest, Some(Some(now + TimeDelta::seconds(270))));
}

#[test]
fn a_large_fleet_takes_no_more_than_its_starts() {
    let mut rows: Vec<_> =
        (0..10_000).map(|n| (of_interval(&format!("a/b/c{n}"), 1.0, Some(MIDNIGHT)), 5)).collect();
    rows.extend((0..1000).map(|n| (row(&format!("a/b/d{n}"), "* * * * * *"), 1)));
    let forecast = foresee(&rows, MIDNIGHT);
    assert!((1760..1780).contains(&forecast.slots[0]), "{}", forecast.slots[0]);
}
