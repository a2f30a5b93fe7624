//! Cuts a stream of bytes into lines of limited length.

/// The longest line that is kept whole, in bytes; longer ones are stored in pieces, as by s6-log.
pub(super) const LINE_MAX: usize = 8192;

/// A line or a piece of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The bytes as the app wrote them, without the line feed.
    pub(super) text: &'a [u8],
    /// Whether a line feed followed.
    pub(super) is_complete: bool,
    /// Whether the line begins here; pieces after the first do not.
    pub(super) is_start: bool,
}

/// Holds what came after the last line feed.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    carry: Vec<u8>,
    is_inside: bool,
}

impl Splitter {
    /// Hands out every line that is complete or too long with these bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(Line<'_>)) {
        while !bytes.is_empty() {
            let room = LINE_MAX - self.carry.len();
            let reach = &bytes[..bytes.len().min(room + 1)];
            match reach.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let text = if self.carry.is_empty() {
                        &bytes[..end]
                    } else {
                        self.carry.extend_from_slice(&bytes[..end]);
                        &self.carry
                    };
                    take(Line { text, is_complete: true, is_start: !self.is_inside });
                    self.carry.clear();
                    self.is_inside = false;
                    bytes = &bytes[end + 1..];
                }
                None if reach.len() > room => {
                    self.carry.extend_from_slice(&bytes[..room]);
                    take(Line { text: &self.carry, is_complete: false, is_start: !self.is_inside });
                    self.carry.clear();
                    self.is_inside = true;
                    bytes = &bytes[room..];
                }
                None => {
                    self.carry.extend_from_slice(bytes);
                    return;
                }
            }
        }
    }

    /// What came after the last line feed and was not handed out.
    pub(super) fn unfinished(&self) -> Option<Line<'_>> {
        let line = Line { text: &self.carry, is_complete: false, is_start: !self.is_inside };
        (!self.carry.is_empty()).then_some(line)
    }

    /// Hands out what is there of a line whose end has not come.
    pub(super) fn flush(&mut self, take: impl FnOnce(Line<'_>)) {
        if let Some(line) = self.unfinished() {
            take(line);
            self.carry.clear();
            self.is_inside = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool, bool)> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |line| lines.push((line.text.to_vec(), line.is_complete, line.is_start)));
        }
        splitter.flush(|line| lines.push((line.text.to_vec(), line.is_complete, line.is_start)));
        lines
    }

    #[test]
    fn a_line_that_was_handed_out_early_goes_on() {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        let mut take = |line: Line<'_>| lines.push((line.text.to_vec(), line.is_complete, line.is_start));
        splitter.push(b"prompt> ", &mut take);
        splitter.flush(&mut take);
        splitter.flush(&mut take);
        splitter.push(b"yes\nnext\n", &mut take);
        assert!(splitter.unfinished().is_none());
        assert_eq!(
            lines,
            [
                (b"prompt> ".to_vec(), false, true),
                (b"yes".to_vec(), true, false),
                (b"next".to_vec(), true, true)
            ]
        );
    }

    #[test]
    fn lines_are_put_together_and_pieces_add_up() {
        assert_eq!(
            split(&[b"a\nb", b"c\n\n", b"d"]),
            [
                (b"a".to_vec(), true, true),
                (b"bc".to_vec(), true, true),
                (b"".to_vec(), true, true),
                (b"d".to_vec(), false, true),
            ]
        );
        assert_eq!(split(&[]), []);
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_its_limit() {
        let long = vec![b'x'; LINE_MAX * 3 + 5];
        for size in [1, 7, 4096, LINE_MAX, long.len()] {
            let mut chunks: Vec<&[u8]> = long.chunks(size).collect();
            chunks.push(b"\nend\n");
            let lines = split(&chunks);
            let (last, pieces) = lines.split_last().unwrap();
            assert_eq!(*last, (b"end".to_vec(), true, true));
            assert!(pieces.iter().all(|(text, ..)| text.len() <= LINE_MAX));
            assert_eq!(pieces.iter().map(|(text, ..)| text.len()).sum::<usize>(), long.len());
            assert_eq!(pieces.iter().filter(|(_, _, is_start)| *is_start).count(), 1);
            assert_eq!(pieces.iter().filter(|(_, is_complete, _)| *is_complete).count(), 1);
        }
        // A line of exactly the limit is one line.
        let exact = [vec![b'y'; LINE_MAX], b"\n".to_vec()].concat();
        assert_eq!(split(&[&exact]), [(vec![b'y'; LINE_MAX], true, true)]);
    }
}
