//! The stages of documents as they are looked at together: what waits where, how fast it is done, what follows what.

use chrono::TimeDelta;

use super::{DocumentRoute, FileEvent, PipelineTask, StageCount, Timestamp, WatchRoot};

/// How documents came to a stage and left it, by equal parts of a time, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageFlow {
    /// The stage; `None`: what has found no route yet.
    pub stage: Option<String>,
    /// The parts, all of them.
    pub slots: Vec<FlowSlot>,
}

/// What happened in a part of a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowSlot {
    /// Rows that were written: documents that came.
    pub came: u64,
    /// Documents that were done.
    pub done: u64,
    /// Documents that were given up.
    pub dead: u64,
}

/// A stage that documents went to of late.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StageLink {
    /// The stage before; `None` where they began there.
    pub from: Option<String>,
    /// The stage.
    pub to: String,
    /// Its queue.
    pub queue: Option<String>,
}

/// A stage and all that is counted of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// What is in it now.
    pub count: StageCount,
    /// Its queue, as far as documents went there of late.
    pub queue: Option<String>,
    /// What came and left within [`Self::WINDOW`].
    pub window: FlowSlot,
    /// The last 24 hours by parts of [`Self::SLOT`].
    pub day: Vec<FlowSlot>,
}

impl Stage {
    /// How many documents a second come and go is told over this time.
    pub const WINDOW: TimeDelta = TimeDelta::minutes(5);

    /// The parts of a day, and how many there are of them.
    pub const SLOT: TimeDelta = TimeDelta::minutes(30);

    /// How many parts a day has.
    pub const SLOTS: u32 = 48;

    /// Its name, if it has one: what has no route yet has none.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.count.stage.as_deref()
    }

    /// Documents that were done in the last 24 hours.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.day.iter().map(|slot| slot.done).sum()
    }

    /// Documents that are not over: neither done nor given up.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.count.waiting + self.count.working + self.count.failed
    }

    /// Takes over the day of an earlier look at it; what has happened since is what its own day tells.
    pub fn go_on_with(&mut self, earlier: &[FlowSlot]) {
        let since = std::mem::replace(&mut self.day, earlier.to_vec());
        if self.day.is_empty() {
            self.day = since;
        } else if let Some(last) = self.day.last_mut() {
            for slot in since {
                last.came += slot.came;
                last.done += slot.done;
                last.dead += slot.dead;
            }
        }
    }

    /// What was not over at the end of each part of the day, the present last: what is open now, less what came since,
    /// and what left since.
    #[must_use]
    pub fn backlogs(&self) -> Vec<u64> {
        let mut open = i128::from(self.open());
        let mut found: Vec<_> = self
            .day
            .iter()
            .rev()
            .map(|slot| {
                let then = u64::try_from(open.max(0)).unwrap_or(u64::MAX);
                open += i128::from(slot.done) + i128::from(slot.dead) - i128::from(slot.came);
                then
            })
            .collect();
        found.reverse();
        found
    }
}

/// A version of a file, and the stages that it went through.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentWay {
    /// The version.
    pub event: FileEvent,
    /// Which of the versions at its path it is; the oldest on record is 1.
    pub version: usize,
    /// How many there are.
    pub versions: usize,
    /// Its stages, the first one first.
    pub tasks: Vec<PipelineTask>,
}

/// All stages together, and where their documents come from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PipelineLook {
    /// When this was so, by the clock of the database.
    pub read: Timestamp,
    /// Since when the days of its stages are told, in one part; `None`: they are whole days.
    pub since: Option<Timestamp>,
    /// The stages, by name.
    pub stages: Vec<Stage>,
    /// Which stage follows which.
    pub links: Vec<StageLink>,
    /// The watched directories.
    pub roots: Vec<WatchRoot>,
    /// The routes of topics.
    pub routes: Vec<DocumentRoute>,
}

impl PipelineLook {
    /// Puts together what was read of each stage.
    #[must_use]
    pub fn stages_of(
        counts: Vec<StageCount>,
        window: &[StageFlow],
        mut day: Vec<StageFlow>,
        links: &[StageLink],
    ) -> Vec<Stage> {
        // A stage of which all is done has no count, and is seen by what it did.
        let mut counts = counts;
        for flow in &day {
            if counts.iter().all(|count| count.stage != flow.stage) {
                counts.push(StageCount::of(flow.stage.clone()));
            }
        }
        counts.sort_by(|a, b| a.stage.cmp(&b.stage));
        let whole = |count: StageCount| {
            let of_window = window.iter().find(|flow| flow.stage == count.stage);
            let of_day = day.iter_mut().find(|flow| flow.stage == count.stage);
            let queue = links.iter().rev().find(|link| Some(&link.to) == count.stage.as_ref());
            Stage {
                queue: queue.and_then(|link| link.queue.clone()),
                window: of_window.and_then(|flow| flow.slots.first().copied()).unwrap_or_default(),
                day: of_day.map(|flow| std::mem::take(&mut flow.slots)).unwrap_or_default(),
                count,
            }
        };
        counts.into_iter().map(whole).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(came: u64, done: u64, dead: u64) -> FlowSlot {
        FlowSlot { came, done, dead }
    }

    #[test]
    fn what_waited_follows_from_what_came_and_went() {
        let mut count = StageCount::of(None);
        count.waiting = 2;
        let day = vec![slot(9, 1, 0), slot(4, 2, 1), slot(0, 5, 0)];
        let mut stage = Stage { count, queue: None, window: FlowSlot::default(), day };
        // Now 2; before the last five were done, 7; before those four came and three went, 6.
        assert_eq!(stage.backlogs(), [6, 7, 2]);
        assert_eq!(stage.done(), 8);
        let mut later = stage.clone();
        later.day = vec![slot(3, 2, 1)];
        later.go_on_with(&stage.day);
        assert_eq!(later.day, [slot(9, 1, 0), slot(4, 2, 1), slot(3, 7, 1)]);
        later.go_on_with(&[]);
        assert_eq!(later.done(), 10, "a stage that is new has its own day only");
        stage.day = vec![slot(50, 0, 0), slot(50, 0, 0)];
        assert_eq!(stage.backlogs(), [0, 2], "what was deleted since makes no negative number");
    }

    #[test]
    fn a_stage_of_which_all_is_done_is_shown_too() {
        let flow = |stage: &str, slots: Vec<FlowSlot>| StageFlow { stage: Some(stage.to_owned()), slots };
        let link = StageLink { from: None, to: "ocr".to_owned(), queue: Some("docs".to_owned()) };
        let stages = PipelineLook::stages_of(
            vec![StageCount::of(Some("ocr".to_owned()))],
            &[flow("ocr", vec![slot(3, 2, 0)])],
            vec![flow("load", vec![slot(1, 1, 0)]), flow("ocr", vec![slot(9, 8, 0)])],
            &[link],
        );
        let told: Vec<_> =
            stages.iter().map(|stage| (stage.name().unwrap(), stage.done(), stage.window.came)).collect();
        assert_eq!(told, [("load", 1, 0), ("ocr", 8, 3)]);
        assert_eq!(stages[1].queue.as_deref(), Some("docs"));
    }
}
