//! What every database must do, run against each of them.

use std::time::Duration;

use dcm::model::{
    Alert, AlertCause, AlertEnd, AlertEvent, AlertId, AlertKind, AlertTurn, Anomaly, App, AppId, AppPath,
    AppState, AppUpdate, Baseline, Change, Closing, CmdFlag, CmdName, CommandId, CommandSource, Concern,
    Conclusion, Counted, Ending, Exit, Failover, Fatal, FatalFlag, KeptLog, LastEnd, Leftovers, Load,
    ManagerRow, NewCommand, OnFailures, Outcome, Policy, Program, Prunable, Pruning, Reason, Refusal,
    Registered, Report, Retention, Revision, RunId, RunOpening, RunStatus, Schedule, Severity, Skip,
    SkipReason, Timestamp, Trigger, Usage, Verdict, parse_timestamp, slot_of,
};
use dcm::store::{
    AlertNote, AlertQuery, AlertsOf, Existing, HistoryQuery, LedgerQuery, MemoryStore, NextRun, OpenMode,
    PostgresStore, Registration, Rights, SkipQuery, SqliteStore, Store, StoreError, take_from,
};

use crate::postgres::{Schema, block_on};

/// Runs a test of the contract against each database.
macro_rules! contract {
    ($($name:ident)+) => {
        mod memory { $(#[test] fn $name() { $crate::store_contract::on_memory(super::$name); })+ }
        mod postgres { $(#[test] fn $name() { $crate::store_contract::on_postgres(super::$name); })+ }
        mod sqlite { $(#[test] fn $name() { $crate::store_contract::on_sqlite(super::$name); })+ }
    };
}
pub(crate) use contract;

contract! {
    apps_are_registered_and_read_back
    each_setting_is_read_back
    all_or_none_are_registered
    a_run_goes_through_its_life
    a_run_that_is_not_found_is_closed_only_by_its_owner
    a_second_run_of_an_app_is_refused
    disabled_and_missing_apps_are_not_opened
    writing_twice_is_writing_once
    a_closed_run_is_never_changed
    commands_get_one_verdict
    what_a_database_can_is_what_it_has
    the_ends_of_logs_are_kept_for_those_who_look
    the_row_follows_its_latest_command
    percentage_and_eta_follow_from_the_counters
    what_is_counted_is_kept_in_samples
    the_time_of_the_last_move_of_a_run_is_kept
    what_a_run_uses_is_kept_until_its_end
    what_the_manager_concludes_is_kept
    a_wish_for_the_next_run_is_kept_until_it_is_dealt_with
    an_update_that_shows_a_refused_run_is_not_written
    a_state_change_depends_on_no_row_of_history
    a_run_is_closed_whatever_other_rows_say
    an_app_that_runs_is_not_started_again_though_its_row_of_history_is_gone
    late_progress_of_an_older_run_changes_nothing
    changes_are_told_since_a_revision
    skips_and_alerts_are_kept_once
    what_is_repeated_is_counted_in_its_open_episode
    limits_are_set_and_lifted
    removed_apps_are_told_and_running_ones_stay
    a_renamed_app_keeps_what_is_on_record_of_it
    a_run_that_the_database_lost_is_entered_whole
    a_run_does_not_end_before_it_began
    the_open_time_of_a_calendar_is_kept_until_the_calendar_is_another
    runs_of_a_window_are_those_that_overlap_it
    skips_of_a_window_are_found
    alerts_are_acknowledged_muted_and_read_by_page
    the_ledger_is_read_by_page_person_command_and_batch
    old_history_is_pruned_and_what_is_open_stays
}

pub(crate) fn on_memory(test: impl AsyncFnOnce(&dyn Store)) {
    let store = MemoryStore::new(at("2026-11-23T14:00:00Z"));
    block_on(test(&store));
}

pub(crate) fn on_sqlite(test: impl AsyncFnOnce(&dyn Store)) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("dcm.db"), OpenMode::Create).unwrap();
    block_on(test(&store));
}

pub(crate) fn on_postgres(test: impl AsyncFnOnce(&dyn Store)) {
    let schema = Schema::new();
    let store = PostgresStore::connect(schema.url(), OpenMode::Create).unwrap();
    block_on(test(&store));
}

pub(crate) fn at(text: &str) -> Timestamp {
    parse_timestamp(text).unwrap()
}

pub(crate) fn noon() -> Timestamp {
    at("2026-11-23T12:00:00Z")
}

fn app(path: &str) -> App {
    App {
        program: Program { command: Some(vec!["true".to_owned(), "a b".to_owned()]), ..Program::default() },
        schedule: Schedule { interval: Some("0.5".parse().unwrap()), ..Schedule::default() },
        policy: Policy {
            max_runtime: Some(Duration::from_secs(90)),
            pool: Some("eu-1".parse().unwrap()),
            failover: Failover::Exclusive,
            protected: true,
            on_failures: OnFailures::GiveUp,
            ..Policy::default()
        },
        origin: Some("/srv/fleet.toml".to_owned()),
        ..App::new(path.parse().unwrap())
    }
}

pub(crate) async fn register(store: &dyn Store, path: &str) -> AppId {
    let app = app(path);
    let id = app.id;
    store.register(vec![Registration { app, next_run: None, existing: Existing::Refuse }]).await.unwrap();
    id
}

async fn row(store: &dyn Store, id: AppId) -> dcm::model::AppRow {
    let delta = store.changes_since(Revision::default()).await.unwrap();
    let found = delta.rows.into_iter().find_map(|row| match row {
        Registered::App(row) if row.app.id == id => Some(*row),
        Registered::App(_) | Registered::SetAside(_) => None,
    });
    found.expect("the app is registered")
}

fn run(number: u128) -> RunId {
    RunId::from_random_bits(number)
}

fn opening(app: AppId, run: RunId) -> Change {
    Change::RunOpened(RunOpening {
        run,
        app,
        at: noon(),
        due: Some(noon()),
        trigger: Trigger::Schedule,
        attempt: 2,
        command: Some(CommandId(7)),
        manager: "zg".to_owned(),
        is_forced: false,
    })
}

fn closing(ending: Ending) -> Closing {
    Closing {
        ending,
        started: Some(at("2026-11-23T12:00:01Z")),
        ended: at("2026-11-23T13:02:03.500Z"),
        report: Report { solved: Some(9), except_cnt: Some(2), ..Report::default() },
        leftovers: Leftovers::counted(1),
        stderr: None,
    }
}

pub(crate) async fn commit(store: &dyn Store, changes: Vec<Change>) {
    assert_eq!(store.commit(changes).await.unwrap().refused, []);
}

async fn only_run(store: &dyn Store, app: AppId) -> dcm::model::Run {
    let query = HistoryQuery { apps: vec![app], limit: 10, ..HistoryQuery::default() };
    let mut runs = store.history(query).await.unwrap();
    assert_eq!(runs.len(), 1);
    runs.remove(0)
}

fn update(app: AppId, sequence: u64, state: AppState) -> AppUpdate {
    AppUpdate {
        app,
        sequence,
        state,
        next_run: None,
        planned: None,
        slot: None,
        asked_taken: None,
        disabled: None,
    }
}

async fn apps_are_registered_and_read_back(store: &dyn Store) {
    let id = register(store, "croatia/fina/companies").await;
    let row = row(store, id).await;
    assert_eq!(row.app, app("croatia/fina/companies"));
    assert_eq!(row.state, AppState::default());
    assert!(row.is_named);
    let mut changed = row.app.clone();
    changed.schedule.cron = Some("*/5 * * * *".parse().unwrap());
    changed.program.env.insert("A".to_owned(), "b=c".to_owned());
    changed.disabled = true;
    let registration = Registration {
        app: changed.clone(),
        next_run: Some(NextRun::At(noon())),
        existing: Existing::Replace,
    };
    store.register(vec![registration]).await.unwrap();
    let row = self::row(store, id).await;
    assert_eq!(row.app, changed);
    assert_eq!(row.next_run, Some(noon()));
}

async fn each_setting_is_read_back(store: &dyn Store) {
    let registration =
        |app: &App| Registration { app: app.clone(), next_run: None, existing: Existing::Replace };
    for app in crate::settings::apps_with_all("a/b/c") {
        store.register(vec![registration(&app)]).await.unwrap();
        assert_eq!(row(store, app.id).await.app, app);
        // And they can be taken away again.
        let plain = App::new(app.path);
        store.register(vec![registration(&plain)]).await.unwrap();
        assert_eq!(row(store, plain.id).await.app, plain);
    }
}

async fn all_or_none_are_registered(store: &dyn Store) {
    register(store, "a/b/old").await;
    let new = |path: &str| Registration { app: app(path), next_run: None, existing: Existing::Refuse };
    let error = store.register(vec![new("a/b/new"), new("a/b/old")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert_eq!(store.changes_since(Revision::default()).await.unwrap().rows.len(), 1);
}

async fn a_run_goes_through_its_life(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    commit(store, vec![opening(id, run(1))]).await;
    let row = self::row(store, id).await;
    assert_eq!((row.state.status, row.state.run, row.state.pid), (RunStatus::Running, Some(run(1)), None));
    assert_eq!(only_run(store, id).await.manager, "zg");
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.open_runs.len(), 1);
    let open = &snapshot.open_runs[0];
    assert_eq!((open.run, open.app, open.due, open.attempt), (run(1), id, Some(noon()), 2));
    assert_eq!((open.trigger, open.command), (Trigger::Schedule, Some(CommandId(7))));

    commit(store, vec![Change::RunStarted { run: run(1), app: id, pid: 42, at: at("2026-11-23T12:00:01Z") }])
        .await;
    assert_eq!(self::row(store, id).await.state.pid, Some(42));
    let ending = Ending::Exited(Exit::Signal { signal: 9, core: false });
    commit(store, vec![Change::RunClosed { run: run(1), app: id, closing: closing(ending) }]).await;
    let closed = only_run(store, id).await;
    assert_eq!((closed.exit_code, closed.signal), (Some(137), Some(9)));
    assert_eq!(closed.outcome_word(), Some("crashed"));
    assert_eq!((closed.progress.solved, closed.except_cnt, closed.pid), (9, 2, Some(42)));
    assert_eq!(closed.end, Some(at("2026-11-23T13:02:03.500Z")));
    let row = self::row(store, id).await;
    assert_eq!(row.state.status, RunStatus::NotRunning);
    let last = LastEnd { outcome: Outcome::Crashed.into(), exit_code: Some(137), at: closed.end.unwrap() };
    assert_eq!(row.last_end.as_deref(), Some(&last));
    assert!(store.snapshot().await.unwrap().open_runs.is_empty());
    // While the next run goes on, the row shows how the one before ended, whatever comes late about that.
    commit(store, vec![opening(id, run(2))]).await;
    let late = closing(Ending::Exited(Exit::Code(0)));
    commit(store, vec![Change::RunClosed { run: run(1), app: id, closing: late }]).await;
    assert_eq!(self::row(store, id).await.last_end.as_deref(), Some(&last));
    commit(store, vec![Change::RunClosed { run: run(2), app: id, closing: closing(Ending::HostRebooted) }])
        .await;
    let last = self::row(store, id).await.last_end.unwrap();
    assert_eq!((last.outcome, last.exit_code), (Outcome::HostRebooted.into(), None));
}

async fn a_run_that_is_not_found_is_closed_only_by_its_owner(store: &dyn Store) {
    let (id, other) = (register(store, "a/b/c").await, register(store, "a/b/d").await);
    commit(store, vec![opening(id, run(1)), opening(other, run(2))]).await;
    let not_found = |run, app, owner: &str| Change::RunNotFound {
        run,
        app,
        owners: [owner.to_owned(), "run-app@here".to_owned()],
        at: at("2026-11-23T13:00:00Z"),
    };
    commit(store, vec![not_found(run(1), id, "zg"), not_found(run(2), other, "st")]).await;
    // A row that was deleted says nothing of its owner.
    commit(store, vec![not_found(run(3), other, "zg")]).await;
    let closed = only_run(store, id).await;
    assert_eq!((closed.outcome_word(), closed.exit_code), (Some("unknown"), None));
    assert_eq!(row(store, id).await.state.status, RunStatus::NotRunning);
    assert_eq!(only_run(store, other).await.end, None);
    assert_eq!(row(store, other).await.state.status, RunStatus::Running);
}

async fn a_second_run_of_an_app_is_refused(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let other = register(store, "a/b/d").await;
    commit(store, vec![opening(id, run(1))]).await;
    let committed = store.commit(vec![opening(id, run(2)), opening(other, run(3))]).await.unwrap();
    assert_eq!(committed.refused, [(run(2), Refusal::AlreadyOpen(run(1)))]);
    assert_eq!(row(store, other).await.state.run, Some(run(3)));
    assert_eq!(row(store, id).await.state.run, Some(run(1)));
}

async fn disabled_and_missing_apps_are_not_opened(store: &dyn Store) {
    let mut disabled = app("a/b/c");
    disabled.disabled = true;
    let id = disabled.id;
    store
        .register(vec![Registration { app: disabled, next_run: None, existing: Existing::Refuse }])
        .await
        .unwrap();
    let gone = AppId::of(&"x/y/z".parse().unwrap());
    let committed = store.commit(vec![opening(id, run(1)), opening(gone, run(2))]).await.unwrap();
    assert_eq!(committed.refused, [(run(1), Refusal::Disabled), (run(2), Refusal::NoSuchApp)]);
    assert!(store.snapshot().await.unwrap().open_runs.is_empty());
}

async fn writing_twice_is_writing_once(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let command = submit(store, id, CmdName::Start).await;
    let state =
        AppState { status: RunStatus::Stopped, run: Some(run(1)), failures: 1, ..AppState::default() };
    let changes = vec![
        opening(id, run(1)),
        Change::RunStarted { run: run(1), app: id, pid: 42, at: noon() },
        Change::RunClosed { run: run(1), app: id, closing: closing(Ending::Unknown) },
        Change::App(update(id, 1, state.clone())),
        Change::CommandSettled { id: command, app: Some(id), verdict: Verdict::Executed, at: noon() },
    ];
    commit(store, changes.clone()).await;
    let before = (row(store, id).await, only_run(store, id).await);
    commit(store, changes).await;
    let after = (row(store, id).await, only_run(store, id).await);
    assert_eq!(before.1, after.1);
    assert_eq!((before.0.state, before.0.sequence), (after.0.state, after.0.sequence));
}

async fn a_closed_run_is_never_changed(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let close = |ending| Change::RunClosed { run: run(1), app: id, closing: closing(ending) };
    commit(store, vec![opening(id, run(1)), close(Ending::Exited(Exit::Code(3)))]).await;
    let before = only_run(store, id).await;
    let late = vec![
        close(Ending::Unknown),
        Change::RunStarted { run: run(1), app: id, pid: 99, at: noon() },
        Change::Progress {
            app: id,
            run: run(1),
            report: Report { except_cnt: Some(99), ..Report::default() },
        },
    ];
    commit(store, late).await;
    assert_eq!(only_run(store, id).await, before);
}

async fn submit(store: &dyn Store, app: AppId, name: CmdName) -> CommandId {
    let command = NewCommand {
        app,
        name,
        args: Some("{\"a\": 1}".to_owned()),
        by: "ana".to_owned(),
        source: CommandSource::Console,
        time: noon(),
        expires: Some(at("2026-11-24T00:00:00Z")),
        batch: None,
        note: None,
    };
    dcm::store::submit(store, vec![command]).await.unwrap()[0]
}

async fn commands_get_one_verdict(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let first = submit(store, id, CmdName::Start).await;
    let second = submit(store, id, CmdName::Stop).await;
    assert!(first < second);
    let pending = store.pending_commands(Vec::new()).await.unwrap();
    assert_eq!(pending.iter().map(|command| command.id).collect::<Vec<_>>(), [first, second]);
    assert_eq!(pending[0].app, Some(id));
    assert_eq!(pending[0].args.as_deref(), Some("{\"a\": 1}"));
    assert_eq!(pending[0].expires, Some(at("2026-11-24T00:00:00Z")));
    let settle = |verdict| Change::CommandSettled { id: first, app: Some(id), verdict, at: noon() };
    commit(store, vec![settle(Verdict::NotExecuted(Reason::AlreadyRunning))]).await;
    commit(store, vec![settle(Verdict::Executed)]).await;
    let rows = store.commands(vec![first, second, CommandId(99)]).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].flag, &rows[0].reason), (CmdFlag::NotExecuted, &Some(Reason::AlreadyRunning)));
    assert_eq!((rows[1].flag, rows[1].executed), (CmdFlag::Pending, None));
    assert_eq!(store.pending_commands(Vec::new()).await.unwrap().len(), 1);
    assert_eq!(store.pending_commands(vec![second]).await.unwrap(), []);
    let recent =
        store.ledger(LedgerQuery { app: Some(id), limit: 1, ..LedgerQuery::default() }).await.unwrap();
    assert_eq!(recent[0].id, second);
}

async fn what_a_database_can_is_what_it_has(store: &dyn Store) {
    assert_eq!(store.capabilities().is_shared, store.cluster().is_some());
    // Nobody is there whose apps could be taken, and where there is only one manager that is said.
    let refused = take_from(store, "zg", false).await;
    assert!(matches!(&refused, Err(StoreError::Refused(why)) if why.contains("zg")), "{refused:?}");
}

async fn the_ends_of_logs_are_kept_for_those_who_look(store: &dyn Store) {
    assert_eq!(store.rights().await.unwrap(), Rights::ALL);
    let id = register(store, "a/b/c").await;
    let pools = vec!["eu-1".to_owned()];
    store.take_seat(ManagerRow { name: "zg".to_owned(), pools, ..ManagerRow::default() }).await.unwrap();
    // Where managers share a database, the app is now its own.
    if let Some(cluster) = store.cluster() {
        cluster.claim().await.unwrap();
    }
    commit(store, vec![opening(id, run(1))]).await;
    let wanted = async |manager: &str| store.wanted_logs(manager.to_owned()).await.unwrap();
    let kept = async |run| store.kept_log(id, run).await.unwrap();
    assert_eq!(wanted("zg").await, []);
    store.want_log(id).await.unwrap();
    store.want_log(id).await.unwrap();
    store.want_log(AppId::of(&"no/such/app".parse().unwrap())).await.unwrap();
    assert_eq!((wanted("zg").await, wanted("st").await), (vec![id], vec![]));
    assert_eq!(kept(None).await, None);
    for (number, bytes) in [(1, "one"), (2, "two"), (1, "one \u{0} and more")] {
        let log = KeptLog {
            run: run(number),
            app: id,
            manager: "zg".to_owned(),
            bytes: bytes.as_bytes().to_vec(),
            written: noon(),
        };
        store.keep_log(log).await.unwrap();
    }
    let newest = kept(None).await.unwrap();
    assert_eq!((newest.run, newest.manager.as_str()), (run(1), "zg"));
    assert_eq!(newest.bytes, "one \u{0} and more".as_bytes());
    assert!(newest.written <= store.time().await.unwrap());
    assert_eq!(kept(Some(run(2))).await.unwrap().bytes, b"two");
    assert_eq!(kept(Some(run(3))).await, None);
}

async fn the_row_follows_its_latest_command(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let first = submit(store, id, CmdName::Start).await;
    let second = submit(store, id, CmdName::Stop).await;
    commit(
        store,
        vec![Change::CommandSettled { id: first, app: Some(id), verdict: Verdict::Executed, at: noon() }],
    )
    .await;
    let shown = row(store, id).await.command.unwrap();
    assert_eq!((shown.id, shown.name, shown.flag), (Some(second), CmdName::Stop, CmdFlag::Pending));
    commit(
        store,
        vec![Change::CommandSettled { id: second, app: Some(id), verdict: Verdict::Executed, at: noon() }],
    )
    .await;
    let shown = row(store, id).await.command.unwrap();
    assert_eq!(
        (shown.flag, shown.executed, shown.by.as_deref()),
        (CmdFlag::Executed, Some(noon()), Some("ana"))
    );
}

async fn percentage_and_eta_follow_from_the_counters(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    commit(store, vec![opening(id, run(1))]).await;
    let report = Report { task_size: Some(200), solved: Some(40), failed: Some(10), ..Report::default() };
    commit(store, vec![Change::Progress { app: id, run: run(1), report }]).await;
    let progress = row(store, id).await.progress;
    assert_eq!((progress.task_size, progress.solved, progress.failed), (Some(200), 40, 10));
    assert_eq!(progress.percent, Some(25));
    assert!(progress.eta.unwrap() > store.time().await.unwrap());
    let eta = at("2026-12-01T00:00:00Z");
    let report = Report { solved: Some(50), percent: Some(77), eta: Some(eta), ..Report::default() };
    commit(store, vec![Change::Progress { app: id, run: run(1), report }]).await;
    let progress = row(store, id).await.progress;
    assert_eq!((progress.percent, progress.eta, progress.solved), (Some(77), Some(eta), 50));
    let report = Report {
        task_size: Some(u64::MAX),
        solved: Some(u64::MAX),
        failed: Some(u64::MAX),
        ..Report::default()
    };
    commit(store, vec![Change::Progress { app: id, run: run(1), report }]).await;
    assert_eq!(row(store, id).await.progress.percent, Some(100));
}

async fn what_is_counted_is_kept_in_samples(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    commit(store, vec![opening(id, run(1))]).await;
    assert_eq!(row(store, id).await.samples, None);
    for (solved, failed) in [(40, None), (45, Some(2)), (45, Some(3))] {
        let report = Report { solved: Some(solved), failed, ..Report::default() };
        commit(store, vec![Change::Progress { app: id, run: run(1), report }]).await;
    }
    let close = Change::RunClosed { run: run(1), app: id, closing: closing(Ending::Exited(Exit::Code(0))) };
    commit(store, vec![close, opening(id, run(2))]).await;
    let report = Report { solved: Some(7), ..Report::default() };
    commit(store, vec![Change::Progress { app: id, run: run(2), report }]).await;
    let samples = row(store, id).await.samples.unwrap();
    // The test may have taken a moment, and no run takes away what was counted before it.
    let begun = slot_of(store.time().await.unwrap()) - 2;
    assert_eq!(samples.since(begun), Counted { solved: 52, failed: 3 });
}

async fn the_time_of_the_last_move_of_a_run_is_kept(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let report = |number, report| Change::Progress { app: id, run: run(number), report };
    commit(store, vec![opening(id, run(1))]).await;
    assert_eq!(row(store, id).await.movement, None, "the counters of a new run are set, and have not moved");
    let message = Report { message: Some("page 1".to_owned()), ..Report::default() };
    commit(store, vec![report(1, message)]).await;
    assert_eq!(row(store, id).await.movement, None);
    let before = store.time().await.unwrap();
    let counted = Report { task_size: Some(10), solved: Some(1), percent: Some(12), ..Report::default() };
    commit(store, vec![report(1, counted.clone())]).await;
    let movement = row(store, id).await.movement.expect("it has counted");
    assert!((before..=store.time().await.unwrap()).contains(&movement.last), "{movement:?}");
    assert_eq!(movement.usual_pause, None);
    commit(store, vec![report(1, counted)]).await;
    assert_eq!(row(store, id).await.movement.map(|movement| movement.last), Some(movement.last));
    let close = Change::RunClosed { run: run(1), app: id, closing: closing(Ending::Exited(Exit::Code(0))) };
    commit(store, vec![close]).await;
    assert!(row(store, id).await.movement.is_some(), "it is that of the last run");
    commit(store, vec![opening(id, run(2))]).await;
    assert_eq!(row(store, id).await.movement, None);
}

async fn what_a_run_uses_is_kept_until_its_end(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let usage = Usage { memory: Some(5 << 30), cpu: Some(123.4), memory_peak: Some(6 << 30) };
    let used = |number| Change::Used { app: id, run: run(number), usage };
    commit(store, vec![opening(id, run(1)), used(2)]).await;
    assert_eq!(row(store, id).await.usage, None, "a sample of another run");
    commit(store, vec![used(1)]).await;
    assert_eq!(row(store, id).await.usage.as_deref(), Some(&usage));
    let close = Change::RunClosed { run: run(1), app: id, closing: closing(Ending::Exited(Exit::Code(0))) };
    commit(store, vec![close, used(1)]).await;
    let peak = Usage { memory_peak: usage.memory_peak, ..Usage::default() };
    assert_eq!(row(store, id).await.usage.as_deref(), Some(&peak), "it is over, and the sample is late");
    let query = HistoryQuery { apps: vec![id], limit: 1, ..HistoryQuery::default() };
    assert_eq!(store.history(query).await.unwrap()[0].memory_peak, usage.memory_peak);
    commit(store, vec![opening(id, run(2))]).await;
    assert_eq!(row(store, id).await.usage, None);
}

async fn what_the_manager_concludes_is_kept(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    commit(store, vec![opening(id, run(1))]).await;
    let running = AppState {
        status: RunStatus::Running,
        run: Some(run(1)),
        last_run: Some(noon()),
        ..AppState::default()
    };
    let concern = Some(Box::new(Conclusion { concern: Concern::Stalled.into(), since: noon() }));
    let fatal = Fatal {
        flag: FatalFlag::UnexpectedBehavior,
        cause: Anomaly::Stalled.into(),
        message: "no progress".to_owned(),
        time: noon(),
    };
    let stalled = AppState {
        concern,
        suspects: 2,
        baseline: Baseline::read("1/500 2/498;1/0"),
        fatal: Some(Box::new(fatal)),
        ..running.clone()
    };
    commit(store, vec![Change::App(update(id, 1, stalled.clone()))]).await;
    let shown = row(store, id).await.state;
    assert_eq!(AppState { manager: None, ..shown }, stalled);
    commit(store, vec![Change::App(update(id, 2, running))]).await;
    assert_eq!(row(store, id).await.state.concern, None);
}

async fn a_wish_for_the_next_run_is_kept_until_it_is_dealt_with(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    commit(store, vec![opening(id, run(1))]).await;
    let wish = at("2026-11-25T00:00:00Z");
    let report = Report { next_run: Some(wish), ..Report::default() };
    commit(store, vec![Change::Progress { app: id, run: run(1), report }]).await;
    assert_eq!(row(store, id).await.asked_next_run, Some(wish));
    let state = AppState { run: Some(run(1)), ..AppState::default() };
    let other = AppUpdate { asked_taken: Some(noon()), ..update(id, 1, state.clone()) };
    commit(store, vec![Change::App(other)]).await;
    assert_eq!(row(store, id).await.asked_next_run, Some(wish));
    let taken = AppUpdate { asked_taken: Some(wish), next_run: Some(wish), ..update(id, 2, state) };
    commit(store, vec![Change::App(taken)]).await;
    let row = row(store, id).await;
    assert_eq!((row.asked_next_run, row.next_run, row.sequence), (None, Some(wish), 2));
}

async fn an_update_that_shows_a_refused_run_is_not_written(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    commit(store, vec![opening(id, run(1))]).await;
    let state = |number, failures| AppState { run: Some(run(number)), failures, ..AppState::default() };
    let changes = vec![
        Change::App(update(id, 1, state(1, 1))),
        opening(id, run(2)),
        Change::App(update(id, 2, state(2, 5))),
    ];
    assert_eq!(store.commit(changes).await.unwrap().refused, [(run(2), Refusal::AlreadyOpen(run(1)))]);
    assert_eq!(row(store, id).await.state.failures, 1);
    assert_eq!(row(store, id).await.state.run, Some(run(1)));
}

async fn a_state_change_depends_on_no_row_of_history(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    // A run that no row of history knows of: it was deleted, or the database is an older backup.
    let state =
        AppState { status: RunStatus::Stopped, run: Some(run(9)), failures: 5, ..AppState::default() };
    let disabled = AppUpdate { disabled: Some(true), ..update(id, 1, state) };
    let settled =
        Change::CommandSettled { id: CommandId(77), app: None, verdict: Verdict::Executed, at: noon() };
    let cleared =
        Change::AlertsClosed { app: id, kinds: AlertKind::OF_RUNS, at: noon(), end: AlertEnd::Enabled };
    commit(store, vec![settled, cleared, Change::App(disabled)]).await;
    let row = row(store, id).await;
    assert_eq!((row.app.disabled, row.state.failures, row.state.run), (true, 5, Some(run(9))));
    assert_eq!(row.state.status, RunStatus::Stopped);
}

async fn a_run_is_closed_whatever_other_rows_say(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    commit(store, vec![opening(id, run(1))]).await;
    let closing = closing(Ending::Exited(Exit::Code(4)));
    commit(store, vec![Change::RunClosed { run: run(2), app: id, closing }]).await;
    let query = HistoryQuery { run: Some(run(2)), limit: 10, ..HistoryQuery::default() };
    let closed = store.history(query).await.unwrap().remove(0);
    assert_eq!((closed.exit_code, closed.outcome_word()), (Some(4), Some("failed")));
    assert_eq!(
        (closed.start, closed.end),
        (at("2026-11-23T12:00:01Z"), Some(at("2026-11-23T13:02:03.500Z")))
    );
    assert_eq!(store.snapshot().await.unwrap().open_runs.len(), 1);
}

async fn an_app_that_runs_is_not_started_again_though_its_row_of_history_is_gone(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let state = |status| AppState { status, run: Some(run(9)), ..AppState::default() };
    commit(store, vec![Change::App(update(id, 1, state(RunStatus::Running)))]).await;
    let refused = store.commit(vec![opening(id, run(1))]).await.unwrap().refused;
    assert_eq!(refused, [(run(1), Refusal::AlreadyOpen(run(9)))]);
    // Its own row is entered again, as a new manager does that finds the process.
    commit(store, vec![opening(id, run(9))]).await;
    assert_eq!(only_run(store, id).await.run, run(9));
    let closing = closing(Ending::Exited(Exit::Code(0)));
    commit(store, vec![Change::RunClosed { run: run(9), app: id, closing }, opening(id, run(1))]).await;
    assert_eq!(row(store, id).await.state.run, Some(run(1)));
}

async fn late_progress_of_an_older_run_changes_nothing(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let close = Change::RunClosed { run: run(1), app: id, closing: closing(Ending::Exited(Exit::Code(0))) };
    commit(store, vec![opening(id, run(1)), close, opening(id, run(2))]).await;
    let report = Report { solved: Some(1000), ..Report::default() };
    commit(store, vec![Change::Progress { app: id, run: run(1), report }]).await;
    assert_eq!(row(store, id).await.progress.solved, 0);
}

async fn changes_are_told_since_a_revision(store: &dyn Store) {
    let first = register(store, "a/b/c").await;
    let second = register(store, "a/b/d").await;
    let unknown = AppId::of(&"a/b/e".parse().unwrap());
    let rows = store.apps(vec![second, unknown]).await.unwrap();
    assert!(matches!(&rows[..], [Registered::App(row)] if row.app.id == second), "{rows:?}");
    let before = store.changes_since(Revision::default()).await.unwrap();
    assert_eq!((before.rows.len(), before.more), (2, false));
    assert_eq!(store.changes_since(before.revision).await.unwrap().rows, []);
    commit(store, vec![opening(second, run(1))]).await;
    let after = store.changes_since(before.revision).await.unwrap();
    assert!(after.revision > before.revision);
    let ids: Vec<_> = after
        .rows
        .iter()
        .map(|row| match row {
            Registered::App(row) => row.app.id,
            Registered::SetAside(row) => panic!("{row:?}"),
        })
        .collect();
    assert_eq!(ids, [second]);
    assert_ne!(first, second);
    let foreign = store.foreign_changes(before.revision, true).await.unwrap();
    assert_eq!(foreign.rows.len(), 1);
}

async fn skips_and_alerts_are_kept_once(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let skip = Skip {
        app: id,
        first: noon(),
        last: at("2026-11-23T12:05:00Z"),
        slots: Some(2),
        reason: SkipReason::Missed,
        at: at("2026-11-23T13:00:00Z"),
    };
    let alert = Alert {
        app: id,
        kind: AlertKind::UnexpectedBehavior,
        run: Some(run(1)),
        message: "it failed".to_owned(),
        detail: None,
        cause: AlertCause::of_text("it failed"),
        count: 3,
        at: noon(),
    };
    let event = |turn| AlertEvent {
        id: AlertId(1),
        app: "a/b/c".to_owned(),
        kind: AlertKind::UnexpectedBehavior,
        message: "it failed".to_owned(),
        turn,
    };
    let raise = || vec![Change::Skipped(skip.clone()), Change::AlertOpened(alert.clone())];
    let alerts_of = async |changes| store.commit(changes).await.unwrap().alerts;
    assert_eq!(alerts_of(raise()).await, [event(AlertTurn::Opened)]);
    assert_eq!(alerts_of(raise()).await, [], "the episode is on record");
    assert_eq!(
        store.skips(SkipQuery { apps: vec![id], limit: 10, ..SkipQuery::default() }).await.unwrap(),
        std::slice::from_ref(&skip)
    );
    // After a clock was set back the first of them comes again, and more with it.
    let longer = Skip {
        last: at("2026-11-23T12:20:00Z"),
        slots: Some(5),
        at: at("2026-11-23T13:30:00Z"),
        ..skip.clone()
    };
    for skip in [&longer, &skip] {
        store.commit(vec![Change::Skipped(skip.clone())]).await.unwrap();
        assert_eq!(
            store.skips(SkipQuery { apps: vec![id], limit: 10, ..SkipQuery::default() }).await.unwrap(),
            std::slice::from_ref(&longer)
        );
    }
    let alerts = store
        .alerts(AlertQuery { of: AlertsOf::Apps(vec![id]), limit: 10, ..AlertQuery::default() })
        .await
        .unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].message.as_str(), alerts[0].closed), ("it failed", None));
    let end = AlertEnd::Recovered;
    let clear = |kinds| {
        vec![Change::AlertsClosed { app: id, kinds, at: noon() + chrono::TimeDelta::minutes(12), end }]
    };
    assert_eq!(alerts_of(clear(&[AlertKind::SetAside])).await, [], "of another kind");
    let after = chrono::TimeDelta::minutes(12);
    assert_eq!(alerts_of(clear(AlertKind::OF_RUNS)).await, [event(AlertTurn::Closed { after, end })]);
    assert_eq!(alerts_of(clear(AlertKind::OF_RUNS)).await, [], "it is closed already");
    assert_eq!(alerts_of(raise()).await, [], "a commit that is repeated opens nothing");
    assert_eq!(
        store.alerts(AlertQuery { limit: 10, ..AlertQuery::default() }).await.unwrap()[0].closed,
        Some(noon() + after)
    );
}

