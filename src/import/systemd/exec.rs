//! Command lines of systemd: quoting of its own, specifiers such as `%i`, and variables that are filled in without a shell.

use std::collections::BTreeMap;

/// Something in a line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExecError {
    #[error("a quote is not closed")]
    Unclosed,
    #[error("an escape \\{0} is not known to systemd")]
    Escape(String),
    #[error("%{0} is known to systemd alone; write what it stands for")]
    Specifier(char),
    #[error("a % that stands for itself is written %%")]
    Percent,
}

/// Takes a line apart into commands, which a `;` by itself parts, and these into words.
pub(super) fn commands(line: &str) -> Result<Vec<Vec<String>>, ExecError> {
    let (mut commands, mut words) = (Vec::new(), Vec::new());
    let (mut word, mut quote) = (None::<String>, None::<char>);
    let mut rest = line.chars().peekable();
    let is_blank = |c: &char| matches!(c, ' ' | '\t' | '\n' | '\r');
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\\', _) => {
                let escaped = escape(&mut rest)?;
                word.get_or_insert_default().push(escaped);
            }
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (';', None) if word.is_none() && rest.peek().is_none_or(is_blank) => {
                commands.push(std::mem::take(&mut words));
            }
            (c, None) if is_blank(&c) => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(ExecError::Unclosed);
    }
    words.extend(word);
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    Ok(commands)
}

/// The words of a line that is no command.
pub(super) fn split(line: &str) -> Result<Vec<String>, ExecError> {
    Ok(commands(line)?.into_iter().flatten().collect())
}

