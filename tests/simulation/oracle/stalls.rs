//! Whether a run has stalled, as its own reports have it.

use dcm::model::{AppRow, Concern, RunId, RunStatus};

use super::Oracle;

/// Nothing has stalled within this time of a report, in milliseconds: a minute, less the way of a report to the row.
const NEVER_WITHIN: u64 = 55_000;

/// By then each has: five times the longest pause between two reports, with what hid some of them from the database.
const BY_THEN: u64 = 300_000;

impl Oracle {
    /// A run reported; whether it has counted anything.
    pub(crate) fn reported(&mut self, time: u64, run: RunId, has_counted: bool) {
        let truth = self.runs.entry(run).or_default();
        if has_counted || truth.counted_at.is_some() {
            truth.counted_at = Some(time);
        }
    }

    /// What the row says beyond the status goes with it.
    pub(super) fn concern_is_possible(&mut self, row: &AppRow) {
        let is_late = row.state.is(Concern::Late);
        self.must(!is_late || row.state.waiting_for.is_some(), "36 what is late waits", || {
            format!("{row:?}")
        });
        let is_quiet = self.apps.get(&row.app.id).is_some_and(|subject| subject.is_quiet);
        let judged = [Concern::Late, Concern::Suspect, Concern::Stalled];
        let is_judged =
            is_quiet && row.app.schedule.always && judged.into_iter().any(|one| row.state.is(one));
        self.must(!is_judged, "37 what runs always is neither late nor suspect", || format!("{row:?}"));
        let is_flapping = row.state.is(Concern::Flapping);
        self.must(!is_flapping || row.state.failures > 0, "36 what flaps has failed", || format!("{row:?}"));
    }

    /// What the row says of a stall, when nothing is broken any more.
    pub(super) fn stall_is_true(&mut self, time: u64, row: &AppRow, has_alert: bool) {
        let is_stalled = row.state.is(Concern::Stalled);
        let what = || format!("{row:?}");
        self.must(is_stalled == has_alert, "36 a stall has an alert, and nothing else has", what);
        if row.state.status != RunStatus::Running {
            return self.must(!is_stalled, "36 a stall ends with its run", what);
        }
        let Some(truth) = row.state.run.and_then(|run| self.runs.get(&run)) else { return };
        let (counted_at, opened_at) = (truth.counted_at, truth.opened_at);
        let Some(counted_at) = counted_at else {
            return self.must(!is_stalled, "36 what never counted has not stalled", what);
        };
        // What a run reported while no manager lived may have reached none.
        let is_early = is_stalled && time < counted_at + NEVER_WITHIN && self.restored_at < counted_at;
        self.must(!is_early, "36 what counts has not stalled", what);
        let lives = self.living.values().any(|living| Some(living.run) == row.state.run);
        let is_ending =
            self.runs.values().any(|truth| truth.opened_at == opened_at && truth.stop_requested_at.is_some());
        let has_had_time =
            time > counted_at.max(self.restored_at) + BY_THEN && !self.was_clock_set_since(opened_at);
        let may_idle = row.app.schedule.always
            || self.apps.get(&row.app.id).is_some_and(|subject| subject.is_rescheduled);
        self.must(
            is_stalled || may_idle || !lives || is_ending || !has_had_time,
            "36 what hangs has stalled",
            what,
        );
    }
}
