//! The text of a scrape: the exposition format of Prometheus, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::catalogue::{self as names, Metric};
use super::fleet::{AppNumbers, FleetNumbers};
use super::histogram::Histogram;
use super::numbers::{Metrics, seconds};
use crate::model::explain::State;
use crate::model::{Severity, Timestamp};
use crate::process::{OwnProcess, clock, host_name};
use crate::store::Backlog;

/// Everything but the series of single apps.
pub(super) fn render(metrics: &Metrics, fleet: Option<&FleetNumbers>, process: &OwnProcess) -> String {
    let mut text = Text(String::with_capacity(16 << 10));
    let now = clock::boot_time();
    text.gauge(&names::UP, flag(metrics.health.live(now).is_ok()));
    text.gauge(&names::READY, flag(metrics.health.ready(now).is_ok()));
    text.gauge(&names::DATABASE_UP, flag(metrics.health.database(now).is_ok()));
    text.family(&names::BUILD_INFO);
    let build = [env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH];
    text.sample(&names::BUILD_INFO, &build, 1);
    text.family(&names::MANAGER_INFO);
    text.sample(&names::MANAGER_INFO, &[&metrics.manager, &host_name()], 1);
    text.maybe(&names::HEARTBEAT, metrics.heartbeat());
    text.maybe(&names::DRAINING, fleet.map(|fleet| flag(fleet.is_draining)));
    text.gauge(&names::RUNS_RUNNING, metrics.running());
    text.gauge(&names::RUNS_WAITING, metrics.waiting());
    text.maybe(&names::RUNS_LIMIT, metrics.limit());
    text.counts(&names::RUNS, metrics.runs.read());
    text.histogram(&names::RUN_DURATION, &metrics.run_duration);
    text.histogram(&names::SCHEDULE_LAG, &metrics.schedule_lag);
    text.counts(&names::SKIPPED, metrics.skipped.read());
    text.counts(&names::COMMANDS, metrics.verdicts().map(|(verdict, count)| (verdict.word(), count)));
    text.histogram(&names::COMMIT, &metrics.commit);
    text.gauge(&names::COMMIT_FAILURES, metrics.commit_failures());
    text.histogram(&names::DRIVER_TURN, &metrics.turn);
    text.maybe(&names::RABBITMQ_CONNECTED, metrics.broker().map(flag));
    if let Some(fleet) = fleet {
        text.fleet(fleet);
    }
    text.process(process);
    text.0
}

/// The series of single apps.
pub(super) fn render_apps(apps: &[AppNumbers]) -> String {
    let mut text = Text(String::with_capacity(apps.len() * 512));
    text.of_apps(&names::APP_STATE, apps, |app| Some((Some(app.state.word()), 1.0)));
    text.of_apps(&names::APP_LAST_OUTCOME, apps, |app| {
        app.last_end.as_ref().map(|(outcome, _)| (Some(&**outcome), 1.0))
    });
    text.of_apps(&names::APP_LAST_END, apps, |app| app.last_end.as_ref().map(|(_, at)| (None, seconds(*at))));
    text.of_apps(&names::APP_NEXT_RUN, apps, |app| app.next_run.map(|at: Timestamp| (None, seconds(at))));
    text.of_apps(&names::APP_PROGRESS, apps, |app| {
        app.percent.map(|percent| (None, f64::from(percent) / 100.0))
    });
    text.of_apps(&names::APP_SOLVED, apps, |app| Some((None, number(app.solved))));
    text.of_apps(&names::APP_FAILED, apps, |app| Some((None, number(app.failed))));
    text.0
}

fn flag(is_so: bool) -> u8 {
    u8::from(is_so)
}

#[expect(clippy::cast_precision_loss, reason = "a value of Prometheus is a double")]
const fn number(count: u64) -> f64 {
    count as f64
}

struct Text(String);

