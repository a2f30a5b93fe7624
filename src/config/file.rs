//! The configuration file: TOML, every key documented in `defaults.toml`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::exit::WITHIN_SECONDS;
use super::notify::{self, Notify};
use super::rabbitmq::{self, Rabbitmq};
use super::values::Source;
use super::{ConfigError, ConsoleSettings, LogFormat, OnHangup};
use crate::console::Consent;
use crate::manager::peers::Lease;
use crate::metrics::MetricsSettings;
use crate::model::{Part, Retention};

/// The largest file that is read.
const SIZE_MAX: u64 = 1024 * 1024;

/// How long a lease may last.
const LEASE_SECONDS: RangeInclusive<f64> = Lease::SECONDS_MIN..=Lease::SECONDS_MAX;

/// How often it may be looked at what apps use.
const SAMPLE_SECONDS: RangeInclusive<f64> = 0.1..=3600.0;

/// How often watched directories may be looked through.
const SCAN_SECONDS: RangeInclusive<f64> = 0.1..=86_400.0;

/// What a file says. Everything may be missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct File {
    pub(super) database: Option<String>,
    pub(super) state_dir: Option<String>,
    pub(super) name: Option<String>,
    pub(super) python: Option<String>,
    pub(super) pools: Vec<String>,
    pub(super) lease: Option<Duration>,
    pub(super) batch_files: bool,
    pub(super) stop_apps_on_exit: Option<bool>,
    pub(super) stop_apps_within: Option<Duration>,
    pub(super) running_max: Option<u32>,
    pub(super) sample_every: Option<Duration>,
    pub(super) scan_every: Option<Duration>,
    pub(super) logs_max: Option<u64>,
    pub(super) logs_days: Option<u32>,
    pub(super) logs_free: Option<u64>,
    pub(super) log_level: Option<String>,
    pub(super) log_format: LogFormat,
    pub(super) log_keep_days: Option<u32>,
    pub(super) retention: Retention,
    pub(super) console: ConsoleSettings,
    pub(super) metrics: MetricsSettings,
    pub(super) notify: Notify,
    pub(super) rabbitmq: Rabbitmq,
}

