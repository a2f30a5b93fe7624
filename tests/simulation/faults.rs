//! Faults that are planted on purpose in the shell around the manager, to see that the oracle
//! catches them. In an ordinary world none of them is there.

/// A program that is wrong in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    /// Processes are started before the row of their run is on record.
    ActsBeforeCommit,
    /// A start is carried out though the database refused the run.
    ActsOnRefused,
    /// A shim starts its app when the manager dies before it said go.
    IgnoresTheGate,
    /// One of several transactions is lost, though it is answered as written.
    LosesCommits,
    /// Of a transaction only the first half is written.
    WritesHalf,
    /// A transaction that failed is not tried again.
    NeverTriesAgain,
    /// Steps are written in the wrong order.
    WritesOutOfOrder,
    /// A new manager does not find the runs that live.
    AdoptsNobody,
    /// A new manager does not find the exit records of runs that ended.
    OverlooksRecords,
    /// Adopting a run sends it a signal.
    SignalsAdopted,
    /// A shim ends without writing how the app ended.
    LosesExitRecord,
    /// An unknown exit is told as exit 0.
    InventsExit,
    /// A wrong exit code is told.
    MistakesExit,
    /// Word of the end of a run comes while it goes on.
    TellsOfEndTooEarly,
    /// A command is read from the ledger and not handed on.
    LosesCommands,
    /// A command is handed on again when it has its verdict.
    RepeatsCommands,
    /// A changed row is read and not handed on.
    LosesEdits,
    /// Signals go to whatever process has the number now.
    SignalsByNumber,
    /// KILL is sent without a grace time.
    GivesNoGrace,
    /// A request to stop reaches nobody, nor does the KILL after it.
    LosesStops,
    /// An order to start is carried out twice.
    StartsTwice,
    /// The run directory is removed before the end of the run is on record.
    ForgetsTooEarly,
    /// Run directories are never removed.
    NeverForgets,
    /// The manager is called on events only, not when its deadline comes.
    SleepsTooLong,
    /// A new manager begins with an old reading of the database.
    BeginsWithOldSnapshot,
    /// Timeouts are measured on the wall clock.
    MistakesClocks,
    /// What cannot be looked at is taken for gone.
    TakesBlindForGone,
    /// What concerns a row that somebody holds is not written later.
    LosesHeld,
    /// What waits for a row that somebody holds is done before it is written.
    ActsOnHeld,
    /// The row of an app is written only if the row of its run is there.
    DependsOnHistory,
    /// A new manager does not read what `next_run` is, nor which time of a calendar is open.
    ForgetsPlans,
    /// It is not told that rows were deleted.
    OverlooksDeletions,
    /// A new manager does not know which rows were deleted before it began.
    ForgetsDeletions,
    /// Nobody tells the manager which apps run always.
    OverlooksAlways,
    /// A shim says that the process of its run began a minute before it did.
    StretchesLives,
}

impl Planted {
    pub(crate) const ALL: [Self; 35] = [
        Self::ActsBeforeCommit,
        Self::ActsOnRefused,
        Self::IgnoresTheGate,
        Self::LosesCommits,
        Self::WritesHalf,
        Self::NeverTriesAgain,
        Self::WritesOutOfOrder,
        Self::AdoptsNobody,
        Self::OverlooksRecords,
        Self::SignalsAdopted,
        Self::LosesExitRecord,
        Self::InventsExit,
        Self::MistakesExit,
        Self::TellsOfEndTooEarly,
        Self::LosesCommands,
        Self::RepeatsCommands,
        Self::LosesEdits,
        Self::SignalsByNumber,
        Self::GivesNoGrace,
        Self::LosesStops,
        Self::StartsTwice,
        Self::ForgetsTooEarly,
        Self::NeverForgets,
        Self::SleepsTooLong,
        Self::BeginsWithOldSnapshot,
        Self::MistakesClocks,
        Self::TakesBlindForGone,
        Self::LosesHeld,
        Self::ActsOnHeld,
        Self::DependsOnHistory,
        Self::ForgetsPlans,
        Self::OverlooksDeletions,
        Self::ForgetsDeletions,
        Self::OverlooksAlways,
        Self::StretchesLives,
    ];
}
