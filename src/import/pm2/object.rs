//! The objects of `ecosystem.json`. pm2 evaluates such a file as JavaScript, so that comments, single quotes, names without
//! quotes and commas at the end are usual in it.

use std::fmt::Write as _;

/// How deep values may lie in each other.
const DEPTH_MAX: usize = 32;

/// A value with the line that it begins in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) line: usize,
    pub(super) node: Node,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Flag(bool),
    Number(f64),
    Text(String),
    List(Vec<Item>),
    Table(Vec<(String, Item)>),
}

/// Where the text is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(super) struct ObjectError {
    pub(super) line: usize,
    what: String,
}

impl Item {
    /// A number or a flag as text, too, as JavaScript takes them in the place of one.
    pub(super) fn text(&self) -> Option<String> {
        match &self.node {
            Node::Text(text) => Some(text.clone()),
            Node::Number(number) => Some(number.to_string()),
            Node::Flag(flag) => Some(flag.to_string()),
            Node::Null | Node::List(_) | Node::Table(_) => None,
        }
    }

    /// A number, also one in a text.
    pub(super) fn number(&self) -> Option<f64> {
        match &self.node {
            Node::Number(number) => Some(*number),
            Node::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            Node::Null | Node::Flag(_) | Node::List(_) | Node::Table(_) => None,
        }
    }

    /// Whether JavaScript takes it for true.
    pub(super) fn is_true(&self) -> bool {
        match &self.node {
            Node::Null => false,
            Node::Flag(flag) => *flag,
            Node::Number(number) => *number != 0.0,
            Node::Text(text) => !text.is_empty() && text != "false",
            Node::List(_) | Node::Table(_) => true,
        }
    }

    /// The value of a key; the last one counts.
    pub(super) fn get(&self, key: &str) -> Option<&Item> {
        let Node::Table(entries) = &self.node else { return None };
        entries.iter().rev().find(|(name, _)| name == key).map(|(_, item)| item)
    }
}

