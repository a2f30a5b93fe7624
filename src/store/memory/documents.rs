//! Documents in memory: what operators ask and set.

use async_trait::async_trait;
use chrono::TimeDelta;

use super::deliveries::DeliveryRow;
use super::{MemoryStore, Tables};
use crate::model::{
    DOCUMENT_CHANNEL, Delivery, DeliveryId, DeliveryKind, DocumentRoute, EventId, FileEvent, PipelineTask,
    RouteId, StageCount, Target, TaskId, TaskStatus, Timestamp, WatchRoot,
};
use crate::store::document_rows::{minute_of, stage_of};
use crate::store::documents::{limited, no_such_root, no_such_route, root_exists};
use crate::store::{Documents, EventQuery, StoreError, TaskQuery};

/// The tables about documents.
#[derive(Debug, Clone, Default)]
pub(super) struct DocumentTables {
    pub(super) roots: Vec<WatchRoot>,
    pub(super) routes: Vec<DocumentRoute>,
    /// Each with its stamp.
    pub(super) events: Vec<(FileEvent, String)>,
    pub(super) tasks: Vec<PipelineTask>,
    last: i64,
}

impl DocumentTables {
    /// A number that was not given before.
    pub(super) fn number(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    pub(super) fn task(&mut self, id: TaskId) -> Option<&mut PipelineTask> {
        self.tasks.iter_mut().find(|task| task.id == id)
    }

    /// What is over and not there any more, before a moment.
    pub(super) fn prune(&mut self, before: Timestamp) {
        let (roots, tasks) = (&self.roots, &self.tasks);
        let is_over =
            |status: Option<TaskStatus>| matches!(status, Some(TaskStatus::Done | TaskStatus::Dead));
        let stays = |event: &FileEvent| {
            event.seen >= before
                || event.gone.is_none() && roots.iter().any(|root| root.name == event.root)
                || tasks.iter().any(|task| task.event == event.id && !is_over(task.status))
        };
        self.events.retain(|(event, _)| stays(event));
        let events = &self.events;
        self.tasks.retain(|task| events.iter().any(|(event, _)| event.id == task.event));
    }
}

impl Tables {
    /// A task that is to be published, as a worker or a manager writes it.
    pub fn add_task(&mut self, event: EventId, parent: Option<TaskId>, document: &str, topic: &str) {
        let is_known = |task: &PipelineTask| task.parent == parent && task.topic == topic;
        if parent.is_some() && self.documents.tasks.iter().any(is_known) {
            return;
        }
        let id = TaskId(self.documents.number());
        self.documents.tasks.push(PipelineTask {
            id,
            event,
            parent,
            document: document.to_owned(),
            topic: topic.to_owned(),
            stage: None,
            actor: None,
            queue: None,
            message_id: format!("{:08x}-0000-4000-8000-000000000000", id.0),
            status: Some(TaskStatus::Pending),
            attempts: 0,
            created: self.time,
            sent: None,
            started: None,
            finished: None,
            error: None,
            manager: None,
        });
        self.add_document(id);
    }

    fn add_document(&mut self, task: TaskId) {
        self.last_delivery += 1;
        self.deliveries.push(DeliveryRow::of_document(
            Delivery {
                id: DeliveryId(self.last_delivery),
                kind: DeliveryKind::Document.into(),
                event: None,
                alert: None,
                stage: 0,
                body: format!("{{\"task\":{}}}", task.0),
                created: self.time,
                due: self.time,
                tries: 0,
            },
            DOCUMENT_CHANNEL.to_owned(),
            task,
        ));
    }

    /// What waits for a route looks for one again.
    fn wake_unrouted(&mut self) {
        let now = self.time;
        for task in self.documents.tasks.iter().filter(|task| task.stage.is_none()) {
            for row in self.deliveries.iter_mut().filter(|row| row.is_open_of(task.id)) {
                row.set_due(now);
            }
        }
    }

