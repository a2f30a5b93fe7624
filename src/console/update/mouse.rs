//! The mouse moves and chooses, and never commands.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::{follow_turn, obey};
use crate::console::cmd::Cmd;
use crate::console::keymap::{Common, Intent, Move};
use crate::console::model::Model;
use crate::console::screen::Turn;
use crate::console::view::{Hit, hit};

/// A notch of the wheel moves by so many rows.
const NOTCH: usize = 3;

pub(super) fn act(model: &mut Model, event: MouseEvent) -> Option<Cmd> {
    // A question is answered by keys.
    if !model.world.has_mouse || model.dialog.is_some() {
        return None;
    }
    match event.kind {
        MouseEventKind::ScrollUp => roll(model, Move::Up),
        MouseEventKind::ScrollDown => roll(model, Move::Down),
        MouseEventKind::Down(MouseButton::Left) => match hit(model, (event.column, event.row))? {
            Hit::Tab(tab) => obey(model, Intent::Common(Common::Go(tab))),
            Hit::Problem(app) => follow_turn(model, Turn::GoTo(app)),
            Hit::Line(line) => {
                model.table.click(&model.world, line);
                None
            }
        },
        MouseEventKind::Down(_)
        | MouseEventKind::Up(_)
        | MouseEventKind::Drag(_)
        | MouseEventKind::Moved
        | MouseEventKind::ScrollLeft
        | MouseEventKind::ScrollRight => None,
    }
}

fn roll(model: &mut Model, way: Move) -> Option<Cmd> {
    (0..NOTCH).fold(None, |cmd, _| obey(model, Intent::Move(way)).or(cmd))
}