/// Reads a text that is one value.
///
/// # Errors
/// At the first place that is wrong.
pub(super) fn read(text: &str) -> Result<Item, ObjectError> {
    let mut reader = Reader { rest: text, line: 1 };
    let item = reader.item(0)?;
    reader.blanks()?;
    if reader.rest.is_empty() {
        Ok(item)
    } else {
        Err(reader.wrong("something stands behind the end of the value"))
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: impl Into<String>) -> ObjectError {
        ObjectError { line: self.line, what: what.into() }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn take(&mut self, sign: char) -> bool {
        let is_next = self.peek() == Some(sign);
        if is_next {
            self.next();
        }
        is_next
    }

    /// Blanks and comments.
    fn blanks(&mut self) -> Result<(), ObjectError> {
        loop {
            if self.rest.starts_with("//") {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.next();
                }
            } else if self.rest.starts_with("/*") {
                let end = self.rest.find("*/").ok_or_else(|| self.wrong("a comment is not closed"))?;
                self.line += self.rest[..end].matches('\n').count();
                self.rest = &self.rest[end + 2..];
            } else if self.peek().is_some_and(char::is_whitespace) {
                self.next();
            } else {
                return Ok(());
            }
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item, ObjectError> {
        self.blanks()?;
        if depth > DEPTH_MAX {
            return Err(self.wrong(format!("values lie in each other more than {DEPTH_MAX} deep")));
        }
        let line = self.line;
        let node = match self.peek().ok_or_else(|| self.wrong("a value is missing at the end"))? {
            '{' => Node::Table(self.table(depth)?),
            '[' => Node::List(self.list(depth)?),
            '"' | '\'' | '`' => Node::Text(self.text()?),
            _ => self.word()?,
        };
        Ok(Item { line, node })
    }

    fn table(&mut self, depth: usize) -> Result<Vec<(String, Item)>, ObjectError> {
        self.next();
        let mut entries = Vec::new();
        loop {
            self.blanks()?;
            if self.take('}') {
                return Ok(entries);
            }
            let key = match self.peek() {
                Some('"' | '\'') => self.text()?,
                _ => self.name()?,
            };
            self.blanks()?;
            if !self.take(':') {
                return Err(self.wrong(format!("expected : behind {key:?}")));
            }
            let item = self.item(depth + 1)?;
            entries.push((key, item));
            self.blanks()?;
            if !self.take(',') && self.peek() != Some('}') {
                return Err(self.wrong("expected , or }"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Item>, ObjectError> {
        self.next();
        let mut items = Vec::new();
        loop {
            self.blanks()?;
            if self.take(']') {
                return Ok(items);
            }
            items.push(self.item(depth + 1)?);
            self.blanks()?;
            if !self.take(',') && self.peek() != Some(']') {
                return Err(self.wrong("expected , or ]"));
            }
        }
    }

    /// Signs of a word: names, numbers.
    fn name(&mut self) -> Result<String, ObjectError> {
        let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '+' | '-');
        let end = self.rest.find(|c| !is_of_name(c)).unwrap_or(self.rest.len());
        if end == 0 {
            let found = self.peek().map_or_else(|| "the end".to_owned(), |c| format!("{c:?}"));
            return Err(self.wrong(format!("expected a name or a value, found {found}")));
        }
        let name = self.rest[..end].to_owned();
        self.rest = &self.rest[end..];
        Ok(name)
    }

    fn word(&mut self) -> Result<Node, ObjectError> {
        let word = self.name()?;
        match word.as_str() {
            "true" => Ok(Node::Flag(true)),
            "false" => Ok(Node::Flag(false)),
            "null" | "undefined" => Ok(Node::Null),
            word => match word.parse::<f64>() {
                Ok(number) if number.is_finite() && !word.starts_with(char::is_alphabetic) => {
                    Ok(Node::Number(number))
                }
                Ok(_) | Err(_) => {
                    Err(self.wrong(format!("{word:?} is no value; a program has to be run by node first")))
                }
            },
        }
    }

    fn text(&mut self) -> Result<String, ObjectError> {
        let line = self.line;
        let unclosed = || ObjectError { line, what: "a quote is not closed".to_owned() };
        let quote = self.next().ok_or_else(unclosed)?;
        let mut text = String::new();
        loop {
            match self.next().ok_or_else(unclosed)? {
                c if c == quote => return Ok(text),
                '\\' => {
                    self.escape(&mut text).ok_or_else(|| self.wrong("an escape \\ is not known"))?;
                }
                '$' if quote == '`' && self.peek() == Some('{') => {
                    return Err(self.wrong("${...} has to be filled in by node first"));
                }
                '\n' if quote != '`' => return Err(unclosed()),
                c => text.push(c),
            }
        }
    }

    /// Puts down what stands for a backslash and what follows it; nothing for the end of a line.
    fn escape(&mut self, text: &mut String) -> Option<()> {
        let digits = |reader: &mut Self, count: usize| {
            let digits =
                reader.rest.get(..count).filter(|text| text.bytes().all(|c| c.is_ascii_hexdigit()))?;
            let code = u32::from_str_radix(digits, 16).ok()?;
            reader.rest = &reader.rest[count..];
            Some(code)
        };
        let found = match self.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'x' => char::from_u32(digits(self, 2)?)?,
            'u' => {
                let high = digits(self, 4)?;
                match high {
                    0xd800..=0xdbff => {
                        self.rest = self.rest.strip_prefix("\\u")?;
                        let low = digits(self, 4)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                        char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)?
                    }
                    code => char::from_u32(code)?,
                }
            }
            '\n' => return Some(()),
            c => c,
        };
        if found != '\0' {
            text.push(found);
        }
        Some(())
    }
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(_) => f.write_str("a list"),
            Self::Table(_) => f.write_char('{').and_then(|()| f.write_str("...}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_javascript_are_read() {
        let text = "// first\n{ apps: [ /* a\nb */ { 'name': \"a\\u00e9\\n\", n: -1.5e1, t: true, 'x y': null, }, ], }\n";
        let item = read(text).unwrap();
        let Node::List(apps) = &item.get("apps").unwrap().node else { panic!("{item:?}") };
        assert_eq!(apps[0].line, 3);
        assert_eq!(apps[0].get("name").unwrap().text().as_deref(), Some("aé\n"));
        assert_eq!(apps[0].get("n").unwrap().number(), Some(-15.0));
        assert!(apps[0].get("t").unwrap().is_true());
        assert_eq!(apps[0].get("x y").unwrap().node, Node::Null);
        assert_eq!(read(r#""\ud83d\ude00""#).unwrap().text().as_deref(), Some("😀"));
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        for (text, line) in [
            ("", 1),
            ("{\n\"a\" 1}", 2),
            ("{\n\n\"a: 1}", 3),
            ("[1 2]", 1),
            ("{a: process.env.X}", 1),
            ("{a: 1}\n}", 2),
            ("{a: 'x\n'}", 1),
            ("/*\n", 1),
            ("[`${x}`]", 1),
            ("{a: NaN}", 1),
            ("\"\\ud83d\"", 1),
        ] {
            assert_eq!(read(text).unwrap_err().line, line, "{text}");
        }
        assert!(read(&"[".repeat(100_000)).is_err());
    }
}
