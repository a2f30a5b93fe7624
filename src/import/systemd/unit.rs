//! Unit files: sections, keys that may be given several times, lines that go on.

use super::super::{At, Host, Report};
use std::path::{Path, PathBuf};

/// A unit with its drop-ins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Unit {
    /// With its ending.
    pub(super) name: String,
    pub(super) entries: Vec<Entry>,
}

/// A key in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) at: At,
}

/// Folders of units; those of the administrator come first.
const FOLDERS: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

impl Unit {
    /// The unit in a text, with the drop-ins beside it.
    pub(super) fn read(
        text: &str,
        path: Option<&Path>,
        file: &str,
        host: &dyn Host,
        report: &mut Report,
    ) -> Self {
        let name = path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        let mut unit = Self { name, entries: Vec::new() };
        unit.add(text, file, report);
        for drop_in in path.map(|path| unit.drop_ins(path, host)).unwrap_or_default() {
            let file = drop_in.display().to_string();
            match host.read(&drop_in) {
                Ok(text) => unit.add(&text, &file, report),
                Err(error) => report.fault(&At::new(&file, 1), error.to_string()),
            }
        }
        unit
    }

    /// Files in `NAME.d` beside the unit, and in the other folders of units where it lies in one. Of files with one name the
    /// first one counts, and they are read in the order of their names.
    fn drop_ins(&self, path: &Path, host: &dyn Host) -> Vec<PathBuf> {
        let own = path.parent().unwrap_or(Path::new("/"));
        let is_known = FOLDERS.iter().any(|folder| own == Path::new(folder));
        let others = FOLDERS.iter().map(Path::new).filter(|folder| is_known && *folder != own);
        let mut found: Vec<PathBuf> = Vec::new();
        for folder in std::iter::once(own).chain(others) {
            // An instance has those of its template as well.
            let template = self
                .name
                .split_once('@')
                .and_then(|(prefix, rest)| Some(format!("{prefix}@.{}.d", rest.rsplit_once('.')?.1)));
            for name in [Some(format!("{}.d", self.name)), template].into_iter().flatten() {
                let below = folder.join(name);
                let names = host.list(&below);
                found.extend(
                    names.iter().filter(|name| super::kind(name) == "conf").map(|name| below.join(name)),
                );
            }
        }
        found.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
        found.dedup_by(|one, other| one.file_name() == other.file_name());
        found
    }

    fn add(&mut self, text: &str, file: &str, report: &mut Report) {
        let (mut section, mut pending) = (String::new(), None::<(String, At)>);
        for (number, line) in (1..).zip(text.lines()) {
            let is_comment = line.trim_start().starts_with(['#', ';']);
            if is_comment || line.trim().is_empty() && pending.is_none() {
                continue;
            }
            let (begun, at) = pending.take().unwrap_or_else(|| (String::new(), At::new(file, number)));
            let whole = format!("{begun}{}", if begun.is_empty() { line.trim_start() } else { line });
            if let Some(begun) = whole.strip_suffix('\\') {
                pending = Some((format!("{begun} "), at));
                continue;
            }
            self.line(whole.trim(), &at, &mut section, report);
        }
        if let Some((whole, at)) = pending {
            self.line(whole.trim(), &at, &mut section, report);
        }
    }

    fn line(&mut self, line: &str, at: &At, section: &mut String, report: &mut Report) {
        if let Some(name) = line.strip_prefix('[') {
            match name.strip_suffix(']') {
                Some(name) if !name.is_empty() => name.clone_into(section),
                Some(_) | None => report.fault(at, "expected [SECTION]"),
            }
            return;
        }
        match line.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() && !section.is_empty() => self.entries.push(Entry {
                section: section.clone(),
                key: key.trim().to_owned(),
                value: value.trim().to_owned(),
                at: at.clone(),
            }),
            Some(_) | None if line.is_empty() => {}
            Some(_) if section.is_empty() => {
                report.fault(at, "a section such as [Service] must come before the first key");
            }
            Some(_) | None => report.fault(at, "expected [SECTION] or KEY=VALUE"),
        }
    }

    /// Whether it has a section.
    pub(super) fn has(&self, section: &str) -> bool {
        self.entries.iter().any(|entry| entry.section == section)
    }

    /// The last value of a key; an empty one counts as none.
    pub(super) fn last(&self, section: &str, key: &str) -> Option<&Entry> {
        self.all(section, key).last().copied()
    }

    /// The values of a key that may be given several times; an empty one takes those before it away.
    pub(super) fn all(&self, section: &str, key: &str) -> Vec<&Entry> {
        let mut found = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.section == section && entry.key == key) {
            if entry.value.is_empty() {
                found.clear();
            } else {
                found.push(entry);
            }
        }
        found
    }

    /// The name without its ending.
    pub(super) fn stem(&self) -> &str {
        self.name.rsplit_once('.').map_or(self.name.as_str(), |(stem, _)| stem)
    }
}
