//! `dcm app show`

use crate::cli::error::Error;
use crate::cli::session::{Fleet, Session, block_on};
use crate::cli::{json, output};
use crate::model::{AppPath, Printable};
use crate::store::OpenMode;

pub(super) fn show(session: &Session, path: &AppPath) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    let row = block_on(async { Fleet::read(store.as_ref()).await?.find(path) })?;
    let value = json::with_policies(&row);
    if session.json {
        output::json(&value);
        return Ok(());
    }
    let mut text = String::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let shown = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        text.push_str(&format!("{name:16} {}\n", Printable(&shown)));
    }
    output::data(&text);
    Ok(())
}
