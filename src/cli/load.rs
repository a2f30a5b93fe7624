//! `dcm next --load`: how many apps will run at once.

use chrono::{Local, TimeZone};
use serde_json::json;

use super::ahead::Ahead;
use super::error::Error;
use super::output;
use super::session::Session;
use crate::manager::forecast::{Exceeded, Forecast, Outlook, Peak, Place, Proposal, SLOT, proposals};
use crate::model::{AppPath, AppRow, Part, Selector, Timestamp};
use crate::store::OperatorStore;
use crate::wire;

/// The chart fits the narrowest terminal in use.
const WIDTH: usize = 80;

/// The most peaks that are shown; JSON has more.
const PEAKS_SHOWN: usize = 5;

/// The most groups and paths that are named in a line.
const NAMED: usize = 4;

pub(super) async fn show(
    session: &Session,
    store: &dyn OperatorStore,
    apps: &[AppRow],
    selector: Option<&Selector>,
) -> Result<(), Error> {
    let ahead = Ahead::read(session, store, apps).await?;
    let expected = ahead.expected(apps);
    let mut outlook = Outlook::new(&expected, ahead.now);
    let forecast = outlook.forecast(&ahead.bounds);
    // With a selector it is those apps that the forecast is of, and not groups of which others are a part.
    let selector = selector.filter(|selector| !selector.is_all());
    let proposals = proposals(&mut outlook, &forecast, selector.is_none());
    let of_all = selector.map_or_else(|| "all".to_owned(), ToString::to_string);
    if session.json {
        output::json(&document(&forecast, &proposals, &of_all));
    } else {
        output::lines(text(&forecast, &proposals, &of_all, &Local));
    }
    Ok(())
}

fn document(forecast: &Forecast, proposals: &[Proposal], of_all: &str) -> serde_json::Value {
    let time = |time: Timestamp| wire::time(Some(time));
    let groups = |groups: &[(Part, u32)]| {
        let one = |(group, apps): &(Part, u32)| json!({ "group": group.as_str(), "at_once": apps });
        groups.iter().map(one).collect::<Vec<_>>()
    };
    let peak = |peak: &Peak| {
        json!({
            "time": time(peak.at), "at_once": peak.at_once, "groups": groups(&peak.groups),
            "starts_time": time(peak.begins), "starts": peak.beginning.len(),
        })
    };
    let exceeded = |over: &Exceeded| {
        let (kind, place) = named(&over.place);
        json!({
            "kind": kind, "place": place, "limit": over.limit, "at_once": over.highest, "from": time(over.at),
            "minutes": over.slots,
        })
    };
    let proposal = |proposal: &Proposal| {
        json!({
            "peak_time": time(proposal.peak), "starts_time": time(proposal.begins), "starts": proposal.beginning,
            "moved": proposal.moved, "moved_in_all": proposal.moved_in_all,
            "selectors": selectors(proposal, of_all), "within": proposal.within,
            "before": proposal.before, "after": proposal.after, "command": command(proposal, of_all),
        })
    };
    let highest = forecast.highest();
    json!({
        "from": time(forecast.from),
        "slot_seconds": SLOT.num_seconds(),
        "slots": forecast.slots,
        "mean": (forecast.mean * 1000.0).round() / 1000.0,
        "highest": highest.map(|(_, at_once)| at_once),
        "highest_time": wire::time(highest.map(|(at, _)| at)),
        "limit": forecast.limit,
        "apps": forecast.apps,
        "unknown": forecast.unknown.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "peaks": forecast.peaks.iter().map(peak).collect::<Vec<_>>(),
        "more_peaks": forecast.more_peaks,
        "exceeded": forecast.exceeded.iter().map(exceeded).collect::<Vec<_>>(),
        "proposals": proposals.iter().map(proposal).collect::<Vec<_>>(),
    })
}

/// The forecast for people, with times of their zone.
fn text<Z: TimeZone>(forecast: &Forecast, proposals: &[Proposal], of_all: &str, zone: &Z) -> Vec<String>
where
    Z::Offset: std::fmt::Display,
{
    let clock = |time: Timestamp| time.with_timezone(zone).format("%H:%M").to_string();
    let mut lines = chart(forecast, zone);
    let mut highest: Vec<_> = forecast.peaks.iter().collect();
    highest.sort_by_key(|peak| (std::cmp::Reverse(peak.at_once), peak.at));
    highest.truncate(PEAKS_SHOWN);
    highest.sort_by_key(|peak| peak.at);
    if !highest.is_empty() {
        lines.push(String::new());
    }
    for peak in &highest {
        let limit = forecast.limit.filter(|limit| peak.at_once > *limit);
        let limit = limit.map_or_else(String::new, |limit| format!(" (limit {limit})"));
        let starts = match peak.beginning.len() {
            0 | 1 => String::new(),
            count => format!("; {count} start at {}", clock(peak.begins)),
        };
        lines.push(format!(
            "{} {} at once{limit}: {}{starts}",
            clock(peak.at),
            peak.at_once,
            share(&peak.groups)
        ));
    }
    match forecast.peaks.len() - highest.len() + forecast.more_peaks {
        0 => {}
        1 => lines.push("and 1 lower peak".to_owned()),
        more => lines.push(format!("and {more} lower peaks")),
    }
    lines.extend(forecast.exceeded.iter().map(|over| {
        let (kind, place) = named(&over.place);
        let minutes = if over.slots == 1 { "1 minute".to_owned() } else { format!("{} minutes", over.slots) };
        let (limit, most, at) = (over.limit, over.highest, clock(over.at));
        format!(
            "limit of the {kind} {place}: {limit}; up to {most} are due at once, for {minutes} from {at} on"
        )
    }));
    for proposal in proposals {
        let Proposal { moved, beginning, within, after, .. } = proposal;
        lines.push(format!(
            "moving {moved} of the {beginning} apps that start at {} by up to {within} min lowers the peak to {after}:",
            clock(proposal.begins),
        ));
        lines.push(format!("  {}", command(proposal, of_all)));
    }
    match forecast.unknown.as_slice() {
        [] => {}
        [path] => lines.push(format!("not counted, since no good run is on record: {path}")),
        paths => lines.push(format!(
            "not counted, since no good run is on record: {} of {} apps: {}",
            paths.len(),
            forecast.apps,
            listed(paths),
        )),
    }
    lines
}

