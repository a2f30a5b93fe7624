//! `environment` of supervisord: `A="x y",B='1,2',C=z`, in the tokens of Python's `shlex`.

use std::collections::BTreeMap;

/// The text is no list of variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected NAME=\"VALUE\",NAME=\"VALUE\"; a value with other characters than letters, digits and /.+-():_ needs quotes"
)]
pub(super) struct KeyValuesError;

/// Reads the variables; of two with one name the later one counts.
///
/// # Errors
/// When a token is missing or a quote is not closed.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, String>, KeyValuesError> {
    let tokens = tokens(text)?;
    let mut found = BTreeMap::new();
    // What parts two variables is not looked at there either.
    for variable in tokens.chunks(4) {
        let [name, equals, value, ..] = variable else { return Err(KeyValuesError) };
        if equals != "=" {
            return Err(KeyValuesError);
        }
        found.insert(name.clone(), value.trim_matches(['\'', '"']).to_owned());
    }
    Ok(found)
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_/.+-():".contains(c)
}

/// Words, quoted texts with their quotes, and single signs.
fn tokens(text: &str) -> Result<Vec<String>, KeyValuesError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if matches!(c, ' ' | '\t' | '\r' | '\n') {
            rest = &rest[1..];
        } else if c == '#' {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        } else if matches!(c, '\'' | '"') {
            let end = rest[1..].find(c).ok_or(KeyValuesError)? + 2;
            tokens.push(rest[..end].to_owned());
            rest = &rest[end..];
        } else if is_of_word(c) {
            let end = rest.find(|c| !is_of_word(c) && !matches!(c, '\'' | '"')).unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            rest = &rest[end..];
        } else {
            tokens.push(c.to_string());
            rest = &rest[c.len_utf8()..];
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_supervisord_does() {
        for (text, pairs) in [
            ("", &[][..]),
            (r#"A="x y",B='1,2',C=z"#, &[("A", "x y"), ("B", "1,2"), ("C", "z")]),
            ("A=/a/b:/c, B=\"\"", &[("A", "/a/b:/c"), ("B", "")]),
            ("A=\"it's\"\n,B=2 # gone", &[("A", "it's"), ("B", "2")]),
            ("A=1,", &[("A", "1")]),
            ("A=x\"y z\"", &[("A", "x\"y")]),
            ("A=1#x,B=2", &[("A", "1")]),
        ] {
            let read = read(text).unwrap();
            let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(read, pairs, "{text}");
        }
        for text in ["A", "A=", "A=a@b.hr,B=1", "A=\"x", "A 1"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
