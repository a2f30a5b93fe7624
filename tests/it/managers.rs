//! Several managers on one PostgreSQL: real processes, a real server, and networks that fail. Times are
//! a tenth or so of the default ones, by the setting `lease`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dcm::model::{AppId, AppRow, CmdFlag, Registered, Timestamp};
use dcm::store::{
    AlertQuery, HistoryQuery, LedgerQuery, OpenMode, OperatorStore as _, PostgresStore, SkipQuery,
};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::endpoint::{Endpoint, Reply};
use crate::fleet::{Called, Fleet, PATIENCE, send_signal};
use crate::postgres::Schema;
use crate::proxy::Proxy;
use crate::recorder::{Life, Recorder, living};

/// Seconds that a lease lasts.
const LEASE: f64 = 3.0;

/// Hosts that share a database, each with a line of its own to it.
struct Land {
    schema: Schema,
    recorder: Recorder,
    dir: TempDir,
}

/// A manager, its state directory, and its line to the database.
struct Host {
    name: String,
    dir: TempDir,
    proxy: Proxy,
    manager: Option<Child>,
}

impl Land {
    fn new() -> Self {
        let land =
            Self { schema: Schema::new(), recorder: Recorder::new(), dir: tempfile::tempdir().unwrap() };
        land.dcm(&["db", "migrate"]).ok();
        land
    }

    fn host(&self, name: &str, pools: &str) -> Host {
        self.host_with(name, pools, "")
    }

    /// One with more in its configuration.
    fn host_with(&self, name: &str, pools: &str, more: &str) -> Host {
        let dir = tempfile::tempdir().unwrap();
        let config = format!("name = \"{name}\"\nlease = {LEASE:?}\npools = [{pools}]\n{more}");
        std::fs::write(dir.path().join("dcm.toml"), config).unwrap();
        let proxy = Proxy::to_database(self.schema.url());
        let mut host = Host { name: name.to_owned(), dir, proxy, manager: None };
        host.start(self);
        host
    }

    /// Calls the program from a machine without a manager.
    fn dcm(&self, arguments: &[&str]) -> Called {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
        command.env("DC_STATE_DIR", self.dir.path().join("state")).env("DC_CONFIG", "/dev/null");
        command.args(arguments).env("DC_DATABASE_URL", self.schema.url()).stdin(Stdio::null());
        Called::from(command.output().unwrap())
    }

    /// An app that lives until it is ended, or for so long.
    fn add(&self, name: &str, options: &[&str], seconds: &str) {
        let (script, port, path) =
            (Fleet::script("recorded.py"), self.recorder.port(), format!("a/b/{name}"));
        let arguments: Vec<_> = ["app", "add", &path, "--enable", "--stop-grace", "1"]
            .into_iter()
            .chain(options.iter().copied())
            .chain(["--", "python3", &script, &port, seconds])
            .collect();
        self.dcm(&arguments).ok();
    }

    /// Waits until the database is as asked for; each change of it is an occasion to look.
    fn until<T>(&self, what: &str, look: impl AsyncFn(&PostgresStore) -> Option<T>) -> T {
        let store = PostgresStore::connect(self.schema.url(), OpenMode::Existing).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let deadline = Instant::now() + PATIENCE;
            let mut changed = store.changed();
            loop {
                changed.mark_unchanged();
                if let Some(found) = look(&store).await {
                    return found;
                }
                assert!(Instant::now() < deadline, "not in time: {what}");
                let _ = timeout(Duration::from_millis(500), changed.changed()).await;
            }
        })
    }

    /// Waits until the row of an app is as asked for.
    fn until_app(&self, name: &str, what: &str, is_so: impl Fn(&AppRow) -> bool) -> AppRow {
        let id = AppId::of(&format!("a/b/{name}").parse().unwrap());
        self.until(&format!("{name}: {what}"), async |store| {
            match store.apps(vec![id]).await.ok()?.pop()? {
                Registered::App(row) => Some(*row).filter(&is_so),
                Registered::SetAside(_) => None,
            }
        })
    }

    fn owner(&self, name: &str) -> String {
        self.until_app(name, "has a manager", |row| row.state.manager.is_some()).state.manager.unwrap()
    }

    fn outcomes(&self, name: &str) -> Vec<String> {
        let called = self.dcm(&["history", &format!("a/b/{name}"), "--json"]).ok();
        let runs: Vec<serde_json::Value> = serde_json::from_str(&called.out).unwrap();
        runs.iter().rev().map(|run| run["outcome"].as_str().unwrap_or("running").to_owned()).collect()
    }
}

