//! `dcm app export`: apps as the file that import reads.

use std::borrow::Cow;

use toml::{Table, Value};

use super::limit;
use crate::cli::args::SelectorsArgs;
use crate::cli::choice::chosen;
use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::session::{Session, block_on, needs_env, tell_faults};
use crate::model::settings::settings;
use crate::model::{self, App};
use crate::store::OpenMode;

pub(super) fn export(session: &Session, args: &SelectorsArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    let (apps, limits) = block_on(async {
        needs_env(store.as_ref()).await?;
        let apps = chosen(session, store.as_ref(), &args.selectors).await?;
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
    let default = App::unnamed();
    let differing = settings().filter(|setting| (setting.get)(app) != (setting.get)(&default));
    let settings =
        differing.filter_map(|setting| Some((setting.key.to_owned(), written((setting.get)(app))?)));
    let fixed = [("path", app.path.to_string().into()), ("enabled", Value::from(!app.disabled))];
    fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(settings).collect()
}

/// A value as import reads it. What has none is left out.
fn written(value: model::Value<'_>) -> Option<Value> {
    Some(match value {
        model::Value::Null | model::Value::Other => return None,
        model::Value::Flag(flag) => flag.into(),
        model::Value::Whole(whole) => whole.into(),
        model::Value::Number(fraction) => number(fraction),
        model::Value::Text(text) => text.into_owned().into(),
        model::Value::List(list) => list.into_owned().into(),
        model::Value::Variables(variables) => {
            let text = |value: Option<Cow<'_, str>>| {
                value.map_or(Value::from(false), |text| text.into_owned().into())
            };
            let variables = variables.into_iter().map(|(name, value)| (name.into_owned(), text(value)));
            Value::Table(variables.collect())
        }
    })
}

/// A number without decimals where it has none.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    let whole = value as i64;
    #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "small, and equal only if it is whole")]
    let is_whole = value.abs() < 1e9 && whole as f64 == value;
    if is_whole { Value::Integer(whole) } else { Value::Float(value) }
}
