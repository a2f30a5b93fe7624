//! `dcm app limit`: how many apps of a place may run at once.

use std::fmt;
use std::str::FromStr;

use crate::cli::args::LimitArgs;
use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::session::{Fleet, Session, block_on};
use crate::model::{AppPath, Limits, NameError, Part, RunStatus};
use crate::store::{OpenMode, OperatorStore};

/// A group, or a parent in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) struct Place {
    group: Part,
    parent: Option<Part>,
}

impl Place {
    /// Whether an app is in it.
    pub(in crate::cli) fn holds(&self, path: &AppPath) -> bool {
        self.group == path.group && self.parent.as_ref().is_none_or(|parent| *parent == path.parent)
    }

    fn limit(&self, limits: &Limits) -> Option<u32> {
        match &self.parent {
            None => limits.groups.get(&self.group).copied(),
            Some(parent) => limits.parents.get(&(self.group.clone(), parent.clone())).copied(),
        }
    }

    /// Sets or lifts its limit; `false` where it is so already.
    pub(in crate::cli) async fn set(
        &self,
        store: &dyn OperatorStore,
        limit: Option<u32>,
    ) -> Result<bool, Error> {
        if self.limit(&store.limits().await?) == limit {
            return Ok(false);
        }
        store.set_limit(self.group.clone(), self.parent.clone(), limit).await?;
        Ok(true)
    }
}

/// Why a text names nothing that has a limit.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum InvalidPlace {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("{0:?} is neither GROUP nor GROUP/PARENT: one app runs once at a time")]
    Depth(String),
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let parts: Vec<_> = text.split('/').map(str::parse::<Part>).collect::<Result<_, _>>()?;
        match <[Part; 2]>::try_from(parts) {
            Ok([group, parent]) => Ok(Self { group, parent: Some(parent) }),
            Err(parts) => match <[Part; 1]>::try_from(parts) {
                Ok([group]) => Ok(Self { group, parent: None }),
                Err(_) => Err(InvalidPlace::Depth(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.parent {
            None => self.group.fmt(f),
            Some(parent) => write!(f, "{}/{parent}", self.group),
        }
    }
}

/// All limits that are set.
pub(in crate::cli) fn all(limits: &Limits) -> Vec<(Place, u32)> {
    let groups =
        limits.groups.iter().map(|(group, limit)| (Place { group: group.clone(), parent: None }, *limit));
    let parents = limits.parents.iter().map(|((group, parent), limit)| {
        (Place { group: group.clone(), parent: Some(parent.clone()) }, *limit)
    });
    let mut all: Vec<_> = groups.chain(parents).collect();
    all.sort();
    all
}

pub(super) fn limit(session: &Session, args: &LimitArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        let Some(limit) = &args.limit else {
            return show(session, store.as_ref(), args.place.as_ref()).await;
        };
        let limit = match limit.as_str() {
            "none" => None,
            number => {
                Some(number.parse().map_err(|_| Error::usage("the limit must be a whole number, or none"))?)
            }
        };
        let Some(place) = &args.place else { return Ok(()) };
        let meant = place.to_string().parse().map_err(|_| Error::usage(format!("invalid place: {place}")))?;
        Fleet::meant(store.as_ref(), &[meant]).await?;
        place.set(store.as_ref(), limit).await?;
        if session.json {
            output::json(&serde_json::json!({ "place": place.to_string(), "max_running": limit }));
        } else {
            match limit {
                Some(limit) => output::line(format_args!("at most {limit} apps of {place} run at once")),
                None => output::line(format_args!("{place} has no limit of its own")),
            }
        }
        Ok(())
    })
}

async fn show(session: &Session, store: &dyn OperatorStore, place: Option<&Place>) -> Result<(), Error> {
    let fleet = Fleet::read(store).await?;
    let limits = all(&store.limits().await?);
    let shown = limits.iter().filter(|(other, _)| place.is_none_or(|place| place == other));
    let rows = shown.map(|(place, limit)| {
        let apps = fleet.apps.iter().filter(|row| place.holds(&row.app.path));
        let running = apps.filter(|row| row.state.status == RunStatus::Running).count();
        (place.to_string(), *limit, running)
    });
    if session.json {
        let rows = rows.map(|(place, limit, running)| {
            serde_json::json!({ "place": place, "max_running": limit, "running": running })
        });
        output::json_rows(rows);
        return Ok(());
    }
    let rows: Vec<_> =
        rows.map(|(place, limit, running)| vec![place, limit.to_string(), running.to_string()]).collect();
    if rows.is_empty() {
        output::message("no limit is set; dcm app limit GROUP[/PARENT] N sets one");
    } else {
        output::table(&["PLACE", "LIMIT", "RUNNING"], &rows);
    }
    Ok(())
}
