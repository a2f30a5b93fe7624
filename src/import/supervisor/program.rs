//! A `[program:NAME]` as the apps that it makes.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::expand::{Filling, expand};
use super::super::ini::{Entry, Section};
use super::super::{At, Draft, Host, Report, key_values, words};
use super::fillings;
use super::values::{self, InvalidValue};

/// The most processes of one program.
const PROCESSES_MAX: i64 = 1000;

/// Keys that change nothing here, or are looked at elsewhere.
const KNOWN: [&str; 22] = [
    "autorestart",
    "autostart",
    "command",
    "directory",
    "environment",
    "exitcodes",
    "killasgroup",
    "numprocs",
    "numprocs_start",
    "process_name",
    "redirect_stderr",
    "startretries",
    "startsecs",
    "stderr_logfile_backups",
    "stderr_logfile_maxbytes",
    "stdout_logfile_backups",
    "stdout_logfile_maxbytes",
    "stopasgroup",
    "stopsignal",
    "stopwaitsecs",
    "umask",
    "user",
];

const OWN_LOG: &str = "dcm keeps the output itself: dcm logs PATH";

/// Keys that are not carried over, and why.
const LOST: [(&str, &str); 10] = [
    ("priority", values::NO_ORDER),
    ("stdout_logfile", OWN_LOG),
    ("stderr_logfile", OWN_LOG),
    ("stdout_syslog", OWN_LOG),
    ("stderr_syslog", OWN_LOG),
    ("stdout_events_enabled", "dcm has no events of output"),
    ("stderr_events_enabled", "dcm has no events of output"),
    ("stdout_capture_maxbytes", "dcm has no events of output"),
    ("stderr_capture_maxbytes", "dcm has no events of output"),
    ("serverurl", "there is no supervisord that the program could call"),
];

/// A program of the file, in one group.
pub(super) struct Program<'a> {
    pub(super) section: &'a Section,
    pub(super) name: &'a str,
    pub(super) group: &'a str,
    pub(super) parent: &'a str,
    /// `[supervisord]`, from which a program inherits.
    pub(super) daemon: Option<&'a Section>,
    pub(super) folder: Option<&'a Path>,
}

/// The names that are filled in.
type Fillings = BTreeMap<String, Filling>;

