use super::*;
use crate::model::{Policy, Schedule, parse_timestamp};

fn at(text: &str) -> Timestamp {
    let text = if text.len() > 12 { text.to_owned() } else { format!("2026-11-23T{text}Z") };
    parse_timestamp(&text).unwrap()
}

fn app(schedule: Schedule) -> App {
    App { schedule, ..App::new("a/b/c".parse().unwrap()) }
}

fn calendar(cron: &str) -> App {
    app(Schedule { cron: Some(cron.parse().unwrap()), ..Schedule::default() })
}

fn hourly() -> App {
    calendar("0 * * * *")
}

fn daily() -> App {
    calendar("30 12 * * *")
}

fn catching_up(app: App, catch_up: CatchUp) -> App {
    App { policy: Policy { catch_up, ..app.policy.clone() }, ..app }
}

fn begun(app: &App, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    plan.begin(&mut Account::new(app, now), SkipReason::Rescheduled);
    plan
}

fn over(ended: &str) -> Over {
    Over { ended: at(ended), asked: None }
}

fn seen(skips: &[Skip]) -> Vec<(Timestamp, Timestamp, SkipReason)> {
    skips.iter().map(|skip| (skip.first, skip.last, skip.reason)).collect()
}

#[test]
fn fixed_times_are_not_repeated_by_a_small_step_back_and_begin_anew_after_a_large_one() {
    let app = daily();
    let mut plan = begun(&app, at("11:30:00"));
    let mut account = Account::new(&app, at("12:30:00"));
    assert!(matches!(plan.take(&mut account), Due::Run { .. }));
    assert_eq!(account.skips, []);
    plan.shift(&app, TimeDelta::hours(-2), at("10:30:01"));
    assert_eq!(plan.wake(), Some(at("2026-11-24T12:30:00Z")));
    plan.shift(&app, TimeDelta::hours(-4), at("06:30:01"));
    assert_eq!(plan.wake(), Some(at("12:30:00")));
}

#[test]
fn what_runs_each_hour_or_more_often_goes_by_the_new_time_at_once() {
    for (cron, expected) in
        [("0 * * * *", "11:00:00"), ("*/10 * * * * *", "10:00:10"), ("*/10 9-17 * * *", "10:10:00")]
    {
        let app = calendar(cron);
        let mut plan = begun(&app, at("11:59:59"));
        let mut account = Account::new(&app, at("12:00:00"));
        assert!(matches!(plan.take(&mut account), Due::Run { .. }), "{cron}");
        plan.shift(&app, TimeDelta::hours(-2), at("10:00:01"));
        assert_eq!(plan.wake(), Some(at(expected)), "{cron}");
        // Also where no manager was there when the clock was put right.
        let row = begun(&app, at("12:00:00")).shown(&app, None);
        assert_eq!(Plan::restored(&app, row, None, at("10:00:01")).wake(), Some(at(expected)), "{cron}");
    }
}

#[test]
fn a_correction_of_seconds_repeats_nothing() {
    let app = calendar("*/10 * * * * *");
    let mut plan = begun(&app, at("12:00:00"));
    plan.shift(&app, TimeDelta::seconds(-15), at("11:59:45"));
    assert_eq!(plan.wake(), Some(at("12:00:10")));
}

#[test]
fn a_calendar_of_rare_times_keeps_them_over_a_step_back() {
    let app = calendar("0 0 1 1 *");
    let mut plan = begun(&app, at("2026-11-23T12:00:00Z"));
    plan.shift(&app, TimeDelta::days(-30), at("2026-10-24T12:00:00Z"));
    assert_eq!(plan.wake(), Some(at("2027-01-01T00:00:00Z")));
}

/// What a manager makes of a row in which times of a calendar passed: when it wakes first, what runs then,
/// and what is skipped.
#[track_caller]
fn restored(
    next_run: Option<(&str, Planned)>,
    slot: &str,
    now: &str,
    skipped: &[(&str, &str, SkipReason)],
) -> Option<Due> {
    let (app, now) = (hourly(), at(now));
    let times = Times {
        next_run: next_run.map(|(time, _)| at(time)),
        planned: next_run.map(|(_, what)| what),
        slot: Some(at(slot)),
    };
    let mut plan = Plan::restored(&app, times, None, now);
    let mut account = Account::new(&app, now);
    let due = plan.wake().map(|wake| {
        account.now = wake.max(now);
        plan.take(&mut account)
    });
    let skipped: Vec<_> =
        skipped.iter().map(|(first, last, reason)| (at(first), at(last), *reason)).collect();
    assert_eq!(seen(&account.skips), skipped);
    due
}

