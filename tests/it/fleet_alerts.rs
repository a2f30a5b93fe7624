//! Alerts about the fleet: in every database, and by managers that see each other.

use std::process::{Child, Command, Stdio};

use chrono::TimeDelta;
use dcm::model::{
    Alert, AlertCause, AlertEnd, AlertEvent, AlertId, AlertKind, AlertRow, AlertSubject, AlertTurn, AppId,
    Change, FleetAlert, FleetAlertChange, FleetAlertEnd, FleetKind, FleetTrouble, Load, ManagerRow,
    OpenFleetAlert, Severity, Timestamp, parse_timestamp,
};
use dcm::store::{
    AlertQuery, AlertsOf, MemoryStore, OpenMode, PostgresStore, SqliteStore, Store, StoreError,
};
use tempfile::TempDir;

use crate::fleet::send_signal;
use crate::postgres::{Schema, block_on, until, until_said};

fn noon() -> Timestamp {
    parse_timestamp("2026-11-27T12:00:00Z").unwrap()
}

fn lost(name: &str, minutes: i64) -> FleetAlert {
    FleetAlert {
        trouble: FleetTrouble { kind: FleetKind::ManagerLost, cause: AlertCause::of_manager(name) },
        manager: None,
        message: format!("the manager {name} is silent"),
        count: 1,
        at: noon() + TimeDelta::minutes(minutes),
    }
}

fn disk_of(manager: &str) -> FleetAlert {
    let cause = AlertCause::of_text("little room in /var/lib/dcm");
    FleetAlert {
        trouble: FleetTrouble { kind: FleetKind::DiskLow, cause },
        manager: Some(manager.to_owned()),
        ..lost("", 0)
    }
}

fn over(alert: &FleetAlert, minutes: i64) -> Change {
    Change::FleetAlert(FleetAlertChange::Closed(FleetAlertEnd {
        trouble: alert.trouble.clone(),
        manager: alert.manager.clone(),
        at: noon() + TimeDelta::minutes(minutes),
        end: AlertEnd::Recovered,
    }))
}

async fn rows(store: &dyn Store) -> Vec<AlertRow> {
    let mut rows = store.alerts(AlertQuery { limit: 100, ..AlertQuery::default() }).await.unwrap();
    rows.reverse();
    rows
}

async fn an_episode_of_the_fleet_is_on_record_once(store: &dyn Store) {
    let alerts_of = async |change: Change| store.commit(vec![change]).await.unwrap().alerts;
    let open = |alert: FleetAlert| Change::FleetAlert(FleetAlertChange::Opened(alert));
    let event = |turn| AlertEvent {
        id: AlertId(1),
        app: "fleet".to_owned(),
        kind: AlertKind::ManagerLost,
        message: "the manager zg-02 is silent".to_owned(),
        turn,
    };
    assert_eq!(alerts_of(open(lost("zg-02", 0))).await, [event(AlertTurn::Opened)]);
    assert_eq!(alerts_of(open(lost("zg-02", 0))).await, [], "the commit was repeated");
    assert_eq!(alerts_of(open(lost("zg-02", 1))).await, [], "another manager sees the same");
    assert_eq!(alerts_of(open(lost("zg-03", 1))).await.len(), 1);
    let repeated = FleetAlert { count: 7, message: "it still is".to_owned(), ..lost("zg-03", 2) };
    assert_eq!(alerts_of(Change::FleetAlert(FleetAlertChange::Repeated(repeated.clone()))).await, []);
    let read = rows(store).await;
    assert_eq!(read.len(), 2);
    let row = &read[0];
    assert_eq!((&row.subject, &row.manager, row.run), (&AlertSubject::Fleet, &None, None));
    assert_eq!((&row.kind, &row.severity), (&AlertKind::ManagerLost.into(), &Severity::Critical.into()));
    assert_eq!((row.cause.text(), row.count, row.closed), ("manager zg-02 is lost", 1, None));
    let row = &read[1];
    assert_eq!((row.opened, row.last_seen), (lost("", 1).at, lost("", 2).at));
    assert_eq!((row.count, row.message.as_str()), (7, "it still is"));

    let taken_up = store.snapshot().await.unwrap().fleet_alerts;
    let FleetAlert { trouble, manager, message, count, at: last_seen } = repeated.clone();
    let expected = OpenFleetAlert { trouble, manager, message, count, last_seen };
    assert_eq!((taken_up.len(), &taken_up[1]), (2, &expected));

    let after = TimeDelta::minutes(12);
    let closed = event(AlertTurn::Closed { after, end: AlertEnd::Recovered });
    assert_eq!(alerts_of(over(&lost("zg-02", 0), 12)).await, [closed]);
    assert_eq!(alerts_of(over(&lost("zg-02", 0), 12)).await, [], "it is closed already");
    assert_eq!(alerts_of(open(lost("zg-02", 0))).await, [], "a commit that is repeated opens nothing");
    assert_eq!(store.snapshot().await.unwrap().fleet_alerts, [expected]);
    assert_eq!(alerts_of(open(lost("zg-02", 20))).await.len(), 1, "the next episode");
    assert_eq!(rows(store).await.len(), 3);
}

