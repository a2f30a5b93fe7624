//! Rows of both databases as plain data. What a row means is written here once; how a value is taken out of it is for the
//! [`RowReader`] of each database.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;

use crate::model::settings::settings;
use crate::model::{
    AlertCause, AlertId, AlertRow, AlertSubject, Anomaly, App, AppId, AppRef, AppRow, AppState, Baseline,
    CmdFlag, CmdName, Command, CommandId, CommandRow, Conclusion, Delivery, DeliveryId, Fatal, FatalFlag,
    KeptLog, Kind, LEASE, LastCommand, LastEnd, Load, ManagerRow, Movement, OpenRun, Part, Planned, Progress,
    Reason, Registered, Revision, Run, RunStatus, Samples, SentMessage, Skip, SkipReason, Timestamp, Trigger,
    Usage, Value, Word,
};

use super::RunLength;
use super::definition::{Faults, Remarks, known_sequence};
use super::row_reader::{Column, NotATime, RowReader};

/// Declares the columns that a query reads, by name in its text and by position when a row is taken apart.
macro_rules! columns {
    ($(#[$meta:meta])* $name:ident { $($column:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        #[expect(non_camel_case_types, reason = "they are the names of the columns")]
        enum $name { $($column),+ }

        impl $name {
            const NAMES: &[&str] = &[$(stringify!($column)),+];

            fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }

        impl From<$name> for Column {
            fn from(column: $name) -> Self {
                Self::Position(column as usize)
            }
        }
    };
}

columns! {
    /// The columns that [`registered`] reads before the settings.
    AppColumn {
        id, app, app_group, app_parent, app_name, next_run, disable, origin, task_size, progress, solved, failed, sampled,
        solved_samples, failed_samples, eta, message, progress_time, progress_pause, memory, cpu, memory_peak, run_status, app_pids, runtime, last_run, last_outcome, last_exit_code, last_end, stopped_by, failures,
        suspects, baseline, fatal_cause, fatal_flag, fatal_msg, fatal_time, waiting_for, concern, concern_since, manager, fault, cmd_name, cmd_flag, cmd_by, cmd_time, cmd_exec,
        cmd_id, asked_next_run, slot, next_run_kind, pause, sequence, epoch, revision,
    }
}

/// The columns that [`registered`] reads, in its order.
pub(super) fn app_columns() -> String {
    columns(|_| false)
}

/// The same for a user who may not see the environment of apps.
pub(super) fn app_columns_without_env() -> String {
    columns(|kind| kind == Kind::Variables)
}

fn columns(is_hidden: impl Fn(Kind) -> bool) -> String {
    let state = AppColumn::NAMES.iter().map(|name| format!("\"{name}\""));
    let settings = settings().map(|setting| {
        let name = setting.column;
        if is_hidden(setting.kind) {
            format!("CAST(NULL AS text) AS \"{name}\"")
        } else {
            format!("\"{name}\"")
        }
    });
    state.chain(settings).collect::<Vec<_>>().join(", ")
}

/// A row of the apps table. Whatever it holds, something comes out of it.
pub(super) fn registered<R: RowReader>(row: &R) -> Result<Registered, R::Error> {
    let mut faults = Faults::default();
    let key = row.text(AppColumn::app)?;
    let of_names = AppId::of_names([
        row.raw_text(AppColumn::app_group)?,
        row.raw_text(AppColumn::app_parent)?,
        row.raw_text(AppColumn::app_name)?,
    ]);
    let id = key.as_deref().and_then(|key| key.parse().ok()).unwrap_or(of_names);
    let name = |column: AppColumn| row.value(column, Kind::Text);
    let names = [name(AppColumn::app_group)?, name(AppColumn::app_parent)?, name(AppColumn::app_name)?];
    let mut app = App::of_row(id, faults.path(names, id));
    for (at, setting) in settings().enumerate() {
        let value = row.value(AppColumn::NAMES.len() + at, setting.kind)?;
        faults.setting(&mut app, setting, value);
    }
    faults.schedule(&app);
    if key.is_some_and(|key| key.parse() != Ok(of_names)) {
        faults.add("app", format!("app must be the SHA3-256 of GROUP|PARENT|APP, which is {of_names}"));
    }
    app.disabled = row.is_set(AppColumn::disable)?;
    app.origin = row.owned(AppColumn::origin)?;
    app_row(row, app, faults).map(Registered::of)
}

fn app_row<R: RowReader>(row: &R, app: App, faults: Faults) -> Result<AppRow, R::Error> {
    let mut remarks = Remarks::default();
    let zone = app.schedule.time_zone;
    let state = AppState {
        status: RunStatus::from_code(row.whole(AppColumn::run_status)?.unwrap_or(0))
            .unwrap_or(RunStatus::NotRunning),
        run: row.text(AppColumn::runtime)?.and_then(|run| run.parse().ok()),
        pid: row.text(AppColumn::app_pids)?.and_then(|pids| pids.parse().ok()),
        last_run: row.time(AppColumn::last_run)?,
        stopped_by: row.owned(AppColumn::stopped_by)?,
        failures: row.small(AppColumn::failures)?.unwrap_or(0),
        suspects: row.small(AppColumn::suspects)?.unwrap_or(0),
        baseline: baseline(row)?,
        fatal: fatal(row)?,
        waiting_for: row.owned(AppColumn::waiting_for)?,
        concern: concern(row)?,
        manager: row.owned(AppColumn::manager)?,
    };
    let mut counter = |column: AppColumn| -> Result<Option<u64>, R::Error> {
        Ok(row.whole(column)?.map(|number| remarks.count(column.name(), number)))
    };
    let progress = Progress {
        task_size: counter(AppColumn::task_size)?,
        percent: counter(AppColumn::progress)?.and_then(|value| u8::try_from(value.min(100)).ok()),
        solved: counter(AppColumn::solved)?.unwrap_or(0),
        failed: counter(AppColumn::failed)?.unwrap_or(0),
        eta: row.asked_time(AppColumn::eta, zone)?.and_then(Result::ok),
        message: row.owned(AppColumn::message)?,
    };
    let mut asked = |column: AppColumn| -> Result<Option<Timestamp>, R::Error> {
        let time = row.asked_time(column, zone)?;
        Ok(time.and_then(|time| time.map_err(|NotATime(text)| remarks.not_a_time(column.name(), &text)).ok()))
    };
    Ok(AppRow {
        next_run: asked(AppColumn::next_run)?,
        asked_next_run: asked(AppColumn::asked_next_run)?,
        planned: planned(row)?,
        state,
        last_end: last_end(row)?,
        progress,
        samples: samples(row)?,
        movement: movement(row)?,
        usage: usage(row)?,
        command: last_command(row)?,
        slot: row.time(AppColumn::slot)?,
        is_named: row.text(AppColumn::app)?.is_some(),
        sequence: known_sequence(row.whole(AppColumn::sequence)?.unwrap_or(0)),
        epoch: row.count(AppColumn::epoch)?.unwrap_or(0),
        fault: if faults.is_empty() { None } else { faults.of_row(names(row)?) },
        bad_report: remarks.of_row(),
        shown_fault: row.owned(AppColumn::fault)?,
        row: row.whole(AppColumn::id)?.unwrap_or(0),
        revision: Revision(row.whole(AppColumn::revision)?.unwrap_or(0)),
        app,
    })
}

/// The names as they are written, however odd.
fn names<R: RowReader>(row: &R) -> Result<[String; 3], R::Error> {
    let name = |column: AppColumn| row.sure_owned(column);
    Ok([name(AppColumn::app_group)?, name(AppColumn::app_parent)?, name(AppColumn::app_name)?])
}

/// What `next_run` is.
fn planned<R: RowReader>(row: &R) -> Result<Option<Planned>, R::Error> {
    let kind = row.text(AppColumn::next_run_kind)?;
    let pause = row.number(AppColumn::pause)?;
    Ok(kind.and_then(|kind| Planned::from_stored(&kind, pause)))
}

fn fatal<R: RowReader>(row: &R) -> Result<Option<Box<Fatal>>, R::Error> {
    let Ok(flag) = FatalFlag::from_code(row.whole(AppColumn::fatal_flag)?.unwrap_or(0)) else {
        return Ok(None);
    };
    let message = row.sure_owned(AppColumn::fatal_msg)?;
    // Versions that know no other cause leave it empty.
    let cause = row.text(AppColumn::fatal_cause)?.map_or(Anomaly::Failures.into(), |cause| (&*cause).into());
    Ok(Some(Box::new(Fatal { flag, cause, message, time: row.sure_time(AppColumn::fatal_time)? })))
}

/// A text that another program wrote there is no baseline.
fn baseline<R: RowReader>(row: &R) -> Result<Option<Baseline>, R::Error> {
    let value = row.value(AppColumn::baseline, Kind::Text)?;
    Ok(if let Value::Text(text) = value { Baseline::read(&text) } else { None })
}

/// A text that another program wrote there is no samples.
fn samples<R: RowReader>(row: &R) -> Result<Option<Box<Samples>>, R::Error> {
    let text = |column: AppColumn| -> Result<Option<Cow<'_, str>>, R::Error> {
        Ok(if let Value::Text(text) = row.value(column, Kind::Text)? { Some(text) } else { None })
    };
    let newest = row.whole(AppColumn::sampled)?;
    let (solved, failed) = (text(AppColumn::solved_samples)?, text(AppColumn::failed_samples)?);
    Ok(Samples::read(newest, solved.as_deref(), failed.as_deref()).map(Box::new))
}