    fn tasks_of(&self, query: &TaskQuery) -> Vec<PipelineTask> {
        let event = |task: &PipelineTask| {
            self.documents.events.iter().map(|(event, _)| event).find(|event| event.id == task.event)
        };
        let is_meant = |task: &&PipelineTask| {
            (query.ids.is_empty() || query.ids.contains(&task.id))
                && (query.events.is_empty() || query.events.contains(&task.event))
                && (query.statuses.is_empty() || task.status.is_some_and(|s| query.statuses.contains(&s)))
                && query.stage.as_ref().is_none_or(|stage| task.stage.as_ref() == Some(stage))
                && query.topic.as_ref().is_none_or(|topic| task.topic == *topic)
                && query.path.as_ref().is_none_or(|path| task.document.contains(path.as_str()))
                && (query.globs.is_empty() || query.globs.iter().any(|glob| is_like(glob, &task.document)))
                && query.root.as_ref().is_none_or(|root| event(task).is_some_and(|event| event.root == *root))
                && query
                    .app_group
                    .as_ref()
                    .is_none_or(|group| event(task).is_some_and(|event| event.app_group == *group))
                && query.until.is_none_or(|until| task.finished.is_some_and(|at| at <= until))
                && query.before.is_none_or(|before| task.id < before)
        };
        let mut found: Vec<_> = self.documents.tasks.iter().filter(is_meant).cloned().collect();
        found.sort_by_key(|task| std::cmp::Reverse(task.id));
        found.truncate(usize::try_from(limited(query.limit)).unwrap_or(0));
        found
    }

    fn events_of(&self, query: &EventQuery) -> Vec<FileEvent> {
        let is_meant = |event: &&FileEvent| {
            (query.ids.is_empty() || query.ids.contains(&event.id))
                && query.root.as_ref().is_none_or(|root| event.root == *root)
                && query.topic.as_ref().is_none_or(|topic| event.topic == *topic)
                && query.path.as_ref().is_none_or(|path| event.path.text().contains(path.as_str()))
                && query.before.is_none_or(|before| event.id < before)
        };
        let events = self.documents.events.iter().map(|(event, _)| event);
        let mut found: Vec<_> = events.filter(is_meant).cloned().collect();
        found.sort_by_key(|event| std::cmp::Reverse(event.id));
        found.truncate(usize::try_from(limited(query.limit)).unwrap_or(0));
        found
    }

    fn stages(&self, since: Timestamp) -> Vec<StageCount> {
        let since = minute_of(since + TimeDelta::milliseconds(59_999));
        let mut stages = Vec::new();
        let mut took: Vec<(Option<String>, Vec<f64>)> = Vec::new();
        let mut tasks: Vec<_> = self.documents.tasks.iter().collect();
        tasks.sort_by_key(|task| task.finished);
        for task in tasks {
            if let (Some(TaskStatus::Done), Some(finished)) = (task.status, task.finished) {
                if finished < since && finished < self.time - TimeDelta::hours(1) {
                    continue;
                }
                let stage = stage_of(&mut stages, task.stage.clone());
                if finished >= since {
                    let minute = minute_of(finished);
                    match stage.minutes.last_mut().filter(|(known, _)| *known == minute) {
                        Some((_, count)) => *count += 1,
                        None => stage.minutes.push((minute, 1)),
                    }
                }
                if finished >= self.time - TimeDelta::hours(1) {
                    stage.done += 1;
                    if let Some(started) = task.started {
                        let seconds = (finished - started).as_seconds_f64();
                        match took.iter_mut().find(|(stage, _)| *stage == task.stage) {
                            Some((_, times)) => times.push(seconds),
                            None => took.push((task.stage.clone(), vec![seconds])),
                        }
                    }
                }
                continue;
            }
            let stage = stage_of(&mut stages, task.stage.clone());
            stage.retries += u64::from(task.attempts > 1);
            match task.status {
                Some(TaskStatus::Pending | TaskStatus::Sent) => {
                    stage.waiting += 1;
                    let oldest = stage.oldest.unwrap_or(task.created);
                    stage.oldest = Some(oldest.min(task.created));
                }
                Some(TaskStatus::Running) => stage.working += 1,
                Some(TaskStatus::Failed) => stage.failed += 1,
                Some(TaskStatus::Dead) => stage.dead += 1,
                Some(TaskStatus::Done) | None => {}
            }
        }
        for (stage, times) in took {
            let count = f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX));
            stage_of(&mut stages, stage).mean_seconds = Some(times.iter().sum::<f64>() / count);
        }
        stages
    }

    fn retry(&mut self, query: &TaskQuery) -> u64 {
        let ids: Vec<_> = self.tasks_of(query).iter().map(|task| task.id).collect();
        let now = self.time;
        let mut count = 0;
        for id in ids {
            let Some(task) = self.documents.task(id) else { continue };
            if task.status == Some(TaskStatus::Pending) {
                let mut open = self.deliveries.iter_mut().filter(|row| row.is_open_of(id));
                if let Some(row) = open.next() {
                    row.set_due(now);
                    count += 1;
                }
                continue;
            }
            (task.status, task.sent, task.finished, task.error) =
                (Some(TaskStatus::Pending), None, None, None);
            count += 1;
            if !self.deliveries.iter().any(|row| row.is_open_of(id)) {
                self.add_document(id);
            }
        }
        count
    }
}

