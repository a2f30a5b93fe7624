//! `dcm run-app`: runs one app once, in the foreground. It needs no manager, and a manager that
//! serves the database watches the run like any other.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{sleep, timeout};

use super::args::RunAppArgs;
use super::error::{Error, Kind};
use super::output;
use super::session::{Fleet, Session, block_on};
use crate::manager::{Event, Launch};
use crate::model::{
    AppPath, AppRow, Change, Closing, Ending, Exit, FatalFlag, Obstacle, Performance, Refusal, RunId,
    RunOpening, StopCause, Trigger,
};
use crate::process::{LaunchSettings, clock, foreground, host_name};
use crate::store::{Committed, HistoryQuery, OpenMode, Store};
use crate::wire;

/// How long the end of the run is tried to be entered. After that it waits in the run directory for
/// the next manager.
const ENTER_MAX: Duration = Duration::from_secs(10);

/// The exit code of a run that was ended by `max_runtime` and has none of its own but 0.
const TIMED_OUT: u8 = 124;

/// Gives back the exit code of the app.
pub(super) fn run_app(session: &Session, args: RunAppArgs) -> Result<u8, Error> {
    let store = session.store(OpenMode::Existing)?;
    let settings = session.launch();
    block_on(async {
        let row = Fleet::find(store.as_ref(), &args.path).await?;
        let run = RunId::from_random_bits(uuid::Uuid::new_v4().as_u128());
        let launch = launch(&row, args.args);
        let store = store.as_ref();
        let since = clock::boot_time();
        open(store, &row, run, args.force).await?;
        let mut closing = supervise(store, &settings, run, launch, since).await?;
        examine(store, &args.path, &mut closing).await;
        let entered = timeout(
            ENTER_MAX,
            enter(store, Change::RunClosed { run, app: row.app.id, closing: closing.clone() }),
        );
        if entered.await.is_ok() {
            foreground::forget(&settings, run);
            if let Some(file) = &args.result {
                tell(store, run, &args.path, file).await;
            }
        } else {
            output::message("the database does not answer; the next manager enters how the run ended");
        }
        if closing.leftovers.count > 0 {
            output::message(closing.leftovers.to_string());
        }
        exit_code(&closing)
    })
}

fn launch(row: &AppRow, args: Option<String>) -> Launch {
    Launch {
        app: row.app.id,
        path: row.app.path.clone(),
        program: row.app.program.clone(),
        args,
        due: None,
        trigger: Trigger::RunApp,
        attempt: 1,
        stop_signal: row.app.policy.stop_signal,
        stop_grace: row.app.policy.stop_grace,
        log_limit: row.app.policy.log_limit,
        time_zone: row.app.schedule.time_zone,
        epoch: row.epoch,
        // Whoever looks at it decides: it does not belong to a manager.
        is_fenced: false,
        // There may be no manager to do it.
        ends_after: row.app.policy.max_runtime,
        limits: row.app.policy.usage_limits(),
    }
}

/// Puts the run on record; from then on no manager starts the app.
async fn open(store: &dyn Store, row: &AppRow, run: RunId, is_forced: bool) -> Result<(), Error> {
    let path = &row.app.path;
    let refused = |why: String| Error::new(Kind::RefusedForNow, format!("{path} is {why}"));
    if let Some(fault) = &row.fault {
        return Err(refused(format!("set aside: {}", fault.message))
            .hint(format!("set its definition right: dcm app set {path}")));
    }
    if let Some(fatal) = row.state.fatal.as_ref().filter(|_| row.awaits_enable() && !is_forced) {
        let what = if fatal.flag == FatalFlag::UnexpectedBehavior { "given up" } else { "fatal" };
        return Err(refused(format!("{what}: {}", fatal.message)).hint(format!(
            "fix the cause, then dcm enable {path}; dcm run-app --force {path} tries it once"
        )));
    }
    let opening = Change::RunOpened(RunOpening {
        run,
        app: row.app.id,
        at: clock::wall(),
        due: None,
        trigger: Trigger::RunApp,
        attempt: 1,
        command: None,
        manager: format!("run-app@{}", host_name()),
        is_forced,
    });
    let Committed { refused: refusals, held, .. } = store.commit(vec![opening]).await?;
    if let Some(held) = held.first() {
        return Err(refused(format!("locked: {}", held.why)));
    }
    match refusals.first() {
        None => Ok(()),
        Some((_, Refusal::AlreadyOpen(other))) => Err(refused(format!("already running (run {other})"))),
        Some((_, Refusal::Disabled)) => Err(refused("disabled".to_owned())
            .hint(format!("dcm enable {path} lets it run; dcm run-app --force {path} tries it once"))),
        // Who runs it in the foreground is no manager, and may.
        Some((_, Refusal::OwnedByOther)) => Err(refused("another manager's".to_owned())),
        Some((_, Refusal::NoSuchApp)) => Err(Error::new(Kind::NoSuchApp, format!("no such app: {path}"))),
    }
}

