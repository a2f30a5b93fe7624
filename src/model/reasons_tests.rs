use chrono::TimeDelta;

use super::*;
use crate::model::{
    App, AppState, Concern, Conclusion, Fatal, Fault, Minutes, Movement, OnFailures, Schedule,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn row(change: impl FnOnce(&mut AppRow)) -> AppRow {
    let mut row = AppRow::new(App::new("a/b/c".parse().unwrap()), 1);
    change(&mut row);
    row
}

fn running(change: impl FnOnce(&mut AppRow)) -> AppRow {
    row(|row| {
        row.state = AppState {
            status: RunStatus::Running,
            manager: Some("zg".to_owned()),
            last_run: Some(at(0)),
            pid: Some(7),
            ..AppState::default()
        };
        change(row);
    })
}

fn flag(row: &mut AppRow, flag: FatalFlag) {
    row.state.failures = 3;
    let (cause, message) = (Anomaly::Failures.into(), "exit 1".to_owned());
    row.state.fatal = Some(Box::new(Fatal { flag, cause, message, time: at(0) }));
}

fn set_aside(row: &mut AppRow) {
    let fault = Fault { names: Default::default(), columns: Vec::new(), message: "interval".to_owned() };
    row.fault = Some(Box::new(fault));
}

fn stall(row: &mut AppRow) {
    row.movement = Some(Box::new(Movement { last: at(10), usual_pause: None }));
    let conclusion = Conclusion { concern: Concern::Stalled.into(), since: at(0) };
    row.state.concern = Some(Box::new(conclusion));
}

#[test]
fn what_runs_always_is_explained_by_that() {
    let always = |row: AppRow| AppRow { app: App { schedule: always(), ..row.app.clone() }, ..row };
    let (state, said) = sentences(&always(running(|_| {})), &[], Keeper::Live);
    let lives = "it has been running for 1m40s (pid 7)";
    assert_eq!(
        (state, said),
        (State::Running, vec![lives.into(), "it is started again whenever it ends".into()])
    );
    let rests = always(row(|row| {
        row.state.failures = 6;
        row.next_run = Some(at(108));
        row.planned = Some(Planned::Pause(Duration::from_secs(16)));
    }));
    let (state, said) = sentences(&rests, &[], Keeper::Live);
    let next =
        "it is started again whenever it ends; the next start is in 8.0s (00:01:48), after a back-off of 16s";
    assert_eq!(
        (state, said),
        (State::Failed, vec!["6 failures in a row; it goes on".into(), next.to_owned()])
    );
    // It is never late, however long nobody has started it.
    let waits = AppRow { next_run: Some(at(-9000)), planned: None, ..always(row(|_| {})) };
    let (state, said) = sentences(&waits, &[], Keeper::Live);
    assert_eq!(state, State::Idle);
    assert_eq!(said, ["it is started again whenever it ends; it is to be started now"]);
}

fn always() -> Schedule {
    Schedule { always: true, ..Schedule::default() }
}

/// The managers that are known: only another one lives.
fn others() -> [ManagerRow; 1] {
    [ManagerRow { name: "st".to_owned(), heartbeat: at(100), ..ManagerRow::default() }]
}

/// The reasons for a row at 100 seconds.
fn sentences(row: &AppRow, managers: &[ManagerRow], keeper: Keeper<'_>) -> (State, Vec<String>) {
    let now = at(100);
    let state = State::of(row, managers, now);
    let reasons = reasons(&Facts::of(row, state, row.next_run, keeper));
    let first = reasons.iter().find_map(Because::state);
    assert_eq!(first, Some(state), "{reasons:?}");
    let clock = |time: Timestamp, _| time.format("%H:%M:%S").to_string();
    let phrasing = Phrasing { now, clock, shell: Some(&row.app.path) };
    (state, reasons.iter().map(|because| because.sentence(&phrasing)).collect())
}

/// A row, the state that it is in, and what is said of it.
type Case = (AppRow, State, &'static [&'static str]);

