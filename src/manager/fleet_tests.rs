use chrono::TimeDelta;

use crate::manager::peers::Fate;
use crate::manager::{Event, Identity, Manager, Step};
use crate::model::{
    AlertCause, AlertEnd, App, AppRow, Change, Fault, FleetAlert, FleetAlertChange, FleetAlertEnd, FleetKind,
    FleetTrouble, Now, OpenFleetAlert, Registered, Snapshot, Timestamp,
};

fn now(seconds: u64) -> Now {
    let wall = Timestamp::UNIX_EPOCH + TimeDelta::days(9) + TimeDelta::seconds(seconds.cast_signed());
    Now { mono: std::time::Duration::from_secs(5 + seconds), wall }
}

fn begin(fleet_alerts: Vec<OpenFleetAlert>) -> (Manager, Step) {
    let identity = Identity { name: "zg".to_owned(), host: "zg".to_owned(), seed: 1 };
    Manager::restore(identity, Snapshot { fleet_alerts, ..Snapshot::default() }, Vec::new(), now(0))
}

fn trouble(kind: FleetKind, cause: &str) -> FleetTrouble {
    FleetTrouble { kind, cause: AlertCause::of_text(cause) }
}

fn disk() -> FleetTrouble {
    trouble(FleetKind::DiskLow, "little room in /var/lib/dcm")
}

fn low(message: &str) -> Event {
    Event::FleetTrouble { trouble: disk(), message: message.to_owned() }
}

fn open(trouble: FleetTrouble, manager: Option<&str>) -> OpenFleetAlert {
    let (message, last_seen) = ("as before".to_owned(), now(0).wall - TimeDelta::hours(1));
    OpenFleetAlert { trouble, manager: manager.map(str::to_owned), message, count: 4, last_seen }
}

fn alert(message: &str, count: u32, seconds: u64) -> FleetAlert {
    let (manager, message) = (Some("zg".to_owned()), message.to_owned());
    FleetAlert { trouble: disk(), manager, message, count, at: now(seconds).wall }
}

fn ended(trouble: FleetTrouble, manager: Option<&str>, seconds: u64, end: AlertEnd) -> Change {
    let manager = manager.map(str::to_owned);
    Change::FleetAlert(FleetAlertChange::Closed(FleetAlertEnd {
        trouble,
        manager,
        at: now(seconds).wall,
        end,
    }))
}

#[test]
fn trouble_has_one_alert_which_counts_and_is_closed_once() {
    let (mut manager, step) = begin(Vec::new());
    assert_eq!(step, Step::default());
    let mut step = |seconds: u64, event: Event| manager.step(now(seconds), event).changes;
    assert_eq!(step(1, Event::FleetTroubleOver(disk())), []);
    assert_eq!(
        step(2, low("3 % left")),
        [Change::FleetAlert(FleetAlertChange::Opened(alert("3 % left", 1, 2)))]
    );
    // It is looked at each second.
    assert_eq!(step(3, low("3 % left")), []);
    assert_eq!(
        step(4, low("2 % left")),
        [Change::FleetAlert(FleetAlertChange::Repeated(alert("2 % left", 2, 4)))]
    );
    assert_eq!(
        step(64, low("2 % left")),
        [Change::FleetAlert(FleetAlertChange::Repeated(alert("2 % left", 3, 64)))]
    );
    assert_eq!(
        step(70, Event::FleetTroubleOver(disk())),
        [ended(disk(), Some("zg"), 70, AlertEnd::Recovered)]
    );
    assert_eq!(step(71, Event::FleetTroubleOver(disk())), []);
    assert_eq!(
        step(72, low("3 % left")),
        [Change::FleetAlert(FleetAlertChange::Opened(alert("3 % left", 1, 72)))]
    );
}

