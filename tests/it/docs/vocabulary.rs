//! Codes and words with their meanings, out of the source that declares them.

use std::fs;

use super::pages::root;

/// A word, the number that stands for it in the database if there is one, and what it means.
pub(super) struct Entry {
    pub(super) code: Option<i64>,
    pub(super) word: String,
    pub(super) meaning: String,
}

/// The values of an enum that `words!` or `codes!` declares.
pub(super) fn entries(file: &str, name: &str) -> Vec<Entry> {
    let source = fs::read_to_string(root().join("src").join(file)).unwrap();
    let begins = |line: &str| {
        let rest = line.trim().strip_prefix(name);
        rest.is_some_and(|rest| rest.ends_with('{') && (rest.starts_with(" {") || rest.starts_with(", \"")))
    };
    let mut entries = Vec::new();
    let mut meaning = Vec::new();
    for line in source.lines().skip_while(|line| !begins(line)).skip(1) {
        let line = line.trim();
        if line == "}" {
            break;
        }
        if let Some(text) = line.strip_prefix("///") {
            meaning.push(text.trim().to_owned());
        } else if let Some((_, value)) = line.trim_end_matches(',').split_once(" = ") {
            let (code, word) =
                value.split_once(' ').map_or((None, value), |(code, word)| (code.parse().ok(), word));
            entries.push(Entry { code, word: word.trim_matches('"').to_owned(), meaning: meaning.join(" ") });
            meaning.clear();
        }
    }
    assert!(!entries.is_empty(), "{file} declares no {name}");
    assert!(entries.iter().all(|entry| !entry.meaning.is_empty()), "{name} has a value without a meaning");
    entries
}
