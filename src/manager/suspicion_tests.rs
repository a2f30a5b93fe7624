use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::manager::{Effect, Identity, Manager};
use crate::model::explain::State;
use crate::model::{
    App, CmdName, Command, CommandId, Limits, Now, OnFailures, OnSuspect, Policy, Progress, Ratio,
    Registered, Report, Snapshot,
};

/// An app that runs every hour, and every ten minutes after a failure, under a manager.
struct Host {
    manager: Manager,
    row: AppRow,
    /// Seconds since the manager began.
    time: i64,
    /// What became of alerts, in words.
    alerts: Vec<String>,
    /// How the last run ended, with its message.
    ended: Option<(&'static str, Option<String>)>,
    commands: i64,
}

fn at(seconds: i64) -> Now {
    let wall = Timestamp::UNIX_EPOCH + TimeDelta::days(9) + TimeDelta::seconds(seconds);
    Now { mono: Duration::from_secs(5 + seconds.cast_unsigned()), wall }
}

fn counted(solved: u64, failed: u64) -> Report {
    Report { solved: Some(solved), failed: Some(failed), ..Report::default() }
}

fn manager(row: AppRow, now: Now) -> Manager {
    let snapshot = Snapshot { apps: vec![Registered::of(row)], ..Snapshot::default() };
    let identity = Identity { name: "zg".to_owned(), host: "zg".to_owned(), seed: 1 };
    Manager::restore(identity, snapshot, Vec::new(), now).0
}

impl Host {
    fn new(policy: Policy) -> Self {
        let mut row = AppRow::new(App { policy, ..App::new("a/b/c".parse().unwrap()) }, 1);
        row.app.schedule.interval = Some("60".parse().unwrap());
        row.app.schedule.retry_interval = Some("10".parse().unwrap());
        row.next_run = Some(at(1).wall);
        let manager = manager(row.clone(), at(0));
        Self { manager, row, time: 0, alerts: Vec::new(), ended: None, commands: 0 }
    }

    /// Gives the run that was begun.
    fn step(&mut self, event: Event) -> Option<RunId> {
        let step = self.manager.step(at(self.time), event);
        for change in step.changes {
            if let Change::App(update) = change {
                self.row.state = update.state;
                self.row.sequence = update.sequence;
                self.row.next_run = update.next_run;
                self.row.slot = update.slot;
                self.row.planned = update.planned;
            } else if let Change::AlertOpened(alert) = change {
                let Alert { kind, count, message, cause, .. } = alert;
                self.alerts.push(format!("opened {kind} {count}: {message} [{cause}]"));
            } else if let Change::AlertRepeated(Alert { kind, count, .. }) = change {
                self.alerts.push(format!("repeated {kind} {count}"));
            } else if let Change::AlertsClosed { kinds, end, .. } = change {
                let kinds: Vec<_> = kinds.iter().map(|kind| kind.word()).collect();
                self.alerts.push(format!("closed {} ({end})", kinds.join(" ")));
            } else if let Change::RunClosed { closing, .. } = change {
                let message = closing.ending.message().or(closing.report.message.as_deref());
                self.ended = Some((closing.ending.outcome().word(), message.map(str::to_owned)));
            }
        }
        let started = |effect| if let Effect::Start { run, .. } = effect { Some(run) } else { None };
        step.effects.into_iter().find_map(started)
    }

    /// The run that begins when it is due.
    fn begin(&mut self) -> RunId {
        let due = self.row.next_run.unwrap() - at(0).wall;
        self.time = self.time.max(due.num_seconds());
        let run = self.step(Event::Tick).expect("it is due");
        self.step(Event::Started { run, pid: 42, at: at(self.time).wall });
        run
    }

    fn end(&mut self, run: RunId, took: i64, code: i64, report: Report) -> &'static str {
        let started = Some(at(self.time).wall);
        self.time += took;
        let ending = Ending::Exited(Exit::Code(code));
        let closing = Closing { started, report, ..Closing::unseen(ending, at(self.time).wall) };
        self.step(Event::Ended { run, closing });
        self.ended.as_ref().map(|(outcome, _)| *outcome).unwrap()
    }