#[test]
fn a_new_manager_goes_on_with_what_is_open_and_closes_what_it_does_not_find() {
    let locked = trouble(FleetKind::DatabaseLocked, "another transaction holds a row");
    let aside = trouble(FleetKind::RowsSetAside, "rows of apps are set aside");
    let before = vec![
        open(disk(), Some("zg")),
        open(locked.clone(), Some("zg-before")),
        open(aside.clone(), Some("zg")),
    ];
    let (mut manager, step) = begin(before);
    assert_eq!(
        step.changes,
        [
            ended(locked, Some("zg-before"), 0, AlertEnd::Recovered),
            ended(aside, Some("zg"), 0, AlertEnd::Recovered)
        ]
    );
    let repeated = manager.step(now(1), low("3 % left")).changes;
    assert_eq!(repeated, [Change::FleetAlert(FleetAlertChange::Repeated(alert("3 % left", 5, 1)))]);
}

#[test]
fn a_manager_is_lost_until_it_is_back_or_its_row_is_gone() {
    let of = |name: &str| FleetTrouble { kind: FleetKind::ManagerLost, cause: AlertCause::of_manager(name) };
    let lost = |name: &str| {
        let host = format!("{name}.local");
        (name.to_owned(), Fate::Lost { host, heartbeat: Timestamp::UNIX_EPOCH })
    };
    let (mut manager, step) = begin(vec![open(of("zg-04"), None)]);
    assert_eq!(step, Step::default());
    let mut see = |seconds: u64, fates: Vec<(String, Fate)>| {
        manager.step(now(seconds), Event::ManagersSeen(fates)).changes
    };
    let is_unclear = |name: &str| (name.to_owned(), Fate::Unclear);
    assert_eq!(see(1, vec![is_unclear("zg-02"), is_unclear("zg-04")]), []);
    let opened = FleetAlert {
        trouble: of("zg-02"),
        manager: None,
        message:
            "the manager zg-02 on zg-02.local has not renewed its lease since 1970-01-01T00:00:00.000Z; dcm \
                  managers shows what it has"
                .to_owned(),
        count: 1,
        at: now(2).wall,
    };
    // Names that differ in a number are different managers.
    let third = FleetAlert {
        trouble: of("zg-03"),
        message: opened.message.replace("zg-02", "zg-03"),
        ..opened.clone()
    };
    assert_eq!(
        see(2, vec![lost("zg-02"), lost("zg-03"), is_unclear("zg-04")]),
        [
            Change::FleetAlert(FleetAlertChange::Opened(opened)),
            Change::FleetAlert(FleetAlertChange::Opened(third))
        ]
    );
    let well = ("zg-02".to_owned(), Fate::Well);
    assert_eq!(
        see(3, vec![well, is_unclear("zg-03")]),
        [ended(of("zg-02"), None, 3, AlertEnd::Recovered), ended(of("zg-04"), None, 3, AlertEnd::Removed)]
    );
}

#[test]
fn rows_that_are_set_aside_are_one_trouble_of_the_fleet() {
    let (mut manager, _) = begin(Vec::new());
    let mut row = |seconds: u64, path: &str, fault: Option<&str>| {
        let mut row = AppRow::new(App::new(path.parse().unwrap()), 1);
        row.fault = fault.map(|message| {
            let names = ["a", "b", "c"].map(str::to_owned);
            Box::new(Fault { names, columns: vec!["cron_expression"], message: message.to_owned() })
        });
        let changes = manager.step(now(seconds), Event::AppsChanged(vec![Registered::of(row)])).changes;
        changes
            .into_iter()
            .filter_map(|change| if let Change::FleetAlert(change) = change { Some(change) } else { None })
            .map(|change| match change {
                FleetAlertChange::Opened(alert) => format!("opened {}", alert.message),
                FleetAlertChange::Repeated(alert) => format!("repeated {}", alert.message),
                FleetAlertChange::Closed(_) => "closed".to_owned(),
            })
            .collect::<Vec<_>>()
    };
    let are = |rows: &str| format!("{rows} set aside and not scheduled; dcm status shows which and why");
    assert_eq!(row(1, "a/b/c", Some("cron is wrong")), [format!("opened {}", are("1 row of an app is"))]);
    assert_eq!(row(2, "a/b/c", Some("cron is still wrong")), [""; 0]);
    assert_eq!(row(3, "a/b/d", Some("cron is wrong")), [format!("repeated {}", are("2 rows of apps are"))]);
    assert_eq!(row(4, "a/b/d", None), [format!("repeated {}", are("1 row of an app is"))]);
    assert_eq!(row(5, "a/b/c", None), ["closed"]);
}
