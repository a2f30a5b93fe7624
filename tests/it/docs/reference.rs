//! The reference: pages that are made from the code, and compared with it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use dcm::config::DEFAULTS;
use dcm::metrics::{CATALOGUE, Scope};
use regex_lite::Regex;

use super::pages::root;
use super::vocabulary::{Entry, entries};
use crate::fleet::Fleet;

/// Holds a file to what it should be; writes it where that is asked for.
pub(super) fn keep(path: &Path, text: &str) {
    if std::env::var("DCM_DOCS").is_ok() {
        fs::write(path, text).unwrap();
    }
    let there = fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == text,
        "{} is not what the code says: DCM_DOCS=1 cargo test --test it docs:: writes it",
        path.display()
    );
}

/// A page of the reference.
pub(super) fn keep_page(name: &str, title: &str, text: &str) {
    let text = format!(
        "# {title}\n\n<!-- Made from the code: DCM_DOCS=1 cargo test --test it docs:: writes this file. -->\n\n{}\n",
        text.trim_end()
    );
    keep(&root().join("docs/reference").join(name), &text);
}

/// A row of a table, whose cells may hold any text.
pub(super) fn row(cells: &[&str]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a table.
pub(super) fn head(cells: &[&str]) -> String {
    format!("{}|{}\n", row(cells), "---|".repeat(cells.len()))
}

#[test]
fn settings_are_those_of_the_defaults() {
    let key = Regex::new(r"^(# )?([a-z_]+) = (.+)$").unwrap();
    let section = Regex::new(r"^(# )?\[([a-z_.]+)\]$").unwrap();
    let mut text = String::new();
    let mut comment = Vec::new();
    let mut is_table = false;
    for line in DEFAULTS.lines() {
        if let Some(found) = section.captures(line) {
            let _ = write!(text, "\n## [{}]\n\n{}\n", &found[2], comment.join(" "));
            (is_table, comment) = (false, Vec::new());
        } else if let Some(found) = key.captures(line) {
            if !is_table {
                let _ = write!(text, "\n{}", head(&["key", "default", "example", "meaning"]));
                is_table = true;
            }
            let value = format!("`{}`", &found[3]);
            let (default, example) = if found.get(1).is_none() { (&*value, "") } else { ("", &*value) };
            text.push_str(&row(&[&format!("`{}`", &found[2]), default, example, &comment.join(" ")]));
            comment.clear();
        } else if let Some(words) = line.strip_prefix('#') {
            comment.push(words.trim().to_owned());
        } else if !comment.is_empty() {
            let _ = writeln!(text, "{}\n", comment.join(" "));
            comment.clear();
        }
    }
    let text = text.replace("\n\n\n", "\n\n");
    assert!(text.matches("\n| `").count() > 30);
    text_has(&text, &["max_total", "runs_per_app_max", "quiet_critical", "ca_file"]);
    let intro = "The file is TOML. An unknown key is warned of. Flags come before environment variables, these before the file, the \
                 file before the defaults. A key without a default is not set; its example shows its form.\n\n";
    keep_page("settings.md", "Settings", &format!("{intro}{}", text.trim_start()));
}

fn text_has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word} is missing");
    }
}

