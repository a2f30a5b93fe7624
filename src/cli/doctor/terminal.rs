//! The terminal that this call was made on: that the console will have.

use super::finding::Finding;
use crate::cli::output;
use crate::config::env;
use crate::console::Colours;

/// The size that the console is made for.
const SIZE: (u16, u16) = (80, 24);

pub(super) fn look() -> Vec<Finding> {
    if !output::is_terminal() {
        return vec![Finding::ok("terminal", "standard output is no terminal: it was not looked at")];
    }
    let term = env::get(env::TERM).unwrap_or_default();
    let colours = Colours::of(&term, &env::get(env::COLORTERM).unwrap_or_default());
    let by = [(env::SSH_CONNECTION, "SSH"), (env::TMUX, "tmux")];
    let by: Vec<_> = by.iter().filter(|(name, _)| env::get(name).is_some()).map(|(_, what)| *what).collect();
    let by = if by.is_empty() { String::new() } else { format!(", over {}", by.join(" and ")) };
    let mut found = Vec::new();
    match output::terminal_size() {
        Some((columns, lines)) if columns < SIZE.0 || lines < SIZE.1 => found.push(Finding::warning(
            "terminal.size",
            format!("{columns}x{lines}"),
            format!(
                "make it {}x{} at least: the console leaves columns out on a smaller one",
                SIZE.0, SIZE.1
            ),
        )),
        Some((columns, lines)) => found.push(Finding::ok("terminal.size", format!("{columns}x{lines}"))),
        None => found.push(Finding::unknown("terminal.size", "the terminal does not tell")),
    }
    found.push(if term.is_empty() || term == "dumb" {
        let seen = if term.is_empty() { "TERM is not set".to_owned() } else { "TERM is dumb".to_owned() };
        Finding::warning("terminal.kind", seen, "set TERM, or open the console by dcm console --plain")
    } else {
        let no_color = if env::get(env::NO_COLOR).is_some() { ", none are used (NO_COLOR)" } else { "" };
        Finding::ok("terminal.kind", format!("{term}, colours: {}{no_color}{by}", colours.word()))
    });
    found.push(if env::is_unicode() {
        Finding::ok("terminal.text", format!("UTF-8 ({})", env::locale()))
    } else {
        let locale = env::locale();
        let locale =
            if locale.is_empty() { "no locale is set".to_owned() } else { format!("the locale is {locale}") };
        let cure = "set LANG=C.UTF-8, or one of your language; the console draws with ASCII meanwhile";
        Finding::warning("terminal.text", format!("{locale}, which is not UTF-8"), cure)
    });
    found
}
