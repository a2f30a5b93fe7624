//! Documents from a watched directory through two stages, by real Dramatiq workers that are apps of the manager.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value;

use crate::fleet::{Fleet, is_alive};
use crate::rabbit::Host;

/// Several hundred documents on a busy host.
const PATIENCE: Duration = Duration::from_secs(180);

/// Both stages. They note what they did in files named after the document, and take long enough to be interrupted.
const WORKERS: &str = r#"
import os, time
from pathlib import Path
import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from data_collector.pipeline import BaseWorker, PipelineMiddleware

HERE = Path(__file__).parent
broker = RabbitmqBroker(url=os.environ["BROKER"])
broker.add_middleware(PipelineMiddleware())
dramatiq.set_broker(broker)

def note(stage, document, text):
    # Written beside and renamed: whole, or not there.
    place = HERE / stage / Path(document.path).name
    beside = place.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}")
    beside.write_text(text)
    beside.rename(place)

class Read(BaseWorker):
    queue = "read"
    max_retries = 1
    min_backoff = max_backoff = 10

    def process(self, document):
        text = open(document.path).read()
        if text == "poison" and not (HERE / "cure").exists():
            raise ValueError("it is poison")
        time.sleep(0.02)
        note("read", document, text.upper())
        return "paper.text"

class Count(BaseWorker):
    queue = "count"

    def process(self, document):
        note("count", document, str(len((HERE / "read" / Path(document.path).name).read_text())))
"#;

/// The Python of the tests, with Dramatiq and the package below `python/`.
pub(crate) fn python() -> String {
    let python = std::env::var("DCM_TEST_PYTHON").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python"),
        PathBuf::from,
    );
    assert!(python.exists(), "{} is missing: tests/venv.sh makes it", python.display());
    python.display().to_string()
}

/// A directory of papers, and a worker for both stages.
struct Office {
    fleet: Fleet,
    _host: Host,
}

const WORKER: &str = "office/workers/stages";

impl Office {
    fn new() -> Self {
        let host = Host::new();
        let mut fleet = Fleet::new();
        let here = fleet.dir.path().to_owned();
        for folder in ["in", "read", "count"] {
            fs::create_dir(here.join(folder)).unwrap();
        }
        fs::write(here.join("workers.py"), WORKERS).unwrap();
        let argv = [&python(), "-m", "dramatiq", "workers", "--processes", "1", "--threads", "4"];
        let cwd = here.display().to_string();
        let broker = format!("BROKER={}", host.url());
        fleet.add(
            WORKER,
            &["--always", "--min-uptime", "0", "--pass-database", "true", "--cwd", &cwd, "--env", &broker],
            &argv,
        );
        let watched = ["watch", "add", "papers", "in", "--topic", "paper.new", "--pattern", "*.txt"];
        fleet.dcm(&[&watched[..], &["--stable-seconds", "0.2"]].concat()).ok();
        fleet.dcm(&["route", "add", "paper.new", "--queue", "read", "--actor", "read"]).ok();
        fleet.dcm(&["route", "add", "paper.text", "--queue", "count", "--actor", "count"]).ok();
        fleet.set("DC_RABBITMQ_URL", &host.url());
        fleet.start_manager();
        Self { fleet, _host: host }
    }

    fn drop_paper(&self, name: &str, text: &str) {
        let place = self.fleet.dir.path().join("in").join(name);
        let beside = place.with_extension("part");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, place).unwrap();
    }

    /// Waits until so many stages have a status.
    fn until_status(&self, status: i64, count: usize) {
        let sql = format!("SELECT count(*) FROM pipeline_task WHERE status = {status}");
        self.fleet.until_query_within(PATIENCE, &sql, &format!("[[Integer({count})]]"));
    }

    /// The names of what a stage has made.
    fn made(&self, stage: &str) -> BTreeSet<String> {
        let of = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let folder = fs::read_dir(self.fleet.dir.path().join(stage)).unwrap();
        folder
            .map(|entry| of(&entry.unwrap().path()))
            .filter(|name| name.strip_suffix(".txt").is_some())
            .collect()
    }
}

#[test]
fn papers_go_through_two_stages_and_poison_waits_for_a_person() {
    let office = Office::new();
    let names: BTreeSet<_> = (0..20).map(|number| format!("{number}.txt")).collect();
    for name in &names {
        office.drop_paper(name, &format!("paper {name}"));
    }
    office.drop_paper("poison.txt", "poison");
    office.until_status(3, 40);
    office.until_status(5, 1);
    assert_eq!((office.made("read"), office.made("count")), (names.clone(), names.clone()));
    let dead = office.fleet.query("SELECT stage, attempts, error FROM pipeline_task WHERE status = 5");
    let expected =
        [Value::from("read".to_owned()), Value::from(2), Value::from("ValueError: it is poison".to_owned())];
    assert_eq!(dead, [expected]);
    // Each of them has the whole way on record.
    let stages = "SELECT count(*) FROM pipeline_task AS second JOIN pipeline_task AS first ON first.id = second.parent \
                  WHERE first.stage = 'read' AND second.stage = 'count' AND first.document = second.document \
                  AND first.finished <= second.started AND first.attempts = 1 AND second.attempts = 1 \
                  AND first.sent IS NOT NULL AND second.sent IS NOT NULL";
    office.fleet.until_query(stages, "[[Integer(20)]]");

    fs::write(office.fleet.dir.path().join("cure"), "").unwrap();
    office.fleet.dcm(&["documents", "retry", "--status", "dead"]).ok();
    office.until_status(3, 42);
    assert!(office.made("count").contains("poison.txt"));
    assert_eq!(office.fleet.query("SELECT count(*) FROM events"), [[Value::from(21)]]);
}

#[test]
fn what_is_killed_in_the_middle_loses_no_paper() {
    const PAPERS: usize = 200;
    let mut office = Office::new();
    let names: BTreeSet<_> = (0..PAPERS).map(|number| format!("{number}.txt")).collect();
    for (number, name) in names.iter().enumerate() {
        office.drop_paper(name, &format!("paper {name}"));
        // The first half is at work when the second one comes.
        if number == PAPERS / 2 {
            let begun = "SELECT count(*) > 5 FROM pipeline_task WHERE status = 3";
            office.fleet.until_query_within(PATIENCE, begun, "[[Integer(1)]]");
        }
    }
    for share in [4, 2, 1] {
        let done = format!("SELECT count(*) >= {} FROM pipeline_task WHERE status = 3", PAPERS / (share + 1));
        office.fleet.until_query_within(PATIENCE, &done, "[[Integer(1)]]");
        office.fleet.kill_manager();
        kill_group(&office.fleet);
        office.fleet.start_manager();
    }
    office.until_status(3, 2 * PAPERS);
    assert_eq!((office.made("read"), office.made("count")), (names.clone(), names));
    assert_eq!(
        office.fleet.query("SELECT count(*) FROM events"),
        [[Value::from(i64::try_from(PAPERS).unwrap())]]
    );
    assert_eq!(
        office
            .fleet
            .query("SELECT count(*), count(DISTINCT event_id) FROM pipeline_task WHERE parent IS NOT NULL"),
        [[Value::from(200), Value::from(200)]]
    );
}

/// Ends the worker with all that it has started, as the kernel without memory would.
fn kill_group(fleet: &Fleet) {
    let is_there = |pid: Option<u32>| pid.is_some_and(is_alive);
    let pid = fleet.until(WORKER, "to run", |row| is_there(row.state.pid)).state.pid.unwrap();
    let group = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
}
