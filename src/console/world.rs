//! What all screens share: the fleet, the database, the clock, the size of the terminal.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use super::batch::Batch;
use super::dialog::confirm::Caution;
use super::fleet::{Fleet, Row};
use super::keymap::Keymap;
use super::request::{Answer, DocumentSums, Question, Request, Ticket};
use super::screen::{List, concluded};
use crate::manager::coming::coming_of;
use crate::model::explain::{State, is_heard};
use crate::model::reasons::{Because, Facts, Keeper, Lost, Phrasing, reasons};
use crate::model::{
    AlertCause, AlertKind, AlertRow, AppRow, Delta, Failover, Now, Part, Run, Timestamp, owner_of,
};
use crate::store::{Capabilities, HistoryQuery, StoreError};

/// How long a remark stays in the footer.
const REMARK_STAYS: Duration = Duration::from_secs(6);

/// How often the database is asked what is new: while somebody looks, while the keys go elsewhere, and
/// when none was pressed for a while.
pub(super) const POLL: Duration = Duration::from_secs(1);
const POLL_UNFOCUSED: Duration = Duration::from_secs(5);
const POLL_ABSENT: Duration = Duration::from_secs(15);
const ABSENT_AFTER: Duration = Duration::from_secs(600);

/// Over so many answers of the database a median is told.
const LATENCIES: usize = 10;

/// A frame that was late by so much tells of a slow link, for a while.
const LATE: Duration = Duration::from_millis(250);
const SLOW_STAYS: Duration = Duration::from_secs(5);

/// Open alerts are counted so often, wherever one is.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// Where there are no documents they are looked for so often.
const COUNT_NONE_EVERY: Duration = Duration::from_secs(60);

/// The number of latest runs from which it follows how many ran at once.
const RECENT_MAX: u32 = 4000;

/// So many remarks can be read again.
const MESSAGES_MAX: usize = 200;

/// A display that stands still holds back at most so many changed rows.
pub(super) const HELD_MAX: usize = 50_000;

/// What came while the display stood still.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) deltas: Vec<(Delta, Timestamp)>,
    pub(super) rows: usize,
}

/// Views that are there before anybody saved one.
pub(super) fn saved_views() -> Vec<(String, String)> {
    [
        ("problems", "is:problem flat"),
        ("running", "is:running sort:eta flat"),
        ("failed", "is:failed sort:last flat"),
        ("next", "!is:disabled sort:next flat"),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .into()
}

/// What all screens share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) identity: Identity,
    /// What each key means.
    pub(super) keys: Keymap,
    /// How careful it is asked.
    pub(super) caution: Caution,
    pub(super) fleet: Fleet,
    pub(super) link: Link,
    /// How many runs began in the last minute, as far as that is known.
    pub(super) begun: Option<u64>,
    /// How many open alerts nobody looks after, as far as that is known.
    pub(super) alerts: Option<usize>,
    /// Of managers of which an open alert says that they are lost, the causes.
    lost: BTreeSet<AlertCause>,
    /// The question for them.
    counted: List<AlertRow>,
    /// Documents that are not done, as far as that is known, and the question for them.
    pub(super) documents: Option<DocumentSums>,
    summed: List<()>,
    /// The latest runs of all apps, where there is room to show how many ran at once.
    recent: List<Run>,
    /// The bell of the terminal rings for new troubles.
    pub(super) bell: Bell,
    /// Actions that were sent, the latest last.
    pub(super) batches: Vec<Batch>,
    /// What was said, for those who want to read it again.
    pub(super) messages: VecDeque<(Timestamp, String)>,
    /// Saved views: names and what they show.
    pub(super) views: Vec<(String, String)>,
    /// Nothing is sent, only told.
    pub(super) is_dry: bool,
    /// The mouse is heard.
    pub(super) has_mouse: bool,
    /// Something lies above the screen and has the keys.
    pub(super) has_dialog: bool,
    /// The display stands still: what came since.
    pub(super) held: Option<Held>,
    pub(super) remark: Option<Remark>,
    /// By how much a frame was late, and until when that is told.
    slow: Option<(Duration, Duration)>,
    /// Columns and rows of the terminal.
    pub(super) size: (u16, u16),
    pub(super) now: Now,
    /// What time it was in the database, and when that was heard. Ages are told by that clock; ours may be
    /// set at any time.
    pub(super) clock: (Timestamp, Duration),
    /// When it was last concluded what is wrong with each app.
    pub(super) judged: Duration,
    tickets: u64,
    latencies: [Option<Duration>; LATENCIES],
    /// How long the terminal takes to answer, where it does.
    pub(super) distance: Option<Duration>,
    /// Whether anybody looks, as far as is known.
    pub(super) focus: Focus,
    /// When the last key was pressed.
    pub(super) touched: Duration,
    /// How often the database is asked.
    pub(super) pace: Duration,
}

