//! Logs of apps on other hosts, by way of the database.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use dcm::model::AppId;
use dcm::store::{OpenMode, OperatorStore as _, PostgresStore};

use crate::fleet::Fleet;
use crate::postgres::{Schema, block_on};

/// A state directory of its own is another host as far as logs go.
fn host(schema: &Schema) -> Fleet {
    let mut fleet = Fleet::bare();
    fleet.set("DC_DATABASE_URL", schema.url());
    fleet
}

#[test]
fn the_end_of_a_log_is_read_from_another_host() {
    let schema = Schema::new();
    let here = host(&schema);
    here.dcm(&["db", "migrate"]).ok();
    here.add("a/b/ticks", &[], &["sh", "-c", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.2; done"]);
    here.add("a/b/fails", &[], &["sh", "-c", "echo the last words; exit 3"]);
    let log = std::fs::File::create(here.dir.path().join("manager.log")).unwrap();
    let mut manager = here.command().arg("--headless").stderr(log).spawn().unwrap();
    here.dcm(&["start", "a/b/ticks", "a/b/fails", "--wait"]).ok();

    let afar = host(&schema);
    let called = afar.dcm(&["logs", "a/b/ticks", "-n", "2"]);
    assert_eq!(called.code, 0, "{called:?}");
    assert!(called.out.starts_with("tick "), "{called:?}");
    assert!(called.err.contains("the end of run") && called.err.contains("its host"), "{called:?}");
    // Nobody asked for this one while it ran.
    let store = PostgresStore::connect(schema.url(), OpenMode::Existing).unwrap();
    let fails = AppId::of(&"a/b/fails".parse().unwrap());
    block_on(crate::postgres::until("the end of a failed run", async || {
        store.kept_log(fails, None).await.unwrap()
    }));
    let called = afar.dcm(&["logs", "a/b/fails"]);
    assert_eq!((called.code, called.out.as_str()), (0, "the last words\n"), "{called:?}");
    let called = here.dcm(&["logs", "a/b/fails"]);
    assert!(!called.err.contains("from manager"), "from the file: {called:?}");

    // Each line comes once, in its order.
    let mut follower = afar
        .command()
        .args(["logs", "a/b/ticks", "-f", "-n", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines: Vec<u32> = BufReader::new(follower.stdout.take().unwrap())
        .lines()
        .map(|line| line.unwrap().strip_prefix("tick ").unwrap().parse().unwrap())
        .take(15)
        .collect();
    follower.kill().unwrap();
    follower.wait().unwrap();
    assert!(lines.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{lines:?}");
    manager.kill().unwrap();
    manager.wait().unwrap();
    here.dcm(&["stop-apps"]).ok();
    // Nothing comes any more, and it is told how old it is.
    let called = afar.dcm(&["logs", "a/b/ticks", "-n", "1"]);
    assert!(called.out.starts_with("tick ") && called.err.contains("s old"), "{called:?}");
}
