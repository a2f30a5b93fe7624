//! The text and number forms of an app's definition, shared by the databases.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono_tz::Tz;

use crate::model::{
    AppId, AppPath, BadReport, CatchUp, Failover, Fault, Minutes, OnFailures, Part, Policy, Program, Schedule,
};

/// The definition columns of a row, as they are stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Definition {
    pub(super) app_group: String,
    pub(super) app_parent: String,
    pub(super) app_name: String,
    pub(super) command: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) env: Option<String>,
    pub(super) pass_database: bool,
    pub(super) interval: Option<f64>,
    pub(super) retry_interval: Option<f64>,
    pub(super) cron_expression: Option<String>,
    pub(super) time_zone: String,
    pub(super) jitter: f64,
    pub(super) catch_up: String,
    pub(super) catch_up_limit: i64,
    pub(super) max_failures: i64,
    pub(super) on_failures: String,
    pub(super) stop_grace: f64,
    pub(super) max_runtime: Option<f64>,
    pub(super) log_limit: i64,
    pub(super) log_keep: i64,
    pub(super) pool: Option<String>,
    pub(super) failover: String,
    pub(super) protected: bool,
}

/// The parts of an app that its definition columns make. Faulty columns have their defaults.
pub(super) struct Parsed {
    pub(super) path: AppPath,
    pub(super) program: Program,
    pub(super) schedule: Schedule,
    pub(super) policy: Policy,
    pub(super) faults: Faults,
}

/// The longest pause or grace time in seconds: a day.
const SECONDS_MAX: f64 = 86_400.0;

/// The smallest log that is worth having.
const LOG_LIMIT_MIN: i64 = 4096;

/// The manager's writes of a row are counted from here on anew: a number beyond it was written by a hand,
/// and counting further would soon come to the end.
pub(super) const SEQUENCE_MAX: i64 = 1 << 62;

/// The count of the manager's writes that a row shows.
pub(super) fn known_sequence(stored: i64) -> u64 {
    u64::try_from(stored).ok().filter(|_| stored < SEQUENCE_MAX).unwrap_or(0)
}

/// Collects what of the reports in a row cannot be read.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    messages: Vec<String>,
    times: Vec<&'static str>,
}

impl Remarks {
    /// A time was not understood. It is in two columns until it is dealt with.
    pub(super) fn not_a_time(&mut self, column: &'static str, text: &str) {
        if self.times.is_empty() {
            self.messages.push(format!(
                "next_run {:?} is not a time and is ignored; expected a form such as 2026-11-23T14:02:11Z",
                shorten(text)
            ));
        }
        self.times.push(column);
    }

    /// A counter, of which a negative one is taken for 0.
    pub(super) fn count(&mut self, column: &str, number: i64) -> u64 {
        u64::try_from(number).unwrap_or_else(|_| {
            self.messages.push(format!("{column} {number} is negative and is taken for 0"));
            0
        })
    }

    pub(super) fn of_row(self) -> Option<Box<BadReport>> {
        let Self { messages, times } = self;
        (!messages.is_empty()).then(|| Box::new(BadReport { message: messages.join("; "), times }))
    }
}

impl Definition {
    /// What the columns of a new row hold that have no null.
    pub(super) fn of_new_row() -> Self {
        let path = AppPath::of_key(AppId::of_names([&[]; 3]), None, None);
        Self::of(&path, &Program::default(), &Schedule::default(), &Policy::default())
    }

    /// Reads the columns; `faults` holds those that could not even be taken from the row. `key` names
    /// the row when its names do not.
    pub(super) fn parse(&self, mut faults: Faults, key: AppId) -> Parsed {
        let path = self.path(key, &mut faults);
        let schedule = self.schedule(&mut faults);
        let program = self.program(&mut faults);
        let policy = self.policy(&mut faults);
        Parsed { path, program, schedule, policy, faults }
    }

    fn path(&self, key: AppId, faults: &mut Faults) -> AppPath {
        let mut part = |column, text: &str| {
            // A text that cannot be read is a fault already.
            if faults.has(column) { None } else { faults.note(column, Part::new(text)) }
        };
        let parts = (
            part("app_group", &self.app_group),
            part("app_parent", &self.app_parent),
            part("app_name", &self.app_name),
        );
        match parts {
            (Some(group), Some(parent), Some(name)) => AppPath { group, parent, name },
            (group, parent, _) => AppPath::of_key(key, group, parent),
        }
    }

