//! What the processes of a run use. Samples come every few seconds; the row shows those that differ noticeably from what
//! it shows, so that a calm fleet writes nothing.
//!
//! A limit that the kernel does not hold is watched by these samples. Memory above it is told at once, and ends the run
//! when it is still above it two samples later; the CPU is told after a minute, and ends nothing.

use std::time::Duration;

use super::core::Manager;
use super::desk::Desk;
use super::entry::{Entry, Phase, Purpose};
use super::event::{Effect, Sample, Step};
use crate::model::{
    Alert, AlertCause, AlertEnd, AlertKind, Anomaly, AppRow, Change, Concern, Fatal, FatalFlag, MIB, Policy,
    RunId, RunStatus, StopCause, Timestamp, Usage, format_memory,
};

/// A run is ended at the next sample after this number of them in a row with more memory than it may have.
const MEMORY_GRACE: u32 = 2;

/// How long it may take more of the CPU than it may before that is told: work comes in bursts.
const CPU_GRACE: Duration = Duration::from_secs(60);

/// What an app uses.
#[derive(Debug, Default)]
pub(super) struct AppUse {
    /// The run under way.
    of_run: Option<Use>,
    alert: Option<LimitAlert>,
}

/// What is known of the use of the run under way.
#[derive(Debug)]
struct Use {
    run: RunId,
    /// What the row shows.
    shown: Usage,
    memory_peak: u64,
    /// The number of samples in a row with more memory than the run may have.
    memory_over: u32,
    /// Since when each sample had more of the CPU than it may.
    cpu_over_since: Option<Duration>,
    broken: Option<Broken>,
    /// Why the run is to be ended.
    ends: Option<String>,
}

/// A limit that is broken now.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) since: Timestamp,
    pub(super) message: String,
    cause: &'static str,
}

/// An alert about a broken limit that is open. It outlives a run that was ended for that.
#[derive(Debug)]
struct LimitAlert {
    since: Timestamp,
    message: String,
    /// The run that broke the limit last.
    run: Option<RunId>,
    /// How many runs did.
    count: u32,
}

impl AppUse {
    /// What the row says of a run that goes on, and of its alert.
    pub(super) fn restored(row: &AppRow) -> Option<Box<Self>> {
        let of_run = Use::restored(row);
        let flag = row.state.fatal.as_ref().filter(|fatal| fatal.cause.known() == Some(Anomaly::OverLimit));
        let concern = row.state.concern.as_ref().filter(|conclusion| conclusion.is(Concern::OverLimit));
        let since = flag.map(|flag| flag.time).or(concern.map(|conclusion| conclusion.since));
        let alert = since.map(|since| LimitAlert {
            since,
            message: flag.map_or_else(String::new, |flag| flag.message.clone()),
            run: row.state.run,
            count: 1,
        });
        (of_run.is_some() || alert.is_some()).then(|| Box::new(Self { of_run, alert }))
    }

    /// The flag while an alert is open.
    pub(super) fn fatal(&self) -> Option<Fatal> {
        let LimitAlert { since, message, .. } = self.alert.as_ref()?;
        let (flag, cause) = (FatalFlag::UnexpectedBehavior, Anomaly::OverLimit.into());
        Some(Fatal { flag, cause, message: message.clone(), time: *since })
    }
}

impl Use {
    fn restored(row: &AppRow) -> Option<Self> {
        let run = row.state.run.filter(|_| row.state.status == RunStatus::Running)?;
        let shown = **row.usage.as_ref()?;
        let concern = row.state.concern.as_ref().filter(|conclusion| conclusion.is(Concern::OverLimit));
        // Until the next sample says how it is now.
        let broken =
            concern.map(|conclusion| Broken { since: conclusion.since, message: String::new(), cause: "" });
        Some(Self { shown, memory_peak: shown.memory_peak.unwrap_or(0), broken, ..Self::of(run) })
    }

    fn of(run: RunId) -> Self {
        Self {
            run,
            shown: Usage::default(),
            memory_peak: 0,
            memory_over: 0,
            cpu_over_since: None,
            broken: None,
            ends: None,
        }
    }

