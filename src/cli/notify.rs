//! `dcm notify`: the channels of notifications.

use serde_json::json;

use super::args::NotifyCommand;
use super::error::{Error, Kind};
use super::output;
use super::session::Session;
use crate::model::NoticeEvent;
use crate::notify::{Channel, Notice, sinks};
use crate::process::{host_name, user_name};

pub(super) fn notify(session: &Session, command: &NotifyCommand) -> Result<(), Error> {
    match command {
        NotifyCommand::List => list(session),
        NotifyCommand::Test { channel } => test(session, channel),
    }
}

fn list(session: &Session) -> Result<(), Error> {
    let settings = session.settings.notify.clone()?;
    if session.json {
        output::json(&settings.channels.iter().map(in_json).collect::<Vec<_>>());
        return Ok(());
    }
    if settings.channels.is_empty() {
        output::message("no channel is set up; [notify.NAME] of the configuration file makes one");
        return Ok(());
    }
    let rows: Vec<_> = settings.channels.iter().map(cells).collect();
    output::table(&["NAME", "KIND", "SEVERITY", "GROUPS", "QUIET", "MAX/HOUR", "TARGET"], &rows);
    Ok(())
}

/// Sends a message directly: what is tried is the channel, and no manager is needed for that.
fn test(session: &Session, name: &str) -> Result<(), Error> {
    let settings = session.settings.notify.clone()?;
    let found = settings.channel(name).zip(sinks(&settings).remove(name));
    let Some((channel, sink)) = found else {
        let names: Vec<_> = settings.channels.iter().map(|channel| channel.name.as_str()).collect();
        let error = Error::new(Kind::NoSuchApp, format!("no such channel: {name}"));
        return Err(match names.as_slice() {
            [] => error.hint("none is set up; [notify.NAME] of the configuration file makes one"),
            names => error.hint(format!("there is {}", names.join(", "))),
        });
    };
    let notice = Notice {
        event: NoticeEvent::Test,
        alert: None,
        apps: Vec::new(),
        fleet: session.settings.name.clone(),
        apps_more: 0,
        others: Vec::new(),
        note: Some(format!("sent by {} on {} with dcm notify test {name}", user_name(), host_name())),
        look: None,
    };
    let id = format!("test-{}", uuid::Uuid::new_v4().simple());
    let sent = sink.deliver(&id, &notice.body());
    if session.json {
        let failure = sent.as_ref().err();
        output::json(&json!({
            "channel": name,
            "kind": channel.kind.word(),
            "target": channel.target(),
            "delivered": sent.is_ok(),
            "error": failure.map(|failure| &failure.why),
            "retry_after": failure.and_then(|failure| failure.retry_after).map(|pause| pause.as_secs()),
        }));
    }
    match sent {
        Ok(()) if session.json => Ok(()),
        Ok(()) => {
            output::line(format_args!("{name}: {} took the message", channel.target()));
            Ok(())
        }
        Err(error) => {
            let failed = Error::failed(format!("{name}: {error}"));
            Err(match error.retry_after {
                Some(pause) => failed.hint(format!("it asks to be left alone for {} s", pause.as_secs())),
                None => failed,
            })
        }
    }
}

fn groups(channel: &Channel) -> Vec<String> {
    channel.groups.iter().map(ToString::to_string).collect()
}

fn cells(channel: &Channel) -> Vec<String> {
    let groups = groups(channel);
    let quiet = channel.quiet.map(|quiet| quiet.to_string()).unwrap_or_default();
    vec![
        channel.name.clone(),
        channel.kind.word().to_owned(),
        channel.severity.word().to_owned(),
        if groups.is_empty() { "all".to_owned() } else { groups.join(",") },
        if channel.quiet_critical && !quiet.is_empty() { format!("{quiet} (critical too)") } else { quiet },
        channel.max_per_hour.map(|max| max.to_string()).unwrap_or_default(),
        channel.target(),
    ]
}

fn in_json(channel: &Channel) -> serde_json::Value {
    json!({
        "name": channel.name,
        "kind": channel.kind.word(),
        "target": channel.target(),
        "groups": groups(channel),
        "severity": channel.severity.word(),
        "quiet": channel.quiet.map(|quiet| quiet.to_string()),
        "quiet_critical": channel.quiet_critical,
        "max_per_hour": channel.max_per_hour,
    })
}
