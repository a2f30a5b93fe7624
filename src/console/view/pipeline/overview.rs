//! All stages, the flow between them, the watched directories and the workers.

use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::flow;
use crate::console::pipeline::{bottleneck, speed};
use crate::console::screen::pipeline::{Overview, Part, Worker};
use crate::console::theme::Theme;
use crate::console::view::list::{self, Column};
use crate::console::view::text::{count, put, put_right, rule, short, span};
use crate::console::world::World;
use crate::model::{Stage, Timestamp, WatchRoot, format_memory};

/// Below this width there are only the counts that need somebody.
const NARROW: u16 = 60;

/// From this width on the workers are beside the stages.
const WIDE: u16 = 114;

/// The narrowest table of stages that has all but rates, and the one that has them too.
const STAGES_WIDTH: u16 = 82;
const STAGES_WIDE: u16 = 106;

/// The workers beside the stages need no more.
const WORKERS_MAX: u16 = 76;

/// From this height on there is more than the table.
const ROOMY: u16 = 12;

/// A manager that looks at its directories does so more often; the sign of one that is older is doubted.
const SCANNED_LATELY_S: i64 = 60;

/// A document is routed within a second of being seen; one that waits for longer has found no route.
const ROUTED_WITHIN: TimeDelta = TimeDelta::seconds(2);

pub(super) fn draw(overview: &Overview, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let is_empty = overview.stages.rows.is_empty() && overview.roots.rows.is_empty();
    if overview.read.is_some() && is_empty && overview.stages.fault.is_none() {
        draw_beginning(overview, theme, buffer, area);
        return;
    }
    let status = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
    let body = Rect { height: area.height - status.height, ..area };
    if area.width < NARROW || area.height < ROOMY {
        draw_stages(overview, world, theme, buffer, body);
        draw_status(overview, world, theme, buffer, status);
        return;
    }
    let places = Places::of(overview, body);
    draw_stages(overview, world, theme, buffer, places.stages);
    flow::draw(overview, theme, buffer, places.flow);
    flow::draw_past(overview, theme, buffer, places.past);
    if let Some(beside) = places.beside {
        for row in 0..beside.height {
            put(buffer, beside, row, 0, &theme.glyphs.wall.to_string(), theme.faint());
        }
        let place = Rect { x: beside.x + 1, width: beside.width - 1, ..beside };
        draw_workers(overview, world, theme, buffer, place);
    }
    rule(theme, buffer, places.roots, 0);
    draw_roots(overview, world, theme, buffer, places.roots);
    if let Some(place) = places.workers {
        rule(theme, buffer, place, 0);
        draw_workers(overview, world, theme, buffer, place);
    }
    draw_status(overview, world, theme, buffer, status);
}

/// Where the parts are.
struct Places {
    stages: Rect,
    flow: Rect,
    past: Rect,
    roots: Rect,
    /// The workers below the directories, or beside the stages.
    workers: Option<Rect>,
    beside: Option<Rect>,
}

impl Places {
    fn of(overview: &Overview, body: Rect) -> Self {
        let lines = |rows: usize| u16::try_from(rows).unwrap_or(u16::MAX);
        let beside = match body.width {
            0..WIDE => 0,
            width @ WIDE..150 => width - STAGES_WIDTH,
            width @ 150.. => (width - STAGES_WIDE).min(WORKERS_MAX),
        };
        let roots = lines(overview.roots.rows.len()).max(1);
        let workers = if beside > 0 { 0 } else { lines(overview.workers.rows.len()).max(1) };
        // What is below has a head and at least two rows each, and more while there is room.
        let heads = 1 + u16::from(beside == 0);
        let fixed = heads + roots.min(2) + workers.min(2);
        let stages = lines(overview.stages.rows.len()).clamp(1, 20) + 1;
        let stages = stages.min(body.height.saturating_sub(fixed).max(3));
        let mut spare = body.height.saturating_sub(stages + fixed);
        let mut share = |wanted: u16| {
            let given = wanted.min(spare);
            spare -= given;
            given
        };
        let wanted = flow::height(overview).min(9);
        let flow_rows = if body.height.saturating_sub(stages + fixed) >= 3 { share(wanted) } else { 0 };
        // A line between stages and flow comes before the past.
        let gap = share(1);
        let past = share(2);
        let roots_more = share(roots.saturating_sub(2));
        let workers_more = share(workers.saturating_sub(2));
        let mut top = body.y;
        let mut take = |height: u16| {
            let height = height.min(body.bottom().saturating_sub(top));
            let place = Rect { y: top, height, ..body };
            top += height;
            place
        };
        let left = |place: Rect| Rect { width: place.width - beside, ..place };
        let stages = take(stages);
        let _ = take(gap);
        let (flow, past) = (take(flow_rows), take(past));
        let height = past.bottom() - body.y;
        let roots = take(1 + roots.min(2) + roots_more);
        let workers = (beside == 0).then(|| take(1 + workers.min(2) + workers_more));
        let x = body.x + body.width - beside;
        Self {
            stages: left(stages),
            flow: left(flow),
            past: left(past),
            roots,
            workers,
            beside: (beside > 0).then_some(Rect { x, y: body.y, width: beside, height }),
        }
    }
}

