//! Sends what is to leave the program. Each channel has a thread of its own, since its clients block; this task asks the
//! dispatcher what is due, takes it in the database, and writes what became of it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::live::{Live, changed};
use crate::manager::Event;
use crate::model::{
    AlertCause, AlertKind, AlertRow, Delivered, Delivery, DeliveryId, FleetKind, FleetTrouble, GATHER,
    NoticeEvent, PING_CHANNEL, SentMessage, Timestamp, Word,
};
use crate::notify::{self, Decision, Dispatcher, GIVEN_UP_AFTER, Message, NotifySettings, Sink, Undelivered};
use crate::process::clock;
use crate::store::{AlertQuery, Store, StoreError};

/// A try of which nothing is heard may be repeated after this: longer than any client waits.
const TRY_TAKES: TimeDelta = TimeDelta::seconds(60);

/// How often is looked though nothing was written here: a mute may have been lifted, and another manager lost.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Between two looks at a channel when alerts come one after the other.
const LOOK_PAUSE: TimeDelta = TimeDelta::seconds(1);

/// How often deliveries are looked for that no channel takes.
const LOST_EVERY: Duration = Duration::from_secs(600);

/// Between tries to reach a database that is away.
const RETRY: Duration = Duration::from_secs(2);

/// Alerts that were delivered while no manager took note of it.
const DELIVERED_MAX: u32 = 10_000;

/// The channels of a manager, with what they need to be sent to.
pub(super) struct Sender {
    pub(super) store: Arc<dyn Store>,
    pub(super) settings: NotifySettings,
    pub(super) fleet: String,
    pub(super) events: UnboundedSender<Event>,
    /// Rung when a commit has opened or closed alerts.
    pub(super) bell: Arc<Notify>,
}

/// What a channel's thread has to say.
struct Answer {
    channel: String,
    result: Result<(), Undelivered>,
}

/// One channel.
struct Line {
    thread: mpsc::SyncSender<(String, String)>,
    /// What is being sent.
    under_way: Option<Box<Message>>,
    /// When it is looked at next.
    look_at: Timestamp,
}

impl Sender {
    /// Goes on until the manager ends. A try that is under way then is repeated by the next manager.
    pub(super) async fn run(mut self, mut live: watch::Receiver<Live>) {
        loop {
            let sinks = notify::sinks(&self.settings);
            self.send(sinks, &mut live).await;
            self.settings.clone_from(&live.borrow_and_update().notify);
        }
    }

    /// Sends by these channels until there are others, and what is under way has been answered.
    async fn send(&self, sinks: BTreeMap<String, Box<dyn Sink>>, live: &mut watch::Receiver<Live>) {
        // One answer for each message that is under way.
        let (answers, mut inbox) = unbounded_channel();
        let mut lines = lines(sinks, &answers);
        let mut dispatcher = self.begin().await;
        let mut look_by = Instant::now() + LOOK_EVERY;
        let mut lost_by = Instant::now();
        loop {
            let is_over = live.borrow_and_update().notify != self.settings;
            if is_over && lines.values().all(|line| line.under_way.is_none()) {
                return;
            }
            if Instant::now() >= lost_by {
                lost_by = Instant::now() + LOST_EVERY;
                // What cannot be read now is read the next time.
                let _ = self.give_up_lost(&lines).await;
            }
            let now = clock::wall();
            for (channel, line) in &mut lines {
                if !is_over && line.under_way.is_none() && line.look_at <= now {
                    line.look_at = match self.look(channel, line, &mut dispatcher).await {
                        Ok(next) => next.unwrap_or(Timestamp::MAX_UTC),
                        Err(error) => {
                            tracing::debug!(%error, channel, "deliveries are looked for again");
                            now + TimeDelta::from_std(RETRY).unwrap_or_default()
                        }
                    };
                }
            }
            let idle = lines.values().filter(|line| line.under_way.is_none());
            let next = idle.map(|line| line.look_at).min().unwrap_or(Timestamp::MAX_UTC);
            let wait = (next - clock::wall()).to_std().unwrap_or_default().min(LOOK_EVERY);
            // Only the answers are waited for when all is over.
            let wait = if is_over { LOOK_EVERY } else { wait };
            tokio::select! {
                () = changed(live) => {}
                Some(answer) = inbox.recv() => self.answered(answer, &mut lines, &mut dispatcher).await,
                () = self.bell.notified() => {
                    let soon = clock::wall() + LOOK_PAUSE;
                    look_by_then(&mut lines, soon);
                }
                () = sleep_until((Instant::now() + wait).min(look_by)) => {
                    if Instant::now() >= look_by {
                        look_by = Instant::now() + LOOK_EVERY;
                        let now = clock::wall();
                        look_by_then(&mut lines, now);
                    }
                }
            }
        }
    }