impl Host {
    fn start(&mut self, land: &Land) {
        let log =
            std::fs::File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
        command.arg("--headless").env("DC_STATE_DIR", self.state());
        command.env("DC_CONFIG", self.dir.path().join("dcm.toml")).env("HOST_NAME", &self.name);
        command.env("DC_DATABASE_URL", self.proxy.url(land.schema.url()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let manager = command.spawn().unwrap();
        let pid = manager.id();
        self.manager = Some(manager);
        land.until(&format!("{} serves: {}", self.name, self.log()), async |store| {
            let managers = store.managers().await.ok()?;
            managers.iter().find(|row| row.pid == pid && row.stopped.is_none()).map(drop)
        });
    }

    fn state(&self) -> std::path::PathBuf {
        self.dir.path().join("state")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn signal(&self, signal: i32) {
        send_signal(self.manager.as_ref().unwrap().id(), signal);
    }

    fn kill(&mut self) {
        let mut manager = self.manager.take().unwrap();
        manager.kill().unwrap();
        manager.wait().unwrap();
    }

    fn stop(&mut self) {
        self.signal(libc::SIGTERM);
        assert!(self.manager.take().unwrap().wait().unwrap().success(), "{}", self.log());
    }
}

/// No process outlives its test.
impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut manager) = self.manager.take() {
            let _ = manager.kill();
            let _ = manager.wait();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
        command
            .args(["stop-apps", "--grace", "0"])
            .env("DC_STATE_DIR", self.state())
            .env("DC_CONFIG", "/dev/null");
        let _ = command.stdin(Stdio::null()).output();
    }
}

const EXCLUSIVE: [&str; 2] = ["--failover", "exclusive"];

/// The process of each app, once all of them live.
fn all_live(land: &Land, names: &[String]) -> Vec<Life> {
    land.recorder.until("all live", |lives| names.iter().map(|name| living(lives, name).cloned()).collect())
}

fn names(stem: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{stem}{number}")).collect()
}

/// Registers apps and starts them.
fn begin(land: &Land, names: &[String], options: &[&str]) -> Vec<Life> {
    for name in names {
        land.add(name, options, "600");
    }
    let paths: Vec<_> = names.iter().map(|name| format!("a/b/{name}")).collect();
    let arguments: Vec<_> = ["start"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    land.dcm(&arguments).ok();
    all_live(land, names)
}

/// Whether the same processes live as before.
fn unharmed(land: &Land, before: &[Life]) {
    let lives = land.recorder.lives();
    for life in before {
        let now = lives.iter().find(|now| now.run == life.run).unwrap();
        assert!(now.ended.is_none(), "{now:?}");
    }
}

fn on<'a>(lives: &'a [Life], host: &str) -> Vec<&'a Life> {
    lives.iter().filter(|life| life.host == host).collect()
}