/// How its counters move.
fn movement<R: RowReader>(row: &R) -> Result<Option<Box<Movement>>, R::Error> {
    let usual_pause = Movement::pause_from_stored(row.number(AppColumn::progress_pause)?);
    let last = row.time(AppColumn::progress_time)?;
    Ok(last.map(|last| Box::new(Movement { last, usual_pause })))
}

/// What its processes use. Another program may have written anything.
fn usage<R: RowReader>(row: &R) -> Result<Option<Box<Usage>>, R::Error> {
    let usage = Usage {
        memory: row.count(AppColumn::memory)?,
        cpu: row.number(AppColumn::cpu)?.filter(|cpu| cpu.is_finite() && *cpu >= 0.0),
        memory_peak: row.count(AppColumn::memory_peak)?,
    };
    Ok((usage != Usage::default()).then(|| Box::new(usage)))
}

fn concern<R: RowReader>(row: &R) -> Result<Option<Box<Conclusion>>, R::Error> {
    let since = row.sure_time(AppColumn::concern_since)?;
    let concern = row.text(AppColumn::concern)?;
    Ok(concern.map(|concern| Box::new(Conclusion { concern: (&*concern).into(), since })))
}

fn last_end<R: RowReader>(row: &R) -> Result<Option<Box<LastEnd>>, R::Error> {
    let exit_code = row.whole(AppColumn::last_exit_code)?;
    let found = row.text(AppColumn::last_outcome)?.zip(row.time(AppColumn::last_end)?);
    Ok(found.map(|(outcome, at)| Box::new(LastEnd { outcome: (&*outcome).into(), exit_code, at })))
}

