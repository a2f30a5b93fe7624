//! The settings of an app: the columns of its row that define it. Each is declared here and nowhere else. Databases, files,
//! `--json` and options of the command line go through this table, so that each gives the same verdict on a value.

mod launch;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;

pub use self::launch::{ENV_FILES, LAUNCH, STOP_SIGNAL};
use super::value::{Given, shorten};
use super::{
    App, AppId, AppPath, CatchUp, Failover, HttpUrl, HttpUrlError, InvalidSetting, Kind, OnFailures,
    OnSuspect, Part, Program, Ratio, Value,
};

/// A column that defines an app.
#[derive(Debug)]
pub struct Setting {
    /// The name of the column and of the field of JSON.
    pub column: &'static str,
    /// The key in a file and, with dashes, the option.
    pub key: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// What stands for the value in the help.
    pub argument: &'static str,
    /// What it is, in a sentence that the help ends.
    pub help: &'static str,
    /// What an app has. It has no value where it is [`Value::Null`].
    pub get: fn(&App) -> Value<'_>,
    set: fn(&mut App, Given<'_>) -> Result<(), InvalidSetting>,
}

/// The argument vector.
pub const COMMAND: Setting = Setting {
    column: "command",
    key: "command",
    kind: Kind::List,
    argument: "ARGV",
    help: "What is run; without it, PYTHON -m apps.GROUP.PARENT.APP.main",
    get: |app| app.program.command.as_deref().map(Cow::Borrowed).map_or(Value::Null, Value::List),
    set: |app, given| assign(&mut app.program.command, given.optional(command)),
};

/// Whether it runs without end.
pub const ALWAYS: Setting = Setting {
    column: "always",
    key: "always",
    kind: Kind::Flag,
    argument: "BOOL",
    help: "Run it without end: it is started again whenever it ends; excludes interval and cron",
    get: |app| app.schedule.always.into(),
    set: |app, given| assign(&mut app.schedule.always, given.flag()),
};

/// Who looks after it.
const OWNER: Setting = Setting {
    column: "owner",
    key: "owner",
    kind: Kind::Text,
    argument: "WHO",
    help: "Who looks after it and is to be called, in at most 200 characters",
    get: |app| app.owner.as_deref().into(),
    set: |app, given| assign(&mut app.owner, given.optional(|given| given.text(200))),
};

/// Words by which it is found.
pub const TAGS: Setting = Setting {
    column: "tags",
    key: "tags",
    kind: Kind::List,
    argument: "TAG,...",
    help: "Words by which tag:TAG finds it",
    get: |app| Value::List(app.tags.iter().map(ToString::to_string).collect()),
    set: |app, given| assign(&mut app.tags, given.optional(tags).map(Option::unwrap_or_default)),
};

/// What is run and when: the settings that every list of apps shows.
pub const DEFINITION: &[Setting] = &[
    COMMAND,
    Setting {
        column: "cwd",
        key: "cwd",
        kind: Kind::Directory,
        argument: "DIR",
        help: "The working directory",
        get: |app| app.program.cwd.as_deref().into(),
        set: |app, given| assign(&mut app.program.cwd, given.optional(directory)),
    },
    Setting {
        column: "env",
        key: "env",
        kind: Kind::Variables,
        argument: "NAME=VALUE",
        help: "Variables of its environment, on top of those of the manager",
        get: |app| variables_of(&app.program),
        set: |app, given| {
            (app.program.env, app.program.unset) = given.optional(variables)?.unwrap_or_default();
            Ok(())
        },
    },
    Setting {
        column: "interval",
        key: "interval",
        kind: Kind::Number,
        argument: "M",
        help: "Minutes between the end of a good run and the next one",
        get: |app| app.schedule.interval.into(),
        set: |app, given| assign(&mut app.schedule.interval, given.optional(Given::minutes)),
    },
    Setting {
        column: "retry_interval",
        key: "retry_interval",
        kind: Kind::Number,
        argument: "M",
        help: "Minutes between a failed run and the next one",
        get: |app| app.schedule.retry_interval.into(),
        set: |app, given| assign(&mut app.schedule.retry_interval, given.optional(Given::minutes)),
    },
    Setting {
        column: "cron_expression",
        key: "cron",
        kind: Kind::Text,
        argument: "EXPR",
        help: "Calendar times: 5 fields, 6 with seconds first, or @hourly, @daily, @weekly, @monthly, @yearly",
        get: |app| app.schedule.cron.as_ref().map(ToString::to_string).into(),
        set: |app, given| assign(&mut app.schedule.cron, given.optional(Given::parsed)),
    },
    Setting {
        column: "time_zone",
        key: "time_zone",
        kind: Kind::Text,
        argument: "Z",
        help: "The zone of the calendar times, for example Europe/Zagreb",
        get: |app| app.schedule.time_zone.name().into(),
        set: |app, given| assign(&mut app.schedule.time_zone, zone(given)),
    },
    ALWAYS,
    OWNER,
    TAGS,
];

/// How it is treated: the settings that `app list` and `app show` alone tell.
pub const POLICIES: &[Setting] = &[
    Setting {
        column: "pass_database",
        key: "pass_database",
        kind: Kind::Flag,
        argument: "BOOL",
        help: "Let the app see DC_DATABASE_URL",
        get: |app| app.program.pass_database.into(),
        set: |app, given| assign(&mut app.program.pass_database, given.flag()),
    },
    Setting {
        column: "jitter",
        key: "jitter",
        kind: Kind::Number,
        argument: "S",
        help: "Put each time off by a share of this many seconds that is fixed for the app",
        get: |app| app.schedule.jitter.as_secs_f64().into(),
        set: |app, given| assign(&mut app.schedule.jitter, given.seconds()),
    },
    Setting {
        column: "catch_up",
        key: "catch_up",
        kind: Kind::Word(CatchUp::WORDS),
        argument: "WHICH",
        help: "What becomes of times that were missed",
        get: |app| app.policy.catch_up.word().into(),
        set: |app, given| assign(&mut app.policy.catch_up, given.word()),
    },
    Setting {
        column: "catch_up_limit",
        key: "catch_up_limit",
        kind: Kind::Whole,
        argument: "N",
        help: "The most missed runs that are caught up with",
        get: |app| app.policy.catch_up_limit.into(),
        set: |app, given| assign(&mut app.policy.catch_up_limit, given.whole(1..=1000)),
    },
    Setting {
        column: "max_failures",
        key: "max_failures",
        kind: Kind::Whole,
        argument: "N",
        help: "Failures in a row that set its flag and open an alert; 0: never",
        get: |app| app.policy.max_failures.into(),
        set: |app, given| assign(&mut app.policy.max_failures, given.whole(0..=1_000_000)),
    },
    Setting {
        column: "on_failures",
        key: "on_failures",
        kind: Kind::Word(OnFailures::WORDS),
        argument: "POLICY",
        help: "What follows then; with give_up, nothing starts until it is enabled",
        get: |app| app.policy.on_failures.word().into(),
        set: |app, given| assign(&mut app.policy.on_failures, given.word()),
    },
    Setting {
        column: "min_uptime",
        key: "min_uptime",
        kind: Kind::Number,
        argument: "S",
        help: "Seconds after which a run has started; what a signal kills before could not be started",
        get: |app| app.policy.min_uptime.as_secs_f64().into(),
        set: |app, given| assign(&mut app.policy.min_uptime, given.seconds()),
    },
    Setting {
        column: "stop_grace",
        key: "stop_grace",
        kind: Kind::Number,
        argument: "S",
        help: "Seconds between its stop signal and KILL",
        get: |app| app.policy.stop_grace.as_secs_f64().into(),
        set: |app, given| assign(&mut app.policy.stop_grace, given.seconds()),
    },
    Setting {
        column: "max_runtime",
        key: "max_runtime",
        kind: Kind::Number,
        argument: "M",
        help: "Minutes after which a run is ended and counts as failed",
        get: |app| app.policy.max_runtime.map(|limit| limit.as_secs_f64() / 60.0).into(),
        set: |app, given| {
            assign(&mut app.policy.max_runtime, given.optional(|given| Ok(given.minutes()?.duration())))
        },
    },
    Setting {
        column: "max_memory",
        key: "max_memory",
        kind: Kind::Whole,
        argument: "MIB",
        help: "The most memory of all its processes together, in MiB; a run that takes more is ended and counts as failed",
        get: |app| app.policy.max_memory.into(),
        // Up to 16 TiB.
        set: |app, given| {
            assign(&mut app.policy.max_memory, given.optional(|given| given.whole(1..=1 << 24)))
        },
    },
    Setting {
        column: "max_cpu",
        key: "max_cpu",
        kind: Kind::Whole,
        argument: "PERCENT",
        help: "The most time of the CPU of all its processes together, in percent of one core",
        get: |app| app.policy.max_cpu.into(),
        // Up to 1,000 cores.
        set: |app, given| assign(&mut app.policy.max_cpu, given.optional(|given| given.whole(1..=100_000))),
    },
    Setting {
        column: "stall_after",
        key: "stall_after",
        kind: Kind::Number,
        argument: "M",
        help: "Minutes without progress after which a run has stalled; 0: by its own rhythm",
        get: |app| app.policy.stall_after.map(|limit| limit.as_secs_f64() / 60.0).into(),
        set: |app, given| {
            let limit = given.optional(|given| Ok(given.minutes()?.duration()));
            assign(&mut app.policy.stall_after, limit.map(|limit| limit.filter(|limit| !limit.is_zero())))
        },
    },
    Setting {
        column: "min_solved",
        key: "min_solved",
        kind: Kind::Whole,
        argument: "N",
        help: "A run with exit code 0 that solved fewer is suspect",
        get: |app| Value::Whole(i64::try_from(app.policy.min_solved).unwrap_or(i64::MAX)),
        set: |app, given| assign(&mut app.policy.min_solved, given.whole(0..=1 << 53)),
    },
    Setting {
        column: "max_failed_ratio",
        key: "max_failed_ratio",
        kind: Kind::Number,
        argument: "R",
        help: "A run with exit code 0 that gave up more of its items than this share, 0 to 1, is suspect",
        get: |app| app.policy.max_failed_ratio.map(Ratio::as_f64).into(),
        set: |app, given| {
            assign(&mut app.policy.max_failed_ratio, given.optional(|given| Ratio::new(given.number()?)))
        },
    },
    Setting {
        column: "min_duration",
        key: "min_duration",
        kind: Kind::Number,
        argument: "S",
        help: "A run with exit code 0 that took fewer seconds is suspect",
        get: |app| app.policy.min_duration.map(|least| least.as_secs_f64()).into(),
        set: |app, given| assign(&mut app.policy.min_duration, given.optional(Given::seconds)),
    },
    Setting {
        column: "compare_history",
        key: "compare_history",
        kind: Kind::Flag,
        argument: "BOOL",
        help: "Whether a run that differs much from the good ones before it is suspect",
        get: |app| app.policy.compare_history.into(),
        set: |app, given| assign(&mut app.policy.compare_history, given.flag()),
    },
    Setting {
        column: "on_suspect",
        key: "on_suspect",
        kind: Kind::Word(OnSuspect::WORDS),
        argument: "POLICY",
        help: "What follows a suspect run; with retry, it is tried again after retry_interval",
        get: |app| app.policy.on_suspect.word().into(),
        set: |app, given| assign(&mut app.policy.on_suspect, given.word()),
    },
    Setting {
        column: "log_limit",
        key: "log_limit",
        kind: Kind::Whole,
        argument: "BYTES",
        help: "The most bytes that the output of a run takes on disk",
        get: |app| Value::Whole(i64::try_from(app.policy.log_limit).unwrap_or(i64::MAX)),
        // Less than 4 KiB is not worth having.
        set: |app, given| assign(&mut app.policy.log_limit, given.whole(4096..=1 << 40)),
    },
    Setting {
        column: "log_keep",
        key: "log_keep",
        kind: Kind::Whole,
        argument: "N",
        help: "The number of runs whose output is kept",
        get: |app| app.policy.log_keep.into(),
        set: |app, given| assign(&mut app.policy.log_keep, given.whole(0..=1_000_000)),
    },
    Setting {
        column: "pool",
        key: "pool",
        kind: Kind::Text,
        argument: "NAME",
        help: "Only managers that serve this pool may run it",
        get: |app| app.policy.pool.as_ref().map(Part::as_str).into(),
        set: |app, given| assign(&mut app.policy.pool, given.optional(Given::named)),
    },
    Setting {
        column: "failover",
        key: "failover",
        kind: Kind::Word(Failover::WORDS),
        argument: "POLICY",
        help: "What happens when its manager is lost",
        get: |app| app.policy.failover.word().into(),
        set: |app, given| assign(&mut app.policy.failover, given.word()),
    },
    Setting {
        column: "protected",
        key: "protected",
        kind: Kind::Flag,
        argument: "BOOL",
        help: "Whether commands to it are never sent without a question",
        get: |app| app.policy.protected.into(),
        set: |app, given| assign(&mut app.policy.protected, given.flag()),
    },
    Setting {
        column: "description",
        key: "description",
        kind: Kind::Text,
        argument: "TEXT",
        help: "What it is for, in at most 500 characters",
        get: |app| app.description.as_deref().into(),
        set: |app, given| assign(&mut app.description, given.optional(|given| given.text(500))),
    },
    Setting {
        column: "ping_url",
        key: "ping_url",
        kind: Kind::Text,
        argument: "URL",
        help: "Called after its runs, as Healthchecks takes it: /fail is appended after a bad one",
        get: |app| app.ping_url.as_ref().map(HttpUrl::reveal).into(),
        set: |app, given| assign(&mut app.ping_url, given.optional(address)),
    },
];

/// All settings, in the order of their columns.
pub fn settings() -> impl Iterator<Item = &'static Setting> + Clone {
    DEFINITION.iter().chain(POLICIES).chain(LAUNCH)
}

