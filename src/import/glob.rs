//! Names of files with `*`, `?` and `[...]`, as Python's `glob` takes them.

use std::path::{Component, Path, PathBuf};

use super::Host;

/// The most steps that a comparison takes.
const STEPS_MAX: u32 = 100_000;

/// The files that a pattern means, sorted.
pub(super) fn files(pattern: &Path, host: &dyn Host) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let text = component.as_os_str().to_string_lossy();
        let is_pattern = matches!(component, Component::Normal(_)) && text.contains(['*', '?', '[']);
        let next = found.iter().flat_map(|folder| {
            if !is_pattern {
                return vec![folder.join(component)];
            }
            let names = host.list(folder).into_iter();
            let names = names.filter(|name| text.starts_with('.') || !name.starts_with('.'));
            names.filter(|name| matches(&text, name)).map(|name| folder.join(name)).collect()
        });
        found = next.collect();
    }
    // What is named without a pattern is there or not.
    found.retain(|path| {
        let folder = path.parent().unwrap_or(Path::new("/"));
        path.file_name().is_some_and(|name| host.list(folder).iter().any(|other| name == other.as_str()))
    });
    found.sort();
    found
}

/// Whether a name is one that the pattern means.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
    let mut steps = 0;
    is_match(&pattern, &name, &mut steps)
}

fn is_match(pattern: &[char], name: &[char], steps: &mut u32) -> bool {
    *steps += 1;
    if *steps > STEPS_MAX {
        return false;
    }
    match (pattern, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            is_match(rest, name, steps) || !name.is_empty() && is_match(pattern, &name[1..], steps)
        }
        (['?', rest @ ..], [_, name @ ..]) => is_match(rest, name, steps),
        (['[', rest @ ..], [c, name @ ..]) => match class(rest) {
            Some((set, rest)) => set_holds(set, *c) && is_match(rest, name, steps),
            None => *c == '[' && is_match(rest, name, steps),
        },
        ([p, rest @ ..], [c, name @ ..]) => p == c && is_match(rest, name, steps),
        (_, []) | ([], _) => false,
    }
}

/// The inside of brackets, and what follows; `None` when they are not closed.
fn class(pattern: &[char]) -> Option<(&[char], &[char])> {
    let skip = usize::from(pattern.first() == Some(&'!')) + 1;
    let end = pattern.iter().skip(skip).position(|c| *c == ']')? + skip;
    Some((&pattern[..end], &pattern[end + 1..]))
}

fn set_holds(set: &[char], c: char) -> bool {
    let (is_not, set) = match set {
        ['!', set @ ..] => (true, set),
        set => (false, set),
    };
    let mut rest = set;
    let mut holds = false;
    while let Some((first, after)) = rest.split_first() {
        if let ['-', last, after @ ..] = after {
            holds |= (*first..=*last).contains(&c);
            rest = after;
        } else {
            holds |= *first == c;
            rest = after;
        }
    }
    holds != is_not
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_python() {
        for (pattern, name, is_meant) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf~", false),
            ("a?c", "abc", true),
            ("[a-c]*", "beta", true),
            ("[!a-c]*", "beta", false),
            ("[]x]", "]", true),
            ("[x", "[x", true),
            ("*a*b*", "xxaxxb", true),
            ("", "", true),
            ("x", "", false),
        ] {
            assert_eq!(matches(pattern, name), is_meant, "{pattern} {name}");
        }
        assert!(!matches(&"*a".repeat(60), &"a".repeat(50)));
    }
}
