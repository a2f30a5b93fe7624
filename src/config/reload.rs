//! What a running manager does about settings that have changed.

use super::Settings;

/// The settings that differ, by their names in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// They take effect while the manager runs.
    pub live: Vec<&'static str>,
    /// They take effect at the next start.
    pub at_start: Vec<&'static str>,
}

impl Settings {
    /// Compares with what is in force now. Those for consoles are left out: each console reads them when it opens.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Changes {
        // Taken apart, so that a new setting must be decided on.
        let Self {
            config: _,
            database,
            state,
            name,
            python,
            running_max,
            sample_every,
            scan_every,
            pools,
            lease,
            logs,
            log_level,
            log_format,
            log_keep_days,
            retention,
            console: _,
            notify,
            rabbitmq,
            withheld,
            stop_apps,
            metrics,
            batch_files,
        } = new;
        let live = [
            ("limits.running", *running_max != self.running_max),
            ("logs", *logs != self.logs),
            ("log.level", *log_level != self.log_level),
            ("retention", *retention != self.retention),
            // A secret that is in another variable is another setting, though its value may be the same.
            ("notify", *notify != self.notify || *withheld != self.withheld && *rabbitmq == self.rabbitmq),
        ];
        let at_start = [
            ("database", *database != self.database),
            ("state_dir", state.path() != self.state.path()),
            ("name", *name != self.name),
            ("python", *python != self.python),
            ("pools", *pools != self.pools),
            ("lease", *lease != self.lease),
            ("limits.sample_seconds", *sample_every != self.sample_every),
            ("scan_seconds", *scan_every != self.scan_every),
            ("log.format", *log_format != self.log_format),
            ("log.keep_days", *log_keep_days != self.log_keep_days),
            ("rabbitmq", *rabbitmq != self.rabbitmq),
            ("metrics", *metrics != self.metrics),
            ("batch_files", *batch_files != self.batch_files),
            ("stop_apps_on_exit", *stop_apps != self.stop_apps),
        ];
        let named = |settings: &[(&'static str, bool)]| {
            settings.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect()
        };
        Changes { live: named(&live), at_start: named(&at_start) }
    }

    /// Takes over what takes effect while the manager runs.
    pub fn take_live(&mut self, new: Self) {
        self.running_max = new.running_max;
        self.logs = new.logs;
        self.log_level = new.log_level;
        self.retention = new.retention;
        self.notify = new.notify;
        // What was a secret before may still be in use.
        self.withheld.extend(new.withheld);
        self.withheld.sort();
        self.withheld.dedup();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Flags;
    use super::*;

    #[test]
    fn each_change_is_named_once_until_it_is_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dcm.toml");
        let load = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let flags =
                Flags { config: Some(file.clone()), state_dir: Some("/s".into()), ..Flags::default() };
            Settings::load(flags, |_| None, &mut |_| {}).unwrap()
        };
        let mut settings = load("");
        assert_eq!(settings.changes(&load("")), Changes::default());
        let text = "lease = 20\npython = 'p'\n[limits]\nrunning = 3\n[log]\nlevel = 'debug'\n[retention]\nruns_days = 1\n\
                    [logs]\nkeep_days = 7\n[notify]\nping_url = 'https://x.example/y'\n[console]\nread_only = true\n";
        let new = load(text);
        let changes = settings.changes(&new);
        assert_eq!(changes.live, ["limits.running", "logs", "log.level", "retention", "notify"]);
        assert_eq!(changes.at_start, ["python", "lease"]);
        settings.take_live(new);
        let changes = settings.changes(&load(text));
        assert_eq!((changes.live, changes.at_start), (Vec::new(), vec!["python", "lease"]));
        assert_eq!((settings.running_max, settings.state.path()), (Some(3), Path::new("/s")));
    }
}
