//! The lines that are kept, which of them are shown, and where the window stands.

use std::collections::{BTreeSet, VecDeque};

use super::fold::{Fold, Folder, Number};
use super::line::{Level, LogLine};

/// So many lines are kept; older ones are in the file.
pub(in crate::console) const LINES_MAX: usize = 5000;

/// So many bytes of text are kept.
pub(in crate::console) const BYTES_MAX: usize = 2 * 1024 * 1024;

/// What is looked for. Small letters find large ones too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct Search {
    text: String,
    is_exact: bool,
}

impl Search {
    /// `None` if nothing is looked for.
    pub(in crate::console) fn new(text: &str) -> Option<Self> {
        let is_exact = text.chars().any(char::is_uppercase);
        (!text.is_empty()).then(|| Self { text: text.to_owned(), is_exact })
    }

    pub(in crate::console) fn text(&self) -> &str {
        &self.text
    }

    pub(in crate::console) fn finds(&self, text: &str) -> bool {
        if self.is_exact { text.contains(&self.text) } else { text.to_lowercase().contains(&self.text) }
    }

    /// Where in a text it is first, as far as that can be told: a letter that changes its length when
    /// it is made small moves what follows.
    pub(in crate::console) fn place(&self, text: &str) -> Option<std::ops::Range<usize>> {
        let begin =
            if self.is_exact { text.find(&self.text)? } else { text.to_lowercase().find(&self.text)? };
        let place = begin..begin + self.text.len();
        text.get(place.clone()).map(|_| place)
    }
}

/// A log with a limit.
#[derive(Debug, Default)]
pub(in crate::console) struct LogBuffer {
    lines: VecDeque<Kept>,
    /// The number of the first line that is kept.
    first: Number,
    bytes: usize,
    folder: Folder,
    opened: BTreeSet<Number>,
    search: Option<Search>,
    only_hits: bool,
    level: Option<Level>,
    /// The lines that are shown, in order.
    shown: VecDeque<Number>,
    /// The lines in which the search finds something, in order.
    hits: VecDeque<Number>,
    hit: Option<Number>,
    /// The first line of the window; `None`: it follows the end.
    top: Option<Number>,
    unseen: usize,
}

#[derive(Debug)]
struct Kept {
    line: LogLine,
    /// The first line of its fold.
    head: Option<Number>,
}

impl LogBuffer {
    /// Lines that are kept, and the bytes of their text.
    pub(in crate::console) fn amount(&self) -> (usize, usize) {
        (self.lines.len(), self.bytes)
    }

    pub(in crate::console) fn shown(&self) -> &VecDeque<Number> {
        &self.shown
    }

    pub(in crate::console) fn line(&self, number: Number) -> Option<&LogLine> {
        self.kept(number).map(|kept| &kept.line)
    }

    pub(in crate::console) fn search(&self) -> Option<&Search> {
        self.search.as_ref()
    }

    pub(in crate::console) fn shows_only_hits(&self) -> bool {
        self.only_hits
    }

    pub(in crate::console) fn level(&self) -> Option<Level> {
        self.level
    }

    pub(in crate::console) fn is_following(&self) -> bool {
        self.top.is_none()
    }

    /// Lines that came since the window was held.
    pub(in crate::console) fn unseen(&self) -> usize {
        self.unseen
    }

    /// The hit that was gone to: its place among all, from 1, and its line; and how many there are.
    pub(in crate::console) fn hit(&self) -> (Option<(usize, Number)>, usize) {
        let place = self.hit.and_then(|hit| Some((self.hits.binary_search(&hit).ok()? + 1, hit)));
        (place, self.hits.len())
    }

    /// The fold that is closed and begins with this line.
    pub(in crate::console) fn closed_fold(&self, number: Number) -> Option<Fold> {
        if self.opened.contains(&number) || self.only_hits {
            return None;
        }
        self.folder.at(number).filter(|fold| fold.lines > 1)
    }

    /// Forgets all lines; what is looked for and chosen stays.
    pub(in crate::console) fn clear(&mut self) {
        let (search, only_hits, level) = (self.search.take(), self.only_hits, self.level);
        *self = Self { search, only_hits, level, ..Self::default() };
    }