#[test]
fn a_manager_that_takes_an_app_up_knows_which_times_of_its_calendar_are_open() {
    let run = |due, trigger| Some(Due::Run { due: at(due), trigger });
    let pause = Planned::Pause(Duration::from_secs(1800));
    // A pause goes on over 10:00; it may end at a time of the calendar by chance.
    assert_eq!(
        restored(
            Some(("10:00:30", pause)),
            "10:00:00",
            "09:50:00",
            &[("10:00:00", "10:00:00", SkipReason::Retry)]
        ),
        run("10:00:30", Trigger::Schedule)
    );
    assert_eq!(
        restored(
            Some(("11:00:00", Planned::Asked)),
            "09:00:00",
            "08:50:00",
            &[("09:00:00", "10:00:00", SkipReason::Superseded)]
        ),
        run("11:00:00", Trigger::Schedule)
    );
    // A time that is accounted for may be asked for again.
    assert_eq!(
        restored(Some(("09:00:00", Planned::Asked)), "10:00:00", "09:00:20", &[]),
        run("09:00:00", Trigger::Schedule)
    );
    // Times passed while no manager was there.
    assert_eq!(
        restored(
            Some(("09:00:00", Planned::Calendar)),
            "09:00:00",
            "11:30:00",
            &[("09:00:00", "10:00:00", SkipReason::Missed)]
        ),
        run("11:00:00", Trigger::CatchUp)
    );
    // A time that was asked for came between them: what came before it was given up for it.
    assert_eq!(
        restored(
            Some(("09:30:00", Planned::Asked)),
            "09:00:00",
            "11:30:00",
            &[
                ("09:00:00", "09:00:00", SkipReason::Superseded),
                ("09:30:00", "09:30:00", SkipReason::Missed),
                ("10:00:00", "10:00:00", SkipReason::Missed)
            ]
        ),
        run("11:00:00", Trigger::CatchUp)
    );
    // A command decides what is next.
    assert_eq!(restored(None, "09:00:00", "11:30:00", &[]), None);
}

#[test]
fn a_calendar_that_was_changed_meanwhile_begins_with_what_is_to_come() {
    let now = at("11:30:00");
    let times = Times {
        next_run: Some(at("12:15:00")),
        planned: Some(Planned::Calendar),
        slot: Some(at("09:15:00")),
    };
    let plan = Plan::restored(&hourly(), times, None, now);
    assert_eq!(plan.shown(&hourly(), None).slot, Some(at("12:00:00")));
    assert_eq!(plan.wake(), Some(at("12:00:00")));
}

#[test]
fn a_time_that_the_app_asked_for_stands_whatever_becomes_of_the_clock() {
    let app = hourly();
    let mut plan = begun(&app, at("11:30:00"));
    plan.give(&mut Account::new(&app, at("11:30:00")), Some(at("2026-12-24T18:00:00Z")));
    plan.shift(&app, TimeDelta::days(-1), at("2026-11-22T11:30:00Z"));
    assert_eq!(plan.wake(), Some(at("2026-12-24T18:00:00Z")));
    let restored = Plan::restored(&app, plan.shown(&app, None), None, at("2026-11-20T11:30:00Z"));
    assert_eq!(restored.wake(), Some(at("2026-12-24T18:00:00Z")));
}

#[test]
fn a_clock_that_was_years_ahead_before_the_manager_began_stalls_nothing() {
    let now = at("11:30:00");
    let (last, next) = (at("2036-01-01T00:00:00Z"), at("2036-01-01T01:00:00Z"));
    let times = |planned| Times { next_run: Some(next), planned, slot: None };
    let plan = Plan::restored(&hourly(), times(None), Some(last), now);
    assert_eq!(plan.wake(), Some(at("12:00:00")));
    let interval = app(Schedule { interval: Some("30".parse().unwrap()), ..Schedule::default() });
    let pause = Planned::Pause(Duration::from_secs(1800));
    let plan = Plan::restored(&interval, times(Some(pause)), None, now);
    assert_eq!(plan.wake(), Some(at("12:00:00")));
    // A time far ahead that a person gave is none of this.
    let plan = Plan::restored(&interval, times(Some(Planned::Asked)), Some(at("11:00:00")), now);
    assert_eq!(plan.wake(), Some(next));
    let plan = Plan::restored(&interval, times(Some(Planned::Asked)), Some(last), now);
    assert_eq!(plan.wake(), Some(at("12:00:00")));
}

