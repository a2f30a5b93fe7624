//! The only way for text of an app into a cell, a log line or a message.

use std::borrow::Cow;
use std::fmt;

/// Shows text that an app or a stranger wrote, with everything that could command a terminal made
/// visible: control characters, escape sequences, invisible and direction-changing characters.
///
/// ```
/// use dcm::model::Printable;
/// assert_eq!(Printable("a\x1b[31mb\n").to_string(), "a\\x1b[31mb\\n");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

impl<'a> Printable<'a> {
    /// Whether a character is shown as it is, in any place of a line.
    #[must_use]
    pub fn is_printable(c: char) -> bool {
        !c.is_control() && !is_invisible(c)
    }

    /// The same as a text, which costs nothing where there is nothing odd: most often.
    #[must_use]
    pub fn text(self) -> Cow<'a, str> {
        if self.0.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            Cow::Borrowed(self.0)
        } else {
            Cow::Owned(self.to_string())
        }
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("  ")?,
                c if c.is_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c if is_invisible(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Zero-width and bidirectional format characters: they hide or reorder what follows.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::Printable;

    #[test]
    fn nothing_that_commands_a_terminal_comes_through() {
        for (text, shown) in [
            ("plain č 漢", "plain č 漢"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\u{9b}31m", "\\x9b31m"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("x\r\ny", "x\\r\\ny"),
            ("\x7f", "\\x7f"),
        ] {
            assert_eq!(Printable(text).to_string(), shown);
            assert_eq!(Printable(text).text(), shown);
        }
    }
}
