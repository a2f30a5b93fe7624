use std::time::Duration;

use chrono::TimeDelta;

use super::host::{Host, worker};
use crate::manager::Event;
use crate::model::explain::State;
use crate::model::{
    CatchUp, CmdName, Concern, Ending, Exit, FatalFlag, Limits, OnFailures, Policy, Report, RunStatus,
    StopCause,
};

const OK: Ending = Ending::Exited(Exit::Code(0));
const FAILED: Ending = Ending::Exited(Exit::Code(3));
const SEGV: Ending = Ending::Exited(Exit::Signal { signal: 11, core: false });

const MINUTE: i64 = 60_000;

#[test]
fn it_starts_with_the_manager_and_again_at_once_whenever_it_ends() {
    let mut host = Host::new(Policy::default());
    for ending in [OK, FAILED, SEGV, OK, OK] {
        assert!(host.is_running());
        assert_eq!((host.row.state.status, host.row.next_run), (RunStatus::Running, None));
        host.end_after(1000, ending);
        assert_eq!(host.pause(), 0);
    }
    assert_eq!((host.failures(), host.skips), (0, 0));
    assert_eq!(host.take_alerts(), [""; 0]);
}

#[test]
fn what_ends_before_it_has_started_is_started_again_with_the_back_off() {
    for ending in [OK, FAILED] {
        let mut host = Host::new(Policy::default());
        let mut pauses = Vec::new();
        for _ in 0..12 {
            host.end_after(999, ending.clone());
            pauses.push(host.pause() / 1000);
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300], "{ending:?}");
        // One that lives for long enough resets the back-off.
        host.end_after(1000, ending.clone());
        assert_eq!(host.pause(), 0);
        host.end_after(999, ending.clone());
        assert_eq!(host.pause(), 0);
        host.end_after(999, ending);
        assert_eq!(host.pause(), 1000);
    }
}

#[test]
fn one_that_may_end_at_once_takes_not_all_of_the_host() {
    let mut host = Host::new(Policy { min_uptime: Duration::ZERO, ..Policy::default() });
    for _ in 0..20 {
        host.end_after(5, OK);
        assert_eq!(host.pause(), 95);
    }
    assert_eq!((host.failures(), host.take_alerts()), (0, Vec::new()));
}

#[test]
fn trouble_is_one_alert_that_is_closed_once_a_run_has_lived_for_long_enough() {
    let mut host = Host::new(Policy::default());
    for _ in 0..5 {
        host.end_after(200, OK);
        host.pause();
    }
    let [opened, rest @ ..] = &*host.take_alerts() else { panic!("no alert") };
    let message = "3 failures in a row, the last: exit 0 after 0.2s, before its min_uptime of 1.0s";
    assert_eq!(*opened, format!("opened unexpected_behavior 3: {message}"));
    assert_eq!(rest, ["repeated unexpected_behavior 4", "repeated unexpected_behavior 5"]);
    assert!(host.row.state.is(Concern::Flapping));
    assert_eq!(host.row.state.fatal.as_ref().map(|fatal| fatal.flag), Some(FatalFlag::UnexpectedBehavior));
    host.pass(10 * MINUTE - 2000);
    assert_eq!((host.take_alerts(), host.failures()), (Vec::new(), 5));
    host.pass(3000);
    assert_eq!(host.take_alerts(), ["closed recovered"]);
    assert_eq!((host.failures(), &host.row.state.fatal, &host.row.state.concern), (0, &None, &None));
    assert!(host.is_running());
    // The next one is an episode of its own.
    for _ in 0..3 {
        host.end_after(2000, FAILED);
        assert_eq!(host.pause(), 0, "each had started");
    }
    assert_eq!(host.take_alerts(), ["opened unexpected_behavior 3: 3 failures in a row, the last: exit 3"]);
    host.end_after(2000, OK);
    assert_eq!(host.take_alerts(), ["closed recovered"]);
}

#[test]
fn a_crash_now_and_then_is_no_trouble() {
    let mut host = Host::new(Policy::default());
    for _ in 0..9 {
        host.end_after(11 * MINUTE, SEGV);
        assert_eq!(host.pause(), 0);
        assert_eq!((host.failures(), host.take_alerts()), (1, Vec::new()));
    }
}

#[test]
fn a_recovery_takes_min_uptime_where_that_is_longer() {
    let mut host = Host::new(Policy { min_uptime: Duration::from_mins(20), ..Policy::default() });
    host.end_after(19 * MINUTE, FAILED);
    host.pause();
    host.pass(19 * MINUTE);
    assert_eq!(host.failures(), 1);
    host.pass(2 * MINUTE);
    assert_eq!(host.failures(), 0);
}