/// An hour of the local day.
struct Hour {
    name: String,
    label: String,
    most: u32,
    sum: f64,
    slots: u32,
}

/// One line an hour of the local day: the most at once, the average, and both as a bar.
fn chart<Z: TimeZone>(forecast: &Forecast, zone: &Z) -> Vec<String>
where
    Z::Offset: std::fmt::Display,
{
    let highest = forecast.highest().map_or(0, |(_, highest)| highest);
    let mut hours: Vec<Hour> = Vec::new();
    for (slot, (most, mean)) in forecast.slots.iter().zip(&forecast.averages).enumerate() {
        let local = forecast.time_of(slot).with_timezone(zone);
        // An hour that autumn repeats is another hour.
        let name = local.format("%F %H %z").to_string();
        if hours.last().is_none_or(|last| last.name != name) {
            let label = local.format("%H:%M").to_string();
            hours.push(Hour { name, label, most: 0, sum: 0.0, slots: 0 });
        }
        if let Some(hour) = hours.last_mut() {
            hour.most = hour.most.max(*most);
            hour.sum += mean;
            hour.slots += 1;
        }
    }
    let digits = highest.to_string().len().max("MOST".len());
    let room = WIDTH - "HH:MM  ".len() - digits - 2 - (digits + 2) - 2;
    let width = digits + ".0".len();
    let mut lines = vec![format!("HOUR   {:>digits$}  {:>width$}", "MOST", "MEAN")];
    for Hour { label, most, sum, slots, .. } in hours {
        let mean = sum / f64::from(slots);
        let line = format!("{label}  {most:>digits$}  {mean:>width$.1}  ");
        lines.push((line + &bar(mean, most, forecast.limit, highest, room)).trim_end().to_owned());
    }
    let over = forecast.limit.filter(|limit| highest > *limit);
    let over = over.map_or_else(String::new, |limit| format!(", ! over the limit of {limit}"));
    lines.push(format!("       # mean, . most{over}"));
    lines
}

/// `#` up to the mean, `.` up to the most, `!` where that is over the limit.
fn bar(mean: f64, most: u32, limit: Option<u32>, highest: u32, room: usize) -> String {
    let scale = f64::from(highest.max(1));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "from 0 to the room"
    )]
    let cells = |apps: f64| (apps / scale * room as f64).ceil() as usize;
    let (mean, most) = (cells(mean), cells(f64::from(most)));
    let limit = limit.map_or(room, |limit| cells(f64::from(limit)));
    let sign = |cell| match cell {
        cell if cell >= limit => '!',
        cell if cell < mean => '#',
        _ => '.',
    };
    (0..most).map(sign).collect()
}

fn share(groups: &[(Part, u32)]) -> String {
    let mut named: Vec<_> =
        groups.iter().take(NAMED).map(|(group, apps)| format!("{group} {apps}")).collect();
    match groups.get(NAMED..).unwrap_or_default() {
        [] => {}
        [(group, apps)] => named.push(format!("{group} {apps}")),
        more => {
            let apps: u32 = more.iter().map(|(_, apps)| apps).sum();
            named.push(format!("{} more groups {apps}", more.len()));
        }
    }
    named.join(", ")
}

/// Some paths, and how many more there are.
pub(super) fn listed(paths: &[AppPath]) -> String {
    let named: Vec<_> = paths.iter().take(NAMED).map(ToString::to_string).collect();
    match paths.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn named(place: &Place) -> (&'static str, String) {
    match place {
        Place::Manager(name) => ("manager", name.clone()),
        Place::Group(group) => ("group", group.to_string()),
        Place::Parent(group, parent) => ("parent", format!("{group}/{parent}")),
    }
}

fn selectors(proposal: &Proposal, of_all: &str) -> Vec<String> {
    match proposal.groups.as_slice() {
        [] => vec![of_all.to_owned()],
        groups => groups.iter().map(ToString::to_string).collect(),
    }
}

fn command(proposal: &Proposal, of_all: &str) -> String {
    format!("dcm app spread {} --within {}", selectors(proposal, of_all).join(" "), proposal.within)
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
