//! Where the fleet is kept: what a URL of a database means, and how it is passed on to other processes.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{ConfigError, env, paths};
use crate::store::CopyEnd;

/// Where the fleet is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A file on this host. `is_default`: neither flag, environment nor file names it.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Whether it is the one in the state directory.
        is_default: bool,
    },
    /// A server; the URL may hold a password.
    Postgres(String),
}

impl Database {
    /// One that an argument names.
    ///
    /// # Errors
    /// When it is no URL of a database.
    pub fn named(text: &str) -> Result<Self, ConfigError> {
        // What has more than a path may hold a password.
        let origin = if text.contains([':', '@']) { "the argument" } else { text };
        Self::parse(text, origin, None, env::home)
    }

    /// A relative path of a file starts at `base`, if there is one.
    pub(super) fn parse(
        text: &str,
        origin: &str,
        base: Option<&Path>,
        home: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let wrong = |why: &str| Err(ConfigError { origin: origin.to_owned(), why: why.to_owned() });
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains('\0') {
                return wrong("sqlite: must be followed by the path of a file");
            }
            if path.split_once('?').is_some_and(|(_, parameters)| parameters.contains('=')) {
                return wrong("sqlite: takes the path of a file without parameters (?name=value)");
            }
            let path = paths::expand(Path::new(path), origin, base, home)?;
            return Ok(Self::Sqlite { path, is_default: false });
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        // The value may hold a password: only its beginning is shown.
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        Err(ConfigError {
            origin: origin.to_owned(),
            why: if scheme.is_empty() {
                "it names no kind of database: expected sqlite:PATH or postgres://...".to_owned()
            } else {
                format!("unknown kind of database {scheme:?}: expected sqlite:PATH or postgres://...")
            },
        })
    }

    /// The URL as apps may get it; it may hold a password.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite { path, .. } => {
                format!("sqlite:{}", std::path::absolute(path).unwrap_or_else(|_| path.clone()).display())
            }
            Self::Postgres(url) => url.clone(),
        }
    }

    /// Where it is, for a person; without a password.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Sqlite { path, .. } => path.display().to_string(),
            Self::Postgres(_) => self.to_string(),
        }
    }

    /// The URL as an argument for another process that gets the same state directory. There is none where the state
    /// directory names it, whatever bytes are in its path, and none for [`Database::secret`].
    #[must_use]
    pub fn argument(&self) -> Option<String> {
        match self {
            Self::Sqlite { is_default, .. } => (!is_default).then(|| self.url()),
            Self::Postgres(_) => None,
        }
    }

    /// The URL if it holds no password, so that everyone may read it.
    #[must_use]
    pub fn without_secret(&self) -> Option<String> {
        match self {
            Self::Sqlite { .. } => Some(self.url()),
            Self::Postgres(url) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let user = rest.rsplit_once('@').map_or("", |(user, _)| user);
                let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
                let is_secret = user.contains(':') || parameters.to_ascii_lowercase().contains("password");
                (!is_secret).then(|| url.clone())
            }
        }
    }

    /// The URL where it may hold a password: arguments are for all to see, so it goes by the environment.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Sqlite { .. } => None,
            Self::Postgres(url) => Some(url),
        }
    }
}

impl From<Database> for CopyEnd {
    fn from(database: Database) -> Self {
        match database {
            Database::Sqlite { path, .. } => Self::Sqlite(path),
            Database::Postgres(url) => Self::Postgres(url),
        }
    }
}

/// The URL without its password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path, .. } => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
                let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                // Parameters may hold a password as well.
                write!(f, "{scheme}://{}", place.split('?').next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_password_is_not_for_everyone() {
        let check = |url: &str| Database::named(url).unwrap().without_secret().is_some();
        for url in [
            "postgres://h/d",
            "postgres://ana@h:5432/d",
            "postgres://ana@h/d?sslmode=require",
            "sqlite:/x.db",
        ] {
            assert!(check(url), "{url}");
        }
        for url in [
            "postgres://ana:x@h/d",
            "postgres://ana:p@ss@h/d",
            "postgres://:x@h/d",
            "postgresql://h/d?user=ana&password=x",
            "postgres://ana@h/d?sslPassword=x",
        ] {
            assert!(!check(url), "{url}");
        }
    }
}
