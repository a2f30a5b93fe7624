//! Runs: begun, reporting, over.

use super::estimate::estimate;
use super::tables::{RunRow, Tables};
use crate::model::{
    AppId, AppRow, Blame, Closing, Counted, Exit, LastEnd, Movement, Progress, Refusal, Report, RunId,
    RunOpening, RunStatus, Samples, Timestamp, Trigger, Usage, known_pid,
};
use crate::store::RunLength;

impl Tables {
    pub(super) fn open_of(&self, app: AppId) -> Option<RunId> {
        self.runs.values().find(|row| row.run.app == app && row.run.end.is_none()).map(|row| row.run.run)
    }

    pub(super) fn open_run(&mut self, opening: &RunOpening) -> Option<Refusal> {
        if self.runs.contains_key(&opening.run) {
            return None;
        }
        // The row of the run under way may have been deleted; the row of the app knows of it as well.
        let known = self.apps.get(&opening.app).filter(|row| row.state.status == RunStatus::Running);
        let unlisted = known
            .and_then(|row| row.state.run)
            .filter(|run| *run != opening.run && !self.runs.contains_key(run));
        let open = self.open_of(opening.app).or(unlisted);
        let Some(row) = self.apps.get_mut(&opening.app) else { return Some(Refusal::NoSuchApp) };
        if row.app.disabled && !opening.is_forced {
            return Some(Refusal::Disabled);
        }
        if let Some(other) = open {
            return Some(Refusal::AlreadyOpen(other));
        }
        row.state.status = RunStatus::Running;
        row.state.run = Some(opening.run);
        row.state.last_run = Some(opening.at);
        row.state.pid = None;
        row.state.manager = Some(opening.manager.clone());
        row.movement = None;
        row.usage = None;
        row.progress = Progress { percent: Some(0), ..Progress::default() };
        self.opened += 1;
        self.runs.insert(opening.run, RunRow::of(opening, self.opened));
        self.touch(opening.app);
        None
    }

    pub(super) fn start_run(&mut self, run: RunId, pid: u32, at: Timestamp) {
        let Some(row) = self.runs.get_mut(&run).filter(|row| row.run.end.is_none()) else { return };
        row.run.pid = known_pid(pid);
        row.run.start = at;
        let app = row.run.app;
        if let Some(row) = self.running(app, run) {
            row.state.pid = known_pid(pid);
            row.state.last_run = Some(at);
            self.touch(app);
        }
    }

    pub(super) fn close_run(&mut self, run: RunId, app: AppId, closing: &Closing) {
        if !self.runs.contains_key(&run) {
            self.opened += 1;
            let opening = opening_of_lost_row(run, app, closing);
            self.runs.insert(run, RunRow::of(&opening, self.opened));
        }
        let counters =
            self.apps.get(&app).filter(|row| row.state.run == Some(run)).map(|row| row.progress.clone());
        let used =
            self.apps.get(&app).filter(|row| row.state.run == Some(run)).and_then(|row| row.usage.clone());
        let Some(row) = self.runs.get_mut(&run).filter(|row| row.run.end.is_none()) else { return };
        let report = &closing.report;
        let counters = counters.unwrap_or_default();
        row.run.start = closing.started.unwrap_or(row.run.start);
        // The clock may have been set back meanwhile.
        row.run.end = Some(closing.ended.max(row.run.start));
        row.run.outcome = Some(closing.ending.outcome().into());
        row.run.exit_code = closing.ending.exit().map(Exit::code);
        row.run.signal = closing.ending.exit().and_then(|exit| match exit {
            Exit::Signal { signal, .. } => Some(signal),
            Exit::Code(_) => None,
        });
        row.run.leftovers = closing.leftovers.count;
        row.run.except_cnt = report.except_cnt.unwrap_or(row.run.except_cnt);
        row.run.progress = Progress {
            task_size: report.task_size.or(counters.task_size),
            solved: report.solved.unwrap_or(counters.solved),
            failed: report.failed.unwrap_or(counters.failed),
            ..Progress::default()
        };
        let said = report.message.clone().or(counters.message);
        let said = said.or_else(|| closing.error_line().map(str::to_owned));
        row.run.message = closing.ending.message().map(str::to_owned).or(said);
        row.run.memory_peak = used.and_then(|usage| usage.memory_peak);
        let last_end = LastEnd {
            outcome: closing.ending.outcome().into(),
            exit_code: row.run.exit_code,
            at: row.run.end.unwrap_or(closing.ended),
        };
        self.note_ping((app, run), closing);
        self.note_counters(app, run, report);
        if let Some(row) = self.running(app, run) {
            row.last_end = Some(Box::new(last_end));
            row.progress.eta = None;
            if let Some(usage) = &mut row.usage {
                **usage = Usage { memory_peak: usage.memory_peak, ..Usage::default() };
            }
            row.state.pid = None;
            row.state.status = RunStatus::NotRunning;
            self.touch(app);
        }
    }

