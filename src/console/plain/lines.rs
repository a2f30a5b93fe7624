//! The output of the plain console: printable lines, and prompts without a line feed. Nothing else can be
//! written.

use std::fmt::Display;
use std::io::{self, Write};

use crate::model::Printable;

pub(super) struct Lines<W>(W);

impl<W: Write> Lines<W> {
    pub(super) fn new(output: W) -> Self {
        Self(output)
    }

    /// Prints lines. Line feeds inside one of them are escaped.
    pub(super) fn print(&mut self, lines: impl IntoIterator<Item = impl Display>) -> io::Result<()> {
        for line in lines {
            writeln!(self.0, "{}", Printable(&line.to_string()))?;
        }
        self.0.flush()
    }

    /// Prints a question; the answer stands behind it.
    pub(super) fn prompt(&mut self, question: &str) -> io::Result<()> {
        write!(self.0, "{}", Printable(question))?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_others_makes_no_line_of_its_own() {
        let mut written = Vec::new();
        let mut lines = Lines::new(&mut written);
        lines.print(["a\n1 app", "\x1b[2J"]).unwrap();
        lines.prompt("stop \u{9b}2J: ").unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "a\\n1 app\n\\x1b[2J\nstop \\x9b2J: ");
    }
}
