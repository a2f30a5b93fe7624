//! The picture of the README is the real screen: a made-up fleet, drawn by the console, read back
//! from a terminal. If the screen has changed on purpose, `DCM_PICTURES=1 cargo test picture` draws
//! it anew.

use std::path::Path;
use std::time::Duration;

use chrono::TimeDelta;
use crossterm::event::KeyCode;
use dcm::console::export::svg;
use dcm::console::{GlyphSet, Palette};
use dcm::model::{AppId, Outcome, Progress, Run, RunId, Timestamp, Trigger};
use ratatui::buffer::{Buffer, CellWidth as _};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use crate::made_up::{Random, change, console, fleet, hear, live, look, now};

const SIZE: (u16, u16) = (120, 40);

#[test]
fn the_picture_of_the_readme_is_the_screen() {
    let mut rows = fleet(2_000);
    let mut random = Random::new(5);
    let mut console = console(&rows, SIZE, look(GlyphSet::Unicode, Palette::Ansi));
    console.press(KeyCode::Char('-'));
    // Some minutes of life, so that there are rates to be seen.
    let mut terminal = vt100::Parser::new(SIZE.1, SIZE.0, 0);
    for step in 1..=60 {
        let time = now(Duration::from_secs(step * 2));
        console.at(time);
        live(&mut console, time.wall);
        hear(&mut console, change(&mut rows, 120, &mut random, time.wall), time.wall);
        terminal.process(console.frame());
    }
    for key in [KeyCode::Right, KeyCode::Down, KeyCode::Right, KeyCode::Char('n')] {
        console.press(key);
        terminal.process(console.frame());
    }
    // The cursor rests, and its details are answered.
    for step in 0..6 {
        let time = now(Duration::from_millis(120_500 + step * 400));
        console.at(time);
        live(&mut console, time.wall);
        console.tell(&runs(time.wall), &log(time.wall));
        terminal.process(console.frame());
    }
    let picture = svg(&read(terminal.screen()), "The console of dcm on a fleet of 2,000 apps");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/console.svg");
    if std::env::vars().any(|(name, _)| name == "DCM_PICTURES") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &picture).unwrap();
    }
    let drawn = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        drawn == picture,
        "docs/console.svg is not the screen: DCM_PICTURES=1 cargo test picture draws it"
    );
}

/// An app that ran well until lately.
fn runs(time: Timestamp) -> Vec<Run> {
    let run = |number: u8, minutes: i64, seconds: i64, code: i64, solved: u64| {
        let start = time - TimeDelta::minutes(minutes);
        Run {
            run: RunId::from_random_bits(u128::from(number) << 96),
            app: AppId::of(&"croatia/fina/companies".parse().unwrap()),
            start,
            end: Some(start + TimeDelta::seconds(seconds)),
            outcome: Some(if code == 0 { Outcome::Ok } else { Outcome::Failed }.into()),
            exit_code: Some(code),
            signal: None,
            except_cnt: 0,
            progress: Progress { solved, ..Progress::default() },
            trigger: Trigger::Schedule.into(),
            due: Some(start),
            attempt: 1,
            manager: "zg-01".to_owned(),
            pid: None,
            message: None,
            leftovers: 0,
            command: None,
            memory_peak: None,
        }
    };
    vec![
        run(5, 4, 2, 127, 0),
        run(4, 64, 1330, 0, 30_000),
        run(3, 124, 1308, 0, 29_981),
        run(2, 184, 2282, 1, 12_301),
        run(1, 244, 1290, 0, 30_000),
    ]
}

fn log(time: Timestamp) -> Vec<(Timestamp, &'static str)> {
    let at = |seconds| time - TimeDelta::seconds(seconds);
    vec![
        (at(242), "INFO reading the register of companies"),
        (at(241), "WARN proxy 10.8.0.14 is slow, another is taken"),
        (at(240), "ERROR python3.13: No such file or directory"),
    ]
}

/// What a terminal shows, cell by cell.
fn read(screen: &vt100::Screen) -> Buffer {
    let (rows, columns) = screen.size();
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
    for y in 0..rows {
        let mut x = 0;
        while x < columns {
            let cell = screen.cell(y, x).unwrap();
            let text = if cell.has_contents() { cell.contents() } else { " " };
            let mut style = Style::new().fg(colour(cell.fgcolor())).bg(colour(cell.bgcolor()));
            for (is_set, modifier) in [
                (cell.bold(), Modifier::BOLD),
                (cell.dim(), Modifier::DIM),
                (cell.italic(), Modifier::ITALIC),
                (cell.underline(), Modifier::UNDERLINED),
                (cell.inverse(), Modifier::REVERSED),
            ] {
                if is_set {
                    style = style.add_modifier(modifier);
                }
            }
            buffer[(x, y)].set_symbol(text).set_style(style);
            x += text.cell_width().max(1);
        }
    }
    buffer
}

fn colour(colour: vt100::Color) -> Color {
    match colour {
        vt100::Color::Default => Color::Reset,
        vt100::Color::Idx(number) => Color::Indexed(number),
        vt100::Color::Rgb(red, green, blue) => Color::Rgb(red, green, blue),
    }
}
