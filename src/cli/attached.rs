//! `dcm` and `dcm console`: the console, with a manager inside if no other serves the database. The
//! only place besides `headless` that starts one.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use super::args::ConsoleArgs;
use super::error::{Error, Kind};
use super::logging::{self, Stderr};
use super::presence::Managers;
use super::session::{Session, block_on};
use super::{headless, look, output, plain};
use crate::config::console::ConsoleFile;
use crate::config::{ConsoleSettings, OnHangup, env};
use crate::console::{self, Leave, ReadOnly};
use crate::metrics::{Exporter, Metrics};
use crate::process::{OpenError, home_of, is_process_1, on_termination, spawn_detached, user_name};
use crate::runtime::{self, RunError, Stop};
use crate::store::{OpenMode, OperatorStore, Rights, StoreError};

/// Whether a manager may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    AttachedIfNeeded,
}

pub(super) fn open(session: &Session, args: &ConsoleArgs, role: Role) -> Result<u8, Error> {
    if args.plain || !output::is_terminal() || env::get(env::TERM).as_deref() == Some("dumb") {
        return plain::plain(session, args);
    }
    let (interrupter, mailbox) = console::mailbox();
    on_termination(move |signal| interrupter.interrupt(signal))?;
    let _guard = logging::begin(&session.settings, Stderr::Untouched)?;
    let settings = &session.settings.console;
    let manager = match role {
        Role::Client => None,
        // Who may change nothing starts nothing either.
        Role::AttachedIfNeeded if args.read_only || settings.read_only => None,
        Role::AttachedIfNeeded if session.may_manage()? => Manager::start(session)?,
        Role::AttachedIfNeeded => None,
    };
    let store: Arc<dyn OperatorStore> = session.store_or_later()?;
    // While it is away nobody knows; the database itself refuses what is not granted.
    let rights = block_on(async {
        Ok(match store.rights().await {
            Err(StoreError::Unavailable(_)) => Rights::ALL,
            answer => answer?,
        })
    })?;
    let mut remarks = Vec::new();
    let file = ConsoleFile::of_user(&mut |warning| remarks.push(warning));
    let options = console::Options {
        store,
        state: session.settings.state.clone(),
        database: session.settings.database.to_string(),
        user: user_name(),
        is_attached: manager.is_some(),
        read_only: read_only(args, settings, rights),
        caution: settings.caution.clone(),
        filter: args.filter.clone().unwrap_or_default(),
        view: args.view.clone(),
        look: look::of(args, &file),
        views: file.views.into_iter().collect(),
        keys: file.keys,
        shell: env::shell(),
        remarks,
        memory: env::user_state_dir().map(|folder| folder.join("console.json")),
        reports: env::user_state_dir(),
    };
    let mut on_hangup = settings.on_hangup;
    let left = console::run(options, mailbox);
    let left = match (&manager, left) {
        // The fleet does not suffer from a fault of the console.
        (Some(_), Err(error @ console::RunError::Failed { .. })) => {
            let error = Error::from(error);
            output::message(format_args!("{error}; the manager goes on without a console, ^c stops it"));
            on_hangup = OnHangup::Continue;
            Leave::HungUp
        }
        (_, left) => left?,
    };
    match manager {
        None => Ok(match left {
            Leave::HungUp => 129,
            Leave::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(1),
            Leave::Client | Leave::Headless | Leave::Stop => 0,
        }),
        Some(manager) => manager.outlive(session, left, on_hangup),
    }
}

/// Why nothing may be changed from a console, if that is so.
pub(super) fn read_only(args: &ConsoleArgs, settings: &ConsoleSettings, rights: Rights) -> Option<ReadOnly> {
    match (args.read_only, settings.read_only, rights.submit) {
        (true, ..) => Some(ReadOnly::Flag),
        (false, true, _) => Some(ReadOnly::Settings),
        (false, false, false) => Some(ReadOnly::Rights),
        (false, false, true) => None,
    }
}

/// A manager that drains is looked at so often; it tells of itself every few seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A manager of the same name takes its seat within this time.
const TAKES_OVER: Duration = Duration::from_secs(10);

/// A manager in a thread of this process.
pub(super) struct Manager {
    stop: Stop,
    thread: JoinHandle<Result<(), Error>>,
}

impl Manager {
    /// Starts one; `None` when another one serves the database.
    pub(super) fn start(session: &Session) -> Result<Option<Self>, Error> {
        let stop = Stop::new();
        let asked = stop.clone();
        let metrics = Arc::new(Metrics::new(&session.settings.name));
        let options = block_on(headless::options(session, &metrics))?;
        let home = home_of(&session.settings.state);
        let managers = block_on(Managers::read(session, options.store.as_ref()))?;
        if managers.live().any(|row| row.home != home) {
            return Ok(None);
        }
        // The user of a console may lack the secrets of the service that runs.
        let missing = session.settings.notify.as_ref().err().or(session.settings.rabbitmq.as_ref().err());
        if let Some(error) = missing {
            return if managers.live().next().is_some() { Ok(None) } else { Err(error.clone().into()) };
        }
        let (ready, is_ready) = channel();
        let exported = session.settings.metrics.clone();
        let thread = std::thread::Builder::new().name("dcm-manager".to_owned()).spawn(move || {
            let taken = ready.clone();
            // It ends with the manager, whose successor may want its port.
            let _exporter = Exporter::start(&exported, &metrics);
            let result = block_on(async {
                Ok(runtime::run(options, asked, move || {
                    let _ = taken.send(None);
                })
                .await)
            })?;
            match result {
                Err(RunError::Store(StoreError::Served(who))) => {
                    let _ = ready.send(Some(who));
                    Ok(())
                }
                Err(RunError::State(error @ OpenError::Locked { .. })) => {
                    let _ = ready.send(Some(error.to_string()));
                    Ok(())
                }
                result => Ok(result?),
            }
        })?;
        match is_ready.recv() {
            Ok(None) => Ok(Some(Self { stop, thread })),
            Ok(Some(_)) => Ok(None),
            // It has ended without a word: its result says why.
            Err(_) => join(thread).map(|()| None),
        }
    }

