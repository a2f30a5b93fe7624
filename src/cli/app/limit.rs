//! `dcm app limit`

use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::session::{Session, block_on};
use crate::model::Part;
use crate::store::OpenMode;

pub(super) fn limit(session: &Session, place: &str, limit: &str) -> Result<(), Error> {
    let part = |text: &str| Part::new(text).map_err(|error| Error::usage(error.to_string()));
    let (group, parent) = match place.split_once('/') {
        Some((group, parent)) => (part(group)?, Some(part(parent)?)),
        None => (part(place)?, None),
    };
    let limit = match limit {
        "none" => None,
        number => {
            Some(number.parse().map_err(|_| Error::usage("the limit must be a whole number, or none"))?)
        }
    };
    let store = session.store(OpenMode::Existing)?;
    block_on(async { Ok(store.set_limit(group, parent, limit).await?) })?;
    if session.json {
        output::json(&serde_json::json!({ "place": place, "max_running": limit }));
    }
    Ok(())
}
