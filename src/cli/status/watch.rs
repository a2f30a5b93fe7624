//! `dcm status --watch`: the same, again and again, on one connection. On a terminal each frame takes the place of the one
//! before; elsewhere there is one after each change.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;

use super::Page;
use crate::cli::args::StatusArgs;
use crate::cli::error::Error;
use crate::cli::output::{self, Pressed, Screen};
use crate::cli::session::{Fleet, Session, block_on};
use crate::model::{AppId, AppRow, Printable, Registered, Revision};
use crate::process::on_termination;
use crate::store::{OpenMode, OperatorStore};
use crate::wire;

/// The apps table, read once and followed from then on: a look at a fleet in which nothing happened is a small question.
#[derive(Default)]
struct Followed {
    rows: BTreeMap<AppId, AppRow>,
    revision: Revision,
}

impl Followed {
    async fn look(&mut self, store: &dyn OperatorStore) -> Result<Fleet, Error> {
        loop {
            let delta = store.changes_since(self.revision).await?;
            for id in &delta.removed {
                self.rows.remove(id);
            }
            self.rows.extend(delta.rows.into_iter().map(Registered::into_row).map(|row| (row.app.id, row)));
            self.revision = delta.revision;
            if !delta.more {
                break;
            }
        }
        let mut apps: Vec<_> = self.rows.values().cloned().collect();
        apps.sort_by(|a, b| a.app.path.cmp(&b.app.path));
        Ok(Fleet { apps })
    }
}

/// One look.
struct Seen {
    page: Page,
    remarks: Vec<String>,
}

pub(super) fn watch(session: &Session, args: &StatusArgs, every: Duration) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    // Without a screen nothing is ever pressed.
    let (pressed, keys) = channel();
    let (by_signal, by_key) = (pressed.clone(), pressed);
    let screen = if output::is_terminal() && !session.json {
        // A signal ends it in order: the terminal is given back.
        on_termination(move |_| {
            let _ = by_signal.send(Pressed::Quit);
        })?;
        Some(Screen::take(by_key.clone())?)
    } else {
        None
    };
    let mut followed = Followed::default();
    let mut last = None;
    let mut printed = None;
    loop {
        let looked = block_on(async {
            let fleet = followed.look(store.as_ref()).await?;
            let page = Page::of(session, store.as_ref(), fleet, args).await?;
            let remarks = page.remarks(store.as_ref()).await?;
            Ok(Seen { page, remarks })
        });
        let away = match looked {
            Ok(seen) => {
                last = Some(seen);
                None
            }
            // What was seen stays, and says how old it is.
            Err(error) if error.is_refusal_for_now() && last.is_some() => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        let Some(seen) = &last else { return Ok(()) };
        let goes_on = match &screen {
            Some(screen) => draw(screen, seen, away.as_deref(), every),
            None => print(session, seen, away.as_deref(), &mut printed),
        };
        if !goes_on || is_over(&keys, every) {
            return Ok(());
        }
    }
}

/// Waits for the next look; whether a person has had enough.
fn is_over(keys: &Receiver<Pressed>, every: Duration) -> bool {
    match keys.recv_timeout(every) {
        Ok(Pressed::Quit) => true,
        Ok(Pressed::Resize) | Err(RecvTimeoutError::Timeout) => false,
        // No key can be read any more: the terminal is gone.
        Err(RecvTimeoutError::Disconnected) => true,
    }
}

fn draw(screen: &Screen, seen: &Seen, away: Option<&str>, every: Duration) -> bool {
    let now = seen.page.managers.now.with_timezone(&chrono::Local);
    let head = format!("{}  every {}s, q ends", now.format("%H:%M:%S"), every.as_secs_f64());
    let table = seen.page.table();
    let lines: Vec<_> = table.lines().collect();
    let messages = seen.remarks.iter().map(String::as_str).chain(away);
    let messages = messages.map(|text| format!("dcm: {}", Printable(text)));
    let last: Vec<_> = seen.page.sums().into_iter().chain(messages).collect();
    Screen::draw(screen, &head, &lines, &last)
}

/// Prints what has changed since the last time; `false` once the reader has gone away.
fn print(
    session: &Session,
    seen: &Seen,
    away: Option<&str>,
    printed: &mut Option<(Value, Option<String>)>,
) -> bool {
    let rows = seen.page.apps.iter().map(|(row, state)| serde_json::to_value(wire::App::of(row, *state)));
    let rows: Value = rows.filter_map(Result::ok).collect();
    let before = printed.replace((rows, away.map(str::to_owned)));
    let Some((rows, _)) = printed.as_ref() else { return true };
    if let Some(away) =
        away.filter(|away| before.as_ref().is_none_or(|(_, known)| known.as_deref() != Some(away)))
    {
        output::message(away);
    }
    if before.is_some_and(|(known, _)| known == *rows) {
        return true;
    }
    if session.json {
        return output::lines([output::json_text(rows)]);
    }
    let now = seen.page.managers.now.with_timezone(&chrono::Local);
    let head = format!("{}\n", now.format("%Y-%m-%d %H:%M:%S"));
    let sums = seen.page.sums().map_or_else(String::new, |sums| format!("{sums}\n"));
    output::write_table(&format!("{head}{}{sums}\n", seen.page.table()))
}