#[test]
fn environment_variables_are_those_that_are_read() {
    let source = fs::read_to_string(root().join("src/config/env.rs")).unwrap();
    let constant = Regex::new(r#"const [A-Z_]+: &str = "([A-Z_]+)";"#).unwrap();
    let mut text = "dcm reads these variables. An empty one counts as not set.\n\n".to_owned();
    text.push_str(&head(&["variable", "meaning"]));
    let mut meaning = Vec::new();
    for line in source.lines() {
        if let Some(words) = line.strip_prefix("///") {
            meaning.push(words.trim());
        } else if let Some(found) = constant.captures(line) {
            text.push_str(&row(&[&format!("`{}`", &found[1]), &meaning.join(" ")]));
            meaning.clear();
        } else {
            meaning.clear();
        }
    }
    text_has(&text, &["DC_DATABASE_URL", "DC_DB_MAIN_IP", "DC_RABBITMQ_URL", "VIRTUAL_ENV"]);
    text.push_str(
        "\n## Variables of an app\n\nEach run gets the environment of its manager without the variables that begin with `DC_`, without \
         those that hold secrets of dcm, and with these. `env` of the app is set on top.\n\n",
    );
    text.push_str(&head(&["variable", "value"]));
    for (name, value) in APP_VARIABLES {
        text.push_str(&row(&[&format!("`{name}`"), value]));
    }
    keep_page("environment.md", "Environment variables", &text);
}

/// What an app finds in its environment; `every_variable_of_an_app_is_documented` compares it with a run.
const APP_VARIABLES: [(&str, &str); 13] = [
    ("DC_APP_ID", "The key of its row, `apps.app`"),
    ("DC_APP_GROUP", "The first part of its path"),
    ("DC_APP_PARENT", "The second part"),
    ("DC_APP_NAME", "The third part"),
    ("DC_RUNTIME", "The id of the run, `runtime.runtime`"),
    ("DC_ATTEMPT", "1, or which try this is after failures in a row"),
    ("DC_DUE_TIME", "When the run was due"),
    ("DC_TRIGGER", "Why it was begun: `schedule`, `command`, `run-app`, `catch-up`"),
    ("DC_FENCE", "The fencing token, for `dcm_assert_fence()` on PostgreSQL"),
    ("DC_DATABASE_URL", "The database, where `pass_database` is true"),
    ("DC_RUN_DIR", "The directory of the run; `dcm report` needs it"),
    ("DC_PROGRAM", "The path of the program `dcm`"),
    ("PYTHONUNBUFFERED", "1, unless `env` says otherwise"),
];

#[test]
fn every_variable_of_an_app_is_documented() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &["--pass-database=true"], &["env"]);
    let said = fleet.dcm(&["run-app", "a/b/c"]).ok().out;
    let mut given: Vec<_> =
        said.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    given.retain(|name| name.starts_with("DC_") || *name == "PYTHONUNBUFFERED");
    given.sort_unstable();
    let mut documented: Vec<_> = APP_VARIABLES.iter().map(|(name, _)| *name).collect();
    documented.sort_unstable();
    assert_eq!(given, documented);
}

#[test]
fn codes_and_words_are_those_of_the_model() {
    let help = Fleet::bare().dcm(&["--help"]).ok().out;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, codes) = help.split_once("Exit codes: ").unwrap();
    let mut text = "The words and numbers that the database, `--json`, files and exit codes use. A newer version may add to them: a \
                    program should take a word that it does not know as it stands.\n\n## Exit codes\n\n"
        .to_owned();
    text.push_str(&head(&["code", "meaning"]));
    for code in codes.trim_end_matches('.').split("; ") {
        let (number, meaning) = code.split_once(' ').unwrap();
        text.push_str(&row(&[number, meaning]));
    }
    text.push_str(&row(&["101", "a fault of the program; the message says where the report is"]));
    text.push_str(
        "\n`dcm run-app` ends with the code of the app: its own, 128 + the number of the signal that ended it, 126 or 127 when it could \
         not be started. It ends with 75 when the app was not run; `--result FILE` tells that from an app that ends with 75 itself.\n",
    );
    for (title, column, file, name) in VOCABULARIES {
        let entries = entries(file, name);
        let _ = write!(text, "\n## {title}\n\n{column}\n\n");
        text.push_str(&table(&entries));
    }
    keep_page("codes.md", "Codes and words", &text);
}

fn table(entries: &[Entry]) -> String {
    let has_codes = entries.iter().any(|entry| entry.code.is_some());
    let mut text = head(if has_codes { &["number", "word", "meaning"] } else { &["word", "meaning"] });
    for Entry { code, word, meaning } in entries {
        let word = format!("`{word}`");
        match code {
            Some(code) => text.push_str(&row(&[&code.to_string(), &word, meaning])),
            None => text.push_str(&row(&[&word, meaning])),
        }
    }
    text
}

