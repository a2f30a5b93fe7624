//! How the body of the fleet screen is divided: the table, what needs somebody on top of it, and the
//! detail below or beside it, as there is room.

use ratatui::layout::Rect;

use super::Places;
use crate::console::world::World;

/// From this width on the detail is on the right, and so wide.
const RIGHT_FROM: u16 = 170;
const RIGHT_WIDTH: u16 = 63;

/// From this size of the body on it is below, and so high.
const BELOW_FROM: (u16, u16) = (110, 28);
const BELOW_HEIGHT: u16 = 13;

/// From this height of a wide body on there is a line of time at its foot, and so high.
const STRIP_FROM: u16 = 30;
const STRIP_HEIGHT: u16 = 4;

/// From this width or this height on there is a head above the columns.
const HEAD_FROM: (u16, u16) = (60, 14);

/// The parts of the fleet screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) struct Panes {
    pub(in crate::console) table: Rect,
    pub(in crate::console) detail: Option<Rect>,
    /// What the app under the cursor and all together did of late.
    pub(super) strip: Option<Rect>,
    /// Whether the columns have a head: a small screen has better use for the row.
    pub(super) has_head: bool,
    /// Rows for what needs somebody.
    pub(super) attention: u16,
    /// Whether a line tells what is shown.
    pub(super) has_status: bool,
}

impl Panes {
    /// Whether there is room to show how many ran at once.
    pub(in crate::console) const fn has_strip(&self) -> bool {
        self.strip.is_some()
    }

    pub(in crate::console) fn of(world: &World) -> Self {
        let mut body = Places::of(world.size).body;
        let has_strip = body.width >= RIGHT_FROM && body.height >= STRIP_FROM;
        let strip = has_strip.then(|| {
            body.height -= STRIP_HEIGHT;
            Rect { y: body.bottom(), height: STRIP_HEIGHT, ..body }
        });
        let troubled = u16::try_from(world.fleet.total.troubled()).unwrap_or(u16::MAX);
        let (table, detail) = if body.width >= RIGHT_FROM {
            let left = body.width - RIGHT_WIDTH;
            let right = Rect { x: body.x + left, width: RIGHT_WIDTH, ..body };
            (Rect { width: left, ..body }, Some(right))
        } else if body.width >= BELOW_FROM.0 && body.height >= BELOW_FROM.1 {
            let upper = body.height - BELOW_HEIGHT;
            let lower = Rect { y: body.y + upper, height: BELOW_HEIGHT, ..body };
            (Rect { height: upper, ..body }, Some(lower))
        } else {
            (body, None)
        };
        let attention = match table.height {
            0..14 => 0,
            14..20 => 3,
            20..36 => 5,
            36.. => 8,
        };
        Self {
            table,
            detail,
            strip,
            has_head: table.width >= HEAD_FROM.0 || table.height >= HEAD_FROM.1,
            attention: attention.min(troubled),
            has_status: table.height >= 8,
        }
    }

    /// Rows of the table below its head.
    pub(in crate::console) fn table_rows(&self) -> usize {
        let above = u16::from(self.has_head) + self.attention + u16::from(self.has_status);
        usize::from(self.table.height.saturating_sub(above))
    }
}
