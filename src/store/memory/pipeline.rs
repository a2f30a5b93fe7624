//! Documents in memory: what a manager needs.

use async_trait::async_trait;

use super::{MemoryStore, Tables};
use crate::model::{
    DOCUMENT_CHANNEL, DeliveryId, DueDocument, Entered, EventId, FileEvent, KnownVersion, NewEvent,
    Published, RootState, Target, TaskId, TaskStatus, Timestamp,
};
use crate::store::documents::not_watched;
use crate::store::{DOCUMENTS_MAX, Pipeline, StoreError};

impl Tables {
    fn watches(&self, name: &str) -> bool {
        let is_own = |manager: &Option<String>| manager.is_none() || *manager == self.seat;
        self.documents.roots.iter().any(|root| root.name == name && root.enabled && is_own(&root.manager))
    }

    fn enter(&mut self, root: &str, events: Vec<NewEvent>) -> Result<Vec<Entered>, StoreError> {
        if !self.watches(root) {
            return Err(not_watched(root));
        }
        let found = self.documents.roots.iter().find(|known| known.name == root);
        let Some((topic, app_group)) = found.map(|root| (root.topic.clone(), root.app_group.clone())) else {
            return Err(not_watched(root));
        };
        Ok(events.into_iter().map(|new| self.enter_one(root, new, (&topic, &app_group))).collect())
    }

    fn enter_one(&mut self, root: &str, new: NewEvent, (topic, app_group): (&str, &str)) -> Entered {
        let at_path = |event: &FileEvent| event.root == root && event.path == new.path;
        let latest = self.documents.events.iter_mut().rev().find(|(event, _)| at_path(event));
        if let Some((event, stamp)) = latest {
            if event.sha3.as_ref() == Some(&new.sha3) {
                (event.gone, event.modified, *stamp) = (None, new.modified, new.stamp);
                return Entered::Same(event.id);
            }
            event.gone.get_or_insert(new.seen);
        }
        let id = EventId(self.documents.number());
        let document = new.path.text().to_owned();
        let event = FileEvent {
            id,
            root: root.to_owned(),
            path: new.path,
            size: Some(new.size),
            sha3: Some(new.sha3),
            modified: new.modified,
            seen: new.seen,
            topic: topic.to_owned(),
            app_group: app_group.to_owned(),
            gone: None,
        };
        self.documents.events.push((event, new.stamp));
        self.add_task(id, None, &document, topic);
        Entered::New(id)
    }

    fn take_documents(&mut self, now: Timestamp, again: Timestamp) -> Vec<DueDocument> {
        let (documents, seat) = (&self.documents, &self.seat);
        let mut due: Vec<_> = self
            .deliveries
            .iter_mut()
            .filter_map(|row| row.due_task(now).map(|(due, task)| (due, row.id(), task, row)))
            .collect();
        due.sort_by_key(|(due, id, ..)| (*due, *id));
        due.truncate(DOCUMENTS_MAX as usize);
        let taken = due.into_iter().filter_map(|(_, delivery, id, row)| {
            let task = documents.tasks.iter().find(|task| task.id == id)?;
            let (event, _) = documents.events.iter().find(|(event, _)| event.id == task.event)?;
            let (created, tries) = row.take(again, seat.clone());
            let path = if event.path.text() == task.document {
                event.path.clone()
            } else {
                crate::model::DocumentPath::of_row(task.document.clone(), None)
            };
            Some(DueDocument {
                delivery,
                task: id,
                message_id: task.message_id.clone(),
                topic: task.topic.clone(),
                target: task
                    .queue
                    .clone()
                    .zip(task.actor.clone())
                    .map(|(queue, actor)| Target { queue, actor }),
                path,
                sha3: event.sha3.clone(),
                app_group: event.app_group.clone(),
                created,
                tries,
            })
        });
        taken.collect()
    }

