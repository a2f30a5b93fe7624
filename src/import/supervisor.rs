//! `supervisord.conf`, as supervisor 4.3 reads it: its programs become apps that run always.

mod program;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use self::program::Program;
use super::expand::{Filling, expand};
use super::ini::{self, Section};
use super::{Draft, Host, Report, Source, glob};

/// The most files that are included.
const FILES_MAX: usize = 1000;

/// Sections of supervisord itself, which make no processes.
const OWN: [&str; 7] = [
    "supervisord",
    "supervisorctl",
    "unix_http_server",
    "inet_http_server",
    "include",
    "rpcinterface:",
    "ctlplugin:",
];

/// Reads the file and what it includes.
pub(super) fn read(source: &Source<'_>, host: &dyn Host, report: &mut Report) -> Vec<Draft> {
    let mut sections = Vec::new();
    ini::read(source.text, source.name, &mut sections, report);
    let stems = include(source, host, &mut sections, report);
    let known =
        |section: &Section, kind: &str| section.name.strip_prefix(kind).map(|name| name.trim().to_owned());
    let mut drafts = Vec::new();
    let mut grouped: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let names: BTreeSet<_> = sections.iter().filter_map(|section| known(section, "program:")).collect();
    for section in &sections {
        let Some(group) = known(section, "group:") else { continue };
        let Some(programs) = section.get("programs") else {
            report.fault(&section.at, format!("[{}] names no programs", section.name));
            continue;
        };
        if let Some(priority) = section.get("priority") {
            report.lost(&priority.at, "priority", values::NO_ORDER);
        }
        for program in programs.value.split(',').map(str::trim) {
            let is_other = sections.iter().any(|section| section.name == format!("fcgi-program:{program}"));
            if names.contains(program) {
                grouped.entry(program.to_owned()).or_default().push(group.clone());
            } else if !is_other {
                report
                    .fault(&programs.at, format!("[{}] names an unknown program {program:?}", section.name));
            }
        }
    }
    let daemon = sections.iter().find(|section| section.name == "supervisord");
    for section in &sections {
        let Some(name) = known(section, "program:") else {
            tell_other(section, report);
            continue;
        };
        let stem = stems.get(&*section.at.file).map_or("supervisord", String::as_str);
        let none = Vec::new();
        let groups = grouped.get(&name).unwrap_or(&none);
        let alone = [name.clone()];
        for group in if groups.is_empty() { &alone[..] } else { groups } {
            let parent = if groups.is_empty() { stem } else { group };
            let program = Program { section, name: &name, group, parent, daemon, folder: source.folder() };
            drafts.extend(program.drafts(host, report));
        }
        if report.is_too_much(&section.at, drafts.len()) {
            break;
        }
    }
    if let Some(daemon) = daemon {
        values::tell_daemon(daemon, report);
    }
    program::tell_defaults(&sections, report);
    drafts
}

/// Adds the sections of the files that are included, and says which stem each file has.
fn include(
    source: &Source<'_>,
    host: &dyn Host,
    sections: &mut Vec<Section>,
    report: &mut Report,
) -> BTreeMap<String, String> {
    let mut stems = BTreeMap::new();
    stems.insert(source.name.to_owned(), source.stem().unwrap_or("supervisord").to_owned());
    let Some(folder) = source.folder() else { return stems };
    fill_here(sections, folder);
    let Some(section) = sections.iter().find(|section| section.name == "include") else { return stems };
    let Some(files) = section.get("files").cloned() else {
        report.fault(&section.at, "[include] has no files");
        return stems;
    };
    let fillings = fillings(host, Some(folder));
    let patterns = match expand(&files.value, &fillings) {
        Ok(patterns) => patterns,
        Err(error) => {
            report.fault(&files.at, error.to_string());
            return stems;
        }
    };
    let mut found: Vec<PathBuf> = Vec::new();
    for pattern in patterns.split_whitespace() {
        let files_of = glob::files(&folder.join(pattern), host);
        if files_of.is_empty() {
            report.lost(&files.at, "files", format!("no file is named {pattern}"));
        }
        found.extend(files_of);
    }
    if found.len() > FILES_MAX {
        report.fault(&files.at, format!("more than {FILES_MAX} files are included"));
        return stems;
    }
    for path in found {
        let name = path.display().to_string();
        match host.read(&path) {
            Ok(text) => ini::read(&text, &name, sections, report),
            Err(error) => report.fault(&files.at, format!("{name}: {error}")),
        }
        fill_here(sections, path.parent().unwrap_or(folder));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        stems.insert(name, stem);
    }
    stems
}

