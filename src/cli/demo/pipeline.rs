//! `dcm demo --pipeline`: documents in two stages, by RabbitMQ and real Dramatiq workers.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sha3::{Digest as _, Sha3_256};
use tokio::time::timeout;

use super::{examples, registrations, write_files};
use crate::broker::{Broker, BrokerError, BrokerSettings};
use crate::cli::app::definitions;
use crate::cli::error::{Error, Kind};
use crate::cli::session::{Session, block_on};
use crate::model::{RootState, Target, WatchRoot};
use crate::store::OpenMode;

/// What the demo is made of, as it is in `examples/`.
pub(super) const FILES: &[(&str, &str)] = &examples![
    "pipeline/fleet.toml",
    "pipeline/broker.py",
    "pipeline/count.py",
    "pipeline/read.py",
    "pipeline/scanner.py",
];

/// Names files of `python/` and takes them into the program, so that the demo needs no package but Dramatiq.
macro_rules! package {
    ($($name:literal),* $(,)?) => {
        [$((
            concat!("python/data_collector/", $name),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/python/src/data_collector/", $name)),
        )),*]
    };
}

/// What its workers import.
const PACKAGE: &[(&str, &str)] = &package![
    "__init__.py",
    "_app.py",
    "_identity.py",
    "_report.py",
    "_stdout.py",
    "pipeline/__init__.py",
    "pipeline/_database.py",
    "pipeline/_document.py",
    "pipeline/_middleware.py",
    "pipeline/_tasks.py",
    "pipeline/_worker.py",
];

/// The broker of who has said nothing of another one.
const BROKER: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";

/// Stages: the topics that go there, the actor, and the queue below the demo's own name.
const STAGES: [(&str, &str); 2] = [("paper.new", "read"), ("paper.text", "count")];

/// How long the broker may take to take leave.
const LEAVE: Duration = Duration::from_secs(5);

/// A demo with documents.
pub(super) struct Office {
    /// Of its manager and of its queues: the broker may be that of a real fleet.
    pub(super) name: String,
    pub(super) broker: BrokerSettings,
    python: String,
}

impl Office {
    /// Looks whether the broker can be used, and whether Python knows Dramatiq.
    pub(super) fn find(session: &Session, dir: &Path) -> Result<Self, Error> {
        let python = session.settings.python.clone();
        has_dramatiq(&python)?;
        let broker = match session.settings.rabbitmq.clone()? {
            Some(broker) => broker,
            None => BrokerSettings {
                url: BROKER.parse().unwrap_or_else(|error| unreachable!("a test reads it: {error}")),
                roots: None,
            },
        };
        let office = Self { name: name(dir), broker, python };
        block_on(async {
            Broker::start(office.broker.clone(), &office.name).until_open().await.map_err(|error| {
                let what = format!("RabbitMQ at {} cannot be used: {error}", office.broker.url);
                Error::new(Kind::RefusedForNow, what).hint(
                    "start one (apt install rabbitmq-server, or docker run -p 5672:5672 rabbitmq), or name yours: \
                     DC_RABBITMQ_URL=amqp://USER:PASSWORD@HOST/VHOST dcm demo --pipeline",
                )
            })
        })?;
        Ok(office)
    }

