//! The text of the systemd unit: each line with its reason, and a sum by which an edited unit is recognised.

use std::fmt::Write as _;

use sha3::{Digest as _, Sha3_256};

use super::{Definition, Scope, ServiceError};

/// The name of the unit.
pub const UNIT: &str = "data-collector-manager.service";

/// The line that holds the sum of everything below it.
const SUM: &str = "# sha3-256: ";

/// The unit of a definition.
///
/// # Errors
/// [`ServiceError::Unwritable`] for a path or an argument with control characters, which could add lines to the unit.
pub fn render(scope: Scope, definition: &Definition) -> Result<String, ServiceError> {
    let mut body = String::from("\n[Unit]\nDescription=Data Collector Manager\n");
    let state = path(&definition.state)?;
    if scope == Scope::Host {
        body.push_str(AFTER);
    }
    let _ = write!(
        body,
        "# The disk of the state directory is mounted first.\nRequiresMountsFor={}\n{START_LIMIT}\n[Service]\n{TYPE}",
        quoted(&state)?
    );
    body.push_str("ExecStart=");
    body.push_str(&quoted(&path(&definition.program)?)?);
    for argument in &definition.arguments {
        // A dollar begins the name of a variable in an argument, not in the path of the program.
        let _ = write!(body, " {}", quoted(argument)?.replace('$', "$$"));
    }
    body.push('\n');
    body.push_str(RELOAD);
    if let Some(cwd) = &definition.cwd {
        let cwd = path(cwd)?;
        check(&cwd)?;
        let _ = write!(
            body,
            "# Where apps begin that name no working directory.\nWorkingDirectory={}\n",
            cwd.replace('%', "%%")
        );
    }
    for (name, value) in &definition.environment {
        let _ = writeln!(body, "Environment={}", quoted(&format!("{name}={value}"))?);
    }
    if let Some(file) = &definition.environment_file {
        let file = path(file)?;
        check(&file)?;
        let _ = writeln!(body, "{ENVIRONMENT_FILE}EnvironmentFile=-{}", file.replace('%', "%%"));
    }
    if scope == Scope::Host && definition.is_state_of_host {
        body.push_str(STATE_DIRECTORY);
    }
    body.push_str(LIFE);
    body.push_str(ROOM);
    if scope == Scope::Host {
        body.push_str(HARDENING);
    }
    let target = match scope {
        Scope::Host => "multi-user.target",
        Scope::User => "default.target",
    };
    let _ = write!(body, "\n[Install]\nWantedBy={target}\n");
    let command = match scope {
        Scope::Host => "systemctl edit",
        Scope::User => "systemctl --user edit",
    };
    Ok(format!(
        "# Written by dcm {} (dcm service install). Settings of your own belong into a file beside it, which an\n\
         # upgrade leaves alone: {command} data-collector-manager. If this file is edited itself, dcm replaces it only with\n\
         # --force; that is seen by the sum of all lines below the next one.\n\
         {SUM}{}\n{body}",
        env!("CARGO_PKG_VERSION"),
        sum(&body),
    ))
}

/// Whether a unit is as dcm wrote it, whatever its version.
#[must_use]
pub fn is_as_written(text: &str) -> bool {
    text.split_once(SUM)
        .and_then(|(_, rest)| rest.split_once('\n'))
        .is_some_and(|(written, body)| written == sum(body))
}

/// What may be held by a unit's line and its comment: a reason stands above each setting.
const AFTER: &str = "\
# A database or broker on this host is there before the manager and ends after it; schedules need the right time.
After=network-online.target time-sync.target postgresql.service rabbitmq-server.service
Wants=network-online.target
";

const START_LIMIT: &str = "\
# A manager that fails again and again is started again for as long as that lasts: apps run on meanwhile.
StartLimitIntervalSec=0
";