fn last_command<R: RowReader>(row: &R) -> Result<Option<LastCommand>, R::Error> {
    let codes = row.whole(AppColumn::cmd_name)?.zip(row.whole(AppColumn::cmd_flag)?);
    let codes = codes.map(|(name, flag)| (CmdName::from_code(name), CmdFlag::from_code(flag)));
    let Some((Ok(name), Ok(flag))) = codes else { return Ok(None) };
    Ok(Some(LastCommand {
        id: row.whole(AppColumn::cmd_id)?.map(CommandId),
        name,
        flag,
        by: row.owned(AppColumn::cmd_by)?,
        time: row.time(AppColumn::cmd_time)?,
        executed: row.time(AppColumn::cmd_exec)?,
    }))
}

/// A command without a verdict.
pub(super) fn command<R: RowReader>(row: &R) -> Result<Command, R::Error> {
    let args = row.value("cmd_args", Kind::Text)?;
    let is_readable = matches!(args, Value::Null | Value::Text(_));
    Ok(Command {
        id: CommandId(row.whole("id")?.unwrap_or(0)),
        app: app_named(&row.sure_text("app_id")?),
        name: row.code("cmd_name", CmdName::from_code)?,
        args: if let Value::Text(args) = args { Some(args.into_owned()) } else { None },
        fault: (!is_readable).then_some("cmd_args are not a text in UTF-8"),
        by: row.sure_owned("cmd_by")?,
        time: row.sure_time("cmd_time")?,
        expires: row.time("expires")?,
    })
}

/// An app as the ledger names it: by hash, or by path where the app was not known then.
fn app_named(text: &str) -> Option<AppId> {
    AppRef::from(text).id()
}

