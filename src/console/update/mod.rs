//! Decides what a message means. Pure: it waits for nothing and reads nothing.

mod act;
mod data;
mod dialogs;
mod menus;
mod mouse;

pub(super) use menus::open_view;

use std::time::Duration;

use crossterm::event::{KeyEvent, KeyEventKind};

use super::cmd::{Cmd, Leave};
use super::dialog::Dialog;
use super::dialog::field::Field;
use super::dialog::help::Help;
use super::export::Purpose;
use super::fleet::Change;
use super::keymap::{self, Common, Intent};
use super::model::Model;
use super::msg::Msg;
use super::request::{Answer, Request, Ticket};
use super::screen::{Ask, Page as _, Screen, Tab, Turn};
use super::world::{Bell, Link, World};
use crate::model::{Delta, Timestamp};
use crate::store::StoreError;

/// Time passes with every message; what it does to the apps is concluded so often.
const JUDGE_EVERY: Duration = Duration::from_secs(1);

/// ^c pressed again within this time leaves at once.
const QUIT_AGAIN: Duration = Duration::from_secs(2);

/// Takes in one message.
pub(super) fn update(model: &mut Model, msg: Msg) -> Option<Cmd> {
    match msg {
        Msg::Key(event) if event.kind == KeyEventKind::Release => None,
        Msg::Key(event) => key(model, event),
        Msg::Mouse(event) => mouse::act(model, event),
        Msg::Paste(text) => paste(model, &text),
        Msg::Resize(columns, rows) => {
            model.world.size = (columns, rows);
            None
        }
        Msg::Focus(focus) => {
            model.world.focus = focus;
            Cmd::work(change_of_pace(&mut model.world))
        }
        // The terminal's business.
        Msg::Heard(..) => None,
        Msg::Distance(took) => {
            model.world.distance = Some(took);
            None
        }
        Msg::Stop => suspend(model),
        // Somebody else may have had the terminal.
        Msg::Continued => Some(Cmd::Redraw),
        Msg::Back(remark) => {
            if let Some(remark) = remark {
                model.world.say(remark);
            }
            Some(Cmd::Redraw)
        }
        Msg::HungUp => Some(Cmd::Leave(Leave::HungUp)),
        Msg::Interrupted(signal) => Some(Cmd::Leave(Leave::Interrupted(signal))),
        Msg::FrameLate(by) => {
            model.world.note_frame(by);
            None
        }
        Msg::Tick(now) => tick(model, now),
        Msg::Changes { delta, read } => changes(model, delta, read),
        Msg::Managers(rows) => {
            let read = model.world.time();
            model.world.fleet.meet(rows, read);
            None
        }
        Msg::Begun(count) => {
            model.world.begun = Some(count);
            None
        }
        Msg::Latency(took) => {
            model.world.note_latency(took);
            None
        }
        Msg::Lost(why) => {
            lost(model, why);
            None
        }
        Msg::Submitted { ticket, result } => act::submitted(model, ticket, &result),
        Msg::Verdicts(rows) => act::verdicts(model, &rows),
        Msg::Answer { ticket, answer } => take_answer(model, ticket, answer),
        Msg::Log(news) => {
            match model.stack.top_mut() {
                Screen::Logs(logs) => logs.take(news),
                Screen::Detail(detail) => detail.logs.take(news),
                Screen::Fleet => model.table.detail.log.take(news),
                Screen::Alerts(_)
                | Screen::History(_)
                | Screen::Pipeline(_)
                | Screen::Managers(_)
                | Screen::Commands(_) => {}
            }
            None
        }
    }
}

/// Takes in the answer to a question. A screen that has gone does not take its answer, nor does any other.
fn take_answer(model: &mut Model, ticket: Ticket, answer: Result<Answer, StoreError>) -> Option<Cmd> {
    if let Some((_, purpose)) = model.wanted_rows.take_if(|(wanted, _)| *wanted == ticket) {
        return data::answered(model, purpose, answer);
    }
    let Model { stack, world, table, .. } = model;
    let _ = world.answer(ticket, &answer)
        || table.answer(world, ticket, &answer)
        || stack.all_mut().filter_map(Screen::page_mut).any(|page| page.answer(world, ticket, &answer));
    None
}

fn tick(model: &mut Model, now: crate::model::Now) -> Option<Cmd> {
    let Model { world, table, dialog, .. } = model;
    world.now = now;
    world.remark = world.remark.take().filter(|remark| remark.until > now.mono);
    world.has_dialog = dialog.is_some();
    // What is wrong with an app depends on the time, unless nothing has been heard since or nobody looks.
    let is_due =
        now.mono >= world.judged + JUDGE_EVERY.max(world.pace) && matches!(world.link, Link::Up { .. });
    let change = if is_due {
        world.judged = now.mono;
        world.fleet.judge(world.time())
    } else {
        Change::default()
    };
    table.follow(world, false, change);
    if let Some(ring) = ring(&model.world, change) {
        return Some(ring);
    }
    let world = &mut model.world;
    let asked = [change_of_pace(world), world.count_alerts(), world.sum_documents(), world.ask_recent()];
    let (page, world) = model.parts();
    Cmd::work(asked.into_iter().flatten().chain(page.tick(world)))
}

