//! Paths for drafts: names of other tools in the characters that dcm takes, each once, and the same at every import.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Draft;
use crate::model::{App, AppId, AppPath, Part, PathError};

/// The greatest number that is looked for behind registered names.
const NUMBER_MAX: usize = 100_000;

/// Gives each draft its path `GROUP/PARENT/NAME`. Of drafts with one name, those that are registered keep their path:
/// first by program and schedule, then by program; what is left gets the lowest numbers, in the order of the file. So a line
/// that is inserted or edited renames no other.
///
/// # Errors
/// When the group is no valid name.
pub fn settle<'a>(
    drafts: Vec<Draft>,
    group: &str,
    known: impl Iterator<Item = &'a App>,
) -> Result<Vec<Draft>, PathError> {
    let group = Part::new(group)?;
    let known: BTreeMap<&AppPath, &App> =
        known.filter(|app| app.path.group == group).map(|app| (&app.path, app)).collect();
    let mut named: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        named.entry((part(&draft.parent), part(&draft.name))).or_default().push(index);
    }
    // Names that stand in the file are not given to others.
    let reserved: BTreeSet<_> = named.keys().cloned().collect();
    let mut paths: Vec<Option<AppPath>> = vec![None; drafts.len()];
    for ((parent, name), indexes) in &named {
        let numbered = |number: usize| match number {
            1 => AppPath::new(group.as_str(), parent, name),
            _ => AppPath::new(group.as_str(), parent, &with_number(name, number)),
        };
        let is_free = |path: &AppPath, number: usize| {
            number == 1 || !reserved.contains(&(parent.clone(), path.name.as_str().to_owned()))
        };
        let number_of =
            |path: &AppPath| path.name.as_str().strip_prefix(name)?.strip_prefix('-')?.parse().ok();
        let of_parent = known.keys().filter(|path| path.parent.as_str() == parent);
        let most: usize =
            of_parent.filter_map(|path| number_of(path)).filter(|n| *n <= NUMBER_MAX).max().unwrap_or(1);
        let (mut numbers, mut number) = (Vec::new(), 0);
        while numbers.len() < indexes.len() || number < most {
            number += 1;
            let path = numbered(number)?;
            if is_free(&path, number) {
                numbers.push(path);
            }
        }
        let mut taken = BTreeSet::new();
        for key in [same, same_program] {
            let mut free: BTreeMap<String, VecDeque<&AppPath>> = BTreeMap::new();
            for path in numbers.iter().filter(|path| !taken.contains(*path)) {
                if let Some(app) = known.get(path) {
                    free.entry(key(app)).or_default().push_back(path);
                }
            }
            for index in indexes {
                let is_settled = paths[*index].is_some();
                let found = free.get_mut(&key(&drafts[*index].app)).filter(|_| !is_settled);
                if let Some(path) = found.and_then(VecDeque::pop_front) {
                    taken.insert(path.clone());
                    paths[*index] = Some(path.clone());
                }
            }
        }
        let mut left = numbers.into_iter().filter(|path| !taken.contains(path));
        for index in indexes {
            if paths[*index].is_none() {
                paths[*index] = left.next();
            }
        }
    }
    let settled = drafts.into_iter().zip(paths).filter_map(|(mut draft, path)| {
        let path = path?;
        draft.app.id = AppId::of(&path);
        draft.app.path = path;
        Some(draft)
    });
    Ok(settled.collect())
}

/// What is the same in two apps of one program and one schedule.
fn same(app: &App) -> String {
    format!("{} {:?}", same_program(app), app.schedule)
}

fn same_program(app: &App) -> String {
    format!("{:?}", app.program.command)
}

fn with_number(name: &str, number: usize) -> String {
    let number = format!("-{number}");
    let room = Part::LENGTH_MAX - number.len();
    format!("{}{number}", &name[..name.len().min(room)])
}

/// A name in the characters of a part of a path: what dcm does not take is a dash.
fn part(name: &str) -> String {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let plain: String = name.chars().map(|c| if is_taken(c) { c } else { '-' }).collect();
    let plain = plain.trim_start_matches(['-', '.']);
    let plain = plain[..plain.len().min(Part::LENGTH_MAX)].trim_end_matches('-');
    if plain.is_empty() { "app".to_owned() } else { plain.to_owned() }
}

/// Programs that run the program in one of their arguments.
const WRAPPERS: [&str; 14] = [
    "chronic", "cronic", "chrt", "env", "exec", "flock", "ionice", "nice", "nohup", "setsid", "stdbuf",
    "sudo", "time", "timeout",
];

/// Programs that run a script.
const INTERPRETERS: [&str; 12] =
    ["bash", "dash", "java", "node", "perl", "php", "pypy3", "python", "ruby", "sh", "Rscript", "zsh"];

/// Names of scripts that say nothing without their folder.
const GENERIC: [&str; 7] = ["__main__", "app", "index", "main", "manage", "run", "start"];

