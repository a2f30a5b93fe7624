//! What must be true of an app that runs always.

use chrono::TimeDelta;
use dcm::model::{AppId, AppRow, Planned, Run, RunId, Timestamp};

use super::Oracle;
use super::processes::BACK_OFF_MAX;

/// A shim notes the end of a process within this time, in milliseconds.
const NOTED_WITHIN: u64 = 100;

/// A run that has lived for so long ends the trouble before it.
const LIVED_LONG: u64 = 600_000;

/// How long a run lived, by `min_uptime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Short,
    Long,
    /// Nobody can have seen that, or a clock was set meanwhile.
    Unknown,
}

impl Oracle {
    pub(super) fn life(&self, run: RunId, app: AppId) -> Life {
        let (Some(subject), Some(truth)) = (self.apps.get(&app), self.runs.get(&run)) else {
            return Life::Unknown;
        };
        let least = u64::try_from(subject.min_uptime.as_millis()).unwrap_or(0);
        let is_unseen = truth.was_shim_killed || truth.was_host_lost;
        match (truth.began.first(), truth.ended_at) {
            (Some(began), Some(_)) if is_unseen || self.was_clock_set_since(*began) => Life::Unknown,
            (Some(began), Some(ended)) if ended - began >= least => Life::Long,
            (Some(began), Some(ended)) if ended - began + NOTED_WITHIN < least => Life::Short,
            _ => Life::Unknown,
        }
    }

    pub(super) fn is_always(&self, app: AppId) -> bool {
        self.apps.get(&app).is_some_and(|subject| subject.schedule.always)
    }

    /// Whether the manager may judge the end of such a run in another way than the oracle.
    pub(super) fn may_be_judged_otherwise(&self, app: AppId, life: Life) -> bool {
        let is_rescheduled = self.apps.get(&app).is_some_and(|subject| subject.is_rescheduled);
        is_rescheduled || self.is_always(app) && life == Life::Unknown
    }

    /// What runs always and does not run is in its back-off, or has asked for a time.
    pub(super) fn is_in_back_off(&mut self, row: &AppRow, wall: Timestamp, has_seen_clock: bool) {
        let longest = TimeDelta::milliseconds(i64::try_from(BACK_OFF_MAX).unwrap_or(0));
        let is_asked = row.planned == Some(Planned::Asked);
        let is_near = is_asked || row.next_run.is_some_and(|next| next - wall <= longest);
        let holds = !row.app.schedule.always || is_near || !has_seen_clock;
        self.must(holds, "37 what runs always runs, or is in its back-off", || format!("{row:?} at {wall}"));
    }

    /// Ends before `min_uptime`, one after the other: at least and at most.
    pub(super) fn count_quick_ends(
        &mut self,
        run: RunId,
        app: AppId,
        row: &Run,
        life: Life,
        is_ambiguous: bool,
    ) {
        let has_begun = self.runs.get(&run).is_some_and(|truth| !truth.began.is_empty());
        let Some(subject) = self.apps.get_mut(&app).filter(|subject| subject.schedule.always) else { return };
        let is_by_itself = matches!(row.outcome_word(), Some("ok" | "failed" | "crashed"));
        match life {
            Life::Long if !is_ambiguous && row.outcome_word() == Some("ok") => subject.crashes = (0, 0),
            // A manager that begins takes all failures for quick ends.
            Life::Long if !is_ambiguous => subject.crashes = (0, subject.failures.1 + 1),
            Life::Short if !is_ambiguous && is_by_itself && has_begun => {
                subject.crashes = (subject.crashes.0 + 1, subject.crashes.1 + 1);
            }
            Life::Short | Life::Long | Life::Unknown => subject.crashes = (0, subject.crashes.1 + 1),
        }
    }

    /// Whether a run of an app that runs always has lived for so long that trouble before it is over.
    pub(super) fn has_lived_long(&self, time: u64, app: AppId) -> bool {
        let may =
            self.apps.get(&app).is_some_and(|subject| subject.schedule.always || subject.is_rescheduled);
        may && self.runs.values().filter(|truth| truth.app == Some(app)).any(|truth| {
            truth.began.iter().any(|began| {
                let lived = truth.ended_at.unwrap_or(time).saturating_sub(*began);
                // A manager that begins knows the beginning by the wall clock only.
                lived >= LIVED_LONG || self.was_clock_set_since(*began)
            })
        })
    }
}
