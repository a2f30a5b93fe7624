//! What stands in each column, for an app and for a group.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use ratatui::style::Style;

use super::seconds;
use crate::console::fleet::{Eta, Row, Sums, Trouble, rate};
use crate::console::screen::fleet::Column;
use crate::console::theme::Theme;
use crate::console::view::text::{clock, count, rate as rate_text, short};
use crate::model::explain::State;
use crate::model::{Blame, CmdFlag, CommandId, FatalFlag, Timestamp, format_memory};

/// A command that was executed is shown so long.
const EXECUTED_STAYS: TimeDelta = TimeDelta::seconds(30);

/// What the cells depend on besides their row.
pub(super) struct Cells<'a> {
    pub(super) theme: Theme,
    pub(super) now: Timestamp,
    /// Refusals that the cursor has rested on.
    pub(super) seen: &'a BTreeSet<CommandId>,
}

/// The sign of a trouble.
pub(in crate::console::view) fn sign(theme: Theme, trouble: Trouble) -> char {
    let glyphs = theme.glyphs;
    match trouble {
        Trouble::Fatal | Trouble::GivenUp => glyphs.fatal,
        Trouble::Failed => glyphs.failed,
        Trouble::Unknown => glyphs.unknown,
        Trouble::Stalled => glyphs.stalled,
        Trouble::Late => glyphs.late,
        Trouble::Flapping => '%',
        Trouble::OverLimit => '^',
    }
}

pub(in crate::console::view) fn trouble_style(theme: Theme, trouble: Trouble) -> Style {
    match trouble {
        Trouble::Fatal | Trouble::GivenUp => theme.alarm(),
        Trouble::Failed => theme.failed(),
        Trouble::Unknown => theme.unknown(),
        Trouble::Stalled => theme.stalled(),
        Trouble::Late | Trouble::Flapping | Trouble::OverLimit => theme.late(),
    }
}

/// What is known of an app as a whole: what nobody knows is faint.
pub(super) fn state_style(theme: Theme, app: &Row) -> Style {
    if app.state == State::Unknown { theme.faint() } else { theme.state(app.state) }
}