    /// The next run takes a minute and counts that.
    fn run(&mut self, solved: u64) -> &'static str {
        let run = self.begin();
        self.end(run, 60, 0, counted(solved, 0))
    }

    fn fail(&mut self) {
        let run = self.begin();
        assert_eq!(self.end(run, 60, 1, counted(0, 0)), "failed");
    }

    fn command(&mut self, name: CmdName, args: Option<&str>) -> Option<RunId> {
        self.commands += 1;
        self.step(Event::Command(Command {
            id: CommandId(self.commands),
            app: Some(self.row.app.id),
            name,
            args: args.map(str::to_owned),
            fault: None,
            by: "ana".to_owned(),
            time: at(self.time).wall,
            expires: None,
        }))
    }

    /// Another manager takes the app up as its row has it.
    fn take_over(&mut self) {
        self.manager = manager(self.row.clone(), at(self.time));
    }

    /// In how many seconds it is due.
    fn due_in(&self) -> i64 {
        (self.row.next_run.unwrap() - at(self.time).wall).num_seconds()
    }

    fn message(&self) -> Option<&str> {
        self.ended.as_ref().and_then(|(_, message)| message.as_deref())
    }

    fn flag(&self) -> Option<(&str, &str)> {
        self.row.state.fatal.as_ref().map(|fatal| (fatal.cause.word(), fatal.message.as_str()))
    }

    fn take_alerts(&mut self) -> Vec<String> {
        std::mem::take(&mut self.alerts)
    }
}

fn at_least_100() -> Policy {
    Policy { min_solved: 100, ..Policy::default() }
}

const SHORT_OF_100: &str = "solved 0, at least 100 expected (min_solved)";
const CLOSED: &str = "closed unexpected_behavior host_exhausted suspect over_limit (recovered)";

#[test]
fn a_run_that_solves_too_little_is_suspect_until_a_good_one() {
    let mut host = Host::new(at_least_100());
    assert_eq!(host.run(0), "suspect");
    assert_eq!(host.message(), Some(SHORT_OF_100));
    assert_eq!(host.flag(), Some(("suspect", SHORT_OF_100)));
    let state = &host.row.state;
    assert_eq!((state.failures, state.suspects, state.is(Concern::Suspect)), (0, 1, true));
    assert_eq!(State::of_row(&host.row), State::Failed);
    assert_eq!(host.due_in(), 3600, "it goes on by its schedule");
    let opened = format!("opened suspect 1: {SHORT_OF_100} [solved fewer than min_solved]");
    assert_eq!(host.take_alerts(), [opened]);

    assert_eq!(host.run(99), "suspect");
    assert_eq!(host.flag(), Some(("suspect", "solved 99, at least 100 expected (min_solved)")));
    assert_eq!(host.take_alerts(), ["repeated suspect 2"]);

    assert_eq!(host.run(100), "ok");
    assert_eq!((host.flag(), host.row.state.suspects, &host.row.state.concern), (None, 0, &None));
    assert_eq!(State::of_row(&host.row), State::Idle);
    assert_eq!(host.take_alerts(), [CLOSED]);
    assert_eq!(host.run(100), "ok");
    assert_eq!(host.take_alerts(), [""; 0]);
}

#[test]
fn a_suspect_run_is_tried_again_where_the_app_says_so() {
    let mut host = Host::new(Policy { on_suspect: OnSuspect::Retry, ..at_least_100() });
    host.run(0);
    assert_eq!((host.due_in(), host.row.state.failures), (600, 0));
    host.run(100);
    assert_eq!(host.due_in(), 3600);
}

#[test]
fn what_the_app_said_last_is_part_of_the_message_and_not_of_the_cause() {
    let mut host = Host::new(at_least_100());
    let run = host.begin();
    let report = Report { message: Some("no rows on page 1".to_owned()), ..counted(0, 0) };
    host.end(run, 60, 0, report);
    assert_eq!(host.message(), Some("solved 0, at least 100 expected (min_solved): no rows on page 1"));
    assert!(host.take_alerts()[0].ends_with("page 1 [solved fewer than min_solved]"));
}

#[test]
fn an_exit_code_weighs_more_than_a_rule() {
    let mut host = Host::new(at_least_100());
    let run = host.begin();
    assert_eq!(host.end(run, 60, 3, counted(0, 0)), "failed");
    assert_eq!((host.row.state.suspects, host.take_alerts()), (0, Vec::new()));
}

#[test]
fn suspect_runs_neither_count_as_failures_nor_forgive_them() {
    let mut host = Host::new(Policy { on_failures: OnFailures::GiveUp, ..at_least_100() });
    host.fail();
    host.run(0);
    host.fail();
    assert_eq!((host.row.state.failures, host.row.state.suspects), (2, 1));
    assert!(!host.row.awaits_enable(), "flag 3 is that of the suspect run");
    host.take_alerts();
    host.fail();
    assert!(host.row.awaits_enable());
    assert_eq!(host.flag(), Some(("failures", "3 failures in a row, the last: exit 1")));
    assert_eq!(
        host.take_alerts(),
        ["opened unexpected_behavior 3: 3 failures in a row, the last: exit 1 [exit 1]"]
    );
    // Whoever takes it up knows of both.
    host.take_over();
    host.command(CmdName::Enable, None);
    assert_eq!(
        host.take_alerts(),
        ["closed failed_to_start unexpected_behavior host_exhausted suspect over_limit (enabled)"]
    );
    assert_eq!((host.flag(), host.row.state.suspects), (None, 0));
}

