//! Units of systemd: a service, or a timer with its service, becomes an app.

mod calendar;
mod exec;
mod service;
mod span;
mod timer;
mod unit;

use std::path::{Path, PathBuf};

use self::unit::{Entry, Unit};
use super::{At, Draft, Host, Report, Source};

/// Keys of `[Unit]` that say nothing of how it runs.
const SILENT: [&str; 4] = ["Description", "Documentation", "SourcePath", "DefaultDependencies"];

/// Reads a service or a timer, and the partner beside it.
pub(super) fn read(source: &Source<'_>, host: &dyn Host, report: &mut Report) -> Vec<Draft> {
    let start = At::new(source.name, 1);
    let Some(path) = source.path else {
        report.fault(
            &start,
            "a unit is named by its file, and its partner is looked for beside it: give the file itself",
        );
        return Vec::new();
    };
    let unit = Unit::read(source.text, Some(path), source.name, host, report);
    let folder = path.parent().unwrap_or(Path::new("/"));
    if unit.name.contains("@.") {
        let what =
            "it is a template; link it under the name of an instance, NAME@INSTANCE.service, and import that";
        report.fault(&start, what);
        return Vec::new();
    }
    let (service, timer) = if kind(&unit.name) == "timer" {
        let named = unit.last("Timer", "Unit");
        let name = named.map_or_else(|| format!("{}.service", unit.stem()), |entry| entry.value.clone());
        let at = named.map_or(&start, |entry| &entry.at).clone();
        if !unit.has("Timer") {
            report.fault(&start, "the unit has no [Timer]");
        }
        if kind(&name) != "service" {
            report.fault(&at, format!("{name} is no service"));
            return Vec::new();
        }
        let Some(service) = beside(folder, &name, host, report) else {
            report.fault(&at, format!("its service {name} is not beside it"));
            return Vec::new();
        };
        (service, Some(unit))
    } else if kind(&unit.name) == "service" {
        let timer = beside(folder, &format!("{}.timer", unit.stem()), host, report);
        (unit, timer)
    } else {
        report.fault(&start, "only units .service and .timer can become apps");
        return Vec::new();
    };
    if !service.has("Service") {
        let at = service.entries.first().map_or(&start, |entry| &entry.at);
        report.fault(at, format!("{} has no [Service]", service.name));
        return Vec::new();
    }
    let is_user = path.to_string_lossy().contains("/systemd/user/");
    let draft = service::draft(&service, timer.is_some(), is_user, host, report);
    tell_units(&service, report);
    let Some(timer) = timer else { return draft.into_iter().collect() };
    tell_units(&timer, report);
    let Some(draft) = draft else { return Vec::new() };
    timer::drafts(&timer, draft, host, report)
}

/// The ending of a name, which says what kind of unit it is.
fn kind(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, kind)| kind)
}

/// The unit of this name in the folder; an instance may be there as its template.
fn beside(folder: &Path, name: &str, host: &dyn Host, report: &mut Report) -> Option<Unit> {
    let template = name
        .split_once('@')
        .and_then(|(prefix, rest)| Some(format!("{prefix}@.{}", rest.rsplit_once('.')?.1)));
    let (path, text) = [Some(name.to_owned()), template].into_iter().flatten().find_map(|name| {
        let path: PathBuf = folder.join(name);
        host.read(&path).ok().map(|text| (path, text))
    })?;
    let file = path.display().to_string();
    Some(Unit::read(&text, Some(&folder.join(name)), &file, host, report))
}

/// Says what of `[Unit]` is not carried over.
fn tell_units(unit: &Unit, report: &mut Report) {
    for entry in unit.entries.iter().filter(|entry| entry.section == "Unit" && !entry.value.is_empty()) {
        let key = entry.key.as_str();
        let why = match key {
            _ if SILENT.contains(&key) => continue,
            "OnFailure" => "failures are alerts: dcm notify",
            "OnSuccess" => "dcm starts no app after another",
            "StartLimitBurst" | "StartLimitIntervalSec" | "StartLimitInterval" => {
                "an app that keeps failing goes on with a back-off; --on-failures give_up makes it give up"
            }
            _ if key.starts_with("Condition") || key.starts_with("Assert") => {
                "dcm starts an app without conditions"
            }
            _ => "apps do not depend on units or on each other",
        };
        report.lost(&entry.at, key, why);
    }
}