async fn what_is_repeated_is_counted_in_its_open_episode(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let alert = |number, cause: &str| Alert {
        app: id,
        kind: AlertKind::UnexpectedBehavior,
        run: Some(run(u128::from(number))),
        message: format!("{number} failures in a row, the last: {cause}"),
        detail: (number != 4).then(|| format!("Traceback of {number}:\n{cause}")),
        cause: AlertCause::of_text(cause),
        count: number,
        at: noon() + chrono::TimeDelta::minutes(i64::from(number)),
    };
    let of_this = async || {
        let query = AlertQuery { of: AlertsOf::Apps(vec![id]), limit: 10, ..AlertQuery::default() };
        let mut found = store.alerts(query).await.unwrap();
        assert_eq!(found.len(), 1, "one alert an episode");
        found.remove(0)
    };
    commit(store, vec![Change::AlertOpened(alert(3, "exit 3"))]).await;
    let opened = of_this().await;
    assert_eq!((opened.opened, opened.last_seen, opened.count), (alert(3, "").at, alert(3, "").at, 3));
    assert_eq!((opened.cause.text(), opened.severity), ("exit 3", Severity::Critical.into()));
    assert_eq!((opened.detail, opened.delivered, opened.closed), (alert(3, "exit 3").detail, None, None));
    commit(store, vec![Change::AlertRepeated(alert(4, "exit 3"))]).await;
    assert_eq!(of_this().await.detail, None, "the last run wrote nothing to standard error");
    for _ in 0..2 {
        let repeated = vec![
            Change::AlertRepeated(alert(4, "exit 3")),
            Change::AlertRepeated(Alert { kind: AlertKind::HostExhausted, ..alert(9, "no memory") }),
            Change::AlertRepeated(alert(5, "exit 1")),
        ];
        assert_eq!(store.commit(repeated).await.unwrap().alerts, [], "nothing is opened or closed");
    }
    let repeated = of_this().await;
    assert_eq!((repeated.opened, repeated.last_seen, repeated.count), (opened.opened, alert(5, "").at, 5));
    assert_eq!((repeated.cause.text(), repeated.run), ("exit 1", Some(run(3))));
    assert_eq!(repeated.message, "5 failures in a row, the last: exit 1");
    assert_eq!(repeated.detail.as_deref(), Some("Traceback of 5:\nexit 1"));
    let close = Change::AlertsClosed {
        app: id,
        kinds: AlertKind::ALL,
        at: alert(6, "").at,
        end: AlertEnd::Recovered,
    };
    commit(store, vec![close, Change::AlertRepeated(alert(7, "exit 1"))]).await;
    let closed = of_this().await;
    assert_eq!((closed.closed, closed.last_seen, closed.count), (Some(alert(6, "").at), alert(5, "").at, 5));
}

