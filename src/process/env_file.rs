//! Files of variables, in the form that systemd reads as `EnvironmentFile=`. What they hold may be secret: no message has
//! a part of it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::sys;
use crate::model::{Obstacle, StartFailure};

/// The largest file that is read, in bytes: no system starts a program with more variables.
const SIZE_MAX: u64 = 1024 * 1024;

/// A variable and its text.
pub(super) type Variable = (String, String);

/// Reads the files in their order; a variable that is there twice counts as the last one says. A relative path starts at
/// `cwd`, and one after a `-` may be missing.
///
/// # Errors
/// [`StartFailure`] with the file, and the line of the first fault.
pub(super) fn read_all(files: &[String], cwd: &Path) -> Result<Vec<Variable>, StartFailure> {
    let mut variables = Vec::new();
    for file in files {
        variables.extend(read_one(file, cwd)?);
    }
    Ok(variables)
}

/// Looks whether the files could be read. What this user must not see is left out: the manager may be another one.
///
/// # Errors
/// As [`read_all`].
pub(super) fn check(files: &[String], cwd: &Path) -> Result<(), StartFailure> {
    for file in files {
        match read_one(file, cwd) {
            Err(Unread::Io(_, error)) if error.kind() == io::ErrorKind::PermissionDenied => {}
            read => drop(read?),
        }
    }
    Ok(())
}

/// Why a file gives no variables.
enum Unread {
    Io(PathBuf, io::Error),
    Fault(PathBuf, Fault),
}

impl From<Unread> for StartFailure {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Io(path, error) => Self {
                obstacle: sys::obstacle(&error),
                message: format!("file of variables {}: {}", path.display(), sys::plain(&error)),
            },
            Unread::Fault(path, Fault { line, what }) => Self {
                obstacle: Obstacle::NotExecutable,
                message: format!("file of variables {}:{line}: {what}", path.display()),
            },
        }
    }
}

fn read_one(file: &str, cwd: &Path) -> Result<Vec<Variable>, Unread> {
    let (name, may_be_missing) = file.strip_prefix('-').map_or((file, false), |name| (name, true));
    let path = cwd.join(name);
    match read(&path) {
        Ok(text) => parse(&text).map_err(|fault| Unread::Fault(path, fault)),
        Err(error) if may_be_missing && error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Unread::Io(path, error)),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe without a writer would keep the run from being started for ever.
    let file: File = sys::open_without_waiting(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > SIZE_MAX {
        return Err(io::Error::other(format!("it is larger than {SIZE_MAX} bytes")));
    }
    Ok(text)
}

/// What is wrong in a line, without a word of what stands there.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    line: usize,
    what: &'static str,
}