    fn schedule(&self, faults: &mut Faults) -> Schedule {
        let mut minutes = |name: &'static str, value: Option<f64>| {
            value.and_then(|value| {
                faults.note(name, Minutes::new(value).map_err(|error| format!("{name}: {error}")))
            })
        };
        let interval = minutes("interval", self.interval);
        let retry_interval = minutes("retry_interval", self.retry_interval);
        let cron =
            self.cron_expression.as_deref().and_then(|text| faults.note("cron_expression", text.parse()));
        let time_zone = faults.note(
            "time_zone",
            self.time_zone
                .parse::<Tz>()
                .map_err(|_| format!("unknown time zone {:?}", shorten(&self.time_zone))),
        );
        let jitter = seconds("jitter", self.jitter, faults);
        Schedule { interval, retry_interval, cron, time_zone: time_zone.unwrap_or(Tz::UTC), jitter }
    }

    fn program(&self, faults: &mut Faults) -> Program {
        let command = self.command.as_deref().and_then(|text| faults.note("command", parse_command(text)));
        let env = self.env.as_deref().and_then(|text| faults.note("env", parse_env(text)));
        let (env, unset) = env.unwrap_or_default();
        if self.cwd.as_deref().is_some_and(|cwd| cwd.contains('\0') || cwd.is_empty()) {
            faults.add("cwd", "cwd is empty or holds a NUL character");
        }
        Program {
            command,
            cwd: self.cwd.clone().filter(|_| !faults.has("cwd")),
            env,
            unset,
            pass_database: self.pass_database,
        }
    }

    fn policy(&self, faults: &mut Faults) -> Policy {
        let default = Policy::default();
        let catch_up = faults.note("catch_up", self.catch_up.parse::<CatchUp>());
        let catch_up_limit = whole("catch_up_limit", self.catch_up_limit, (1, 1000), faults);
        let max_failures = whole("max_failures", self.max_failures, (0, 1_000_000), faults);
        let on_failures = faults.note("on_failures", self.on_failures.parse::<OnFailures>());
        let log_limit = whole("log_limit", self.log_limit, (LOG_LIMIT_MIN, 1 << 40), faults);
        let log_keep = whole("log_keep", self.log_keep, (0, 1_000_000), faults);
        let max_runtime = self.max_runtime.and_then(|value| {
            faults.note("max_runtime", Minutes::new(value).map_err(|error| format!("max_runtime: {error}")))
        });
        let pool = self.pool.as_deref().and_then(|pool| {
            faults.note("pool", pool.parse::<Part>().map_err(|error| format!("pool: {error}")))
        });
        let failover = faults.note("failover", self.failover.parse::<Failover>());
        let stop_grace = seconds("stop_grace", self.stop_grace, faults);
        Policy {
            catch_up: catch_up.unwrap_or(default.catch_up),
            catch_up_limit: catch_up_limit.unwrap_or(default.catch_up_limit),
            max_failures: max_failures.unwrap_or(default.max_failures),
            on_failures: on_failures.unwrap_or(default.on_failures),
            stop_grace: if faults.has("stop_grace") { default.stop_grace } else { stop_grace },
            max_runtime: max_runtime.map(Minutes::duration),
            log_limit: log_limit.unwrap_or(default.log_limit),
            log_keep: log_keep.unwrap_or(default.log_keep),
            pool,
            failover: failover.unwrap_or(default.failover),
            protected: self.protected,
        }
    }

    /// The columns of a definition.
    pub(super) fn of(path: &AppPath, program: &Program, schedule: &Schedule, policy: &Policy) -> Self {
        let json = |value: serde_json::Value| value.to_string();
        Self {
            app_group: path.group.to_string(),
            app_parent: path.parent.to_string(),
            app_name: path.name.to_string(),
            command: program.command.clone().map(|command| json(command.into())),
            cwd: program.cwd.clone(),
            env: (!program.env.is_empty() || !program.unset.is_empty()).then(|| {
                let set = program.env.iter().map(|(name, value)| (name.clone(), value.clone().into()));
                let unset = program.unset.iter().map(|name| (name.clone(), serde_json::Value::Null));
                json(set.chain(unset).collect::<serde_json::Map<_, _>>().into())
            }),
            pass_database: program.pass_database,
            interval: schedule.interval.map(Minutes::as_f64),
            retry_interval: schedule.retry_interval.map(Minutes::as_f64),
            cron_expression: schedule.cron.as_ref().map(ToString::to_string),
            time_zone: schedule.time_zone.name().to_owned(),
            jitter: schedule.jitter.as_secs_f64(),
            catch_up: policy.catch_up.word().to_owned(),
            catch_up_limit: policy.catch_up_limit.into(),
            max_failures: policy.max_failures.into(),
            on_failures: policy.on_failures.word().to_owned(),
            stop_grace: policy.stop_grace.as_secs_f64(),
            max_runtime: policy.max_runtime.map(|limit| limit.as_secs_f64() / 60.0),
            log_limit: i64::try_from(policy.log_limit).unwrap_or(i64::MAX),
            log_keep: policy.log_keep.into(),
            pool: policy.pool.as_ref().map(ToString::to_string),
            failover: policy.failover.word().to_owned(),
            protected: policy.protected,
        }
    }
}

