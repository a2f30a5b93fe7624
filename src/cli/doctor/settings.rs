//! The settings, and the channels of notifications that they set up.

use super::finding::Finding;
use super::{Context, Reporter};
use crate::cli::config::Checked;
use crate::cli::session::Session;

pub(super) fn look(checked: &Checked) -> Vec<Finding> {
    let file = checked.file.as_ref().map_or_else(
        || "there is no configuration file; all is as by default".to_owned(),
        |file| format!("they are read from {}", file.display()),
    );
    let mut found: Vec<_> = checked
        .faults
        .iter()
        .map(|fault| {
            Finding::error("settings.fault", fault.to_string(), "set it right; dcm config check looks again")
        })
        .collect();
    if found.is_empty() {
        found.push(Finding::ok("settings.file", file));
    }
    found.extend(checked.warnings.iter().map(|warning| {
        let (seen, cure) = warning.message.rsplit_once("; ").unwrap_or((
            warning.message.as_str(),
            "correct the name or take it out; dcm config show lists all settings",
        ));
        let (check, cure) = match warning.name {
            "missing_secret" => (
                "settings.secret",
                "set it for the service of the manager, and where dcm notify test is called",
            ),
            "exposed_secret" => ("settings.rights", cure),
            "console_file" => ("settings.console", cure),
            _ => ("settings.unknown", cure),
        };
        Finding::warning(check, seen, cure)
    }));
    found
}

/// No message is sent: that a channel works is told by one that arrives.
pub(super) fn channels(_: &Context, session: &Session, report: &Reporter) {
    match &session.settings.notify {
        Ok(settings) if settings.channels.is_empty() => report.add(Finding::warning(
            "channels",
            "none is set up: alerts are sent to no one",
            "[notify.NAME] of the configuration file makes one",
        )),
        Ok(settings) => {
            for channel in &settings.channels {
                let (name, kind) = (&channel.name, channel.kind.word());
                let seen = format!("{name}: {kind} to {}; dcm notify test {name} tries it", channel.target());
                report.add(Finding::ok("channels", seen));
            }
        }
        Err(error) => report.add(Finding::error(
            "channels",
            error.to_string(),
            "alerts leave by no channel until it is there; dcm notify test NAME tries one",
        )),
    }
}
