//! Which files are taken, by their own name. Names are bytes: they need not be a text.

/// Endings of names that programs give to what they have not finished.
const UNFINISHED: [&[u8]; 4] = [b".part", b".tmp", b".crdownload", b"~"];

/// A glob of names: `*` any run of bytes, `?` one character, `[a-z]` and `[!a-z]` one of some, `\` takes the next as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamePattern(Vec<u8>);

impl NamePattern {
    pub(super) fn new(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }

    /// Whether a file of this name is taken. Hidden files, and those that look unfinished, are only taken by a pattern that
    /// says so itself: one that begins with a dot, or ends in the same way.
    pub(super) fn takes(&self, name: &[u8]) -> bool {
        let pattern = self.0.as_slice();
        if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
            return false;
        }
        let is_unfinished = |ending: &&[u8]| name.ends_with(ending) && !pattern.ends_with(ending);
        !UNFINISHED.iter().any(is_unfinished) && matches(pattern, name)
    }
}

/// Goes back to the latest `*` alone, so that it takes no longer than the product of both lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut fallback = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            fallback = Some((p + 1, n));
            p += 1;
            continue;
        }
        if n == name.len() && p == pattern.len() {
            return true;
        }
        if n < name.len()
            && let Some((next, width)) = one(&pattern[p..], &name[n..])
        {
            p += next;
            n += width;
            continue;
        }
        match fallback {
            Some((after, from)) if from < name.len() => {
                fallback = Some((after, from + 1));
                (p, n) = (after, from + 1);
            }
            Some(_) | None => return false,
        }
    }
}

/// Whether the first item of a pattern takes the beginning of a name: how long both are.
fn one(pattern: &[u8], name: &[u8]) -> Option<(usize, usize)> {
    let width = character(name);
    match pattern {
        [] => None,
        [b'?', ..] => Some((1, width)),
        [b'\\', escaped, ..] => (name[0] == *escaped).then_some((2, 1)),
        [b'[', rest @ ..] => match class(rest, &name[..width]) {
            Some((length, is_in)) => is_in.then_some((1 + length, width)),
            // Without an end it is a bracket.
            None => (name[0] == b'[').then_some((1, 1)),
        },
        [plain, ..] => (name[0] == *plain).then_some((1, 1)),
    }
}

/// The bytes of the first character; one where it is no text.
fn character(name: &[u8]) -> usize {
    let end = name.len().min(4);
    (1..=end).find(|length| std::str::from_utf8(&name[..*length]).is_ok()).unwrap_or(1)
}

/// What follows `[`: its length with the closing bracket, and whether the character is one of those meant.
fn class(pattern: &[u8], character: &[u8]) -> Option<(usize, bool)> {
    let is_negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let from = usize::from(is_negated);
    // A bracket at the beginning is one of those meant.
    let end = from + 1 + pattern.get(from + 1..)?.iter().position(|byte| *byte == b']')?;
    let text = std::str::from_utf8(&pattern[from..end]).ok()?;
    let wanted = std::str::from_utf8(character).ok().and_then(|text| text.chars().next());
    let items: Vec<char> = text.chars().collect();
    let mut is_in = false;
    let mut at = 0;
    while at < items.len() {
        let is_range = items.get(at + 1) == Some(&'-') && at + 2 < items.len();
        let last = if is_range { items[at + 2] } else { items[at] };
        is_in |= wanted.is_some_and(|wanted| (items[at]..=last).contains(&wanted));
        at += if is_range { 3 } else { 1 };
    }
    Some((end + 1, is_in != is_negated))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(pattern: &str, name: &[u8]) -> bool {
        NamePattern::new(pattern).takes(name)
    }

    #[test]
    fn globs_match_names_and_keep_case() {
        for (pattern, name, expected) in [
            ("*", "a.pdf", true),
            ("*.pdf", "a.pdf", true),
            ("*.pdf", "a.PDF", false),
            ("*.pdf", ".pdf", false),
            ("*.pdf", "a.pdf.zip", false),
            ("a?c", "abc", true),
            ("a?c", "a\u{10d}c", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[!a-c]x", "dx", true),
            ("[\u{10d}z]x", "\u{10d}x", true),
            ("[]x]", "]", true),
            ("[x", "[x", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("", "a", false),
            ("in voice*.pdf", "in voice 1.pdf", true),
        ] {
            assert_eq!(takes(pattern, name.as_bytes()), expected, "{pattern} {name}");
        }
        assert!(takes("*.pdf", b"\xff\xfe.pdf") && takes("??.pdf", b"\xff\xfe.pdf"));
        // No pattern takes long.
        assert!(!takes(&"*a".repeat(100), "a".repeat(99).as_bytes()));
    }

    #[test]
    fn hidden_and_unfinished_files_are_taken_only_by_name() {
        for name in [".a", ".a.pdf", "a.part", "a.tmp", "a.crdownload", "a~", "a.pdf~"] {
            assert!(!takes("*", name.as_bytes()), "{name}");
        }
        for (pattern, name) in
            [(".*", ".a"), (".a*", ".a.pdf"), ("*.part", "a.part"), ("*.tmp", "a.tmp"), ("*~", "a~")]
        {
            assert!(takes(pattern, name.as_bytes()), "{pattern} {name}");
        }
        assert!(!takes(".*", b".a.tmp") && !takes("*.tmp", b".a.tmp") && takes(".*.tmp", b".a.tmp"));
        assert!(takes("*", b"a.tmp.pdf") && takes("*", b"a.TMP"));
    }
}
