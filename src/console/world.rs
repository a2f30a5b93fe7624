//! What all screens share: the fleet, the database, the clock, the size of the terminal.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::batch::Batch;
use super::dialog::confirm::Caution;
use super::fleet::Fleet;
use super::keymap::Keymap;
use super::request::{Answer, Question, Request, Ticket};
use super::screen::List;
use crate::model::{AlertRow, Delta, Now, Timestamp};
use crate::store::{Capabilities, StoreError};

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
        ("failed", "exit!=0 sort:last flat"),
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
    /// How many open alerts nobody looks after, as far as that is known.
    pub(super) alerts: Option<usize>,
    /// The question for them.
    counted: List<AlertRow>,
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
            alerts: None,
            counted: List::default(),
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

    /// Whether this was the answer to that.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: &Result<Answer, StoreError>) -> bool {
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
