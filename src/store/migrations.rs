//! The steps of the schema, which both databases take together: each is a file in `migrations/sqlite` and one of the same
//! name in `migrations/postgres`. Released steps are never edited; a change of the schema is a new one.

/// Includes the files of the steps, in their order.
macro_rules! steps {
    ($($name:literal)+) => {
        /// What each step does in an embedded database.
        pub(super) const SQLITE: &[&str] =
            &[$(include_str!(concat!("../../migrations/sqlite/", $name, ".sql"))),+];

        /// What each step does on a server.
        pub(super) const POSTGRES: &[&str] =
            &[$(include_str!(concat!("../../migrations/postgres/", $name, ".sql"))),+];

        /// The version of the schema that this program knows: the number of the steps.
        #[expect(clippy::cast_possible_wrap, reason = "the steps are few")]
        pub(super) const VERSION: i64 = [$($name),+].len() as i64;
    };
}

steps! {
    "0001_fleet"
    "0002_managers"
    "0003_operators"
    "0004_calendar"
    "0005_issuers"
    "0006_origins"
    "0007_ranges"
    "0008_times"
    "0009_zones"
    "0010_writers"
    "0011_retention"
    "0012_failures"
    "0013_samples"
    "0014_descriptions"
    "0015_alerts"
    "0016_concern"
    "0017_deliveries"
    "0018_usage"
    "0019_fleet_alerts"
    "0020_pings"
    "0021_suspects"
    "0022_always"
    "0023_skips"
    "0024_documents"
    "0025_document_looks"
    "0026_requests"
    "0027_launch"
}