const TYPE: &str = "\
# The manager says when it holds its name and has taken up its fleet (READY), how many apps run (STATUS), that it reads
# its settings again (RELOADING) and that it ends (STOPPING). Apps may say nothing in its name.
Type=notify
NotifyAccess=main
";

const RELOAD: &str = "\
# SIGHUP: the settings are read again; what has changed takes effect, or the log says that it needs a restart.
ExecReload=/bin/kill -HUP $MAINPID
";

const ENVIRONMENT_FILE: &str = "\
# Secrets, such as DC_DATABASE_URL with its password, one NAME=value a line, in a file that only its owner can read.
# Apps do not get them.
";

const STATE_DIRECTORY: &str = "\
# /var/lib/dcm, which belongs to the user of this service and which nobody else can read.
StateDirectory=dcm
StateDirectoryMode=0700
";

const LIFE: &str = "\
# Only the manager is stopped with this unit; apps and their shims outlive it (dcm stop-apps stops them).
KillMode=process
# A database that is away is waited for, however long that takes.
TimeoutStartSec=infinity
# The last changes are written in less; what is not written by then is found by the next manager.
TimeoutStopSec=30
# Each turn of the manager's loop counts as a sign of life, nothing else. One that hangs is replaced; apps run on.
WatchdogSec=60
Restart=on-failure
RestartSec=2
# Starting again helps neither wrong settings (2) nor where another manager is at work (75).
RestartPreventExitStatus=2 75
";

const ROOM: &str = "\
# The manager makes a cgroup for each run below its own.
Delegate=yes
# One greedy app that the kernel kills is that app's failure, not the end of the service.
OOMPolicy=continue
# Apps count as tasks of this service; dcm has limits of its own ([limits], dcm app limit).
TasksMax=infinity
# The manager raises its own limit to the second number; apps get the first, as programs expect it that use select().
LimitNOFILE=1024:524288
";

const HARDENING: &str = "\
# No collector loads kernel modules, reboots the host, sets its clock, or reads raw devices and the kernel's log.
CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_BOOT CAP_SYS_TIME CAP_SYS_RAWIO CAP_SYSLOG CAP_MAC_ADMIN CAP_MAC_OVERRIDE
# A runaway thread with a real-time priority would keep everything else from the CPU.
RestrictRealtime=yes
# Apps inherit all of this and are programs of many kinds, so what breaks some of them is left out: NoNewPrivileges (sudo,
# ping), PrivateTmp (a restart would take /tmp from running apps), ProtectSystem and ProtectHome (apps write where they
# like), MemoryDenyWriteExecute (node, Java), RestrictNamespaces (browsers), DevicePolicy (GPUs). Add what yours bear.
";

/// A text as one word of a unit's line.
fn quoted(text: &str) -> Result<String, ServiceError> {
    check(text)?;
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    let is_plain = !text.is_empty() && !text.contains([' ', '"', '\'', '\\', ';', '#']);
    Ok(if is_plain { escaped } else { format!("\"{escaped}\"") })
}

fn check(text: &str) -> Result<(), ServiceError> {
    if text.chars().any(char::is_control) {
        return Err(ServiceError::Unwritable { text: text.to_owned() });
    }
    Ok(())
}

fn path(path: &std::path::Path) -> Result<String, ServiceError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| ServiceError::Unwritable { text: path.to_string_lossy().into_owned() })
}

