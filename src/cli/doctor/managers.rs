//! The managers: is one live, of this version, and with the same Python.

use std::path::PathBuf;

use super::finding::Finding;
use super::python::ask;
use super::{Context, Reporter};
use crate::cli::format;
use crate::cli::presence::{Managers, Presence};
use crate::cli::session::Session;
use crate::config::env;
use crate::model::ManagerRow;
use crate::process::home_of;
use crate::store::OperatorStore;

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where units are found, in the order in which systemd looks; the first of a user begins at the home directory.
const UNITS: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const USER_UNITS: &str = ".config/systemd/user";
const UNIT: &str = "data-collector-manager.service";

/// Looks at the managers, and gives them back for other checks.
pub(super) async fn look(
    context: &Context,
    session: &Session,
    store: &dyn OperatorStore,
    report: &Reporter,
) -> Option<Managers> {
    let managers = match Managers::read(session, store).await {
        Ok(managers) => managers,
        Err(error) => {
            report.add(Finding::of_error("manager", &error, "try again"));
            return None;
        }
    };
    let own_home = home_of(&session.settings.state);
    for (row, presence) in &managers.rows {
        let is_here = own_home.is_some() && row.home == own_home;
        one(context, session, &managers, (row, *presence, is_here), report);
    }
    if managers.live().next().is_none() {
        let seen = managers.remark("nothing is scheduled").unwrap_or_default();
        let seen = seen.split(" (dcm starts one").next().unwrap_or_default();
        report.add(Finding::warning(
            "manager",
            seen,
            "dcm --headless is one, or dcm service install; the console runs one inside itself",
        ));
    }
    report.add(Finding::ok(
        "manager.unit",
        match unit() {
            Some(path) => format!("there is {}", path.display()),
            None => "no unit of systemd is installed; dcm service install makes one".to_owned(),
        },
    ));
    Some(managers)
}

fn one(
    context: &Context,
    session: &Session,
    managers: &Managers,
    (row, presence, is_here): (&ManagerRow, Presence, bool),
    report: &Reporter,
) {
    let (name, host, pid) = (&row.name, &row.host, row.pid);
    let heard = format::duration(managers.now - row.heartbeat);
    match presence {
        Presence::Live if row.draining => report.add(Finding::warning(
            "manager",
            format!("{name} on {host} is draining: it starts nothing new"),
            format!("dcm managers resume {name}"),
        )),
        Presence::Live => {
            report.add(Finding::ok(
                "manager",
                format!("{name} on {host} (pid {pid}) is live, heard {heard} ago"),
            ));
        }
        Presence::Silent => report.add(Finding::error(
            "manager",
            format!("{name} (pid {pid}) is running, and has said nothing for {heard}"),
            "its process is stopped (kill -CONT), or another program locks the database",
        )),
        Presence::Lost if managers.live().next().is_some() => report.add(Finding::warning(
            "manager",
            format!("{name} on {host} was lost, heard {heard} ago"),
            format!("start it again, or give its apps to others: dcm managers takeover {name}"),
        )),
        // What that there is none means is told once for all.
        Presence::Lost | Presence::Stopped => {}
    }
    if !matches!(presence, Presence::Live | Presence::Silent) {
        return;
    }
    report.add(if row.version == VERSION {
        Finding::ok("manager.version", format!("{name} is of version {VERSION}, as this program"))
    } else {
        Finding::warning(
            "manager.version",
            format!("{name} is of version {}, this program of {VERSION}", row.version),
            "restart it with the same program; apps outlive that",
        )
    });
    if is_here {
        python(context, session, row, report);
    }
}

/// Whether the default command gets another interpreter than when the manager began.
fn python(context: &Context, session: &Session, row: &ManagerRow, report: &Reporter) {
    let (Some(known), Ok(now)) = (&row.python, ask(context, session)) else { return };
    let program = &now.program;
    let replaced = std::fs::metadata(program).and_then(|metadata| metadata.modified());
    let is_newer = replaced.is_ok_and(|time| chrono::DateTime::<chrono::Utc>::from(time) > row.started);
    report.add(if known != program {
        Finding::warning(
            "python.changed",
            format!("the manager {} gives apps {known}, these settings say {program}", row.name),
            "restart the manager where the new one is meant; else activate the environment that it was started with",
        )
    } else if is_newer {
        Finding::warning(
            "python.changed",
            format!("{program} was replaced after the manager had begun"),
            "runs that begin now get the new one: look whether the packages of the apps are there",
        )
    } else {
        Finding::ok("python.changed", "the one that the manager began with")
    });
}

/// The unit of the service, if one is installed.
fn unit() -> Option<PathBuf> {
    let of_user = env::home().map(|home| home.join(USER_UNITS));
    let folders = UNITS.iter().map(PathBuf::from).chain(of_user);
    folders.map(|folder| folder.join(UNIT)).find(|path| path.exists())
}
