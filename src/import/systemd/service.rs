//! `[Service]` as a program, its environment and its rules.

use std::borrow::Cow;

use super::super::draft::whole;
use super::super::{At, Draft, Host, Report, words};
use super::exec::{self, Specifiers};
use super::timer;
use super::unit::{Entry, Unit};
use super::{boolean, seconds};
use crate::model::Value;

/// What systemd gives to every service of the system.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Keys that are looked at, or that change nothing here.
const KNOWN: [&str; 27] = [
    "CPUQuota",
    "Environment",
    "EnvironmentFile",
    "ExecStart",
    "ExecStartPre",
    "KillSignal",
    "LimitNOFILE",
    "LimitNPROC",
    "MemoryMax",
    "Nice",
    "PIDFile",
    "RemainAfterExit",
    "Restart",
    "RestartSec",
    "RuntimeMaxSec",
    "SendSIGKILL",
    "Slice",
    "SyslogIdentifier",
    "TimeoutSec",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "Type",
    "UMask",
    "UnsetEnvironment",
    "User",
    "WorkingDirectory",
    "MemoryAccounting",
];

const OTHER_COMMANDS: &str = "an app has one command; call it from a script";
const OWN_LOG: &str = "dcm keeps the output itself: dcm logs PATH";

/// Keys that are not carried over, and why.
const LOST: [(&str, &str); 19] = [
    ("ExecCondition", OTHER_COMMANDS),
    ("ExecReload", "dcm has no reload; dcm restart starts it again"),
    ("ExecStartPost", OTHER_COMMANDS),
    ("ExecStop", "a run is stopped by its stop signal (--stop-signal)"),
    ("ExecStopPost", OTHER_COMMANDS),
    ("FinalKillSignal", "what does not end within stop_grace is killed"),
    ("Group", "an app has the groups of its user"),
    ("KillMode", "dcm always stops the whole process tree"),
    ("NotifyAccess", "dcm does not listen to sd_notify: a run counts as started after min_uptime"),
    ("PassEnvironment", "an app has the environment of the manager, but its secrets"),
    ("RestartPreventExitStatus", "0 alone is a good end, and it is started again after every one"),
    ("StandardError", OWN_LOG),
    ("StandardInput", "standard input of an app is empty"),
    ("StandardOutput", OWN_LOG),
    ("SuccessExitStatus", "0 alone is a good end"),
    ("SupplementaryGroups", "an app has the groups of its user"),
    ("TasksMax", "--max-processes limits the processes of a user, not of an app"),
    ("Umask", "the key is UMask"),
    (
        "WatchdogSec",
        "dcm does not listen to sd_notify; --stall-after watches the counters that an app reports",
    ),
];

/// The service as an app. `None` where it has no command, which is reported.
pub(super) fn draft(
    unit: &Unit,
    has_timer: bool,
    is_user: bool,
    host: &dyn Host,
    report: &mut Report,
) -> Option<Draft> {
    let service = Service { unit, has_timer, is_user, host, specifiers: specifiers(unit, is_user, host) };
    tell(unit, report);
    let start = unit.all("Service", "ExecStart");
    let Some(first) = start.first() else {
        let at = unit.entries.iter().find(|entry| entry.section == "Service").map(|entry| entry.at.clone());
        report.fault(&at.unwrap_or_else(|| At::new(&unit.name, 1)), "[Service] has no ExecStart");
        return None;
    };
    let (parent, name) = match unit.stem().split_once('@') {
        Some((prefix, instance)) => (prefix, instance),
        None => (unit.stem(), unit.stem()),
    };
    let mut draft = Draft::new(parent, name, &first.at);
    if let Some(entry) = unit.last("Unit", "Description")
        && let Some(text) = service.specified(entry, &entry.value, report)
    {
        draft.carry(report, (&entry.at, "Description"), "description", text);
    }
    service.environment(&mut draft, report);
    service.command(&start, &mut draft, report);
    service.place(&mut draft, report);
    service.restart(&mut draft, &first.at, report);
    service.limits(&mut draft, report);
    Some(draft)
}

struct Service<'a> {
    unit: &'a Unit,
    has_timer: bool,
    is_user: bool,
    host: &'a dyn Host,
    specifiers: Specifiers,
}