    fn running(&mut self, app: AppId, run: RunId) -> Option<&mut AppRow> {
        self.apps
            .get_mut(&app)
            .filter(|row| row.state.run == Some(run) && row.state.status == RunStatus::Running)
    }

    pub(super) fn note_progress(&mut self, app: AppId, run: RunId, report: &Report) {
        if let Some(row) = self.runs.get_mut(&run).filter(|row| row.run.end.is_none()) {
            row.run.except_cnt = report.except_cnt.unwrap_or(row.run.except_cnt);
        }
        self.note_counters(app, run, report);
    }

    pub(super) fn note_usage(&mut self, app: AppId, run: RunId, usage: Usage) {
        let Some(row) = self.running(app, run) else { return };
        row.usage = (usage != Usage::default()).then(|| Box::new(usage));
        self.touch(app);
    }

    fn note_counters(&mut self, app: AppId, run: RunId, report: &Report) {
        let time = self.time;
        let Some(row) = self.running(app, run) else { return };
        let before = row.progress.clone();
        let progress = &mut row.progress;
        progress.task_size = report.task_size.or(progress.task_size);
        progress.solved = report.solved.unwrap_or(progress.solved);
        progress.failed = report.failed.unwrap_or(progress.failed);
        progress.message = report.message.clone().or(progress.message.take());
        if let Some(started) = row.state.last_run {
            estimate(&before, progress, started, time);
        }
        let gained = |before: u64, now: u64| now.saturating_sub(before);
        let counted = Counted {
            solved: gained(before.solved, progress.solved),
            failed: gained(before.failed, progress.failed),
        };
        if counted.done() > 0 {
            row.samples.get_or_insert_with(|| Box::new(Samples::none(time))).add(counted, time);
        }
        progress.percent = report.percent.or(progress.percent);
        progress.eta = report.eta.or(progress.eta);
        let counters =
            |progress: &Progress| (progress.task_size, progress.percent, progress.solved, progress.failed);
        if counters(progress) != counters(&before) {
            row.movement = Some(Box::new(Movement::next(row.movement.as_deref(), time)));
        }
        let asked = report.next_run.or(row.asked_next_run);
        let is_asked_anew = std::mem::replace(&mut row.asked_next_run, asked) != asked;
        if *progress != before || is_asked_anew {
            self.touch(app);
        }
    }

    pub(super) fn begun_since(&self, moment: Timestamp) -> u64 {
        self.runs.values().filter(|row| row.run.start > moment).count() as u64
    }

    pub(super) fn good_runs(&self, apps: &[AppId], of_each: u32) -> Vec<RunLength> {
        let mut found = Vec::new();
        for app in apps {
            let mut runs: Vec<_> =
                self.runs.values().map(|row| &row.run).filter(|run| run.app == *app).collect();
            runs.sort_by_key(|run| std::cmp::Reverse(run.start));
            runs.truncate(usize::try_from(of_each).unwrap_or(usize::MAX));
            let good = runs.into_iter().filter(|run| run.blame() == Some(Blame::Good));
            found.extend(good.filter_map(|run| Some((*app, run.end? - run.start))));
        }
        found
    }

    /// Deletes the rows of runs that ended before a time, as retention and people do.
    pub fn purge_runs(&mut self, before: Timestamp) -> Vec<RunId> {
        let is_old = |row: &RunRow| row.run.end.is_some_and(|end| end < before);
        let old: Vec<_> = self.runs.iter().filter(|(_, row)| is_old(row)).map(|(run, _)| *run).collect();
        self.runs.retain(|_, row| !is_old(row));
        old
    }
}

/// What is known of a run whose row is gone, now that it is over.
fn opening_of_lost_row(run: RunId, app: AppId, closing: &Closing) -> RunOpening {
    RunOpening {
        run,
        app,
        at: closing.started.unwrap_or(closing.ended),
        due: None,
        trigger: Trigger::Schedule,
        attempt: 1,
        command: None,
        manager: String::new(),
        is_forced: true,
    }
}
