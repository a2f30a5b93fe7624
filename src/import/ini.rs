//! Sections of keys and values as supervisord reads them: Python's `RawConfigParser` with comments that begin with `;` or `#`
//! after a blank.

use super::{At, Report};

/// The most sections that are read.
const SECTIONS_MAX: usize = 10_000;

/// What stands below a `[name]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) at: At,
    pub(super) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// In lower case.
    pub(super) key: String,
    /// Lines are parted by line feeds.
    pub(super) value: String,
    pub(super) at: At,
}

impl Section {
    /// The entry of a key; the last one counts.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key == key)
    }
}

/// Adds the sections of a text to those that were read before. Sections of one name are one.
pub(super) fn read(text: &str, file: &str, sections: &mut Vec<Section>, report: &mut Report) {
    let mut reader = Reader { file, sections, report, current: None, has_key: false, indent: 0 };
    for (line, text) in (1..).zip(text.lines()) {
        reader.line(text, line);
        if reader.sections.len() > SECTIONS_MAX {
            let at = At::new(file, line);
            return reader.report.fault(&at, format!("more than {SECTIONS_MAX} sections"));
        }
    }
    for section in sections {
        for entry in &mut section.entries {
            entry.value.truncate(entry.value.trim_end().len());
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    sections: &'a mut Vec<Section>,
    report: &'a mut Report,
    /// The section of the line.
    current: Option<usize>,
    /// Whether the last entry of the section may go on.
    has_key: bool,
    /// How far the line of the last key is indented.
    indent: usize,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, number: usize) {
        let comment = comment(line);
        let value = line[..comment.unwrap_or(line.len())].trim();
        let last = self.current.filter(|_| self.has_key).map(|index| &mut self.sections[index].entries);
        let last = last.and_then(|entries| entries.last_mut());
        if value.is_empty() {
            if let Some(entry) = last.filter(|_| comment.is_none()) {
                entry.value.push('\n');
            }
            return;
        }
        let indent = line.len() - line.trim_start().len();
        if let Some(entry) = last.filter(|_| indent > self.indent) {
            entry.value.push('\n');
            entry.value.push_str(value);
            return;
        }
        self.indent = indent;
        let at = At::new(self.file, number);
        if let Some(name) = value.strip_prefix('[').and_then(|rest| Some(rest.rsplit_once(']')?.0)) {
            return self.section(name, &at);
        }
        let Some(current) = self.current else {
            return self.report.fault(&at, "a section such as [program:NAME] must come before the first key");
        };
        match value.split_once(['=', ':']) {
            Some((key, value)) if !key.trim().is_empty() => {
                let key = key.trim_end().to_lowercase();
                let entry = Entry { key, value: value.trim().to_owned(), at };
                self.sections[current].entries.push(entry);
                self.has_key = true;
            }
            Some(_) | None => self.report.fault(&at, "expected [SECTION] or KEY = VALUE"),
        }
    }

    fn section(&mut self, name: &str, at: &At) {
        self.has_key = false;
        if name.is_empty() {
            return self.report.fault(at, "a section has no name");
        }
        let known = self.sections.iter().position(|section| section.name == name);
        self.current = Some(known.unwrap_or_else(|| {
            let section = Section { name: name.to_owned(), at: at.clone(), entries: Vec::new() };
            self.sections.push(section);
            self.sections.len() - 1
        }));
    }
}

/// Where the comment of a line begins. Python looks for the first sign of either kind, then for the second one, and so on.
fn comment(line: &str) -> Option<usize> {
    if line.trim_start().starts_with(['#', ';']) {
        return Some(0);
    }
    let is_after_blank = |at: usize| line[..at].chars().next_back().is_none_or(char::is_whitespace);
    let mut semicolons = line.match_indices(';').map(|(at, _)| at);
    let mut hashes = line.match_indices('#').map(|(at, _)| at);
    loop {
        let round = [semicolons.next(), hashes.next()];
        if round == [None, None] {
            return None;
        }
        let first = round.into_iter().flatten().filter(|at| is_after_blank(*at)).min();
        if first.is_some() {
            return first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(text: &str) -> (Vec<Section>, Vec<super::super::Fault>) {
        let (mut sections, mut report) = (Vec::new(), Report::default());
        read(text, "x.conf", &mut sections, &mut report);
        (sections, report.into_result(Vec::new()).err().unwrap_or_default())
    }

    #[test]
    fn lines_go_on_and_comments_end_them_as_in_python() {
        let text = "\
; first
[a]
one = x;y ; gone
Two: p=1
   q
# a comment in between

   r
three =
[b] trailing
four = '#' # gone
[a]
one = again
";
        let (sections, faults) = sections(text);
        assert_eq!(faults, []);
        let all: Vec<_> = sections
            .iter()
            .flat_map(|section| {
                section.entries.iter().map(|entry| {
                    (section.name.as_str(), entry.key.as_str(), entry.value.as_str(), entry.at.line)
                })
            })
            .collect();
        assert_eq!(
            all,
            [
                ("a", "one", "x;y", 3),
                ("a", "two", "p=1\nq\n\nr", 4),
                ("a", "three", "", 9),
                ("a", "one", "again", 13),
                ("b", "four", "'#'", 11),
            ]
        );
        assert_eq!(sections[0].get("one").unwrap().value, "again");
    }

    #[test]
    fn what_is_no_key_is_a_fault_of_its_line() {
        let (_, faults) = sections("x = 1\n[a]\nword\n= 3\n[]\n");
        let lines: Vec<_> = faults.iter().map(|fault| fault.at.line).collect();
        assert_eq!(lines, [1, 3, 4, 5]);
    }
}
