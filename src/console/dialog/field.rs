//! One line that is being typed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Longer input is cut.
const LENGTH_MAX: usize = 200;

/// A line of text with a cursor in it, counted in characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::console) struct Field {
    text: Vec<char>,
    cursor: usize,
}

impl Field {
    pub(in crate::console) fn new(text: &str) -> Self {
        let text: Vec<_> = text.chars().take(LENGTH_MAX).collect();
        Self { cursor: text.len(), text }
    }

    pub(in crate::console) fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// Characters before the cursor.
    pub(in crate::console) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Puts in text that was pasted; control characters are left out.
    pub(in crate::console) fn paste(&mut self, text: &str) {
        text.chars().filter(|c| !c.is_control()).for_each(|c| self.put(c));
    }

    /// Takes a key of editing. `false` if it is none.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all keys but a few are of no concern")]
    pub(in crate::console) fn edit(&mut self, event: KeyEvent) -> bool {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        // AltGr comes as both.
        let alt = event.modifiers.contains(KeyModifiers::ALT) && !ctrl;
        match event.code {
            KeyCode::Char('u') if ctrl => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('k') if ctrl => self.text.truncate(self.cursor),
            KeyCode::Char('w') if ctrl => self.delete_word(),
            KeyCode::Char('a') if ctrl => self.cursor = 0,
            KeyCode::Char('e') if ctrl => self.cursor = self.text.len(),
            KeyCode::Char(c) if !ctrl && !alt && !c.is_control() => self.put(c),
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            KeyCode::Backspace => {}
            KeyCode::Delete if self.cursor < self.text.len() => drop(self.text.remove(self.cursor)),
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => return false,
        }
        true
    }

    fn put(&mut self, c: char) {
        if self.text.len() < LENGTH_MAX {
            self.text.insert(self.cursor, c);
            self.cursor += 1;
        }
    }

    fn delete_word(&mut self) {
        let before = &self.text[..self.cursor];
        let end = before.iter().rposition(|c| !c.is_whitespace()).map_or(0, |at| at + 1);
        let start = before[..end].iter().rposition(|c| c.is_whitespace()).map_or(0, |at| at + 1);
        self.text.drain(start..self.cursor);
        self.cursor = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(field: &mut Field, code: KeyCode, modifiers: KeyModifiers) {
        field.edit(KeyEvent::new(code, modifiers));
    }

    #[test]
    fn a_line_is_edited_where_the_cursor_is() {
        let mut field = Field::new("is:fatal fna");
        press(&mut field, KeyCode::Left, KeyModifiers::NONE);
        press(&mut field, KeyCode::Left, KeyModifiers::NONE);
        press(&mut field, KeyCode::Char('i'), KeyModifiers::NONE);
        assert_eq!(field.text(), "is:fatal fina");
        press(&mut field, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(field.text(), "is:fatal na");
        press(&mut field, KeyCode::Char('k'), KeyModifiers::CONTROL);
        press(&mut field, KeyCode::Backspace, KeyModifiers::NONE);
        assert_eq!((field.text().as_str(), field.cursor()), ("is:fatal", 8));
        press(&mut field, KeyCode::Char('u'), KeyModifiers::CONTROL);
        press(&mut field, KeyCode::Backspace, KeyModifiers::NONE);
        press(&mut field, KeyCode::Delete, KeyModifiers::NONE);
        field.paste("č\n漢\x1b");
        assert_eq!((field.text().as_str(), field.cursor()), ("č漢", 2));
    }
}