fn sum(body: &str) -> String {
    Sha3_256::digest(body).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn definition() -> Definition {
        Definition {
            program: "/usr/local/bin/dcm".into(),
            arguments: vec!["--headless".to_owned()],
            state: "/var/lib/dcm".into(),
            is_state_of_host: true,
            cwd: None,
            environment: Vec::new(),
            environment_file: None,
        }
    }

    /// The value of a key of a unit.
    fn value(unit: &str, key: &str) -> Option<String> {
        unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
    }

    #[test]
    fn an_edited_unit_is_recognised() {
        let unit = render(Scope::Host, &definition()).unwrap();
        assert!(is_as_written(&unit));
        // As an older version would have written it.
        let older = unit.replacen(env!("CARGO_PKG_VERSION"), "0.0.1", 1);
        assert!(older != unit && is_as_written(&older));
        for edited in [
            unit.replace("WatchdogSec=60", "WatchdogSec=10"),
            format!("{unit}# mine\n"),
            unit.replace(SUM, "# sum: "),
            String::new(),
            "[Service]\nExecStart=/opt/dcm\n".to_owned(),
        ] {
            assert!(!is_as_written(&edited), "{edited}");
        }
    }

    #[test]
    fn what_systemd_would_expand_is_written_as_it_is() {
        let unit = render(
            Scope::User,
            &Definition {
                program: "/opt/a b/100%/dcm".into(),
                arguments: vec!["--name".to_owned(), "z$1 \"x\"\\".to_owned(), String::new()],
                state: "/srv/50% of it".into(),
                is_state_of_host: false,
                cwd: Some("/opt/my apps %h".into()),
                environment: vec![("VIRTUAL_ENV".to_owned(), "/opt/v e".to_owned())],
                environment_file: Some("/etc/dcm/dcm.env".into()),
            },
        )
        .unwrap();
        let expected = [
            ("ExecStart", r#""/opt/a b/100%%/dcm" --name "z$$1 \"x\"\\" """#),
            ("RequiresMountsFor", "\"/srv/50%% of it\""),
            ("WorkingDirectory", "/opt/my apps %%h"),
            ("Environment", "\"VIRTUAL_ENV=/opt/v e\""),
            ("EnvironmentFile", "-/etc/dcm/dcm.env"),
            ("WantedBy", "default.target"),
        ];
        for (key, expected) in expected {
            assert_eq!(value(&unit, key).as_deref(), Some(expected), "{unit}");
        }
        // A service of a user has none of the host's rights to give away.
        assert_eq!((value(&unit, "CapabilityBoundingSet"), value(&unit, "StateDirectory")), (None, None));
    }

    #[test]
    fn no_path_adds_a_line() {
        let hostile = || PathBuf::from("/tmp/x\nExecStartPre=/bin/evil");
        for definition in [
            Definition { program: hostile(), ..definition() },
            Definition { state: hostile(), ..definition() },
            Definition { cwd: Some(hostile()), ..definition() },
            Definition { environment_file: Some(hostile()), ..definition() },
            Definition { arguments: vec!["a\rb".to_owned()], ..definition() },
            Definition { environment: vec![("A".to_owned(), "b\nC=d".to_owned())], ..definition() },
        ] {
            let refused = render(Scope::Host, &definition);
            assert!(matches!(refused, Err(ServiceError::Unwritable { .. })), "{refused:?}");
        }
    }

    #[test]
    fn each_setting_has_its_reason() {
        let unit = render(Scope::Host, &Definition { cwd: Some("/opt".into()), ..definition() }).unwrap();
        let service = unit.split("[Service]\n").nth(1).unwrap().split("\n[Install]").next().unwrap();
        let mut has_reason = false;
        for line in service.lines().filter(|line| !line.is_empty()) {
            // A reason may stand above a few settings that belong together.
            has_reason = has_reason || line.starts_with('#');
            assert!(has_reason, "{line}");
        }
        let expected = [
            ("Type", "notify"),
            ("NotifyAccess", "main"),
            ("KillMode", "process"),
            ("Delegate", "yes"),
            ("OOMPolicy", "continue"),
            ("Restart", "on-failure"),
            ("RestartPreventExitStatus", "2 75"),
            ("StateDirectory", "dcm"),
            ("TasksMax", "infinity"),
            ("ExecStart", "/usr/local/bin/dcm --headless"),
            ("WantedBy", "multi-user.target"),
        ];
        for (key, expected) in expected {
            assert_eq!(value(&unit, key).as_deref(), Some(expected), "{key}");
        }
    }
}
