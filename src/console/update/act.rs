//! Commands: asked about, sent, watched, undone.

use crate::console::batch::{Batch, Order, Pace};
use crate::console::cmd::Cmd;
use crate::console::dialog::Dialog;
use crate::console::dialog::confirm::{Confirm, Consent, Wanted};
use crate::console::dialog::retry::Retry;
use crate::console::keymap::{Common, Intent};
use crate::console::model::Model;
use crate::console::request::{Request, Ticket};
use crate::console::screen::fleet::Spot;
use crate::console::screen::{Screen, Tab};
use crate::model::{AppId, CmdName, CommandRow};
use crate::store::StoreError;

/// At most so many batches are under way at once; each may wait for verdicts.
const BATCHES_MAX: usize = 16;

/// What is asked for; a line of the fleet that is a group or parent weighs more than its apps.
pub(super) fn wanted(model: &Model, name: CmdName, apps: Vec<AppId>, what: String) -> Wanted {
    let is_group = model.tab() == Tab::Fleet
        && model.table.marks.is_empty()
        && matches!(model.table.spot(), Some(Spot::Group(_) | Spot::Parent(..)));
    Wanted { name, verb: name.word().to_owned(), apps, what, is_group }
}

pub(super) fn clear_fatal(model: &mut Model, apps: Vec<AppId>, what: String) -> Option<Cmd> {
    let wanted = Wanted { verb: "CLEAR FATAL".to_owned(), ..wanted(model, CmdName::Enable, apps, what) };
    issue(model, wanted)
}

/// Asks as the weight of it demands; what weighs nothing is sent.
pub(super) fn issue(model: &mut Model, wanted: Wanted) -> Option<Cmd> {
    if let Some(why) = model.world.refusal() {
        model.world.say(why);
        return None;
    }
    // What is decided on must be what is.
    super::resume(model);
    let confirm = Confirm::new(wanted, &model.world);
    if let Some(why) = confirm.nothing_to_send() {
        model.world.say(why);
        return None;
    }
    if confirm.asks_for == Consent::Nothing {
        let order = confirm.order();
        return send(model, order);
    }
    model.dialog = Some(Dialog::Confirm(Box::new(confirm)));
    None
}

/// Asks before documents are sent again, as their number demands.
pub(super) fn retry(model: &mut Model, retry: Retry) -> Option<Cmd> {
    super::resume(model);
    if retry.asks_for == Consent::Nothing {
        return send_documents(model, retry);
    }
    model.dialog = Some(Dialog::Retry(Box::new(retry)));
    None
}

/// Sends the documents again that were agreed to.
pub(super) fn send_documents(model: &mut Model, retry: Retry) -> Option<Cmd> {
    let Model { stack, world, .. } = model;
    let Screen::Pipeline(pipeline) = stack.top_mut() else { return None };
    Cmd::work(pipeline.send(world, retry))
}

/// Sends what was agreed to.
pub(super) fn send(model: &mut Model, order: Order) -> Option<Cmd> {
    let world = &mut model.world;
    // The link may have been lost while the question was open.
    if let Some(why) = world.refusal() {
        world.say(why);
        return None;
    }
    if world.is_dry {
        let count = order.apps.len();
        world.say(format!("dry run: {count} × {} would be sent for {}", order.name, order.what));
        return None;
    }
    let ticket = world.ticket();
    let mut batch = Batch::new(ticket, order, &world.fleet, world.now.mono);
    let request = batch.next(world.now.mono);
    world.batches.retain(Batch::is_under_way);
    if world.batches.len() >= BATCHES_MAX {
        world.say("too many actions are under way; wait for their verdicts");
        return None;
    }
    world.batches.push(batch);
    world.remark = None;
    model.table.marks_are_used();
    Cmd::work(request)
}

/// The worker has entered commands into the ledger, or failed to.
pub(super) fn submitted(
    model: &mut Model,
    ticket: Ticket,
    result: &Result<Vec<CommandRow>, StoreError>,
) -> Option<Cmd> {
    let world = &mut model.world;
    let is_known = world.batches.iter_mut().any(|batch| batch.submitted(ticket, result));
    if let (true, Err(why)) = (is_known, result) {
        world.say(format!("nothing was sent: {why}"));
    }
    go_on(model)
}

/// Verdicts have come.
pub(super) fn verdicts(model: &mut Model, rows: &[CommandRow]) -> Option<Cmd> {
    model.world.batches.iter_mut().for_each(|batch| batch.learn(rows));
    go_on(model)
}

/// Sends the next commands of batches that go step by step.
fn go_on(model: &mut Model) -> Option<Cmd> {
    let world = &mut model.world;
    if world.refusal().is_some() {
        return None;
    }
    let now = world.now.mono;
    let requests: Vec<Request> = world.batches.iter_mut().filter_map(|batch| batch.next(now)).collect();
    Cmd::work(requests)
}

/// Takes back the last ENABLE or DISABLE. Of a batch that is still being sent, the rest is not.
pub(super) fn undo(model: &mut Model) -> Option<Cmd> {
    if let Some(why) = model.world.refusal() {
        model.world.say(why);
        return None;
    }
    let Some(mut batch) = model.world.batches.pop() else {
        model.world.say("nothing to undo: nothing was sent from here");
        return None;
    };
    let waiting = batch.score().waiting;
    if waiting > 0 && batch.halted.is_none() {
        batch.halt("by hand".to_owned());
        model.world.say(format!("the other {waiting} are not sent"));
        model.world.batches.push(batch);
        return None;
    }
    if !batch.is_undoable() {
        model.world.say(format!("{} cannot be undone; enable and disable can", batch.order.name));
        model.world.batches.push(batch);
        return None;
    }
    let undo = batch.undo(&model.world.fleet);
    let named = undo.changed_since.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    if undo.apps.is_empty() {
        let why = if named.is_empty() { "all are as they were" } else { "changed by others since: " };
        model.world.say(format!("nothing to undo: {why}{named}"));
        model.world.batches.push(batch);
        return None;
    }
    let left = undo.changed_since.len();
    let order = Order {
        name: undo.name,
        what: format!("undo for {}", batch.order.what),
        note: Some(format!("undo of {}", batch.order.name)),
        pace: Pace::All,
        stop_at: None,
        apps: undo.apps,
    };
    let cmd = send(model, order);
    if left > 0 {
        model.world.say(format!("left alone, {left} changed by others since: {named}"));
    }
    cmd
}

pub(super) fn dry_run(model: &mut Model) {
    model.world.is_dry = !model.world.is_dry;
    let key = model.world.keys.key(Tab::Fleet, Intent::Common(Common::DryRun));
    model.world.say(if model.world.is_dry {
        format!("dry run: nothing is sent until {key} is pressed again")
    } else {
        "dry run is over: commands are sent".to_owned()
    });
}