async fn limits_are_set_and_lifted(store: &dyn Store) {
    register(store, "a/b/c").await;
    let part = |text: &str| dcm::model::Part::new(text).unwrap();
    store.set_limit(part("a"), None, Some(5)).await.unwrap();
    store.set_limit(part("a"), Some(part("b")), Some(2)).await.unwrap();
    let limits = store.limits().await.unwrap();
    assert_eq!(limits.groups.get(&part("a")), Some(&5));
    assert_eq!(limits.parents.get(&(part("a"), part("b"))), Some(&2));
    store.set_limit(part("a"), None, None).await.unwrap();
    assert!(store.limits().await.unwrap().groups.is_empty());
    assert!(store.set_limit(part("nobody"), None, Some(1)).await.is_err());
}

async fn removed_apps_are_told_and_running_ones_stay(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let running = register(store, "a/b/d").await;
    commit(store, vec![opening(running, run(1))]).await;
    let before = store.changes_since(Revision::default()).await.unwrap().revision;
    assert!(matches!(store.remove(vec![id, running]).await, Err(StoreError::Refused(_))));
    store.remove(vec![id]).await.unwrap();
    let delta = store.changes_since(before).await.unwrap();
    assert_eq!((delta.removed, delta.rows), (vec![id], vec![]));
    // Who missed that learns of it though the app is there again.
    register(store, "a/b/c").await;
    let delta = store.changes_since(before).await.unwrap();
    assert_eq!((delta.removed, delta.rows.len()), (vec![id], 1));
    let row = ManagerRow {
        name: "zg".to_owned(),
        host: "h".to_owned(),
        pid: 1,
        version: "0".to_owned(),
        started: noon(),
        heartbeat: noon(),
        home: Some("0123".to_owned()),
        pools: vec!["eu".to_owned()],
        ..ManagerRow::default()
    };
    store.take_seat(row.clone()).await.unwrap();
    let found = store.managers().await.unwrap();
    // Whose clock the times are by, and what is counted, is up to the database.
    let ManagerRow { heartbeat, lease_until, incarnation, renewals, .. } = found[0].clone();
    let expected = ManagerRow { heartbeat, lease_until, incarnation, renewals, ..row };
    assert_eq!(found, [expected]);
    let load = Load { running: 3, running_max: Some(7), waiting: 2 };
    store.renew(load).await.unwrap();
    store.drain("zg", true).await.unwrap();
    assert!(matches!(store.drain("nobody", true).await, Err(StoreError::Refused(_))));
    let found = store.managers().await.unwrap().remove(0);
    assert_eq!((found.load, found.draining, found.stopped), (load, true, None));
    assert!(store.limits().await.unwrap().draining);
    store.leave().await.unwrap();
    assert!(store.managers().await.unwrap()[0].stopped.is_some());
}

