//! What the tests of the console share: a small fleet at noon, keys, and the screen as text.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::TimeDelta;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::cmd::Cmd;
use super::glyphs::GlyphSet;
use super::model::Model;
use super::msg::Msg;
use super::request::Request;
use super::theme::{Palette, Theme};
use super::update::update;
use super::view;
use super::world::Identity;
use crate::model::{
    Anomaly, App, AppId, AppRow, AppState, CmdFlag, CmdName, CommandId, Concern, Conclusion, Delta, Fatal,
    FatalFlag, LastCommand, LastEnd, MIB, ManagerRow, Movement, Now, Progress, Registered, Revision,
    RunStatus, Timestamp, Usage,
};
use crate::store::Capabilities;

pub(in crate::console) fn noon() -> Timestamp {
    // Noon wherever the test runs: the screen shows local time.
    let local = chrono::NaiveDate::from_ymd_opt(2026, 11, 23).unwrap().and_hms_opt(12, 0, 0).unwrap();
    local.and_local_timezone(chrono::Local).unwrap().to_utc()
}

pub(in crate::console) fn now(seconds: u64) -> Now {
    let wall = noon() + TimeDelta::seconds(i64::try_from(seconds).unwrap());
    Now { mono: Duration::from_secs(1000 + seconds), wall }
}

pub(in crate::console) fn row(path: &str) -> AppRow {
    let next_run = Some(noon() + TimeDelta::minutes(30));
    AppRow { next_run, revision: Revision(1), ..AppRow::new(App::new(path.parse().unwrap()), 1) }
}

pub(in crate::console) fn running(path: &str, percent: u8, solved: u64, size: u64) -> AppRow {
    let mut row = row(path);
    row.state = AppState {
        status: RunStatus::Running,
        pid: Some(4120),
        last_run: Some(noon() - TimeDelta::minutes(13)),
        ..AppState::default()
    };
    row.progress = Progress {
        task_size: Some(size),
        percent: Some(percent),
        solved,
        failed: 11,
        eta: Some(noon() + TimeDelta::minutes(2)),
        message: Some("page 871 of 1000".to_owned()),
    };
    row.movement = Some(Box::new(Movement { last: noon(), usual_pause: None }));
    row.usage =
        Some(Box::new(Usage { memory: Some(312 * MIB), cpu: Some(42.5), memory_peak: Some(358 * MIB) }));
    row
}

/// Its counters have stood still since then, and the manager has concluded so.
pub(in crate::console) fn stalled(mut row: AppRow, last: Timestamp) -> AppRow {
    row.movement = Some(Box::new(Movement { last, usual_pause: Some(Duration::from_secs(12)) }));
    concluded(row, Concern::Stalled, last + TimeDelta::seconds(60))
}

/// The manager has concluded this.
pub(in crate::console) fn concluded(mut row: AppRow, concern: Concern, since: Timestamp) -> AppRow {
    row.state.concern = Some(Box::new(Conclusion { concern: concern.into(), since }));
    row
}

/// The run before ended so, ten minutes before noon.
pub(in crate::console) fn ended(outcome: &str, exit_code: i64) -> LastEnd {
    let at = noon() - TimeDelta::minutes(10);
    LastEnd { outcome: outcome.into(), exit_code: Some(exit_code), at }
}

pub(in crate::console) fn small_fleet() -> Vec<AppRow> {
    let mut companies = row("croatia/fina/companies");
    companies.app.disabled = true;
    companies.state.fatal = Some(Box::new(Fatal {
        flag: FatalFlag::FailedToStart,
        cause: Anomaly::Failures.into(),
        message: "python3.13: no such program in PATH".to_owned(),
        time: noon(),
    }));
    companies.last_end = Some(Box::new(ended("failed", 127)));
    let mut owners = row("croatia/fina/owners");
    owners.state =
        AppState { status: RunStatus::Stopped, stopped_by: Some("ana".to_owned()), ..AppState::default() };
    owners.next_run = None;
    owners.last_end = Some(Box::new(ended("stopped", 143)));
    let mut documents = row("croatia/fina/documents");
    documents.command = Some(LastCommand {
        id: Some(CommandId(1)),
        name: CmdName::Start,
        flag: CmdFlag::Pending,
        by: None,
        time: None,
        executed: None,
    });
    documents.state.waiting_for = Some("group croatia: 2 running".to_owned());
    let mut liens = row("austria/tax/liens");
    liens.next_run = Some(noon() - TimeDelta::minutes(12));
    liens.state.last_run = Some(noon() - TimeDelta::minutes(72));
    liens.last_end = Some(Box::new(ended("ok", 0)));
    vec![
        companies,
        running("croatia/fina/insolvency", 87, 8712, 10_000),
        running("croatia/registry/parcels", 12, 24_048_210, 200_400_000),
        owners,
        documents,
        liens,
    ]
}

pub(in crate::console) fn model(size: (u16, u16), rows: Vec<AppRow>) -> Model {
    let identity = Identity {
        database: "sqlite:/var/lib/dcm/dcm.db".to_owned(),
        capabilities: Capabilities::EMBEDDED,
        user: "ana".to_owned(),
        is_attached: false,
        read_only: None,
    };
    let mut model = Model::new(identity, size, now(0), "");
    update(&mut model, Msg::Changes { delta: delta(rows), read: noon() });
    update(&mut model, Msg::Managers(vec![manager("zg-01", noon() - TimeDelta::seconds(1))]));
    // Asked, and not answered: it does not come between the questions of the screens.
    let _ = model.world.count_alerts();
    let _ = model.world.sum_documents();
    let _ = model.world.ask_recent();
    model
}

