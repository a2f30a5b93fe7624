//! The database: reached, of the right version, with which rights, whole, and with room; and with it managers and apps.

use chrono::TimeDelta;

use super::finding::Finding;
use super::{Context, Reporter, apps, managers};
use crate::cli::format;
use crate::cli::session::{Session, block_on};
use crate::model::format_memory;
use crate::process::clock;
use crate::store::{DatabaseFacts, OperatorStore, StoreError};

/// A write-ahead log that is larger was not written back for long: something holds the database open.
const LOG_MAX: u64 = 256 << 20;

/// Clocks that are further apart make times in logs and tables hard to compare.
const CLOCKS_APART: TimeDelta = TimeDelta::seconds(2);

/// Connections that a manager and a few consoles need.
const CONNECTIONS_MIN: u32 = 10;

pub(super) fn look(context: &Context, session: &Session, report: &Reporter) {
    let place = session.settings.database.place();
    let store = match session.existing() {
        Ok(store) => store,
        Err(error) => return report.add(unreached(session, &place, &error)),
    };
    let looked = block_on(async {
        let store: &dyn OperatorStore = store.as_ref();
        match store.facts().await {
            Ok(facts) => look_at(&place, &facts, report),
            Err(error) => report.add(failed("database", &error)),
        }
        match store.rights().await {
            Ok(rights) if rights.manage => report.add(Finding::ok("database.rights", "those of a manager")),
            Ok(rights) => report.add(Finding::warning(
                "database.rights",
                if rights.submit { "those of an operator: this user can be no manager" } else { "this user may only look" },
                "where a manager is to run, use an account of the role dcm_manager (dcm db roles), or make the file writable",
            )),
            Err(error) => report.add(failed("database.rights", &error)),
        }
        if store.capabilities().is_shared {
            compare_clocks(store, report).await;
        }
        if let Some(managers) = managers::look(context, session, store, report).await {
            apps::look(context, session, (store, &managers), report).await;
        }
        Ok(())
    });
    if let Err(error) = looked {
        report.add(Finding::unknown("database", error.to_string()));
    }
}

/// Looks through all tables; a large file takes longer than the time that there is, and nothing is known then.
pub(super) fn integrity(_: &Context, session: &Session, report: &Reporter) {
    // Why it is not reached is told by another check.
    let Ok(store) = session.existing() else { return };
    let _ = block_on(async {
        report.add(match store.inspect().await {
            Ok(faults) if store.capabilities().is_shared && faults.is_empty() => {
                Finding::ok("database.integrity", "it is for the server to check (pg_amcheck)")
            }
            Ok(faults) => match faults.first() {
                None => Finding::ok("database.integrity", "no damage was found"),
                Some(fault) => Finding::error(
                    "database.integrity",
                    format!("it is damaged: {fault}"),
                    "stop the manager and restore a backup made with dcm db backup; dcm db check tells more",
                ),
            },
            Err(error) => failed("database.integrity", &error),
        });
        Ok(())
    });
}

fn unreached(session: &Session, place: &str, error: &StoreError) -> Finding {
    let text = error.to_string();
    let (seen, cure) = text.split_once("; ").map_or((text.as_str(), None), |(seen, cure)| (seen, Some(cure)));
    let is_lost = !session.settings.state.traces().is_empty();
    match error {
        StoreError::Missing(_) if is_lost => Finding::error(
            "database",
            format!("{seen}, but there was a fleet in this state directory"),
            "put the database or a backup of it there, or begin with an empty fleet: dcm db migrate --empty",
        ),
        StoreError::Missing(_) => {
            Finding::warning("database", seen, "dcm db migrate creates one, and so does the first manager")
        }
        StoreError::Unavailable(_) | StoreError::Locked(_) => Finding::error(
            "database",
            format!("{place}: {seen}"),
            cure.unwrap_or(
                "is it running, and is the address right? apps run on, and a manager waits for it",
            ),
        ),
        StoreError::Schema { .. } => {
            Finding::error("database.schema", seen, cure.unwrap_or("run dcm db migrate"))
        }
        StoreError::Corrupt(_) => Finding::error(
            "database.integrity",
            seen,
            cure.unwrap_or("restore a backup made with dcm db backup; dcm db check tells more"),
        ),
        StoreError::Denied(_) => {
            Finding::error("database", seen, cure.unwrap_or("set the user, the password or the rights right"))
        }
        StoreError::Served(_) | StoreError::Deposed | StoreError::Replaced | StoreError::Refused(_) => {
            failed("database", error)
        }
    }
}

fn failed(check: &'static str, error: &StoreError) -> Finding {
    let text = error.to_string();
    let (seen, cure) = text.split_once("; ").unwrap_or((&text, "dcm status says the same; try again"));
    Finding::error(check, seen, cure)
}

fn look_at(place: &str, facts: &DatabaseFacts, report: &Reporter) {
    let DatabaseFacts { product, schema, size, log, connections, is_encrypted } = facts;
    report.add(Finding::ok("database", format!("{place}: {product}, {}", format_memory(*size))));
    report.add(Finding::ok("database.schema", format!("{schema}, as this program has it")));
    if let Some(log) = log {
        report.add(if *log > LOG_MAX {
            Finding::warning(
                "database.log",
                format!(
                    "its write-ahead log takes {}: some program holds an old state open",
                    format_memory(*log)
                ),
                "end the program that reads it without end (fuser dcm.db), a backup tool perhaps",
            )
        } else {
            Finding::ok("database.log", format!("its write-ahead log takes {}", format_memory(*log)))
        });
    }
    if let Some((used, most)) = connections {
        let seen = format!("{used} of {most} connections of the server are taken");
        report.add(if most.saturating_sub(*used) < CONNECTIONS_MIN {
            Finding::warning(
                "database.connections",
                seen,
                "raise max_connections, or put a pooler in between",
            )
        } else {
            Finding::ok("database.connections", seen)
        });
    }
    match is_encrypted {
        Some(true) => report.add(Finding::ok("database.tls", "the connection is encrypted")),
        Some(false) => report.add(Finding::warning(
            "database.tls",
            "the server is on another host, and the connection is not encrypted",
            "add ?sslmode=verify-full to the URL, and sslrootcert= where the root is your own",
        )),
        None => {}
    }
}

async fn compare_clocks(store: &dyn OperatorStore, report: &Reporter) {
    let before = clock::wall();
    let time = match store.time().await {
        Ok(time) => time,
        Err(error) => return report.add(failed("clock.database", &error)),
    };
    let after = clock::wall();
    // The answer was made at some moment between both.
    let apart = if time < before { before - time } else { (time - after).max(TimeDelta::zero()) };
    report.add(if apart > CLOCKS_APART {
        Finding::warning(
            "clock.database",
            format!("the clock of the server differs by {}", format::duration(apart)),
            "let a time server keep both right; leases go by the server's clock, calendars by this host's",
        )
    } else {
        Finding::ok("clock.database", "that of the server shows the same time")
    });
}
