//! Flapping: the runs of an app end badly again and again in a short time.

use std::time::Duration;

use super::desk::Desk;
use super::entry::Entry;
use crate::model::{AppRow, Blame, Concern, FLAPPING_ENDS, FLAPPING_WITHIN, Now, Timestamp, flaps};

/// The bad ends of an app since its last good run.
#[derive(Debug, Default)]
pub(super) struct BadEnds {
    /// The last of them, the newest last.
    last: [Option<Timestamp>; FLAPPING_ENDS],
    flapping: Option<Flapping>,
}

/// An app flaps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flapping {
    pub(super) since: Timestamp,
    /// When that is over, unless another run ends badly.
    pub(super) until: Duration,
}

impl BadEnds {
    /// What the row says: an app that flaps goes on with that.
    pub(super) fn restored(row: &AppRow, now: Now) -> Option<Box<Self>> {
        let concern = row.state.concern.as_ref().filter(|conclusion| conclusion.is(Concern::Flapping))?;
        let end = row.last_end.as_ref().map(|end| end.at)?;
        let flapping = Flapping { since: concern.since, until: over_at(end, now) };
        Some(Box::new(Self { last: [None, None, Some(end)], flapping: Some(flapping) }))
    }

    fn note(&mut self, end: Timestamp, now: Now) {
        self.last.rotate_left(1);
        self.last[FLAPPING_ENDS - 1] = Some(end);
        let until = over_at(end, now);
        if let Some(flapping) = &mut self.flapping {
            flapping.until = until;
        } else if flaps(self.last.into_iter().flatten()).is_some() {
            self.flapping = Some(Flapping { since: now.wall, until });
        }
    }
}

/// When the last bad end is no longer one of a short time.
fn over_at(end: Timestamp, now: Now) -> Duration {
    now.mono_at(end + FLAPPING_WITHIN)
}

impl Entry {
    /// A run ended that counts.
    pub(super) fn note_end(&mut self, blame: Blame, end: Timestamp, desk: &Desk) {
        match blame {
            Blame::Good => self.forget_bad_ends(),
            Blame::Bad => {
                self.record.get_or_insert_default().bad_ends.get_or_insert_default().note(end, desk.now);
            }
            Blame::Doubtful | Blame::Excused => {}
        }
    }

    pub(super) fn flapping(&self) -> Option<Flapping> {
        self.record.as_ref().and_then(|record| record.bad_ends.as_ref()).and_then(|ends| ends.flapping)
    }

    /// Its last bad end may lie far enough behind it.
    pub(super) fn look_at_ends(&mut self, now: Now) {
        if self.flapping().is_some_and(|flapping| flapping.until <= now.mono) {
            self.forget_bad_ends();
        }
    }

    pub(super) fn forget_bad_ends(&mut self) {
        if let Some(record) = &mut self.record {
            record.bad_ends = None;
        }
    }
}
