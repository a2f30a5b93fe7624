//! Turns what the manager wants started into what a shim needs to start it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::layout::StateDir;
use super::record::Spec;
use crate::manager::Launch;
use crate::model::{RunId, Timestamp, format_timestamp};

/// Variables of systemd that concern the manager alone; the credentials are secrets.
const OF_THE_SERVICE: [&str; 9] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "CREDENTIALS_DIRECTORY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
];

/// Variables by which dcm itself may have got the password of its PostgreSQL server, as all programs of
/// PostgreSQL do. An app that needs them has them in its own `env`.
const OF_THE_SERVER: [&str; 3] = ["PGPASSWORD", "PGPASSFILE", "PGSSLPASSWORD"];

/// How often it is looked at what runs use, unless a setting says otherwise. With 1,000 apps each look takes the CPU for
/// about 20 ms.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// What all runs of a host have in common.
#[derive(Clone)]
pub struct LaunchSettings {
    /// The state directory.
    pub state: StateDir,
    /// The interpreter of apps without a command.
    pub python: String,
    /// For apps that may see it; holds a password.
    pub database_url: String,
    /// The working directory of apps that name none; a relative one starts here.
    pub cwd: PathBuf,
    /// This program, for apps that call `dcm report`.
    pub dcm: PathBuf,
    /// The limit of open files that this process was started with, which apps get back.
    pub open_files: Option<u64>,
    /// Variables of the manager's environment that hold secrets of its own.
    pub withheld: Vec<String>,
    /// How often it is looked at what runs use.
    pub sample_every: Duration,
    /// Whether commands may be batch files of Windows.
    pub batch_files: bool,
}

impl LaunchSettings {
    /// What the shim of this run is to start. `begun` is the time at which the run was opened.
    pub(super) fn spec(&self, run: RunId, launch: &Launch, begun: Timestamp, timeline: u32) -> Spec {
        Spec {
            batch_files: self.batch_files,
            run: run.to_string(),
            app: launch.app.to_string(),
            argv: self.argv(launch),
            cwd: self.cwd(launch).to_string_lossy().into_owned(),
            env: self.env(run, launch, begun, timeline),
            env_files: launch.program.env_files.clone(),
            defaults: Self::defaults(launch),
            process: (&launch.program.process).into(),
            stop_signal: launch.stop_signal.word().to_owned(),
            grace_ms: u64::try_from(launch.stop_grace.as_millis()).unwrap_or(u64::MAX),
            log: self.state.log(launch.app, run, begun),
            log_limit: launch.log_limit,
            time_zone: Some(launch.time_zone.name().to_owned()),
            doorbell: self.state.doorbell(),
            open_files: self.open_files,
            lease: launch.is_fenced.then(|| self.state.lease()),
            withheld: self.withheld().into_iter().chain(launch.program.unset.iter().cloned()).collect(),
            ends_after_ms: launch
                .ends_after
                .map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
            limits: launch.limits.into(),
            place: None,
        }
    }

    fn withheld(&self) -> Vec<String> {
        let is_server = self.database_url.starts_with("postgres");
        let of_server = OF_THE_SERVER.iter().filter(|_| is_server).map(|name| (*name).to_owned());
        of_server.chain(self.withheld.iter().cloned()).collect()
    }

    fn cwd(&self, launch: &Launch) -> PathBuf {
        launch.program.cwd.as_ref().map_or_else(|| self.cwd.clone(), |cwd| self.cwd.join(cwd))
    }

    fn argv(&self, launch: &Launch) -> Vec<String> {
        let mut argv = launch.program.command.clone().unwrap_or_else(|| {
            let path = &launch.path;
            let module = format!("apps.{}.{}.{}.main", path.group, path.parent, path.name);
            vec![self.python.clone(), "-m".to_owned(), module]
        });
        if let Some(args) = &launch.args {
            argv.extend(["--args".to_owned(), args.clone()]);
        }
        argv
    }

    fn defaults(launch: &Launch) -> BTreeMap<String, String> {
        // Otherwise what a Python app prints arrives with its end.
        const UNBUFFERED: &str = "PYTHONUNBUFFERED";
        let is_given =
            launch.program.unset.contains(UNBUFFERED) || launch.program.env.contains_key(UNBUFFERED);
        (!is_given).then(|| (UNBUFFERED.to_owned(), "1".to_owned())).into_iter().collect()
    }

