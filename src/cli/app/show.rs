//! `dcm app show`

use crate::cli::error::Error;
use crate::cli::presence::Managers;
use crate::cli::session::{Fleet, Session, block_on};
use crate::cli::{next, output};
use crate::model::AppPath;
use crate::store::OpenMode;
use crate::wire;

pub(super) fn show(session: &Session, path: &AppPath) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    let (row, rights, state) = block_on(async {
        let row = Fleet::find(store.as_ref(), path).await?;
        let state = Managers::read(session, store.as_ref()).await?.state_of(&row);
        Ok((row, store.rights().await?, state))
    })?;
    if !rights.see_env {
        output::message("env is hidden from this user of the database");
    }
    let mut value = serde_json::to_value(wire::AppInFull::of(&row, state)).map_err(std::io::Error::from)?;
    value["next_run_zone"] = next::zone_of_sql(store.as_ref(), &row).into();
    if session.json {
        output::json(&value);
        return Ok(());
    }
    let fields = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    output::lines(fields.map(|(name, value)| match value.as_str() {
        Some(text) => format!("{name:16} {text}"),
        None => format!("{name:16} {value}"),
    }));
    Ok(())
}
