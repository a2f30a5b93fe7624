//! Under whose name a command is entered that another program writes into the row of an app.

use crate::fleet::Fleet;
use crate::postgres::Schema;

/// Statements as any program writes them, in their order, and the name under which each is entered; `None`: no
/// name was given.
const WRITTEN: [(&str, Option<&str>); 7] = [
    ("cmd_name = 1, cmd_flag = 0, cmd_by = 'ana'", Some("ana")),
    ("cmd_name = 2, cmd_flag = 0", None),
    ("cmd_name = 3, cmd_flag = 0, cmd_by = 'ana'", Some("ana")),
    ("cmd_flag = 0, cmd_name = 3, cmd_by = 'ana'", Some("ana")),
    // Another column of the row, while a command is pending, names nobody.
    ("cmd_by = 'eva'", Some("ana")),
    ("cmd_flag = 0, cmd_name = 4", None),
    ("cmd_name = 5, cmd_flag = 0, cmd_by = 'ivo', task_size = 3", Some("ivo")),
];

fn updates() -> Vec<String> {
    WRITTEN.iter().map(|(columns, _)| format!("UPDATE apps SET {columns}")).collect()
}

fn expected(login: &str) -> Vec<&str> {
    let commands = WRITTEN.iter().filter(|(columns, _)| columns.contains("cmd_name"));
    commands.map(|(_, name)| name.unwrap_or(login)).collect()
}

#[test]
fn a_command_without_a_name_is_not_entered_under_that_of_the_command_before() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["true"]);
    fleet.add("a/b/d", &[], &["true"]);
    for update in updates() {
        fleet.sql(&update);
    }
    let rows = fleet.query(
        "SELECT group_concat(cmd_by, ' ') FROM (SELECT app_id, cmd_by FROM commands ORDER BY id) GROUP BY app_id",
    );
    let expected = format!("[Text(\"{}\")]", expected("unknown").join(" "));
    assert_eq!(rows.iter().map(|row| format!("{row:?}")).collect::<Vec<_>>(), [expected.clone(), expected]);
}

#[test]
fn on_a_server_it_is_entered_under_the_login() {
    let schema = Schema::new();
    let mut fleet = Fleet::bare();
    fleet.set("DC_DATABASE_URL", schema.url());
    fleet.dcm(&["db", "migrate"]).ok();
    fleet.add("a/b/c", &[], &["true"]);
    fleet.add("a/b/d", &[], &["true"]);
    for update in updates() {
        schema.sql(&update);
    }
    for (number, name) in expected("(login)").iter().enumerate() {
        let name = if *name == "(login)" { "session_user".to_owned() } else { format!("'{name}'") };
        let same = format!(
            "SELECT count(*) FROM (SELECT cmd_by, row_number() OVER (PARTITION BY app_id ORDER BY id) AS n \
             FROM commands) AS entered WHERE n = {} AND cmd_by = {name}",
            number + 1
        );
        assert_eq!(schema.number(&same), 2, "{:?}", WRITTEN[number]);
    }
}
