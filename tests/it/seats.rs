//! Several managers on one PostgreSQL, as the store keeps them apart: seats, claims, depositions.

use std::time::Duration;

use dcm::model::{
    AppId, Change, Command, Load, ManagerRow, Refusal, RunId, RunOpening, RunStatus, Subject, Timestamp,
    Trigger,
};
use dcm::store::{Cluster as _, OpenMode, OperatorStore as _, PostgresStore, Store as _, StoreError};

use crate::postgres::{Schema, block_on};

fn connect(schema: &Schema) -> PostgresStore {
    PostgresStore::connect(schema.url(), OpenMode::Create).unwrap()
}

fn row(name: &str) -> ManagerRow {
    ManagerRow {
        name: name.to_owned(),
        host: format!("host-of-{name}"),
        home: Some(format!("home-of-{name}")),
        boot: Some("1".to_owned()),
        pid: 7,
        ..ManagerRow::default()
    }
}

async fn seated(schema: &Schema, name: &str) -> PostgresStore {
    let store = connect(schema);
    store.take_seat(row(name)).await.unwrap();
    store
}

fn id(path: &str) -> AppId {
    AppId::of(&path.parse().unwrap())
}

fn insert(name: &str, more: &str) -> String {
    format!(
        "INSERT INTO apps (app_group, app_parent, app_name, disable) VALUES ('a', 'b', '{name}', false); \
         UPDATE apps SET cwd = '/' {more} WHERE app_name = '{name}';"
    )
}

fn opening(path: &str, run: u128, manager: &str) -> Change {
    Change::RunOpened(RunOpening {
        run: RunId::from_random_bits(run),
        app: id(path),
        at: now(),
        due: None,
        trigger: Trigger::Schedule,
        attempt: 1,
        command: None,
        manager: manager.to_owned(),
        is_forced: false,
    })
}

fn now() -> Timestamp {
    dcm::model::parse_timestamp("2026-11-23T12:00:00Z").unwrap()
}

/// Puts the moment at which a manager was last heard of into the past.
const LONG_AGO: &str =
    "UPDATE managers SET lease_until = lease_until - interval '1 h', heartbeat = heartbeat - interval '1 h'";

async fn owners(store: &PostgresStore, names: &[&str]) -> Vec<Option<String>> {
    let rows = store.apps(names.iter().map(|name| id(&format!("a/b/{name}"))).collect()).await.unwrap();
    rows.into_iter()
        .map(|row| match row {
            dcm::model::Registered::App(row) => row.state.manager,
            dcm::model::Registered::SetAside(row) => panic!("{row:?}"),
        })
        .collect()
}

fn sql(schema: &Schema, sql: &str) {
    std::thread::scope(|scope| scope.spawn(|| schema.sql(sql)).join().unwrap());
}

#[test]
fn a_seat_is_that_of_one_state_directory() {
    let schema = Schema::new();
    block_on(async {
        let first = seated(&schema, "zg").await;
        // Another machine of the same name is told so.
        let other = ManagerRow { home: Some("elsewhere".to_owned()), ..row("zg") };
        let error = connect(&schema).take_seat(other.clone()).await.unwrap_err();
        assert!(matches!(&error, StoreError::Served(who) if who.contains("host-of-zg")), "{error}");
        assert!(error.to_string().contains("another name"), "{error}");
        // The host was booted, or its disk was copied: the old lease must run out.
        let booted = ManagerRow { boot: Some("2".to_owned()), ..row("zg") };
        let error = connect(&schema).take_seat(booted.clone()).await.unwrap_err();
        assert!(matches!(&error, StoreError::Unavailable(_)), "{error}");
        // The successor of a manager that was killed sits down at once, and the old one is out.
        let second = seated(&schema, "zg").await;
        assert_eq!(first.renew(Load::default()).await, Err(StoreError::Deposed));
        assert_eq!(first.commit(Vec::new()).await, Err(StoreError::Deposed));
        second.renew(Load::default()).await.unwrap();

        sql(&schema, &insert("x", ""));
        assert_eq!(second.claim().await, Ok(1));
        assert_eq!(second.commit(vec![opening("a/b/x", 1, "zg")]).await.unwrap().refused, []);
        sql(&schema, LONG_AGO);
        // Its runs are where its state directory is.
        let error = connect(&schema).take_seat(other.clone()).await.unwrap_err();
        assert!(matches!(&error, StoreError::Denied(_)), "{error}");
        assert!(error.to_string().contains("1 of its runs"), "{error}");
        connect(&schema).take_seat(booted).await.unwrap();
        sql(&schema, "UPDATE runtime SET end_time = start_time, outcome = 'ok'");
        sql(&schema, LONG_AGO);
        connect(&schema).take_seat(other).await.unwrap();
    });
}

