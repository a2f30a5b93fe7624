//! Holds the source to the map of `src/ARCHITECTURE.md`: a module imports only from those before it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules in their order. A new edge is an edit of this list, alone in its commit.
const MAP: [&str; 17] = [
    "model", "import", "wire", "manager", "notify", "files", "store", "process", "metrics", "broker",
    "pipeline", "runtime", "console", "config", "service", "cli", "main",
];

/// What the pure modules must never mention.
const IMPURE: [&str; 8] =
    ["tokio", "rusqlite", "std::fs", "std::net", "std::process", "std::thread", "ratatui", "tracing"];

#[test]
fn modules_import_only_from_those_before_them() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        let own = MAP
            .iter()
            .position(|name| *name == module)
            .unwrap_or_else(|| panic!("{module} is not on the map"));
        for used in used_modules(&text) {
            let place = MAP.iter().position(|name| *name == used);
            if place.is_some_and(|place| place > own) {
                faults.push(format!("{} imports {used}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn only_one_place_of_console_and_cli_starts_a_manager() {
    let users: BTreeSet<_> = sources()
        .into_iter()
        .filter(|(path, text)| {
            matches!(module_of(path).as_str(), "console" | "cli") && used_modules(text).contains("runtime")
        })
        .map(|(path, _)| path.strip_prefix(root()).unwrap().display().to_string())
        .collect();
    // The service, its settings that change, the attached console, and the exit codes of both.
    let allowed = ["src/cli/attached.rs", "src/cli/error.rs", "src/cli/headless.rs", "src/cli/reload.rs"];
    let surplus: Vec<_> = users.iter().filter(|user| !allowed.contains(&user.as_str())).collect();
    assert!(surplus.is_empty(), "{surplus:?}");
}

#[test]
fn nobody_above_the_store_asks_which_kind_of_database_it_is() {
    // Who opens one knows the kind; everybody else asks what it can (`OperatorStore::capabilities`).
    let opens = "src/cli/session.rs";
    for (path, text) in sources() {
        let place = path.strip_prefix(root()).unwrap().display().to_string();
        let is_above = matches!(module_of(&path).as_str(), "runtime" | "console" | "cli");
        if !is_above || place == opens {
            continue;
        }
        let code = code_of(&text);
        for word in ["Database::Sqlite", "Database::Postgres", "with(\"sqlite", "with(\"postgres"] {
            assert!(!code.contains(word), "{place} mentions {word}: ask for Capabilities or a Cluster");
        }
    }
}

#[test]
fn what_fails_says_so_by_a_type_and_not_by_a_text() {
    for (path, text) in sources() {
        for line in code_of(&text).lines() {
            let result = line.split_once("Result<").map_or("", |(_, result)| result);
            let fails_with_text = result.split(", String>").skip(1).any(|after| !after.starts_with(','));
            assert!(!fails_with_text && !line.contains("Err = String"), "{}: {line}", path.display());
        }
    }
}

#[test]
fn model_and_manager_are_pure() {
    for (path, text) in sources() {
        if matches!(module_of(&path).as_str(), "model" | "manager") {
            for word in IMPURE {
                assert!(!code_of(&text).contains(word), "{} mentions {word}", path.display());
            }
        }
    }
}

#[test]
fn platform_code_stays_in_process() {
    for (path, text) in sources() {
        let is_process = matches!(module_of(&path).as_str(), "process" | "files");
        let code = code_of(&text);
        assert!(
            is_process || !code.contains("cfg(unix)") && !code.contains("cfg(windows)"),
            "{}",
            path.display()
        );
        assert!(is_process || !code.contains("std::os::"), "{}", path.display());
        let is_platform = path.ends_with("process/unix.rs") || path.ends_with("process/windows.rs");
        let has_unsafe = code.contains("unsafe {") || code.contains("unsafe fn");
        // The nursery forks, the signals are caught: both are the platform's own files.
        let is_below =
            path.components().any(|part| matches!(part.as_os_str().to_str(), Some("unix" | "windows")));
        assert!(!has_unsafe || is_platform || is_below, "{} uses unsafe", path.display());
    }
}

#[test]
fn sql_is_in_the_store_alone_and_files_can_be_read_in_one_sitting() {
    for (path, text) in sources() {
        let statements = ["SELECT ", "INSERT INTO", "UPDATE apps", "DELETE FROM"];
        let has_sql = statements.iter().any(|statement| code_of(&text).contains(statement));
        assert!(!has_sql || module_of(&path) == "store", "{} holds SQL", path.display());
        let lines = code_of(&text).lines().count();
        assert!(lines <= 500, "{} has {lines} lines of code", path.display());
    }
}

#[test]
fn what_is_printed_is_escaped_by_one_module() {
    // Who may write bytes as they are: logs and completions into a pipe, signs and colours of our own, and the
    // plain console, which has a type of its own for lines.
    let allowed =
        ["src/cli/log_printer.rs", "src/cli/mod.rs", "src/cli/plain.rs", "src/cli/test_terminal.rs"];
    for (path, text) in sources() {
        let place = path.strip_prefix(root()).unwrap().display().to_string();
        if module_of(&path) != "cli" || place.starts_with("src/cli/output") {
            continue;
        }
        let code = code_of(&text);
        for word in ["stdout()", "stderr()", "io::stdout", "io::stderr", ".print()"] {
            assert!(!code.contains(word), "{place} mentions {word}: print through cli/output.rs");
        }
        let is_raw = code.contains("output::raw(") || code.contains("output::write_raw(");
        assert!(!is_raw || allowed.contains(&place.as_str()), "{place} prints without escaping");
    }
}

#[test]
fn the_map_of_the_documentation_is_the_map_of_the_test() {
    let page = fs::read_to_string(root().join("src/ARCHITECTURE.md")).unwrap();
    let rows: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name))
        .map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_owned())
        .filter(|name| MAP.contains(&name.as_str()))
        .collect();
    assert_eq!(rows, MAP);
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("src/lib.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// The first folder below `src`, or the name of a file there.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).unwrap();
    below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Without the tests at the end of the file and without comments.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn used_modules(text: &str) -> BTreeSet<String> {
    let code = code_of(text);
    code.match_indices("crate::")
        .map(|(at, found)| &code[at + found.len()..])
        .chain(code.match_indices("dcm::").map(|(at, found)| &code[at + found.len()..]))
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
        .collect()
}
