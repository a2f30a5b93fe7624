//! All stages together, the watched directories, and the apps that work on documents.

use std::time::Duration;

use crate::console::keymap::Move;
use crate::console::pipeline::order;
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::screen::List;
use crate::console::world::World;
use crate::model::{
    AppId, AppPath, DocumentRoute, FlowSlot, PipelineLook, Stage, StageCount, StageLink, Timestamp, WatchRoot,
};
use crate::store::StoreError;

/// What is counted is asked for again after this time, or after this multiple of the time that the answer took.
const FRESH: Duration = Duration::from_secs(2);
const REST: u32 = 10;

/// A whole day is counted after this time, or after this multiple of the time that it took; in between, what has happened since.
const DAY_EVERY: Duration = Duration::from_secs(60);
const DAY_REST: u32 = 50;

/// What the keys go to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::console) enum Part {
    #[default]
    Stages,
    Roots,
    Workers,
}

impl Part {
    const ALL: [Self; 3] = [Self::Stages, Self::Roots, Self::Workers];
}

/// An app that works on documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct Worker {
    pub(in crate::console) app: AppId,
    pub(in crate::console) path: AppPath,
    /// On which stages.
    pub(in crate::console) stages: Vec<String>,
}

/// A question that is under way, and how long the last one took.
#[derive(Debug, Default)]
struct Asked {
    ticket: Option<Ticket>,
    at: Duration,
    took: Duration,
}

/// The whole day as it was counted last.
#[derive(Debug)]
struct Day {
    read: Timestamp,
    stages: Vec<(Option<String>, Vec<FlowSlot>)>,
    /// When it was asked for, and how long it took.
    at: Duration,
    took: Duration,
}

impl Day {
    fn of(look: &PipelineLook, asked: &Asked) -> Self {
        let stages = look.stages.iter().map(|stage| (stage.count.stage.clone(), stage.day.clone()));
        Self { read: look.read, stages: stages.collect(), at: asked.at, took: asked.took }
    }

    fn stage(&self, name: Option<&str>) -> &[FlowSlot] {
        let found = self.stages.iter().find(|(stage, _)| stage.as_deref() == name);
        found.map_or(&[], |(_, slots)| slots)
    }
}

impl Asked {
    fn ask(&mut self, world: &mut World, question: Question) -> Request {
        let ticket = world.ticket();
        (self.ticket, self.at) = (Some(ticket), world.now.mono);
        Request::Ask(ticket, question)
    }

    fn is_answer(&mut self, world: &World, ticket: Ticket) -> bool {
        let is_mine = self.ticket.take_if(|asked| *asked == ticket).is_some();
        if is_mine {
            self.took = world.now.mono.saturating_sub(self.at);
        }
        is_mine
    }

    fn is_older_than(&self, world: &World, age: Duration) -> bool {
        self.ticket.is_none() && world.now.mono >= self.at + age.max(world.pace).max(self.took * REST)
    }
}

/// The first level of the screen.
#[derive(Debug, Default)]
pub(in crate::console) struct Overview {
    pub(in crate::console) part: Part,
    /// In the order of the documents' way.
    pub(in crate::console) stages: List<Stage>,
    /// Which follows which.
    pub(in crate::console) links: Vec<StageLink>,
    pub(in crate::console) roots: List<WatchRoot>,
    pub(in crate::console) workers: List<Worker>,
    pub(in crate::console) routes: Vec<DocumentRoute>,
    /// When all of this was so, by the clock of the database.
    pub(in crate::console) read: Option<Timestamp>,
    asked: Asked,
    day: Option<Day>,
}

impl Overview {
    pub(in crate::console) fn ask(&mut self, world: &mut World) -> Request {
        let now = world.now.mono;
        let is_old = |day: &Day| now >= day.at + DAY_EVERY.max(day.took * DAY_REST);
        let since = self.day.as_ref().filter(|day| !is_old(day)).map(|day| day.read);
        self.asked.ask(world, Question::Pipeline(since))
    }

    /// What is shown has changed.
    pub(in crate::console) fn expire(&mut self) {
        (self.asked, self.day) = (Asked::default(), None);
    }

    pub(in crate::console) fn tick(&mut self, world: &mut World) -> Option<Request> {
        self.find_workers(world);
        self.asked.is_older_than(world, FRESH).then(|| self.ask(world))
    }

