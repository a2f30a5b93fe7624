//! Settings: flags come before the environment, that before the file, that before the defaults.

pub mod console;
mod database;
mod effective;
pub mod env;
mod exit;
mod file;
mod notify;
mod paths;
mod rabbitmq;
mod reference;
mod reload;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use database::Database;
pub use effective::{Effective, Origin, effective, exposed_secrets, used_file};
pub(crate) use file::line_of;
pub use paths::expand_home;
pub use reference::{Section, Setting, reference, setting_of};
pub use reload::Changes;

use crate::broker::BrokerSettings;
use crate::console::Caution;
use crate::manager::peers::Lease;
use crate::metrics::MetricsSettings;
use crate::model::{LEASE, Retention};
use crate::notify::NotifySettings;
use crate::pipeline::SCAN_EVERY;
use crate::process::{LogLimits, SAMPLE_EVERY, StateDir};
use crate::runtime::StopApps;

/// Every setting with its default and what it means.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// A setting is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {why}")]
pub struct ConfigError {
    /// Where the value comes from: a flag, a variable, or file and line.
    origin: String,
    why: String,
}

impl ConfigError {
    /// The file and the line in it, where the value comes from a line of a file.
    #[must_use]
    pub fn line(&self) -> Option<(&str, u32)> {
        let (file, line) = self.origin.split(": ").next()?.rsplit_once(':')?;
        Some((file, line.parse().ok()?))
    }