#[test]
fn apps_are_shared_among_those_who_serve_their_pool() {
    let schema = Schema::new();
    block_on(async {
        let zg = seated(&schema, "zg").await;
        let st = connect(&schema);
        st.take_seat(ManagerRow { pools: vec!["south".to_owned()], ..row("st") }).await.unwrap();
        let free: String = (0..200).map(|number| insert(&format!("free{number}"), "")).collect();
        sql(&schema, &format!("{free}{}", insert("far", ", pool = 'south'")));
        sql(&schema, &insert("nowhere", ", pool = 'north'"));
        assert!(zg.foreign_changes(dcm::model::Revision::default(), true).await.unwrap().claimable);
        let (of_zg, of_st) = (zg.claim().await.unwrap(), st.claim().await.unwrap());
        assert_eq!(of_zg + of_st, 201);
        assert!((70..131).contains(&of_zg), "{of_zg} and {of_st}");
        assert_eq!(owners(&zg, &["far", "nowhere"]).await, [Some("st".to_owned()), None]);
        assert_eq!((zg.claim().await, st.claim().await), (Ok(0), Ok(0)));
        // Each reads its own.
        let (snapshot, delta) = (
            zg.snapshot().await.unwrap(),
            st.foreign_changes(dcm::model::Revision::default(), true).await.unwrap(),
        );
        assert_eq!((snapshot.apps.len() as u64, delta.rows.len() as u64), (of_zg, of_st));
        assert!(delta.gained && !delta.claimable);
        // And hears of those that it has no longer.
        sql(&schema, "UPDATE apps SET manager = 'zg' WHERE app_name = 'far'");
        let delta = st.foreign_changes(delta.revision, true).await.unwrap();
        assert_eq!((delta.lost, delta.rows, delta.gained), (vec![id("a/b/far")], vec![], false));
        // One that went and came back between two looks is to be taken up anew.
        for manager in ["st", "zg", "st"] {
            sql(&schema, &format!("UPDATE apps SET manager = '{manager}' WHERE app_name = 'far'"));
        }
        let delta = st.foreign_changes(delta.revision, true).await.unwrap();
        assert_eq!((delta.lost, delta.rows.len(), delta.gained), (vec![id("a/b/far")], 1, true));
    });
}

