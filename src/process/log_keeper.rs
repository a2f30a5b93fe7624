//! Keeps the logs of a host within their limits, in a thread of its own: their total size, their age, how many of an app, and
//! the free space of their disk. The logs of runs under way are never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime};

use super::layout::{RunDir, StateDir};
use super::log_disk::{self, Oldest, logs_in};
use super::log_format::LogFiles;
use super::supervisor::Sink;
use super::{clock, journal, sys};
use crate::manager::Event;
use crate::model::{AlertCause, AppId, FleetKind, FleetTrouble, RunId};

/// How often the free space is looked at: a disk at 200 MB/s fills the default reserve in five seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often the logs of runs under way are looked at; sooner when so large a part of the total was written meanwhile.
const MEASURE_EVERY: Duration = Duration::from_secs(30);
const MEASURED_PART: u64 = 16;

/// How often all logs are looked through for old ones, and counted again.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// When a sweep could not do enough, as long as this passes before the next.
const SWEEP_AGAIN: Duration = Duration::from_secs(30);

/// Beyond a limit logs are deleted until so large a part of it is free, so that not each run that ends is an occasion.
const SLACK_PART: u64 = 20;

/// The pause after a log was packed, in times of what that took: at most a tenth of a core.
const PACK_PAUSES: u32 = 9;

/// How often the manager is told that the disk is still nearly full.
const TELL_EVERY: Duration = Duration::from_secs(600);

/// As many logs are deleted between two looks at all of them: they are held in memory.
const BATCH: usize = 2000;

/// The reserve of free space where none is set: the smaller of this, and of this part of the disk.
const RESERVE: u64 = 1 << 30;
const RESERVE_PART: u64 = 20;

/// What the logs of a host may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// All logs of apps together, in bytes.
    pub total_max: u64,
    /// Days after which a log is deleted.
    pub days_max: u32,
    /// Bytes that stay free on their disk; `None`: 1 GiB, or a twentieth of a small disk.
    pub free_min: Option<u64>,
}

impl LogLimits {
    /// How many bytes stay free on a disk of this size.
    #[must_use]
    pub fn reserve(&self, size: u64) -> u64 {
        self.free_min.unwrap_or_else(|| RESERVE.min(size / RESERVE_PART))
    }
}

/// What the thread is told.
enum Note {
    /// The end of a run is on record.
    Over { run: RunId, app: AppId, log_keep: u32, has_failed: bool },
    /// Logs may take this from now on.
    Limits(LogLimits),
}

/// The way to the thread, which ends with the last of these.
#[derive(Clone)]
pub(super) struct LogKeeper(Sender<Note>);

impl LogKeeper {
    pub(super) fn begin(state: StateDir, limits: LogLimits, sink: Sink) -> std::io::Result<Self> {
        let (notes, inbox) = channel();
        let keeper = Keeper::new(state, limits, sink);
        std::thread::Builder::new().name("dcm-logs".to_owned()).spawn(move || keeper.serve(&inbox))?;
        Ok(Self(notes))
    }

    /// The run is over, and `log_keep` logs of its app are kept. `u32::MAX` keeps all.
    pub(super) fn over(&self, run: RunId, app: AppId, log_keep: u32, has_failed: bool) {
        // The thread ends only after this.
        let _ = self.0.send(Note::Over { run, app, log_keep, has_failed });
    }

    /// Logs may take this from now on.
    pub(super) fn adjust(&self, limits: LogLimits) {
        let _ = self.0.send(Note::Limits(limits));
    }
}

struct Keeper {
    state: StateDir,
    limits: LogLimits,
    /// Bytes of the logs of runs that are over.
    finished: u64,
    /// The logs of runs under way, and their bytes.
    live: BTreeMap<RunId, (PathBuf, u64)>,
    look_at: Duration,
    measure_at: Duration,
    sweep_at: Duration,
    may_sweep_at: Duration,
    /// The free space when the logs under way were looked at last.
    measured_free: Option<u64>,
    /// Whether the free space was below the reserve, and not well above it since; `None`: it was neither so far.
    is_low: Option<bool>,
    /// When the next is told of that.
    tell_at: Duration,
    deleted_while_low: u64,
    sink: Sink,
    /// Apps with logs that may be worth packing.
    to_pack: BTreeSet<AppId>,
    pack_at: Duration,
    /// The last one could not be packed, and that was said.
    cannot_pack: bool,
}

/// The free space of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Space {
    free: u64,
    reserve: u64,
}

impl Space {
    /// The reserve with some slack: up to here logs are deleted.
    fn goal(self) -> u64 {
        self.reserve + self.reserve / SLACK_PART
    }

    /// Well above the reserve: what deleting logs alone does not reach.
    fn is_ample(self) -> bool {
        self.free > self.reserve + self.reserve / 4
    }
}

/// What a sweep has done.
#[derive(Default)]
struct Swept {
    logs: usize,
    bytes: u64,
}