#[test]
fn failures_and_suspect_runs_are_two_episodes_that_one_good_run_ends() {
    let mut host = Host::new(at_least_100());
    for _ in 0..3 {
        host.fail();
    }
    host.run(0);
    assert_eq!(host.flag(), Some(("failures", "3 failures in a row, the last: exit 1")));
    host.fail();
    let alerts = host.take_alerts();
    assert!(
        alerts[0].starts_with("opened unexpected_behavior 3") && alerts[1].starts_with("opened suspect 1")
    );
    assert_eq!(alerts[2..], ["repeated unexpected_behavior 4"]);
    host.run(100);
    assert_eq!((host.take_alerts(), host.flag()), (vec![CLOSED.to_owned()], None));
}

#[test]
fn another_manager_goes_on_with_the_episode_and_the_history() {
    let mut host = Host::new(at_least_100());
    for _ in 0..10 {
        host.run(5000);
    }
    host.run(0);
    host.take_alerts();
    let before = host.row.clone();
    host.take_over();
    host.command(CmdName::Stop, None);
    host.command(CmdName::Start, None);
    assert_eq!(host.row.state.fatal, before.state.fatal);
    assert_eq!(host.row.state.concern, before.state.concern);
    assert_eq!(host.row.state.baseline, before.state.baseline);
    let run = host.row.state.run.unwrap();
    assert_eq!(host.end(run, 60, 0, counted(120, 0)), "suspect");
    assert_eq!(host.message(), Some("solved 120, usually 5000 (median of 10 good runs)"));
    assert_eq!(host.take_alerts(), ["repeated suspect 2"]);
}

#[test]
fn a_run_is_compared_with_ten_good_ones_before_it() {
    let mut host = Host::new(Policy::default());
    for _ in 0..9 {
        assert_eq!(host.run(500), "ok");
    }
    assert_eq!(host.run(0), "ok", "nine are too few");
    let mut host = Host::new(Policy::default());
    for _ in 0..10 {
        assert_eq!(host.run(500), "ok");
    }
    for _ in 0..20 {
        assert_eq!(host.run(0), "suspect", "nothing is never usual");
    }
    assert_eq!(host.run(480), "ok");
    for _ in 0..4 {
        assert_eq!(host.run(20), "suspect");
    }
    assert_eq!(host.run(20), "ok");
    let said = "usual from now on, as in 5 runs in a row: solved 20, usually 500 (median of 11 good runs)";
    assert_eq!(host.message(), Some(said));
    assert_eq!(host.take_alerts().last().unwrap(), CLOSED);
    assert_eq!(host.run(20), "ok");

    let mut off = Host::new(Policy { compare_history: false, ..Policy::default() });
    for solved in [500; 30].into_iter().chain([0]) {
        assert_eq!(off.run(solved), "ok");
    }
    assert_eq!(off.row.state.baseline, None);
}

#[test]
fn enable_accepts_what_differed() {
    let mut host = Host::new(Policy::default());
    for solved in [500; 10].into_iter().chain([0; 3]) {
        host.run(solved);
    }
    assert_eq!(host.row.state.suspects, 3);
    host.command(CmdName::Enable, None);
    assert_eq!(host.run(0), "ok");
}

#[test]
fn runs_with_arguments_and_by_hand_are_not_compared() {
    let mut host = Host::new(Policy { min_solved: 2, ..Policy::default() });
    for _ in 0..10 {
        host.run(500);
    }
    let baseline = host.row.state.baseline.clone();
    for (args, solved, expected) in [
        (Some("{\"page\": 1}"), 3, "ok"),
        (Some("{\"page\": 1}"), 1, "suspect"),
        (Some("{}"), 3, "suspect"),
        (None, 3, "suspect"),
    ] {
        let run = host.command(CmdName::Start, args).unwrap();
        host.step(Event::Started { run, pid: 42, at: at(host.time).wall });
        assert_eq!(host.end(run, 60, 0, counted(solved, 0)), expected, "{args:?} {solved}");
        if args.is_some_and(|args| args != "{}") {
            assert_eq!(host.row.state.baseline, baseline, "{args:?}");
        }
    }
}

