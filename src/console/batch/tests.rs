//! Batches: their pace, when they stop, and what is undone.

use std::time::Duration;

use super::{Batch, Order, Pace};
use crate::console::fleet::Fleet;
use crate::console::request::{Request, Ticket};
use crate::console::testing::{delta, hash, noon, row, running};
use crate::model::{AppId, AppRef, CmdFlag, CmdName, CommandId, CommandRow, LastCommand};
use crate::store::StoreError;

const NOW: Duration = Duration::from_secs(1000);

fn id(path: &str) -> AppId {
    AppId::of(&path.parse().unwrap())
}

fn paths(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("g/p/a{number}")).collect()
}

fn order(name: CmdName, apps: &[String], pace: Pace) -> Order {
    Order {
        name,
        apps: apps.iter().map(|path| id(path)).collect(),
        what: "some".to_owned(),
        note: None,
        pace,
        stop_at: Some(20),
    }
}

fn command(number: i64, app: &str, name: CmdName, flag: CmdFlag) -> CommandRow {
    CommandRow {
        id: CommandId(number),
        app: AppRef::from(hash(app).as_str()),
        name,
        flag,
        by: "ana".to_owned(),
        source: crate::model::CommandSource::Console.into(),
        time: noon(),
        executed: None,
        reason: (flag == CmdFlag::NotExecuted).then(|| "not running".into()),
        batch: None,
        note: None,
    }
}

/// How many commands a request sends.
fn count(request: Option<Request>) -> usize {
    match request {
        Some(Request::Submit { apps, .. }) => apps.len(),
        Some(other) => panic!("{other:?}"),
        None => 0,
    }
}

#[test]
fn the_next_ten_wait_for_the_verdicts_of_the_ten_before() {
    let apps = paths(25);
    let mut batch = Batch::new(Ticket(1), order(CmdName::Stop, &apps, Pace::Tens), &Fleet::default(), NOW);
    let rows = |from: usize, to: usize, flag| -> Vec<CommandRow> {
        let number = |at: usize| i64::try_from(at).unwrap();
        (from..to).map(|at| command(number(at), &apps[at], CmdName::Stop, flag)).collect()
    };
    assert_eq!(count(batch.next(NOW)), 10);
    assert_eq!(count(batch.next(NOW)), 0, "nobody knows yet whether they are in the ledger");
    assert!(batch.submitted(Ticket(1), &Ok(rows(0, 10, CmdFlag::Pending))));
    assert!(!batch.submitted(Ticket(2), &Ok(Vec::new())));
    batch.learn(&rows(0, 9, CmdFlag::Executed));
    assert_eq!(count(batch.next(NOW)), 0);
    // One of ten failed: that is less than the share that stops it.
    batch.learn(&rows(9, 10, CmdFlag::NotExecuted));
    assert_eq!(count(batch.next(NOW)), 10);
    batch.submitted(Ticket(1), &Ok(rows(10, 20, CmdFlag::NotExecuted)));
    assert_eq!(count(batch.next(NOW)), 0);
    assert_eq!(batch.halted.as_deref(), Some("more than 20% failed"));
    assert_eq!(batch.score().waiting, 5);
    assert!(!batch.is_under_way());
}

#[test]
fn what_cannot_be_entered_stops_the_rest() {
    let apps = paths(3);
    let mut batch = Batch::new(Ticket(1), order(CmdName::Stop, &apps, Pace::Ones), &Fleet::default(), NOW);
    assert_eq!(count(batch.next(NOW)), 1);
    batch.submitted(Ticket(1), &Err(StoreError::Unavailable("away".to_owned())));
    assert_eq!(count(batch.next(NOW)), 0);
    assert!(batch.silence(NOW + Duration::from_secs(60)).is_none(), "nothing is pending");
}

#[test]
fn undo_restores_each_former_value_and_names_what_others_changed() {
    let apps = paths(4);
    let mut fleet = Fleet::default();
    let mut before: Vec<_> = apps.iter().map(|path| row(path)).collect();
    // One was disabled already.
    before[3].app.disabled = true;
    fleet.apply(delta(before.clone()), noon());
    let mut batch = Batch::new(Ticket(1), order(CmdName::Disable, &apps, Pace::All), &fleet, NOW);
    batch.next(NOW);
    let rows =
        apps.iter().zip(1..).map(|(app, number)| command(number, app, CmdName::Disable, CmdFlag::Executed));
    batch.submitted(Ticket(1), &Ok(rows.collect()));
    let last = |number, by: &str| LastCommand {
        id: Some(CommandId(number)),
        name: CmdName::Disable,
        flag: CmdFlag::Executed,
        by: Some(by.to_owned()),
        time: Some(noon()),
        executed: Some(noon()),
    };
    let mut after = before;
    for (row, number) in after.iter_mut().zip(1..) {
        row.app.disabled = true;
        row.command = Some(last(number, "ana"));
    }
    // Somebody sent something else to one of them since.
    after[1].command = Some(last(99, "marko"));
    fleet.apply(delta(after), noon());
    let undo = batch.undo(&fleet);
    assert_eq!(undo.name, CmdName::Enable);
    assert_eq!(undo.apps, [id("g/p/a0"), id("g/p/a2")]);
    assert_eq!(undo.changed_since, ["g/p/a1"]);
    let mut stop = Batch::new(Ticket(2), order(CmdName::Stop, &apps, Pace::All), &fleet, NOW);
    stop.next(NOW);
    assert!(!stop.is_undoable());
    fleet.apply(delta(vec![running("g/p/a0", 1, 1, 2)]), noon());
}

#[test]
fn ten_thousand_apps_are_undone_within_a_key_press() {
    let apps = paths(10_000);
    let mut fleet = Fleet::default();
    fleet.apply(delta(apps.iter().map(|path| row(path)).collect()), noon());
    let mut batch = Batch::new(Ticket(1), order(CmdName::Disable, &apps, Pace::All), &fleet, NOW);
    batch.next(NOW);
    let rows =
        apps.iter().zip(1..).map(|(app, number)| command(number, app, CmdName::Disable, CmdFlag::Executed));
    batch.submitted(Ticket(1), &Ok(rows.collect()));
    let disabled = apps.iter().map(|path| {
        let mut row = row(path);
        row.app.disabled = true;
        row
    });
    fleet.apply(delta(disabled.collect()), noon());
    let begin = crate::process::clock::boot_time();
    let undo = batch.undo(&fleet);
    // Milliseconds; a search of all rows for each app takes minutes in an unoptimised build.
    let took = crate::process::clock::boot_time().saturating_sub(begin);
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!((undo.apps.len(), undo.changed_since.len()), (10_000, 0));
}