#[test]
fn a_host_that_is_cut_off_loses_what_others_may_run_and_nothing_runs_twice() {
    let land = Land::new();
    let (cut, mut other) = (land.host("cut", ""), land.host("other", ""));
    let single = names("single", 6);
    let before = begin(&land, &single, &EXCLUSIVE);
    let pinned = begin(&land, &names("pinned", 6), &[]);
    let twice = begin(&land, &names("twice", 6), &["--failover", "at_least_once"]);
    let mine = |lives: &[Life]| on(lives, "cut").into_iter().map(|life| life.app.clone()).collect::<Vec<_>>();
    let moved = [mine(&before), mine(&twice)].concat();
    assert!(!mine(&before).is_empty() && !mine(&pinned).is_empty() && !mine(&twice).is_empty());

    cut.proxy.cut();
    land.recorder.until("the other has them", |lives| {
        moved
            .iter()
            .all(|app| {
                lives.iter().any(|life| life.app == *app && life.host == "other" && life.ended.is_none())
            })
            .then_some(())
    });
    let overlaps = land.recorder.overlaps();
    assert!(overlaps.iter().all(|(first, _)| first.app.starts_with("twice")), "{overlaps:#?}");
    unharmed(&land, &pinned);
    for app in mine(&before) {
        assert_eq!(land.outcomes(&app), ["lost_owner", "running"]);
    }
    // The token of the new owner is greater.
    let epoch = |life: &Life| life.fence.rsplit(':').next().unwrap().parse::<u64>().unwrap();
    let lives = land.recorder.lives();
    for app in &moved {
        let of: Vec<_> = lives.iter().filter(|life| life.app == *app).collect();
        assert!(epoch(of[0]) < epoch(of[1]), "{of:?}");
    }

    // Back again it keeps what is its own, and ends the second copies.
    cut.proxy.heal();
    land.recorder.until("second copies are ended", |lives| {
        mine(&twice)
            .iter()
            .all(|app| lives.iter().filter(|life| life.app == *app && life.ended.is_none()).count() == 1)
            .then_some(())
    });
    unharmed(&land, &pinned);
    let stays = mine(&pinned).remove(0);
    land.dcm(&["stop", &format!("a/b/{stays}"), "--wait=20"]).ok();
    assert_eq!(land.outcomes(&stays), ["stopped"]);
    other.stop();
}

#[test]
fn a_manager_that_is_killed_and_comes_back_disturbs_nobody() {
    let land = Land::new();
    let (mut first, _second) = (land.host("first", ""), land.host("second", ""));
    let mut before = begin(&land, &names("single", 6), &EXCLUSIVE);
    before.extend(begin(&land, &names("pinned", 4), &[]));
    for _ in 0..3 {
        first.kill();
        first.start(&land);
    }
    // What was done meanwhile is done by the new one.
    let stopped = on(&before, "first")[0].app.clone();
    land.dcm(&["stop", &format!("a/b/{stopped}"), "--wait=20"]).ok();
    let rest: Vec<_> = before.into_iter().filter(|life| life.app != stopped).collect();
    unharmed(&land, &rest);
    assert_eq!(land.recorder.overlaps().len(), 0);
}

#[test]
fn a_manager_that_slept_finds_itself_deposed_and_harms_nothing() {
    let land = Land::new();
    let (sleeper, _other) = (land.host("sleeper", ""), land.host("other", ""));
    let before = begin(&land, &names("single", 6), &EXCLUSIVE);
    let pinned = begin(&land, &names("pinned", 6), &[]);
    let mine: Vec<_> = on(&before, "sleeper").iter().map(|life| life.app.clone()).collect();
    let own: Vec<_> = on(&pinned, "sleeper").iter().map(|life| life.app.clone()).collect();
    assert!(!mine.is_empty() && own.len() > 1);
    sleeper.signal(libc::SIGSTOP);
    land.recorder.until("the other has them", |lives| {
        let there = |app: &String| lives.iter().any(|life| life.app == *app && life.host == "other");
        mine.iter().all(there).then_some(())
    });
    let status = land.dcm(&["status"]).ok().out;
    assert!(status.contains("unheard"), "{status}");
    let managers: Vec<serde_json::Value> =
        serde_json::from_str(&land.dcm(&["managers", "--json"]).ok().out).unwrap();
    let state = |row: &serde_json::Value| (row["state"].clone(), row["running"].is_null());
    let states: Vec<_> = managers.iter().map(state).collect();
    assert_eq!(states, [("live".into(), false), ("lost".into(), true)]);
    let why = land.dcm(&["why", &format!("a/b/{}", own[0])]).ok().out;
    assert!(why.contains("its manager sleeper"), "{why}");
    // Commands for what is still its own wait for it.
    let waiting = format!("a/b/{}", own[0]);
    land.dcm(&["stop", &waiting]).ok();
    let moved = land.recorder.lives();
    sleeper.signal(libc::SIGCONT);
    land.until_app(&own[0], "is stopped", |row| row.state.stopped_by.is_some());
    assert!(sleeper.log().contains("took this one for lost"), "{}", sleeper.log());
    assert_eq!(land.recorder.overlaps().len(), 0);
    let rest: Vec<_> = moved.into_iter().filter(|life| life.ended.is_none() && life.app != own[0]).collect();
    unharmed(&land, &rest);
}

