//! What other programs may write into the tables.

use dcm::model::{CmdFlag, RunStatus, format_timestamp};

use crate::fleet::Fleet;

#[test]
fn a_command_by_sql_is_carried_out_and_entered_in_the_ledger() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sh", "-c", "echo $0 $1 $2; sleep 600"]);
    fleet.sql("UPDATE apps SET cmd_name = 1, cmd_flag = 0, cmd_by = 'ana', cmd_args = '{\"x\":1}'");
    let row = fleet.until("a/b/c", "is started", |row| row.state.pid.is_some());
    let row = if row.command.as_ref().is_some_and(|command| command.flag == CmdFlag::Executed) {
        row
    } else {
        fleet.until("a/b/c", "has its verdict", |row| {
            row.command.as_ref().is_some_and(|command| command.flag == CmdFlag::Executed)
        })
    };
    let command = row.command.unwrap();
    assert_eq!(command.by.as_deref(), Some("ana"));
    assert!(command.executed.is_some());
    let pid = row.state.pid.unwrap();
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(String::from_utf8_lossy(&line).ends_with("--args\0{\"x\":1}\0"));
    // The arguments were for that command alone.
    fleet.sql("UPDATE apps SET cmd_name = 3, cmd_flag = 0");
    let row = fleet.until("a/b/c", "is restarted", |row| row.state.pid.is_some_and(|other| other != pid));
    let line = std::fs::read(format!("/proc/{}/cmdline", row.state.pid.unwrap())).unwrap();
    assert!(!String::from_utf8_lossy(&line).contains("--args"));
}

#[test]
fn two_quick_writes_are_two_commands() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    fleet.sql(
        "UPDATE apps SET cmd_name = 1, cmd_flag = 0, cmd_by = 'ana'; \
         UPDATE apps SET cmd_name = 3, cmd_flag = 0, cmd_by = 'marko'; \
         UPDATE apps SET cmd_name = 2, cmd_flag = 0, cmd_by = 'iva';",
    );
    fleet.until("a/b/c", "is stopped in the end", |row| {
        row.state.status == RunStatus::Stopped
            && row.command.as_ref().is_some_and(|command| command.flag == CmdFlag::Executed)
    });
    let ledger = fleet.query("SELECT cmd_name, cmd_flag, cmd_by, cmd_source FROM commands ORDER BY id");
    assert_eq!(
        format!("{ledger:?}"),
        "[[Integer(1), Integer(1), Text(\"ana\"), Text(\"apps\")], \
         [Integer(3), Integer(2), Text(\"marko\"), Text(\"apps\")], \
         [Integer(2), Integer(1), Text(\"iva\"), Text(\"apps\")]]"
            .replace("Integer(3), Integer(2)", &format!("Integer(3), {}", restart_verdict(&fleet)))
    );
}

/// The restart is carried out or superseded by the stop, as the moment has it; either is a verdict.
fn restart_verdict(fleet: &Fleet) -> String {
    let rows = fleet.query("SELECT cmd_flag, reason FROM commands WHERE cmd_name = 3");
    match format!("{rows:?}").as_str() {
        "[[Integer(1), Null]]" => "Integer(1)".to_owned(),
        other => {
            assert!(other.contains("superseded by STOP"), "{other}");
            "Integer(2)".to_owned()
        }
    }
}

#[test]
fn the_smallest_insert_is_the_three_names() {
    let fleet = Fleet::with_manager();
    fleet.sql("INSERT INTO apps (app_group, app_parent, app_name) VALUES ('croatia', 'fina', 'companies')");
    let row = fleet.until("croatia/fina/companies", "has its key", |row| row.is_named);
    assert!(row.app.disabled);
    // With a command at once.
    fleet.sql(
        "INSERT INTO apps (app_group, app_parent, app_name, command, disable, cmd_name, cmd_flag, cmd_by) \
         VALUES ('croatia', 'fina', 'owners', '[\"sleep\", \"600\"]', 0, 1, 0, 'ana')",
    );
    fleet.until("croatia/fina/owners", "runs", |row| {
        row.state.pid.is_some()
            && row.command.as_ref().is_some_and(|command| command.flag == CmdFlag::Executed)
    });
}

