//! Questions before something is done.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, Clear, Widget as _};

use super::text::put;
use crate::console::dialog::confirm::{Confirm, Consent};
use crate::console::model::Model;
use crate::console::theme::Theme;

/// The widest box.
const WIDTH: u16 = 64;

pub(super) fn draw(confirm: &Confirm, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let count = confirm.sent.len();
    let mut lines = vec![(format!("{count:>5} get the command"), theme.strong())];
    if count == 1 {
        lines = vec![(confirm.sent[0].to_string(), theme.strong())];
    }
    if confirm.without_effect > 0 {
        lines.push((
            format!("{:>5} it would change nothing for, not sent", confirm.without_effect),
            theme.faint(),
        ));
    }
    if confirm.pending > 0 {
        lines.push((format!("{:>5} have a command under way, not sent", confirm.pending), theme.faint()));
    }
    lines.push((String::new(), Style::new()));
    lines.push(match confirm.asks_for {
        Consent::Number => {
            (format!("Type {count} and enter to send {count} commands: {}_", confirm.typed), theme.alarm())
        }
        Consent::Yes | Consent::Nothing => ("y: do it      esc: nothing is done".to_owned(), theme.alarm()),
    });
    boxed(&format!(" {} {}? ", confirm.name, confirm.what), &lines, theme, buffer, area);
}

pub(super) fn draw_leave(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let running = model.world.fleet.total.running;
    let lines = [
        ("The manager lives in this console.".to_owned(), Style::new()),
        (format!("{running} apps are running; they run on either way."), Style::new()),
        (String::new(), Style::new()),
        ("b  leave the console, the manager goes on without it".to_owned(), theme.strong()),
        ("s  stop the manager: nothing is started or restarted".to_owned(), theme.strong()),
        ("esc  stay".to_owned(), theme.strong()),
    ];
    boxed(" leave? ", &lines, theme, buffer, area);
}

fn boxed(title: &str, lines: &[(String, Style)], theme: Theme, buffer: &mut Buffer, area: Rect) {
    let width = WIDTH.min(area.width);
    let height = (u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2)).min(area.height);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    Clear.render(place, buffer);
    let block = Block::bordered().border_set(theme.glyphs.border);
    let inner = block.inner(place);
    block.title(title.to_owned()).render(place, buffer);
    for (row, (text, style)) in lines.iter().enumerate() {
        put(buffer, inner, u16::try_from(row).unwrap_or(u16::MAX), 1, text, *style);
    }
}