/// The text of a file.
///
/// # Errors
/// [`ConfigError`] when it cannot be read or is too large.
pub(super) fn text_of(path: &Path) -> Result<String, ConfigError> {
    let failed = |why: String| ConfigError { origin: path.display().to_string(), why };
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > SIZE_MAX {
        return Err(failed(format!("larger than {SIZE_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Reads a file. `get` reads a variable of the environment that a value refers to. Keys that dcm does not know are warned
/// of and left alone. Each fault is added to `faults` with file and line, and counts as a setting that is missing.
pub(super) fn read(
    path: &Path,
    get: &dyn Fn(&str) -> Option<String>,
    warn: &mut dyn FnMut(String),
    faults: &mut Vec<ConfigError>,
) -> File {
    match text_of(path) {
        Ok(text) => parse(path.to_owned(), &text, get, warn, faults),
        Err(error) => {
            faults.push(error);
            File::default()
        }
    }
}

fn parse(
    path: PathBuf,
    text: &str,
    get: &dyn Fn(&str) -> Option<String>,
    warn: &mut dyn FnMut(String),
    faults: &mut Vec<ConfigError>,
) -> File {
    let (table, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    if !errors.is_empty() {
        // What else would be found is a consequence of these.
        faults.extend(errors.iter().map(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            ConfigError { origin: format!("{}:{line}", path.display()), why: error.message().to_owned() }
        }));
        return File::default();
    }
    let mut reader = Reader { path, text, get, warn, faults, file: File::default() };
    reader.table("", table.get_ref());
    reader.file
}

struct Reader<'a> {
    path: PathBuf,
    text: &'a str,
    get: &'a dyn Fn(&str) -> Option<String>,
    warn: &'a mut dyn FnMut(String),
    faults: &'a mut Vec<ConfigError>,
    file: File,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        // A table is sorted by its keys; people read a file from its beginning.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            if let Err(fault) = self.entry(prefix, key, value) {
                self.faults.push(fault);
            }
        }
    }

    fn entry(
        &mut self,
        prefix: &str,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), ConfigError> {
        let name = format!("{prefix}{}", key.get_ref());
        match (name.as_str(), value.get_ref()) {
            (
                "limits" | "logs" | "log" | "retention" | "metrics" | "console" | "console.confirm",
                DeValue::Table(inner),
            ) => {
                self.table(&format!("{name}."), inner);
            }
            (name @ ("notify" | "rabbitmq"), DeValue::Table(inner)) => {
                self.with_secrets(name, key.span().start, inner)?;
            }
            ("database", _) => self.file.database = Some(self.text(&name, value)?),
            ("state_dir", _) => self.file.state_dir = Some(self.text(&name, value)?),
            ("name", _) => self.file.name = Some(self.text(&name, value)?),
            ("python", _) => self.file.python = Some(self.text(&name, value)?),
            ("pools", _) => self.file.pools = self.pools(value)?,
            ("lease", _) => self.file.lease = Some(self.seconds(&name, value, LEASE_SECONDS)?),
            ("batch_files", DeValue::Boolean(is_allowed)) => self.file.batch_files = *is_allowed,
            ("stop_apps_on_exit", DeValue::Boolean(is_so)) => self.file.stop_apps_on_exit = Some(*is_so),
            ("stop_apps_within", _) => {
                self.file.stop_apps_within = Some(self.seconds(&name, value, WITHIN_SECONDS)?);
            }
            ("scan_seconds", _) => {
                self.file.scan_every = Some(self.seconds(&name, value, SCAN_SECONDS)?);
            }
            ("limits.running", _) => self.file.running_max = Some(self.number(&name, value)?),
            ("logs.max_total", _) => self.file.logs_max = Some(self.size(&name, value)?),
            ("logs.min_free", _) => self.file.logs_free = Some(self.size(&name, value)?),
            ("logs.keep_days", _) => self.file.logs_days = Some(self.number(&name, value)?),
            ("limits.sample_seconds", _) => {
                self.file.sample_every = Some(self.seconds(&name, value, SAMPLE_SECONDS)?);
            }
            ("log.level", _) => {
                let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
                self.file.log_level = Some(self.one_of(&name, value, &levels)?.to_owned());
            }
            ("log.format", _) => {
                let choices = LogFormat::ALL.map(|form| (form.word(), form));
                self.file.log_format = self.one_of(&name, value, &choices)?;
            }
            (name, _) if self.limit(name).is_some() => {
                let number = self.number(name, value)?;
                self.limit(name).into_iter().for_each(|limit| *limit = number);
            }
            ("log.keep_days", _) => self.file.log_keep_days = Some(self.number(&name, value)?),
            ("stop_apps_on_exit" | "batch_files", _) => {
                return Err(self.wrong(value, format!("{name} must be true or false")));
            }
            (_, _) if prefix.starts_with("console.") => self.console(&name, key.span().start, value)?,
            (_, _) if prefix == "metrics." => self.metrics(&name, key.span().start, value)?,
            _ => self.unknown(&name, key.span().start),
        }
        Ok(())
    }

    fn console(&mut self, name: &str, at: usize, value: &Spanned<DeValue<'_>>) -> Result<(), ConfigError> {
        match (name, value.get_ref()) {
            ("console.read_only", DeValue::Boolean(is_read_only)) => {
                self.file.console.read_only = *is_read_only;
            }
            ("console.read_only", _) => {
                return Err(self.wrong(value, format!("{name} must be true or false")));
            }
            ("console.reason", _) => {
                let choices = [("optional", false), ("required", true)];
                self.file.console.caution.needs_reason = self.one_of(name, value, &choices)?;
            }
            ("console.on_hangup", _) => {
                let choices = OnHangup::ALL.map(|what| (what.word(), what));
                self.file.console.on_hangup = self.one_of(name, value, &choices)?;
            }
            (name, _) if name.starts_with("console.confirm.") => {
                let command = name.trim_start_matches("console.confirm.").to_uppercase().parse();
                let command =
                    command.map_err(|_| self.wrong(value, format!("{name}: there is no such command")))?;
                let choices = [("ask", Consent::Yes), ("type", Consent::Number)];
                let consent = self.one_of(name, value, &choices)?;
                self.file.console.caution.at_least.insert(command, consent);
            }
            _ => self.unknown(name, at),
        }
        Ok(())
    }

    fn metrics(&mut self, name: &str, at: usize, value: &Spanned<DeValue<'_>>) -> Result<(), ConfigError> {
        match (name, value.get_ref()) {
            ("metrics.listen", _) => self.file.metrics.listen = Some(self.address(name, value)?),
            ("metrics.per_app", DeValue::Boolean(per_app)) => self.file.metrics.per_app = *per_app,
            ("metrics.per_app", _) => {
                return Err(self.wrong(value, format!("{name} must be true or false")));
            }
            _ => self.unknown(name, at),
        }
        Ok(())
    }

    fn unknown(&mut self, name: &str, at: usize) {
        let place = self.place(at);
        (self.warn)(format!("{place}: unknown setting {name}"));
    }

    /// A table whose values may be elsewhere.
    fn with_secrets(&mut self, name: &str, at: usize, table: &DeTable<'_>) -> Result<(), ConfigError> {
        let source = Source { path: &self.path, text: self.text, get: self.get };
        if name == "notify" {
            self.file.notify = notify::read(&source, table, self.warn, self.faults);
        } else {
            self.file.rabbitmq = rabbitmq::read(&source, table, at, self.warn)?;
        }
        Ok(())
    }

    /// A limit of the history.
    fn limit(&mut self, name: &str) -> Option<&mut u32> {
        let retention = &mut self.file.retention;
        Some(match name.strip_prefix("retention.")? {
            "runs_days" => &mut retention.runs_days,
            "runs_per_app_max" => &mut retention.runs_per_app_max,
            "commands_days" => &mut retention.commands_days,
            "alerts_days" => &mut retention.alerts_days,
            "events_days" => &mut retention.events_days,
            _ => return None,
        })
    }

    fn text(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<String, ConfigError> {
        value
            .get_ref()
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| self.wrong(value, format!("{name} must be a text")))
    }

    /// What one of these words stands for.
    fn one_of<T: Copy>(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        choices: &[(&str, T)],
    ) -> Result<T, ConfigError> {
        let found = value.get_ref().as_str().and_then(|text| choices.iter().find(|(word, _)| *word == text));
        found.map(|(_, what)| *what).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.wrong(value, format!("{name} must be {}", words.join(" or ")))
        })
    }

    fn pools(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, ConfigError> {
        let wrong = || self.wrong(value, "pools must be an array of names, for example [\"eu\"]".to_owned());
        let array = value.get_ref().as_array().ok_or_else(wrong)?;
        let names = array.iter().map(|name| Part::new(name.get_ref().as_str()?).ok());
        names.map(|name| name.map(|name| name.to_string()).ok_or_else(wrong)).collect()
    }

    fn seconds(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        range: RangeInclusive<f64>,
    ) -> Result<Duration, ConfigError> {
        let seconds = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => None,
        };
        seconds.filter(|seconds| range.contains(seconds)).map(Duration::from_secs_f64).ok_or_else(|| {
            self.wrong(value, format!("{name} must be {} to {} seconds", range.start(), range.end()))
        })
    }

    fn address(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<SocketAddr, ConfigError> {
        let address = value.get_ref().as_str().and_then(|text| text.parse().ok());
        address.ok_or_else(|| {
            let why = "must be an IP address and a port, for example \"127.0.0.1:9184\" or \"[::1]:9184\"";
            self.wrong(value, format!("{name} {why}"))
        })
    }

    fn number(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<u32, ConfigError> {
        value
            .get_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| *number > 0)
            .ok_or_else(|| self.wrong(value, format!("{name} must be a whole number of 1 or more")))
    }

    fn size(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<u64, ConfigError> {
        let size = parse_size(&self.text(name, value)?);
        size.ok_or_else(|| self.wrong(value, format!("{name} is no size such as \"20GiB\"")))
    }

    fn wrong(&self, value: &Spanned<DeValue<'_>>, why: String) -> ConfigError {
        ConfigError { origin: self.place(value.span().start), why }
    }

    fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path.display(), line_of(self.text, at))
    }
}

