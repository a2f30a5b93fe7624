//! What `dcm app import` reads: the file, its form, and what there is to say of it before anything is registered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use serde_json::json;

use super::definitions::{Document, Entry, parse};
use crate::cli::args::{ImportArgs, Origin};
use crate::cli::error::Error;
use crate::cli::output;
use crate::config::env;
use crate::import::{FAULTS_MAX, Host, Imported, Note, Source, Tool, names};
use crate::model::{AppRow, Part};
use crate::process::{host_name, user_name};

/// The largest file with definitions: 10,000 apps take a few MiB.
const SIZE_MAX: u64 = 64 * 1024 * 1024;

/// The largest file of another tool: one of a thousand programs takes half a MiB.
const FOREIGN_SIZE_MAX: u64 = 4 * 1024 * 1024;

/// How many lines are named where the same is to be said of many.
const LINES_MAX: usize = 8;

/// What a file holds.
pub(super) enum Found {
    Definitions(Document),
    Foreign(Tool, Imported),
}

/// What there is to say of a file of another tool.
pub(super) struct Foreign {
    tool: Tool,
    notes: Vec<Note>,
    /// How many of its apps the tool does not start by itself.
    unstarted: usize,
}

/// Reads the file and refuses it whole where it is wrong.
pub(super) fn read(args: &ImportArgs, name: &str) -> Result<Found, Error> {
    let tool = tool(args)?;
    let limit = if tool.is_none() { SIZE_MAX } else { FOREIGN_SIZE_MAX };
    let text = text_of(&args.file, limit).map_err(|error| Error::usage(format!("{name}: {error}")))?;
    let Some(tool) = tool else {
        let document = parse(&text, &super::import::folder(&args.file)?).map_err(|faults| {
            let faults = faults.into_iter().map(|fault| (name.to_owned(), fault.line, fault.what)).collect();
            let refused = refused(name, faults);
            match guess(&args.file) {
                Some(word) => refused.hint(format!("a file of another tool is read with --from {word}")),
                None => refused,
            }
        })?;
        return Ok(Found::Definitions(document));
    };
    let path = if args.file == Path::new("-") { None } else { Some(std::path::absolute(&args.file)?) };
    let text = text.replace("\r\n", "\n");
    let source = Source { name, path: path.as_deref(), text: &text };
    let imported = tool.read(&source, &ThisHost).map_err(|faults| {
        let faults = faults.into_iter().map(|fault| (fault.at.file.to_string(), fault.at.line, fault.what));
        refused(name, faults.collect())
    })?;
    Ok(Found::Foreign(tool, imported))
}

fn tool(args: &ImportArgs) -> Result<Option<Tool>, Error> {
    let tool = match args.from {
        Origin::Toml => None,
        Origin::Supervisor => Some(Tool::Supervisor),
        Origin::Pm2 => Some(Tool::Pm2),
        Origin::Systemd => Some(Tool::Systemd),
        Origin::Cron => Some(Tool::Cron { is_system: args.system || is_system(&args.file) }),
    };
    if args.system && args.from != Origin::Cron {
        return Err(Error::usage("--system is for --from cron: a table with a user before each command"));
    }
    if args.group.is_some() && tool.is_none() {
        return Err(Error::usage(
            "--group is for files of other tools; [[app]] tables have the group in their path",
        ));
    }
    Ok(tool)
}

/// Whether a table of cron has users by its place: `/etc/crontab`, `/etc/cron.d/NAME`.
fn is_system(file: &Path) -> bool {
    let folder = file.parent().and_then(Path::file_name);
    file == Path::new("/etc/crontab") || folder.is_some_and(|folder| folder == "cron.d")
}

/// Which tool a file is of, as far as its name tells.
fn guess(file: &Path) -> Option<&'static str> {
    let name = file.file_name()?.to_str()?;
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("conf" | "ini") => Some("supervisor"),
        Some("service" | "timer") => Some("systemd"),
        Some("json" | "js" | "cjs" | "mjs") => Some("pm2"),
        _ if name.contains("cron") => Some("cron"),
        _ => None,
    }
}

fn refused(name: &str, faults: Vec<(String, usize, String)>) -> Error {
    for (file, line, what) in &faults {
        output::message(format_args!("{file}:{line}: {what}"));
    }
    let count = match faults.len() {
        1 => "a fault".to_owned(),
        FAULTS_MAX => format!("{FAULTS_MAX} faults or more"),
        count => format!("{count} faults"),
    };
    Error::usage(format!("{name} has {count}; nothing was imported"))
}

