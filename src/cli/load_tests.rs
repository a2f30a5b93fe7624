use chrono::TimeDelta;

use super::*;
use crate::manager::forecast::{Bounds, Expected};
use crate::model::{App, AppRow, parse_timestamp};

/// A fleet with a peak at two in the night in which Zagreb has 02:00 twice.
fn rows() -> Vec<AppRow> {
    let at_two = (0..120).map(|n| (format!("croatia/fina/a{n}"), "0 2 * * *"));
    let too = (0..80).map(|n| (format!("italy/court/a{n}"), "0 2 * * *"));
    let day = (0..30).map(|n| (format!("spain/p{n}/a"), "*/20 * * * *"));
    let rows = at_two.chain(too).chain(day).chain([("france/p/new".to_owned(), "@daily")]);
    rows.map(|(path, cron)| {
        let mut app = App::new(path.parse().unwrap());
        app.schedule.cron = Some(cron.parse().unwrap());
        app.schedule.time_zone = chrono_tz::Europe::Zagreb;
        AppRow::new(app, 1)
    })
    .collect()
}

#[test]
fn the_chart_the_peaks_and_the_proposals_fit_a_terminal() {
    let rows = rows();
    let expected: Vec<_> = rows
        .iter()
        .map(|row| {
            let is_new = row.app.path.group.as_str() == "france";
            let lengths = if is_new { Vec::new() } else { vec![TimeDelta::seconds(400)] };
            Expected::new(row, lengths, Some("one"))
        })
        .collect();
    let mut bounds = Bounds::default();
    bounds.managers.insert("one".to_owned(), 150);
    bounds.limits.groups.insert("croatia".parse().unwrap(), 100);
    let mut outlook = Outlook::new(&expected, parse_timestamp("2026-10-24T18:30:10Z").unwrap());
    let forecast = outlook.forecast(&bounds);
    let proposals = proposals(&mut outlook, &forecast, true);
    let lines = text(&forecast, &proposals, "all", &chrono_tz::Europe::Zagreb);
    let chart_ends = lines.iter().position(String::is_empty).unwrap();
    assert!(lines[..chart_ends].iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_fleet_without_runs_has_a_chart_too() {
    let forecast =
        Outlook::new(&[], parse_timestamp("2026-06-10T00:00:00Z").unwrap()).forecast(&Bounds::default());
    let lines = text(&forecast, &[], "all", &chrono_tz::UTC);
    assert_eq!(lines.len(), 26, "{lines:#?}");
    assert_eq!(lines[1], "00:00     0     0.0");
    assert_eq!(document(&forecast, &[], "all")["highest"], serde_json::Value::Null);
}
