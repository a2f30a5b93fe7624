//! What must be true of the row of a run that is over.

use chrono::TimeDelta;
use dcm::model::{AlertKind, AppId, Change, Exit, Obstacle, OnFailures, Run, RunId};
use dcm::store::Tables;

use super::Oracle;
use super::always::Life;

/// After a run of this length the back-off begins anew.
const LIVED_LONG: TimeDelta = TimeDelta::minutes(10);

impl Oracle {
    pub(super) fn run_closed(
        &mut self,
        time: u64,
        run: RunId,
        app: AppId,
        changes: &[Change],
        tables: &Tables,
    ) {
        let is_purged = self.runs.get(&run).is_some_and(|truth| truth.is_purged);
        let Some(row) = tables.run(run).filter(|_| !is_purged).cloned() else { return };
        let closed = self.runs.get(&run).and_then(|truth| truth.closed.clone());
        if let Some(closed) = closed {
            return self.must(closed == row, "5 closed once", || format!("{closed:?} became {row:?}"));
        }
        if row.end.is_none() {
            return self.must(false, "5 closed once", || format!("{run:?} is not closed"));
        }
        let lives = self.living.values().any(|living| living.run == run);
        self.must(!lives, "5 closed while it lives", || format!("{row:?}"));
        self.must(row.end >= Some(row.start), "5 begun before it ended", || format!("{row:?}"));
        self.result_is_true(&row);
        self.count_failure(run, app, &row, changes);
        self.runs.entry(run).or_default().closed = Some(row);
        if let Some(subject) = self.apps.get_mut(&app) {
            subject.last_closed_at = Some(time);
            if subject.open == Some(run) {
                subject.open = None;
            }
        }
    }

    fn result_is_true(&mut self, row: &Run) {
        let truth = self.runs.entry(row.run).or_default();
        let has_begun = !truth.began.is_empty();
        let was_unseen = truth.was_shim_killed || truth.was_host_lost;
        let exit = truth.exit;
        let start_failed = truth.start_failed.is_some();
        let stop_requested = truth.stop_requested_at.is_some();
        let outcome = row.outcome_word().unwrap_or_default();
        let what = || format!("{row:?}, in truth {exit:?}");
        let is_as_it_was = match outcome {
            "ok" | "suspect" => exit == Some(Exit::Code(0)),
            "failed" => matches!(exit, Some(Exit::Code(code)) if code != 0),
            "crashed" => matches!(exit, Some(Exit::Signal { .. })),
            "stopped" | "timed_out" | "killed_after_grace" => stop_requested && has_begun,
            "failed_to_start" => !has_begun && (start_failed || was_unseen),
            "never_started" => !has_begun,
            "unknown" => was_unseen,
            "host_rebooted" => self.runs.get(&row.run).is_some_and(|truth| truth.was_host_lost),
            _ => false,
        };
        self.must(is_as_it_was, "6 no invented result", what);
        match row.exit_code {
            Some(code) => {
                self.must(exit.map(Exit::code) == Some(code), "6 no invented exit code", what);
            }
            None => {
                let may_be_unknown =
                    was_unseen || matches!(outcome, "never_started" | "failed_to_start" | "host_rebooted");
                self.must(may_be_unknown, "6 no lost exit code", what);
            }
        }
    }

    /// The oracle's own count of failures in a row, and what must follow from it.
    fn count_failure(&mut self, run: RunId, app: AppId, row: &Run, changes: &[Change]) {
        let truth = self.runs.entry(run).or_default();
        let (since, command) = (truth.opened_at, truth.command);
        let obstacle = truth.start_failed;
        let is_permanent = matches!(obstacle, Some(Obstacle::NotFound | Obstacle::NotExecutable));
        let has_other_reason = truth.lost_app || self.is_asked_to_end(app, since, command);
        let (life, is_always) = (self.life(run, app), self.is_always(app));
        let is_ambiguous = has_other_reason || self.may_be_judged_otherwise(app, life);
        self.count_quick_ends(run, app, row, life, is_ambiguous);
        if row.outcome_word() == Some("suspect") {
            return self.suspect_is_told(app, row, changes, is_ambiguous);
        }
        let Some(subject) = self.apps.get_mut(&app) else { return };
        subject.cannot_start = is_permanent;
        if row.end.is_some_and(|end| end - row.start >= LIVED_LONG) {
            subject.crashes.0 = 0;
        }
        let is_failure = match row.outcome_word().unwrap_or_default() {
            "ok" if is_always && life == Life::Short => true,
            "timed_out" if (is_always || subject.is_rescheduled) && life != Life::Short => {
                subject.failures = (0, if is_ambiguous { subject.failures.1 + 1 } else { 0 });
                return;
            }
            "ok" => {
                let min_solved = subject.min_solved;
                let keeps_rules = is_ambiguous || is_always || row.progress.solved >= min_solved;
                subject.failures = (0, if is_ambiguous { subject.failures.1 + 1 } else { 0 });
                if !is_always {
                    subject.crashes = (0, if is_ambiguous { subject.crashes.1 } else { 0 });
                }
                subject.may_be_flagged &= is_ambiguous;
                let is_over = subject.is_flagged && !subject.must_wait && subject.is_registered;
                let is_cleared = changes.iter().any(|change| {
                    matches!(change, Change::AlertsClosed { app: other, kinds, .. }
                        if *other == app && kinds.contains(&AlertKind::UnexpectedBehavior))
                });
                self.must(!is_over || is_ambiguous || is_cleared, "22 a good run is a recovery", || {
                    format!("{row:?}")
                });
                return self
                    .must(keeps_rules, "33 a good run keeps the rules", || format!("{min_solved}: {row:?}"));
            }
            "failed" | "crashed" | "timed_out" | "unknown" | "failed_to_start" => true,
            _ => false,
        };
        subject.crashes.1 += u32::from(!is_always);
        if !is_failure {
            return;
        }
        subject.failures.1 += 1;
        if !is_ambiguous {
            subject.failures.0 += 1;
            subject.crashes.0 += u32::from(!is_always && row.outcome_word() == Some("crashed"));
        }
        let limit = subject.max_failures;
        let is_exhausted = row.outcome_word() == Some("failed_to_start") && !is_permanent;
        let is_too_much = is_permanent || limit > 0 && subject.failures.0 >= limit && !is_exhausted;
        if is_too_much && !is_ambiguous && subject.is_registered {
            subject.must_wait |= is_permanent || subject.on_failures == OnFailures::GiveUp;
            let is_told = subject.is_flagged
                || subject.may_be_flagged
                || changes
                    .iter()
                    .any(|change| matches!(change, Change::AlertOpened(alert) if alert.app == app));
            self.must(is_told, "22 an alert in the same transaction", || format!("{row:?}"));
        }
    }
    /// A run with exit code 0 is suspect.
    fn suspect_is_told(&mut self, app: AppId, row: &Run, changes: &[Change], is_ambiguous: bool) {
        let is_always = self.is_always(app);
        let Some(subject) = self.apps.get_mut(&app) else { return };
        subject.cannot_start = false;
        let is_short = row.progress.solved < subject.min_solved;
        let may_be = (is_short || subject.compare_history) && (!is_always || is_ambiguous);
        let is_told = changes.iter().any(|change| {
            matches!(change, Change::AlertOpened(alert) | Change::AlertRepeated(alert)
                if alert.app == app && alert.kind == AlertKind::Suspect)
        });
        self.must(may_be, "33 a suspect run breaks a rule", || format!("{row:?}"));
        self.must(is_told, "33 an alert in the same transaction", || format!("{row:?}"));
    }
}
