use chrono::TimeDelta;

use super::*;
use crate::manager::running_app::{now, restored, row, run};
use crate::manager::{Effect, Event};
use crate::model::{
    Anomaly, AppRow, AppState, Closing, Concern, Conclusion, Ending, Exit, FatalFlag, UsageLimits,
};

/// A manager with one running app, which it looks at every ten seconds.
struct Host {
    manager: Manager,
    row: AppRow,
    /// Seconds since the manager began.
    time: u64,
    written: Vec<Usage>,
    /// What became of alerts: opened, repeated and closed.
    alerts: Vec<String>,
}

fn sample(mebibytes: u64, cpu: f64) -> Sample {
    Sample { run: run(), memory: mebibytes * MIB, cpu, is_exact: true, held: UsageLimits::default() }
}

impl Host {
    fn with(row: AppRow) -> Self {
        let (manager, step) = restored(&row);
        let mut host = Self { manager, row, time: 0, written: Vec::new(), alerts: Vec::new() };
        host.write(&step);
        host
    }

    fn write(&mut self, step: &Step) {
        for change in &step.changes {
            if let Change::App(update) = change {
                self.row.state = update.state.clone();
            } else if let Change::Used { usage, .. } = change {
                self.written.push(*usage);
            } else if let Change::AlertOpened(alert) = change {
                self.alerts.push(format!("{}: {}", alert.kind, alert.message));
            } else if let Change::AlertRepeated(alert) = change {
                self.alerts.push(format!("{} {}: {}", alert.kind, alert.count, alert.message));
            } else if let Change::AlertsClosed { kinds, .. } = change {
                self.alerts.push(format!("{} closed", kinds.last().unwrap()));
            }
        }
    }

    fn step(&mut self, event: Event) -> Step {
        let step = self.manager.step(now(self.time), event);
        self.write(&step);
        step
    }

    /// The next look; gives what is to be done.
    fn look(&mut self, sample: Sample) -> Vec<Effect> {
        self.time += 10;
        self.step(Event::Used(vec![sample])).effects
    }
}

fn usage(memory: u64, cpu: f64, peak: u64) -> Usage {
    Usage { memory: Some(memory * MIB), cpu: Some(cpu), memory_peak: Some(peak * MIB) }
}

#[test]
fn only_what_differs_noticeably_is_written() {
    let mut host = Host::with(row());
    host.look(sample(100, 3.0));
    assert_eq!(host.written, [usage(100, 3.0, 100)]);
    for (mebibytes, cpu) in [(100, 3.0), (105, 3.9), (91, 2.1), (109, 3.0)] {
        host.look(sample(mebibytes, cpu));
    }
    assert_eq!(host.written.len(), 1, "{:?}", host.written);
    host.look(sample(111, 3.0));
    host.look(sample(90, 90.0));
    host.look(sample(90, 98.0));
    host.look(sample(90, 80.0));
    assert_eq!(host.written[1..], [usage(111, 3.0, 111), usage(90, 90.0, 111), usage(90, 80.0, 111)]);
}

#[test]
fn small_apps_do_not_write_for_every_page() {
    let mut host = Host::with(row());
    host.look(Sample { memory: 3 * MIB / 2, ..sample(0, 0.0) });
    host.look(Sample { memory: MIB, ..sample(0, 0.9) });
    assert_eq!(host.written.len(), 1);
}

#[test]
fn the_peak_of_a_run_is_entered_with_its_end() {
    let mut host = Host::with(row());
    host.look(sample(100, 0.0));
    host.look(sample(105, 0.0));
    let closing = Closing::unseen(Ending::Exited(Exit::Code(0)), now(host.time).wall);
    let step = host.step(Event::Ended { run: run(), closing });
    assert_eq!(host.written.last(), Some(&usage(100, 0.0, 105)));
    let place = |is: fn(&Change) -> bool| step.changes.iter().position(is).unwrap();
    let used = place(|change| matches!(change, Change::Used { .. }));
    assert!(used < place(|change| matches!(change, Change::RunClosed { .. })), "the row is that of the run");
    let written = host.written.len();
    host.look(sample(300, 0.0));
    assert_eq!(host.written.len(), written, "a late sample of a run that is over");
}

