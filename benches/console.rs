//! The figures of the console: `cargo bench --bench console`. Frames are drawn by the code that draws
//! on a terminal; the second part is the real program on a pseudo terminal.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![expect(clippy::disallowed_methods, reason = "what is measured is time, on a host that is not suspended")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

#[path = "console/database.rs"]
mod database;
#[path = "console/live.rs"]
mod live;
#[path = "../tests/it/made_up.rs"]
mod made_up;
#[path = "../tests/it/postgres.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod postgres;

/// What the server's module expects of the tests around it.
mod fleet {
    pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
}

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crossterm::event::KeyCode;
use dcm::console::{GlyphSet, Palette, Rehearsal};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use made_up::{Random, change, console, fleet, hear, look, now};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("aims at 120x40: frame p99 4 ms; full 5000, move 400, scroll 500, page 5000 bytes");
    for apps in [100, 1_000, 10_000] {
        println!("{apps} apps");
        for size in SIZES {
            frames(apps, size);
        }
    }
    live::measure(10_000);
    database::measure();
}

/// ratatui's own way to a terminal, for comparison: it draws the same screens.
struct Other {
    terminal: Terminal<CrosstermBackend<Counter>>,
    count: Rc<Cell<usize>>,
}

struct Counter(Rc<Cell<usize>>);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Other {
    fn new((columns, rows): (u16, u16)) -> Self {
        let count = Rc::new(Cell::new(0));
        let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
        let backend = CrosstermBackend::new(Counter(Rc::clone(&count)));
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport }).unwrap();
        Self { terminal, count }
    }

    fn bytes(&mut self, console: &Rehearsal) -> usize {
        self.count.set(0);
        let paint = |frame: &mut ratatui::Frame<'_>| {
            frame.buffer_mut().content.clone_from_slice(&console.screen().content);
        };
        self.terminal.draw(paint).unwrap();
        self.count.get()
    }
}

/// Bytes of the most expensive frame of a kind: ours, and ratatui's.
#[derive(Default)]
struct Most(usize, usize);

impl Most {
    fn take(&mut self, console: &mut Rehearsal, other: &mut Other, times: &mut Vec<Duration>) {
        let start = Instant::now();
        let bytes = console.frame().len();
        times.push(start.elapsed());
        self.0 = self.0.max(bytes);
        self.1 = self.1.max(other.bytes(console));
    }
}

#[expect(clippy::too_many_lines, reason = "one kind of frame after the other")]
fn frames(apps: usize, size: (u16, u16)) {
    let mut rows = fleet(apps);
    let mut console = console(&rows, size, look(GlyphSet::Unicode, Palette::Ansi));
    let mut other = Other::new(size);
    let mut random = Random::new(11);
    let mut times = Vec::new();
    let mut kinds: [Most; 6] = Default::default();
    let [full, moving, scrolling, paging, resting, changing] = &mut kinds;
    for _ in 0..20 {
        console.press(KeyCode::PageDown);
    }
    console.at(now(Duration::from_millis(200)));
    full.take(&mut console, &mut other, &mut times);
    for _ in 0..50 {
        console.press(KeyCode::Home);
        console.frame();
        other.bytes(&console);
        console.press(KeyCode::Down);
        moving.take(&mut console, &mut other, &mut times);
    }
    console.press(KeyCode::End);
    for _ in 0..70 {
        console.press(KeyCode::Up);
    }
    console.frame();
    other.bytes(&console);
    for _ in 0..50 {
        console.press(KeyCode::Up);
        scrolling.take(&mut console, &mut other, &mut times);
    }
    for _ in 0..50 {
        console.press(KeyCode::PageUp);
        paging.take(&mut console, &mut other, &mut times);
    }
    for round in 1..=20 {
        for _ in 0..2 {
            console.press(KeyCode::Down);
            console.frame();
            other.bytes(&console);
        }
        console.at(now(Duration::from_millis(200 * (round + 1))));
        resting.take(&mut console, &mut other, &mut times);
    }
    let mut taken = Vec::new();
    for second in 5..=64 {
        let time = now(Duration::from_secs(second));
        let changed = change(&mut rows, apps.div_ceil(50), &mut random, time.wall);
        let start = Instant::now();
        console.at(time);
        hear(&mut console, changed, time.wall);
        taken.push(start.elapsed());
        changing.take(&mut console, &mut other, &mut times);
    }
    let each: Vec<_> = [full, moving, scrolling, paging, resting, changing]
        .iter()
        .map(|most| format!("{}/{}", most.0, most.1))
        .collect();
    println!(
        "  {:>3}x{:<2}  frame p50 {:.2?} p99 {:.2?}, changes taken in {:.2?}; bytes (ratatui's): full {} move {} scroll {} \
         page {} details {} 2 % changed {}",
        size.0,
        size.1,
        share(&mut times, 50),
        share(&mut times, 99),
        share(&mut taken, 50),
        each[0],
        each[1],
        each[2],
        each[3],
        each[4],
        each[5],
    );
}

/// The value below which so many of a hundred are.
fn share(values: &mut [Duration], percent: usize) -> Duration {
    values.sort_unstable();
    values[(values.len() * percent / 100).min(values.len() - 1)]
}