    /// Asks the database until it says what left in the last hour, and which alerts were delivered without the manager
    /// having taken note of it.
    async fn begin(&self) -> Dispatcher {
        loop {
            match self.history().await {
                Ok(sent) => return Dispatcher::new(&self.settings, &self.fleet, sent),
                Err(error) => {
                    tracing::debug!(%error, "what was sent lately is asked again");
                    sleep(RETRY).await;
                }
            }
        }
    }

    async fn history(&self) -> Result<Vec<SentMessage>, StoreError> {
        let open = AlertQuery { open_only: true, limit: DELIVERED_MAX, ..AlertQuery::default() };
        for alert in self.store.alerts(open).await?.iter().filter(|alert| alert.delivered.is_some()) {
            self.say_delivered(alert);
        }
        self.store.sent_since(clock::wall() - TimeDelta::hours(1)).await
    }

    /// The manager takes note of alerts that a flag waits for.
    fn say_delivered(&self, alert: &AlertRow) {
        if alert.kind.known() == Some(AlertKind::FailedToStart)
            && let Some(app) = alert.subject.id()
        {
            // The driver has gone only if everything ends.
            let _ = self.events.send(Event::AlertDelivered { app });
        }
    }

    /// Begins to send what is due, and says when to look next.
    async fn look(
        &self,
        channel: &str,
        line: &mut Line,
        dispatcher: &mut Dispatcher,
    ) -> Result<Option<Timestamp>, StoreError> {
        loop {
            let now = clock::wall();
            let rows = self.store.due_deliveries(channel.to_owned(), now + GATHER).await?;
            match dispatcher.decide(channel, &rows, now) {
                Decision::Wait(Some(until)) => return Ok(Some(until)),
                Decision::Wait(None) => {
                    return self.store.next_delivery(channel.to_owned()).await;
                }
                Decision::Drop(needless) => {
                    self.store.settle_deliveries(needless, now, Delivered::Needless).await?;
                }
                Decision::Send(message) => {
                    let taken = self.store.begin_deliveries(message.ids(), now + TRY_TAKES).await?;
                    if taken.len() < message.rows.len() {
                        // Another manager was faster, or some of them are over by now.
                        self.give_back(&message, taken, now).await?;
                        return Ok(Some(now + LOOK_PAUSE));
                    }
                    let id = message.ids().first().map_or_else(String::new, |id| id.0.to_string());
                    if line.thread.try_send((id, message.body.clone())).is_err() {
                        tracing::error!(channel, "the thread of a channel has ended");
                        return Ok(None);
                    }
                    line.under_way = Some(message);
                    return Ok(None);
                }
            }
        }
    }

    /// Gives up after a day what is for channels that are not set up any more.
    async fn give_up_lost(&self, lines: &BTreeMap<String, Line>) -> Result<(), StoreError> {
        let channels = self.store.waiting_channels().await?;
        for channel in channels.into_iter().filter(|channel| !lines.contains_key(channel)) {
            let now = clock::wall();
            let rows = self.store.due_deliveries(channel.clone(), now).await?;
            let old = rows.iter().filter(|row| now - row.created >= GIVEN_UP_AFTER).map(|row| row.id);
            let old: Vec<_> = old.collect();
            if old.is_empty() {
                continue;
            }
            let why = format!("there is no [notify.{channel}] in the configuration file");
            tracing::error!(channel, deliveries = old.len(), "deliveries are given up after a day: {why}");
            self.say_given_up(&channel, &why);
            self.store.settle_deliveries(old, now, Delivered::GivenUp { why }).await?;
        }
        Ok(())
    }

    /// The manager opens an alert of the fleet.
    fn say_given_up(&self, channel: &str, why: &str) {
        let message = format!(
            "nothing can be sent by {channel}, and what was to be sent a day ago is given up: {why}; dcm notify test {channel} \
             tries it"
        );
        let _ = self.events.send(Event::FleetTrouble { trouble: given_up(channel), message });
    }

