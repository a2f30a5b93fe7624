//! `dcm app import`: registers or changes the apps of a file, all or none.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::definitions::{Entry, parse};
use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::session::{Fleet, Session, block_on};
use crate::store::{Existing, OpenMode, Registration};

/// The largest file that is read: 10,000 apps take a few MiB.
const SIZE_MAX: u64 = 64 * 1024 * 1024;

pub(super) fn import(session: &Session, path: &Path) -> Result<(), Error> {
    let name = path.display().to_string();
    let text = read(path).map_err(|error| Error::usage(format!("{name}: {error}")))?;
    let base = folder(path)?;
    let entries = parse(&text, &base).map_err(|faults| {
        let shown: Vec<_> =
            faults.iter().map(|fault| format!("{name}:{}: {}", fault.line, fault.what)).collect();
        for line in &shown {
            output::message(line);
        }
        let count = if faults.len() == 1 { "a fault".to_owned() } else { format!("{} faults", faults.len()) };
        Error::usage(format!("{name} has {count}; nothing was imported"))
    })?;
    let store = session.store(OpenMode::Create)?;
    block_on(async {
        let fleet = Fleet::read(store.as_ref()).await?;
        let known: BTreeMap<_, _> = fleet.apps.iter().map(|row| (row.app.id, &row.app)).collect();
        let (mut added, mut changed) = (0, 0);
        let mut registrations = Vec::new();
        for Entry { mut app, enabled } in entries.iter().cloned() {
            let before = known.get(&app.id);
            // What a person has decided since stays, unless the file says otherwise.
            app.disabled = enabled.map_or(before.is_none_or(|before| before.disabled), |enabled| !enabled);
            match before {
                Some(before) if **before == app => continue,
                Some(_) => changed += 1,
                None => added += 1,
            }
            registrations.push(Registration { app, next_run: None, existing: Existing::Replace });
        }
        if !registrations.is_empty() {
            store.register(registrations).await?;
        }
        let unchanged = entries.len() - added - changed;
        if session.json {
            output::json(&serde_json::json!({ "added": added, "changed": changed, "unchanged": unchanged }));
        } else {
            output::line(format_args!("{added} added, {changed} changed, {unchanged} unchanged"));
        }
        Ok(())
    })
}

/// Where relative paths of the file start.
fn folder(path: &Path) -> std::io::Result<PathBuf> {
    std::path::absolute(Path::new(".").join(path.parent().unwrap_or(path)))
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let mut reader: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(|error| error.to_string())?)
    };
    reader.by_ref().take(SIZE_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > SIZE_MAX {
        return Err(format!("larger than {SIZE_MAX} bytes"));
    }
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
