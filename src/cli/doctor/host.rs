//! The clock and the limits of this host, and the shims under way on it.

use chrono::Datelike as _;

use super::finding::Finding;
use super::{Context, Reporter};
use crate::cli::format;
use crate::cli::session::Session;
use crate::model::format_memory;
use crate::process::{clock, group_limits, is_clock_synchronised, manager_of, process_limits};

/// Years in which this program can be used.
const YEARS: std::ops::Range<i32> = 2025..2100;

/// Descriptors that a manager needs at least, with some runs under way, and those with which it never runs short.
const FILES: (u64, u64) = (64, 1024);

/// Processes of a run: its shim, and the app with a child.
pub(super) const PROCESSES_PER_RUN: u64 = 3;

/// A cgroup with less memory has no room for a manager and some apps, in bytes.
const MEMORY_MIN: u64 = 128 << 20;

/// What is taken of a limit is close to it from here on, in percent.
const CLOSE: u64 = 90;

pub(super) fn clock(_: &Context, _: &Session, report: &Reporter) {
    let now = clock::wall();
    let shown = now.format("%Y-%m-%d %H:%M:%S UTC");
    report.add(if YEARS.contains(&now.year()) {
        Finding::ok("clock.year", shown.to_string())
    } else {
        Finding::error(
            "clock.year",
            format!("it is {shown}"),
            "set the clock: calendars and certificates go by it",
        )
    });
    report.add(match is_clock_synchronised() {
        Some(true) => Finding::ok("clock.synchronised", "a time server keeps it right"),
        Some(false) => Finding::warning(
            "clock.synchronised",
            "no time server keeps it right",
            "timedatectl set-ntp true, or chrony; in a container it is for the host to do",
        ),
        None => Finding::unknown("clock.synchronised", "the system does not tell"),
    });
}

/// Those of the manager that works here, if there is one: this shell may have others.
pub(super) fn limits(_: &Context, session: &Session, report: &Reporter) {
    let manager = manager_of(&session.settings.state).ok().flatten().flatten();
    let whose = if manager.is_some() { "the manager" } else { "this process" };
    match process_limits(manager).or_else(|| process_limits(None)) {
        Some(limits) => {
            report.add(files(limits.open_files, whose));
            report.add(match limits.core {
                Some(0) => Finding::ok("limits.core", "no core dumps"),
                Some(_) | None => Finding::ok(
                    "limits.core",
                    "apps that crash may leave core dumps in their directories (ulimit -c 0 keeps them from it)",
                ),
            });
            report.add(match limits.processes {
                Some(most) => Finding::ok("limits.processes", format!("{most} for the user of {whose}")),
                None => Finding::ok("limits.processes", "no limit"),
            });
        }
        None => report.add(Finding::unknown("limits.files", "the system does not tell")),
    }
    let group = group_limits();
    if let Some((taken, most)) = group.pids {
        let seen = format!("{taken} of {most} processes of its cgroup");
        report.add(if taken * 100 >= most * CLOSE {
            Finding::warning("limits.cgroup", seen, "raise TasksMax of the service, or pids of the container")
        } else {
            Finding::ok("limits.cgroup", seen)
        });
    }
    if let Some((taken, most)) = group.memory {
        let seen = format!("{} of {} of its cgroup", format_memory(taken), format_memory(most));
        report.add(if most < MEMORY_MIN || taken * 100 >= most * CLOSE {
            Finding::warning(
                "limits.memory",
                seen,
                "raise MemoryMax of the service, or memory of the container",
            )
        } else {
            Finding::ok("limits.memory", seen)
        });
    }
}

fn files(limit: Option<u64>, whose: &str) -> Finding {
    let cure = "raise LimitNOFILE of the service, or ulimit -Hn";
    match limit {
        None => Finding::ok("limits.files", "no limit of open files"),
        Some(most) if most < FILES.0 => {
            let seen =
                format!("{whose} may have {most} open files, and a manager needs {} at least", FILES.0);
            Finding::error("limits.files", seen, cure)
        }
        Some(most) if most < FILES.1 => {
            let seen = format!("{whose} may have {most} open files: a busy manager may run short of them");
            Finding::warning("limits.files", seen, cure)
        }
        Some(most) => Finding::ok("limits.files", format!("{whose} may have {most} open files")),
    }
}

pub(super) fn shims(_: &Context, session: &Session, report: &Reporter) {
    report.add(match crate::process::shims(&session.settings.state) {
        Ok(found) if found.of_another_build > 0 => Finding::warning(
            "shims",
            format!(
                "{} of {} under way here began with another build of dcm, and go on with it until they end",
                found.of_another_build,
                format::counted(found.all, "run")
            ),
            "that harms nothing; dcm restart APP begins a run with this build",
        ),
        Ok(found) => Finding::ok("shims", format!("{} under way here", format::counted(found.all, "run"))),
        Err(error) => Finding::unknown("shims", error.to_string()),
    });
}
