//! All bindings, a list a screen. Nothing dangerous is on `y` and `z`, which change places between
//! keyboards, and nothing needs AltGr.

use std::borrow::Cow;

use crossterm::event::KeyCode;

use super::key::Key::{self, Char, Code, Ctrl};
use super::{Binding, Common, Intent, Move, Section};
use crate::console::screen::{Tab, alerts, commands, detail, fleet, history, logs, managers, pipeline};
use crate::model::CmdName;

const fn bind(
    section: Section,
    keys: &'static [Key],
    intent: Intent,
    help: &'static str,
    foot: &'static str,
) -> Binding {
    Binding { section, keys: Cow::Borrowed(keys), intent, help, foot }
}

const fn go(tab: Tab, key: &'static [Key], help: &'static str) -> Binding {
    bind(Section::Other, key, Intent::Common(Common::Go(tab)), help, "")
}

/// What each screen has of its own.
pub(super) const SCREENS: &[(Tab, &[Binding])] = &[
    (Tab::Fleet, FLEET),
    (Tab::Detail, DETAIL),
    (Tab::Alerts, ALERTS),
    (Tab::Logs, LOGS),
    (Tab::History, HISTORY),
    (Tab::Pipeline, PIPELINE),
    (Tab::Managers, MANAGERS),
    (Tab::Commands, COMMANDS),
];

