//! Questions of the screens, put to the database.

use crate::console::request::{Answer, DocumentSums, Question};
use crate::model::Registered;
use crate::store::{OperatorStore, StoreError, TaskQuery, document_way, look_at_pipeline, take_from};

/// Finds out what a screen wants to know.
///
/// # Errors
/// As the store says; the screen shows it and asks again.
pub(super) async fn ask(store: &dyn OperatorStore, question: Question) -> Result<Answer, StoreError> {
    Ok(match question {
        Question::Alerts(query) => Answer::Alerts(store.alerts(query).await?),
        Question::NoteAlerts(alerts, note) => {
            store.note_alerts(alerts, note).await?;
            Answer::Noted
        }
        Question::App(app) => {
            Answer::App(store.apps(vec![app]).await?.into_iter().find_map(|row| match row {
                Registered::App(row) => Some(row),
                Registered::SetAside(_) => None,
            }))
        }
        Question::Apps(apps) => {
            let mut rows: Vec<_> = store.apps(apps).await?.into_iter().map(Registered::into_row).collect();
            rows.sort_by(|a, b| a.app.path.cmp(&b.app.path));
            Answer::Apps(rows)
        }
        Question::Managers => Answer::Managers(store.managers().await?),
        Question::KeptLog { app, run, is_wish } => {
            if is_wish {
                match store.want_log(app).await {
                    // A standby, or a missing right, leaves what is kept already.
                    Ok(()) | Err(StoreError::Unavailable(_) | StoreError::Denied(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Answer::KeptLog(store.kept_log(app, run).await?)
        }
        Question::Drain(name, is_draining) => Answer::Released(store.drain(&name, is_draining).await?),
        Question::TakeFrom(name) => Answer::Released(take_from(store, &name, false).await?),
        Question::Commands(query) => Answer::Commands(store.ledger(query).await?),
        Question::History(query) => Answer::History(store.history(query).await?),
        Question::Skips(query) => Answer::Skips(store.skips(query).await?),
        Question::Pipeline(since) => Answer::Pipeline(Box::new(look_at_pipeline(store, since).await?)),
        Question::DocumentSums => {
            let mut sums = DocumentSums::default();
            for stage in store.stages(store.time().await?).await? {
                sums.waiting += stage.waiting;
                sums.working += stage.working;
                sums.failed += stage.failed;
                sums.dead += stage.dead;
            }
            Answer::DocumentSums(sums)
        }
        Question::Documents(query) => Answer::Documents(store.pipeline_tasks(query).await?),
        Question::DocumentWay(task) => {
            let query = TaskQuery { ids: vec![task], limit: 1, ..TaskQuery::default() };
            let event = store.pipeline_tasks(query).await?.pop().map(|task| task.event);
            let way = match event {
                Some(event) => document_way(store, event).await?,
                None => None,
            };
            Answer::DocumentWay(way.map(Box::new))
        }
        Question::RetryDocuments(query) => Answer::Retried(store.retry_documents(query).await?),
    })
}