#[test]
fn a_database_that_is_away_moves_nothing_and_ends_only_what_must_not_run_twice() {
    let land = Land::new();
    let (first, second) = (land.host("first", ""), land.host("second", ""));
    let single = names("single", 4);
    begin(&land, &single, &EXCLUSIVE);
    let mut others = begin(&land, &names("pinned", 4), &[]);
    others.extend(begin(&land, &names("twice", 4), &["--failover", "at_least_once"]));
    let owners: Vec<_> = single.iter().map(|name| land.owner(name)).collect();
    first.proxy.cut();
    second.proxy.cut();
    land.recorder.until("fenced apps end", |lives| {
        single.iter().all(|name| living(lives, name).is_none()).then_some(())
    });
    // Long enough for every lease to be over, and for one to come back before the other.
    land.recorder.pass(Duration::from_secs_f64(LEASE * 1.5));
    first.proxy.heal();
    land.until("the first is back", async |store| {
        let row = store.managers().await.ok()?.into_iter().find(|row| row.name == "first")?;
        row.is_live(store.time().await.ok()?).then_some(())
    });
    second.proxy.heal();
    all_live(&land, &single);
    let now: Vec<_> = single.iter().map(|name| land.owner(name)).collect();
    assert_eq!(now, owners);
    unharmed(&land, &others);
    assert_eq!(land.outcomes(&single[0]), ["fenced", "running"]);
    assert_eq!(land.recorder.overlaps().len(), 0);
}

#[test]
fn a_server_that_is_slow_for_one_makes_it_step_down_once_and_nothing_runs_twice() {
    let land = Land::new();
    let (slow, _other) = (land.host("slow", ""), land.host("other", ""));
    let before = begin(&land, &names("single", 6), &EXCLUSIVE);
    let pinned = begin(&land, &names("pinned", 6), &[]);
    let mine: Vec<_> = on(&before, "slow").iter().map(|life| life.app.clone()).collect();
    let own: Vec<_> = on(&pinned, "slow").iter().map(|life| life.app.clone()).collect();
    assert!(!mine.is_empty() && own.len() > 1);
    let epoch = |name: &str| land.until_app(name, "is there", |_| true).epoch;
    let epochs: Vec<_> = mine.iter().map(|name| epoch(name)).collect();
    // Slow, and still good enough for a lease of 3 s: nothing moves.
    slow.proxy.delay(Duration::from_millis(5));
    land.dcm(&["restart", &format!("a/b/{}", own[1]), "--wait=20"]).ok();
    land.recorder.pass(Duration::from_secs_f64(LEASE * 1.5));
    assert_eq!(mine.iter().map(|name| epoch(name)).collect::<Vec<_>>(), epochs);
    // Each answer is 1.5 s late: the lease cannot be kept.
    slow.proxy.delay(Duration::from_millis(750));
    land.dcm(&["stop", &format!("a/b/{}", own[0])]).ok();
    land.recorder.until("the other has them", |lives| {
        let there = |app: &String| {
            lives.iter().any(|life| life.app == *app && life.host == "other" && life.ended.is_none())
        };
        mine.iter().all(there).then_some(())
    });
    for name in &mine {
        assert_eq!(land.outcomes(name), ["lost_owner", "running"]);
    }
    land.recorder.pass(Duration::from_secs_f64(LEASE * 1.5));
    slow.proxy.heal();
    land.until_app(&own[0], "is stopped", |row| row.state.stopped_by.is_some());
    assert_eq!(land.recorder.overlaps().len(), 0);
    // Each app has moved once: released, claimed.
    let moved: Vec<_> = mine.iter().map(|name| epoch(name)).collect();
    assert_eq!(moved, epochs.iter().map(|epoch| epoch + 2).collect::<Vec<_>>());
    assert_eq!(slow.log().matches("took this one for lost").count(), 1, "{}", slow.log());
    land.until("every command has its verdict", async |store| {
        let rows = store.ledger(LedgerQuery { limit: 100, ..LedgerQuery::default() }).await.ok()?;
        rows.iter().all(|row| row.flag != CmdFlag::Pending).then_some(())
    });
}

