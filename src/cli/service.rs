//! `dcm service`: the manager as a service of the host.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{Global, ServiceCommand, ServiceInstallArgs, ServicePrintArgs};
use super::error::Error;
use super::managers::{counts, facts};
use super::presence::Managers;
use super::session::{Session, block_on};
use super::{format, output};
use crate::config::env;
use crate::process::host_name;
use crate::service::{self, Change, Definition, NAME, Scope, Status, Verb};
use crate::store::OpenMode;
use crate::wire;

/// The state directory of a service of the host, where nothing else is said: systemd makes it.
const STATE_OF_HOST: &str = "/var/lib/dcm";

/// The configuration file that every manager of the host finds by itself.
const CONFIG_OF_HOST: &str = "/etc/dcm/dcm.toml";

pub(super) fn service(global: Global, command: ServiceCommand) -> Result<(), Error> {
    // What neither reads settings nor writes them works with a configuration file that is wrong.
    let json = global.json;
    match command {
        ServiceCommand::Install(args) => install(&Session::new(global)?, &args),
        ServiceCommand::Uninstall { scope, force } => uninstall(json, scope.scope(), force),
        ServiceCommand::Start { scope } => control(json, scope.scope(), Verb::Start),
        ServiceCommand::Stop { scope } => control(json, scope.scope(), Verb::Stop),
        ServiceCommand::Restart { scope } => control(json, scope.scope(), Verb::Restart),
        ServiceCommand::Status { scope } => status(global, scope.scope()),
        ServiceCommand::Print(args) => print(&Session::new(global)?, &args),
    }
}

fn print(session: &Session, args: &ServicePrintArgs) -> Result<(), Error> {
    let definition = definition(session, args)?;
    let unit = service::describe(args.scope.scope(), &definition)?;
    if session.json {
        output::json(&json!({ "service": NAME, "unit": unit }));
    } else {
        output::document(&unit);
    }
    Ok(())
}

fn install(session: &Session, args: &ServiceInstallArgs) -> Result<(), Error> {
    let scope = args.print.scope.scope();
    let definition = definition(session, &args.print)?;
    let installed = service::install(scope, &definition, args.force)?;
    if args.now {
        service::control(scope, Verb::Start)?;
    }
    let change = match installed.change {
        Change::Created => "written",
        Change::Updated => "replaced",
        Change::Unchanged => "as it was",
    };
    if session.json {
        output::json(&json!({
            "service": NAME, "place": installed.place, "change": change, "backup": installed.backup,
            "enabled": true, "started": args.now, "program": definition.program,
            "arguments": definition.arguments, "remarks": installed.remarks
        }));
        return Ok(());
    }
    output::line(format_args!("{}: {change}; it starts with {}", installed.place.display(), with(scope)));
    tell_backup(installed.backup.as_deref());
    let arguments = definition.arguments.join(" ");
    output::line(format_args!("it runs {} {arguments}", definition.program.display()));
    if args.now {
        output::line("the manager has started; dcm service status shows how it stands");
    } else {
        output::line(format_args!("dcm service start{} starts it now", flag(scope)));
    }
    installed.remarks.into_iter().for_each(output::message);
    Ok(())
}

fn uninstall(json: bool, scope: Scope, force: bool) -> Result<(), Error> {
    let removed = service::uninstall(scope, force)?;
    if json {
        output::json(&json!({
            "service": NAME, "place": removed.place, "was_installed": removed.was_installed, "backup": removed.backup
        }));
        return Ok(());
    }
    if !removed.was_installed {
        output::line(format_args!("{} is not there: nothing was to be done", removed.place.display()));
        return Ok(());
    }
    output::line(format_args!("{}: removed; the manager has stopped", removed.place.display()));
    tell_backup(removed.backup.as_deref());
    output::line("apps run on (dcm stop-apps stops them); state and configuration are left");
    Ok(())
}