impl Setting {
    /// The setting with this key.
    #[must_use]
    pub fn of_key(key: &str) -> Option<&'static Self> {
        settings().find(|setting| setting.key == key)
    }

    /// Gives an app the value.
    ///
    /// # Errors
    /// [`InvalidSetting`] if it is not of the kind or out of range; the app stays as it is.
    pub fn put(&self, app: &mut App, value: Value<'_>) -> Result<(), InvalidSetting> {
        (self.set)(app, Given { column: self.column, value })
    }

    /// Reads the text of an option and checks it. The word `none` takes away a value that may be missing.
    ///
    /// # Errors
    /// [`InvalidSetting`], as by [`Self::put`].
    pub fn parse(&self, text: &str) -> Result<Value<'static>, InvalidSetting> {
        let mut scratch = App::unnamed();
        if matches!(text, "" | "none") && (self.get)(&scratch) == Value::Null {
            return Ok(Value::Null);
        }
        let value = Value::parse(self.column, self.kind, text)?;
        self.put(&mut scratch, value.clone())?;
        Ok(value)
    }
}

impl App {
    /// An app without a path, to try settings on.
    #[must_use]
    pub fn unnamed() -> Self {
        let none = AppId::of_names([&[]; 3]);
        Self::of_row(none, AppPath::of_key(none, None, None))
    }
}

