//! A row has one form, by whichever way it leaves the program.

use std::fs;

use serde_json::{Map, Value};

use crate::fleet::Fleet;
use crate::terminal::Terminal;

/// What the console saves of the screen that is shown: as data, and as a table.
fn saved(terminal: &Terminal, fleet: &Fleet) -> (Vec<Value>, csv::StringRecord, Vec<csv::StringRecord>) {
    let file = |what: &str, ending: &str| {
        terminal.press("\x13");
        terminal.until_text("picture of the screen");
        terminal.press(&format!("{what}\r"));
        let screen = terminal.until(ending, |screen| {
            screen.contains("saved as dcm-") && screen.contains(&format!(".{ending}"))
        });
        let at = screen.find("saved as ").unwrap() + "saved as ".len();
        let name = screen[at..].split_whitespace().next().unwrap().trim_end_matches(',').to_owned();
        let path = fleet.dir.path().join(&name);
        let content = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}:\n{screen}"));
        fs::remove_file(path).unwrap();
        content
    };
    let data = serde_json::from_str(&file("as data", "json")).unwrap();
    let table = file("as a table", "csv");
    let mut table = csv::Reader::from_reader(table.as_bytes());
    let head = table.headers().unwrap().clone();
    (data, head, table.records().collect::<Result<_, _>>().unwrap())
}

/// The cells of a table, as an object of texts.
fn as_texts(row: &Value) -> Map<String, Value> {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    row.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value).into())).collect()
}

/// The rows of the command line are those that the console saves.
fn compare(terminal: &Terminal, fleet: &Fleet, rows: &Value) {
    let (mut data, head, table) = saved(terminal, fleet);
    let mut rows = rows.clone();
    // A manager tells of itself every few seconds.
    let all = data.iter_mut().chain(rows.as_array_mut().unwrap());
    all.for_each(|row| drop(row.as_object_mut().unwrap().remove("heartbeat")));
    assert_eq!(Value::from(data), rows);
    let cells = |record: &csv::StringRecord| -> Map<String, Value> {
        let cells = head.iter().zip(record).filter(|(name, _)| *name != "heartbeat");
        cells.map(|(name, cell)| (name.to_owned(), cell.into())).collect()
    };
    let table: Vec<_> = table.iter().map(cells).collect();
    let expected: Vec<_> = rows.as_array().unwrap().iter().map(as_texts).collect();
    assert_eq!(table, expected);
}

fn decoded(base64: &str) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    for chunk in base64.as_bytes().chunks(4) {
        let sixes: Vec<_> =
            chunk.iter().filter_map(|sign| SIGNS.iter().position(|known| known == sign)).collect();
        let bits: usize = sixes.iter().enumerate().fold(0, |bits, (at, six)| bits | six << (18 - 6 * at));
        bytes.extend(&bits.to_be_bytes()[5..5 + sixes.len() - 1]);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_row_is_the_same_by_command_line_export_and_copy() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sh", "-c", "echo '::dcm {\"solved\": 3}'; exit 3"]);
    let verdicts = fleet.dcm(&["start", "a/b/c", "--wait", "--json"]).ok().json();
    fleet.until_runs("a/b/c", "the run is over", |runs| runs.first().is_some_and(|run| run.end.is_some()));
    let terminal = Terminal::open(&fleet, &["--client"], (160, 40));
    terminal.until_text("▾ a");

    let apps = fleet.dcm(&["status", "--json"]).ok().json();
    compare(&terminal, &fleet, &apps);
    drop(terminal.written());
    terminal.press("Y");
    let mut written = String::new();
    terminal.until("the copy", |_| {
        written.push_str(&terminal.written());
        written.split_once("\x1b]52;c;").is_some_and(|(_, rest)| rest.contains("\x1b\\"))
    });
    let (_, copied) = written.split_once("\x1b]52;c;").unwrap();
    let copied = decoded(copied.split_once("\x1b\\").unwrap().0);
    assert_eq!(serde_json::from_str::<Value>(&copied).unwrap(), apps);

    terminal.press("7");
    terminal.until_text("EXECUTED");
    compare(&terminal, &fleet, &verdicts);
    terminal.press("6");
    terminal.until_text("VERSION");
    compare(&terminal, &fleet, &fleet.dcm(&["managers", "--json"]).ok().json());
    terminal.press("1H");
    terminal.until_text("exit 3");
    compare(&terminal, &fleet, &fleet.dcm(&["history", "all", "--json"]).ok().json());
}
