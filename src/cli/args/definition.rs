//! Options for the settings of an app, made of their table.

use clap::builder::{
    BoolValueParser, PossibleValue, PossibleValuesParser, TypedValueParser as _, ValueParser,
};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::values::{parse_name, parse_variable};
use crate::model::settings::{ALWAYS, ENV_FILES, STOP_SIGNAL, TAGS, settings};
use crate::model::{Kind, Part, Setting, Value};

/// What an app is and when it runs. In `app set`, the word none takes a value away.
#[derive(Debug)]
pub(in crate::cli) struct DefinitionArgs {
    /// The settings that are given, with values that are valid each by itself.
    pub(in crate::cli) values: Vec<(&'static Setting, Value<'static>)>,
    pub(in crate::cli) variables: VariableArgs,
    pub(in crate::cli) lists: ListArgs,
}

/// Settings that are lists.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// A file of variables that is read at each start, before --env: one of systemd's form. Several are read in this order,
    /// and replace those that the app has; -FILE may be missing. A relative one starts at its working directory.
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub(in crate::cli) env_file: Vec<String>,

    /// Words by which tag:TAG finds it; they replace those that it has.
    #[arg(long, value_name = "TAG,...", value_delimiter = ',', conflicts_with_all = ["tag", "untag"])]
    pub(in crate::cli) tags: Vec<String>,

    /// One more tag.
    #[arg(long, value_name = "TAG")]
    pub(in crate::cli) tag: Vec<Part>,

    /// A tag that it is not to have any more.
    #[arg(long, value_name = "TAG")]
    pub(in crate::cli) untag: Vec<Part>,
}

impl ListArgs {
    /// The files of variables, if they are given; the word none stands for no files.
    pub(in crate::cli) fn env_files(&self) -> Option<Value<'static>> {
        given(&self.env_file)
    }

    /// The tags, if they are given as a whole.
    pub(in crate::cli) fn all_tags(&self) -> Option<Value<'static>> {
        given(&self.tags)
    }

    fn columns(&self) -> Vec<&'static str> {
        let files = (!self.env_file.is_empty()).then_some(ENV_FILES.column);
        let tags = [self.tags.is_empty(), self.tag.is_empty(), self.untag.is_empty()];
        files.into_iter().chain(tags.contains(&false).then_some(TAGS.column)).collect()
    }
}

fn given(texts: &[String]) -> Option<Value<'static>> {
    match texts {
        [] => None,
        [none] if none.is_empty() || none == "none" => Some(Value::Null),
        texts => Some(Value::List(texts.to_vec().into())),
    }
}

/// Variables, one an option.
#[derive(Debug, Args)]
pub(in crate::cli) struct VariableArgs {
    /// A variable of the environment; an empty value takes it away.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_variable)]
    pub(in crate::cli) env: Vec<(String, String)>,

    /// A variable of the manager that the app does not inherit; --env NAME= lets it inherit it again.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(in crate::cli) unset_env: Vec<String>,
}

/// The settings that have an option of their own.
fn with_option() -> impl Iterator<Item = &'static Setting> {
    settings().filter(|setting| !matches!(setting.kind, Kind::List | Kind::Variables))
}

fn option(setting: &'static Setting) -> Arg {
    let parser = match setting.kind {
        Kind::Flag => ValueParser::from(BoolValueParser::new().map(Value::Flag)),
        Kind::Word(words) if setting.key == STOP_SIGNAL.key => {
            let names = words.iter().map(|word| PossibleValue::new(word).alias(format!("SIG{word}")));
            ValueParser::from(PossibleValuesParser::new(names).map(Value::from))
        }
        Kind::Word(words) => ValueParser::from(PossibleValuesParser::new(words).map(Value::from)),
        Kind::Whole | Kind::Number | Kind::Text | Kind::Directory | Kind::List | Kind::Variables => {
            ValueParser::from(|text: &str| setting.parse(text))
        }
    };
    let option = Arg::new(setting.key)
        .long(setting.key.replace('_', "-"))
        .value_name(setting.argument)
        .help(setting.help)
        .ignore_case(setting.key == STOP_SIGNAL.key)
        .allow_negative_numbers(matches!(setting.kind, Kind::Whole | Kind::Number))
        .value_parser(parser);
    if setting.key == ALWAYS.key {
        // An option without a value, which must not take a path behind it for one.
        return option.num_args(0..=1).require_equals(true).default_missing_value("true");
    }
    option
}

impl Args for DefinitionArgs {
    fn augment_args(command: Command) -> Command {
        ListArgs::augment_args(VariableArgs::augment_args(command.args(with_option().map(option))))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for DefinitionArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &'static Setting| Some((setting, matches.get_one(setting.key).cloned()?));
        Ok(Self {
            values: with_option().filter_map(given).collect(),
            variables: VariableArgs::from_arg_matches(matches)?,
            lists: ListArgs::from_arg_matches(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl DefinitionArgs {
    /// The columns that the options set.
    pub(in crate::cli) fn columns(&self) -> Vec<&'static str> {
        let VariableArgs { env, unset_env } = &self.variables;
        let are_given = !env.is_empty() || !unset_env.is_empty();
        let variables = settings().filter(|setting| are_given && setting.kind == Kind::Variables);
        self.values
            .iter()
            .map(|(setting, _)| *setting)
            .chain(variables)
            .map(|setting| setting.column)
            .chain(self.lists.columns())
            .collect()
    }
}
