//! How managers share one server.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::PgConnection;

use super::connection::{Plan, statement};
use super::{PostgresStore, first_column, managers};
use crate::model::{AppId, ManagerRow, Released};
use crate::store::{Cluster, StoreError};

#[async_trait]
impl Cluster for PostgresStore {
    async fn take_from(&self, name: &str, pinned: bool) -> Result<Released, StoreError> {
        let name = name.to_owned();
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                managers::take_from(connection, &name, pinned).await
            })
            .await
    }

    async fn elsewhere(&self, apps: Vec<AppId>) -> Result<BTreeSet<AppId>, StoreError> {
        let seat = self.own_seat()?;
        let apps: Vec<_> = apps.iter().map(ToString::to_string).collect();
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                let rows =
                    statement("SELECT app FROM apps WHERE app = ANY($1) AND manager IS DISTINCT FROM $2")
                        .bind(&apps)
                        .bind(&seat.name)
                        .fetch_all(connection)
                        .await?;
                let keys: Vec<&str> = first_column(&rows)?;
                Ok(keys.into_iter().filter_map(|app| app.parse().ok()).collect())
            })
            .await
    }

    async fn claim(&self) -> Result<u64, StoreError> {
        let seat = self.own_seat()?;
        let asking = seat.clone();
        let is_any = self.worker.call(Plan::READ, async move |connection: &mut PgConnection| {
            managers::has_claimable(connection, &asking).await
        });
        if !is_any.await? {
            return Ok(0);
        }
        self.worker
            .call(Plan::WRITE_MANY, async move |connection: &mut PgConnection| {
                managers::share_seat(connection, &seat.name).await?;
                managers::holds(connection, &seat).await?;
                managers::claim(connection, &seat).await
            })
            .await
    }

    async fn depose(&self, lost: &ManagerRow) -> Result<Released, StoreError> {
        let lost = lost.clone();
        let seat = self.own_seat()?;
        self.worker
            .call(Plan::WRITE_MANY, async move |connection: &mut PgConnection| {
                managers::share_seat(connection, &seat.name).await?;
                managers::holds(connection, &seat).await?;
                managers::depose(connection, &lost).await
            })
            .await
    }

    async fn share(&self) -> Result<Released, StoreError> {
        let seat = self.own_seat()?;
        let asking = seat.clone();
        let is_any = self.worker.call(Plan::READ, async move |connection: &mut PgConnection| {
            managers::has_to_share(connection, &asking).await
        });
        if !is_any.await? {
            return Ok(Released::default());
        }
        self.worker
            .call(Plan::WRITE_MANY, async move |connection: &mut PgConnection| {
                managers::share(connection, &seat).await
            })
            .await
    }
}