async fn a_renamed_app_keeps_what_is_on_record_of_it(store: &dyn Store) {
    let (from, to): (AppPath, AppPath) = ("a/b/c".parse().unwrap(), "x/y/z".parse().unwrap());
    let (old, new) = (register(store, "a/b/c").await, AppId::of(&to));
    register(store, "a/b/other").await;
    let refused = async |from: &AppPath, to: &str, words: &str| {
        let error = store.rename(from.clone(), to.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)) && error.to_string().contains(words), "{error}");
    };
    refused(&"no/such/app".parse().unwrap(), "x/y/z", "no such app: no/such/app").await;
    refused(&from, "a/b/other", "a/b/other is registered already").await;
    commit(store, vec![opening(old, run(1))]).await;
    refused(&from, "x/y/z", "a run of a/b/c is under way").await;
    let close = Change::RunClosed { run: run(1), app: old, closing: closing(Ending::Exited(Exit::Code(3))) };
    let skip = |app| {
        let slots = Some(1);
        let (first, last, at) = (noon(), noon(), noon());
        Skip { app, first, last, slots, reason: SkipReason::Overlap, at }
    };
    let alert = Alert {
        app: old,
        run: Some(run(1)),
        kind: AlertKind::UnexpectedBehavior,
        message: "failed".to_owned(),
        detail: None,
        cause: AlertCause::of_text("it failed"),
        count: 3,
        at: noon(),
    };
    commit(store, vec![close, Change::Skipped(skip(old)), Change::AlertOpened(alert)]).await;
    let state = AppState { status: RunStatus::Stopped, failures: 2, ..row(store, old).await.state };
    commit(store, vec![Change::App(update(old, 5, state))]).await;
    let command = submit(store, old, CmdName::Start).await;
    let (before, begin) = (row(store, old).await, store.changes_since(Revision::default()).await.unwrap());

    store.rename(from, to.clone()).await.unwrap();
    let after = row(store, new).await;
    assert_eq!((after.app.path.clone(), after.state, after.sequence), (to, before.state, before.sequence));
    let delta = store.changes_since(begin.revision).await.unwrap();
    assert_eq!(delta.removed, [old]);
    assert_eq!(delta.rows.len(), 1);
    assert_eq!(store.apps(vec![old]).await.unwrap(), []);
    assert_eq!(only_run(store, new).await.exit_code, Some(3));
    let skips = SkipQuery { apps: vec![new], limit: 10, ..SkipQuery::default() };
    assert_eq!(store.skips(skips).await.unwrap(), [skip(new)]);
    let alerts = AlertQuery { of: AlertsOf::Apps(vec![new]), limit: 10, ..AlertQuery::default() };
    assert_eq!(store.alerts(alerts).await.unwrap().len(), 1);
    let commands = store.pending_commands(Vec::new()).await.unwrap();
    assert_eq!((commands[0].id, commands[0].app), (command, Some(new)));
    // And back again.
    store.rename("x/y/z".parse().unwrap(), "a/b/c".parse().unwrap()).await.unwrap();
    assert_eq!(only_run(store, old).await.exit_code, Some(3));
    assert_eq!(row(store, old).await.state.failures, 2);
}