pub(in crate::console) fn manager(name: &str, heartbeat: Timestamp) -> ManagerRow {
    ManagerRow {
        name: name.to_owned(),
        host: "10.0.3.11".to_owned(),
        pid: 812,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: noon() - TimeDelta::hours(30),
        heartbeat,
        ..ManagerRow::default()
    }
}

/// The app under the cursor, or what it is in.
pub(in crate::console) fn under_cursor(model: &Model) -> String {
    model.table.spot().map(|spot| spot.name(&model.world.fleet)).unwrap_or_default()
}

pub(in crate::console) fn drawn(model: &Model, theme: Theme) -> Buffer {
    let area = Rect::new(0, 0, model.world.size.0, model.world.size.1);
    let mut buffer = Buffer::empty(area);
    view::draw(model, theme, &mut buffer, area);
    buffer
}

pub(in crate::console) fn screen(model: &Model, theme: Theme) -> String {
    let buffer = drawn(model, theme);
    let line = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..buffer.area.height).flat_map(|y| [line(y).trim_end().to_owned(), "\n".to_owned()]).collect()
}

/// The screen as runs of one style: a line for each of them that is not plain.
pub(in crate::console) fn styles(model: &Model, theme: Theme) -> String {
    let buffer = drawn(model, theme);
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let cells: Vec<_> = (0..buffer.area.width).map(|x| &buffer[(x, y)]).collect();
        for run in cells.chunk_by(|a, b| a.style() == b.style()) {
            let style = run[0].style();
            let words: String = run.iter().map(|cell| cell.symbol()).collect();
            let is_seen = !words.trim().is_empty() || style.add_modifier.contains(Modifier::REVERSED);
            let colour = style.fg.filter(|colour| *colour != Color::Reset);
            if is_seen && (colour.is_some() || !style.add_modifier.is_empty()) {
                let colour = colour.map(|colour| format!("{colour} ")).unwrap_or_default();
                let _ = writeln!(text, "{y:>2} {colour}{:?}: {}", style.add_modifier, words.trim());
            }
        }
    }
    text
}

pub(in crate::console) fn unicode() -> Theme {
    Theme::new(true, true)
}

/// The command and the apps that are sent.
pub(in crate::console) fn submitted(cmd: Option<Cmd>) -> (CmdName, Vec<String>) {
    let Some(Cmd::Work(work)) = cmd else { panic!("{cmd:?}") };
    let [Request::Submit { name, apps, .. }] = &work[..] else { panic!("{work:?}") };
    (*name, apps.iter().map(ToString::to_string).collect())
}

pub(in crate::console) fn hash(path: &str) -> String {
    AppId::of(&path.parse().unwrap()).to_string()
}

pub(in crate::console) fn press(model: &mut Model, key: KeyCode) -> Option<Cmd> {
    update(model, Msg::Key(KeyEvent::new(key, KeyModifiers::NONE)))
}

/// The cursor on an app, as if it had been looked for.
pub(in crate::console) fn go_to(model: &mut Model, app: &str) {
    type_keys(model, "/");
    update(model, Msg::Paste(app.to_owned()));
    press(model, KeyCode::Enter);
    type_keys(model, "G");
}

pub(in crate::console) fn type_keys(model: &mut Model, keys: &str) -> Option<Cmd> {
    keys.chars().fold(None, |_, key| press(model, KeyCode::Char(key)))
}

/// Time goes on, so that a question that was opened is no longer deaf.
pub(in crate::console) fn wait(model: &mut Model, seconds: u64) {
    let wall = model.world.now.wall + TimeDelta::seconds(i64::try_from(seconds).unwrap());
    let now = Now { mono: model.world.now.mono + Duration::from_secs(seconds), wall };
    update(model, Msg::Tick(now));
}

/// No key is pressed for a moment: the details follow the cursor.
pub(in crate::console) fn rest(model: &mut Model) {
    pass(model, Duration::from_millis(200));
}

/// Time passes by which no age is seen to grow.
pub(in crate::console) fn pass(model: &mut Model, time: Duration) -> Option<Cmd> {
    model.world.clock.1 += time;
    let now = Now { mono: model.world.now.mono + time, ..model.world.now };
    update(model, Msg::Tick(now))
}

/// Rows that are new or changed.
pub(in crate::console) fn delta(rows: Vec<AppRow>) -> Delta {
    Delta {
        rows: rows.into_iter().map(|row| Registered::App(Box::new(row))).collect(),
        revision: Revision(1),
        ..Delta::default()
    }
}

/// A screen at every size, with each set of signs and without colour, as text and as styles: the
/// names of the pictures and the pictures.
pub(in crate::console) fn pictures(
    name: &str,
    opened: impl Fn((u16, u16)) -> Model,
) -> Vec<(String, String)> {
    let sizes = [(80, 24), (120, 40), (200, 60), (40, 12), (20, 5), (1, 1)];
    let sized = |(columns, rows): (u16, u16)| format!("{name}_{columns}x{rows}");
    let mut found: Vec<_> =
        sizes.into_iter().map(|size| (sized(size), screen(&opened(size), unicode()))).collect();
    for size in [(80, 24), (40, 12)] {
        let ascii = screen(&opened(size), Theme::of(Palette::Mono, GlyphSet::Ascii));
        found.push((sized(size) + "_ascii", ascii));
    }
    let model = opened((80, 24));
    found.push((format!("{name}_safe"), screen(&model, Theme::of(Palette::CbRg, GlyphSet::Safe))));
    for palette in Palette::ALL {
        let runs = styles(&model, Theme::of(palette, GlyphSet::Unicode));
        found.push((format!("{name}_styles_{}", palette.name()), runs));
    }
    found
}

/// Numbers that look random and are the same each time.
pub(in crate::console) struct Dice(pub(in crate::console) u64);

impl Dice {
    pub(in crate::console) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}