/// A span of time in seconds; `None` for `infinity`, and where it is wrong, which is reported.
fn seconds(entry: &Entry, report: &mut Report) -> Option<f64> {
    let span = span::read(&entry.value);
    let span = span.map_err(|error| report.fault(&entry.at, format!("{}: {error}", entry.key)));
    span.ok().flatten().map(|span| span.as_secs_f64())
}

fn boolean(entry: &Entry, report: &mut Report) -> bool {
    match entry.value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => true,
        "0" | "no" | "n" | "false" | "f" | "off" => false,
        _ => {
            report.fault(&entry.at, format!("{}: {:?} is not true or false", entry.key, entry.value));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tool;
    use super::super::testing::MadeUp;

    fn told(files: &[(&str, &str)]) -> String {
        MadeUp::with(files).told(Tool::Systemd, files[0].0)
    }

    #[test]
    fn a_timer_and_its_service_are_an_app() {
        let timer = "\
[Unit]
Description=When
[Timer]
OnCalendar=Mon..Fri 06:00
OnCalendar=Mon..Fri 18:00
OnCalendar=*-*-01 3:30 UTC
OnCalendar=2030-01-01
OnBootSec=5min
RandomizedDelaySec=2min
Persistent=true
AccuracySec=1s
[Install]
WantedBy=timers.target
";
        let service = "\
# A job.
[Unit]
Description=Companies of %p
After=network-online.target
ConditionPathExists=/srv
[Service]
Type=oneshot
User=ana
Environment=\"A=x y\" B=2 \\
    # not a part of it
    C=%n
ExecStart=-/usr/bin/python3 -m fina \"--name=${A}\" $A $$B 100%% \\x2d
WorkingDirectory=~
TimeoutStartSec=1h
RestartSec=30
Restart=on-failure
StandardOutput=append:/var/log/x
ProtectSystem=strict
";
        let drop_in = "[Service]\nEnvironment=D=4\nNice=5\nUMask=0027\nMemoryMax=1G\nCPUQuota=50%\nLimitNOFILE=1024:4096\n";
        insta::assert_snapshot!(told(&[
            ("/etc/systemd/system/fina.timer", timer),
            ("/etc/systemd/system/fina.service", service),
            ("/etc/systemd/system/fina.service.d/10-more.conf", drop_in),
            ("/etc/systemd/system/fina.service.d/README", "no drop-in"),
        ]));
    }

    #[test]
    fn a_service_that_is_kept_running_runs_always() {
        let service = "\
[Service]
EnvironmentFile=/etc/api.env
EnvironmentFile=-/etc/api.local
Environment=PORT=80
ExecStartPre=/bin/mkdir -p '/run/a b'
ExecStart=@/srv/api api --port ${PORT} --key=${KEY} $EXTRA
Restart=on-failure
RestartSec=5
KillSignal=SIGINT
TimeoutStopSec=1min 30s
KillMode=process
Type=notify
";
        insta::assert_snapshot!(told(&[("/srv/units/api@hr.service", service)]));
        let alone = "[Service]\nExecStart=:/bin/echo $HOME %% ; /bin/true\n";
        insta::assert_snapshot!(told(&[("/home/ana/.config/systemd/user/x.service", alone)]));
    }

    #[test]
    fn units_that_are_wrong_are_refused_with_every_line() {
        let timer = "OnCalendar=daily\n[Timer]\nOnCalendar=never\nOnUnitActiveSec=5 parsecs\nPersistent=perhaps\nno key\n";
        let service = "[Service]\nExecStart='/bin/x\nExecStart=/bin/y %d\nType=odd\nWorkingDirectory=srv\nTimeoutStopSec=x\n";
        insta::assert_snapshot!(told(&[("/u/x.timer", timer), ("/u/x.service", service)]));
        insta::assert_snapshot!(told(&[("/u/x.timer", "[Timer]\nOnCalendar=daily\n")]));
        insta::assert_snapshot!(told(&[("/u/x@.service", service)]));
        insta::assert_snapshot!(told(&[("/u/x.socket", "[Socket]\n")]));
        insta::assert_snapshot!(told(&[("/u/x.service", "[Service]\nExecStart=\n")]));
    }
}