fn assign<T>(place: &mut T, checked: Result<T, InvalidSetting>) -> Result<(), InvalidSetting> {
    *place = checked?;
    Ok(())
}

/// An argument vector that a system can execute.
fn command(given: Given<'_>) -> Result<Vec<String>, InvalidSetting> {
    let Value::List(command) = &given.value else { return Err(given.is_not(Kind::List)) };
    match command.first() {
        None => Err(given.wrong("is an empty array; null stands for the default module command")),
        Some(program) if program.is_empty() => Err(given.wrong("names no program")),
        Some(_) if command.iter().any(|argument| argument.contains('\0')) => {
            Err(given.wrong("holds a NUL character"))
        }
        Some(_) => Ok(command.to_vec()),
    }
}

/// The most tags of an app.
const TAGS_MAX: usize = 32;

/// Tags, each once.
fn tags(given: Given<'_>) -> Result<BTreeSet<Part>, InvalidSetting> {
    let Value::List(list) = &given.value else { return Err(given.is_not(Kind::List)) };
    if list.len() > TAGS_MAX {
        return Err(given.wrong(format_args!("has more than {TAGS_MAX} of them")));
    }
    let tag = |text: &String| text.parse().map_err(|error| given.wrong(format_args!("has an {error}")));
    list.iter().map(tag).collect()
}