/// Runs the app in a thread of its own and enters what it tells.
async fn supervise(
    store: &dyn Store,
    settings: &LaunchSettings,
    run: RunId,
    launch: Launch,
    since: Duration,
) -> Result<Closing, Error> {
    let (events, mut told) = unbounded_channel();
    let app = launch.app;
    let thread = std::thread::Builder::new().name("dcm-run".to_owned()).spawn({
        let settings = settings.clone();
        move || {
            foreground::run(&settings, run, &launch, since, move |event| {
                // The receiver is there until this thread has ended.
                let _ = events.send(event);
            })
        }
    })?;
    let mut end = None;
    while let Some(event) = told.recv().await {
        match event {
            Event::Started { run, pid, at } => {
                enter_if_possible(store, Change::RunStarted { run, app, pid, at }).await;
            }
            Event::Reported { run, report } => {
                enter_if_possible(store, Change::Progress { app, run, report }).await;
            }
            Event::Ended { closing, .. } => end = Some(closing),
            Event::Tick
            | Event::Command(_)
            | Event::Used(_)
            | Event::RunRefused { .. }
            | Event::NotFound { .. }
            | Event::AppsChanged(_)
            | Event::AppsReplaced(_)
            | Event::AppsRemoved(_)
            | Event::AppsLost(_)
            | Event::LimitsChanged(_)
            | Event::FleetTrouble { .. }
            | Event::FleetTroubleOver(_)
            | Event::ManagersSeen(_)
            | Event::AlertDelivered { .. } => {}
        }
    }
    match (end, thread.join()) {
        (Some(closing), _) => Ok(closing),
        (None, Ok(Err(error))) => Ok(Closing::unseen(
            Ending::StartFailed(crate::model::StartFailure {
                obstacle: Obstacle::HostExhausted,
                message: format!("the run could not be prepared: {error}"),
            }),
            clock::wall(),
        )),
        (None, Ok(Ok(())) | Err(_)) => Ok(Closing::unseen(Ending::Unknown, clock::wall())),
    }
}

/// Judges a run with exit code 0 by the rules of its app, as they stand now. A manager that watches it does the same.
async fn examine(store: &dyn Store, path: &AppPath, closing: &mut Closing) {
    if closing.ending != Ending::Exited(Exit::Code(0)) {
        return;
    }
    let Ok(Ok(row)) = timeout(ENTER_MAX, Fleet::find(store, path)).await else { return };
    // What the app wrote by SQL is in the row.
    let did = Performance {
        took: closing.started.and_then(|started| (closing.ended - started).to_std().ok()),
        solved: closing.report.solved.unwrap_or(row.progress.solved),
        failed: closing.report.failed.unwrap_or(row.progress.failed),
    };
    if let Some(suspicion) = row.app.policy.broken_rule(did).filter(|_| !row.app.schedule.always) {
        output::message(format_args!("suspect: {}", suspicion.message));
        closing.doubt(suspicion);
    }
}

/// Progress that cannot be entered now is in the end of the run as well.
async fn enter_if_possible(store: &dyn Store, change: Change) {
    let _ = store.commit(vec![change]).await;
}

async fn enter(store: &dyn Store, change: Change) {
    while !store.commit(vec![change.clone()]).await.is_ok_and(|committed| committed.held.is_empty()) {
        sleep(Duration::from_millis(200)).await;
    }
}

/// Writes the run as it is on record. That it could not be written does not change how the app ended.
async fn tell(store: &dyn Store, run: RunId, path: &AppPath, file: &Path) {
    let query = HistoryQuery { run: Some(run), limit: 1, ..HistoryQuery::default() };
    let written = match store.history(query).await.as_deref() {
        Ok([row, ..]) => serde_json::to_value(wire::Run::of(row, Some(path.to_string())))
            .map_err(std::io::Error::from)
            .and_then(|run| std::fs::write(file, output::json_text(&run)))
            .map_err(|error| error.to_string()),
        Ok([]) => Err("it is not on record any more".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = written {
        output::message(format_args!("{} does not say how the run ended: {error}", file.display()));
    }
}

/// The app's own code, 128 + signal, or 126 or 127 when it could not be started.
fn exit_code(closing: &Closing) -> Result<u8, Error> {
    let is_timeout = matches!(closing.ending, Ending::Stopped { cause: StopCause::Timeout, .. });
    if is_timeout {
        output::message("it ran longer than max_runtime and was ended");
    }
    let is_over_limit = matches!(closing.ending, Ending::Stopped { cause: StopCause::Memory(_), .. });
    if let (true, Some(message)) =
        (is_over_limit || matches!(closing.ending, Ending::OutOfMemory(_)), closing.ending.message())
    {
        output::message(message);
    }
    match (closing.ending.exit(), &closing.ending) {
        (Some(Exit::Code(0)), _) if is_over_limit => Ok(1),
        // One that takes TERM well has not succeeded for that.
        (Some(Exit::Code(0)), _) if is_timeout => Ok(TIMED_OUT),
        (Some(exit), _) => Ok(u8::try_from(exit.code() & 0xff).unwrap_or(1)),
        (None, Ending::StartFailed(failure)) => {
            output::message(format_args!("failed to start: {}", failure.message));
            Ok(match failure.obstacle {
                Obstacle::NotFound => 127,
                Obstacle::NotExecutable | Obstacle::HostExhausted => 126,
            })
        }
        (None, ending) => {
            Err(Error::failed(format!("how the app ended is not known ({})", ending.outcome())))
        }
    }
}