impl Program<'_> {
    /// One app for each process.
    pub(super) fn drafts(&self, host: &dyn Host, report: &mut Report) -> Vec<Draft> {
        if self.name.is_empty() || self.name.contains([' ', ':', '/']) {
            report.fault(&self.section.at, format!("{:?} is no name of a program", self.name));
            return Vec::new();
        }
        self.tell(report);
        let mut fillings = fillings(host, self.folder);
        let texts = [("program_name", self.name), ("group_name", self.group)];
        fillings.extend(texts.map(|(name, text)| (name.to_owned(), Filling::Text(text.to_owned()))));
        let first = self.value("numprocs_start", &fillings, values::whole, report).unwrap_or(0);
        let count = self.value("numprocs", &fillings, values::whole, report).unwrap_or(1);
        let at = self.at("numprocs");
        if !(0..=PROCESSES_MAX).contains(&count) || !(0..=1_000_000).contains(&first) {
            report.fault(&at, format!("numprocs is more than {PROCESSES_MAX}, or less than 0"));
            return Vec::new();
        }
        let name = self.section.get("process_name");
        if count > 1 && !name.is_some_and(|name| name.value.contains("%(process_num)")) {
            let what = "numprocs is more than 1, so process_name must hold %(process_num)d";
            report.fault(&at, what);
            return Vec::new();
        }
        let numbers = first..first + count;
        numbers
            .filter_map(|number| {
                fillings.insert("process_num".to_owned(), Filling::Whole(number));
                fillings.insert("numprocs".to_owned(), Filling::Whole(count));
                self.draft(fillings.clone(), report)
            })
            .collect()
    }

    fn at(&self, key: &str) -> At {
        self.section.get(key).map_or(&self.section.at, |entry| &entry.at).clone()
    }

    fn draft(&self, mut fillings: Fillings, report: &mut Report) -> Option<Draft> {
        let env = self.environment(&mut fillings, report);
        let name = self.text("process_name", &fillings, report).map(|(name, _)| name);
        let name = name.unwrap_or_else(|| self.name.to_owned());
        let mut draft = Draft::new(self.parent, &name, &self.section.at);
        for (name, value) in env {
            draft.set(&name, &value);
        }
        let Some((command, at)) = self.text("command", &fillings, report) else {
            if self.section.get("command").is_none() {
                report.fault(&self.section.at, format!("[{}] has no command", self.section.name));
            }
            return None;
        };
        match words::split(&command) {
            Ok(words) => draft.run(report, &at, words),
            Err(error) => report.fault(&at, format!("command: {error}")),
        }
        let daemon = self.daemon.and_then(|daemon| daemon.get("directory"));
        for entry in [daemon, self.section.get("directory")].into_iter().flatten() {
            if let Some(folder) = filled(entry, &fillings, report) {
                let folder = self.folder.map_or_else(|| folder.clone(), |base| join(base, &folder));
                draft.put(report, &entry.at, "cwd", folder);
            }
        }
        self.restarts(&mut draft, &fillings, report);
        self.stops(&mut draft, &fillings, report);
        self.log(&mut draft, &fillings, report);
        for (key, setting) in [("user", "run_user"), ("umask", "umask")] {
            if let Some((text, at)) = self.text(key, &fillings, report) {
                draft.carry(report, (&at, key), setting, text);
            }
        }
        Some(draft)
    }

    /// The variables of supervisord and its own, which may be filled in from then on.
    fn environment(&self, fillings: &mut Fillings, report: &mut Report) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        let daemon = self.daemon.and_then(|daemon| daemon.get("environment"));
        for entry in [daemon, self.section.get("environment")].into_iter().flatten() {
            let Some(text) = filled(entry, fillings, report) else { continue };
            match key_values::read(&text) {
                Ok(variables) => env.extend(variables),
                Err(error) => report.fault(&entry.at, format!("environment: {error}")),
            }
            if entry.value.contains("%(ENV_") {
                report.carried(
                    &entry.at,
                    "environment",
                    "%(ENV_...)s was filled in from the environment of this import",
                );
            }
        }
        fillings
            .extend(env.iter().map(|(name, value)| (format!("ENV_{name}"), Filling::Text(value.clone()))));
        env
    }

    /// When it is started, and started again.
    fn restarts(&self, draft: &mut Draft, fillings: &Fillings, report: &mut Report) {
        draft.is_started = self.value("autostart", fillings, values::boolean, report).unwrap_or(true);
        let codes = self.value("exitcodes", fillings, values::exit_codes, report);
        let restart = self.text("autorestart", fillings, report);
        let is_unexpected = |text: &str| text.eq_ignore_ascii_case("unexpected");
        let is_always = match &restart {
            Some((text, at)) if is_unexpected(text) => {
                report.carried(
                    at,
                    "autorestart",
                    "it is started again whenever it ends, after an expected exit code too",
                );
                true
            }
            Some((text, at)) => values::boolean(text).unwrap_or_else(|_| {
                report.fault(at, format!("autorestart: {text:?} is not true, false or unexpected"));
                true
            }),
            None => true,
        };
        if is_always {
            draft.put(report, &self.at("autorestart"), "always", true);
        } else {
            let why = "supervisord starts it once, when it begins; dcm has no such time: it runs on command (dcm start)";
            report.lost(&self.at("autorestart"), "autorestart", why);
        }
        if codes.is_some_and(|codes| codes != [0]) {
            let why = if is_always {
                "it is started again after every exit code; 0 alone is a good end"
            } else {
                "0 alone is a good end"
            };
            report.lost(&self.at("exitcodes"), "exitcodes", why);
        }
        if let Some(seconds) = self.value("startsecs", fillings, values::whole, report) {
            let at = self.at("startsecs");
            draft.carry(report, (&at, "startsecs"), "min_uptime", number(seconds));
        }
        let retries = self.value("startretries", fillings, values::whole, report);
        let failures = retries.unwrap_or(3).saturating_add(1);
        let at = self.at("startretries");
        draft.carry(report, (&at, "startretries"), "max_failures", super::super::draft::whole(failures));
        if retries.is_some() {
            let why = "supervisord gives up then; dcm opens an alert and goes on, at least every 5 minutes: \
                       --on-failures give_up makes it give up";
            report.carried(&at, "startretries", why);
        }
    }

    fn stops(&self, draft: &mut Draft, fillings: &Fillings, report: &mut Report) {
        if let Some(seconds) = self.value("stopwaitsecs", fillings, values::whole, report) {
            let at = self.at("stopwaitsecs");
            draft.carry(report, (&at, "stopwaitsecs"), "stop_grace", number(seconds));
        }
        if let Some((signal, at)) = self.text("stopsignal", fillings, report) {
            let signal = values::signal(&signal);
            if signal != "TERM" {
                draft.carry(report, (&at, "stopsignal"), "stop_signal", signal);
            }
        }
        for key in ["stopasgroup", "killasgroup"] {
            if self.value(key, fillings, values::boolean, report) == Some(false) {
                let why = "dcm always stops the whole process tree";
                report.carried(&self.at(key), key, why);
            }
        }
    }

    /// All files of a log together are the most that a run may write.
    fn log(&self, draft: &mut Draft, fillings: &Fillings, report: &mut Report) {
        for (key, backups) in [
            ("stderr_logfile_maxbytes", "stderr_logfile_backups"),
            ("stdout_logfile_maxbytes", "stdout_logfile_backups"),
        ] {
            let backups = self.value(backups, fillings, values::whole, report).unwrap_or(10);
            let Some(bytes) = self.value(key, fillings, values::bytes, report) else { continue };
            let at = self.at(key);
            if bytes == 0 {
                report.lost(&at, key, "the output of a run is always limited: log_limit, 10 MiB");
                continue;
            }
            let bytes = bytes.saturating_mul(backups.clamp(0, 10_000).saturating_add(1));
            draft.carry(report, (&at, key), "log_limit", super::super::draft::whole(bytes));
        }
    }

    /// Says which keys are not carried over.
    fn tell(&self, report: &mut Report) {
        for entry in &self.section.entries {
            let key = entry.key.as_str();
            let lost = LOST.iter().find(|(name, _)| *name == key);
            if let Some((_, why)) = lost {
                report.lost(&entry.at, key, *why);
            } else if !KNOWN.contains(&key) {
                report.lost(&entry.at, key, "supervisord knows no such key");
            }
        }
    }

    /// The value of a key, filled in.
    fn text(&self, key: &str, fillings: &Fillings, report: &mut Report) -> Option<(String, At)> {
        let entry = self.section.get(key)?;
        Some((filled(entry, fillings, report)?, entry.at.clone()))
    }

    fn value<T>(
        &self,
        key: &str,
        fillings: &Fillings,
        read: fn(&str) -> Result<T, InvalidValue>,
        report: &mut Report,
    ) -> Option<T> {
        let (text, at) = self.text(key, fillings, report)?;
        read(&text).map_err(|error| report.fault(&at, format!("{key}: {text:?} {error}"))).ok()
    }
}

fn filled(entry: &Entry, fillings: &Fillings, report: &mut Report) -> Option<String> {
    expand(&entry.value, fillings)
        .map_err(|error| report.fault(&entry.at, format!("{}: {error}", entry.key)))
        .ok()
}

fn join(base: &Path, folder: &str) -> String {
    base.join(folder).to_string_lossy().into_owned()
}

#[expect(clippy::cast_precision_loss, reason = "seconds far below 2^53 are what is accepted")]
fn number(seconds: i64) -> f64 {
    seconds as f64
}

/// Says once what the defaults of supervisord mean here, where a program leaves them.
pub(super) fn tell_defaults(sections: &[Section], report: &mut Report) {
    let programs = sections.iter().filter(|section| section.name.starts_with("program:"));
    let silent: Vec<_> = programs.filter(|section| section.get("autorestart").is_none()).collect();
    if let [first, others @ ..] = silent.as_slice() {
        let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        let why = format!(
            "[{}]{more} have the default, unexpected: dcm starts a program again whenever it ends, after exit code 0 too",
            first.name
        );
        report.carried(&first.at, "autorestart", why);
    }
}