#[test]
fn a_new_manager_goes_on_with_what_the_row_shows() {
    let shown = usage(100, 3.0, 250);
    let mut host = Host::with(AppRow { usage: Some(Box::new(shown)), ..row() });
    host.look(sample(101, 3.0));
    assert_eq!(host.written, []);
    host.look(sample(150, 3.0));
    assert_eq!(host.written, [usage(150, 3.0, 250)]);
}

fn limited(memory: Option<u32>, cpu: Option<u32>) -> AppRow {
    let mut row = row();
    (row.app.policy.max_memory, row.app.policy.max_cpu) = (memory, cpu);
    row
}

/// The causes for which runs are to be ended.
fn stops(effects: &[Effect]) -> Vec<String> {
    let cause = |effect: &Effect| match effect {
        Effect::Stop { cause: StopCause::Memory(used), .. } => Some(used.clone()),
        Effect::Stop { cause, .. } => panic!("{cause:?}"),
        Effect::Measure { .. }
        | Effect::Start { .. }
        | Effect::Kill { .. }
        | Effect::Adopt { .. }
        | Effect::Forget { .. } => None,
    };
    effects.iter().filter_map(cause).collect()
}

#[test]
fn memory_above_its_limit_is_told_at_once_and_ends_the_run_two_samples_later() {
    let mut host = Host::with(limited(Some(512), None));
    host.look(sample(512, 0.0));
    assert!(host.alerts.is_empty() && !host.row.state.is(Concern::OverLimit));
    assert_eq!(stops(&host.look(sample(700, 0.0))), [""; 0]);
    assert_eq!(
        host.alerts,
        ["over_limit: uses 700 MiB of memory, max_memory is 512 MiB; it is ended if that lasts"]
    );
    assert!(host.row.state.is(Concern::OverLimit));
    let flag = host.row.state.fatal.clone().unwrap();
    assert_eq!((flag.flag, flag.cause.known()), (FatalFlag::UnexpectedBehavior, Some(Anomaly::OverLimit)));
    assert_eq!(stops(&host.look(sample(800, 0.0))), [""; 0]);
    assert_eq!(stops(&host.look(sample(812, 0.0))), ["used 812 MiB of memory, max_memory is 512 MiB"]);
    assert_eq!(stops(&host.look(sample(812, 0.0))), [""; 0], "it is ending");
    assert_eq!(
        host.alerts[1..],
        ["over_limit 1: used 812 MiB of memory, max_memory is 512 MiB; the run is ended"]
    );
}

#[test]
fn a_run_that_frees_its_memory_goes_on() {
    let mut host = Host::with(limited(Some(512), None));
    host.look(sample(700, 0.0));
    host.look(sample(700, 0.0));
    host.look(sample(400, 0.0));
    assert_eq!(host.alerts[1..], ["over_limit closed"]);
    assert!(!host.row.state.is(Concern::OverLimit) && host.row.state.fatal.is_none());
    host.look(sample(700, 0.0));
    assert_eq!(stops(&host.look(sample(700, 0.0))), [""; 0], "it is counted from the beginning");
    assert_eq!(host.alerts.len(), 3);
}

#[test]
fn pages_that_may_have_been_counted_twice_end_nothing() {
    let mut host = Host::with(limited(Some(512), None));
    let rough = Sample { is_exact: false, ..sample(2000, 0.0) };
    for _ in 0..5 {
        assert_eq!(host.look(rough), [Effect::Measure { run: run() }]);
        assert_eq!(host.step(Event::Used(vec![sample(300, 0.0)])).effects, []);
    }
    assert_eq!(host.written, [usage(300, 0.0, 300)]);
    assert!(host.alerts.is_empty());
    assert_eq!(host.look(Sample { is_exact: false, ..sample(500, 0.0) }), []);
}

