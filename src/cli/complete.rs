//! Completions that know the fleet: paths of apps, channels, managers, settings. A shell calls dcm for them, so that they
//! are silent about everything that is wrong, and take little time.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use clap::{Arg, Command, CommandFactory as _};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use super::args::Cli;
use super::output;
use super::session::{Fleet, Session, block_on};
use crate::config::{Flags, Settings, env, reference};
use crate::model::explain::State;
use crate::model::{AppPath, Printable};

/// Who presses a key does not wait longer for an answer.
const WITHIN: Duration = Duration::from_millis(300);

/// More candidates are no help.
const CANDIDATES_MAX: usize = 500;

/// What the value of an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// One app.
    Path,
    /// Apps, also by a prefix or a state.
    Apps,
    Manager,
    Channel,
    Setting,
}

/// Answers a shell that asks for completions; `None` where none does.
pub(super) fn complete(arguments: &[OsString]) -> Option<ExitCode> {
    env::get(env::COMPLETE)?;
    let flags = Arc::new(flags_of(arguments));
    let factory = || completing(Cli::command(), &flags);
    let folder = std::env::current_dir().ok();
    let completer = CompleteEnv::with_factory(factory).var(env::COMPLETE).bin("dcm");
    match completer.try_complete(arguments.iter().cloned(), folder.as_deref()) {
        Ok(true) => Some(ExitCode::SUCCESS),
        Ok(false) => None,
        Err(error) => Some(ExitCode::from(output::usage(&error))),
    }
}

/// Flags among the words that were typed so far.
fn flags_of(arguments: &[OsString]) -> Flags {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let value = |flag: &str| {
        let next = words.iter().position(|word| word == flag).and_then(|at| words.get(at + 1));
        let joined = || words.iter().find_map(|word| word.strip_prefix(flag)?.strip_prefix('='));
        next.map(AsRef::as_ref).or_else(joined).filter(|value: &&str| !value.is_empty()).map(str::to_owned)
    };
    Flags {
        database: value("--database"),
        state_dir: value("--state-dir").map(Into::into),
        config: value("--config").map(Into::into),
        name: value("--name"),
        ..Flags::default()
    }
}

/// The grammar, in which arguments know their values.
fn completing(command: Command, flags: &Arc<Flags>) -> Command {
    let name = command.get_name().to_owned();
    let command = command.mut_args(|argument| match meaning(&name, &argument) {
        Some(meaning) => {
            let flags = Arc::clone(flags);
            argument.add(ArgValueCompleter::new(move |typed: &OsStr| candidates(meaning, &flags, typed)))
        }
        None => argument,
    });
    command.mut_subcommands(|command| completing(command, flags))
}

fn meaning(command: &str, argument: &Arg) -> Option<Meaning> {
    if !argument.get_action().takes_values() {
        return None;
    }
    Some(match (command, argument.get_id().as_str()) {
        (_, "selectors" | "selector") => Meaning::Apps,
        ("show" | "set" | "add" | "why" | "run-app", "path") | ("rename", "old" | "new") => Meaning::Path,
        ("drain" | "resume" | "takeover", "name") | (_, "manager_name") => Meaning::Manager,
        ("test", "channel") => Meaning::Channel,
        ("show", "key") => Meaning::Setting,
        _ => return None,
    })
}

/// What could be meant by the beginning of a word. What is not known in time is nothing.
fn candidates(meaning: Meaning, flags: &Arc<Flags>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str().map(str::to_owned) else { return Vec::new() };
    let (sender, answer) = channel();
    let flags = Arc::clone(flags);
    let work = move || {
        // Who has waited long enough takes no answer.
        let _ = sender.send(words(meaning, &flags, &typed));
    };
    if std::thread::Builder::new().name("dcm-complete".to_owned()).spawn(work).is_err() {
        return Vec::new();
    }
    let words = answer.recv_timeout(WITHIN).ok().flatten().unwrap_or_default();
    let is_plain = |word: &String| word.chars().all(|c| !c.is_whitespace() && Printable::is_printable(c));
    words.into_iter().filter(is_plain).take(CANDIDATES_MAX).map(CompletionCandidate::new).collect()
}