#[test]
fn invalid_rows_are_set_aside_with_a_message_and_harm_no_other() {
    let fleet = Fleet::with_manager();
    let insert = |group: &str, name: &str, columns: &str, values: &str| {
        fleet.sql(&format!(
            "INSERT INTO apps (app_group, app_parent, app_name, disable{columns}) VALUES ('{group}', 'b', '{name}', 0{values})"
        ));
    };
    insert("..", "up", "", "");
    insert("a", "semi;colon", "", "");
    insert("a", "blank name", "", "");
    insert("a", "čćž", "", "");
    insert("a", "cron", ", cron_expression", ", '99 * * * *'");
    insert("a", "never", ", cron_expression", ", '0 0 30 2 *'");
    insert("a", "interval", ", interval", ", -5");
    insert("a", "command", ", command", ", 'sh -c true'");
    insert("a", "env", ", env", ", '[1]'");
    insert("a", "zone", ", time_zone", ", 'Mars/Base'");
    insert("a", "when", ", next_run", ", 'tomorrow'");
    fleet.sql("INSERT INTO apps (app, app_group, app_parent, app_name) VALUES ('beef', 'a', 'b', 'hash')");
    fleet.add("good/b/c", &[], &["true"]);
    fleet.dcm(&["start", "good/b/c", "--wait"]).ok();
    fleet.ask(async |store| {
        crate::fleet::wait(store, "all faults to be shown", async |store| {
            let (rows, _) = dcm::store::read_fleet(store).await.ok()?;
            let faulty: Vec<_> = rows
                .into_iter()
                .filter_map(|row| match row {
                    dcm::model::Registered::SetAside(row) => Some(row),
                    dcm::model::Registered::App(_) => None,
                })
                .collect();
            let is_shown = |row: &dcm::model::AppRow| {
                row.fault.as_ref().map(|fault| &fault.message) == row.shown_fault.as_ref()
            };
            (faulty.len() == 11 && faulty.iter().all(|row| is_shown(row))).then_some(())
        })
        .await;
    });
    let status = fleet.dcm(&["status"]).ok();
    for words in
        ["must not start", "only A-Z", "out of bounds", "never fires", "minutes", "JSON", "time zone", "SHA3"]
    {
        assert!(status.err.contains(words), "{words}: {}", status.err);
    }
    fleet.dcm(&["start", "a/b/cron", "--wait"]).refused(1, &["set aside", "out of bounds"]);
    // Mended, it is an app like others.
    fleet.sql("UPDATE apps SET cron_expression = '0 6 * * *' WHERE app_name = 'cron'");
    let row =
        fleet.until("a/b/cron", "is planned", |row| row.next_run.is_some() && row.shown_fault.is_none());
    assert!(row.is_named);
}

#[test]
fn times_of_other_programs_are_normalised() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["true"]);
    for (written, stored) in [
        ("2099-11-23 14:02:11", "2099-11-23T14:02:11.000Z"),
        ("2099-11-23T15:02:11.123456+01:00", "2099-11-23T14:02:11.123Z"),
        ("2099-11-23T14:02:11Z", "2099-11-23T14:02:11.000Z"),
        ("2099-11-23", "2099-11-23T00:00:00.000Z"),
    ] {
        fleet.sql(&format!("UPDATE apps SET next_run = '{written}'"));
        let row = fleet.until("a/b/c", "is due then, and the wish is dealt with", |row| {
            row.next_run.is_some_and(|time| format_timestamp(time) == stored) && row.asked_next_run.is_none()
        });
        assert_eq!(row.state.status, RunStatus::NotRunning);
        let text = fleet.query("SELECT next_run FROM apps");
        assert_eq!(format!("{text:?}"), format!("[[Text({stored:?})]]"));
    }
}

