//! Which managers are there. A heartbeat tells it late: of the manager that works in this state directory its lock tells
//! it at once, both that it was killed and that it is only silent.

use super::error::Error;
use super::format;
use super::session::Session;
use crate::model::explain::State;
use crate::model::{AppRow, ManagerRow, Timestamp};
use crate::process::{home_of, manager_of};
use crate::store::OperatorStore;

/// What is known of a manager at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Live,
    /// Its process is there, and has said nothing for longer than its lease: it is stopped, or kept from the database.
    Silent,
    /// It has not ended in order and is not there any more, as far as can be known.
    Lost,
    Stopped,
}

/// The managers of a database.
pub(super) struct Managers {
    pub(super) rows: Vec<(ManagerRow, Presence)>,
    /// The same, as leases alone tell of them.
    known: Vec<ManagerRow>,
    /// The database's clock.
    pub(super) now: Timestamp,
    /// A manager that holds the state directory of this call, in words; it may have no row yet.
    holder: Option<String>,
}

impl Managers {
    pub(super) async fn read(session: &Session, store: &dyn OperatorStore) -> Result<Self, Error> {
        let rows = store.managers().await?;
        let now = store.time().await?;
        let state = &session.settings.state;
        // Where it cannot be looked at, heartbeats must do.
        let (home, held) = (home_of(state), manager_of(state).ok());
        let of_here = |row: &ManagerRow| held.is_some() && home.is_some() && row.home == home;
        let latest = rows.iter().filter(|row| of_here(row)).map(|row| row.heartbeat).max();
        let presence = |row: &ManagerRow| {
            let here = held.filter(|_| of_here(row));
            presence(row, now, here.map(|holder| holder.is_some() && Some(row.heartbeat) == latest))
        };
        let known = rows.clone();
        let rows = rows.into_iter().map(|row| (row.clone(), presence(&row))).collect();
        let holder = held.flatten().map(|pid| match pid {
            Some(pid) => format!("a manager (pid {pid})"),
            None => "a manager".to_owned(),
        });
        Ok(Self { rows, known, now, holder })
    }

    /// What an app is doing, by its row and the lease of its manager: the console says the same.
    pub(super) fn state_of(&self, row: &AppRow) -> State {
        State::of(row, &self.known, self.now)
    }

    /// Those whose processes are there.
    pub(super) fn live(&self) -> impl Iterator<Item = &ManagerRow> {
        let is_there = |presence: &Presence| matches!(presence, Presence::Live | Presence::Silent);
        self.rows.iter().filter(move |(_, presence)| is_there(presence)).map(|(row, _)| row)
    }

    /// One that was lost, by its name.
    pub(super) fn lost(&self, name: &str) -> Option<&ManagerRow> {
        self.rows
            .iter()
            .find(|(row, presence)| row.name == name && *presence == Presence::Lost)
            .map(|(row, _)| row)
    }

    /// Which managers do not reach their broker, and why.
    pub(super) fn broker_remarks(&self) -> impl Iterator<Item = String> {
        self.live().filter_map(|row| {
            let state = row.broker_trouble()?;
            let ago = format::duration(self.now - state.since()?);
            Some(format!(
                "RabbitMQ is {} for manager {} since {ago}: {}; the database carries every command",
                state.word(),
                row.name,
                state.why()?
            ))
        })
    }

    /// What somebody should know who expects a manager to act: that there is none, or that it does not act.
    pub(super) fn remark(&self, consequence: &str) -> Option<String> {
        let age = |row: &ManagerRow| format::duration(self.now - row.heartbeat);
        if self.live().next().is_some() {
            let silent = self.rows.iter().find(|(_, presence)| *presence == Presence::Silent);
            let is_alone = self.rows.iter().all(|(_, presence)| *presence != Presence::Live);
            return silent.filter(|_| is_alone).map(|(row, _)| {
                format!(
                    "manager {} (pid {}) is running, but has said nothing for {}: its process is stopped, or another program \
                     locks the database",
                    row.name,
                    row.pid,
                    age(row)
                )
            });
        }
        if let Some(holder) = &self.holder {
            return Some(format!("{holder} is starting, or waits for the database: {consequence}"));
        }
        let lost = self.rows.iter().filter(|(_, presence)| *presence == Presence::Lost);
        let lost = lost.map(|(row, _)| row).max_by_key(|row| row.heartbeat).map(|row| {
            format!(
                " ({} with pid {} was killed or crashed; it last spoke {} ago)",
                row.name,
                row.pid,
                age(row)
            )
        });
        Some(format!(
            "no manager is running{}: {consequence} (dcm starts one, or dcm --headless)",
            lost.unwrap_or_default()
        ))
    }
}

/// `is_held`: whether its process holds its state directory, where that can be seen.
fn presence(row: &ManagerRow, now: Timestamp, is_held: Option<bool>) -> Presence {
    match (row.stopped, is_held, row.is_live(now)) {
        (Some(_), _, _) => Presence::Stopped,
        (None, Some(false), _) => Presence::Lost,
        (None, Some(true), false) => Presence::Silent,
        (None, None, false) => Presence::Lost,
        (None, Some(true) | None, true) => Presence::Live,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_lock_says_more_than_a_heartbeat() {
        let heard = Timestamp::UNIX_EPOCH;
        let row = ManagerRow { heartbeat: heard, ..ManagerRow::default() };
        let (soon, late) = (heard + TimeDelta::seconds(2), heard + TimeDelta::seconds(60));
        for (now, is_held, expected) in [
            (soon, None, Presence::Live),
            (late, None, Presence::Lost),
            (soon, Some(true), Presence::Live),
            (late, Some(true), Presence::Silent),
            (soon, Some(false), Presence::Lost),
            (late, Some(false), Presence::Lost),
        ] {
            assert_eq!(presence(&row, now, is_held), expected, "{now} {is_held:?}");
        }
        let stopped = ManagerRow { stopped: Some(heard), ..row };
        assert_eq!(presence(&stopped, soon, Some(true)), Presence::Stopped);
    }
}