    /// Adds lines at the end.
    pub(in crate::console) fn add(&mut self, lines: impl IntoIterator<Item = LogLine>) {
        for line in lines {
            let number = self.first + self.lines.len() as u64;
            let head = self.folder.take(number, &line);
            // A line that only now became the first of a fold stays shown.
            self.bytes += line.text.len();
            let is_hit = self.search.as_ref().is_some_and(|search| search.finds(&line.text));
            self.lines.push_back(Kept { line, head });
            if is_hit {
                self.hits.push_back(number);
            }
            if self.is_shown(number, is_hit) {
                self.shown.push_back(number);
                self.unseen += usize::from(self.top.is_some());
            }
        }
        self.drop_surplus();
    }

    /// The number of the line that is added next.
    pub(in crate::console) fn next(&self) -> Number {
        self.first + self.lines.len() as u64
    }

    /// Changes a line; one that is not kept any more is left alone.
    pub(in crate::console) fn replace(&mut self, number: Number, line: LogLine) {
        let is_hit = self.search.as_ref().is_some_and(|search| search.finds(&line.text));
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let Some(kept) = at.and_then(|at| self.lines.get_mut(at)) else { return };
        self.bytes = self.bytes - kept.line.text.len() + line.text.len();
        kept.line = line;
        match (self.hits.binary_search(&number), is_hit) {
            (Ok(at), false) => drop(self.hits.remove(at)),
            (Err(at), true) => self.hits.insert(at, number),
            (Ok(_), true) | (Err(_), false) => {}
        }
        if self.level.is_some() || self.only_hits {
            self.choose();
        }
        self.drop_surplus();
    }

    fn drop_surplus(&mut self) {
        let mut dropped = 0;
        while self.lines.len() > LINES_MAX || (self.bytes > BYTES_MAX && self.lines.len() > 1) {
            let Some(kept) = self.lines.pop_front() else { break };
            self.bytes -= kept.line.text.len();
            dropped += 1;
        }
        if dropped == 0 {
            return;
        }
        let first = self.first + dropped;
        let lost = |number: &Number| *number < first;
        // What was hidden in a fold whose head is gone is shown by itself.
        let orphans = self.lines.iter().take_while(|kept| kept.head.is_some_and(|head| head < first)).count();
        self.first = first;
        self.folder.forget(first);
        self.opened = self.opened.split_off(&first);
        while self.shown.front().is_some_and(lost) {
            self.shown.pop_front();
        }
        while self.hits.front().is_some_and(lost) {
            self.hits.pop_front();
        }
        for number in (first..first + orphans as u64).rev() {
            let is_hit = self.hits.binary_search(&number).is_ok();
            if self.is_shown(number, is_hit) && self.shown.front().is_none_or(|front| *front > number) {
                self.shown.push_front(number);
            }
        }
        self.hit = self.hit.filter(|hit| *hit >= first);
        self.top = self.top.map(|top| top.max(first));
    }