/// The bell of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bell {
    Off,
    On,
}

/// Who looks at what.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The database, without a password.
    pub(super) database: String,
    /// What it can.
    pub(super) capabilities: Capabilities,
    pub(super) user: String,
    /// The manager lives in this process.
    pub(super) is_attached: bool,
    /// Why nothing can be changed from here, if that is so.
    pub(super) read_only: Option<ReadOnly>,
}

impl Identity {
    /// Whether nothing can be changed from here.
    pub(super) const fn is_read_only(&self) -> bool {
        self.read_only.is_some()
    }
}

/// Why nothing can be changed from a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOnly {
    /// It was opened so.
    Flag,
    /// The settings of the host say so.
    Settings,
    /// The user of the database may not send commands.
    Rights,
}

impl fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::Flag => "opened with --read-only",
            Self::Settings => "the settings of this host say so",
            Self::Rights => "this user of the database may not send commands",
        };
        write!(f, "this console is read-only: {why}")
    }
}

/// Where the keys go, as far as the terminal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    Here,
    Elsewhere,
}

/// Whether the database answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Link {
    /// Not asked yet.
    Fresh,
    /// It answered at this time.
    Up { read: Timestamp },
    /// It does not.
    Lost { since: Duration, last: Option<Timestamp>, why: String },
}

/// A word to the person, for a while.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Remark {
    pub(super) text: String,
    pub(super) until: Duration,
}

impl World {
    pub(super) fn new(identity: Identity, size: (u16, u16), now: Now) -> Self {
        Self {
            identity,
            keys: Keymap::default(),
            caution: Caution::default(),
            fleet: Fleet::default(),
            link: Link::Fresh,
            begun: None,
            alerts: None,
            lost: BTreeSet::new(),
            counted: List::default(),
            documents: None,
            summed: List::default(),
            recent: List::default(),
            bell: Bell::Off,
            batches: Vec::new(),
            messages: VecDeque::new(),
            views: saved_views(),
            is_dry: false,
            has_mouse: false,
            has_dialog: false,
            held: None,
            remark: None,
            slow: None,
            size,
            now,
            clock: (now.wall, now.mono),
            judged: Duration::ZERO,
            tickets: 0,
            latencies: [None; LATENCIES],
            distance: None,
            focus: Focus::Here,
            touched: now.mono,
            pace: POLL,
        }
    }

    /// Asks how many alerts are open, if that is not known well.
    pub(super) fn count_alerts(&mut self) -> Option<Request> {
        let is_due = matches!(self.link, Link::Up { .. }) && self.counted.is_older_than(self, COUNT_EVERY);
        if !is_due {
            return None;
        }
        let mut counted = std::mem::take(&mut self.counted);
        let request = counted.ask(self, Question::open_alerts());
        self.counted = counted;
        Some(request)
    }

    /// Asks how many documents wait and failed, if that is not known well. Where there are none it is asked seldom.
    pub(super) fn sum_documents(&mut self) -> Option<Request> {
        let has_some = self.documents.is_none_or(|sums| sums != DocumentSums::default());
        let age = if has_some { COUNT_EVERY } else { COUNT_NONE_EVERY };
        let is_due = matches!(self.link, Link::Up { .. }) && self.summed.is_older_than(self, age);
        if !is_due {
            return None;
        }
        let mut summed = std::mem::take(&mut self.summed);
        let request = summed.ask(self, Question::DocumentSums);
        self.summed = summed;
        Some(request)
    }