#[test]
fn counters_of_the_row_count_and_are_waited_for() {
    let mut host = Host::new(at_least_100());
    let run = host.begin();
    let ended = |report| {
        let closing = Closing {
            started: Some(at(0).wall),
            report,
            ..Closing::unseen(Ending::Exited(Exit::Code(0)), at(60).wall)
        };
        Event::Ended { run, closing }
    };
    assert!(host.manager.awaits_row(&ended(Report::default())));
    assert!(!host.manager.awaits_row(&ended(counted(0, 0))));
    let mut row = host.row.clone();
    // It was read before the manager wrote that the run has begun.
    row.sequence = 0;
    row.progress = Progress { solved: 150, ..Progress::default() };
    row.movement = Some(Box::new(crate::model::Movement::next(None, at(1).wall)));
    host.step(Event::AppsChanged(vec![Registered::of(row)]));
    assert_eq!(host.end(run, 60, 0, Report::default()), "ok");
}

#[test]
fn the_row_is_waited_for_only_where_it_decides() {
    let ratio = Policy { max_failed_ratio: Ratio::new(0.1).ok(), ..Policy::default() };
    let unjudged = Policy { compare_history: false, ..Policy::default() };
    let solved = Report { solved: Some(7), ..Report::default() };
    for (policy, code, report, expected) in [
        (Policy::default(), 0, Report::default(), true),
        (Policy::default(), 1, Report::default(), false),
        (Policy::default(), 0, solved.clone(), false),
        (ratio, 0, solved, true),
        (unjudged, 0, Report::default(), false),
    ] {
        let mut host = Host::new(policy);
        let run = host.begin();
        let closing = Closing { report, ..Closing::unseen(Ending::Exited(Exit::Code(code)), at(60).wall) };
        assert_eq!(host.manager.awaits_row(&Event::Ended { run, closing }), expected);
    }
    // An app that counts nothing is soon known for that.
    let mut host = Host::new(Policy::default());
    for _ in 0..10 {
        host.run(0);
    }
    let run = host.begin();
    let closing = Closing::unseen(Ending::Exited(Exit::Code(0)), at(60).wall);
    assert!(!host.manager.awaits_row(&Event::Ended { run, closing }));
}

#[test]
fn a_silent_run_stalls_after_its_limit_and_sets_the_flag_while_it_does() {
    let limit = Some(Duration::from_secs(300));
    let mut host =
        Host::new(Policy { stall_after: limit, on_failures: OnFailures::GiveUp, ..Policy::default() });
    let run = host.begin();
    let begun = host.time;
    host.time += 299;
    host.step(Event::Tick);
    assert!(!host.row.state.is(Concern::Stalled));
    host.time += 1;
    host.step(Event::Tick);
    let said = "no progress for more than 5m00s (stall_after)";
    assert_eq!(host.flag(), Some(("stalled", said)));
    assert_eq!((State::of_row(&host.row), host.row.awaits_enable()), (State::Stalled, false));
    assert_eq!(host.take_alerts(), [format!("opened stalled 1: {said} [no progress]")]);
    host.step(Event::Reported { run, report: counted(1, 0) });
    assert_eq!(host.take_alerts(), ["closed stalled (recovered)"]);
    assert_eq!(host.flag(), None);
    host.time += 300;
    host.step(Event::Tick);
    assert!(host.row.state.is(Concern::Stalled), "again");
    let took = host.time - begun;
    host.time = begun;
    assert_eq!(host.end(run, took, 0, counted(1, 0)), "ok");
    assert_eq!((host.flag(), host.due_in()), (None, 3600));
}

#[test]
fn a_limit_that_is_set_while_a_run_is_silent_counts_from_its_start() {
    let mut host = Host::new(Policy::default());
    host.begin();
    host.time += 600;
    host.step(Event::Tick);
    assert_eq!(host.flag(), None, "it has not counted");
    let mut row = host.row.clone();
    row.app.policy.stall_after = Some(Duration::from_secs(900));
    host.step(Event::AppsChanged(vec![Registered::of(row)]));
    host.time += 299;
    host.step(Event::Tick);
    assert_eq!(host.flag(), None);
    host.time += 1;
    host.step(Event::Tick);
    assert_eq!(host.flag(), Some(("stalled", "no progress for more than 15m00s (stall_after)")));
}

#[test]
fn a_run_that_waits_for_long_opens_one_alert_until_it_begins() {
    let mut host = Host::new(Policy::default());
    host.step(Event::LimitsChanged(Limits { host: Some(0), ..Limits::default() }));
    host.time = 1;
    host.step(Event::Tick);
    // A twentieth of an hour, ten times.
    for (seconds, expected) in [(1799, 0), (1, 1), (900, 0)] {
        host.time += seconds;
        host.step(Event::Tick);
        assert_eq!(host.take_alerts().len(), expected, "{}", host.time);
        assert!(host.row.state.is(Concern::Late));
    }
    host.step(Event::LimitsChanged(Limits { host: None, ..Limits::default() }));
    assert_eq!(host.take_alerts(), ["closed late (recovered)"]);
    assert!(!host.row.state.is(Concern::Late));
}
