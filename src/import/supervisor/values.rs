//! Values of supervisord's keys.

use super::super::Report;
use super::super::ini::Section;

/// Why a priority is not carried over.
pub(super) const NO_ORDER: &str = "apps have no order in which they start and stop";

/// A value that supervisord does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not {0}")]
pub(super) struct InvalidValue(&'static str);

/// `yes`, `true`, `on`, `1` and their opposites.
pub(super) fn boolean(text: &str) -> Result<bool, InvalidValue> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(InvalidValue("true or false")),
    }
}

pub(super) fn whole(text: &str) -> Result<i64, InvalidValue> {
    text.trim().parse().map_err(|_| InvalidValue("a whole number"))
}

/// Bytes: `50MB`, `1GB`, `512KB`, `1024`.
pub(super) fn bytes(text: &str) -> Result<i64, InvalidValue> {
    let text = text.trim().to_ascii_lowercase();
    let units = [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))).unwrap_or((&text, 1));
    let number: Option<i64> = number.trim().parse().ok();
    number.and_then(|number| number.checked_mul(unit)).ok_or(InvalidValue("a size such as 50MB"))
}

/// Exit codes that are expected.
pub(super) fn exit_codes(text: &str) -> Result<Vec<u8>, InvalidValue> {
    let codes = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
    codes.map(|code| code.parse().map_err(|_| InvalidValue("a list of exit codes, 0 to 255"))).collect()
}

/// The name of a signal, without `SIG`.
pub(super) fn signal(text: &str) -> String {
    let name = text.trim().to_ascii_uppercase();
    let numbers = [
        ("1", "HUP"),
        ("2", "INT"),
        ("3", "QUIT"),
        ("9", "KILL"),
        ("10", "USR1"),
        ("12", "USR2"),
        ("15", "TERM"),
    ];
    let named = numbers.iter().find(|(number, _)| *number == name).map(|(_, name)| *name);
    named.unwrap_or_else(|| name.strip_prefix("SIG").unwrap_or(&name)).to_owned()
}

/// Says what of supervisord's own section changes its programs and is not carried over.
pub(super) fn tell_daemon(section: &Section, report: &mut Report) {
    for entry in &section.entries {
        let why = match entry.key.as_str() {
            "user" => "dcm runs as the user who starts it; run_user of an app names another",
            "umask" => "the apps have the umask of the manager; --umask of an app sets another",
            "minfds" => "the apps have the limits of the manager; --max-open-files of an app sets another",
            "minprocs" => "the apps have the limits of the manager; --max-processes of an app sets another",
            _ => continue,
        };
        report.lost(&entry.at, &entry.key, why);
    }
}