async fn a_run_that_the_database_lost_is_entered_whole(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let close = Change::RunClosed { run: run(5), app: id, closing: closing(Ending::Exited(Exit::Code(4))) };
    commit(store, vec![close.clone()]).await;
    commit(store, vec![close]).await;
    let entered = only_run(store, id).await;
    assert_eq!((entered.run, entered.exit_code), (run(5), Some(4)));
    assert_eq!(entered.start, at("2026-11-23T12:00:01Z"));
}

async fn a_run_does_not_end_before_it_began(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let closing = Closing::unseen(Ending::NeverStarted, noon() - chrono::TimeDelta::hours(1));
    commit(store, vec![opening(id, run(1)), Change::RunClosed { run: run(1), app: id, closing }]).await;
    let row = only_run(store, id).await;
    assert_eq!((row.start, row.end), (noon(), Some(noon())), "the clock was set back meanwhile");
}

async fn the_open_time_of_a_calendar_is_kept_until_the_calendar_is_another(store: &dyn Store) {
    let mut app = app("a/b/c");
    app.schedule.cron = Some("*/5 * * * *".parse().unwrap());
    let id = app.id;
    let registration = Registration { app: app.clone(), next_run: None, existing: Existing::Refuse };
    store.register(vec![registration]).await.unwrap();
    assert_eq!(row(store, id).await.slot, None);
    let with_slot = AppUpdate { slot: Some(noon()), ..update(id, 1, AppState::default()) };
    commit(store, vec![Change::App(with_slot)]).await;
    let replace = async |app: &App| {
        let registration = Registration {
            app: app.clone(),
            next_run: Some(NextRun::At(noon())),
            existing: Existing::Replace,
        };
        store.register(vec![registration]).await.unwrap();
        row(store, id).await.slot
    };
    app.schedule.jitter = Duration::from_secs(5);
    assert_eq!(replace(&app).await, Some(noon()));
    app.schedule.time_zone = chrono_tz::Europe::Zagreb;
    assert_eq!(replace(&app).await, None);
}