#[test]
fn a_server_that_is_slow_for_all_moves_nothing() {
    let land = Land::new();
    let (first, second) = (land.host("first", ""), land.host("second", ""));
    let single = names("single", 4);
    begin(&land, &single, &EXCLUSIVE);
    let pinned = begin(&land, &names("pinned", 4), &[]);
    let owners: Vec<_> = single.iter().map(|name| land.owner(name)).collect();
    for host in [&first, &second] {
        host.proxy.delay(Duration::from_millis(750));
    }
    land.recorder.until("fenced apps end", |lives| {
        single.iter().all(|name| living(lives, name).is_none()).then_some(())
    });
    land.dcm(&["restart", "a/b/pinned0"]).ok();
    land.recorder.pass(Duration::from_secs_f64(LEASE * 1.5));
    for host in [&first, &second] {
        host.proxy.heal();
    }
    all_live(&land, &single);
    let now: Vec<_> = single.iter().map(|name| land.owner(name)).collect();
    assert_eq!(now, owners);
    unharmed(&land, &pinned[1..]);
    land.until("every command has its verdict", async |store| {
        let rows = store.ledger(LedgerQuery { limit: 100, ..LedgerQuery::default() }).await.ok()?;
        rows.iter().all(|row| row.flag != CmdFlag::Pending).then_some(())
    });
    assert_eq!(land.recorder.overlaps().len(), 0);
}

#[test]
fn a_manager_drains_and_leaves_in_order() {
    let land = Land::new();
    let (mut first, _second) = (land.host("first", ""), land.host("second", ""));
    let resting = names("resting", 8);
    for name in &resting {
        land.add(name, &["--failover", "exclusive", "--interval", "600"], "0");
    }
    let running = begin(&land, &names("single", 4), &["--failover", "manual"]);
    assert!(resting.iter().any(|name| land.owner(name) == "first"));
    let out = land.dcm(&["managers", "drain", "first"]).ok().out;
    assert!(out.contains("released"), "{out}");
    for name in &resting {
        land.until_app(name, "is the other's", |row| row.state.manager.as_deref() == Some("second"));
    }
    // What runs goes on until it ends; then it is given away as well.
    unharmed(&land, &running);
    let late = on(&running, "first")[0].app.clone();
    land.dcm(&["stop", &format!("a/b/{late}"), "--wait=20"]).ok();
    land.until_app(&late, "is the other's", |row| row.state.manager.as_deref() == Some("second"));
    let table = land.dcm(&["managers"]).ok().out;
    assert!(table.contains("draining") && table.contains("live"), "{table}");
    land.dcm(&["managers", "resume", "first"]).ok();

    land.add("new", &["--failover", "exclusive", "--pool", "north"], "600");
    first.stop();
    let _third = land.host("third", "\"north\"");
    land.until_app("new", "is the third's", |row| row.state.manager.as_deref() == Some("third"));
    land.dcm(&["managers", "takeover", "second", "--yes"]).refused(1, &["second lives"]);
    land.dcm(&["managers", "takeover", "nobody", "--yes"]).refused(1, &["no such manager"]);
    let kept = on(&running, "first").len() - 1;
    let out = land.dcm(&["managers", "takeover", "first", "--yes"]).ok().out;
    assert!(kept == 0 || out.contains("released"), "{out}");
}

