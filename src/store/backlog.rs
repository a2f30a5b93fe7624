//! How much is open: alerts, and what is to leave.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::StoreError;
use super::row_reader::RowReader;
use crate::model::Timestamp;

/// How much is open at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Open alerts by their severity, as the database has that.
    pub alerts: BTreeMap<String, u64>,
    /// Deliveries that have neither left nor been given up, by channel. The repetition of a message that is planned for
    /// later is not one of them yet.
    pub deliveries: BTreeMap<String, u64>,
}

/// Counts of what is open in a database.
#[async_trait]
pub trait Backlogs: Send + Sync {
    /// What is open, at this moment of the database's clock. It is read from indexes of what is open, and so does not
    /// grow with history.
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError>;
}

/// In SQL, with a place for the moment.
macro_rules! backlog_sql {
    ($now:literal) => {
        concat!(
            "SELECT 'alert' AS kind, severity AS name, count(*) AS number FROM alerts WHERE closed IS NULL GROUP BY severity \
             UNION ALL SELECT 'delivery', channel, count(*) FROM deliveries WHERE delivered IS NULL AND given_up IS NULL \
             AND (event IS NULL OR event <> 'repeated' OR tries > 0 OR due <= ",
            $now,
            ") GROUP BY channel"
        )
    };
}
pub(super) use backlog_sql;

impl Backlog {
    /// Adds a row with `kind`, `name` and `number`.
    pub(super) fn add<R: RowReader>(&mut self, row: &R) -> Result<(), R::Error> {
        let is_alert = row.sure_text("kind")? == "alert";
        let counts = if is_alert { &mut self.alerts } else { &mut self.deliveries };
        counts.insert(row.sure_owned("name")?, row.count("number")?.unwrap_or_default());
        Ok(())
    }
}
