//! `dcm doctor`: looks at everything that a manager needs on this host, as a person would, and says how to cure what is
//! wrong. It changes nothing, and waits for nothing beyond a limit.

mod apps;
mod broker;
mod database;
mod finding;
mod host;
mod managers;
mod python;
mod settings;
mod state;
mod terminal;

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::json;

use super::args::Global;
use super::config::{Checked, checked};
use super::error::Error;
use super::session::{Session, flags_of};
use super::{format, output};
use crate::process::clock;
use finding::{Finding, Level};

/// How long all checks together may take, which run side by side: a server that is away is given up after 5 s, a broker
/// after 8.
const PATIENCE: Duration = Duration::from_secs(12);

/// What the checks look at.
struct Context {
    checked: Checked,
    /// The settings of this call, as far as they can be understood.
    session: Option<Session>,
    /// The interpreter of apps without a command, which is asked once.
    python: OnceLock<python::Asked>,
}

/// Where a topic puts what it finds, one by one: what is found before the time is over counts.
type Findings = Sender<(usize, Finding)>;

/// What a topic does with a session.
type Look = fn(&Context, &Session, &Reporter);

/// The topics, in the order in which they are shown.
const TOPICS: [(&str, Look); 9] = [
    ("python", python::look),
    ("state", state::look),
    ("clock", host::clock),
    ("limits", host::limits),
    ("database", database::look),
    ("integrity", database::integrity),
    ("broker", broker::look),
    ("channels", settings::channels),
    ("shims", host::shims),
];

/// Takes the findings of a topic.
struct Reporter {
    topic: usize,
    findings: Findings,
}

impl Reporter {
    fn add(&self, finding: Finding) {
        // Who has waited long enough takes no more.
        let _ = self.findings.send((self.topic, finding));
    }
}

pub(super) fn doctor(global: Global) -> Result<(), Error> {
    let is_json = global.json;
    let flags = flags_of(global)?;
    let checked = checked(&flags);
    let session =
        checked.settings.as_ref().ok().map(|settings| Session::of(settings.clone(), &flags, is_json));
    let context = Arc::new(Context { checked, session, python: OnceLock::new() });
    let mut found = settings::look(&context.checked);
    found.extend(look_at_all(&context));
    found.extend(terminal::look());
    show(&found, is_json)
}

/// Lets all topics look side by side, and takes what they have found when the time is over.
fn look_at_all(context: &Arc<Context>) -> Vec<Finding> {
    if context.session.is_none() {
        return Vec::new();
    }
    let (sender, inbox) = channel();
    let (done, ends) = (clock::boot_time() + PATIENCE, channel());
    for (topic, (name, look)) in TOPICS.iter().enumerate() {
        let (context, findings, over) = (Arc::clone(context), sender.clone(), ends.0.clone());
        let work = move || {
            if let Some(session) = &context.session {
                look(&context, session, &Reporter { topic, findings });
            }
            let _ = over.send(topic);
        };
        if std::thread::Builder::new().name(format!("dcm-doctor-{name}")).spawn(work).is_err() {
            let why = "there is no room for a thread".to_owned();
            let _ = sender.send((topic, Finding::unknown("limits.threads", why)));
        }
    }
    drop(sender);
    let mut found = Vec::new();
    loop {
        match inbox.recv_timeout(done.saturating_sub(clock::boot_time())) {
            Ok(finding) => found.push(finding),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let over: Vec<_> = ends.1.try_iter().collect();
                let late = (0..TOPICS.len()).filter(|topic| !over.contains(topic));
                found.extend(late.map(|topic| {
                    let why = format!("no answer within {} s", PATIENCE.as_secs());
                    (topic, Finding::unknown(TOPICS[topic].0, why))
                }));
                break;
            }
        }
    }
    found.sort_by_key(|(topic, _)| *topic);
    found.into_iter().map(|(_, finding)| finding).collect()
}

fn show(found: &[Finding], is_json: bool) -> Result<(), Error> {
    let count = |level: Level| found.iter().filter(|finding| finding.level == level).count();
    let [errors, warnings, unknown] = [Level::Error, Level::Warning, Level::Unknown].map(count);
    if is_json {
        output::json(&json!({
            "ok": errors == 0,
            "errors": errors,
            "warnings": warnings,
            "unknown": unknown,
            "findings": found.iter().map(Finding::in_json).collect::<Vec<_>>(),
        }));
    } else {
        output::coloured(found.iter().flat_map(Finding::lines));
    }
    let sum = format!(
        "{}: {}, {}, {unknown} not known",
        format::counted(found.len(), "check"),
        format::counted(errors, "error"),
        format::counted(warnings, "warning")
    );
    match errors {
        0 if is_json => Ok(()),
        0 => {
            output::line(sum);
            Ok(())
        }
        _ => Err(Error::failed(sum)),
    }
}
