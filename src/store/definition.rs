//! The text and number forms of an app's definition, shared by the databases.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;

use crate::model::{AppPath, CatchUp, Failover, Minutes, Part, Policy, Program, Schedule};

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
    pub(super) stop_grace: f64,
    pub(super) max_runtime: Option<f64>,
    pub(super) log_limit: i64,
    pub(super) log_keep: i64,
    pub(super) pool: Option<String>,
    pub(super) failover: String,
    pub(super) protected: bool,
}

/// The parts of an app that its definition columns make.
pub(super) struct Parsed {
    pub(super) path: AppPath,
    pub(super) program: Program,
    pub(super) schedule: Schedule,
    pub(super) policy: Policy,
}

/// The longest pause or grace time in seconds: a day.
const SECONDS_MAX: f64 = 86_400.0;

/// The smallest log that is worth having.
const LOG_LIMIT_MIN: i64 = 4096;

impl Definition {
    /// Reads the columns.
    ///
    /// # Errors
    /// Everything that is wrong, in one line.
    pub(super) fn parse(&self) -> Result<Parsed, String> {
        let mut faults = Faults(Vec::new());
        let path = faults.note(AppPath::new(&self.app_group, &self.app_parent, &self.app_name));
        let schedule = self.schedule(&mut faults);
        let program = self.program(&mut faults);
        let policy = self.policy(&mut faults);
        match (path, faults.0.is_empty()) {
            (Some(path), true) => Ok(Parsed { path, program, schedule, policy }),
            (_, _) => Err(faults.0.join("; ")),
        }
    }

    fn schedule(&self, faults: &mut Faults) -> Schedule {
        let mut minutes = |name: &str, value: Option<f64>| {
            value.and_then(|value| {
                faults.note(Minutes::new(value).map_err(|error| format!("{name}: {error}")))
            })
        };
        let interval = minutes("interval", self.interval);
        let retry_interval = minutes("retry_interval", self.retry_interval);
        let cron = self.cron_expression.as_deref().and_then(|text| faults.note(text.parse()));
        let time_zone = faults.note(
            self.time_zone
                .parse::<Tz>()
                .map_err(|_| format!("unknown time zone {:?}", shorten(&self.time_zone))),
        );
        let jitter = seconds("jitter", self.jitter, faults);
        Schedule { interval, retry_interval, cron, time_zone: time_zone.unwrap_or(Tz::UTC), jitter }
    }

    fn program(&self, faults: &mut Faults) -> Program {
        let command = self.command.as_deref().and_then(|text| faults.note(parse_command(text)));
        let env = self.env.as_deref().and_then(|text| faults.note(parse_env(text))).unwrap_or_default();
        if self.cwd.as_deref().is_some_and(|cwd| cwd.contains('\0') || cwd.is_empty()) {
            faults.0.push("cwd is empty or holds a NUL character".to_owned());
        }
        Program { command, cwd: self.cwd.clone(), env, pass_database: self.pass_database }
    }

    fn policy(&self, faults: &mut Faults) -> Policy {
        let catch_up = faults.note(self.catch_up.parse::<CatchUp>());
        let mut whole = |name: &str, value: i64, min: i64, max: i64| {
            if (min..=max).contains(&value) {
                value
            } else {
                faults.0.push(format!("{name} must be {min} to {max}, not {value}"));
                min
            }
        };
        let catch_up_limit = whole("catch_up_limit", self.catch_up_limit, 1, 1000);
        let max_failures = whole("max_failures", self.max_failures, 0, 1_000_000);
        let log_limit = whole("log_limit", self.log_limit, LOG_LIMIT_MIN, 1 << 40);
        let log_keep = whole("log_keep", self.log_keep, 0, 1_000_000);
        let max_runtime = self.max_runtime.and_then(|value| {
            faults.note(Minutes::new(value).map_err(|error| format!("max_runtime: {error}")))
        });
        let pool = self
            .pool
            .as_deref()
            .and_then(|pool| faults.note(pool.parse::<Part>().map_err(|error| format!("pool: {error}"))));
        let failover = faults.note(self.failover.parse::<Failover>());
        Policy {
            catch_up: catch_up.unwrap_or(CatchUp::Latest),
            catch_up_limit: u32::try_from(catch_up_limit).unwrap_or(1),
            max_failures: u32::try_from(max_failures).unwrap_or(0),
            stop_grace: seconds("stop_grace", self.stop_grace, faults),
            max_runtime: max_runtime.map(Minutes::duration),
            log_limit: u64::try_from(log_limit).unwrap_or(0),
            log_keep: u32::try_from(log_keep).unwrap_or(0),
            pool,
            failover: failover.unwrap_or(Failover::Never),
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
            env: (!program.env.is_empty()).then(|| {
                json(
                    program
                        .env
                        .iter()
                        .map(|(name, value)| (name.clone(), value.clone().into()))
                        .collect::<serde_json::Map<_, _>>()
                        .into(),
                )
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
struct Faults(Vec<String>);

impl Faults {
    fn note<T, E: ToString>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.0.push(error.to_string())).ok()
    }
}

fn seconds(name: &str, value: f64, faults: &mut Faults) -> Duration {
    if (0.0..=SECONDS_MAX).contains(&value) {
        Duration::from_secs_f64(value)
    } else {
        faults.0.push(format!("{name} must be 0 to {SECONDS_MAX} seconds, not {value}"));
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

/// A JSON object of strings that can be environment variables.
fn parse_env(text: &str) -> Result<BTreeMap<String, String>, String> {
    let env: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|error| format!("env is no JSON object of strings ({error})"))?;
    match env
        .iter()
        .find(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0'))
    {
        Some((name, _)) => Err(format!("env has an invalid variable {:?}", shorten(name))),
        None => Ok(env),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}
