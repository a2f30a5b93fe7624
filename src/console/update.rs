//! Decides what a message means. Pure: it waits for nothing and reads nothing.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};

use super::cmd::{Cmd, Leave};
use super::dialog::confirm::{Confirm, Consent};
use super::dialog::field::Field;
use super::dialog::help::Help;
use super::dialog::{DEAF, Dialog};
use super::keymap::{self, Common, Intent};
use super::model::Model;
use super::msg::Msg;
use super::request::Request;
use super::screen::{Screen, Tab, Turn};
use super::sent::Sent;
use super::world::Link;
use crate::model::{AppPath, CmdName, Delta, Timestamp};

/// ^c pressed again within this time leaves at once.
const QUIT_AGAIN: Duration = Duration::from_secs(2);

/// Takes in one message.
pub(super) fn update(model: &mut Model, msg: Msg) -> Option<Cmd> {
    match msg {
        Msg::Key(event) if event.kind == KeyEventKind::Release => None,
        Msg::Key(event) => key(model, event),
        Msg::Paste(text) => paste(model, &text),
        Msg::Resize(columns, rows) => {
            model.world.size = (columns, rows);
            None
        }
        Msg::Stop => suspend(model),
        // Somebody else may have had the terminal.
        Msg::Continued => Some(Cmd::Redraw),
        Msg::HungUp => Some(Cmd::Leave(Leave::HungUp)),
        Msg::Interrupted(signal) => Some(Cmd::Leave(Leave::Interrupted(signal))),
        Msg::Tick(now) => {
            model.world.now = now;
            model.world.remark = model.world.remark.take().filter(|remark| remark.until > now.mono);
            let (page, world) = model.parts();
            Cmd::work(page.tick(world))
        }
        Msg::Changes { delta, read } => {
            changes(model, delta, read);
            None
        }
        Msg::Managers(count) => {
            model.world.managers = Some(count);
            None
        }
        Msg::Lost(why) => {
            lost(model, why);
            None
        }
        Msg::Submitted(Ok(rows)) | Msg::Verdicts(rows) => {
            let what = rows.first().map(|row| row.name.to_string()).unwrap_or_default();
            model.world.sent = Some(Sent::new(&rows, what));
            None
        }
        Msg::Submitted(Err(why)) => {
            model.world.say(format!("nothing was sent: {why}"));
            None
        }
        Msg::Answer { ticket, answer } => {
            let Model { stack, world, .. } = model;
            // A screen that has gone does not take its answer, nor does any other.
            let _ =
                stack.all_mut().filter_map(Screen::page_mut).any(|page| page.answer(world, ticket, &answer));
            None
        }
        Msg::Log(news) => {
            match model.stack.top_mut() {
                Screen::Logs(logs) => logs.take(news),
                Screen::Detail(detail) => detail.logs.take(news),
                Screen::Fleet
                | Screen::Alerts(_)
                | Screen::History(_)
                | Screen::Managers(_)
                | Screen::Commands(_) => {}
            }
            None
        }
    }
}

fn changes(model: &mut Model, delta: Delta, read: Timestamp) {
    let Model { world, table, .. } = model;
    if let Link::Lost { since, .. } = &world.link {
        let away = world.now.mono.saturating_sub(*since).as_secs();
        let count = delta.rows.len();
        world.say(format!("the database is back after {away} s: {count} apps changed"));
    }
    world.link = Link::Up { read };
    world.ahead = read - world.now.wall;
    let is_first = world.fleet.total.apps == 0;
    let reshaped = world.fleet.apply(delta);
    table.follow(world, is_first, reshaped);
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
        Some(Dialog::Help(_) | Dialog::Confirm(_) | Dialog::Leave { .. }) | None => None,
    }
}

fn seek(model: &mut Model, text: &str) -> Option<Cmd> {
    let (page, world) = model.parts();
    Cmd::work(page.seek(world, text))
}

fn key(model: &mut Model, event: KeyEvent) -> Option<Cmd> {
    match keymap::intent(Tab::Fleet, event) {
        Some(Intent::Common(Common::QuitNow)) => return quit_now(model),
        Some(Intent::Common(Common::Suspend)) => return suspend(model),
        Some(_) | None => {}
    }
    match &model.dialog {
        None => {
            let intent = keymap::intent(model.tab(), event)?;
            obey(model, intent)
        }
        Some(Dialog::Seek { .. }) => type_sought(model, event),
        Some(Dialog::Confirm(_)) => answer(model, event),
        Some(Dialog::Leave { opened }) => {
            let is_deaf = model.world.now.mono < *opened + DEAF;
            leave_dialog(model, event, is_deaf)
        }
        Some(Dialog::Help(_)) => {
            help(model, event);
            None
        }
    }
}

