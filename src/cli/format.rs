//! Times, durations and counts for people.

use std::time::Duration;

use chrono::{Local, TimeDelta};

use crate::model::{AppRow, Blame, CmdFlag, FatalFlag, Timestamp};

/// A time of the local day, with the date when it is another day.
pub(super) fn time(time: Option<Timestamp>, now: Timestamp) -> String {
    let Some(time) = time else { return "-".to_owned() };
    let (time, now) = (time.with_timezone(&Local), now.with_timezone(&Local));
    let form = if time.date_naive() == now.date_naive() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    time.format(form).to_string()
}

/// `3h05m`, `2m10s`, `4.2s`.
pub(super) fn duration(length: TimeDelta) -> String {
    let length = length.to_std().unwrap_or(Duration::ZERO);
    let seconds = length.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", length.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// `in 5m10s` or `2m00s ago`.
pub(super) fn relative(time: Timestamp, now: Timestamp) -> String {
    if time >= now { format!("in {}", duration(time - now)) } else { format!("{} ago", duration(now - time)) }
}

/// A message in a table: its beginning. All of it is in JSON, and in `dcm why`.
pub(super) fn brief(text: &str) -> String {
    const SHOWN_MAX: usize = 100;
    if text.chars().count() <= SHOWN_MAX {
        return text.to_owned();
    }
    text.chars().take(SHOWN_MAX - 1).chain(['…']).collect()
}

/// The flags of an app in one short word.
pub(super) fn flags(row: &AppRow) -> String {
    let mut flags = Vec::new();
    if let Some(fatal) = &row.state.fatal {
        flags.push(match fatal.flag {
            FatalFlag::FailedToStart => "F1",
            FatalFlag::AlertSent => "F2",
            FatalFlag::UnexpectedBehavior => "F3",
        });
    }
    if row.fault.is_some() {
        flags.push("set aside");
    }
    if row.app.disabled {
        flags.push("disabled");
    }
    if row.state.waiting_for.is_some() {
        flags.push("waiting");
    }
    match row.command.as_ref().map(|command| command.flag) {
        Some(CmdFlag::Pending) => flags.push("command"),
        Some(CmdFlag::Executed | CmdFlag::NotExecuted) | None => {}
    }
    flags.join(",")
}

/// How the run before ended, and how long a good one took: `ok 7.0s`, `exit 3`, `SIGABRT`.
pub(super) fn result(row: &AppRow) -> String {
    let Some(last) = row.last_end.as_deref() else { return "-".to_owned() };
    let is_good = last.outcome.known().is_some_and(|outcome| outcome.blame() == Blame::Good);
    // While a run goes on, `last_run` is its beginning and not that of the run before.
    let began = row.state.last_run.filter(|began| is_good && *began <= last.at);
    match began {
        Some(began) => format!("{} {}", last.result(), duration(last.at - began)),
        None => last.result(),
    }
}

/// `12 of 100`, or what of it is known.
pub(super) fn counts(row: &AppRow) -> String {
    let progress = &row.progress;
    match (progress.task_size, progress.solved) {
        (None, 0) => "-".to_owned(),
        (None, solved) => solved.to_string(),
        (Some(size), solved) => format!("{solved}/{size}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (millis, text) in [
            (0, "0.0s"),
            (4_200, "4.2s"),
            (59_000, "59s"),
            (130_000, "2m10s"),
            (11_100_000, "3h05m"),
            (200_000_000, "2d07h"),
            (-5, "0.0s"),
        ] {
            assert_eq!(duration(TimeDelta::milliseconds(millis)), text);
        }
    }
}