async fn trouble_of_one_manager_is_its_own(store: &dyn Store) {
    let (first, second) = (disk_of("zg-01"), disk_of("zg-02"));
    for alert in [&first, &second, &first] {
        store.commit(vec![Change::FleetAlert(FleetAlertChange::Opened(alert.clone()))]).await.unwrap();
    }
    store.commit(vec![over(&first, 5)]).await.unwrap();
    let read = rows(store).await;
    let seen: Vec<_> = read.iter().map(|row| (row.manager.as_deref(), row.closed.is_some())).collect();
    assert_eq!(seen, [(Some("zg-01"), true), (Some("zg-02"), false)]);
}

async fn alerts_are_found_by_what_they_are_about(store: &dyn Store) {
    let app = AppId::of(&"a/b/c".parse().unwrap());
    let of_app = Alert {
        app,
        kind: AlertKind::BadReport,
        cause: AlertCause::of_text("x"),
        run: None,
        message: "x".to_owned(),
        detail: None,
        count: 1,
        at: noon() + TimeDelta::minutes(2),
    };
    let changes = vec![
        Change::FleetAlert(FleetAlertChange::Opened(lost("zg-02", 0))),
        Change::FleetAlert(FleetAlertChange::Opened(lost("zg-03", 1))),
        Change::AlertOpened(of_app),
        over(&lost("zg-02", 0), 3),
    ];
    store.commit(changes).await.unwrap();
    let found = async |query: AlertQuery| {
        let rows = store.alerts(AlertQuery { limit: 10, ..query }).await.unwrap();
        rows.iter().map(|row| row.message.replace("the manager ", "")).collect::<Vec<_>>()
    };
    let any = AlertQuery::default;
    let (second, third, of_app) = ("zg-02 is silent", "zg-03 is silent", "x");
    assert_eq!(found(any()).await, [of_app, third, second]);
    assert_eq!(found(AlertQuery { of: AlertsOf::Fleet, ..any() }).await, [third, second]);
    assert_eq!(found(AlertQuery { of: AlertsOf::Fleet, open_only: true, ..any() }).await, [third]);
    assert_eq!(found(AlertQuery { of: AlertsOf::Apps(vec![app]), ..any() }).await, [of_app]);
    assert_eq!(found(AlertQuery { of: AlertsOf::Apps(vec![]), ..any() }).await, [""; 0]);
    let these = AlertsOf::These(vec![AlertId(1), AlertId(3), AlertId(99)]);
    assert_eq!(found(AlertQuery { of: these, ..any() }).await, [of_app, second]);
    let since = Some(noon() + TimeDelta::minutes(1));
    assert_eq!(found(AlertQuery { since, ..any() }).await, [of_app, third]);
    assert_eq!(
        found(AlertQuery { severity: Some(Severity::Warning), ..any() }).await,
        [of_app, third, second]
    );
    assert_eq!(found(AlertQuery { severity: Some(Severity::Critical), ..any() }).await, [third, second]);
}

macro_rules! in_every_database {
    ($($name:ident)+) => {
        mod memory {
            $(#[test] fn $name() {
                super::block_on(super::$name(&super::MemoryStore::new(super::noon())));
            })+
        }
        mod sqlite {
            $(#[test] fn $name() {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("dcm.db");
                super::block_on(super::$name(&super::SqliteStore::open(&path, super::OpenMode::Create).unwrap()));
            })+
        }
        mod postgres {
            $(#[test] fn $name() {
                let schema = super::Schema::new();
                let store = super::PostgresStore::connect(schema.url(), super::OpenMode::Create).unwrap();
                super::block_on(super::$name(&store));
            })+
        }
    };
}

in_every_database! {
    an_episode_of_the_fleet_is_on_record_once
    trouble_of_one_manager_is_its_own
    alerts_are_found_by_what_they_are_about
}

