//! A host made up for tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use chrono_tz::Tz;

use super::{Draft, Fault, Host, Imported, Source, Tool};

/// Files by their paths.
#[derive(Debug, Default)]
pub(super) struct MadeUp {
    pub(super) files: BTreeMap<String, String>,
}

impl MadeUp {
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let users =
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nana:x:1000:1000::/home/ana:/bin/bash\n");
        let files = files.iter().chain([&users]);
        Self { files: files.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    /// Reads one of its files.
    pub(super) fn import(&self, tool: Tool, path: &str) -> Result<Imported, Vec<Fault>> {
        let source = Source { name: path, path: Some(Path::new(path)), text: &self.files[path] };
        tool.read(&source, self)
    }

    /// The apps of a file, one a line, and what is said of it.
    pub(super) fn told(&self, tool: Tool, path: &str) -> String {
        let mut text = String::new();
        match self.import(tool, path) {
            Ok(imported) => {
                for draft in &imported.drafts {
                    let _ = writeln!(text, "{}", summary(draft));
                }
                for note in &imported.notes {
                    let lost = if note.is_carried { "" } else { "LOST " };
                    let _ =
                        writeln!(text, "{lost}{}:{} {}: {}", note.at.file, note.at.line, note.key, note.why);
                }
            }
            Err(faults) => {
                for fault in faults {
                    let _ = writeln!(text, "FAULT {}:{} {}", fault.at.file, fault.at.line, fault.what);
                }
            }
        }
        text
    }
}

/// What a draft has that an app has not by itself.
fn summary(draft: &Draft) -> String {
    let none = crate::model::App::unnamed();
    let mut text = format!("{}/{}", draft.parent, draft.name);
    for setting in crate::model::settings::settings() {
        let value = (setting.get)(&draft.app);
        if value != (setting.get)(&none) {
            let _ = write!(text, " {}={}", setting.key, shown(&value));
        }
    }
    if !draft.is_started {
        text.push_str(" unstarted");
    }
    text
}

fn shown(value: &crate::model::Value<'_>) -> String {
    use crate::model::Value;
    match value {
        Value::Null => "-".to_owned(),
        Value::Other => "?".to_owned(),
        Value::Flag(flag) => flag.to_string(),
        Value::Whole(whole) => whole.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::List(list) => format!("{list:?}"),
        Value::Variables(variables) => {
            let pairs = variables
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("unset")));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

impl Host for MadeUp {
    fn read(&self, path: &Path) -> io::Result<String> {
        let text = path.to_str().and_then(|path| self.files.get(path));
        text.cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn list(&self, folder: &Path) -> Vec<String> {
        let below = self.files.keys().filter_map(|path| Path::new(path).strip_prefix(folder).ok());
        let mut names: Vec<_> = below
            .filter_map(|path| Some(path.components().next()?.as_os_str().to_str()?.to_owned()))
            .collect();
        names.dedup();
        names
    }

    fn variables(&self) -> Vec<(String, String)> {
        vec![("TOKEN".to_owned(), "secret".to_owned())]
    }

    fn name(&self) -> String {
        "box".to_owned()
    }

    fn user(&self) -> String {
        "ana".to_owned()
    }

    fn processors(&self) -> usize {
        4
    }

    fn time_zone(&self) -> Option<Tz> {
        Some(Tz::Europe__Zagreb)
    }
}