async fn runs_of_a_window_are_those_that_overlap_it(store: &dyn Store) {
    let first = register(store, "a/b/c").await;
    let other = register(store, "a/b/d").await;
    let open = |app, number, begin: &str| {
        let Change::RunOpened(opening) = opening(app, run(number)) else { unreachable!() };
        Change::RunOpened(RunOpening { at: at(begin), ..opening })
    };
    let close = |app, number, begin: &str, end: &str| Change::RunClosed {
        run: run(number),
        app,
        closing: Closing {
            started: Some(at(begin)),
            ended: at(end),
            ..closing(Ending::Exited(Exit::Code(0)))
        },
    };
    let times = [
        ("2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z"),
        ("2026-11-23T09:30:00Z", "2026-11-23T10:30:00Z"),
        ("2026-11-23T11:00:00Z", "2026-11-23T11:10:00Z"),
        ("2026-11-23T12:00:00Z", "2026-11-23T12:10:00Z"),
    ];
    for (number, (begin, end)) in (1..).zip(times) {
        commit(store, vec![open(first, number, begin), close(first, number, begin, end)]).await;
    }
    commit(store, vec![open(other, 9, "2026-11-23T07:00:00Z")]).await;
    let found = async |apps: Vec<AppId>, since: &str, before: &str| {
        let query = HistoryQuery {
            apps,
            since: Some(at(since)),
            before: Some(at(before)),
            limit: 10,
            ..HistoryQuery::default()
        };
        let runs = store.history(query).await.unwrap();
        runs.into_iter().map(|run| run.run).collect::<Vec<_>>()
    };
    for (moment, begun) in [("06:59:59", 5), ("07:00:00", 4), ("09:30:00", 2), ("12:00:00", 0)] {
        let moment = at(&format!("2026-11-23T{moment}Z"));
        assert_eq!(store.begun_since(moment).await.unwrap(), begun, "{moment}");
    }
    for (of_each, took) in [(1, vec![10]), (3, vec![10, 10, 60]), (10, vec![10, 10, 60, 60])] {
        // One that goes on took no time yet, and one that is not registered never ran.
        let asked = vec![first, other, AppId::of(&"no/such/app".parse().unwrap())];
        let found = store.good_runs(asked, of_each).await.unwrap();
        let mut minutes: Vec<_> = found.iter().map(|(_, took)| took.num_minutes()).collect();
        minutes.sort_unstable();
        assert_eq!(minutes, took);
        assert!(found.iter().all(|(app, _)| *app == first));
    }
    let both = vec![first, other];
    let (ten, noon) = ("2026-11-23T10:00:00Z", "2026-11-23T12:00:00Z");
    assert_eq!(found(both.clone(), ten, noon).await, [run(3), run(2), run(9)]);
    assert_eq!(found(vec![first], ten, noon).await, [run(3), run(2)]);
    assert_eq!(found(both, "2026-11-23T09:10:00Z", "2026-11-23T09:20:00Z").await, [run(9)]);
    assert_eq!(found(vec![], ten, noon).await, [], "no app, no run");
    let query = HistoryQuery { apps: vec![first], since: Some(at(ten)), limit: 1, ..HistoryQuery::default() };
    assert_eq!(store.history(query).await.unwrap()[0].run, run(4), "the newest come first");
    let failed = Closing {
        started: Some(at("2026-11-23T13:00:00Z")),
        ended: at("2026-11-23T13:01:00Z"),
        ..closing(Ending::Exited(Exit::Code(1)))
    };
    let bad = Change::RunClosed { run: run(5), app: first, closing: failed };
    commit(store, vec![open(first, 5, "2026-11-23T13:00:00Z"), bad]).await;
    assert_eq!(store.good_runs(vec![first], 1).await.unwrap(), [], "its latest run was a bad one");
    assert_eq!(store.good_runs(vec![first], 2).await.unwrap().len(), 1);
}

