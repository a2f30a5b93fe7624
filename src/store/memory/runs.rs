//! Runs: begun, reporting, over.

use super::estimate::estimate;
use super::tables::{RunRow, Tables};
use crate::model::{
    AppId, AppRow, Closing, Ending, Exit, LastEnd, Progress, Refusal, Report, Run, RunId, RunOpening,
    RunStatus, Timestamp, known_pid,
};

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
        row.progress = Progress { percent: Some(0), ..Progress::default() };
        let run = Run {
            run: opening.run,
            app: opening.app,
            start: opening.at,
            end: None,
            outcome: None,
            exit_code: None,
            signal: None,
            except_cnt: 0,
            progress: Progress::default(),
            trigger: opening.trigger.into(),
            due: opening.due,
            attempt: opening.attempt,
            manager: opening.manager.clone(),
            pid: None,
            message: None,
            leftovers: 0,
            command: None,
        };
        self.opened += 1;
        let row = RunRow { run, order: self.opened, command: opening.command, trigger: opening.trigger };
        self.runs.insert(opening.run, row);
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
            let row = unknown_run(run, app, closing, self.opened);
            self.runs.insert(run, row);
        }
        let counters =
            self.apps.get(&app).filter(|row| row.state.run == Some(run)).map(|row| row.progress.clone());
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
        row.run.message = if let Ending::StartFailed(failure) = &closing.ending {
            Some(failure.message.clone())
        } else {
            report.message.clone().or(counters.message)
        };
        let last_end = LastEnd {
            outcome: closing.ending.outcome().into(),
            exit_code: row.run.exit_code,
            at: row.run.end.unwrap_or(closing.ended),
        };
        self.note_counters(app, run, report);
        if let Some(row) = self.running(app, run) {
            row.last_end = Some(Box::new(last_end));
            row.progress.eta = None;
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
        progress.percent = report.percent.or(progress.percent);
        progress.eta = report.eta.or(progress.eta);
        let asked = report.next_run.or(row.asked_next_run);
        let is_asked_anew = std::mem::replace(&mut row.asked_next_run, asked) != asked;
        if *progress != before || is_asked_anew {
            self.touch(app);
        }
    }

    /// Deletes the rows of runs that ended before a time, as retention and people do.
    pub fn purge_runs(&mut self, before: Timestamp) -> Vec<RunId> {
        let is_old = |row: &RunRow| row.run.end.is_some_and(|end| end < before);
        let old: Vec<_> = self.runs.iter().filter(|(_, row)| is_old(row)).map(|(run, _)| *run).collect();
        self.runs.retain(|_, row| !is_old(row));
        old
    }
}

fn unknown_run(run: RunId, app: AppId, closing: &Closing, order: i64) -> RunRow {
    let trigger = crate::model::Trigger::Schedule;
    let run = Run {
        run,
        app,
        start: closing.started.unwrap_or(closing.ended),
        end: None,
        outcome: None,
        exit_code: None,
        signal: None,
        except_cnt: 0,
        progress: Progress::default(),
        trigger: trigger.into(),
        due: None,
        attempt: 1,
        manager: String::new(),
        pid: None,
        message: None,
        leftovers: 0,
        command: None,
    };
    RunRow { run, order, command: None, trigger }
}