impl Text {
    fn family(&mut self, metric: &Metric) {
        let (name, kind) = (metric.name, metric.kind.word());
        let (help, remark) = (metric.help, metric.scope.remark());
        self.line(format_args!("# HELP {name} {help}{remark}\n# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = writeln!(self.0, "{line}");
    }

    /// A family of one series.
    fn gauge(&mut self, metric: &Metric, value: impl fmt::Display) {
        self.family(metric);
        self.line(format_args!("{} {value}", metric.name));
    }

    /// The same, which is left out where there is no value.
    fn maybe(&mut self, metric: &Metric, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.gauge(metric, value);
        }
    }

    /// A series with values for the labels of its family, in their order.
    fn sample(&mut self, metric: &Metric, values: &[&str], value: impl fmt::Display) {
        self.0.push_str(metric.name);
        let mut before = '{';
        for (label, text) in metric.labels.iter().zip(values) {
            self.0.push(before);
            self.0.push_str(label);
            self.0.push_str("=\"");
            self.escaped(text);
            self.0.push('"');
            before = ',';
        }
        self.line(format_args!("}} {value}"));
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                c => self.0.push(c),
            }
        }
    }

    fn counts<'a>(&mut self, metric: &Metric, counts: impl IntoIterator<Item = (&'a str, u64)>) {
        self.family(metric);
        for (word, count) in counts {
            self.sample(metric, &[word], count);
        }
    }

    fn histogram(&mut self, metric: &Metric, histogram: &Histogram) {
        self.family(metric);
        let name = metric.name;
        let (buckets, count, sum) = histogram.read();
        for (bound, count) in buckets {
            self.line(format_args!("{name}_bucket{{le=\"{bound}\"}} {count}"));
        }
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {count}"));
        self.line(format_args!("{name}_sum {sum}\n{name}_count {count}"));
    }

    fn fleet(&mut self, fleet: &FleetNumbers) {
        let of = |state: &State| fleet.apps.get(state).copied().unwrap_or_default();
        self.counts(&names::APPS, State::ALL.iter().map(|state| (state.word(), of(state))));
        let Backlog { alerts, deliveries } = &fleet.backlog;
        let mut severities: BTreeMap<_, _> = Severity::WORDS.iter().map(|word| (*word, 0)).collect();
        // One of a newer version counts as well.
        severities.extend(alerts.iter().map(|(word, count)| (word.as_str(), *count)));
        self.counts(&names::ALERTS_OPEN, severities);
        let channels = deliveries.iter().map(|(channel, count)| (channel.as_str(), *count));
        self.counts(&names::DELIVERIES_PENDING, channels);
        self.gauge(&names::MANAGERS_LIVE, fleet.managers);
        self.gauge(&names::FLEET_READ, seconds(fleet.read));
    }

    fn process(&mut self, process: &OwnProcess) {
        let OwnProcess { cpu, started, resident, size, open_files, open_files_max } = process;
        self.maybe(&names::PROCESS_CPU, cpu.map(|cpu| cpu.as_secs_f64()));
        self.maybe(&names::PROCESS_MEMORY, *resident);
        self.maybe(&names::PROCESS_VIRTUAL, *size);
        self.maybe(&names::PROCESS_OPEN_FDS, *open_files);
        self.maybe(&names::PROCESS_MAX_FDS, *open_files_max);
        self.maybe(&names::PROCESS_START, started.map(seconds));
    }

    /// A family with one series for each app of which there is something to say: perhaps a second label, and the value.
    fn of_apps<'a>(
        &mut self,
        metric: &Metric,
        apps: &'a [AppNumbers],
        say: impl Fn(&'a AppNumbers) -> Option<(Option<&'a str>, f64)>,
    ) {
        self.family(metric);
        for app in apps {
            if let Some((label, value)) = say(app) {
                let labels = [&*app.path, label.unwrap_or_default()];
                self.sample(metric, &labels, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        let mut text = Text(String::new());
        text.sample(&names::MANAGER_INFO, &["a\"b\\c\nd", "ž"], 1);
        assert_eq!(text.0, "dcm_manager_info{manager=\"a\\\"b\\\\c\\nd\",host=\"ž\"} 1\n");
    }

    #[test]
    fn every_metric_of_the_catalogue_is_rendered_in_its_order() {
        use crate::model::{BrokerState, Load};
        let metrics = Metrics::new("zg");
        metrics.renewed(std::time::Duration::from_secs(15));
        metrics.set_load(Load { running: 1, running_max: Some(7), waiting: 2 });
        metrics.set_broker(&BrokerState::Connected);
        let fleet = FleetNumbers::default();
        let process = OwnProcess {
            cpu: Some(std::time::Duration::from_millis(1500)),
            started: Some(Timestamp::UNIX_EPOCH),
            resident: Some(1),
            size: Some(2),
            open_files: Some(3),
            open_files_max: Some(4),
        };
        let text = render(&metrics, Some(&fleet), &process) + &render_apps(&[]);
        let families: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
        let expected: Vec<_> =
            names::CATALOGUE.iter().map(|metric| (metric.name, metric.kind.word())).collect();
        assert_eq!(families, expected);
        for line in ["dcm_runs_limit 7", "dcm_rabbitmq_connected 1", "dcm_apps{state=\"set_aside\"} 0"] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }
}
