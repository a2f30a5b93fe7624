//! Every metric that a manager exports, in the order of a scrape. The exporter renders them by this list, and the
//! reference of the documentation is made from it.

/// How a metric behaves, in the words of Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// A value at this moment.
    Gauge,
    /// Counts of observations by size, with their sum and number.
    Histogram,
}

impl Kind {
    /// As `# TYPE` has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Whose a metric is. It decides how the series of several managers on one database are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What this manager does and did since its process began: add those of several managers.
    Manager,
    /// What the whole database holds: each of its managers exports the same, so take one of them (`max`).
    Fleet,
    /// One app, exported by the manager that has it, and only with `per_app = true`.
    App,
    /// This process.
    Process,
}

impl Scope {
    /// What `# HELP` adds to the description.
    #[must_use]
    pub const fn remark(self) -> &'static str {
        match self {
            Self::Manager => " Of this manager: add those of several managers.",
            Self::Fleet => " Of the whole database: each of its managers exports the same, take the maximum.",
            Self::App => " Exported by the manager that has the app.",
            Self::Process => "",
        }
    }
}

/// A family of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Whose it is.
    pub scope: Scope,
    /// The names of its labels, without `le` of histograms.
    pub labels: &'static [&'static str],
    /// What it says, in full sentences.
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($scope:ident { $($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+ })+) => {
        $($(
            #[doc = $help]
            pub(super) const $id: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                scope: Scope::$scope,
                labels: &[$($label),*],
                help: $help,
            };
        )+)+

        /// All metrics, in the order of a scrape.
        pub const CATALOGUE: &[Metric] = &[$($($id,)+)+];
    };
}

catalogue! {
    Manager {
        UP = Gauge "dcm_up" []
            "1 while the manager's loop turns, 0 once it has not turned for 30 s: what /healthz says.";
        READY = Gauge "dcm_ready" []
            "1 while besides that the database answers and the manager holds its name: what /readyz says.";
        DATABASE_UP = Gauge "dcm_database_up" []
            "1 while the database answers the manager, 0 while it is away.";
        BUILD_INFO = Gauge "dcm_build_info" ["version", "os", "arch"]
            "Always 1; the labels say which build of dcm runs.";
        MANAGER_INFO = Gauge "dcm_manager_info" ["manager", "host"]
            "Always 1; the labels are the manager's name in the database and its host.";
        HEARTBEAT = Gauge "dcm_heartbeat_timestamp_seconds" []
            "When the database took the manager's last heartbeat, by the host's clock; absent before the first one.";
        DRAINING = Gauge "dcm_draining" []
            "1 while the manager drains: it starts nothing new.";
        RUNS_RUNNING = Gauge "dcm_runs_running" []
            "Runs under way.";
        RUNS_WAITING = Gauge "dcm_runs_waiting" []
            "Due runs that wait for room within a limit.";
        RUNS_LIMIT = Gauge "dcm_runs_limit" []
            "The most runs at once on this host (limits.running); absent without a limit.";
        RUNS = Counter "dcm_runs_total" ["outcome"]
            "Runs whose end the manager entered, by the outcome in the table runtime.";
        RUN_DURATION = Histogram "dcm_run_duration_seconds" []
            "How long those of them took that had a process.";
        SCHEDULE_LAG = Histogram "dcm_schedule_lag_seconds" []
            "From the time at which a run was due by its schedule to the start of its process, waits for room included; \
             runs by command and catch-up runs are not counted.";
        SKIPPED = Counter "dcm_skipped_times_total" ["reason"]
            "Times of a calendar that passed without a run, by the reason in the table skips. Ranges whose times are not \
             counted one by one count as 1.";
        COMMANDS = Counter "dcm_commands_total" ["verdict"]
            "Verdicts that the manager gave on commands. What gets its verdict as it is entered (a message for an app that \
             is not there, or that has expired) is in the ledger alone.";
        COMMIT = Histogram "dcm_commit_seconds" []
            "How long the database took for a transaction with the manager's changes.";
        COMMIT_FAILURES = Counter "dcm_commit_failures_total" []
            "Such transactions that failed because the database was away or refused them; they are tried again.";
        DRIVER_TURN = Histogram "dcm_driver_turn_seconds" []
            "How long the manager's loop took for one event: to decide and to hand out what follows.";
        RABBITMQ_CONNECTED = Gauge "dcm_rabbitmq_connected" []
            "1 while the manager is connected to its broker, 0 while it is away; absent where no broker is set up.";
    }
    Fleet {
        APPS = Gauge "dcm_apps" ["state"]
            "Apps by state, as dcm status counts them; each app is in exactly one.";
        ALERTS_OPEN = Gauge "dcm_alerts_open" ["severity"]
            "Alerts that are open, acknowledged and muted ones too.";
        DELIVERIES_PENDING = Gauge "dcm_deliveries_pending" ["channel"]
            "Messages that are to leave and have neither left nor been given up, by the name of the channel ([notify.NAME], \
             ping_url, documents, rabbitmq: answers to commands); those that wait for their next try too, the planned repetition of an alert not \
             before its time. A channel without any may be absent.";
        MANAGERS_LIVE = Gauge "dcm_managers_live" []
            "Managers whose lease holds.";
        FLEET_READ = Gauge "dcm_fleet_read_timestamp_seconds" []
            "When the numbers of the whole database were read, by the host's clock: they are read every 5 s, and are old \
             while the database is away. Absent, like them, before the first time.";
    }
    Process {
        PROCESS_CPU = Counter "process_cpu_seconds_total" []
            "CPU time that the process of the manager has used, its apps not included.";
        PROCESS_MEMORY = Gauge "process_resident_memory_bytes" []
            "Its resident memory.";
        PROCESS_VIRTUAL = Gauge "process_virtual_memory_bytes" []
            "Its virtual memory.";
        PROCESS_OPEN_FDS = Gauge "process_open_fds" []
            "Its open descriptors.";
        PROCESS_MAX_FDS = Gauge "process_max_fds" []
            "The most descriptors that it may have.";
        PROCESS_START = Gauge "process_start_time_seconds" []
            "When it began, by the host's clock.";
    }
    App {
        APP_STATE = Gauge "dcm_app_state" ["app", "state"]
            "1 for the state that the app is in.";
        APP_LAST_OUTCOME = Gauge "dcm_app_last_outcome" ["app", "outcome"]
            "1 for the outcome of its latest run that is over; absent before there is one.";
        APP_LAST_END = Gauge "dcm_app_last_end_timestamp_seconds" ["app"]
            "When that run ended.";
        APP_NEXT_RUN = Gauge "dcm_app_next_run_timestamp_seconds" ["app"]
            "When it runs next; absent where no time is planned.";
        APP_PROGRESS = Gauge "dcm_app_progress_ratio" ["app"]
            "How much of its current or last run is done, 0 to 1; absent where it did not say.";
        APP_SOLVED = Gauge "dcm_app_solved" ["app"]
            "Items that its current or last run has done.";
        APP_FAILED = Gauge "dcm_app_failed" ["app"]
            "Items that its current or last run has given up.";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_conventions() {
        let names: BTreeSet<_> = CATALOGUE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        for Metric { name, kind, help, .. } in CATALOGUE {
            let is_plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(name.chars().all(is_plain) && !name.starts_with('_'), "{name}");
            // A counter is told by its name, and nothing else may have one like it.
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(help.ends_with('.'), "{name}: {help}");
        }
    }
}
