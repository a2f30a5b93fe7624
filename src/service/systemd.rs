//! The service of a host that systemd runs: a unit file, and `systemctl`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::unit::{UNIT, is_as_written, render};
use super::{Change, Definition, Installed, Scope, ServiceError, Status, Uninstalled, Verb};
use crate::config::env;
use crate::process::{clock, user_name, write_for_all};

/// How long a start or stop is waited for. A manager whose database is away takes as long as that is away.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where units of the host belong that an administrator adds.
const UNITS_OF_HOST: &str = "/etc/systemd/system";

/// There while systemd runs the host (`man 3 sd_booted`).
const BOOTED: &str = "/run/systemd/system";

/// Where systemd notes the users whose services run while they are not logged in.
const LINGERING: &str = "/var/lib/systemd/linger";

/// Properties that say how a unit stands.
const PROPERTIES: &str = "UnitFileState,ActiveState,SubState,Result,NRestarts,MainPID,StatusText";

/// The unit, for those who install it themselves.
///
/// # Errors
/// [`ServiceError::Unwritable`] for paths and arguments that no unit can hold.
pub(super) fn describe(scope: Scope, definition: &Definition) -> Result<String, ServiceError> {
    render(scope, definition)
}

/// Writes the unit, and lets it start with the host or with its user. What is there already is done once.
///
/// # Errors
/// [`ServiceError`], also when a unit is there that was edited by hand and `force` is not given.
pub(super) fn install(scope: Scope, definition: &Definition, force: bool) -> Result<Installed, ServiceError> {
    needs_systemd(scope)?;
    let place = place(scope);
    let unit = render(scope, definition)?;
    let before = read(&place)?;
    let (change, backup) = match &before {
        Some(text) if *text == unit => (Change::Unchanged, None),
        Some(text) if is_as_written(text) => (Change::Updated, None),
        Some(_) if force => (Change::Updated, Some(back_up(&place)?)),
        Some(_) => return Err(ServiceError::Edited { place }),
        None => (Change::Created, None),
    };
    if change != Change::Unchanged {
        let written = match place.parent() {
            Some(folder) => std::fs::create_dir_all(folder),
            None => Ok(()),
        };
        written
            .and_then(|()| write_for_all(&place, unit.as_bytes()))
            .map_err(|error| failed(&place, error))?;
        systemctl(scope, &["daemon-reload"])?;
    }
    systemctl(scope, &["enable", "--quiet", UNIT])?;
    let mut remarks = Vec::from_iter(lingering_remark(scope));
    let is_active = properties(scope).is_ok_and(|status| status.active.as_deref() == Some("active"));
    if change == Change::Updated && is_active {
        remarks.push(
            "the manager that runs was started by the unit before; dcm service restart takes this one"
                .to_owned(),
        );
    }
    Ok(Installed { place, change, backup, remarks })
}

/// Stops the manager, whose apps run on, and removes the unit.
///
/// # Errors
/// [`ServiceError`], also when the unit was edited by hand and `force` is not given.
pub(super) fn uninstall(scope: Scope, force: bool) -> Result<Uninstalled, ServiceError> {
    needs_systemd(scope)?;
    let place = place(scope);
    let Some(text) = read(&place)? else {
        return Ok(Uninstalled { place, was_installed: false, backup: None });
    };
    let is_edited = !is_as_written(&text);
    if is_edited && !force {
        return Err(ServiceError::Edited { place });
    }
    systemctl(scope, &["disable", "--now", "--quiet", UNIT])?;
    let backup = if is_edited {
        Some(back_up(&place)?)
    } else {
        std::fs::remove_file(&place).map_err(|error| failed(&place, error))?;
        None
    };
    systemctl(scope, &["daemon-reload"])?;
    // One that failed is listed as failed for as long as that is not taken back.
    let _ = systemctl(scope, &["reset-failed", "--quiet", UNIT]);
    Ok(Uninstalled { place, was_installed: true, backup })
}

/// Starts, stops or restarts the manager; apps run on.
///
/// # Errors
/// [`ServiceError`]; [`ServiceError::Unfinished`] when the manager has begun and waits for something.
pub(super) fn control(scope: Scope, verb: Verb) -> Result<(), ServiceError> {
    needs_systemd(scope)?;
    let status = properties(scope)?;
    if !status.installed && status.enabled.is_none() {
        return Err(ServiceError::NotInstalled { place: status.place });
    }
    systemctl(scope, &[verb.word(), UNIT])
}

/// How the service stands. Where systemd does not run the host, only what the file says is known.
///
/// # Errors
/// When the unit cannot be looked at.
pub(super) fn status(scope: Scope) -> Result<Status, ServiceError> {
    match needs_systemd(scope) {
        Ok(()) => {
            let mut status = properties(scope)?;
            status.remarks.extend(lingering_remark(scope).filter(|_| status.installed));
            Ok(status)
        }
        Err(error) => {
            let file = of_file(scope)?;
            Ok(Status { remarks: vec![error.to_string()], ..file })
        }
    }
}