    fn kept(&self, number: Number) -> Option<&Kept> {
        self.lines.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn is_shown(&self, number: Number, is_hit: bool) -> bool {
        let Some(kept) = self.kept(number) else { return false };
        if self.level.is_some_and(|level| kept.line.weight() < level) && kept.head.is_none() {
            return false;
        }
        if self.only_hits && self.search.is_some() {
            return is_hit;
        }
        match kept.head {
            Some(head) if head >= self.first && head != number => self.opened.contains(&head),
            Some(_) | None => true,
        }
    }

    /// Finds out anew what is shown. The window stays where it is.
    fn choose(&mut self) {
        let numbers = self.first..self.first + self.lines.len() as u64;
        self.shown = numbers
            .filter(|number| self.is_shown(*number, self.hits.binary_search(number).is_ok()))
            .collect();
    }

    /// Looks for something, or for nothing any more, and goes to the last place where it is.
    pub(in crate::console) fn look_for(&mut self, search: Option<Search>, height: usize) {
        self.only_hits &= search.is_some();
        self.hits = match &search {
            Some(search) => (self.first..)
                .zip(&self.lines)
                .filter(|(_, kept)| search.finds(&kept.line.text))
                .map(|(number, _)| number)
                .collect(),
            None => VecDeque::new(),
        };
        self.search = search;
        self.hit = None;
        self.choose();
        if !self.hits.is_empty() {
            self.go_to_hit(true, height);
        }
    }

    /// Goes to the next place where the search finds something, or to the one before; round and round.
    pub(in crate::console) fn go_to_hit(&mut self, backwards: bool, height: usize) -> bool {
        let next = match (self.hit, backwards) {
            (Some(hit), false) => self.hits.iter().find(|number| **number > hit).or(self.hits.front()),
            (Some(hit), true) => self.hits.iter().rev().find(|number| **number < hit).or(self.hits.back()),
            (None, _) => self.hits.back(),
        };
        let Some(next) = next.copied() else { return false };
        self.hit = Some(next);
        if let Some(head) = self.kept(next).and_then(|kept| kept.head)
            && head != next
            && self.opened.insert(head)
        {
            self.choose();
        }
        let place = self.place(next);
        let begin = self.window_place(height);
        if !(begin..begin + height).contains(&place) || self.top.is_none() {
            self.hold_at(place.saturating_sub(height / 2));
        }
        true
    }

    pub(in crate::console) fn toggle_only_hits(&mut self) -> bool {
        if self.search.is_none() {
            return false;
        }
        self.only_hits = !self.only_hits;
        self.choose();
        true
    }

    /// All levels, then from information, warnings, errors on.
    pub(in crate::console) fn next_level(&mut self) {
        self.level = match self.level {
            None | Some(Level::Debug) => Some(Level::Info),
            Some(Level::Info) => Some(Level::Warn),
            Some(Level::Warn) => Some(Level::Error),
            Some(Level::Error) => None,
        };
        self.choose();
    }

    /// Opens the folds in the window; if all of them are open, closes them.
    pub(in crate::console) fn toggle_folds(&mut self, height: usize) -> bool {
        let begin = self.window_place(height);
        let seen: BTreeSet<_> = self
            .shown
            .iter()
            .skip(begin)
            .take(height)
            .filter_map(|number| {
                let head = self.kept(*number)?.head.filter(|head| *head >= self.first);
                head.or(self.folder.at(*number).map(|_| *number))
            })
            .collect();
        if seen.is_empty() {
            return false;
        }
        if seen.iter().all(|head| self.opened.contains(head)) {
            self.opened.retain(|head| !seen.contains(head));
        } else {
            self.opened.extend(seen);
        }
        self.choose();
        true
    }

    /// Moves the window; at the end it follows again.
    pub(in crate::console) fn scroll(&mut self, by: isize, height: usize) {
        let last = self.shown.len().saturating_sub(height);
        let place = self.window_place(height).saturating_add_signed(by).min(last);
        if place >= last && by > 0 {
            self.follow();
        } else {
            self.hold_at(place);
        }
    }

    pub(in crate::console) fn follow(&mut self) {
        self.top = None;
        self.unseen = 0;
    }

    /// Holds the window where it is, or lets it follow again.
    pub(in crate::console) fn toggle_pause(&mut self, height: usize) {
        if self.top.is_some() {
            self.follow();
        } else {
            self.hold_at(self.window_place(height));
        }
    }

    pub(in crate::console) fn go_to_start(&mut self) {
        self.hold_at(0);
    }

    fn hold_at(&mut self, place: usize) {
        // With nothing to be held, the first line that comes is.
        self.top = Some(self.shown.get(place).copied().unwrap_or(self.first));
    }

    /// The place of a line among those that are shown, or of the next one.
    fn place(&self, number: Number) -> usize {
        self.shown.partition_point(|shown| *shown < number)
    }

    /// The place of the first line of the window.
    pub(in crate::console) fn window_place(&self, height: usize) -> usize {
        let last = self.shown.len().saturating_sub(height);
        self.top.map_or(last, |top| self.place(top).min(last))
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::Source;
    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine::remark(Source::Out, None, 0, text)
    }

    fn buffer(lines: &[&str]) -> LogBuffer {
        let mut buffer = LogBuffer::default();
        buffer.add(lines.iter().map(|text| line(text)));
        buffer
    }

    fn texts(buffer: &LogBuffer, height: usize) -> Vec<&str> {
        let numbers = buffer.shown().iter().skip(buffer.window_place(height)).take(height);
        numbers.map(|number| &*buffer.line(*number).unwrap().text).collect()
    }

    #[test]
    fn it_follows_until_it_is_held_and_counts_what_came() {
        let mut log = buffer(&["a", "b", "c", "d"]);
        assert_eq!(texts(&log, 2), ["c", "d"]);
        log.scroll(-1, 2);
        log.add([line("e"), line("f")]);
        assert_eq!((texts(&log, 2), log.unseen(), log.is_following()), (vec!["b", "c"], 2, false));
        log.scroll(1, 2);
        assert_eq!(texts(&log, 2), ["c", "d"]);
        log.scroll(5, 2);
        assert_eq!((texts(&log, 2), log.unseen(), log.is_following()), (vec!["e", "f"], 0, true));
        log.toggle_pause(2);
        log.add([line("g")]);
        assert_eq!(texts(&log, 2), ["e", "f"]);
        log.toggle_pause(2);
        assert_eq!(texts(&log, 2), ["f", "g"]);
    }

    #[test]
    fn lines_and_bytes_have_a_limit_and_the_window_does_not_slip() {
        let mut log = LogBuffer::default();
        log.add((0..LINES_MAX).map(|number| line(&number.to_string())));
        log.scroll(-10, 1);
        assert_eq!(texts(&log, 1), ["4989"]);
        log.add((0..100).map(|number| line(&format!("new {number}"))));
        assert_eq!((texts(&log, 1), log.amount().0), (vec!["4989"], LINES_MAX));
        log.add((0..LINES_MAX).map(|_| line("x")));
        assert_eq!(texts(&log, 1), ["x"], "what it stood on is gone");
        let long = "y".repeat(16 * 1024);
        log.add((0..200).map(|_| line(&long)));
        let (lines, bytes) = log.amount();
        assert!(bytes <= BYTES_MAX && (100..200).contains(&lines), "{lines} lines, {bytes} bytes");
    }

    #[test]
    fn hits_are_counted_as_lines_come_and_go() {
        let mut log = buffer(&["page 1", "HTTP 429", "page 2", "http 429", "page 3"]);
        log.look_for(Search::new("429"), 2);
        assert_eq!(log.hit(), (Some((2, 3)), 2));
        log.add([line("429 again")]);
        assert_eq!(log.hit(), (Some((2, 3)), 3));
        assert!(log.go_to_hit(false, 2));
        assert_eq!(log.hit().0, Some((3, 5)));
        log.go_to_hit(false, 2);
        assert_eq!(log.hit().0, Some((1, 1)), "round and round");
        assert!(texts(&log, 2).contains(&"HTTP 429"));
        assert!(log.toggle_only_hits());
        assert_eq!(texts(&log, 9), ["HTTP 429", "http 429", "429 again"]);
        log.look_for(Search::new("HTTP"), 2);
        assert_eq!(log.hit().1, 1, "a capital is meant");
        log.look_for(None, 2);
        assert_eq!((log.hit(), log.shown().len()), ((None, 0), 6));
        log.look_for(Search::new("page"), 2);
        log.add((0..LINES_MAX).map(|_| line("x")));
        assert_eq!(log.hit(), (None, 0));
        assert!(!log.go_to_hit(true, 2));
    }

    #[test]
    fn a_traceback_takes_one_line_until_it_is_opened() {
        let mut log = buffer(&[
            "page 1",
            "Traceback (most recent call last):",
            "  File \"a\"",
            "ValueError: no",
            "page 2",
        ]);
        assert_eq!(texts(&log, 9), ["page 1", "Traceback (most recent call last):", "page 2"]);
        assert_eq!(log.closed_fold(1), Some(Fold { lines: 3, told_by: 3 }));
        assert!(log.toggle_folds(9));
        assert_eq!(log.shown().len(), 5);
        assert!(log.toggle_folds(9));
        assert_eq!(log.shown().len(), 3);
        log.look_for(Search::new("valueerror"), 9);
        assert_eq!(log.shown().len(), 5, "what is found is shown");
        assert!(!buffer(&["a"]).toggle_folds(9));
        // The head of a fold is dropped before the rest.
        let mut log = buffer(&["Traceback (most recent call last):", "  File \"a\"", "ValueError: no"]);
        log.add((0..LINES_MAX - 2).map(|_| line("x")));
        assert_eq!(log.shown().len(), LINES_MAX);
    }

    #[test]
    fn levels_hide_what_is_less() {
        let lines =
            [(Some(Level::Debug), "d"), (None, "out"), (Some(Level::Warn), "w"), (Some(Level::Error), "e")];
        let mut log = LogBuffer::default();
        log.add(lines.map(|(level, text)| LogLine { level, ..line(text) }));
        for expected in [vec!["out", "w", "e"], vec!["w", "e"], vec!["e"], vec!["d", "out", "w", "e"]] {
            log.next_level();
            assert_eq!(texts(&log, 9), expected);
        }
    }
}