fn parse(bytes: &[u8]) -> Result<Vec<Variable>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| Fault {
        line: 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count(),
        what: "it is not UTF-8",
    })?;
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    let mut variables = Vec::new();
    while let Some(variable) = reader.variable()? {
        variables.push(variable);
    }
    Ok(variables)
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn fault<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault { line: self.line, what })
    }

    /// The next variable; comments and empty lines are passed over.
    fn variable(&mut self) -> Result<Option<Variable>, Fault> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
            match self.rest.chars().next() {
                None => return Ok(None),
                Some('\n') => drop(self.next()),
                Some('#' | ';') => self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..],
                Some(_) => break,
            }
        }
        let line = &self.rest[..self.rest.find('\n').unwrap_or(self.rest.len())];
        let Some((name, _)) = line.split_once('=') else {
            return self.fault("expected NAME=VALUE");
        };
        self.rest = &self.rest[name.len() + 1..];
        let name = name.trim_end_matches([' ', '\t']);
        if name.starts_with("export ") {
            return self.fault("export is a word of shells; expected NAME=VALUE");
        }
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty();
        if !is_name {
            return self.fault("what stands before = is no name of a variable: A-Z a-z 0-9 _ are allowed");
        }
        let name = name.to_owned();
        let line = self.line;
        let value = self.value()?;
        if value.contains('\0') {
            return Err(Fault { line, what: "it holds a NUL character" });
        }
        Ok(Some((name, value)))
    }

    /// What stands behind `=`: parts in quotes and, behind them, text without.
    fn value(&mut self) -> Result<String, Fault> {
        let mut value = String::new();
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
            match self.rest.chars().next() {
                Some('\'') => self.single(&mut value)?,
                Some('"') => self.double(&mut value)?,
                Some(_) => return Ok(self.plain(value)),
                None => return Ok(value),
            }
        }
    }

    fn single(&mut self, value: &mut String) -> Result<(), Fault> {
        let begun = self.line;
        self.next();
        while let Some(c) = self.next() {
            match c {
                '\'' => return Ok(()),
                c => value.push(c),
            }
        }
        Err(Fault { line: begun, what: "a quote is not closed" })
    }

    fn double(&mut self, value: &mut String) -> Result<(), Fault> {
        let begun = self.line;
        self.next();
        while let Some(c) = self.next() {
            match c {
                '"' => return Ok(()),
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(c @ ('"' | '\\' | '`' | '$')) => value.push(c),
                    Some(c) => value.extend(['\\', c]),
                },
                c => value.push(c),
            }
        }
        Err(Fault { line: begun, what: "a quote is not closed" })
    }

    /// The rest of the line, without spaces at its end; a backslash takes the meaning of what follows, and goes on in the next
    /// line.
    fn plain(&mut self, mut value: String) -> String {
        let mut kept = value.len();
        while let Some(c) = self.next() {
            match c {
                '\n' => break,
                '\\' => {
                    if let Some(c) = self.next().filter(|c| *c != '\n') {
                        value.push(c);
                    }
                    kept = value.len();
                }
                c => {
                    value.push(c);
                    if !matches!(c, ' ' | '\t' | '\r') {
                        kept = value.len();
                    }
                }
            }
        }
        value.truncate(kept);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_systemd() {
        for (text, value) in [
            ("A=b", "b"),
            ("A=", ""),
            ("A = b c  \n", "b c"),
            ("\n# A=1\n ; A=2\nA=3", "3"),
            ("A='a b'", "a b"),
            ("A=\"a \\\"b\\\" \\$c \\n\"", "a \"b\" $c \\n"),
            ("A='a\nb'\n", "a\nb"),
            ("A=a\\\nb", "ab"),
            ("A=\"a\\\nb\"", "ab"),
            ("A='a''b' c", "abc"),
            ("A=it's", "it's"),
            ("A=a\\ b\\\\", "a b\\"),
            ("A=b\\ \n", "b "),
            ("A=b#c", "b#c"),
            ("A=b=c", "b=c"),
            ("A=b\r\n", "b"),
            ("\u{feff}A=b", "b"),
            ("A=$B", "$B"),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(vec![("A".to_owned(), value.to_owned())]), "{text:?}");
        }
        let two = parse(b"A=1\n\n# c\n_b2=x\r\nA=3").unwrap();
        let two: Vec<_> = two.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(two, [("A", "1"), ("_b2", "x"), ("A", "3")]);
        assert_eq!(parse(b""), Ok(Vec::new()));
        assert_eq!(parse(b"#"), Ok(Vec::new()));
    }

    #[test]
    fn faults_have_a_line_and_no_secret() {
        for (text, line, what) in [
            (&b"A=1\nsecret\n"[..], 2, "NAME=VALUE"),
            (b"A=1\nexport B=secret", 2, "export"),
            (b"A B=secret", 1, "no name"),
            (b"2A=secret", 1, "no name"),
            (b"=secret", 1, "no name"),
            (b"A=1\nB='secret\n\n", 2, "not closed"),
            (b"A=\"secret", 1, "not closed"),
            (b"A=1\nB=\xff", 2, "UTF-8"),
            (b"A=sec\0ret", 1, "NUL"),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.line == line && fault.what.contains(what), "{text:?}: {fault:?}");
            assert!(!fault.what.contains("secret"));
        }
    }

    #[test]
    fn files_are_read_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "A=1\nB=1").unwrap();
        std::fs::write(folder.path().join("b"), "A=2").unwrap();
        std::fs::write(folder.path().join("bad"), "A=1\nB").unwrap();
        let read = |files: &[&str]| {
            let files: Vec<_> = files.iter().map(|file| (*file).to_owned()).collect();
            read_all(&files, folder.path()).map(|variables| {
                variables.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            })
        };
        assert_eq!(read(&["a", "-none", "b"]).unwrap(), "A=1 B=1 A=2");
        for (files, why) in [
            (&["none"][..], "none: "),
            (&["-bad"], "bad:2: expected NAME=VALUE"),
            // A directory, which some systems do not even open.
            (&["."], if cfg!(unix) { "it is not a file" } else { "" }),
        ] {
            let failure = read(files).unwrap_err();
            assert!(failure.message.contains(why), "{}", failure.message);
        }
    }
}
