//! Other habits: what differs from the table of keys.

use crossterm::event::KeyCode;

use super::choice::Preset;
use super::key::Key::{self, Char, Code, Ctrl};

/// Names of what keys do, and the keys instead of those of the table.
pub(super) const fn of(preset: Preset) -> &'static [(&'static str, &'static [Key])] {
    match preset {
        Preset::K9s => &[],
        Preset::Vim => VIM,
        Preset::Arrows => ARROWS,
    }
}

const VIM: &[(&str, &[Key])] = &[
    ("fleet.open", &[Char('l'), Code(KeyCode::Right), Code(KeyCode::Enter)]),
    ("close", &[Char('h'), Code(KeyCode::Left)]),
    ("log", &[Char('L')]),
    ("logs.right", &[Char('l'), Code(KeyCode::Right)]),
    ("history.later", &[Char('l'), Code(KeyCode::Right)]),
    ("page-down", &[Ctrl('f'), Code(KeyCode::PageDown)]),
    ("page-up", &[Ctrl('b'), Code(KeyCode::PageUp)]),
    ("range", &[Char('v'), Char('V')]),
];

const ARROWS: &[(&str, &[Key])] = &[
    ("down", &[Code(KeyCode::Down)]),
    ("up", &[Code(KeyCode::Up)]),
    ("top", &[Code(KeyCode::Home)]),
    ("bottom", &[Code(KeyCode::End)]),
    ("close", &[Code(KeyCode::Left)]),
    ("left", &[Code(KeyCode::Left)]),
    ("earlier", &[Code(KeyCode::Left)]),
    ("help", &[Code(KeyCode::F(1)), Char('?')]),
    ("palette", &[Code(KeyCode::F(2)), Char(':')]),
    ("find", &[Code(KeyCode::F(3)), Char('/')]),
    ("detail", &[Code(KeyCode::F(4)), Char('d')]),
    ("read-again", &[Code(KeyCode::F(5)), Ctrl('r')]),
    ("sort", &[Code(KeyCode::F(6)), Char('o')]),
    ("log", &[Code(KeyCode::F(7)), Char('l')]),
    ("actions", &[Code(KeyCode::F(9)), Char('a')]),
    ("quit", &[Code(KeyCode::F(10)), Char('q')]),
    ("mark", &[Code(KeyCode::Insert), Char(' ')]),
];