/// The first head of the table that has the keys.
fn mark(head: &str, has_keys: bool, theme: Theme, buffer: &mut Buffer, area: Rect) {
    if has_keys && area.height > 0 {
        put(buffer, area, 0, 1, head, theme.strong());
    }
}

/// What to do where nothing is set up.
fn draw_beginning(overview: &Overview, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let mut lines = vec![
        ("No directory is watched yet: no file becomes a document. To begin:", Style::new()),
        ("", Style::new()),
        ("dcm watch add inbox /data/inbox --topic invoices.pdf", theme.strong()),
    ];
    if overview.routes.is_empty() {
        lines.push(("dcm route add 'invoices.#' --queue ocr --actor pdf-ocr", theme.strong()));
    }
    lines.extend([
        ("dcm app add docs/ocr/worker --always --enable -- dramatiq workers --queues ocr", theme.strong()),
        ("", Style::new()),
        ("What lies there unchanged for two seconds is sent to the queue of its topic.", theme.faint()),
    ]);
    for (row, (text, style)) in lines.into_iter().enumerate() {
        put(buffer, area, u16::try_from(row).unwrap_or(u16::MAX).saturating_add(1), 2, text, style);
    }
}

/// A count that is aligned at the right.
fn right(text: impl AsRef<str>, width: usize) -> String {
    format!("{:>width$}", text.as_ref())
}

fn draw_stages(overview: &Overview, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let now = world.time();
    let slowest = bottleneck(&overview.stages.rows).map(|found| found.stage);
    let name_width = match area.width {
        0..NARROW => 14,
        NARROW..STAGES_WIDE => 22,
        _ => 24,
    };
    let narrow: [Column; 4] = [("STAGE", name_width), ("   NEW", 6), ("  WORK", 6), ("  DEAD", 0)];
    let middle: [Column; 8] = [
        ("STAGE", name_width),
        ("     NEW", 8),
        (" WORKING", 8),
        ("    DONE", 8),
        (" FAILED", 7),
        ("  DEAD", 6),
        (" RETRY", 6),
        (" OLDEST", 0),
    ];
    let mut wide = middle.to_vec();
    wide.pop();
    wide.extend([(" OLDEST", 7), ("       IN", 9), ("      OUT", 9), ("QUEUE", 0)]);
    let is_wide = area.width >= STAGES_WIDE;
    let columns: &[Column] = match area.width {
        0..NARROW => &narrow,
        _ if is_wide => &wide,
        _ => &middle,
    };
    let empty = "no document has been seen yet";
    let places: Vec<_> = overview.stages.rows.iter().map(|stage| stage.count.stage.clone()).collect();
    let has_keys = overview.part == Part::Stages;
    list::draw_part(&overview.stages, columns, (empty, has_keys), (theme, buffer, area), |stage| {
        let is_slowest = slowest.is_some_and(|at| places.get(at) == Some(&stage.count.stage));
        stage_cells(stage, (is_slowest, is_wide, area.width < NARROW), now, theme)
    });
}

