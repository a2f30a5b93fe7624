//! The environment variables of dcm, each in one place. Nothing else reads the environment for
//! settings.

/// The database: `sqlite:PATH` or `postgres://...`.
pub const DATABASE_URL: &str = "DC_DATABASE_URL";

/// The state directory: logs, run directories, the embedded database.
pub const STATE_DIR: &str = "DC_STATE_DIR";

/// The configuration file.
pub const CONFIG: &str = "DC_CONFIG";

/// The host of a PostgreSQL database, where no URL is given.
pub const DB_MAIN_IP: &str = "DC_DB_MAIN_IP";

/// Its port.
pub const DB_MAIN_PORT: &str = "DC_DB_MAIN_PORT";

/// The name of the database there.
pub const DB_MAIN_DATABASENAME: &str = "DC_DB_MAIN_DATABASENAME";

/// The user.
pub const DB_MAIN_USERNAME: &str = "DC_DB_MAIN_USERNAME";

/// The password of the user; never shown.
pub const DB_MAIN_PASSWORD: &str = "DC_DB_MAIN_PASSWORD";

/// The name of the manager on this host.
pub const MANAGER_NAME: &str = "DC_MANAGER_NAME";

/// A file that holds it, as containers get secrets; relative paths start at the working directory.
pub const DB_MAIN_PASSWORD_FILE: &str = "DC_DB_MAIN_PASSWORD_FILE";

/// Whether the apps of a host end with its manager: `true` or `false`. The default is true for process 1 of a
/// container, which takes them along.
pub const STOP_APPS_ON_EXIT: &str = "DC_STOP_APPS_ON_EXIT";

/// Within how many seconds they do.
pub const STOP_APPS_WITHIN: &str = "DC_STOP_APPS_WITHIN";

/// The broker: `amqp://USER:PASSWORD@HOST:PORT/VHOST`, or `amqps`; never shown.
pub const RABBITMQ_URL: &str = "DC_RABBITMQ_URL";

/// A file that holds it.
pub const RABBITMQ_URL_FILE: &str = "DC_RABBITMQ_URL_FILE";

/// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or filters of tracing.
pub const LOG: &str = "DC_LOG";

/// Set by systemd: the device and inode of the stream that leads to the journal.
pub const JOURNAL_STREAM: &str = "JOURNAL_STREAM";

/// The run directory, set by dcm for the apps that it starts; `dcm report` needs it.
pub const RUN_DIR: &str = "DC_RUN_DIR";

/// Set by the script of completions: the shell that asks for them.
pub const COMPLETE: &str = "DC_COMPLETE";

/// Set to anything: no colours (<https://no-color.org>).
pub const NO_COLOR: &str = "NO_COLOR";

/// The Python environment that is active; its interpreter runs apps without a command.
pub const VIRTUAL_ENV: &str = "VIRTUAL_ENV";

/// The name of the terminal.
pub const TERM: &str = "TERM";

/// Set to `truecolor` by terminals that have all colours.
pub const COLORTERM: &str = "COLORTERM";

/// Which glyphs the console draws: `unicode`, `safe` or `ascii`.
pub const GLYPHS: &str = "DC_GLYPHS";

/// The variables of the locale, in the order in which they count.
const LOCALE: [&str; 3] = ["LC_ALL", "LC_CTYPE", "LANG"];

/// The user's shell.
const SHELL: &str = "SHELL";

/// The folder with the credentials that systemd gives to a service.
pub(super) const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Where the state of a user's programs belongs.
const XDG_STATE_HOME: &str = "XDG_STATE_HOME";

/// Where the sockets of a user's programs are.
const XDG_RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";

/// Where the configuration of a user's programs belongs.
const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";

/// The user's home directory.
pub(super) const HOME: &str = "HOME";

/// The user's home directory on Windows.
const USER_PROFILE: &str = "USERPROFILE";

/// Where Python looks for modules besides.
pub const PYTHONPATH: &str = "PYTHONPATH";

/// Set by a server of SSH.
pub const SSH_CONNECTION: &str = "SSH_CONNECTION";

/// Set by tmux.
pub const TMUX: &str = "TMUX";

/// Where programs are looked for.
pub const PATH: &str = "PATH";

