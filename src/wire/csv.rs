//! Rows as a table for other programs.

use std::io;

use csv::{Terminator, WriterBuilder};
use serde_json::Value;

use super::Row;

/// As RFC 4180 has it, with a line of names first. What is a list or an object in JSON is a cell of JSON.
///
/// # Errors
/// When a row cannot be written as JSON, which no [`Row`] of this module is.
pub fn csv<R: Row>(rows: impl IntoIterator<Item = R>) -> io::Result<String> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    let columns = R::columns();
    writer.write_record(&columns)?;
    for row in rows {
        let row = serde_json::to_value(row)?;
        writer.write_record(columns.iter().map(|name| cell(&row[*name])))?;
    }
    let bytes = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Text of an app is never a formula to the program that opens the table.
fn harmless(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize)]
    struct Line(serde_json::Map<String, Value>);

    impl Row for Line {
        fn columns() -> Vec<&'static str> {
            vec!["text", "other"]
        }
    }

    fn table(text: &str, other: Value) -> String {
        let line = [("text".to_owned(), text.into()), ("other".to_owned(), other)].into_iter().collect();
        csv([Line(line)]).unwrap()
    }

    #[test]
    fn cells_cannot_break_out() {
        assert_eq!(table("page 7, \"x\"", Value::Null), "text,other\r\n\"page 7, \"\"x\"\"\",\r\n");
        assert_eq!(table("a\nb\rc", true.into()), "text,other\r\n\"a\nb\rc\",true\r\n");
        assert_eq!(
            table("plain", serde_json::json!(["x", "y"])),
            "text,other\r\nplain,\"[\"\"x\"\",\"\"y\"\"]\"\r\n"
        );
    }

    #[test]
    fn text_is_no_formula_and_a_number_stays_one() {
        for text in ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"] {
            let table = table(text, Value::Null);
            let cell = table.strip_prefix("text,other\r\n").unwrap().trim_start_matches('"');
            assert!(cell.starts_with('\''), "{table}");
        }
        assert_eq!(table("x", (-15).into()), "text,other\r\nx,-15\r\n");
    }

    #[test]
    fn a_table_without_rows_has_its_names() {
        assert_eq!(csv::<Line>([]).unwrap(), "text,other\r\n");
    }
}