    /// What is wrong, without its place.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// What the flags of the command line say.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--database`
    pub database: Option<String>,
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--name`
    pub name: Option<String>,
    /// `--stop-apps-on-exit`
    pub stop_apps_on_exit: Option<bool>,
}

/// All settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration file that was read; `None` where there is none.
    pub config: Option<PathBuf>,
    /// Where the fleet is kept.
    pub database: Database,
    /// Where the host's files are.
    pub state: StateDir,
    /// The manager's name.
    pub name: String,
    /// The interpreter of apps without a command.
    pub python: String,
    /// At most so many apps run at once on this host.
    pub running_max: Option<u32>,
    /// How often it is looked at what apps use.
    pub sample_every: Duration,
    /// How often watched directories are looked through, whatever the system tells of them.
    pub scan_every: Duration,
    /// The pools of apps that the manager serves.
    pub pools: Vec<String>,
    /// Whether commands of apps may be batch files on Windows.
    pub batch_files: bool,
    /// Whether the apps of this host end with the manager.
    pub stop_apps: Option<StopApps>,
    /// How long the manager's lease on its apps lasts without being renewed.
    pub lease: Lease,
    /// What the logs of apps may take.
    pub logs: LogLimits,
    /// What is logged.
    pub log_level: String,
    /// In which form it goes to standard error.
    pub log_format: LogFormat,
    /// So many days of the manager's log are kept.
    pub log_keep_days: u32,
    /// How long history is kept.
    pub retention: Retention,
    /// For the consoles of this host.
    pub console: ConsoleSettings,
    /// Where notifications go. A secret that is missing fails what would send, and nothing else.
    pub notify: Result<NotifySettings, ConfigError>,
    /// The broker, if there is one. A secret that is missing fails what would connect, and nothing else.
    pub rabbitmq: Result<Option<BrokerSettings>, ConfigError>,
    /// Where the manager's numbers are exported.
    pub metrics: MetricsSettings,
    /// Variables of the environment that hold secrets of this program, and that apps do not get.
    pub withheld: Vec<String>,
}

/// What the owner of a host demands of consoles there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsoleSettings {
    /// Nothing can be changed from them.
    pub read_only: bool,
    /// How careful they ask.
    pub caution: Caution,
    /// What becomes of the manager in one whose terminal goes away.
    pub on_hangup: OnHangup,
}

/// In which form the log of a manager goes to standard error. Its files hold JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Lines for people, also in a journal.
    Text,
    /// Lines for programs.
    Json,
}

impl LogFormat {
    const ALL: [Self; 3] = [Self::Auto, Self::Text, Self::Json];

    const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// What becomes of the manager in a console whose terminal goes away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnHangup {
    /// It goes on without a console.
    #[default]
    Continue,
    /// It starts nothing new, and ends when nothing runs any more.
    Drain,
    /// It ends; its apps run on.
    Stop,
}

impl OnHangup {
    const ALL: [Self; 3] = [Self::Continue, Self::Drain, Self::Stop];

    const fn word(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Drain => "drain",
            Self::Stop => "stop",
        }
    }
}

impl Settings {
    /// Puts the settings together. `get` reads a variable of the environment; `warn` hears of keys
    /// in the file that nobody knows.
    ///
    /// # Errors
    /// [`ConfigError`] names the place of the first wrong value.
    pub fn load(
        flags: Flags,
        get: impl Fn(&str) -> Option<String>,
        warn: &mut dyn FnMut(String),
    ) -> Result<Self, ConfigError> {
        let (settings, faults) = Self::examine(flags, get, warn);
        match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => settings,
        }
    }

    /// The same, with each fault of the file: what is wrong there counts as missing.
    ///
    /// # Errors
    /// [`ConfigError`] where what is left makes no settings.
    pub fn examine(
        flags: Flags,
        get: impl Fn(&str) -> Option<String>,
        warn: &mut dyn FnMut(String),
    ) -> (Result<Self, ConfigError>, Vec<ConfigError>) {
        let mut faults = Vec::new();
        let config = match config_file(&flags, &get) {
            Ok(config) => config,
            Err(error) => return (Err(error), faults),
        };
        let file = config.as_ref().map(|path| file::read(path, &get, warn, &mut faults));
        let settings = Self::assemble(flags, &get, config, file.unwrap_or_default(), &mut faults);
        faults.sort_by_key(|fault| fault.line().map(|(_, line)| line));
        (settings, faults)
    }

    fn assemble(
        flags: Flags,
        get: &impl Fn(&str) -> Option<String>,
        config: Option<PathBuf>,
        file: file::File,
        faults: &mut Vec<ConfigError>,
    ) -> Result<Self, ConfigError> {
        // What is relative in a file means the same wherever the program is called.
        let folder = config.as_deref().and_then(Path::parent);
        let folder = folder.and_then(|folder| std::path::absolute(Path::new(".").join(folder)).ok());
        let folder = folder.as_deref();
        let home = || get(env::HOME).map(PathBuf::from).or_else(env::home);
        let state = state_dir(
            [
                (flags.state_dir, "--state-dir", None),
                (get(env::STATE_DIR).map(PathBuf::from), env::STATE_DIR, None),
                (file.state_dir.map(PathBuf::from), "state_dir", folder),
            ],
            home,
        )?;
        let named = [
            (flags.database, "--database", None),
            (get(env::DATABASE_URL), env::DATABASE_URL, None),
            (postgres_of_parts(get)?, env::DB_MAIN_IP, None),
            (file.database, "database", folder),
        ];
        let named = named.into_iter().find_map(|(text, origin, base)| text.map(|text| (text, origin, base)));
        let database = match named {
            Some((text, origin, base)) => Database::parse(&text, origin, base, home)?,
            None => Database::Sqlite { path: state.database(), is_default: true },
        };
        let python = match file.python {
            Some(python) => named_python(python, folder, home)?,
            None => python(get),
        };
        let withheld = file.notify.variables.into_iter().chain(file.rabbitmq.variables.clone()).collect();
        let rabbitmq = file.rabbitmq.settings(get).unwrap_or_else(|fault| {
            faults.push(fault.clone());
            Err(fault)
        });
        let log_level = get(env::LOG).or(file.log_level).unwrap_or_else(|| "info".to_owned());
        Ok(Self {
            config,
            database,
            state,
            name: flags
                .name
                .or_else(|| get(env::MANAGER_NAME))
                .or(file.name)
                .unwrap_or_else(crate::process::host_name),
            python,
            running_max: file.running_max,
            sample_every: file.sample_every.unwrap_or(SAMPLE_EVERY),
            scan_every: file.scan_every.unwrap_or(SCAN_EVERY),
            pools: file.pools,
            batch_files: file.batch_files,
            stop_apps: exit::Said {
                by_flag: flags.stop_apps_on_exit,
                by_file: file.stop_apps_on_exit,
                within_by_file: file.stop_apps_within,
            }
            .in_force(&get)?,
            lease: Lease::new(file.lease.unwrap_or(LEASE)),
            logs: LogLimits {
                total_max: file.logs_max.unwrap_or(20 << 30),
                days_max: file.logs_days.unwrap_or(90),
                free_min: file.logs_free,
            },
            log_level,
            log_format: file.log_format,
            log_keep_days: file.log_keep_days.unwrap_or(14),
            retention: file.retention,
            console: file.console,
            metrics: file.metrics,
            notify: file.notify.settings,
            withheld,
            rabbitmq,
        })
    }
}

/// The interpreter that the file names: a path, or a name that is looked for in PATH.
fn named_python(
    python: String,
    folder: Option<&Path>,
    home: impl FnOnce() -> Option<PathBuf>,
) -> Result<String, ConfigError> {
    if !python.contains(['/', '~', '\\']) {
        return Ok(python);
    }
    Ok(paths::expand(Path::new(&python), "python", folder, home)?.to_string_lossy().into_owned())
}

fn config_file(flags: &Flags, get: &impl Fn(&str) -> Option<String>) -> Result<Option<PathBuf>, ConfigError> {
    let named = [(flags.config.clone(), "--config"), (get(env::CONFIG).map(PathBuf::from), env::CONFIG)];
    match named.into_iter().find_map(|(path, origin)| path.map(|path| (path, origin))) {
        Some((path, origin)) => expand_home(&path, origin).map(Some),
        None => Ok(env::default_config_files().into_iter().find(|path| path.is_file())),
    }
}

/// The first of these that is there, with the folder at which it starts.
fn state_dir(
    named: [(Option<PathBuf>, &'static str, Option<&Path>); 3],
    home: impl FnOnce() -> Option<PathBuf>,
) -> Result<StateDir, ConfigError> {
    let named = named.into_iter().find_map(|(path, origin, base)| path.map(|path| (path, origin, base)));
    let (path, origin) = match named {
        Some((path, origin, base)) => (paths::expand(&path, origin, base, home)?, origin),
        None => (env::default_state_dir(), "the default state directory"),
    };
    let path = std::path::absolute(&path).unwrap_or(path);
    if path.to_str().is_none() {
        // Apps learn of it by variables, which are texts.
        let why = format!("{} is not UTF-8, and apps could not be told of it", path.display());
        return Err(ConfigError { origin: origin.to_owned(), why });
    }
    Ok(StateDir::new(path))
}

fn postgres_of_parts(get: &impl Fn(&str) -> Option<String>) -> Result<Option<String>, ConfigError> {
    let Some(host) = get(env::DB_MAIN_IP) else { return Ok(None) };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let port = get(env::DB_MAIN_PORT);
    if let Some(port) = port.as_ref().filter(|port| port.parse::<u16>().is_err()) {
        let why = format!("{port:?} is no number of a port");
        return Err(ConfigError { origin: env::DB_MAIN_PORT.to_owned(), why });
    }
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let database = get(env::DB_MAIN_DATABASENAME).unwrap_or_default();
    // As libpq does: the user of this process where none is named.
    let user = percent_encode(&get(env::DB_MAIN_USERNAME).unwrap_or_else(crate::process::user_name));
    let password = values::secret_of_environment(env::DB_MAIN_PASSWORD, env::DB_MAIN_PASSWORD_FILE, get)?;
    let password = password.map(|password| format!(":{}", percent_encode(password.reveal())));
    let password = password.unwrap_or_default();
    Ok(Some(format!("postgres://{user}{password}@{host}{port}/{}", percent_encode(&database))))
}

fn percent_encode(text: &str) -> String {
    use fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn python(get: &impl Fn(&str) -> Option<String>) -> String {
    let of_environment = get(env::VIRTUAL_ENV).map(|folder| {
        let folder = Path::new(&folder);
        if cfg!(windows) {
            folder.join("Scripts").join("python.exe")
        } else {
            folder.join("bin").join("python")
        }
    });
    match of_environment {
        Some(python) => python.to_string_lossy().into_owned(),
        None if cfg!(windows) => "python".to_owned(),
        None => "python3".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn load(flags: Flags, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        let flags = Flags { state_dir: flags.state_dir.or(Some("/state".into())), ..flags };
        Settings::load(flags, |name| variables.get(name).map(|value| (*value).to_owned()), &mut |_| {})
    }

    #[test]
    fn flags_come_before_the_environment_and_that_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dcm.toml");
        std::fs::write(&file, "database = 'sqlite:/file.db'\nname = 'zg'\n").unwrap();
        let config = Some(file);
        let from_file = load(Flags { config: config.clone(), ..Flags::default() }, &[]).unwrap();
        assert_eq!(from_file.database.to_string(), "sqlite:/file.db");
        assert_eq!(from_file.name, "zg");
        let environment = [(env::DATABASE_URL, "sqlite:/env.db"), (env::MANAGER_NAME, "st")];
        let from_environment =
            load(Flags { config: config.clone(), ..Flags::default() }, &environment).unwrap();
        assert_eq!(from_environment.database.to_string(), "sqlite:/env.db");
        assert_eq!(from_environment.name, "st");
        let database = Some("sqlite:/flag.db".to_owned());
        let flags = Flags { config, database, name: Some("vie".to_owned()), ..Flags::default() };
        let from_flags = load(flags, &environment).unwrap();
        assert_eq!((&*from_flags.database.to_string(), &*from_flags.name), ("sqlite:/flag.db", "vie"));
        let default = load(Flags::default(), &[(env::CONFIG, "/dev/null")]).unwrap();
        assert_eq!(default.database, Database::Sqlite { path: "/state/dcm.db".into(), is_default: true });
    }

    #[test]
    fn passwords_are_never_shown() {
        let variables = [
            (env::CONFIG, "/dev/null"),
            (env::DB_MAIN_IP, "10.0.3.7"),
            (env::DB_MAIN_PORT, "5433"),
            (env::DB_MAIN_DATABASENAME, "dcm"),
            (env::DB_MAIN_USERNAME, "ana"),
            (env::DB_MAIN_PASSWORD, "hun/ter2@"),
        ];
        let settings = load(Flags::default(), &variables).unwrap();
        assert_eq!(settings.database.url(), "postgres://ana:hun%2Fter2%40@10.0.3.7:5433/dcm");
        assert_eq!(settings.database.to_string(), "postgres://10.0.3.7:5433/dcm");
        assert!(!format!("{settings:?}").contains("hun"));
        let wrong = Flags { database: Some("mysql://ana:hunter2@h/d".to_owned()), ..Flags::default() };
        let message = load(wrong, &[(env::CONFIG, "/dev/null")]).unwrap_err().to_string();
        assert!(message.contains("mysql") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn a_port_that_is_none_is_named_by_its_variable() {
        let variables =
            [(env::CONFIG, "/dev/null"), (env::DB_MAIN_IP, "10.0.3.7"), (env::DB_MAIN_PORT, "many")];
        let message = load(Flags::default(), &variables).unwrap_err().to_string();
        assert_eq!(message, "DC_DB_MAIN_PORT: \"many\" is no number of a port");
    }

    #[test]
    fn paths_of_a_file_start_at_its_folder_and_at_home() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dcm.toml");
        let settings = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let variables = [(env::HOME, "/home/ana"), (env::CONFIG, file.to_str().unwrap())];
            let variables: BTreeMap<_, _> = variables.into_iter().collect();
            Settings::load(
                Flags::default(),
                |name| variables.get(name).map(|value| (*value).to_owned()),
                &mut |_| {},
            )
        };
        let found = settings("state_dir = 'state'\npython = '~/venv/bin/python'\n").unwrap();
        assert_eq!(found.state.path(), folder.path().join("state"));
        assert_eq!(found.python, "/home/ana/venv/bin/python");
        let found =
            settings("state_dir = '~/a ?b'\ndatabase = 'sqlite:x.db'\npython = 'python3.12'\n").unwrap();
        assert_eq!(found.state.path(), Path::new("/home/ana/a ?b"));
        assert_eq!(found.database.url(), format!("sqlite:{}", folder.path().join("x.db").display()));
        assert_eq!(found.python, "python3.12");
        let message = settings("state_dir = '~bob'\n").unwrap_err().to_string();
        assert!(message.contains("state_dir: ~bob: only ~/ is understood"), "{message}");
    }

    #[test]
    fn the_interpreter_is_that_of_the_environment() {
        let settings =
            load(Flags::default(), &[(env::CONFIG, "/dev/null"), (env::VIRTUAL_ENV, "/venv")]).unwrap();
        assert_eq!(settings.python, "/venv/bin/python");
        assert_eq!(load(Flags::default(), &[(env::CONFIG, "/dev/null")]).unwrap().python, "python3");
    }
}