/// The database is asked as often as somebody looks.
fn change_of_pace(world: &mut World) -> Option<Request> {
    let wanted = world.wanted_pace();
    if wanted == world.pace {
        return None;
    }
    world.pace = wanted;
    Some(Request::Pace(wanted))
}

/// The bell, for those who want it, when an app is newly in trouble.
fn ring(world: &World, change: Change) -> Option<Cmd> {
    (world.bell == Bell::On && change.news().is_some()).then_some(Cmd::Ring)
}

fn changes(model: &mut Model, delta: Delta, read: Timestamp) -> Option<Cmd> {
    model.world.clock = (read, model.world.now.mono);
    if let Some(held) = &mut model.world.held {
        held.rows += delta.rows.len();
        held.deltas.push((delta, read));
        if held.rows > super::world::HELD_MAX {
            model.world.say("too much has changed; the display goes on");
            resume(model);
        }
        return None;
    }
    take_changes(model, delta, read)
}

fn take_changes(model: &mut Model, delta: Delta, read: Timestamp) -> Option<Cmd> {
    let Model { world, table, .. } = model;
    let away = match &world.link {
        Link::Lost { since, .. } => Some(world.now.mono.saturating_sub(*since).as_secs()),
        Link::Up { .. } | Link::Fresh => None,
    };
    let count = delta.rows.len();
    world.link = Link::Up { read };
    let is_first = world.fleet.total.apps == 0;
    let change = world.fleet.apply(delta, read);
    table.follow(world, is_first, change);
    if let Some(away) = away {
        let news = change.news().unwrap_or_else(|| "nothing new is wrong".to_owned());
        world.say(format!("back after {away} s: {count} apps changed, {news}"));
    }
    ring(world, change).filter(|_| !is_first)
}

/// The display goes on: what came meanwhile is taken in.
fn resume(model: &mut Model) {
    let Some(held) = model.world.held.take() else { return };
    for (delta, read) in held.deltas {
        take_changes(model, delta, read);
    }
}

fn lost(model: &mut Model, why: String) {
    let world = &mut model.world;
    world.link = match &world.link {
        Link::Lost { since, last, .. } => Link::Lost { since: *since, last: *last, why },
        Link::Up { read } => Link::Lost { since: world.now.mono, last: Some(*read), why },
        Link::Fresh => Link::Lost { since: world.now.mono, last: None, why },
    };
}

/// Pasted text is never taken for keys: it goes to what is being typed, or nowhere.
fn paste(model: &mut Model, text: &str) -> Option<Cmd> {
    match &mut model.dialog {
        Some(Dialog::Seek { field, .. }) => {
            field.paste(text);
            let text = field.text();
            seek(model, &text)
        }
        Some(Dialog::Help(help)) if help.is_typing => {
            help.sought.paste(text);
            None
        }
        Some(Dialog::Menu(menu)) => {
            menu.query.paste(text);
            menus::narrow(model);
            None
        }
        Some(Dialog::Confirm(confirm)) => {
            confirm.paste(text);
            None
        }
        Some(Dialog::Help(_) | Dialog::Leave { .. } | Dialog::Retry(_)) | None => None,
    }
}

fn seek(model: &mut Model, text: &str) -> Option<Cmd> {
    let (page, world) = model.parts();
    Cmd::work(page.seek(world, text))
}

fn key(model: &mut Model, event: KeyEvent) -> Option<Cmd> {
    model.world.touched = model.world.now.mono;
    match model.world.keys.intent(Tab::Fleet, event) {
        Some(Intent::Common(Common::QuitNow)) => return quit_now(model),
        Some(Intent::Common(Common::Suspend)) => return suspend(model),
        Some(_) | None => {}
    }
    model.world.has_dialog = model.dialog.is_some();
    if model.dialog.is_some() {
        return dialogs::key(model, event);
    }
    if let Some(place) = menus::saved_view_key(model, event) {
        menus::open_saved(model, place);
        return None;
    }
    let intent = model.world.keys.intent(model.tab(), event)?;
    model.is_after_top = intent == Intent::Move(keymap::Move::Top);
    obey(model, intent)
}

/// Does what a key of the screen asks for.
pub(super) fn obey(model: &mut Model, intent: Intent) -> Option<Cmd> {
    if let Intent::Common(common) = intent {
        return obey_common(model, common);
    }
    let (page, world) = model.parts();
    let turn = page.act(world, intent)?;
    follow_turn(model, turn)
}