fn specifiers(unit: &Unit, is_user: bool, host: &dyn Host) -> Specifiers {
    let stem = unit.stem();
    let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
    let text = str::to_owned;
    let mut found = Specifiers::from([
        ('n', unit.name.clone()),
        ('N', text(stem)),
        ('p', text(prefix)),
        ('P', unescaped(prefix)),
        ('i', text(instance)),
        ('I', unescaped(instance)),
        ('j', text(prefix.rsplit('-').next().unwrap_or(prefix))),
        ('H', host.name()),
        ('l', text(host.name().split('.').next().unwrap_or_default())),
        ('T', text("/tmp")),
        ('V', text("/var/tmp")),
    ]);
    if is_user {
        found.insert('u', host.user());
        found.extend(host.home_of(&host.user()).map(|home| ('h', home)));
    } else {
        let system = [
            ('u', "root"),
            ('U', "0"),
            ('g', "root"),
            ('G', "0"),
            ('h', "/root"),
            ('s', "/bin/bash"),
            ('t', "/run"),
        ];
        let folders = [('S', "/var/lib"), ('C', "/var/cache"), ('L', "/var/log"), ('E', "/etc")];
        found.extend(system.into_iter().chain(folders).map(|(name, value)| (name, text(value))));
    }
    found
}

/// A name as the path that it was made of: `-` is `/`, `\x2d` is the character.
fn unescaped(name: &str) -> String {
    let mut parts = name.split("\\x");
    let mut done = parts.next().unwrap_or_default().replace('-', "/");
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                done.push(char::from(byte));
                done.push_str(&part[2..].replace('-', "/"));
            }
            None => {
                done.push_str("\\x");
                done.push_str(part);
            }
        }
    }
    done
}