#[test]
fn give_up_ends_it_and_enable_resets_it() {
    let policy = Policy { on_failures: OnFailures::GiveUp, ..Policy::default() };
    let mut host = Host::new(policy);
    for _ in 0..3 {
        host.pause();
        host.end_after(100, OK);
    }
    host.pass(60 * MINUTE);
    assert!(!host.is_running());
    assert_eq!(State::of_row(&host.row), State::GivenUp);
    host.command(CmdName::Enable);
    assert_eq!((host.is_running(), host.failures()), (true, 0));
}

#[test]
fn one_that_a_signal_kills_before_it_has_started_could_not_be_started() {
    // An app with a schedule has a min_uptime as well.
    let policy = || Policy { min_uptime: Duration::from_secs(30), ..Policy::default() };
    let mut scheduled = worker(policy());
    (scheduled.app.schedule.always, scheduled.app.schedule.interval) = (false, "0".parse().ok());
    for row in [worker(policy()), scheduled] {
        let mut host = Host::of(row, Limits::default());
        for _ in 0..3 {
            host.pause();
            host.end_after(29_000, SEGV);
        }
        assert_eq!(host.row.state.fatal.as_ref().map(|fatal| fatal.flag), Some(FatalFlag::FailedToStart));
        assert!(host.row.app.disabled && !host.is_running());
        host.command(CmdName::Enable);
        for _ in 0..3 {
            host.pause();
            host.end_after(30_000, SEGV);
        }
        let flag = host.row.state.fatal.as_ref().map(|fatal| fatal.flag);
        assert_eq!(flag, Some(FatalFlag::UnexpectedBehavior));
        host.pause();
    }
}

#[test]
fn commands_do_what_they_do_with_any_app() {
    let mut host = Host::new(Policy::default());
    let stopped = |host: &Host| Ending::Stopped {
        cause: host.stops.last().unwrap().clone(),
        exit: Some(Exit::Signal { signal: 15, core: false }),
        killed: false,
    };
    host.command(CmdName::Start);
    assert!(host.verdicts.pop().unwrap().contains("AlreadyRunning"));
    host.command(CmdName::Restart);
    host.end_after(10, stopped(&host));
    assert!(host.is_running(), "at once, also after so short a life");
    host.command(CmdName::Stop);
    host.end_after(10, stopped(&host));
    host.pass(60 * MINUTE);
    assert!(!host.is_running(), "STOP sticks");
    host.restart_manager(Vec::new());
    host.pass(60 * MINUTE);
    assert!(!host.is_running(), "over a restart of the manager, too");
    host.command(CmdName::Start);
    assert!(host.is_running());
    host.command(CmdName::Disable);
    host.end_after(10, stopped(&host));
    host.pass(60 * MINUTE);
    assert!(!host.is_running());
    host.command(CmdName::Enable);
    assert!(host.is_running());
    // STOP in a back-off.
    for _ in 0..2 {
        host.end_after(10, OK);
        if !host.is_running() {
            break;
        }
    }
    host.command(CmdName::Stop);
    host.pass(60 * MINUTE);
    assert!(!host.is_running());
    assert_eq!((host.failures(), host.take_alerts(), host.skips), (2, Vec::new(), 0));
}

#[test]
fn to_be_ended_for_its_max_runtime_is_a_restart() {
    let mut host = Host::new(Policy { max_runtime: Some(Duration::from_mins(5)), ..Policy::default() });
    for _ in 0..6 {
        host.pass(6 * MINUTE);
        let cause = host.stops.pop().expect("it takes too long");
        assert_eq!(cause, StopCause::Timeout);
        host.end(Ending::Stopped { cause, exit: Some(Exit::Code(0)), killed: false }, Report::default());
        assert!(host.is_running());
    }
    assert_eq!((host.failures(), host.take_alerts()), (0, Vec::new()));
}

#[test]
fn without_room_it_waits_and_is_never_late() {
    let limits = Limits { host: Some(0), ..Limits::default() };
    let mut host = Host::of(worker(Policy::default()), limits);
    host.pass(60 * MINUTE);
    assert_eq!((State::of_row(&host.row), &host.row.state.concern), (State::Waiting, &None));
    assert_eq!(State::of(&host.row, &[], host.now().wall), State::Waiting);
    host.step(Event::LimitsChanged(Limits::default()));
    assert!(host.is_running());
    assert_eq!((host.take_alerts(), host.skips), (Vec::new(), 0));
}

