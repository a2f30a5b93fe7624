//! What is written is replayed by a terminal and must give the screen again.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};

use super::colour::Shown;
use super::{Abilities, Colours, Screen};

/// A small generator of its own: the same frames everywhere (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }
}

const TEXTS: [&str; 14] = [
    "croatia/fina/companies",
    "12,301/30,000",
    "  ",
    "x",
    "████▌",
    "► ■ ✗ ⊘ … ✓",
    "────────────",
    "漢字 wide",
    "е́ кириллица",
    "e\u{301}o\u{308} combined",
    "fail 214",
    "14:02:11",
    "                                        ",
    "한국어",
];

const COLOURS: [Color; 22] = [
    Color::Reset,
    Color::Black,
    Color::Red,
    Color::Green,
    Color::Yellow,
    Color::Blue,
    Color::Magenta,
    Color::Cyan,
    Color::Gray,
    Color::DarkGray,
    Color::LightRed,
    Color::LightGreen,
    Color::LightYellow,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::White,
    Color::Indexed(33),
    Color::Indexed(250),
    Color::Rgb(215, 95, 0),
    Color::Reset,
    Color::Reset,
];

fn style(random: &mut Random) -> Style {
    let mut style = Style::new();
    if random.one_in(2) {
        style = style.fg(random.pick(&COLOURS));
    }
    if random.one_in(5) {
        style = style.bg(random.pick(&COLOURS));
    }
    for modifier in
        [Modifier::BOLD, Modifier::DIM, Modifier::UNDERLINED, Modifier::REVERSED, Modifier::ITALIC]
    {
        if random.one_in(6) {
            style = style.add_modifier(modifier);
        }
    }
    style
}

/// Texts here and there.
fn scribble(buffer: &mut Buffer, random: &mut Random, count: usize) {
    let area = buffer.area;
    for _ in 0..count {
        let x = u16::try_from(random.below(usize::from(area.width))).unwrap();
        let y = u16::try_from(random.below(usize::from(area.height))).unwrap();
        let (text, style) = (random.pick(&TEXTS), style(random));
        buffer.set_stringn(x, y, text, usize::from(area.width - x), style);
    }
}

/// Lines of a part of the screen go up or down, and new ones come in.
fn roll(buffer: &mut Buffer, random: &mut Random) {
    let (width, height) = (usize::from(buffer.area.width), usize::from(buffer.area.height));
    let top = random.below(height);
    let bottom = top + random.below(height - top);
    let by = 1 + random.below(4);
    let is_up = random.one_in(2);
    let before = buffer.clone();
    for line in top..=bottom {
        let from = if is_up { line + by } else { line.wrapping_sub(by) };
        let to = line * width..(line + 1) * width;
        if (top..=bottom).contains(&from) {
            buffer.content[to].clone_from_slice(&before.content[from * width..(from + 1) * width]);
        } else {
            buffer.content[to].fill(ratatui::buffer::Cell::EMPTY);
            let style = style(random);
            let text = random.pick(&TEXTS);
            buffer.set_stringn(0, u16::try_from(line).unwrap(), text, width, style);
        }
    }
}

/// What cannot be: half a wide sign, as ratatui never writes it.
fn mend(buffer: &mut Buffer) {
    use ratatui::buffer::CellWidth as _;
    let width = usize::from(buffer.area.width);
    for line in buffer.content.chunks_mut(width) {
        let mut x = 0;
        while x < width {
            let cells = usize::from(line[x].symbol().cell_width().max(1));
            if x + cells > width {
                line[x].set_symbol(" ");
            } else if cells > 1 {
                line[x + 1..x + cells].fill(ratatui::buffer::Cell::EMPTY);
            }
            x += cells;
        }
    }
}

fn expected(colour: Color, colours: Colours) -> vt100::Color {
    match colours.shown(colour) {
        Shown::Default => vt100::Color::Default,
        Shown::Basic(number) | Shown::Indexed(number) => vt100::Color::Idx(number),
        Shown::Rgb(red, green, blue) => vt100::Color::Rgb(red, green, blue),
    }
}

#[track_caller]
fn compare(buffer: &Buffer, screen: &vt100::Screen, colours: Colours, what: &str) {
    use ratatui::buffer::CellWidth as _;
    for y in 0..buffer.area.height {
        let mut x = 0;
        while x < buffer.area.width {
            let (is, shown) = (&buffer[(x, y)], screen.cell(y, x).unwrap());
            let place = format!("{what}: {x},{y} {:?}", is.symbol());
            let text = if shown.has_contents() { shown.contents() } else { " " };
            assert_eq!(text, is.symbol(), "{place}");
            let has = |modifier| is.modifier.contains(modifier);
            assert_eq!(shown.inverse(), has(Modifier::REVERSED), "{place}");
            assert_eq!(shown.underline(), has(Modifier::UNDERLINED), "{place}");
            assert_eq!(shown.bgcolor(), expected(is.bg, colours), "{place}");
            let is_dim_grey = colours == Colours::Eight && is.fg == Color::DarkGray;
            if is.symbol() != " " {
                assert_eq!(
                    shown.bold(),
                    has(Modifier::BOLD) && !(has(Modifier::DIM) || is_dim_grey),
                    "{place}"
                );
                assert_eq!(shown.dim(), has(Modifier::DIM) || is_dim_grey, "{place}");
                assert_eq!(shown.italic(), has(Modifier::ITALIC), "{place}");
            }
            if is.symbol() != " " || has(Modifier::REVERSED) || has(Modifier::UNDERLINED) {
                assert_eq!(shown.fgcolor(), expected(is.fg, colours), "{place}");
            }
            x += is.symbol().cell_width().max(1);
        }
    }
}

