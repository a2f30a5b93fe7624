//! Words of a command line as a POSIX shell takes them apart, without anything that a shell would fill in.

/// A quote or a backslash has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unclosed(&'static str);

/// Takes a line apart at its blanks. Quotes and backslashes keep blanks in a word, as `shlex.split` of Python has it:
/// between double quotes, a backslash stands only before a double quote or a backslash.
///
/// # Errors
/// When a quote is not closed, or the line ends with a backslash.
pub(super) fn split(line: &str) -> Result<Vec<String>, Unclosed> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or(Unclosed("a quote ' is not closed"))? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or(Unclosed("a quote \" is not closed"))? {
                        '"' => break,
                        '\\' => match rest.next().ok_or(Unclosed("a quote \" is not closed"))? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => {
                let c = rest.next().ok_or(Unclosed("a backslash at the end stands before nothing"))?;
                word.get_or_insert_default().push(c);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// A word as a shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:=,@%+-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Words as a line that a shell reads back.
pub(super) fn line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell_that_fills_nothing_in() {
        for (line, words) in [
            ("", &[][..]),
            ("  a  b ", &["a", "b"]),
            (r#"a "b c" 'd e'f"#, &["a", "b c", "d ef"]),
            (r#"'' """#, &["", ""]),
            (r#"\'x\ y "\"\\\n$H" '\n'"#, &["'x y", r#""\\n$H"#, r"\n"]),
            ("echo $HOME | tee >x", &["echo", "$HOME", "|", "tee", ">x"]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        for line in ["'a", "\"a", "a\\", "\"\\"] {
            assert!(split(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_line_is_read_back() {
        let words = ["a", "", "b c", "it's", "$X", "x=1,2", "\\"].map(str::to_owned);
        assert_eq!(split(&line(&words)).unwrap(), words);
    }
}
