//! Which documents are shown: words that are typed, as the database is asked for them.

use crate::model::TaskStatus;
use crate::store::TaskQuery;

/// What can be written after `is:`.
const KINDS: &[(&str, &[TaskStatus])] = &[
    ("pending", &[TaskStatus::Pending]),
    ("sent", &[TaskStatus::Sent]),
    ("waiting", &[TaskStatus::Pending, TaskStatus::Sent]),
    ("running", &[TaskStatus::Running]),
    ("done", &[TaskStatus::Done]),
    ("failed", &[TaskStatus::Failed]),
    ("dead", &[TaskStatus::Dead]),
    ("bad", &[TaskStatus::Failed, TaskStatus::Dead]),
    ("open", &[TaskStatus::Pending, TaskStatus::Sent, TaskStatus::Running, TaskStatus::Failed]),
];

/// Which documents are meant: `stage:ocr is:dead topic:invoices.pdf root:inbox group:croatia`, and words of their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::console) struct DocumentFilter {
    stage: Option<String>,
    topic: Option<String>,
    root: Option<String>,
    group: Option<String>,
    statuses: Vec<TaskStatus>,
    words: Vec<String>,
    /// The first word that means nothing.
    pub(in crate::console) fault: Option<String>,
}

impl DocumentFilter {
    pub(in crate::console) fn parse(text: &str) -> Self {
        let mut filter = Self::default();
        for word in text.split_whitespace() {
            let known = match word.split_once(':') {
                Some(("stage", stage)) => set(&mut filter.stage, stage),
                Some(("topic", topic)) => set(&mut filter.topic, topic),
                Some(("root", root)) => set(&mut filter.root, root),
                Some(("group", group)) => set(&mut filter.group, group),
                Some(("is", kinds)) => filter.add(kinds),
                Some(_) | None => {
                    filter.words.push(word.to_owned());
                    true
                }
            };
            if !known && filter.fault.is_none() {
                filter.fault = Some(word.to_owned());
            }
        }
        filter
    }

    fn add(&mut self, kinds: &str) -> bool {
        kinds.split(',').all(|kind| {
            let known = KINDS.iter().find(|(word, _)| *word == kind);
            self.statuses.extend(known.iter().flat_map(|(_, statuses)| *statuses));
            known.is_some()
        })
    }

    /// The stage that is meant.
    pub(in crate::console) fn stage(&self) -> Option<&str> {
        self.stage.as_deref()
    }

    /// What the database is asked: the newest ones, up to a limit.
    pub(in crate::console) fn query(&self, limit: u32) -> TaskQuery {
        let (path, globs) = match self.words.as_slice() {
            [] => (None, Vec::new()),
            [word] if !word.contains(['*', '?']) => (Some(word.clone()), Vec::new()),
            words => (None, vec![format!("*{}*", words.join("*"))]),
        };
        TaskQuery {
            path,
            globs,
            stage: self.stage.clone(),
            topic: self.topic.clone(),
            root: self.root.clone(),
            app_group: self.group.clone(),
            statuses: self.statuses.clone(),
            limit,
            ..TaskQuery::default()
        }
    }
}

fn set(place: &mut Option<String>, value: &str) -> bool {
    *place = (!value.is_empty()).then(|| value.to_owned());
    !value.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_question() {
        let filter = DocumentFilter::parse("stage:pdf-ocr is:bad 2026/a.pdf topic:invoices.pdf root:inbox");
        assert_eq!(filter.fault, None);
        let query = filter.query(10);
        assert_eq!((query.stage.as_deref(), filter.stage()), (Some("pdf-ocr"), Some("pdf-ocr")));
        assert_eq!(query.statuses, [TaskStatus::Failed, TaskStatus::Dead]);
        assert_eq!((query.path.as_deref(), query.limit), (Some("2026/a.pdf"), 10));
        assert_eq!((query.topic.as_deref(), query.root.as_deref()), (Some("invoices.pdf"), Some("inbox")));
    }

    #[test]
    fn several_words_stand_in_a_path_one_after_the_other() {
        let query = DocumentFilter::parse("2026 a?c.pdf").query(10);
        assert_eq!((query.path, query.globs), (None, vec!["*2026*a?c.pdf*".to_owned()]));
    }

    #[test]
    fn half_a_word_means_nothing_yet() {
        for (text, fault) in [("is:dea", "is:dea"), ("x stage:", "stage:"), ("is:dead,", "is:dead,")] {
            assert_eq!(DocumentFilter::parse(text).fault.as_deref(), Some(fault));
        }
        // A path may have a colon.
        assert_eq!(DocumentFilter::parse("c:/in/a.pdf").words, ["c:/in/a.pdf"]);
    }
}