/// A clock jumps a year ahead in a pause; the manager is killed, and then the clock is put back by four days.
#[test]
fn a_pause_is_not_longer_than_it_was_whatever_becomes_of_the_clock() {
    let app = app(Schedule { interval: Some("5".parse().unwrap()), ..Schedule::default() });
    let mut plan = begun(&app, at("12:00:00"));
    plan.shift(&app, TimeDelta::days(365), at("2027-11-23T12:01:00Z"));
    let row = plan.shown(&app, None);
    let back = at("2027-11-19T12:02:00Z");
    let restored = Plan::restored(&app, row, None, back);
    assert_eq!(restored.wake(), Some(back + TimeDelta::minutes(5)));
    let undisturbed = Plan::restored(&app, row, None, at("2027-11-23T12:04:00Z"));
    assert_eq!(undisturbed.wake(), Some(at("2027-11-23T12:05:00Z")));
}

#[test]
fn times_count_from_a_start_of_a_stopped_app_on() {
    let app = calendar("*/2 * * * * *");
    let mut plan = Plan::default();
    let mut account = Account::new(&app, at("10:00:01"));
    plan.begin_by_command(&mut account);
    assert_eq!((plan.wake(), plan.shown(&app, None).slot), (None, Some(at("10:00:02"))));
    // The run ends well, and nobody sees it for 9 s.
    account.now = at("10:00:15");
    plan.follow_run(over("10:00:06"), Went::Well, &mut account);
    assert_eq!(seen(&account.skips), [(at("10:00:02"), at("10:00:06"), SkipReason::Overlap)]);
    for (catch_up, skipped, runs) in [
        (CatchUp::Latest, Some("10:00:12"), vec!["10:00:14"]),
        (CatchUp::None, Some("10:00:12"), vec!["10:00:14"]),
        (CatchUp::All, None, vec!["10:00:08", "10:00:10", "10:00:12", "10:00:14"]),
    ] {
        let (app, mut plan) = (catching_up(app.clone(), catch_up), plan.clone());
        let mut account = Account::new(&app, at("10:00:15"));
        let mut found = Vec::new();
        while plan.wake().is_some_and(|wake| wake <= account.now) {
            if let Due::Run { due, .. } = plan.take(&mut account) {
                found.push(due);
            }
            plan.follow_run(Over { ended: account.now, asked: None }, Went::Well, &mut account);
        }
        assert_eq!(found, runs.into_iter().map(at).collect::<Vec<_>>(), "{catch_up:?}");
        let skipped: Vec<_> =
            skipped.iter().map(|last| (at("10:00:08"), at(last), SkipReason::Missed)).collect();
        assert_eq!(seen(&account.skips), skipped, "{catch_up:?}");
    }
}

#[test]
fn what_was_missed_before_a_command_is_caught_up_after_it() {
    for (catch_up, skipped, due) in [
        (CatchUp::Latest, Some(("09:00:00", "10:00:00", SkipReason::Missed)), Some("11:00:00")),
        (CatchUp::None, Some(("09:00:00", "11:00:00", SkipReason::Missed)), None),
        (CatchUp::All, None, Some("09:00:00")),
    ] {
        let app = catching_up(hourly(), catch_up);
        let row = begun(&app, at("08:30:00")).shown(&app, None);
        let mut plan = Plan::restored(&app, row, None, at("11:30:00"));
        let mut account = Account::new(&app, at("11:30:00"));
        plan.begin_by_command(&mut account);
        account.now = at("11:31:00");
        plan.follow_run(over("11:31:00"), Went::Well, &mut account);
        let skipped: Vec<_> =
            skipped.iter().map(|(first, last, reason)| (at(first), at(last), *reason)).collect();
        assert_eq!(seen(&account.skips), skipped, "{catch_up:?}");
        assert_eq!(plan.wake(), Some(due.map_or(at("12:00:00"), |_| at("11:31:00"))), "{catch_up:?}");
        let taken = due.map(|due| Due::Run { due: at(due), trigger: Trigger::CatchUp });
        assert_eq!(due.map(|_| plan.take(&mut account)), taken, "{catch_up:?}");
    }
}

#[test]
fn what_a_stop_or_a_fatal_flag_takes_from_a_backlog_is_recorded() {
    let app = catching_up(hourly(), CatchUp::All);
    let row = begun(&app, at("07:30:00")).shown(&app, None);
    let mut plan = Plan::restored(&app, row, None, at("11:30:00"));
    let mut account = Account::new(&app, at("11:30:00"));
    assert_eq!(plan.take(&mut account), Due::Run { due: at("08:00:00"), trigger: Trigger::CatchUp });
    account.now = at("12:10:00");
    plan.follow_stopped_run(over("12:10:00"), &mut account);
    plan.end(&mut account, SkipReason::Stopped);
    assert_eq!(
        seen(&account.skips),
        [
            (at("09:00:00"), at("11:00:00"), SkipReason::Stopped),
            (at("12:00:00"), at("12:00:00"), SkipReason::Stopped)
        ]
    );
    assert_eq!(plan, Plan::default());
}
