//! A fleet of short runs on a busy host, with shims and the manager killed now and then. What the tables say is compared
//! with what each process wrote about itself. `tests/soak.sh` is the long form.

mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use dcm::model::Timestamp;
use rusqlite::types::Value;

use self::record::{Life, Row, false_outcomes, lost_times, overlaps, read};
use crate::fleet::Fleet;

/// Every fifth app runs by the calendar, this many seconds apart; the others one second after their last run.
const PERIOD: i64 = 2;

/// How often the tables are read: rows must be seen before they are pruned.
const GATHER_EVERY: Duration = Duration::from_secs(2);

/// How many runs of each app are kept in a long soak, so that the number of rows can be seen to stay.
const RUNS_KEPT: usize = 100;

struct Scale {
    seconds: u64,
    apps: usize,
    shim_kill_every: Duration,
    manager_kill_every: Duration,
    loaded: bool,
}

impl Scale {
    /// `DCM_SOAK=SECONDS,APPS` asks for a long one.
    fn asked() -> Self {
        let text = std::env::var("DCM_SOAK").unwrap_or_default();
        let long = text.split_once(',').and_then(|(s, a)| Some((s.parse().ok()?, a.parse().ok()?)));
        match long {
            Some((seconds, apps)) => Self {
                seconds,
                apps,
                shim_kill_every: Duration::from_secs(7),
                manager_kill_every: Duration::from_secs(150),
                loaded: true,
            },
            None => Self {
                seconds: 14,
                apps: 20,
                shim_kill_every: Duration::from_secs(2),
                manager_kill_every: Duration::from_secs(5),
                loaded: false,
            },
        }
    }
}

/// Keeps a core busy as long as it lives.
struct Load(Child);