/// Does what a key of the screen asks for.
pub(super) fn obey(model: &mut Model, intent: Intent) -> Option<Cmd> {
    if let Intent::Common(common) = intent {
        return obey_common(model, common);
    }
    let (page, world) = model.parts();
    match page.act(world, intent)? {
        Turn::Work(request) => Cmd::work([request]),
        Turn::Open(screen) => switch(model, |model| model.stack.push(*screen)),
        Turn::GoTo(app) => {
            let cmd = switch(model, |model| model.stack.select(Tab::Fleet));
            model.table.go_to(&model.world, &app);
            cmd
        }
        Turn::Issue(name, apps) => issue(model, name, &apps),
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
        Common::ReadAgain => {
            let (page, world) = model.parts();
            return Cmd::work([Request::Look].into_iter().chain(page.refresh(world)));
        }
        Common::Find => {
            let before = model.page().sought();
            model.dialog = Some(Dialog::Seek { field: Field::new(&before), before });
        }
        Common::Go(tab) if tab == model.tab() => {}
        Common::Go(tab) => return switch(model, |model| model.stack.select(tab)),
    }
    None
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

fn issue(model: &mut Model, name: CmdName, apps: &[AppPath]) -> Option<Cmd> {
    let world = &mut model.world;
    if world.identity.is_read_only {
        world.say("this console is read-only");
        return None;
    }
    if let Link::Lost { why, .. } = &world.link {
        let text = format!("actions are off until the database answers: {why}");
        world.say(text);
        return None;
    }
    let line = model.table.tree.current()?.clone();
    let _ = apps;
    let confirm = Confirm::new(name, &line, &world.fleet, world.now.mono);
    if confirm.sent.is_empty() {
        world.say(format!("{name} would change nothing for {}", line.name()));
        return None;
    }
    if confirm.asks_for == Consent::Nothing {
        return Cmd::work([Request::Submit { name, apps: confirm.sent }]);
    }
    model.dialog = Some(Dialog::Confirm(confirm));
    None
}

fn answer(model: &mut Model, event: KeyEvent) -> Option<Cmd> {
    let Some(Dialog::Confirm(confirm)) = &mut model.dialog else { return None };
    if model.world.now.mono < confirm.opened + DEAF {
        return None;
    }
    let is_yes = match (confirm.asks_for, event.code) {
        (_, KeyCode::Esc) => {
            model.dialog = None;
            return None;
        }
        (Consent::Yes | Consent::Nothing, KeyCode::Char('y' | 'Y')) => true,
        (Consent::Yes | Consent::Nothing, KeyCode::Char('n' | 'N' | 'q')) => {
            model.dialog = None;
            return None;
        }
        (Consent::Number, KeyCode::Char(digit @ '0'..='9')) if confirm.typed.len() < 6 => {
            confirm.typed.push(digit);
            false
        }
        (Consent::Number, KeyCode::Backspace) => {
            confirm.typed.pop();
            false
        }
        (Consent::Number, KeyCode::Enter) => confirm.is_typed(),
        _ => false,
    };
    if !is_yes {
        return None;
    }
    let (name, apps) = (confirm.name, std::mem::take(&mut confirm.sent));
    model.dialog = None;
    Cmd::work([Request::Submit { name, apps }])
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all keys but a few are of no concern")]
fn type_sought(model: &mut Model, event: KeyEvent) -> Option<Cmd> {
    let Some(Dialog::Seek { field, before }) = &mut model.dialog else { return None };
    let text = match event.code {
        KeyCode::Enter => {
            model.dialog = None;
            return None;
        }
        KeyCode::Esc => {
            let before = std::mem::take(before);
            model.dialog = None;
            before
        }
        _ if field.edit(event) => field.text(),
        _ => return None,
    };
    seek(model, &text)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all keys but a few are of no concern")]
fn help(model: &mut Model, event: KeyEvent) {
    let Some(Dialog::Help(help)) = &mut model.dialog else { return };
    if help.is_typing {
        match event.code {
            KeyCode::Enter => help.is_typing = false,
            KeyCode::Esc => {
                help.is_typing = false;
                help.sought = Field::default();
            }
            _ => drop(help.sought.edit(event)),
        }
        return;
    }
    let rows = help.sections().iter().map(|(_, lines)| lines.len() + 2).sum();
    match keymap::intent(help.tab, event) {
        Some(Intent::Move(way)) => help.top = way.from(help.top, model.world.body(), rows),
        Some(Intent::Common(Common::Find)) => help.is_typing = true,
        Some(Intent::Common(Common::Back | Common::Quit | Common::Help)) => model.dialog = None,
        Some(_) | None => {}
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

#[expect(clippy::wildcard_enum_match_arm, reason = "all keys but a few are of no concern")]
fn leave_dialog(model: &mut Model, event: KeyEvent, is_deaf: bool) -> Option<Cmd> {
    match event.code {
        _ if is_deaf => None,
        KeyCode::Char('b') => Some(Cmd::Leave(Leave::Headless)),
        KeyCode::Char('s') => Some(Cmd::Leave(Leave::Stop)),
        KeyCode::Esc | KeyCode::Char('q') => {
            model.dialog = None;
            None
        }
        _ => None,
    }
}
