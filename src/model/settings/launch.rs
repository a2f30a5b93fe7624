//! How the process of an app is started and ended.

use std::borrow::Cow;

use super::super::value::Given;
use super::super::{InvalidSetting, InvalidUmask, Kind, StopSignal, Umask, UnknownSignal, Value};
use super::{PATH_MAX, Setting, assign, shorten};

/// Files of variables.
pub const ENV_FILES: Setting = Setting {
    column: "env_files",
    key: "env_files",
    kind: Kind::List,
    argument: "FILE",
    help: "Files of variables that are read at each start, before env",
    get: |app| Value::List(Cow::Borrowed(&app.program.env_files)),
    set: |app, given| {
        assign(&mut app.program.env_files, given.optional(files).map(Option::unwrap_or_default))
    },
};

/// What asks a run to end.
pub const STOP_SIGNAL: Setting = Setting {
    column: "stop_signal",
    key: "stop_signal",
    kind: Kind::Word(StopSignal::WORDS),
    argument: "SIGNAL",
    help: "What asks a run to end before it is killed",
    get: |app| app.policy.stop_signal.word().into(),
    set: |app, given| assign(&mut app.policy.stop_signal, signal(given)),
};

/// How its process is started and ended: the settings that `app list` and `app show` alone tell.
pub const LAUNCH: &[Setting] = &[
    ENV_FILES,
    Setting {
        column: "run_user",
        key: "run_user",
        kind: Kind::Text,
        argument: "USER",
        help: "The user that it runs as, by name or number; only a manager of root can do that",
        get: |app| app.program.process.user.as_deref().into(),
        set: |app, given| assign(&mut app.program.process.user, given.optional(user)),
    },
    Setting {
        column: "nice",
        key: "nice",
        kind: Kind::Whole,
        argument: "N",
        help: "Its priority, -20 to 19: the higher, the more it lets others go first",
        get: |app| app.program.process.nice.map(|nice| Value::Whole(nice.into())).into(),
        set: |app, given| {
            assign(&mut app.program.process.nice, given.optional(|given| given.whole(-20..=19)))
        },
    },
    Setting {
        column: "umask",
        key: "umask",
        kind: Kind::Text,
        argument: "OCTAL",
        help: "Which rights the files that it makes do not have, for example 027",
        get: |app| app.program.process.umask.map(|umask| umask.to_string()).into(),
        set: |app, given| assign(&mut app.program.process.umask, given.optional(umask)),
    },
    Setting {
        column: "max_open_files",
        key: "max_open_files",
        kind: Kind::Whole,
        argument: "N",
        help: "The most files that each of its processes may have open",
        get: |app| app.program.process.max_open_files.into(),
        // With fewer most programs cannot be loaded.
        set: |app, given| {
            let limit = given.optional(|given| given.whole(16..=1 << 30));
            assign(&mut app.program.process.max_open_files, limit)
        },
    },
    Setting {
        column: "max_processes",
        key: "max_processes",
        kind: Kind::Whole,
        argument: "N",
        help: "The most processes that its user may have, of all programs together; root is not held to it",
        get: |app| app.program.process.max_processes.into(),
        // Linux has no more than that.
        set: |app, given| {
            let limit = given.optional(|given| given.whole(1..=1 << 22));
            assign(&mut app.program.process.max_processes, limit)
        },
    },
    STOP_SIGNAL,
];

/// The most files of variables.
const FILES_MAX: usize = 32;

/// Paths, each perhaps after a `-`.
fn files(given: Given<'_>) -> Result<Vec<String>, InvalidSetting> {
    let Value::List(list) = &given.value else { return Err(given.is_not(Kind::List)) };
    if list.len() > FILES_MAX {
        return Err(given.wrong(format_args!("has more than {FILES_MAX} of them")));
    }
    for path in list.iter() {
        let name = path.strip_prefix('-').unwrap_or(path);
        if name.is_empty() || name.contains('\0') || name.chars().count() > PATH_MAX {
            return Err(given.wrong(format_args!("has an invalid path {:?}", shorten(path))));
        }
    }
    Ok(list.to_vec())
}

/// The longest name of a user that any system has, in characters.
const USER_MAX: usize = 256;

fn user(given: Given<'_>) -> Result<String, InvalidSetting> {
    let Value::Text(name) = &given.value else { return Err(given.is_not(Kind::Text)) };
    let is_name = !name.is_empty()
        && name.chars().count() <= USER_MAX
        && !name.starts_with('-')
        && !name.chars().any(|c| c.is_control() || matches!(c, ':' | '/'));
    if is_name {
        Ok(name.to_string())
    } else {
        Err(given.wrong(format_args!("is no name of a user, but {:?}", shorten(name))))
    }
}

fn umask(given: Given<'_>) -> Result<Umask, InvalidSetting> {
    let Value::Text(text) = &given.value else { return Err(given.wrong(InvalidUmask)) };
    text.parse().map_err(|error: InvalidUmask| given.wrong(format_args!("{error}, not {:?}", shorten(text))))
}

fn signal(given: Given<'_>) -> Result<StopSignal, InvalidSetting> {
    let Value::Text(text) = &given.value else { return Err(given.is_not(Kind::Text)) };
    text.parse().map_err(|error: UnknownSignal| given.wrong(format_args!("{error}, not {:?}", shorten(text))))
}