/// The bindings of a screen: its own come first, and win.
pub(super) fn whole(own: &'static [Binding]) -> impl Iterator<Item = &'static Binding> {
    own.iter().chain(MOVES).chain(EVERYWHERE)
}

pub(super) const EVERYWHERE: &[Binding] = &[
    bind(Section::Find, &[Char('/'), Char('f')], Intent::Common(Common::Find), "filter, search", "filter"),
    go(Tab::Fleet, &[Char('1')], "fleet"),
    go(Tab::Alerts, &[Char('2')], "alerts"),
    go(Tab::Logs, &[Char('3')], "logs"),
    go(Tab::History, &[Char('4')], "history"),
    go(Tab::Pipeline, &[Char('5')], "documents in their stages"),
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
    bind(Section::Other, &[Ctrl('s')], Intent::Common(Common::Export), "save screen or view", ""),
    bind(Section::Other, &[Ctrl('z')], Intent::Common(Common::Suspend), "to the shell; fg", ""),
    bind(Section::Other, &[Char('M')], Intent::Common(Common::Mouse), "mouse on, off", ""),
    bind(Section::Other, &[], Intent::Common(Common::Shell), "sh: a shell; the manager goes on", ""),
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
        "open; all about an app",
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
    bind(Section::Move, &[Char('n')], Intent::Fleet(fleet::Wish::NextProblem), "next problem", "next"),
    bind(Section::Move, &[Char('N')], Intent::Fleet(fleet::Wish::PreviousProblem), "problem before", ""),
    bind(Section::Look, &[Char('l'), Char('L')], Intent::Fleet(fleet::Wish::Log), "log", "logs"),
    bind(Section::Look, &[Char('H')], Intent::Fleet(fleet::Wish::History), "runs", "hist"),
    bind(Section::Look, &[Char('A')], Intent::Fleet(fleet::Wish::Audit), "commands for the app", ""),
    bind(Section::Look, &[Char('d')], Intent::Fleet(fleet::Wish::Detail), "detail", "detail"),
    bind(Section::Look, &[Char('z')], Intent::Fleet(fleet::Wish::Zoom), "zoom the detail", ""),
    bind(
        Section::Look,
        &[Code(KeyCode::Tab)],
        Intent::Fleet(fleet::Wish::NextPart),
        "details: log, runs, audit",
        "",
    ),
    bind(
        Section::Look,
        &[Code(KeyCode::BackTab)],
        Intent::Fleet(fleet::Wish::PreviousPart),
        "the other way round",
        "",
    ),
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

pub(super) const DETAIL: &[Binding] = &[
    bind(Section::Act, &[Char('s')], Intent::Issue(CmdName::Start), "start", "start"),
    bind(Section::Act, &[Char('x')], Intent::Issue(CmdName::Stop), "stop", "stop"),
    bind(Section::Act, &[Char('r')], Intent::Issue(CmdName::Restart), "restart", "restart"),
    bind(Section::Act, &[Char('E')], Intent::Issue(CmdName::Enable), "enable; clears a fatal flag", "enable"),
    bind(Section::Act, &[Char('D')], Intent::Issue(CmdName::Disable), "disable", "disable"),
    app(&[Code(KeyCode::Enter)], detail::Wish::Run, "log of the run under the cursor", "log of run"),
    app(&[Char('l')], detail::Wish::Log, "log", "log"),
    app(&[Char('H')], detail::Wish::History, "runs as a timeline", "history"),
    app(&[Char('A')], detail::Wish::Audit, "commands for it", "audit"),
    app(&[Char('o')], detail::Wish::GoTo, "show it in the fleet", ""),
];

const fn app(keys: &'static [Key], wish: detail::Wish, help: &'static str, foot: &'static str) -> Binding {
    bind(Section::Look, keys, Intent::Detail(wish), help, foot)
}

pub(super) const ALERTS: &[Binding] = &[
    alert(Section::Look, &[Code(KeyCode::Enter)], alerts::Wish::Open, "go to the app", "go to app"),
    alert(Section::Look, &[Char('l')], alerts::Wish::Log, "log of these apps", "log"),
    alert(Section::Look, &[Char('H')], alerts::Wish::History, "runs of these apps", "history"),
    alert(
        Section::Act,
        &[Char('a')],
        alerts::Wish::Acknowledge,
        "acknowledge, or take that back",
        "acknowledge",
    ),
    alert(Section::Act, &[Char('m')], alerts::Wish::Mute, "mute for an hour, or unmute", "mute 1h"),
    alert(Section::Look, &[Char('t')], alerts::Wish::Ungroup, "by cause, or each alert", "ungroup"),
    alert(Section::Look, &[Char('v')], alerts::Wish::ShowMuted, "show what is muted", ""),
    alert(Section::Other, &[Char('b')], alerts::Wish::Bell, "ring for new troubles", "bell"),
];

const fn alert(
    section: Section,
    keys: &'static [Key],
    wish: alerts::Wish,
    help: &'static str,
    foot: &'static str,
) -> Binding {
    bind(section, keys, Intent::Alerts(wish), help, foot)
}

const fn log(
    section: Section,
    keys: &'static [Key],
    wish: logs::Wish,
    help: &'static str,
    foot: &'static str,
) -> Binding {
    bind(section, keys, Intent::Logs(wish), help, foot)
}

pub(super) const LOGS: &[Binding] = &[
    log(
        Section::Look,
        &[Char('F'), Code(KeyCode::End)],
        logs::Wish::Follow,
        "follow what is written",
        "follow",
    ),
    log(Section::Look, &[Char(' ')], logs::Wish::Hold, "hold, and follow again", "hold"),
    log(Section::Find, &[Char('n')], logs::Wish::NextHit, "next hit", "hits"),
    log(Section::Find, &[Char('N')], logs::Wish::PreviousHit, "hit before", ""),
    log(Section::Find, &[Char('&')], logs::Wish::OnlyHits, "only hits, or all", "only hits"),
    log(Section::Look, &[Char('w')], logs::Wish::Wrap, "wrap long lines", "wrap"),
    log(Section::Look, &[Char('t')], logs::Wish::Time, "time: clock, age, off", "time"),
    log(Section::Look, &[Char('v')], logs::Wish::Level, "from which level on", "level"),
    log(
        Section::Look,
        &[Char('o'), Code(KeyCode::Enter)],
        logs::Wish::Fold,
        "open, close tracebacks",
        "trace",
    ),
    log(Section::Look, &[Char(',')], logs::Wish::RunBefore, "run before", "run"),
    log(Section::Look, &[Char('.')], logs::Wish::RunAfter, "run after", ""),
    log(Section::Move, &[Code(KeyCode::Left), Char('h')], logs::Wish::Left, "half a width left", ""),
    log(Section::Move, &[Code(KeyCode::Right)], logs::Wish::Right, "half a width right", ""),
    log(Section::Look, &[Char('H')], logs::Wish::History, "runs of it", ""),
];

const fn past(
    section: Section,
    keys: &'static [Key],
    wish: history::Wish,
    help: &'static str,
    foot: &'static str,
) -> Binding {
    bind(section, keys, Intent::History(wish), help, foot)
}

pub(super) const HISTORY: &[Binding] = &[
    past(Section::Look, &[Code(KeyCode::Enter)], history::Wish::Open, "go to the app", "go to app"),
    past(Section::Look, &[Char('l')], history::Wish::Log, "log of the run under the cursor", "log of run"),
    past(Section::Look, &[Char('+'), Char('=')], history::Wish::Nearer, "zoom in", "zoom"),
    past(Section::Look, &[Char('-')], history::Wish::Wider, "zoom out", ""),
    past(Section::Move, &[Code(KeyCode::Left), Char('h')], history::Wish::Earlier, "a cell earlier", ""),
    past(Section::Move, &[Code(KeyCode::Right)], history::Wish::Later, "a cell later", ""),
    past(Section::Move, &[Char(',')], history::Wish::PageEarlier, "half a screen earlier", "earlier"),
    past(Section::Move, &[Char('.')], history::Wish::PageLater, "half a screen later", "later"),
    past(Section::Move, &[Char('F')], history::Wish::Now, "to the present, and on with it", ""),
    past(Section::Look, &[Char('T')], history::Wish::Table, "table, or timeline", "table"),
    past(Section::Find, &[Char('b')], history::Wish::OnlyBad, "in the table: only what ended badly", ""),
    past(Section::Look, &[Char('c')], history::Wish::AtOnce, "how many ran at once", ""),
];

pub(super) const PIPELINE: &[Binding] = &[
    document(
        Section::Look,
        &[Code(KeyCode::Enter), Code(KeyCode::Right)],
        pipeline::Wish::Open,
        "its documents; the way of one",
        "open",
    ),
    document(Section::Look, &[Char('F')], pipeline::Wish::Failed, "what failed in the stage", "failed"),
    document(Section::Look, &[Char('l')], pipeline::Wish::Log, "log of its workers", "log"),
    document(
        Section::Act,
        &[Char('R')],
        pipeline::Wish::Retry,
        "send again: dead ones of a stage, or one",
        "retry",
    ),
    document(
        Section::Look,
        &[Code(KeyCode::Tab)],
        pipeline::Wish::NextPart,
        "stages, directories, workers",
        "next part",
    ),
    document(
        Section::Look,
        &[Code(KeyCode::BackTab)],
        pipeline::Wish::PreviousPart,
        "the other way round",
        "",
    ),
    document(Section::Other, &[Char('y')], pipeline::Wish::CopyPath, "copy the path", "copy"),
    document(Section::Other, &[Char('Y')], pipeline::Wish::CopyCommand, "copy the command of R", ""),
];

const fn document(
    section: Section,
    keys: &'static [Key],
    wish: pipeline::Wish,
    help: &'static str,
    foot: &'static str,
) -> Binding {
    bind(section, keys, Intent::Pipeline(wish), help, foot)
}

pub(super) const MANAGERS: &[Binding] = &[
    manager(
        Section::Look,
        &[Code(KeyCode::Enter)],
        managers::Wish::Open,
        "its apps in the fleet",
        "its apps",
    ),
    manager(Section::Act, &[Char('d')], managers::Wish::Drain, "drain, or end that", "drain"),
    manager(Section::Act, &[Char('t')], managers::Wish::TakeOver, "give its apps to others", "take over"),
    manager(Section::Act, &[Char('y')], managers::Wish::Yes, "yes, to the question", ""),
];

const fn manager(
    section: Section,
    keys: &'static [Key],
    wish: managers::Wish,
    help: &'static str,
    foot: &'static str,
) -> Binding {
    bind(section, keys, Intent::Managers(wish), help, foot)
}

pub(super) const COMMANDS: &[Binding] = &[
    command(Section::Look, &[Code(KeyCode::Enter)], commands::Wish::Open, "each command; its app", "items"),
    command(Section::Look, &[Char('l')], commands::Wish::Log, "log of the app", "log"),
    command(
        Section::Act,
        &[Char('r')],
        commands::Wish::RetryFailed,
        "send what was refused again",
        "retry failed",
    ),
    command(Section::Act, &[Char('u')], commands::Wish::Undo, "undo ENABLE or DISABLE", "undo"),
];

const fn command(
    section: Section,
    keys: &'static [Key],
    wish: commands::Wish,
    help: &'static str,
    foot: &'static str,
) -> Binding {
    bind(section, keys, Intent::Commands(wish), help, foot)
}