/// The longest path that a system takes: that of Windows, in characters.
const PATH_MAX: usize = 32_767;

fn directory(given: Given<'_>) -> Result<String, InvalidSetting> {
    let empty = given.wrong("is empty");
    given.text(PATH_MAX).and_then(|path| if path.is_empty() { Err(empty) } else { Ok(path) })
}

/// An address, which may hold a secret: the message does not repeat it.
fn address(given: Given<'_>) -> Result<HttpUrl, InvalidSetting> {
    let Value::Text(text) = &given.value else { return Err(given.is_not(Kind::Text)) };
    text.parse().map_err(|error: HttpUrlError| given.wrong(error))
}

fn zone(given: Given<'_>) -> Result<Tz, InvalidSetting> {
    let Value::Text(name) = &given.value else { return Err(given.is_not(Kind::Text)) };
    name.parse().map_err(|_| InvalidSetting::new(format!("unknown time zone {:?}", shorten(name))))
}

fn variables_of(program: &Program) -> Value<'_> {
    let set = program.env.iter().map(|(name, value)| (name.into(), Some(value.into())));
    let unset = program.unset.iter().map(|name| (name.into(), None));
    Value::Variables(set.chain(unset).collect())
}

/// Variables that an app has, and those that it does not inherit.
type Variables = (BTreeMap<String, String>, BTreeSet<String>);