    pub(in crate::console) fn answer(
        &mut self,
        world: &mut World,
        ticket: Ticket,
        answer: &Result<Answer, StoreError>,
    ) -> bool {
        if self.asked.is_answer(world, ticket) {
            match answer {
                Ok(Answer::Pipeline(look)) => self.take(world, look),
                Ok(_) => {}
                Err(why) => self.stages.take(Err(why.clone()), |_, _| true),
            }
            return true;
        }
        false
    }

    fn take(&mut self, world: &World, look: &PipelineLook) {
        let mut stages = look.stages.clone();
        match (look.since, &self.day) {
            (None, _) => self.day = Some(Day::of(look, &self.asked)),
            (Some(since), Some(day)) if since == day.read => {
                for stage in &mut stages {
                    let earlier = day.stage(stage.name()).to_vec();
                    stage.go_on_with(&earlier);
                }
                // A stage that has rested since is not in this answer.
                let is_known =
                    |name: &Option<String>| look.stages.iter().any(|stage| stage.count.stage == *name);
                let rested = day.stages.iter().filter(|(name, _)| name.is_some() && !is_known(name));
                stages.extend(rested.map(|(name, slots)| {
                    Stage {
                        count: StageCount::of(name.clone()),
                        queue: look
                            .links
                            .iter()
                            .find(|link| Some(&link.to) == name.as_ref())
                            .and_then(|link| link.queue.clone()),
                        window: FlowSlot::default(),
                        day: slots.clone(),
                    }
                }));
            }
            // An answer to a question of before.
            (Some(_), _) => return,
        }
        self.links.clone_from(&look.links);
        order(&mut stages, &self.links);
        self.stages.take(Ok(stages), |a, b| a.count.stage == b.count.stage);
        let mut roots = look.roots.clone();
        // What cannot be read comes first.
        roots.sort_by_key(|root| !root.enabled || root.state.fault.is_none());
        self.roots.take(Ok(roots), |a, b| a.name == b.name);
        self.routes.clone_from(&look.routes);
        self.read = Some(look.read);
        self.find_workers(world);
    }

    /// The services that work on one of the stages.
    fn find_workers(&mut self, world: &World) {
        let serving = world.fleet.rows().filter_map(|row| Some((row, row.works_on.as_deref()?)));
        let mut found: Vec<_> = serving
            .filter_map(|(row, works_on)| {
                let named =
                    self.stages.rows.iter().filter_map(|stage| Some((stage.queue.as_deref(), stage.name()?)));
                let served = named.filter(|(queue, name)| works_on.serves(*queue, name));
                let stages: Vec<_> = served.map(|(_, name)| name.to_owned()).collect();
                (!stages.is_empty()).then(|| Worker { app: row.id, path: row.path.clone(), stages })
            })
            .collect();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        self.workers.take(Ok(found), |a, b| a.app == b.app);
    }

    /// Those that work on a stage; on any, where none is meant.
    pub(in crate::console) fn workers_of(&self, stage: Option<&str>) -> Vec<AppPath> {
        let serves =
            |worker: &&Worker| stage.is_none_or(|stage| worker.stages.iter().any(|known| known == stage));
        self.workers.rows.iter().filter(serves).map(|worker| worker.path.clone()).collect()
    }

    /// The words by which the documents of the stage under the cursor are found.
    pub(in crate::console) fn stage_filter(&self) -> Option<String> {
        let stage = self.stages.current()?;
        Some(stage.name().map_or_else(|| "is:pending".to_owned(), |name| format!("stage:{name}")))
    }

    /// The keys go to the next part that has rows.
    pub(in crate::console) fn turn(&mut self, is_back: bool) {
        let at = Part::ALL.iter().position(|part| *part == self.part).unwrap_or(0);
        let step = if is_back { Part::ALL.len() - 1 } else { 1 };
        let next = (1..=Part::ALL.len()).map(|turn| Part::ALL[(at + turn * step) % Part::ALL.len()]);
        let has_rows = |part: &Part| match part {
            Part::Stages => true,
            Part::Roots => !self.roots.rows.is_empty(),
            Part::Workers => !self.workers.rows.is_empty(),
        };
        self.part = next.into_iter().find(has_rows).unwrap_or_default();
    }

    pub(in crate::console) fn go(&mut self, way: Move, page: usize) {
        match self.part {
            Part::Stages => self.stages.go(way, page),
            Part::Roots => self.roots.go(way, page),
            Part::Workers => self.workers.go(way, page),
        }
    }
}
