//! Runs of a window of time as cells on a line, one line an app.

use chrono::TimeDelta;

use crate::model::{AppId, Blame, Run, Skip, Timestamp, flaps};

/// Seconds of a cell, from the nearest look to the widest.
const ZOOMS: [i64; 14] = [1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 10_800, 43_200, 86_400];

/// Seven hours in a line of 45 cells.
const ZOOM_FIRST: usize = 7;

/// Ten seconds: what is nearer moves with each second, which is for a hand to choose.
const ZOOM_NEAR: usize = 2;

/// So many good runs in a row are one row of the table.
const FOLD_FROM: usize = 4;

/// Which part of the past is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) struct Window {
    zoom: usize,
    /// Where it ends; `None`: now, and it goes along.
    end: Option<Timestamp>,
    /// It was made to fit what there is, or a hand was on it.
    is_chosen: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self { zoom: ZOOM_FIRST, end: None, is_chosen: false }
    }
}

/// A window on a screen: where its cells begin, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) struct Span {
    pub(in crate::console) begin: Timestamp,
    pub(in crate::console) cell: TimeDelta,
    pub(in crate::console) cells: usize,
}

impl Window {
    pub(in crate::console) fn cell(self) -> TimeDelta {
        TimeDelta::seconds(ZOOMS[self.zoom])
    }

    /// The nearest look at the time until now in which so many cells reach back to a moment, but none
    /// wider than the first look.
    pub(in crate::console) fn since(begin: Timestamp, cells: usize, now: Timestamp) -> Self {
        let window = |zoom| Self { zoom, end: None, is_chosen: true };
        let reaches = |window: &Self| window.span(cells, now).begin <= begin;
        (ZOOM_NEAR..=ZOOM_FIRST).map(window).find(reaches).unwrap_or_default()
    }

    /// Makes it as near as shows all since a moment, once and unless a hand was on it, and only if
    /// that leaves half of it empty.
    pub(in crate::console) fn fit(&mut self, oldest: Timestamp, span: &Span, now: Timestamp) {
        if !std::mem::replace(&mut self.is_chosen, true) && oldest > span.time(span.cells / 2) {
            *self = Self::since(oldest, span.cells, now);
        }
    }

    pub(in crate::console) fn is_live(self) -> bool {
        self.end.is_none()
    }

    /// The window with so many cells. Cells begin at whole multiples of their length, so that
    /// nothing flickers as time goes on.
    pub(in crate::console) fn span(self, cells: usize, now: Timestamp) -> Span {
        let seconds = ZOOMS[self.zoom];
        let end = self.end.unwrap_or(now).timestamp().div_euclid(seconds).saturating_add(1) * seconds;
        let begin = end.saturating_sub(seconds.saturating_mul(i64::try_from(cells).unwrap_or(i64::MAX)));
        let begin = Timestamp::from_timestamp(begin, 0).unwrap_or(Timestamp::UNIX_EPOCH);
        Span { begin, cell: self.cell(), cells }
    }

    /// Nearer or wider, around this moment, which keeps its place among the cells.
    pub(in crate::console) fn zoom(&mut self, nearer: bool, around: Timestamp, now: Timestamp) {
        let before = self.cell();
        self.is_chosen = true;
        self.zoom = if nearer { self.zoom.saturating_sub(1) } else { (self.zoom + 1).min(ZOOMS.len() - 1) };
        if let Some(end) = self.end {
            let scale = self.cell().num_seconds().saturating_mul((end - around).num_seconds());
            let after = TimeDelta::seconds(scale / before.num_seconds().max(1));
            self.set_end(around.checked_add_signed(after).unwrap_or(now), now);
        }
    }

    /// So many cells earlier, or later; at the present it goes along with it.
    pub(in crate::console) fn shift(&mut self, cells: i64, now: Timestamp) {
        let by = TimeDelta::seconds(ZOOMS[self.zoom].saturating_mul(cells));
        let end = self.end.unwrap_or(now).checked_add_signed(by);
        self.set_end(end.unwrap_or(now), now);
    }

    pub(in crate::console) fn go_to_now(&mut self) {
        self.is_chosen = true;
        self.end = None;
    }

    fn set_end(&mut self, end: Timestamp, now: Timestamp) {
        self.is_chosen = true;
        self.end = (end < now).then_some(end);
    }
}