/// The zone of local times.
pub const TZ: &str = "TZ";

/// Where the data of one user's programs belongs on Windows.
const LOCAL_APP_DATA: &str = "LOCALAPPDATA";

/// Where the data of all users' programs belongs on Windows.
const PROGRAM_DATA: &str = "PROGRAMDATA";

/// The value of a variable; an empty one counts as not set, a value that is no text is left out.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads variables")]
pub fn get(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// All variables whose name and value are UTF-8.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// A variable that says where things are, and whose value is no text: it must not be taken for one that is not set.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads variables")]
pub fn unreadable() -> Option<&'static str> {
    [DATABASE_URL, STATE_DIR, CONFIG]
        .into_iter()
        .find(|name| std::env::var_os(name).is_some_and(|value| value.to_str().is_none()))
}

/// The user's home directory.
#[must_use]
pub fn home() -> Option<std::path::PathBuf> {
    get(if cfg!(windows) { USER_PROFILE } else { HOME }).map(Into::into)
}

/// The locale, as it is told to programs; empty if it is not.
#[must_use]
pub fn locale() -> String {
    LOCALE.iter().find_map(|name| get(name)).unwrap_or_default()
}

/// Whether the terminal can be expected to show more than ASCII: the locale says UTF-8.
#[must_use]
pub fn is_unicode() -> bool {
    let locale = locale().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8") || cfg!(windows)
}

/// The shell that the user likes.
#[must_use]
pub fn shell() -> std::path::PathBuf {
    get(SHELL).map_or_else(|| "/bin/sh".into(), Into::into)
}

/// Where the state belongs when nobody says: `/var/lib/dcm` for root, else the user's state
/// directory.
#[must_use]
pub fn default_state_dir() -> std::path::PathBuf {
    if cfg!(windows) {
        return std::path::PathBuf::from(get(PROGRAM_DATA).unwrap_or_else(|| "C:\\ProgramData".to_owned()))
            .join("dcm");
    }
    let of_user = get(XDG_STATE_HOME)
        .map(std::path::PathBuf::from)
        .or_else(|| get(HOME).map(|home| std::path::PathBuf::from(home).join(".local/state")));
    match of_user {
        Some(folder) if crate::process::user_name() != "root" => folder.join("dcm"),
        Some(_) | None => "/var/lib/dcm".into(),
    }
}

/// Where a person's choices for the console are kept.
#[must_use]
pub fn console_file() -> Option<std::path::PathBuf> {
    user_config_dir().map(|folder| folder.join("dcm/console.toml"))
}

/// Where the console keeps what a person looked at, and reports of its failures.
#[must_use]
pub fn user_state_dir() -> Option<std::path::PathBuf> {
    let home = || get(HOME).map(|home| std::path::PathBuf::from(home).join(".local/state"));
    let local = || get(LOCAL_APP_DATA).map(std::path::PathBuf::from);
    get(XDG_STATE_HOME)
        .map(std::path::PathBuf::from)
        .or_else(home)
        .or_else(local)
        .map(|folder| folder.join("dcm"))
}

/// Where the sockets of this user's programs are, while the user is logged in.
#[must_use]
pub fn runtime_dir() -> Option<std::path::PathBuf> {
    get(XDG_RUNTIME_DIR).map(Into::into)
}

/// Where the configuration of this user's programs belongs.
#[must_use]
pub fn user_config_dir() -> Option<std::path::PathBuf> {
    let home = || get(HOME).map(|home| std::path::PathBuf::from(home).join(".config"));
    let local = || get(LOCAL_APP_DATA).map(std::path::PathBuf::from);
    get(XDG_CONFIG_HOME).map(std::path::PathBuf::from).or_else(home).or_else(local)
}

/// Where the configuration is looked for when nobody says, in this order.
pub(super) fn default_config_files() -> Vec<std::path::PathBuf> {
    let of_user = user_config_dir().map(|folder| folder.join("dcm/dcm.toml"));
    let of_host =
        if cfg!(windows) { default_state_dir().join("dcm.toml") } else { "/etc/dcm/dcm.toml".into() };
    of_user.into_iter().chain([of_host]).collect()
}