fn control(json: bool, scope: Scope, verb: Verb) -> Result<(), Error> {
    service::control(scope, verb)?;
    let text = match verb {
        Verb::Start => "the manager has started",
        Verb::Stop => "the manager has stopped; apps run on (dcm stop-apps stops them)",
        Verb::Restart => "the manager was started again; apps have run on",
    };
    if json {
        output::json(&json!({ "service": NAME, "done": verb.word() }));
    } else {
        output::line(text);
    }
    Ok(())
}

/// What is to be run: as this call says it, by flags and variables, since the service does not see them.
fn definition(session: &Session, args: &ServicePrintArgs) -> Result<Definition, Error> {
    let scope = args.scope.scope();
    let mut arguments = vec!["--headless".to_owned()];
    let mut carry = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
    let (flags, settings) = (&session.flags, &session.settings);
    let is_state_given = flags.state_dir.is_some() || env::get(env::STATE_DIR).is_some();
    let is_default = settings.state.path() == env::default_state_dir();
    let state = match scope {
        // As another user than the service's, that user's own directory is none for it.
        Scope::Host if !is_state_given && is_default && !cfg!(windows) => PathBuf::from(STATE_OF_HOST),
        Scope::Host | Scope::User => settings.state.path().to_owned(),
    };
    if is_state_given || is_default {
        carry("--state-dir", text(&state)?);
    }
    if let Some(config) = settings.config.as_deref().filter(|config| *config != Path::new(CONFIG_OF_HOST)) {
        let config = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
        carry("--config", text(&config)?);
    }
    let is_database_given = flags.database.is_some()
        || [env::DATABASE_URL, env::DB_MAIN_IP].into_iter().any(|name| env::get(name).is_some());
    if is_database_given {
        let url = settings.database.without_secret().ok_or_else(|| {
            let file = environment_file(scope);
            Error::usage("the URL of the database holds a password, and a unit can be read by everyone").hint(format!(
                "write {}=URL into {} (mode 600), or database = \"URL\" into the configuration file, and call this without it",
                env::DATABASE_URL,
                file.map_or_else(|| "a file for EnvironmentFile=".to_owned(), |file| file.display().to_string())
            ))
        })?;
        carry("--database", url);
    }
    if let Some(name) = flags.name.clone().or_else(|| env::get(env::MANAGER_NAME)) {
        carry("--name", name);
    }
    let python = Path::new(&settings.python);
    let of_environment = env::get(env::VIRTUAL_ENV).filter(|folder| python.starts_with(folder));
    Ok(Definition {
        program: program()?,
        arguments,
        is_state_of_host: state == Path::new(STATE_OF_HOST),
        state,
        cwd: args.cwd.as_ref().map(|cwd| folder(cwd)).transpose()?,
        environment: of_environment.map(|folder| (env::VIRTUAL_ENV.to_owned(), folder)).into_iter().collect(),
        environment_file: environment_file(scope),
    })
}

fn environment_file(scope: Scope) -> Option<PathBuf> {
    match scope {
        _ if cfg!(windows) => None,
        Scope::Host => Some("/etc/dcm/dcm.env".into()),
        Scope::User => env::user_config_dir().map(|folder| folder.join("dcm/dcm.env")),
    }
}

fn folder(path: &Path) -> Result<PathBuf, Error> {
    let path = std::path::absolute(path)?;
    if path.is_dir() {
        return Ok(path);
    }
    Err(Error::usage(format!("--cwd {}: there is no such directory", path.display())))
}

fn text(path: &Path) -> Result<String, Error> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        Error::usage(format!("{}: the path is not UTF-8", path.display())).hint("choose another one")
    })
}

/// This program, by the path by which it was called: where that is a link, an upgrade changes what it leads to.
fn program() -> Result<PathBuf, Error> {
    let own = std::env::current_exe()?;
    let called = std::env::args_os().next().unwrap_or_default();
    let found = if Path::new(&called).components().count() > 1 {
        std::path::absolute(&called).ok()
    } else {
        env::get(env::PATH).and_then(|path| {
            std::env::split_paths(OsStr::new(&path))
                .map(|folder| folder.join(&called))
                .find(|path| path.is_file())
        })
    };
    let same = |path: &PathBuf| {
        path.is_absolute() && std::fs::canonicalize(path).ok() == std::fs::canonicalize(&own).ok()
    };
    Ok(found.filter(same).unwrap_or(own))
}