impl Span {
    /// As [`Window::since`] has it.
    pub(in crate::console) fn since(begin: Timestamp, cells: usize, now: Timestamp) -> Self {
        Window::since(begin, cells, now).span(cells, now)
    }

    pub(in crate::console) fn end(&self) -> Timestamp {
        self.time(self.cells)
    }

    /// When a cell begins.
    pub(in crate::console) fn time(&self, cell: usize) -> Timestamp {
        let cells = i32::try_from(cell).unwrap_or(i32::MAX);
        self.cell.checked_mul(cells).and_then(|by| self.begin.checked_add_signed(by)).unwrap_or(self.begin)
    }

    /// The cell of a moment; those before the window have the first, those after it the last.
    fn place(&self, time: Timestamp) -> usize {
        let seconds = (time - self.begin).num_milliseconds().div_euclid(self.cell.num_milliseconds().max(1));
        usize::try_from(seconds).unwrap_or(0).min(self.cells.saturating_sub(1))
    }

    fn holds(&self, time: Timestamp) -> bool {
        time >= self.begin && time < self.end()
    }
}

/// What happened in a cell; of several things the last of this list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::console) enum Cell {
    Nothing,
    Waited,
    Ran,
    EndedOk,
    Now,
    Missed,
    Stopped,
    EndedBadly,
}

/// How the last run of the window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Last {
    Never,
    Running,
    Ok(TimeDelta),
    Stopped,
    Failed,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct Track {
    pub(in crate::console) cells: Vec<Cell>,
    /// The middle one of the good runs' lengths.
    pub(in crate::console) p50: Option<TimeDelta>,
    pub(in crate::console) last: Last,
    /// The number of bad ends in a short time, where that is flapping.
    pub(in crate::console) flaps: Option<usize>,
    pub(in crate::console) runs: usize,
}

impl Track {
    /// The line of one app. What concerns other apps is passed over.
    pub(in crate::console) fn new(
        app: AppId,
        runs: &[Run],
        skips: &[Skip],
        span: &Span,
        now: Timestamp,
    ) -> Self {
        let mut cells = vec![Cell::Nothing; span.cells];
        let mut fill = |from: Timestamp, to: Timestamp, cell: Cell| {
            if from < span.end() && to >= span.begin {
                for found in cells.iter_mut().take(span.place(to) + 1).skip(span.place(from)) {
                    *found = (*found).max(cell);
                }
            }
        };
        let mut own: Vec<_> = runs.iter().filter(|run| run.app == app).collect();
        own.sort_by_key(|run| run.start);
        for run in &own {
            if let Some(due) = run.due.filter(|due| run.start - *due > span.cell) {
                fill(due, run.start, Cell::Waited);
            }
            fill(run.start, run.end.unwrap_or(now).min(now).max(run.start), Cell::Ran);
            let (time, cell) = match (run.end, run.blame()) {
                (None, _) | (_, None) => (now, Cell::Now),
                (Some(end), Some(Blame::Good)) => (end, Cell::EndedOk),
                (Some(end), Some(Blame::Excused)) => (end, Cell::Stopped),
                (Some(end), Some(Blame::Bad | Blame::Doubtful)) => (end, Cell::EndedBadly),
            };
            if span.holds(time) {
                fill(time, time, cell);
            }
        }
        for skip in skips.iter().filter(|skip| skip.app == app) {
            // With two known times there are at most two cells; with more, all between.
            fill(skip.first, skip.first, Cell::Missed);
            fill(skip.last, skip.last, Cell::Missed);
            if skip.slots.is_none_or(|slots| slots > 2) {
                fill(skip.first, skip.last, Cell::Missed);
            }
        }
        let last = own.last().map_or(Last::Never, |run| match (run.end, run.blame()) {
            (None, _) | (_, None) => Last::Running,
            (Some(end), Some(Blame::Good)) => Last::Ok(end - run.start),
            (Some(_), Some(Blame::Excused)) => Last::Stopped,
            (Some(_), Some(Blame::Bad | Blame::Doubtful)) => Last::Failed,
        });
        let bad_ends = own.iter().filter(|run| run.blame() == Some(Blame::Bad)).filter_map(|run| run.end);
        Self { cells, p50: p50(own.iter().copied()), last, flaps: flaps(bad_ends), runs: own.len() }
    }
}