fn stage_cells(
    stage: &Stage,
    (is_slowest, is_wide, is_narrow): (bool, bool, bool),
    now: Timestamp,
    theme: Theme,
) -> Vec<(String, Style)> {
    let counts = &stage.count;
    let waits = counts.waiting;
    let loud = |count: u64, style: Style| if count > 0 { style } else { theme.faint() };
    let name = stage.name().unwrap_or("(no route)").to_owned();
    let name_style = if stage.name().is_none() { theme.late() } else { theme.strong() };
    let new_style = if is_slowest { theme.late() } else { loud(waits, Style::new()) };
    if is_narrow {
        return vec![
            (name, name_style),
            (right(short(waits), 6), new_style),
            (right(short(counts.working), 6), loud(counts.working, theme.running())),
            (right(short(counts.dead), 6), loud(counts.dead, theme.alarm())),
        ];
    }
    let oldest = counts.oldest.map_or_else(|| "-".to_owned(), |oldest| span((now - oldest).num_seconds()));
    let mut cells = vec![
        (name, name_style),
        (right(short(waits), 8), new_style),
        (right(short(counts.working), 8), loud(counts.working, theme.running())),
        (right(short(stage.done()), 8), loud(stage.done(), Style::new())),
        (right(short(counts.failed), 7), loud(counts.failed, theme.failed())),
        (right(short(counts.dead), 6), loud(counts.dead, theme.alarm())),
        (right(short(counts.retries), 6), loud(counts.retries, theme.pending())),
        (right(oldest, 7), Style::new()),
    ];
    if is_wide {
        cells.extend([
            (right(speed(stage.window.came), 9), theme.faint()),
            (right(speed(stage.window.done), 9), theme.faint()),
            (stage.queue.clone().unwrap_or_default(), theme.faint()),
        ]);
    }
    cells
}

fn draw_roots(overview: &Overview, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let has_keys = overview.part == Part::Roots;
    let is_wide = area.width >= WIDE;
    let middle: [Column; 6] =
        [("WATCHED", 12), ("", 1), ("STATE", 8), ("  FILES", 7), ("SCANNED", 7), ("DIRECTORY", 0)];
    let wide: [Column; 8] = [
        ("WATCHED", 16),
        ("", 1),
        ("STATE", 9),
        ("   FILES", 8),
        ("SCANNED", 7),
        ("TOPIC", 24),
        ("MANAGER", 12),
        ("DIRECTORY", 0),
    ];
    let columns: &[Column] = if is_wide { &wide } else { &middle };
    let taken: u16 = columns.iter().map(|(_, width)| width + 1).sum();
    let empty = "none; dcm watch add NAME DIR --topic T";
    let now = world.time();
    list::draw_part(&overview.roots, columns, (empty, has_keys), (theme, buffer, area), |root| {
        let (sign, word, style) = root_state(root, now, theme);
        let scanned = root.state.scanned.map(|at| span((now - at).num_seconds())).unwrap_or_default();
        let files = root.state.files.map(short).unwrap_or_default();
        let room = area.width.saturating_sub(taken + 1);
        let (place, place_style) = match &root.state.fault {
            Some(fault) if root.enabled => (fault.clone(), theme.alarm()),
            _ => {
                let mut path = super::ending(&root.path, room, theme);
                if root.recursive {
                    path.push_str("/**");
                }
                (path, theme.faint())
            }
        };
        let mut cells = vec![
            (root.name.clone(), theme.strong()),
            (sign.to_string(), style),
            (word.to_owned(), style),
            (right(files, if is_wide { 8 } else { 7 }), Style::new()),
            (scanned, theme.faint()),
        ];
        if is_wide {
            cells.push((root.topic.clone(), Style::new()));
            cells.push((root.manager.clone().unwrap_or_default(), theme.faint()));
        }
        cells.push((place, place_style));
        cells
    });
    mark("WATCHED", has_keys, theme, buffer, area);
}

fn root_state(root: &WatchRoot, now: Timestamp, theme: Theme) -> (char, &'static str, Style) {
    let glyphs = theme.glyphs;
    let is_old = root.state.scanned.is_none_or(|at| (now - at).num_seconds() > SCANNED_LATELY_S);
    match (&root.state.fault, root.state.scanned) {
        _ if !root.enabled => (glyphs.disabled, "disabled", theme.disabled()),
        (Some(_), _) => (glyphs.fatal, "fault", theme.alarm()),
        (None, None) => (glyphs.waiting, "new", theme.pending()),
        (None, Some(_)) if is_old => (glyphs.unknown, "silent", theme.unknown()),
        (None, Some(_)) => (glyphs.running, "watching", theme.running()),
    }
}

