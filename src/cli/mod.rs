//! The command line: one file a command. The only part that prints.

mod ahead;
mod alerts;
mod app;
mod args;
mod attached;
mod choice;
mod complete;
mod config;
mod db;
mod demo;
mod doctor;
mod documents;
mod error;
mod format;
mod headless;
mod history;
mod issue;
mod load;
mod log_filter;
mod log_printer;
mod logging;
mod logs;
mod logs_afar;
mod logs_merged;
mod look;
mod man;
mod managers;
mod next;
mod notify;
mod output;
mod plain;
mod presence;
mod reload;
mod report;
mod run_app;
mod service;
mod session;
mod status;
mod stop_apps;
mod test_terminal;
mod via;
mod when;
mod why;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use args::{Cli, Command, ConsoleArgs};
use attached::Role;
use error::Error;
use session::Session;

use crate::config::console::ConsoleFile;
use crate::config::env;
use crate::model::{CmdName, Printable};
use crate::process::{
    StateDir, as_service, hide_passwords, is_service, make_state_dir, on_hangup, print_to, share_heap,
};
use crate::service::NAME;

/// What a service of Windows says before its log begins, and when it fails. The log itself is in `log/`.
const SERVICE_LOG: &str = "service.log";

/// Does what the arguments of the program say.
#[must_use]
pub fn run() -> ExitCode {
    share_heap();
    output::report_panics();
    let arguments: Vec<_> = std::env::args_os().collect();
    hide_passwords();
    if let Some(code) = complete::complete(&arguments) {
        return code;
    }
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(output::usage(&error)),
    };
    let code = if cli.headless && cli.command.is_none() {
        as_service(NAME, Box::new(move || begin(cli)))
    } else {
        carry_out(cli)
    };
    ExitCode::from(code)
}

/// A manager without a console. As a service of Windows it has no streams, and begins in a folder of the system.
fn begin(cli: Cli) -> u8 {
    if is_service() {
        let named = cli.global.state_dir.clone().or_else(|| env::get(env::STATE_DIR).map(PathBuf::from));
        let folder = named.unwrap_or_else(env::default_state_dir);
        let made = make_state_dir(&StateDir::new(folder.clone())).map(drop);
        // What stands in the way is met again, and told, by the manager.
        let _ = made
            .and_then(|()| std::env::set_current_dir(&folder))
            .and_then(|()| print_to(&folder.join(SERVICE_LOG)));
    }
    carry_out(cli)
}

fn carry_out(cli: Cli) -> u8 {
    dispatch(cli).unwrap_or_else(|error| {
        output::message(&error);
        error.code()
    })
}

/// Reads the arguments. What is wrong with them is told with the arguments in their printable form: the parser
/// repeats them, and leaves out what it takes for colours.
fn parse(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(&arguments).map_err(|error| {
        let shown = arguments.iter().map(|argument| Printable(&argument.to_string_lossy()).to_string());
        Cli::try_parse_from(shown).err().unwrap_or(error)
    })
}

fn dispatch(cli: Cli) -> Result<u8, Error> {
    let Cli { global, client, headless, stop_apps_on_exit, command } = cli;
    if headless {
        // The settings are read just now; a request to read them again must not end a service that begins.
        on_hangup(|| {})?;
    }
    let role = if client { Role::Client } else { Role::AttachedIfNeeded };
    if let Some(Command::Completions { shell }) = command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "dcm", &mut script);
        output::write_raw(&script);
        return Ok(0);
    }
    if let Some(Command::Man { folder }) = command {
        return man::man(folder.as_deref()).map(|()| 0);
    }
    if let Some(Command::Demo(args)) = command {
        return demo::demo(global, args);
    }
    if let Some(Command::Config(command)) = command {
        config::config(global, &command)?;
        return Ok(0);
    }
    if let Some(Command::Service(command)) = command {
        return service::service(global, command).map(|()| 0);
    }
    // An app reports also while the configuration of its host has a fault.
    if let Some(Command::Report(args)) = command {
        report::report(&args)?;
        return Ok(0);
    }
    if let Some(Command::Doctor) = command {
        doctor::doctor(global)?;
        return Ok(0);
    }
    if command.is_some() && stop_apps_on_exit.is_some() {
        return Err(Error::usage("--stop-apps-on-exit is for the manager: dcm --headless, or dcm alone"));
    }
    let session = Session::of_manager(global, stop_apps_on_exit)?;
    match command {
        None if headless => headless::headless(&session, headless::Hangup::Reloads).map(|()| 0),
        None => attached::open(&session, &ConsoleArgs::default(), role),
        Some(_) if headless => Err(Error::usage("--headless stands alone")),
        Some(command) => with_settings(&session, command, role),
    }
}

/// Carries out what depends on the settings of this host.
fn with_settings(session: &Session, command: Command, role: Role) -> Result<u8, Error> {
    let done = |result: Result<(), Error>| result.map(|()| 0);
    match command {
        Command::Console(args) if args.list_keys => {
            let file = ConsoleFile::of_user(&mut |warning| output::message(warning));
            output::document(&file.keys.listed());
            Ok(0)
        }
        Command::Console(args) if args.test_terminal => test_terminal::test_terminal(&args),
        Command::Console(args) => attached::open(session, &args, role),
        Command::App(command) => done(app::app(session, *command)),
        Command::Start(args) => done(issue::issue(session, CmdName::Start, args.issue, args.args)),
        Command::Stop(args) => done(issue::issue(session, CmdName::Stop, args, None)),
        Command::Restart(args) => done(issue::issue(session, CmdName::Restart, args.issue, args.args)),
        Command::Enable(args) => done(issue::issue(session, CmdName::Enable, args, None)),
        Command::Disable(args) => done(issue::issue(session, CmdName::Disable, args, None)),
        Command::Status(args) => done(status::status(session, &args)),
        Command::History(args) => done(history::history(session, &args)),
        Command::Logs(args) => done(logs::logs(session, &args)),
        Command::Why(args) => done(why::why(session, &args)),
        Command::Next(args) => done(next::next(session, &args)),
        Command::RunApp(args) => run_app::run_app(session, args),
        Command::StopApps(args) => done(stop_apps::stop_apps(session, &args)),
        Command::Managers { command } => done(managers::managers(session, command)),
        Command::Alerts(args) => done(alerts::alerts(session, args)),
        Command::Notify(command) => done(notify::notify(session, &command)),
        Command::Watch(command) => done(documents::watch(session, command)),
        Command::Route(command) => done(documents::route(session, command)),
        Command::Documents(args) => done(documents::documents(session, *args)),
        Command::Db(command) => done(db::db(session, command)),
        // Done above, without these settings.
        Command::Completions { .. }
        | Command::Man { .. }
        | Command::Report(_)
        | Command::Demo(_)
        | Command::Config(_)
        | Command::Doctor
        | Command::Service(_) => Ok(0),
    }
}