impl Cells<'_> {
    /// What is not known is a dash. Flags are none where there are none, and pictures of numbers are blank beside the
    /// dash of their number.
    pub(super) fn of_app(&self, column: Column, app: &Row) -> (String, Style) {
        let (text, style) = self.known(column, app);
        if text.is_empty() && !matches!(column, Column::Flags | Column::Bar | Column::Spark) {
            return ("-".to_owned(), self.theme.faint());
        }
        (text, style)
    }

    fn known(&self, column: Column, app: &Row) -> (String, Style) {
        let Self { theme, now, .. } = *self;
        let plain = if app.state == State::Unknown { theme.faint() } else { Style::new() };
        let state = state_style(theme, app);
        match column {
            Column::State if app.state == State::Unknown => {
                (theme.glyphs.unknown.to_string(), theme.unknown())
            }
            Column::State => (theme.glyphs.state(app.state).to_string(), state),
            Column::Flags => (self.flags(app), self.flags_style(app)),
            Column::Percent => (percent(app), plain),
            Column::Bar => (bar(theme, app.progress()), state),
            Column::Counts => (counts(app), plain),
            Column::Result => result(app, theme),
            Column::Failed => (failed(app), plain),
            // What an app does whose manager is lost is not known.
            Column::Rate | Column::Eta | Column::Spark if app.state == State::Unknown => {
                (String::new(), plain)
            }
            Column::Rate => (rate::rate(app, now).map(rate_text).unwrap_or_default(), plain),
            Column::Spark => {
                let bars = rate::bars(app, now).map(|bars| theme.glyphs.spark(bars));
                (bars.unwrap_or_default(), theme.spark())
            }
            Column::Eta => (eta(app, now, theme), plain),
            Column::Next => (next(app, now), self.next_style(app)),
            Column::Last => (app.last_run.map(|time| clock(time, now)).unwrap_or_default(), plain),
            Column::Memory => (app.memory().map(short_memory).unwrap_or_default(), plain),
            Column::Cpu => (app.cpu().map(|cpu| format!("{cpu:.1}")).unwrap_or_default(), plain),
            Column::Pid => (app.pid.map(|pid| pid.to_string()).unwrap_or_default(), theme.faint()),
            Column::Manager => (app.manager.as_deref().unwrap_or_default().to_owned(), theme.faint()),
            Column::Schedule => (schedule(app), theme.faint()),
            Column::Command => (command(app), theme.faint()),
            Column::Since => {
                let since = app.moved();
                (since.map(|since| seconds(now - since)).unwrap_or_default(), theme.faint())
            }
            Column::Message => {
                let fatal = app.fatal.as_ref().map(|(_, text, _)| &**text);
                (fatal.or(app.message.as_deref()).unwrap_or_default().to_owned(), theme.faint())
            }
        }
    }

    pub(super) fn of_sums(&self, column: Column, sums: &Sums) -> (String, Style) {
        let Self { theme, now, .. } = *self;
        let time = |time: Option<Timestamp>| time.map(|time| clock(time, now)).unwrap_or_default();
        let text = match column {
            Column::Flags => {
                let Some((worst, count)) = sums.worst() else { return (String::new(), Style::new()) };
                return (format!("{}{count}", sign(theme, worst)), trouble_style(theme, worst));
            }
            Column::Result => match sums.failed_apps() {
                0 => String::new(),
                failed => return (failed_apps(failed), theme.failed()),
            },
            Column::Percent => sums.percent().map(|percent| percent.to_string()).unwrap_or_default(),
            Column::Bar => return (bar(theme, sums.percent()), theme.state(State::Running)),
            Column::Counts if sums.task_size > 0 => of(sums.solved, sums.task_size),
            Column::Failed if sums.failed > 0 => short(sums.failed),
            Column::Rate if sums.timed > 0 => rate_text(rate::per_second(sums.speed.done())),
            Column::Rate if sums.running() > 0 => "-".to_owned(),
            Column::Eta => match sums.extremes.eta {
                // It is over its time: the apps themselves say what is wrong.
                Some(eta) if eta < now => "-".to_owned(),
                Some(eta) => seconds(eta - now),
                None if sums.running() > 0 => "-".to_owned(),
                None => String::new(),
            },
            Column::Next => time(sums.extremes.next_run),
            Column::Last => time(sums.extremes.last_run),
            Column::Memory if sums.memory > 0 => short_memory(sums.memory),
            Column::Cpu if sums.memory > 0 => cpu_of(sums.cpu_tenths),
            Column::State
            | Column::Counts
            | Column::Failed
            | Column::Rate
            | Column::Spark
            | Column::Memory
            | Column::Cpu
            | Column::Pid
            | Column::Manager
            | Column::Schedule
            | Column::Command
            | Column::Since
            | Column::Message => String::new(),
        };
        (text, Style::new())
    }

    fn flags(&self, app: &Row) -> String {
        let glyphs = self.theme.glyphs;
        let mut text = String::new();
        match (&app.fatal, app.trouble) {
            (Some((FatalFlag::FailedToStart, ..)), _) => text.push_str("F1"),
            (Some((FatalFlag::AlertSent, ..)), _) => text.push_str("F2"),
            (Some((FatalFlag::UnexpectedBehavior, ..)), _) => text.push_str("F3"),
            (None, Some(trouble)) if !matches!(trouble, Trouble::Unknown | Trouble::Failed) => {
                text.push(sign(self.theme, trouble));
            }
            (None, _) => {}
        }
        if app.disabled {
            text.push(glyphs.disabled);
        }
        text.extend(self.command_sign(app));
        text
    }

    fn command_sign(&self, app: &Row) -> Option<char> {
        let glyphs = self.theme.glyphs;
        let command = app.command.as_deref()?;
        match command.flag {
            CmdFlag::Pending => Some(glyphs.pending),
            CmdFlag::Executed => {
                let is_fresh = command.executed.is_some_and(|time| self.now - time < EXECUTED_STAYS);
                is_fresh.then_some(glyphs.executed)
            }
            CmdFlag::NotExecuted => {
                let is_seen = command.id.is_some_and(|id| self.seen.contains(&id));
                (!is_seen).then_some(glyphs.refused)
            }
        }
    }

    fn flags_style(&self, app: &Row) -> Style {
        let theme = self.theme;
        match (app.trouble, app.command.as_deref().map(|command| command.flag)) {
            (Some(trouble), _) => trouble_style(theme, trouble),
            (None, Some(CmdFlag::Pending)) => theme.pending(),
            (None, Some(CmdFlag::NotExecuted)) => theme.alarm(),
            (None, Some(CmdFlag::Executed)) if !app.disabled => theme.good(),
            (None, _) => theme.disabled(),
        }
    }

    fn next_style(&self, app: &Row) -> Style {
        match app.trouble {
            Some(Trouble::Late) => self.theme.late(),
            _ if app.disabled || app.awaits_enable => self.theme.disabled(),
            _ => Style::new(),
        }
    }
}