/// The apps that work on documents; those of the stage under the cursor are named first by their stage.
fn draw_workers(overview: &Overview, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let has_keys = overview.part == Part::Workers;
    let is_slim = area.width < NARROW;
    let slim: [Column; 4] = [("WORKER", 20), ("", 1), ("UP", 6), ("STAGES", 0)];
    let broad: [Column; 7] =
        [("WORKER", 26), ("", 1), ("STATE", 8), ("UP", 6), (" MEMORY", 8), ("  CPU", 6), ("STAGES", 0)];
    let columns: &[Column] = if is_slim { &slim } else { &broad };
    let meant = overview.stages.current().and_then(Stage::name);
    let now = world.time();
    let empty = "none known: an app --always whose command names the queue";
    list::draw_part(
        &overview.workers,
        columns,
        (empty, has_keys),
        (theme, buffer, area),
        |worker: &Worker| {
            let row = world.fleet.by_id(worker.app);
            let is_meant = meant.is_some_and(|stage| worker.stages.iter().any(|known| known == stage));
            let name_style = if is_meant { theme.strong() } else { Style::new() };
            let name = crate::console::view::text::fitting(&worker.path, if is_slim { 20 } else { 26 });
            let Some(row) = row else { return vec![(name, name_style)] };
            let style = theme.state(row.state);
            let up = row.last_run.filter(|_| row.is_running());
            let up = up.map(|since| span((now - since).num_seconds())).unwrap_or_default();
            let stages = worker.stages.join(" ");
            let mut cells = vec![(name, name_style), (theme.glyphs.state(row.state).to_string(), style)];
            if is_slim {
                cells.extend([(up, Style::new()), (stages, theme.faint())]);
                return cells;
            }
            let usage = row.usage.as_deref().filter(|_| row.is_running());
            let memory = usage.and_then(|usage| usage.memory).map(format_memory).unwrap_or_default();
            let cpu = usage.and_then(|usage| usage.cpu).map(|cpu| format!("{cpu:.1}%")).unwrap_or_default();
            cells.extend([
                (row.state.word().to_owned(), style),
                (up, Style::new()),
                (right(memory, 8), Style::new()),
                (right(cpu, 6), Style::new()),
                (stages, theme.faint()),
            ]);
            cells
        },
    );
    mark("WORKER", has_keys, theme, buffer, area);
}

/// How old this is, and what is missing.
fn draw_status(overview: &Overview, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let Some(read) = overview.read else { return };
    let age = (world.time() - read).num_seconds();
    let told = format!("read {} ago", span(age));
    put_right(buffer, area, 0, area.width.saturating_sub(1), &told, theme.faint());
    let rows = &overview.stages.rows;
    // What has just come has not been routed yet.
    let has_waited = |stage: &Stage| stage.count.oldest.is_some_and(|oldest| read - oldest > ROUTED_WITHIN);
    let unrouted = rows.iter().find(|stage| stage.name().is_none() && has_waited(stage));
    let unrouted = unrouted.map_or(0, |stage| stage.count.waiting);
    let dead: u64 = rows.iter().map(|stage| stage.count.dead).sum();
    let (text, style) = match (unrouted, overview.part, overview.roots.current()) {
        (1.., Part::Stages | Part::Workers, _) => {
            let text = "have no route: dcm route add PATTERN --queue Q --actor A";
            (format!("{} {text}", count(unrouted)), theme.late())
        }
        (0, Part::Roots, Some(root)) => {
            let which = format!("{}   files {}   topic {}", root.path, root.pattern, root.topic);
            (root.state.fault.clone().unwrap_or(which), theme.faint())
        }
        _ if dead > 0 => {
            let word = if dead == 1 { "document is dead" } else { "documents are dead" };
            (format!("{} {word}: F shows them, R sends those of a stage again", count(dead)), theme.failed())
        }
        _ => (
            format!(
                "{} stages, {} directories, {} routes",
                rows.len(),
                overview.roots.rows.len(),
                overview.routes.len()
            ),
            theme.faint(),
        ),
    };
    let room = Rect { width: area.width.saturating_sub(16), ..area };
    put(buffer, room, 0, 1, &text, style);
}
