//! What commands have in common: the settings, the database, and the apps that selectors mean.

use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::Global;
use super::error::{Error, Kind};
use super::output;
use crate::config::{Database, Flags, Settings, env};
use crate::model::{AppId, AppPath, AppRow, Registered, Selector};
use crate::process::{LaunchSettings, OpenError, find_program, make_state_dir, raise_open_files};
use crate::store::{
    HistoryQuery, OpenMode, OperatorStore, PostgresStore, SqliteStore, Store, StoreError, read_fleet,
};

/// One call of the program.
pub(super) struct Session {
    pub(super) settings: Settings,
    pub(super) json: bool,
    /// The configuration file, where it was named by a flag.
    pub(super) config: Option<PathBuf>,
    /// What the flags of this call say.
    pub(super) flags: Flags,
    /// The limit of open files that the program was started with.
    pub(super) open_files: Option<u64>,
}

impl Session {
    pub(super) fn new(global: Global) -> Result<Self, Error> {
        Self::of_manager(global, None)
    }

    /// The same with what the flags of a manager say.
    pub(super) fn of_manager(global: Global, stop_apps_on_exit: Option<bool>) -> Result<Self, Error> {
        let open_files = raise_open_files();
        let json = global.json;
        let flags = Flags { stop_apps_on_exit, ..flags_of(global)? };
        let config = flags.config.clone();
        let settings = Settings::load(flags.clone(), env::get, &mut |warning| output::message(warning))?;
        Ok(Self { settings, json, config, flags, open_files })
    }

    /// The same with settings that are known, and without raising limits.
    pub(super) fn of(settings: Settings, flags: &Flags, json: bool) -> Self {
        Self { settings, json, config: flags.config.clone(), flags: flags.clone(), open_files: None }
    }

