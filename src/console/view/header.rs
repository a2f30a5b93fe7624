//! The first two lines: what fleet this is, how it is, and how old that knowledge is.

use chrono::Local;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::text::{count, put, put_right, span};
use crate::console::fleet::Condition;
use crate::console::model::Model;
use crate::console::theme::Theme;
use crate::console::world::Link;

pub(super) fn draw(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let total = &model.world.fleet.total;
    let glyphs = theme.glyphs;
    let role = match (model.world.identity.is_attached, model.world.identity.is_read_only) {
        (_, true) => "[RO]",
        (true, false) => "[attached]",
        (false, false) => "[client]",
    };
    let mut at = if area.width >= 60 {
        let place =
            put(buffer, area, 0, 0, &format!(" dcm {} ", model.world.identity.database), theme.strong());
        let text = format!("{role} {} apps ", count(total.apps as u64));
        put(buffer, area, 0, place, &text, theme.faint())
    } else {
        put(buffer, area, 0, 0, " dcm", theme.strong())
    };
    for (condition, number) in [
        (Condition::Running, total.running),
        (Condition::Idle, total.idle),
        (Condition::Waiting, total.waiting),
        (Condition::Stopped, total.stopped),
    ] {
        if number > 0 || condition == Condition::Running {
            let text = format!(" {}{}", glyphs.condition(condition), count(number as u64));
            at = put(buffer, area, 0, at, &text, theme.condition(condition));
        }
    }
    if total.disabled > 0 {
        put(
            buffer,
            area,
            0,
            at,
            &format!(" {}{}", glyphs.disabled, count(total.disabled as u64)),
            theme.faint(),
        );
    }
    let time = model.world.time().with_timezone(&Local).format("%H:%M:%S");
    let right = if area.width >= 60 {
        format!("  {}  {time} ", model.world.identity.user)
    } else {
        format!(" {time}")
    };
    put_right(buffer, area, 0, area.width, &right, theme.faint());
    second_line(model, theme, buffer, area);
}

fn second_line(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    if let Link::Lost { since, last, why } = &model.world.link {
        let away =
            span(i64::try_from(model.world.now.mono.saturating_sub(*since).as_secs()).unwrap_or(i64::MAX));
        let data = last
            .map(|last| format!(" - data of {}", last.with_timezone(&Local).format("%H:%M:%S")))
            .unwrap_or_default();
        let text = format!(" CONNECTION LOST {away}{data} - {why}");
        let end = put(buffer, area, 1, 0, &text, theme.banner());
        let rest = " ".repeat(usize::from(area.width.saturating_sub(end)));
        put(buffer, area, 1, end, &rest, theme.banner());
        return;
    }
    let total = &model.world.fleet.total;
    let mut at = 1;
    if total.fatal > 0 {
        let text = format!("{}{} FATAL  ", theme.glyphs.fatal, count(total.fatal as u64));
        at = put(buffer, area, 1, at, &text, theme.alarm());
    }
    let set_aside = model.world.fleet.set_aside().count();
    if set_aside > 0 {
        at = put(buffer, area, 1, at, &format!("{set_aside} set aside  "), theme.alarm());
    }
    if total.task_size > 0 {
        let text = format!("work {}/{}  ", count(total.solved), count(total.task_size));
        at = put(buffer, area, 1, at, &text, theme.faint());
    }
    at = match model.world.managers {
        Some(0) => {
            put(buffer, area, 1, at, "no manager is running: nothing is started or stopped  ", theme.alarm())
        }
        Some(managers) => put(buffer, area, 1, at, &format!("mgr {managers}  "), theme.faint()),
        None => at,
    };
    if let Link::Up { read } = &model.world.link {
        let age = (model.world.time() - *read).num_seconds().max(0);
        put(buffer, area, 1, at, &format!("data {}", span(age)), theme.faint());
    }
}