#[test]
fn what_two_managers_see_at_once_is_one_row() {
    let schema = Schema::new();
    block_on(async {
        let mut stores = Vec::new();
        for name in ["zg-01", "zg-02"] {
            let store = PostgresStore::connect(schema.url(), OpenMode::Create).unwrap();
            store.take_seat(ManagerRow { name: name.to_owned(), ..ManagerRow::default() }).await.unwrap();
            store.renew(Load::default()).await.unwrap();
            stores.push(store);
        }
        for minute in 0..20 {
            // Who finds that the other is at it waits for a moment and then tries again, as a manager does.
            let write = async |store: usize| {
                let seen = lost(&format!("old-{minute}"), i64::try_from(store).unwrap());
                let change = Change::FleetAlert(FleetAlertChange::Opened(seen));
                loop {
                    match stores[store].commit(vec![change.clone()]).await {
                        Err(StoreError::Locked(_)) => {}
                        committed => break committed.unwrap().alerts.len(),
                    }
                }
            };
            let (one, other) = tokio::join!(write(0), write(1));
            let opened = one + other;
            assert_eq!(opened, 1, "one of them opens it, the other finds it open");
        }
        // A manager takes up what all see, and of the rest its own.
        for manager in ["zg-01", "zg-02"] {
            stores[0]
                .commit(vec![Change::FleetAlert(FleetAlertChange::Opened(disk_of(manager)))])
                .await
                .unwrap();
        }
        let taken_up = stores[1].snapshot().await.unwrap().fleet_alerts;
        let own: Vec<_> = taken_up.iter().filter_map(|alert| alert.manager.as_deref()).collect();
        assert_eq!((taken_up.len(), own), (21, vec!["zg-02"]));
    });
    assert_eq!(schema.number("SELECT count(*) FROM alerts WHERE kind = 'manager_lost'"), 20);
}

/// A manager on a server, in a directory of its own.
struct Host {
    dir: TempDir,
    manager: Option<Child>,
}

impl Host {
    fn start(schema: &Schema, name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("dcm.toml"), format!("name = \"{name}\"\nlease = 3.0\n")).unwrap();
        let mut host = Self { dir, manager: None };
        host.go_on(schema);
        host
    }

    fn go_on(&mut self, schema: &Schema) {
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let mut command = self.command(schema, &["--headless"]);
        self.manager = Some(command.stderr(log).stdout(Stdio::null()).spawn().unwrap());
    }

    fn command(&self, schema: &Schema, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
        command.env("DC_STATE_DIR", self.dir.path().join("state")).args(arguments).stdin(Stdio::null());
        command.env("DC_CONFIG", self.dir.path().join("dcm.toml")).env("DC_DATABASE_URL", schema.url());
        command
    }

    fn kill(&mut self) {
        if let Some(mut manager) = self.manager.take() {
            manager.kill().unwrap();
            manager.wait().unwrap();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_manager_that_is_lost_is_one_alert_of_those_that_live_until_it_is_back() {
    let schema = Schema::new();
    let mut hosts: Vec<_> = ["zg-01", "zg-02", "zg-03"]
        .map(|name| {
            let host = Host::start(&schema, name);
            until_said(&host.dir.path().join("log"), "the manager is running");
            host
        })
        .into();
    let wait = |what: &str, sql: &str| {
        block_on(until(what, async || (schema.number(sql) == 1).then_some(())));
    };
    let open = "SELECT count(*) FROM alerts WHERE kind = 'manager_lost' AND app_id IS NULL AND closed IS NULL \
                AND cause = 'manager zg-03 is lost'";
    hosts[2].kill();
    wait("the others say so", open);
    let mut last = hosts.pop().unwrap();
    // Who opened it may be gone when the lost one is back. The line comes after the row.
    let log_of = |host: &Host| std::fs::read_to_string(host.dir.path().join("log")).unwrap();
    let opener = block_on(until("the line of who opened it", async || {
        let is_said =
            |host: &Host| log_of(host).contains("alert opened: fleet: manager_lost: the manager zg-03 on ");
        hosts.iter().position(is_said)
    }));
    send_signal(hosts[opener].manager.as_ref().unwrap().id(), 15);
    hosts[opener].manager.take().unwrap().wait().unwrap();
    last.go_on(&schema);
    let lost = "SELECT count(*) FROM alerts WHERE kind = 'manager_lost' AND closed IS NULL";
    wait("it is back", &format!("SELECT (0 = ({lost}))::int::bigint"));
    // It is written by the first one that sees it, which may be the one that was lost.
    let is_said = async || {
        let logs = [&hosts[1 - opener], &last].map(log_of);
        let mut lines = logs.iter().flat_map(|log| log.lines());
        let is_closed =
            |line: &str| line.contains("alert closed: fleet: manager_lost: the manager zg-03 on ");
        lines.find(|line| is_closed(line)).map(|line| line.contains("(recovered)"))
    };
    assert!(block_on(until("a line of a log", is_said)));
}
