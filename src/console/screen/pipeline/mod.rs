//! Documents on their way: the stages with what piles up before them, the watched directories, the workers; the documents
//! of a stage; the way of one document.

mod documents;
mod overview;

use super::{List, Page, Screen, Turn, logs};
use crate::console::dialog::retry::Retry;
use crate::console::keymap::Intent;
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::world::World;
use crate::model::{DocumentWay, TaskStatus};
use crate::store::{StoreError, TASKS_MAX, TaskQuery};

pub(in crate::console) use documents::Documents;
pub(in crate::console) use overview::{Overview, Part, Worker};

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {
    /// The documents of a stage or directory; the way of a document; the app of a worker.
    Open,
    /// The documents of the stage that failed.
    Failed,
    /// Send again what failed for good.
    Retry,
    /// The log of those who work on the stage.
    Log,
    NextPart,
    PreviousPart,
    CopyPath,
    CopyCommand,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub(in crate::console) struct Pipeline {
    pub(in crate::console) overview: Overview,
    /// The documents that were asked for.
    pub(in crate::console) documents: Option<Documents>,
    /// The way of the document that was opened.
    pub(in crate::console) way: Option<List<DocumentWay>>,
    /// What was asked to be sent again, and what that is called.
    retried: Option<(Ticket, String)>,
}

impl Pipeline {
    /// Sends again what was agreed to.
    pub(in crate::console) fn send(&mut self, world: &mut World, retry: Retry) -> Option<Request> {
        // The link may have been lost while the question was open.
        if let Some(why) = world.refusal() {
            world.say(why);
            return None;
        }
        if world.is_dry {
            world.say(format!("dry run: {} would be sent again", retry.what));
            return None;
        }
        let ticket = world.ticket();
        self.retried = Some((ticket, retry.what));
        Some(Request::Ask(ticket, Question::RetryDocuments(retry.query)))
    }

    /// Shows the documents that a text asks for.
    fn open(&mut self, world: &mut World, text: &str) -> Turn {
        let mut documents = Documents::new(text);
        let request = documents.ask(world);
        self.documents = Some(documents);
        Turn::Work(request)
    }

    fn open_way(&mut self, world: &mut World) -> Option<Turn> {
        let task = self.documents.as_ref()?.list.current()?.id;
        let mut way = List::default();
        let request = way.ask(world, Question::DocumentWay(task));
        self.way = Some(way);
        Some(Turn::Work(request))
    }

    fn wish(&mut self, world: &mut World, wish: Wish) -> Option<Turn> {
        match wish {
            Wish::Open if self.way.is_some() => None,
            Wish::Open if self.documents.is_some() => self.open_way(world),
            Wish::Open => match self.overview.part {
                Part::Stages => {
                    let text = self.overview.stage_filter()?;
                    Some(self.open(world, &text))
                }
                Part::Roots => {
                    let text = format!("root:{}", self.overview.roots.current()?.name);
                    Some(self.open(world, &text))
                }
                Part::Workers => {
                    let app = self.overview.workers.current()?.path.clone();
                    Some(Turn::GoTo(app))
                }
            },
            Wish::Failed => {
                let stage = match &self.documents {
                    Some(documents) => documents.filter.stage().map(|stage| format!("stage:{stage} ")),
                    None => self.overview.stage_filter().map(|filter| filter + " "),
                };
                self.way = None;
                Some(self.open(world, &format!("{}is:bad", stage.unwrap_or_default())))
            }
            Wish::Retry => self.retry(world),
            Wish::Log => {
                let apps = self.overview.workers_of(self.stage_name().as_deref());
                if apps.is_empty() {
                    world.say("no app without a schedule names its queue or actor in its command");
                    return None;
                }
                let apps = apps.into_iter().take(logs::MERGED_MAX).collect();
                Some(Turn::open(Screen::Logs(Box::new(logs::Logs::new(apps)))))
            }
            Wish::NextPart | Wish::PreviousPart => {
                if self.documents.is_none() {
                    self.overview.turn(wish == Wish::PreviousPart);
                }
                None
            }
            Wish::CopyPath => {
                let path = self.document_path()?;
                Some(Turn::Copy(path))
            }
            Wish::CopyCommand => {
                let id = self.documents.as_ref()?.list.current()?.id;
                Some(Turn::Copy(format!("dcm documents retry {}", id.0)))
            }
        }
    }

    /// The stage under the cursor, or that of the document under it.
    fn stage_name(&self) -> Option<String> {
        match &self.documents {
            Some(documents) => documents.list.current()?.stage.clone(),
            None => self.overview.stages.current()?.count.stage.clone(),
        }
    }

    fn document_path(&self) -> Option<String> {
        if self.documents.is_none() && self.overview.part == Part::Roots {
            return Some(self.overview.roots.current()?.path.clone());
        }
        Some(self.documents.as_ref()?.list.current()?.document.clone())
    }

    /// What is to be sent again: the document under the cursor, or all of its stage that failed for good.
    fn retry(&mut self, world: &mut World) -> Option<Turn> {
        if let Some(why) = world.refusal() {
            world.say(why);
            return None;
        }
        if let Some(documents) = &self.documents {
            let task = documents.list.current()?;
            if !task.status.is_some_and(can_retry) {
                let (document, status) = (&task.document, task.status.map_or("unknown", TaskStatus::word));
                world.say(format!("{document} is {status}: there is nothing to send again"));
                return None;
            }
            let query = TaskQuery { ids: vec![task.id], limit: 1, ..TaskQuery::default() };
            return Some(Turn::Retry(Retry::new(query, task.document.clone(), 1, world)));
        }
        let count = &self.overview.stages.current()?.count;
        let (dead, name) = (count.dead, count.stage.clone());
        let Some(name) = name else {
            world.say("these documents wait for a route: dcm route add PATTERN --queue Q --actor A");
            return None;
        };
        if dead == 0 {
            let failed = count.failed;
            world.say(match failed {
                0 => format!("no document of {name} has failed"),
                _ => format!("{failed} documents of {name} are tried again by their workers; none is dead"),
            });
            return None;
        }
        let until = self.overview.read;
        let query = TaskQuery {
            stage: Some(name.clone()),
            statuses: vec![TaskStatus::Dead],
            until,
            limit: TASKS_MAX,
            ..TaskQuery::default()
        };
        let what = format!("{dead} dead documents of {name}");
        Some(Turn::Retry(Retry::new(query, what, dead, world)))
    }
}

/// Whether a document of this status can be sent again: not one that a worker is at, or has done.
const fn can_retry(status: TaskStatus) -> bool {
    matches!(status, TaskStatus::Failed | TaskStatus::Dead | TaskStatus::Sent)
}

impl Page for Pipeline {
    #[expect(clippy::wildcard_enum_match_arm, reason = "wishes of other screens are of no concern")]
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        match intent {
            Intent::Move(way) => {
                let page = world.body().saturating_sub(2);
                if let Some(shown) = &mut self.way {
                    shown.go(way, page);
                } else if let Some(documents) = &mut self.documents {
                    return documents.go(world, way, page).map(Turn::Work);
                } else {
                    self.overview.go(way, page);
                }
                None
            }
            Intent::Pipeline(wish) => self.wish(world, wish),
            _ => None,
        }
    }

    fn refresh(&mut self, world: &mut World) -> Option<Request> {
        if let (Some(way), Some(documents)) = (&mut self.way, &self.documents) {
            let task = documents.list.current()?.id;
            return Some(way.ask(world, Question::DocumentWay(task)));
        }
        match &mut self.documents {
            Some(documents) => Some(documents.ask(world)),
            None => Some(self.overview.ask(world)),
        }
    }

    fn tick(&mut self, world: &mut World) -> Option<Request> {
        if let Some(way) = &self.way {
            return way.is_old(world).then(|| self.refresh(world)).flatten();
        }
        match &mut self.documents {
            Some(documents) => documents.tick(world),
            None => self.overview.tick(world),
        }
    }

    fn answer(&mut self, world: &mut World, ticket: Ticket, answer: &Result<Answer, StoreError>) -> bool {
        if let Some((_, what)) = self.retried.take_if(|(sent, _)| *sent == ticket) {
            world.say(match answer {
                Ok(Answer::Retried(1)) => format!("{what}: sent again"),
                Ok(Answer::Retried(count)) => format!("{what}: {count} are sent again"),
                Ok(_) => format!("{what}: the answer was another one"),
                Err(why) => format!("nothing was sent again: {why}"),
            });
            self.overview.expire();
            if let Some(documents) = &mut self.documents {
                documents.list.expire();
            }
            if let Some(way) = &mut self.way {
                way.expire();
            }
            return true;
        }
        self.overview.answer(world, ticket, answer)
            || self.documents.as_mut().is_some_and(|documents| documents.list.take_answer(ticket, answer))
            || self.way.as_mut().is_some_and(|way| way.take_answer(ticket, answer))
    }

    fn sought(&self) -> String {
        self.documents.as_ref().map(|documents| documents.text.clone()).unwrap_or_default()
    }

    fn seek(&mut self, world: &mut World, text: &str) -> Option<Request> {
        self.way = None;
        if text.is_empty() {
            self.documents = None;
            return None;
        }
        self.documents.get_or_insert_default().seek(world, text)
    }

    fn back(&mut self, _world: &mut World) -> bool {
        self.way.take().is_some() || self.documents.take().is_some()
    }
}
