//! Decides which deliveries of a channel leave when, and as which messages. It knows no clock and no random number: what
//! must survive a restart is in the rows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use chrono::TimeDelta;

use super::compose::compose;
use super::hours::QuietHours;
use super::{Channel, NotifySettings, Undelivered};
use crate::model::{
    AlertRow, Delivered, Delivery, DeliveryId, NoticeEvent, PING_CHANNEL, SentMessage, Severity, Timestamp,
};

/// The window of `max_per_hour`, and of the messages of one cause.
const WINDOW: TimeDelta = TimeDelta::hours(1);

/// Pauses after the first, second, ... message of one cause within the window. After the last of them the cause waits for
/// the window: a storm is at most six messages an hour.
const CAUSE_PAUSES: [TimeDelta; 5] = [
    TimeDelta::seconds(15),
    TimeDelta::seconds(60),
    TimeDelta::minutes(5),
    TimeDelta::minutes(10),
    TimeDelta::minutes(20),
];

/// Messages of a channel that leave within the window where its settings name no limit.
const MESSAGES_MAX: u32 = 60;

/// Causes that become messages of their own when they are due at once; more are one summary.
const CAUSES_AT_ONCE: usize = 5;

/// Chats take about twenty messages a minute.
const PAUSE: TimeDelta = TimeDelta::seconds(3);

/// A row that is later than this was held back.
const LATE: TimeDelta = TimeDelta::minutes(1);

/// How long after a message of an open alert the next one follows; the last of them holds for all further ones.
const REPEATED_AFTER: [TimeDelta; 3] = [TimeDelta::hours(1), TimeDelta::hours(4), TimeDelta::hours(24)];

/// Pauses after failures: the first, doubling up to the last.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(900);

/// What an endpoint may ask for at most by `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// A delivery that could not be made within this time is given up.
pub const GIVEN_UP_AFTER: TimeDelta = TimeDelta::days(1);

/// The same for pings: what a run was like an hour ago is of no use.
const PING_GIVEN_UP_AFTER: TimeDelta = TimeDelta::hours(1);

/// What to do about a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing before this moment; `None`: nothing before something is written.
    Wait(Option<Timestamp>),
    /// These rows are not needed any more.
    Drop(Vec<DeliveryId>),
    /// A message for all of these rows.
    Send(Box<Message>),
}

/// Deliveries that leave as one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its rows.
    pub rows: Vec<Delivery>,
    /// What is sent: of a notification the JSON of its notice.
    pub body: String,
    causes: BTreeSet<String>,
}

impl Message {
    /// The numbers of its rows.
    #[must_use]
    pub fn ids(&self) -> Vec<DeliveryId> {
        self.rows.iter().map(|row| row.id).collect()
    }
}

/// The channels of a manager, and what they have sent lately.
#[derive(Debug)]
pub struct Dispatcher {
    fleet: String,
    channels: BTreeMap<String, Outlet>,
}

/// One channel.
#[derive(Debug)]
struct Outlet {
    quiet: Option<QuietHours>,
    quiet_critical: bool,
    messages_max: u32,
    /// Messages of the window.
    sent: VecDeque<(Timestamp, BTreeSet<String>)>,
    failures: u32,
    /// It is left alone until then, after failures.
    closed_until: Option<Timestamp>,
}

/// Rows of one event and cause.
struct Group<'a> {
    event: NoticeEvent,
    cause: &'a str,
    rows: Vec<&'a Delivery>,
}

impl Dispatcher {
    /// That of a manager that begins; `sent` is what left in the hour before.
    #[must_use]
    pub fn new(settings: &NotifySettings, fleet: &str, sent: Vec<SentMessage>) -> Self {
        let outlet = |channel: &Channel| Outlet {
            quiet: channel.quiet.map(|quiet| QuietHours { quiet, zone: settings.time_zone }),
            quiet_critical: channel.quiet_critical,
            messages_max: channel.max_per_hour.unwrap_or(MESSAGES_MAX),
            sent: VecDeque::new(),
            failures: 0,
            closed_until: None,
        };
        let mut channels: BTreeMap<_, _> =
            settings.channels.iter().map(|channel| (channel.name.clone(), outlet(channel))).collect();
        for message in sent {
            let Some(outlet) = channels.get_mut(&message.channel) else { continue };
            match outlet.sent.back_mut().filter(|(at, _)| *at == message.at) {
                Some((_, causes)) => drop(causes.insert(message.cause)),
                None => outlet.sent.push_back((message.at, BTreeSet::from([message.cause]))),
            }
        }
        Self { fleet: fleet.to_owned(), channels }
    }