fn status(global: Global, scope: Scope) -> Result<(), Error> {
    let json = global.json;
    let status = service::status(scope)?;
    let (row, trouble) = match row_of(global, &status) {
        Ok(row) => (row, None),
        Err(error) => (None, Some(error)),
    };
    let Status { place, installed, edited, enabled, active, sub_state, result, restarts, pid, says, remarks } =
        &status;
    let remarks = remarks.iter().cloned().chain(trouble.map(|error| error.to_string()));
    if json {
        let remarks: Vec<_> = remarks.collect();
        output::json(&json!({
            "service": NAME, "place": place, "installed": installed, "edited": edited, "enabled": enabled,
            "active": active, "sub_state": sub_state, "result": result, "restarts": restarts, "pid": pid,
            "status": says, "manager": row.map(|row| row.json), "remarks": remarks
        }));
        return Ok(());
    }
    let known = |word: &Option<String>| word.clone().unwrap_or_else(|| "not known".to_owned());
    let unit = match (installed, edited) {
        (false, _) => "no".to_owned(),
        (true, Some(true)) => format!("yes, edited by hand ({})", place.display()),
        (true, Some(false) | None) => format!("yes ({})", place.display()),
    };
    let detail = sub_state.as_ref().map_or_else(String::new, |sub_state| format!(" ({sub_state})"));
    let ended = result.as_deref().filter(|result| *result != "success");
    let lines = [
        ("installed", Some(unit)),
        ("enabled", Some(known(enabled))),
        ("active", Some(format!("{}{detail}", known(active)))),
        ("ended by", ended.map(str::to_owned)),
        ("restarts", restarts.filter(|count| *count > 0).map(|count| count.to_string())),
        ("pid", pid.map(|pid| pid.to_string())),
        ("status", says.clone()),
        ("manager", row.map(|row| row.text)),
    ];
    output::lines(
        lines.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name:<10}{value}"))),
    );
    remarks.for_each(output::message);
    Ok(())
}

/// A manager's row, for people and for programs.
struct Row {
    text: String,
    json: serde_json::Value,
}

/// The row of the manager that the service runs, or of the one that was here last.
fn row_of(global: Global, status: &Status) -> Result<Option<Row>, Error> {
    let session = Session::new(global)?;
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        let managers = Managers::read(&session, store.as_ref()).await?;
        let apps = counts(store.as_ref(), &managers).await?;
        let host = host_name();
        let mut of_here = managers.rows.iter().filter(|(row, _)| row.host == host);
        let found = match status.pid {
            Some(pid) => of_here.rfind(|(row, _)| row.pid == pid),
            None => of_here.max_by_key(|(row, _)| row.heartbeat),
        };
        let Some((row, presence)) = found else {
            return Err(Error::failed(format!(
                "the manager of the service has no row in {}",
                session.settings.database
            ))
            .hint("call this with the --database, --state-dir or --config of the service"));
        };
        let facts = facts(row, *presence, &apps);
        Ok(Some(Row {
            text: format!(
                "{}: {}, {} apps, version {}, heard {} ago",
                row.name,
                facts.state,
                facts.apps,
                row.version,
                format::duration(managers.now - row.heartbeat)
            ),
            json: serde_json::to_value(wire::Manager::of(row, facts))
                .map_err(|error| Error::failed(error.to_string()))?,
        }))
    })
}

fn tell_backup(backup: Option<&Path>) {
    if let Some(backup) = backup {
        output::line(format_args!("the one that was edited is kept as {}", backup.display()));
    }
}

fn with(scope: Scope) -> &'static str {
    match scope {
        Scope::Host => "the host",
        Scope::User => "this user",
    }
}

fn flag(scope: Scope) -> &'static str {
    match scope {
        Scope::Host => "",
        Scope::User => " --user",
    }
}