    /// Opens the database that is there, and tells by its type why that cannot be.
    pub(super) fn existing(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match &self.settings.database {
            Database::Sqlite { path, .. } => Arc::new(SqliteStore::open(path, OpenMode::Existing)?),
            Database::Postgres(url) => Arc::new(PostgresStore::connect(url, OpenMode::Existing)?),
        })
    }

    /// Opens the database.
    pub(super) fn store(&self, mode: OpenMode) -> Result<Arc<dyn Store>, Error> {
        self.store_of(&self.settings.database, mode)
    }

    /// Opens the database, or if its server is away, what will reach it once it is back.
    pub(super) fn store_or_later(&self) -> Result<Arc<dyn OperatorStore>, Error> {
        match (self.store(OpenMode::Existing), &self.settings.database) {
            (Err(error), Database::Postgres(url)) if error.is_refusal_for_now() => {
                Ok(Arc::new(PostgresStore::later(url)?))
            }
            (store, _) => Ok(store?),
        }
    }

    /// Whether the database may come later than this host: a server may be away when the host starts.
    pub(super) fn may_be_away(&self) -> bool {
        matches!(self.settings.database, Database::Postgres(_))
    }

    /// Whether the user of the database may be a manager. An operator's console on a shared server is a
    /// client, also while no manager lives.
    pub(super) fn may_manage(&self) -> Result<bool, Error> {
        match &self.settings.database {
            Database::Sqlite { .. } => Ok(true),
            Database::Postgres(_) => match self.store(OpenMode::Existing) {
                Ok(store) => block_on(async { Ok(store.rights().await?.manage) }),
                // The console opens, and shows it as soon as it is back.
                Err(error) if error.is_refusal_for_now() => Ok(false),
                // The manager makes it, or says why it cannot.
                Err(_) => Ok(true),
            },
        }
    }

    /// Opens the database for a manager, and makes it if there is none. A file that is damaged is not written to.
    pub(super) async fn store_to_manage(&self) -> Result<Arc<dyn Store>, Error> {
        let Database::Sqlite { path, .. } = &self.settings.database else {
            return self.store(OpenMode::Create);
        };
        let store = self.file(path, OpenMode::Create)?;
        if let Some(fault) = store.check_fleet().await?.first() {
            return Err(StoreError::Corrupt(format!(
                "the database is damaged: {fault}; restore a backup (dcm db check tells more)"
            ))
            .into());
        }
        Ok(Arc::new(store))
    }

    /// Opens another database; one that is made begins with an empty fleet, whatever was here before.
    pub(super) fn store_or_empty(
        &self,
        database: &Database,
        mode: OpenMode,
    ) -> Result<Arc<dyn Store>, Error> {
        match database {
            Database::Sqlite { path, .. } => Ok(Arc::new(self.file_or_empty(path, mode)?)),
            Database::Postgres(_) => self.store_of(database, mode),
        }
    }

    /// The database, where it is a file; `otherwise` says what does the same for a server.
    pub(super) fn own_file(&self, otherwise: &str) -> Result<SqliteStore, Error> {
        match &self.settings.database {
            Database::Sqlite { path, .. } => self.file(path, OpenMode::Existing),
            server @ Database::Postgres(_) => {
                Err(Error::usage(format!("{server} is no file")).hint(otherwise.to_owned()))
            }
        }
    }

    /// Opens another database.
    fn store_of(&self, database: &Database, mode: OpenMode) -> Result<Arc<dyn Store>, Error> {
        Ok(match database {
            Database::Sqlite { path, .. } => Arc::new(self.file(path, mode)?),
            Database::Postgres(url) => Arc::new(PostgresStore::connect(url, mode)?),
        })
    }

    /// Opens a database file.
    ///
    /// # Errors
    /// With exit code 2 also when one would have to be made though a fleet has lived here: its database is lost, and
    /// an empty one in its place would look as if there had never been any app.
    fn file(&self, path: &Path, mode: OpenMode) -> Result<SqliteStore, Error> {
        let is_missing = match std::fs::metadata(path) {
            Ok(metadata) => metadata.is_file() && metadata.len() == 0,
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        if mode == OpenMode::Create && is_missing {
            let traces = self.settings.state.traces();
            if !traces.is_empty() {
                let traces: Vec<_> = traces.iter().map(|path| path.display().to_string()).collect();
                return Err(Error::usage(format!(
                    "the database {} is missing or empty, but there was a fleet in this state directory ({})",
                    path.display(),
                    traces.join(", ")
                ))
                .hint("put the database or a backup of it there, or begin with an empty fleet: dcm db migrate --empty"));
            }
        }
        self.file_or_empty(path, mode)
    }

    /// Opens a database file; one that is made begins with an empty fleet, whatever was here before.
    fn file_or_empty(&self, path: &Path, mode: OpenMode) -> Result<SqliteStore, Error> {
        let state = &self.settings.state;
        if mode != OpenMode::Create || !path.starts_with(state.path()) {
            return Ok(SqliteStore::open(path, mode)?);
        }
        for line in self.make_state_dir()? {
            output::message(&line);
        }
        let store = SqliteStore::open(path, mode)?;
        // What was made just now has the rights that the user's mask leaves.
        self.make_state_dir()?;
        Ok(store)
    }

    /// Makes the state directory; gives back what was done to one that was there.
    pub(super) fn make_state_dir(&self) -> Result<Vec<String>, Error> {
        let state = &self.settings.state;
        make_state_dir(state).map_err(|source| {
            if source.kind() == ErrorKind::PermissionDenied && source.raw_os_error().is_some() {
                return StoreError::no_permission(state.path()).into();
            }
            Error::usage(OpenError::Io { path: state.path().to_owned(), source }.to_string())
        })
    }

    /// The interpreter that apps without a command get on this host, with its folder where it is found.
    pub(super) fn python(&self) -> String {
        let name = &self.settings.python;
        let found = find_program(name, "/", env::get(env::PATH).as_deref());
        found.map_or_else(|_| name.clone(), |path| path.to_string_lossy().into_owned())
    }

    /// How apps are started on this host.
    pub(super) fn launch(&self) -> LaunchSettings {
        LaunchSettings {
            state: self.settings.state.clone(),
            python: self.settings.python.clone(),
            database_url: self.settings.database.url(),
            dcm: std::env::current_exe().unwrap_or_else(|_| "dcm".into()),
            cwd: std::env::current_dir().unwrap_or_else(|_| "/".into()),
            open_files: self.open_files,
            withheld: self.settings.withheld.clone(),
            sample_every: self.settings.sample_every,
            batch_files: self.settings.batch_files,
        }
    }
}

/// What the options that every command takes say of the settings.
///
/// # Errors
/// When a variable that names a place is no text: it must not count as missing.
pub(super) fn flags_of(global: Global) -> Result<Flags, Error> {
    let Global { database, state_dir, config, manager_name, json: _ } = global;
    if let Some(name) = env::unreadable() {
        return Err(Error::usage(format!("{name}: the value is not UTF-8")).hint("name a path that is"));
    }
    let config = config.map(|path| std::path::absolute(&path).unwrap_or(path));
    Ok(Flags { database, state_dir, config, name: manager_name, stop_apps_on_exit: None })
}

/// Runs the async part of a command on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed(format!("no event loop: {error}")))?
        .block_on(future)
}

/// The apps table, sorted by path. Rows that are set aside are among the others: they can be shown, stopped,
/// set right and removed.
pub(super) struct Fleet {
    pub(super) apps: Vec<AppRow>,
}