fn is_good(run: &Run) -> bool {
    run.blame() == Some(Blame::Good)
}

/// The middle one of the good runs' lengths.
pub(in crate::console) fn p50<'a>(runs: impl Iterator<Item = &'a Run>) -> Option<TimeDelta> {
    let good = runs.filter(|run| is_good(run));
    let mut lengths: Vec<_> = good.filter_map(|run| Some(run.end? - run.start)).collect();
    lengths.sort_unstable();
    lengths.get(lengths.len() / 2).copied()
}

/// How many of the runs went on at once, at most, in each cell.
pub(in crate::console) fn at_once(
    runs: impl IntoIterator<Item = (Timestamp, Option<Timestamp>)>,
    span: &Span,
    now: Timestamp,
) -> Vec<usize> {
    let mut most = vec![0; span.cells];
    if span.cells == 0 {
        return most;
    }
    let is_seen = |start: Timestamp, end: Option<Timestamp>| {
        start < span.end().min(now) && end.is_none_or(|end| end > span.begin)
    };
    let mut turns: Vec<(Timestamp, bool)> = Vec::new();
    for (start, end) in runs.into_iter().filter(|(start, end)| is_seen(*start, *end)) {
        turns.push((start.max(span.begin), true));
        turns.push((end.unwrap_or(now).min(span.end()).max(start), false));
    }
    // One that ends as another begins was not there at once with it.
    turns.sort_unstable();
    let (mut level, mut from): (usize, usize) = (0, 0);
    for (time, begins) in turns {
        let place = span.place(time);
        for cell in &mut most[from..=place] {
            *cell = (*cell).max(level);
        }
        level = if begins { level + 1 } else { level.saturating_sub(1) };
        most[place] = most[place].max(level);
        from = place;
    }
    most
}

/// A row of the table: a run, or good runs of an app that came one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::console) struct TableRow {
    /// The newest of them.
    pub(in crate::console) run: Run,
    pub(in crate::console) count: usize,
    /// When the oldest of them began.
    pub(in crate::console) since: Timestamp,
    pub(in crate::console) p50: Option<TimeDelta>,
}