    /// Writes apps and workers, and registers all of it.
    pub(super) fn prepare(&self, session: &Session, dir: &Path) -> Result<(), Error> {
        write_files(dir, &[FILES, PACKAGE].concat())?;
        let home = dir.join("pipeline");
        fs::create_dir_all(home.join("in"))?;
        let fleet = definitions::parse(FILES[0].1, &home)
            .unwrap_or_else(|faults| unreachable!("a test reads the definitions: {faults:?}"));
        let mut entries = fleet.apps;
        for entry in &mut entries {
            let program = &mut entry.app.program;
            if let Some(python) = program.command.as_mut().and_then(|command| command.first_mut()) {
                python.clone_from(&self.python);
            }
            let python_path = dir.join("python").display().to_string();
            for (name, value) in [
                ("RABBITMQ_URL", self.broker.url.reveal()),
                ("QUEUES", self.name.clone()),
                ("PYTHONPATH", python_path),
            ] {
                program.env.insert(name.to_owned(), value);
            }
        }
        let root = WatchRoot {
            name: "papers".to_owned(),
            path: home.join("in").display().to_string(),
            pattern: "*.txt".to_owned(),
            recursive: false,
            app_group: "office".to_owned(),
            topic: STAGES[0].0.to_owned(),
            stable_seconds: 0.5,
            enabled: true,
            manager: None,
            state: RootState::default(),
        };
        let store = session.store(OpenMode::Create)?;
        block_on(async {
            store.register(registrations(entries)).await?;
            store.add_watch_root(root).await?;
            for (topic, actor) in STAGES {
                let target = Target { queue: self.queue(actor), actor: actor.to_owned() };
                store.add_document_route(topic.to_owned(), target, 0).await?;
            }
            Ok(())
        })
    }

    fn queue(&self, actor: &str) -> String {
        format!("{}.{actor}", self.name)
    }

    /// Removes its queues from the broker, which others may use as well. One that is away keeps them.
    pub(super) fn leave(&self) {
        let stages =
            STAGES.iter().flat_map(|(_, actor)| ["", ".DQ", ".XQ"].map(|kind| self.queue(actor) + kind));
        let queues = stages.chain([command_queue(&self.name)]);
        let leave = async {
            let broker = Broker::start(self.broker.clone(), &self.name);
            broker.until_open().await?;
            for queue in queues {
                broker.delete_queue(&queue).await?;
            }
            Ok::<_, BrokerError>(())
        };
        let _ = block_on(async { Ok(timeout(LEAVE, leave).await) });
    }
}

/// That of a manager's commands, of the contract with other programs.
fn command_queue(manager: &str) -> String {
    format!("dc_manager.{manager}")
}

/// The same for the same directory, and another for each other one.
fn name(dir: &Path) -> String {
    let digest = Sha3_256::digest(dir.as_os_str().as_encoded_bytes());
    digest[..4].iter().fold("demo-".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

/// Whether an interpreter can run the workers.
fn has_dramatiq(python: &str) -> Result<(), Error> {
    let hint = "a virtual environment with it: python3 -m venv demo && demo/bin/pip install 'dramatiq[rabbitmq]' && \
                VIRTUAL_ENV=$PWD/demo dcm demo --pipeline";
    let asked = Command::new(python).args(["-c", "import dramatiq, pika"]).stdin(Stdio::null()).output();
    match asked {
        Ok(answer) if answer.status.success() => Ok(()),
        Ok(_) => Err(Error::usage(format!("{python} has no dramatiq[rabbitmq]")).hint(hint)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::usage(format!("there is no {python}")).hint(hint))
        }
        Err(error) => Err(Error::usage(format!("{python} cannot be started: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_get_the_whole_package() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/src/data_collector");
        let mut found = Vec::new();
        for folder in ["", "pipeline/"] {
            for entry in fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                // The operator is for Airflow.
                if path.extension().is_some_and(|kind| kind == "py") && name != "airflow.py" {
                    found.push(format!("python/data_collector/{folder}{name}"));
                }
            }
        }
        found.sort();
        let known: Vec<_> = PACKAGE.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(known, found);
    }

    #[test]
    fn the_definitions_are_sound() {
        let entries = definitions::parse(FILES[0].1, Path::new("/demo")).unwrap().apps;
        assert_eq!(entries.len(), 3);
        assert!(entries.iter().all(|entry| entry.enabled == Some(true)));
        assert!(BROKER.parse::<crate::broker::BrokerUrl>().is_ok());
        assert_eq!(name(Path::new("/a")), name(Path::new("/a")));
        assert_ne!(name(Path::new("/a")), name(Path::new("/b")));
    }
}
