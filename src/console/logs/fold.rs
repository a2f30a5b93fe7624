//! Which lines belong together: a traceback is one thing, and takes one line until it is opened.

use std::collections::BTreeMap;

use super::line::{LogLine, Source};

/// A number of a line; lines are counted from the first that was ever added.
pub(in crate::console) type Number = u64;

/// Lines that are shown as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) struct Fold {
    /// All of them.
    pub(in crate::console) lines: u64,
    /// The one that says what happened.
    pub(in crate::console) told_by: Number,
}

/// Finds folds as lines come.
#[derive(Debug, Default)]
pub(super) struct Folder {
    folds: BTreeMap<Number, Fold>,
    /// By origin: what the next line may belong to.
    open: BTreeMap<u16, Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    head: Number,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// An ordinary line; frames may follow, as in Java.
    Plain,
    /// Between `Traceback` and the exception.
    Frames,
    /// Behind the exception.
    Exception,
    /// Behind an empty line after it; only another traceback goes on.
    Pause,
}

const HEAD: &str = "Traceback (most recent call last):";
const CHAINS: [&str; 2] =
    ["During handling of the above exception", "The above exception was the direct cause"];

impl Folder {
    /// Takes in a line; gives back the first line of the fold to which it belongs.
    pub(super) fn take(&mut self, number: Number, line: &LogLine) -> Option<Number> {
        if !matches!(line.source, Source::Out | Source::Err) {
            self.open.remove(&line.origin);
            return None;
        }
        let text = line.text.trim_start();
        let open = self.open.get(&line.origin).copied();
        let is_head = text.contains(HEAD);
        let (head, part, is_told) = match open {
            Some(Open { head, part: Part::Frames }) if text.is_empty() || line.is_indented() => {
                (head, Part::Frames, false)
            }
            Some(Open { head, part: Part::Frames }) => (head, Part::Exception, true),
            Some(Open { head, part: Part::Exception }) if text.is_empty() => (head, Part::Pause, false),
            Some(Open { head, part: Part::Exception }) if line.is_indented() => {
                (head, Part::Exception, false)
            }
            Some(Open { head, part: Part::Pause | Part::Exception })
                if is_head || CHAINS.iter().any(|chain| text.starts_with(chain)) =>
            {
                (head, if is_head { Part::Frames } else { Part::Pause }, false)
            }
            Some(Open { head, part: Part::Pause }) if text.is_empty() => (head, Part::Pause, false),
            Some(Open { head, part: Part::Plain }) if line.is_indented() && text.starts_with("at ") => {
                (head, Part::Plain, false)
            }
            _ if is_head => (number, Part::Frames, true),
            Some(_) | None => {
                self.open.insert(line.origin, Open { head: number, part: Part::Plain });
                return None;
            }
        };
        self.open.insert(line.origin, Open { head, part });
        let fold = self.folds.entry(head).or_insert(Fold { lines: u64::from(head != number), told_by: head });
        fold.lines += 1;
        if is_told {
            fold.told_by = number;
        }
        Some(head)
    }

    /// The fold that begins with this line.
    pub(super) fn at(&self, head: Number) -> Option<Fold> {
        self.folds.get(&head).copied()
    }

    /// Forgets what begins before this line.
    pub(super) fn forget(&mut self, before: Number) {
        self.folds = self.folds.split_off(&before);
        self.open.retain(|_, open| open.head >= before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folds(text: &str) -> Vec<(Number, u64, Number)> {
        let mut folder = Folder::default();
        for (number, line) in text.lines().enumerate() {
            folder.take(number as u64, &LogLine::remark(Source::Err, None, 0, line));
        }
        folder.folds.iter().map(|(head, fold)| (*head, fold.lines, fold.told_by)).collect()
    }

    #[test]
    fn tracebacks_are_one_thing() {
        let simple =
            "page 1\nTraceback (most recent call last):\n  File \"a\"\n    call()\nValueError: no\npage 2";
        assert_eq!(folds(simple), [(1, 4, 4)]);
        let chained = "Traceback (most recent call last):\n  File \"a\"\nKeyError: 'x'\n\nDuring handling of the \
                       above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \
                       \"b\"\nValueError: no\nnext";
        assert_eq!(folds(chained), [(0, 9, 8)]);
        let java = "java.lang.Error: no\n\tat a.b(C.java:1)\n\tat a.c(C.java:2)\nnext\n  indented";
        assert_eq!(folds(java), [(0, 3, 0)]);
        assert_eq!(folds("a\n b\n\nTraceback of a thought"), []);
    }

    #[test]
    fn apps_that_speak_at_once_do_not_mix() {
        let mut folder = Folder::default();
        let line = |origin, text| LogLine::remark(Source::Err, None, origin, text);
        assert_eq!(folder.take(0, &line(0, HEAD)), Some(0));
        assert_eq!(folder.take(1, &line(1, "page 1")), None);
        assert_eq!(folder.take(2, &line(0, "  File \"a\"")), Some(0));
        assert_eq!(folder.take(3, &line(0, "ValueError: no")), Some(0));
        assert_eq!(folder.at(0), Some(Fold { lines: 3, told_by: 3 }));
    }
}
