//! Topics of documents, the patterns by which they find their queue, and the names of queues and actors.

/// The longest topic, pattern, name of a queue or of an actor, in bytes: what AMQP takes as a routing key.
const NAME_MAX: usize = 255;

/// A text that is not a topic, a pattern of topics, or the name of a queue, an actor or a root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} is not valid: {expected}")]
pub struct RoutingError {
    what: &'static str,
    text: String,
    expected: &'static str,
}

fn wrong(what: &'static str, text: &str, expected: &'static str) -> RoutingError {
    RoutingError { what, text: text.chars().take(80).collect(), expected }
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Whether a text is a topic: words of `A-Z a-z 0-9 _ -` with dots between them, such as `invoices.pdf`.
///
/// # Errors
/// [`RoutingError`] when it is not.
pub fn check_topic(text: &str) -> Result<(), RoutingError> {
    if text.len() <= NAME_MAX && text.split('.').all(is_word) {
        return Ok(());
    }
    Err(wrong("topic", text, "expected words of A-Z a-z 0-9 _ - with dots between them"))
}

/// Whether a text is a pattern of topics: as a topic, and `*` for one word, `#` for any number of them.
///
/// # Errors
/// [`RoutingError`] when it is not.
pub fn check_topic_pattern(text: &str) -> Result<(), RoutingError> {
    if text.len() <= NAME_MAX && text.split('.').all(|word| matches!(word, "*" | "#") || is_word(word)) {
        return Ok(());
    }
    Err(wrong(
        "pattern",
        text,
        "expected a topic in which * stands for one word and # for any number of them",
    ))
}

/// Whether a text may be the name of a queue, as Dramatiq takes it. Those of its delayed and dead messages are its own.
///
/// # Errors
/// [`RoutingError`] when it may not.
pub fn check_queue(text: &str) -> Result<(), RoutingError> {
    let begins_well = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    // Room for the suffixes of the queues beside it.
    if !begins_well || !is_plain || text.len() > NAME_MAX - 3 {
        return Err(wrong("queue", text, "expected a letter or _, then A-Z a-z 0-9 _ - . (252 at most)"));
    }
    if text.rsplit_once('.').is_some_and(|(_, suffix)| matches!(suffix, "DQ" | "XQ")) {
        return Err(wrong("queue", text, "names that end in .DQ and .XQ are those of Dramatiq's own queues"));
    }
    Ok(())
}

/// Whether a text may be the name of an actor, after which its stage is named.
///
/// # Errors
/// [`RoutingError`] when it may not.
pub fn check_actor(text: &str) -> Result<(), RoutingError> {
    if !text.is_empty()
        && text.len() <= NAME_MAX
        && text.chars().all(|c| !c.is_control() && !c.is_whitespace())
    {
        return Ok(());
    }
    Err(wrong("actor", text, "expected the name of a Dramatiq actor, without spaces (255 bytes at most)"))
}

/// Whether a text may be the name of a watch root: 1 to 64 of `A-Z a-z 0-9 _ - .`, not beginning with `-` or `.`.
///
/// # Errors
/// [`RoutingError`] when it may not.
pub fn check_root_name(text: &str) -> Result<(), RoutingError> {
    if super::Part::new(text).is_ok() {
        return Ok(());
    }
    Err(wrong("name", text, "expected 1 to 64 of A-Z a-z 0-9 _ - . that begin with neither - nor ."))
}

/// Whether a topic matches a pattern: `*` stands for one word, `#` for any number of words, none included.
#[must_use]
pub fn topic_matches(pattern: &str, topic: &str) -> bool {
    let pattern: Vec<_> = pattern.split('.').collect();
    // Which beginnings of the pattern match the words so far: linear in both, whatever the pattern.
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    skip_any(&pattern, &mut reached);
    for word in topic.split('.') {
        let mut next = vec![false; pattern.len() + 1];
        for (at, part) in pattern.iter().enumerate().filter(|(at, _)| reached[*at]) {
            match *part {
                "#" => next[at] = true,
                "*" => next[at + 1] = true,
                part if part == word => next[at + 1] = true,
                _ => {}
            }
        }
        skip_any(&pattern, &mut next);
        reached = next;
    }
    reached[pattern.len()]
}

/// A `#` may stand for nothing.
fn skip_any(pattern: &[&str], reached: &mut [bool]) {
    for (at, part) in pattern.iter().enumerate() {
        if reached[at] && *part == "#" {
            reached[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_word_and_a_hash_any_number() {
        for (pattern, topic, matches) in [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a.b", "a", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("*", "a", true),
            ("*", "a.b", false),
            ("#", "a.b.c", true),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("a.#", "ab", false),
            ("#.c", "c", true),
            ("#.c", "a.b.c", true),
            ("#.c", "a.c.b", false),
            ("a.#.z", "a.z", true),
            ("a.#.z", "a.b.c.z", true),
            ("a.#.z", "a.b.c", false),
            ("*.#", "a", true),
            ("#.*", "a", true),
            ("#.b.#", "a.b.c", true),
            ("#.b.#", "a.c", false),
        ] {
            assert_eq!(topic_matches(pattern, topic), matches, "{pattern} {topic}");
        }
        // No pattern takes long.
        let long = vec!["a"; 120].join(".");
        assert!(!topic_matches(&vec!["#.a"; 60].join("."), &format!("{long}.b")));
    }

    #[test]
    fn names_are_those_that_brokers_and_dramatiq_take() {
        for topic in ["a", "invoices.pdf", "A_1-b.c"] {
            check_topic(topic).unwrap();
            check_topic_pattern(topic).unwrap();
        }
        for topic in ["", ".", "a.", ".a", "a..b", "a b", "č", "*", "a.#", &"a".repeat(256)] {
            assert!(check_topic(topic).is_err(), "{topic}");
        }
        check_topic_pattern("#.a.*").unwrap();
        for pattern in ["", "a*", "a.b#", "a."] {
            assert!(check_topic_pattern(pattern).is_err(), "{pattern}");
        }
        check_queue("default").unwrap();
        for queue in ["", "1a", "a b", "a.DQ", "a.XQ", "-a", &"a".repeat(253)] {
            assert!(check_queue(queue).is_err(), "{queue}");
        }
        check_actor("extract").unwrap();
        for actor in ["", "a b", "a\n"] {
            assert!(check_actor(actor).is_err(), "{actor:?}");
        }
        assert_eq!(
            check_root_name("a/b").unwrap_err().to_string(),
            "name \"a/b\" is not valid: expected 1 to 64 of A-Z a-z 0-9 _ - . that begin with neither - nor ."
        );
    }
}