/// What can be environment variables.
fn variables(given: Given<'_>) -> Result<Variables, InvalidSetting> {
    let Value::Variables(variables) = &given.value else { return Err(given.is_not(Kind::Variables)) };
    let (mut set, mut unset) = Variables::default();
    for (name, value) in variables {
        let has_nul = value.as_ref().is_some_and(|value| value.contains('\0'));
        if name.is_empty() || name.contains(['=', '\0']) || has_nul {
            return Err(given.wrong(format_args!("has an invalid variable {:?}", shorten(name))));
        }
        match value {
            Some(value) => drop(set.insert(name.to_string(), value.to_string())),
            None => drop(unset.insert(name.to_string())),
        }
    }
    Ok((set, unset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_app_has_can_be_put_into_another() {
        for setting in settings() {
            let mut app = App::unnamed();
            let value = (setting.get)(&app);
            if value != Value::Null {
                let before = app.clone();
                setting.put(&mut app, (setting.get)(&before)).unwrap();
                assert_eq!(app, before, "{}", setting.column);
            }
            assert!(setting.put(&mut app, Value::Other).is_err(), "{}", setting.column);
            assert_eq!(Setting::of_key(setting.key).map(|found| found.column), Some(setting.column));
        }
    }

    #[test]
    fn each_verdict_names_what_it_is_about() {
        let number = |number| Value::Number(number);
        for (key, value, verdict) in [
            (
                "interval",
                number(-1.0),
                "interval: invalid number of minutes \"-1\": expected 0 to 5270400 (ten years)",
            ),
            ("interval", "soon".into(), "interval is not a number"),
            ("jitter", number(f64::NAN), "jitter must be 0 to 86400 seconds, not NaN"),
            ("stop_grace", Value::Whole(90_000), "stop_grace must be 0 to 86400 seconds, not 90000"),
            ("catch_up_limit", Value::Whole(1001), "catch_up_limit must be 1 to 1000, not 1001"),
            ("max_failures", number(1.5), "max_failures is not a whole number"),
            ("protected", Value::Whole(1), "protected is not true or false"),
            ("catch_up", "sometimes".into(), "catch_up must be one of latest, none, all, not \"sometimes\""),
            ("time_zone", "Mars/Base".into(), "unknown time zone \"Mars/Base\""),
            (
                "command",
                Value::List(Cow::Borrowed(&[])),
                "command is an empty array; null stands for the default module command",
            ),
            ("command", Value::List(vec![String::new()].into()), "command names no program"),
            (
                "ping_url",
                "http://hc-ping.com/x".into(),
                "ping_url is plain http to another host: anyone on the way could read it; https:// is needed",
            ),
            ("cwd", "".into(), "cwd is empty"),
            ("cwd", "a\0b".into(), "cwd holds a NUL character"),
        ] {
            let error = Setting::of_key(key).unwrap().put(&mut App::unnamed(), value).unwrap_err();
            assert_eq!(error.to_string(), verdict);
        }
    }

    #[test]
    fn none_takes_away_what_may_be_missing_and_is_a_word_elsewhere() {
        let parsed = |key: &str, text: &str| Setting::of_key(key).unwrap().parse(text);
        assert_eq!(parsed("interval", "none"), Ok(Value::Null));
        assert_eq!(parsed("catch_up", "none"), Ok("none".into()));
        assert!(parsed("time_zone", "none").is_err());
        assert!(parsed("stop_grace", "none").is_err());
        assert_eq!(
            parsed("max_failures", "x").unwrap_err().to_string(),
            "max_failures is not a whole number, but \"x\""
        );
    }
}
