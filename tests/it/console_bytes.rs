//! What the console writes to the terminal, counted: the bytes are exact, so they are a gate. An
//! operator has it open over a slow link all day.

use std::time::Duration;

use crossterm::event::KeyCode;
use dcm::console::{GlyphSet, Palette, Rehearsal};

use crate::made_up::{Random, change, console, fleet, hear, look, now};

const APPS: usize = 10_000;

fn open(size: (u16, u16)) -> Rehearsal {
    console(&fleet(APPS), size, look(GlyphSet::Unicode, Palette::Ansi))
}

#[test]
fn a_whole_frame_fits_a_slow_link() {
    // On the smallest the aim of 2,000 holds for a screen of groups; this one is full of bars.
    for (size, limit) in [((80, 24), 2_450), ((120, 40), 5_200), ((200, 60), 11_000)] {
        let mut console = open(size);
        // Where the rows are widest: in the middle of the fleet.
        for _ in 0..20 {
            console.press(KeyCode::PageDown);
        }
        console.at(now(Duration::from_millis(200)));
        let bytes = console.frame().len();
        assert!(bytes <= limit, "{size:?}: {bytes} bytes of {limit}");
        assert!(bytes > limit * 3 / 4, "{size:?}: {bytes} bytes: {limit} is no limit any more");
    }
}

/// Bytes of frames in the middle of the fleet, each after a key.
fn after(console: &mut Rehearsal, key: KeyCode, count: usize) -> Vec<usize> {
    let frame = |_| {
        console.press(key);
        console.frame().len()
    };
    (0..count).map(frame).collect()
}

#[test]
fn moving_costs_little_and_scrolling_hardly_more() {
    for (size, moving_most, scrolling_most, paging_most, details_most) in [
        ((80, 24), 480, 500, 1_400, 70),
        ((120, 40), 500, 660, 2_700, 850),
        ((200, 60), 540, 740, 5_800, 1_100),
    ] {
        let mut console = open(size);
        console.frame();
        after(&mut console, KeyCode::Down, 60);
        let scrolling = after(&mut console, KeyCode::Down, 200);
        console.press(KeyCode::Home);
        console.frame();
        let moving = after(&mut console, KeyCode::Down, 5);
        let paging = after(&mut console, KeyCode::PageDown, 50);
        // The pane with the details is not redrawn before the keys rest.
        console.at(now(Duration::from_millis(200)));
        let details = [console.frame().len()];
        for (what, bytes, most) in [
            ("a move", &moving[..], moving_most),
            ("a line", &scrolling, scrolling_most),
            ("a page", &paging, paging_most),
            ("details", &details, details_most),
        ] {
            assert!(
                bytes.iter().all(|bytes| *bytes <= most),
                "{size:?}: {bytes:?} bytes for {what} of {most}"
            );
        }
    }
}

#[test]
fn a_quiet_screen_costs_next_to_nothing() {
    let mut rows = fleet(APPS);
    let mut random = Random::new(3);
    let start = now(Duration::ZERO);
    let mut console = Rehearsal::new(look(GlyphSet::Unicode, Palette::Ansi), (120, 40), start);
    hear(&mut console, rows.clone(), start.wall);
    console.frame();
    // 2 % of the rows change each second; groups are closed, as they are at the start.
    let seconds = 30;
    let total: usize = (1..=seconds)
        .map(|second| {
            let time = now(Duration::from_secs(second));
            console.at(time);
            hear(&mut console, change(&mut rows, APPS / 50, &mut random, time.wall), time.wall);
            console.frame().len()
        })
        .sum();
    let each = total / usize::try_from(seconds).unwrap();
    assert!(each <= 600, "{each} bytes a second while 200 rows change");
    let quiet: usize = (1..=30)
        .map(|second| {
            console.at(now(Duration::from_secs(seconds + second)));
            console.frame().len()
        })
        .sum();
    assert!(quiet / 30 <= 60, "{} bytes a second while nothing changes", quiet / 30);
}