#[test]
fn who_is_deposed_writes_nothing_more() {
    let schema = Schema::new();
    block_on(async {
        let zg = seated(&schema, "zg").await;
        sql(
            &schema,
            &format!(
                "{}{}{}{}",
                insert("pinned", ""),
                insert("single", ", failover = 'exclusive'"),
                insert("idle", ", failover = 'at_least_once', next_run = '2030-01-01'"),
                insert("asked", ", failover = 'exclusive'"),
            ),
        );
        assert_eq!(zg.claim().await, Ok(4));
        let openings = vec![
            opening("a/b/pinned", 1, "zg"),
            opening("a/b/single", 2, "zg"),
            opening("a/b/asked", 3, "zg"),
        ];
        assert_eq!(zg.commit(openings).await.unwrap().refused, []);
        sql(&schema, "UPDATE apps SET cmd_name = 2, cmd_flag = 0 WHERE app_name = 'asked'");
        let st = seated(&schema, "st").await;
        let seen = |rows: &[ManagerRow]| rows.iter().find(|row| row.name == "zg").unwrap().clone();

        // While its lease lasts, nobody takes anything.
        let lost = seen(&st.managers().await.unwrap());
        assert_eq!(st.depose(&lost).await.unwrap().apps, 0);
        assert!(matches!(st.take_from("zg", false).await, Err(StoreError::Refused(_))));
        // A lease that is over is renewed as long as nobody took it.
        sql(&schema, &format!("{LONG_AGO} WHERE name = 'zg'"));
        let idle = zg.commit(vec![opening("a/b/idle", 9, "zg")]).await.unwrap();
        assert_eq!(
            idle.held.iter().map(|held| held.subject).collect::<Vec<_>>(),
            [Subject::App(id("a/b/idle"))]
        );
        let lost = seen(&st.managers().await.unwrap());
        zg.renew(Load::default()).await.unwrap();
        assert_eq!(st.depose(&lost).await.unwrap().apps, 0);
        sql(&schema, &format!("{LONG_AGO} WHERE name = 'zg'"));

        let lost = seen(&st.managers().await.unwrap());
        let released = st.depose(&lost).await.unwrap();
        assert_eq!((released.apps, released.runs, released.kept), (3, 2, 1));
        assert_eq!(zg.renew(Load::default()).await, Err(StoreError::Deposed));
        assert_eq!(zg.commit(vec![opening("a/b/idle", 4, "zg")]).await, Err(StoreError::Deposed));
        assert_eq!(st.claim().await, Ok(3));
        let names = ["pinned", "single", "idle", "asked"];
        let owner = |name: &str| Some(name.to_owned());
        assert_eq!(owners(&st, &names).await, [owner("zg"), owner("st"), owner("st"), owner("st")]);

        taken_over_rows_say_what_to_do(&st).await;
        // An operator's edit is no back door either.
        sql(&schema, "UPDATE apps SET manager = 'zg' WHERE app_name = 'idle'");
        let refused = st.commit(vec![opening("a/b/idle", 5, "st")]).await.unwrap().refused;
        assert_eq!(refused, [(RunId::from_random_bits(5), Refusal::OwnedByOther)]);

        // It comes back, with what is still its own.
        let zg = seated(&schema, "zg").await;
        let snapshot = zg.snapshot().await.unwrap();
        assert_eq!((snapshot.apps.len(), snapshot.open_runs.len()), (2, 1));
        let elsewhere = zg.elsewhere(names.iter().map(|name| id(&format!("a/b/{name}"))).collect()).await;
        assert_eq!(elsewhere.unwrap().len(), 2);
    });
}

/// What ran begins anew at once, unless a command decides; what rested keeps its time.
async fn taken_over_rows_say_what_to_do(st: &PostgresStore) {
    let snapshot = st.snapshot().await.unwrap();
    assert_eq!(snapshot.open_runs, []);
    let commands: Vec<Command> = snapshot.commands;
    assert_eq!(commands.iter().map(|command| command.app).collect::<Vec<_>>(), [Some(id("a/b/asked"))]);
    let found = |name: &str| {
        let wanted = id(&format!("a/b/{name}"));
        let rows = snapshot.apps.iter().filter_map(|row| match row {
            dcm::model::Registered::App(row) => Some(row),
            dcm::model::Registered::SetAside(_) => None,
        });
        rows.into_iter().find(|row| row.app.id == wanted).unwrap()
    };
    assert_eq!(found("single").state.status, RunStatus::Stopped);
    let due = found("single").next_run.unwrap();
    assert!((st.time().await.unwrap() - due).to_std().unwrap() < Duration::from_secs(60), "{due}");
    assert_eq!(found("asked").next_run, None);
    assert_eq!(found("idle").next_run, Some(dcm::model::parse_timestamp("2030-01-01T00:00:00Z").unwrap()));
    assert_eq!(found("idle").epoch, found("single").epoch);
    let runs = st.history(dcm::store::HistoryQuery { limit: 9, ..Default::default() }).await.unwrap();
    let lost: Vec<_> = runs.iter().filter(|run| run.outcome_word() == Some("lost_owner")).collect();
    assert_eq!(lost.len(), 2);
    assert!(lost.iter().all(|run| run.exit_code.is_none() && run.end.is_some()));
}