    fn env(&self, run: RunId, launch: &Launch, begun: Timestamp, timeline: u32) -> BTreeMap<String, String> {
        let mut env = launch.program.env.clone();
        let path = &launch.path;
        env.extend(
            [
                ("DC_APP_ID", launch.app.to_string()),
                ("DC_APP_GROUP", path.group.to_string()),
                ("DC_APP_PARENT", path.parent.to_string()),
                ("DC_APP_NAME", path.name.to_string()),
                ("DC_RUNTIME", run.to_string()),
                ("DC_ATTEMPT", launch.attempt.to_string()),
                ("DC_DUE_TIME", format_timestamp(launch.due.unwrap_or(begun))),
                ("DC_TRIGGER", launch.trigger.word().to_owned()),
                ("DC_FENCE", format!("{timeline}:{}:{}", launch.app, launch.epoch)),
                ("DC_PROGRAM", self.dcm.to_string_lossy().into_owned()),
                ("DC_RUN_DIR", self.state.run(run).path().to_string_lossy().into_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        if launch.program.pass_database {
            env.insert("DC_DATABASE_URL".to_owned(), self.database_url.clone());
        }
        env
    }
}

/// The variables of this process that an app must not see: the settings and secrets of dcm.
pub(super) fn withheld_variables() -> Vec<OsString> {
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| {
            let name = name.to_string_lossy();
            name.starts_with("DC_") || OF_THE_SERVICE.contains(&name.as_ref())
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{AppId, AppPath, Program, StopSignal, Trigger, UsageLimits, parse_timestamp};

    pub(in crate::process) fn launch(program: Program, args: Option<&str>) -> Launch {
        let path: AppPath = "croatia/fina/companies".parse().unwrap();
        Launch {
            app: AppId::of(&path),
            path,
            program,
            args: args.map(str::to_owned),
            due: None,
            trigger: Trigger::Command,
            attempt: 2,
            stop_signal: StopSignal::Term,
            stop_grace: Duration::from_secs(10),
            log_limit: 4096,
            time_zone: chrono_tz::Tz::UTC,
            epoch: 4,
            is_fenced: true,
            ends_after: None,
            limits: UsageLimits::default(),
        }
    }

    pub(in crate::process) fn settings() -> LaunchSettings {
        LaunchSettings {
            state: StateDir::new(PathBuf::from("/state")),
            python: "/venv/bin/python".to_owned(),
            database_url: "postgres://u:secret@h/d".to_owned(),
            cwd: PathBuf::from("/srv"),
            dcm: PathBuf::from("/usr/bin/dcm"),
            open_files: None,
            withheld: Vec::new(),
            sample_every: SAMPLE_EVERY,
            batch_files: false,
        }
    }

    fn spec(program: Program, args: Option<&str>) -> Spec {
        let begun = parse_timestamp("2026-11-23T14:02:11Z").unwrap();
        settings().spec(RunId::from_random_bits(7), &launch(program, args), begun, 2)
    }

    #[test]
    fn the_default_command_is_the_module_of_the_path() {
        let spec = spec(Program::default(), Some("{\"year\": 2026}"));
        assert_eq!(
            spec.argv,
            ["/venv/bin/python", "-m", "apps.croatia.fina.companies.main", "--args", "{\"year\": 2026}"]
        );
        assert_eq!(spec.env["DC_ATTEMPT"], "2");
        assert_eq!(spec.env["DC_TRIGGER"], "command");
        assert_eq!(spec.env["DC_FENCE"], format!("2:{}:4", spec.app));
        assert_eq!(spec.lease, Some(PathBuf::from("/state/lease")));
        assert_eq!(spec.env["DC_DUE_TIME"], "2026-11-23T14:02:11.000Z");
        assert!(spec.log.ends_with(format!("20261123T140211000-{}.log", spec.run)));
    }

    #[test]
    fn only_who_may_sees_the_database() {
        let command = Some(vec!["true".to_owned()]);
        let without = spec(Program { command: command.clone(), ..Program::default() }, None);
        assert_eq!(without.argv, ["true"]);
        assert!(!without.env.contains_key("DC_DATABASE_URL"));
        let with = spec(Program { command, pass_database: true, ..Program::default() }, None);
        assert_eq!(with.env["DC_DATABASE_URL"], "postgres://u:secret@h/d");
        assert_eq!(with.withheld, OF_THE_SERVER);
        let embedded = LaunchSettings { database_url: "sqlite:/state/dcm.db".to_owned(), ..settings() };
        assert!(embedded.withheld().is_empty());
        let with_secrets = LaunchSettings { withheld: vec!["TELEGRAM_TOKEN".to_owned()], ..embedded };
        assert_eq!(with_secrets.withheld(), ["TELEGRAM_TOKEN"]);
    }
}