/// `%(here)s` is the folder of the file in which it stands.
fn fill_here(sections: &mut [Section], folder: &Path) {
    let folder = folder.to_string_lossy();
    for entry in sections.iter_mut().flat_map(|section| &mut section.entries) {
        if entry.value.contains("%(here)s") {
            entry.value = entry.value.replace("%(here)s", &folder);
        }
    }
}

/// What names stand for everywhere.
fn fillings(host: &dyn Host, folder: Option<&Path>) -> BTreeMap<String, Filling> {
    let variables = host.variables().into_iter();
    let mut fillings: BTreeMap<_, _> =
        variables.map(|(name, value)| (format!("ENV_{name}"), Filling::Text(value))).collect();
    fillings.insert("host_node_name".to_owned(), Filling::Text(host.name()));
    if let Some(folder) = folder {
        fillings.insert("here".to_owned(), Filling::Text(folder.to_string_lossy().into_owned()));
    }
    fillings
}

/// Says what a section was for that makes no app.
fn tell_other(section: &Section, report: &mut Report) {
    let name = section.name.as_str();
    let why = match name.split(':').next() {
        Some("eventlistener") => {
            "it speaks the protocol of supervisord's events, which dcm does not have; alerts go out by dcm notify"
        }
        Some("fcgi-program") => {
            "dcm opens no socket for a program; make it open its own and write [program:NAME]"
        }
        Some("DEFAULT") => "write its keys into the sections that they are for",
        _ if name.starts_with("group:") => return,
        _ if OWN.iter().any(|own| name == *own || own.ends_with(':') && name.starts_with(own)) => return,
        _ => "it is no section of supervisord",
    };
    report.lost(&section.at, &format!("[{name}]"), why);
}

#[cfg(test)]
mod tests {
    use super::super::Tool;
    use super::super::testing::MadeUp;

    fn told(files: &[(&str, &str)]) -> String {
        MadeUp::with(files).told(Tool::Supervisor, files[0].0)
    }

    #[test]
    fn programs_become_apps_that_run_always() {
        let main = "\
[supervisord]
environment=LANG=\"C\",A=1
umask=027
[program:api]
command=/srv/%(program_name)s --key '%(ENV_TOKEN)s' --at %(host_node_name)s 100%% ; the key
directory=%(here)s/work
environment=A=\"x y\",B=%(ENV_TOKEN)s
autostart=no
autorestart=true
startsecs=5
startretries=2
stopwaitsecs=30
stopsignal=SIGINT
user=ana
priority=5
stdout_logfile=/var/log/api.log
stdout_logfile_maxbytes=1MB
stdout_logfile_backups=1
colour=red
[program:worker]
command=worker
process_name=%(program_name)s_%(process_num)02d
numprocs=2
numprocs_start=1
autorestart=false
exitcodes=0,2
[group:hr]
programs=worker
[eventlistener:mail]
command=x
[include]
files=conf.d/*.conf
";
        let extra = "[program:extra]\ncommand=%(here)s/run 'a b'\nautorestart=unexpected\nstdout_logfile_maxbytes=0\n";
        let told = told(&[
            ("/etc/supervisord.conf", main),
            ("/etc/conf.d/croatia.conf", extra),
            ("/etc/conf.d/.hidden.conf", "broken"),
        ]);
        insta::assert_snapshot!(told);
    }

    #[test]
    fn faults_are_named_by_file_and_line() {
        let main = "\
[program:a]
[program:b c]
command=x
[program:d]
command='x
autostart=perhaps
startsecs=1s
environment=A
directory=%(nowhere)s
[program:e]
command=%(ENV_NOTHING)s
numprocs=2
[program:g]
command=x
numprocs=1000000
[group:f]
programs=d,zzz
[include]
files=more.conf
";
        let told = told(&[("/etc/s.conf", main), ("/etc/more.conf", "no section\n")]);
        insta::assert_snapshot!(told);
    }
}