#[test]
fn a_run_that_was_ended_for_its_memory_has_failed_and_its_alert_stays() {
    let mut host = Host::with(limited(Some(512), None));
    for _ in 0..3 {
        host.look(sample(812, 0.0));
    }
    let message = "used 812 MiB of memory, max_memory is 512 MiB";
    let cause = StopCause::Memory(message.to_owned());
    let ending = Ending::Stopped { cause, exit: Some(Exit::Code(0)), killed: false };
    assert_eq!((ending.outcome().word(), ending.message()), ("over_limit", Some(message)));
    let closing = Closing::unseen(ending, now(host.time).wall);
    let _ = host.step(Event::Ended { run: run(), closing });
    assert_eq!(host.row.state.failures, 1);
    assert!(!host.row.state.is(Concern::OverLimit), "it does not run");
    assert!(host.row.state.fatal.is_some(), "until a good run");
    assert_eq!(host.alerts.len(), 2, "the alert is open: {:?}", host.alerts);
    // Which a new manager knows.
    let fatal = host.row.state.fatal.clone();
    let mut next = Host::with(AppRow { state: AppState { fatal, ..row().state }, ..row() });
    let closing = Closing::unseen(Ending::Exited(Exit::Code(0)), now(0).wall);
    let _ = next.step(Event::Ended { run: run(), closing });
    assert_eq!((next.row.state.fatal, next.alerts), (None, vec!["over_limit closed".to_owned()]));
}

#[test]
fn what_the_kernel_holds_is_told_before_it_acts_and_never_ended_by_samples() {
    let held = UsageLimits { memory: Some(500), cpu: Some(100) };
    let mut host = Host::with(limited(Some(500), Some(100)));
    let seen = |mebibytes| Sample { held, ..sample(mebibytes, 101.0) };
    host.look(seen(440));
    assert!(host.alerts.is_empty());
    for _ in 0..9 {
        assert_eq!(stops(&host.look(seen(460))), [""; 0]);
    }
    let told = "over_limit: uses 460 MiB of memory, and the kernel kills it at 500 MiB (max_memory)";
    assert_eq!(host.alerts, [told]);
    // The setting was lowered since the run began: the kernel has the old one.
    let mut host = Host::with(limited(Some(300), None));
    host.look(seen(440));
    host.look(seen(440));
    assert_eq!(stops(&host.look(seen(440))).len(), 1);
}

#[test]
fn the_cpu_is_told_after_a_minute_and_ends_nothing() {
    let mut host = Host::with(limited(None, Some(50)));
    for _ in 0..6 {
        host.look(sample(10, 90.0));
    }
    host.look(sample(10, 40.0));
    for _ in 0..6 {
        host.look(sample(10, 90.0));
    }
    assert!(host.alerts.is_empty(), "{:?}", host.alerts);
    for _ in 0..9 {
        assert_eq!(host.look(sample(10, 90.0)), []);
    }
    assert_eq!(host.alerts, ["over_limit: used 90% of a core for a minute, max_cpu is 50%"]);
    host.look(sample(10, 50.0));
    assert_eq!(host.alerts.len(), 2);
}

#[test]
fn a_new_manager_tells_no_second_time_of_what_the_row_shows() {
    let mut row = limited(Some(512), None);
    row.usage = Some(Box::new(usage(700, 0.0, 700)));
    let since = now(0).wall - TimeDelta::minutes(1);
    row.state.concern = Some(Box::new(Conclusion { concern: Concern::OverLimit.into(), since }));
    let mut host = Host::with(row.clone());
    assert_eq!(host.row.state.concern, row.state.concern);
    host.look(sample(700, 0.0));
    assert!(host.alerts.is_empty());
    assert_eq!(host.row.state.concern, row.state.concern);
    host.look(sample(300, 0.0));
    assert_eq!(host.alerts, ["over_limit closed"]);
    assert_eq!(host.row.state.concern, None);
}