/// Title, where the words stand, the source and the enum.
const VOCABULARIES: [(&str, &str, &str, &str); 21] = [
    (
        "States",
        "`state` in `--json`, column STATE of `dcm status`. Each app has exactly one.",
        "model/explain.rs",
        "State",
    ),
    ("Run status", "`apps.run_status`.", "model/status.rs", "RunStatus"),
    ("Outcomes", "`runtime.outcome`, `apps.last_outcome`.", "model/run.rs", "Outcome"),
    ("Triggers", "`runtime.trigger`, `DC_TRIGGER`: why a run was begun.", "model/run.rs", "Trigger"),
    ("Commands", "`cmd_name` of `apps` and `commands`.", "model/status.rs", "CmdName"),
    ("Verdicts", "`cmd_flag` of `apps` and `commands`.", "model/status.rs", "CmdFlag"),
    ("Sources of commands", "`commands.cmd_source`.", "model/command.rs", "CommandSource"),
    ("Fatal flags", "`apps.fatal_flag`; 0 is none.", "model/status.rs", "FatalFlag"),
    ("Causes of flag 3", "`apps.fatal_cause`.", "model/app.rs", "Anomaly"),
    (
        "Concerns",
        "`apps.concern`: what the manager concludes beyond the status.",
        "model/concern.rs",
        "Concern",
    ),
    ("Kinds of alerts", "`alerts.kind`.", "model/alert.rs", "AlertKind"),
    ("Severities", "`alerts.severity`, `severity` of a channel.", "model/alert.rs", "Severity"),
    ("Ends of alerts", "In the manager's log and in notifications.", "model/alert.rs", "AlertEnd"),
    (
        "Reasons of skips",
        "`skips.reason`: why a due time did not become a run.",
        "model/change.rs",
        "SkipReason",
    ),
    ("Missed times", "`catch_up` of an app.", "model/app.rs", "CatchUp"),
    ("Failures in a row", "`on_failures` of an app.", "model/app.rs", "OnFailures"),
    ("Suspect runs", "`on_suspect` of an app.", "model/app.rs", "OnSuspect"),
    ("Failover", "`failover` of an app.", "model/app.rs", "Failover"),
    ("Documents", "`pipeline_task.status`.", "model/status.rs", "TaskStatus"),
    ("Deliveries", "`deliveries.kind`.", "model/delivery.rs", "DeliveryKind"),
    (
        "Events of notifications",
        "`deliveries.event`, `event` in the body of a webhook.",
        "model/delivery.rs",
        "NoticeEvent",
    ),
];

#[test]
fn commands_and_flags_are_those_of_the_help() {
    let fleet = Fleet::bare();
    let root = fleet.dcm(&["--help"]).ok().out;
    let mut text = "What `--help` prints. The global options hold for every command.\n\n".to_owned();
    let mut waiting = vec![Vec::<String>::new()];
    let mut count = 0;
    while let Some(path) = waiting.pop() {
        let mut arguments: Vec<_> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = if path.is_empty() { root.clone() } else { fleet.dcm(&arguments).ok().out };
        let shown = match help.split_once("\nGlobal options:") {
            Some((own, _)) if !path.is_empty() => own,
            _ => &help,
        };
        let level = if path.len() > 1 { "###" } else { "##" };
        let _ = write!(text, "{level} dcm {}\n\n```text\n{}\n```\n\n", path.join(" "), shown.trim_end());
        let below = subcommands(&help).into_iter().rev();
        waiting.extend(below.map(|name| path.iter().cloned().chain([name]).collect()));
        count += 1;
    }
    assert!(count > 40, "{count} commands");
    keep_page("commands.md", "Commands and flags", &text.replace("## dcm \n", "## dcm\n"));
}

/// The names in the list of commands of a help.
fn subcommands(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names =
        lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn metrics_are_those_of_the_catalogue() {
    let mut text = "What `/metrics` of a manager exports; [Metrics and health](../metrics.md) says how. A histogram has the series `_bucket`, `_sum` and \
                    `_count`.\n"
        .to_owned();
    for (scope, title, remark) in [
        (
            Scope::Manager,
            "Of a manager",
            "What this manager does and did since it began. Add those of several managers.",
        ),
        (
            Scope::Fleet,
            "Of the fleet",
            "What the whole database holds. Each manager exports the same: take the maximum.",
        ),
        (Scope::App, "Of an app", "With `per_app = true`, by the manager that has the app."),
        (Scope::Process, "Of the process", "The process of the manager, without its apps."),
    ] {
        let _ = write!(text, "\n## {title}\n\n{remark}\n\n");
        text.push_str(&head(&["metric", "kind", "labels", "meaning"]));
        for metric in CATALOGUE.iter().filter(|metric| metric.scope == scope) {
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let name = format!("`{}`", metric.name);
            text.push_str(&row(&[&name, metric.kind.word(), &labels.join(" "), metric.help]));
        }
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("| `")).count(), CATALOGUE.len());
    keep_page("metrics.md", "Metrics", &text);
}