/// Where the unit belongs.
fn place(scope: Scope) -> PathBuf {
    let folder = match scope {
        Scope::Host => PathBuf::from(UNITS_OF_HOST),
        Scope::User => env::user_config_dir().unwrap_or_else(|| ".config".into()).join("systemd/user"),
    };
    folder.join(UNIT)
}

fn needs_systemd(scope: Scope) -> Result<(), ServiceError> {
    let needed = match scope {
        Scope::Host => PathBuf::from(BOOTED),
        Scope::User => env::runtime_dir().map_or_else(|| BOOTED.into(), |folder| folder.join("systemd")),
    };
    let missing = [PathBuf::from(BOOTED), needed].into_iter().find(|path| !path.is_dir());
    missing.map_or(Ok(()), |missing| Err(ServiceError::NoSystemd { missing }))
}

/// What the file alone says.
fn of_file(scope: Scope) -> Result<Status, ServiceError> {
    let place = place(scope);
    let text = read(&place)?;
    Ok(Status {
        installed: text.is_some(),
        edited: text.map(|text| !is_as_written(&text)),
        place,
        ..Status::default()
    })
}

/// What systemd says of the unit.
fn properties(scope: Scope) -> Result<Status, ServiceError> {
    let mut status = of_file(scope)?;
    let shown = call(scope, &["show", UNIT, "--property", PROPERTIES])?;
    for (key, value) in shown.lines().filter_map(|line| line.split_once('=')) {
        let word = Some(value.to_owned()).filter(|value| !value.is_empty());
        match key {
            "UnitFileState" => status.enabled = word,
            "ActiveState" => status.active = word,
            "SubState" => status.sub_state = word,
            "Result" => status.result = word,
            "StatusText" => status.says = word,
            "NRestarts" => status.restarts = value.parse().ok(),
            "MainPID" => status.pid = value.parse().ok().filter(|pid| *pid > 0),
            _ => {}
        }
    }
    Ok(status)
}

/// Without lingering, everything of a user ends when that user logs out, apps included.
fn lingering_remark(scope: Scope) -> Option<String> {
    let user = user_name();
    let ends = scope == Scope::User && !Path::new(LINGERING).join(&user).exists();
    ends.then(|| {
        format!("manager and apps of {user} end when {user} logs out; loginctl enable-linger {user} lets them run on")
    })
}

fn read(place: &Path) -> Result<Option<String>, ServiceError> {
    match std::fs::read(place) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        // A link whose target is gone is a unit that somebody has made.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(place.symlink_metadata().is_ok().then(String::new))
        }
        Err(error) => Err(failed(place, error)),
    }
}

/// Keeps the unit that was edited, under a name that systemd does not read.
fn back_up(place: &Path) -> Result<PathBuf, ServiceError> {
    let backup = place.with_file_name(format!("{UNIT}.{}.bak", clock::wall().format("%Y%m%dT%H%M%S%3f")));
    std::fs::rename(place, &backup).map_err(|error| failed(place, error))?;
    Ok(backup)
}

fn failed(path: &Path, source: std::io::Error) -> ServiceError {
    if source.kind() == ErrorKind::PermissionDenied {
        return ServiceError::Denied { what: format!("write {}", path.display()) };
    }
    ServiceError::Io { path: path.to_owned(), source }
}

fn systemctl(scope: Scope, arguments: &[&str]) -> Result<(), ServiceError> {
    call(scope, arguments).map(drop)
}

/// Calls `systemctl`, and gives back what it prints.
fn call(scope: Scope, arguments: &[&str]) -> Result<String, ServiceError> {
    let of_scope: &[&str] = match scope {
        Scope::Host => &[],
        Scope::User => &["--user"],
    };
    let words: Vec<_> = ["systemctl"].iter().chain(of_scope).chain(arguments).copied().collect();
    let command = words.join(" ");
    let refused = |why: String| ServiceError::Refused { command: command.clone(), why };
    let child = Command::new("systemctl")
        .args(of_scope)
        .args(["--no-ask-password", "--no-pager"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| refused(error.to_string()))?;
    let (done, is_done) = channel();
    std::thread::spawn(move || {
        let _ = done.send(child.wait_with_output());
    });
    let output = match is_done.recv_timeout(PATIENCE) {
        Ok(output) => output.map_err(|error| refused(error.to_string()))?,
        // The job goes on; the caller of it here ends with this process.
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let says = if arguments.first() == Some(&"show") { None } else { properties(scope)?.says };
            return Err(ServiceError::Unfinished { command, seconds: PATIENCE.as_secs(), says });
        }
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_denied = ["Access denied", "authentication required", "Permission denied"];
    if is_denied.iter().any(|words| said.contains(words)) {
        return Err(ServiceError::Denied { what: format!("call {command}") });
    }
    Err(refused(if lines.is_empty() { output.status.to_string() } else { lines.join(" ") }))
}