#[test]
fn what_runs_always_is_taken_over_and_leaves_a_draining_host_with_a_restart() {
    let land = Land::new();
    let (mut lost, other) = (land.host("lost", ""), land.host("other", ""));
    let always = names("always", 6);
    for name in &always {
        land.add(name, &["--failover", "exclusive", "--always"], "600");
    }
    // Nobody gives a command.
    let before = all_live(&land, &always);
    let moved: Vec<_> = on(&before, "lost").into_iter().map(|life| life.app.clone()).collect();
    assert!(!moved.is_empty() && moved.len() < always.len(), "{before:?}");
    lost.kill();
    land.recorder.until("the other has them", |lives| {
        let lives_there = |life: &Life| life.host == "other" && life.ended.is_none();
        moved.iter().all(|app| lives.iter().any(|life| life.app == *app && lives_there(life))).then_some(())
    });
    for app in &moved {
        assert_eq!(land.outcomes(app), ["lost_owner", "running"]);
    }
    let stay: Vec<_> = before.into_iter().filter(|life| !moved.contains(&life.app)).collect();
    unharmed(&land, &stay);

    let _third = land.host("third", "");
    land.dcm(&["managers", "drain", "other"]).ok();
    // It takes a moment until the manager knows.
    land.until("the other drains", async |_| other.log().contains("nothing is started").then_some(()));
    unharmed(&land, &stay);
    let app = &stay[0].app;
    land.dcm(&["restart", &format!("a/b/{app}"), "--wait=30"]).ok();
    land.until_app(app, "is the third's", |row| {
        row.state.manager.as_deref() == Some("third") && row.state.pid.is_some()
    });
    assert_eq!(land.outcomes(app), ["stopped", "running"]);
    assert_eq!(land.recorder.overlaps().len(), 0);
}

/// How many apps and rounds the storm has: `DCM_STORM=200,60`, say, for a long one.
fn scale() -> (usize, usize) {
    let text = std::env::var("DCM_STORM").unwrap_or_default();
    let parsed =
        text.split_once(',').and_then(|(apps, rounds)| Some((apps.parse().ok()?, rounds.parse().ok()?)));
    parsed.unwrap_or((30, 12))
}

/// Numbers that are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }
}

/// Calendar times of an app, so many seconds apart, of which nothing is on record between the first and the last run, with
/// what is on record around them.
async fn lost_times(store: &PostgresStore, name: &str, period: i64) -> Option<Vec<String>> {
    let apps = vec![AppId::of(&format!("a/b/{name}").parse().unwrap())];
    let query = HistoryQuery { apps: apps.clone(), limit: 10_000, ..HistoryQuery::default() };
    let runs = store.history(query).await.ok()?;
    let due: BTreeSet<_> = runs.iter().filter_map(|run| run.due).map(|due| due.timestamp()).collect();
    let skips = store.skips(SkipQuery { apps, limit: 10_000, ..SkipQuery::default() }).await.ok()?;
    let is_skipped =
        |time: &i64| skips.iter().any(|skip| (skip.first.timestamp()..=skip.last.timestamp()).contains(time));
    let (first, last) = (*due.first()?, *due.last()?);
    let slots = (first..last).filter(|time| time % period == 0);
    let lost = slots.filter(|time| !due.contains(time) && !is_skipped(time));
    let around = |time: i64| {
        let is_near = |other: Timestamp| (other.timestamp() - time).abs() < 20;
        let runs: Vec<_> = runs.iter().filter(|run| is_near(run.start)).collect();
        let skips: Vec<_> = skips.iter().filter(|skip| is_near(skip.first) || is_near(skip.last)).collect();
        format!("{name} lost {time}: {runs:#?} {skips:#?}")
    };
    Some(lost.map(around).collect())
}