#[test]
fn progress_by_sql_is_live_and_ends_in_the_history() {
    let fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    fleet.add("a/b/c", &[], &["python3", &Fleet::script("wait_for.py"), go.to_str().unwrap()]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.sql("UPDATE apps SET task_size = 50, solved = 20, failed = 5");
    let row = fleet.app("a/b/c");
    assert_eq!(row.progress.percent, Some(50));
    assert!(row.progress.eta.is_some());
    std::fs::write(go, "").unwrap();
    let runs = fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    let progress = &runs[0].progress;
    assert_eq!((progress.task_size, progress.solved, progress.failed), (Some(50), 20, 5));
}

#[test]
fn the_tables_forbid_what_must_not_be() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["true"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.until_runs("a/b/c", "is over", |runs| runs.first().is_some_and(|run| run.end.is_some()));
    let connection = rusqlite::Connection::open(fleet.database()).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    for (statement, why) in [
        ("UPDATE runtime SET exit_code = 5", "closed run"),
        ("UPDATE commands SET cmd_flag = 2, reason = 'x'", "verdict is final"),
        ("UPDATE apps SET cmd_name = 9, cmd_flag = 0", "CHECK"),
        ("UPDATE apps SET run_status = 7", "CHECK"),
        ("INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'c')", "UNIQUE"),
        ("INSERT INTO commands (app_id, cmd_name, cmd_by, cmd_flag) VALUES ('x', 1, 'a', 1)", "CHECK"),
    ] {
        let error = connection.execute_batch(statement).unwrap_err().to_string();
        assert!(error.contains(why), "{statement}: {error}");
    }
}

#[test]
fn a_command_for_nobody_gets_its_verdict() {
    let fleet = Fleet::with_manager();
    fleet.sql("INSERT INTO commands (app_id, cmd_name, cmd_by) VALUES ('no/such/app', 1, 'ana')");
    fleet.sql("INSERT INTO commands (app_id, cmd_name, cmd_by) VALUES ('rubbish', 2, 'ana')");
    fleet.add("a/b/c", &[], &["true"]);
    fleet.sql(
        "INSERT INTO commands (app_id, cmd_name, cmd_by, expires) SELECT app, 1, 'ana', '2020-01-01' FROM apps; \
         INSERT INTO commands (app_id, cmd_name, cmd_by, cmd_args) SELECT app, 1, 'ana', '{oops' FROM apps;",
    );
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let reasons = format!("{:?}", fleet.query("SELECT reason FROM commands WHERE cmd_flag = 2 ORDER BY id"));
    for why in ["no such app", "expired", "not valid JSON"] {
        assert!(reasons.contains(why), "{why}: {reasons}");
    }
    let open = fleet.query("SELECT count(*) FROM commands WHERE cmd_flag = 0");
    assert_eq!(format!("{open:?}"), "[[Integer(0)]]");
}

/// How often a usual pause is written, and read: the time of the last move is set back before each.
const PAUSES: &str = "UPDATE apps SET solved = 1;
    UPDATE apps SET progress_time = AGO(30);
    UPDATE apps SET solved = 2;
    UPDATE apps SET progress_time = AGO(20);
    UPDATE apps SET failed = 1, progress = 7;
    UPDATE apps SET solved = 3;
    UPDATE apps SET message = 'page 3', eta = NULL";

/// In both databases the triggers learn the usual pause between two moves: 30 s, then a fifth of the way to 20 s.
#[test]
fn the_usual_pause_between_moves_is_learned_by_triggers() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["true"]);
    let ago = |form: &dyn Fn(&str) -> String| {
        PAUSES.replace("AGO(30)", &form("30")).replace("AGO(20)", &form("20"))
    };
    fleet.sql(&ago(&|seconds| format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-{seconds} seconds')")));
    let of_file = fleet.app("a/b/c").movement.unwrap();

    let schema = crate::postgres::Schema::new();
    fleet.dcm(&["--database", schema.url(), "app", "add", "a/b/c", "--", "true"]).ok();
    schema.sql(&ago(&|seconds| format!("clock_timestamp() - interval '{seconds} s'")));
    let store = dcm::store::PostgresStore::connect(schema.url(), dcm::store::OpenMode::Existing).unwrap();
    let rows =
        crate::postgres::block_on(dcm::store::OperatorStore::apps(&store, vec![crate::fleet::id("a/b/c")]));
    let of_server = rows.unwrap().remove(0).into_row().movement.unwrap();

    for movement in [of_file, of_server] {
        let usual = movement.usual_pause.unwrap().as_secs_f64();
        assert!((27.9..28.3).contains(&usual), "{usual}");
    }
    // Another run has moved nothing.
    fleet.sql("UPDATE apps SET runtime = '00000000000040008000000000000001', solved = 0");
    assert_eq!(fleet.app("a/b/c").movement, None);
}