    /// What becomes of the manager once its console is left.
    fn outlive(self, session: &Session, left: Leave, on_hangup: OnHangup) -> Result<u8, Error> {
        let stop_apps = session.settings.stop_apps;
        match left {
            // Process 1 cannot leave its place to another one: the kernel would end both.
            Leave::Headless if is_process_1() => {
                output::message(
                    "the manager goes on without a console in this process, which is process 1; dcm opens one again",
                );
                headless::heed_termination(&self.stop, stop_apps)?;
                join(self.thread)?;
                Ok(0)
            }
            // The terminal is gone, the fleet is not: the manager goes on in this process.
            Leave::HungUp => {
                tracing::info!(?on_hangup, "the terminal of the manager's console is not there any more");
                let _ = headless::heed_termination(&self.stop, stop_apps);
                match on_hangup {
                    OnHangup::Continue => join(self.thread)?,
                    OnHangup::Drain => self.drain(session)?,
                    OnHangup::Stop => self.end()?,
                }
                Ok(0)
            }
            Leave::Headless => {
                self.end()?;
                let secret = session.settings.database.secret();
                let environment: Vec<_> = secret.map(|url| (env::DATABASE_URL, url)).into_iter().collect();
                let pid = spawn_detached(&headless_arguments(session), &environment, session.open_files)?;
                until_served(session, pid)?;
                output::message(format_args!(
                    "the manager goes on without a console (pid {pid}); dcm opens one again"
                ));
                Ok(0)
            }
            Leave::Client | Leave::Stop => {
                self.end()?;
                output::message(headless::farewell(stop_apps));
                Ok(0)
            }
            Leave::Interrupted(signal) => {
                self.end()?;
                Ok(u8::try_from(128 + signal).unwrap_or(1))
            }
        }
    }

    /// Ends it when nothing runs any more, and starts nothing new until then. The next one of its name
    /// starts apps again.
    fn drain(self, session: &Session) -> Result<(), Error> {
        let store = session.store(OpenMode::Existing)?;
        let name = session.settings.name.clone();
        block_on(async {
            store.drain(&name, true).await?;
            let own =
                async || Ok::<_, Error>(store.managers().await?.into_iter().find(|row| row.name == name));
            let before = own().await?.map_or(0, |row| row.renewals);
            loop {
                tokio::select! {
                    () = self.stop.asked() => break,
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                match own().await {
                    // What it has said since it drains.
                    Ok(Some(row)) if row.renewals > before && row.load.running == 0 => break,
                    Ok(None) => break,
                    // A database that is away is waited for.
                    Ok(Some(_)) | Err(_) => {}
                }
            }
            Ok(())
        })?;
        self.end()?;
        block_on(async { Ok(store.drain(&name, false).await.map(drop)?) })
    }

    /// Ends it in order; its apps run on unless they are to end with it.
    pub(super) fn end(self) -> Result<(), Error> {
        self.stop.ask();
        join(self.thread)
    }
}

/// Waits until the manager without a console has its seat: who asks next whether the fleet is served
/// must not hear no.
fn until_served(session: &Session, pid: u32) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    let is_there = async || {
        let managers = Managers::read(session, store.as_ref()).await;
        managers.is_ok_and(|managers| managers.live().any(|row| row.pid == pid))
    };
    block_on(async {
        let waited = tokio::time::timeout(TAKES_OVER, async {
            while !is_there().await {
                tokio::time::sleep(TAKES_OVER / 500).await;
            }
        });
        waited.await.map_err(|_| {
            Error::failed(format!(
                "the manager without a console (pid {pid}) is not heard of; its log says more"
            ))
        })
    })
}

fn join(thread: JoinHandle<Result<(), Error>>) -> Result<(), Error> {
    thread
        .join()
        .unwrap_or_else(|_| Err(Error::new(Kind::Failed, "the manager has panicked; its log says more")))
}

/// The same database and directories, whatever the environment of the other process is.
fn headless_arguments(session: &Session) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("--headless")];
    arguments.extend(["--state-dir".into(), session.settings.state.path().into()]);
    if let Some(config) = &session.config {
        arguments.extend(["--config".into(), config.into()]);
    }
    if let Some(url) = session.settings.database.argument() {
        arguments.extend(["--database".into(), url.into()]);
    }
    arguments
}
