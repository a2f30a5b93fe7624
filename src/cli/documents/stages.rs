//! `dcm documents stages`: what is in each stage, in the order of the documents' way.

use crate::cli::error::Error;
use crate::cli::session::Session;
use crate::cli::{format, output};
use crate::console::pipeline::{bottleneck, order, speed};
use crate::model::Stage;
use crate::store::{OperatorStore, look_at_pipeline};
use crate::wire;

pub(super) async fn stages(session: &Session, store: &dyn OperatorStore) -> Result<(), Error> {
    let mut look = look_at_pipeline(store, None).await?;
    order(&mut look.stages, &look.links);
    let slowest = bottleneck(&look.stages).map(|found| found.stage);
    let stages = look.stages.iter().enumerate().map(|(at, stage)| (stage, slowest == Some(at)));
    if session.json {
        output::json_rows(stages.map(|(stage, is_slowest)| wire::Stage::of(stage, is_slowest)));
        return Ok(());
    }
    if look.stages.is_empty() {
        output::message("no document has been seen yet; dcm watch list shows the watched directories");
        return Ok(());
    }
    let cells = |(stage, is_slowest): (&Stage, bool)| {
        let count = &stage.count;
        let oldest = count.oldest.map(|oldest| format::duration(look.read - oldest));
        vec![
            stage.name().unwrap_or("(no route)").to_owned(),
            count.waiting.to_string(),
            count.working.to_string(),
            stage.done().to_string(),
            count.failed.to_string(),
            count.dead.to_string(),
            count.retries.to_string(),
            format::or_dash(oldest),
            speed(stage.window.came),
            speed(stage.window.done),
            stage.queue.clone().unwrap_or_default(),
            if is_slowest { "bottleneck".to_owned() } else { String::new() },
        ]
    };
    let ink = |stage: &Stage| match (stage.count.dead, stage.count.failed) {
        (1.., _) => output::Ink::Alarm,
        (0, 1..) => output::Ink::Warning,
        (0, 0) => output::Ink::Plain,
    };
    let inks: Vec<_> = look.stages.iter().map(ink).collect();
    let rows: Vec<_> = stages.map(cells).collect();
    let head = [
        "STAGE", "NEW", "WORKING", "DONE/24H", "FAILED", "DEAD", "RETRY", "OLDEST", "IN", "OUT", "QUEUE",
        "REMARK",
    ];
    output::table_of(&head, &rows, &["QUEUE", "RETRY", "IN", "REMARK"], &inks);
    let waiting: u64 = look.stages.iter().map(|stage| stage.count.waiting).sum();
    let working: u64 = look.stages.iter().map(|stage| stage.count.working).sum();
    let dead: u64 = look.stages.iter().map(|stage| stage.count.dead).sum();
    output::line(format_args!(
        "{} stages: {waiting} wait, {working} are worked on, {dead} are dead",
        rows.len()
    ));
    Ok(())
}