impl Fleet {
    pub(super) async fn read(store: &dyn OperatorStore) -> Result<Self, Error> {
        let (rows, _) = read_fleet(store).await?;
        let mut apps: Vec<_> = rows.into_iter().map(Registered::into_row).collect();
        apps.sort_by(|a, b| a.app.path.cmp(&b.app.path));
        Ok(Self { apps })
    }

    /// The apps that selectors mean, all of them if there is no selector.
    ///
    /// # Errors
    /// With exit code 4 when a selector means none.
    pub(super) fn select(self, selectors: &[Selector]) -> Result<Vec<AppRow>, Error> {
        let means = |selector: &Selector, row: &AppRow| {
            selector.matches(&row.app.path, row.app.labels()) || selector.names_key(row.app.id)
        };
        for selector in selectors {
            if !self.apps.iter().any(|row| means(selector, row)) {
                if selector.is_label() {
                    return Err(Error::new(Kind::NoSuchApp, format!("no app has {selector}"))
                        .hint("dcm app show PATH shows the tags and the owner of an app"));
                }
                return Err(self.none_for(&selector.to_string()));
            }
        }
        let is_meant =
            |row: &AppRow| selectors.is_empty() || selectors.iter().any(|selector| means(selector, row));
        Ok(self.apps.into_iter().filter(is_meant).collect())
    }

    /// The apps that selectors mean, without reading the others where each names one app.
    ///
    /// # Errors
    /// With exit code 4 when a selector means none.
    pub(super) async fn meant(
        store: &dyn OperatorStore,
        selectors: &[Selector],
    ) -> Result<Vec<AppRow>, Error> {
        let mut exact: Vec<_> = selectors.iter().filter_map(Selector::exact).collect();
        if !selectors.is_empty() && exact.len() == selectors.len() {
            exact.sort();
            exact.dedup();
            let rows = store.apps(exact.iter().map(AppId::of).collect()).await?;
            if rows.len() == exact.len() {
                return Ok(rows.into_iter().map(Registered::into_row).collect());
            }
        }
        Self::read(store).await?.select(selectors)
    }

    /// One app, by its path or key.
    pub(super) async fn find(store: &dyn OperatorStore, path: &AppPath) -> Result<AppRow, Error> {
        if let Some(row) = store.apps(vec![AppId::of(path)]).await?.pop() {
            return Ok(row.into_row());
        }
        // A row may have no key yet; if there is none at all, the message says what comes near.
        let fleet = Self::read(store).await?;
        let missing = fleet.none_for(&path.to_string());
        let is_meant = |row: &AppRow| row.app.path == *path || row.app.id == AppId::of(path);
        if let Some(row) = fleet.apps.into_iter().find(is_meant) {
            return Ok(row);
        }
        if has_history(store, path).await? {
            return Err(
                missing.hint(format!("it was removed; dcm history {path} shows the runs that it has left"))
            );
        }
        Err(missing)
    }

    fn none_for(&self, text: &str) -> Error {
        let error = Error::new(Kind::NoSuchApp, format!("no such app: {text}"));
        match self.nearest(text) {
            Some(path) => error.hint(format!("did you mean {path}?")),
            None => error.hint("dcm app list shows what is registered"),
        }
    }

    /// A path that ends alike: the group or parent was forgotten or misspelt.
    fn nearest(&self, text: &str) -> Option<&AppPath> {
        let name = text.rsplit('/').next()?;
        self.apps.iter().map(|row| &row.app.path).find(|path| path.name.as_str() == name)
    }
}

/// Whether runs are on record of an app, registered or not: its key is made of its path.
pub(super) async fn has_history(store: &dyn OperatorStore, path: &AppPath) -> Result<bool, Error> {
    let query = HistoryQuery { apps: vec![AppId::of(path)], limit: 1, ..HistoryQuery::default() };
    Ok(!store.history(query).await?.is_empty())
}

/// Says for each of these rows that is set aside what is wrong with it.
pub(super) fn tell_faults<'a>(apps: impl IntoIterator<Item = &'a AppRow>) {
    for row in apps {
        if let Some(fault) = &row.fault {
            let written = fault.written_path();
            let key = if row.app.path.key().is_some() { format!(" ({})", row.app.id) } else { String::new() };
            output::message(format_args!("{written}{key} is set aside: {}", fault.message));
        }
    }
}

/// Refuses what would take an environment that is hidden for an empty one.
pub(super) async fn needs_env(store: &dyn OperatorStore) -> Result<(), Error> {
    if store.rights().await?.see_env {
        return Ok(());
    }
    Err(Error::usage("this user of the database may not read env, which is a part of each definition")
        .hint("do it as a member of dcm_owner"))
}