    /// What was taken for a message that cannot be sent as it is may leave at once.
    async fn give_back(
        &self,
        message: &Message,
        taken: Vec<DeliveryId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if taken.is_empty() {
            return Ok(());
        }
        let ids = message.ids().len();
        tracing::debug!(
            taken = taken.len(),
            ids,
            "some deliveries of a message are another manager's by now"
        );
        let again = Delivered::Failed { why: "taken with others".to_owned(), again: now };
        self.store.settle_deliveries(taken, now, again).await
    }

    /// Writes what became of a message, until it is written: before that it must not be sent again.
    async fn answered(
        &self,
        Answer { channel, result }: Answer,
        lines: &mut BTreeMap<String, Line>,
        dispatcher: &mut Dispatcher,
    ) {
        let Some(line) = lines.get_mut(&channel) else { return };
        let Some(message) = line.under_way.take() else { return };
        let now = clock::wall();
        line.look_at = now;
        let became = match &result {
            Ok(()) => vec![(message.ids(), dispatcher.sent(&channel, &message, now))],
            Err(error) => {
                tracing::warn!(
                    channel,
                    messages = message.rows.len(),
                    "a message was not taken, it is tried again: {error}"
                );
                dispatcher.failed(&channel, &message, error, now, chance())
            }
        };
        for (ids, delivered) in became {
            if let Delivered::GivenUp { why } = &delivered
                && channel != PING_CHANNEL
            {
                tracing::error!(
                    channel,
                    deliveries = ids.len(),
                    "deliveries are given up after a day: {why}"
                );
                self.say_given_up(&channel, why);
            }
            while let Err(error) = self.store.settle_deliveries(ids.clone(), now, delivered.clone()).await {
                if matches!(error, StoreError::Deposed | StoreError::Replaced) {
                    return;
                }
                sleep(RETRY).await;
            }
        }
        if result.is_ok() {
            // Nothing happens where there is no such trouble.
            if channel != PING_CHANNEL {
                let _ = self.events.send(Event::FleetTroubleOver(given_up(&channel)));
            }
            let informs =
                |row: &&Delivery| row.event.as_ref().and_then(Word::known) != Some(NoticeEvent::Recovered);
            for (alert, _) in message.rows.iter().filter(informs).filter_map(|row| row.alert.as_ref()) {
                self.say_delivered(alert);
            }
        }
    }
}

fn lines(
    sinks: BTreeMap<String, Box<dyn Sink>>,
    answers: &UnboundedSender<Answer>,
) -> BTreeMap<String, Line> {
    let mut lines = BTreeMap::new();
    for (channel, sink) in sinks {
        match begin_thread(&channel, sink, answers.clone()) {
            Ok(thread) => {
                let line = Line { thread, under_way: None, look_at: Timestamp::MIN_UTC };
                lines.insert(channel, line);
            }
            Err(error) => tracing::error!(%error, channel, "nothing can be sent: no thread for the channel"),
        }
    }
    lines
}

/// All channels are to be looked at by this moment.
fn look_by_then(lines: &mut BTreeMap<String, Line>, moment: Timestamp) {
    for line in lines.values_mut() {
        line.look_at = line.look_at.min(moment);
    }
}

fn given_up(channel: &str) -> FleetTrouble {
    FleetTrouble { kind: FleetKind::DeliveryGivenUp, cause: AlertCause::of_channel(channel) }
}

/// A random number from 0 to 1.
fn chance() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

/// A thread that sends one message after the other.
fn begin_thread(
    channel: &str,
    sink: Box<dyn Sink>,
    answers: UnboundedSender<Answer>,
) -> std::io::Result<mpsc::SyncSender<(String, String)>> {
    let (messages, inbox) = mpsc::sync_channel::<(String, String)>(1);
    let channel = channel.to_owned();
    std::thread::Builder::new().name(format!("dcm-{channel}")).spawn(move || {
        while let Ok((id, body)) = inbox.recv() {
            let tried = std::panic::catch_unwind(AssertUnwindSafe(|| sink.deliver(&id, &body)));
            let result = tried.unwrap_or_else(|_| {
                Err(Undelivered { why: "a fault in dcm; the log has more".to_owned(), retry_after: None })
            });
            if answers.send(Answer { channel: channel.clone(), result }).is_err() {
                return;
            }
        }
    })?;
    Ok(messages)
}
