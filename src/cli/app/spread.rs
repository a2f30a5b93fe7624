//! `dcm app spread`

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::cli::ahead::Ahead;
use crate::cli::args::SpreadArgs;
use crate::cli::error::Error;
use crate::cli::load::listed;
use crate::cli::session::{Fleet, Session, block_on, needs_env};
use crate::cli::{format, output};
use crate::manager::forecast::{Left, Move, Moved, Outlook, spread as spread_out};
use crate::model::{AppId, AppPath, AppRow, Registered, RunStatus, Timestamp};
use crate::store::{Existing, NextRun, OpenMode, OperatorStore, Registration};
use crate::wire;

/// The most apps at once, and when that is.
type Highest = Option<(Timestamp, u32)>;

pub(super) fn spread(session: &Session, args: &SpreadArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        if !args.dry_run {
            needs_env(store.as_ref()).await?;
        }
        let all = Fleet::read(store.as_ref()).await?.apps;
        let meant = Fleet { apps: all.clone() }.select(&args.selectors)?;
        let ahead = Ahead::read(session, store.as_ref(), &all).await?;
        let spread = spread_out(&meant, args.within, ahead.now);
        let moves = spread.moves;
        let mut left: BTreeMap<Left, Vec<AppPath>> = BTreeMap::new();
        for (index, why) in spread.left {
            left.entry(why).or_default().push(meant[index].app.path.clone());
        }
        let rows: BTreeMap<AppId, &AppRow> = meant.iter().map(|row| (row.app.id, row)).collect();
        let expected = ahead.expected(&all);
        let mut outlook = Outlook::new(&expected, ahead.now);
        let before = outlook.highest_with(&[]);
        let after = outlook.highest_with(&moves);
        if !session.json {
            show(&moves, &rows, ahead.now);
            for (why, paths) in &left {
                let count =
                    if paths.len() == 1 { "1 app".to_owned() } else { format!("{} apps", paths.len()) };
                output::message(format_args!("{count} left as before ({why}): {}", listed(paths)));
            }
            tell_origins(&moves, &rows);
            output::message(format_args!(
                "the most of all apps at once in the next 24 h: {} -> {}",
                shown(before, ahead.now),
                shown(after, ahead.now)
            ));
        }
        let mut changed = 0;
        if !args.dry_run && !moves.is_empty() {
            let count = if moves.len() == 1 { "1 app".to_owned() } else { format!("{} apps", moves.len()) };
            super::consent(args.yes, &format!("give {count} these times?"))?;
            changed = apply(store.as_ref(), &moves, &rows).await?;
        }
        if session.json {
            output::json(&document(args, (&moves, changed), &rows, &left, (before, after)));
        } else if !args.dry_run {
            output::line(format_args!("{changed} changed"));
        }
        Ok(())
    })
}

/// Writes all changes or none, as `dcm app set` does each. Gives back how many apps there are of which a change was written.
async fn apply(
    store: &dyn OperatorStore,
    moves: &[Move],
    shown: &BTreeMap<AppId, &AppRow>,
) -> Result<usize, Error> {
    // A person may have thought for long about the question.
    let rows = store.apps(moves.iter().map(|moved| moved.app).collect()).await?;
    let rows: BTreeMap<AppId, AppRow> =
        rows.into_iter().map(Registered::into_row).map(|row| (row.app.id, row)).collect();
    let mut registrations = Vec::new();
    let mut passed = 0;
    for moved in moves {
        let (before, now) = (shown.get(&moved.app), rows.get(&moved.app));
        let (Some(before), Some(row)) =
            (before, now.filter(|row| before.is_some_and(|shown| shown.app == row.app)))
        else {
            let path = before.map_or_else(|| moved.app.to_string(), |row| row.app.path.to_string());
            return Err(Error::failed(format!("{path} was changed meanwhile by another; nothing was done"))
                .hint("see what would be done now: dcm app spread --dry-run"));
        };
        let mut app = moved.apply(row).app;
        // A row may have a key that is not that of its names.
        app.id = AppId::of(&app.path);
        let next_run = match &moved.what {
            Moved::Cron { .. } => None,
            Moved::NextRun { .. }
                if row.next_run != before.next_run || row.state.status == RunStatus::Running =>
            {
                passed += 1;
                continue;
            }
            Moved::NextRun { after, .. } => Some(NextRun::At(*after)),
        };
        registrations.push(Registration { app, next_run, existing: Existing::Replace });
    }
    if passed > 0 {
        output::message(format_args!("{passed} apps started meanwhile and keep their times"));
    }
    let changed = registrations.len();
    store.register(registrations).await?;
    Ok(changed)
}

fn show(moves: &[Move], rows: &BTreeMap<AppId, &AppRow>, now: Timestamp) {
    if moves.is_empty() {
        output::message("no app gets another time");
        return;
    }
    let cells = moves.iter().filter_map(|moved| {
        let path = rows.get(&moved.app)?.app.path.to_string();
        Some(match &moved.what {
            Moved::Cron { before, after } => vec![path, before.to_string(), after.to_string()],
            Moved::NextRun { before, after } => {
                vec![path, format::time(Some(*before), now), format::time(Some(*after), now)]
            }
        })
    });
    output::table(&["APP", "BEFORE", "AFTER"], &cells.collect::<Vec<_>>());
}

/// The file of an app says its cron expression, and the next import takes that.
fn tell_origins(moves: &[Move], rows: &BTreeMap<AppId, &AppRow>) {
    let of_files = moves.iter().filter(|moved| matches!(moved.what, Moved::Cron { .. }));
    let origins = of_files.filter_map(|moved| rows.get(&moved.app)?.app.origin.as_deref());
    let (count, files) = origins.fold((0, BTreeSet::new()), |(count, mut files), origin| {
        files.insert(origin);
        (count + 1, files)
    });
    if count > 0 {
        let files: Vec<_> = files.into_iter().collect();
        output::message(format_args!(
            "the next import sets {count} of them back, unless the file is changed too: {}",
            files.join(", ")
        ));
    }
}

fn shown(highest: Highest, now: Timestamp) -> String {
    highest
        .map_or_else(|| "none".to_owned(), |(at, apps)| format!("{apps} at {}", format::time(Some(at), now)))
}

fn document(
    args: &SpreadArgs,
    (moves, changed): (&[Move], usize),
    rows: &BTreeMap<AppId, &AppRow>,
    left: &BTreeMap<Left, Vec<AppPath>>,
    (before, after): (Highest, Highest),
) -> serde_json::Value {
    let apps = moves.iter().filter_map(|moved| {
        let path = rows.get(&moved.app)?.app.path.to_string();
        Some(match &moved.what {
            Moved::Cron { before, after } => {
                json!({ "path": path, "column": "cron_expression", "before": before.as_str(), "after": after.as_str() })
            }
            Moved::NextRun { before, after } => json!({
                "path": path, "column": "next_run",
                "before": wire::time(Some(*before)), "after": wire::time(Some(*after)),
            }),
        })
    });
    let left = left.iter().flat_map(|(why, paths)| {
        paths.iter().map(move |path| json!({ "path": path.to_string(), "reason": why.to_string() }))
    });
    let point =
        |highest: Highest| highest.map(|(at, apps)| json!({ "at_once": apps, "time": wire::time(Some(at)) }));
    json!({
        "dry_run": args.dry_run, "within": args.within, "changed": changed,
        "apps": apps.collect::<Vec<_>>(), "left": left.collect::<Vec<_>>(),
        "before": point(before), "after": point(after),
    })
}
