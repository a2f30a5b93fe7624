//! Questions before something is done.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, Clear, Widget as _};

use super::text::put;
use crate::console::batch::Pace;
use crate::console::cells::padded;
use crate::console::dialog::confirm::{Confirm, Consent, Effect, Part, Weight};
use crate::console::dialog::field::Field;
use crate::console::dialog::retry::Retry;
use crate::console::model::Model;
use crate::console::theme::Theme;
use crate::model::CmdName;

/// The widest box.
const WIDTH: u16 = 64;

type Line = Vec<(String, Style)>;

pub(super) fn draw(model: &Model, confirm: &Confirm, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let mut lines = effects(model, confirm, theme);
    if confirm.sent.len() > 1 {
        lines.push(pace(confirm, theme));
    }
    let label = if confirm.needs_reason { "Reason (needed, audit): " } else { "Reason (audit): " };
    let style = if confirm.lacks_reason() { theme.strong() } else { theme.faint() };
    let mut reason = vec![(label.to_owned(), style)];
    reason.extend(typed(&confirm.reason, confirm.focus == Part::Reason, theme));
    lines.push(reason);
    lines.push(Vec::new());
    let count = confirm.sent.len();
    let dry = if model.world.is_dry { " (dry run)" } else { "" };
    lines.push(match confirm.asks_for {
        Consent::Number => {
            let mut line = vec![(format!("Type {count} to send {count} commands{dry}: ["), theme.strong())];
            line.extend(typed(&confirm.typed, confirm.focus == Part::Number, theme));
            line.push(("]   Esc keeps all as it is".to_owned(), theme.faint()));
            line
        }
        Consent::Yes | Consent::Nothing => {
            let button = |part, text: &str| {
                let style = if confirm.focus == part { theme.cursor() } else { Style::new() };
                (format!(" {text} "), style)
            };
            vec![
                button(Part::Cancel, "Esc: do nothing"),
                ("   ".to_owned(), Style::new()),
                button(Part::Yes, &format!("y: do it{dry}")),
                ("   tab moves".to_owned(), theme.faint()),
            ]
        }
    });
    boxed(&format!(" {} {}? ", confirm.verb, confirm.what), &lines, theme, buffer, area);
}

/// Who is meant, by what will happen to them.
fn effects(model: &Model, confirm: &Confirm, theme: Theme) -> Vec<Line> {
    let line = |effect: &Effect| {
        let style = match effect.weight {
            Weight::Sent => theme.strong(),
            Weight::Alarm => theme.alarm(),
            Weight::None => theme.faint(),
        };
        vec![(format!("{:>5} {} {}", effect.count, padded(&effect.whose, 14), effect.what), style)]
    };
    let mut lines: Vec<Line> = confirm.effects().iter().map(line).collect();
    for other in &confirm.others {
        lines.push(vec![(other.clone(), theme.alarm())]);
    }
    if matches!(confirm.name, CmdName::Stop | CmdName::Restart) {
        lines.push(vec![("      there is no undo for this".to_owned(), theme.faint())]);
    }
    if let (1, Some(path)) =
        (confirm.sent.len(), confirm.sent.first().and_then(|id| model.world.fleet.path_of(*id)))
        && path.to_string() != confirm.what
    {
        lines.push(vec![(format!("      {path}"), Style::new())]);
    }
    lines
}

fn pace(confirm: &Confirm, theme: Theme) -> Line {
    let mut line = vec![("Pace:".to_owned(), theme.faint())];
    for pace in Pace::ALL {
        let mark = if pace == confirm.pace { "(x)" } else { "( )" };
        let style =
            if confirm.focus == Part::Pace && pace == confirm.pace { theme.cursor() } else { Style::new() };
        line.push((format!(" {mark} {}", pace.word()), style));
    }
    let stop = match confirm.stop_at {
        Some(share) => format!("stop if >{share}% fail"),
        None => "never stop".to_owned(),
    };
    let style = if confirm.focus == Part::Stop { theme.cursor() } else { Style::new() };
    line.push(("  ".to_owned(), Style::new()));
    line.push((stop, style));
    line
}

/// What is being typed, with the cursor in it.
fn typed(field: &Field, has_focus: bool, theme: Theme) -> Line {
    if !has_focus {
        return vec![(field.text(), Style::new())];
    }
    let text: Vec<char> = field.text().chars().collect();
    let (before, after) = text.split_at(field.cursor().min(text.len()));
    let under = after.first().copied().unwrap_or(' ').to_string();
    vec![
        (before.iter().collect(), theme.strong()),
        (under, theme.cursor()),
        (after.iter().skip(1).collect(), theme.strong()),
    ]
}

pub(super) fn draw_retry(model: &Model, retry: &Retry, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let dry = if model.world.is_dry { " (dry run)" } else { "" };
    let count = super::text::count(retry.count);
    let mut lines = vec![
        vec![(format!("{count} messages go to their queue once more."), theme.strong())],
        vec![("Each keeps its id; their tries are counted on.".to_owned(), theme.faint())],
        Vec::new(),
    ];
    lines.push(if retry.asks_for == Consent::Number {
        let mut line = vec![(format!("Type {} to send them{dry}: [", retry.count), theme.strong())];
        line.extend(typed(&retry.typed, true, theme));
        line.push(("]   Esc: do nothing".to_owned(), theme.faint()));
        line
    } else {
        let button = |has_focus: bool, text: &str| {
            (format!(" {text} "), if has_focus { theme.cursor() } else { Style::new() })
        };
        vec![
            button(!retry.is_on_yes, "Esc: do nothing"),
            ("   ".to_owned(), Style::new()),
            button(retry.is_on_yes, &format!("y: do it{dry}")),
            ("   tab moves".to_owned(), theme.faint()),
        ]
    });
    boxed(&format!(" RETRY {}? ", retry.what), &lines, theme, buffer, area);
}

pub(super) fn draw_leave(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let running = model.world.fleet.total.running();
    let lines = [
        ("The manager lives in this console.".to_owned(), Style::new()),
        (format!("{running} apps are running; they run on either way."), Style::new()),
        (String::new(), Style::new()),
        ("b  leave the console, the manager goes on without it".to_owned(), theme.strong()),
        ("s  stop the manager: nothing is started or restarted".to_owned(), theme.strong()),
        ("esc  stay".to_owned(), theme.strong()),
    ];
    let lines = lines.map(|line| vec![line]);
    boxed(" leave? ", &lines, theme, buffer, area);
}

pub(super) fn boxed(title: &str, lines: &[Line], theme: Theme, buffer: &mut Buffer, area: Rect) {
    let width = WIDTH.min(area.width);
    let height = (u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2)).min(area.height);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    Clear.render(place, buffer);
    let block = Block::bordered().border_set(theme.glyphs.border);
    let inner = block.inner(place);
    block.title(title.to_owned()).render(place, buffer);
    // What is decided on is at the end: on a low screen the beginning is left out.
    let skipped = lines.len().saturating_sub(usize::from(inner.height));
    for (row, line) in lines.iter().skip(skipped).enumerate() {
        let row = u16::try_from(row).unwrap_or(u16::MAX);
        let mut at = 1;
        for (text, style) in line {
            at = put(buffer, inner, row, at, text, *style);
        }
    }
}
