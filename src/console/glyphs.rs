//! The signs of the screen: one cell wide in every terminal, and another set where there is no
//! Unicode.

use super::fleet::Condition;

/// One set of signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glyphs {
    pub(super) running: char,
    pub(super) idle: char,
    pub(super) stopped: char,
    pub(super) fatal: char,
    pub(super) waiting: char,
    pub(super) disabled: char,
    pub(super) pending: char,
    pub(super) executed: char,
    pub(super) refused: char,
    pub(super) opened: char,
    pub(super) closed: char,
    pub(super) rule: char,
    /// From an eighth of a cell to a whole one.
    pub(super) bar: &'static [char],
    pub(super) dot: char,
}

/// For terminals that show UTF-8. No emoji forms and no braille: both break in common terminals.
pub(super) const UNICODE: Glyphs = Glyphs {
    running: '►',
    idle: '·',
    stopped: '■',
    fatal: '✗',
    waiting: '○',
    disabled: '⊘',
    pending: '…',
    executed: '✓',
    refused: '✗',
    opened: '▾',
    closed: '▸',
    rule: '─',
    bar: &['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'],
    dot: '·',
};

/// For all others.
pub(super) const ASCII: Glyphs = Glyphs {
    running: '>',
    idle: '.',
    stopped: '#',
    fatal: 'X',
    waiting: 'o',
    disabled: '-',
    pending: ':',
    executed: '+',
    refused: 'X',
    opened: '-',
    closed: '+',
    rule: '-',
    bar: &['=', '#'],
    dot: '.',
};

impl Glyphs {
    pub(super) fn condition(&self, condition: Condition) -> char {
        match condition {
            Condition::Idle => self.idle,
            Condition::Running => self.running,
            Condition::Waiting => self.waiting,
            Condition::Stopped => self.stopped,
            Condition::Fatal => self.fatal,
        }
    }

    /// A bar of a percentage in this many cells.
    pub(super) fn bar(&self, percent: u8, cells: usize) -> String {
        let steps = self.bar.len();
        let filled = usize::from(percent.min(100)) * cells * steps / 100;
        let mut bar: String = std::iter::repeat_n(self.bar[steps - 1], filled / steps).collect();
        if !filled.is_multiple_of(steps) {
            bar.push(self.bar[filled % steps - 1]);
        }
        bar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_to_their_length() {
        let lengths: Vec<_> =
            [0, 1, 50, 99, 100].map(|percent| UNICODE.bar(percent, 8).chars().count()).into();
        assert_eq!(lengths, [0, 0, 4, 8, 8]);
        assert_eq!(ASCII.bar(100, 4), "####");
        assert_eq!(ASCII.bar(60, 4), "##");
        assert_eq!(ASCII.bar(70, 4), "##=");
    }
}
