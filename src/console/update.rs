//! Decides what a message means. Pure: it waits for nothing and reads nothing.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};

use super::cmd::{Cmd, Leave};
use super::confirm::{Confirm, Consent, DEAF};
use super::keymap::{self, Intent, Place};
use super::log::LogView;
use super::model::{Focus, Link, Model};
use super::msg::Msg;
use super::sent::Sent;
use super::tree::Line;
use crate::model::{AppPath, CmdName};

/// ^c pressed again within this time leaves at once.
const QUIT_AGAIN: Duration = Duration::from_secs(2);

/// Takes in one message.
pub(super) fn update(model: &mut Model, msg: Msg) -> Option<Cmd> {
    match msg {
        Msg::Key(event) if event.kind == KeyEventKind::Release => None,
        Msg::Key(event) => key(model, event),
        Msg::Paste(text) => {
            paste(model, &text);
            None
        }
        Msg::Resize(columns, rows) => {
            model.size = (columns, rows);
            None
        }
        // The program knows what to do with them.
        Msg::Stop | Msg::Continued => None,
        Msg::HungUp => Some(Cmd::Leave(Leave::HungUp)),
        Msg::Interrupted(signal) => Some(Cmd::Leave(Leave::Interrupted(signal))),
        Msg::Tick(now) => {
            model.now = now;
            model.remark = model.remark.take().filter(|remark| remark.until > now.mono);
            None
        }
        Msg::Changes { delta, read } => {
            changes(model, delta, read);
            None
        }
        Msg::Managers(count) => {
            model.managers = Some(count);
            None
        }
        Msg::Lost(why) => {
            lost(model, why);
            None
        }
        Msg::Submitted(Ok(rows)) | Msg::Verdicts(rows) => {
            let what = rows.first().map(|row| row.name.to_string()).unwrap_or_default();
            model.sent = Some(Sent::new(&rows, what));
            None
        }
        Msg::Submitted(Err(why)) => {
            model.say(format!("nothing was sent: {why}"));
            None
        }
        Msg::Log { app, records, is_start } => {
            if let Focus::Log(log) = &mut model.focus
                && log.app == app
            {
                log.add(records, is_start);
            }
            None
        }
        Msg::LogFailed { app, why } => {
            if let Focus::Log(log) = &mut model.focus
                && log.app == app
            {
                log.fault = Some(why);
            }
            None
        }
    }
}

fn changes(model: &mut Model, delta: crate::model::Delta, read: crate::model::Timestamp) {
    if let Link::Lost { since, .. } = &model.link {
        let away = model.now.mono.saturating_sub(*since).as_secs();
        let count = delta.rows.len();
        model.say(format!("the database is back after {away} s: {count} apps changed"));
    }
    model.link = Link::Up { read };
    model.ahead = read - model.now.wall;
    let is_first = model.fleet.total.apps == 0;
    let reshaped = model.fleet.apply(delta);
    if is_first && model.fleet.total.apps <= model.page() {
        // A small fleet is shown as a whole.
        model.tree.set_all(true, &model.fleet);
    } else if reshaped {
        model.tree.rebuild(&model.fleet);
    }
}

fn lost(model: &mut Model, why: String) {
    model.link = match &model.link {
        Link::Lost { since, last, .. } => Link::Lost { since: *since, last: *last, why },
        Link::Up { read } => Link::Lost { since: model.now.mono, last: Some(*read), why },
        Link::Fresh => Link::Lost { since: model.now.mono, last: None, why },
    };
}

fn paste(model: &mut Model, text: &str) {
    if let Focus::Filter { text: typed, .. } = &mut model.focus {
        typed.extend(text.chars().filter(|c| !c.is_control()).take(200));
        let typed = typed.clone();
        model.tree.set_filter(&typed, &model.fleet);
    }
}

fn key(model: &mut Model, event: KeyEvent) -> Option<Cmd> {
    match &mut model.focus {
        Focus::Filter { .. } => {
            type_filter(model, event);
            None
        }
        Focus::Confirm(_) => answer(model, event),
        Focus::Leave { opened } => {
            let is_deaf = model.now.mono < *opened + DEAF;
            leave_dialog(model, event, is_deaf)
        }
        Focus::Fleet => keymap::intent(Place::Fleet, event).and_then(|intent| fleet(model, intent)),
        Focus::Log(_) => keymap::intent(Place::Log, event).and_then(|intent| log(model, intent)),
        Focus::Help { .. } => {
            let intent = keymap::intent(Place::Everywhere, event);
            help(model, intent)
        }
    }
}