impl Found {
    /// The definitions, with paths that hold for this fleet.
    pub(super) fn settled(
        self,
        args: &ImportArgs,
        fleet: &[AppRow],
        base: &Path,
    ) -> Result<(Document, Option<Foreign>), Error> {
        let (tool, imported) = match self {
            Self::Definitions(document) => return Ok((document, None)),
            Self::Foreign(tool, imported) => (tool, imported),
        };
        let group = args.group.as_ref().map_or(tool.name(), Part::as_str);
        let known = fleet.iter().map(|row| &row.app);
        let drafts =
            names::settle(imported.drafts, group, known).map_err(|error| Error::usage(error.to_string()))?;
        let unstarted = drafts.iter().filter(|draft| !draft.is_started).count();
        let apps = drafts.into_iter().map(|draft| {
            let mut app = draft.app;
            super::program::settle(&mut app.program, base)?;
            // Without --enable new apps are disabled, and registered ones stay as they are.
            let enabled = (args.enable && draft.is_started).then_some(true);
            Ok(Entry { app, enabled })
        });
        let apps = apps.collect::<Result<_, Error>>()?;
        Ok((Document { apps, limits: Vec::new() }, Some(Foreign { tool, notes: imported.notes, unstarted })))
    }
}

impl Foreign {
    /// The notes as `--json` prints them.
    pub(super) fn json(&self) -> Vec<serde_json::Value> {
        let note = |note: &Note| {
            json!({
                "file": &*note.at.file, "line": note.at.line, "key": note.key, "carried": note.is_carried,
                "why": note.why,
            })
        };
        self.notes.iter().map(note).collect()
    }

    /// Names what is not as it was. What is the same in many lines is said once.
    pub(super) fn tell(&self) {
        let mut places: BTreeMap<_, Vec<(&str, usize)>> = BTreeMap::new();
        let mut order = Vec::new();
        for note in &self.notes {
            let what = (note.key.as_str(), note.why.as_str(), note.is_carried);
            let known = places.entry(what).or_insert_with(|| {
                order.push(what);
                Vec::new()
            });
            known.push((&note.at.file, note.at.line));
        }
        for what @ (key, why, is_carried) in order {
            let lost = if is_carried { "" } else { "not carried over: " };
            output::message(format_args!("{}: {key}: {lost}{why}", lines_of(&places[&what])));
        }
    }

    /// Says that new apps are disabled, and how they are enabled when the tool has let go of them.
    pub(super) fn tell_next(&self, new: usize, args: &ImportArgs) {
        let tool = self.tool.name();
        let group = args.group.as_ref().map(|group| format!(" --group {group}")).unwrap_or_default();
        let system = if args.system { " --system" } else { "" };
        let would = match (args.dry_run, new) {
            (true, _) => "would be",
            (false, 1) => "is",
            (false, _) => "are",
        };
        let (apps, them) = if new == 1 { ("app", "it") } else { ("apps", "them") };
        let but = match self.unstarted {
            0 => String::new(),
            count => format!(" but {count}, which {tool} does not start by itself"),
        };
        let file = args.file.display();
        output::message(format_args!(
            "{new} new {apps} {would} disabled, so that nothing runs twice; when {tool} has stopped {them}, \
             dcm app import {file} --from {tool}{group}{system} --enable enables all{but}"
        ));
    }
}

/// `FILE:3,7,9`, and the lines of further files.
fn lines_of(places: &[(&str, usize)]) -> String {
    let (mut text, mut last) = (String::new(), None);
    for (file, line) in places.iter().take(LINES_MAX) {
        let separator = if last.is_none() { "" } else { ", " };
        let _ = if last == Some(file) {
            write!(text, ",{line}")
        } else {
            write!(text, "{separator}{file}:{line}")
        };
        last = Some(file);
    }
    match places.len().saturating_sub(LINES_MAX) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// A file as text, without the mark of its encoding.
fn text_of(path: &Path, limit: u64) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut reader: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path)?)
    };
    reader.by_ref().take(limit + 1).read_to_end(&mut bytes)?;
    let wrong = |what: String| std::io::Error::other(what);
    if bytes.len() as u64 > limit {
        return Err(wrong(format!("larger than {limit} bytes")));
    }
    let line_of = |at: usize| bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(wrong(format!("no text: line {} holds a NUL character", line_of(at))));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| wrong(format!("no text: line {} is not UTF-8", line_of(error.valid_up_to()))))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
}

/// The host on which the command runs.
struct ThisHost;

impl Host for ThisHost {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        text_of(path, FOREIGN_SIZE_MAX).map(|text| text.replace("\r\n", "\n"))
    }

    fn list(&self, folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut names: Vec<_> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    fn variables(&self) -> Vec<(String, String)> {
        env::all()
    }

    fn name(&self) -> String {
        host_name()
    }

    fn user(&self) -> String {
        user_name()
    }

    fn processors(&self) -> usize {
        std::thread::available_parallelism().map_or(1, Into::into)
    }

    /// By TZ, else by the link `/etc/localtime`, else by `/etc/timezone`.
    fn time_zone(&self) -> Option<Tz> {
        let zone = |text: &str| text.trim().trim_start_matches(':').parse().ok();
        if let Some(name) = env::get(env::TZ).filter(|name| !name.is_empty()) {
            return zone(&name);
        }
        let link = std::fs::read_link("/etc/localtime").unwrap_or_else(|_| PathBuf::new());
        let link = link.to_string_lossy();
        let name = link.split_once("zoneinfo/").map(|(_, name)| name);
        name.and_then(zone).or_else(|| zone(&std::fs::read_to_string("/etc/timezone").ok()?))
    }
}
