//! All bindings, a list a screen. Nothing dangerous is on `y` and `z`, which change places between
//! keyboards, and nothing needs AltGr.

use crossterm::event::KeyCode;

use super::Key::{Char, Code, Ctrl};
use super::{Binding, Common, Intent, Key, Move, Section};
use crate::console::screen::{Tab, alerts, commands, fleet, logs};
use crate::model::CmdName;

const fn bind(
    section: Section,
    keys: &'static [Key],
    intent: Intent,
    help: &'static str,
    foot: &'static str,
) -> Binding {
    Binding { section, keys, intent, help, foot }
}

const fn go(tab: Tab, key: &'static [Key], help: &'static str) -> Binding {
    bind(Section::Other, key, Intent::Common(Common::Go(tab)), help, "")
}

pub(super) const EVERYWHERE: &[Binding] = &[
    bind(Section::Find, &[Char('/'), Char('f')], Intent::Common(Common::Find), "filter, search", "filter"),
    go(Tab::Fleet, &[Char('1')], "fleet"),
    go(Tab::Alerts, &[Char('2')], "alerts"),
    go(Tab::Logs, &[Char('3')], "logs"),
    go(Tab::History, &[Char('4')], "history"),
    go(Tab::Managers, &[Char('6')], "managers"),
    go(Tab::Commands, &[Char('7')], "commands and audit"),
    bind(
        Section::Other,
        &[Char(':'), Ctrl('p')],
        Intent::Common(Common::Palette),
        "palette: all by name",
        "",
    ),
    bind(Section::Other, &[Ctrl('g')], Intent::Common(Common::Messages), "messages", ""),
    bind(Section::Look, &[Char('p')], Intent::Common(Common::Pause), "pause the display", ""),
    bind(Section::Other, &[Ctrl('r')], Intent::Common(Common::ReadAgain), "read again", ""),
    bind(Section::Other, &[Ctrl('l')], Intent::Common(Common::Redraw), "draw anew", ""),
    bind(Section::Other, &[Ctrl('z')], Intent::Common(Common::Suspend), "to the shell; fg", ""),
    bind(Section::Other, &[Code(KeyCode::Esc)], Intent::Common(Common::Back), "one step back", ""),
    bind(
        Section::Other,
        &[Char('?'), Code(KeyCode::F(1))],
        Intent::Common(Common::Help),
        "this help",
        "help",
    ),
    bind(Section::Other, &[Char('q')], Intent::Common(Common::Quit), "back; at the fleet, leave", "quit"),
    bind(Section::Other, &[Ctrl('c')], Intent::Common(Common::QuitNow), "twice: leave", ""),
];

pub(super) const MOVES: &[Binding] = &[
    bind(Section::Move, &[Char('j'), Code(KeyCode::Down)], Intent::Move(Move::Down), "row down", ""),
    bind(Section::Move, &[Char('k'), Code(KeyCode::Up)], Intent::Move(Move::Up), "row up", ""),
    bind(Section::Move, &[Code(KeyCode::PageDown)], Intent::Move(Move::PageDown), "page down", ""),
    bind(Section::Move, &[Code(KeyCode::PageUp)], Intent::Move(Move::PageUp), "page up", ""),
    bind(Section::Move, &[Ctrl('d')], Intent::Move(Move::HalfDown), "half a page down", ""),
    bind(Section::Move, &[Ctrl('u')], Intent::Move(Move::HalfUp), "half a page up", ""),
    bind(Section::Move, &[Char('g'), Code(KeyCode::Home)], Intent::Move(Move::Top), "to the top", ""),
    bind(Section::Move, &[Char('G'), Code(KeyCode::End)], Intent::Move(Move::Bottom), "to the end", ""),
];