    /// Takes in a sample; gives what the row is to show, where that has changed noticeably.
    fn take(&mut self, sample: &Sample) -> Option<Usage> {
        self.memory_peak = self.memory_peak.max(sample.memory);
        let seen =
            Usage { memory: Some(sample.memory), cpu: Some(sample.cpu), memory_peak: Some(self.memory_peak) };
        is_noticeable(&self.shown, &seen).then(|| {
            self.shown = seen;
            seen
        })
    }

    /// Compares a sample with the limits.
    fn judge(&mut self, sample: &Sample, policy: &Policy, desk: &Desk) {
        let memory = over_memory(sample, policy);
        self.memory_over = if memory.is_some() { self.memory_over.saturating_add(1) } else { 0 };
        self.ends =
            memory.as_ref().filter(|over| !over.is_held && self.memory_over > MEMORY_GRACE).map(|over| {
                format!("used {} of memory, max_memory is {} MiB", format_memory(sample.memory), over.limit)
            });
        let cpu = over_cpu(sample, policy);
        self.cpu_over_since = cpu.map(|_| self.cpu_over_since.unwrap_or(desk.now.mono));
        let is_lasting = self.cpu_over_since.is_some_and(|since| desk.now.mono >= since + CPU_GRACE);
        let found = match (memory, cpu.filter(|_| is_lasting)) {
            (Some(over), _) => Some((over.message(sample), "more than max_memory")),
            (None, Some(limit)) => {
                let message = format!("used {:.0}% of a core for a minute, max_cpu is {limit}%", sample.cpu);
                Some((message, "more than max_cpu"))
            }
            (None, None) => None,
        };
        let since = self.broken.as_ref().map_or(desk.now.wall, |broken| broken.since);
        self.broken = found.map(|(message, cause)| Broken { since, message, cause });
    }
}

/// More memory than a run may have, or nearly, where the kernel would kill it for that.
struct OverMemory {
    /// In MiB.
    limit: u32,
    is_held: bool,
}

impl OverMemory {
    fn message(&self, sample: &Sample) -> String {
        let (used, limit) = (format_memory(sample.memory), self.limit);
        if self.is_held {
            format!("uses {used} of memory, and the kernel kills it at {limit} MiB (max_memory)")
        } else {
            format!("uses {used} of memory, max_memory is {limit} MiB; it is ended if that lasts")
        }
    }
}

fn over_memory(sample: &Sample, policy: &Policy) -> Option<OverMemory> {
    let limit = policy.max_memory?;
    // The kernel has the limit of the moment in which the run began.
    let is_held = sample.held.memory.is_some_and(|held| held <= limit);
    let bytes = u64::from(limit) * MIB;
    // It never comes to the limit itself there: nine tenths are the warning.
    let bytes = if is_held { bytes / 10 * 9 } else { bytes };
    (sample.memory > bytes).then_some(OverMemory { limit, is_held })
}

fn over_cpu(sample: &Sample, policy: &Policy) -> Option<u32> {
    let limit = policy.max_cpu?;
    let is_held = sample.held.cpu.is_some_and(|held| held <= limit);
    (!is_held && sample.cpu > f64::from(limit)).then_some(limit)
}

impl Manager {
    /// Takes in samples of several runs.
    pub(super) fn used(&mut self, samples: Vec<Sample>, step: &mut Step) {
        for sample in samples {
            let Some(app) = self.desk.index.app_of(sample.run) else { continue };
            let entry = self.apps.get_mut(&app);
            if entry.is_some_and(|entry| entry.note_sample(&sample, &self.desk, step)) {
                self.work(app, step, Entry::look_at_limits);
            }
        }
    }
}

impl Entry {
    /// Gives whether the row is to follow: a limit is broken now, or is not any more.
    #[must_use]
    fn note_sample(&mut self, sample: &Sample, desk: &Desk, step: &mut Step) -> bool {
        let policy = &self.app.policy;
        if !sample.is_exact && over_memory(sample, policy).is_some() {
            // Pages may have been counted twice.
            step.effects.push(Effect::Measure { run: sample.run });
            return false;
        }
        let AppUse { of_run, alert } = &mut **self.usage.get_or_insert_default();
        let usage = of_run.take().filter(|usage| usage.run == sample.run);
        let usage = of_run.insert(usage.unwrap_or_else(|| Use::of(sample.run)));
        if let Some(usage) = usage.take(sample) {
            step.changes.push(Change::Used { app: self.app.id, run: sample.run, usage });
        }
        usage.judge(sample, policy, desk);
        let is_told = alert.as_ref().is_some_and(|alert| alert.run == Some(sample.run));
        usage.ends.is_some() || usage.broken.is_some() != is_told
    }