    /// What to do about a channel, of which `rows` are all that is due within [`GATHER`](crate::model::GATHER), or the first of it.
    #[must_use]
    pub fn decide(&mut self, channel: &str, rows: &[Delivery], now: Timestamp) -> Decision {
        if channel == PING_CHANNEL {
            return ping(rows, now);
        }
        let Some(outlet) = self.channels.get_mut(channel) else { return Decision::Wait(None) };
        let needless: Vec<_> = rows.iter().filter(|row| is_needless(row, rows)).map(|row| row.id).collect();
        if !needless.is_empty() {
            return Decision::Drop(needless);
        }
        if rows.is_empty() {
            return Decision::Wait(None);
        }
        if let Some(until) = outlet.closed_until.filter(|until| *until > now) {
            return Decision::Wait(Some(until));
        }
        let mut waits = Vec::new();
        let mut free = Vec::new();
        for row in rows {
            match outlet.held_until(row, now) {
                Some(until) => waits.push(until),
                None => free.push(row),
            }
        }
        let mut ready = Vec::new();
        for group in grouped(&free, now) {
            let first = group.rows.iter().map(|row| row.due).min().unwrap_or(now);
            let at = first.max(outlet.cause_may_leave(group.cause, now));
            if at > now { waits.push(at) } else { ready.push(group) }
        }
        if ready.is_empty() {
            return Decision::Wait(waits.into_iter().min());
        }
        match outlet.room(now) {
            Ok(room) => Decision::Send(Box::new(outlet.message(&self.fleet, ready, room, now))),
            Err(until) => Decision::Wait(Some(until)),
        }
    }

    /// A message has left: what its rows become.
    pub fn sent(&mut self, channel: &str, message: &Message, now: Timestamp) -> Delivered {
        if channel == PING_CHANNEL {
            // A row for each run would be kept for months.
            return Delivered::Needless;
        }
        if let Some(outlet) = self.channels.get_mut(channel) {
            outlet.failures = 0;
            outlet.closed_until = None;
            outlet.sent.push_back((now, message.causes.clone()));
        }
        let is_repeated = |row: &&Delivery| {
            row.alert.as_ref().is_some_and(|(alert, _)| alert.closed.is_none())
                && known(row).is_some_and(|event| event != NoticeEvent::Recovered)
        };
        let repeats = message.rows.iter().filter(is_repeated).map(|row| {
            let stage = usize::try_from(row.stage).unwrap_or(usize::MAX).min(REPEATED_AFTER.len() - 1);
            (row.id, now + REPEATED_AFTER[stage])
        });
        Delivered::Sent { body: Some(message.body.clone()), repeats: repeats.collect() }
    }

    /// A try has failed: what its rows become. `chance` is a random number from 0 to 1: with it several channels and
    /// managers do not come back at the same moment.
    pub fn failed(
        &mut self,
        channel: &str,
        message: &Message,
        error: &Undelivered,
        now: Timestamp,
        chance: f64,
    ) -> Vec<(Vec<DeliveryId>, Delivered)> {
        let is_ping = channel == PING_CHANNEL;
        // Pings go to many endpoints: each has pauses of its own.
        let failures = match self.channels.get_mut(channel) {
            Some(outlet) => {
                outlet.failures = outlet.failures.saturating_add(1);
                outlet.failures
            }
            None => message.rows.iter().map(|row| row.tries.saturating_add(1)).max().unwrap_or(1),
        };
        let doubled = 1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX);
        let pause = RETRY_FIRST.saturating_mul(doubled).min(RETRY_MAX);
        let asked = error.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let pause = pause.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0)).max(asked);
        let again = now + TimeDelta::from_std(pause).unwrap_or(WINDOW);
        if let Some(outlet) = self.channels.get_mut(channel) {
            outlet.closed_until = Some(again);
        }
        let kept = if is_ping { PING_GIVEN_UP_AFTER } else { GIVEN_UP_AFTER };
        let (old, young): (Vec<_>, Vec<_>) = message.rows.iter().partition(|row| now - row.created >= kept);
        let ids = |rows: Vec<&Delivery>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
        let why = error.why.clone();
        let mut became = Vec::new();
        if !old.is_empty() {
            became.push((ids(old), Delivered::GivenUp { why: why.clone() }));
        }
        if !young.is_empty() {
            became.push((ids(young), Delivered::Failed { why, again }));
        }
        became
    }
}

impl Outlet {
    /// Until when a row must not leave: its alert is muted, or the hours are quiet.
    fn held_until(&self, row: &Delivery, now: Timestamp) -> Option<Timestamp> {
        let (alert, _) = row.alert.as_ref()?;
        alert.muted_until.filter(|until| *until > now).max(self.quiet_until(row, now))
    }

    /// When the quiet hours end in which a moment lies, for a row that waits for them.
    fn quiet_until(&self, row: &Delivery, at: Timestamp) -> Option<Timestamp> {
        let is_critical = row.alert.as_ref()?.0.severity.known() == Some(Severity::Critical);
        let hours = self.quiet.as_ref().filter(|_| self.quiet_critical || !is_critical)?;
        hours.end(at)
    }