/// How the run before ended.
pub(super) fn result(app: &Row, theme: Theme) -> (String, Style) {
    let Some(result) = app.result.as_deref() else { return (String::new(), Style::new()) };
    let style = match result.blame() {
        Blame::Good => theme.faint(),
        Blame::Excused => theme.stopped(),
        Blame::Bad | Blame::Doubtful => theme.failed(),
    };
    (result.to_string(), style)
}

/// `2 failed`, in the room of a result.
fn failed_apps(count: usize) -> String {
    if count < 100 { format!("{count} failed") } else { format!("{count} fail") }
}

/// Items given up in this run, or in the last one.
fn failed(app: &Row) -> String {
    let is_known = app.failed > 0 || app.last_run.is_some();
    if is_known { short(app.failed) } else { String::new() }
}

pub(super) fn counts(app: &Row) -> String {
    match (app.task_size, app.done()) {
        (Some(size), _) => of(app.solved, size),
        (None, 0) => "-".to_owned(),
        (None, _) => count(app.solved),
    }
}

/// So many of so many, in short numbers where there is no room for the long ones.
fn of(solved: u64, size: u64) -> String {
    let text = format!("{}/{}", count(solved), count(size));
    if text.len() <= usize::from(Column::Counts.width()) {
        text
    } else {
        format!("{}/{}", short(solved), short(size))
    }
}

fn percent(app: &Row) -> String {
    if app.has_outgrown() {
        return ">100".to_owned();
    }
    app.progress().map(|percent| percent.to_string()).unwrap_or_default()
}

fn bar(theme: Theme, percent: Option<u8>) -> String {
    let cells = usize::from(Column::Bar.width()) - 1;
    percent.map(|percent| theme.glyphs.bar(percent, cells)).unwrap_or_default()
}

/// When it will be done; where we think so ourselves, with `~`. For what runs always, how long it has lived.
pub(super) fn eta(app: &Row, now: Timestamp, theme: Theme) -> String {
    if let Some(still) = app.stalled(now) {
        return format!("stal {}", seconds(still));
    }
    if let Some(uptime) = app.uptime(now) {
        return lived(uptime);
    }
    match rate::eta(app, now) {
        None | Some(Eta::Never) => "-".to_owned(),
        Some(Eta::Reported(left)) => seconds(left),
        Some(Eta::Guessed(left)) => format!("~{}", seconds(left)),
        Some(Eta::Usual(left)) => format!("{}{}", theme.glyphs.stalled, seconds(left)),
        Some(Eta::Between(least, most)) => band(least, most),
    }
}

/// `up 22m`, `up 5h`, `up 3d`.
fn lived(time: TimeDelta) -> String {
    match (time.num_days(), time.num_hours(), time.num_minutes()) {
        (0, 0, 0) => format!("up {}s", time.num_seconds()),
        (0, 0, minutes) => format!("up {minutes}m"),
        (0, hours, _) => format!("up {hours}h"),
        (days, ..) => format!("up {days}d"),
    }
}

/// `12-18m`: the unit once, where it is the same.
fn band(least: TimeDelta, most: TimeDelta) -> String {
    let (from, to) = (seconds(least), seconds(most));
    let unit = to.chars().last();
    let digits = |text: &str| text[..text.len() - 1].chars().all(|c| c.is_ascii_digit());
    if from == to {
        format!("~{to}")
    } else if from.chars().last() == unit && digits(&from) && digits(&to) {
        format!("{}-{to}", &from[..from.len() - 1])
    } else {
        format!("<{to}")
    }
}

pub(super) fn next(app: &Row, now: Timestamp) -> String {
    match app.coming(now) {
        _ if app.disabled || app.awaits_enable => "off".to_owned(),
        _ if app.is_always() && app.stopped_by.is_none() => "always".to_owned(),
        Some(time) if time < now => format!("-{}", seconds(now - time)),
        Some(time) => clock(time, now),
        None => String::new(),
    }
}

/// `812M`, `1.5G`.
fn short_memory(bytes: u64) -> String {
    format_memory(bytes).replace(" KiB", "K").replace(" MiB", "M").replace(" GiB", "G")
}

/// Tenths of a percent.
pub(super) fn cpu_of(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

pub(super) fn schedule(app: &Row) -> String {
    match (&app.cron, app.interval) {
        (Some(cron), _) => cron.as_str().to_owned(),
        (None, Some(interval)) => {
            let interval = TimeDelta::from_std(interval).unwrap_or_default();
            format!("every {}", seconds(interval))
        }
        (None, None) if app.is_always() => "always".to_owned(),
        (None, None) => "on command".to_owned(),
    }
}

fn command(app: &Row) -> String {
    let Some(command) = app.command.as_deref() else { return String::new() };
    let by = command.by.as_deref().unwrap_or("unknown");
    format!("{} {by}", command.name)
}