impl Keeper {
    fn new(state: StateDir, limits: LogLimits, sink: Sink) -> Self {
        Self {
            state,
            limits,
            finished: 0,
            live: BTreeMap::new(),
            look_at: Duration::ZERO,
            measure_at: Duration::ZERO,
            sweep_at: Duration::ZERO,
            may_sweep_at: Duration::ZERO,
            measured_free: None,
            is_low: None,
            tell_at: Duration::ZERO,
            deleted_while_low: 0,
            sink,
            to_pack: BTreeSet::new(),
            pack_at: Duration::ZERO,
            cannot_pack: false,
        }
    }

    fn serve(mut self, inbox: &Receiver<Note>) {
        sys::lower_priority();
        loop {
            let now = clock::boot_time();
            let nap = if self.to_pack.is_empty() || self.is_low == Some(true) {
                LOOK_EVERY
            } else {
                self.pack_at.saturating_sub(now)
            };
            match inbox.recv_timeout(nap.min(LOOK_EVERY)) {
                Ok(note) => self.take(&note),
                Err(RecvTimeoutError::Timeout) => self.pack_one(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = clock::boot_time();
            if now >= self.look_at {
                self.look_at = now + LOOK_EVERY;
                self.look(now);
            }
        }
    }

    fn take(&mut self, note: &Note) {
        let (run, app, log_keep, has_failed) = match *note {
            Note::Over { run, app, log_keep, has_failed } => (run, app, log_keep, has_failed),
            Note::Limits(limits) => {
                self.limits = limits;
                // What is beyond them goes at the next look.
                self.sweep_at = clock::boot_time();
                return;
            }
        };
        let folder = self.state.logs(app);
        self.live.remove(&run);
        let size: u64 = logs_in(&folder).iter().filter(|log| log.run == run).map(|log| log.size).sum();
        self.finished = self.finished.saturating_add(size);
        if has_failed && size > 0 {
            log_disk::note_failed(&folder, run);
        }
        if log_keep != u32::MAX {
            let freed = log_disk::keep_last(&self.state, app, log_keep);
            self.finished = self.finished.saturating_sub(freed);
        }
        self.to_pack.insert(app);
    }

    /// Packs a log, if it is time for one. On a disk that is nearly full there is no room for it beside what it replaces.
    fn pack_one(&mut self) {
        let begin = clock::boot_time();
        if begin < self.pack_at || self.is_low == Some(true) {
            return;
        }
        let Some(app) = self.to_pack.first().copied() else { return };
        let logs = logs_in(&self.state.logs(app));
        let Some(log) = log_disk::to_pack(&self.state, &logs).next() else {
            self.to_pack.remove(&app);
            return;
        };
        match log.pack() {
            Ok(size) => {
                self.finished = self.finished.saturating_sub(log.size.saturating_sub(size));
                self.cannot_pack = false;
            }
            Err(error) if std::mem::replace(&mut self.cannot_pack, true) => {
                tracing::debug!(log = %log.path.display(), %error, "another old log cannot be compressed");
                self.to_pack.remove(&app);
            }
            Err(error) => {
                tracing::warn!(log = %log.path.display(), %error, "an old log cannot be compressed; it stays as it is");
                self.to_pack.remove(&app);
            }
        }
        let now = clock::boot_time();
        self.pack_at = now + now.saturating_sub(begin) * PACK_PAUSES;
    }

    fn look(&mut self, now: Duration) {
        let space = self.space();
        let written =
            self.measured_free.zip(space).map_or(0, |(before, space)| before.saturating_sub(space.free));
        if now >= self.measure_at || written > self.limits.total_max / MEASURED_PART {
            self.measure_at = now + MEASURE_EVERY;
            self.measured_free = space.map(|space| space.free);
            self.measure_live();
        }
        let mut swept = Swept::default();
        let is_low = space.is_some_and(|space| space.free < space.reserve);
        let is_over = self.total() > self.limits.total_max;
        if now >= self.sweep_at || (is_low || is_over) && now >= self.may_sweep_at {
            self.sweep_at = now + SWEEP_EVERY;
            swept = self.sweep();
            let is_enough = self.total() <= self.limits.total_max && self.lacking() == 0;
            self.may_sweep_at = if is_enough { now } else { now + SWEEP_AGAIN };
            self.say(&swept);
        }
        self.note_space(space, &swept, now);
    }

    fn total(&self) -> u64 {
        self.finished.saturating_add(self.live.values().map(|(_, size)| size).sum())
    }

    fn space(&self) -> Option<Space> {
        // A file system that does not tell has no limit that could be kept.
        let (free, size) = sys::disk_space(self.state.path()).ok().filter(|(_, size)| *size > 0)?;
        let reserve = self.limits.reserve(size);
        Some(Space { free, reserve })
    }

    /// How many bytes are to become free for the disk's sake.
    fn lacking(&self) -> u64 {
        let low = self.space().filter(|space| space.free < space.reserve);
        low.map_or(0, |space| space.goal() - space.free)
    }

    /// Measures the logs of runs under way. Their directories say where those are.
    fn measure_live(&mut self) {
        let mut known = std::mem::take(&mut self.live);
        for entry in fs::read_dir(self.state.runs()).into_iter().flatten().filter_map(Result::ok) {
            let Some(run) = entry.file_name().to_str().and_then(|name| name.parse::<RunId>().ok()) else {
                continue;
            };
            let path = known.remove(&run).map(|(path, _)| path);
            let path = path.or_else(|| Some(journal::read(&RunDir::new(entry.path())).ok()??.spec.log));
            if let Some(path) = path {
                let size_of =
                    |file: &std::path::Path| fs::symlink_metadata(file).map_or(0, |found| found.len());
                let size = LogFiles::of(&path).in_order().into_iter().map(size_of).sum();
                self.live.insert(run, (path, size));
            }
        }
    }

    /// Looks through all logs: counts them, and deletes what is too old, and the oldest until all limits hold.
    fn sweep(&mut self) -> Swept {
        let mut swept = Swept::default();
        self.measure_live();
        loop {
            let lacking = self.lacking();
            let oldest = self.count(&mut swept);
            let total = self.total();
            let surplus = match total.checked_sub(self.limits.total_max) {
                None | Some(0) => 0,
                Some(surplus) => surplus + self.limits.total_max / SLACK_PART,
            };
            let wanted = surplus.max(lacking);
            let found = oldest.len();
            let mut freed = 0;
            for log in oldest {
                if freed >= wanted {
                    break;
                }
                let bytes = log.delete(&self.state);
                freed += bytes;
                swept.logs += usize::from(bytes > 0);
            }
            self.finished = self.finished.saturating_sub(freed);
            swept.bytes += freed;
            // Where that was all, or nothing could be deleted, another look finds no more.
            if freed >= wanted || found < BATCH || freed == 0 {
                return swept;
            }
        }
    }

    /// Counts all logs of runs that are over, deletes those that are too old, and gives back the oldest.
    fn count(&mut self, swept: &mut Swept) -> Vec<log_disk::LogOnDisk> {
        let age_max = Duration::from_secs(u64::from(self.limits.days_max) * 24 * 3600);
        let too_old = SystemTime::from(clock::wall()).checked_sub(age_max);
        let mut oldest = Oldest::new(BATCH);
        self.finished = 0;
        for folder in fs::read_dir(self.state.all_logs()).into_iter().flatten().filter_map(Result::ok) {
            let logs = logs_in(&folder.path());
            if log_disk::to_pack(&self.state, &logs).next().is_some() {
                self.to_pack.extend(folder.file_name().to_str().and_then(|name| name.parse::<AppId>().ok()));
            }
            for log in logs {
                if self.live.contains_key(&log.run) {
                    continue;
                }
                let is_old = too_old.is_some_and(|too_old| log.modified < too_old) && !log.is_last_failed;
                let freed = if is_old { log.delete(&self.state) } else { 0 };
                if freed > 0 {
                    swept.logs += 1;
                    swept.bytes += freed;
                } else {
                    self.finished += log.size;
                    oldest.add(log);
                }
            }
        }
        oldest.in_order()
    }

    fn say(&self, swept: &Swept) {
        if swept.logs > 0 {
            tracing::info!(
                logs = swept.logs,
                bytes = swept.bytes,
                total = self.total(),
                "old logs of apps were deleted, as [logs] max_total, keep_days and min_free say"
            );
        }
    }

    /// Passes on that the disk is nearly full, until there is ample room again: what is deleted at the reserve keeps the free
    /// space near it.
    fn note_space(&mut self, before: Option<Space>, swept: &Swept, now: Duration) {
        let (Some(before), Some(space)) = (before, self.space()) else { return };
        let folder = self.state.path().display();
        let cause = AlertCause::of_text(&format!("the disk of {folder} is nearly full"));
        let trouble = FleetTrouble { kind: FleetKind::DiskLow, cause };
        self.deleted_while_low += swept.bytes;
        if before.free < before.reserve && now >= self.tell_at {
            let message = format!(
                "the disk of {folder} has {} free, less than {} ([logs] min_free); {} of old logs of apps were \
                 deleted for it; make room there",
                mebibytes(before.free),
                mebibytes(before.reserve),
                mebibytes(self.deleted_while_low),
            );
            if self.is_low != Some(true) {
                // Where the database is on the same disk, this may be all that gets out.
                tracing::warn!("{message}");
            }
            self.is_low = Some(true);
            self.tell_at = now + TELL_EVERY;
            (self.sink)(Event::FleetTrouble { trouble, message });
        } else if self.is_low != Some(false) && space.is_ample() {
            // Also at the start: a manager before this one may have raised an alert.
            self.is_low = Some(false);
            self.tell_at = now;
            self.deleted_while_low = 0;
            (self.sink)(Event::FleetTroubleOver(trouble));
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests;