#[test]
fn who_comes_back_gets_its_share() {
    let schema = Schema::new();
    block_on(async {
        let zg = seated(&schema, "zg").await;
        let names: Vec<_> = (0..60).map(|number| format!("n{number}")).collect();
        let apps: String = names.iter().map(|name| insert(name, ", failover = 'exclusive'")).collect();
        sql(&schema, &format!("{apps}{}", insert("pinned", "")));
        assert_eq!(zg.claim().await, Ok(61));
        let runs = names.iter().zip(1..).take(30);
        let openings = runs.map(|(name, run)| opening(&format!("a/b/{name}"), run, "zg")).collect();
        zg.commit(openings).await.unwrap();
        let st = seated(&schema, "st").await;
        // Not one that has only just come.
        assert_eq!(zg.share().await.unwrap().apps, 0);
        sql(&schema, "UPDATE managers SET seated = seated - interval '2 min'");
        let released = zg.share().await.unwrap().apps;
        assert!((5..26).contains(&released), "{released} of 30 that rest");
        assert_eq!((zg.claim().await, st.claim().await), (Ok(0), Ok(released)));
        assert_eq!((zg.share().await.unwrap().apps, st.share().await.unwrap().apps), (0, 0));
        assert_eq!(owners(&zg, &["pinned", "n0"]).await, [Some("zg".to_owned()), Some("zg".to_owned())]);
    });
}

#[test]
fn an_app_can_ask_whether_it_is_still_the_only_one() {
    let schema = Schema::new();
    block_on(async {
        let zg = seated(&schema, "zg").await;
        sql(&schema, &insert("x", ", failover = 'exclusive'"));
        zg.claim().await.unwrap();
        let timeline = zg.renew(Load::default()).await.unwrap().timeline;
        let assert = |token: String| format!("SELECT dcm_assert_fence('{token}')");
        let refuses = |token: String, why: &str| {
            let sql = format!(
                "DO $$ BEGIN PERFORM dcm_assert_fence('{token}'); RAISE 'it was accepted'; \
                 EXCEPTION WHEN OTHERS THEN ASSERT SQLERRM LIKE '%{why}%', SQLERRM; END $$"
            );
            self::sql(&schema, &sql);
        };
        let app = id("a/b/x");
        self::sql(&schema, &assert(format!("{timeline}:{app}:1")));
        self::sql(&schema, &assert(format!("0:{app}:1")));
        refuses(format!("{}:{app}:1", timeline + 1), "must end");
        refuses(format!("{timeline}:{app}:0"), "must end");
        refuses("nonsense".to_owned(), "not a token");
        self::sql(&schema, "UPDATE apps SET manager = 'st'");
        refuses(format!("{timeline}:{app}:1"), "must end");
    });
}

#[test]
fn a_person_may_give_away_the_rest() {
    let schema = Schema::new();
    block_on(async {
        let zg = seated(&schema, "zg").await;
        let policies = ["never", "manual", "exclusive", "at_least_once"];
        let apps: String =
            policies.map(|policy| insert(policy, &format!(", failover = '{policy}'"))).concat();
        sql(&schema, &apps);
        zg.claim().await.unwrap();
        zg.commit(vec![opening("a/b/exclusive", 1, "zg")]).await.unwrap();
        // Nobody else is there.
        assert_eq!(zg.drain("zg", true).await.unwrap().apps, 0);
        let st = seated(&schema, "st").await;
        // What runs stays until it ends.
        let released = st.drain("zg", true).await.unwrap();
        assert_eq!((released.apps, released.kept), (2, 2));
        assert_eq!(zg.claim().await, Ok(0));
        assert_eq!(st.claim().await, Ok(2));
        zg.drain("zg", false).await.unwrap();
        zg.leave().await.unwrap();
        // One that runs is not given away in order, but taken after its time, or by a person.
        let released = st.take_from("zg", false).await.unwrap();
        assert_eq!((released.apps, released.runs, released.kept), (1, 1, 1));
        let released = st.take_from("zg", true).await.unwrap();
        assert_eq!((released.apps, released.kept), (1, 0));
        assert_eq!(st.claim().await, Ok(2));
        assert!(matches!(st.take_from("nobody", false).await, Err(StoreError::Refused(_))));
    });
}