/// The rows of the table, newest first. Frequent good runs fold; with `only_bad` they are left out.
pub(in crate::console) fn table(runs: &[Run], only_bad: bool) -> Vec<TableRow> {
    let mut apps: std::collections::BTreeMap<AppId, Vec<&Run>> = std::collections::BTreeMap::new();
    for run in runs {
        apps.entry(run.app).or_default().push(run);
    }
    let mut rows = Vec::new();
    for own in apps.values_mut() {
        own.sort_by_key(|run| std::cmp::Reverse((run.start, run.run)));
        for row in own.chunk_by(|a, b| is_good(a) && is_good(b)) {
            let is_good = is_good(row[0]);
            if is_good && only_bad {
                continue;
            }
            let pieces = if row.len() >= FOLD_FROM { vec![row] } else { row.chunks(1).collect() };
            rows.extend(pieces.into_iter().map(|piece| TableRow {
                run: piece[0].clone(),
                count: piece.len(),
                since: piece[piece.len() - 1].start,
                p50: p50(piece.iter().copied()),
            }));
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse((row.run.start, row.run.run)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppId, Outcome, Progress, RunId, SkipReason, Trigger, parse_timestamp};

    fn app(name: &str) -> AppId {
        AppId::of(&name.parse().unwrap())
    }

    fn at(clock: &str) -> Timestamp {
        parse_timestamp(&format!("2026-11-23T{clock}Z")).unwrap()
    }

    fn run(name: &str, start: &str, end: Option<&str>, outcome: &str) -> Run {
        Run {
            run: RunId::from_random_bits(at(start).timestamp().unsigned_abs().into()),
            app: app(name),
            start: at(start),
            end: end.map(at),
            outcome: end.map(|_| outcome.into()),
            exit_code: None,
            signal: None,
            except_cnt: 0,
            progress: Progress::default(),
            trigger: Trigger::Schedule.into(),
            due: None,
            attempt: 1,
            manager: "zg".to_owned(),
            pid: None,
            message: None,
            leftovers: 0,
            command: None,
            memory_peak: None,
        }
    }

    fn span() -> Span {
        // Ten minutes from 14:00, a minute a cell.
        Span { begin: at("14:00:00"), cell: TimeDelta::minutes(1), cells: 10 }
    }

    fn picture(cells: &[Cell]) -> String {
        let sign = |cell: &Cell| match cell {
            Cell::Nothing => '.',
            Cell::Waited => 'w',
            Cell::Ran => '=',
            Cell::EndedOk => 'o',
            Cell::Now => '>',
            Cell::Missed => '!',
            Cell::Stopped => '#',
            Cell::EndedBadly => 'X',
        };
        cells.iter().map(sign).collect()
    }

    #[test]
    fn runs_become_cells() {
        let mut waited = run("a/b/c", "14:05:10", Some("14:06:10"), "ok");
        waited.due = Some(at("14:03:00"));
        for (runs, expected) in [
            (vec![], ".........."),
            (vec![run("a/b/c", "14:01:10", Some("14:03:50"), "ok")], ".==o......"),
            (vec![run("a/b/c", "13:00:00", Some("14:01:10"), "failed")], "=X........"),
            (vec![run("a/b/c", "13:00:00", Some("14:00:00"), "ok")], "o........."),
            (vec![run("a/b/c", "13:00:00", Some("13:59:59"), "failed")], ".........."),
            (vec![run("a/b/c", "14:02:00", Some("14:02:01"), "killed_after_grace")], "..#......."),
            (vec![run("a/b/c", "14:07:30", None, "")], ".......=>."),
            (vec![waited], "...ww=o..."),
            (vec![run("x/y/z", "14:01:10", Some("14:03:50"), "ok")], ".........."),
            (
                vec![
                    run("a/b/c", "14:01:00", Some("14:01:10"), "ok"),
                    run("a/b/c", "14:01:20", Some("14:01:30"), "crashed"),
                    run("a/b/c", "14:01:40", Some("14:01:50"), "ok"),
                ],
                ".X........",
            ),
        ] {
            let track = Track::new(app("a/b/c"), &runs, &[], &span(), at("14:08:30"));
            assert_eq!(picture(&track.cells), expected, "{runs:?}");
        }
        let old = run("a/b/c", "13:00:00", None, "");
        let now = at("15:00:00");
        assert_eq!(picture(&Track::new(app("a/b/c"), &[old], &[], &span(), now).cells), "==========");
        let none = Span { cells: 0, ..span() };
        assert_eq!(
            Track::new(app("a/b/c"), &[run("a/b/c", "14:00:00", None, "")], &[], &none, now).cells,
            []
        );
    }

    #[test]
    fn missed_times_are_seen() {
        let skip = |first: &str, last: &str, slots| Skip {
            app: app("a/b/c"),
            first: at(first),
            last: at(last),
            slots,
            reason: SkipReason::Missed,
            at: at(last),
        };
        for (slots, expected) in [(Some(2), "..!..!...."), (Some(9), "..!!!!...."), (None, "..!!!!....")] {
            let skips = [skip("14:02:00", "14:05:00", slots)];
            let track = Track::new(app("a/b/c"), &[], &skips, &span(), at("14:08:30"));
            assert_eq!(picture(&track.cells), expected);
        }
    }

    #[test]
    fn lengths_and_ends_are_told() {
        let runs = [
            run("a/b/c", "14:00:00", Some("14:00:10"), "ok"),
            run("a/b/c", "14:01:00", Some("14:01:30"), "ok"),
            run("a/b/c", "14:02:00", Some("14:02:20"), "ok"),
            run("a/b/c", "14:03:00", Some("14:03:01"), "failed"),
            run("a/b/c", "14:04:00", Some("14:04:01"), "crashed"),
            run("a/b/c", "14:05:00", Some("14:05:01"), "timed_out"),
        ];
        let track = |runs: &[Run]| Track::new(app("a/b/c"), runs, &[], &span(), at("14:08:30"));
        let found = track(&runs);
        assert_eq!(
            (found.p50, found.last, found.flaps),
            (Some(TimeDelta::seconds(20)), Last::Failed, Some(3))
        );
        assert_eq!(
            (track(&runs[..3]).last, track(&runs[..5]).flaps),
            (Last::Ok(TimeDelta::seconds(20)), None)
        );
        assert_eq!((track(&[]).last, track(&[]).p50), (Last::Never, None));
    }

    #[test]
    fn runs_that_the_manager_excuses_are_not_bad() {
        for outcome in Outcome::ALL.iter().filter(|outcome| outcome.blame() == Blame::Excused) {
            let runs: Vec<_> = ["14:00:00", "14:01:00", "14:02:00"]
                .map(|start| run("a/b/c", start, Some(start), outcome.word()))
                .into();
            let track = Track::new(app("a/b/c"), &runs, &[], &span(), at("14:05:30"));
            assert_eq!((track.flaps, track.last), (None, Last::Stopped), "{outcome}");
            assert_eq!(picture(&track.cells), "###.......", "{outcome}");
        }
    }

    fn spans(runs: &[Run]) -> impl Iterator<Item = (Timestamp, Option<Timestamp>)> {
        runs.iter().map(|run| (run.start, run.end))
    }

    #[test]
    fn how_many_ran_at_once() {
        let runs = [
            run("a/b/c", "13:00:00", Some("14:02:30"), "ok"),
            run("a/b/d", "14:01:10", Some("14:04:00"), "ok"),
            run("a/b/e", "14:02:40", None, ""),
            run("a/b/f", "14:06:00", Some("14:06:10"), "ok"),
            run("a/b/g", "14:06:10", Some("14:06:20"), "ok"),
        ];
        assert_eq!(at_once(spans(&runs), &span(), at("14:08:30")), [1, 2, 2, 2, 2, 1, 2, 1, 1, 0]);
        assert_eq!(at_once([], &span(), at("14:08:30")), [0; 10]);
    }

    #[test]
    fn the_window_moves_and_zooms() {
        let now = at("14:02:11");
        let mut window = Window::default();
        let span = window.span(45, now);
        assert_eq!((span.begin, span.end()), (at("06:40:00"), at("14:10:00")));
        window.shift(10, now);
        assert!(window.is_live(), "there is nothing later than now");
        window.shift(-10, now);
        assert!(!window.is_live());
        assert_eq!(window.span(45, now).end(), at("12:30:00"));
        let cursor = at("10:00:00");
        window.zoom(true, cursor, now);
        assert_eq!(window.cell(), TimeDelta::minutes(5));
        let place = |window: Window| window.span(45, now).place(cursor);
        let before = place(window);
        window.zoom(true, cursor, now);
        assert!(place(window).abs_diff(before) <= 1, "what was looked at stays in its place");
        for _ in 0..50 {
            window.zoom(false, cursor, now);
            window.shift(-1_000_000, now);
        }
        window.span(usize::MAX, now);
        window.go_to_now();
        assert!(window.is_live());
    }

    #[test]
    fn a_look_reaches_back_to_a_moment() {
        let now = at("14:02:11");
        let cell = |begin: &str| Span::since(at(begin), 180, now).cell.num_seconds();
        assert_eq!(
            (cell("14:02:00"), cell("13:50:00"), cell("13:02:00"), cell("02:00:00")),
            (10, 10, 30, 300)
        );
        assert_eq!(Span::since(now - TimeDelta::days(99), 180, now).cell.num_seconds(), ZOOMS[ZOOM_FIRST]);
    }

    #[test]
    fn frequent_good_runs_fold() {
        let mut runs: Vec<_> = (0..6)
            .map(|minute| run("a/b/c", &format!("14:0{minute}:00"), Some(&format!("14:0{minute}:10")), "ok"))
            .collect();
        runs.push(run("a/b/c", "14:06:00", Some("14:06:10"), "failed"));
        runs.push(run("a/b/c", "14:07:00", Some("14:07:10"), "ok"));
        runs.push(run("a/b/d", "14:02:30", Some("14:02:40"), "ok"));
        let rows = table(&runs, false);
        let counts: Vec<_> = rows.iter().map(|row| (row.run.start, row.count)).collect();
        assert_eq!(
            counts,
            [(at("14:07:00"), 1), (at("14:06:00"), 1), (at("14:05:00"), 6), (at("14:02:30"), 1)]
        );
        assert_eq!((rows[2].since, rows[2].p50), (at("14:00:00"), Some(TimeDelta::seconds(10))));
        assert_eq!(table(&runs, true).len(), 1);
    }
}