    /// Tells of a limit that is broken now, or not any more, and ends a run that takes too much memory.
    fn look_at_limits(&mut self, desk: &mut Desk, step: &mut Step) {
        let Some(AppUse { of_run: Some(usage), alert }) = self.usage.as_deref_mut() else { return };
        let run = Some(usage.run);
        let (app, at) = (self.app.id, desk.now.wall);
        let tell = |alert: &LimitAlert, cause: &str| Alert {
            app,
            kind: AlertKind::OverLimit,
            cause: AlertCause::of_text(cause),
            // A run may break its limit more than once: the moment makes the episode.
            run: None,
            message: alert.message.clone(),
            count: alert.count,
            at,
            detail: None,
        };
        match (&usage.broken, alert.as_mut()) {
            (Some(broken), None) => {
                let message = broken.message.clone();
                let opened = alert.insert(LimitAlert { since: at, message, run, count: 1 });
                step.changes.push(Change::AlertOpened(tell(opened, broken.cause)));
            }
            (Some(broken), Some(before)) if before.run != run => {
                (before.run, before.count) = (run, before.count.saturating_add(1));
                before.message.clone_from(&broken.message);
                step.changes.push(Change::AlertRepeated(tell(before, broken.cause)));
            }
            (None, Some(before)) if before.run == run => {
                let kinds = &[AlertKind::OverLimit];
                step.changes.push(Change::AlertsClosed { app, kinds, at, end: AlertEnd::Recovered });
                *alert = None;
            }
            (Some(_), Some(_)) | (None, _) => {}
        }
        let ends = usage.ends.take().filter(|_| matches!(self.phase, Phase::Running(_)));
        if let (Some(used), Some(broken), Some(alert)) = (ends, &usage.broken, alert) {
            alert.message = format!("{used}; the run is ended");
            step.changes.push(Change::AlertRepeated(tell(alert, broken.cause)));
            self.stop(Purpose::Other, StopCause::Memory(used), desk, step);
        }
    }

    /// Which limit the run under way breaks now.
    pub(super) fn broken_limit(&self) -> Option<&Broken> {
        self.usage.as_ref()?.of_run.as_ref()?.broken.as_ref()
    }

    /// The alert about a broken limit is to be closed; gives whether one is open.
    pub(super) fn forget_limit_alert(&mut self) -> bool {
        self.usage.as_mut().is_some_and(|usage| usage.alert.take().is_some())
    }

    /// Enters the largest sample of a run that is about to be closed, however little it is above what the row shows.
    pub(super) fn note_peak(&mut self, run: RunId, step: &mut Step) {
        let of_run = self.usage.as_mut().and_then(|usage| usage.of_run.take());
        let Some(Use { shown, memory_peak, .. }) = of_run.filter(|usage| usage.run == run) else { return };
        if shown.memory_peak.is_some_and(|shown| shown != memory_peak) {
            let usage = Usage { memory_peak: Some(memory_peak), ..shown };
            step.changes.push(Change::Used { app: self.app.id, run, usage });
        }
    }
}

/// Memory that differs by a tenth and by 1 MiB, or time on the CPU that differs by a tenth and by a point.
fn is_noticeable(shown: &Usage, seen: &Usage) -> bool {
    let memory_differs = |shown: Option<u64>, seen: Option<u64>| match (shown, seen) {
        (Some(shown), Some(seen)) => shown.abs_diff(seen) >= MIB.max(shown / 10),
        (shown, seen) => shown != seen,
    };
    let cpu_differs = match (shown.cpu, seen.cpu) {
        (Some(shown), Some(seen)) => (shown - seen).abs() >= f64::max(1.0, shown / 10.0),
        (shown, seen) => shown != seen,
    };
    cpu_differs
        || memory_differs(shown.memory, seen.memory)
        || memory_differs(shown.memory_peak, seen.memory_peak)
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