/// The number of the line that holds a byte, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// `20GiB`, `512 MiB`, or a number of bytes.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CmdName;

    fn check(text: &str) -> (Result<File, ConfigError>, Vec<String>) {
        let mut warnings = Vec::new();
        let mut faults = Vec::new();
        let warn = &mut |warning| warnings.push(warning);
        let file = parse("dcm.toml".into(), text, &|_| None, warn, &mut faults);
        (faults.into_iter().next().map_or(Ok(file), Err), warnings)
    }

    #[test]
    fn each_fault_is_told() {
        let text = "name = 3\n[limits]\nrunning = 'x'\nsample_seconds = 5\n[notify.a]\nkind = 'x'\n[notify.b]\nkind = 'slack'\n";
        let (mut faults, mut warnings) = (Vec::new(), Vec::new());
        let file = parse("f".into(), text, &|_| None, &mut |warning| warnings.push(warning), &mut faults);
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            faults,
            [
                "f:1: name must be a text",
                "f:3: limits.running must be a whole number of 1 or more",
                "f:6: notify.a.kind must be telegram or teams or slack or email or webhook",
                "f:7: notify.b: slack needs url or url_file",
            ]
        );
        assert_eq!(file.sample_every, Some(Duration::from_secs(5)), "what is right counts");
        let mut faults = Vec::new();
        parse("f".into(), "a = \nb = 1\nc = [\n", &|_| None, &mut |_| {}, &mut faults);
        assert!(faults.len() > 1 && faults[0].to_string().starts_with("f:1: "), "{faults:?}");
    }

    #[test]
    fn the_defaults_are_a_valid_file() {
        let (file, warnings) = check(include_str!("defaults.toml"));
        assert_eq!(warnings, Vec::<String>::new());
        let file = file.unwrap();
        assert_eq!((file.logs_max, file.logs_days, file.logs_free), (Some(20 << 30), Some(90), None));
    }

    #[test]
    fn every_key_of_the_documentation_is_known() {
        // What is commented out is documentation as well: it must be readable as it stands.
        let all: String = include_str!("defaults.toml")
            .lines()
            .map(|line| {
                line.strip_prefix("# ")
                    .filter(|rest| rest.contains(" = ") && !rest.contains(". ") || rest.starts_with('['))
                    .unwrap_or(line)
            })
            .collect::<Vec<_>>()
            .join("\n");
        let (file, warnings) = check(&all);
        assert_eq!(warnings, Vec::<String>::new());
        let file = file.unwrap();
        assert_eq!((file.running_max, file.logs_free), (Some(200), Some(1 << 30)));
        assert_eq!(file.name.as_deref(), Some("zg-01"));
        // Their secrets are in variables that are not set here.
        assert!(file.notify.settings.is_err());
        assert!(file.database.is_some() && file.state_dir.is_some() && file.python.is_some());
    }

    #[test]
    fn consoles_may_be_made_more_careful() {
        let (file, warnings) = check(
            "[console]\nread_only = true\nreason = 'required'\non_hangup = 'drain'\n[console.confirm]\nstart = 'ask'",
        );
        let console = file.unwrap().console;
        assert_eq!((console.read_only, console.on_hangup, warnings), (true, OnHangup::Drain, Vec::new()));
        assert!(console.caution.needs_reason);
        assert_eq!(console.caution.at_least, [(CmdName::Start, Consent::Yes)].into());
    }

    #[test]
    fn unknown_keys_are_warned_of_and_wrong_values_refused_with_their_line() {
        let (file, warnings) = check("name = 'a'\ncolour = 1\n[limits]\nrunnning = 3\n");
        assert!(file.is_ok());
        assert_eq!(
            warnings,
            ["dcm.toml:2: unknown setting colour", "dcm.toml:4: unknown setting limits.runnning"]
        );
        for (text, expected) in [
            ("\nname = 3", "dcm.toml:2: name must be a text"),
            ("[limits]\nrunning = 0", "dcm.toml:2: limits.running must be a whole number of 1 or more"),
            ("[limits]\nsample_seconds = 0", "dcm.toml:2: limits.sample_seconds must be 0.1 to 3600 seconds"),
            (
                "[metrics]\n\nlisten = 'localhost'",
                "dcm.toml:3: metrics.listen must be an IP address and a port, for example \"127.0.0.1:9184\" or \"[::1]:9184\"",
            ),
            ("[metrics]\nlisten = 9184", "dcm.toml:2: metrics.listen must be an IP address and a port"),
            ("[metrics]\nper_app = 'yes'", "dcm.toml:2: metrics.per_app must be true or false"),
            ("[logs]\nmax_total = '5 apples'", "dcm.toml:2: logs.max_total is no size"),
            ("[logs]\nmin_free = 5", "dcm.toml:2: logs.min_free must be a text"),
            ("[log]\nlevel = 'loud'", "dcm.toml:2: log.level must be"),
            ("name = 'a'\nname = 'b'", "dcm.toml:2: duplicate key"),
            ("[console]\nread_only = 1", "dcm.toml:2: console.read_only must be true or false"),
            ("[console]\non_hangup = 'x'", "dcm.toml:2: console.on_hangup must be continue or drain or stop"),
            ("[console.confirm]\nstop = 'no'", "dcm.toml:2: console.confirm.stop must be ask or type"),
            ("[console.confirm]\nfly = 'ask'", "dcm.toml:2: console.confirm.fly: there is no such command"),
            ("= 1", "dcm.toml:1: "),
        ] {
            let message = check(text).0.unwrap_err().to_string();
            assert!(message.starts_with(expected), "{text}: {message}");
        }
    }
}