/// What stands for a backslash and what follows it, as in C.
fn escape(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, ExecError> {
    let Some(c) = rest.next() else { return Err(ExecError::Escape(String::new())) };
    let mut digits = |count: usize, radix: u32, first: &str| {
        let mut text = first.to_owned();
        while text.len() < count
            && let Some(digit) = rest.next_if(|c| c.is_digit(radix))
        {
            text.push(digit);
        }
        let found = u32::from_str_radix(&text, radix).ok().filter(|_| text.len() == count);
        let found = found.and_then(char::from_u32).filter(|c| *c != '\0');
        found.ok_or_else(|| ExecError::Escape(format!("{c}{text}")))
    };
    match c {
        'a' => Ok('\u{7}'),
        'b' => Ok('\u{8}'),
        'f' => Ok('\u{c}'),
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        's' => Ok(' '),
        't' => Ok('\t'),
        'v' => Ok('\u{b}'),
        '\\' | '"' | '\'' | ';' => Ok(c),
        'x' => digits(2, 16, ""),
        'u' => digits(4, 16, ""),
        'U' => digits(8, 16, ""),
        '0'..='7' => digits(3, 8, &c.to_string()),
        _ => Err(ExecError::Escape(c.to_string())),
    }
}

/// What specifiers stand for.
pub(super) type Specifiers = BTreeMap<char, String>;

/// Fills in `%n` and the like.
pub(super) fn specified(text: &str, specifiers: &Specifiers) -> Result<String, ExecError> {
    let (mut done, mut rest) = (String::new(), text.chars());
    while let Some(c) = rest.next() {
        if c != '%' {
            done.push(c);
            continue;
        }
        match rest.next() {
            Some('%') => done.push('%'),
            Some(c) if c.is_ascii_alphabetic() => {
                done.push_str(specifiers.get(&c).ok_or(ExecError::Specifier(c))?);
            }
            Some(_) | None => return Err(ExecError::Percent),
        }
    }
    Ok(done)
}

/// The variables that the words name: `$NAME` as a whole word, `${NAME}` anywhere.
pub(super) fn variables(words: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    for word in words {
        names.extend(whole(word).map(str::to_owned));
        let mut rest = word.replace("$$", "");
        while let Some((name, after)) = braced(&rest) {
            names.push(name.to_owned());
            rest = after.to_owned();
        }
    }
    names
}

/// The name in `$NAME`.
fn whole(word: &str) -> Option<&str> {
    word.strip_prefix('$').filter(|name| is_name(name))
}

/// The next `${NAME}`: its name, and what stands behind it.
fn braced(text: &str) -> Option<(&str, &str)> {
    let (_, after) = text.split_once("${")?;
    let (name, rest) = after.split_once('}')?;
    if is_name(name) { Some((name, rest)) } else { braced(after) }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Fills in variables as systemd does: `$NAME` becomes the words of its value, `${NAME}` a part of the word; `$$` is `$`.
pub(super) fn filled(words: &[String], env: &BTreeMap<String, String>) -> Vec<String> {
    let mut done = Vec::new();
    for word in words {
        if let Some(name) = whole(word) {
            let value = env.get(name).map_or("", String::as_str);
            done.extend(value.split_whitespace().map(str::to_owned));
            continue;
        }
        done.push(parts(word, |name| env.get(name).cloned().unwrap_or_default()));
    }
    done
}

/// The words as a line for `/bin/sh -f`, which fills in the same variables when it runs.
pub(super) fn for_shell(words: &[String]) -> String {
    let quoted = |text: &str| super::super::words::quoted(text);
    let line = words.iter().map(|word| match whole(word) {
        Some(name) => format!("${name}"),
        None => {
            let text = parts(word, |name| format!("\0\"${{{name}}}\"\0"));
            // What stands between the marks is to be filled in, the rest is quoted.
            let parts = text.split('\0').enumerate().map(|(index, part)| match index % 2 {
                _ if part.is_empty() => String::new(),
                0 => quoted(part),
                _ => part.to_owned(),
            });
            let line = parts.collect::<String>();
            if line.is_empty() { "''".to_owned() } else { line }
        }
    });
    line.collect::<Vec<_>>().join(" ")
}

/// A word with its `${NAME}` replaced, and `$$` as `$`.
fn parts(word: &str, value: impl Fn(&str) -> String) -> String {
    let (mut done, mut rest) = (String::new(), word);
    while let Some((before, after)) = rest.split_once('$') {
        done.push_str(before);
        let name = after.strip_prefix('{').and_then(|after| after.split_once('}'));
        match name.filter(|(name, _)| is_name(name)) {
            Some((name, after)) => {
                done.push_str(&value(name));
                rest = after;
            }
            None => {
                done.push('$');
                rest = after.strip_prefix('$').unwrap_or(after);
            }
        }
    }
    done.push_str(rest);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_systemd() {
        for (line, words) in [
            (r#"/bin/a "b c" 'd "e' f\x20g"#, &["/bin/a", "b c", "d \"e", "f g"][..]),
            (r"a\sb \; x;", &["a b", ";", "x;"]),
            (r#"--x="y z" """#, &["--x=y z", ""]),
            (r"\101\u00e9", &["Aé"]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        assert_eq!(commands("a b ; c \\; ;d ;").unwrap(), [vec!["a", "b"], vec!["c", ";", ";d"]]);
        for line in ["'a", "\\q", "\\x2", "a\\", "\\000"] {
            assert!(split(line).is_err(), "{line}");
        }
    }

    #[test]
    fn variables_are_filled_in_without_a_shell() {
        let env = BTreeMap::from([("A".to_owned(), "x  y".to_owned()), ("B".to_owned(), "z".to_owned())]);
        let words = ["a", "$A", "${A}-${B}", "$$B", "c$B", "${C}", "$D"].map(str::to_owned);
        assert_eq!(filled(&words, &env), ["a", "x", "y", "x  y-z", "$B", "c$B", ""]);
        assert_eq!(variables(&words), ["A", "A", "B", "C", "D"]);
        assert_eq!(for_shell(&words), r#"a $A "${A}"-"${B}" '$B' 'c$B' "${C}" $D"#);
    }

    #[test]
    fn specifiers_are_filled_in() {
        let specifiers = Specifiers::from([('i', "hr".to_owned())]);
        assert_eq!(specified("a-%i%%", &specifiers).unwrap(), "a-hr%");
        assert_eq!(specified("%q", &specifiers), Err(ExecError::Specifier('q')));
        assert_eq!(specified("5%", &specifiers), Err(ExecError::Percent));
    }
}