    /// Asks for the latest runs, if they are shown and not known well.
    pub(super) fn ask_recent(&mut self) -> Option<Request> {
        let is_due = matches!(self.link, Link::Up { .. })
            && super::view::Panes::of(self).has_strip()
            && self.recent.is_older_than(self, COUNT_EVERY);
        if !is_due {
            return None;
        }
        let mut recent = std::mem::take(&mut self.recent);
        let query = HistoryQuery { limit: RECENT_MAX, ..HistoryQuery::default() };
        let request = recent.ask(self, Question::History(query));
        self.recent = recent;
        Some(request)
    }

    /// When the runs of all apps began and ended since a moment, and that moment: not further back than is known. Those
    /// that go on are all there, however old they are.
    pub(super) fn recent_runs(
        &self,
        since: Timestamp,
    ) -> (Timestamp, impl Iterator<Item = (Timestamp, Option<Timestamp>)>) {
        let runs = &self.recent.rows;
        let is_cut = runs.len() >= RECENT_MAX as usize;
        let oldest = runs.last().filter(|_| is_cut).map_or(since, |run| run.start.max(since));
        let ended = runs.iter().filter(|run| run.end.is_some()).map(|run| (run.start, run.end));
        let going = self.fleet.rows().filter(|row| row.is_running());
        (oldest, ended.chain(going.filter_map(|row| Some((row.last_run?, None)))))
    }