fn words(meaning: Meaning, flags: &Flags, typed: &str) -> Option<Vec<String>> {
    let begins =
        |words: Vec<String>| Some(words.into_iter().filter(|word| word.starts_with(typed)).collect());
    if meaning == Meaning::Setting {
        let settings = reference().into_iter().flat_map(|section| section.settings);
        return begins(settings.map(|setting| setting.key).filter(|key| !key.contains("NAME")).collect());
    }
    let settings = Settings::load(flags.clone(), env::get, &mut |_| {}).ok()?;
    if meaning == Meaning::Channel {
        return begins(settings.notify.ok()?.channels.into_iter().map(|channel| channel.name).collect());
    }
    let store = Session::of(settings, flags, false).existing().ok()?;
    if meaning == Meaning::Manager {
        let managers = block_on(async { Ok(store.managers().await?) }).ok()?;
        return begins(managers.into_iter().map(|row| row.name).collect());
    }
    let fleet = block_on(Fleet::read(store.as_ref())).ok()?;
    let paths = fleet.apps.iter().filter(|row| row.fault.is_none()).map(|row| &row.app.path);
    let mut words = steps(paths, typed);
    if meaning == Meaning::Apps && !typed.contains('/') {
        let states = State::ALL.iter().map(|state| format!("is:{state}"));
        // All states would hide the groups before a letter is typed.
        let states = states.filter(|_| !typed.is_empty());
        words.extend(std::iter::once("all".to_owned()).chain(states).filter(|word| word.starts_with(typed)));
    }
    Some(words)
}

/// The next step of each path: a group, a parent in it, an app.
fn steps<'a>(paths: impl Iterator<Item = &'a AppPath>, typed: &str) -> Vec<String> {
    let depth = typed.matches('/').count();
    let step = |path: &AppPath| match depth {
        0 => format!("{}/", path.group),
        1 => format!("{}/{}/", path.group, path.parent),
        _ => path.to_string(),
    };
    // Paths come sorted, so that equal steps are neighbours.
    let mut steps: Vec<_> = paths.map(step).filter(|step| step.starts_with(typed)).collect();
    steps.dedup();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_completed_step_by_step() {
        let paths: Vec<AppPath> =
            ["croatia/fina/companies", "croatia/fina/owners", "croatia/court/x", "italy/a/b"]
                .iter()
                .map(|path| path.parse().unwrap())
                .collect();
        for (typed, expected) in [
            ("", &["croatia/", "italy/"][..]),
            ("cro", &["croatia/"]),
            ("croatia/f", &["croatia/fina/"]),
            ("croatia/fina/", &["croatia/fina/companies", "croatia/fina/owners"]),
            ("croatia/fina/o", &["croatia/fina/owners"]),
            ("x", &[]),
        ] {
            assert_eq!(steps(paths.iter(), typed), expected, "{typed}");
        }
    }

    #[test]
    fn each_meaning_is_found_in_the_grammar() {
        let mut found = Vec::new();
        let mut commands = vec![Cli::command()];
        while let Some(command) = commands.pop() {
            let name = command.get_name().to_owned();
            found.extend(command.get_arguments().filter_map(|argument| meaning(&name, argument)));
            commands.extend(command.get_subcommands().cloned());
        }
        for wanted in [Meaning::Path, Meaning::Apps, Meaning::Manager, Meaning::Channel, Meaning::Setting] {
            assert!(found.contains(&wanted), "{wanted:?}");
        }
    }

    #[test]
    fn flags_that_were_typed_count() {
        let words = ["dcm", "--", "dcm", "--database", "sqlite:/x", "--state-dir=/y", "start", ""];
        let flags = flags_of(&words.map(OsString::from));
        assert_eq!((flags.database.as_deref(), flags.state_dir), (Some("sqlite:/x"), Some("/y".into())));
        assert_eq!(flags.config, None);
    }
}
