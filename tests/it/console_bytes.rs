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

/// The most bytes of so many frames, each after a key.
fn most(console: &mut Rehearsal, key: KeyCode, count: usize) -> usize {
    (0..count)
        .map(|_| {
            console.press(key);
            console.frame().len()
        })
        .max()
        .unwrap()
}

#[test]
fn a_whole_frame_fits_a_slow_link() {
    // On the smallest the aim of 2,000 holds for a screen of groups; this one is full of bars.
    for (size, limit) in [((80, 24), 2_400), ((120, 40), 5_000), ((200, 60), 12_000)] {
        let mut console = open(size);
        // Where the rows are widest: in the middle of the fleet.
        for _ in 0..40 {
            console.press(KeyCode::PageDown);
        }
        let bytes = console.frame().len();
        assert!(bytes <= limit, "{size:?}: {bytes} bytes of {limit}");
        assert!(bytes > limit / 3, "{size:?}: {bytes} bytes are no full screen");
    }
}

#[test]
fn moving_costs_little_and_scrolling_hardly_more() {
    let mut console = open((120, 40));
    console.frame();
    let moving = most(&mut console, KeyCode::Down, 20);
    for _ in 0..30 {
        console.press(KeyCode::Down);
    }
    console.frame();
    let scrolling: Vec<_> = (0..200).map(|_| most(&mut console, KeyCode::Down, 1)).collect();
    let paging = most(&mut console, KeyCode::PageDown, 50);
    assert!(moving <= 400, "{moving} bytes for a move");
    let each = scrolling.iter().sum::<usize>() / scrolling.len();
    assert!(
        each <= 500 && scrolling.iter().all(|bytes| *bytes <= 560),
        "{each} bytes for a line: {scrolling:?}"
    );
    assert!(paging <= 5_000, "{paging} bytes for a page");
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
            hear(&mut console, change(&mut rows, APPS / 50, &mut random), time.wall);
            console.frame().len()
        })
        .sum();
    let each = total / usize::try_from(seconds).unwrap();
    assert!(each <= 1_000, "{each} bytes a second while 200 rows change");
    let quiet: usize = (1..=30)
        .map(|second| {
            console.at(now(Duration::from_secs(seconds + second)));
            console.frame().len()
        })
        .sum();
    assert!(quiet / 30 <= 150, "{} bytes a second while nothing changes", quiet / 30);
}
