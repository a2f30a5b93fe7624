//! The command of a line: with or without a shell, its standard input, and a name for it.

use super::super::{At, Draft, Report, names, words};

/// Programs that a shell is by itself, so that one word of them is not the same without it.
const BUILTIN: [&str; 33] = [
    ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "done", "eval", "exec",
    "exit", "export", "for", "if", "jobs", "local", "read", "return", "set", "shift", "source", "time",
    "times", "trap", "type", "ulimit", "umask", "until", "wait", "while",
];

/// Shells that read no file before a command.
const SHELLS: [&str; 6] =
    ["/bin/sh", "/usr/bin/sh", "/bin/dash", "/usr/bin/dash", "/bin/bash", "/usr/bin/bash"];

/// Runs `$1` in the shell `$0` with `$2` as standard input.
const WITH_INPUT: &str = r#"printf '%s\n' "$2" | "$0" -c "$1""#;

/// Gives the draft its command, and returns a name for it.
pub(super) fn put(text: &str, draft: &mut Draft, at: &At, report: &mut Report) -> String {
    let (command, input) = parted(text);
    let env = &draft.app.program.env;
    let shell = env.get("SHELL").map_or(super::SHELL, String::as_str).to_owned();
    // Files that a shell reads first are named by these.
    let is_plain =
        SHELLS.contains(&shell.as_str()) && !env.contains_key("BASH_ENV") && !env.contains_key("ENV");
    let words = match input {
        Some(input) => {
            let why = "what stands behind % is its standard input, which printf in a shell gives to it";
            report.carried(at, "%", why);
            vec![
                super::SHELL.to_owned(),
                "-c".to_owned(),
                WITH_INPUT.to_owned(),
                shell,
                command.clone(),
                input,
            ]
        }
        None => match simple(&command).filter(|_| is_plain) {
            Some(words) => words,
            None => vec![shell, "-c".to_owned(), command.clone()],
        },
    };
    if redirects(&command) {
        report.carried(at, ">", "its output goes where the shell sends it, not into the log of dcm");
    }
    draft.run(report, at, words);
    names::of_command(
        &words::split(&command).unwrap_or_else(|_| command.split_whitespace().map(str::to_owned).collect()),
    )
}

/// The command, and its standard input: the first `%` ends it, further ones are line feeds; `\%` is a `%`.
fn parted(text: &str) -> (String, Option<String>) {
    let (mut command, mut input) = (String::new(), None::<String>);
    let mut rest = text.trim_end_matches([' ', '\t']).chars().peekable();
    while let Some(c) = rest.next() {
        match (c, &mut input) {
            ('\\', _) if rest.peek() == Some(&'%') => {
                rest.next();
                input.as_mut().unwrap_or(&mut command).push('%');
            }
            ('%', None) => input = Some(String::new()),
            ('%', Some(input)) => input.push('\n'),
            (c, input) => input.as_mut().unwrap_or(&mut command).push(c),
        }
    }
    // printf adds the last line feed, as cron does where there is none.
    let input = input.map(|input| input.strip_suffix('\n').map(str::to_owned).unwrap_or(input));
    (command, input)
}

/// The words of a command in which a shell has nothing to do.
fn simple(command: &str) -> Option<Vec<String>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:=,@+- \t".contains(c);
    if !command.chars().all(is_plain) {
        return None;
    }
    let words: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
    let program = words.first()?;
    (!BUILTIN.contains(&program.as_str()) && !program.contains('=')).then_some(words)
}

/// Whether a shell sends the output elsewhere: a `>` that stands in no quotes.
fn redirects(command: &str) -> bool {
    let mut quote = None;
    let mut before = ' ';
    for c in command.chars() {
        match (quote, c) {
            (None, '"' | '\'') if before != '\\' => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '>') if before != '\\' => return true,
            _ => {}
        }
        before = c;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_used_where_it_has_something_to_do() {
        for (command, is_simple) in [
            ("/srv/collect.py --country=hr a,b", true),
            ("python3 -m apps.x.main", true),
            ("cd /srv", false),
            ("A=1 x", false),
            ("x && y", false),
            ("x >/dev/null 2>&1", false),
            ("x $HOME", false),
            ("x ~/y", false),
            ("x 'a b'", false),
            ("x *.csv", false),
            ("x # y", false),
        ] {
            assert_eq!(simple(command).is_some(), is_simple, "{command}");
        }
    }

    #[test]
    fn a_percent_sign_begins_the_input() {
        let parts = |text| {
            let (command, input) = parted(text);
            (command, input.unwrap_or_else(|| "-".to_owned()))
        };
        let pair = |command: &str, input: &str| (command.to_owned(), input.to_owned());
        assert_eq!(parts("date +\\%F"), pair("date +%F", "-"));
        assert_eq!(parts("mail -s x%one%two\\%"), pair("mail -s x", "one\ntwo%"));
        assert_eq!(parts("cat%"), pair("cat", ""));
        assert_eq!(parts("cat%a%"), pair("cat", "a"));
        assert_eq!(parts("a \\b\\\\"), pair("a \\b\\\\", "-"));
    }

    #[test]
    fn output_that_goes_elsewhere_is_noticed() {
        assert!(redirects("x >/dev/null 2>&1"));
        assert!(redirects("x 2>>log"));
        assert!(!redirects("echo 'a > b'"));
        assert!(!redirects("echo a \\> b"));
    }
}
