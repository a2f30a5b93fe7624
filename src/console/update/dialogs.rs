//! Keys while something lies above the screen.

use crossterm::event::{KeyCode, KeyEvent};

use super::{act, menus, seek};
use crate::console::cmd::{Cmd, Leave};
use crate::console::dialog::confirm::{Consent, Part};
use crate::console::dialog::field::Field;
use crate::console::dialog::{DEAF, Dialog};
use crate::console::keymap::{Common, Intent};
use crate::console::model::Model;

pub(super) fn key(model: &mut Model, event: KeyEvent) -> Option<Cmd> {
    match &model.dialog {
        None => None,
        Some(Dialog::Seek { .. }) => type_sought(model, event),
        Some(Dialog::Confirm(_)) => confirm(model, event),
        Some(Dialog::Retry(_)) => retry(model, event),
        Some(Dialog::Menu(_)) => menus::key(model, event),
        Some(Dialog::Leave { opened }) => {
            let is_deaf = model.world.now.mono < *opened + DEAF;
            leave(model, event, is_deaf)
        }
        Some(Dialog::Help(_)) => {
            help(model, event);
            None
        }
    }
}

fn confirm(model: &mut Model, event: KeyEvent) -> Option<Cmd> {
    let Some(Dialog::Confirm(confirm)) = &mut model.dialog else { return None };
    if model.world.now.mono < confirm.opened + DEAF {
        return None;
    }
    // A reason may be in any script, an answer is a key.
    let event = if confirm.focus == Part::Reason { event } else { model.world.keys.latin(event) };
    let is_agreed = match (event.code, confirm.focus) {
        (KeyCode::Esc, _) => {
            model.dialog = None;
            return None;
        }
        (KeyCode::Tab | KeyCode::Down, _) => {
            confirm.move_focus(false);
            false
        }
        (KeyCode::BackTab | KeyCode::Up, _) => {
            confirm.move_focus(true);
            false
        }
        (KeyCode::Enter, Part::Cancel) => {
            // It does nothing until the focus was moved: whoever types blindly changes nothing.
            false
        }
        (KeyCode::Enter, Part::Yes) => true,
        (KeyCode::Enter, _) if confirm.asks_for == Consent::Number => confirm.is_typed(),
        (KeyCode::Enter, Part::Reason) => {
            confirm.focus = Part::Yes;
            false
        }
        (_, Part::Reason) => {
            confirm.reason.edit(event);
            false
        }
        (KeyCode::Char('y' | 'Y'), _) if confirm.asks_for != Consent::Number => true,
        (KeyCode::Char('n' | 'N' | 'q'), _) => {
            model.dialog = None;
            return None;
        }
        (KeyCode::Left, Part::Pace | Part::Stop) => {
            confirm.turn(true);
            false
        }
        (KeyCode::Right | KeyCode::Char(' '), Part::Pace | Part::Stop) => {
            confirm.turn(false);
            false
        }
        (KeyCode::Left | KeyCode::Right, Part::Cancel) => {
            confirm.focus = Part::Yes;
            false
        }
        (KeyCode::Left | KeyCode::Right, Part::Yes) => {
            confirm.focus = Part::Cancel;
            false
        }
        (KeyCode::Char('0'..='9') | KeyCode::Backspace, _) => {
            confirm.typed.edit(event);
            false
        }
        _ => false,
    };
    if !is_agreed {
        return None;
    }
    if confirm.lacks_reason() {
        confirm.focus = Part::Reason;
        model.world.say("a reason is needed; it goes to the audit");
        return None;
    }
    let order = confirm.order();
    model.dialog = None;
    act::send(model, order)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all keys but a few are of no concern")]
fn retry(model: &mut Model, event: KeyEvent) -> Option<Cmd> {
    let event = model.world.keys.latin(event);
    let Some(Dialog::Retry(retry)) = &mut model.dialog else { return None };
    if model.world.now.mono < retry.opened + DEAF {
        return None;
    }
    let is_typed = retry.asks_for == Consent::Number;
    let is_agreed = match event.code {
        KeyCode::Esc | KeyCode::Char('n' | 'N' | 'q') => {
            model.dialog = None;
            return None;
        }
        KeyCode::Enter if is_typed => retry.is_typed(),
        // It does nothing until the focus was moved: whoever types blindly changes nothing.
        KeyCode::Enter => retry.is_on_yes,
        KeyCode::Char('y' | 'Y') => !is_typed,
        KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right => {
            retry.is_on_yes = !retry.is_on_yes;
            false
        }
        KeyCode::Char('0'..='9') | KeyCode::Backspace if is_typed => {
            retry.typed.edit(event);
            false
        }
        _ => false,
    };
    if !is_agreed {
        return None;
    }
    let Some(Dialog::Retry(retry)) = model.dialog.take() else { return None };
    act::send_documents(model, *retry)
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
            _ => {
                help.sought.edit(event);
            }
        }
        return;
    }
    let height = model.world.body().saturating_sub(1);
    let rows = help.top_max(&model.world.keys, (model.world.size.0, height)) + 1;
    match model.world.keys.intent(help.tab, event) {
        Some(Intent::Move(way)) => help.top = way.from(help.top, height, rows),
        Some(Intent::Common(Common::Find)) => help.is_typing = true,
        Some(Intent::Common(Common::Back | Common::Quit | Common::Help)) => model.dialog = None,
        Some(_) | None => {}
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all keys but a few are of no concern")]
fn leave(model: &mut Model, event: KeyEvent, is_deaf: bool) -> Option<Cmd> {
    match model.world.keys.latin(event).code {
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