    fn settle_document(&mut self, delivery: DeliveryId, task: TaskId, published: Published, at: Timestamp) {
        let seat = self.seat.clone();
        let Some(row) = self.deliveries.iter_mut().find(|row| row.id() == delivery) else { return };
        row.settle_document(&published, at);
        let Some(task) = self.documents.task(task) else { return };
        let is_pending = task.status == Some(TaskStatus::Pending);
        match published {
            Published::Sent => {
                (task.sent, task.manager) = (Some(at), seat);
                if is_pending {
                    (task.status, task.error) = (Some(TaskStatus::Sent), None);
                }
            }
            Published::Later { why, .. } if is_pending => task.error = Some(why),
            Published::GivenUp { why } if is_pending => {
                (task.status, task.error, task.finished) = (Some(TaskStatus::Dead), Some(why), Some(at));
            }
            Published::Later { .. } | Published::GivenUp { .. } => {}
        }
    }

    fn bury(&mut self, messages: Vec<(String, String)>, at: Timestamp) -> Vec<String> {
        let mut known = Vec::new();
        for (message, error) in messages {
            let found = self.documents.tasks.iter_mut().find(|task| task.message_id == message);
            let Some(task) = found else { continue };
            if task.status != Some(TaskStatus::Done) {
                if task.status != Some(TaskStatus::Dead) {
                    (task.status, task.finished) = (Some(TaskStatus::Dead), Some(at));
                }
                task.error.get_or_insert(error);
            }
            known.push(message);
        }
        known
    }
}

#[async_trait]
impl Pipeline for MemoryStore {
    async fn claim_watch_root(&self, name: String) -> Result<bool, StoreError> {
        Ok(self.read(|tables| tables.watches(&name)))
    }

    async fn note_watch_root(&self, name: String, state: RootState) -> Result<(), StoreError> {
        self.write(|tables| {
            for root in tables.documents.roots.iter_mut().filter(|root| root.name == name) {
                root.state = state.clone();
            }
        });
        Ok(())
    }

    async fn known_versions(&self, root: String, after: EventId) -> Result<Vec<KnownVersion>, StoreError> {
        Ok(self.read(|tables| {
            let is_meant = |event: &FileEvent| event.root == root && event.id > after && event.gone.is_none();
            let known = tables.documents.events.iter().filter(|(event, _)| is_meant(event));
            let version = |(event, stamp): &(FileEvent, String)| KnownVersion {
                event: event.id,
                path: event.path.clone(),
                stamp: Some(stamp.clone()),
            };
            known.take(DOCUMENTS_MAX as usize).map(version).collect()
        }))
    }

    async fn enter_events(&self, root: String, events: Vec<NewEvent>) -> Result<Vec<Entered>, StoreError> {
        self.write(|tables| tables.enter(&root, events))
    }

    async fn note_gone(&self, root: String, events: Vec<EventId>, at: Timestamp) -> Result<(), StoreError> {
        self.write(|tables| {
            let is_meant = |event: &FileEvent| event.root == root && events.contains(&event.id);
            for (event, _) in tables.documents.events.iter_mut().filter(|(event, _)| is_meant(event)) {
                event.gone.get_or_insert(at);
            }
        });
        Ok(())
    }

    async fn take_documents(&self, now: Timestamp, again: Timestamp) -> Result<Vec<DueDocument>, StoreError> {
        Ok(self.write(|tables| tables.take_documents(now, again)))
    }

    async fn next_document(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.read(|tables| tables.next_of(DOCUMENT_CHANNEL)))
    }

    async fn release_documents(&self, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tables| {
            let seat = tables.seat.clone();
            tables.deliveries.iter_mut().for_each(|row| row.release(seat.as_ref(), now));
        });
        Ok(())
    }

    async fn route_documents(&self, routed: Vec<(TaskId, Target)>) -> Result<Vec<TaskId>, StoreError> {
        Ok(self.write(|tables| {
            let mut done = Vec::new();
            for (id, target) in routed {
                let Some(task) = tables.documents.task(id) else { continue };
                if task.queue.is_none() && task.status == Some(TaskStatus::Pending) {
                    (task.stage, task.actor) = (Some(target.actor.clone()), Some(target.actor));
                    (task.queue, task.error) = (Some(target.queue), None);
                    done.push(id);
                }
            }
            done
        }))
    }

    async fn settle_documents(
        &self,
        published: Vec<(DeliveryId, TaskId, Published)>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|tables| {
            for (delivery, task, published) in published {
                tables.settle_document(delivery, task, published, at);
            }
        });
        Ok(())
    }

    async fn bury_documents(
        &self,
        messages: Vec<(String, String)>,
        at: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        Ok(self.write(|tables| tables.bury(messages, at)))
    }
}
