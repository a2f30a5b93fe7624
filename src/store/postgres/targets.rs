//! The servers of a URL: one, or several of which one takes writes. They are tried in their order,
//! beginning with the one that answered last.

use std::cell::Cell;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection, Row as _};
use tokio::time::timeout;

use super::errors::{self, translate};
use crate::store::StoreError;

/// Where to connect.
#[derive(Debug, Clone)]
pub(in crate::store) struct Targets {
    /// At least one.
    pub(super) hosts: Vec<PgConnectOptions>,
    /// A server that lets nobody write is passed over.
    pub(super) needs_primary: bool,
    /// The one to begin with.
    pub(super) first: Cell<usize>,
}

impl Targets {
    /// The server that answered last.
    pub(super) fn current(&self) -> &PgConnectOptions {
        &self.hosts[self.first.get() % self.hosts.len()]
    }

    /// The place of the database, without user, password and parameters.
    pub(super) fn shown(&self) -> String {
        let name = self.current().get_database().unwrap_or_else(|| self.current().get_username());
        let places: Vec<_> = self.hosts.iter().map(place).collect();
        format!("postgres://{}/{name}", places.join(","))
    }

    /// A connection to the first server that is fit, within this time.
    pub(super) async fn connect(&self, within: Duration) -> Result<PgConnection, StoreError> {
        let count = self.hosts.len();
        let each = within / u32::try_from(count).unwrap_or(u32::MAX);
        let mut refusal = None;
        for _ in 0..count {
            let index = self.first.get() % count;
            // If the caller does not wait for the answer, the next call begins with the next one.
            self.first.set((index + 1) % count);
            let options = &self.hosts[index];
            match timeout(each, self.one(options)).await {
                Ok(Ok(connection)) => {
                    self.first.set(index);
                    return Ok(connection);
                }
                Ok(Err(error)) => refusal = Some(worse(refusal, error)),
                Err(_) => {
                    let silent = StoreError::Unavailable(format!(
                        "no answer from {}; is the address right?",
                        place(options)
                    ));
                    refusal = Some(worse(refusal, silent));
                }
            }
        }
        Err(refusal.unwrap_or_else(|| StoreError::Unavailable("the URL names no server".to_owned())))
    }

    async fn one(&self, options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
        let mut connection = options.connect().await.map_err(|error| at_place(options, &error))?;
        if self.needs_primary {
            let asked = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS it";
            let answer = sqlx::raw_sql(asked).fetch_one(&mut connection).await;
            if answer.and_then(|row| row.try_get("it")).map_err(|error| translate(&error))? {
                return Err(StoreError::Unavailable(errors::STANDBY.to_owned()));
            }
        }
        Ok(connection)
    }
}

/// Of several servers the one is told of that a person must set right; to wait does not help there.
fn worse(first: Option<StoreError>, second: StoreError) -> StoreError {
    match first {
        Some(first) if matches!(first, StoreError::Denied(_)) => first,
        Some(_) | None => second,
    }
}

/// An error of the network says of which server it is.
fn at_place(options: &PgConnectOptions, error: &sqlx::Error) -> StoreError {
    let translated = translate(error);
    if let StoreError::Unavailable(why) = &translated
        && matches!(error, sqlx::Error::Io(_))
    {
        return StoreError::Unavailable(format!("{}: {why}", place(options)));
    }
    translated
}

fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}