impl Load {
    fn begin() -> Self {
        Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a living manager takes.
#[derive(Debug, Clone, Copy)]
struct Sample {
    second: u64,
    resident_kb: u64,
    descriptors: usize,
    rows: usize,
}

struct Soak {
    fleet: Fleet,
    /// A group of its own name: other tests run shims too.
    group: String,
    record: PathBuf,
    rows: BTreeMap<String, Row>,
    /// Due times of the apps that run by the calendar.
    due: BTreeMap<String, BTreeSet<i64>>,
    skips: BTreeMap<String, Vec<(i64, i64)>>,
    disturbed: BTreeSet<String>,
    zombies: BTreeSet<u32>,
    zombies_that_stayed: BTreeSet<u32>,
    samples: Vec<Sample>,
    random: u64,
}

impl Soak {
    fn begin(scale: &Scale) -> Self {
        let mut fleet = Fleet::new();
        let group = format!("soak{}", std::process::id());
        let (record, program) = (fleet.dir.path().join("record"), fleet.dir.path().join("recorded"));
        let built =
            Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(Fleet::script("recorded.c")).status();
        assert!(built.unwrap().success());
        let settings = fleet.dir.path().join("dcm.toml");
        fs::write(&settings, format!("[retention]\nruns_per_app_max = {RUNS_KEPT}\n")).unwrap();
        fleet.set("DC_CONFIG", settings.to_str().unwrap());
        let apps = (0..scale.apps).map(|number| {
            let (name, when) = if number % 5 == 0 {
                (format!("timed{number}"), format!("cron = '*/{PERIOD} * * * * *'"))
            } else {
                (format!("app{number}"), "interval = 0.0166667".to_owned())
            };
            format!(
                "[[app]]\npath = '{group}/x/{name}'\ncommand = ['{}']\n{when}\nenabled = true\nmax_failures = 0\n\
                 [app.env]\nRECORD = '{}'\n",
                program.display(),
                record.display()
            )
        });
        let file = fleet.dir.path().join("fleet.toml");
        fs::write(&file, apps.collect::<String>()).unwrap();
        fleet.dcm(&["app", "import", file.to_str().unwrap()]).ok();
        fleet.start_manager();
        Self {
            fleet,
            group,
            record,
            rows: BTreeMap::new(),
            due: BTreeMap::new(),
            skips: BTreeMap::new(),
            disturbed: BTreeSet::new(),
            zombies: BTreeSet::new(),
            zombies_that_stayed: BTreeSet::new(),
            samples: Vec::new(),
            random: 0x2545_f491_4f6c_dd1d,
        }
    }

    fn go_on(&mut self, scale: &Scale) {
        let begun = Instant::now();
        let (mut shim_at, mut manager_at) = (scale.shim_kill_every, scale.manager_kill_every);
        while begun.elapsed() < Duration::from_secs(scale.seconds) {
            // Nothing is waited for: time passes.
            std::thread::park_timeout(GATHER_EVERY);
            self.gather();
            self.sample(begun.elapsed().as_secs());
            if begun.elapsed() > shim_at {
                shim_at += scale.shim_kill_every;
                self.kill_a_shim();
            }
            if begun.elapsed() > manager_at {
                manager_at += scale.manager_kill_every;
                self.fleet.kill_manager();
                std::thread::park_timeout(Duration::from_millis(self.below(3000)));
                self.fleet.start_manager();
            }
        }
    }

    /// Ends the fleet, and reads the last rows.
    fn end(&mut self) {
        self.fleet.dcm(&["disable", "all", "--yes"]).ok();
        let deadline = Instant::now() + Duration::from_secs(120);
        let open = "SELECT (SELECT count(*) FROM runtime WHERE end_time IS NULL) + \
                    (SELECT count(*) FROM commands WHERE cmd_flag = 0)";
        while self.count(open) > 0 {
            assert!(Instant::now() < deadline, "runs or commands stay open");
            std::thread::park_timeout(Duration::from_millis(100));
        }
        self.gather();
        // What is a zombie now and two seconds later is one for good.
        self.note_zombies();
        std::thread::park_timeout(GATHER_EVERY);
        self.note_zombies();
    }

    fn gather(&mut self) {
        let sql = "SELECT r.runtime, r.outcome, r.exit_code, r.due_time, a.app_name FROM runtime r JOIN apps a ON a.app = r.app_id";
        for row in self.fleet.query(sql) {
            let [Value::Text(run), outcome, exit_code, due, Value::Text(app)] = &row[..] else {
                panic!("{row:?}")
            };
            let outcome = if let Value::Text(outcome) = outcome { Some(outcome.clone()) } else { None };
            let exit_code = if let Value::Integer(code) = exit_code { Some(*code) } else { None };
            self.rows.insert(run.clone(), Row { outcome, exit_code });
            if let (Value::Text(due), true) = (due, app.starts_with("timed")) {
                self.due.entry(app.clone()).or_default().insert(second(due));
            }
        }
        let sql = "SELECT a.app_name, s.first_due, s.last_due FROM skips s JOIN apps a ON a.app = s.app_id";
        self.skips.clear();
        for row in self.fleet.query(sql) {
            let [Value::Text(app), Value::Text(first), Value::Text(last)] = &row[..] else {
                panic!("{row:?}")
            };
            self.skips.entry(app.clone()).or_default().push((second(first), second(last)));
        }
    }

    fn count(&self, sql: &str) -> usize {
        let Value::Integer(count) = self.fleet.query(sql)[0][0] else { panic!("{sql} counts nothing") };
        usize::try_from(count).unwrap()
    }

    fn sample(&mut self, at: u64) {
        self.note_zombies();
        let manager = self.fleet.manager_pid();
        let status = fs::read_to_string(format!("/proc/{manager}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident_kb = resident.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        let descriptors = fs::read_dir(format!("/proc/{manager}/fd")).map_or(0, Iterator::count);
        let rows = self.count("SELECT count(*) FROM runtime");
        self.samples.push(Sample { second: at, resident_kb, descriptors, rows });
    }

    /// A zombie that was one at the last look as well is not being reaped.
    fn note_zombies(&mut self) {
        let manager = self.fleet.manager_pid();
        let processes = processes();
        let is_of_manager = |parent: u32| {
            parent == manager || processes.get(&parent).is_some_and(|process| process.parent == manager)
        };
        let zombies: BTreeSet<_> = processes
            .iter()
            .filter(|(_, process)| process.is_zombie && is_of_manager(process.parent))
            .map(|(pid, _)| *pid)
            .collect();
        self.zombies_that_stayed.extend(zombies.intersection(&self.zombies));
        self.zombies = zombies;
    }

    fn kill_a_shim(&mut self) {
        let title = format!("dcm shim {}/", self.group);
        let shims: Vec<_> = processes()
            .into_keys()
            .filter_map(|pid| {
                let text = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
                let text = String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned();
                let run = text.strip_prefix(&title)?.split_once(' ')?.1.to_owned();
                Some((pid, run))
            })
            .collect();
        if shims.is_empty() {
            return;
        }
        let (pid, run) = shims[usize::try_from(self.below(shims.len() as u64)).unwrap()].clone();
        self.disturbed.insert(run);
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
        // It may have ended by itself.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }

    fn below(&mut self, most: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % most
    }

    fn lives(&self) -> BTreeMap<String, Life> {
        read(&fs::read_to_string(&self.record).unwrap())
    }

    fn lost(&self) -> Vec<String> {
        let none = Vec::new();
        let lost = |(app, due): (&String, &BTreeSet<i64>)| {
            let skips = self.skips.get(app).unwrap_or(&none);
            lost_times(due, skips, PERIOD).into_iter().map(|time| format!("{app} {time}")).collect::<Vec<_>>()
        };
        self.due.iter().flat_map(lost).collect()
    }
}

struct Process {
    parent: u32,
    is_zombie: bool,
}

fn processes() -> BTreeMap<u32, Process> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let is_zombie = fields.next()? == "Z";
        Some((pid, Process { parent: fields.next()?.parse().ok()?, is_zombie }))
    })
    .collect()
}

fn second(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().timestamp()
}

#[test]
fn short_runs_on_a_busy_host_are_recorded_as_they_were() {
    let scale = Scale::asked();
    let load: Vec<_> = (0..2).filter(|_| scale.loaded).map(|_| Load::begin()).collect();
    let mut soak = Soak::begin(&scale);
    soak.go_on(&scale);
    soak.end();
    drop(load);
    let lives = soak.lives();
    let (false_outcomes, overlaps, lost) =
        (false_outcomes(&lives, &soak.rows, &soak.disturbed), overlaps(&lives), soak.lost());
    let mut report = format!(
        "soak of {} apps, {} s: {} processes, {} rows, {} shims killed: {} false outcomes, {} overlaps, {} lost times, {} zombies\n",
        scale.apps,
        scale.seconds,
        lives.len(),
        soak.rows.len(),
        soak.disturbed.len(),
        false_outcomes.len(),
        overlaps.len(),
        lost.len(),
        soak.zombies_that_stayed.len(),
    );
    let step = (soak.samples.len() / 12).max(1);
    for sample in soak.samples.iter().skip(step - 1).step_by(step) {
        let Sample { second, resident_kb, descriptors, rows } = sample;
        let line = format!(
            "after {second} s: manager {resident_kb} kB, {descriptors} descriptors, {rows} rows of runs\n"
        );
        report.push_str(&line);
    }
    // The gate shows the counts of a soak that passed as well.
    std::io::stderr().write_all(report.as_bytes()).unwrap();
    assert!(lives.len() > scale.apps, "the fleet ran");
    let faults: Vec<_> = false_outcomes.into_iter().chain(overlaps).chain(lost).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(soak.zombies_that_stayed.is_empty(), "{:?}", soak.zombies_that_stayed);
    if scale.loaded {
        let kept = soak.samples.iter().map(|sample| sample.rows).max().unwrap_or(0);
        assert!(kept <= scale.apps * RUNS_KEPT * 2, "{kept} rows of runs are kept");
    }
}