/// Draws frames and replays them.
fn replay(seed: u64, frames: usize, abilities: Abilities) {
    let mut random = Random(seed);
    let sizes = [(80, 24), (40, 12), (20, 5), (7, 3), (1, 1), (100, 30)];
    let mut size = sizes[random.below(2)];
    let mut screen = Screen::new(abilities);
    let mut parser = vt100::Parser::new(size.1, size.0, 0);
    let mut picture = Buffer::empty(Rect::new(0, 0, size.0, size.1));
    for frame in 0..frames {
        if random.one_in(60) {
            size = random.pick(&sizes);
            parser.screen_mut().set_size(size.1, size.0);
            picture = Buffer::empty(Rect::new(0, 0, size.0, size.1));
        }
        match random.below(6) {
            0 => scribble(&mut picture, &mut random, 60),
            1 | 2 => roll(&mut picture, &mut random),
            3 => {
                roll(&mut picture, &mut random);
                scribble(&mut picture, &mut random, 3);
            }
            4 => scribble(&mut picture, &mut random, 2),
            _ if random.one_in(4) => picture.reset(),
            _ => screen.forget(),
        }
        mend(&mut picture);
        let cursor = random.one_in(2).then(|| Position {
            x: u16::try_from(random.below(usize::from(size.0))).unwrap(),
            y: u16::try_from(random.below(usize::from(size.1))).unwrap(),
        });
        let mut bytes = Vec::new();
        let paint = |buffer: &mut Buffer| {
            buffer.content.clone_from_slice(&picture.content);
            cursor
        };
        screen.draw(size, paint, &mut bytes);
        parser.process(&bytes);
        let what = format!("seed {seed}, frame {frame}, {size:?}");
        compare(&picture, parser.screen(), abilities.colours, &what);
        if let Some(cursor) = cursor {
            assert_eq!(parser.screen().cursor_position(), (cursor.y, cursor.x), "{what}");
        }
    }
}

#[test]
fn what_is_written_gives_the_screen_again() {
    let all = [Colours::None, Colours::Eight, Colours::Sixteen, Colours::Many, Colours::True];
    for (seed, colours) in (0..10).zip(all.into_iter().cycle()) {
        let abilities = Abilities { colours, has_regions: seed % 4 != 3, is_ambiguous_wide: seed % 5 == 4 };
        replay(seed, 300, abilities);
    }
}

fn bytes_of(screen: &mut Screen, picture: &Buffer) -> String {
    let mut bytes = Vec::new();
    let size = (picture.area.width, picture.area.height);
    screen.draw(
        size,
        |buffer| {
            buffer.content.clone_from_slice(&picture.content);
            None
        },
        &mut bytes,
    );
    String::from_utf8(bytes).unwrap().replace('\x1b', "^")
}

#[test]
fn the_shortest_way_is_taken() {
    let abilities = Abilities::of("xterm", Colours::Sixteen);
    let mut screen = Screen::new(abilities);
    let mut picture = Buffer::with_lines((0..9).map(|line| format!("line number {line} of the list  ")));
    bytes_of(&mut screen, &picture);
    picture.set_string(12, 2, "X", Style::new().fg(Color::Green));
    assert_eq!(bytes_of(&mut screen, &picture), "^[3;13H^[32mX");
    picture.set_string(12, 3, "Y", Style::new().fg(Color::LightRed).add_modifier(Modifier::BOLD));
    assert_eq!(bytes_of(&mut screen, &picture), "^[4;13H^[1;91mY");
    picture.set_string(0, 3, " ".repeat(31), Style::new());
    assert_eq!(bytes_of(&mut screen, &picture), "\r^[K");
    let width = usize::from(picture.area.width);
    picture.content.drain(..width);
    picture.content.extend(Buffer::with_lines([format!("{:width$}", "the next line")]).content);
    assert_eq!(bytes_of(&mut screen, &picture), "^[1;9r^[9H\n^[r^[9H^[mthe next line");
}

#[test]
fn what_is_learnt_of_the_terminal_shows_where_it_matters() {
    let learnt = super::probe::Learnt { has_all_colours: true };
    let mut picture = Buffer::empty(Rect::new(0, 0, 9, 1));
    picture.set_string(0, 0, "orange", Style::new().fg(Color::Indexed(166)));
    let mut screen = Screen::new(Abilities::of("xterm", Colours::Sixteen));
    assert!(bytes_of(&mut screen, &picture).contains("^[31morange"));
    screen.learn(learnt);
    assert!(bytes_of(&mut screen, &picture).contains("^[38;5;166morange"));
    screen.learn(learnt);
    assert_eq!(bytes_of(&mut screen, &picture), "");
    // One of 256 colours shows the same as before.
    let mut screen = Screen::new(Abilities::of("xterm-256color", Colours::Many));
    bytes_of(&mut screen, &picture);
    screen.learn(learnt);
    assert_eq!(bytes_of(&mut screen, &picture), "");
}
