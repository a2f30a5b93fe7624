//! Runs what a page shows, as one shell session with the real program in a fresh home.
//!
//! ~~~text
//! <!-- test: postgres rabbitmq -->      what the page needs beside the program
//! ```python file=apps/a.py              a file is written before what follows
//! ```console                            `$ ` begins a command, `> ` goes on with it, the lines after it are its output
//! $ dcm status --failed    # exit 3     another exit code than 0
//! ...                                   any lines; within a line any text
//! ```sql                                is run in the page's database, unless it is a fragment: ```sql fragment
//! ```toml                               is read as a file of apps, or as configuration
//! ```python                             is parsed
//! ~~~
//!
//! `DCM_PAGE=logs cargo test --test it docs::session` runs the pages with this in their names.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use regex_lite::Regex;

use super::pages::{Page, root};
use crate::fleet::send_signal;
use crate::postgres::Schema;
use crate::rabbit::Host;

/// How many pages are tried at a time.
const AT_ONCE: usize = 4;

#[test]
fn every_page_shows_what_the_program_does() {
    let chosen = std::env::var("DCM_PAGE").unwrap_or_default();
    let pages: Vec<_> =
        super::pages::all().into_iter().filter(|page| page.name().contains(&chosen)).collect();
    let next = AtomicUsize::new(0);
    let faults = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(page) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begin = Instant::now();
                    let found = run(page);
                    eprintln!("{}: {} ms", page.name(), begin.elapsed().as_millis());
                    faults.lock().unwrap().extend(found);
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// What a command is to do.
struct Step {
    line: usize,
    script: String,
    code: i32,
    /// `None`: whatever it prints.
    output: Option<Vec<String>>,
}

/// Runs a page; gives what is not as it shows it.
fn run(page: &Page) -> Vec<String> {
    let name = page.name();
    let home = tempfile::tempdir().unwrap();
    let fixtures = Fixtures::new(page.directive());
    let steps = steps(page, &fixtures);
    if steps.is_empty() {
        return Vec::new();
    }
    for folder in ["examples", "python"] {
        std::os::unix::fs::symlink(root().join(folder), home.path().join(folder)).unwrap();
    }
    let said = play(&steps, home.path(), &fixtures);
    let mut faults = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let read = |what: &str| fs::read_to_string(home.path().join(format!(".session/{index}{what}")));
        let (Ok(code), Ok(output)) = (read(".code"), read("")) else {
            faults.push(format!("{name}:{}: was not reached: {}\n{said}", step.line, step.script));
            break;
        };
        if code.trim() != step.code.to_string() {
            faults.push(format!(
                "{name}:{}: {}\nexit {} and not {}:\n{output}",
                step.line,
                step.script,
                code.trim(),
                step.code
            ));
        } else if let Some(expected) = &step.output
            && !is_like(expected, &output)
        {
            faults.push(format!(
                "{name}:{}: {}\nsays\n{output}\nand not\n{}",
                step.line,
                step.script,
                expected.join("\n")
            ));
        }
    }
    faults
}