fn fleet(model: &mut Model, intent: Intent) -> Option<Cmd> {
    let page = isize::try_from(model.page()).unwrap_or(isize::MAX);
    match intent {
        Intent::Up => model.tree.move_by(-1),
        Intent::Down => model.tree.move_by(1),
        Intent::PageUp => model.tree.move_by(-page),
        Intent::PageDown => model.tree.move_by(page),
        Intent::HalfUp => model.tree.move_by(-(page / 2).max(1)),
        Intent::HalfDown => model.tree.move_by((page / 2).max(1)),
        Intent::Top => model.tree.move_by(isize::MIN),
        Intent::Bottom => model.tree.move_by(isize::MAX),
        Intent::Open => {
            if !model.tree.open(&model.fleet) {
                return open_log(model);
            }
        }
        Intent::Close => model.tree.close(&model.fleet),
        Intent::OpenAll => model.tree.set_all(true, &model.fleet),
        Intent::CloseAll => model.tree.set_all(false, &model.fleet),
        Intent::NextProblem | Intent::PreviousProblem => {
            if !model.tree.go_to_problem(&model.fleet, intent == Intent::PreviousProblem) {
                model.say("no app needs anybody");
            }
        }
        Intent::Filter => {
            let text = model.tree.filter().text().to_owned();
            model.focus = Focus::Filter { before: text.clone(), text };
        }
        Intent::Log => return open_log(model),
        Intent::Issue(name) => return issue(model, name),
        Intent::Help => model.focus = Focus::Help { top: 0 },
        Intent::Back => {
            if model.tree.filter().is_active() {
                model.tree.set_filter("", &model.fleet);
            }
        }
        Intent::Quit => return quit(model),
        Intent::QuitNow => return quit_now(model),
        Intent::Redraw => return Some(Cmd::Redraw),
        Intent::Suspend => return suspend(model),
        Intent::Follow => {}
    }
    None
}

fn current_app(model: &Model) -> Option<AppPath> {
    match model.tree.current() {
        Some(Line::App(path)) => Some(path.clone()),
        Some(Line::Group(_) | Line::Parent(..)) | None => None,
    }
}

fn open_log(model: &mut Model) -> Option<Cmd> {
    let Some(app) = current_app(model) else {
        model.say("a log belongs to an app: open the group and choose one");
        return None;
    };
    model.focus = Focus::Log(LogView::new(app.clone()));
    Some(Cmd::OpenLog(app))
}

fn issue(model: &mut Model, name: CmdName) -> Option<Cmd> {
    if model.identity.is_read_only {
        model.say("this console is read-only");
        return None;
    }
    if let Link::Lost { why, .. } = &model.link {
        let text = format!("actions are off until the database answers: {why}");
        model.say(text);
        return None;
    }
    let line = model.tree.current()?.clone();
    let confirm = Confirm::new(name, &line, &model.fleet, model.now.mono);
    if confirm.sent.is_empty() {
        model.say(format!("{name} would change nothing for {}", line.name()));
        return None;
    }
    if confirm.asks_for == Consent::Nothing {
        return Some(Cmd::Submit { name, apps: confirm.sent });
    }
    model.focus = Focus::Confirm(confirm);
    None
}