#[test]
fn a_clock_that_is_set_makes_no_life_longer_or_shorter() {
    for set in [-3_600_000, 3_600_000] {
        let mut host = Host::new(Policy { min_uptime: Duration::from_secs(60), ..Policy::default() });
        host.pass(30_000);
        let began = host.run.unwrap().1;
        host.clock += set;
        host.step(Event::Tick);
        // The process began by the clock as it was.
        host.run = host.run.map(|(run, _)| (run, began - set));
        host.end_after(31_000, OK);
        assert_eq!((host.pause(), host.failures()), (0, 0), "{set}");
        for _ in 0..2 {
            host.pass(30_000);
            let began = host.run.unwrap().1;
            host.clock += set;
            host.step(Event::Tick);
            host.run = host.run.map(|(run, _)| (run, began - set));
            host.end_after(20_000, OK);
        }
        assert_eq!((host.pause(), host.failures()), (1000, 2), "{set}");
        // A pause keeps its length.
        host.end_after(10, OK);
        host.clock -= set;
        host.step(Event::Tick);
        assert_eq!(host.pause(), 2000);
    }
}

#[test]
fn a_new_manager_goes_on_with_a_back_off_and_with_what_runs() {
    let mut host = Host::new(Policy { catch_up: CatchUp::None, ..Policy::default() });
    for _ in 0..4 {
        host.pause();
        host.end_after(100, OK);
    }
    host.pass(1000);
    host.restart_manager(Vec::new());
    assert_eq!(host.pause(), 3000);
    // What runs is adopted, and its life counts from its beginning.
    host.pass(9 * MINUTE);
    let survivor = host.survivor();
    host.restart_manager(vec![survivor]);
    assert_eq!((host.failures(), host.take_alerts().len()), (4, 2));
    host.pass(MINUTE + 1000);
    assert_eq!((host.failures(), host.take_alerts()), (0, vec!["closed recovered".to_owned()]));
    // A back-off that is long over is no time that was missed.
    for _ in 0..3 {
        host.end_after(100, OK);
        if host.row.next_run.is_none() {
            continue;
        }
        host.pass(0);
    }
    host.time += 120 * MINUTE;
    host.restart_manager(Vec::new());
    assert!(host.is_running());
    assert_eq!(host.skips, 0);
}

#[test]
fn a_row_that_becomes_one_is_obeyed_at_once() {
    let mut row = worker(Policy::default());
    (row.app.schedule.always, row.app.schedule.interval) = (false, "60".parse().ok());
    let mut host = Host::of(row, Limits::default());
    host.pass(MINUTE);
    assert!(!host.is_running());
    let pause = (host.row.next_run, host.row.planned);
    host.edit(|row| (row.app.schedule.always, row.app.schedule.interval) = (true, None));
    assert!(host.is_running());
    // While no manager was there.
    host.end(OK, Report::default());
    host.run = None;
    host.row.state.status = RunStatus::NotRunning;
    (host.row.next_run, host.row.planned) = pause;
    host.restart_manager(Vec::new());
    assert!(host.is_running());
    // And the other way.
    host.edit(|row| row.app.schedule.always = false);
    assert!(host.is_running());
    host.end_after(MINUTE, OK);
    host.pass(60 * MINUTE);
    assert!(!host.is_running());
}

#[test]
fn a_time_that_it_asks_for_is_kept_and_a_crash_does_not_wait_for_it() {
    let mut host = Host::new(Policy::default());
    let in_an_hour =
        |host: &Host| Report { next_run: Some(host.now().wall + TimeDelta::hours(1)), ..Report::default() };
    host.pass(5000);
    let report = in_an_hour(&host);
    host.end(OK, report);
    assert_eq!(host.pause(), 60 * MINUTE);
    host.pass(5000);
    let report = in_an_hour(&host);
    host.end(SEGV, report);
    assert_eq!(host.pause(), 0);
}

#[test]
fn neither_rules_for_good_runs_nor_idle_counters_concern_it() {
    let policy = Policy { min_solved: 100, min_duration: Some(Duration::from_secs(60)), ..Policy::default() };
    let mut host = Host::new(policy);
    for _ in 0..20 {
        let run = host.run.unwrap().0;
        let report = Report { solved: Some(7), ..Report::default() };
        host.step(Event::Reported { run, report });
        host.pass(60 * MINUTE);
        assert_eq!(host.row.state.concern, None, "a worker without work has not stalled");
        host.end(OK, Report::default());
    }
    assert_eq!((host.row.state.suspects, host.take_alerts()), (0, Vec::new()));
    // Unless a person says how long it may stand still.
    let mut host = Host::new(Policy { stall_after: Some(Duration::from_mins(5)), ..Policy::default() });
    host.pass(6 * MINUTE);
    assert!(host.row.state.is(Concern::Stalled));
}