/// The columns that [`command_row`] reads.
pub(super) const COMMAND_COLUMNS: &str =
    "id, app_id, cmd_name, cmd_flag, cmd_by, cmd_source, cmd_time, cmd_exec, reason, batch, note";

/// A row of the ledger.
pub(super) fn command_row<R: RowReader>(row: &R) -> Result<CommandRow, R::Error> {
    Ok(CommandRow {
        id: CommandId(row.whole("id")?.unwrap_or(0)),
        app: (&*row.sure_text("app_id")?).into(),
        name: row.code("cmd_name", CmdName::from_code)?,
        flag: row.code("cmd_flag", CmdFlag::from_code)?,
        by: row.sure_owned("cmd_by")?,
        source: (&*row.sure_text("cmd_source")?).into(),
        time: row.sure_time("cmd_time")?,
        executed: row.time("cmd_exec")?,
        reason: row.text("reason")?.as_deref().map(Reason::from),
        batch: row.owned("batch")?,
        note: row.owned("note")?,
    })
}

/// The columns that [`run`] reads.
pub(super) const RUN_COLUMNS: &str = "runtime, app_id, start_time, end_time, outcome, exit_code, signal, except_cnt, \
    task_size, solved, failed, message, trigger, due_time, attempt, manager, pid, leftovers, command_id, \
    memory_peak";

/// A row of the runtime table.
pub(super) fn run<R: RowReader>(row: &R) -> Result<Run, R::Error> {
    Ok(Run {
        run: row.parsed("runtime")?,
        app: row.parsed("app_id")?,
        start: row.sure_time("start_time")?,
        end: row.time("end_time")?,
        outcome: row.text("outcome")?.as_deref().map(Word::from),
        exit_code: row.whole("exit_code")?,
        signal: row.small("signal")?,
        except_cnt: row.count("except_cnt")?.unwrap_or(0),
        progress: Progress {
            task_size: row.count("task_size")?,
            solved: row.count("solved")?.unwrap_or(0),
            failed: row.count("failed")?.unwrap_or(0),
            ..Progress::default()
        },
        trigger: (&*row.sure_text("trigger")?).into(),
        due: row.time("due_time")?,
        attempt: row.small("attempt")?.unwrap_or(1),
        manager: row.sure_owned("manager")?,
        pid: row.small("pid")?,
        message: row.owned("message")?,
        leftovers: row.small("leftovers")?.unwrap_or(0),
        command: row.whole("command_id")?.map(CommandId),
        memory_peak: row.count("memory_peak")?,
    })
}

/// Whose run it was and how long it took; nothing of a run that goes on or whose times are not known.
pub(super) fn run_length<R: RowReader>(row: &R) -> Result<RunLength, R::Error> {
    let (began, ended) = (row.time("start_time")?, row.time("end_time")?);
    let (Some(began), Some(ended)) = (began, ended) else { return Err(row.meaningless()) };
    Ok((row.parsed("app_id")?, (ended - began).max(TimeDelta::zero())))
}

/// An open run.
pub(super) fn open_run<R: RowReader>(row: &R) -> Result<OpenRun, R::Error> {
    let trigger = Word::from(&*row.sure_text("trigger")?);
    Ok(OpenRun {
        run: row.parsed("runtime")?,
        app: row.parsed("app_id")?,
        start: row.sure_time("start_time")?,
        due: row.time("due_time")?,
        trigger: trigger.known().unwrap_or(Trigger::Schedule),
        attempt: row.small("attempt")?.unwrap_or(1),
        command: row.whole("command_id")?.map(CommandId),
        pid: row.small("pid")?,
        manager: row.owned("manager")?,
    })
}

/// A row of the managers table.
pub(super) fn manager<R: RowReader>(row: &R) -> Result<ManagerRow, R::Error> {
    let lease = row.number("lease")?.and_then(|lease| Duration::try_from_secs_f64(lease).ok());
    Ok(ManagerRow {
        name: row.sure_owned("name")?,
        host: row.sure_owned("host")?,
        pid: row.small("pid")?.unwrap_or(0),
        version: row.sure_owned("version")?,
        started: row.sure_time("started")?,
        heartbeat: row.sure_time("heartbeat")?,
        stopped: row.time("stopped")?,
        incarnation: row.count("incarnation")?.unwrap_or(0),
        renewals: row.count("renewals")?.unwrap_or(0),
        lease: lease.unwrap_or(LEASE),
        lease_until: row.time("lease_until")?,
        home: row.owned("home")?,
        boot: row.owned("boot")?,
        pools: row.list("pools")?,
        python: row.owned("python")?,
        draining: row.is_set("draining")?,
        load: Load {
            running: row.small("running")?.unwrap_or(0),
            running_max: row.small("running_max")?,
            waiting: row.small("waiting")?.unwrap_or(0),
        },
        broker: row.owned("broker")?,
        dead_letters: row.count("dead_letters")?.unwrap_or(0),
    })
}