fn follow_turn(model: &mut Model, turn: Turn) -> Option<Cmd> {
    match turn {
        Turn::Work(request) => Cmd::work([request]),
        Turn::Open(screen) => switch(model, |model| model.stack.push(*screen)),
        Turn::Filter(text) => {
            let cmd = switch(model, |model| model.stack.select(Tab::Fleet));
            let Model { table, world, .. } = model;
            table.seek(world, &text);
            cmd
        }
        Turn::GoTo(app) => {
            let cmd = switch(model, |model| model.stack.select(Tab::Fleet));
            model.table.go_to(&model.world, &app);
            cmd
        }
        Turn::Issue(name, apps, what) => act::issue(model, act::wanted(model, name, apps, what)),
        Turn::ClearFatal(apps, what) => act::clear_fatal(model, apps, what),
        Turn::Retry(retry) => act::retry(model, retry),
        Turn::Copy(text) => Some(data::copy(model, text)),
        Turn::CopyRows(apps) => Some(data::want(model, apps, Purpose::Copy)),
        Turn::Ask(ask) => {
            menus::ask(model, ask);
            None
        }
    }
}

fn obey_common(model: &mut Model, common: Common) -> Option<Cmd> {
    match common {
        Common::Help => model.dialog = Some(Dialog::Help(Help::new(model.tab()))),
        Common::Back => return back(model),
        Common::Quit if model.tab() == Tab::Fleet => return quit(model),
        Common::Quit => return back(model),
        Common::QuitNow => return quit_now(model),
        Common::Redraw => return Some(Cmd::Redraw),
        Common::Suspend => return suspend(model),
        Common::Mouse => {
            let is_on = !model.world.has_mouse;
            model.world.has_mouse = is_on;
            let effect = if is_on { "the wheel moves, a click chooses" } else { "the terminal's own again" };
            model.world.say(format!("mouse: {effect}"));
            return Some(Cmd::Mouse(is_on));
        }
        Common::Shell => return shell(model),
        Common::ReadAgain => {
            let (page, world) = model.parts();
            return Cmd::work([Request::Look].into_iter().chain(page.refresh(world)));
        }
        Common::Find => {
            let before = model.page().sought();
            model.dialog = Some(Dialog::Seek { field: Field::new(&before), before });
        }
        Common::Palette => menus::ask(model, Ask::Palette),
        Common::Export if model.world.identity.is_read_only() => {
            model.world.say("this console is read-only: it writes no files");
        }
        Common::Export => menus::ask(model, Ask::Export),
        Common::Messages => menus::ask(model, Ask::Messages),
        Common::Pause => pause(model),
        Common::DryRun => act::dry_run(model),
        Common::Undo => return act::undo(model),
        Common::Go(tab) if tab == model.tab() => {}
        Common::Go(tab) => return switch(model, |model| model.stack.select(tab)),
    }
    None
}

/// Opens a screen above the one that is shown, with something sought in it.
pub(super) fn open(model: &mut Model, screen: Screen, sought: &str) -> [Option<Cmd>; 2] {
    let opened = switch(model, |model| model.stack.push(screen));
    [opened, if sought.is_empty() { None } else { seek(model, sought) }]
}

/// Shows another screen: the one before is told to rest, the new one to begin.
fn switch(model: &mut Model, change: impl FnOnce(&mut Model)) -> Option<Cmd> {
    let (page, _) = model.parts();
    let left = page.leave();
    change(model);
    let (page, world) = model.parts();
    let entered = page.enter(world);
    Cmd::work(left.into_iter().chain(entered))
}

/// One step back: inside the screen, then to the one before.
fn back(model: &mut Model) -> Option<Cmd> {
    let (page, world) = model.parts();
    if page.back(world) || model.tab() == Tab::Fleet {
        return None;
    }
    switch(model, |model| {
        model.stack.pop();
    })
}

fn pause(model: &mut Model) {
    if model.world.held.is_some() {
        resume(model);
    } else {
        model.world.held = Some(super::world::Held::default());
    }
}

fn quit(model: &mut Model) -> Option<Cmd> {
    if model.world.identity.is_attached {
        model.dialog = Some(Dialog::Leave { opened: model.world.now.mono });
        return None;
    }
    Some(Cmd::Leave(Leave::Client))
}

/// A manager that stands still starts nothing, so an attached console asks what is meant.
fn suspend(model: &mut Model) -> Option<Cmd> {
    if model.world.identity.is_attached {
        return quit(model);
    }
    Some(Cmd::Suspend)
}

/// A client has the shell that it was started from, and who may only look gets none.
fn shell(model: &mut Model) -> Option<Cmd> {
    let identity = &model.world.identity;
    let why = match (identity.read_only, identity.is_attached) {
        (Some(why), _) => why.to_string(),
        (None, false) => "a client has no shell: suspend it instead".to_owned(),
        (None, true) => return Some(Cmd::Shell),
    };
    model.world.say(why);
    None
}

/// ^c twice leaves; what is attached goes on without a console, since nothing was said against it.
fn quit_now(model: &mut Model) -> Option<Cmd> {
    let now = model.world.now.mono;
    let is_second = model.quit_asked.is_some_and(|at| now < at + QUIT_AGAIN);
    model.quit_asked = Some(now);
    match (is_second, model.world.identity.is_attached) {
        (false, _) => {
            model.world.say("^c again leaves");
            None
        }
        (true, true) => Some(Cmd::Leave(Leave::Headless)),
        (true, false) => Some(Cmd::Leave(Leave::Client)),
    }
}

#[cfg(test)]
mod tests;