pub(super) const FLEET: &[Binding] = &[
    bind(Section::Act, &[Char('s')], Intent::Issue(CmdName::Start), "start", "start"),
    bind(Section::Act, &[Char('x')], Intent::Issue(CmdName::Stop), "stop", "stop"),
    bind(Section::Act, &[Char('r')], Intent::Issue(CmdName::Restart), "restart", "restart"),
    bind(Section::Act, &[Char('E')], Intent::Issue(CmdName::Enable), "enable", "enable"),
    bind(Section::Act, &[Char('D')], Intent::Issue(CmdName::Disable), "disable", "disable"),
    bind(Section::Act, &[Char('F')], Intent::Fleet(fleet::Wish::ClearFatal), "clear fatal", ""),
    bind(Section::Act, &[Char('a')], Intent::Fleet(fleet::Wish::Actions), "menu of all actions", "all"),
    bind(Section::Act, &[Char('u')], Intent::Common(Common::Undo), "undo enable, disable", ""),
    bind(Section::Act, &[Char('!')], Intent::Common(Common::DryRun), "dry run on, off", ""),
    bind(
        Section::Move,
        &[Code(KeyCode::Right), Code(KeyCode::Enter)],
        Intent::Fleet(fleet::Wish::Open),
        "open",
        "",
    ),
    bind(
        Section::Move,
        &[Code(KeyCode::Left), Char('h')],
        Intent::Fleet(fleet::Wish::Close),
        "close, or up",
        "",
    ),
    bind(Section::Move, &[Char('+')], Intent::Fleet(fleet::Wish::OpenAll), "open all", ""),
    bind(Section::Move, &[Char('-')], Intent::Fleet(fleet::Wish::CloseAll), "close all", ""),
    bind(Section::Move, &[Char('*')], Intent::Fleet(fleet::Wish::OpenLevel), "open next level", ""),
    bind(
        Section::Move,
        &[Char('n')],
        Intent::Fleet(fleet::Wish::NextProblem),
        "next problem",
        "next problem",
    ),
    bind(Section::Move, &[Char('N')], Intent::Fleet(fleet::Wish::PreviousProblem), "problem before", ""),
    bind(Section::Look, &[Char('l')], Intent::Fleet(fleet::Wish::Log), "log", "logs"),
    bind(Section::Look, &[Char('H')], Intent::Fleet(fleet::Wish::History), "runs", "hist"),
    bind(Section::Look, &[Char('d')], Intent::Fleet(fleet::Wish::Detail), "detail", "detail"),
    bind(Section::Look, &[Char('z')], Intent::Fleet(fleet::Wish::Zoom), "zoom the detail", ""),
    bind(Section::Look, &[Char('t')], Intent::Fleet(fleet::Wish::Flat), "tree or flat", ""),
    bind(Section::Look, &[Char('o')], Intent::Fleet(fleet::Wish::Sort), "sort by", ""),
    bind(Section::Look, &[Char('O')], Intent::Fleet(fleet::Wish::Reverse), "sort the other way", ""),
    bind(Section::Look, &[Char('c')], Intent::Fleet(fleet::Wish::Columns), "columns", ""),
    bind(Section::Select, &[Char(' ')], Intent::Fleet(fleet::Wish::Mark), "mark, go down", ""),
    bind(Section::Select, &[Char('v')], Intent::Fleet(fleet::Wish::Range), "range, from and to", ""),
    bind(Section::Select, &[Ctrl('a')], Intent::Fleet(fleet::Wish::MarkAll), "all that match", ""),
    bind(Section::Other, &[Char('y')], Intent::Fleet(fleet::Wish::CopyPath), "copy path", ""),
    bind(Section::Other, &[Char('Y')], Intent::Fleet(fleet::Wish::CopyJson), "copy as JSON", ""),
];

pub(super) const ALERTS: &[Binding] = &[bind(
    Section::Look,
    &[Code(KeyCode::Enter)],
    Intent::Alerts(alerts::Wish::Open),
    "go to the app",
    "go to app",
)];

pub(super) const LOGS: &[Binding] = &[bind(
    Section::Look,
    &[Char('F'), Code(KeyCode::End)],
    Intent::Logs(logs::Wish::Follow),
    "follow what is written",
    "follow",
)];

pub(super) const HISTORY: &[Binding] = &[];

pub(super) const MANAGERS: &[Binding] = &[];

pub(super) const COMMANDS: &[Binding] = &[bind(
    Section::Look,
    &[Code(KeyCode::Enter)],
    Intent::Commands(commands::Wish::Open),
    "go to the app",
    "go to app",
)];