/// A row of the alerts table, with the `owner` of its app.
pub(super) fn alert<R: RowReader>(row: &R) -> Result<AlertRow, R::Error> {
    let by = row.sure_owned("acknowledged_by")?;
    let opened = row.sure_time("opened")?;
    Ok(AlertRow {
        id: AlertId(row.whole("id")?.unwrap_or(0)),
        subject: row
            .text("app_id")?
            .map_or(AlertSubject::Fleet, |app| AlertSubject::App(AppRef::from(&*app))),
        manager: row.owned("manager")?,
        kind: (&*row.sure_text("kind")?).into(),
        cause: AlertCause::read(row.sure_owned("cause")?),
        severity: (&*row.sure_text("severity")?).into(),
        opened,
        last_seen: row.time("last_seen")?.unwrap_or(opened),
        count: row.small("count")?.unwrap_or(1),
        message: row.sure_owned("message")?,
        detail: row.owned("detail")?,
        acknowledged: row.time("acknowledged")?.map(|at| (by, at)),
        muted_until: row.time("muted_until")?,
        closed: row.time("closed")?,
        delivered: row.time("delivered")?,
        run: row.sure_text("runtime")?.parse().ok(),
        owner: row.owned("owner")?,
    })
}

/// What people have written on an app, as its row has it; a tag that is none counts for nothing.
pub(super) fn labels<R: RowReader>(row: &R) -> Result<(Option<String>, BTreeSet<Part>), R::Error> {
    let tags: Vec<String> = serde_json::from_str(&row.sure_text("tags")?).unwrap_or_default();
    Ok((row.owned("owner")?, tags.iter().filter_map(|tag| tag.parse().ok()).collect()))
}

/// A row of the deliveries table, and the number of its alert.
pub(super) fn delivery<R: RowReader>(row: &R) -> Result<(Delivery, Option<i64>), R::Error> {
    let event = row.owned("event")?;
    let delivery = Delivery {
        id: DeliveryId(row.whole("id")?.unwrap_or(0)),
        kind: (&*row.sure_text("kind")?).into(),
        event: event.as_deref().map(Word::from),
        alert: None,
        stage: row.small("stage")?.unwrap_or(0),
        body: row.sure_owned("body")?,
        created: row.sure_time("created")?,
        due: row.sure_time("due")?,
        tries: row.small("tries")?.unwrap_or(0),
    };
    Ok((delivery, row.whole("alert_id")?))
}

/// A message that left, with `channel`, `cause` and `delivered`.
pub(super) fn sent_message<R: RowReader>(row: &R) -> Result<SentMessage, R::Error> {
    Ok(SentMessage {
        channel: row.sure_owned("channel")?,
        cause: row.sure_owned("cause")?,
        at: row.sure_time("delivered")?,
    })
}

/// A row of the skips table.
pub(super) fn skip<R: RowReader>(row: &R) -> Result<Skip, R::Error> {
    let reason = Word::from(&*row.sure_text("reason")?);
    Ok(Skip {
        app: row.parsed("app_id")?,
        first: row.sure_time("first_due")?,
        last: row.sure_time("last_due")?,
        slots: row.small("slots")?,
        reason: reason.known().unwrap_or(SkipReason::Missed),
        at: row.sure_time("recorded")?,
    })
}

/// A row of the `log_tails` table.
pub(super) fn kept_log<R: RowReader>(row: &R) -> Result<KeptLog, R::Error> {
    Ok(KeptLog {
        run: row.parsed("runtime")?,
        app: row.parsed("app_id")?,
        manager: row.sure_owned("manager")?,
        bytes: row.bytes("bytes")?,
        written: row.sure_time("written")?,
    })
}
