//! The tables of both databases, column by column.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use dcm::model::settings::settings;
use dcm::model::{App, Kind, Value};
use sqlx::{Connection as _, PgConnection, Row as _};

use super::pages::root;
use super::reference::{head, keep_page, row};
use crate::fleet::Fleet;
use crate::postgres::{Schema, block_on};

/// Columns in their order, with their types.
type Tables = BTreeMap<String, Vec<(String, String)>>;

#[test]
fn every_column_of_both_databases_has_a_meaning() {
    let (embedded, server) = (embedded(), server());
    let text = fs::read_to_string(root().join("docs/reference/columns.toml")).unwrap();
    let mut meanings: toml::Table = text.parse().unwrap();
    let mut page = "Both databases have the same tables and names. Times are `timestamptz` on PostgreSQL; in the embedded database they are \
                    text in UTC, `2026-11-23T14:02:11.123Z`. Truth values are `boolean` there and 0 or 1 here.\n"
        .to_owned();
    let mut faults = Vec::new();
    let names: BTreeSet<_> = embedded.keys().chain(server.keys()).collect();
    let inner = names.into_iter().filter(|name| !ORDER.contains(&name.as_str())).cloned();
    for name in ORDER.map(str::to_owned).into_iter().chain(inner) {
        let Some(toml::Value::Table(mut meaning)) = meanings.remove(&name) else {
            faults.push(format!("columns.toml has no table {name}"));
            continue;
        };
        let about =
            meaning.remove("_").and_then(|about| about.as_str().map(str::to_owned)).unwrap_or_default();
        let _ = write!(page, "\n## {name}\n\n{about}\n\n");
        page.push_str(&head(&["column", "embedded", "PostgreSQL", "meaning"]));
        let columns = |tables: &Tables| tables.get(&name).cloned().unwrap_or_default();
        let types: BTreeMap<_, _> = columns(&server).into_iter().collect();
        let mut all = columns(&embedded);
        all.extend(
            columns(&server)
                .into_iter()
                .filter(|(column, _)| !columns(&embedded).iter().any(|(own, _)| own == column))
                .map(|(column, _)| (column, String::new())),
        );
        for (column, kind) in all {
            let setting = settings().find(|setting| name == "apps" && setting.column == column);
            let own = meaning.remove(&column).and_then(|text| text.as_str().map(str::to_owned));
            let text = match (own, setting) {
                (Some(_), Some(_)) => {
                    faults.push(format!("{name}.{column} has a help already (model/settings.rs)"));
                    continue;
                }
                (Some(text), None) => text,
                (None, Some(setting)) => {
                    format!("{}. A setting: see [settings of apps](#settings-of-apps)", setting.help)
                }
                (None, None) => {
                    faults.push(format!("{name}.{column} has no meaning in columns.toml"));
                    continue;
                }
            };
            let on_server = types.get(&column).map_or("", String::as_str);
            page.push_str(&row(&[&format!("`{column}`"), &kind, on_server, &text]));
        }
        faults.extend(meaning.keys().map(|column| format!("columns.toml: {name}.{column} is no column")));
    }
    faults.extend(meanings.keys().map(|name| format!("columns.toml: {name} is no table")));
    assert!(faults.is_empty(), "{faults:#?}");
    let page = page.replace(". A setting: see [settings of apps](#settings-of-apps)", "");
    keep_page("tables.md", "Tables", &page);
}

#[test]
fn settings_of_apps_are_those_of_the_model() {
    let mut text = "What defines an app: a column of `apps`, a key of the file of `dcm app import`, and an option of `dcm app add` and \
                    `dcm app set`. The option is the key with dashes: `--retry-interval 5`. A default that is empty means: not set; `none` \
                    takes a value away.\n\n"
        .to_owned();
    text.push_str(&head(&["key", "column", "default", "meaning"]));
    let defaults = App::unnamed();
    for setting in settings() {
        let default = shown(&(setting.get)(&defaults));
        let column =
            if setting.key == setting.column { String::new() } else { format!("`{}`", setting.column) };
        let words = match setting.kind {
            Kind::Word(words) => format!(": {}", words.join(", ")),
            Kind::Flag
            | Kind::Whole
            | Kind::Number
            | Kind::Text
            | Kind::Directory
            | Kind::List
            | Kind::Variables => String::new(),
        };
        let default = if default.is_empty() { default } else { format!("`{default}`") };
        text.push_str(&row(&[
            &format!("`{}`", setting.key),
            &column,
            &default,
            &format!("{}{words}", setting.help),
        ]));
    }
    text.push_str(
        "\nA file has `path` and `enabled` besides; `enabled = true` holds for apps that are new.\n",
    );
    keep_page("app-settings.md", "Settings of apps", &text);
}

/// A default as it is written; empty if there is none.
fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Null | Value::Other | Value::List(_) | Value::Variables(_) => String::new(),
        Value::Flag(flag) => flag.to_string(),
        Value::Whole(number) => number.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.to_string(),
    }
}

/// The tables that programs read and write, in the order in which a reader looks for them; the others follow.
const ORDER: [&str; 13] = [
    "apps",
    "app_groups",
    "app_parents",
    "runtime",
    "commands",
    "alerts",
    "deliveries",
    "managers",
    "skips",
    "watch_roots",
    "routes",
    "events",
    "pipeline_task",
];

fn embedded() -> Tables {
    let fleet = Fleet::new();
    let connection = rusqlite::Connection::open(fleet.database()).unwrap();
    let sql = "SELECT m.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) c \
               WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY m.name, c.cid";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
    collect(rows.map(Result::unwrap))
}

fn server() -> Tables {
    let schema = Schema::new();
    Fleet::bare().dcm(&["--database", schema.url(), "db", "migrate"]).ok();
    block_on(async {
        let mut connection = PgConnection::connect(schema.url()).await.unwrap();
        let sql = "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns c \
                   JOIN information_schema.tables t USING (table_schema, table_name) \
                   WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY 1, ordinal_position";
        let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
        collect(rows.iter().map(|row| {
            let kind: String = row.get(2);
            let kind =
                kind.replace("timestamp with time zone", "timestamptz").replace("double precision", "double");
            (row.get(0), (row.get(1), kind))
        }))
    })
}

fn collect(rows: impl Iterator<Item = (String, (String, String))>) -> Tables {
    let mut tables = Tables::new();
    for (table, column) in rows {
        tables.entry(table).or_default().push(column);
    }
    tables
}