/// Rows that need a person.
fn troubled() -> Vec<Case> {
    vec![
        (
            row(set_aside),
            State::SetAside,
            &["its row is set aside, so it is not started: interval; dcm app set a/b/c sets it right, \
               dcm app remove a/b/c deletes it"],
        ),
        (
            row(|row| flag(row, FatalFlag::FailedToStart)),
            State::Fatal,
            &["it is fatal (FAILED_TO_START) since 00:00:00: exit 1; mend the cause, then dcm enable a/b/c"],
        ),
        (
            row(|row| {
                row.app.policy.on_failures = OnFailures::GiveUp;
                row.app.disabled = true;
                flag(row, FatalFlag::UnexpectedBehavior);
            }),
            State::GivenUp,
            &[
                "it is given up (UNEXPECTED_BEHAVIOR) since 00:00:00: exit 1; mend the cause, then dcm enable a/b/c",
                "it is disabled; dcm enable a/b/c lets it run",
            ],
        ),
        (running(stall), State::Stalled, &["no progress for 1m30s", "it has been running for 1m40s (pid 7)"]),
        (
            row(|row| {
                row.next_run = Some(at(10));
                row.state.failures = 1;
            }),
            State::Late,
            &[
                "it was due 1m30s ago (00:00:10) and has not started",
                "its last finished run failed; it goes on",
            ],
        ),
        (
            row(|row| {
                flag(row, FatalFlag::UnexpectedBehavior);
                row.state.status = RunStatus::Stopped;
                row.next_run = Some(at(160));
            }),
            State::Failed,
            &[
                "it keeps failing (UNEXPECTED_BEHAVIOR) since 00:00:00: exit 1; it goes on, and the first good run \
                 clears that",
                "its last run crashed; it is started again after a pause",
                "it is due in 1m00s (00:02:40)",
            ],
        ),
        (
            row(|row| {
                let conclusion = Conclusion { concern: Concern::Flapping.into(), since: at(60) };
                row.state.concern = Some(Box::new(conclusion));
                row.state.failures = 3;
            }),
            State::Failed,
            &[
                "its runs end badly again and again (3 within 10m00s) since 00:01:00",
                "3 failures in a row; it goes on",
                "it has no schedule and runs on command only; dcm start a/b/c runs it",
            ],
        ),
    ]
}

/// Rows that do not.
fn calm() -> Vec<Case> {
    vec![
        (
            row(|row| row.state.stopped_by = Some("ana".to_owned())),
            State::Stopped,
            &["ana stopped it; it stays stopped until dcm start, restart or enable a/b/c"],
        ),
        (
            row(|row| {
                row.state.status = RunStatus::Stopped;
                row.next_run = Some(at(95));
            }),
            State::Stopped,
            &[
                "its last run was ended from outside; it is started again after a pause",
                "it was due 5.0s ago (00:01:35)",
            ],
        ),
        (
            row(|row| {
                row.state.waiting_for = Some("all 1".to_owned());
                row.next_run = Some(at(10));
            }),
            State::Waiting,
            &["it is due and waits for room (all 1)"],
        ),
        (
            running(|row| row.app.disabled = true),
            State::Running,
            &["it has been running for 1m40s (pid 7)", "it is disabled; dcm enable a/b/c lets it run"],
        ),
        (
            row(|row| row.app.schedule.interval = Some(Minutes::new(5.0).unwrap())),
            State::Idle,
            &["its schedule has no next time yet; a manager sets it"],
        ),
        (row(|_| ()), State::Idle, &["it has no schedule and runs on command only; dcm start a/b/c runs it"]),
        (
            row(|row| row.app.disabled = true),
            State::Disabled,
            &["it is disabled; dcm enable a/b/c lets it run"],
        ),
    ]
}