/// A name for a command: that of its script or program, without its folder and ending.
#[must_use]
pub fn of_command(words: &[String]) -> String {
    let mut rest = words.iter().map(String::as_str).peekable();
    let mut is_script = false;
    while let Some(word) = rest.next() {
        let base = word.rsplit('/').next().unwrap_or(word);
        let is_interpreter = INTERPRETERS.iter().any(|name| {
            base.strip_prefix(name)
                .is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
        });
        if is_script && word == "-m" {
            return module(rest.next().unwrap_or("module"));
        } else if is_script && word == "-c" {
            // A line for a shell: its first program names it.
            let line = rest.next().unwrap_or_default();
            return of_command(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        } else if word == "cd" || WRAPPERS.contains(&base) {
            skip_options(base, &mut rest);
        } else if is_interpreter {
            is_script = true;
        } else if word.starts_with('-')
            || is_assignment(word)
            || matches!(word, "&&" | ";" | "||" | "(" | "{")
        {
            // Options of an interpreter, and what stands between a folder and the program.
        } else {
            return script(word);
        }
    }
    words.first().map_or_else(|| "app".to_owned(), |word| script(word))
}

/// Passes over what belongs to a wrapper: its options with their values, and the first argument of some.
fn skip_options<'a>(wrapper: &str, rest: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) {
    while let Some(option) = rest.next_if(|word| word.starts_with('-')) {
        let takes_value = match wrapper {
            "nice" => option == "-n",
            "ionice" => matches!(option, "-c" | "-n"),
            "sudo" => matches!(option, "-u" | "-g"),
            "flock" => matches!(option, "-w" | "-E"),
            "timeout" => matches!(option, "-k" | "-s"),
            _ => false,
        };
        if takes_value {
            rest.next();
        }
    }
    if matches!(wrapper, "cd" | "flock" | "timeout" | "chrt") {
        rest.next();
    }
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `apps.croatia.fina.main` is `fina`.
fn module(name: &str) -> String {
    let mut parts = name.rsplit('.').filter(|part| !part.is_empty());
    let last = parts.next().unwrap_or(name);
    if GENERIC.contains(&last) { parts.next().unwrap_or(last) } else { last }.to_owned()
}

/// `/srv/fina/main.py` is `fina`, `/srv/owners.py` is `owners`.
fn script(path: &str) -> String {
    let path = path.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.' | '/' | '-'));
    let mut parts = path.rsplit('/').filter(|part| !part.is_empty());
    let last = parts.next().unwrap_or(path);
    let stem = match last.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.chars().all(char::is_alphabetic) => stem,
        _ => last,
    };
    if GENERIC.contains(&stem) { parts.next().unwrap_or(stem) } else { stem }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::At;
    use super::*;

    #[test]
    fn commands_have_names() {
        for (command, name) in [
            ("/srv/collect.py --x", "collect"),
            ("python3 /srv/fina/main.py", "fina"),
            ("python3.11 -u -m apps.croatia.fina.companies.main", "companies"),
            ("cd /srv && ./owners.sh", "owners"),
            ("LANG=C nice -n 10 /usr/bin/backup", "backup"),
            ("/usr/bin/flock -n /run/x.lock /srv/sync", "sync"),
            ("timeout -k 5 10m curl http://x", "curl"),
            ("bash -c /srv/x.sh", "x"),
            ("sudo -u ana php /srv/artisan", "artisan"),
            ("node index.js", "index"),
            ("/usr/bin/env python3 ./a.b.py", "a.b"),
            ("", "app"),
            ("nice", "nice"),
        ] {
            let words: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
            assert_eq!(of_command(&words), name, "{command}");
        }
    }

    #[test]
    fn names_have_the_characters_of_paths() {
        for (name, plain) in
            [("a b", "a-b"), (".x", "x"), ("--", "app"), ("č", "app"), ("a/č/b", "a---b"), ("", "app")]
        {
            assert_eq!(part(name), plain);
        }
        assert_eq!(part(&"x".repeat(100)).len(), 64);
        assert_eq!(with_number(&"x".repeat(64), 12).len(), 64);
    }

    fn draft(name: &str, command: &str, minute: u32) -> Draft {
        let mut draft = Draft::new("p", name, &At::new("x", 1));
        draft.app.program.command = Some(vec![command.to_owned()]);
        draft.app.schedule.cron = Some(format!("{minute} * * * *").parse().unwrap());
        draft
    }

    fn paths(drafts: Vec<Draft>, known: &[Draft]) -> Vec<String> {
        let settled = settle(drafts, "g", known.iter().map(|draft| &draft.app)).unwrap();
        settled.iter().map(|draft| draft.app.path.to_string()).collect()
    }

    #[test]
    fn an_inserted_line_renames_no_other() {
        let first = vec![draft("a", "x", 1), draft("a", "x", 2), draft("a", "y", 1), draft("a-2", "z", 1)];
        assert_eq!(paths(first.clone(), &[]), ["g/p/a", "g/p/a-3", "g/p/a-4", "g/p/a-2"]);
        let known = settle(first.clone(), "g", std::iter::empty()).unwrap();
        assert_eq!(paths(first.clone(), &known), ["g/p/a", "g/p/a-3", "g/p/a-4", "g/p/a-2"]);
        let mut second = first.clone();
        second.insert(0, draft("a", "new", 1));
        assert_eq!(paths(second, &known), ["g/p/a-5", "g/p/a", "g/p/a-3", "g/p/a-4", "g/p/a-2"]);
        // An edited line keeps its name, and so do those around one that is gone.
        let edited = vec![draft("a", "x", 1), draft("a", "x", 7), draft("a", "y", 1)];
        assert_eq!(paths(edited, &known), ["g/p/a", "g/p/a-3", "g/p/a-4"]);
        assert_eq!(paths(vec![draft("a", "y", 1)], &known), ["g/p/a-4"]);
        assert_eq!(paths(vec![draft("a", "other", 1)], &known), ["g/p/a"]);
    }
}