/// Collects what is wrong, so that a row names all its faults at once.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(&'static str, String)>);

impl Faults {
    pub(super) fn add(&mut self, column: &'static str, fault: impl Into<String>) {
        self.0.push((column, fault.into()));
    }

    fn note<T, E: ToString>(&mut self, column: &'static str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(column, error.to_string())).ok()
    }

    fn has(&self, column: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == column)
    }

    /// All faults of a row with these names; `None` where there is none.
    pub(super) fn of_row(self, names: [String; 3]) -> Option<Box<Fault>> {
        let columns: Vec<_> = self.0.iter().map(|(column, _)| *column).collect();
        let messages: Vec<_> = self.0.into_iter().map(|(_, message)| message).collect();
        let message = messages.join("; ");
        (!columns.is_empty()).then(|| Box::new(Fault { names, columns, message }))
    }
}

fn whole<T: TryFrom<i64>>(
    name: &'static str,
    value: i64,
    (min, max): (i64, i64),
    faults: &mut Faults,
) -> Option<T> {
    if !(min..=max).contains(&value) {
        faults.add(name, format!("{name} must be {min} to {max}, not {value}"));
    }
    T::try_from(value).ok().filter(|_| !faults.has(name))
}

fn seconds(name: &'static str, value: f64, faults: &mut Faults) -> Duration {
    if (0.0..=SECONDS_MAX).contains(&value) {
        Duration::from_secs_f64(value)
    } else {
        faults.add(name, format!("{name} must be 0 to {SECONDS_MAX} seconds, not {value}"));
        Duration::ZERO
    }
}

/// A JSON array of strings with at least one, none of them with a NUL character.
fn parse_command(text: &str) -> Result<Vec<String>, String> {
    let command: Vec<String> = serde_json::from_str(text).map_err(|error| {
        format!("command is no JSON array of strings ({error}), for example [\"python3\", \"app.py\"]")
    })?;
    match command.first() {
        None => Err("command is an empty array; null stands for the default module command".to_owned()),
        Some(program) if program.is_empty() => Err("command names no program".to_owned()),
        Some(_) if command.iter().any(|argument| argument.contains('\0')) => {
            Err("command holds a NUL character".to_owned())
        }
        Some(_) => Ok(command),
    }
}

/// Variables that an app has, and those that it does not inherit.
type Variables = (BTreeMap<String, String>, BTreeSet<String>);

/// A JSON object of strings that can be environment variables; null stands for one that is not inherited.
fn parse_env(text: &str) -> Result<Variables, String> {
    let env: BTreeMap<String, Option<String>> =
        serde_json::from_str(text).map_err(|error| format!("env is no JSON object of strings ({error})"))?;
    let is_wrong = |name: &str, value: Option<&str>| {
        name.is_empty() || name.contains(['=', '\0']) || value.is_some_and(|value| value.contains('\0'))
    };
    if let Some((name, _)) = env.iter().find(|(name, value)| is_wrong(name, value.as_deref())) {
        return Err(format!("env has an invalid variable {:?}", shorten(name)));
    }
    let (set, unset): (Vec<_>, Vec<_>) = env.into_iter().partition(|(_, value)| value.is_some());
    let set = set.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Ok((set.collect(), unset.into_iter().map(|(name, _)| name).collect()))
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}
