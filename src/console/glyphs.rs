//! The signs of the screen, in three sets. Each is one cell wide and has no emoji form: those and
//! braille break in common terminals.

use crate::console::UnknownName;
use std::str::FromStr;

use ratatui::symbols::border;

use crate::model::explain::State;

/// Which signs a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GlyphSet {
    /// UTF-8 and a font that has more than a few hundred signs.
    #[default]
    Unicode,
    /// The signs of every font of Windows (WGL4): its old console has no other font to ask.
    Safe,
    /// ASCII alone.
    Ascii,
}

impl GlyphSet {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Unicode, Self::Safe, Self::Ascii];

    /// As it is written in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unicode => "unicode",
            Self::Safe => "safe",
            Self::Ascii => "ascii",
        }
    }

    pub(super) const fn glyphs(self) -> &'static Glyphs {
        match self {
            Self::Unicode => &UNICODE,
            Self::Safe => &SAFE,
            Self::Ascii => &ASCII,
        }
    }
}

impl FromStr for GlyphSet {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|set| set.name() == text)
            .ok_or_else(|| UnknownName::new(text, "set of glyphs", "unicode, safe or ascii"))
    }
}

/// One set of signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glyphs {
    pub(super) running: char,
    pub(super) idle: char,
    pub(super) stopped: char,
    pub(super) fatal: char,
    /// Its last run ended badly.
    pub(super) failed: char,
    pub(super) waiting: char,
    /// It runs and gets nowhere.
    pub(super) stalled: char,
    /// Its time has passed.
    pub(super) late: char,
    /// Nobody knows.
    pub(super) unknown: char,
    pub(super) disabled: char,
    pub(super) pending: char,
    pub(super) executed: char,
    pub(super) refused: char,
    pub(super) mark: char,
    pub(super) opened: char,
    pub(super) closed: char,
    pub(super) rule: char,
    /// A line between two panes.
    pub(super) wall: char,
    /// A line in which something is missing.
    pub(super) gap: char,
    /// Time that was waited.
    pub(super) waited: char,
    /// From the least part of a cell to a whole one.
    pub(super) bar: &'static [char],
    /// From low to high.
    pub(super) spark: &'static [char],
    pub(super) dot: char,
    /// The frame of a box.
    pub(super) border: border::Set<'static>,
}

/// For terminals that show UTF-8.
pub(super) const UNICODE: Glyphs = Glyphs {
    running: '►',
    idle: '·',
    stopped: '■',
    fatal: '✗',
    failed: '▼',
    waiting: '○',
    stalled: '≈',
    late: '!',
    unknown: '?',
    disabled: '⊘',
    pending: '…',
    executed: '✓',
    refused: '✗',
    mark: '●',
    opened: '▾',
    closed: '▸',
    rule: '─',
    wall: '│',
    gap: '═',
    waited: '░',
    bar: &['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'],
    spark: &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
    dot: '·',
    border: border::PLAIN,
};

/// For terminals with few signs.
pub(super) const SAFE: Glyphs = Glyphs {
    fatal: '×',
    disabled: 'ø',
    executed: '√',
    refused: '×',
    opened: '-',
    closed: '+',
    bar: &['▌', '█'],
    spark: &['_', '▄', '█'],
    ..UNICODE
};

/// For all others.
pub(super) const ASCII: Glyphs = Glyphs {
    running: '>',
    idle: '.',
    stopped: '#',
    fatal: 'X',
    failed: 'f',
    waiting: 'o',
    stalled: '~',
    late: '!',
    unknown: '?',
    disabled: '-',
    pending: ':',
    executed: '+',
    refused: 'X',
    mark: '*',
    opened: '-',
    closed: '+',
    rule: '-',
    wall: '|',
    gap: '=',
    waited: ':',
    bar: &['=', '#'],
    spark: &['_', '.', '-', '=', '#'],
    dot: '.',
    border: border::Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    },
};

impl Glyphs {
    /// The sign in the first column; how a state differs from the one with the same sign, the flags say.
    pub(super) const fn state(&self, state: State) -> char {
        match state {
            State::Idle | State::Late | State::Disabled => self.idle,
            State::Running | State::Stalled => self.running,
            State::Waiting => self.waiting,
            State::Stopped => self.stopped,
            State::Failed => self.failed,
            State::Fatal | State::GivenUp | State::SetAside => self.fatal,
            State::Unknown => self.unknown,
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

    /// A line of values, one a cell; the highest fills its cell. Nothing is a space.
    pub(super) fn spark(&self, values: impl IntoIterator<Item = u64> + Clone) -> String {
        let most = values.clone().into_iter().max().unwrap_or(0).max(1);
        let steps = self.spark.len() as u64;
        let sign = |value: u64| {
            let step = u128::from(value) * u128::from(steps) / u128::from(most);
            let step = usize::try_from(step).unwrap_or(usize::MAX).clamp(1, self.spark.len());
            if value == 0 { ' ' } else { self.spark[step - 1] }
        };
        values.into_iter().map(sign).collect()
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

    #[test]
    fn sparks_are_measured_by_the_highest() {
        assert_eq!(UNICODE.spark([0, 1, 4, 8]), " ▁▄█");
        assert_eq!(ASCII.spark([10, 5, 0]), "#. ");
        assert_eq!(SAFE.spark([u64::MAX, 0]), "█ ");
        assert_eq!(SAFE.spark([]), "");
    }

    #[test]
    fn every_sign_takes_one_cell_and_ascii_is_ascii() {
        for set in GlyphSet::ALL {
            let glyphs = set.glyphs();
            let signs = [
                glyphs.running,
                glyphs.idle,
                glyphs.stopped,
                glyphs.fatal,
                glyphs.failed,
                glyphs.waiting,
                glyphs.stalled,
                glyphs.late,
                glyphs.unknown,
                glyphs.disabled,
                glyphs.pending,
                glyphs.executed,
                glyphs.refused,
                glyphs.mark,
                glyphs.opened,
                glyphs.closed,
                glyphs.rule,
                glyphs.wall,
                glyphs.gap,
                glyphs.waited,
                glyphs.dot,
            ];
            for sign in signs.iter().chain(glyphs.bar).chain(glyphs.spark) {
                let mut cell = ratatui::buffer::Cell::EMPTY;
                cell.set_char(*sign);
                assert_eq!(ratatui::text::Span::raw(cell.symbol()).width(), 1, "{sign}");
                assert!(set != GlyphSet::Ascii || sign.is_ascii(), "{sign}");
            }
            assert_eq!(set.name().parse(), Ok(set));
        }
        assert!("braille".parse::<GlyphSet>().is_err());
    }
}
