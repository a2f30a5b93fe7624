//! What an importer asks of the host on which it runs.

use std::io;
use std::path::Path;

use chrono_tz::Tz;

/// What the text of a file alone does not tell.
pub trait Host {
    /// The text of another file.
    ///
    /// # Errors
    /// When it cannot be read or is no text.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The names in a folder, sorted; none when it cannot be read.
    fn list(&self, folder: &Path) -> Vec<String>;

    /// All variables of the environment that are text.
    fn variables(&self) -> Vec<(String, String)>;

    /// The name of the host.
    fn name(&self) -> String;

    /// The user who imports.
    fn user(&self) -> String;

    /// The number of processors.
    fn processors(&self) -> usize;

    /// The zone of the host's clock; `None` where it cannot be told.
    fn time_zone(&self) -> Option<Tz>;

    /// The home directory of a user.
    fn home_of(&self, user: &str) -> Option<String> {
        let users = self.read(Path::new("/etc/passwd")).ok()?;
        let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
        line.split(':').nth(5).filter(|home| !home.is_empty()).map(str::to_owned)
    }
}