/// Whether a glob matches a text as a whole.
fn is_like(glob: &str, text: &str) -> bool {
    let text: Vec<_> = text.chars().collect();
    // Which ends of beginnings of the text the glob has reached.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for part in glob.chars() {
        let mut next = vec![false; text.len() + 1];
        let mut has_begun = false;
        for at in 0..=text.len() {
            has_begun |= reached[at];
            next[at] = match part {
                '*' => has_begun,
                '?' => at > 0 && reached[at - 1],
                part => at > 0 && reached[at - 1] && text[at - 1] == part,
            };
        }
        reached = next;
    }
    reached[text.len()]
}

#[async_trait]
impl Documents for MemoryStore {
    async fn watch_roots(&self) -> Result<Vec<WatchRoot>, StoreError> {
        let mut roots = self.read(|tables| tables.documents.roots.clone());
        roots.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(roots)
    }

    async fn add_watch_root(&self, root: WatchRoot) -> Result<(), StoreError> {
        self.write(|tables| {
            if tables.documents.roots.iter().any(|known| known.name == root.name) {
                return Err(root_exists(&root.name));
            }
            tables.documents.roots.push(WatchRoot { state: crate::model::RootState::default(), ..root });
            Ok(())
        })
    }

    async fn remove_watch_root(&self, name: &str) -> Result<(), StoreError> {
        self.write(|tables| {
            let before = tables.documents.roots.len();
            tables.documents.roots.retain(|root| root.name != name);
            if tables.documents.roots.len() < before { Ok(()) } else { Err(no_such_root(name)) }
        })
    }

    async fn enable_watch_root(&self, name: &str, is_enabled: bool) -> Result<(), StoreError> {
        self.write(|tables| {
            let root = tables.documents.roots.iter_mut().find(|root| root.name == name);
            root.ok_or_else(|| no_such_root(name))?.enabled = is_enabled;
            Ok(())
        })
    }

    async fn document_routes(&self) -> Result<Vec<DocumentRoute>, StoreError> {
        let mut routes = self.read(|tables| tables.documents.routes.clone());
        routes.sort_by_key(|route| (std::cmp::Reverse(route.priority), route.id));
        Ok(routes)
    }

    async fn add_document_route(
        &self,
        pattern: String,
        target: Target,
        priority: i64,
    ) -> Result<RouteId, StoreError> {
        Ok(self.write(|tables| {
            let id = RouteId(tables.documents.number());
            tables.documents.routes.push(DocumentRoute { id, pattern, target, priority });
            tables.wake_unrouted();
            id
        }))
    }

    async fn remove_document_route(&self, route: RouteId) -> Result<(), StoreError> {
        self.write(|tables| {
            let before = tables.documents.routes.len();
            tables.documents.routes.retain(|known| known.id != route);
            if tables.documents.routes.len() < before { Ok(()) } else { Err(no_such_route(route)) }
        })
    }

    async fn file_events(&self, query: EventQuery) -> Result<Vec<FileEvent>, StoreError> {
        Ok(self.read(|tables| tables.events_of(&query)))
    }

    async fn pipeline_tasks(&self, query: TaskQuery) -> Result<Vec<PipelineTask>, StoreError> {
        Ok(self.read(|tables| tables.tasks_of(&query)))
    }

    async fn stages(&self, since: Timestamp) -> Result<Vec<StageCount>, StoreError> {
        Ok(self.read(|tables| tables.stages(since)))
    }

    async fn retry_documents(&self, query: TaskQuery) -> Result<u64, StoreError> {
        Ok(self.write(|tables| tables.retry(&query)))
    }
}