    /// When the next message of a cause may leave.
    fn cause_may_leave(&self, cause: &str, now: Timestamp) -> Timestamp {
        let of_cause: Vec<_> =
            self.sent.iter().filter(|(at, causes)| now - *at < WINDOW && causes.contains(cause)).collect();
        let (Some((first, _)), Some((last, _))) = (of_cause.first(), of_cause.last()) else { return now };
        match CAUSE_PAUSES.get(of_cause.len() - 1) {
            Some(pause) => *last + *pause,
            None => *first + WINDOW,
        }
    }

    /// How many messages may leave within the window, at least one; or when the next one may.
    fn room(&mut self, now: Timestamp) -> Result<usize, Timestamp> {
        while self.sent.front().is_some_and(|(at, _)| now - *at >= WINDOW) {
            self.sent.pop_front();
        }
        let most = usize::try_from(self.messages_max.max(1)).unwrap_or(usize::MAX);
        if self.sent.len() >= most {
            let (first, _) = &self.sent[self.sent.len() - most];
            return Err(*first + WINDOW);
        }
        match self.sent.back() {
            Some((last, _)) if *last + PAUSE > now => Err(*last + PAUSE),
            Some(_) | None => Ok(most - self.sent.len()),
        }
    }

    /// The next message: the most urgent group, or a summary where there are too many, or where they were held back.
    fn message(&self, fleet: &str, mut ready: Vec<Group<'_>>, room: usize, now: Timestamp) -> Message {
        ready.sort_by_key(|group| std::cmp::Reverse(severity(group)));
        let is_held = |group: &Group<'_>| {
            let was_quiet =
                |row: &&Delivery| now - row.due > LATE && self.quiet_until(row, row.due).is_some();
            group.rows.iter().any(was_quiet)
        };
        let held = ready.iter().filter(|group| is_held(group)).count();
        let (chosen, note): (Vec<_>, _) = if ready.len() > CAUSES_AT_ONCE.min(room) {
            let note = (held > 0).then(|| "held during quiet hours".to_owned());
            (ready, note.or_else(|| Some("several causes in one message".to_owned())))
        } else if held > 0 {
            let held = ready.into_iter().filter(is_held).collect();
            (held, Some("held during quiet hours".to_owned()))
        } else {
            ready.truncate(1);
            (ready, None)
        };
        let parts: Vec<_> = chosen.iter().map(|group| (group.event, group.rows.as_slice())).collect();
        let body = compose(fleet, &parts, note).body();
        let causes = chosen.iter().map(|group| group.cause.to_owned()).collect();
        let rows = chosen.into_iter().flat_map(|group| group.rows).cloned().collect();
        Message { rows, body, causes }
    }
}

/// Pings leave one by one, as soon as they are due.
fn ping(rows: &[Delivery], now: Timestamp) -> Decision {
    match rows.first() {
        Some(row) if row.due <= now => {
            let (rows, body) = (vec![row.clone()], row.body.clone());
            Decision::Send(Box::new(Message { rows, body, causes: BTreeSet::new() }))
        }
        row => Decision::Wait(row.map(|row| row.due)),
    }
}

fn known(row: &Delivery) -> Option<NoticeEvent> {
    row.event.as_ref().and_then(crate::model::Word::known)
}

/// Whether a message is not needed any more: its alert was acknowledged, is not on record, or was over before any message
/// about it left.
fn is_needless(row: &Delivery, rows: &[Delivery]) -> bool {
    let Some((alert, _)) = &row.alert else { return true };
    match known(row) {
        Some(NoticeEvent::Opened) => alert.acknowledged.is_some() && alert.closed.is_none(),
        Some(NoticeEvent::Repeated) => alert.acknowledged.is_some() || alert.closed.is_some(),
        Some(NoticeEvent::Recovered) => {
            alert.delivered.is_none()
                && !rows.iter().any(|other| known(other) == Some(NoticeEvent::Opened) && is_of(other, alert))
        }
        Some(NoticeEvent::Test) | None => true,
    }
}

fn is_of(row: &Delivery, alert: &AlertRow) -> bool {
    row.alert.as_ref().is_some_and(|(other, _)| other.id == alert.id)
}

/// The rows by event and cause, those that are due first in front. An alert that was over before its held message left is
/// one that has recovered.
fn grouped<'a>(rows: &[&'a Delivery], now: Timestamp) -> Vec<Group<'a>> {
    let mut groups = Vec::<Group<'a>>::new();
    for row in rows {
        let (Some((alert, _)), Some(mut event)) = (&row.alert, known(row)) else { continue };
        if event == NoticeEvent::Opened && alert.closed.is_some() && now - row.due > LATE {
            event = NoticeEvent::Recovered;
        }
        let cause = alert.cause.text();
        match groups.iter_mut().find(|group| group.event == event && group.cause == cause) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { event, cause, rows: vec![row] }),
        }
    }
    groups
}

fn severity(group: &Group<'_>) -> Option<Severity> {
    group.rows.iter().filter_map(|row| row.alert.as_ref()?.0.severity.known()).max()
}

#[cfg(test)]
#[path = "dispatcher_tests.rs"]
mod tests;