    /// Whether this was the answer to that.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: &Result<Answer, StoreError>) -> bool {
        if self.recent.take_answer(ticket, answer) {
            return true;
        }
        if self.summed.awaits(ticket) {
            if let Ok(Answer::DocumentSums(sums)) = answer {
                self.documents = Some(*sums);
            }
            self.summed.take(Ok(Vec::new()), |(), ()| true);
            return true;
        }
        let is_mine = self.counted.awaits(ticket);
        if is_mine {
            if let Ok(Answer::Alerts(rows)) = answer {
                self.note_alerts(rows);
            }
            self.counted.take(Ok(Vec::new()), |_, _| true);
        }
        is_mine
    }

    /// These alerts are open.
    pub(super) fn note_alerts(&mut self, open: &[AlertRow]) {
        self.alerts = Some(open.iter().filter(|alert| alert.acknowledged.is_none()).count());
        let lost = open.iter().filter(|alert| alert.kind == AlertKind::ManagerLost.into());
        self.lost = lost.map(|alert| alert.cause.clone()).collect();
    }

    /// Whether an open alert says that this manager is lost: the other managers write it, while one lives.
    pub(super) fn is_alert_open_of(&self, manager: &str) -> bool {
        self.lost.contains(&AlertCause::of_manager(manager))
    }

    /// A frame was drawn, so long after it was due.
    pub(super) fn note_frame(&mut self, late: Duration) {
        let now = self.now.mono;
        if late >= LATE {
            self.slow = Some((late, now + SLOW_STAYS));
        }
        self.slow = self.slow.filter(|(_, until)| *until > now);
    }

    /// How many frames a second the link takes, if it is slow.
    pub(super) fn slow_link(&self) -> Option<u128> {
        self.slow.map(|(late, _)| (1000 / late.as_millis().max(1)).max(1))
    }

    /// The time of the database.
    pub(super) fn time(&self) -> Timestamp {
        let (told, heard) = self.clock;
        told + self.now.mono.saturating_sub(heard)
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        let text = text.into();
        if self.messages.len() == MESSAGES_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back((self.time(), text.clone()));
        self.remark = Some(Remark { text, until: self.now.mono + REMARK_STAYS });
    }

    /// Why nothing can be changed from here now.
    pub(super) fn refusal(&self) -> Option<String> {
        match &self.link {
            _ if self.identity.is_read_only() => self.identity.read_only.map(|why| why.to_string()),
            Link::Lost { why, .. } => Some(format!("actions are off until the database answers: {why}")),
            Link::Fresh => Some("actions are off until the database answers".to_owned()),
            Link::Up { .. } => None,
        }
    }

    /// Whose an app is.
    pub(super) fn owner_of<'a>(&'a self, row: &'a Row) -> Option<&'a str> {
        let is_shared = self.identity.capabilities.is_shared;
        let now = self.fleet.managers_time(self.time());
        owner_of(row.manager.as_deref(), &self.fleet.managers, (is_shared, now))
    }

    /// Why an app does what it does, the strongest reason first.
    pub(super) fn reasons<'a>(&'a self, row: &'a Row) -> Vec<Because<'a>> {
        let keeper = self.keeper(row.manager.as_deref(), row.pool.as_ref(), (row.failover, row.state));
        reasons(&row.facts(keeper, self.time()))
    }

    /// The same for a row that was read by itself.
    pub(super) fn reasons_of<'a>(&'a self, app: &'a AppRow, state: State) -> Vec<Because<'a>> {
        let (now, policy) = (self.time(), &app.app.policy);
        let keeper =
            self.keeper(app.state.manager.as_deref(), policy.pool.as_ref(), (policy.failover, state));
        reasons(&Facts::of(app, state, coming_of(app, now), keeper))
    }

    /// What is known of the manager of an app, by leases; where there can be only one, that matters for what runs.
    fn keeper<'a>(
        &'a self,
        name: Option<&'a str>,
        pool: Option<&'a Part>,
        (failover, state): (Failover, State),
    ) -> Keeper<'a> {
        let is_shared = self.identity.capabilities.is_shared;
        let managers = &self.fleet.managers;
        match name {
            None if is_shared && !managers.is_empty() => Keeper::Missing(pool),
            Some(name)
                if state == State::Unknown
                    || is_shared
                        && !is_heard(Some(name), managers, self.fleet.managers_time(self.time())) =>
            {
                Keeper::Lost(Lost { name: Some(name), row: self.fleet.manager(name), failover })
            }
            Some(_) | None => Keeper::Live,
        }
    }

    /// How reasons are put into words here.
    pub(super) fn phrasing(&self) -> Phrasing<'static> {
        Phrasing { now: self.time(), clock: super::view::clock, shell: None }
    }

    /// What no person has acknowledged yet: open alerts, and what the console concludes besides. `None` until alerts are read.
    pub(super) fn unattended(&self) -> Option<usize> {
        self.alerts.map(|open| open + concluded::count(self))
    }

    /// A number for a question, by which its answer is known.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Rows between header and footer.
    pub(super) fn body(&self) -> usize {
        usize::from(super::view::Places::of(self.size).body_rows())
    }

    /// Rows of the fleet that are seen at once.
    pub(super) fn table_rows(&self) -> usize {
        super::view::Panes::of(self).table_rows()
    }

    /// Columns of the terminal that the fleet has.
    pub(super) fn table_width(&self) -> u16 {
        super::view::Panes::of(self).table.width
    }

    /// Whether there is room for the detail beside or below the fleet.
    pub(super) fn has_detail_pane(&self) -> bool {
        super::view::Panes::of(self).detail.is_some()
    }

    /// The action that the footer tells of: the latest, until it has been told long enough.
    pub(super) fn shown_batch(&self) -> Option<&Batch> {
        self.batches.last().filter(|batch| batch.is_news(self.now.mono))
    }

    /// How often the database is to be asked: as often as somebody looks.
    pub(super) fn wanted_pace(&self) -> Duration {
        match self.focus {
            _ if self.now.mono >= self.touched + ABSENT_AFTER => POLL_ABSENT,
            Focus::Here => POLL,
            Focus::Elsewhere => POLL_UNFOCUSED,
        }
    }

    /// An answer of the database took so long.
    pub(super) fn note_latency(&mut self, took: Duration) {
        self.latencies.rotate_left(1);
        self.latencies[LATENCIES - 1] = Some(took);
    }

    /// The median of the last answers.
    pub(super) fn latency(&self) -> Option<Duration> {
        let mut known: Vec<_> = self.latencies.into_iter().flatten().collect();
        known.sort_unstable();
        known.get(known.len() / 2).copied()
    }
}
