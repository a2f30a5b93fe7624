//! The service of a Windows host: the service control manager, as `sc.exe` asks it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Change, Definition, Installed, Scope, ServiceError, Status, Uninstalled, Verb};
use crate::process::clock;
use crate::process::service::{self as scm, NewService, RegisteredService, ServiceState};

/// The name of the service.
pub(super) const NAME: &str = "DataCollectorManager";

/// How long a start or stop is waited for. A manager whose database is away is taken for started after 20 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pauses between looks whether it has come about.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const TITLE: &str = "Data Collector Manager";
const DESCRIPTION: &str =
    "Schedules and supervises data collection apps (dcm). Apps run on when it is stopped or restarted.";

/// Where a service is registered, for people.
const PLACE: &str = r"HKLM\SYSTEM\CurrentControlSet\Services";

/// The call of `sc.exe` that registers the service, for those who do it themselves.
///
/// # Errors
/// [`ServiceError::Unwritable`] for what Windows cannot keep.
pub(super) fn describe(scope: Scope, definition: &Definition) -> Result<String, ServiceError> {
    check(scope, definition)?;
    let command = command_line(definition).replace('"', "\\\"");
    Ok(format!("sc.exe create {NAME} binPath= \"{command}\" start= auto DisplayName= \"{TITLE}\"\n"))
}

/// Registers the service, which then starts with the host, and again when it fails.
///
/// # Errors
/// [`ServiceError`], also when a service of this name is there that is none of dcm, and `force` is not given.
pub(super) fn install(scope: Scope, definition: &Definition, force: bool) -> Result<Installed, ServiceError> {
    check(scope, definition)?;
    let before = look()?;
    let command = command_line(definition);
    let change = match &before {
        None => Change::Created,
        Some(before) if before.command == command && before.start == "auto" => Change::Unchanged,
        Some(before) if force || is_of_dcm(&before.command) => Change::Updated,
        Some(_) => return Err(ServiceError::Edited { place: place() }),
    };
    if change != Change::Unchanged {
        let Definition { program, arguments, .. } = definition;
        let new = NewService { name: NAME, title: TITLE, description: DESCRIPTION, program, arguments };
        scm::register(&new).map_err(|error| failed("sc.exe create", "register a service", &error))?;
    }
    let mut remarks = vec![format!(
        "it and its apps run as LocalSystem; sc.exe config {NAME} obj= ACCOUNT password= PASSWORD gives them an account of \
         their own, which needs the state directory {}",
        definition.state.display()
    )];
    if !definition.environment.is_empty() {
        remarks.push(
            "the Python environment of this call is not the service's: name its interpreter in the configuration file \
             (python = ...)"
                .to_owned(),
        );
    }
    if change == Change::Updated && before.is_some_and(|before| before.state == ServiceState::Running) {
        remarks.push(
            "the manager that runs was started by the definition before; dcm service restart takes this one"
                .to_owned(),
        );
    }
    Ok(Installed { place: place(), change, backup: None, remarks })
}

/// Stops the manager, whose apps run on, and takes the service off the list.
///
/// # Errors
/// [`ServiceError`], also when it is none of dcm and `force` is not given.
pub(super) fn uninstall(scope: Scope, force: bool) -> Result<Uninstalled, ServiceError> {
    of_host(scope)?;
    let place = place();
    let Some(found) = look()? else {
        return Ok(Uninstalled { place, was_installed: false, backup: None });
    };
    if !force && !is_of_dcm(&found.command) {
        return Err(ServiceError::Edited { place });
    }
    control(scope, Verb::Stop)?;
    scm::remove(NAME).map_err(|error| failed("sc.exe delete", "remove a service", &error))?;
    Ok(Uninstalled { place, was_installed: true, backup: None })
}

/// Starts, stops or restarts the manager; apps run on.
///
/// # Errors
/// [`ServiceError`]; [`ServiceError::Unfinished`] when it has been asked for and has not come about.
pub(super) fn control(scope: Scope, verb: Verb) -> Result<(), ServiceError> {
    of_host(scope)?;
    if look()?.is_none() {
        return Err(ServiceError::NotInstalled { place: place() });
    }
    match verb {
        Verb::Start => start(),
        Verb::Stop => stop(),
        Verb::Restart => stop().and_then(|()| start()),
    }
}

