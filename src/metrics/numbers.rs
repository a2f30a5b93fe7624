//! What a manager counts: written where things happen, read by the exporter.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::fleet::FleetNumbers;
use super::health::{Health, Stage};
use super::histogram::Histogram;
use crate::model::{
    BrokerState, Change, Closing, CmdFlag, Load, Outcome, RunId, SkipReason, Timestamp, Trigger, Vocabulary,
};
use crate::process::clock;

/// From what starts and fails at once to what takes a day.
const RUN_SECONDS: &[f64] = &[
    0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 10_800.0, 21_600.0, 43_200.0,
    86_400.0,
];

/// A start takes milliseconds; what waits for room may take hours.
const LAG_SECONDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

const COMMIT_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

const TURN_SECONDS: &[f64] =
    &[0.000_05, 0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Whether a broker is set up and reached, as a number.
const NO_BROKER: u8 = 0;
const BROKER_AWAY: u8 = 1;
const BROKER_CONNECTED: u8 = 2;

/// The numbers of one manager. They are for the life of its process.
#[derive(Debug)]
pub struct Metrics {
    pub(super) manager: String,
    pub(super) health: Health,
    /// When the database took a heartbeat, in milliseconds of the wall clock; 0 before the first one.
    heartbeat: AtomicI64,
    running: AtomicU64,
    waiting: AtomicU64,
    /// One more than the limit; 0 without one.
    limit: AtomicU64,
    broker: AtomicU8,
    pub(super) runs: Counts<Outcome>,
    pub(super) skipped: Counts<SkipReason>,
    executed: AtomicU64,
    not_executed: AtomicU64,
    commit_failures: AtomicU64,
    pub(super) run_duration: Histogram,
    pub(super) schedule_lag: Histogram,
    pub(super) commit: Histogram,
    pub(super) turn: Histogram,
    fleet: Mutex<Option<Arc<FleetNumbers>>>,
    trouble: Mutex<Option<String>>,
}

impl Metrics {
    /// Those of a manager that begins.
    #[must_use]
    pub fn new(manager: &str) -> Self {
        Self {
            manager: manager.to_owned(),
            health: Health::new(clock::boot_time()),
            heartbeat: AtomicI64::new(0),
            running: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            limit: AtomicU64::new(0),
            broker: AtomicU8::new(NO_BROKER),
            runs: Counts::default(),
            skipped: Counts::default(),
            executed: AtomicU64::new(0),
            not_executed: AtomicU64::new(0),
            commit_failures: AtomicU64::new(0),
            run_duration: Histogram::new(RUN_SECONDS),
            schedule_lag: Histogram::new(LAG_SECONDS),
            commit: Histogram::new(COMMIT_SECONDS),
            turn: Histogram::new(TURN_SECONDS),
            fleet: Mutex::new(None),
            trouble: Mutex::new(None),
        }
    }

    /// The manager's loop has turned, or it waits for the database and is alive.
    pub fn turned(&self) {
        self.health.turned(clock::boot_time());
    }

    /// The loop has dealt with one event in this time.
    pub fn took_turn(&self, took: Duration) {
        self.turn.observe(took);
    }

    /// The manager has reached another stage of its life.
    pub fn enter(&self, stage: Stage) {
        self.health.enter(stage);
    }

    /// The database has taken a heartbeat, which is good for this long.
    pub fn renewed(&self, lease: Duration) {
        self.health.renewed(clock::boot_time(), lease);
        self.heartbeat.store(clock::wall().timestamp_millis(), Ordering::Relaxed);
    }

    /// The database did not answer, or refused.
    pub fn database_failed(&self) {
        self.health.database_failed();
    }

    /// What the manager has to do.
    pub fn set_load(&self, load: Load) {
        self.running.store(load.running.into(), Ordering::Relaxed);
        self.waiting.store(load.waiting.into(), Ordering::Relaxed);
        self.limit.store(load.running_max.map_or(0, |limit| u64::from(limit) + 1), Ordering::Relaxed);
    }

    /// How it stands with the broker. One that takes no messages for now is connected.
    pub fn set_broker(&self, state: &BrokerState) {
        let number = match state {
            BrokerState::Connected | BrokerState::Blocked { .. } => BROKER_CONNECTED,
            BrokerState::Away { .. } => BROKER_AWAY,
        };
        self.broker.store(number, Ordering::Relaxed);
    }

    /// A transaction was committed in this time.
    pub fn committed(&self, took: Duration) {
        self.commit.observe(took);
    }

    /// One was not.
    pub fn commit_failed(&self) {
        self.commit_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// What was read of the whole database takes the place of what was read before.
    pub fn set_fleet(&self, numbers: FleetNumbers) {
        *self.fleet.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(numbers));
    }

    /// Why nothing is exported, if that is so.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_trouble(&self, why: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    pub(super) fn fleet(&self) -> Option<Arc<FleetNumbers>> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// In seconds of the wall clock.
    pub(super) fn heartbeat(&self) -> Option<f64> {
        let millis = self.heartbeat.load(Ordering::Relaxed);
        Timestamp::from_timestamp_millis(millis).filter(|_| millis != 0).map(seconds)
    }

    pub(super) fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn limit(&self) -> Option<u64> {
        self.limit.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(super) fn broker(&self) -> Option<bool> {
        let number = self.broker.load(Ordering::Relaxed);
        (number != NO_BROKER).then_some(number == BROKER_CONNECTED)
    }

    pub(super) fn verdicts(&self) -> [(CmdFlag, u64); 2] {
        [(CmdFlag::Executed, &self.executed), (CmdFlag::NotExecuted, &self.not_executed)]
            .map(|(flag, count)| (flag, count.load(Ordering::Relaxed)))
    }

    pub(super) fn commit_failures(&self) -> u64 {
        self.commit_failures.load(Ordering::Relaxed)
    }
}

/// Counts what a manager has written.
#[derive(Debug)]
pub struct Recorder {
    metrics: Arc<Metrics>,
    /// When runs were due that have no process yet.
    due: BTreeMap<RunId, Timestamp>,
}

impl Recorder {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, due: BTreeMap::new() }
    }

    /// A transaction was committed in this time.
    pub fn committed(&self, took: Duration) {
        self.metrics.committed(took);
    }

    /// One was not.
    pub fn commit_failed(&self) {
        self.metrics.commit_failed();
    }

    /// A change was committed.
    pub fn written(&mut self, change: &Change) {
        match change {
            Change::RunOpened(opening) => {
                let due = opening.due.filter(|_| opening.trigger == Trigger::Schedule);
                self.due.extend(due.map(|due| (opening.run, due)));
            }
            Change::RunStarted { run, at, .. } => self.started(*run, *at),
            Change::RunClosed { run, closing, .. } => {
                // What was over before it was seen to run.
                if let Some(at) = closing.started {
                    self.started(*run, at);
                }
                self.due.remove(run);
                self.closed(closing);
            }
            Change::CommandSettled { verdict, .. } => {
                let count = match verdict.flag() {
                    CmdFlag::Executed => &self.metrics.executed,
                    CmdFlag::NotExecuted | CmdFlag::Pending => &self.metrics.not_executed,
                };
                count.fetch_add(1, Ordering::Relaxed);
            }
            Change::Skipped(skip) => self.metrics.skipped.add(skip.reason, skip.slots.unwrap_or(1).into()),
            Change::RunNotFound { .. }
            | Change::App(_)
            | Change::Progress { .. }
            | Change::Used { .. }
            | Change::AlertOpened(_)
            | Change::AlertRepeated(_)
            | Change::AlertsClosed { .. }
            | Change::FleetAlert(_)
            | Change::AppNamed { .. }
            | Change::AppFault { .. }
            | Change::TimesIgnored { .. } => {}
        }
    }

    fn started(&mut self, run: RunId, at: Timestamp) {
        if let Some(due) = self.due.remove(&run) {
            self.metrics.schedule_lag.observe((at - due).to_std().unwrap_or_default());
        }
    }

    fn closed(&self, closing: &Closing) {
        self.metrics.runs.add(closing.ending.outcome(), 1);
        if let Some(started) = closing.started {
            self.metrics.run_duration.observe((closing.ended - started).to_std().unwrap_or_default());
        }
    }
}

/// A counter for each word.
#[derive(Debug)]
pub(super) struct Counts<T> {
    counts: Vec<AtomicU64>,
    words: PhantomData<fn(T)>,
}

impl<T: Vocabulary> Default for Counts<T> {
    fn default() -> Self {
        Self { counts: T::ALL.iter().map(|_| AtomicU64::new(0)).collect(), words: PhantomData }
    }
}

impl<T: Vocabulary> Counts<T> {
    fn add(&self, word: T, number: u64) {
        if let Some(at) = T::ALL.iter().position(|known| *known == word) {
            self.counts[at].fetch_add(number, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        T::ALL.iter().zip(&self.counts).map(|(word, count)| (word.word(), count.load(Ordering::Relaxed)))
    }
}

/// As Prometheus counts time.
pub(super) fn seconds(time: Timestamp) -> f64 {
    // Exact for some 285,000 years.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
    let millis = time.timestamp_millis() as f64;
    millis / 1000.0
}