fn answer(model: &mut Model, event: KeyEvent) -> Option<Cmd> {
    let Focus::Confirm(confirm) = &mut model.focus else { return None };
    if model.now.mono < confirm.opened + DEAF {
        return None;
    }
    let is_yes = match (confirm.asks_for, event.code) {
        (_, KeyCode::Esc) => {
            model.focus = Focus::Fleet;
            return None;
        }
        (Consent::Yes | Consent::Nothing, KeyCode::Char('y' | 'Y')) => true,
        (Consent::Yes | Consent::Nothing, KeyCode::Char('n' | 'N' | 'q')) => {
            model.focus = Focus::Fleet;
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
    model.focus = Focus::Fleet;
    Some(Cmd::Submit { name, apps })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all keys but a few are of no concern")]
fn type_filter(model: &mut Model, event: KeyEvent) {
    let Focus::Filter { text, before } = &mut model.focus else { return };
    match event.code {
        KeyCode::Enter => {
            model.focus = Focus::Fleet;
            return;
        }
        KeyCode::Esc => {
            let before = std::mem::take(before);
            model.tree.set_filter(&before, &model.fleet);
            model.focus = Focus::Fleet;
            return;
        }
        KeyCode::Backspace => drop(text.pop()),
        KeyCode::Char('u') if event.modifiers.contains(crossterm::event::KeyModifiers::CONTROL) => {
            text.clear();
        }
        KeyCode::Char(c) if event.modifiers.difference(crossterm::event::KeyModifiers::SHIFT).is_empty() => {
            if text.len() < 200 {
                text.push(c);
            }
        }
        _ => return,
    }
    let text = text.clone();
    model.tree.set_filter(&text, &model.fleet);
}

fn log(model: &mut Model, intent: Intent) -> Option<Cmd> {
    let height = model.page();
    let page = isize::try_from(height).unwrap_or(isize::MAX);
    let Focus::Log(log) = &mut model.focus else { return None };
    match intent {
        Intent::Up => log.scroll(-1, height),
        Intent::Down => log.scroll(1, height),
        Intent::PageUp => log.scroll(-page, height),
        Intent::PageDown => log.scroll(page, height),
        Intent::HalfUp => log.scroll(-(page / 2).max(1), height),
        Intent::HalfDown => log.scroll((page / 2).max(1), height),
        Intent::Top => log.show_start(),
        Intent::Bottom | Intent::Follow => log.follow(),
        Intent::Back | Intent::Quit => {
            model.focus = Focus::Fleet;
            return Some(Cmd::CloseLog);
        }
        Intent::Help => {
            model.focus = Focus::Help { top: 0 };
            return Some(Cmd::CloseLog);
        }
        Intent::QuitNow => return quit_now(model),
        Intent::Redraw => return Some(Cmd::Redraw),
        Intent::Suspend => return suspend(model),
        Intent::Open
        | Intent::Close
        | Intent::OpenAll
        | Intent::CloseAll
        | Intent::NextProblem
        | Intent::PreviousProblem
        | Intent::Filter
        | Intent::Log
        | Intent::Issue(_) => {}
    }
    None
}

fn help(model: &mut Model, intent: Option<Intent>) -> Option<Cmd> {
    let page = model.page();
    let Focus::Help { top } = &mut model.focus else { return None };
    let last = keymap::BINDINGS.len().saturating_sub(1);
    match intent {
        Some(Intent::Up) => *top = top.saturating_sub(1),
        Some(Intent::Down) => *top = (*top + 1).min(last),
        Some(Intent::PageUp | Intent::HalfUp) => *top = top.saturating_sub(page),
        Some(Intent::PageDown | Intent::HalfDown) => *top = (*top + page).min(last),
        Some(Intent::QuitNow) => return quit_now(model),
        Some(Intent::Redraw) => return Some(Cmd::Redraw),
        Some(Intent::Suspend) => return suspend(model),
        Some(Intent::Back | Intent::Quit | Intent::Help) => model.focus = Focus::Fleet,
        Some(_) | None => {}
    }
    None
}

fn quit(model: &mut Model) -> Option<Cmd> {
    if model.identity.is_attached {
        model.focus = Focus::Leave { opened: model.now.mono };
        return None;
    }
    Some(Cmd::Leave(Leave::Client))
}

/// A manager that stands still starts nothing, so an attached console asks what is meant.
fn suspend(model: &mut Model) -> Option<Cmd> {
    if model.identity.is_attached {
        return quit(model);
    }
    Some(Cmd::Suspend)
}

/// ^c twice leaves; what is attached goes on without a console, since nothing was said against it.
fn quit_now(model: &mut Model) -> Option<Cmd> {
    let is_second = model.quit_asked.is_some_and(|at| model.now.mono < at + QUIT_AGAIN);
    model.quit_asked = Some(model.now.mono);
    match (is_second, model.identity.is_attached) {
        (false, _) => {
            model.say("^c again leaves");
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
            model.focus = Focus::Fleet;
            None
        }
        _ => None,
    }
}
