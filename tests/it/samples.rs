//! Samples of the counters, kept by the databases themselves: whoever counts, by whatever way, is in them.

use dcm::model::{AppRow, Counted, Registered, Revision};
use dcm::store::{OpenMode, OperatorStore, PostgresStore, SqliteStore};

use crate::fleet::Fleet;
use crate::postgres::Schema;

/// A step of a story: what another program does, and what the row has counted in its ten minutes after it.
type Step = (&'static str, u64, u64);

/// An app that runs; from then on counters are written by SQL alone.
const BEGIN: &str = "INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'c'); \
    UPDATE apps SET run_status = 1, runtime = '00000000000040008000000000000001', solved = 0, failed = 0";

const STORY: &[Step] = &[
    ("UPDATE apps SET solved = 5", 5, 0),
    ("UPDATE apps SET solved = solved + 2, failed = 1", 7, 1),
    // Later: other slots, and at last the first of them is forgotten, whether a slot of the clock ends meanwhile or not.
    ("UPDATE apps SET sampled = sampled - 5", 7, 1),
    ("UPDATE apps SET solved = solved + 10", 17, 1),
    ("UPDATE apps SET sampled = sampled - 22; UPDATE apps SET failed = 2", 17, 2),
    ("UPDATE apps SET sampled = sampled - 5; UPDATE apps SET solved = solved + 1", 11, 1),
    ("UPDATE apps SET sampled = sampled - 30; UPDATE apps SET solved = solved + 3", 3, 0),
    // The clock was set back.
    ("UPDATE apps SET sampled = sampled + 100; UPDATE apps SET solved = solved + 4", 4, 0),
    // Less is no negative increase, and neither is a new run that begins with 0 or with what it has done.
    ("UPDATE apps SET solved = 1", 4, 0),
    ("UPDATE apps SET runtime = '00000000000040008000000000000002', solved = 900, failed = 90", 4, 0),
    ("UPDATE apps SET solved = 901", 5, 0),
    ("UPDATE apps SET run_status = 0, solved = 0; UPDATE apps SET solved = 77", 5, 0),
    // What is no ring begins again.
    (
        "UPDATE apps SET run_status = 1, solved_samples = 'x', failed_samples = ''; UPDATE apps SET solved = 80",
        3,
        0,
    ),
    ("UPDATE apps SET sampled = NULL; UPDATE apps SET failed = 100", 0, 10),
    ("UPDATE apps SET solved = 9000000000000000000", 99_999_999, 10),
];

async fn row(store: &dyn OperatorStore) -> AppRow {
    let rows = store.changes_since(Revision::default()).await.unwrap().rows;
    rows.into_iter().map(Registered::into_row).next().unwrap()
}

fn counted(row: &AppRow) -> Counted {
    row.samples.as_ref().map_or_else(Counted::default, |samples| samples.since(i64::MIN))
}

/// Tells the story; what counts is the same in both databases.
async fn tell(store: &dyn OperatorStore, sql: impl Fn(&str)) {
    sql(BEGIN);
    assert_eq!(row(store).await.samples, None);
    for (step, solved, failed) in STORY {
        sql(step);
        let expected = Counted { solved: *solved, failed: *failed };
        assert_eq!(counted(&row(store).await), expected, "{step}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn an_embedded_database_keeps_them() {
    let fleet = Fleet::new();
    let store = SqliteStore::open(&fleet.database(), OpenMode::Existing).unwrap();
    runtime().block_on(tell(&store, |sql| fleet.sql(sql)));
}

#[test]
fn a_server_keeps_them() {
    let schema = Schema::new();
    runtime().block_on(async {
        let store = PostgresStore::connect(schema.url(), OpenMode::Create).unwrap();
        store.time().await.unwrap();
        tell(&store, |sql| {
            std::thread::scope(|scope| scope.spawn(|| schema.sql(sql)).join().unwrap());
        })
        .await;
    });
}

#[test]
fn what_an_app_reports_is_in_them_and_goes_with_its_row() {
    let fleet = Fleet::with_manager();
    let report = "echo '::dcm {\"task_size\": 9, \"solved\": 3}'; sleep 600";
    fleet.add("a/b/c", &[], &["sh", "-c", report]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let row = fleet.until("a/b/c", "has counted", |row| row.progress.solved == 3);
    assert_eq!(counted(&row).solved, 3);
    fleet.dcm(&["stop", "a/b/c", "--wait=30"]).ok();
    fleet.dcm(&["app", "rename", "a/b/c", "a/b/d"]).ok();
    assert_eq!(counted(&fleet.app("a/b/d")).solved, 3);
}
