//! The roles of a fleet on a shared server: what the server itself lets each login do.

use dcm::model::settings::settings;
use dcm::model::{
    AppId, AppPath, Change, CmdName, CommandSource, NewCommand, Revision, Verdict, parse_timestamp,
};
use dcm::store::{
    AlertNote, LedgerQuery, OpenMode, OperatorStore, PostgresStore, ROLES, Rights, Store as _, StoreError,
    submit,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::fleet::Fleet;
use crate::postgres::{Cluster, block_on};

/// A server with a fleet whose owner is `dcm_owner`, and a login in each role.
struct Shared {
    cluster: Cluster,
}

impl Shared {
    fn new() -> Self {
        let shared = Self { cluster: Cluster::new() };
        shared.cluster.psql("postgres", "CREATE DATABASE fleet");
        shared.cluster.psql("fleet", ROLES);
        shared.cluster.psql(
            "fleet",
            "CREATE ROLE anton LOGIN IN ROLE dcm_owner; CREATE ROLE zagreb LOGIN IN ROLE dcm_manager; \
             CREATE ROLE ana LOGIN IN ROLE dcm_operator; CREATE ROLE luka LOGIN IN ROLE dcm_readonly; CREATE ROLE worker LOGIN IN ROLE dcm_worker; \
             CREATE ROLE program LOGIN",
        );
        drop(PostgresStore::connect(&shared.url("anton"), OpenMode::Create).unwrap());
        // As often as one likes.
        shared.cluster.psql("fleet", ROLES);
        shared.cluster.psql(
            "fleet",
            "INSERT INTO apps (app_group, app_parent, app_name, command, env, disable) \
             VALUES ('a', 'b', 'c', '[\"true\"]', '{\"TOKEN\": \"canary\"}', false)",
        );
        shared
    }

    fn url(&self, user: &str) -> String {
        self.cluster.url_of(user, "fleet")
    }

    fn store(&self, user: &str) -> PostgresStore {
        PostgresStore::connect(&self.url(user), OpenMode::Existing).unwrap()
    }

    /// What the server says to a statement of a login.
    fn tried(&self, user: &str, sql: &str) -> Result<(), String> {
        block_on(async {
            let mut connection = PgConnection::connect(&self.url(user)).await.unwrap();
            let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await;
            connection.close().await.unwrap();
            done.map(drop).map_err(|error| error.to_string())
        })
    }

    fn asked(&self, sql: &str) -> String {
        self.cluster
            .psql("fleet", &format!("\\pset tuples_only\n\\pset format unaligned\n{sql}"))
            .trim()
            .to_owned()
    }

    fn dcm(&self, user: &str, arguments: &[&str]) -> crate::fleet::Called {
        let mut fleet = Fleet::bare();
        fleet.set("DC_DATABASE_URL", &self.url(user));
        fleet.dcm(arguments)
    }
}

fn app() -> AppId {
    AppId::of(&"a/b/c".parse::<AppPath>().unwrap())
}

fn command(by: &str) -> NewCommand {
    NewCommand {
        app: app(),
        name: CmdName::Stop,
        args: None,
        by: by.to_owned(),
        source: CommandSource::Cli,
        time: parse_timestamp("2001-01-01T00:00:00Z").unwrap(),
        expires: None,
        batch: None,
        note: Some("it hangs".to_owned()),
    }
}

fn denied<T>(answer: Result<T, StoreError>, what: &str) {
    let error = answer.map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Denied(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("permission denied") && text.contains(what) && text.contains("grant"), "{text}");
}

/// Everything that the server refuses and allows, role by role: a cluster takes seconds to start.
#[test]
fn each_role_may_do_its_work_and_no_more() {
    let shared = Shared::new();
    what_everybody_may_do(&shared);
    an_operator_speaks_for_himself_alone(&shared);
    an_operator_drains_and_takes_nothing(&shared);
    a_reader_only_reads(&shared);
    a_program_with_a_few_columns(&shared);
    a_worker_notes_its_documents_and_nothing_else(&shared);
    a_manager_writes_verdicts_and_registers_nothing(&shared);
    an_owner_registers_and_migrates(&shared);
}

fn what_everybody_may_do(shared: &Shared) {
    let rights = |user| block_on(shared.store(user).rights()).unwrap();
    assert_eq!(rights("anton"), Rights::ALL);
    assert_eq!(rights("zagreb"), Rights { register: false, ..Rights::ALL });
    assert_eq!(rights("ana"), Rights { register: false, manage: false, ..Rights::ALL });
    assert_eq!(rights("luka"), Rights { submit: false, register: false, manage: false, see_env: false });
    assert_eq!(
        shared.asked(
            "SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
        WHERE nspname = 'dcm' AND relowner <> 'dcm_owner'::regrole"
        ),
        "0"
    );
    // Nobody who was not let in.
    for statement in ["SELECT * FROM dcm.apps", "SELECT dcm.dcm_submit('a/b/c', 'STOP')"] {
        let error = shared.tried("program", statement).unwrap_err();
        assert!(error.contains("permission denied"), "{statement}: {error}");
    }
}

fn an_operator_speaks_for_himself_alone(shared: &Shared) {
    let store = shared.store("ana");
    block_on(async {
        let ids = submit(&store, vec![command("the_boss")]).await.unwrap();
        let row = &store.commands(ids.clone()).await.unwrap()[0];
        assert_eq!((row.by.as_str(), row.note.as_deref()), ("ana", Some("it hangs")));
        assert!(row.time > parse_timestamp("2020-01-01T00:00:00Z").unwrap(), "by the server's clock");
        denied(store.commit(vec![settled(ids[0])]).await, "commands");
        denied(store.remove(vec![app()]).await, "apps");
        store.note_alerts(vec![], AlertNote::Unacknowledged).await.unwrap();
        store.want_log(app()).await.unwrap();
    });
    let tried = |sql: &str| shared.tried("ana", sql);
    tried("SELECT dcm_submit('a/b/c', 'restart', 'by hand')").unwrap();
    assert!(tried("SELECT dcm_submit('a/b/c', 'explode')").unwrap_err().contains("no such command"));
    assert!(tried("SELECT dcm_submit('a/b/d', 'STOP')").unwrap_err().contains("no such app"));
    // The contract's way; who says it is what the server knows.
    tried("UPDATE apps SET cmd_name = 3, cmd_flag = 0, cmd_by = 'the_boss' WHERE app_name = 'c'").unwrap();
    assert_eq!(shared.asked("SELECT string_agg(DISTINCT cmd_by, ' ') FROM commands"), "ana");
    assert_eq!(shared.asked("SELECT cmd_by || cmd_flag FROM apps"), "ana0");
    for statement in [
        "INSERT INTO commands (app_id, cmd_name, cmd_by) VALUES ('a/b/c', 1, 'the_boss')",
        "UPDATE commands SET cmd_flag = 1, cmd_exec = now()",
        "DELETE FROM commands",
        "TRUNCATE commands",
        "UPDATE apps SET cmd_flag = 1",
        "UPDATE apps SET cmd_name = 5, cmd_flag = 2, cmd_by = 'the_boss'",
        "UPDATE apps SET command = '[\"rm\"]'",
        "UPDATE apps SET disable = false",
        "INSERT INTO apps (app_group, app_parent, app_name) VALUES ('x', 'y', 'z')",
        "DELETE FROM apps",
        "UPDATE runtime SET exit_code = 0",
        "INSERT INTO runtime (runtime, app_id, start_time, trigger) VALUES ('x', 'y', now(), 'command')",
        "UPDATE managers SET heartbeat = now()",
        "UPDATE dcm_schema SET version = 1",
        "SET SESSION AUTHORIZATION anton",
        "SET ROLE dcm_owner",
        "ALTER TABLE apps DISABLE TRIGGER ALL",
        "CREATE TABLE dcm.mine (x bigint)",
        "SELECT dcm_grant_roles()",
        // To be the owner through a trigger of one's own.
        "CREATE TEMP TABLE mine (LIKE apps); \
         CREATE TRIGGER own AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION dcm_apps_command()",
        "CREATE TEMP TABLE mine (LIKE commands); \
         CREATE TRIGGER own AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION dcm_commands_issued()",
    ] {
        let error = tried(statement).unwrap_err();
        let is_refusal = error.contains("permission denied") || error.contains("must be owner");
        assert!(is_refusal, "{statement}: {error}");
    }
    let called = shared.dcm("ana", &["app", "set", "a/b/c", "--interval", "5"]);
    assert_eq!(called.code, 2, "{called:?}");
    assert!(
        called.err.contains("permission denied for table apps") && called.err.contains("dcm_owner"),
        "{called:?}"
    );
    shared.cluster.psql(
        "fleet",
        "INSERT INTO alerts (kind, runtime, message, opened, last_seen) VALUES ('disk_low', 'x', 'low', now(), now())",
    );
    let called = shared.dcm("ana", &["alerts", "ack", "fleet", "--by", "the_boss"]);
    assert_eq!((called.code, called.out.as_str()), (0, "1 fleet: acknowledged by ana\n"), "{called:?}");
    assert_eq!(shared.dcm("ana", &["alerts", "mute", "1", "--for", "1h"]).code, 0);
    let called = shared.dcm("ana", &["stop", "a/b/c", "--json"]);
    assert_eq!(called.code, 0, "{called:?}");
    assert!(called.out.contains("\"cmd_by\":\"ana\""), "{called:?}");
}

fn an_operator_drains_and_takes_nothing(shared: &Shared) {
    shared.cluster.psql(
        "fleet",
        "INSERT INTO managers (name, host, pid, version, started, heartbeat) \
         VALUES ('zg', 'zg', 1, '1', now(), now()); UPDATE apps SET manager = 'zg', failover = 'manual'",
    );
    let state = || shared.asked("SELECT (SELECT draining FROM managers), (SELECT manager FROM apps)");
    let out = shared.dcm("ana", &["managers", "drain", "zg"]).ok().out;
    assert!(out.contains("zg: it starts nothing new"), "{out}");
    assert_eq!(state(), "t|zg");
    shared.dcm("ana", &["managers", "drain", "nobody"]).refused(1, &["no such manager"]);
    shared.dcm("ana", &["managers", "resume", "zg"]).ok();
    assert_eq!(state(), "f|zg");
    shared
        .dcm("ana", &["managers", "takeover", "zg", "--yes"])
        .refused(2, &["UPDATE on managers", "dcm_manager or dcm_owner"]);
    let refused = shared.dcm("luka", &["managers", "drain", "zg"]);
    refused.refused(2, &["permission denied", "dcm_drain", "dcm_operator"]);
    assert_eq!(state(), "f|zg");
    shared.dcm("zagreb", &["managers", "drain", "zg"]).ok();
    shared.dcm("zagreb", &["managers", "takeover", "zg", "--yes"]).ok();
    shared.cluster.psql("fleet", "DELETE FROM managers; UPDATE apps SET manager = NULL, failover = 'never'");
}

fn settled(id: dcm::model::CommandId) -> Change {
    Change::CommandSettled {
        id,
        app: None,
        verdict: Verdict::Executed,
        at: parse_timestamp("2026-11-23T12:00:00Z").unwrap(),
    }
}

fn a_reader_only_reads(shared: &Shared) {
    let store = shared.store("luka");
    block_on(async {
        denied(submit(&store, vec![command("ana")]).await, "function dcm_submit");
        let delta = store.changes_since(Revision::default()).await.unwrap();
        assert_eq!(delta.rows.len(), 1);
        assert!(!format!("{delta:?}").contains("canary"));
        assert_eq!(store.apps(vec![app()]).await.unwrap(), delta.rows);
        assert!(!store.ledger(LedgerQuery { limit: 9, ..LedgerQuery::default() }).await.unwrap().is_empty());
        store.want_log(app()).await.unwrap();
    });
    for statement in [
        "UPDATE commands SET cmd_flag = 1, cmd_exec = now()",
        "UPDATE apps SET cmd_name = 1, cmd_flag = 0",
        "SELECT env FROM apps",
        "SELECT * FROM apps",
        "SELECT dcm_submit('a/b/c', 'STOP')",
        "UPDATE alerts SET acknowledged_by = 'luka'",
        "DELETE FROM log_wishes",
    ] {
        let error = shared.tried("luka", statement).unwrap_err();
        assert!(error.contains("permission denied"), "{statement}: {error}");
    }
    let called = shared.dcm("luka", &["start", "a/b/c"]);
    assert_eq!(called.code, 2, "{called:?}");
    assert!(called.err.contains("dcm_submit") && called.err.contains("dcm_operator"), "{called:?}");
    for arguments in [&["ack", "fleet"][..], &["mute", "1", "--for", "1h"], &["unmute", "all"]] {
        let called = shared.dcm("luka", &[&["alerts"], arguments].concat());
        assert_eq!(called.code, 2, "{called:?}");
        assert!(called.err.contains("table alerts") && called.err.contains("dcm_operator"), "{called:?}");
    }
    let looks =
        [&["status"][..], &["why", "a/b/c"], &["history", "all"], &["next"], &["app", "list"], &["alerts"]];
    for arguments in looks {
        assert_eq!(shared.dcm("luka", arguments).code, 0, "{arguments:?}");
    }
    // Nothing is shown as empty that is only hidden.
    let called = shared.dcm("luka", &["app", "export"]);
    assert_eq!(called.code, 2, "{called:?}");
    assert!(called.err.contains("env"), "{called:?}");
    assert!(shared.dcm("luka", &["app", "show", "a/b/c"]).err.contains("env"));
}

/// What an app's own login needs to report, and to ask for a command.
fn a_program_with_a_few_columns(shared: &Shared) {
    shared.cluster.psql(
        "fleet",
        "GRANT USAGE ON SCHEMA dcm TO program; GRANT SELECT (app, app_name), \
         UPDATE (task_size, solved, cmd_name, cmd_flag, cmd_by) ON apps TO program",
    );
    shared.tried("program", "UPDATE apps SET task_size = 10, solved = 5 WHERE app_name = 'c'").unwrap();
    let ask = "UPDATE apps SET cmd_name = 2, cmd_flag = 0, cmd_by = 'ana' WHERE app_name = 'c'";
    shared.tried("program", ask).unwrap();
    assert_eq!(shared.asked("SELECT progress FROM apps"), "50");
    assert_eq!(shared.asked("SELECT cmd_by FROM commands ORDER BY id DESC LIMIT 1"), "program");
    assert!(
        shared.tried("program", "UPDATE apps SET cmd_flag = 1").unwrap_err().contains("permission denied")
    );
}

/// The owner says what is watched, a manager enters and publishes, a worker works, an operator asks for another try.
fn a_worker_notes_its_documents_and_nothing_else(shared: &Shared) {
    let watch = "INSERT INTO watch_roots (name, path, app_group, topic) VALUES ('in', '/in', 'a', 'a.b')";
    let route = "INSERT INTO routes (pattern, queue, actor) VALUES ('#', 'q', 'work')";
    let see = "INSERT INTO events (root, path, seen, topic, app_group) VALUES ('in', '/in/a', now(), 'a.b', 'a'); \
         INSERT INTO pipeline_task (event_id, document, topic) SELECT id, path, topic FROM events";
    let next = "INSERT INTO pipeline_task (event_id, parent, document, topic) \
         SELECT event_id, id, document, 'a.c' FROM pipeline_task WHERE parent IS NULL ON CONFLICT (parent, topic) DO NOTHING";
    let work = "UPDATE pipeline_task SET status = 3, attempts = attempts + 1, started = now(), finished = now(), error = NULL";
    let retry = "SELECT dcm_retry_documents((SELECT array_agg(id) FROM pipeline_task))";
    shared.tried("anton", watch).unwrap();
    shared.tried("anton", route).unwrap();
    shared.tried("zagreb", see).unwrap();
    shared.tried("worker", next).unwrap();
    shared.tried("worker", work).unwrap();
    shared.tried("ana", retry).unwrap();
    assert_eq!(shared.asked("SELECT count(*) FROM pipeline_task WHERE status = 0"), "2");
    assert_eq!(shared.asked("SELECT count(*) FROM deliveries WHERE kind = 'document'"), "2");
    for (user, statements) in [
        (
            "worker",
            &[watch, route, see, retry, "SELECT * FROM apps", "UPDATE pipeline_task SET queue = 'other'"][..],
        ),
        ("ana", &[watch, route, see, next, work, "DELETE FROM watch_roots"]),
        ("luka", &[watch, route, see, next, work, retry]),
        ("zagreb", &[watch, route, "UPDATE watch_roots SET path = '/'", "DELETE FROM events"]),
    ] {
        for statement in statements {
            let refused = shared.tried(user, statement).unwrap_err();
            assert!(refused.contains("permission denied"), "{user}: {statement}: {refused}");
        }
    }
    shared.cluster.psql(
        "fleet",
        "DELETE FROM deliveries WHERE kind = 'document'; DELETE FROM events; DELETE FROM watch_roots; DELETE FROM routes",
    );
}

fn a_manager_writes_verdicts_and_registers_nothing(shared: &Shared) {
    let mut fleet = Fleet::bare();
    fleet.set("DC_DATABASE_URL", &shared.url("zagreb"));
    let mut manager = fleet.command();
    let log = std::fs::File::create(fleet.dir.path().join("manager.log")).unwrap();
    let mut running = manager.arg("--headless").stderr(log).spawn().unwrap();
    let store = shared.store("ana");
    block_on(async {
        let flag = |flag: i64| format!("SELECT count(*) FROM commands WHERE cmd_flag = {flag}");
        crate::postgres::until("a verdict on each command", async || {
            (shared.asked(&flag(0)) == "0").then_some(())
        })
        .await;
        let ids = submit(&store, vec![NewCommand { name: CmdName::Start, ..command("x") }]).await.unwrap();
        crate::postgres::until("it to be carried out", async || {
            let rows = store.commands(ids.clone()).await.unwrap();
            (rows[0].flag == dcm::model::CmdFlag::Executed).then_some(())
        })
        .await;
        crate::postgres::until("a run that has ended well", async || {
            (shared.asked("SELECT count(*) FROM runtime WHERE exit_code = 0") != "0").then_some(())
        })
        .await;
    });
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(running.id()).unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    let ended = running.wait().unwrap();
    let log = std::fs::read_to_string(fleet.dir.path().join("manager.log")).unwrap();
    assert!(ended.success() && !log.contains("denied"), "{log}");
    for statement in [
        "UPDATE apps SET command = '[\"rm\"]'",
        "INSERT INTO apps (app_group, app_parent, app_name) VALUES ('x', 'y', 'z')",
        "DELETE FROM apps",
        "DELETE FROM commands",
        "UPDATE commands SET cmd_by = 'ana'",
        "DELETE FROM runtime",
        "DROP TABLE skips",
    ] {
        let error = shared.tried("zagreb", statement).unwrap_err();
        assert!(
            error.contains("permission denied") || error.contains("must be owner"),
            "{statement}: {error}"
        );
    }
    // What defines an app, a new column of it too, is for the owner alone.
    for setting in settings() {
        for user in ["zagreb", "ana"] {
            let column = setting.column;
            let error = shared.tried(user, &format!("UPDATE apps SET {column} = DEFAULT")).unwrap_err();
            assert!(error.contains("permission denied"), "{user}, {column}: {error}");
        }
    }
    // It passes on what others said, as the broker brings it.
    let passed = block_on(submit(&shared.store("zagreb"), vec![command("marko")]));
    let row = block_on(shared.store("luka").commands(passed.unwrap())).unwrap().remove(0);
    assert_eq!(row.by, "marko");
}

fn an_owner_registers_and_migrates(shared: &Shared) {
    let called = shared.dcm("anton", &["app", "add", "a/b/d", "--interval", "5"]);
    assert_eq!(called.code, 0, "{called:?}");
    assert!(shared.dcm("anton", &["app", "export"]).out.contains("canary"));
    // A program that is newer than the tables, in the hands of those who may not change them.
    shared.cluster.psql("fleet", "UPDATE dcm_schema SET version = 2");
    for user in ["zagreb", "ana"] {
        let error = PostgresStore::connect(&shared.url(user), OpenMode::Create).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Denied(_)), "{error}");
        assert!(error.to_string().contains("as a member of dcm_owner"), "{error}");
    }
    shared.cluster.psql("fleet", "UPDATE dcm_schema SET version = 3");
}

/// Tables that were made before there were roles.
#[test]
fn an_old_fleet_is_given_to_its_roles() {
    let cluster = Cluster::new();
    drop(PostgresStore::connect(&cluster.url(), OpenMode::Create).unwrap());
    let called = Fleet::bare().dcm(&["db", "roles", "--schema", "public"]);
    assert_eq!(called.code, 0, "{called:?}");
    cluster.psql("postgres", &called.out);
    cluster.psql(
        "postgres",
        "CREATE ROLE ana LOGIN IN ROLE dcm_operator; CREATE ROLE anton LOGIN IN ROLE dcm_owner",
    );
    let url = |user| cluster.url_of(user, "postgres");
    let store = PostgresStore::connect(&url("ana"), OpenMode::Existing).unwrap();
    assert!(block_on(store.rights()).unwrap().submit);
    let called = {
        let mut fleet = Fleet::bare();
        fleet.set("DC_DATABASE_URL", &url("anton"));
        fleet.dcm(&["app", "add", "a/b/c", "--interval", "5"])
    };
    assert_eq!(called.code, 0, "{called:?}");
    assert_eq!(Fleet::bare().dcm(&["db", "roles", "--schema", "x; DROP"]).code, 2);
}