async fn skips_of_a_window_are_found(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let other = register(store, "a/b/d").await;
    let skip = |app, first: &str, last: &str| Skip {
        app,
        first: at(first),
        last: at(last),
        slots: Some(2),
        reason: SkipReason::Missed,
        at: at(last),
    };
    let early = skip(id, "2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z");
    let late = skip(id, "2026-11-23T11:00:00Z", "2026-11-23T11:30:00Z");
    let foreign = skip(other, "2026-11-23T11:00:00Z", "2026-11-23T11:10:00Z");
    commit(store, [&early, &late, &foreign].map(|skip| Change::Skipped(skip.clone())).into()).await;
    let query = |apps: &[AppId], since: Option<&str>, before: Option<&str>| SkipQuery {
        apps: apps.to_vec(),
        since: since.map(at),
        before: before.map(at),
        limit: 10,
    };
    let nine = Some("2026-11-23T09:00:00Z");
    assert_eq!(store.skips(query(&[id], None, None)).await.unwrap(), [late.clone(), early.clone()]);
    assert_eq!(store.skips(query(&[id], None, nine)).await.unwrap(), std::slice::from_ref(&early));
    assert_eq!(
        store.skips(query(&[id, other], Some("2026-11-23T09:00:01Z"), None)).await.unwrap(),
        [late, foreign]
    );
    assert_eq!(store.skips(query(&[id], nine, Some("2026-11-23T10:00:00Z"))).await.unwrap(), [early]);
    assert_eq!(store.skips(query(&[], None, None)).await.unwrap(), []);
}

async fn alerts_are_acknowledged_muted_and_read_by_page(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let raise = |number| {
        Change::AlertOpened(Alert {
            app: id,
            kind: AlertKind::UnexpectedBehavior,
            run: Some(run(number)),
            message: format!("it failed {number} times"),
            detail: None,
            cause: AlertCause::of_text("it failed"),
            count: 3,
            at: noon(),
        })
    };
    commit(
        store,
        vec![
            raise(1),
            Change::AlertsClosed { app: id, kinds: AlertKind::OF_RUNS, at: noon(), end: AlertEnd::Enabled },
            raise(2),
            raise(3),
        ],
    )
    .await;
    let read = async |open_only, before, limit| {
        store.alerts(AlertQuery { open_only, before, limit, ..AlertQuery::default() }).await.unwrap()
    };
    let all = read(false, None, 10).await;
    assert_eq!(all.iter().map(|alert| alert.run).collect::<Vec<_>>(), [run(3), run(2), run(1)].map(Some));
    assert_eq!(read(true, None, 10).await.len(), 2);
    assert_eq!(read(false, None, 2).await, all[..2]);
    assert_eq!(read(false, Some(all[1].id), 2).await, all[2..], "the next page");
    let ids: Vec<_> = all.iter().map(|alert| alert.id).collect();
    let note = async |note| store.note_alerts(ids.clone(), note).await.unwrap();
    note(AlertNote::Acknowledged { by: "marko".to_owned(), at: noon() }).await;
    let until = at("2026-11-23T13:00:00Z");
    note(AlertNote::Muted(Some(until))).await;
    let noted = read(false, None, 10).await;
    let marko = Some(("marko".to_owned(), noon()));
    assert_eq!((&noted[0].acknowledged, noted[0].muted_until), (&marko, Some(until)));
    assert_eq!((&noted[2].acknowledged, noted[2].muted_until), (&None, None), "what is over stays");
    note(AlertNote::Unacknowledged).await;
    note(AlertNote::Muted(None)).await;
    assert_eq!(read(false, None, 10).await, all);
    store.note_alerts(vec![], AlertNote::Unacknowledged).await.unwrap();
}

