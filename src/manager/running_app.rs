//! For tests: a manager with one app that runs since an hour, which it has taken up from the database.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Identity, Manager, Step};
use crate::model::{
    App, AppRow, Now, OpenRun, Registered, RunId, RunStatus, Snapshot, Survivor, SurvivorState, Timestamp,
    Trigger,
};

/// Its run.
pub(super) fn run() -> RunId {
    RunId::from_random_bits(7)
}

/// Seconds after the manager began.
pub(super) fn now(seconds: u64) -> Now {
    let wall = Timestamp::UNIX_EPOCH + TimeDelta::days(9) + TimeDelta::seconds(seconds.cast_signed());
    Now { mono: Duration::from_secs(5 + seconds), wall }
}

/// Its row.
pub(super) fn row() -> AppRow {
    let mut row = AppRow::new(App::new("a/b/c".parse().unwrap()), 1);
    row.state.status = RunStatus::Running;
    row.state.run = Some(run());
    row.state.last_run = Some(now(0).wall - TimeDelta::hours(1));
    row.state.manager = Some("zg".to_owned());
    row
}

/// The manager, and its first step.
pub(super) fn restored(row: &AppRow) -> (Manager, Step) {
    let app = row.app.id;
    let started = row.state.last_run.unwrap();
    let open = OpenRun {
        run: run(),
        app,
        start: started,
        due: None,
        trigger: Trigger::Schedule,
        attempt: 1,
        command: None,
        pid: Some(42),
        manager: None,
    };
    let snapshot =
        Snapshot { apps: vec![Registered::of(row.clone())], open_runs: vec![open], ..Snapshot::default() };
    let state = SurvivorState::Running { pid: 42, started, stop: None };
    let survivor = Survivor { run: run(), app, pid: Some(42), state };
    let identity = Identity { name: "zg".to_owned(), host: "zg".to_owned(), seed: 1 };
    Manager::restore(identity, snapshot, vec![survivor], now(0))
}
