//! What the processes themselves wrote (`tests/apps/recorded.c`), and whether the tables agree with it.

use std::collections::{BTreeMap, BTreeSet};

/// One process, by its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) app: String,
    /// Milliseconds since boot.
    pub(super) begun: i64,
    pub(super) ended: Option<i64>,
    /// The exit code, or 128 and the number of the signal; `None` when it was killed.
    pub(super) code: Option<i64>,
    /// How many processes began under this run id.
    pub(super) processes: usize,
}

/// A row of `runtime`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) outcome: Option<String>,
    pub(super) exit_code: Option<i64>,
}

/// The processes of a record, by their run ids.
pub(super) fn read(record: &str) -> BTreeMap<String, Life> {
    let mut lives = BTreeMap::new();
    // A line that is being written has no line feed yet.
    let complete = &record[..record.rfind('\n').map_or(0, |end| end + 1)];
    for line in complete.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [what, app, run, _pid, at, code] = words[..] else { panic!("{line:?} was written in two parts") };
        let (at, code): (i64, i64) = (at.parse().unwrap(), code.parse().unwrap());
        let life = lives.entry(run.to_owned()).or_insert_with(|| Life {
            app: app.to_owned(),
            begun: at,
            ended: None,
            code: None,
            processes: 0,
        });
        if what == "begins" {
            life.processes += 1;
        } else {
            (life.ended, life.code) = (Some(at), Some(code));
        }
    }
    lives
}

/// Runs of which the tables say what is not so. `disturbed` are the runs whose shim was killed: their exit code may be
/// unknown, but a wrong one is still wrong.
pub(super) fn false_outcomes(
    lives: &BTreeMap<String, Life>,
    rows: &BTreeMap<String, Row>,
    disturbed: &BTreeSet<String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (run, life) in lives {
        let Some(row) = rows.get(run) else {
            faults.push(format!("{run} of {} ran and has no row", life.app));
            continue;
        };
        if life.processes != 1 {
            faults.push(format!("{run} of {}: {} processes", life.app, life.processes));
        }
        let outcome = row.outcome.as_deref();
        let is_true = match (life.code, outcome) {
            (_, None) => false,
            (_, Some("stopped" | "killed_after_grace" | "unknown")) if life.code.is_none() => true,
            // Asked to stop when it was about to end by itself.
            (Some(code), Some("stopped")) => row.exit_code.is_none_or(|seen| seen == code),
            (Some(_), Some("unknown")) => disturbed.contains(run) && row.exit_code.is_none(),
            (Some(0), Some("ok")) => row.exit_code == Some(0),
            (Some(code @ 1..=127), Some("failed")) => row.exit_code == Some(code),
            (Some(code @ 128..), Some("crashed")) => row.exit_code == Some(code),
            // Killed by a signal within the first second.
            (Some(code @ 128..), Some("failed_to_start")) => row.exit_code == Some(code),
            (_, Some(_)) => false,
        };
        if !is_true {
            faults.push(format!("{run}: {life:?} is recorded as {row:?}"));
        }
    }
    for (run, row) in rows.iter().filter(|(run, _)| !lives.contains_key(*run)) {
        // Killed with its shim, or stopped, before it could write anything.
        let may_be = matches!(row.outcome.as_deref(), Some("unknown" | "stopped" | "killed_after_grace"))
            || disturbed.contains(run) && row.outcome.as_deref() != Some("ok");
        if !may_be {
            faults.push(format!("{run} never ran and is recorded as {row:?}"));
        }
    }
    faults
}

/// Pairs of processes of one app that lived at the same time.
pub(super) fn overlaps(lives: &BTreeMap<String, Life>) -> Vec<String> {
    let mut sorted: Vec<_> = lives.values().collect();
    sorted.sort_by(|a, b| (&a.app, a.begun).cmp(&(&b.app, b.begun)));
    let overlap = |pair: &&[&Life]| {
        pair[0].app == pair[1].app && pair[0].ended.is_some_and(|ended| ended > pair[1].begun)
    };
    sorted.windows(2).filter(overlap).map(|pair| format!("{:?} and {:?}", pair[0], pair[1])).collect()
}

/// Multiples of `period` seconds from the first to the last time that are neither due times of runs nor within a skip.
pub(super) fn lost_times(due: &BTreeSet<i64>, skips: &[(i64, i64)], period: i64) -> Vec<i64> {
    let (Some(first), Some(last)) = (due.first(), due.last()) else { return Vec::new() };
    (*first..=*last)
        .filter(|time| time % period == 0 && !due.contains(time))
        .filter(|time| !skips.iter().any(|(from, to)| (from..=to).contains(&time)))
        .collect()
}

#[test]
fn what_is_not_so_is_found() {
    let record = "begins a r1 7 1000 0\nbegins b r2 8 1000 0\nends a r1 7 1200 0\nends b r2 8 1300 3\nbegins a r3 9 1100 0\n\
                  ends a r3 9 1400 139\nbegins a r4";
    let lives = read(record);
    assert_eq!(lives.len(), 3);
    let row = |outcome: &str, exit_code| Row { outcome: Some(outcome.to_owned()), exit_code };
    let good = BTreeMap::from([
        ("r1".to_owned(), row("ok", Some(0))),
        ("r2".to_owned(), row("failed", Some(3))),
        ("r3".to_owned(), row("crashed", Some(139))),
        ("r0".to_owned(), row("unknown", None)),
    ]);
    let nobody = BTreeSet::new();
    assert_eq!(false_outcomes(&lives, &good, &nobody), Vec::<String>::new());
    for (run, wrong) in [
        ("r1", row("failed_to_start", None)),
        ("r1", row("unknown", None)),
        ("r1", row("failed", Some(1))),
        ("r2", row("ok", Some(0))),
        ("r2", row("failed", Some(4))),
        ("r3", row("ok", Some(0))),
        ("r1", Row { outcome: None, exit_code: None }),
        ("r5", row("ok", Some(0))),
        ("r5", row("failed_to_start", None)),
    ] {
        let mut rows = good.clone();
        rows.insert(run.to_owned(), wrong);
        assert_eq!(false_outcomes(&lives, &rows, &nobody).len(), 1, "{run}");
    }
    // The code that a killed shim took with it.
    let mut rows = good.clone();
    rows.insert("r1".to_owned(), row("unknown", None));
    assert!(false_outcomes(&lives, &rows, &BTreeSet::from(["r1".to_owned()])).is_empty());
    rows.remove("r2");
    assert_eq!(false_outcomes(&lives, &rows, &BTreeSet::from(["r1".to_owned()])).len(), 1);
    assert_eq!(overlaps(&lives).len(), 1);
    assert_eq!(lost_times(&BTreeSet::from([4, 8, 16]), &[(9, 13)], 2), [6, 14]);
}