/// Servers that a page needs, and the variables that name them.
struct Fixtures {
    variables: Vec<(&'static str, String)>,
    postgres: Option<Schema>,
    _rabbit: Option<Host>,
}

impl Fixtures {
    fn new(directive: &str) -> Self {
        let mut variables = Vec::new();
        let words: Vec<_> = directive.split_whitespace().collect();
        let postgres = words.contains(&"postgres").then(Schema::new);
        let rabbit = words.contains(&"rabbitmq").then(Host::new);
        if let Some(schema) = &postgres {
            variables.push(("DC_DATABASE_URL", schema.url().to_owned()));
        }
        if let Some(host) = &rabbit {
            variables.push(("DC_RABBITMQ_URL", host.url()));
        }
        Self { variables, postgres, _rabbit: rabbit }
    }
}

fn steps(page: &Page, fixtures: &Fixtures) -> Vec<Step> {
    let mut steps = Vec::new();
    for block in page.blocks() {
        let plain = |script: String| Step { line: block.line, script, code: 0, output: None };
        if let Some(file) = block.info.strip_prefix("file=") {
            steps.push(plain(format!(
                "mkdir -p \"$(dirname {file})\" && cat > {file} <<'END OF FILE'\n{}END OF FILE",
                block.text
            )));
            continue;
        }
        match block.language.as_str() {
            "console" => session(block.line, &block.text, &mut steps),
            "sql" if block.info != "fragment" => {
                let database = if fixtures.postgres.is_some() {
                    "psql -qX -v ON_ERROR_STOP=1 \"$DC_DATABASE_URL\""
                } else {
                    "sqlite3 -bail -cmd '.timeout 10000' \"$DC_STATE_DIR/dcm.db\""
                };
                steps.push(plain(format!("{database} <<'END OF FILE'\n{}END OF FILE", block.text)));
            }
            "python" if block.info != "fragment" => {
                steps.push(plain(format!(
                    "python3 -c 'import ast, sys; ast.parse(sys.stdin.read())' <<'END OF FILE'\n{}END OF FILE",
                    block.text
                )));
            }
            "toml" => {
                let reads = if block.text.contains("[[app]]") {
                    "dcm --state-dir ~/.session/state --database sqlite:$HOME/.session/state/dcm.db app import --dry-run ~/.session/file.toml"
                } else {
                    "dcm --config ~/.session/file.toml --state-dir ~/.session/state --database sqlite:$HOME/.session/state/dcm.db app list"
                };
                steps.push(Step {
                    output: if block.text.contains("[[app]]") { None } else { Some(vec!["APP  ENABLED  SCHEDULE  COMMAND".to_owned()]) },
                    ..plain(format!(
                        "cat > ~/.session/file.toml <<'END OF FILE'\n{}END OF FILE\n\
                         dcm --state-dir ~/.session/state --database sqlite:$HOME/.session/state/dcm.db db migrate >/dev/null && {reads}",
                        block.text
                    ))
                });
            }
            _ => {}
        }
    }
    steps
}

/// The commands of a block with their output.
fn session(first: usize, text: &str, steps: &mut Vec<Step>) {
    let mut is_open = false;
    for (line, number) in text.lines().zip(first..) {
        if let Some(script) = line.strip_prefix("$ ") {
            let code = script.split_once("# exit ").map_or(0, |(_, code)| code.trim().parse().unwrap());
            steps.push(Step { line: number, script: script.to_owned(), code, output: None });
            is_open = true;
        } else if let Some(more) = line.strip_prefix("> ").filter(|_| is_open) {
            let step = steps.last_mut().unwrap();
            let _ = write!(step.script, "\n{more}");
        } else {
            is_open = false;
            let step = steps.last_mut().unwrap_or_else(|| panic!("line {number}: output without a command"));
            step.output.get_or_insert_default().push(line.to_owned());
        }
    }
}

/// Runs the steps in one shell. Gives what the shell itself says.
fn play(steps: &[Step], home: &Path, fixtures: &Fixtures) -> String {
    let folder = home.join(".session");
    fs::create_dir_all(&folder).unwrap();
    // A file of the user keeps that of the host out.
    fs::create_dir_all(home.join(".config/dcm")).unwrap();
    fs::write(home.join(".config/dcm/dcm.toml"), "").unwrap();
    let mut script = String::new();
    for (index, step) in steps.iter().enumerate() {
        let _ = writeln!(
            script,
            "{{ {}\n}} </dev/null >~/.session/{index} 2>&1; echo $? >~/.session/{index}.code",
            step.script
        );
        if step.script.contains("--headless") {
            script.push_str(
                "for i in $(seq 300); do dcm managers --json 2>/dev/null | grep -q '\"live\"' && break; sleep 0.05; done\n",
            );
        }
    }
    script.push_str("dcm stop-apps --grace 1 >/dev/null 2>&1; kill $(jobs -p) 2>/dev/null; wait\n");
    let dcm = Path::new(env!("CARGO_BIN_EXE_dcm")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "120", "bash", "-c", &script]).env_clear().current_dir(home).process_group(0);
    command
        .env("PATH", format!("{}:{path}", dcm.display()))
        .env("HOME", home)
        .env("LANG", "C.UTF-8")
        .env("TZ", "UTC");
    command.env("DC_STATE_DIR", home.join(".local/state/dcm")).env("USER", "ana").env("TERM", "dumb");
    for name in ["RUSTUP_HOME", "CARGO_HOME"] {
        if let Ok(value) = std::env::var(name) {
            command.env(name, value);
        }
    }
    if let Ok(home) = std::env::var("HOME") {
        command.env("RUSTUP_HOME", std::env::var("RUSTUP_HOME").unwrap_or(format!("{home}/.rustup")));
    }
    command.envs(fixtures.variables.iter().map(|(name, value)| (*name, value.as_str())));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let group = child.id();
    let output = child.wait_with_output().unwrap();
    // What a page left behind ends with it.
    if std::path::Path::new(&format!("/proc/{group}")).exists() {
        send_signal(group, libc::SIGKILL);
    }
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether the output is as the page shows it: `...` stands for any text or lines; times, lengths and ids may differ.
fn is_like(expected: &[String], output: &str) -> bool {
    let pattern: Vec<_> = expected.iter().map(|line| normal(line)).collect();
    let pattern = pattern.join("\n").trim_end().to_owned();
    let lines: Vec<_> = output.lines().map(normal).collect();
    let text = lines.join("\n").trim_end().to_owned();
    let mut regex = String::from("(?s)^");
    for (index, line) in pattern.split('\n').enumerate() {
        if line.trim() == "..." {
            regex.push_str(r"(?:.*\n?)?");
            continue;
        }
        let parts: Vec<_> = line.split("...").map(regex_lite::escape).collect();
        let _ = write!(regex, "{}{}", if index == 0 { "" } else { r"\n?" }, parts.join("[^\n]*"));
    }
    regex.push_str(r"\s*$");
    Regex::new(&regex).unwrap().is_match(&text)
}

/// A line without what differs from day to day.
fn normal(line: &str) -> String {
    let mut line = line.to_owned();
    for (pattern, word) in [
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)?", "TIME"),
        (r"\b[0-9a-f]{32,64}\b", "ID"),
        (r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b", "ID"),
        (r"\b\d+(\.\d+)?(ms|s|m|h|d)(\d\d[ms])?\b", "TAKES"),
        (r"\bpid \d+", "pid N"),
        (r"\s+", " "),
    ] {
        line = Regex::new(pattern).unwrap().replace_all(&line, word).into_owned();
    }
    line.trim().to_owned()
}
