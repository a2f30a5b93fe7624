use chrono::TimeDelta;

use super::*;
use crate::manager::running_app::{now, restored, row, run};
use crate::manager::{Event, Manager, Step};
use crate::model::{Change, Closing, Conclusion, Ending, Exit, LastEnd, Limits, Registered};

/// One running app, and a manager that began when it had run for an hour.
struct Host {
    manager: Manager,
    row: AppRow,
    /// Seconds since the manager began.
    time: u64,
}

fn counted(solved: u64) -> Report {
    Report { solved: Some(solved), ..Report::default() }
}

/// It has counted this, and moved this time ago.
fn moved(mut row: AppRow, solved: u64, ago: TimeDelta, usual_pause: Option<u64>) -> AppRow {
    row.progress.solved = solved;
    let usual_pause = usual_pause.map(Duration::from_secs);
    row.movement = Some(Box::new(Movement { last: now(0).wall - ago, usual_pause }));
    row
}

fn said(mut row: AppRow) -> AppRow {
    let since = now(0).wall - TimeDelta::minutes(5);
    row.state.concern = Some(Box::new(Conclusion { concern: Concern::Stalled.into(), since }));
    row
}

impl Host {
    fn with(row: AppRow) -> Self {
        let (manager, step) = restored(&row);
        let mut host = Self { manager, row, time: 0 };
        host.write(step);
        host
    }

    fn write(&mut self, step: Step) {
        for change in step.changes {
            if let Change::App(update) = change {
                self.row.state = update.state;
                self.row.sequence = update.sequence;
            }
        }
    }

    fn step(&mut self, event: Event) {
        let step = self.manager.step(now(self.time), event);
        self.write(step);
    }

    /// Time passes; the manager is called when it wants to be.
    fn pass(&mut self, seconds: u64) {
        let until = self.time + seconds;
        while let Some(deadline) = self.manager.next_deadline().filter(|at| *at <= now(until).mono) {
            self.time = deadline.saturating_sub(now(0).mono).as_secs();
            self.step(Event::Tick);
        }
        self.time = until;
    }

    fn report(&mut self, solved: u64) {
        self.step(Event::Reported { run: run(), report: counted(solved) });
    }

    /// A program counts by SQL, and the row comes to the manager.
    fn count_by_sql(&mut self, solved: u64) {
        self.row.progress.solved = solved;
        let before = self.row.movement.take();
        self.row.movement = Some(Box::new(Movement::next(before.as_deref(), now(self.time).wall)));
        self.read();
    }

    fn read(&mut self) {
        self.step(Event::AppsChanged(vec![Registered::of(self.row.clone())]));
    }

    /// After how many seconds from now it has stalled.
    fn stalls_after(&mut self) -> Option<u64> {
        let begin = self.time;
        (0..5000).find(|_| {
            let is_stalled = self.row.state.is(Concern::Stalled);
            if !is_stalled {
                self.pass(1);
            }
            is_stalled
        })?;
        Some(self.time - begin)
    }
}

#[test]
fn an_app_stalls_when_its_counters_stand_still_for_longer_than_usual() {
    let mut host = Host::with(row());
    for turn in 1..=20 {
        host.count_by_sql(turn);
        host.pass(30);
    }
    // The last move was 30 s ago, and five times that is its limit.
    assert_eq!(host.stalls_after(), Some(120));
    let conclusion = host.row.state.concern.clone().unwrap();
    assert_eq!(conclusion.since, now(host.time).wall);
    host.count_by_sql(21);
    assert_eq!(host.row.state.concern, None, "it counts again");
    assert!(host.stalls_after().is_some_and(|seconds| seconds > 150), "that pause was long");
}

#[test]
fn reports_count_before_the_database_has_them() {
    let mut host = Host::with(row());
    for turn in 1..=100 {
        host.report(turn);
        host.pass(10);
    }
    assert_eq!(host.stalls_after(), Some(50));
    host.report(101);
    assert_eq!(host.row.state.concern, None);
    assert_eq!(host.stalls_after(), Some(60));
}

#[test]
fn an_app_that_never_counted_does_not_stall() {
    let mut host = Host::with(row());
    host.step(Event::Reported {
        run: run(),
        report: Report { task_size: Some(100), solved: Some(0), ..Report::default() },
    });
    host.row.progress.task_size = Some(100);
    host.count_by_sql(0);
    assert_eq!(host.manager.next_deadline(), None);
    assert_eq!(host.stalls_after(), None);
}

#[test]
fn reports_do_not_move_the_deadline_on_the_list() {
    let mut host = Host::with(row());
    host.report(1);
    let first = host.manager.next_deadline();
    assert_eq!(first, Some(now(60).mono));
    for turn in 2..50 {
        host.pass(1);
        host.report(turn);
        assert_eq!(host.manager.next_deadline(), first);
    }
    host.pass(20);
    assert_eq!(host.manager.next_deadline(), Some(now(48 + 60).mono), "then it is put off once");
}

#[test]
fn a_new_manager_goes_on_where_the_one_before_was() {
    let minute = TimeDelta::seconds(60);
    // The silence so far counts.
    let mut host = Host::with(moved(row(), 5, minute / 2, None));
    assert_eq!(host.stalls_after(), Some(30));
    let mut host = Host::with(moved(row(), 5, minute * 9, None));
    assert_eq!(host.stalls_after(), Some(0));
    // So does what is usual.
    let mut host = Host::with(moved(row(), 5, minute * 9, Some(300)));
    assert_eq!(host.stalls_after(), Some(1500 - 540));
    // A clock that was ahead of ours is no reason to wait for longer than that.
    let mut host = Host::with(moved(row(), 5, -minute * 60, None));
    assert_eq!(host.stalls_after(), Some(60));
}