#[test]
fn nothing_runs_twice_and_nothing_is_lost_in_a_storm_of_faults() {
    let land = Land::new();
    let hosts = [land.host("a", ""), land.host("b", ""), land.host("c", "")];
    let (count, rounds) = scale();
    let (apps, timed) = (names("app", count / 2), names("timed", count - count / 2));
    let common = ["--failover", "exclusive", "--max-failures", "0"];
    let span = (count / 6).max(5).to_string();
    for name in &apps {
        land.add(name, &[&common[..], &["--interval", "0.01"]].concat(), &span);
    }
    // More apps must not be more starts a second than the machine can do.
    let period: u8 = [2, 4, 6, 10, 12, 20]
        .into_iter()
        .find(|period| timed.len() <= 8 * usize::from(*period))
        .unwrap_or(30);
    let cron = format!("*/{period} * * * * *");
    for name in &timed {
        land.add(name, &[&common[..], &["--cron", &cron]].concat(), "0.5");
    }
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut commands = 0;
    for _ in 0..rounds {
        let host = &hosts[random.below(3)];
        match random.below(4) {
            0 => host.proxy.cut(),
            1 => host.proxy.stall(),
            2 => host.proxy.reset(),
            _ => host.signal(libc::SIGSTOP),
        }
        let verb = ["restart", "stop", "start"][random.below(3)];
        commands +=
            usize::from(land.dcm(&[verb, &format!("a/b/{}", apps[random.below(apps.len())])]).code == 0);
        land.recorder.pass(Duration::from_millis(500 + random.below(5000) as u64));
        host.proxy.heal();
        host.signal(libc::SIGCONT);
    }
    // Once all is well, each command has its verdict, and every app that nobody stopped runs again.
    let verdicts = land.until("every command has its verdict", async |store| {
        let query = LedgerQuery { limit: 10_000, ..LedgerQuery::default() };
        let rows = store.ledger(query).await.ok()?;
        rows.iter().all(|row| row.flag != CmdFlag::Pending).then_some(rows.len())
    });
    let seen = land.recorder.lives().len();
    land.recorder.until("all go on", |lives| (lives.len() > seen + count).then_some(()));
    let mut lost = Vec::new();
    for name in &timed {
        lost.extend(land.until("it ran", async |store| lost_times(store, name, i64::from(period)).await));
    }
    let (runs, overlaps) = (land.recorder.lives().len(), land.recorder.overlaps());
    // The gate shows the counts of a run that passed as well.
    let counts = format!(
        "storm of {count} apps, {rounds} rounds: {runs} runs, {} overlaps, {} lost times, {verdicts} verdicts on {commands} commands\n",
        overlaps.len(),
        lost.len()
    );
    std::io::stderr().write_all(counts.as_bytes()).unwrap();
    assert_eq!((overlaps.len(), lost.len(), verdicts), (0, 0, commands), "{overlaps:#?} {}", lost.join("\n"));
}

#[test]
fn notifications_of_a_lost_manager_are_sent_by_another_one() {
    let land = Land::new();
    let endpoint = Endpoint::answering(|_| Reply::ok("ok"));
    let config = format!("[notify.ops]\nkind = 'webhook'\nurl = '{}'\n", endpoint.url("/hook"));
    let mut first = land.host_with("first", "", &config);
    land.dcm(&["app", "add", "a/b/gone", "--enable", "--", "/no/such/program"]).ok();
    land.dcm(&["start", "a/b/gone"]).ok();
    land.until_app("gone", "has a flag", |row| row.state.fatal.is_some());
    first.kill();
    // It collects messages of one cause for longer than that takes.
    assert_eq!(endpoint.requests().len(), 0);
    let _second = land.host_with("second", "", &config);
    let requests = endpoint.until_requests(1);
    assert_eq!(requests[0].json()["alert"]["path"], "a/b/gone");
    assert_eq!(requests[0].json()["fleet"], "second");
    land.until("it is delivered once", async |store| {
        let alerts = store.alerts(AlertQuery { limit: 10, ..AlertQuery::default() }).await.ok()?;
        alerts.iter().find(|alert| alert.delivered.is_some()).map(drop)
    });
    assert_eq!(
        land.schema
            .number("SELECT count(*) FROM deliveries WHERE delivered IS NOT NULL AND manager = 'second'"),
        1
    );
    assert_eq!(endpoint.requests().len(), 1);
}
