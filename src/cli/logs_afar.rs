//! `dcm logs` of an app whose runs are on another host: the end of the log that its manager keeps in the
//! database as long as somebody looks.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::Error;
use super::log_printer::Printer;
use super::logs::Asked;
use super::output;
use super::session::Session;
use crate::model::{AppId, KeptLog, Timestamp};
use crate::process::{LogEnds, LogRecord, join_lines};
use crate::store::{OperatorStore, StoreError};

/// How long the manager may take to write what was asked for: it looks each second.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// How often the database is asked for more.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often the wish is repeated; it holds for 15 s.
const WISH_EVERY: Duration = Duration::from_secs(5);

pub(super) async fn logs(
    session: &Session,
    args: &Asked<'_>,
    app: AppId,
    store: &dyn OperatorStore,
) -> Result<(), Error> {
    let asked = store.time().await?;
    want(store, app).await?;
    let Some(first) = first(args, app, store, asked).await? else {
        output::message("its runs are not on this host, and none of their output is kept in the database");
        return Ok(());
    };
    let age = (store.time().await? - first.written).num_seconds().max(0);
    let KeptLog { run, manager, .. } = &first;
    output::message(format_args!(
        "the end of run {run} from manager {manager}, {age} s old; the whole log is on its host"
    ));
    let mut ends = LogEnds::default();
    let mut printer = Printer::new(session, args.args, args.path, first.run);
    let records = ends.take(first.bytes).last_lines(args.lines);
    let records = if args.follow { chosen(args, records) } else { chosen(args, join_lines(records)) };
    if !printer.print(&records) || !args.follow {
        printer.finish();
        return Ok(());
    }
    let mut wished = Instant::now();
    let mut is_away = false;
    loop {
        sleep(LOOK_EVERY).await;
        let kept = match store.kept_log(app, args.run).await {
            Ok(kept) => kept,
            Err(StoreError::Unavailable(why)) => {
                if !std::mem::replace(&mut is_away, true) {
                    output::message(format_args!("the database is away: {why}"));
                }
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if std::mem::take(&mut is_away) {
            output::message("the database is back");
        }
        if wished.elapsed() > WISH_EVERY {
            want(store, app).await?;
            wished = Instant::now();
        }
        let Some(kept) = kept else { continue };
        if kept.run != printer.run {
            output::message(format_args!("run {}", kept.run));
            printer.run = kept.run;
            ends = LogEnds::default();
        }
        let news = ends.take(kept.bytes);
        if news.has_gap {
            output::message("more was written than the database keeps: some lines are missing here");
        }
        if !printer.print(&chosen(args, news.records)) {
            return Ok(());
        }
    }
}

/// The lines that are asked for.
fn chosen(args: &Asked<'_>, records: Vec<LogRecord>) -> Vec<LogRecord> {
    if args.filter.is_open() {
        return records;
    }
    join_lines(records).into_iter().filter(|line| args.filter.keeps(line)).collect()
}

/// The first end to show: a fresh one, or what there is.
async fn first(
    args: &Asked<'_>,
    app: AppId,
    store: &dyn OperatorStore,
    asked: Timestamp,
) -> Result<Option<KeptLog>, Error> {
    let until = Instant::now() + ANSWER_MAX;
    loop {
        let kept = store.kept_log(app, args.run).await?;
        let is_fresh = kept.as_ref().is_some_and(|kept| kept.written >= asked);
        let is_late = Instant::now() >= until && (kept.is_some() || !args.follow);
        if is_fresh || is_late {
            return Ok(kept);
        }
        if Instant::now() >= until {
            want(store, app).await?;
        }
        sleep(LOOK_EVERY / 2).await;
    }
}

/// A standby or a missing right leaves what is kept already.
async fn want(store: &dyn OperatorStore, app: AppId) -> Result<(), Error> {
    match store.want_log(app).await {
        Ok(()) | Err(StoreError::Unavailable(_) | StoreError::Denied(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