#[test]
fn a_stall_outlives_the_manager() {
    let mut host = Host::with(said(moved(row(), 5, TimeDelta::minutes(9), None)));
    let conclusion = host.row.state.concern.clone().unwrap();
    assert_eq!(conclusion.since, now(0).wall - TimeDelta::minutes(5));
    // Its shim tells again what is known, and so does the row.
    host.report(5);
    host.read();
    host.pass(100);
    assert_eq!(host.row.state.concern, Some(conclusion));
    host.report(6);
    assert_eq!(host.row.state.concern, None);
}

#[test]
fn a_stall_ends_with_its_run() {
    let mut host = Host::with(said(moved(row(), 5, TimeDelta::minutes(9), None)));
    let closing = Closing {
        started: host.row.state.last_run,
        ..Closing::unseen(Ending::Exited(Exit::Code(0)), now(1).wall)
    };
    host.step(Event::Ended { run: run(), closing });
    assert_eq!((host.row.state.status, host.row.state.concern.clone()), (RunStatus::NotRunning, None));
    // What the row shows of the counters is of a run that is over.
    host.read();
    assert_eq!(host.manager.next_deadline(), None);
}

impl Host {
    /// The run under way ends so.
    fn end(&mut self, code: i64) {
        let run = self.row.state.run.unwrap();
        let closing = Closing {
            started: self.row.state.last_run,
            ..Closing::unseen(Ending::Exited(Exit::Code(code)), now(self.time).wall)
        };
        self.row.last_end = Some(Box::new(LastEnd {
            outcome: closing.ending.outcome().into(),
            exit_code: Some(code),
            at: closing.ended,
        }));
        self.step(Event::Ended { run, closing });
    }

    fn is(&self, concern: Concern) -> bool {
        self.row.state.is(concern)
    }

    fn limit(&mut self, host: Option<u32>) {
        self.step(Event::LimitsChanged(Limits { host, ..Limits::default() }));
    }
}

/// It is tried again a minute after a failure.
fn retried() -> AppRow {
    let mut row = row();
    row.app.schedule.interval = Some("1".parse().unwrap());
    row.app.policy.max_failures = 0;
    row
}

#[test]
fn three_bad_ends_within_ten_minutes_are_flapping_until_a_good_run() {
    let mut host = Host::with(retried());
    for _ in 0..2 {
        host.end(3);
        assert!(!host.is(Concern::Flapping));
        host.pass(60);
    }
    host.end(3);
    assert!(host.is(Concern::Flapping));
    host.pass(60);
    assert!(host.is(Concern::Flapping) && host.row.state.status == RunStatus::Running);
    host.end(0);
    assert!(!host.is(Concern::Flapping));
}

#[test]
fn flapping_ends_ten_minutes_after_the_last_bad_end_also_under_another_manager() {
    let mut host = Host::with(retried());
    for _ in 0..4 {
        host.end(3);
        host.pass(60);
    }
    // A minute ago was the last. The run that goes on says nothing yet.
    host.pass(9 * 60 - 1);
    assert!(host.is(Concern::Flapping));
    host.pass(1);
    assert!(!host.is(Concern::Flapping));

    let mut row = row();
    let (since, at) = (now(0).wall - TimeDelta::minutes(8), now(0).wall - TimeDelta::minutes(3));
    row.state.failures = 5;
    row.state.concern = Some(Box::new(Conclusion { concern: Concern::Flapping.into(), since }));
    row.last_end = Some(Box::new(LastEnd { outcome: "failed".into(), exit_code: Some(3), at }));
    let mut host = Host::with(row);
    assert_eq!(host.row.state.concern.as_ref().map(|conclusion| conclusion.since), Some(since));
    host.pass(7 * 60 - 1);
    assert!(host.is(Concern::Flapping));
    host.pass(1);
    assert!(!host.is(Concern::Flapping));
}

#[test]
fn a_due_run_that_waits_for_room_is_late_after_its_grace_until_it_begins() {
    let mut host = Host::with(retried());
    host.limit(Some(0));
    host.end(0);
    host.pass(60);
    assert!(host.row.state.waiting_for.is_some() && !host.is(Concern::Late));
    host.pass(29);
    assert!(!host.is(Concern::Late));
    host.pass(1);
    assert!(host.is(Concern::Late));
    assert_eq!(host.row.state.concern.as_ref().map(|late| late.since), Some(now(90).wall));
    host.limit(None);
    assert_eq!((host.row.state.status, host.row.state.concern.clone()), (RunStatus::Running, None));
}

#[test]
fn a_stall_hides_that_an_app_flaps() {
    let mut host = Host::with(retried());
    for _ in 0..3 {
        host.end(3);
        host.pass(60);
    }
    let run = host.row.state.run.unwrap();
    host.step(Event::Started { run, pid: 43, at: now(host.time).wall });
    host.count_by_sql(5);
    assert!(host.is(Concern::Flapping));
    host.pass(60);
    assert!(host.is(Concern::Stalled));
    host.count_by_sql(6);
    assert!(host.is(Concern::Flapping));
}
