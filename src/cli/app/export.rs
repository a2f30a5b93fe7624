//! `dcm app export`: apps as the file that import reads.

use toml::{Table, Value};

use super::limit;
use crate::cli::args::SelectorsArgs;
use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::session::{Fleet, Session, block_on, needs_env, tell_faults};
use crate::model::{App, Policy, Schedule};
use crate::store::OpenMode;

pub(super) fn export(session: &Session, args: &SelectorsArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    let (apps, limits) = block_on(async {
        needs_env(store.as_ref()).await?;
        let apps = Fleet::meant(store.as_ref(), &args.selectors).await?;
        Ok((apps, limit::all(&store.limits().await?)))
    })?;
    tell_faults(&apps);
    // A file with defaults in the place of what is faulty would hide that.
    let apps: Vec<_> = apps.into_iter().filter(|row| row.fault.is_none()).collect();
    let tables: Vec<_> = apps.iter().map(|row| Value::Table(table(&row.app))).collect();
    let mut document = Table::from_iter([("app".to_owned(), Value::Array(tables))]);
    let limits = limits.iter().filter(|(place, _)| apps.iter().any(|row| place.holds(&row.app.path)));
    let limits: Vec<_> = limits.map(|(place, limit)| Value::Table(limit_table(place, *limit))).collect();
    if !limits.is_empty() {
        document.insert("limit".to_owned(), Value::Array(limits));
    }
    if session.json {
        output::json(&document);
    } else {
        let text = toml::to_string(&document).map_err(|error| Error::failed(error.to_string()))?;
        output::document(&text);
    }
    Ok(())
}

fn limit_table(place: &limit::Place, limit: u32) -> Table {
    Table::from_iter([
        ("place".to_owned(), place.to_string().into()),
        ("max_running".to_owned(), i64::from(limit).into()),
    ])
}

/// The table of an app; what has its default is left out.
pub(super) fn table(app: &App) -> Table {
    let mut table = Table::new();
    let mut put = |name: &str, value: Value| drop(table.insert(name.to_owned(), value));
    let (schedule, default) = (&app.schedule, Schedule::default());
    put("path", app.path.to_string().into());
    if let Some(command) = &app.program.command {
        put("command", command.clone().into());
    }
    for (name, pause) in [("interval", schedule.interval), ("retry_interval", schedule.retry_interval)] {
        if let Some(pause) = pause {
            put(name, number(pause.as_f64()));
        }
    }
    if let Some(cron) = &schedule.cron {
        put("cron", cron.to_string().into());
    }
    if schedule.time_zone != default.time_zone {
        put("time_zone", schedule.time_zone.name().into());
    }
    if schedule.jitter != default.jitter {
        put("jitter", number(schedule.jitter.as_secs_f64()));
    }
    put("enabled", (!app.disabled).into());
    if let Some(cwd) = &app.program.cwd {
        put("cwd", cwd.clone().into());
    }
    if app.program.pass_database {
        put("pass_database", true.into());
    }
    policies(&app.policy, &mut put);
    if !app.program.env.is_empty() || !app.program.unset.is_empty() {
        let set = app.program.env.iter().map(|(name, value)| (name.clone(), Value::from(value.clone())));
        let unset = app.program.unset.iter().map(|name| (name.clone(), Value::from(false)));
        let env: Table = set.chain(unset).collect();
        put("env", Value::Table(env));
    }
    table
}

fn policies(policy: &Policy, put: &mut impl FnMut(&str, Value)) {
    let default = Policy::default();
    if policy.catch_up != default.catch_up {
        put("catch_up", policy.catch_up.word().into());
    }
    if policy.catch_up_limit != default.catch_up_limit {
        put("catch_up_limit", i64::from(policy.catch_up_limit).into());
    }
    if policy.max_failures != default.max_failures {
        put("max_failures", i64::from(policy.max_failures).into());
    }
    if policy.on_failures != default.on_failures {
        put("on_failures", policy.on_failures.word().into());
    }
    if policy.stop_grace != default.stop_grace {
        put("stop_grace", number(policy.stop_grace.as_secs_f64()));
    }
    if let Some(limit) = policy.max_runtime {
        put("max_runtime", number(limit.as_secs_f64() / 60.0));
    }
    if policy.log_limit != default.log_limit {
        put("log_limit", i64::try_from(policy.log_limit).unwrap_or(i64::MAX).into());
    }
    if policy.log_keep != default.log_keep {
        put("log_keep", i64::from(policy.log_keep).into());
    }
    if let Some(pool) = &policy.pool {
        put("pool", pool.as_str().into());
    }
    if policy.failover != default.failover {
        put("failover", policy.failover.word().into());
    }
    if policy.protected {
        put("protected", true.into());
    }
}

/// A number without decimals where it has none.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    let whole = value as i64;
    #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "small, and equal only if it is whole")]
    let is_whole = value.abs() < 1e9 && whole as f64 == value;
    if is_whole { Value::Integer(whole) } else { Value::Float(value) }
}