fn start() -> Result<(), ServiceError> {
    const COMMAND: &str = "sc.exe start";
    scm::start(NAME).map_err(|error| failed(COMMAND, "start a service", &error))?;
    let found = until(COMMAND, |state| state != ServiceState::Starting)?;
    if found.state == ServiceState::Running {
        return Ok(());
    }
    let code = found.exit_code;
    Err(ServiceError::Refused {
        command: format!("{COMMAND} {NAME}"),
        why: format!(
            "it has ended at once with exit code {code}; service.log in its state directory says why"
        ),
    })
}

fn stop() -> Result<(), ServiceError> {
    const COMMAND: &str = "sc.exe stop";
    scm::stop(NAME).map_err(|error| failed(COMMAND, "stop a service", &error))?;
    until(COMMAND, |state| state == ServiceState::Stopped).map(drop)
}

fn until(command: &str, is_so: impl Fn(ServiceState) -> bool) -> Result<RegisteredService, ServiceError> {
    let deadline = clock::boot_time() + PATIENCE;
    loop {
        match look()? {
            None => return Err(ServiceError::NotInstalled { place: place() }),
            Some(found) if is_so(found.state) => return Ok(found),
            Some(_) => {}
        }
        if clock::boot_time() > deadline {
            let command = format!("{command} {NAME}");
            return Err(ServiceError::Unfinished { command, seconds: PATIENCE.as_secs(), says: None });
        }
        // There is no event that all versions of the system tell.
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// How the service stands.
///
/// # Errors
/// When it cannot be asked.
pub(super) fn status(scope: Scope) -> Result<Status, ServiceError> {
    of_host(scope)?;
    let Some(found) = look()? else { return Ok(Status { place: place(), ..Status::default() }) };
    let (active, sub_state) = match found.state {
        ServiceState::Stopped if found.exit_code != 0 => ("failed", "stopped"),
        ServiceState::Stopped => ("inactive", "stopped"),
        ServiceState::Starting => ("activating", "start-pending"),
        ServiceState::Running => ("active", "running"),
        ServiceState::Stopping => ("deactivating", "stop-pending"),
        ServiceState::Paused => ("active", "paused"),
    };
    let is_over = found.state == ServiceState::Stopped && found.exit_code != 0;
    Ok(Status {
        place: place(),
        installed: true,
        edited: Some(!is_of_dcm(&found.command)),
        enabled: Some(if found.start == "auto" { "enabled".to_owned() } else { found.start.to_owned() }),
        active: Some(active.to_owned()),
        sub_state: Some(sub_state.to_owned()),
        result: is_over.then(|| format!("exit code {}", found.exit_code)),
        restarts: None,
        pid: found.pid,
        says: None,
        remarks: Vec::new(),
    })
}

fn look() -> Result<Option<RegisteredService>, ServiceError> {
    scm::find(NAME).map_err(|error| failed("sc.exe query", "look at services", &error))
}

fn place() -> PathBuf {
    Path::new(PLACE).join(NAME)
}

fn of_host(scope: Scope) -> Result<(), ServiceError> {
    match scope {
        Scope::Host => Ok(()),
        Scope::User => Err(ServiceError::Unsupported {
            what: "a service of one user (--user)",
            instead: "leave --user out, and give the service an account with sc.exe config",
        }),
    }
}

fn check(scope: Scope, definition: &Definition) -> Result<(), ServiceError> {
    of_host(scope)?;
    if definition.cwd.is_some() {
        return Err(ServiceError::Unsupported {
            what: "a working directory of a service (--cwd)",
            instead: "give each app its cwd; without one it begins in the state directory",
        });
    }
    let texts = definition.arguments.iter().map(String::as_str).chain(definition.program.to_str());
    match texts.into_iter().find(|text| text.chars().any(char::is_control)) {
        Some(text) => Err(ServiceError::Unwritable { text: text.to_owned() }),
        None => Ok(()),
    }
}

/// Whether it is dcm that a service runs, as a manager.
fn is_of_dcm(command: &str) -> bool {
    let program = match command.strip_prefix('"') {
        Some(rest) => rest.split('"').next(),
        None => command.split(' ').next(),
    };
    let name = program.unwrap_or_default().rsplit(['\\', '/']).next().unwrap_or_default();
    let stem = name.strip_suffix(".exe").unwrap_or(name);
    stem.eq_ignore_ascii_case("dcm") && command.contains("--headless")
}

fn command_line(definition: &Definition) -> String {
    let program = definition.program.to_string_lossy();
    let words = std::iter::once(&*program).chain(definition.arguments.iter().map(String::as_str));
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// An argument as programs of Windows take a command line apart.
fn quoted(argument: &str) -> String {
    if !argument.is_empty() && !argument.contains([' ', '\t', '"']) {
        return argument.to_owned();
    }
    let mut quoted = String::from("\"");
    let mut backslashes = 0;
    for letter in argument.chars() {
        match letter {
            '\\' => backslashes += 1,
            '"' => {
                // Those before a quotation mark count twice, and one more belongs to it.
                quoted.push_str(&"\\".repeat(backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        quoted.push(letter);
    }
    quoted.push_str(&"\\".repeat(backslashes));
    quoted.push('"');
    quoted
}

fn failed(command: &str, what: &str, error: &std::io::Error) -> ServiceError {
    if error.kind() == ErrorKind::PermissionDenied {
        return ServiceError::Denied { what: what.to_owned() };
    }
    ServiceError::Refused { command: format!("{command} {NAME}"), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(program: &str, arguments: &[&str]) -> Definition {
        Definition {
            program: program.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            state: "state".into(),
            is_state_of_host: true,
            cwd: None,
            environment: Vec::new(),
            environment_file: None,
        }
    }

    #[test]
    fn command_lines_come_apart_as_they_were_put_together() {
        for (argument, expected) in [
            ("plain", "plain"),
            ("", "\"\""),
            (r"C:\Program Files\dcm.exe", r#""C:\Program Files\dcm.exe""#),
            (r"C:\a b\", r#""C:\a b\\""#),
            (r#"say "x""#, r#""say \"x\"""#),
            (r#"a\" b"#, r#""a\\\" b""#),
        ] {
            assert_eq!(quoted(argument), expected);
        }
        let definition = definition(r"C:\Program Files\dcm.exe", &["--headless", "--name", "zg"]);
        assert_eq!(command_line(&definition), r#""C:\Program Files\dcm.exe" --headless --name zg"#);
    }

    #[test]
    fn a_service_of_another_program_is_not_taken_for_dcm_s() {
        for (command, expected) in [
            (r#""C:\Program Files\dcm.exe" --headless --name zg"#, true),
            (r"C:\dcm\DCM.exe --headless", true),
            (r"Z:\dcm --headless", true),
            (r"C:\dcm\dcm.exe", false),
            (r"C:\nssm.exe dcm --headless", false),
            ("", false),
        ] {
            assert_eq!(is_of_dcm(command), expected, "{command}");
        }
    }

    #[test]
    fn what_windows_cannot_keep_is_refused() {
        let plain = definition(r"C:\dcm.exe", &["--headless"]);
        assert_eq!(
            describe(Scope::Host, &plain).unwrap(),
            "sc.exe create DataCollectorManager binPath= \"C:\\dcm.exe --headless\" start= auto DisplayName= \"Data Collector Manager\"\n"
        );
        let in_folder = Definition { cwd: Some("x".into()), ..plain.clone() };
        assert!(describe(Scope::Host, &in_folder).unwrap_err().to_string().contains("--cwd"));
        assert!(describe(Scope::User, &plain).unwrap_err().to_string().contains("--user"));
        let line = definition("C:\\dcm.exe", &["a\nb"]);
        assert!(matches!(describe(Scope::Host, &line), Err(ServiceError::Unwritable { .. })));
    }
}