#[test]
fn the_first_reason_is_that_of_the_state_and_each_state_has_one() {
    let mut seen = Vec::new();
    for (row, expected, said) in troubled().into_iter().chain(calm()) {
        let (state, sentences) = sentences(&row, &[], Keeper::Live);
        assert_eq!((state, sentences), (expected, said.iter().map(ToString::to_string).collect()));
        seen.push(state);
    }
    // Of what runs nothing is known without its manager; that has a test of its own.
    let missing: Vec<_> =
        State::ALL.iter().filter(|state| **state != State::Unknown && !seen.contains(state)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_manager_that_is_gone_is_the_first_reason_of_all_its_apps() {
    let gone = ManagerRow { name: "zg".to_owned(), host: "pluto".to_owned(), ..ManagerRow::default() };
    let managers = [gone.clone(), others()[0].clone()];
    let ended = ManagerRow { stopped: Some(at(5)), ..gone.clone() };
    let lost = |row, failover| Keeper::Lost(Lost { name: Some("zg"), row, failover });
    let (state, said) = sentences(&running(|_| ()), &managers, lost(Some(&gone), Failover::Manual));
    assert_eq!(state, State::Unknown);
    assert_eq!(
        said,
        [
            "it is not known whether it runs: its manager zg on pluto gave its last sign of life 1m40s ago; until it is \
             back, or others take the app over (failover: manual), nothing is started or stopped",
            "it has been running for 1m40s (pid 7)"
        ]
    );
    let idle = row(|row| row.app.disabled = true);
    let (state, said) = sentences(&idle, &managers, lost(Some(&ended), Failover::Never));
    assert_eq!(state, State::Disabled);
    assert_eq!(said[0], "its manager zg on pluto has ended; until it is back nothing is started or stopped");
    // The row of the manager was removed, and nothing was said of it.
    for keeper in [lost(None, Failover::Never), Keeper::Live] {
        let (state, said) = sentences(&running(|_| ()), &others(), keeper);
        assert_eq!(state, State::Unknown);
        assert!(said[0].ends_with("until it is back nothing is started or stopped"), "{said:?}");
    }
    let (state, said) = sentences(&row(|_| ()), &others(), Keeper::Missing(None));
    assert_eq!((state, said[0].as_str()), (State::Idle, "it has no manager: none that lives serves apps"));
}

#[test]
fn the_console_names_commands_without_a_shell() {
    let clock = |_, _| String::new();
    let phrasing = Phrasing { now: at(0), clock, shell: None };
    for (because, expected) in [
        (Because::Disabled, "it is disabled; enable lets it run"),
        (Because::StoppedBy("ana"), "ana stopped it; it stays stopped until start, restart or enable"),
        (
            Because::SetAside("interval"),
            "its row is set aside, so it is not started: interval; dcm app set sets it right, dcm app remove deletes it",
        ),
    ] {
        assert_eq!(because.sentence(&phrasing), expected);
    }
}

#[test]
fn what_the_manager_said_stands_apart_from_the_reason_and_a_brief_one_has_no_times() {
    let clock = |_, _| "12:00".to_owned();
    let phrasing = Phrasing { now: at(100), clock, shell: None };
    let failing = row(|row| {
        flag(row, FatalFlag::UnexpectedBehavior);
        row.state.waiting_for = Some("all 1".to_owned());
        row.next_run = Some(at(200));
    });
    let found = reasons(&Facts::of(&failing, State::of_row(&failing), failing.next_run, Keeper::Live));
    assert_eq!(
        summary(&found, &phrasing).as_deref(),
        Some("it is due and waits for room (all 1); it keeps failing (UNEXPECTED_BEHAVIOR) since 12:00")
    );
    assert_eq!(found.iter().find_map(Because::message), Some("exit 1"));
    assert_eq!(found[1].brief(), "UNEXPECTED_BEHAVIOR: exit 1");
    let idle = row(|row| row.next_run = Some(at(200)));
    let found = reasons(&Facts::of(&idle, State::Idle, idle.next_run, Keeper::Live));
    assert_eq!((found.len(), summary(&found, &phrasing)), (1, None));
}
