//! A host of its own for a measurement: a manager on an embedded database, with a broker.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// dcm on the host in this folder.
pub(crate) fn command(dir: &Path, url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
    command
        .env_remove("DC_DATABASE_URL")
        .env("DC_CONFIG", "/dev/null")
        .env("DC_STATE_DIR", dir.join("state"))
        .env("DC_RABBITMQ_URL", url)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Runs dcm to its end.
pub(crate) fn dcm(dir: &Path, url: &str, arguments: &[&str]) {
    let done = command(dir, url).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A manager, which ends with the measurement.
pub(crate) struct Manager(pub(crate) Child);

impl Manager {
    pub(crate) fn start(dir: &Path, url: &str) -> Self {
        // Nobody reads what it says: a full pipe would stop it.
        Self(command(dir, url).arg("--headless").stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
