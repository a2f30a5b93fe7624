//! Other times for apps that would all start at once.

use chrono::TimeDelta;

use super::course::pause;
use crate::model::{AppId, AppRow, Cron, Planned, RunStatus, Timestamp};

/// Other times of one app.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// Which app.
    pub app: AppId,
    /// What is changed.
    pub what: Moved,
}

/// What is changed so that an app starts later.
#[derive(Debug, Clone, PartialEq)]
pub enum Moved {
    /// The minute of its calendar.
    Cron {
        /// As it is.
        before: Cron,
        /// As it would be.
        after: Cron,
    },
    /// Its next run, and with it those that follow at its interval.
    NextRun {
        /// As it is.
        before: Timestamp,
        /// As it would be.
        after: Timestamp,
    },
}

impl Move {
    /// The row as it would be. The next time of a calendar follows from the calendar.
    #[must_use]
    pub fn apply(&self, row: &AppRow) -> AppRow {
        let mut row = row.clone();
        match &self.what {
            Moved::Cron { after, .. } => {
                row.app.schedule.cron = Some(after.clone());
                row.slot = None;
                if matches!(row.planned, None | Some(Planned::Calendar)) {
                    row.next_run = None;
                    row.planned = None;
                }
            }
            Moved::NextRun { after, .. } => {
                row.next_run = Some(*after);
                row.planned = Some(Planned::Asked);
            }
        }
        row
    }
}

/// Why an app keeps its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Left {
    /// Its calendar has several minutes, a range or `*`.
    #[error("the minute of the cron expression is neither one number nor a step to the end of the hour")]
    Minute,
    /// A later minute would change how often it fires, or in which hour.
    #[error("no later minute fits into the hour")]
    NoRoom,
    /// The next run follows from the end of this one.
    #[error("running, and the next time follows from the end of this run")]
    Running,
    /// Somebody or the app itself wanted just that time.
    #[error("the next time was asked for")]
    Asked,
    /// No manager has looked at it yet.
    #[error("no next time yet")]
    NoTime,
    /// It is disabled, stopped or given up.
    #[error("disabled, stopped or given up")]
    Suspended,
    /// It has no schedule.
    #[error("on command only")]
    OnCommand,
    /// It has no times.
    #[error("runs always")]
    Always,
    /// Its row cannot be understood.
    #[error("set aside")]
    SetAside,
}

/// How apps would be spread.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread {
    /// Those that get other times, in the order in which they were given.
    pub moves: Vec<Move>,
    /// Those that cannot get any, by their place among those that were given.
    pub left: Vec<(usize, Left)>,
}

/// Spreads apps over the `within` minutes after the times that they have. By how many minutes a calendar is moved follows
/// from the key of the app alone; apps with an interval get shares of the time in the order of their keys.
#[must_use]
pub fn spread<'a>(apps: impl IntoIterator<Item = &'a AppRow>, within: u32, now: Timestamp) -> Spread {
    let mut spread = Spread::default();
    let mut pausing = Vec::new();
    let mut moves = Vec::new();
    for (index, row) in apps.into_iter().enumerate() {
        match judge(row, within) {
            Ok(Some(what)) => moves.push((index, Move { app: row.app.id, what })),
            Ok(None) if row.app.schedule.cron.is_none() => pausing.push((index, row)),
            // The minute that it has is the one that its key gives it.
            Ok(None) => {}
            Err(left) => spread.left.push((index, left)),
        }
    }
    pausing.sort_by_key(|(_, row)| row.app.id.spread());
    let count = i64::try_from(pausing.len()).unwrap_or(i64::MAX).max(1);
    for (nth, (index, row)) in (0_i64..).zip(pausing) {
        let (Some(before), Some(pause)) = (row.next_run, pause(&row.app.schedule, TimeDelta::zero())) else {
            continue;
        };
        let window = TimeDelta::minutes(i64::from(within)).min(pause).num_milliseconds();
        let by = TimeDelta::milliseconds(window * nth / count);
        if by > TimeDelta::zero() {
            let after = before.max(now) + by;
            moves.push((index, Move { app: row.app.id, what: Moved::NextRun { before, after } }));
        }
    }
    moves.sort_by_key(|(index, _)| *index);
    spread.moves = moves.into_iter().map(|(_, moved)| moved).collect();
    spread
}

/// What becomes of an app by itself; `None` where it stays or depends on others.
fn judge(row: &AppRow, within: u32) -> Result<Option<Moved>, Left> {
    if row.fault.is_some() {
        return Err(Left::SetAside);
    }
    if let Some(cron) = &row.app.schedule.cron {
        let room = cron.room().ok_or(Left::Minute)?.min(within);
        if room == 0 {
            return Err(Left::NoRoom);
        }
        let by = u32::try_from(row.app.id.spread() % u64::from(room + 1)).unwrap_or(0);
        let after = cron.later(by).ok_or(Left::Minute)?;
        return Ok((by > 0).then(|| Moved::Cron { before: cron.clone(), after }));
    }
    match row.planned {
        _ if row.app.schedule.always => Err(Left::Always),
        _ if row.app.schedule.interval.is_none() => Err(Left::OnCommand),
        _ if row.is_suspended() => Err(Left::Suspended),
        _ if row.state.status == RunStatus::Running => Err(Left::Running),
        Some(Planned::Asked) => Err(Left::Asked),
        _ if row.next_run.is_none() => Err(Left::NoTime),
        Some(Planned::Calendar | Planned::Pause(_)) | None => Ok(None),
    }
}
