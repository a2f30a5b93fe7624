//! Draws the model: one file a screen. Only rows that are seen cost anything.

mod alerts;
mod commands;
mod confirm;
mod detail;
mod fleet;
mod footer;
mod header;
mod help;
mod history;
mod hit;
mod list;
mod logs;
mod managers;
mod menu;
mod panes;
mod pipeline;
mod places;
mod tabs;
mod text;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) use hit::{Hit, hit};
pub(super) use panes::Panes;
pub(super) use places::Places;
pub(super) use text::{clock, span, top_of};

use super::dialog::Dialog;
use super::model::Model;
use super::screen::{Screen, Tab};
use super::theme::Theme;
use super::world::Link;

/// Draws everything.
pub(super) fn draw(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    if area.height == 0 || area.width == 0 {
        return;
    }
    let places = Places::of((area.width, area.height));
    header::draw(model, theme, buffer, places.header);
    tabs::draw(model, theme, buffer, places.tabs);
    let (world, body) = (&model.world, places.body);
    match (&model.dialog, model.stack.top()) {
        (Some(Dialog::Help(help)), _) => help::draw(help, world, theme, buffer, body),
        (_, Screen::Fleet) => fleet::draw(model, theme, buffer, body),
        (_, Screen::Alerts(alerts)) => alerts::draw(alerts, world, theme, buffer, body),
        (_, Screen::Detail(detail)) => detail::draw(detail, world, theme, buffer, body),
        (_, Screen::Logs(logs)) => logs::draw(logs, world, theme, buffer, body),
        (_, Screen::History(history)) => history::draw(history, world, theme, buffer, body),
        (_, Screen::Pipeline(pipeline)) => pipeline::draw(pipeline, world, theme, buffer, body),
        (_, Screen::Managers(managers)) => managers::draw(managers, world, theme, buffer, body),
        (_, Screen::Commands(commands)) => commands::draw(commands, world, theme, buffer, body),
    }
    // Logs are read from files: they do not age with the database.
    if matches!(world.link, Link::Lost { .. }) && model.tab() != Tab::Logs {
        buffer.set_style(body, theme.old());
    }
    footer::draw(model, theme, buffer, places.footer);
    match &model.dialog {
        Some(Dialog::Confirm(confirm)) => confirm::draw(model, confirm, theme, buffer, area),
        Some(Dialog::Retry(retry)) => confirm::draw_retry(model, retry, theme, buffer, area),
        Some(Dialog::Leave { .. }) => confirm::draw_leave(model, theme, buffer, area),
        Some(Dialog::Menu(menu)) => menu::draw(menu, theme, buffer, area),
        Some(Dialog::Seek { .. } | Dialog::Help(_)) | None => {}
    }
}

#[cfg(test)]
mod tests;