async fn the_ledger_is_read_by_page_person_command_and_batch(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let other = register(store, "a/b/d").await;
    let new = |app, name, by: &str, time: &str, batch: Option<&str>| NewCommand {
        app,
        name,
        args: None,
        by: by.to_owned(),
        source: CommandSource::Cli,
        time: at(time),
        expires: None,
        batch: batch.map(str::to_owned),
        note: batch.map(|_| "proxy ban, ticket 4411".to_owned()),
    };
    let early = "2026-11-23T11:00:00Z";
    let late = "2026-11-23T12:00:00Z";
    let both = vec![
        new(id, CmdName::Stop, "Marko", late, Some("b1")),
        new(other, CmdName::Stop, "Marko", late, Some("b1")),
    ];
    store.submit(vec![new(id, CmdName::Start, "ana", early, None)]).await.unwrap();
    let sent = store.submit(both.clone()).await.unwrap();
    assert_eq!(store.submit(both).await.unwrap(), sent, "a batch is entered once");
    store.submit(vec![new(id, CmdName::Start, "Marko", late, Some("b1"))]).await.unwrap();
    let find = async |query: LedgerQuery| {
        let rows = store.ledger(LedgerQuery { limit: 10, ..query }).await.unwrap();
        rows.into_iter().map(|row| row.id.0).collect::<Vec<_>>()
    };
    let all = find(LedgerQuery::default()).await;
    assert_eq!(all.len(), 4);
    assert!(all.is_sorted_by(|a, b| a > b), "newest first: {all:?}");
    let second_page = LedgerQuery { before: Some(CommandId(all[1])), ..LedgerQuery::default() };
    assert_eq!(find(second_page).await, all[2..]);
    let marko = LedgerQuery { by: Some("mar".to_owned()), ..LedgerQuery::default() };
    assert_eq!(find(marko).await, all[..3]);
    assert_eq!(
        find(LedgerQuery { name: Some(CmdName::Start), ..LedgerQuery::default() }).await,
        [all[0], all[3]]
    );
    assert_eq!(find(LedgerQuery { since: Some(at(late)), ..LedgerQuery::default() }).await, all[..3]);
    assert_eq!(find(LedgerQuery { app: Some(other), ..LedgerQuery::default() }).await, [all[1]]);
    assert_eq!(find(LedgerQuery { batch: Some("b1".to_owned()), ..LedgerQuery::default() }).await, all[..3]);
    let row = store.commands(sent).await.unwrap().remove(0);
    assert_eq!((row.batch.as_deref(), row.note.as_deref()), (Some("b1"), Some("proxy ban, ticket 4411")));
}

/// Prunes until nothing is left to go.
async fn prune(store: &dyn Store, retention: Retention) -> Prunable {
    let expected = store.prunable(retention).await.unwrap();
    let mut pruned = Prunable::default();
    for pruning in Pruning::ALL {
        let mut after = Some(String::new());
        while let Some(from) = after {
            let batch = store.prune(pruning, retention, from).await.unwrap();
            pruned.add(pruning, batch.rows);
            after = batch.next;
        }
    }
    assert_eq!(pruned, expected, "what was announced");
    assert_eq!(store.prunable(retention).await.unwrap(), Prunable::default());
    pruned
}

async fn old_history_is_pruned_and_what_is_open_stays(store: &dyn Store) {
    let id = register(store, "a/b/c").await;
    let other = register(store, "a/b/d").await;
    let old = at("2020-01-01T00:00:00Z");
    let run_at = |app, number, begun: Timestamp| {
        let Change::RunOpened(opening) = opening(app, run(number)) else { unreachable!() };
        let ended = begun + chrono::TimeDelta::seconds(1);
        let closing = Closing { started: Some(begun), ended, ..closing(Ending::Exited(Exit::Code(0))) };
        let opening = Change::RunOpened(RunOpening { at: begun, ..opening });
        vec![opening, Change::RunClosed { run: run(number), app, closing }]
    };
    // More than one batch, many of them of one moment; of each app the last run is old as well, and one is open.
    let number_of_runs = 1200_u32;
    for number in 0..number_of_runs {
        let begun = old + chrono::TimeDelta::seconds(i64::from(number / 700));
        commit(store, run_at(id, u128::from(number) + 10, begun)).await;
    }
    let Change::RunOpened(open) = opening(other, run(1)) else { unreachable!() };
    commit(store, vec![Change::RunOpened(RunOpening { at: old, ..open })]).await;
    let skip = |app, reason| Skip { app, first: old, last: old, slots: Some(1), reason, at: old };
    let skips = [skip(id, SkipReason::Missed), skip(other, SkipReason::Overlap)];
    let settled = submit(store, id, CmdName::Start).await;
    let pending = submit(store, other, CmdName::Start).await;
    let alert = |app, number| {
        let message = "it failed".to_owned();
        Change::AlertOpened(Alert {
            app,
            kind: AlertKind::UnexpectedBehavior,
            run: Some(run(number)),
            message,
            detail: None,
            cause: AlertCause::of_text("it failed"),
            count: 3,
            at: old,
        })
    };
    let mut changes: Vec<_> = skips.into_iter().map(Change::Skipped).collect();
    changes.extend([alert(id, 1), alert(other, 2)]);
    changes.push(Change::AlertsClosed { app: id, kinds: AlertKind::ALL, at: old, end: AlertEnd::Removed });
    changes.push(Change::CommandSettled { id: settled, app: Some(id), verdict: Verdict::Executed, at: old });
    commit(store, changes).await;

    let kept =
        Retention { runs_days: 36_500, commands_days: 36_500, alerts_days: 36_500, ..Retention::default() };
    assert_eq!(prune(store, kept).await, Prunable::default(), "nothing is too old");
    let few = Retention { runs_per_app_max: 500, ..kept };
    let surplus = u64::from(number_of_runs - 500);
    assert_eq!(prune(store, few).await, Prunable { runtime: surplus, ..Prunable::default() });
    // Commands are of noon, and the clock of the database is later than that; how much, is up to it.
    let recent = Retention { commands_days: 36_500, ..Retention::default() };
    let expected = Prunable { runtime: 499, skips: 2, commands: 0, alerts: 1, deliveries: 0, events: 0 };
    assert_eq!(prune(store, recent).await, expected);
    let query = |app| HistoryQuery { apps: vec![app], limit: 10, ..HistoryQuery::default() };
    let last = store.history(query(id)).await.unwrap();
    assert_eq!(
        last.iter().map(|run| run.run).collect::<Vec<_>>(),
        [run(u128::from(number_of_runs) + 9)],
        "its last run"
    );
    assert_eq!(store.history(query(other)).await.unwrap().len(), 1, "what is open");
    assert_eq!(store.alerts(AlertQuery { limit: 10, ..AlertQuery::default() }).await.unwrap().len(), 1);
    assert_eq!(store.pending_commands(vec![]).await.unwrap()[0].id, pending);
}