impl Service<'_> {
    fn last(&self, key: &str) -> Option<&Entry> {
        self.unit.last("Service", key)
    }

    fn specified(&self, entry: &Entry, text: &str, report: &mut Report) -> Option<String> {
        let specified = exec::specified(text, &self.specifiers);
        specified.map_err(|error| report.fault(&entry.at, format!("{}: {error}", entry.key))).ok()
    }

    fn words(&self, entry: &Entry, report: &mut Report) -> Vec<String> {
        let words = exec::split(&entry.value);
        let words = words.map_err(|error| report.fault(&entry.at, format!("{}: {error}", entry.key)));
        words.unwrap_or_default().iter().filter_map(|word| self.specified(entry, word, report)).collect()
    }

    fn environment(&self, draft: &mut Draft, report: &mut Report) {
        if !self.is_user {
            draft.set("PATH", PATH);
        }
        for entry in self.unit.all("Service", "Environment") {
            for word in self.words(entry, report) {
                match word.split_once('=') {
                    Some((name, value)) if !name.is_empty() => draft.set(name, value),
                    Some(_) | None => report.lost(
                        &entry.at,
                        "Environment",
                        format!("{word:?} is no NAME=VALUE; systemd ignores it"),
                    ),
                }
            }
        }
        for entry in self.unit.all("Service", "UnsetEnvironment") {
            for name in self.words(entry, report) {
                draft.app.program.env.remove(&name);
                draft.app.program.unset.insert(name);
            }
        }
        let files = self.unit.all("Service", "EnvironmentFile");
        let Some(last) = files.last() else { return };
        let paths: Vec<_> =
            files.iter().filter_map(|entry| self.specified(entry, &entry.value, report)).collect();
        draft.carry(report, (&last.at, "EnvironmentFile"), "env_files", Value::List(Cow::Owned(paths)));
        if self.last("Environment").is_some() {
            let why = "a variable that the file and Environment= both have is that of the file in systemd, and that of env here";
            report.carried(&last.at, "EnvironmentFile", why);
        }
    }

    /// The commands: one is run by itself, several by a shell.
    fn command(&self, start: &[&Entry], draft: &mut Draft, report: &mut Report) {
        let before = self.unit.all("Service", "ExecStartPre");
        let mut lines: Vec<Line> = Vec::new();
        for entry in before.iter().chain(start) {
            let commands = exec::commands(&entry.value);
            let commands =
                commands.map_err(|error| report.fault(&entry.at, format!("{}: {error}", entry.key)));
            for words in commands.unwrap_or_default() {
                lines.extend(self.line(entry, words, report));
            }
        }
        let files = !draft.app.program.env_files.is_empty();
        let needs_shell = lines.len() > 1 || files && lines.iter().any(|line| line.names().next().is_some());
        for line in &lines {
            Self::tell_unset(line, draft, files, report);
        }
        let at = &start[0].at;
        if needs_shell {
            let why = "a shell runs the commands one after the other and fills in variables, since dcm runs one program and \
                       fills in nothing";
            report.carried(at, "ExecStart", why);
            let count = lines.len();
            let parts = lines.iter().enumerate().map(|(index, line)| line.for_shell(index + 1 == count));
            let script = parts.collect::<Vec<_>>().join(" && ");
            draft.run(report, at, vec!["/bin/sh".to_owned(), "-fc".to_owned(), script]);
        } else if let Some(line) = lines.into_iter().next() {
            let env = &draft.app.program.env;
            let words = if line.is_literal { line.words } else { exec::filled(&line.words, env) };
            draft.run(report, at, words);
        }
    }

    /// One command with its prefixes taken off.
    fn line(&self, entry: &Entry, words: Vec<String>, report: &mut Report) -> Option<Line> {
        let mut words = words.into_iter().filter_map(|word| self.specified(entry, &word, report));
        let first = words.next()?;
        let program = first.trim_start_matches(['-', '@', ':', '+', '!', '|']);
        let prefixes = &first[..first.len() - program.len()];
        let mut rest: Vec<_> = words.collect();
        for prefix in prefixes.chars() {
            let why = match prefix {
                '-' => "it may fail in systemd; a failed run is one here",
                '@' => {
                    if !rest.is_empty() {
                        rest.remove(0);
                    }
                    "the name that it gives itself (argv[0]) is that of the program here"
                }
                '+' | '!' => "it has the rights of the app's user, no more",
                '|' => "it is run without a login shell",
                _ => continue,
            };
            report.lost(&entry.at, &format!("{}={prefix}", entry.key), why);
        }
        if program.is_empty() {
            report.fault(&entry.at, format!("{} names no program", entry.key));
            return None;
        }
        rest.insert(0, program.to_owned());
        Some(Line { words: rest, is_literal: prefixes.contains(':') })
    }

    fn tell_unset(line: &Line, draft: &Draft, files: bool, report: &mut Report) {
        for name in line.names() {
            if !files && !draft.app.program.env.contains_key(&name) {
                let why =
                    format!("${name} is not set by the unit, so nothing stands in its place, as in systemd");
                report.carried(&draft.at, "ExecStart", why);
            }
        }
    }

    /// The user and the directory.
    fn place(&self, draft: &mut Draft, report: &mut Report) {
        let user =
            self.last("User").and_then(|entry| Some((entry, self.specified(entry, &entry.value, report)?)));
        if let Some((entry, user)) = user.as_ref().filter(|(_, user)| *user != self.host.user()) {
            draft.carry(report, (&entry.at, "User"), "run_user", user.clone());
        }
        let own = if self.is_user { self.host.user() } else { "root".to_owned() };
        let home = || self.host.home_of(user.as_ref().map_or(own.as_str(), |(_, user)| user.as_str()));
        let Some(entry) = self.last("WorkingDirectory") else {
            let folder = if self.is_user { home() } else { Some("/".to_owned()) };
            let at = draft.at.clone();
            return folder.into_iter().for_each(|folder| draft.put(report, &at, "cwd", folder));
        };
        let path = entry.value.strip_prefix('-').unwrap_or(&entry.value);
        let folder = if path == "~" { home() } else { self.specified(entry, path, report) };
        match folder {
            Some(folder) if path == "~" || folder.starts_with('/') => {
                draft.put(report, &entry.at, "cwd", folder);
            }
            Some(_) => report.fault(&entry.at, "WorkingDirectory is no absolute path"),
            None => report.lost(&entry.at, "WorkingDirectory", "the home directory of the user is not known"),
        }
        if entry.value.starts_with('-') {
            report.lost(&entry.at, "WorkingDirectory=-", "the directory must be there when a run begins");
        }
    }

    /// Whether it runs always, and what follows a failure.
    fn restart(&self, draft: &mut Draft, at: &At, report: &mut Report) {
        let kind = self.last("Type");
        let kind_at = kind.map_or(at, |entry| &entry.at);
        let kind_name = kind.map_or("simple", |entry| entry.value.as_str());
        match kind_name {
            "simple" | "exec" | "oneshot" | "idle" => {}
            "notify" | "notify-reload" => {
                report.lost(
                    kind_at,
                    "Type",
                    "dcm does not listen to sd_notify: a run counts as started after min_uptime",
                );
            }
            "dbus" => report.lost(kind_at, "Type", "dcm does not wait for a name on D-Bus"),
            "forking" => {
                let why = "dcm watches the process that it starts, and ends what that leaves behind: start the program in the foreground";
                report.lost(kind_at, "Type", why);
            }
            other => report.fault(kind_at, format!("Type: systemd knows no {other:?}")),
        }
        let entry = self.last("Restart");
        let restart = entry.map_or("no", |entry| entry.value.as_str());
        let restart_at = entry.map_or(at, |entry| &entry.at);
        let pause = self.last("RestartSec");
        if self.has_timer || kind_name == "oneshot" {
            match restart {
                "no" => {}
                "on-failure" | "always" | "on-abnormal" => timer::retry(pause, draft, report),
                _ => report.lost(
                    restart_at,
                    "Restart",
                    "a failed run is followed by the next one of its schedule, or by retry_interval",
                ),
            }
            if !self.has_timer {
                let why = "it runs once when its target is reached; dcm has no such time: it runs on command (dcm start)";
                report.lost(kind_at, "Type", why);
            }
            return;
        }
        if restart == "no" {
            let why = "systemd starts it once, when its target is reached; dcm has no such time: it runs on command (dcm start), \
                       and --always keeps it running";
            return report.lost(restart_at, "Restart", why);
        }
        draft.put(report, restart_at, "always", true);
        if restart != "always" {
            report.carried(
                restart_at,
                "Restart",
                "it is started again whenever it ends, after exit code 0 too",
            );
        }
        if let Some(pause) = pause {
            report.lost(
                &pause.at,
                "RestartSec",
                "it is started again at once after min_uptime, else after a back-off of 1 s to 5 min",
            );
        }
    }

    fn limits(&self, draft: &mut Draft, report: &mut Report) {
        for (key, setting, unit) in [
            ("TimeoutSec", "stop_grace", 1.0),
            ("TimeoutStopSec", "stop_grace", 1.0),
            ("RuntimeMaxSec", "max_runtime", 60.0),
        ] {
            if let Some(entry) = self.last(key)
                && let Some(seconds) = seconds(entry, report)
            {
                draft.carry(report, (&entry.at, key), setting, seconds / unit);
            }
        }
        if let Some(entry) = self.last("TimeoutStartSec") {
            let is_job = self.last("Type").is_some_and(|kind| kind.value == "oneshot");
            match seconds(entry, report) {
                Some(seconds) if is_job => {
                    draft.carry(report, (&entry.at, "TimeoutStartSec"), "max_runtime", seconds / 60.0);
                }
                Some(_) => {
                    report.lost(&entry.at, "TimeoutStartSec", "a run counts as started after min_uptime");
                }
                None => {}
            }
        }
        if let Some(entry) = self.last("KillSignal").filter(|entry| entry.value != "SIGTERM") {
            let name = entry.value.strip_prefix("SIG").unwrap_or(&entry.value).to_owned();
            draft.carry(report, (&entry.at, "KillSignal"), "stop_signal", name);
        }
        if let Some(entry) = self.last("UMask") {
            draft.carry(report, (&entry.at, "UMask"), "umask", entry.value.clone());
        }
        for (key, setting) in
            [("Nice", "nice"), ("LimitNOFILE", "max_open_files"), ("LimitNPROC", "max_processes")]
        {
            let Some(entry) = self.last(key) else { continue };
            // The soft limit stands before the hard one.
            let number = entry.value.split(':').next().unwrap_or_default().parse();
            match number {
                Ok(number) => draft.carry(report, (&entry.at, key), setting, whole(number)),
                Err(_) => report.lost(&entry.at, key, format!("{:?} is no number", entry.value)),
            }
        }
        if let Some(entry) = self.last("MemoryMax") {
            match timer::mebibytes(&entry.value) {
                Some(mebibytes) => draft.carry(report, (&entry.at, "MemoryMax"), "max_memory", mebibytes),
                None => report.lost(&entry.at, "MemoryMax", "dcm takes a size in bytes, K, M, G or T"),
            }
        }
        if let Some(entry) = self.last("CPUQuota") {
            match entry.value.strip_suffix('%').and_then(|percent| percent.parse().ok()) {
                Some(percent) => draft.carry(report, (&entry.at, "CPUQuota"), "max_cpu", whole(percent)),
                None => report.lost(&entry.at, "CPUQuota", "dcm takes whole percents"),
            }
        }
        if let Some(entry) = self.last("RemainAfterExit")
            && boolean(entry, report)
        {
            report.lost(&entry.at, "RemainAfterExit", "a run is over when its processes are");
        }
    }
}

/// One command.
struct Line {
    words: Vec<String>,
    /// Whether `$` is left as it is.
    is_literal: bool,
}

impl Line {
    /// The variables that are to be filled in.
    fn names(&self) -> impl Iterator<Item = String> + use<> {
        let names = if self.is_literal { Vec::new() } else { exec::variables(&self.words) };
        names.into_iter()
    }

    /// The last one takes the place of the shell.
    fn for_shell(&self, is_last: bool) -> String {
        let line = if self.is_literal { words::line(&self.words) } else { exec::for_shell(&self.words) };
        if is_last { format!("exec {line}") } else { line }
    }
}

/// Says which keys are not carried over.
fn tell(unit: &Unit, report: &mut Report) {
    for entry in unit.entries.iter().filter(|entry| entry.section == "Service" && !entry.value.is_empty()) {
        let key = entry.key.as_str();
        match LOST.iter().find(|(name, _)| *name == key) {
            Some(("KillMode", _)) if entry.value == "control-group" => {}
            Some((_, why)) => report.lost(&entry.at, key, *why),
            None if KNOWN.contains(&key) => {}
            None => report.lost(
                &entry.at,
                key,
                "dcm does not do that; a command that begins with systemd-run can",
            ),
        }
    }
}
